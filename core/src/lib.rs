//! The phone's core: everything that an app does but show it.
//!
//! What this crate promises to the one who builds on it:
//!
//! - **Nothing is torn.** All of an account lies in one encrypted database, and what belongs together
//!   changes in one transaction: a killed phone, a full disk, a dropped future lose and double nothing.
//! - **Nothing is silently missing.** A record that cannot be opened is a visible gap with a reason; an
//!   intent ends secured or failed, with a reason that a person sees.
//! - **Nothing waits for the network** that is there already: lists, timelines and search answer from
//!   the database in milliseconds, also while a catch-up runs.
//! - **The world is a parameter.** Time, randomness, network and guarded keys come in through traits,
//!   so a whole company runs in one process under one seed.
//!
//! Data walks one way in and one way out. In: [`sync`] pulls by cursor, the protocol's rules judge in
//! memory, [`store`] keeps it in one short transaction, [`observe`] says what changed, and a view asks
//! [`read`]. Out: a view's wish becomes an intent in the [`store`], is sealed, and [`sync`] carries it.
//! No network and no foreign code runs inside a transaction or under a lock.
//!
//! Which room for which question:
//!
//! 1. [`env`](mod@env): what does the core take from the world?
//! 2. [`sync`]: how does it speak with the server?
//! 3. [`group`]: how does it change and follow an MLS group?
//! 4. [`store`]: what is kept, where, and what is one transaction? [`ledger`]: what of one log?
//! 5. [`file`](mod@file): where do documents lie?
//! 6. [`inbound`]: what does it believe of what came, and what becomes of it?
//! 7. [`outbox`]: what becomes of what a person wants? [`own`]: what do a person's devices agree on?
//! 8. [`observe`]: how does a view hear that something changed?
//! 9. [`read`]: what does a view show? [`format`](mod@format): how does a formatted text look?
//!    [`notify`]: how loud is it? [`hints`]: who is typing, who is there?
//! 10. [`account`]: what does an app hold in its hand?

pub mod env;

pub mod sync;

pub mod group;

pub mod store;

pub mod ledger;

pub mod file;

pub mod inbound;

pub mod outbox;

pub mod own;

pub mod observe;

pub mod read;

pub mod format;

pub mod notify;

pub mod hints;

pub mod account;
