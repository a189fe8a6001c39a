//! The server's routes, one method each.

use std::sync::Arc;

use hauspost_protocol::company::approval::WaitingDevice;
use hauspost_protocol::encoding::{Bytes, FormError, Item, decode, encode};
use hauspost_protocol::entry::Entry;
use hauspost_protocol::file::Present;
use hauspost_protocol::ids::{DeviceId, Digest, Epoch, Gen, LogId, LogNo, Seq};
use hauspost_protocol::mls::member::Suite;
use hauspost_protocol::wire::{
    AppendRequest, BlobBegin, ConsistencyRequest, Delivered, DeliveredRequest, Directory,
    EnrolAnswer, EnrolRequest, HeadsProof, HeadsProofRequest, Hello, HintsRequest, HistoryRequest,
    NewEntry, Outcome, PackageTaken, PackagesPut, PackagesTake, SyncAnswer, SyncRequest, Witnessed,
    WitnessedRequest, path,
};

use super::{Connection, Hints, Method, NetworkError, Request, Response, Session, SyncError};

/// The company's server, as one phone meets it.
#[derive(Clone)]
pub struct Server {
    connection: Arc<dyn Connection>,
    session: Option<Arc<Session>>,
}

impl Server {
    /// The server before the phone is enrolled: only the routes without a session answer.
    pub fn unknown(connection: Arc<dyn Connection>) -> Self {
        Self { connection, session: None }
    }

    /// The server for an enrolled phone.
    pub fn new(connection: Arc<dyn Connection>, session: Session) -> Self {
        Self { connection, session: Some(Arc::new(session)) }
    }

    /// Who the server is.
    pub async fn hello(&self) -> Result<Hello, SyncError> {
        answer(self.connection.request(get(path::HELLO.to_owned())).await?)
    }

    /// Asks for the device's certificate and its place in the company log.
    pub async fn enrol(&self, request: &EnrolRequest) -> Result<EnrolAnswer, SyncError> {
        answer(self.connection.request(post(path::ENROL, request)).await?)
    }

    /// The devices of this phone's user that wait for somebody who signs for them.
    pub async fn waiting(&self) -> Result<Vec<WaitingDevice>, SyncError> {
        self.call(post(path::WAITING, &Vec::<u64>::new())).await
    }

    /// Hands over the entry of a waiting device, signed by this phone.
    pub async fn approve(&self, entry: &NewEntry) -> Result<Seq, SyncError> {
        self.call(post(path::APPROVE, entry)).await
    }

    /// Appends a batch to one log; one outcome for each entry.
    pub async fn append(&self, request: &AppendRequest) -> Result<Vec<Outcome>, SyncError> {
        let outcomes: Vec<Outcome> = self.call(post(path::APPEND, request)).await?;
        if outcomes.len() != request.entries.len() {
            return Err(FormError::Malformed.into());
        }
        Ok(outcomes)
    }

    /// Everything that is new since these cursors.
    pub async fn sync(&self, request: &SyncRequest) -> Result<SyncAnswer, SyncError> {
        self.call(post(path::SYNC, request)).await
    }

    /// The stream of hints.
    pub async fn live(&self) -> Result<Hints, SyncError> {
        let mut request = get(path::LIVE.to_owned());
        let Some(session) = &self.session else { return Err(SyncError::Session) };
        let bearer = session.bearer(&*self.connection).await?;
        request.bearer = Some(bearer.clone());
        match self.connection.stream(request).await {
            Ok(hints) => Ok(hints),
            Err(error) => {
                // A stream tells no status: whether the token was refused shows with the next one.
                if error == NetworkError::Broken {
                    session.forget(&bearer).await;
                }
                Err(error.into())
            }
        }
    }

    /// Reserves the next log number for the session's user.
    pub async fn reserve(&self) -> Result<LogNo, SyncError> {
        self.call(post(path::RESERVE, &Vec::<u64>::new())).await
    }

    /// Hands over key packages of a suite; the answer is the number of one-time ones in stock.
    pub async fn put_packages(&self, packages: &PackagesPut) -> Result<u64, SyncError> {
        self.call(post(path::PACKAGES_PUT, packages)).await
    }

    /// Takes one key package of this suite for each of these devices that has any.
    pub async fn take_packages(
        &self,
        suite: Suite,
        devices: Vec<DeviceId>,
    ) -> Result<Vec<PackageTaken>, SyncError> {
        let request = PackagesTake { suite: suite.code(), devices };
        self.call(post(path::PACKAGES_TAKE, &request)).await
    }

    /// The ratchet tree with this hash, as TLS bytes.
    pub async fn tree(&self, log: LogId, hash: Digest) -> Result<Bytes, SyncError> {
        self.call(get(format!("{}/{log}/{hash}", path::TREE))).await
    }

    /// The GroupInfos of an epoch, as MLSMessages.
    pub async fn group_infos(
        &self,
        log: LogId,
        r#gen: Gen,
        epoch: Epoch,
    ) -> Result<Vec<Bytes>, SyncError> {
        self.call(get(format!("{}/{log}/{gen}/{epoch}", path::GROUP_INFO))).await
    }

    /// Puts this phone's own GroupInfo of the newest epoch.
    pub async fn put_group_info(
        &self,
        log: LogId,
        (r#gen, epoch): (Gen, Epoch),
        info: &Bytes,
    ) -> Result<(), SyncError> {
        let path = format!("{}/{log}/{gen}/{epoch}", path::GROUP_INFO);
        let request = Request { method: Method::Put, path, bearer: None, body: encode(info) };
        self.call::<Vec<u64>>(request).await.map(|_| ())
    }

    /// Those of these records that were granted to this device, as many as fit.
    pub async fn history(&self, request: &HistoryRequest) -> Result<Vec<Entry>, SyncError> {
        self.call(post(path::HISTORY, request)).await
    }

    /// How many of the others have these entries of this person's.
    pub async fn delivered(&self, request: &DeliveredRequest) -> Result<Vec<Delivered>, SyncError> {
        self.call(post(path::DELIVERED, request)).await
    }

    /// Hands over hints for who is connected; nobody stores them.
    pub async fn hints(&self, request: &HintsRequest) -> Result<(), SyncError> {
        self.call::<Vec<u64>>(post(path::HINTS, request)).await.map(|_| ())
    }

    /// The key that grants to a device are sealed to.
    pub async fn history_key(&self, device: DeviceId) -> Result<Bytes, SyncError> {
        self.call(get(format!("{}/{device}", path::HISTORY_KEY))).await
    }

    /// Begins a document's upload, or takes it up: which of its chunks are there.
    pub async fn begin_blob(
        &self,
        log: LogId,
        root: Digest,
        begin: &BlobBegin,
    ) -> Result<Present, SyncError> {
        self.call(post(&format!("{}/{log}/{root}", path::BLOB), begin)).await
    }

    /// Hands over one sealed chunk of a document.
    pub async fn put_chunk(
        &self,
        log: LogId,
        root: Digest,
        chunk: u32,
        sealed: Vec<u8>,
    ) -> Result<(), SyncError> {
        let path = format!("{}/{log}/{root}/{chunk}", path::BLOB);
        let request = Request { method: Method::Put, path, bearer: None, body: sealed };
        self.bytes(request).await.map(|_| ())
    }

    /// One sealed chunk of a document.
    pub async fn chunk(&self, log: LogId, root: Digest, chunk: u32) -> Result<Vec<u8>, SyncError> {
        self.bytes(get(format!("{}/{log}/{root}/{chunk}", path::BLOB))).await
    }

    /// Places of logs in a checkpoint's heads tree.
    pub async fn heads(&self, request: &HeadsProofRequest) -> Result<Vec<HeadsProof>, SyncError> {
        self.call(post(path::PROOF_HEADS, request)).await
    }

    /// The proof that two outer trees are one.
    pub async fn consistency(
        &self,
        request: &ConsistencyRequest,
    ) -> Result<Vec<Digest>, SyncError> {
        self.call(post(path::PROOF_CONSISTENCY, request)).await
    }

    /// Of each witness the newest checkpoint that it cosigned, up to a size.
    pub async fn witnessed(&self, request: &WitnessedRequest) -> Result<Vec<Witnessed>, SyncError> {
        self.call(post(path::WITNESSED, request)).await
    }

    /// The directory's changes since this version.
    pub async fn directory(&self, version: u64) -> Result<Directory, SyncError> {
        self.call(post(path::DIRECTORY, &version)).await
    }

    /// Sends a request under the session. A token that the server does not take any more is
    /// renewed once; a second refusal means the device itself.
    async fn call<T: Item>(&self, request: Request) -> Result<T, SyncError> {
        Ok(decode(&self.bytes(request).await?)?)
    }

    async fn bytes(&self, request: Request) -> Result<Vec<u8>, SyncError> {
        let Some(session) = &self.session else { return Err(SyncError::Session) };
        for _ in 0..2 {
            let bearer = session.bearer(&*self.connection).await?;
            let request = Request { bearer: Some(bearer.clone()), ..request.clone() };
            match accepted(self.connection.request(request).await?) {
                Err(SyncError::Session) => session.forget(&bearer).await,
                other => return other,
            }
        }
        Err(SyncError::Session)
    }
}

fn get(path: String) -> Request {
    Request { method: Method::Get, path, bearer: None, body: Vec::new() }
}

fn post<T: Item>(path: &str, body: &T) -> Request {
    Request { method: Method::Post, path: path.to_owned(), bearer: None, body: encode(body) }
}

/// Reads an answer, or names what its status means.
pub(super) fn answer<T: Item>(response: Response) -> Result<T, SyncError> {
    Ok(decode(&accepted(response)?)?)
}

/// The body of an answer, or what its status means.
fn accepted(response: Response) -> Result<Vec<u8>, SyncError> {
    match response.status {
        200..=299 => Ok(response.body),
        401 => Err(SyncError::Session),
        408 | 425 | 429 | 500..=599 => Err(SyncError::Busy(response.status)),
        status => Err(SyncError::Refused(status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_whether_to_come_back() {
        let busy = Response { status: 503, body: Vec::new() };
        assert!(answer::<u64>(busy).is_err_and(|error| error.is_retryable()));
        let refused = Response { status: 400, body: Vec::new() };
        assert!(answer::<u64>(refused).is_err_and(|error| !error.is_retryable()));
    }
}
