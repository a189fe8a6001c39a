//! The phone's core: sync, storage, crypto.

pub mod env;
pub mod group;
pub mod observe;
pub mod read;
pub mod store;
pub mod sync;
