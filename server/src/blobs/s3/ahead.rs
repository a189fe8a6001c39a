//! Chunks that were read ahead: whoever reads a document reads it in order, and a request of its own for
//! each 64 KiB would cost more time and money than what it brings.
//!
//! What was read ahead and not asked for is kept for so many reads, and while all room is taken by such
//! chunks nothing is read ahead: a thousand documents read at once cost a request each chunk, and no more.

use std::collections::HashMap;

use crate::blobs::BlobId;

/// Chunks in memory, at most: 64 MiB.
const KEPT: usize = 1_024;
/// After so many reads without being asked for a chunk makes room.
const PATIENCE: u64 = 8 * KEPT as u64;

#[derive(Default)]
pub(super) struct Ahead {
    chunks: HashMap<(BlobId, u32), Kept>,
    /// Reads so far.
    now: u64,
}

struct Kept {
    stored: Vec<u8>,
    since: u64,
    was_read: bool,
}

impl Ahead {
    /// A chunk of this length, if it was read ahead.
    pub(super) fn find(&mut self, blob: BlobId, chunk: u32, len: usize) -> Option<Vec<u8>> {
        self.now += 1;
        let kept = self.chunks.get_mut(&(blob, chunk)).filter(|kept| kept.stored.len() == len)?;
        kept.was_read = true;
        Some(kept.stored.clone())
    }

    /// Whether there is room for so many chunks.
    pub(super) fn has_room(&mut self, chunks: usize) -> bool {
        if self.chunks.len() + chunks > KEPT {
            let now = self.now;
            self.chunks.retain(|_, kept| !kept.was_read && kept.since + PATIENCE > now);
        }
        self.chunks.len() + chunks <= KEPT
    }

    /// Keeps a chunk, if there is room for it.
    pub(super) fn keep(&mut self, blob: BlobId, chunk: u32, stored: Vec<u8>) {
        if self.chunks.len() < KEPT {
            let kept = Kept { stored, since: self.now, was_read: false };
            self.chunks.insert((blob, chunk), kept);
        }
    }

    /// Forgets a blob.
    pub(super) fn forget(&mut self, blob: BlobId) {
        self.chunks.retain(|(known, _), _| *known != blob);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: BlobId = BlobId([1; 16]);
    const TWO: BlobId = BlobId([2; 16]);

    #[test]
    fn what_was_read_ahead_is_found_by_its_blob_place_and_length_until_it_is_forgotten() {
        let mut ahead = Ahead::default();
        ahead.keep(ONE, 3, b"four".to_vec());
        assert_eq!(ahead.find(ONE, 3, 4).unwrap(), b"four");
        assert_eq!(ahead.find(ONE, 3, 4).unwrap(), b"four", "for the next one who reads it");
        for (blob, chunk, len) in [(TWO, 3, 4), (ONE, 2, 4), (ONE, 3, 5)] {
            assert_eq!(ahead.find(blob, chunk, len), None);
        }
        ahead.forget(ONE);
        assert_eq!(ahead.find(ONE, 3, 4), None);
    }

    #[test]
    fn what_nobody_asked_for_yet_keeps_its_room_for_a_while_and_no_longer() {
        let mut ahead = Ahead::default();
        assert!(ahead.has_room(15));
        (0..KEPT as u32).for_each(|chunk| ahead.keep(ONE, chunk, vec![0]));
        assert!(!ahead.has_room(1), "all of it may still be asked for");
        ahead.keep(TWO, 0, vec![0]);
        assert_eq!(ahead.find(TWO, 0, 1), None);
        (0..10).for_each(|chunk| assert!(ahead.find(ONE, chunk, 1).is_some()));
        assert!(ahead.has_room(10) && !ahead.has_room(11));
        (0..PATIENCE).for_each(|_| drop(ahead.find(TWO, 0, 1)));
        assert!(ahead.has_room(KEPT));
    }
}
