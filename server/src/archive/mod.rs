//! The archive: opened in two halves that never meet, exported as files, verified offline.

pub mod export;
pub mod verify;
