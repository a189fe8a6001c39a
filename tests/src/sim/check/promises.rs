//! What phones promised to send: once there, in its place, or failed with a reason.

use std::collections::{BTreeMap, HashMap};

use hauspost_core::outbox::REASON_MAYBE_SENT;
use hauspost_core::store::StoreError as PhoneError;
use hauspost_core::store::rows::log;
use hauspost_core::store::rows::message::MessageState;
use hauspost_protocol::ids::{LogId, Seq};

use super::super::talk::{self, What};
use super::super::world::World;
use super::{Truth, all_rows};

/// Each text whose sending was promised is once on its phone, and there either in the log, in the very
/// place that the server's log has it at, or failed with a reason.
///
/// It is looked for by its text, which is unique: a message may move to another log, and get another
/// id, when two people begin a conversation with each other at once.
pub(super) async fn kept(world: &World, truths: &BTreeMap<LogId, Truth>, broken: &mut Vec<String>) {
    let mut places: HashMap<&str, Vec<(LogId, Seq)>> = HashMap::new();
    for truth in truths.values() {
        for record in &truth.records {
            if let What::Write(Some(text)) | What::Ask(text, _) = &record.said.what {
                places.entry(text).or_default().push((truth.row.log, record.seq));
            }
        }
    }
    for number in 0..world.phones.len() {
        let promised: Vec<_> = world.sent.iter().filter(|sent| sent.phone == number).collect();
        let Some(account) = world.wire.account(number) else { continue };
        if world.phones[number].revoked {
            continue;
        }
        let read = account.store().read(|conn| {
            let mut shown = Vec::new();
            for log in log::all(conn)? {
                let rows = all_rows(conn, log.local.id)?;
                shown.extend(rows.into_iter().map(|row| (log.local.id, row)));
            }
            Ok::<_, PhoneError>(shown)
        });
        let shown = read.await.expect("a healed phone can be read");
        for (log, row) in &shown {
            if row.state == MessageState::Failed {
                world.trace(format!("phone {number} failed in {log} by {:?}", row.reason));
            }
        }
        for sent in promised {
            let tell = |what: String| format!("phone {number}: {:?} {what}", sent.text);
            let text = Some(&sent.text);
            let here: Vec<_> =
                shown.iter().filter(|(_, row)| talk::as_written(row).as_ref() == text).collect();
            let there = places.get(&*sent.text).map(Vec::as_slice).unwrap_or_default();
            let kept = match (&here[..], there) {
                // Written after the backup: gone, or read again as everybody reads it.
                ([], [] | [_]) if sent.undone => true,
                ([(log, row)], [(in_log, seq)]) if sent.undone => {
                    log == in_log && row.seq == Some(*seq)
                }
                // Sent before the phone was put back, where it cannot read it: the person decides.
                ([(log, row)], [(in_log, _)]) if row.reason == Some(REASON_MAYBE_SENT) => {
                    log == in_log && row.state == MessageState::Failed
                }
                ([(log, row)], [(in_log, seq)]) => {
                    log == in_log
                        && row.seq == Some(*seq)
                        && matches!(row.state, MessageState::Sent | MessageState::Secured)
                }
                ([(_, row)], []) => row.state == MessageState::Failed && row.reason.is_some(),
                _ => false,
            };
            if !kept {
                let here: Vec<_> =
                    here.iter().map(|(log, row)| (log, row.seq, row.state)).collect();
                broken.push(tell(format!("is {here:?} on its phone and {there:?} at the server")));
            }
        }
    }
}
