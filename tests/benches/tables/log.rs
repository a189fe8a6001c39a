//! One conversation on one phone, moved by the core's own functions without the network between
//! them: what `account` does around its requests.

use std::sync::Arc;

use hauspost_core::inbound::{self, Changes, Me, Reader};
use hauspost_core::ledger::Ledger;
use hauspost_core::outbox::intent::Say;
use hauspost_core::outbox::seal::{self, NewSealed};
use hauspost_core::store::rows::outbox::{Intent, IntentKind, IntentState};
use hauspost_core::store::rows::{account, company};
use hauspost_core::store::{Store, StoreError, Tx};
use hauspost_protocol::body::LogType;
use hauspost_protocol::company::state::Company;
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::entry::{Entry, Payload};
use hauspost_protocol::ids::{LogId, Seq};
use hauspost_protocol::mls::certificate::DeviceCertificate;
use hauspost_protocol::statement::PayloadType;
use hauspost_protocol::wire::LogNews;
use rand::rngs::StdRng;
use rusqlite::Connection;

use crate::world::{Phone, now_ms};

/// News that a pull takes in and stores in one transaction, at most.
const FEW: usize = 8;

pub struct PhoneLog {
    pub store: Store,
    pub me: Arc<Me>,
    pub company: Arc<Company>,
    pub ledger: Ledger,
}

impl PhoneLog {
    /// The log as the phone has stored it; one that it does not know yet begins empty.
    pub async fn open(phone: &Phone, log: LogId) -> Self {
        let store = phone.account.store().clone();
        let (me, company, ledger) = store
            .read::<_, StoreError, _>(move |conn| {
                let account = account::find(conn)?.unwrap();
                let der = account.certificate.unwrap();
                let me = Me {
                    company: account.company,
                    user: account.user,
                    device: account.device,
                    key: account.signing_key,
                    certificate: DeviceCertificate::parse(&der).unwrap(),
                };
                let mut company = Company::new(account.pin);
                for stored in company::entries(conn, Seq(0))? {
                    let payload = Payload::Kept(Bytes(stored.payload.unwrap()));
                    let (seq, t_ms, co) = (stored.seq, stored.t_ms, stored.seq.0);
                    let entry = Entry { head: Bytes(stored.head), payload, seq, t_ms, co };
                    company.apply(&entry).unwrap();
                }
                let ledger = Ledger::load(conn, log)?;
                Ok((me, company, ledger))
            })
            .await
            .unwrap();
        let new = || Ledger::new(log, LogType::Group);
        let ledger = ledger.unwrap_or_else(new);
        Self { store, me: Arc::new(me), company: Arc::new(company), ledger }
    }

    /// Takes in news and stores what came of them, as a pull does: a few records in one transaction,
    /// more in a snapshot first.
    pub async fn take(mut self, news: LogNews) -> Self {
        let (me, company) = (self.me.clone(), self.company.clone());
        let rng: StdRng = rand::make_rng();
        let few = news.entries.len() <= FEW;
        let mut ledger = self.ledger;
        let take = move |conn: &Connection| {
            let now_ms = now_ms();
            let mut reader = Reader { conn, me: &me, company: &company, rng, now_ms, inherited: 0 };
            let changes = inbound::take(&mut reader, &mut ledger, &news)?;
            Ok::<_, StoreError>((ledger, changes))
        };
        let me = self.me.clone();
        let store = move |tx: &Tx<'_>, (mut ledger, changes): (Ledger, Changes)| {
            changes.store(tx, &me, &mut ledger)?;
            Ok::<_, StoreError>(ledger)
        };
        self.ledger = if few {
            self.store.write(move |tx| store(tx, take(tx)?)).await.unwrap()
        } else {
            let taken = self.store.read(take).await.unwrap();
            self.store.write(move |tx| store(tx, taken)).await.unwrap()
        };
        self
    }

    /// Seals intents at the next places of the own chain.
    pub fn seal(&self, intents: Vec<Intent>) -> Vec<NewSealed> {
        seal::records(&self.me, &self.ledger, intents, None, now_ms())
    }
}

/// Something to say, as the outbox holds it.
pub fn intent(log: LogId, content: Vec<u8>) -> Intent {
    let say = Say { ptype: PayloadType::Content, content: Bytes(content) };
    Intent {
        id: 0,
        log,
        kind: IntentKind::Record,
        state: IntentState::Queued,
        message_id: None,
        body: encode(&say),
        sealed: None,
        seq: None,
        attempt: 0,
        reason: None,
        made_ms: 0,
        next_ms: 0,
        files: Vec::new(),
    }
}

/// Sealed records as the server would hand them out behind what this log has.
pub fn entries(log: &PhoneLog, sealed: &[NewSealed]) -> Vec<Entry> {
    let row = &log.ledger.row;
    let place = |(number, new): (usize, &NewSealed)| {
        let (sealed, _) = new.sealed.as_ref().unwrap();
        Entry {
            head: Bytes(sealed.head.clone()),
            payload: Payload::Kept(Bytes(sealed.payload.clone())),
            seq: Seq(row.next_seq.0 + number as u64),
            t_ms: row.last_t_ms + 1,
            co: row.last_co,
        }
    };
    sealed.iter().enumerate().map(place).collect()
}

/// Entries as the news of their log.
pub fn news(log: LogId, entries: Vec<Entry>) -> LogNews {
    let size = entries.last().map_or(0, |entry| entry.seq.0 + 1);
    LogNews { log, entries, welcomes: Vec::new(), size }
}
