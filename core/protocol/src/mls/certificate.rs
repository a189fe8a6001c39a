//! Device certificates and the leaf rule.
