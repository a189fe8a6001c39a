//! Chunks of uploads that are written and not durable yet.
//!
//! A chunk is noted in the database only once it is durable, and to make each durable by itself would
//! cost more than everything else that is done with it. So chunks are written as they come and noted
//! many at once, after one flush: every few megabytes, and before the answer to the one that completes
//! its document. What a killed server had written and not noted is found again by its hashes when the
//! upload is taken up ([`Uploads::join`]); what a power cut took was never noted.
//!
//! What is known here is this node's alone, and so it is never more than a reason not to write a chunk twice.
//! Another node may take chunks of the same upload: what it noted is added to what is known here
//! at each request, what it has not noted is asked for again, and an upload that went on elsewhere is
//! forgotten here after a while ([`Uploads::idle`]).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hauspost_protocol::file::{Layout, Present};

use crate::blobs::BlobId;

/// Chunks that are noted together, at most: 4 MiB.
const TOGETHER: usize = 64;

/// The uploads that this server has seen chunks of.
#[derive(Default)]
pub struct Uploads(Mutex<HashMap<BlobId, Arc<Upload>>>);

/// One upload.
pub struct Upload {
    layout: Layout,
    known: Mutex<Known>,
    /// Not asked for since the last look.
    is_idle: AtomicBool,
    /// Whoever makes chunks durable and notes them.
    pub keeping: tokio::sync::Mutex<()>,
}

struct Known {
    /// The chunks that are written, noted or not.
    present: Present,
    /// Those that are not noted.
    loose: Vec<u32>,
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks panics between two writes.
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Uploads {
    /// The upload of this blob, if chunks of it were seen since the node started. `noted` are its chunks in
    /// the database.
    pub fn find(&self, blob: BlobId, noted: &Present) -> Option<Arc<Upload>> {
        let upload = lock(&self.0).get(&blob).cloned()?;
        upload.is_idle.store(false, Ordering::Relaxed);
        lock(&upload.known).present.add_all(noted);
        Some(upload)
    }

    /// The upload of this blob, known from now on; `found` are chunks that are written and not noted.
    pub fn join(
        &self,
        blob: BlobId,
        layout: Layout,
        noted: &Present,
        found: Vec<u32>,
    ) -> Arc<Upload> {
        let mut uploads = lock(&self.0);
        let new = || {
            let known = Mutex::new(Known { present: noted.clone(), loose: Vec::new() });
            let (is_idle, keeping) = Default::default();
            Arc::new(Upload { layout, known, is_idle, keeping })
        };
        let upload = Arc::clone(uploads.entry(blob).or_insert_with(new));
        found.into_iter().for_each(|chunk| upload.wrote(chunk));
        upload
    }

    /// Forgets and gives back the uploads that nobody asked for since this was called last.
    pub fn idle(&self) -> Vec<BlobId> {
        let mut idle = Vec::new();
        lock(&self.0).retain(|blob, upload| {
            let was_idle = upload.is_idle.swap(true, Ordering::Relaxed);
            if was_idle {
                idle.push(*blob);
            }
            !was_idle
        });
        idle
    }

    /// Forgets an upload: it is complete, or was given up.
    pub fn forget(&self, blob: BlobId) {
        lock(&self.0).remove(&blob);
    }
}

impl Upload {
    /// The chunks that are written.
    pub fn present(&self) -> Present {
        lock(&self.known).present.clone()
    }

    /// Whether this chunk is written.
    pub fn has(&self, chunk: u32) -> bool {
        lock(&self.known).present.has(chunk)
    }

    /// A chunk was written.
    pub fn wrote(&self, chunk: u32) {
        let mut known = lock(&self.known);
        if !known.present.has(chunk) {
            known.present.add(chunk);
            known.loose.push(chunk);
        }
    }

    /// Whether chunks are to be noted now: enough of them, or all that there are.
    pub fn is_due(&self) -> bool {
        let known = lock(&self.known);
        known.loose.len() >= TOGETHER || known.present.is_complete(self.layout)
    }

    /// Whether the document is complete.
    pub fn is_complete(&self) -> bool {
        lock(&self.known).present.is_complete(self.layout)
    }

    /// The chunks that are to be made durable and noted; whoever takes them does it, or gives them back.
    pub fn take(&self) -> Vec<u32> {
        std::mem::take(&mut lock(&self.known).loose)
    }

    /// They could not be noted.
    pub fn give_back(&self, chunks: Vec<u32>) {
        lock(&self.known).loose.extend(chunks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOB: BlobId = BlobId([1; 16]);

    #[test]
    fn chunks_are_due_when_there_are_enough_or_all() {
        let layout = Layout::of_plain(100 * 65_536).unwrap();
        let uploads = Uploads::default();
        let upload = uploads.join(BLOB, layout, &Present::none(layout), vec![]);
        for chunk in 0..63 {
            upload.wrote(chunk);
            upload.wrote(chunk);
            assert!(!upload.is_due(), "{chunk}");
        }
        upload.wrote(63);
        assert!(upload.is_due());
        let taken = upload.take();
        assert_eq!(taken.len(), 64);
        assert!(!upload.is_due());
        upload.give_back(taken);
        assert!(upload.is_due(), "they are still to be noted");
        upload.take();
        (64..100).for_each(|chunk| upload.wrote(chunk));
        assert!(upload.is_due() && upload.is_complete());
    }

    #[test]
    fn an_upload_is_what_was_noted_and_what_was_found_until_it_is_forgotten() {
        let layout = Layout::of_plain(3 * 65_536).unwrap();
        let uploads = Uploads::default();
        let mut noted = Present::none(layout);
        noted.add(0);
        let upload = uploads.join(BLOB, layout, &noted, vec![2]);
        assert_eq!((upload.has(0), upload.has(1), upload.has(2)), (true, false, true));
        assert_eq!(uploads.find(BLOB, &noted).unwrap().take(), [2]);
        uploads.forget(BLOB);
        assert!(uploads.find(BLOB, &noted).is_none());
    }

    #[test]
    fn what_another_node_noted_is_known_here_and_nothing_of_it_is_noted_again() {
        let layout = Layout::of_plain(3 * 65_536).unwrap();
        let (uploads, mut noted) = (Uploads::default(), Present::none(layout));
        let upload = uploads.join(BLOB, layout, &noted, vec![]);
        upload.wrote(0);
        [0, 1].into_iter().for_each(|chunk| noted.add(chunk));
        let upload = uploads.find(BLOB, &noted).unwrap();
        assert!(upload.has(1) && !upload.is_due());
        upload.wrote(1);
        upload.wrote(2);
        assert!(upload.is_due() && upload.is_complete());
        assert_eq!(upload.take(), [0, 2]);
    }

    #[test]
    fn an_upload_that_nobody_asked_for_between_two_looks_is_let_go_of() {
        let layout = Layout::of_plain(1).unwrap();
        let (uploads, noted) = (Uploads::default(), Present::none(layout));
        uploads.join(BLOB, layout, &noted, vec![]);
        assert!(uploads.idle().is_empty(), "it may have begun a moment ago");
        assert!(uploads.find(BLOB, &noted).is_some());
        assert_eq!(uploads.idle(), []);
        assert_eq!(uploads.idle(), [BLOB]);
        assert!(uploads.find(BLOB, &noted).is_none());
    }
}
