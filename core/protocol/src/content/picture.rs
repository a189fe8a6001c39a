//! What a conversation's picture may be.

use crate::statement::{File, FileRole};

/// The size of a conversation's picture, in bytes, at most.
pub const PICTURE_BYTES: u64 = 64 << 10;
/// What it may be.
const MEDIA_TYPES: [&str; 2] = ["image/jpeg", "image/png"];

/// What a record with [`Control::Picture`](super::Control::Picture) and these files sets: a picture, or none
/// any more. `None` if it is neither, and so has no effect: all readers tell that from the statement
/// alone, also those who never fetch the file.
pub fn picture(files: &[File]) -> Option<Option<&File>> {
    match files {
        [] => Some(None),
        [file] => {
            let fits = file.role == FileRole::Original
                && file.plain_size <= PICTURE_BYTES
                && MEDIA_TYPES.contains(&file.media_type.as_str());
            fits.then_some(Some(file))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Secret;
    use crate::ids::Digest;

    fn file(media_type: &str, size: u64, role: FileRole) -> File {
        File {
            blob_root: Digest([1; 32]),
            blob_size: size + 16,
            key: Secret::new([2; 32]),
            plain_size: size,
            plain_hash: Digest([3; 32]),
            name: "picture".to_owned(),
            media_type: media_type.to_owned(),
            role,
            of: None,
        }
    }

    #[test]
    fn a_picture_is_one_small_jpeg_or_png_and_without_a_file_there_is_none() {
        assert_eq!(picture(&[]), Some(None));
        let good = file("image/jpeg", PICTURE_BYTES, FileRole::Original);
        assert_eq!(picture(std::slice::from_ref(&good)), Some(Some(&good)));
        for other in [
            file("image/jpeg", PICTURE_BYTES + 1, FileRole::Original),
            file("image/gif", 1, FileRole::Original),
            file("image/png", 1, FileRole::Preview),
        ] {
            assert_eq!(picture(&[other]), None);
        }
        assert_eq!(picture(&[good.clone(), good]), None);
    }
}
