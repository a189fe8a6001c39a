//! Tree hashes, inclusion and consistency (RFC 9162 §2.1).
