//! What a new phone is given to find its company.
