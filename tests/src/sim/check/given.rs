//! What the server's log says a device was given, and a phone's timeline says it was not.

use std::collections::{BTreeMap, BTreeSet};

use hauspost_core::store::rows::message::{Message, MessageKind};
use hauspost_protocol::body::{GrantBody, SignedPayload};
use hauspost_protocol::encoding::decode;
use hauspost_protocol::entry::Kind;
use hauspost_protocol::ids::{DeviceId, LogId, Seq};

use super::super::announced::Stands;
use super::super::talk;
use super::{Truth, is_message};

/// How announcements stand in the logs.
pub(super) fn stands(truths: &BTreeMap<LogId, Truth>) -> Stands {
    let mut stands = Stands::new();
    for truth in truths.values() {
        let views = talk::views(truth.records.iter().map(|record| &record.said));
        for said in truth.records.iter().map(|record| &record.said) {
            let Some((announcement, id)) = said.announcement.zip(said.id) else { continue };
            // A change of it is another record, which names no announcement.
            let Some(view) = views.get(&id) else { continue };
            let place = (truth.row.log, said.user, announcement);
            stands.entry(place).or_default().push(view.clone());
        }
    }
    stands
}

impl Truth {
    /// Where who was put out by then may have read it first: behind a word about people, which the commit that
    /// takes his leaf follows.
    pub(super) fn word_before(&self, end: u64) -> u64 {
        let mut rows = self.rows.iter().rev().filter(|row| row.entry.seq.0 < end);
        let word = rows.find(|row| row.kind == Kind::Invite);
        word.map_or(end, |row| row.entry.seq.0 + 1)
    }
}

/// The entries whose keys a device was given.
pub(super) fn granted(truth: &Truth, device: DeviceId) -> BTreeSet<Seq> {
    let mut granted = BTreeSet::new();
    for row in truth.rows.iter().filter(|row| row.kind == Kind::Grant) {
        let signed = row.entry.payload.bytes().and_then(|bytes| decode(bytes).ok());
        let body = signed.and_then(|signed: SignedPayload| decode::<GrantBody>(&signed.body).ok());
        let Some(body) = body.filter(|body| body.grantee.0 == device.0) else { continue };
        let ranges = body.ranges.iter();
        granted.extend(ranges.flat_map(|(from, to)| (from.0..=to.0).map(Seq)));
    }
    granted
}

/// The records that the timeline says are not readable: so many from each line on.
pub(super) fn unreadable(rows: &[Message], marks: &BTreeSet<Seq>, truth: &Truth) -> BTreeSet<Seq> {
    let read: BTreeSet<_> =
        rows.iter().filter(|row| is_message(row)).filter_map(|row| row.seq).collect();
    let mut said = BTreeSet::new();
    for line in rows.iter().filter(|row| row.kind == MessageKind::Unreadable) {
        let from = line.seq.unwrap_or_default();
        let records = truth.records.iter().map(|record| record.seq);
        let records =
            records.filter(|seq| *seq >= from && !read.contains(seq) && !marks.contains(seq));
        said.extend(records.take(line.missing as usize));
    }
    said
}
