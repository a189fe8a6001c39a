//! Ids as apps hold them: text.

use std::str::FromStr;

use hauspost_protocol::ids::{LogId, MessageId, UserId};

use crate::error::HauspostError;

pub(crate) fn conversation(text: &str) -> Result<LogId, HauspostError> {
    LogId::from_str(text).map_err(|_| HauspostError::bad_input("This is no conversation's id."))
}

pub(crate) fn user(text: &str) -> Result<UserId, HauspostError> {
    UserId::from_str(text).map_err(|_| HauspostError::bad_input("This is no person's id."))
}

/// Message ids are 64 lower-case hexadecimal digits.
pub(crate) fn message(text: &str) -> Result<MessageId, HauspostError> {
    let wrong = || HauspostError::bad_input("This is no message's id.");
    let mut id = [0; 32];
    if text.len() != 2 * id.len() || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(wrong());
    }
    for (at, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| wrong())?;
    }
    Ok(MessageId(id))
}

pub(crate) fn users(texts: &[String]) -> Result<Vec<UserId>, HauspostError> {
    texts.iter().map(|text| user(text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_messages_id_reads_back_and_another_text_is_refused() {
        let id = MessageId([0xA7; 32]);
        assert_eq!(message(&id.to_string()).unwrap(), id);
        for wrong in ["", "a7", &"A7".repeat(32), &"é".repeat(32), &"+7".repeat(32)] {
            assert_eq!(message(wrong).unwrap_err().code(), "bad-input", "{wrong}");
        }
    }
}
