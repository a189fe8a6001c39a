//! What endures.
