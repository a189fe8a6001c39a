//! Tree hashes, inclusion and consistency (RFC 9162 §2.1).
//!
//! A tree is kept as the hashes of its *full* subtrees: node (level, index) covers the leaves from
//! index · 2^level to (index + 1) · 2^level − 1. Appending a leaf makes one node for each subtree
//! that it fills, and root and proofs of any earlier size need O(log² n) nodes at most: a server
//! keeps nodes in a table and never hashes the whole tree again. [`Nodes`] is that table;
//! [`Tree`] keeps it in memory.

use sha2::{Digest as _, Sha256};

use crate::ids::Digest;

/// The hash of a leaf: SHA-256(0x00 ‖ leaf).
pub fn leaf_hash(leaf: &[u8]) -> Digest {
    Digest(Sha256::new_with_prefix([0]).chain_update(leaf).finalize().into())
}

/// The hash of two subtrees: SHA-256(0x01 ‖ left ‖ right).
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let hasher = Sha256::new_with_prefix([1]).chain_update(left.0).chain_update(right.0);
    Digest(hasher.finalize().into())
}

/// The root of a tree without leaves: SHA-256 of nothing.
pub fn empty_root() -> Digest {
    crate::crypto::sha256(&[])
}

/// The table of full subtrees.
pub trait Nodes {
    /// Why a node cannot be read.
    type Error;
    /// The hash of the full subtree `index` of 2^`level` leaves.
    fn node(&self, level: u8, index: u64) -> Result<Digest, Self::Error>;
}

/// The nodes that the leaf at index `size` makes, itself first: (level, index, hash).
pub fn append<N: Nodes>(
    nodes: &N,
    size: u64,
    leaf: Digest,
) -> Result<Vec<(u8, u64, Digest)>, N::Error> {
    let mut made = vec![(0, size, leaf)];
    let (mut level, mut index, mut hash) = (0, size, leaf);
    while index % 2 == 1 {
        hash = node_hash(&nodes.node(level, index - 1)?, &hash);
        level += 1;
        index /= 2;
        made.push((level, index, hash));
    }
    Ok(made)
}

/// The root of the first `size` leaves: MTH(D_size), RFC 9162 §2.1.1.
pub fn root<N: Nodes>(nodes: &N, size: u64) -> Result<Digest, N::Error> {
    if size == 0 { Ok(empty_root()) } else { range_hash(nodes, 0, size) }
}

/// PATH(index, D_size), RFC 9162 §2.1.3.1. The index is below the size.
pub fn inclusion<N: Nodes>(nodes: &N, index: u64, size: u64) -> Result<Vec<Digest>, N::Error> {
    debug_assert!(index < size, "a leaf that is there");
    let mut path = Vec::new();
    let (mut begin, mut end) = (0, size);
    while end - begin > 1 {
        let middle = begin + split(end - begin);
        if index < middle {
            path.push(range_hash(nodes, middle, end)?);
            end = middle;
        } else {
            path.push(range_hash(nodes, begin, middle)?);
            begin = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// PROOF(old, D_new), RFC 9162 §2.1.4.1. The proof from 0 and from the size itself is empty.
pub fn consistency<N: Nodes>(nodes: &N, old: u64, new: u64) -> Result<Vec<Digest>, N::Error> {
    debug_assert!(old <= new, "a tree only grows");
    let mut proof = Vec::new();
    if old == 0 || old == new {
        return Ok(proof);
    }
    let (mut begin, mut end) = (0, new);
    while end != old {
        let middle = begin + split(end - begin);
        if old <= middle {
            proof.push(range_hash(nodes, middle, end)?);
            end = middle;
        } else {
            proof.push(range_hash(nodes, begin, middle)?);
            begin = middle;
        }
    }
    // The old tree's own root is known to the verifier, if the old tree is a subtree of the new.
    if begin > 0 {
        proof.push(range_hash(nodes, begin, end)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The hash of the leaves from `begin` to `end` − 1, where `begin` is a multiple of the largest
/// power of two below the length, as all ranges of RFC 9162 are.
fn range_hash<N: Nodes>(nodes: &N, begin: u64, end: u64) -> Result<Digest, N::Error> {
    let len = end - begin;
    if len.is_power_of_two() {
        let level = len.trailing_zeros();
        return nodes.node(u8::try_from(level).expect("below 64"), begin >> level);
    }
    let middle = begin + split(len);
    Ok(node_hash(&range_hash(nodes, begin, middle)?, &range_hash(nodes, middle, end)?))
}

/// The largest power of two below `len`, which is at least 2.
fn split(len: u64) -> u64 {
    1 << (u64::BITS - 1 - (len - 1).leading_zeros())
}

/// A proof that does not prove what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The index lies outside the tree, or the old tree is larger than the new.
    #[error("the position or size lies outside the tree")]
    Range,
    /// A path of another length than the position and the size demand.
    #[error("the proof is not of the length that position and size demand")]
    Length,
    /// The proof leads to another root.
    #[error("the proof leads to another root")]
    Root,
}

/// Verifies an inclusion proof (RFC 9162 §2.1.3.2).
pub fn verify_inclusion(
    leaf: Digest,
    index: u64,
    size: u64,
    path: &[Digest],
    root: Digest,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::Range);
    }
    let (mut node, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if node % 2 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node % 2 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    match (last, hash == root) {
        (0, true) => Ok(()),
        (0, false) => Err(ProofError::Root),
        _ => Err(ProofError::Length),
    }
}

/// Verifies a consistency proof (RFC 9162 §2.1.4.2).
///
/// Every tree is consistent with the empty one and with itself, by an empty proof.
pub fn verify_consistency(
    (old, old_root): (u64, Digest),
    (new, new_root): (u64, Digest),
    proof: &[Digest],
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::Range);
    }
    if old == 0 || old == new {
        let roots_fit = if old == 0 { old_root == empty_root() } else { old_root == new_root };
        return match (proof.is_empty(), roots_fit) {
            (false, _) => Err(ProofError::Length),
            (true, false) => Err(ProofError::Root),
            (true, true) => Ok(()),
        };
    }
    let (mut node, mut last) = (old - 1, new - 1);
    while node % 2 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let known = old.is_power_of_two().then_some(old_root);
    let mut rest = proof.iter().copied();
    let first = known.or_else(|| rest.next()).ok_or(ProofError::Length)?;
    let (mut old_hash, mut new_hash) = (first, first);
    for sibling in rest {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if node % 2 == 1 || node == last {
            old_hash = node_hash(&sibling, &old_hash);
            new_hash = node_hash(&sibling, &new_hash);
            while node % 2 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, &sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if old_hash == old_root && new_hash == new_root { Ok(()) } else { Err(ProofError::Root) }
}

/// A node that was asked for and that the tree does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the tree is smaller than was asked for")]
pub struct TooSmall;

/// A tree in memory, whose leaves may be replaced: the heads tree, and an outer tree of a test.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    levels: Vec<Vec<Digest>>,
}

impl Nodes for Tree {
    type Error = TooSmall;
    fn node(&self, level: u8, index: u64) -> Result<Digest, TooSmall> {
        let index = usize::try_from(index).map_err(|_| TooSmall)?;
        self.levels
            .get(usize::from(level))
            .and_then(|nodes| nodes.get(index))
            .copied()
            .ok_or(TooSmall)
    }
}

impl Tree {
    /// A tree of these leaf hashes.
    pub fn new(leaves: impl IntoIterator<Item = Digest>) -> Self {
        let mut tree = Self::default();
        leaves.into_iter().for_each(|leaf| tree.push(leaf));
        tree
    }

    /// How many leaves it has.
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, Vec::len) as u64
    }

    /// Appends a leaf's hash.
    pub fn push(&mut self, leaf: Digest) {
        let made = append(self, self.size(), leaf).expect("the left siblings are there");
        for (level, _, hash) in made {
            let level = usize::from(level);
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(hash);
        }
    }

    /// Replaces the hash of leaf `index`, if it is there.
    pub fn set(&mut self, index: u64, leaf: Digest) -> Result<(), TooSmall> {
        self.node(0, index)?;
        let mut place = usize::try_from(index).map_err(|_| TooSmall)?;
        self.levels[0][place] = leaf;
        for level in 1..self.levels.len() {
            place /= 2;
            if place >= self.levels[level].len() {
                break;
            }
            let below = &self.levels[level - 1];
            self.levels[level][place] = node_hash(&below[2 * place], &below[2 * place + 1]);
        }
        Ok(())
    }

    /// The root.
    pub fn root(&self) -> Digest {
        root(self, self.size()).expect("all full subtrees are there")
    }

    /// The inclusion proof of leaf `index` under the root.
    pub fn inclusion(&self, index: u64) -> Result<Vec<Digest>, TooSmall> {
        if index < self.size() { inclusion(self, index, self.size()) } else { Err(TooSmall) }
    }

    /// The consistency proof from an earlier size.
    pub fn consistency(&self, old: u64) -> Result<Vec<Digest>, TooSmall> {
        if old <= self.size() { consistency(self, old, self.size()) } else { Err(TooSmall) }
    }
}

/// The root of a list of leaves: `list_root` of an erasure, `blob_root` of a file.
pub fn list_root<L: AsRef<[u8]>>(leaves: impl IntoIterator<Item = L>) -> Digest {
    Tree::new(leaves.into_iter().map(|leaf| leaf_hash(leaf.as_ref()))).root()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 9162 §2.1 word by word, over leaf hashes.
    mod naive {
        use super::*;

        pub fn mth(leaves: &[Digest]) -> Digest {
            match leaves {
                [] => empty_root(),
                [leaf] => *leaf,
                _ => {
                    let (left, right) = leaves.split_at(k(leaves.len()));
                    node_hash(&mth(left), &mth(right))
                }
            }
        }

        pub fn path(m: usize, leaves: &[Digest]) -> Vec<Digest> {
            if leaves.len() == 1 {
                return Vec::new();
            }
            let (left, right) = leaves.split_at(k(leaves.len()));
            let (mut path, other) = if m < left.len() {
                (path(m, left), mth(right))
            } else {
                (path(m - left.len(), right), mth(left))
            };
            path.push(other);
            path
        }

        pub fn proof(m: usize, leaves: &[Digest]) -> Vec<Digest> {
            subproof(m, leaves, true)
        }

        fn subproof(m: usize, leaves: &[Digest], whole: bool) -> Vec<Digest> {
            if m == leaves.len() {
                return if whole { Vec::new() } else { vec![mth(leaves)] };
            }
            let (left, right) = leaves.split_at(k(leaves.len()));
            let (mut proof, other) = if m <= left.len() {
                (subproof(m, left, whole), mth(right))
            } else {
                (subproof(m - left.len(), right, false), mth(left))
            };
            proof.push(other);
            proof
        }

        fn k(n: usize) -> usize {
            let mut k = 1;
            while k * 2 < n {
                k *= 2;
            }
            k
        }
    }

    fn leaves(count: usize) -> Vec<Digest> {
        (0..count).map(|i| leaf_hash(&(i as u64).to_be_bytes())).collect()
    }

    #[test]
    fn roots_are_those_of_certificate_transparency() {
        // The reference tree of certificate-transparency-go and of RFC 6962's own tests.
        let inputs = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ];
        let inputs: Vec<Vec<u8>> = inputs.iter().map(|text| hex::decode(text).unwrap()).collect();
        let root = |count: usize| list_root(&inputs[..count]).to_string();
        assert_eq!(root(0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(root(1), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        assert_eq!(root(3), "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
        assert_eq!(root(8), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
    }

    #[test]
    fn every_proof_up_to_forty_leaves_is_the_rfc_s_and_verifies() {
        let all = leaves(40);
        for new in 1..=all.len() {
            let tree = Tree::new(all[..new].iter().copied());
            let root = naive::mth(&all[..new]);
            assert_eq!(tree.root(), root);
            for index in 0..new {
                let path = tree.inclusion(index as u64).unwrap();
                assert_eq!(path, naive::path(index, &all[..new]));
                let verified = verify_inclusion(all[index], index as u64, new as u64, &path, root);
                assert_eq!(verified, Ok(()));
            }
            for old in 1..=new {
                let proof = tree.consistency(old as u64).unwrap();
                assert_eq!(proof, naive::proof(old, &all[..new]), "{old} {new}");
                let old_root = naive::mth(&all[..old]);
                let verified =
                    verify_consistency((old as u64, old_root), (new as u64, root), &proof);
                assert_eq!(verified, Ok(()), "{old} {new}");
            }
        }
    }

    #[test]
    fn a_replaced_leaf_gives_the_root_of_the_new_leaves() {
        for size in 1..20 {
            for index in 0..size {
                let mut changed = leaves(size);
                let mut tree = Tree::new(changed.iter().copied());
                changed[index] = leaf_hash(b"new");
                tree.set(index as u64, changed[index]).unwrap();
                assert_eq!(tree.root(), naive::mth(&changed));
            }
        }
        assert_eq!(Tree::new(leaves(3)).set(3, Digest([0; 32])), Err(TooSmall));
    }

    #[test]
    fn the_empty_tree_and_the_same_tree_need_an_empty_proof() {
        let root = list_root([b"a", b"b"]);
        assert_eq!(verify_consistency((0, empty_root()), (2, root), &[]), Ok(()));
        assert_eq!(verify_consistency((0, root), (2, root), &[]), Err(ProofError::Root));
        assert_eq!(verify_consistency((2, root), (2, root), &[]), Ok(()));
        assert_eq!(verify_consistency((2, empty_root()), (2, root), &[]), Err(ProofError::Root));
        assert_eq!(verify_consistency((2, root), (2, root), &[root]), Err(ProofError::Length));
        assert_eq!(verify_consistency((3, root), (2, root), &[]), Err(ProofError::Range));
        assert_eq!(verify_inclusion(root, 2, 2, &[], root), Err(ProofError::Range));
    }

    proptest! {
        #[test]
        fn a_changed_proof_proves_nothing(
            new in 2u64..300, old in 1u64..300, index in 0u64..300, place in 0usize..10, bit in 0u8..8,
        ) {
            let (old, index) = (1 + old % (new - 1), index % new);
            let all = leaves(new as usize);
            let tree = Tree::new(all.iter().copied());
            let old_root = root(&tree, old).unwrap();
            let path = tree.inclusion(index).unwrap();
            let proof = tree.consistency(old).unwrap();
            let included = |index, size, path: &[Digest]| {
                verify_inclusion(all[index as usize % all.len()], index, size, path, tree.root())
            };
            let consistent =
                |old, proof: &[Digest]| verify_consistency((old, old_root), (new, tree.root()), proof);
            prop_assert_eq!(included(index, new, &path), Ok(()));
            prop_assert_eq!(consistent(old, &proof), Ok(()));

            let changed = |proof: &[Digest]| {
                let mut proof = proof.to_vec();
                let place = place % proof.len();
                proof[place].0[place] ^= 1 << bit;
                proof
            };
            prop_assert!(included(index, new, &changed(&path)).is_err());
            prop_assert!(consistent(old, &changed(&proof)).is_err());
            prop_assert!(included(index, new, &path[1..]).is_err());
            prop_assert!(consistent(old, &proof[1..]).is_err());
            let longer = |proof: &[Digest]| [proof, &[Digest([0; 32])]].concat();
            prop_assert!(included(index, new, &longer(&path)).is_err());
            prop_assert!(consistent(old, &longer(&proof)).is_err());
            let elsewhere = (index + 1) % new;
            prop_assert!(verify_inclusion(all[index as usize], elsewhere, new, &path, tree.root()).is_err());
            prop_assert!(consistent(old + 1, &proof).is_err());
        }

        #[test]
        fn no_proof_makes_a_verifier_panic(
            old in any::<u64>(), new in any::<u64>(),
            proof in proptest::collection::vec(any::<[u8; 32]>().prop_map(Digest), 0..70),
        ) {
            let root = Digest([1; 32]);
            prop_assert!(verify_inclusion(root, old, new, &proof, root).is_err() || proof.is_empty());
            let verified = verify_consistency((old, root), (new, root), &proof);
            prop_assert!(verified.is_err() || old == new);
        }
    }
}
