use super::super::{Frontier, fold, leaf_hash};
use super::*;
use crate::base::digest::{hex, unhex};
use proptest::prelude::*;
use std::convert::Infallible;

/// The leaves of the Certificate Transparency reference tests (google/certificate-transparency, `merkle_tree_test.cc`).
const LEAVES: [&str; 8] = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

/// The roots of the trees of 0 to 8 of those leaves, from the same tests.
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn entry(i: u64) -> Vec<u8> {
    format!("entry {i}").into_bytes()
}

fn leaves(size: u64) -> Vec<Hash> {
    (0..size).map(|i| leaf_hash(&entry(i))).collect()
}

/// The look-up over leaf hashes kept in memory.
fn over(leaves: &[Hash]) -> impl FnMut(u8, u64) -> Result<Hash, Infallible> {
    |level, index| Ok(fold(&leaves[(index << level) as usize..((index + 1) << level) as usize]))
}

fn included(leaves: &[Hash], index: u64, size: u64) -> Vec<Hash> {
    inclusion_proof(index, size, &mut over(leaves)).expect("in memory")
}

fn consistent(leaves: &[Hash], old: u64, size: u64) -> Vec<Hash> {
    consistency_proof(old, size, &mut over(leaves)).expect("in memory")
}

fn reference_leaves() -> Vec<Hash> {
    LEAVES.iter().map(|l| leaf_hash(&unhex(l).expect("hexadecimal"))).collect()
}

#[test]
fn roots_are_those_of_the_reference_tests() {
    let leaves = reference_leaves();
    let mut frontier = Frontier::new();
    for (size, wanted) in ROOTS.iter().enumerate() {
        assert_eq!(&hex(&root(size as u64, &mut over(&leaves)).expect("in memory")), wanted, "by look-up, size {size}");
        assert_eq!(&hex(&frontier.root()), wanted, "by frontier, size {size}");
        if let Some(leaf) = leaves.get(size) {
            frontier.push(*leaf);
        }
    }
}

/// `kSHA256Paths` of the same tests; the positions there count from 1.
#[test]
fn audit_paths_are_those_of_the_reference_tests() {
    let leaves = reference_leaves();
    let check = |index, size, wanted: &[&str]| {
        let path: Vec<String> = included(&leaves, index, size).iter().map(|h| hex(h)).collect();
        assert_eq!(path, wanted, "leaf {index} of {size}");
    };
    check(0, 1, &[]);
    check(
        0,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    );
    check(
        5,
        8,
        &[
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    );
    check(2, 3, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]);
}

/// `kSHA256Proofs` of the same tests.
#[test]
fn consistency_proofs_are_those_of_the_reference_tests() {
    let leaves = reference_leaves();
    let check = |old, size, wanted: &[&str]| {
        let proof: Vec<String> = consistent(&leaves, old, size).iter().map(|h| hex(h)).collect();
        assert_eq!(proof, wanted, "{old} to {size}");
    };
    check(1, 1, &[]);
    check(
        1,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    );
    check(
        6,
        8,
        &[
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    );
    check(
        2,
        5,
        &[
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    );
}

/// What we prove, two implementations by other people accept, and they make the same proofs.
#[test]
fn others_accept_every_proof_up_to_70_leaves() {
    const MAX: u64 = 70;
    let leaves = leaves(MAX);
    let theirs = |h: &Hash| tlog_tiles::tlog::Hash(*h);
    let digest = |h: &Hash| -> sha2::digest::Output<sha2::Sha256> { (*h).into() };
    let mut tree = ct_merkle::mem_backed_tree::MemoryBackedTree::<sha2::Sha256, Vec<u8>>::new();
    let roots: Vec<Hash> = (0..=MAX).map(|n| root(n, &mut over(&leaves)).expect("in memory")).collect();
    for size in 1..=MAX {
        tree.push(entry(size - 1));
        let new_root = &roots[size as usize];
        let ct_root = ct_merkle::RootHash::<sha2::Sha256>::new(digest(new_root), size);
        assert_eq!(tree.root(), ct_root, "root of {size}");
        for index in 0..size {
            let proof = included(&leaves, index, size);
            let leaf = &leaves[index as usize];
            assert!(verify_inclusion(leaf, index, size, &proof, new_root), "ours: {index} of {size}");
            assert_eq!(tree.prove_inclusion(index as usize).as_bytes(), proof.concat(), "bytes: {index} of {size}");
            let tlog: Vec<_> = proof.iter().map(theirs).collect();
            tlog_tiles::tlog::check_record(&tlog, size, theirs(new_root), index, theirs(leaf)).expect("tlog_tiles accepts");
            let ct = ct_merkle::InclusionProof::try_from_bytes(proof.concat()).expect("whole hashes");
            ct_root.verify_inclusion(&entry(index), index, &ct).expect("ct-merkle accepts");
        }
        for old in 1..=size {
            let proof = consistent(&leaves, old, size);
            let old_root = &roots[old as usize];
            assert!(verify_consistency(old, old_root, size, new_root, &proof), "ours: {old} to {size}");
            let tlog: Vec<_> = proof.iter().map(theirs).collect();
            tlog_tiles::tlog::check_tree(&tlog, size, theirs(new_root), old, theirs(old_root)).expect("tlog_tiles accepts");
            let ct = ct_merkle::ConsistencyProof::try_from_bytes(proof.concat()).expect("whole hashes");
            let ct_old = ct_merkle::RootHash::new(digest(old_root), old);
            ct_root.verify_consistency(&ct_old, &ct).expect("ct-merkle accepts");
        }
    }
}

/// For every pair of sizes: no other index, size, shorter, longer or reordered proof passes.
#[test]
fn a_proof_of_something_else_is_refused() {
    let leaves = leaves(20);
    let root_of = |n| root(n, &mut over(&leaves)).expect("in memory");
    for size in 1..=20u64 {
        let new_root = root_of(size);
        for index in 0..size {
            let proof = included(&leaves, index, size);
            let leaf = &leaves[index as usize];
            for other in (0..=size + 1).chain([u64::MAX]).filter(|o| *o != index) {
                assert!(!verify_inclusion(leaf, other, size, &proof, &new_root), "{index} as {other} of {size}");
            }
            for changed in mangled(&proof) {
                assert!(!verify_inclusion(leaf, index, size, &changed, &new_root), "{index} of {size}: {changed:?}");
            }
        }
        for old in 0..=size {
            let proof = consistent(&leaves, old, size);
            for other in (0..=size + 1).chain([u64::MAX]).filter(|o| *o != old) {
                assert!(!verify_consistency(other, &root_of(old), size, &new_root, &proof), "{old} as {other} to {size}");
            }
            for changed in mangled(&proof) {
                assert!(!verify_consistency(old, &root_of(old), size, &new_root, &changed), "{old} to {size}");
            }
        }
    }
}

fn mangled(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let longer = [proof, &[[7; 32]]].concat();
    let doubled = [proof, proof].concat();
    let reversed: Vec<Hash> = proof.iter().rev().copied().collect();
    let shorter = proof.split_last().map(|(_, rest)| rest.to_vec()).unwrap_or_default();
    [longer, doubled, reversed, shorter].into_iter().filter(|p| p != proof).collect()
}

#[test]
fn an_empty_tree_is_the_beginning_of_every_tree_and_of_nothing_else() {
    let one = leaf_hash(b"");
    assert!(verify_consistency(0, &empty_root(), 1, &one, &[]));
    assert!(verify_consistency(0, &empty_root(), 0, &empty_root(), &[]));
    assert!(!verify_consistency(0, &one, 1, &one, &[]));
    assert!(!verify_consistency(0, &empty_root(), 0, &one, &[]));
    assert!(!verify_consistency(0, &empty_root(), 1, &one, &[one]));
    assert!(!verify_inclusion(&one, 0, 0, &[], &empty_root()));
}

/// Proofs in the largest trees there can be: every subtree that is asked for lies inside the tree, and its name says which.
#[test]
fn sizes_up_to_the_limit_of_64_bits_work() {
    for (index, size) in [(0, u64::MAX), (u64::MAX - 1, u64::MAX), (1 << 40, (1 << 63) + 1), (1 << 63, (1 << 63) + 1)] {
        let mut node = |level: u8, at: u64| -> Result<Hash, Infallible> {
            let end = (u128::from(at) + 1) << level;
            assert!(end <= u128::from(size), "({level}, {at}) is in the tree of {size}");
            let mut name = [level; 32];
            name[1..9].copy_from_slice(&at.to_be_bytes());
            Ok(name)
        };
        assert!(inclusion_proof(index, size, &mut node).expect("in memory").len() <= 64);
        assert!(consistency_proof(index + 1, size, &mut node).expect("in memory").len() <= 65);
    }
    assert!(!verify_inclusion(&[0; 32], u64::MAX - 1, u64::MAX, &[[0; 32]; 70], &[0; 32]));
    assert!(!verify_consistency(u64::MAX - 1, &[0; 32], u64::MAX, &[1; 32], &[[0; 32]; 70]));
}

proptest! {
    #[test]
    fn a_flipped_bit_is_refused(size in 2u64..300, index: prop::sample::Index, at: prop::sample::Index, bit in 0usize..256) {
        let leaves = leaves(size);
        let flip = |h: &mut Hash| h[bit / 8] ^= 1 << (bit % 8);
        let index = index.index(size as usize) as u64;
        let old = index + 1;
        let old_root = root(old, &mut over(&leaves)).expect("in memory");
        let new_root = root(size, &mut over(&leaves)).expect("in memory");

        let good = included(&leaves, index, size);
        let mut bad = good.clone();
        flip(&mut bad[at.index(good.len())]);
        prop_assert!(!verify_inclusion(&leaves[index as usize], index, size, &bad, &new_root));
        let (mut bad_leaf, mut bad_root) = (leaves[index as usize], new_root);
        flip(&mut bad_leaf);
        flip(&mut bad_root);
        prop_assert!(!verify_inclusion(&bad_leaf, index, size, &good, &new_root));
        prop_assert!(!verify_inclusion(&leaves[index as usize], index, size, &good, &bad_root));

        let good = consistent(&leaves, old, size);
        prop_assert!(verify_consistency(old, &old_root, size, &new_root, &good));
        prop_assert!(!verify_consistency(old, &old_root, size, &bad_root, &good));
        let mut bad_old = old_root;
        flip(&mut bad_old);
        prop_assert!(!verify_consistency(old, &bad_old, size, &new_root, &good));
        if !good.is_empty() {
            let mut bad = good.clone();
            flip(&mut bad[at.index(good.len())]);
            prop_assert!(!verify_consistency(old, &old_root, size, &new_root, &bad));
        }
    }

    #[test]
    fn no_input_panics(index: u64, size: u64, old: u64, proof: Vec<[u8; 32]>) {
        let root = empty_root();
        prop_assert!(!verify_inclusion(&[0; 32], index, size, &proof, &root));
        verify_consistency(old, &root, size, &root, &proof);
    }
}
