//! The extension of the group context that binds an MLS group to its log.
