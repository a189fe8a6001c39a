//! The archive keys A and B, and A's shares.
