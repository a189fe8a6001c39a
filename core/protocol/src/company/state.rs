//! What the company log says, at any size of it.
