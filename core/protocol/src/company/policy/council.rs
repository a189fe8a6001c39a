//! What can watch people, and what the works council therefore signs (BetrVG § 87 (1) No. 6).

use super::list::growing_list;
use crate::array_item;
use crate::company::body::Role;
use crate::company::view::CompanyAt;
use crate::ids::UserId;

/// People and roles of a list, at most.
const CALLERS: usize = 1_024;

growing_list! {
    /// The part of a policy that the works council signs.
    pub struct CouncilPart {
        /// Whether a handover to a successor needs the council's signature too.
        handover_council: bool = true, |_| true;
        /// Whether people see that their messages were read (read receipts).
        read_receipts: bool = false, |_| true;
        /// Whether people see that somebody is writing just now.
        typing: bool = false, |_| true;
        /// Whether people see when somebody was last there.
        last_seen: bool = false, |_| true;
        /// Whether anything may be counted for each person.
        statistics: bool = false, |_| true;
        /// Days for which traces of behaviour (receipts) are kept, 1 to 365.
        behaviour_days: u64 = 30, |days| (1..=365).contains(days);
        /// Who may send alarms, which break through quiet hours.
        alarms: Callers = Callers::default(), Callers::fits;
        /// Whether new members and devices of members get the past of every conversation, whatever the
        /// conversation itself says.
        history_for_members: bool = false, |_| true;
    }
}

array_item! {
    /// People, by what they are or by who they are. Nobody by default.
    #[derive(Debug, Clone, PartialEq, Eq, Default)]
    pub struct Callers {
        /// Whoever holds a key of one of these roles.
        pub roles: Vec<Role>,
        /// These people.
        pub users: Vec<UserId>,
    }
}

impl Callers {
    /// Whether this person is one of them, as the company is then.
    pub fn include(&self, user: UserId, company: &CompanyAt<'_>) -> bool {
        self.users.contains(&user)
            || (!self.roles.is_empty()
                && company.role_keys().any(|holding| {
                    holding.user == Some(user) && self.roles.contains(&holding.role)
                }))
    }

    /// Whether nobody is meant.
    pub fn is_empty(&self) -> bool {
        self.roles.is_empty() && self.users.is_empty()
    }

    fn fits(&self) -> bool {
        self.roles.len() + self.users.len() <= CALLERS
    }
}
