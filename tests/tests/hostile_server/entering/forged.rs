//! An external commit that takes away a leaf which is not its author's. OpenMLS makes none; what it
//! makes is changed where no key but the author's is needed.
//!
//! The author says that the other's key is his own, so that OpenMLS adds the removal of a leaf with
//! that key. Then his own key takes its place in the leaf, and he signs leaf and commit again. Keys and
//! confirmation tag do not fit any more; from outside nobody can tell.

use hauspost_core::group::commit::OwnCommit;
use hauspost_core::group::{Member, ScratchProvider};
use hauspost_protocol::crypto::{PublicKey, SigningKey};
use hauspost_protocol::encoding::Bytes;
use hauspost_protocol::mls::member::{self, Suite};
use hauspost_protocol::mls::public::{Follower, parse_group_info};
use hauspost_protocol::mls::storage::Backend;
use hauspost_tests::bomb::sign_as_mls;
use openmls::group::MlsGroup;
use openmls::prelude::{CredentialWithKey, LeafNodeParameters, RatchetTreeIn};
use openmls_traits::OpenMlsProvider as _;
use tls_codec::{Deserialize as _, Serialize as _};

/// Version and wire format of an MLSMessage.
const MESSAGE_HEADER_BYTES: usize = 4;
/// Signature and confirmation tag with their lengths: an external commit has no membership tag.
const SIGNATURE_BYTES: usize = 2 + 64;
const TAG_BYTES: usize = 1 + 32;

/// As `hauspost_core::group::enter::enter`, and the leaf with this key goes.
pub fn enter<B: Backend>(
    provider: &ScratchProvider<B>,
    member: Member<'_>,
    follower: &Follower,
    group_info: &[u8],
    removed: PublicKey,
) -> OwnCommit {
    let info = parse_group_info(group_info).unwrap();
    let context = info.group_context().tls_serialize_detached().unwrap();
    let tree = RatchetTreeIn::tls_deserialize_exact(follower.tree_bytes()).unwrap();
    let leaf = LeafNodeParameters::builder().with_capabilities(member::capabilities()).build();
    let credential = CredentialWithKey {
        signature_key: removed.0.to_vec().into(),
        ..member.certificate.credential()
    };
    let (mut group, bundle) = MlsGroup::external_commit_builder()
        .with_ratchet_tree(tree)
        .with_config(member::join_config())
        .skip_lifetime_validation()
        .build_group(provider, info, credential)
        .unwrap()
        .leaf_node_parameters(leaf)
        .load_psks(provider.storage())
        .unwrap()
        .create_group_info(true)
        .use_ratchet_tree_extension(false)
        .build(provider.rand(), provider.crypto(), member.key, |_| true)
        .unwrap()
        .finalize(provider)
        .unwrap();
    let leaves =
        group.members().map(|member| hauspost_protocol::ids::LeafIndex(member.index.u32()));
    let leaves = leaves.collect();
    let (message, _, made_info) = bundle.into_messages();
    let mut message = member::message_bytes(&message);
    put_own_key(&mut message, member.key, removed, group.own_leaf_index().u32(), &context);
    let staged = follower.stage(&message).unwrap();
    assert_eq!(staged.facts().removes.len(), 1);
    OwnCommit {
        ga: staged.facts().ga,
        message: Bytes(message),
        group_info: Bytes(member::message_bytes(&made_info.unwrap())),
        welcome: None,
        exported: member::exported_secret(&mut group, provider).unwrap(),
        leaves,
    }
}

/// The author's own key in his leaf, and his signatures of leaf and commit anew.
fn put_own_key(
    message: &mut [u8],
    key: &SigningKey,
    removed: PublicKey,
    own_leaf: u32,
    context: &[u8],
) {
    // MLSMessage, then FramedContent: group id, epoch, who sends it, and the commit's proposals.
    let group = usize::from(message[MESSAGE_HEADER_BYTES]);
    let group_id = message[MESSAGE_HEADER_BYTES..MESSAGE_HEADER_BYTES + 1 + group].to_vec();
    let places: Vec<_> =
        (0..message.len() - 32).filter(|at| message[*at..at + 32] == removed.0).collect();
    let &[key_at] = &places[..] else { panic!("the key stands in the leaf alone: {places:?}") };
    let init_bytes = match member_suite(message, key_at) {
        Suite::Hybrid => 2 + 1_216,
        Suite::Classic => 1 + 32,
    };
    let leaf_at = key_at - 1 - init_bytes;
    // The author signed it, with the other's key in it: so its end is found.
    let to_sign = |message: &[u8], end: usize| {
        [&message[leaf_at..end], &group_id, &own_leaf.to_be_bytes()].concat()
    };
    let is_end = |end: &usize| {
        message[*end..*end + 2] == [0x40, 64]
            && message[*end + 2..*end + 66]
                == sign_as_mls(key, "LeafNodeTBS", &to_sign(message, *end))
    };
    let end = (key_at + 32..message.len() - SIGNATURE_BYTES).find(is_end).unwrap();
    message[key_at..key_at + 32].copy_from_slice(&key.public().0);
    let signature = sign_as_mls(key, "LeafNodeTBS", &to_sign(message, end));
    message[end + 2..end + 66].copy_from_slice(&signature);

    let signed = message.len() - TAG_BYTES - SIGNATURE_BYTES;
    let signature = sign_as_mls(key, "FramedContentTBS", &[&message[..signed], context].concat());
    message[signed + 2..signed + 66].copy_from_slice(&signature);
}

/// The suite, by the length of the key that stands before the signature key.
fn member_suite(message: &[u8], key_at: usize) -> Suite {
    let hybrid = 2 + 1_216 + 1;
    let is_hybrid = key_at > hybrid && message[key_at - hybrid..][..2] == [0x44, 0xc0];
    if is_hybrid { Suite::Hybrid } else { Suite::Classic }
}
