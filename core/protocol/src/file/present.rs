//! Which chunks of a ciphertext are there: what an upload, or a download, resumes by.

use super::{Layout, Leaves};
use crate::encoding::{FormError, Item, Reader, Writer};
use crate::limits;

/// A bit for each chunk: chunk n is bit n mod 8, the lowest first, of byte ⌊n / 8⌋.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present(Vec<u8>);

impl Present {
    /// No chunk of a ciphertext of this layout.
    pub fn none(layout: Layout) -> Self {
        Self(vec![0; layout.chunks().div_ceil(8) as usize])
    }

    /// All of them.
    pub fn all(layout: Layout) -> Self {
        let mut all = Self::none(layout);
        (0..layout.chunks()).for_each(|chunk| all.add(chunk));
        all
    }

    /// The bitmap of these bytes, if it may be one of this layout.
    pub fn from_bytes(bytes: Vec<u8>, layout: Layout) -> Option<Self> {
        let known = Self(bytes);
        let fits = known.0.len() == layout.chunks().div_ceil(8) as usize;
        let beyond =
            (layout.chunks()..layout.chunks().next_multiple_of(8)).any(|chunk| known.has(chunk));
        (fits && !beyond).then_some(known)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this chunk is there.
    pub fn has(&self, chunk: u32) -> bool {
        self.0.get(chunk as usize / 8).is_some_and(|byte| byte & (1 << (chunk % 8)) != 0)
    }

    /// Notes a chunk; one that the ciphertext does not have changes nothing.
    pub fn add(&mut self, chunk: u32) {
        if let Some(byte) = self.0.get_mut(chunk as usize / 8) {
            *byte |= 1 << (chunk % 8);
        }
    }

    /// Notes all chunks that another bitmap of the same ciphertext has.
    pub fn add_all(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| *mine |= theirs);
    }

    /// The chunks that are missing, in order.
    pub fn missing(&self, layout: Layout) -> impl Iterator<Item = u32> + '_ {
        (0..layout.chunks()).filter(|chunk| !self.has(*chunk))
    }

    /// Whether none is missing.
    pub fn is_complete(&self, layout: Layout) -> bool {
        self.missing(layout).next().is_none()
    }
}

/// One byte string.
impl Item for Present {
    fn write(&self, to: &mut Writer) {
        to.bytes(&self.0);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        let bytes = from.bytes()?;
        if bytes.len() > Leaves::MOST.div_ceil(8) {
            return Err(FormError::TooLarge);
        }
        Ok(Self(bytes.to_vec()))
    }
}

impl Leaves {
    /// Chunks of the largest ciphertext.
    pub const MOST: usize = limits::BLOB_BYTES.div_ceil(super::SEALED_CHUNK_BYTES as u64) as usize;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::{decode, encode};
    use crate::file::CHUNK_BYTES;

    fn layout(chunks: u64) -> Layout {
        Layout::of_plain(chunks * CHUNK_BYTES as u64).unwrap()
    }

    #[test]
    fn a_ciphertext_is_complete_when_its_last_missing_chunk_came() {
        for chunks in [1, 7, 8, 9, 20] {
            let layout = layout(chunks);
            let mut present = Present::none(layout);
            for chunk in (0..chunks as u32).rev() {
                assert!(!present.is_complete(layout));
                assert_eq!(present.missing(layout).last(), Some(chunk));
                present.add(chunk);
            }
            assert!(present.is_complete(layout), "{chunks}");
            assert_eq!(present, Present::all(layout));
        }
    }

    #[test]
    fn what_another_bitmap_has_is_added_to_what_is_there() {
        let mut present = Present::none(layout(9));
        present.add(1);
        let mut other = Present::none(layout(9));
        [0, 8].into_iter().for_each(|chunk| other.add(chunk));
        present.add_all(&other);
        assert_eq!(present.missing(layout(9)).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn a_bitmap_of_another_length_or_with_chunks_beyond_the_end_is_none() {
        let all = Present::all(layout(9)).as_bytes().to_vec();
        assert_eq!(all, [0xff, 0x01]);
        assert!(Present::from_bytes(all.clone(), layout(9)).is_some());
        assert!(Present::from_bytes(vec![0xff, 0x03], layout(9)).is_none());
        assert!(Present::from_bytes(all, layout(8)).is_none());
        assert!(Present::from_bytes(vec![], layout(1)).is_none());
    }

    #[test]
    fn a_bitmap_travels_as_one_byte_string_within_its_limit() {
        let present = Present::all(layout(9));
        assert_eq!(decode::<Present>(&encode(&present)), Ok(present));
        let long = Present(vec![0; Leaves::MOST.div_ceil(8) + 1]);
        assert_eq!(decode::<Present>(&encode(&long)), Err(FormError::TooLarge));
    }
}
