//! Record keys handed from one to another.
