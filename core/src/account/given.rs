//! What is kept of a grant's keys: those of its entries, and of a handover those that it covered when they
//! were given, and that are this person's still (docs/protocol.md §10).

use hauspost_protocol::body::{GrantBasis, GrantBody};
use hauspost_protocol::company::handover::Handover;
use hauspost_protocol::entry::Ranges;
use hauspost_protocol::grant;
use hauspost_protocol::ids::{Seq, TimeMs};
use hauspost_protocol::key_list::KeyList;

use super::AccountError;
use super::engine::Core;
use crate::store::rows::handover;
use crate::store::rows::history;
use crate::store::rows::log::LocalLog;
use crate::store::rows::stay;
use crate::store::{StoreError, Tx};

/// What a grant gave, and by which right.
pub(super) struct Given<'g> {
    /// The grant.
    pub by: Seq,
    /// The stretches that it names.
    pub ranges: &'g Ranges,
    /// The handovers, if it is by one.
    pub by_handover: Option<ByHandover>,
}

/// The handovers that say what a grant may give, and what of it its receiver still gets.
#[derive(Debug, Clone)]
pub(super) struct ByHandover {
    /// The one that it names, if that was in force at its own `at`: its author is judged by it, whatever came
    /// since.
    named: Option<Handover>,
    /// Those to this person that are in force now.
    in_force: Vec<Handover>,
}

impl Core {
    /// The handovers by which the keys of a grant are judged, if it is by one.
    pub(super) async fn by_handover(
        &self,
        body: &GrantBody,
    ) -> Result<Option<ByHandover>, AccountError> {
        let GrantBasis::Handover(seq) = body.basis else { return Ok(None) };
        let mut engine = self.engine.lock().await;
        let company = self.company(&mut engine).await?;
        let at = body.at.co.min(company.size());
        let named = company.at(at).handover(seq).cloned();
        let in_force = company.now().handovers().filter(|known| known.to == self.me.user);
        Ok(Some(ByHandover { named, in_force: in_force.cloned().collect() }))
    }
}

impl Given<'_> {
    /// Keeps the keys, and says whether they are what the grant promised.
    ///
    /// A record that had passed by as nobody's past here becomes one that is not readable yet, if its leaver
    /// was there: it is fetched and read as any other from there on.
    pub(super) fn keep(
        &self,
        tx: &Tx<'_>,
        log: LocalLog,
        keys: &KeyList,
    ) -> Result<bool, StoreError> {
        let mut honest = true;
        for (seq, key) in keys.iter() {
            if !grant::names(self.ranges, seq) {
                honest = false;
                continue;
            }
            if let Some(handovers) = &self.by_handover {
                let Some(link) = handover::link(tx, log, seq)? else {
                    honest = false;
                    continue;
                };
                honest &= handovers.promised(log, seq, link);
                if !handovers.hand(tx, log, seq, link)? {
                    continue;
                }
            }
            history::give_key(tx, log, seq, key, self.by)?;
        }
        Ok(honest)
    }
}

impl ByHandover {
    /// Whether the grantor might give this.
    fn promised(&self, log: LocalLog, seq: Seq, (t_ms, co): (TimeMs, u64)) -> bool {
        self.named.as_ref().is_some_and(|known| known.covers(log.id, seq, t_ms, co))
    }

    /// Makes a record that passed by one to be read; whether its key is taken.
    fn hand(
        &self,
        tx: &Tx<'_>,
        log: LocalLog,
        seq: Seq,
        (t_ms, co): (TimeMs, u64),
    ) -> Result<bool, StoreError> {
        let mut covered = false;
        for known in &self.in_force {
            if !known.covers(log.id, seq, t_ms, co) {
                continue;
            }
            covered = true;
            if stay::is_there(tx, log, known.from, seq)? {
                history::hand_passed(tx, log, seq, t_ms)?;
                break;
            }
        }
        Ok(covered)
    }
}

#[cfg(test)]
mod tests {
    use hauspost_protocol::company::body::Scope;
    use hauspost_protocol::epoch::{Chains, EpochContext, EpochSecret, RecordKey};
    use hauspost_protocol::ids::{
        CoreHash, DeviceId, Digest, EntryHash, Epoch, Gen, LeafIndex, RecordIndex,
    };

    use super::*;
    use crate::read::conversations;
    use crate::store::Store;
    use crate::store::fixture::{ANNA, ME, enrolled, group, text};
    use crate::store::rows::entry::{self, EntryRow};
    use crate::store::rows::history::Unread;
    use crate::store::rows::message::{self, MessageKind};
    use crate::store::rows::stay::Move;

    const SEQS: [Seq; 3] = [Seq(5), Seq(6), Seq(7)];

    fn keys() -> Vec<(Seq, RecordKey)> {
        let log = hauspost_protocol::ids::LogId([1; 16]);
        let context = EpochContext { log, r#gen: Gen(0), epoch: Epoch(1), ga: Digest([2; 32]) };
        let mut chains = Chains::new(EpochSecret::from_exporter(&[1; 32], context));
        let mut key = |index| chains.take(LeafIndex(1), RecordIndex(index)).unwrap();
        SEQS.into_iter().zip(0..).map(|(seq, index)| (seq, key(index))).collect()
    }

    /// A handover whose period ends at 1,005: the sixth record was said after it, and the seventh when it was
    /// signed already.
    fn until_1005() -> Handover {
        let scope = Scope { t_to: Some(1_005), ..Scope::default() };
        Handover { seq: Seq(40), t_ms: 9_000, from: ANNA, to: ME, scope }
    }

    fn whole() -> Handover {
        Handover { scope: Scope::default(), ..until_1005() }
    }

    fn unread(seq: Seq) -> Unread {
        let author = DeviceId([2; 16]);
        Unread { seq, author, may_write: true, owned: false, handed: false }
    }

    /// The three records, in a conversation in which Anna is from entry `since` on.
    async fn three(store: &Store, since: u64, add: fn(&Tx<'_>, LocalLog, &Unread)) -> LocalLog {
        let log = group(store, 1, "Lager").await;
        let done = store.write(move |tx| {
            stay::note(tx, log, &[Move { seq: Seq(since), user: ANNA, is_in: true }])?;
            for seq in SEQS {
                let row = EntryRow {
                    seq,
                    kind: 3,
                    t_ms: 1_000 + seq.0,
                    co: if seq == Seq(7) { 41 } else { 12 },
                    core: CoreHash([seq.0 as u8; 32]),
                    hash: EntryHash([seq.0 as u8; 32]),
                };
                entry::append(tx, log, &row, None)?;
                add(tx, log, &unread(seq));
            }
            Ok::<_, StoreError>(())
        });
        done.await.unwrap();
        log
    }

    /// What the keys of these records lead to: whether the grantor is honest, and what is to be read.
    async fn takes(
        store: &Store,
        log: LocalLog,
        (named, in_force): (Handover, Vec<Handover>),
        keys: Vec<(Seq, RecordKey)>,
    ) -> (bool, Vec<u64>) {
        let by_handover = Some(ByHandover { named: Some(named), in_force });
        let done = store.write(move |tx| {
            let ranges = vec![(Seq(5), Seq(7))];
            let given = Given { by: Seq(9), ranges: &ranges, by_handover };
            let honest = given.keep(tx, log, &KeyList::new(keys))?;
            let taken = history::granted(tx, log, 9)?.iter().map(|row| row.seq.0).collect();
            Ok::<_, StoreError>((honest, taken))
        });
        done.await.unwrap()
    }

    #[tokio::test]
    async fn of_a_handover_only_keys_of_what_it_covers_are_taken_and_others_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let store = enrolled(folder.path()).await;
        let log = three(&store, 0, |tx, log, row| history::add_unread(tx, log, row).unwrap()).await;
        let (now, all) = (|| (until_1005(), vec![until_1005()]), keys());
        let gone = takes(&store, log, (until_1005(), Vec::new()), all[..1].to_vec()).await;
        assert_eq!(gone, (true, vec![]), "it ended since, and nobody is to blame");
        let inside = takes(&store, log, now(), all[..1].to_vec()).await;
        assert_eq!(inside, (true, vec![5]));
        for (outside, why) in [(1, "said after its period"), (2, "said after it")] {
            let one = all[outside..=outside].to_vec();
            assert_eq!(takes(&store, log, now(), one).await, (false, vec![5]), "{why}");
        }
    }

    #[tokio::test]
    async fn a_key_of_a_record_that_the_grant_does_not_name_is_not_taken_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let store = enrolled(folder.path()).await;
        let log = three(&store, 0, |tx, log, row| history::add_unread(tx, log, row).unwrap()).await;
        let done = store.write(move |tx| {
            let ranges = vec![(Seq(5), Seq(5))];
            let given = Given { by: Seq(9), ranges: &ranges, by_handover: None };
            let honest = given.keep(tx, log, &KeyList::new(keys().to_vec()))?;
            let taken: Vec<_> = history::granted(tx, log, 9)?.iter().map(|row| row.seq.0).collect();
            Ok::<_, StoreError>((honest, taken))
        });
        assert_eq!(done.await.unwrap(), (false, vec![5]));
    }

    #[tokio::test]
    async fn a_grantor_is_judged_by_the_handover_at_his_own_time_and_his_keys_by_those_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let store = enrolled(folder.path()).await;
        let log = three(&store, 0, |tx, log, row| history::add_unread(tx, log, row).unwrap()).await;
        let two = || keys()[..2].to_vec();
        let narrower = takes(&store, log, (whole(), vec![until_1005()]), two()).await;
        assert_eq!(narrower, (true, vec![5]), "it was narrowed since");
        let wider = takes(&store, log, (until_1005(), vec![whole()]), two()).await;
        assert_eq!(wider, (false, vec![6, 5]), "he gave what was not handed over yet");
        let after = takes(&store, log, (until_1005(), Vec::new()), two()).await;
        assert_eq!(after, (false, vec![6, 5]), "its end makes nothing right");
    }

    #[tokio::test]
    async fn what_had_passed_by_is_to_be_read_once_it_is_handed_over_and_was_never_new() {
        let folder = tempfile::tempdir().unwrap();
        let store = enrolled(folder.path()).await;
        let log = three(&store, 6, |tx, log, row| history::add_passed(tx, log, row).unwrap()).await;
        let before = store.write(move |tx| history::count_unread(tx, log));
        assert_eq!(before.await.unwrap(), 0, "nobody is asked for it");
        let now = (whole(), vec![whole()]);
        let taken = takes(&store, log, now.clone(), keys()[..2].to_vec()).await;
        assert_eq!(taken, (true, vec![6]), "Anna came after the fifth");
        // Once more, as after a kill.
        assert_eq!(takes(&store, log, now, keys()[..2].to_vec()).await, (true, vec![6]));
        let done = store.write(move |tx| {
            let key = crate::store::rows::seq_key(log, Seq(6));
            let line = "SELECT kind, missing FROM message WHERE key = ?1";
            let line = tx.query_row(line, [key], |row| Ok((row.get(0)?, row.get(1)?)))?;
            history::settle(tx, log, Seq(6))?;
            message::insert(tx, log, &message::NewMessage { handed: true, ..text(6, "alt") })?;
            Ok::<(i64, i64), StoreError>(line)
        });
        assert_eq!(done.await.unwrap(), (MessageKind::Unreadable as i64, 1), "a line says so");
        let row = store.read(|conn| conversations(conn, None, 9)).await.unwrap().remove(0);
        assert_eq!(row.unread, 0);
        let left = store.read(move |conn| history::count_unread(conn, log)).await.unwrap();
        assert_eq!(left, 0);
    }
}
