//! When an entry is accepted.

pub mod client;
pub mod server;
