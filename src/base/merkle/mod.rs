//! The Merkle tree of RFC 6962 (§2.1): hashes of leaves and nodes, the frontier from which a log grows, and proofs.
//!
//! Pure: hashes in, hashes out. Who stores them is the business of `store`, who proves with them that of `domain::audit`.

mod proof;

pub use proof::{consistency_proof, inclusion_proof, root, verify_consistency, verify_inclusion};

use sha2::{Digest as _, Sha256};

/// A SHA-256 hash of a leaf or a node.
pub type Hash = [u8; 32];

/// The hash of an empty tree: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The hash of a leaf: SHA-256(0x00 ‖ entry).
pub fn leaf_hash(entry: &[u8]) -> Hash {
    let mut h = Sha256::new();
    h.update([0]);
    h.update(entry);
    h.finalize().into()
}

/// The hash of a node: SHA-256(0x01 ‖ left ‖ right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut h = Sha256::new();
    h.update([1]);
    h.update(left);
    h.update(right);
    h.finalize().into()
}

/// The root over neighbouring nodes of one level: 2ⁿ of them make the perfect subtree n levels above.
pub fn fold(nodes: &[Hash]) -> Hash {
    let mut frontier = Frontier::new();
    nodes.iter().for_each(|node| frontier.push(*node));
    frontier.root()
}

/// The roots of the perfect subtrees that make a log of `size` leaves, largest first: all that appending needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    hashes: Vec<Hash>,
}

impl Frontier {
    /// The frontier of an empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads what [`Frontier::to_bytes`] wrote; `None` when the bytes do not belong to a log of this size.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Option<Self> {
        let hashes: Vec<Hash> = bytes.chunks(32).map(|c| c.try_into().ok()).collect::<Option<_>>()?;
        (hashes.len() == size.count_ones() as usize).then_some(Self { size, hashes })
    }

    /// The hashes, one after the other.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.hashes.concat()
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends the hash of a leaf; O(1) on average.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            let left = self.hashes.pop().expect("one hash for each set bit of the size");
            hash = node_hash(&left, &hash);
        }
        self.hashes.push(hash);
        self.size += 1;
    }

    /// The root of the log.
    pub fn root(&self) -> Hash {
        let mut hashes = self.hashes.iter().rev();
        let Some(last) = hashes.next() else { return empty_root() };
        hashes.fold(*last, |right, left| node_hash(left, &right))
    }
}
