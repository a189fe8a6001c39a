//! The phone's core: sync, storage, crypto.

pub mod env;
