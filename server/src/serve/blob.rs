//! Documents: uploads that go on where they stopped, and downloads for those who may read them.
//!
//! A blob belongs to one log and to the device that uploads it, until a record names it; from then on
//! whoever may read such a record, by a leaf or a grant, may read the blob, and nobody else. The key list
//! of a grant is for its grantee alone, and goes two weeks after it was picked up. Everybody else gets the same
//! answer whether there is such a blob or not (`docs/attacks.md` 31).

use std::sync::Arc;

use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hauspost_protocol::company::body::Role;
use hauspost_protocol::crypto::Secret;
use hauspost_protocol::file::{self, Layout, Present, TAG_BYTES};
use hauspost_protocol::ids::{DeviceId, Digest, LogId, LogNo, Seq, TimeMs};
use hauspost_protocol::wire::BlobBegin;

use super::answer::{Answer, Cbor, Refusal, parse_digest};
use super::archive;
use super::history::Granted;
use super::limits::{BlobQuota, BlobTerms, GRANT_KEPT_MS};
use super::node::Node;
use super::session::{Claim, Session};
use super::uploads;
use crate::blobs::{self, BlobError, BlobId};
use crate::store::{BlobRow, LogRow, NewBlob, ReadTx, Tx};

/// POST: begins an upload, or asks which chunks of it are there.
pub async fn begin(
    State(node): State<Arc<Node>>,
    claim: Claim,
    Path((log, root)): Path<(String, String)>,
    Cbor(request): Cbor<BlobBegin>,
) -> Result<Answer<Present>, Refusal> {
    let (log, root) = (log.parse()?, parse_digest(&root)?);
    let layout = Layout::of_blob(request.size).ok_or(Refusal::Form)?;
    if !request.leaves.are_of(root, layout) {
        return Err(Refusal::Form);
    }
    let (limits, now_ms) = (node.blob_limits, node.now_ms());
    let leaves = request.leaves.clone();
    let (id, noted) = node
        .write_as(&claim, move |tx, session| {
            let device = session.device()?.device;
            let no = joined(tx, device, log)?.no;
            let leaves = &request.leaves;
            let blob = NewBlob { root, layout, leaves, uploader: device, begun_ms: now_ms };
            begin_or_resume(tx, no, &blob, &limits.under(&session.company.now().terms().general))
        })
        .await?;
    let store = Arc::clone(&node.blobs);
    blocking(move || store.create(id)).await?;
    if noted.is_complete(layout) {
        node.uploads.forget(id);
        return Ok(Answer(noted));
    }
    let upload = match node.uploads.find(id, &noted) {
        Some(upload) => upload,
        None => {
            let found = find_loose(&node, id, layout, &noted, leaves).await?;
            node.uploads.join(id, layout, &noted, found)
        }
    };
    if upload.is_due() {
        let named = Upload { log, root, chunk: 0 };
        named.note(&node, &claim, id, &upload).await?;
    }
    Ok(Answer(upload.present()))
}

/// The chunks that lie on the disk, whole and right, without being noted: a server that was killed
/// wrote them.
async fn find_loose(
    node: &Arc<Node>,
    id: BlobId,
    layout: Layout,
    noted: &Present,
    leaves: file::Leaves,
) -> Result<Vec<u32>, Refusal> {
    let key = node.database.read(move |tx| Ok::<_, Refusal>(tx.blob_key(id)?)).await?;
    let key = key.ok_or(Refusal::NotFound)?;
    let noted = noted.clone();
    let store = Arc::clone(&node.blobs);
    blocking(move || {
        let mut found = store.found(id)?;
        found.retain(|chunk| *chunk < layout.chunks() && !noted.has(*chunk));
        let is_there = |chunk: &u32| {
            let read = || {
                let len = layout.sealed_len(*chunk)? + TAG_BYTES;
                let mut bytes = store.read(id, *chunk, len).ok()?;
                blobs::open(&key, id, *chunk, &mut bytes).ok()?;
                Some(leaves.is_chunk(*chunk, &bytes))
            };
            read().unwrap_or(false)
        };
        found.retain(is_there);
        Ok(found)
    })
    .await
}

fn begin_or_resume(
    tx: &mut dyn Tx,
    no: LogNo,
    blob: &NewBlob<'_>,
    terms: &BlobTerms,
) -> Result<(BlobId, Present), Refusal> {
    if let Some(row) = tx.blob(no, blob.root)? {
        if row.uploader != blob.uploader || row.layout != blob.layout {
            return Err(Refusal::conflict("blob"));
        }
        tx.resume_blob(no, blob.root, blob.begun_ms)?;
        return Ok((row.id, row.present));
    }
    if blob.layout.plain_size() > terms.document_bytes {
        return Err(Refusal::Document(terms.document_bytes));
    }
    if let Some(quota) = quota(tx, blob, terms)? {
        return Err(Refusal::Quota(quota));
    }
    Ok((tx.begin_blob(no, blob)?, Present::none(blob.layout)))
}

/// The quota that a new blob would go beyond.
fn quota(tx: &dyn Tx, blob: &NewBlob<'_>, terms: &BlobTerms) -> Result<Option<BlobQuota>, Refusal> {
    let (size, uploader) = (blob.layout.blob_size(), blob.uploader);
    let unnamed = tx.unnamed_blobs(uploader)?;
    let until_ms = || {
        let oldest_ms = tx.oldest_unnamed_blob(uploader)?.unwrap_or(blob.begun_ms);
        Ok::<_, Refusal>(oldest_ms.saturating_add(terms.unnamed_ms))
    };
    if unnamed.count >= terms.unnamed_uploads {
        return Ok(Some(BlobQuota::Uploads(terms.unnamed_uploads, until_ms()?)));
    }
    if unnamed.bytes + size > terms.unnamed_bytes {
        return Ok(Some(BlobQuota::Unnamed(terms.unnamed_bytes, until_ms()?)));
    }
    if let Some(most) = terms.device_bytes
        && tx.blobs_of(uploader)?.bytes + size > most
    {
        return Ok(Some(BlobQuota::Device(most)));
    }
    let most = terms.company_bytes.filter(|most| *most < u64::MAX);
    let all = tx.all_blobs()?.bytes;
    Ok(most.filter(|most| all + size > *most).map(BlobQuota::Company))
}

/// PUT: one chunk's ciphertext with its tag.
pub async fn put(
    State(node): State<Arc<Node>>,
    claim: Claim,
    Path((log, root, chunk)): Path<(String, String, u32)>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(), Refusal> {
    let (log, root, body) = (log.parse()?, parse_digest(&root)?, body?);
    // A chunk that came whole is kept even when its sender is gone, so that nobody sends it again.
    let kept = tokio::spawn(async move {
        let upload = Upload { log, root, chunk };
        let counted = body.len() as u64;
        upload.keep(&node, &claim, body).await?;
        node.metrics.chunk_received(counted);
        Ok(())
    });
    kept.await.unwrap_or(Err(Refusal::Busy))
}

/// A chunk of an upload.
#[derive(Clone, Copy)]
struct Upload {
    log: LogId,
    root: Digest,
    chunk: u32,
}

impl Upload {
    async fn keep(self, node: &Arc<Node>, claim: &Claim, body: Bytes) -> Result<(), Refusal> {
        let place = node.read_as(claim, move |tx, session| self.place(tx, session)).await?;
        if body.len() != place.len || file::leaf(&body) != place.leaf {
            return Err(Refusal::Chunk);
        }
        let noted = &place.row.present;
        if place.row.is_complete() {
            node.uploads.forget(place.id);
            return Ok(());
        }
        let upload = match node.uploads.find(place.id, noted) {
            Some(upload) => upload,
            None => node.uploads.join(place.id, place.row.layout, noted, Vec::new()),
        };
        if !upload.has(self.chunk) {
            let store = Arc::clone(&node.blobs);
            blocking(move || {
                let mut bytes = Vec::with_capacity(blobs::STORED_CHUNK_BYTES);
                bytes.extend_from_slice(&body);
                blobs::seal(&place.key, place.id, self.chunk, &mut bytes);
                store.write(place.id, self.chunk, &bytes)
            })
            .await?;
            upload.wrote(self.chunk);
        }
        if upload.is_due() { self.note(node, claim, place.id, &upload).await } else { Ok(()) }
    }

    /// Makes what was written durable, and notes it. Whoever comes meanwhile waits, so that nobody is told
    /// that a document is complete before it is.
    async fn note(
        self,
        node: &Arc<Node>,
        claim: &Claim,
        id: BlobId,
        upload: &uploads::Upload,
    ) -> Result<(), Refusal> {
        let _one = upload.keeping.lock().await;
        let chunks = upload.take();
        let noted = self.try_to_note(node, claim, id, chunks.clone()).await;
        match &noted {
            Ok(()) if upload.is_complete() => node.uploads.forget(id),
            Ok(()) => {}
            Err(_) => upload.give_back(chunks),
        }
        noted
    }

    async fn try_to_note(
        self,
        node: &Arc<Node>,
        claim: &Claim,
        id: BlobId,
        chunks: Vec<u32>,
    ) -> Result<(), Refusal> {
        if chunks.is_empty() {
            return Ok(());
        }
        let store = Arc::clone(&node.blobs);
        blocking(move || store.sync(id)).await?;
        // The upload may have been given up, or its device revoked, while the chunks were written.
        node.write_as(claim, move |tx, session| {
            let no = self.own(tx, session)?.0;
            Ok(tx.put_chunks(no, self.root, &chunks)?)
        })
        .await
    }

    /// The session's upload: its log's number and its row.
    fn own(self, tx: &dyn ReadTx, session: &Session) -> Result<(LogNo, BlobRow), Refusal> {
        let device = session.device()?.device;
        let no = joined(tx, device, self.log)?.no;
        let row = tx.blob(no, self.root)?.filter(|row| row.uploader == device);
        Ok((no, row.ok_or(Refusal::NotFound)?))
    }

    fn place(self, tx: &dyn ReadTx, session: &Session) -> Result<Place, Refusal> {
        let (_, row) = self.own(tx, session)?;
        Ok(Place {
            id: row.id,
            len: row.layout.sealed_len(self.chunk).ok_or(Refusal::NotFound)?,
            leaf: tx.blob_leaf(row.id, self.chunk)?.ok_or(Refusal::NotFound)?,
            key: tx.blob_key(row.id)?.ok_or(Refusal::NotFound)?,
            row,
        })
    }
}

/// Where a chunk belongs and what it must be.
struct Place {
    id: BlobId,
    len: usize,
    leaf: Digest,
    key: Secret,
    row: BlobRow,
}

/// The log, if the device has a leaf in it now.
fn joined(tx: &dyn ReadTx, device: DeviceId, log: LogId) -> Result<LogRow, Refusal> {
    let log = tx.log(log)?.ok_or(Refusal::NotFound)?;
    let stays = tx.stays(log.no, device)?;
    if stays.iter().any(|stay| stay.to.is_none()) { Ok(log) } else { Err(Refusal::NotFound) }
}

/// GET: one chunk, for a device that may read a record naming its blob.
pub async fn get(
    State(node): State<Arc<Node>>,
    claim: Claim,
    Path((log, root, chunk)): Path<(String, String, u32)>,
) -> Result<Response, Refusal> {
    let (log, root) = (log.parse()?, parse_digest(&root)?);
    let job = move |tx: &dyn ReadTx, session: &Session| {
        let device = session.device()?.device;
        let no = tx.log(log)?.ok_or(Refusal::NotFound)?.no;
        for stay in tx.stays(no, device)? {
            if tx.is_blob_named(no, root, stay.from, stay.to)? {
                return Ok((stored(tx, no, root, chunk)?, None));
            }
        }
        let may = Granted::of(tx, session, no, log)?;
        if tx.is_granted_list(no, root, device)? {
            let stored = stored(tx, no, root, chunk)?;
            let picked = stored.is_last.then_some(no);
            return Ok((stored, picked));
        }
        for seq in tx.blob_names(no, root)? {
            let is_granted = tx.is_granted(no, device, seq)?;
            if is_granted && tx.entry(no, seq)?.is_some_and(|row| may.reads(&row.entry)) {
                return Ok((stored(tx, no, root, chunk)?, None));
            }
        }
        Err(Refusal::NotFound)
    };
    let (stored, picked) = node.read_as(&claim, job).await?;
    let sent = send(&node, stored).await?;
    if let Some(no) = picked {
        let now_ms = node.now_ms();
        let pick =
            move |tx: &mut dyn Tx, _: &Session| Ok::<_, Refusal>(tx.pick_list(no, root, now_ms)?);
        node.write_as(&claim, pick).await?;
    }
    Ok(sent)
}

/// GET: one chunk, for an officer under an opening whose scope holds a record naming its blob.
pub async fn get_opened(
    State(node): State<Arc<Node>>,
    claim: Claim,
    Path((opening, log, root, chunk)): Path<(u64, String, String, u32)>,
) -> Result<Response, Refusal> {
    let (log, root): (LogId, _) = (log.parse()?, parse_digest(&root)?);
    let job = move |tx: &dyn ReadTx, session: &Session| {
        session.must_have(&[Role::Officer])?;
        let opening = Seq(opening.min(u64::MAX >> 1));
        let opening = session.company.now().opening(opening).ok_or(Refusal::NotFound)?;
        let no = tx.log(log)?.ok_or(Refusal::NotFound)?.no;
        for seq in tx.blob_names(no, root)? {
            let naming = tx.entry(no, seq)?.ok_or(Refusal::NotFound)?;
            if archive::is_in_scope(session, opening, log, &naming) {
                return stored(tx, no, root, chunk);
            }
        }
        Err(Refusal::NotFound)
    };
    let stored = node.read_as(&claim, job).await?;
    send(&node, stored).await
}

/// A chunk that may be sent.
struct Stored {
    id: BlobId,
    chunk: u32,
    len: usize,
    is_last: bool,
    key: Secret,
}

fn stored(tx: &dyn ReadTx, no: LogNo, root: Digest, chunk: u32) -> Result<Stored, Refusal> {
    let row = tx.blob(no, root)?.ok_or(Refusal::NotFound)?;
    let len = row.layout.sealed_len(chunk).ok_or(Refusal::NotFound)? + TAG_BYTES;
    let key = tx.blob_key(row.id)?.ok_or(Refusal::NotFound)?;
    let is_last = chunk + 1 == row.layout.chunks();
    Ok(Stored { id: row.id, chunk, len, is_last, key })
}

async fn send(node: &Arc<Node>, stored: Stored) -> Result<Response, Refusal> {
    let store = Arc::clone(&node.blobs);
    let bytes = blocking(move || {
        let read = || {
            let mut bytes = store.read(stored.id, stored.chunk, stored.len)?;
            blobs::open(&stored.key, stored.id, stored.chunk, &mut bytes)?;
            Ok(bytes)
        };
        match read() {
            // What was remembered of it may be older than its repair.
            Err(BlobError::Damaged) => {
                store.doubt(stored.id);
                read()
            }
            read => read,
        }
    })
    .await?;
    node.metrics.chunk_sent(bytes.len() as u64);
    Ok(([(CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

/// Runs what waits for the disk beside the requests.
async fn blocking<T: Send + 'static>(
    job: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(job).await;
    done.map_err(|_| Refusal::Busy)?.map_err(Refusal::from)
}

/// Removes what no record names any more, or ever did: uploads that were given up, key lists that were
/// picked up long ago, and bytes whose shred key is gone. Returns how many blobs it removed.
pub async fn collect(node: &Arc<Node>) -> Result<usize, Refusal> {
    let now_ms = node.now_ms();
    let picked_before_ms = now_ms.saturating_sub(GRANT_KEPT_MS);
    let mut removed = 0;
    loop {
        let of_company = Arc::clone(node);
        let drop_some = move |tx: &mut dyn Tx| {
            let company = match of_company.company.write(tx) {
                // Nothing was uploaded either.
                Err(Refusal::NotFounded) => return Ok(Vec::new()),
                company => company?,
            };
            let terms = of_company.blob_limits.under(&company.now().terms().general);
            match drop_abandoned(tx, now_ms.saturating_sub(terms.unnamed_ms))? {
                none if none.is_empty() => drop_picked(tx, picked_before_ms),
                dropped => Ok(dropped),
            }
        };
        let dropped = node.database.write(drop_some).await?;
        if dropped.is_empty() {
            return Ok(removed);
        }
        removed += dropped.len();
        remove(node, dropped).await?;
    }
}

/// Removes the bytes of blobs whose shred key is gone, and the keys of blobs that were never begun: a
/// crash may have come before the former's removal, and between the two.
pub async fn sweep(node: &Arc<Node>) -> Result<usize, Refusal> {
    let mut after = None;
    loop {
        let drop = move |tx: &mut dyn Tx| tx.drop_idle_keys(after, KEYS_AT_ONCE);
        let (dropped, next) = node.database.write(drop).await?;
        if dropped > 0 {
            tracing::info!(dropped, "keys of documents that were never begun are deleted");
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    let store = Arc::clone(&node.blobs);
    let found = blocking(move || store.list()).await?;
    let job = move |tx: &dyn ReadTx| {
        let mut unreadable = Vec::new();
        for blob in found {
            if tx.blob_key(blob)?.is_none() {
                unreadable.push(blob);
            }
        }
        Ok::<_, Refusal>(unreadable)
    };
    let unreadable = node.database.read(job).await?;
    let count = unreadable.len();
    remove(node, unreadable).await?;
    Ok(count)
}

/// Shred keys looked at in one transaction, at most.
const KEYS_AT_ONCE: usize = 1_000;
/// Uploads dropped in one transaction, at most.
const DROPPED_AT_ONCE: usize = 64;

fn drop_abandoned(tx: &mut dyn Tx, before_ms: TimeMs) -> Result<Vec<BlobId>, Refusal> {
    let mut dropped = Vec::new();
    for (no, root) in tx.abandoned_blobs(before_ms, DROPPED_AT_ONCE)? {
        dropped.extend(tx.drop_blob(no, root)?);
    }
    Ok(dropped)
}

fn drop_picked(tx: &mut dyn Tx, before_ms: TimeMs) -> Result<Vec<BlobId>, Refusal> {
    let mut dropped = Vec::new();
    for (no, root) in tx.lists_picked_before(before_ms, DROPPED_AT_ONCE)? {
        dropped.extend(tx.drop_blob(no, root)?);
        tx.forget_list(no, root)?;
    }
    Ok(dropped)
}

/// Lets go of uploads that nobody went on with here since this was called last. What was written of them is made
/// durable, so that it is found when they are taken up again.
pub async fn let_go(node: &Arc<Node>) -> Result<usize, Refusal> {
    let idle = node.uploads.idle();
    let (count, store) = (idle.len(), Arc::clone(&node.blobs));
    let sync = move |blob: BlobId| match store.sync(blob) {
        // Collected meanwhile.
        Err(BlobError::Damaged) => Ok(()),
        synced => synced,
    };
    blocking(move || idle.into_iter().try_for_each(sync)).await?;
    Ok(count)
}

async fn remove(node: &Arc<Node>, blobs: Vec<BlobId>) -> Result<(), Refusal> {
    blobs.iter().for_each(|blob| node.uploads.forget(*blob));
    let store = Arc::clone(&node.blobs);
    blocking(move || blobs.into_iter().try_for_each(|blob| store.remove(blob))).await
}

/// Collects every hour and sweeps every day, both at the start too, until the server stops.
pub async fn keep_collecting(node: Arc<Node>) {
    let mut hour = tokio::time::interval(COLLECT_EVERY);
    for passed in 0_u64.. {
        tokio::select! {
            () = node.stopping.cancelled() => return,
            _ = hour.tick() => {}
        }
        if passed.is_multiple_of(SWEEP_AT)
            && let Err(error) = sweep(&node).await
        {
            tracing::error!(%error, "documents without a key could not be removed");
        }
        if let Err(error) = let_go(&node).await {
            tracing::warn!(%error, "uploads that stand still could not be made durable");
        }
        match collect(&node).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "uploads that were given up are removed"),
            Err(error) => {
                tracing::error!(%error, "uploads that were given up could not be removed")
            }
        }
    }
}

const COLLECT_EVERY: std::time::Duration = std::time::Duration::from_secs(3_600);
/// So many collections apart.
const SWEEP_AT: u64 = 24;
