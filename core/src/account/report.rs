//! Reports: what an admin must hear of, as signed entries of the company log (`docs/protocol.md`
//! §12, kind 53).
//!
//! Whoever raises an alarm need not think of it: an alarm whose [code](inbound::report_code) concerns
//! more than this phone is reported by itself, once for each log, code and day. The server that is
//! accused may refuse the entry. Then the alarm stays unreported, the person sees it all the same,
//! and it is offered again.

use hauspost_protocol::company::body::{ReportCode, ReportEntry};
use hauspost_protocol::company::entry::company_entry;
use hauspost_protocol::company::finding::Finding;
use hauspost_protocol::company::state::Company;
use hauspost_protocol::crypto::sha256;
use hauspost_protocol::ids::{LogId, Seq};
use hauspost_protocol::wire::{AppendRequest, Outcome};

use super::engine::Core;
use super::{Account, AccountError};
use crate::inbound;
use crate::read::{self, AlarmRow};
use crate::store::rows::alarm::{self, Alarm};

/// How often an entry is made anew because the company log went on meanwhile.
const TRIES: usize = 3;

/// Alarms that one entry reports.
struct Due {
    log: LogId,
    code: ReportCode,
    /// The first of them, which the entry names.
    first: Alarm,
    ids: Vec<i64>,
}

impl Account {
    /// What this person must hear of: what was not acknowledged, and behind it what was, each newest
    /// first. [`Change::Alarms`](crate::observe::Change) says when to look.
    pub async fn alarms(&self, limit: u32) -> Result<Vec<AlarmRow>, AccountError> {
        self.core.store.read(move |conn| Ok(read::alarms(conn, limit)?)).await
    }

    /// The person has seen all alarms up to this [number](AlarmRow::number). They stay, and are
    /// reported all the same.
    pub async fn acknowledge_alarms(&self, up_to: i64) -> Result<(), AccountError> {
        self.core.store.write(move |tx| Ok(alarm::acknowledge(tx, up_to)?)).await
    }
}

impl Core {
    /// Reports the alarms that the company log does not have yet.
    pub(super) async fn report(&self) -> Result<(), AccountError> {
        for due in self.due().await? {
            self.report_one(due).await?;
        }
        Ok(())
    }

    /// What is to be reported, in the order in which it was raised.
    async fn due(&self) -> Result<Vec<Due>, AccountError> {
        let alarms =
            self.store.read(|conn| Ok::<_, AccountError>(alarm::unreported(conn)?)).await?;
        let mut dues: Vec<Due> = Vec::new();
        for (id, first) in alarms {
            let Some(code) = inbound::report_code(first.code) else { continue };
            let log = first.log.unwrap_or(self.me.company.log());
            match dues.iter_mut().find(|due| (due.log, due.code) == (log, code)) {
                Some(due) => due.ids.push(id),
                None => dues.push(Due { log, code, first, ids: vec![id] }),
            }
        }
        Ok(dues)
    }

    async fn report_one(&self, due: Due) -> Result<(), AccountError> {
        for _ in 0..TRIES {
            let mut engine = self.engine.lock().await;
            let company = self.company(&mut engine).await?;
            drop(engine);
            let entry = self.entry(&company, &due);
            // The day is the server's, as everybody judges it.
            let t_ms = self.server_ms().max(company.t_ms());
            match company.check(&entry.0, &entry.1, t_ms) {
                Ok(()) => {}
                Err(Finding::ReportedToday) => return self.note_reported(due.ids).await,
                Err(finding) => {
                    tracing::warn!(log = %due.log, %finding, "a report cannot be made");
                    return Ok(());
                }
            }
            let (log, entries) = (self.me.company.log(), vec![entry]);
            let request = AppendRequest { log, entries, group_info: None, welcome: None };
            match self.server.append(&request).await?.first() {
                Some(Outcome::Ok(_) | Outcome::Dup(_)) => return self.note_reported(due.ids).await,
                // Perhaps it was taken before and the answer lost: then the log has it.
                Some(Outcome::Behind(_) | Outcome::Policy) => self.pull_all().await?,
                refused => {
                    tracing::warn!(log = %due.log, ?refused, "a report is not accepted");
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn entry(&self, company: &Company, due: &Due) -> hauspost_protocol::wire::NewEntry {
        let body = ReportEntry {
            seen: company.newest(),
            device: self.me.device,
            log: due.log,
            code: due.code,
            seq: due.first.seq.unwrap_or(Seq(0)),
            evidence: sha256(due.first.evidence.as_deref().unwrap_or_default()),
        };
        company_entry(self.me.company, body, &[&self.me.key])
    }

    async fn note_reported(&self, ids: Vec<i64>) -> Result<(), AccountError> {
        self.store
            .write(move |tx| {
                Ok::<_, AccountError>(ids.iter().try_for_each(|id| alarm::reported(tx, *id))?)
            })
            .await
    }
}
