//! How the server is reached: what a status line shows.

use tokio::sync::watch;

use super::AccountError;

/// How the server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Nothing was answered yet.
    Connecting,
    /// The last pull was answered.
    Online,
    /// The last pull or the stream broke off; it is tried again.
    Reconnecting,
    /// The server does not accept this device any more.
    Refused,
}

/// The link, told to all who watch.
pub(super) struct LinkTeller {
    link: watch::Sender<Link>,
    /// Told each time that the server is reached again.
    back: watch::Sender<()>,
}

impl Default for LinkTeller {
    fn default() -> Self {
        Self { link: watch::Sender::new(Link::Connecting), back: watch::Sender::new(()) }
    }
}

impl LinkTeller {
    pub(super) fn watch(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }

    /// Changes when the server, which was not reached, is reached again after this call.
    pub(super) fn back(&self) -> watch::Receiver<()> {
        self.back.subscribe()
    }

    pub(super) fn tell(&self, link: Link) {
        let is_new = self.link.send_if_modified(|told| std::mem::replace(told, link) != link);
        if is_new && link == Link::Online {
            self.back.send_replace(());
        }
    }

    /// The stream broke off; what was refused stays refused until a pull is answered.
    pub(super) fn tell_broken(&self) {
        let online = |link: &mut Link| {
            let was_online = *link == Link::Online;
            if was_online {
                *link = Link::Reconnecting;
            }
            was_online
        };
        self.link.send_if_modified(online);
    }

    pub(super) fn tell_error(&self, error: &AccountError) {
        let refused = error.code() == "revoked";
        self.tell(if refused { Link::Refused } else { Link::Reconnecting });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::{NetworkError, SyncError};

    #[test]
    fn a_broken_stream_is_reconnecting_and_a_refused_device_stays_refused() {
        let teller = LinkTeller::default();
        let link = teller.watch();
        teller.tell_broken();
        assert_eq!(*link.borrow(), Link::Connecting);
        teller.tell(Link::Online);
        teller.tell_broken();
        assert_eq!(*link.borrow(), Link::Reconnecting);
        teller.tell_error(&SyncError::from(NetworkError::Unreachable).into());
        assert_eq!(*link.borrow(), Link::Reconnecting);
        teller.tell_error(&SyncError::Session.into());
        teller.tell_broken();
        assert_eq!(*link.borrow(), Link::Refused);
    }
}
