//! One announcement in several rooms, as an auditor sees it (protocol §6): who was asked in any of them and has
//! confirmed in any, each person once, beside the list of each room.

use std::collections::BTreeMap;

use hauspost_core::read::Confirmations;
use hauspost_protocol::body::LogType;
use hauspost_protocol::ids::UserId;

use super::reading::Readable;
use super::verify::ExaminedLog;

/// What names an announcement: its author and, in hexadecimal, his id for it.
pub type AnnouncementName = (UserId, String);

/// An announcement that asks to be confirmed, in all rooms that were opened.
#[derive(Debug, Clone)]
pub struct Announced {
    /// What names it.
    pub name: AnnouncementName,
    /// In how many rooms it stands.
    pub rooms: usize,
    /// Who was asked and who has confirmed.
    pub list: Confirmations,
}

/// The lists of one conversation that belong to announcements; elsewhere than among those nothing is one.
pub(super) fn of_room(
    conversation: &ExaminedLog,
    messages: &[Readable],
    lists: &[Confirmations],
) -> Vec<(AnnouncementName, Confirmations)> {
    let genesis = conversation.replay.genesis.as_ref();
    if genesis.is_none_or(|genesis| genesis.r#type != LogType::Announce) {
        return Vec::new();
    }
    let named = |list: &Confirmations| {
        let seq = list.seq?.0;
        let message = messages.iter().find(|message| message.seq == seq)?;
        Some(((list.author, message.announcement.clone()?), list.clone()))
    };
    lists.iter().filter_map(named).collect()
}

/// Those that stand in several rooms, by their names.
pub fn joined(rooms: Vec<(AnnouncementName, Confirmations)>) -> Vec<Announced> {
    let mut lists: BTreeMap<AnnouncementName, Vec<Confirmations>> = BTreeMap::new();
    for (name, list) in rooms {
        lists.entry(name).or_default().push(list);
    }
    let several = lists.into_iter().filter(|(_, lists)| lists.len() > 1);
    let announced = several.filter_map(|(name, lists)| {
        let rooms = lists.len();
        Some(Announced { name, rooms, list: Confirmations::joined(lists)? })
    });
    announced.collect()
}
