//! Entries of the company log.
