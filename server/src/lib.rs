//! The company's one binary, as a library: what it promises and where each promise is kept.
//!
//! The server orders, checks and keeps. It puts the entries of every conversation into one total
//! order, accepts only what the rules of `hauspost-protocol` allow, and keeps what it cannot read:
//! neither an epoch's secret nor a record's key ever reaches it. Every rule that it keeps is checked
//! again by the phones, and every answer that it gave is durable before it was given.
//!
//! A request walks through the modules in this order and never back:
//!
//! 1. [`serve`] is the rim: TLS, routes, sessions, limits, metrics. It parses bytes into values
//!    once, asks the rules, and answers in the shapes of `hauspost_protocol::wire`.
//! 2. [`store`] is what endures: one trait of transactions, contract tests that every
//!    implementation passes, and the embedded SQLite that `hauspost serve` starts with.
//! 3. [`blobs`] is where the ciphertexts of documents lie, as opaque chunks.
//!
//! Beside the server stand the tools of those who run the company. Their keys are never on the
//! server, so each of them is a program of its own that talks to it as any other client does:
//!
//! 4. [`company`] founds the company, invites and revokes: key files, pages to print, and what is
//!    signed with them.
//! 5. [`archive`] opens the archive in two halves that never meet, exports it, and verifies an
//!    export offline.
//! 6. [`witness`] is a machine of the works council or an auditor that vouches that nothing is taken
//!    back.
//! 7. [`chat`] is a client for the terminal, over the same core as the phones.
//! 8. [`demo`] plays the main job as a story, with all of these and with phones.
//! 9. [`cli`] is the command line over all of it. Whatever others wrote passes [`harmless`] on its
//!    way to a terminal, and [`sound`] shows there what was spoken.
//!
//! Nothing in it relies on one process holding the truth in memory: what a node remembers is a copy
//! that it checks against the store inside the transaction that uses it.

pub mod archive;
pub mod blobs;
pub mod chat;
pub mod cli;
pub mod company;
pub mod demo;
pub mod harmless;
pub mod serve;
pub mod sound;
pub mod store;
pub mod witness;
