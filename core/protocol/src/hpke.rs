//! Sealing to one key (RFC 9180).
