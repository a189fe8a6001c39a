//! What a message says.
