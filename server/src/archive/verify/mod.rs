//! `hauspost archive verify`.

pub mod chain;
