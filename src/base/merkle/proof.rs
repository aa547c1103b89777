//! Inclusion and consistency proofs: made as RFC 6962 §2.1.1 and §2.1.2 define them, checked with the algorithms of
//! RFC 9162 §2.1.3.2 and §2.1.4.2.
//!
//! Making a proof asks for hashes of perfect subtrees only: `(level, index)` names the one that covers the leaves
//! `index << level` up to `(index + 1) << level`. A log that keeps those hashes proves anything with at most two of them for
//! each level of the tree. Checking trusts nothing but the roots: any other index, size, order or length is a *no*.

use super::{Hash, empty_root, node_hash};

/// Looks up the hash of the perfect subtree `(level, index)`.
type Nodes<'a, E> = &'a mut dyn FnMut(u8, u64) -> Result<Hash, E>;

/// The largest power of two below `n`, for `n` > 1: where RFC 6962 splits a tree of `n` leaves.
fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

/// The hash of the leaves `from..to`; the range is one that splitting a tree makes, so its left parts are perfect subtrees.
fn range<E>(mut from: u64, to: u64, nodes: Nodes<'_, E>) -> Result<Hash, E> {
    let mut perfect = Vec::new();
    while from < to {
        let level = (to - from).ilog2() as u8;
        perfect.push(nodes(level, from >> level)?);
        from += 1 << level;
    }
    let mut right_to_left = perfect.into_iter().rev();
    let Some(last) = right_to_left.next() else { return Ok(empty_root()) };
    Ok(right_to_left.fold(last, |right, left| node_hash(&left, &right)))
}

/// The root of the tree of the first `size` leaves.
///
/// # Errors
/// Those of the look-up.
pub fn root<E>(size: u64, nodes: Nodes<'_, E>) -> Result<Hash, E> {
    range(0, size, nodes)
}

/// The audit path of leaf `index` (from 0) in the tree of `size` leaves, from the leaf's sibling to the root's child. A leaf
/// that is not in the tree has none: the answer is empty, and [`verify_inclusion`] refuses such an index.
///
/// # Errors
/// Those of the look-up.
pub fn inclusion_proof<E>(index: u64, size: u64, nodes: Nodes<'_, E>) -> Result<Vec<Hash>, E> {
    let mut path = Vec::new();
    if index >= size {
        return Ok(path);
    }
    let (mut from, mut to) = (0, size);
    while to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            path.push(range(middle, to, nodes)?);
            to = middle;
        } else {
            path.push(range(from, middle, nodes)?);
            from = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree of `size` leaves begins with the tree of `old` leaves. Empty when there is nothing to prove (`old`
/// is 0 or `size`) and when there is no proof (`old` is greater), which [`verify_consistency`] tells apart.
///
/// # Errors
/// Those of the look-up.
pub fn consistency_proof<E>(old: u64, size: u64, nodes: Nodes<'_, E>) -> Result<Vec<Hash>, E> {
    let mut proof = Vec::new();
    if old == 0 || old >= size {
        return Ok(proof);
    }
    let (mut from, mut to) = (0, size);
    while to != old {
        let middle = from + split(to - from);
        if old <= middle {
            proof.push(range(middle, to, nodes)?);
            to = middle;
        } else {
            proof.push(range(from, middle, nodes)?);
            from = middle;
        }
    }
    // The verifier has the old root already; anything smaller that ends at `old` it must be given.
    if from > 0 {
        proof.push(range(from, to, nodes)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Whether `proof` shows that the tree of `size` leaves with this root holds the leaf hash `leaf` at `index` (from 0).
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let mut walk = Walk { node: index, last: size - 1 };
    let mut hash = *leaf;
    for sibling in proof {
        hash = match walk.step() {
            Some(Side::Left) => node_hash(sibling, &hash),
            Some(Side::Right) => node_hash(&hash, sibling),
            None => return false,
        };
    }
    walk.last == 0 && hash == *root
}

/// Whether `proof` shows that the tree of `new_size` leaves begins with the tree of `old_size` leaves.
pub fn verify_consistency(old_size: u64, old_root: &Hash, new_size: u64, new_root: &Hash, proof: &[Hash]) -> bool {
    if old_size == 0 {
        let empty = empty_root();
        return proof.is_empty() && *old_root == empty && (new_size > 0 || *new_root == empty);
    }
    if old_size >= new_size {
        return old_size == new_size && proof.is_empty() && old_root == new_root;
    }
    // A perfect old tree is a node of the new one: the proof leaves it out and starts from the known root.
    let (seed, rest) = match (old_size.is_power_of_two(), proof) {
        (_, []) => return false,
        (true, all) => (old_root, all),
        (false, [first, rest @ ..]) => (first, rest),
    };
    let shared = (old_size - 1).trailing_ones();
    let mut walk = Walk { node: (old_size - 1) >> shared, last: (new_size - 1) >> shared };
    let (mut old, mut new) = (*seed, *seed);
    for sibling in rest {
        match walk.step() {
            Some(Side::Left) => {
                old = node_hash(sibling, &old);
                new = node_hash(sibling, &new);
            }
            Some(Side::Right) => new = node_hash(&new, sibling),
            None => return false,
        }
    }
    walk.last == 0 && old == *old_root && new == *new_root
}

/// On which side of the path the next sibling of a proof is.
enum Side {
    Left,
    Right,
}

/// The way from a node to the root: its index and that of the last node, at the level reached (`fn` and `sn` in RFC 9162).
struct Walk {
    node: u64,
    last: u64,
}

impl Walk {
    /// Goes up to the parent and says where the sibling was; `None` at the root, which has no sibling.
    fn step(&mut self) -> Option<Side> {
        if self.last == 0 {
            return None;
        }
        let side = if self.node & 1 == 1 || self.node == self.last {
            // The last node of a level may have no sibling there: it rises until it is a right child. (It is not node 0,
            // which is last at the root only.)
            self.up(self.node.trailing_zeros());
            Side::Left
        } else {
            Side::Right
        };
        self.up(1);
        Some(side)
    }

    fn up(&mut self, levels: u32) {
        self.node >>= levels;
        self.last >>= levels;
    }
}

#[cfg(test)]
mod tests;
