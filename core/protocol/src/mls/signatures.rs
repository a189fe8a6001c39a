//! Where the signatures of key packages stand in a commit, and those of leaves in a tree, without judging
//! anything.
//!
//! OpenMLS parses a commit, or a tree, and verifies it in one call. To verify ahead of it, one has to find what is
//! signed; the rest is skipped, and where the bytes are not what was expected the search ends.
//!
//! Source: RFC 9420 §5.1.2, §6, §7.1, §7.2, §10, §12, §12.4.3.3.

use crate::limits;

/// Something signed, as `SignWithLabel` signs it.
pub struct Signed<'a> {
    /// The Ed25519 key.
    pub key: &'a [u8],
    /// `SignContent`: label and bytes.
    pub content: Vec<u8>,
    /// The signature.
    pub signature: &'a [u8],
}

/// The signatures of the key packages that a commit (an MLSMessage) adds by: of each that of its leaf
/// and its own.
pub fn in_key_packages(mls_message: &[u8]) -> Vec<Signed<'_>> {
    let mut found = Vec::new();
    // None: the bytes end, or are something else. What was found before stays.
    let _ = Cursor(mls_message).commit(&mut found);
    found
}

/// The signatures of the leaves of a ratchet tree, as it travels, of the group with this id.
pub fn in_tree<'a>(group_id: &[u8], tree: &'a [u8]) -> Vec<Signed<'a>> {
    let mut found = Vec::new();
    let _ = Cursor(tree).tree(group_id, &mut found);
    found
}

/// The rest of the bytes.
#[derive(Clone, Copy)]
struct Cursor<'a>(&'a [u8]);

/// RFC 9420 §6 and §12, as far as they are needed.
const PUBLIC_MESSAGE: u16 = 1;
const SENDER_MEMBER: u8 = 1;
const CONTENT_COMMIT: u8 = 3;
const PROPOSAL: u8 = 1;
const ADD: u16 = 1;
const REMOVE: u16 = 3;
const GROUP_CONTEXT_EXTENSIONS: u16 = 7;
const SOURCE_KEY_PACKAGE: u8 = 1;
const SOURCE_COMMIT: u8 = 3;
const BLANK: u8 = 0;
const LEAF: u8 = 1;

impl<'a> Cursor<'a> {
    fn commit(mut self, found: &mut Vec<Signed<'a>>) -> Option<()> {
        self.take(2)?;
        if self.u16()? != PUBLIC_MESSAGE {
            return None;
        }
        self.vector()?; // the group's id
        self.take(8)?; // the epoch
        if self.u8()? == SENDER_MEMBER {
            self.take(4)?;
        }
        self.vector()?; // authenticated data
        if self.u8()? != CONTENT_COMMIT {
            return None;
        }
        let mut proposals = Cursor(self.vector()?);
        while !proposals.0.is_empty() && found.len() < 2 * limits::LEAVES {
            if proposals.u8()? != PROPOSAL {
                return None;
            }
            match proposals.u16()? {
                ADD => found.extend(proposals.key_package()?),
                REMOVE => drop(proposals.take(4)?),
                GROUP_CONTEXT_EXTENSIONS => drop(proposals.vector()?),
                _ => return None,
            }
        }
        Some(())
    }

    fn key_package(&mut self) -> Option<[Signed<'a>; 2]> {
        let package = *self;
        self.take(4)?; // version and suite
        self.vector()?; // init key
        let of_leaf = self.leaf(&[])?;
        self.vector()?; // the package's extensions
        let of_package = content("KeyPackageTBS", package.until(*self))?;
        let signature = self.vector()?;
        let key = of_leaf.key;
        Some([of_leaf, Signed { key, content: of_package, signature }])
    }

    fn tree(mut self, group_id: &[u8], found: &mut Vec<Signed<'a>>) -> Option<()> {
        let mut nodes = Cursor(self.vector()?);
        // Leaves and parents take turns (RFC 9420 appendix C).
        for at in 0u32.. {
            if nodes.0.is_empty() || found.len() >= limits::LEAVES {
                break;
            }
            if nodes.u8()? == BLANK {
                continue;
            }
            if nodes.u8()? == LEAF {
                let mut place = vec![u8::try_from(group_id.len()).ok().filter(|n| *n < 0x40)?];
                place.extend_from_slice(group_id);
                place.extend_from_slice(&(at / 2).to_be_bytes());
                found.push(nodes.leaf(&place)?);
            } else {
                nodes.vector()?; // encryption key
                nodes.vector()?; // parent hash
                nodes.vector()?; // unmerged leaves
            }
        }
        Some(())
    }

    /// A leaf. One that its member made in the group is signed for its place there, group id and index,
    /// too (RFC 9420 §7.2).
    fn leaf(&mut self, place: &[u8]) -> Option<Signed<'a>> {
        let leaf = *self;
        self.vector()?; // encryption key
        let key = self.vector()?;
        self.take(2)?; // the credential's type
        self.vector()?;
        for _capability in 0..5 {
            self.vector()?;
        }
        let mut place = place;
        match self.u8()? {
            SOURCE_KEY_PACKAGE => {
                self.take(16)?; // lifetime
                place = &[];
            }
            SOURCE_COMMIT if !place.is_empty() => drop(self.vector()?), // parent hash
            _ => return None,
        }
        self.vector()?; // extensions
        let content = content("LeafNodeTBS", &[leaf.until(*self), place].concat())?;
        Some(Signed { key, content, signature: self.vector()? })
    }

    /// The bytes up to where another cursor over the same bytes stands.
    fn until(self, later: Self) -> &'a [u8] {
        &self.0[..self.0.len() - later.0.len()]
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    /// A vector with its length in front, of 1, 2 or 4 bytes (RFC 9420 §2.1.2).
    fn vector(&mut self) -> Option<&'a [u8]> {
        let first = *self.0.first()?;
        let length_bytes = match first >> 6 {
            0 => 1,
            1 => 2,
            2 => 4,
            _ => return None,
        };
        let mut length = usize::from(first & 0x3f);
        for byte in &self.take(length_bytes)?[1..] {
            length = length << 8 | usize::from(*byte);
        }
        self.take(length)
    }
}

/// `SignContent` with MLS' own prefix of labels.
fn content(label: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::with_capacity(bytes.len() + 32);
    for part in [format!("MLS 1.0 {label}").as_bytes(), bytes] {
        match u32::try_from(part.len()).ok()? {
            length @ 0..0x40 => content.push(length as u8),
            length @ 0x40..0x4000 => content.extend((length as u16 | 0x4000).to_be_bytes()),
            length @ 0x4000..0x4000_0000 => content.extend((length | 0x8000_0000).to_be_bytes()),
            _ => return None,
        }
        content.extend_from_slice(part);
    }
    Some(content)
}
