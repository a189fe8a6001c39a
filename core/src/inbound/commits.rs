//! What changes a conversation itself: its beginning, commits, capsules, invitations (C6, C7, C9).

use hauspost_protocol::authorise::{Judgement, Rule};
use hauspost_protocol::body::{
    CapsuleBody, CommitBody, InviteBody, InviteOp, LogType, SignedPayload,
};
use hauspost_protocol::entry::{Entry, Head};
use hauspost_protocol::ids::{DeviceId, Seq, UserId};
use hauspost_protocol::mls::public::{CommitFacts, Roster};
use hauspost_protocol::rules::change::{self, ChangeFault};
use hauspost_protocol::rules::form::Parsed;

use super::follow::{begin, begin_unproven};
use super::store::{Line, OwnRecord, Pending};
use super::taking::{Came, Entered, Work};
use super::{Code, Halt, Reader, Walk};
use crate::ledger::{EpochState, Ledger};
use crate::store::rows::log::LogState;
use crate::store::rows::message::Event;
use crate::store::rows::outbox;
use crate::store::rows::stay::Move;

impl<'n> Walk<'n> {
    pub(super) fn genesis(
        &mut self,
        reader: &Reader<'_>,
        ledger: &mut Ledger,
        entry: &Entry,
        parsed: &Parsed,
    ) -> Result<(), Halt> {
        let at = parsed.payload.at().ok_or(Halt::Stop(Code::Form))?;
        let (at, link) = (reader.company.at(at.co), reader.company.at(entry.co));
        let judgement = Judgement { at: &at, link: &link, t_ms: entry.t_ms };
        let conversation = change::genesis(parsed, entry.seq, &judgement)?;
        let genesis = &conversation.genesis;
        ledger.row.log_no = Some(genesis.log_no);
        ledger.row.r#type = genesis.r#type;
        if genesis.r#type == LogType::Dm {
            let pair = || [genesis.creator].into_iter().chain(genesis.members.iter().copied());
            // Somebody else's pair may be read by a successor, and is not his.
            let is_mine = pair().any(|user| user == reader.me.user);
            ledger.row.peer = pair().find(|user| is_mine && *user != reader.me.user);
        }
        ledger.conversation = Some(conversation);
        self.changes.begun = true;
        self.changes.touched.conversation = true;
        Ok(())
    }

    pub(super) fn commit(
        &mut self,
        reader: &mut Reader<'_>,
        ledger: &mut Ledger,
        entry: &Entry,
        parsed: &Parsed,
        (signed, body): (&SignedPayload, &CommitBody),
    ) -> Result<(), Halt> {
        self.check_seen(reader, ledger, body.seen, entry.seq)?;
        let Some(conversation) = &ledger.conversation else {
            return Err(Halt::Stop(Code::Mismatch));
        };
        let before = conversation.roster.clone();
        let might_enter = conversation.may_enter(reader.me.user);
        let was_member = ledger.epoch.is_some();
        // What became of it earlier in this walk is not stored yet.
        let pending = match self.changes.pending {
            Pending::Waits => outbox::pending(reader.conn, ledger.row.local.id)?,
            _ => None,
        };
        let own = pending.filter(|pending| {
            let own = pending.core == parsed.core;
            self.changes.pending =
                if own { Pending::Won(pending.outbox, entry.seq) } else { Pending::Lost };
            own
        });
        let external = own.as_ref().is_some_and(|pending| pending.scratch.is_some());
        let unknown = own.is_none() && signed.device == reader.me.device;
        let inside = was_member && !external && !unknown;
        let outside = !inside && !unknown && own.is_none();
        let joined = match self.welcome(entry.seq).filter(|_| outside) {
            Some(welcome) => self.join(reader, ledger, (entry, parsed, body), welcome)?,
            None => None,
        };
        if let Some(base) = body.base.as_ref().filter(|_| joined.is_none()) {
            let conversation = ledger.conversation.as_ref().ok_or(Halt::Stop(Code::Mismatch))?;
            ledger.follower = Some(begin(conversation, base)?);
        }
        let tried = if let Some(joined) = joined {
            Ok(joined)
        } else if inside {
            let mut work = Work { reader, ledger, entry, parsed, body };
            let mls = &mut self.changes.mls;
            match &own {
                Some(pending) => work.merge_own(pending, mls),
                None => work.merge_as_member(mls),
            }
        } else if unknown {
            // A commit of this device that this database does not know (C12).
            Err(Halt::Broken(Code::Rollback))
        } else if let Some(pending) = own.as_ref().filter(|_| !external) {
            let mut work = Work { reader, ledger, entry, parsed, body };
            work.merge_own(pending, &mut self.changes.mls)
        } else {
            self.follow_to(reader, ledger, entry.seq, &parsed.head)?;
            let mut work = Work { reader, ledger, entry, parsed, body };
            match &own {
                Some(pending) => work.enter(pending, &mut self.changes.mls),
                None => work.follow(self.welcome(entry.seq), &mut self.changes.mls),
            }
        };
        let (authorised, came) = match tried {
            // The commit is neither skipped nor does it move the MLS state: if it is its author's and
            // may be, the phone goes on outside.
            Err(Halt::Broken(code)) => {
                let author = reader.company.at(body.at.co).device(signed.device);
                let author = author.ok_or(Halt::Stop(Code::Signature))?;
                signed
                    .verify(&author.signature_key, &entry.head)
                    .map_err(|_| Halt::Stop(Code::Signature))?;
                self.follow_to(reader, ledger, entry.seq, &parsed.head)?;
                let mut work = Work { reader, ledger, entry, parsed, body };
                let welcome = self.welcome(entry.seq);
                let followed = work.follow(welcome, &mut self.changes.mls)?;
                self.lose_the_way(reader, ledger, entry, code);
                followed
            }
            done => done?,
        };
        let entered = match came {
            Came::In(epoch) => Some(epoch),
            Came::Out => None,
            Came::Lost(code) => {
                self.lose_the_way(reader, ledger, entry, code);
                None
            }
        };
        let facts = authorised.facts().clone();
        if let Some(conversation) = &mut ledger.conversation {
            conversation.begin_epoch(&authorised, entry.seq, entry.t_ms);
        }
        self.note_moves(ledger, entry.seq, &facts, &before);
        let had_leaf = before.leaf_of(reader.me.device).is_some();
        self.begin_epoch(reader, ledger, entry, (had_leaf, entered), facts.epoch);
        let is_own = ledger.row.r#type == LogType::SelfNotes;
        if is_own && ledger.epoch.is_some() && (!was_member || external) {
            // Whoever begins the log says by himself what he knows. After a reset nobody can tell what
            // the others missed.
            let asks = facts.epoch.0 > 1 || facts.r#gen.0 > 0;
            self.changes.lines.push(Line::InOwn { asks, now_ms: reader.now_ms });
        }
        // Who left is out, though his leaf may still be there, and a device without a leaf when its
        // person is. Who was never in is only still to come.
        let known = ledger.conversation.as_ref();
        let may_enter = known.is_some_and(|known| known.may_enter(reader.me.user));
        let is_gone = known.is_some_and(|known| known.is_gone(reader.me.user));
        let is_out = might_enter && !may_enter;
        if (is_out || is_gone) && ledger.row.state != LogState::Stopped {
            ledger.row.state = LogState::Left;
        }
        // A further device of somebody who was in it shows what the first one shows.
        let me = reader.me.user;
        let after = ledger.conversation.as_ref().is_some_and(|known| known.roster.has_user(me));
        // And a successor what the leaver saw.
        let as_successor = Self::handover_of(reader, ledger, entry).is_some();
        if was_member || is_out || after || before.has_user(me) || as_successor {
            self.tell(ledger, entry, &facts, &before);
        }
        Ok(())
    }

    /// The Welcome that came with this commit.
    fn welcome(&self, seq: Seq) -> Option<&'n [u8]> {
        let mut welcomes = self.news.welcomes.iter();
        welcomes.find(|(at, _)| *at == seq).map(|(_, welcome)| &welcome.0[..])
    }

    /// Enters by a Welcome that proves its commit. None: it does not, or the commit may not be; it is
    /// followed with all of its signatures then, which says why.
    fn join(
        &mut self,
        reader: &mut Reader<'_>,
        ledger: &mut Ledger,
        (entry, parsed, body): (&Entry, &Parsed, &CommitBody),
        welcome: &[u8],
    ) -> Result<Option<Entered>, Halt> {
        let before = match &body.base {
            Some(base) => {
                let conversation =
                    ledger.conversation.as_ref().ok_or(Halt::Stop(Code::Mismatch))?;
                begin_unproven(conversation, base).ok()
            }
            None => {
                self.follow_to(reader, ledger, entry.seq, &parsed.head)?;
                ledger.follower.take()
            }
        };
        let Some(before) = before else { return Ok(None) };
        let mut work = Work { reader, ledger, entry, parsed, body };
        work.join(before, welcome, &mut self.changes.mls)
    }

    /// The group from outside as it was before the commit at `until`, where this phone does not follow
    /// it yet.
    fn follow_to(
        &mut self,
        reader: &Reader<'_>,
        ledger: &mut Ledger,
        until: Seq,
        head: &Head,
    ) -> Result<(), Halt> {
        let before = (head.r#gen, head.epoch);
        let follower = ledger.follower.as_ref();
        if follower.is_none_or(|known| (known.r#gen(), known.epoch().next()) != before) {
            ledger.follower = Some(self.follow_again(reader.conn, ledger, until)?);
        }
        Ok(())
    }

    /// Nobody can process the commit, or this phone alone cannot: it sends nothing and reads nothing
    /// of the group until it has entered anew (C7, C12). Somebody has to hear of it, once.
    pub(super) fn lose_the_way(
        &mut self,
        reader: &Reader<'_>,
        ledger: &mut Ledger,
        entry: &Entry,
        code: Code,
    ) {
        let row = &mut ledger.row;
        tracing::warn!(log = %row.local.id, seq = entry.seq.0, code = code as u64, "log broken");
        let first = row.state != LogState::Broken;
        row.state = LogState::Broken;
        row.stop_code = Some(code as u64);
        row.stop_seq = Some(entry.seq);
        row.own_leaf = None;
        ledger.epoch = None;
        self.changes.touched.epoch = true;
        self.changes.touched.chains.clear();
        if first {
            self.alarm(reader, ledger, code, entry.seq, Some(entry));
        }
    }

    fn begin_epoch(
        &mut self,
        reader: &Reader<'_>,
        ledger: &mut Ledger,
        entry: &Entry,
        (had_leaf, entered): (bool, Option<EpochState>),
        epoch: hauspost_protocol::ids::Epoch,
    ) {
        let has_leaf = ledger.leaf_of(reader.me.device).is_some();
        if had_leaf && !has_leaf {
            ledger.row.state = LogState::Left;
        } else if entered.is_some() && ledger.row.state != LogState::Stopped {
            ledger.row.state = LogState::Active;
            ledger.row.stop_code = None;
            ledger.row.stop_seq = None;
        }
        ledger.row.epoch = epoch;
        ledger.row.epoch_seq = Some(entry.seq);
        ledger.row.own_leaf = ledger.leaf_of(reader.me.device).filter(|_| entered.is_some());
        ledger.row.own_index = Default::default();
        if entered.is_some() {
            ledger.follower = None;
        }
        ledger.epoch = entered;
        // The commit's batch repaired nothing or brought the right one: then it need not be kept.
        if ledger.right_capsule().is_some()
            && let Some(epoch) = &mut ledger.epoch
        {
            epoch.capsule_body = None;
        }
        self.changes.epoch_ended = true;
        self.changes.touched.epoch = true;
        self.changes.touched.conversation = true;
        self.changes.touched.follower = true;
        self.changes.touched.chains.clear();
        self.revoked = (None, Vec::new());
    }

    /// Who came in by a commit, and who is out. Whom a reset could not bring along stays a member.
    fn note_moves(&mut self, ledger: &Ledger, seq: Seq, facts: &CommitFacts, before: &Roster) {
        let Some(after) = ledger.conversation.as_ref().map(|known| &known.roster) else { return };
        let came = facts.adds.iter().map(|(leaf, _)| leaf).chain([&facts.committer]);
        let came = distinct(came.map(|leaf| leaf.certificate.user));
        let came = came.into_iter().filter(|user| !before.has_user(*user));
        self.changes.moves.extend(came.map(|user| Move { seq, user, is_in: true }));
        let gone = distinct(facts.removes.iter().map(|(_, member)| member.user));
        let gone = gone.into_iter().filter(|user| !after.has_user(*user));
        self.changes.moves.extend(gone.map(|user| Move { seq, user, is_in: false }));
    }

    /// The line that a timeline shows for it.
    fn tell(&mut self, ledger: &Ledger, entry: &Entry, facts: &CommitFacts, before: &Roster) {
        let by = (facts.committer.certificate.user, facts.committer.certificate.device);
        let joined = facts.adds.iter().map(|(leaf, _)| leaf.certificate.user);
        let mut joined = distinct(joined.filter(|user| !before.has_user(*user) && *user != by.0));
        // Who was let in, and comes by himself.
        joined.extend(Some(by.0).filter(|user| facts.external && !before.has_user(*user)));
        let after = ledger.conversation.as_ref().map(|conversation| &conversation.roster);
        let gone = facts.removes.iter().map(|(_, member)| member.user);
        let gone = distinct(gone.filter(|user| after.is_none_or(|after| !after.has_user(*user))));
        let event = if facts.epoch.0 == 1 && facts.r#gen.0 > 0 {
            // The reset has its line.
            return;
        } else if facts.epoch.0 == 1 {
            Event::Created
        } else if !joined.is_empty() {
            Event::Joined(joined)
        } else if !gone.is_empty() {
            Event::Removed(gone)
        } else {
            return;
        };
        self.changes.lines.push(Line::Event { seq: entry.seq, event, by, t_ms: entry.t_ms });
    }

    /// A capsule: of the commit just before it, or alone, as a repair.
    pub(super) fn capsule(
        &mut self,
        reader: &Reader<'_>,
        ledger: &mut Ledger,
        entry: &Entry,
        parsed: &Parsed,
        (author, body): (Option<DeviceId>, &CapsuleBody),
    ) -> Result<(), Halt> {
        let Some(conversation) = &mut ledger.conversation else {
            return Err(Halt::Stop(Code::Mismatch));
        };
        let company = reader.company.at(entry.co);
        change::capsule(parsed, entry.seq, entry.t_ms, conversation, &company)?;
        if let Some(author) = author {
            conversation.add_capsule(body, author, entry.seq);
        }
        if let Some(epoch) = &mut ledger.epoch
            && epoch.capsule_hash == body.digest()
        {
            epoch.capsule_body = None;
        }
        self.changes.touched.conversation = true;
        Ok(())
    }

    pub(super) fn invite(
        &mut self,
        reader: &Reader<'_>,
        ledger: &mut Ledger,
        entry: &Entry,
        parsed: &Parsed,
        (author, body): (DeviceId, &InviteBody),
    ) -> Result<(), Halt> {
        let (at, link) = (reader.company.at(body.at.co), reader.company.at(entry.co));
        let judgement = Judgement { at: &at, link: &link, t_ms: entry.t_ms };
        let Some(conversation) = &mut ledger.conversation else {
            return Err(Halt::Stop(Code::Mismatch));
        };
        match change::invite(parsed, conversation, &judgement) {
            Ok(invite) => conversation.take_invite(&invite, entry.seq),
            // Overtaken by a newer word on the same user: it stands in the log and has no effect.
            Err(ChangeFault::Rule(Rule::Outdated)) => return Ok(()),
            Err(fault) => return Err(fault.into()),
        }
        self.changes.touched.conversation = true;
        if let Some(intent) = self.own_intent(reader, ledger, parsed.core)? {
            self.changes.own.push(OwnRecord {
                intent: intent.id,
                message_id: None,
                seq: entry.seq,
                t_ms: entry.t_ms,
                state: intent.state,
                in_other_bytes: false,
            });
        }
        let (seq, user, t_ms) = (entry.seq, body.user, entry.t_ms);
        let has_leaf =
            ledger.conversation.as_ref().is_some_and(|known| known.roster.has_user(user));
        if has_leaf && matches!(body.op, InviteOp::Invite | InviteOp::Leave) {
            let is_in = body.op == InviteOp::Invite;
            self.changes.moves.push(Move { seq, user, is_in });
        }
        let owner = match body.op {
            InviteOp::Owner => Some(Event::Owner(user)),
            InviteOp::NoOwner => Some(Event::NoOwner(user)),
            InviteOp::Invite | InviteOp::Leave => None,
        };
        if let Some(event) = owner {
            let device = reader.company.at(entry.co).device(author);
            let by = (device.map_or(user, |device| device.user), author);
            self.changes.lines.push(Line::Event { seq, event, by, t_ms });
        }
        // Whoever comes back enters by himself if nobody adds him.
        if body.op == InviteOp::Invite
            && body.user == reader.me.user
            && ledger.row.state == LogState::Left
        {
            ledger.row.state = LogState::Active;
        }
        if body.op == InviteOp::Leave {
            if body.user == reader.me.user && ledger.row.state != LogState::Stopped {
                ledger.row.state = LogState::Left;
            }
            let event = Event::Left(vec![body.user]);
            let by = (body.user, author);
            self.changes.lines.push(Line::Event { seq: entry.seq, event, by, t_ms: entry.t_ms });
        }
        Ok(())
    }
}

fn distinct(users: impl Iterator<Item = UserId>) -> Vec<UserId> {
    users.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}
