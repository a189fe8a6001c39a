//! Enrolling a phone, and opening it again.
//!
//! Keys and request are stored before they are sent, and sent unchanged until they are answered: a
//! phone that dies in between is not a second device when it comes back.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use hauspost_protocol::company::approval;
use hauspost_protocol::company::state::Company;
use hauspost_protocol::company::voucher::{check_enrol_request, enrol_request};
use hauspost_protocol::crypto::{Secret, SigningKey};
use hauspost_protocol::encoding::{decode, encode};
use hauspost_protocol::ids::DeviceId;
use hauspost_protocol::invitation::{Invitation, Trust};
use hauspost_protocol::mls::certificate::DeviceCertificate;
use hauspost_protocol::wire::EnrolRequest;
use hauspost_protocol::xwing::XWingSeed;
use rand::Rng as _;
use tokio::sync::{Mutex, Notify};

use super::deferred::Deferred;
use super::documents::Documents;
use super::engine::{Core, Engine};
use super::enter::Entering;
use super::error::AccountError;
use super::hints::Hints;
use super::history::Past;
use super::inspect::Inspecting;
use super::link::LinkTeller;
use super::own::Own;
use super::previews::Previews;
use super::reach::Asking;
use super::reset::Migrating;
use crate::env::Env;
use crate::inbound::Me;
use crate::store::Store;
use crate::store::rows::account::{self, Account, AccountState};
use crate::store::rows::attempt::AttemptKind;
use crate::store::rows::outbox;
use crate::sync::{Connection, Server, Session, SyncError};

/// Enrols by an invitation, or goes on with what was begun.
pub(super) async fn enrol(
    store: Store,
    folder: &Path,
    invitation: &str,
    env: Env,
) -> Result<Core, AccountError> {
    let invitation: Invitation = invitation.parse()?;
    let stored: Option<Account> =
        store.read(|conn| Ok::<_, AccountError>(account::find(conn)?)).await?;
    let begun = match stored {
        Some(account) if account.pin != invitation.pin || account.user != invitation.user => {
            return Err(AccountError::OtherAccount);
        }
        // What was begun with an invitation that came to nothing begins anew with the next one.
        Some(account) if account.state == AccountState::Enrolling => {
            let request = account.enrolment.as_deref().map(decode::<EnrolRequest>);
            let same = request.transpose().ok().flatten();
            match same.is_some_and(|request| request.voucher == invitation.voucher) {
                true => account,
                false => begin(&store, &invitation, &env).await?,
            }
        }
        Some(account) => account,
        None => begin(&store, &invitation, &env).await?,
    };
    finish(store, folder, begun, env).await
}

/// Opens an enrolled account, or goes on with an enrolment that was broken off.
pub(super) async fn reopen(store: Store, folder: &Path, env: Env) -> Result<Core, AccountError> {
    let stored: Option<Account> =
        store.read(|conn| Ok::<_, AccountError>(account::find(conn)?)).await?;
    let account = stored.ok_or(AccountError::NotEnrolled)?;
    finish(store, folder, account, env).await
}

/// Draws the phone's keys and stores them with the request.
async fn begin(store: &Store, invitation: &Invitation, env: &Env) -> Result<Account, AccountError> {
    let connection =
        env.network.connect(&invitation.server, &invitation.trust).map_err(SyncError::from)?;
    let hello = Server::unknown(connection).hello().await?;
    let genesis = hello.genesis.ok_or(AccountError::WrongCompany)?;
    let mut company = Company::new(invitation.pin);
    company.apply(&genesis).map_err(|_| AccountError::WrongCompany)?;
    let company = company.id().ok_or(AccountError::WrongCompany)?;

    let key_store = env.key_store.clone();
    let keystore_key = tokio::task::spawn_blocking(move || key_store.public_key())
        .await
        .map_err(|_| AccountError::Folder)??;
    let mut rng = env.randomness.rng();
    let mut device = [0; 16];
    rng.fill_bytes(&mut device);
    let device = DeviceId::from_random(device);
    let signing_key = SigningKey::random(&mut rng);
    let history_seed = Secret::random(&mut rng);
    let history_key = XWingSeed::new(history_seed.clone()).public().to_bytes();
    let request = enrol_request(
        company,
        &invitation.seed,
        &invitation.voucher()?,
        (invitation.user, device),
        &signing_key,
        keystore_key,
        &history_key,
    );
    let stored = Account {
        company,
        user: invitation.user,
        device,
        server: invitation.server.clone(),
        trust: encode(&invitation.trust),
        pin: invitation.pin,
        signing_key,
        history_seed,
        state: AccountState::Enrolling,
        enrolment: Some(encode(&request)),
        certificate: None,
        made_ms: env.clock.now_ms(),
    };
    store
        .write(move |tx| {
            account::put(tx, &stored)?;
            Ok::<_, AccountError>(stored)
        })
        .await
}

/// Sends the request until it is answered, and puts the account together.
async fn finish(
    store: Store,
    folder: &Path,
    mut account: Account,
    env: Env,
) -> Result<Core, AccountError> {
    let trust: Trust = decode(&account.trust).map_err(SyncError::from)?;
    let connection = env.network.connect(&account.server, &trust).map_err(SyncError::from)?;
    if account.certificate.is_none() {
        account = answer(&store, account, &connection).await?;
    }
    let der = account.certificate.as_deref().ok_or(AccountError::NotEnrolled)?;
    let certificate = DeviceCertificate::parse(der).map_err(|_| AccountError::Certificate)?;
    let (inherited, entering, resetting) = store
        .read(|conn| {
            let entering = Entering::load(conn, AttemptKind::Enter)?;
            let resetting = Entering::load(conn, AttemptKind::Reset)?;
            Ok::<_, AccountError>((outbox::newest(conn)?, entering, resetting))
        })
        .await?;
    let session =
        Session::new(account.company, account.device, env.key_store.clone(), env.clock.clone());
    Ok(Core {
        server: Server::new(connection, session),
        me: Arc::new(Me {
            company: account.company,
            user: account.user,
            device: account.device,
            key: account.signing_key,
            certificate,
        }),
        pin: account.pin,
        env,
        store,
        engine: Mutex::new(Engine::default()),
        inherited,
        documents: Documents::new(folder),
        ready: std::sync::Mutex::default(),
        tail: std::sync::Mutex::default(),
        deferred: Deferred::default(),
        position: std::sync::Mutex::default(),
        pulling: Mutex::new(()),
        pushing: Mutex::new(()),
        pulled: AtomicBool::new(false),
        freshness: Default::default(),
        opened: Default::default(),
        doubted: AtomicBool::new(false),
        server_ms: AtomicU64::new(0),
        to_send: Notify::new(),
        to_pull: Notify::new(),
        to_add: Notify::new(),
        to_name: Notify::new(),
        naming: Mutex::new(()),
        link: LinkTeller::default(),
        inspecting: Inspecting::default(),
        previews: Previews::default(),
        entering,
        past: Past::default(),
        asking: Asking::default(),
        hints: Hints::default(),
        own: Own::default(),
        resetting,
        migrating: Migrating::default(),
        types: Default::default(),
        handed: Default::default(),
    })
}

async fn answer(
    store: &Store,
    mut account: Account,
    connection: &Arc<dyn Connection>,
) -> Result<Account, AccountError> {
    let request = account.enrolment.as_deref().ok_or(AccountError::NotEnrolled)?;
    let request: EnrolRequest = decode(request).map_err(SyncError::from)?;
    let answer = match Server::unknown(connection.clone()).enrol(&request).await {
        Err(SyncError::Refused(409)) => return Err(AccountError::InvitationRefused),
        answer => answer?,
    };
    let certificate =
        DeviceCertificate::parse(&answer.certificate).map_err(|_| AccountError::Certificate)?;
    let facts = certificate.facts();
    let fits = facts.company == account.company
        && facts.user == account.user
        && facts.device == account.device
        && facts.signature_key == account.signing_key.public();
    if !fits {
        return Err(AccountError::Certificate);
    }
    if answer.company_seq.is_none() {
        let checked = check_enrol_request(account.company, &request, 0).ok();
        let code = checked.map(|checked| approval::code(&checked.enrolment));
        return Err(code.map_or(AccountError::NotEnrolled, AccountError::NeedsApproval));
    }
    account.certificate = Some(answer.certificate.0);
    account.state = AccountState::Enrolled;
    account.enrolment = None;
    store
        .write(move |tx| {
            account::put(tx, &account)?;
            Ok::<_, AccountError>(account)
        })
        .await
}
