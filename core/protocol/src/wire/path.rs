//! The paths, in the order in which a phone meets them.

/// GET → [`Hello`](super::Hello). No session.
pub const HELLO: &str = "/v1/hello";
/// POST [`Found`](super::Found) → `[]`, once, with the founding token.
pub const FOUND: &str = "/v1/found";
/// POST [`EnrolRequest`](super::EnrolRequest) → [`EnrolAnswer`](super::EnrolAnswer). No session.
pub const ENROL: &str = "/v1/enrol";
/// POST `[]` → array of [`WaitingDevice`](crate::company::approval::WaitingDevice): those of the session's
/// user, or all for an admin.
pub const WAITING: &str = "/v1/enrol/waiting";
/// POST [`NewEntry`](super::NewEntry) → [`Seq`](crate::ids::Seq): a waiting device's entry, signed by who
/// approves it; the server adds the issuing key's signature.
pub const APPROVE: &str = "/v1/enrol/approve";
/// GET → bstr: a challenge to sign. No session.
pub const CHALLENGE: &str = "/v1/session/challenge";
/// POST [`SessionRequest`](super::SessionRequest) → [`SessionAnswer`](super::SessionAnswer). No session.
pub const SESSION: &str = "/v1/session";
/// POST [`AppendRequest`](super::AppendRequest) → array of [`Outcome`](super::Outcome).
pub const APPEND: &str = "/v1/append";
/// POST [`SyncRequest`](super::SyncRequest) → [`SyncAnswer`](super::SyncAnswer).
pub const SYNC: &str = "/v1/sync";
/// POST [`HistoryRequest`](super::HistoryRequest) → array of [`Entry`](crate::entry::Entry): those of the
/// records asked for that were granted to the device, as many as fit, in the order asked.
pub const HISTORY: &str = "/v1/history";
/// POST [`DeliveredRequest`](super::DeliveredRequest) → array of [`Delivered`](super::Delivered), one for
/// each entry asked for.
pub const DELIVERED: &str = "/v1/delivered";
/// GET `/<device>` → bstr: the device's X-Wing key for history, 1,216 bytes.
pub const HISTORY_KEY: &str = "/v1/history/key";
/// POST [`HintsRequest`](super::HintsRequest) → `[]`: passed on to who is connected, and not stored.
pub const HINTS: &str = "/v1/hints";
/// GET → a stream of lines. An empty one says that there may be news; another one is a hint of somebody
/// ([`SealedHint::from_line`](crate::hint::SealedHint::from_line)).
pub const LIVE: &str = "/v1/live";
/// POST `[]` → [`LogNo`](crate::ids::LogNo), reserved for the session's user.
pub const RESERVE: &str = "/v1/log-number";
/// POST [`PackagesPut`](super::PackagesPut) → number of one-time packages of that suite in stock.
pub const PACKAGES_PUT: &str = "/v1/packages/put";
/// POST [`PackagesTake`](super::PackagesTake) → array of [`PackageTaken`](super::PackageTaken).
pub const PACKAGES_TAKE: &str = "/v1/packages/take";
/// GET `/v1/tree/<log>/<hex tree hash>` → the ratchet tree's TLS bytes.
pub const TREE: &str = "/v1/tree";
/// GET `/v1/groupinfo/<log>/<gen>/<epoch>` → array of bstr: GroupInfos as MLSMessage, in the order in
/// which they came. PUT bstr → `[]`: a member's own.
pub const GROUP_INFO: &str = "/v1/groupinfo";
/// POST [`HeadsProofRequest`](super::HeadsProofRequest) → array of [`HeadsProof`](super::HeadsProof).
pub const PROOF_HEADS: &str = "/v1/proof/heads";
/// POST [`ConsistencyRequest`](super::ConsistencyRequest) → array of 32-byte hashes.
pub const PROOF_CONSISTENCY: &str = "/v1/proof/consistency";
/// POST [`WitnessedRequest`](super::WitnessedRequest) → array of [`Witnessed`](super::Witnessed):
/// of each active witness the newest checkpoint that it cosigned.
pub const WITNESSED: &str = "/v1/proof/witnessed";
/// GET `/v1/witness/checkpoint/<old size>` → text: the body of C2SP tlog-witness `add-checkpoint` for
/// a witness that cosigned this size last. No session.
pub const WITNESS_CHECKPOINT: &str = "/v1/witness/checkpoint";
/// POST `/v1/witness/cosignature/<era>/<size>`, text: the answer to `add-checkpoint`. No session.
pub const WITNESS_COSIGNATURE: &str = "/v1/witness/cosignature";
/// POST `/v1/blob/<log>/<hex root>` [`BlobBegin`](super::BlobBegin) → bitmap of the chunks that
/// are there ([`Present`](crate::file::Present)); PUT and GET `/<chunk>` → its ciphertext with its tag.
pub const BLOB: &str = "/v1/blob";
/// GET `/v1/archive/blob/<seq of opening>/<log>/<hex root>/<chunk>` → the same. Officer role.
pub const ARCHIVE_BLOB: &str = "/v1/archive/blob";
/// POST `[]` → [`NextLogKey`](super::NextLogKey): drawn if there is none that waits. Admin role.
pub const LOG_KEY: &str = "/v1/log-key";
/// POST version known (number) → [`Directory`](super::Directory).
pub const DIRECTORY: &str = "/v1/directory";
/// POST array of [`Person`](super::Person) → new version. Admin role.
pub const DIRECTORY_PUT: &str = "/v1/directory/put";
/// POST [`ArchiveRequest`](super::ArchiveRequest) → [`ArchiveAnswer`](super::ArchiveAnswer). Officer or council role.
pub const ARCHIVE: &str = "/v1/archive";
/// POST `[]` → array of [`LogPlace`](super::LogPlace): all logs. Admin, officer or council role.
pub const ARCHIVE_LOGS: &str = "/v1/archive/logs";
