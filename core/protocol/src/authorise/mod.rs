//! Who may change a conversation.
