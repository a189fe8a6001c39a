//! The core for Kotlin and Swift: the UniFFI surface and nothing else.
//!
//! An app gets ids and records, never object graphs; a page of a list is one call. Nothing here decides
//! anything: each function translates, calls `hauspost_core`, and translates back. The modules stand in
//! the order in which an app meets them.

mod error;

pub mod invitation;

pub use error::HauspostError;

uniffi::setup_scaffolding!();
