//! What an intent holds until it is done.

use hauspost_protocol::array_item;
use hauspost_protocol::body::{HistoryRule, LogType};
use hauspost_protocol::encoding::Bytes;
use hauspost_protocol::ids::{DeviceId, LogNo, UserId};
use hauspost_protocol::statement::PayloadType;

/// A device with its key package, if it has one.
pub type Package = (DeviceId, Option<Bytes>);

array_item! {
    /// Something to say.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Say {
        /// What the content is.
        pub ptype: PayloadType,
        /// Its bytes.
        pub content: Bytes,
    }
}

array_item! {
    /// A conversation to create.
    #[derive(Debug, Clone)]
    pub struct Create {
        /// What kind it is.
        pub r#type: LogType,
        /// Who is to be in it besides its creator.
        pub members: Vec<UserId>,
        /// Whether those who come later get what was said before.
        pub history: HistoryRule,
        /// Its number, once the server reserved it.
        pub log_no: Option<LogNo>,
        /// The key packages, once they were taken: they are used again if a commit has to be made anew.
        pub packages: Option<Vec<Package>>,
    }
}

array_item! {
    /// People to add.
    #[derive(Debug, Clone)]
    pub struct Add {
        /// Who.
        pub users: Vec<UserId>,
        /// Whether the phone wants it by itself: a device that came later, of somebody who may enter.
        pub by_itself: bool,
        /// The key packages, once they were taken.
        pub packages: Option<Vec<Package>>,
    }
}

array_item! {
    /// Somebody to name an owner, or to withdraw as one.
    #[derive(Debug, Clone, Copy)]
    pub struct Own {
        /// Who.
        pub user: UserId,
        /// Whether he is to be one.
        pub named: bool,
    }
}

array_item! {
    /// Somebody to remove.
    #[derive(Debug, Clone, Copy)]
    pub struct Remove {
        /// Who.
        pub user: UserId,
    }
}
