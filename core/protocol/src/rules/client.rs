//! The rules C1 to C13.
