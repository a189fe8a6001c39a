//! MLS state that an operation reads from the database and changes in memory.
//!
//! OpenMLS writes while it computes, and computing a commit for a thousand members takes a tenth of
//! a second: too long for a transaction. So it writes into a [`Scratch`] above the stored state, and
//! what it changed is stored afterwards, in the one transaction that stores everything else. If that
//! transaction never comes, nothing has happened.

use std::cell::RefCell;
use std::collections::BTreeMap;

use hauspost_protocol::encoding::{Bytes, FormError, decode, encode};
use hauspost_protocol::mls::storage::Backend;
use zeroize::{Zeroize as _, Zeroizing};

type Value = Zeroizing<Vec<u8>>;

/// Changed keys above an unchanged backend.
pub struct Scratch<B> {
    below: B,
    changes: RefCell<BTreeMap<Vec<u8>, Option<Value>>>,
}

impl<B: Backend> Scratch<B> {
    /// Nothing changed yet.
    pub fn new(below: B) -> Self {
        Self { below, changes: RefCell::new(BTreeMap::new()) }
    }

    /// Above what earlier operations changed and nobody stored yet.
    pub fn above(below: B, earlier: MlsChanges) -> Self {
        Self { below, changes: RefCell::new(earlier.0) }
    }

    /// What was changed so far, with what was changed before; the scratch is as new afterwards, so this is its last use.
    pub fn take_changes(&self) -> MlsChanges {
        MlsChanges(self.changes.take())
    }
}

impl<B: Backend> Backend for Scratch<B> {
    type Error = B::Error;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, B::Error> {
        match self.changes.borrow().get(key) {
            Some(changed) => Ok(changed.as_ref().map(|value| value.to_vec())),
            None => self.below.get(key),
        }
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), B::Error> {
        let value = Zeroizing::new(value.to_vec());
        self.changes.borrow_mut().insert(key.to_vec(), Some(value));
        Ok(())
    }

    fn delete(&self, key: &[u8]) -> Result<(), B::Error> {
        self.changes.borrow_mut().insert(key.to_vec(), None);
        Ok(())
    }
}

/// Changes of MLS state that wait for their transaction.
#[derive(Clone, Default)]
pub struct MlsChanges(BTreeMap<Vec<u8>, Option<Value>>);

impl MlsChanges {
    /// Makes the changes real.
    pub fn apply<B: Backend>(&self, backend: &B) -> Result<(), B::Error> {
        self.0.iter().try_for_each(|(key, value)| match value {
            Some(value) => backend.put(key, value),
            None => backend.delete(key),
        })
    }

    /// For the store, until what they belong to is accepted.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let pairs = self.0.iter();
        let pairs: Vec<(Bytes, Option<Bytes>)> = pairs
            .map(|(key, value)| (Bytes(key.clone()), value.as_ref().map(|v| Bytes(v.to_vec()))))
            .collect();
        let bytes = Zeroizing::new(encode(&pairs));
        for mut value in pairs.into_iter().filter_map(|(_, value)| value) {
            value.0.zeroize();
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormError> {
        let pairs: Vec<(Bytes, Option<Bytes>)> = decode(bytes)?;
        let pairs = pairs.into_iter();
        Ok(Self(pairs.map(|(key, value)| (key.0, value.map(|v| Zeroizing::new(v.0)))).collect()))
    }

    /// Adds later changes to these.
    pub fn then(&mut self, later: Self) {
        self.0.extend(later.0);
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for MlsChanges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MlsChanges({} keys)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use hauspost_protocol::mls::storage::MemoryBackend;

    use super::*;

    #[test]
    fn the_stored_state_is_untouched_until_the_changes_are_applied() {
        let stored = MemoryBackend::default();
        stored.put(b"kept", b"1").unwrap();
        stored.put(b"gone", b"2").unwrap();
        let scratch = Scratch::new(&stored);
        scratch.put(b"new", b"3").unwrap();
        scratch.delete(b"gone").unwrap();
        assert_eq!(scratch.get(b"kept").unwrap().as_deref(), Some(b"1".as_slice()));
        assert_eq!(scratch.get(b"gone").unwrap(), None);
        assert_eq!(stored.get(b"new").unwrap(), None);

        scratch.take_changes().apply(&stored).unwrap();
        assert_eq!(stored.get(b"new").unwrap().as_deref(), Some(b"3".as_slice()));
        assert_eq!(stored.get(b"gone").unwrap(), None);
    }

    #[test]
    fn changes_that_wait_in_the_store_are_the_same_afterwards() {
        let stored = MemoryBackend::default();
        stored.put(b"gone", b"2").unwrap();
        let scratch = Scratch::new(&stored);
        scratch.put(b"new", b"3").unwrap();
        scratch.delete(b"gone").unwrap();
        let bytes = scratch.take_changes().to_bytes();
        MlsChanges::from_bytes(&bytes).unwrap().apply(&stored).unwrap();
        assert_eq!(stored.get(b"new").unwrap().as_deref(), Some(b"3".as_slice()));
        assert_eq!(stored.get(b"gone").unwrap(), None);
        assert!(MlsChanges::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    }
}
