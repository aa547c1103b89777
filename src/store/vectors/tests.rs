use super::*;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Vectors in memory; the code under test cannot tell them from those of a state.
#[derive(Default)]
struct Memory(RefCell<BTreeMap<i64, Vec<u8>>>);

impl Truth for Memory {
    fn after(&self, after: i64, most: usize, each: &mut dyn FnMut(i64, &[u8]) -> Result<()>) -> Result<()> {
        self.0.borrow().iter().filter(|(n, _)| **n > after).take(most).try_for_each(|(n, v)| each(*n, v))
    }

    fn these(&self, numbers: &[i64], each: &mut dyn FnMut(i64, &[u8]) -> Result<()>) -> Result<()> {
        let all = self.0.borrow();
        numbers.iter().filter_map(|n| Some((*n, all.get(n)?))).try_for_each(|(n, v)| each(n, v))
    }
}

/// A unit vector from a repeatable sequence (xorshift).
fn vector(seed: u64, dimensions: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let raw: Vec<f32> = (0..dimensions)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect();
    let norm = raw.iter().map(|x| x * x).sum::<f32>().sqrt();
    raw.iter().map(|x| x / norm).collect()
}

fn bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn exact(memory: &Memory, query: &[f32], k: usize) -> Vec<i64> {
    let mut all: Vec<(i64, f32)> = memory.0.borrow().iter().map(|(n, v)| (*n, dot(query, v))).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.iter().take(k).map(|f| f.0).collect()
}

fn check(memory: &Memory, folder: &Path, seed: u64, note: &str) {
    let query = vector(seed, 64);
    let wanted = Query { vector: &query, k: 10, keep: &|_| true };
    let found = by_segment(memory, Home { folder, name: "c1" }, &wanted).expect("searched");
    let numbers: Vec<i64> = found.iter().map(|f| f.0).collect();
    assert_eq!(numbers, exact(memory, &query, 10), "{note}");
}

#[test]
fn the_nearest_are_those_of_an_exact_scan_through_inserts_deletes_and_damage() {
    let dir = tempfile::tempdir().expect("a folder");
    let memory = Memory::default();
    check(&memory, dir.path(), 1, "empty");
    let put = |from: i64, to: i64| {
        for n in from..to {
            memory.0.borrow_mut().insert(n, bytes(&vector(n.cast_unsigned() + 100, 64)));
        }
    };
    put(1, 3_000);
    check(&memory, dir.path(), 2, "built");
    let file = dir.path().join("c1.i8");
    let built = std::fs::metadata(&file).expect("a segment").len();
    put(3_000, 3_200);
    check(&memory, dir.path(), 3, "with a tail");
    assert_eq!(std::fs::metadata(&file).expect("a segment").len(), built, "a short tail is not worth a new segment");
    put(3_200, 6_000);
    check(&memory, dir.path(), 4, "with a long tail");
    assert!(std::fs::metadata(&file).expect("a segment").len() > built);
    memory.0.borrow_mut().retain(|n, _| n % 50 == 0);
    check(&memory, dir.path(), 5, "with most taken out");
    std::fs::write(&file, b"kf-i8/2\nnot a segment").expect("damaged");
    check(&memory, dir.path(), 6, "after damage");
    let query = vector(7, 64);
    let odd = |n: i64| n % 100 != 0;
    let found = by_segment(&memory, Home { folder: dir.path(), name: "c1" }, &Query { vector: &query, k: 5, keep: &odd })
        .expect("searched");
    assert!(found.len() == 5 && found.iter().all(|f| odd(f.0)));
}

#[test]
fn a_segment_that_cannot_be_kept_is_used_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let blocked = dir.path().join("file");
    std::fs::write(&blocked, "").expect("a file");
    let memory = Memory::default();
    for n in 1..2_000 {
        memory.0.borrow_mut().insert(n, bytes(&vector(n.cast_unsigned(), 64)));
    }
    check(&memory, &blocked.join("below"), 9, "nowhere to keep it");
}

#[test]
fn a_segment_is_held_to_the_truth() {
    let dir = tempfile::tempdir().expect("a folder");
    let memory = Memory::default();
    for n in 1..1_200_i64 {
        memory.0.borrow_mut().insert(n, bytes(&vector(n.cast_unsigned(), 64)));
    }
    let home = Home { folder: dir.path(), name: "c1" };
    let compared = |memory: &Memory| segment::differences(home, 64, memory).expect("compared");
    assert!(compared(&memory).is_empty(), "none is there yet");
    check(&memory, dir.path(), 1, "built");
    memory.0.borrow_mut().retain(|n, _| n % 7 != 0);
    memory.0.borrow_mut().insert(1_200, bytes(&vector(5, 64)));
    assert!(compared(&memory).is_empty(), "what was taken out or added since is no difference");
    let file = dir.path().join("c1.i8");
    let mut kept = std::fs::read(&file).expect("a segment");
    *kept.last_mut().expect("codes") ^= 1;
    std::fs::write(&file, &kept).expect("damaged");
    assert_eq!(compared(&memory), ["1 vectors of it are not those of their chunks"]);
    // The number of the last vector is made one that the truth does not have.
    let at = kept.len() - 64 - 12;
    kept[at..at + 8].copy_from_slice(&5_000_i64.to_le_bytes());
    std::fs::write(&file, &kept).expect("damaged");
    assert_eq!(compared(&memory), ["1 vectors are not in it"]);
    segment::forget(home).expect("removed");
    segment::forget(home).expect("gone already");
    assert!(compared(&memory).is_empty() && !file.exists());
}

#[test]
fn a_vector_that_holds_no_numbers_is_near_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let memory = Memory::default();
    memory.0.borrow_mut().insert(1, bytes(&[f32::NAN; 64]));
    memory.0.borrow_mut().insert(2, bytes(&vector(2, 64)));
    let query = vector(3, 64);
    let wanted = Query { vector: &query, k: 5, keep: &|_| true };
    let found = by_segment(&memory, Home { folder: dir.path(), name: "c1" }, &wanted).expect("searched");
    assert_eq!(found.iter().map(|f| f.0).collect::<Vec<_>>(), [2]);
}

/// Vectors in clusters, as those of texts are, so that the nearest are clearly nearer than most.
fn clustered(n: i64) -> Vec<f32> {
    let (centre, own) = (vector(n.cast_unsigned() % 60, 128), vector(n.cast_unsigned() + 1_000, 128));
    let mixed: Vec<f32> = centre.iter().zip(&own).map(|(c, o)| c + 0.8 * o).collect();
    let norm = mixed.iter().map(|x| x * x).sum::<f32>().sqrt();
    mixed.iter().map(|x| x / norm).collect()
}

#[test]
fn by_their_signs_first_nearly_all_of_the_nearest_are_found() {
    let dir = tempfile::tempdir().expect("a folder");
    let memory = Memory::default();
    for n in 1..8_000_i64 {
        memory.0.borrow_mut().insert(n, bytes(&clustered(n)));
    }
    let home = Home { folder: dir.path(), name: "c1" };
    let built = Segment::build_with(&segment::path(home), 128, &memory, 5_000).expect("built");
    assert!(segment::differences(home, 128, &memory).expect("compared").is_empty());
    let mut right = 0;
    for asked in 0..30 {
        let query = clustered(20_000 + asked);
        let nearest = exact(&memory, &query, 10);
        let by_signs = built.best(&query, 50, &|_| true).expect("searched");
        right += nearest.iter().filter(|n| by_signs.contains(n)).count();
        let few = |n: i64| n % 500 == 0;
        let mut kept = built.best(&query, 50, &few).expect("searched");
        kept.sort_unstable();
        assert_eq!(kept, (1..16).map(|i| i * 500).collect::<Vec<_>>(), "a filter that keeps few finds them all");
    }
    assert!(right >= 297, "{right} of 300");
    assert!(built.best(&clustered(7_999), 50, &|_| true).expect("searched").contains(&7_999));
    let file = segment::path(home);
    let mut kept = std::fs::read(&file).expect("a segment");
    // The last vector gets the opposite signs: who looks at signs first does not find it any more.
    let words = kept.len() - 16..;
    kept[words].iter_mut().for_each(|byte| *byte = !*byte);
    std::fs::write(&file, &kept).expect("damaged");
    let (query, damaged) = (clustered(7_999), Segment::open(&file, 128).expect("a segment"));
    assert!(!damaged.best(&query, 50, &|_| true).expect("searched").contains(&7_999));
    let found = segment::differences(home, 128, &memory).expect("compared");
    assert_eq!(found, ["the signs of its vectors are not those of their codes"]);
}
