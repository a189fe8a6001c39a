//! A reset: the conversation goes on in a new group (R1 to R4).

use hauspost_protocol::authorise::Judgement;
use hauspost_protocol::encoding;
use hauspost_protocol::entry::Entry;
use hauspost_protocol::ids::{Epoch, RecordIndex};
use hauspost_protocol::mls::extension::group_id;
use hauspost_protocol::rules::change;
use hauspost_protocol::rules::form::Parsed;

use super::store::Line;
use super::{Code, Halt, Reader, Snapshot, Walk};
use crate::group::{self, commit};
use crate::ledger::Ledger;
use crate::store::rows::alarm::Alarm;
use crate::store::rows::message::Event;

impl Walk<'_> {
    /// The old epoch ends here and its keys go; what was sealed in it and is not in the log is sealed
    /// anew. With the commit that comes next the phone enters the new group by its Welcome, or by
    /// itself if it is among the missing.
    pub(super) fn reset(
        &mut self,
        reader: &mut Reader<'_>,
        ledger: &mut Ledger,
        entry: &Entry,
        parsed: &Parsed,
    ) -> Result<(), Halt> {
        let Some(conversation) = &mut ledger.conversation else {
            return Err(Halt::Stop(Code::Mismatch));
        };
        let at = parsed.payload.at().ok_or(Halt::Stop(Code::Form))?;
        let (at, link) = (reader.company.at(at.co), reader.company.at(entry.co));
        let judgement = Judgement { at: &at, link: &link, t_ms: entry.t_ms };
        let reset = change::reset(parsed, conversation, &judgement)?;
        let mine = conversation.roster.has_user(reader.me.user);
        let old = group_id(ledger.row.local.id, conversation.r#gen);
        conversation.take_reset(&reset);
        let provider =
            group::provider_above(Snapshot(reader.conn), &self.changes.mls, &mut reader.rng);
        // What cannot be read any more is in nobody's way either.
        if commit::forget(&provider, &old).is_ok() {
            self.changes.mls = provider.backend().take_changes();
        }
        let row = &mut ledger.row;
        row.r#gen = reset.r#gen();
        row.epoch = Epoch(0);
        row.epoch_seq = None;
        row.own_leaf = None;
        row.own_index = RecordIndex(0);
        ledger.epoch = None;
        ledger.follower = None;
        self.changes.epoch_ended = true;
        self.changes.touched.epoch = true;
        self.changes.touched.conversation = true;
        self.changes.touched.follower = true;
        self.changes.touched.chains.clear();
        self.revoked = (None, Vec::new());
        let by = reset.by();
        if mine {
            let (seq, t_ms) = (entry.seq, entry.t_ms);
            self.changes.lines.push(Line::Event { seq, event: Event::Reset, by, t_ms });
        }
        if by.1 == reader.me.device {
            // An admin hears of each (R4).
            self.changes.alarms.push(Alarm {
                log: Some(ledger.row.local.id),
                code: Code::Reset as u64,
                seq: Some(entry.seq),
                evidence: Some(encoding::encode(entry)),
                t_ms: reader.now_ms,
            });
        }
        Ok(())
    }
}
