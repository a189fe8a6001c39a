//! People and their devices: invited, listed, revoked.

use std::collections::BTreeMap;
use std::time::Duration;

use hauspost_protocol::company::body::{CompanyBody, RevokeEntry, RevokeReason};
use hauspost_protocol::company::entry::{CompanyPayload, company_entry};
use hauspost_protocol::company::state::Company;
use hauspost_protocol::company::voucher::Voucher;
use hauspost_protocol::crypto::{Secret, SigningKey};
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::entry::{Entry, Head};
use hauspost_protocol::ids::{DeviceId, Seq, TimeMs, UserId};
use hauspost_protocol::invitation::Invitation;
use hauspost_protocol::wire::Person;
use rand::CryptoRng;

use super::client::{Client, ClientError};
use super::holder::{Holder, HolderError};
use super::key_file::Purpose;

/// How long an invitation is good, unless the admin says otherwise.
pub const INVITATION_LIFETIME: Duration = Duration::from_secs(14 * 86_400);

/// The longest short name, in characters.
const MAX_HANDLE_CHARS: usize = 64;
/// The longest name, in bytes of UTF-8.
const MAX_NAME_BYTES: usize = 255;

/// Why somebody is not invited or revoked.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// The admin's keys or the server.
    #[error(transparent)]
    Holder(#[from] HolderError),
    /// The server.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Not a short name.
    #[error(
        "`{0}` is not a short name: letters, digits, `.`, `-` and `_`, at most {MAX_HANDLE_CHARS}"
    )]
    Handle(String),
    /// Not a name.
    #[error("a name has 1 to {MAX_NAME_BYTES} bytes and no control characters")]
    Name,
    /// The person is new and needs a name.
    #[error("`{0}` is not in the directory yet")]
    NameNeeded(String),
    /// The short name belongs to somebody with another name.
    #[error("`{handle}` is in the directory already, as {name}")]
    HandleTaken {
        /// The short name.
        handle: String,
        /// Whose it is.
        name: String,
    },
    /// Nobody and nothing of this name.
    #[error("there is no person and no device `{0}`")]
    Unknown(String),
    /// All of the person's devices are revoked already.
    #[error("`{0}` has no active device")]
    NothingToRevoke(String),
}

/// A person with their devices, as an admin sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The directory's entry.
    pub person: Person,
    /// The devices, oldest first, and whether each is active.
    pub devices: Vec<(DeviceId, bool)>,
}

/// Invites a person: puts them into the directory and vouches for one enrolment. A person's further
/// device needs somebody who signs for it besides; see [`devices`](super::devices).
pub async fn invite(
    holder: &Holder,
    client: &Client,
    handle: &str,
    name: Option<&str>,
    (now_ms, lifetime): (TimeMs, Duration),
    rng: &mut impl CryptoRng,
) -> Result<Invitation, PeopleError> {
    check_handle(handle)?;
    let authority = holder.signing_key(Purpose::EnrolmentAuthority)?;
    holder.company(client, rng).await?;
    let people = client.people().await?;
    let known = people.iter().find(|person| person.handle == handle);
    let user = match (known, name) {
        (Some(known), name) => {
            if let (Some(name), Some(taken)) = (name, &known.name)
                && name != taken
            {
                return Err(PeopleError::HandleTaken {
                    handle: handle.into(),
                    name: taken.clone(),
                });
            }
            known.user
        }
        (None, None) => return Err(PeopleError::NameNeeded(handle.into())),
        (None, Some(name)) => {
            check_name(name)?;
            let mut id = [0; 16];
            rng.fill_bytes(&mut id);
            let user = UserId::from_random(id);
            let person = Person { user, handle: handle.into(), name: Some(name.into()) };
            client.put_people(&vec![person]).await?;
            user
        }
    };
    let seed = Secret::random(rng);
    let not_after = now_ms + lifetime.as_millis() as TimeMs;
    let seed_key = SigningKey::from_seed(seed.clone()).public();
    let voucher = Voucher::sign(&authority, holder.card.company, seed_key, Some(user), not_after);
    Ok(Invitation {
        server: client.server().to_owned(),
        pin: holder.card.pin,
        trust: holder.card.trust.clone(),
        seed,
        voucher: Bytes(encode(&voucher)),
        user,
    })
}

/// Revokes all devices of a person, or one device by its id; gives what was revoked.
pub async fn revoke(
    holder: &Holder,
    client: &Client,
    who: &str,
    reason: RevokeReason,
    rng: &mut impl CryptoRng,
) -> Result<Vec<(DeviceId, Seq)>, PeopleError> {
    let (_, key) = holder.role_key()?;
    let company = holder.company(client, rng).await?;
    let devices = match who.parse() {
        Ok(device) if company.now().device(device).is_some() => vec![device],
        _ => {
            let people = client.people().await?;
            let person =
                people.iter().find(|person| person.handle == who || person.user.to_string() == who);
            let person = person.ok_or_else(|| PeopleError::Unknown(who.into()))?;
            company.now().devices_of(person.user).map(|device| device.device).collect()
        }
    };
    let mut revoked = Vec::new();
    for device in devices.into_iter().filter(|device| company.now().is_active(*device)) {
        let body = RevokeEntry { seen: company.newest(), device, reason };
        let entry = company_entry(holder.card.company, body, &[&key]);
        revoked.push((device, client.append(holder.card.company.log(), entry).await?));
    }
    if revoked.is_empty() { Err(PeopleError::NothingToRevoke(who.into())) } else { Ok(revoked) }
}

/// Everybody in the directory or with a device.
pub async fn list(
    holder: &Holder,
    client: &Client,
    rng: &mut impl CryptoRng,
) -> Result<Vec<Listed>, PeopleError> {
    let (company, entries) = holder.company_log(client, rng).await?;
    Ok(listed(&company, &entries, client.people().await?))
}

fn listed(company: &Company, entries: &[Entry], people: Vec<Person>) -> Vec<Listed> {
    let now = company.now();
    let mut devices: BTreeMap<UserId, Vec<_>> = BTreeMap::new();
    for device in entries.iter().filter_map(device_of).filter_map(|device| now.device(device)) {
        let devices = devices.entry(device.user).or_default();
        if !devices.contains(&device.device) {
            devices.push(device.device);
        }
    }
    let mut people: BTreeMap<_, _> =
        people.into_iter().map(|person| (person.user, person)).collect();
    // Somebody whom the directory forgot still has devices.
    for user in devices.keys() {
        people.entry(*user).or_insert_with(|| Person {
            user: *user,
            handle: String::new(),
            name: None,
        });
    }
    let mut listed: Vec<_> = people
        .into_values()
        .map(|person| {
            let devices = devices.remove(&person.user).unwrap_or_default();
            let devices =
                devices.into_iter().map(|device| (device, now.is_active(device))).collect();
            Listed { person, devices }
        })
        .collect();
    listed.sort_by(|a, b| a.person.handle.cmp(&b.person.handle));
    listed
}

/// The device that an entry of the company log enters or renews, whether the entry counts or not.
fn device_of(entry: &Entry) -> Option<DeviceId> {
    let kind = Head::parse(&entry.head).ok()?.kind;
    let payload = CompanyPayload::parse(kind, entry.payload.bytes()?).ok()?;
    match CompanyBody::parse(kind, &payload.body).ok()? {
        CompanyBody::Device(body) => Some(body.device),
        _ => None,
    }
}

fn check_handle(handle: &str) -> Result<(), PeopleError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    let is_id = handle.parse::<UserId>().is_ok();
    if handle.is_empty() || handle.len() > MAX_HANDLE_CHARS || !handle.chars().all(fits) || is_id {
        return Err(PeopleError::Handle(handle.into()));
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), PeopleError> {
    let bad =
        name.trim().is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control);
    if bad { Err(PeopleError::Name) } else { Ok(()) }
}
