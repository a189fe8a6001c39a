//! The tests that cross crates, and what they stand on.
//!
//! [`real`] is a company with the real server over real TLS and phones with databases of their own;
//! [`crowd`] fills large groups; [`hostile`] stands between a phone and that server, and lies;
//! [`bomb`] makes a member's phone hostile, [`disk`] fills a file system, [`s3`] is a storage for documents that
//! fails when told to. [`sim`] runs a whole company in one process under one
//! seed.

pub mod bomb;
pub mod crowd;
pub mod disk;
pub mod hostile;
pub mod real;
pub mod s3;
pub mod sim;
