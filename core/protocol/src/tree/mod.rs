//! The trees that tie all logs together.

pub mod checkpoint;
pub mod heads;
pub mod merkle;
pub mod proof;
