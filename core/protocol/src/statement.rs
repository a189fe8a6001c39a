//! What an author signs with a message.
