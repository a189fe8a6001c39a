//! `hauspost witness`: a works council (Betriebsrat) or an auditor vouches that the company's log of
//! all logs only grows (C2SP tlog-witness, tlog-cosignature).
//!
//! [`keeper`] is the witness: its key, what it watches, and what it cosigned last, which is on disk
//! before a cosignature leaves. [`pull`] goes to the server and asks for its newest checkpoint;
//! [`endpoint`] answers `add-checkpoint` for logs that push. Both bring the same bytes to the keeper.

pub mod endpoint;
pub mod keeper;
pub mod pull;

#[cfg(test)]
mod tests;
