//! The core for Kotlin and Swift: the UniFFI surface and nothing else.
//!
//! An app gets ids and records, never object graphs; a page of a list is one call. Nothing here decides
//! anything: each function translates, calls `hauspost_core`, and translates back. The modules stand in
//! the order in which an app meets them.
//!
//! What every function here keeps:
//!
//! - It never panics into the app: work runs on the core's own threads (`runtime`), and a panic there
//!   comes back as the error `internal`.
//! - An async function may be dropped at any await, and has then either happened or not: it reads one
//!   snapshot, or hands one transaction to the writer, which runs it whole or not at all. Kotlin drops it
//!   when the coroutine is cancelled. Swift does not, so what takes long takes a
//!   [`CancelHandle`](cancel::CancelHandle) as well.
//! - The app's own objects, [`KeyStore`](key_store::KeyStore) and [`Observer`](observer::Observer), are
//!   called without any lock held and outside of any transaction, on threads that may wait.

mod error;
mod ids;
mod runtime;

pub mod account;
pub mod alarms;
pub mod cancel;
pub mod cards;
pub mod confirmations;
pub mod conversations;
pub mod documents;
pub mod invitation;
pub mod key_store;
pub mod observer;
pub mod own;
pub mod people;
pub mod presence;
pub mod previews;
pub mod rooms;
pub mod rules;
pub mod search;
pub mod talk;
pub mod timeline;

pub use error::HauspostError;

uniffi::setup_scaffolding!();
