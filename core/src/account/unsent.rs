//! What is not sent yet: changed in its place, or taken out, and nobody else ever sees that.
//!
//! That is possible as long as nothing of it can have reached the server. What was handed to the network
//! and not answered may be there: it waits until it is sent, and is changed like anything that is. The
//! bytes of what was sealed and never left are dropped, with those behind it, whose places they take
//! (docs/protocol.md §8); a place that may have been used is never used for another text.
//!
//! With its text a message changes its id. What answers it, and waits behind it, names the new one from then
//! on, and so has another id too.

use std::collections::HashSet;

use hauspost_protocol::content::{Message, TextForm};
use hauspost_protocol::crypto::Secret;
use hauspost_protocol::ids::{CoreHash, LogId, MessageId, RecordIndex};
use hauspost_protocol::limits::FILES;
use hauspost_protocol::wire::Outcome;

use super::documents::{self, lock};
use super::engine::Core;
use super::talk::writable;
use super::{Account, AccountError, Draft};
use crate::inbound::{Me, said};
use crate::outbox::REASON_MAYBE_SENT;
use crate::store::rows::log::LocalLog;
use crate::store::rows::message::{self, MessageKind, MessageState};
use crate::store::rows::outbox::{self, Intent, IntentState};
use crate::store::rows::{file, log};
use crate::store::{StoreError, Tx};

/// What was handed to the network in this process and not answered yet, and what was taken out of its way
/// before.
#[derive(Default)]
pub(super) struct Handed {
    /// On its way now.
    going: HashSet<CoreHash>,
    /// Was on its way, and nobody knows whether it came there, or stays; until a checkpoint covers it.
    doubtful: HashSet<CoreHash>,
    withdrawn: HashSet<CoreHash>,
}

/// Sealed records, as a batch names them.
type Sealed = [(i64, CoreHash, RecordIndex)];

impl Handed {
    fn hand_over(&mut self, sealed: &Sealed) -> bool {
        if sealed.iter().any(|(_, core, _)| self.withdrawn.contains(core)) {
            return false;
        }
        for (_, core, _) in sealed {
            // The try before was broken off in the middle.
            if !self.going.insert(*core) {
                self.doubtful.insert(*core);
            }
        }
        true
    }

    fn not_answered(&mut self, sealed: &Sealed, left_nothing: bool) {
        for (_, core, _) in sealed {
            self.going.remove(core);
            if !left_nothing {
                self.doubtful.insert(*core);
            }
        }
    }

    fn answered(&mut self, sealed: &Sealed, outcomes: &[Outcome]) {
        for ((_, core, _), outcome) in sealed.iter().zip(outcomes) {
            self.going.remove(core);
            if matches!(outcome, Outcome::Ok(_) | Outcome::Dup(_)) {
                self.doubtful.insert(*core);
            } else {
                self.doubtful.remove(core);
            }
        }
    }

    fn secured(&mut self, cores: &[CoreHash]) {
        for core in cores {
            self.doubtful.remove(core);
        }
    }

    /// `inherited` is the newest intent of an earlier process, which may have sent all that it had.
    fn withdraw(&mut self, sealed: &[(i64, CoreHash)], inherited: i64) -> bool {
        let may_be_there = |(id, core): &(i64, CoreHash)| {
            *id <= inherited || self.going.contains(core) || self.doubtful.contains(core)
        };
        if sealed.iter().any(may_be_there) {
            return false;
        }
        self.withdrawn.extend(sealed.iter().map(|(_, core)| *core));
        true
    }
}

impl Core {
    /// Before sealed records go to the network: from here on they may be at the server. `false` if one of
    /// them was taken back meanwhile; then none goes.
    pub(super) fn hand_over(&self, sealed: &Sealed) -> bool {
        lock(&self.handed).hand_over(sealed)
    }

    /// What became of handing them over: nothing of them left this phone, or nobody knows.
    pub(super) fn not_answered(&self, sealed: &Sealed, left_nothing: bool) {
        lock(&self.handed).not_answered(sealed, left_nothing);
    }

    /// They were answered, and the answer was taken in. What the server took is doubtful until a checkpoint
    /// covers it: before that it may say that it did not.
    pub(super) fn answered(&self, sealed: &Sealed, outcomes: &[Outcome]) {
        lock(&self.handed).answered(sealed, outcomes);
    }

    /// A checkpoint covers them: the server cannot say any more that it did not take them, so nothing is
    /// to be remembered of them.
    pub(super) fn secured(&self, cores: &[CoreHash]) {
        lock(&self.handed).secured(cores);
    }

    /// A batch that is made now holds nothing that was taken back before.
    pub(super) fn forget_withdrawn(&self) {
        lock(&self.handed).withdrawn.clear();
    }

    /// Takes sealed records out of the sender's way, if none of them can have left this phone.
    fn withdraw(&self, sealed: &[(i64, CoreHash)]) -> bool {
        lock(&self.handed).withdraw(sealed, self.inherited)
    }
}

/// What becomes of an unsent message.
enum Change {
    /// Another text, with what else it says.
    Text(String, TextForm),
    /// Nothing is sent.
    TakeOut,
}

impl Account {
    /// Gives a message that is not sent yet another text. `false` if it is sent.
    pub(super) async fn rewrite(
        &self,
        log: LogId,
        message: MessageId,
        text: &str,
        form: TextForm,
    ) -> Result<bool, AccountError> {
        self.change_unsent(log, message, Change::Text(text.to_owned(), form)).await
    }

    /// Takes a message out that is not sent yet. `false` if it is sent.
    pub(super) async fn take_out(
        &self,
        log: LogId,
        message: MessageId,
    ) -> Result<bool, AccountError> {
        self.change_unsent(log, message, Change::TakeOut).await
    }

    async fn change_unsent(
        &self,
        log: LogId,
        message: MessageId,
        change: Change,
    ) -> Result<bool, AccountError> {
        let found = self.core.store.read(move |conn| {
            let Some(local) = log::local(conn, log)? else { return Ok(false) };
            let message = message::find(conn, local, message)?;
            Ok::<_, AccountError>(message.is_some_and(|it| it.is_said() && it.seq.is_none()))
        });
        if !found.await? {
            return Ok(false);
        }
        let saying = match &change {
            Change::Text(text, form) => {
                self.saying(log, Draft { form: *form, ..Draft::plain(text) }).await?.1
            }
            Change::TakeOut => Default::default(),
        };
        let keys: Vec<Secret> = {
            let rng = &mut self.core.env.randomness.rng();
            (0..FILES).map(|_| Secret::random(rng)).collect()
        };
        // Nobody seals, plans or takes an answer in meanwhile.
        let _engine = self.core.engine.lock().await;
        self.core.forget_ready(log);
        let takes_out = matches!(change, Change::TakeOut);
        let behind = self.core.store.read(move |conn| {
            let local = log::local(conn, log)?.ok_or(AccountError::NoConversation)?;
            let messages = match takes_out {
                true => vec![message],
                false => with_answers(conn, local, message)?,
            };
            let mut first = None;
            for message in messages {
                let intent =
                    outbox::by_message(conn, log, message)?.ok_or(AccountError::NotSent)?;
                let sealed = intent.sealed.filter(|_| intent.state == IntentState::Sealed);
                first = first.into_iter().chain(sealed.map(|sealed| sealed.leaf_index)).min();
            }
            Ok::<_, AccountError>(match first {
                Some(first) => outbox::sealed_from(conn, log, first)?,
                None => Vec::new(),
            })
        });
        let behind = behind.await?;
        if !self.core.withdraw(&behind) {
            return Err(AccountError::NotSent);
        }
        let (me, what) = (self.core.me.clone(), change);
        self.core
            .store
            .write(move |tx| {
                let local = writable(tx, log)?;
                for (id, _) in &behind {
                    outbox::unseal(tx, *id)?;
                }
                let intent = outbox::by_message(tx, log, message)?.ok_or(AccountError::NotSent)?;
                if !is_here_alone(&intent) {
                    return Err(AccountError::NotSent);
                }
                let (text, form) = match what {
                    Change::TakeOut => {
                        outbox::discard(tx, intent.id)?;
                        return Ok(message::discard(tx, local, message)?);
                    }
                    Change::Text(text, form) => (text, form),
                };
                let row = message::find(tx, local, message)?.ok_or(AccountError::NoMessage)?;
                // A card is another one, or none.
                if !matches!(row.kind, MessageKind::Text | MessageKind::File) {
                    return Err(AccountError::NotSent);
                }
                let content = row.content.as_deref().unwrap_or_default();
                let old = Message::parse(content).map_err(|_| AccountError::Message)?;
                let body = match form {
                    TextForm::Plain => Message::text(old.salt, &text).body,
                    TextForm::Markdown => Message::markdown(old.salt, &text).body,
                };
                let new = Message { body, ..old };
                let content = new.to_bytes().map_err(|_| AccountError::Message)?;
                let new_id = new.id(&content, me.company, me.user, log);
                let shown = shown(tx, local, &row, crate::format::plain(&text, form))?;
                let markdown = (form == TextForm::Markdown).then_some(text);
                let mentions = saying.mentions;
                let said = message::Saying { markdown, mentions, ..row.saying };
                message::rewrite(tx, local, (message, new_id), &shown, &said, &content)?;
                outbox::rewrite(tx, intent.id, new_id)?;
                if intent.state == IntentState::Failed {
                    outbox::retry(tx, intent.id)?;
                }
                message::set_state(tx, local, new_id, MessageState::Queued)?;
                if row.kind == MessageKind::File {
                    let intent = Intent { message_id: Some(new_id), ..intent };
                    documents::retry(tx, local, &intent, &keys)?;
                }
                follow(tx, &me, local, (message, new_id), &keys)
            })
            .await?;
        drop(_engine);
        self.core.to_send.notify_one();
        self.core.documents.to_upload.notify_one();
        Ok(true)
    }
}

/// A message that was not sent, what was not sent and answers it, and so on.
fn with_answers(
    conn: &rusqlite::Connection,
    local: LocalLog,
    message: MessageId,
) -> Result<Vec<MessageId>, StoreError> {
    let mut all = vec![message];
    let mut at = 0;
    while let Some(message) = all.get(at).copied() {
        let answers = message::unsent_answers(conn, local, message)?;
        all.extend(answers.into_iter().map(|answer| answer.message_id));
        at += 1;
    }
    Ok(all)
}

/// Lets what was not sent and answers a message answer it under its new id.
fn follow(
    tx: &Tx<'_>,
    me: &Me,
    local: LocalLog,
    renamed: (MessageId, MessageId),
    keys: &[Secret],
) -> Result<(), AccountError> {
    let mut all = vec![renamed];
    while let Some((old, to)) = all.pop() {
        for row in message::unsent_answers(tx, local, old)? {
            let intent = outbox::by_message(tx, local.id, row.message_id)?;
            // What may be at the server stays as it is.
            let Some(intent) = intent.filter(is_here_alone) else { continue };
            let content = row.content.as_deref().unwrap_or_default();
            let answer =
                Message::parse(content).map_err(|_| AccountError::Message)?.replying_to(to);
            let content = answer.to_bytes().map_err(|_| AccountError::Message)?;
            let new = answer.id(&content, me.company, me.user, local.id);
            message::answer(tx, local, (row.message_id, new), to, &content)?;
            outbox::rewrite(tx, intent.id, new)?;
            if row.kind == MessageKind::File && intent.state != IntentState::Failed {
                let intent = Intent { message_id: Some(new), ..intent };
                documents::retry(tx, local, &intent, keys)?;
            }
            all.push((row.message_id, new));
        }
    }
    Ok(())
}

/// Whether nothing of an intent can be at the server.
fn is_here_alone(intent: &Intent) -> bool {
    match intent.state {
        IntentState::Queued | IntentState::Uploading => true,
        // What a restored phone may have sent before is somebody else's already.
        IntentState::Failed => intent.reason != Some(REASON_MAYBE_SENT),
        _ => false,
    }
}

/// What a message with documents says without a word is the first one's name.
fn shown(
    conn: &rusqlite::Connection,
    local: LocalLog,
    row: &message::Message,
    text: String,
) -> Result<String, StoreError> {
    if row.kind != MessageKind::File {
        return Ok(text);
    }
    let files = file::of_message(conn, local.number, row.message_id)?;
    Ok(files.first().map_or(text.clone(), |first| said(&text, &first.name)))
}

#[cfg(test)]
mod tests {
    use hauspost_protocol::ids::Seq;

    use super::*;

    const ONE: CoreHash = CoreHash([1; 32]);
    const TWO: CoreHash = CoreHash([2; 32]);

    fn sealed(cores: &[CoreHash]) -> Vec<(i64, CoreHash, RecordIndex)> {
        (10..).zip(cores).map(|(id, core)| (id, *core, RecordIndex(0))).collect()
    }

    #[test]
    fn what_is_on_its_way_or_may_have_come_there_is_not_taken_back() {
        let one = || sealed(&[ONE]);
        let mut handed = Handed::default();
        assert!(handed.hand_over(&one()));
        assert!(!handed.withdraw(&[(10, ONE)], 0), "on its way");
        handed.not_answered(&one(), true);
        assert!(handed.withdraw(&[(10, ONE)], 0), "no connection came about");

        for took in [Outcome::Ok(Seq(5)), Outcome::Dup(Seq(5))] {
            let mut handed = Handed::default();
            assert!(handed.hand_over(&one()));
            handed.answered(&one(), &[took]);
            assert!(!handed.withdraw(&[(10, ONE)], 0), "it may say later that it did not");
        }

        let mut handed = Handed::default();
        assert!(handed.hand_over(&one()));
        handed.not_answered(&one(), false);
        assert!(!handed.withdraw(&[(10, ONE)], 0), "nobody knows");
        assert!(handed.hand_over(&one()), "the same bytes once more");
        handed.answered(&one(), &[Outcome::Session]);
        assert!(handed.withdraw(&[(10, ONE)], 0), "the server says that it did not take it");
    }

    #[test]
    fn a_try_that_was_broken_off_in_the_middle_leaves_a_doubt() {
        let mut handed = Handed::default();
        assert!(handed.hand_over(&sealed(&[ONE])) && handed.hand_over(&sealed(&[ONE])));
        handed.not_answered(&sealed(&[ONE]), true);
        assert!(!handed.withdraw(&[(10, ONE)], 0), "the first try may have come there");
    }

    #[test]
    fn what_was_taken_back_goes_nowhere_and_nothing_goes_with_it() {
        let mut handed = Handed::default();
        assert!(handed.withdraw(&[(11, TWO)], 0));
        assert!(!handed.hand_over(&sealed(&[ONE, TWO])));
        assert!(handed.withdraw(&[(10, ONE)], 0), "it did not go either");
    }

    #[test]
    fn what_another_process_sealed_is_not_taken_back_nor_what_stands_behind_it() {
        let mut handed = Handed::default();
        assert!(!handed.withdraw(&[(10, ONE), (11, TWO)], 10));
        assert!(handed.withdraw(&[(11, TWO)], 10));
        assert!(handed.hand_over(&sealed(&[ONE])));
    }

    #[test]
    fn nothing_is_remembered_of_what_a_checkpoint_covers_and_all_else_that_may_be_there_is() {
        let mut handed = Handed::default();
        let one = |number: u8| [(10, CoreHash([number; 32]), RecordIndex(0))];
        for number in 0..100 {
            assert!(handed.hand_over(&one(number)));
            match number {
                0..50 => handed.answered(&one(number), &[Outcome::Ok(Seq(u64::from(number)))]),
                50..75 => handed.not_answered(&one(number), false),
                _ => handed.not_answered(&one(number), true),
            }
        }
        let secured: Vec<_> = (0..60).map(|number| CoreHash([number; 32])).collect();
        handed.secured(&secured);
        let mut doubtful: Vec<_> = handed.doubtful.iter().map(|core| core.0[0]).collect();
        doubtful.sort_unstable();
        assert_eq!(doubtful, (60..75).collect::<Vec<_>>());
        assert!(handed.going.is_empty());
    }
}
