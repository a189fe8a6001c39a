//! Sealing and opening one message.
