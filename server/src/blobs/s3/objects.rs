//! What objects are called: each name says which chunks it holds, and so is never written with two contents.
//!
//! A blob's chunks are numbered through in segments of 64. An object holds some chunks of one segment, in
//! their order, one after the other; its name is the segment's number and a bit for each chunk that is
//! in it. What is uploaded in order makes one object of four megabytes a segment; what comes in pieces makes
//! several, none of which is ever changed, so that nodes need not agree on anything.

use crate::blobs::STORED_CHUNK_BYTES;

/// Chunks of a segment: as many as are noted together.
pub(super) const SEGMENT_CHUNKS: u32 = 64;
const CHUNK: u64 = STORED_CHUNK_BYTES as u64;

/// An object of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Object {
    /// The segment.
    segment: u32,
    /// A bit for each of its chunks that is in the object, the lowest for the first.
    chunks: u64,
}

impl Object {
    /// The objects that hold these chunks, each with the numbers of its chunks in their order.
    pub(super) fn of(chunks: impl IntoIterator<Item = u32>) -> Vec<Self> {
        let mut objects: Vec<Self> = Vec::new();
        let mut sorted: Vec<u32> = chunks.into_iter().collect();
        sorted.sort_unstable();
        for chunk in sorted {
            let (segment, bit) = (chunk / SEGMENT_CHUNKS, 1 << (chunk % SEGMENT_CHUNKS));
            match objects.last_mut() {
                Some(last) if last.segment == segment => last.chunks |= bit,
                _ => objects.push(Self { segment, chunks: bit }),
            }
        }
        objects
    }

    /// What it is called.
    pub(super) fn name(self) -> String {
        format!("{:06x}-{:016x}", self.segment, self.chunks)
    }

    /// What is called so and has so many bytes; `None` if it is nothing of ours, or not whole.
    pub(super) fn parse(name: &str, size_bytes: u64) -> Option<Self> {
        let (segment, chunks) = name.split_once('-')?;
        let segment = u32::from_str_radix(segment, 16).ok()?;
        let chunks = u64::from_str_radix(chunks, 16).ok()?;
        let object = Self { segment, chunks };
        let count = u64::from(chunks.count_ones());
        // Only a blob's last chunk is shorter than the others.
        let sizes = count.saturating_sub(1) * CHUNK + 1..=count * CHUNK;
        let in_range = segment <= u32::MAX / SEGMENT_CHUNKS;
        (in_range && count > 0 && object.name() == name && sizes.contains(&size_bytes))
            .then_some(object)
    }

    /// The numbers of its chunks, in their order.
    pub(super) fn chunks(self) -> impl Iterator<Item = u32> {
        let first = self.segment * SEGMENT_CHUNKS;
        (0..SEGMENT_CHUNKS)
            .filter(move |bit| self.chunks >> bit & 1 == 1)
            .map(move |bit| first + bit)
    }

    /// Whether it holds this chunk.
    pub(super) fn holds(self, chunk: u32) -> bool {
        chunk / SEGMENT_CHUNKS == self.segment && self.chunks >> (chunk % SEGMENT_CHUNKS) & 1 == 1
    }

    /// The chunks of the object that lie in the same row of so many as this one, and the byte at which they begin.
    pub(super) fn row(self, chunk: u32, of: u32) -> (u64, Vec<u32>) {
        let before = self.chunks().take_while(|held| held / of < chunk / of).count() as u64;
        (before * CHUNK, self.chunks().filter(|held| held / of == chunk / of).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_in_order_make_one_object_a_segment_and_others_as_few_as_there_are_segments() {
        let names = |chunks: &[u32]| {
            Object::of(chunks.iter().copied()).into_iter().map(Object::name).collect::<Vec<_>>()
        };
        assert_eq!(names(&(0..64).collect::<Vec<_>>()), ["000000-ffffffffffffffff"]);
        assert_eq!(names(&[66, 64, 3, 0]), ["000000-0000000000000009", "000001-0000000000000005"]);
        assert_eq!(names(&[]), [""; 0]);
    }

    #[test]
    fn an_object_says_by_its_name_what_it_holds_and_where() {
        let object = Object::of([64, 66, 70])[0];
        assert_eq!(Object::parse(&object.name(), 2 * CHUNK + 9), Some(object));
        assert_eq!(object.chunks().collect::<Vec<_>>(), [64, 66, 70]);
        assert!(object.holds(66) && !object.holds(65) && !object.holds(2));
        assert_eq!(object.row(66, 16), (0, vec![64, 66, 70]));
        assert_eq!(object.row(66, 2), (CHUNK, vec![66]));
        let full = Object::of(0..64)[0];
        assert_eq!(full.row(63, 16), (48 * CHUNK, (48..64).collect()));
        assert_eq!(full.row(63, 1), (63 * CHUNK, vec![63]));
    }

    #[test]
    fn what_is_not_ours_or_not_whole_holds_nothing() {
        let name = Object::of([0, 1])[0].name();
        for size in [0, 1, CHUNK, 2 * CHUNK + 1] {
            assert_eq!(Object::parse(&name, size), None, "{size}");
        }
        for name in [
            "",
            "-",
            "000000-",
            "000000-0000000000000000",
            "00000-0000000000000003",
            "000000-000000000000000A",
            "+00000-0000000000000001",
            "ffffffff-0000000000000001",
            "000000-0000000000000001.part",
        ] {
            assert_eq!(Object::parse(name, CHUNK), None, "{name}");
        }
    }
}
