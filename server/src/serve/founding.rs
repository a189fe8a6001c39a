//! Who the server is, and the founding of its company.
//!
//! The company's keys are made away from the server. It only proves that it is the server whose
//! folder the founder can read, by the founding token in it; and it takes nothing on trust: the
//! entries must build a company from the empty log, one whose root certified this server's keys.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use hauspost_protocol::company::body::{CompanyBody, Role, company_pin};
use hauspost_protocol::company::entry::CompanyPayload;
use hauspost_protocol::company::state::Company;
use hauspost_protocol::crypto::sha256;
use hauspost_protocol::entry::{Head, Kind};
use hauspost_protocol::ids::{CoreHash, Digest, Seq, TimeMs, UserId};
use hauspost_protocol::wire::{Found, Hello, NewEntry, Person, TOKEN_HEADER};

use super::answer::{Answer, Cbor, Empty, Refusal};
use super::company::{self, COMPANY_LOG};
use super::directory::check_person;
use super::limits::PEOPLE;
use super::node::{FOUNDING_TOKEN, Node, ServerKeys};
use crate::store::{StoreError, Tx};

/// Entries of a founding, at most.
const FOUNDING_ENTRIES: usize = 256;

/// GET: who the server is.
pub async fn hello(State(node): State<Arc<Node>>) -> Result<Answer<Hello>, Refusal> {
    let genesis = node.database.read::<_, StoreError>(|tx| tx.entry(COMPANY_LOG, Seq(0))).await?;
    let in_force = match node.company().await {
        Ok(company) => node.keys.log.named(&company).map(|signer| signer.public()),
        Err(Refusal::NotFounded) => None,
        Err(refusal) => return Err(refusal),
    };
    let (log_key, log_key_pq) = in_force.unwrap_or_else(|| node.keys.log.newest());
    Ok(Answer(Hello {
        genesis: genesis.map(|row| row.entry),
        issuing_key: node.keys.issuing.public().0,
        log_key: log_key.0,
        log_key_pq,
        t_ms: node.now_ms(),
    }))
}

/// POST: founds the company. The same founding again is no error, so that a lost answer does no harm.
pub async fn found(
    State(node): State<Arc<Node>>,
    headers: HeaderMap,
    Cbor(request): Cbor<Found>,
) -> Result<Answer<Empty>, Refusal> {
    let allowed = has_token(&node, &headers)?;
    let now_ms = node.now_ms();
    let shared = Arc::clone(&node);
    let entries = request.entries.len() as u64;
    let fresh = node
        .database
        .write(move |tx| {
            if let Some(known) = tx.entry(COMPANY_LOG, Seq(0))? {
                let same = request.entries.first().is_some_and(|first| core(first) == known.core);
                return if same { Ok(false) } else { Err(Refusal::conflict("founded already")) };
            }
            if !allowed {
                return Err(Refusal::Session);
            }
            write_company(tx, &shared.keys, &request, now_ms).map(|()| true)
        })
        .await?;
    if fresh {
        node.metrics.appended(entries);
        tracing::info!("the company is founded");
        if let Err(error) = node.folder.remove(FOUNDING_TOKEN) {
            tracing::warn!(%error, "the founding token is used but still there");
        }
    }
    Ok(Answer(Empty))
}

fn has_token(node: &Node, headers: &HeaderMap) -> Result<bool, Refusal> {
    let offered = headers.get(TOKEN_HEADER).ok_or(Refusal::Session)?;
    let kept = node.folder.read(FOUNDING_TOKEN).map_err(|error| {
        tracing::error!(%error, "the founding token cannot be read");
        Refusal::Busy
    })?;
    // Hashes are compared, so that the time taken tells nothing about the token.
    Ok(kept.is_some_and(|kept| sha256(kept.trim_ascii()) == sha256(offered.as_bytes())))
}

fn core((head, payload): &NewEntry) -> CoreHash {
    Head::core(head, sha256(payload), payload.len() as u64)
}

fn write_company(
    tx: &mut dyn Tx,
    keys: &ServerKeys,
    request: &Found,
    now_ms: TimeMs,
) -> Result<(), Refusal> {
    if request.entries.len() > FOUNDING_ENTRIES || request.people.len() > PEOPLE {
        return Err(Refusal::TooLarge);
    }
    let mut company = Company::new(pin(request)?);
    let no = tx.reserve(UserId([0; 16]))?;
    if no != COMPANY_LOG {
        return Err(StoreError::Damaged("log numbers").into());
    }
    tx.create_log(no, request.company.log())?;
    for entry in &request.entries {
        company::append(tx, &mut company, entry, now_ms)?
            .map_err(|finding| Refusal::conflict(finding.to_string()))?;
    }
    certifies(&company, keys).map_err(Refusal::conflict)?;
    request.people.iter().try_for_each(|person| put_person(tx, person))
}

fn put_person(tx: &mut dyn Tx, person: &Person) -> Result<(), Refusal> {
    check_person(person)?;
    tx.put_person(person)?;
    Ok(())
}

/// The pin of the root that the first entry names; that it signed is for the company's state to see.
fn pin(request: &Found) -> Result<Digest, Refusal> {
    let (_, payload) = request.entries.first().ok_or(Refusal::Form)?;
    let payload = CompanyPayload::parse(Kind::Genesis, payload)?;
    match CompanyBody::parse(Kind::Genesis, &payload.body)? {
        CompanyBody::Genesis(genesis) if genesis.company == request.company => {
            Ok(company_pin(&genesis.root))
        }
        _ => Err(Refusal::Form),
    }
}

/// Whether the company can live on this server.
fn certifies(company: &Company, keys: &ServerKeys) -> Result<(), &'static str> {
    let view = company.now();
    if !view.is_issuing_key(&keys.issuing.public()) {
        return Err("this server's issuing key is not certified");
    }
    if keys.log.named(company).is_none() {
        return Err("this server's log keys are not certified");
    }
    if !view.anyone_is(Role::Admin) {
        return Err("there is no admin");
    }
    if view.archive_keys().is_none() {
        return Err("there are no archive keys");
    }
    Ok(())
}
