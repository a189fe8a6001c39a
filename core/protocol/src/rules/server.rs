//! The rules S1 to S13.
