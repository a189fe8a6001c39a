//! What is not sent yet: changed in its place, or taken out, and nobody else ever sees that.
//!
//! That is possible as long as nothing of it can have reached the server. What was handed to the network
//! and not answered may be there: it waits until it is sent, and is changed like anything that is. The
//! bytes of what was sealed and never left are dropped, with those behind it, whose places they take
//! (docs/protocol.md §8); a place that may have been used is never used for another text.
//!
//! With its text a message changes its id. What answers it, and waits behind it, names the new one from then
//! on, and so has another id too.

use std::collections::{BTreeMap, HashSet};

use hauspost_protocol::content::{Message, TextForm};
use hauspost_protocol::crypto::Secret;
use hauspost_protocol::ids::{CoreHash, MessageId, RecordIndex};
use hauspost_protocol::limits::FILES;
use hauspost_protocol::wire::Outcome;

use super::documents::{self, lock};
use super::engine::Core;
use super::marks::{Drawn, Wish};
use super::places::{At, in_each};
use super::talk::{found, writable};
use super::{Account, AccountError};
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

/// What becomes of a message of this person's.
pub(super) enum Change {
    /// It says something else.
    Text(String, TextForm),
    /// It is taken back.
    TakeBack,
}

/// How a message that is not sent is changed in its place.
struct Unsent {
    /// Keys for its documents.
    keys: Vec<Secret>,
    /// The sealed records that go back to be sealed anew: it, or what answers it, and all behind them.
    behind: Vec<(i64, CoreHash)>,
}

impl Account {
    /// Changes a message in each of these places, or in none: by a mark where it is sent, in its place where it
    /// is not. See [`in_each`].
    pub(super) async fn change(&self, places: Vec<At>, change: Change) -> Result<(), AccountError> {
        let wish = match &change {
            Change::Text(text, form) => Wish::Edit(text.clone(), *form),
            Change::TakeBack => Wish::Delete,
        };
        let unsent = self.unsent(places.clone()).await?;
        if unsent.is_empty() {
            return self.mark_in(places, wish).await;
        }
        let (marking, drawn) = self.marking(places, wish).await?;
        // Nobody seals, plans or takes an answer in meanwhile.
        let engine = self.core.engine.lock().await;
        let mut unsent = self.behind(unsent, matches!(change, Change::TakeBack)).await?;
        let sealed: Vec<_> = unsent.values().flat_map(|one| one.behind.iter().copied()).collect();
        if !self.core.withdraw(&sealed) {
            return Err(AccountError::NotSent);
        }
        let store = move |tx: &Tx<'_>| {
            in_each(drawn, |drawn| match unsent.remove(&drawn.at) {
                None => marking.mark(tx, drawn),
                Some(unsent) => match &change {
                    Change::TakeBack => take_out(tx, drawn.at, &unsent),
                    Change::Text(text, form) => {
                        rewrite(tx, &marking.me, drawn, &unsent, (text, *form))
                    }
                },
            })
        };
        self.core.store.write(store).await?;
        drop(engine);
        self.core.to_send.notify_one();
        self.core.documents.to_upload.notify_one();
        Ok(())
    }

    /// Those of these places in which the message is not sent yet.
    async fn unsent(&self, places: Vec<At>) -> Result<Vec<At>, AccountError> {
        let read = self.core.store.read(move |conn| {
            let mut unsent = Vec::new();
            for (log, message) in places {
                let Some(local) = log::local(conn, log)? else { continue };
                let found = message::find(conn, local, message)?;
                if found.is_some_and(|found| found.is_said() && found.seq.is_none()) {
                    unsent.push((log, message));
                }
            }
            Ok::<_, AccountError>(unsent)
        });
        read.await
    }

    /// What is to be sealed anew when messages are changed or taken out; under the lock of the engine.
    async fn behind(
        &self,
        unsent: Vec<At>,
        takes_out: bool,
    ) -> Result<BTreeMap<At, Unsent>, AccountError> {
        for (log, _) in &unsent {
            self.core.forget_ready(*log);
        }
        let rng = &mut self.core.env.randomness.rng();
        let mut keys = || (0..FILES).map(|_| Secret::random(rng)).collect::<Vec<_>>();
        let unsent: Vec<(At, Vec<Secret>)> = unsent.into_iter().map(|at| (at, keys())).collect();
        let read = self.core.store.read(move |conn| {
            let mut all = BTreeMap::new();
            for ((log, message), keys) in unsent {
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
                let behind = match first {
                    Some(first) => outbox::sealed_from(conn, log, first)?,
                    None => Vec::new(),
                };
                all.insert((log, message), Unsent { keys, behind });
            }
            Ok::<_, AccountError>(all)
        });
        read.await
    }
}

/// The intent of a message of which nothing can be at the server, when what was sealed is taken back.
fn taken_back(tx: &Tx<'_>, (log, message): At, unsent: &Unsent) -> Result<Intent, AccountError> {
    for (id, _) in &unsent.behind {
        outbox::unseal(tx, *id)?;
    }
    let intent = outbox::by_message(tx, log, message)?.filter(is_here_alone);
    intent.ok_or(AccountError::NotSent)
}

/// Takes a message out.
fn take_out(tx: &Tx<'_>, (log, message): At, unsent: &Unsent) -> Result<(), AccountError> {
    let local = found(tx, log)?;
    let intent = taken_back(tx, (log, message), unsent)?;
    outbox::discard(tx, intent.id)?;
    Ok(message::discard(tx, local, message)?)
}

/// Lets a message say something else.
fn rewrite(
    tx: &Tx<'_>,
    me: &Me,
    drawn: Drawn,
    unsent: &Unsent,
    (text, form): (&str, TextForm),
) -> Result<(), AccountError> {
    let (log, message) = drawn.at;
    let local = writable(tx, log)?;
    let row = message::find(tx, local, message)?.ok_or(AccountError::NoMessage)?;
    // A card is another one, or none.
    if !matches!(row.kind, MessageKind::Text | MessageKind::File) {
        return Err(AccountError::NotSent);
    }
    let intent = taken_back(tx, drawn.at, unsent)?;
    let content = row.content.as_deref().unwrap_or_default();
    let old = Message::parse(content).map_err(|_| AccountError::Message)?;
    let body = match form {
        TextForm::Plain => Message::text(old.salt, text).body,
        TextForm::Markdown => Message::markdown(old.salt, text).body,
    };
    let new = Message { body, ..old };
    let content = new.to_bytes().map_err(|_| AccountError::Message)?;
    let new_id = new.id(&content, me.company, me.user, log);
    let shown = shown(tx, local, &row, drawn.text.unwrap_or_default())?;
    let said = message::Saying {
        markdown: drawn.saying.markdown,
        mentions: drawn.saying.mentions,
        ..row.saying
    };
    message::rewrite(tx, local, (message, new_id), &shown, &said, &content)?;
    outbox::rewrite(tx, intent.id, new_id)?;
    if intent.state == IntentState::Failed {
        outbox::retry(tx, intent.id)?;
    }
    message::set_state(tx, local, new_id, MessageState::Queued)?;
    if row.kind == MessageKind::File {
        let intent = Intent { message_id: Some(new_id), ..intent };
        documents::retry(tx, local, &intent, &unsent.keys)?;
    }
    follow(tx, me, local, (message, new_id), &unsent.keys)
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
