//! What we need of MLS (RFC 9420).

pub mod certificate;
pub mod extension;
pub mod public;
pub mod storage;
