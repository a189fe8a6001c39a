use super::*;

#[test]
fn what_memory_holds_reads_back_from_its_bytes_and_copies_into_another() {
    let memory = MemoryBackend::default();
    memory.put(b"a", b"1").unwrap();
    memory.put(b"b", b"2").unwrap();
    memory.delete(b"a").unwrap();
    let read = MemoryBackend::from_bytes(&memory.to_bytes()).unwrap();
    assert_eq!(read, memory);
    let other = MemoryBackend::default();
    memory.copy_into(&other).unwrap();
    assert_eq!(other.get(b"b").unwrap().as_deref(), Some(b"2".as_slice()));
    assert!(MemoryBackend::from_bytes(b"\x81").is_err());
}

#[test]
fn queued_proposals_survive_a_reload_and_go_one_by_one_or_all_at_once() {
    use crate::mls::member::Suite;
    use crate::mls::testing::{Change, Phone, binding};
    use openmls::prelude::LeafNodeIndex;
    let (mut anna, ben, clara) = (Phone::new(1, 1), Phone::new(2, 2), Phone::new(3, 3));
    anna.create(Suite::Classic, &binding());
    anna.adding(&[&ben, &clara], 5);
    anna.merge_own();
    let queued = |anna: &mut Phone| {
        anna.reload();
        anna.group().pending_proposals().count()
    };
    let propose = |anna: &mut Phone, leaf| {
        let group = anna.group.as_mut().unwrap();
        let leaf = LeafNodeIndex::new(leaf);
        group.propose_remove_member(&anna.provider, &anna.key, leaf).unwrap().1
    };
    let first = propose(&mut anna, 1);
    propose(&mut anna, 2);
    assert_eq!(queued(&mut anna), 2);
    let storage = anna.provider.storage();
    anna.group.as_mut().unwrap().remove_pending_proposal(storage, &first).unwrap();
    assert_eq!(queued(&mut anna), 1);
    anna.commit(Change::default());
    anna.merge_own();
    assert_eq!(queued(&mut anna), 0);
    assert_eq!(anna.group().members().count(), 2, "the proposal left was committed");
}

#[test]
fn a_group_deleted_leaves_no_secret_of_it_behind() {
    use crate::mls::member::Suite;
    use crate::mls::testing::{Change, Phone, binding};
    let mut anna = Phone::new(1, 1);
    anna.create(Suite::Classic, &binding());
    anna.commit(Change::default());
    anna.merge_own();
    let storage = anna.provider.storage();
    anna.group.as_mut().unwrap().delete(storage).unwrap();
    let left = anna.provider.backend().0.borrow();
    let kinds: Vec<u8> = left.keys().map(|key| key[0]).collect();
    assert!(kinds.is_empty(), "values of kinds {kinds:?} are left");
}

#[test]
fn a_damaged_value_is_named_and_not_taken_for_absent() {
    use crate::mls::member::Suite;
    use crate::mls::testing::{Phone, binding};
    use openmls::prelude::MlsGroup;
    let mut anna = Phone::new(1, 1);
    anna.create(Suite::Classic, &binding());
    let key = {
        let pairs = anna.provider.backend().0.borrow();
        pairs.keys().find(|key| key[0] == Table::Tree as u8).unwrap().clone()
    };
    anna.provider.backend().put(&key, b"\xc1").unwrap();
    let loaded = MlsGroup::load(anna.provider.storage(), &binding().group_id());
    assert!(matches!(loaded, Err(StorageError::Decode(Table::Tree))));
}
