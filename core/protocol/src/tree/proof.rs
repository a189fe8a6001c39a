//! The proof of one record and of a conversation.
