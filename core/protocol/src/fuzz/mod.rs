//! What a fuzzer runs: one function for each family of decoders and one for the rules. Each takes any
//! bytes and panics when a promise is broken, and only then.
//!
//! The folder `fuzz` beside the workspace feeds them for as long as one likes (`make fuzz`); the tests here
//! feed them the [`seeds`], each whole, cut and bent, at every run.

mod rules;
pub mod seeds;
mod trees;

use arbitrary::Unstructured;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::archive_key::{ArchiveKey, ArchiveSeed, Share, combine};
use crate::body::*;
use crate::capsule::{HalfA, HalfB};
use crate::company::body::*;
use crate::company::entry::{CompanyPayload, company_entry};
use crate::company::fixture::{COMPANY, Founded};
use crate::company::policy::{CouncilPart, GeneralPart, PolicyDocument, QuietPlan, Zone};
use crate::company::voucher::Voucher;
use crate::content::{Content, Message};
use crate::crypto::{Secret, SigningKey};
use crate::encoding::{decode, encode};
use crate::entry::{ArchivedEntry, Entry, Head, Kind, Payload, Skeleton};
use crate::file::Layout;
use crate::hpke::Sealed;
use crate::ids::{CompanyId, EntryHash, LogId, Seq, UserId};
use crate::invitation::Invitation;
use crate::key_list::{HalfOpening, KeyList, OpeningRef, open_halves, open_keys};
use crate::mls::certificate::DeviceCertificate;
use crate::mls::extension::{Age, GroupBinding};
use crate::mls::member::parse_key_package;
use crate::mls::public::{Follower, parse_group_info};
use crate::mls::storage::MemoryBackend;
use crate::record;
use crate::rules::form;
use crate::statement::{PayloadType, Statement};
use crate::wire;
use crate::xwing::XWingSeed;

/// A target: its name, and what it does with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets. The folder `fuzz` has a program for each.
pub const TARGETS: [Target; 9] = [
    ("entries", entries),
    ("records", records),
    ("company", company),
    ("trees", trees::trees),
    ("wire", wire_messages),
    ("invitations", invitations),
    ("archive", archive),
    ("mls", mls),
    ("rules", rules::rules),
];

/// Runs the target with this name.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(of, _)| *of == name).expect("a target of this name");
    target(data);
}

/// The families' shared promise: what is read as one of these types is written as the same bytes.
macro_rules! one_form {
    ($data:expr; $($of:ty),+ $(,)?) => {
        $(if let Ok(item) = decode::<$of>($data) {
            assert_eq!(encode(&item), $data, stringify!($of));
        })+
    };
}
use one_form;

/// Two byte strings: the length of the first, big-endian, then both.
fn split(data: &[u8]) -> (&[u8], &[u8]) {
    let Some((len, rest)) = data.split_first_chunk::<2>() else { return (data, &[]) };
    rest.split_at(rest.len().min(usize::from(u16::from_be_bytes(*len))))
}

/// Heads, entries and bodies of conversations.
pub fn entries(data: &[u8]) {
    one_form!(data; Head, Entry, ArchivedEntry, Skeleton, SignedPayload);
    one_form!(
        data; Genesis, CommitBody, CapsuleBody, InviteBody, ResetBody, GrantBody, EraseBody,
        RestoreBody,
    );
    if let Ok(body) = parse_unsigned(data) {
        assert_eq!(unsigned_payload(body), data);
    }
    let (head, payload) = split(data);
    let Ok(parsed) = form::parse(head, payload) else { return };
    assert_eq!(encode(&parsed.head), head);
    let entry = Entry {
        head: head.into(),
        payload: Payload::Kept(payload.into()),
        seq: Seq(0),
        t_ms: 0,
        co: 0,
    };
    assert_eq!(entry.core(), parsed.core);
    // What the body claims is asked of every kind; a batch of one has a verdict.
    let _ = (parsed.payload.signed(), parsed.payload.seen(), parsed.payload.at());
    let _ = form::batch(&[parsed]);
}

/// Records: statements, what people read in them, and files.
pub fn records(data: &[u8]) {
    let statement = Statement::parse(data);
    if let Ok(statement) = &statement {
        assert_eq!(statement.to_bytes().as_deref(), Ok(data));
        assert_eq!(statement.blobs().count(), statement.files.len());
    }
    for ptype in
        [PayloadType::Content, PayloadType::Control, PayloadType::Receipt, PayloadType::OwnState]
    {
        let _ = Content::read(ptype, data);
    }
    if let Ok(message) = Message::parse(data) {
        assert_eq!(message.to_bytes().as_deref(), Ok(data));
        let _ = (message.shown(), message.voice());
        if let Some(card) = message.card(CompanyId([0xc0; 16])) {
            // What is shown of a card can be sent as one, and reads as the same.
            let company = CompanyId([1; 16]);
            let sent = Message::with_card([0; 16], &card, "x", company).to_bytes();
            let read =
                Message::parse(&sent.expect("a card is small")).expect("it was just written");
            assert_eq!(read.card(company), Some(card));
        }
        let id = message.id(data, CompanyId([1; 16]), UserId([2; 16]), LogId([3; 16]));
        assert_eq!(id.0[0], 1);
    }
    // Whatever its author seals opens to the same bytes, or is refused for its form; a stranger's
    // bytes do not open.
    let (key, author) = (slot_key(), SigningKey::from_seed(Secret::new([7; 32])));
    let head = b"a head, whatever it says";
    let payload = record::seal(&key, head, data, &author);
    match (record::open(&key, head, &payload), &statement) {
        (Ok(opened), Ok(statement)) => {
            let verified = opened.verify(&author.public()).expect("the author signed it");
            assert_eq!(verified.statement(), statement);
        }
        (Err(_), _)
            if statement.is_err() || payload.len() as u64 > crate::limits::PAYLOAD_BYTES => {}
        (opened, _) => panic!("{opened:?} of {statement:?}"),
    }
    assert!(record::open(&key, head, data).is_err());
    assert!(record::open(&key, b"another head", &payload).is_err());
    if let Some((size, _)) = data.split_first_chunk::<8>() {
        let size = u64::from_be_bytes(*size);
        if let Some(layout) = Layout::of_plain(size) {
            assert_eq!(Layout::of_blob(layout.blob_size()), Some(layout));
            assert_eq!(layout.plain_size(), size);
        }
        let _ = Layout::of_blob(size);
    }
}

/// The key of some slot.
fn slot_key() -> crate::epoch::RecordKey {
    use crate::ids::{Digest, Epoch, Gen, LeafIndex, RecordIndex};
    let context = crate::epoch::EpochContext {
        log: LogId([3; 16]),
        r#gen: Gen(0),
        epoch: Epoch(1),
        ga: Digest([4; 32]),
    };
    let secret = crate::epoch::EpochSecret::from_exporter(&[5; 32], context);
    let mut chains = crate::epoch::Chains::new(secret);
    chains.take(LeafIndex(0), RecordIndex(0)).expect("the first slot has a key")
}

thread_local! {
    static FOUNDED: Founded = Founded::new();
}

/// Company entries: the kind, who signs, the body. What may be appended counts once it is.
pub fn company(data: &[u8]) {
    one_form!(data; CompanyPayload, Voucher, Scope, PolicyDocument, QuietPlan, Zone);
    policy(data);
    let Some(([code, signers], body)) = data.split_first_chunk::<2>() else { return };
    let Ok(kind) = decode::<Kind>(&encode(&u64::from(*code))) else { return };
    let _ = CompanyPayload::parse(kind, body);
    let Ok(parsed) = CompanyBody::parse(kind, body) else { return };
    assert_eq!(parsed.encode(), body);
    FOUNDED.with(|founded| {
        let keys = &founded.keys;
        let everybody = [
            &keys.root,
            &keys.issuing,
            &keys.admins[0],
            &keys.hr,
            &keys.officers[0],
            &keys.officers[1],
            &keys.council[0],
            &keys.scim,
        ];
        let signs = everybody.iter().enumerate().filter(|(n, _)| signers & (1 << n) != 0);
        let signs: Vec<_> = signs.map(|(_, key)| *key).collect();
        let mut company = founded.company.clone();
        let (head, payload) = company_entry(COMPANY, parsed, &signs);
        let checked = company.check(&head, &payload, founded.t_ms);
        let seq = company.size();
        let payload = Payload::Kept(payload);
        let entry = Entry { head, payload, seq: Seq(seq), t_ms: founded.t_ms, co: seq };
        let applied = company.apply(&entry).expect("an entry of any form continues the chain");
        assert_eq!(applied.finding(), checked.err());
        let mut again = founded.company.clone();
        let known = again.reapply(&entry, applied.finding().is_none());
        assert_eq!(known.map(|known| known.finding()), Ok(applied.finding()));
        assert_eq!(again.now().hash(), company.now().hash());
    });
}

/// A policy, or one of its parts: whatever the bytes say, what is read of them is a policy that can be
/// signed, and its clock and its quiet hours have an answer for every time.
fn policy(data: &[u8]) {
    let document = decode::<PolicyDocument>(data).unwrap_or_else(|_| {
        let (council, rest) = split(data);
        PolicyDocument { council: council.into(), rest: rest.into() }
    });
    let terms = document.terms();
    assert_eq!(terms.faults(), []);
    assert_eq!(PolicyDocument::of(&terms).terms(), terms);
    let (council, faults) = CouncilPart::read(data);
    if faults.is_empty() {
        assert!(council.to_bytes().len() >= data.len(), "nothing that was said is lost");
    }
    let (general, _) = GeneralPart::read(data);
    let t_ms = data.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
    for general in [&general, &terms.general] {
        let local = general.zone().local(t_ms);
        assert!(local.minute < 1_440 && local.weekday() < 7);
        let ends = general.quiet_hours.ends(general.zone(), t_ms);
        assert!(ends.is_none_or(|ends| ends > t_ms));
    }
}

/// Requests and answers.
pub fn wire_messages(data: &[u8]) {
    one_form!(
        data; wire::Hello, wire::Found, wire::EnrolRequest, wire::EnrolAnswer, wire::Principal,
        wire::SessionRequest, wire::SessionAnswer, wire::AppendRequest, Vec<wire::Outcome>,
        wire::DeliveredRequest, Vec<wire::Delivered>,
        wire::SyncRequest, wire::SyncAnswer, wire::LogNews, wire::CheckpointNews,
    );
    one_form!(
        data; wire::PackagesPut, wire::PackagesTake, Vec<wire::PackageTaken>, wire::WitnessedRequest,
        wire::NextLogKey,
        Vec<wire::Witnessed>, wire::HeadsProofRequest,
        Vec<wire::HeadsProof>, wire::ConsistencyRequest, Vec<wire::Person>, wire::Directory,
        wire::ArchiveRequest, wire::ArchiveAnswer, Vec<wire::LogPlace>,
    );
}

/// Invitations, as text.
pub fn invitations(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(invitation) = text.parse::<Invitation>() else { return };
    let _ = invitation.voucher();
    assert!(invitation.to_text().parse::<Invitation>().is_ok_and(|again| again == invitation));
}

/// What opens the archive: keys, shares, capsules, key lists.
pub fn archive(data: &[u8]) {
    one_form!(data; KeyList, Vec<HalfOpening>, Sealed);
    if let Ok(key) = ArchiveKey::parse(data) {
        assert_eq!(key.to_bytes().as_slice(), data);
    }
    let shares: Vec<_> =
        data.chunks(33).filter_map(|share| Share::from_slice(share).ok()).collect();
    let hashes: Vec<_> = shares.iter().map(Share::hash).collect();
    let seed = ArchiveSeed::new(Secret::new([6; 32]));
    let _ = combine(&shares, &seed.public(), &hashes);
    if let Ok(sealed) = decode::<Sealed>(data) {
        let opening = OpeningRef { seq: Seq(1), hash: EntryHash([1; 32]) };
        let own = XWingSeed::new(Secret::new([8; 32]));
        assert!(open_halves(opening, &sealed, &own).is_err());
        assert!(open_keys(opening, &sealed, &own).is_err());
    }
    if let Ok(body) = decode::<CapsuleBody>(data) {
        // Any ciphertext decapsulates to something; whether the box opens shows only with both.
        let _ = (HalfA::open(&body, &seed), HalfB::open(&body, &seed));
    }
}

thread_local! {
    static FOLLOWER: Follower = seeds::follower();
}

/// MLS objects and certificates, and a conversation's group as the server sees it.
pub fn mls(data: &[u8]) {
    one_form!(data; GroupBinding, Age);
    if let Ok(package) = parse_key_package(data) {
        let _ = Age::of(&package);
    }
    let _ = parse_group_info(data);
    let _ = DeviceCertificate::parse(data);
    let _ = MemoryBackend::from_bytes(data);
    let _ = Follower::from_bytes(data);
    FOLLOWER.with(|follower| {
        let _ = follower.check_group_info(data);
        let Ok(staged) = follower.stage(data) else { return };
        assert!(staged.facts().epoch > follower.epoch());
        let mut follower = Follower::from_bytes(&follower.to_bytes()).expect("its own bytes");
        follower.merge(staged, Seq(9), 9).expect("what was staged merges");
    });
}

/// Randomness that is the same each time.
fn rng() -> StdRng {
    StdRng::seed_from_u64(1)
}

/// What a structured target takes from bytes.
fn draw<'a, T: arbitrary::Arbitrary<'a>>(data: &'a [u8]) -> Option<T> {
    T::arbitrary_take_rest(Unstructured::new(data)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt as _;

    /// The same functions as under the fuzzer, on what is known to be well formed and on what is nearly so.
    #[test]
    fn no_seed_whole_cut_or_bent_breaks_a_promise() {
        for (name, target) in TARGETS {
            let seeds = seeds::of(name);
            assert!(!seeds.is_empty(), "{name} has no seeds");
            let mut rng = rng();
            for seed in seeds {
                target(&seed);
                let (mut bent, at) = (seed.clone(), rng.random_range(0..=seed.len()));
                target(&seed[..at]);
                if let Some(byte) = bent.get_mut(at) {
                    *byte ^= 1 << rng.random_range(0..8);
                    target(&bent);
                }
            }
        }
    }

    #[test]
    fn each_family_has_seeds_that_its_decoders_take() {
        let taken = |name: &str, is_taken: fn(&[u8]) -> bool| {
            assert!(seeds::of(name).iter().any(|seed| is_taken(seed)), "{name}");
        };
        taken("entries", |seed| {
            let (head, payload) = split(seed);
            form::parse(head, payload).is_ok_and(|parsed| parsed.head.kind == Kind::Commit)
        });
        taken("records", |seed| Statement::parse(seed).is_ok());
        taken("records", |seed| Message::parse(seed).is_ok());
        taken("company", |seed| CompanyBody::parse(Kind::Device, &seed[2..]).is_ok());
        taken("wire", |seed| decode::<wire::SyncAnswer>(seed).is_ok());
        taken("invitations", |seed| {
            std::str::from_utf8(seed).is_ok_and(|text| text.parse::<Invitation>().is_ok())
        });
        taken("archive", |seed| decode::<CapsuleBody>(seed).is_ok());
        taken("archive", |seed| decode::<KeyList>(seed).is_ok());
        taken("mls", |seed| parse_key_package(seed).is_ok());
        taken("mls", |seed| FOLLOWER.with(|follower| follower.stage(seed).is_ok()));
    }
}
