//! The promises of [`Objects`] on files; the same on S3 are in `tests/it/objects_s3.rs`.

use super::*;
use std::cell::Cell;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use tempfile::TempDir;

/// FIPS 180-4: SHA-256 of no bytes.
const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn store() -> (TempDir, Objects) {
    let dir = tempfile::tempdir().unwrap();
    let objects = Objects::files(&dir.path().join("objects")).unwrap();
    (dir, objects)
}

fn place(dir: &TempDir, digest: &Digest) -> PathBuf {
    let hex = digest.hex();
    dir.path().join("objects/sha256").join(&hex[..2]).join(&hex[2..])
}

/// Every file below a directory.
fn files_below(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let paths = entries.map(|e| e.unwrap().path());
    paths.flat_map(|p| if p.is_dir() { files_below(&p) } else { vec![p] }).collect()
}

fn listed(objects: &Objects) -> Vec<(Digest, u64)> {
    let mut all = Vec::new();
    let mut each = |digest, size, _| {
        all.push((digest, size));
        Ok(())
    };
    objects.list(&mut each).unwrap();
    all
}

/// Bytes without a pattern (a linear congruential generator, Knuth's MMIX constants).
fn noise(len: usize, mut seed: u64) -> Vec<u8> {
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Overwrites what is under a valid name, as a crash or a bad disk does.
fn damage(path: &Path, bytes: &[u8]) {
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn bytes_come_back_as_they_went_in() {
    let (dir, objects) = store();
    for bytes in [vec![], vec![0], noise(source::BUFFER, 1), noise(20_000_000, 2)] {
        let file = dir.path().join("source");
        std::fs::write(&file, &bytes).unwrap();
        let stored = objects.put_file(&file).unwrap();
        assert_eq!(stored, Stored { digest: Digest::of(&bytes), size: bytes.len() as u64, new: true });
        assert_eq!(objects.put_bytes(&bytes).unwrap(), Stored { new: false, ..stored });
        assert!(objects.read(&stored.digest, u64::MAX).unwrap() == bytes);
        assert_eq!(objects.stat(&stored.digest).unwrap(), Some(stored.size));
        assert_eq!(objects.verify(&stored.digest).unwrap(), Health::Ok);
        let copy = dir.path().join("copy");
        objects.copy_to(&stored.digest, &copy).unwrap();
        assert!(std::fs::read(&copy).unwrap() == bytes);
    }
    assert!(objects.stat(&EMPTY.parse().unwrap()).unwrap().is_some());
}

#[test]
fn an_object_is_read_only_and_a_copy_is_not() {
    let (dir, objects) = store();
    let digest = objects.put_bytes(b"x").unwrap().digest;
    let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place(&dir, &digest)), 0o444);
    let copy = dir.path().join("copy");
    objects.copy_to(&digest, &copy).unwrap();
    assert_eq!(mode(&copy), 0o644);
}

#[test]
fn names_of_sources_may_be_anything() {
    let (dir, objects) = store();
    let mut names: Vec<Vec<u8>> = ["new\nline", "🦀", "\"quoted\" 'twice'", " ", "-rf", "a\\b", "%00", &"n".repeat(255)]
        .map(|n| n.as_bytes().to_vec())
        .into();
    names.push(vec![b'a', 0xff, 0xfe]);
    let paths: Vec<PathBuf> = names.iter().map(|n| dir.path().join(std::ffi::OsStr::from_bytes(n))).collect();
    for (i, path) in paths.iter().enumerate() {
        // macOS refuses names that are not UTF-8.
        if std::fs::write(path, [u8::try_from(i).unwrap()]).is_ok() {
            assert_eq!(objects.put_file(path).unwrap().size, 1);
        }
    }
    assert!(objects.put_files(&paths[..8], 2, &|_| ()).unwrap().iter().all(|s| !s.new));
}

#[test]
fn a_source_that_cannot_be_read_is_an_error_that_names_it_and_leaves_nothing() {
    let (dir, objects) = store();
    for (name, make) in [("missing", false), ("directory", true)] {
        let path = dir.path().join(name);
        if make {
            std::fs::create_dir(&path).unwrap();
        }
        for e in [objects.put_file(&path).unwrap_err(), objects.put_files(&[path], 1, &|_| ()).unwrap_err()] {
            assert!(e.to_string().contains(name), "{e}");
        }
    }
    let secret = dir.path().join("secret");
    std::fs::write(&secret, b"x").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser reads it all the same.
    if std::fs::read(&secret).is_err() {
        let e = objects.put_file(&secret).unwrap_err();
        assert!(e.hints()[0].contains("ls -ld"), "{e}");
    }
    assert!(files_below(&dir.path().join("objects/tmp")).is_empty());
}

#[test]
fn storing_again_heals_wrong_bytes_under_a_valid_name() {
    let bytes = noise(100_000, 3);
    let mut flipped = bytes.clone();
    flipped[77] ^= 1;
    for wrong in [vec![], flipped, noise(100_001, 4)] {
        let (dir, objects) = store();
        let digest = objects.put_bytes(&bytes).unwrap().digest;
        damage(&place(&dir, &digest), &wrong);
        let found = Health::Corrupt { found: Digest::of(&wrong), size: wrong.len() as u64 };
        assert_eq!(objects.verify(&digest).unwrap(), found);
        assert!(objects.put_bytes(&bytes).unwrap().new);
        assert_eq!(objects.verify(&digest).unwrap(), Health::Ok);

        damage(&place(&dir, &digest), &wrong);
        let file = dir.path().join("source");
        std::fs::write(&file, &bytes).unwrap();
        let many = vec![file; 20];
        assert_eq!(objects.put_files(&many, 2, &|_| ()).unwrap().iter().filter(|s| s.new).count(), 1);
        assert_eq!(objects.verify(&digest).unwrap(), Health::Ok);
    }
}

#[test]
fn wrong_bytes_are_never_handed_out_and_a_refused_copy_leaves_nothing() {
    let (dir, objects) = store();
    let digest = objects.put_bytes(b"right").unwrap().digest;
    damage(&place(&dir, &digest), b"wrong");
    let out = dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("old"), b"old").unwrap();
    let fault = Fault::Corrupt { digest, found: Digest::of(b"wrong"), size: 5 };
    for e in [objects.read(&digest, 100).unwrap_err(), objects.copy_to(&digest, &out.join("old")).unwrap_err()] {
        assert_eq!(e.cause::<Fault>(), Some(&fault), "{e}");
        assert!(!e.hints().is_empty());
    }
    assert_eq!(files_below(&out), [out.join("old")]);
    assert_eq!(std::fs::read(out.join("old")).unwrap(), b"old");
}

#[test]
fn a_missing_object_is_told_from_a_corrupt_one() {
    let (dir, objects) = store();
    let digest = Digest::of(b"never stored");
    assert_eq!(objects.verify(&digest).unwrap(), Health::Missing);
    assert_eq!(objects.stat(&digest).unwrap(), None);
    assert_eq!(objects.read(&digest, 1).unwrap_err().cause(), Some(&Fault::Missing(digest)));
    objects.list(&mut |_, _, _| panic!("there is nothing")).unwrap();
    assert!(!dir.path().join("objects").exists(), "reading makes nothing");
}

#[test]
fn reading_stops_at_the_given_size() {
    let (_dir, objects) = store();
    let digest = objects.put_bytes(&[1; 100]).unwrap().digest;
    assert_eq!(objects.read(&digest, 100).unwrap().len(), 100);
    let e = objects.read(&digest, 99).unwrap_err();
    assert!(e.to_string().contains("more than 99 bytes") && e.cause::<Fault>().is_none(), "{e}");
}

#[test]
fn many_files_are_stored_in_order_with_progress() {
    let (dir, objects) = store();
    let write = |i: usize| {
        let path = dir.path().join(format!("source{i}"));
        std::fs::write(&path, noise(1_000 + i % 60, (i % 60) as u64)).unwrap();
        path
    };
    let paths: Vec<PathBuf> = (0..100).map(write).collect();
    let told = Cell::new(0);
    let stored = objects.put_files(&paths, 4, &|n| told.set(told.get() + n)).unwrap();
    let sizes: u64 = stored.iter().map(|s| s.size).sum();
    assert_eq!(told.get(), sizes);
    for (path, stored) in paths.iter().zip(&stored) {
        assert_eq!(stored.digest, Digest::of(&std::fs::read(path).unwrap()));
    }
    assert_eq!(stored.iter().filter(|s| s.new).count(), 60, "equal files are one object");
    assert!(files_below(&dir.path().join("objects/tmp")).is_empty());
    let listed = listed(&objects);
    let mut wanted: Vec<_> = stored.iter().map(|s| (s.digest, s.size)).collect();
    wanted.sort();
    wanted.dedup();
    assert_eq!(listed, wanted);
}

#[test]
fn writers_of_the_same_bytes_do_not_disturb_each_other() {
    let (dir, objects) = store();
    let bytes = noise(3_000_000, 5);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(objects.put_bytes(&bytes).unwrap().digest, Digest::of(&bytes)));
        }
    });
    assert_eq!(objects.verify(&Digest::of(&bytes)).unwrap(), Health::Ok);
    assert_eq!(files_below(&dir.path().join("objects")).len(), 1);
}

#[test]
fn interrupted_temporaries_are_passed_over_and_swept_when_old() {
    let (dir, objects) = store();
    objects.put_bytes(b"x").unwrap();
    let tmp = dir.path().join("objects/tmp");
    std::fs::write(tmp.join("kf-dead.tmp"), b"half").unwrap();
    std::fs::create_dir(tmp.join("kf-layout")).unwrap();
    let stray = dir.path().join("objects/sha256/ab/not-an-object");
    std::fs::write(stray, b"?").unwrap();
    assert_eq!(listed(&objects).len(), 1);
    assert_eq!(objects.sweep_temporaries(Timestamp::from_micros(0)).unwrap(), 0, "too young");
    let far: Timestamp = "9999-01-01".parse().unwrap();
    assert_eq!(objects.sweep_temporaries(far).unwrap(), 2);
    assert_eq!(std::fs::read_dir(&tmp).unwrap().count(), 0);
}

#[test]
fn a_store_copied_without_empty_directories_still_takes_objects() {
    let (dir, objects) = store();
    std::fs::create_dir_all(dir.path().join("objects/sha256")).unwrap();
    let digest = objects.put_bytes(b"x").unwrap().digest;
    assert_eq!(objects.verify(&digest).unwrap(), Health::Ok);
}

#[test]
fn a_file_in_the_place_of_the_store_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("objects");
    std::fs::write(&path, b"").unwrap();
    assert!(Objects::files(&path).unwrap_err().to_string().contains("is not a directory"));
}

#[test]
fn trash_can_be_undone_until_it_is_emptied() {
    let (dir, objects) = store();
    let at = Timestamp::from_micros;
    let digest = objects.put_bytes(b"x").unwrap().digest;
    assert!(!objects.trash(&Digest::of(b"y"), at(1)).unwrap());
    assert!(objects.trash(&digest, at(5)).unwrap());
    assert_eq!(objects.verify(&digest).unwrap(), Health::Missing);
    assert_eq!(objects.empty_trash(at(5)).unwrap(), []);
    assert!(objects.untrash(&digest).unwrap());
    assert_eq!(objects.verify(&digest).unwrap(), Health::Ok);
    assert!(objects.trashed().unwrap().is_empty());

    assert!(objects.trash(&digest, at(7)).unwrap());
    assert!(objects.put_bytes(b"x").unwrap().new, "what is in the trash is not stored");
    assert_eq!(objects.empty_trash(at(8)).unwrap(), [Trashed { digest, since: at(7) }]);
    assert_eq!(objects.verify(&digest).unwrap(), Health::Ok);

    assert!(objects.trash(&digest, at(9)).unwrap());
    objects.empty_trash(at(10)).unwrap();
    assert!(!objects.untrash(&digest).unwrap());
    assert!(files_below(&dir.path().join("objects")).is_empty());
}

#[test]
fn what_comes_back_corrupt_from_the_trash_is_told() {
    let (dir, objects) = store();
    let digest = objects.put_bytes(b"x").unwrap().digest;
    objects.trash(&digest, Timestamp::from_micros(1)).unwrap();
    damage(&files_below(&dir.path().join("objects/trash"))[0], b"z");
    let e = objects.untrash(&digest).unwrap_err();
    assert!(matches!(e.cause(), Some(Fault::Corrupt { .. })), "{e}");
}

#[test]
fn names_in_the_trash_are_read_back() {
    let item = Trashed { digest: Digest::of(b"x"), since: Timestamp::from_micros(-3) };
    assert_eq!(Trashed::parse(&item.name()), Some(item));
    for bad in ["", "x.1", &format!("{}.", item.digest.hex()), &format!("{}.1", item.digest.hex().to_uppercase())] {
        assert_eq!(Trashed::parse(bad), None, "{bad}");
    }
}

/// Shortening or flipping any byte of an object is found.
#[test]
fn every_flipped_bit_is_found() {
    let (dir, objects) = store();
    let bytes = noise(64, 6);
    let digest = objects.put_bytes(&bytes).unwrap().digest;
    for bit in 0..bytes.len() * 8 {
        let mut wrong = bytes.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        damage(&place(&dir, &digest), &wrong);
        assert!(matches!(objects.verify(&digest).unwrap(), Health::Corrupt { .. }), "bit {bit}");
    }
}
