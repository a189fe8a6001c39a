//! The company log's rules, each with the entry that breaks it.

mod devices;
mod log;
mod table;
