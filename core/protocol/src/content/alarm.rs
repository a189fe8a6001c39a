//! Alarms: messages that ring in quiet hours, of whomever the policy lets send them.

use super::message::Message;

/// The extension of an alarm: 1 (docs/protocol.md §6).
const ALARM: &str = "hauspost/alarm";

impl Message {
    /// This message as an alarm. Whether it counts as one the policy says.
    #[must_use]
    pub fn as_alarm(self) -> Self {
        self.with_extension(ALARM, &1u64)
    }

    /// Whether its author means it as an alarm.
    pub fn is_alarm(&self) -> bool {
        self.extension::<u64>(ALARM) == Some(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::UserId;

    #[test]
    fn an_alarm_is_one_whatever_else_the_message_says_and_nothing_else_is() {
        let text = Message::text([1; 16], "Feuer in Halle 3");
        assert!(!text.is_alarm());
        let alarm = text.clone().passed_on_from(UserId([2; 16])).as_alarm();
        let read = Message::parse(&alarm.to_bytes().unwrap()).unwrap();
        assert!(read.is_alarm());
        assert_eq!(read.origin(), Some(UserId([2; 16])));
        assert!(!text.with_extension(ALARM, &0u64).is_alarm());
    }
}
