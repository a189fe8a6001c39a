//! The company log.

pub mod entry;
pub mod state;
pub mod voucher;
