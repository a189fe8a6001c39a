//! When an entry is accepted: by the server ([`server`], S1 to S13) and by its readers, who judge
//! chain and records by [`client`] and what changes a conversation by [`change`] (C1 to C9). All
//! begin with [`form`]: what an entry is, before it is asked whether it may be.
//!
//! The rules are functions from values to verdicts. Whoever calls them fetches the values, in the
//! transaction in which the verdict is carried out.
//!
//! Source: docs/protocol.md §7.

pub mod change;
pub mod client;
pub mod form;
pub mod server;

#[cfg(test)]
mod grants;
