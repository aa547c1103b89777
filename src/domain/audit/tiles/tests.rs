use super::*;
use crate::base::merkle::root;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::convert::Infallible;
use tlog_tiles::{HashReader as _, TileReader};

fn entry(i: u64) -> Vec<u8> {
    format!("entry {i}").into_bytes()
}

fn leaf(i: u64) -> Hash {
    leaf_hash(&entry(i))
}

/// The hash of a perfect subtree, from its leaves.
fn node(level: u8, index: u64) -> Hash {
    let leaves: Vec<Hash> = (index << level..(index + 1) << level).map(leaf).collect();
    fold(&leaves)
}

fn root_of(size: u64) -> Hash {
    root::<Infallible>(size, &mut |level, index| Ok(node(level, index))).expect("in memory")
}

/// What a caller with entries and hashes writes: path → bytes.
fn export(size: u64) -> BTreeMap<String, Vec<u8>> {
    let contents = |file: TileFile| match file.row() {
        Row::Entries => {
            let entries: Vec<Vec<u8>> = file.range().map(entry).collect();
            encode_bundle(entries.iter().map(Vec::as_slice)).expect("short entries")
        }
        Row::Hashes(_) => encode_tile(&file.range().map(|i| node(file.level(), i)).collect::<Vec<_>>()),
    };
    tree_files(size).map(|file| (file.to_string(), contents(file))).collect()
}

fn read(files: &BTreeMap<String, Vec<u8>>, size: u64) -> Result<Hash> {
    read_tree(size, &mut |file| {
        files.get(&file.to_string()).cloned().ok_or_else(|| crate::base::error::Error::new(format!("no `{file}`")))
    })
}

/// The examples of c2sp.org/tlog-tiles, and the path of the index 1234067 with a width of 8.
#[test]
fn paths_are_those_of_the_specification() {
    let check = |row, index, width, wanted: &str| assert_eq!(TileFile { row, index, width }.to_string(), wanted);
    check(Row::Hashes(0), 1_234_067, 8, "tile/0/x001/x234/067.p/8");
    check(Row::Hashes(3), 1_234_067, 256, "tile/3/x001/x234/067");
    check(Row::Entries, 999, 255, "tile/entries/999.p/255");
    check(Row::Entries, 1000, 256, "tile/entries/x001/000");
    check(Row::Entries, 0, 256, "tile/entries/000");
}

/// c2sp.org/tlog-tiles: "a tree of size 70,000 will be represented by 273 full level 0 tiles, one partial level 0 tile of width
/// 112, one full level 1 tile, one partial level 1 tile of width 17, and one partial level 2 tile of width 1. Note that a tree
/// of size 256 will be represented by a full level 0 tile and a partial level 1 tile of width 1."
#[test]
fn the_files_of_a_tree_are_those_of_the_specification() {
    let check = |size, row, full: usize, partial: Option<u64>| {
        let files: Vec<TileFile> = tree_files(size).filter(|f| f.row() == row).collect();
        assert_eq!(files.iter().filter(|f| f.is_full()).count(), full, "{size} {row:?}");
        assert_eq!(files.iter().find(|f| !f.is_full()).map(|f| f.width), partial, "{size} {row:?}");
    };
    check(70_000, Row::Entries, 273, Some(112));
    check(70_000, Row::Hashes(0), 273, Some(112));
    check(70_000, Row::Hashes(1), 1, Some(17));
    check(70_000, Row::Hashes(2), 0, Some(1));
    check(70_000, Row::Hashes(3), 0, None);
    check(256, Row::Hashes(0), 1, None);
    check(256, Row::Hashes(1), 0, Some(1));
    assert_eq!(tree_files(0).count(), 0);
}

/// Another implementation names the same tiles (with its tile height, 8, as the first part of the path).
#[test]
fn another_implementation_plans_the_same_files() {
    for size in (0..=70).chain([255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 70_000, 16_777_217]) {
        let theirs: Vec<_> =
            tlog_tiles::Tile::new_tiles(8, 0, size).iter().map(|t| t.path().replacen("tile/8/", "tile/", 1)).collect();
        let hashes = tree_files(size).filter(|f| matches!(f.row(), Row::Hashes(_)));
        assert_eq!(hashes.map(|f| f.to_string()).collect::<Vec<_>>(), theirs, "{size}");
    }
}

#[test]
fn what_is_exported_reads_back_to_its_root() {
    for size in (0..=70).chain([255, 256, 257, 511, 512, 513, 1000]) {
        let files = export(size);
        assert_eq!(read(&files, size).expect("a tree"), root_of(size), "{size}");
    }
}

/// At 70,000 entries three levels of tiles are full or begun.
#[test]
fn a_tree_of_three_tile_levels_reads_back() {
    let files = export(70_000);
    assert_eq!(read(&files, 70_000).expect("a tree"), root_of(70_000));
}

#[test]
fn the_largest_tree_can_be_planned() {
    assert_eq!(tree_files(u64::MAX).next().map(|f| f.to_string()), Some("tile/entries/000".into()));
    let last = TileFile { row: Row::Entries, index: u64::MAX / WIDTH, width: u64::MAX % WIDTH };
    assert_eq!(last.range(), u64::MAX - 255..u64::MAX);
    assert_eq!(last.to_string(), "tile/entries/x072/x057/x594/x037/x927/935.p/255");
    let top: Vec<TileFile> = row_files(Row::Hashes(7), u64::MAX >> 56).collect();
    assert_eq!((top.len(), top[0].level(), top[0].range()), (1, 56, 0..255));
}

/// Tiles as another implementation reads them.
struct Theirs(BTreeMap<String, Vec<u8>>);

impl TileReader for Theirs {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let path = |t: &tlog_tiles::Tile| t.path().replacen("tile/8/", "tile/", 1);
        Ok(tiles.iter().map(|t| self.0.get(&path(t)).cloned().expect("an exported tile")).collect())
    }

    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

/// Another implementation authenticates our tiles against the root and proves entries from them.
#[test]
fn another_implementation_reads_our_tiles() {
    for size in (1..=70).chain([255, 256, 257, 600]) {
        let theirs = Theirs(export(size));
        let hash = tlog_tiles::tlog::Hash(root_of(size));
        let reader = tlog_tiles::TileHashReader::new(size, hash, &theirs);
        for index in [0, size / 2, size - 1] {
            let proof = tlog_tiles::prove_record(size, index, &reader).expect("their proof");
            tlog_tiles::check_record(&proof, size, hash, index, tlog_tiles::record_hash(&entry(index))).expect("it holds");
            let at = tlog_tiles::stored_hash_index(0, index);
            assert_eq!(reader.read_hashes(&[at]).expect("authenticated")[0].0, leaf(index));
        }
    }
}

#[test]
fn damaged_bundles_are_refused() {
    assert_eq!(decode_bundle(&[0, 0, 0, 1, b'a']), Ok(vec![&b""[..], b"a"]));
    for bad in [&[0][..], &[0, 1], &[0, 2, b'a'], &[0, 1, b'a', 0], &[255, 255]] {
        assert_eq!(decode_bundle(bad).map_err(|e| e.why()), Err(Why::Malformed), "{bad:?}");
    }
    assert!(encode_bundle([vec![0; ENTRY_MAX].as_slice()]).is_ok());
    assert!(encode_bundle([vec![0; ENTRY_MAX + 1].as_slice()]).is_err());
}

#[test]
fn a_refusal_names_the_file_and_the_hash() {
    let why = |files: &BTreeMap<String, Vec<u8>>| {
        let e = read(files, 600).expect_err("refused");
        (e.cause::<Refused>().map(Refused::why), e.to_string())
    };
    let mut files = export(600);
    let tile = files.get_mut("tile/0/001").expect("a tile");
    tile[32 * 10] ^= 1;
    let (kind, said) = why(&files);
    assert_eq!(kind, Some(Why::Mismatch));
    assert!(said.contains("`tile/0/001`") && said.contains("hash 266"), "{said}");

    let mut files = export(600);
    files.get_mut("tile/1/000.p/2").expect("a tile").pop();
    assert!(why(&files).1.contains("hash 1 "), "{}", why(&files).1);
    files.get_mut("tile/1/000.p/2").expect("a tile").truncate(32);
    assert!(why(&files).1.contains("has 32 bytes and should have 64"), "{}", why(&files).1);

    let mut files = export(600);
    files.get_mut("tile/entries/002.p/88").expect("a bundle").extend([0, 0]);
    let (kind, said) = why(&files);
    assert_eq!(kind, Some(Why::Malformed));
    assert!(said.contains("`tile/entries/002.p/88`") && said.contains("89 entries and should hold 88"), "{said}");

    let mut files = export(600);
    files.remove("tile/0/002.p/88");
    assert_eq!(why(&files), (None, "no `tile/0/002.p/88`".into()));
}

proptest! {
    #[test]
    fn bundles_read_back(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)) {
        let bytes = encode_bundle(entries.iter().map(Vec::as_slice)).expect("short entries");
        prop_assert_eq!(decode_bundle(&bytes).expect("a bundle"), entries);
    }

    #[test]
    fn any_bundle_that_reads_is_canonical(bytes in prop::collection::vec(0u8..4, 0..40)) {
        if let Ok(entries) = decode_bundle(&bytes) {
            prop_assert_eq!(encode_bundle(entries).expect("short entries"), bytes);
        }
    }

    #[test]
    fn a_flipped_bit_in_any_file_is_refused(size in 1u64..600, which: prop::sample::Index, at: prop::sample::Index, bit in 0u8..8) {
        let mut files = export(size);
        let path = files.keys().nth(which.index(files.len())).cloned().expect("a file");
        let bytes = files.get_mut(&path).expect("a file");
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(read(&files, size).is_err(), "{}", path);
    }
}
