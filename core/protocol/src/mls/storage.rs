//! OpenMLS' storage over any ordered key-value store.
