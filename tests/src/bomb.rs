//! A commit bomb: a member's phone whose commit the server accepts and nobody can process
//! (docs/attacks.md 2).
//!
//! The confirmation tag is one bit off. No signature covers it, and only members can check it; the
//! GroupInfo that goes with it says the same, and all that the committer signs, he signs.

use hauspost_core::store::rows::account;
use hauspost_protocol::body::{CommitBody, SignedPayload};
use hauspost_protocol::crypto::{SigningKey, sha256};
use hauspost_protocol::encoding::{Bytes, decode, encode};
use hauspost_protocol::entry::{Head, Kind};
use hauspost_protocol::mls::public::external_key;
use hauspost_protocol::wire::{AppendRequest, path};

use crate::hostile::Hostile;
use crate::real::Phone;

/// A tag or signature with its length before it, as MLS writes them (RFC 9420 §2.1.2).
const TAG_BYTES: usize = 1 + 32;
const SIGNATURE_BYTES: usize = 2 + 64;
/// The number of a leaf.
const LEAF_BYTES: usize = 4;
/// A sender with a leaf.
const MEMBER: u8 = 1;
/// Version and wire format of an MLSMessage.
const MESSAGE_HEADER_BYTES: usize = 4;

/// From now on this phone's commits are bombs; its requests go through `network`.
pub async fn arm(phone: &Phone, network: &Hostile) {
    arm_for(phone, network, usize::MAX).await;
}

/// Its next commit is one, and the others are not.
pub async fn arm_once(phone: &Phone, network: &Hostile) {
    arm_for(phone, network, 1).await;
}

/// The GroupInfo that goes with this phone's next commit leads nowhere: its external key is another
/// one, and everything else about commit and GroupInfo is right.
pub async fn arm_way_in(phone: &Phone, network: &Hostile) {
    let key = signing_key(phone).await;
    let mut armed = true;
    network.changes_requests(path::APPEND, move |request| {
        let mut append: AppendRequest = decode(&request.body).unwrap();
        let Some(info) = append.group_info.as_mut().filter(|_| armed) else { return };
        armed = false;
        spoil_way_in(info, &key);
        let info = info.clone();
        change_commits(&mut append, &key, |body| body.gi_hash = sha256(&info));
        request.body = encode(&append);
    });
}

/// From now on the GroupInfos that this phone puts at the server lead nowhere.
pub async fn arm_group_infos(phone: &Phone, network: &Hostile) {
    let key = signing_key(phone).await;
    network.changes_requests(path::GROUP_INFO, move |request| {
        // A request for the GroupInfos that there are has no body.
        if let Ok(mut info) = decode::<Bytes>(&request.body) {
            spoil_way_in(&mut info, &key);
            request.body = encode(&info);
        }
    });
}

async fn signing_key(phone: &Phone) -> SigningKey {
    phone.account.store().read(account::find).await.unwrap().unwrap().signing_key
}

async fn arm_for(phone: &Phone, network: &Hostile, mut commits: usize) {
    let key = signing_key(phone).await;
    network.changes_requests(path::APPEND, move |request| {
        let mut append: AppendRequest = decode(&request.body).unwrap();
        if append.group_info.is_some() && commits > 0 {
            commits -= 1;
            spoil(&mut append, &key);
        }
        request.body = encode(&append);
    });
}

/// Makes a bomb of a member's commit.
pub(crate) fn spoil(append: &mut AppendRequest, key: &SigningKey) {
    let Some(info) = &mut append.group_info else { return };
    spoil_tag(info, key);
    let info = info.clone();
    change_commits(append, key, |body| {
        // Behind it stands the membership tag alone.
        let message = &mut body.mls_message.0;
        let tag = message.len() - 2 * TAG_BYTES + 1;
        message[tag] ^= 1;
        body.gi_hash = sha256(&info);
    });
}

fn change_commits(append: &mut AppendRequest, key: &SigningKey, change: impl Fn(&mut CommitBody)) {
    for (head, payload) in &mut append.entries {
        if Head::parse(head).unwrap().kind != Kind::Commit {
            continue;
        }
        let signed: SignedPayload = decode(payload).unwrap();
        let mut body: CommitBody = decode(&signed.body).unwrap();
        change(&mut body);
        *payload = Bytes(encode(&SignedPayload::sign(key, head, encode(&body), signed.device)));
    }
}

fn spoil_tag(info: &mut Bytes, key: &SigningKey) {
    let at = info.len() - SIGNATURE_BYTES - LEAF_BYTES - TAG_BYTES + 1;
    info.0[at] ^= 1;
    sign_group_info(info, key);
}

/// The last bytes of the external key are those of its X25519 half, where every string is a key.
fn spoil_way_in(info: &mut Bytes, key: &SigningKey) {
    let external = external_key(info).unwrap();
    let at = info.windows(external.len()).position(|part| part == external).unwrap();
    info.0[at + external.len() - 2] ^= 1;
    sign_group_info(info, key);
}

fn sign_group_info(info: &mut Bytes, key: &SigningKey) {
    let signed = info.len() - SIGNATURE_BYTES;
    let signature = sign_as_mls(key, "GroupInfoTBS", &info.0[MESSAGE_HEADER_BYTES..signed]);
    info.0[signed + 2..].copy_from_slice(&signature);
}

/// What OpenMLS signs under a label (RFC 9420 §5.1.2).
pub fn sign_as_mls(key: &SigningKey, label: &str, content: &[u8]) -> [u8; 64] {
    let label = format!("MLS 1.0 {label}");
    let mut to_sign = vec![label.len() as u8];
    to_sign.extend_from_slice(label.as_bytes());
    to_sign.extend_from_slice(&length(content.len()));
    to_sign.extend_from_slice(content);
    key.sign_raw(&to_sign).0
}

/// Whether this batch changes a group that there is, and does so from inside.
pub(crate) fn can_be(append: &AppendRequest) -> bool {
    let is_members = |payload: &Bytes| {
        let signed = decode::<SignedPayload>(payload).ok()?;
        let message = decode::<CommitBody>(&signed.body).ok()?.mls_message;
        let group = usize::from(*message.get(MESSAGE_HEADER_BYTES)?);
        // Group and epoch come before the kind of sender.
        Some(*message.get(MESSAGE_HEADER_BYTES + 1 + group + 8)? == MEMBER)
    };
    let mut commits = 0;
    for (head, payload) in &append.entries {
        match Head::parse(head).map(|head| head.kind) {
            Ok(Kind::Commit) if is_members(payload) == Some(true) => commits += 1,
            Ok(Kind::Commit | Kind::Genesis | Kind::Reset) => return false,
            _ => {}
        }
    }
    commits == 1
}

/// The length of a vector (RFC 9000 §16).
fn length(bytes: usize) -> Vec<u8> {
    match bytes {
        0..0x40 => vec![bytes as u8],
        0x40..0x4000 => (bytes as u16 | 0x4000).to_be_bytes().to_vec(),
        _ => (bytes as u32 | 0x8000_0000).to_be_bytes().to_vec(),
    }
}
