//! What happened, line by line, and a digest of it.

use std::sync::{Arc, Mutex, PoisonError};

use hauspost_protocol::crypto::sha256;

/// The course of a simulation; shared by all who act in it.
#[derive(Clone, Default)]
pub struct Trace(Arc<Mutex<Vec<String>>>);

impl Trace {
    /// Adds a line.
    pub fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line.into());
    }

    /// The digest of all lines, and the lines.
    pub fn end(&self) -> (String, Vec<String>) {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (hex::encode(sha256(lines.join("\n").as_bytes()).0), lines)
    }
}
