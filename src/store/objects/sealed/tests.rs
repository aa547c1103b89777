//! The promises of encrypted objects on files; the same on S3 are in `tests/it/encrypt.rs`.

use super::*;
use crate::base::digest::unhex;
use crate::config::secret::Secret;
use crate::store::age::{Identities, generate};
use crate::store::objects::Objects;
use proptest::prelude::*;
use std::io::Read as _;
use std::sync::Arc;
use tempfile::TempDir;

fn fetch(keys: &[&Secret]) -> Option<Fetch> {
    let all = keys.iter().map(|key| key.expose()).collect::<String>();
    (!keys.is_empty()).then(|| Box::new(move || Ok(Secret::new(all.clone()))) as Fetch)
}

fn open(dir: &TempDir, recipients: &[&String], identities: &[&Secret]) -> Objects {
    let recipients: Vec<String> = recipients.iter().map(|key| (*key).clone()).collect();
    Objects::files(&dir.path().join("objects")).unwrap().encrypted(Keys::new(&recipients, fetch(identities)).unwrap())
}

fn place(dir: &TempDir, digest: &Digest) -> PathBuf {
    dir.path().join("objects/sha256").join(&digest.hex()[..2]).join(&digest.hex()[2..])
}

fn lies(dir: &TempDir, digest: &Digest) -> Vec<u8> {
    std::fs::read(place(dir, digest)).unwrap()
}

fn damage(dir: &TempDir, digest: &Digest, bytes: &[u8]) {
    std::fs::remove_file(place(dir, digest)).unwrap();
    std::fs::write(place(dir, digest), bytes).unwrap();
}

fn decrypted(key: &Secret, stream: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    Identities::parse(key).unwrap().reader(stream).unwrap().read_to_end(&mut plain).unwrap();
    plain
}

fn bytes(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8 ^ seed ^ (i >> 13) as u8).collect()
}

fn listed(objects: &Objects) -> Vec<(Digest, u64)> {
    let mut all = Vec::new();
    objects
        .list(&mut |digest, size, _| {
            all.push((digest, size));
            Ok(())
        })
        .unwrap();
    all
}

#[test]
fn what_lies_there_is_an_age_stream_and_all_else_is_as_without() {
    let (dir, (key, public)) = (tempfile::tempdir().unwrap(), generate());
    let objects = open(&dir, &[&public], &[&key]);
    let sizes = [0, 1, 65_536, 65_537, WHOLE as usize, WHOLE as usize + 1, 9_000_000];
    let mut all = Vec::new();
    for (i, len) in sizes.into_iter().enumerate() {
        let bytes = bytes(len, i as u8);
        let file = dir.path().join("source");
        std::fs::write(&file, &bytes).unwrap();
        let stored = objects.put_file(&file).unwrap();
        assert_eq!(stored, Stored { digest: Digest::of(&bytes), size: len as u64, new: true });
        let lay = lies(&dir, &stored.digest);
        assert!(decrypted(&key, &lay) == bytes, "{len}");
        assert!(len < 64 || !lay.windows(32).any(|w| w == &bytes[..32]), "{len}");
        assert_eq!(objects.put_bytes(&bytes).unwrap(), Stored { new: false, ..stored });
        assert_eq!(objects.put_file(&file).unwrap(), Stored { new: false, ..stored });
        assert!(lies(&dir, &stored.digest) == lay, "storing it again writes nothing");
        assert!(objects.read(&stored.digest, u64::MAX).unwrap() == bytes);
        assert_eq!(objects.stat(&stored.digest).unwrap(), Some(len as u64));
        assert_eq!(objects.verify(&stored.digest).unwrap(), Health::Ok);
        let copy = dir.path().join("copy");
        objects.copy_to(&stored.digest, &copy).unwrap();
        assert!(std::fs::read(&copy).unwrap() == bytes);
        all.push((stored.digest, len as u64));
    }
    all.sort();
    assert_eq!(listed(&objects), all);
    let many: Vec<PathBuf> = (0..20)
        .map(|i| {
            let path = dir.path().join(format!("many{i}"));
            std::fs::write(&path, bytes(100 + i % 10, 7)).unwrap();
            path
        })
        .collect();
    let stored = objects.put_files(&many, 4, &|_| ()).unwrap();
    assert_eq!(stored.iter().filter(|s| s.new).count(), 10, "equal files are one object");
    assert!(stored.iter().all(|s| objects.verify(&s.digest).unwrap() == Health::Ok));
    assert_eq!(
        objects
            .survey(&mut |_, _, _, cover| if cover == Cover::Current { Ok(()) } else { Err(Error::new("plain")) })
            .map_err(|e| e.to_string()),
        Ok(())
    );
}

#[test]
fn without_a_key_nothing_is_read_nothing_is_called_right_and_nothing_is_replaced() {
    let (dir, (key, public), (other, _)) = (tempfile::tempdir().unwrap(), generate(), generate());
    let digest = open(&dir, &[&public], &[&key]).put_bytes(b"secret words").unwrap().digest;
    let lay = lies(&dir, &digest);
    let hosts = [
        (open(&dir, &[], &[]), "`artifacts.identity` names no key"),
        (open(&dir, &[&public], &[]), "for the keys of `artifacts.encrypt` (age1"),
        (open(&dir, &[], &[&other]), "holds the private key of none of them"),
    ];
    for (objects, why) in hosts {
        for e in [objects.read(&digest, 100).unwrap_err(), objects.verify(&digest).unwrap_err()] {
            assert!(e.cause::<NoKey>().is_some() && e.to_string().contains(why), "{e}");
            assert!(!e.hints().is_empty() && e.to_string().contains(&digest.to_string()), "{e}");
        }
        assert_eq!(objects.put_bytes(b"secret words").unwrap(), Stored { digest, size: 12, new: false });
        assert!(lies(&dir, &digest) == lay, "{why}");
        assert!(objects.trash(&digest, Timestamp::from_micros(1)).unwrap());
        assert!(objects.untrash(&digest).unwrap(), "{why}");
        assert!(objects.rewrite(&digest).is_err() && lies(&dir, &digest) == lay);
    }
    // Keys that are here and do not read it: storing it again makes it readable.
    let (third, of_third) = generate();
    let objects = open(&dir, &[&of_third], &[&third]);
    assert!(objects.put_bytes(b"secret words").unwrap().new);
    assert_eq!(objects.read(&digest, 100).unwrap(), b"secret words");
}

#[test]
fn a_key_that_cannot_be_fetched_is_asked_for_when_it_is_needed() {
    let (dir, (_, public)) = (tempfile::tempdir().unwrap(), generate());
    let gone: Fetch = Box::new(|| Err(Error::new("cannot open `kf.key`").hint("mount the stick")));
    let objects = Objects::files(&dir.path().join("objects")).unwrap().encrypted(Keys::new(&[public], Some(gone)).unwrap());
    let digest = objects.put_bytes(b"x").unwrap().digest;
    assert_eq!(objects.stat(&digest).unwrap(), Some(1));
    let e = objects.read(&digest, 10).unwrap_err();
    assert!(e.to_string().contains("cannot open `kf.key`") && e.hints()[0] == "mount the stick", "{e} {:?}", e.hints());
}

#[test]
fn a_mixed_place_is_read_and_rewriting_brings_all_of_it_to_the_keys_of_now() {
    let (dir, (a, of_a), (b, of_b)) = (tempfile::tempdir().unwrap(), generate(), generate());
    let clear = open(&dir, &[], &[]);
    let (large, small) = (bytes(5_000_000, 1), bytes(10, 2));
    let digests = [clear.put_bytes(&large).unwrap().digest, clear.put_bytes(&small).unwrap().digest];
    let first = open(&dir, &[&of_a], &[&a]);
    assert_eq!(first.read(&digests[0], u64::MAX).unwrap().len(), large.len());
    assert!(!first.put_bytes(&small).unwrap().new, "what is there in the clear is there");
    let covers = |objects: &Objects| {
        let mut all = Vec::new();
        objects
            .survey(&mut |_, size, _, cover| {
                all.push((size, cover));
                Ok(())
            })
            .unwrap();
        all.sort_by_key(|(size, _)| *size);
        all.into_iter().map(|(_, cover)| cover).collect::<Vec<_>>()
    };
    assert_eq!(covers(&first), [Cover::Plain; 2]);
    for digest in &digests {
        assert!(first.rewrite(digest).unwrap());
    }
    assert_eq!(covers(&first), [Cover::Current; 2]);
    let second = open(&dir, &[&of_b], &[&a, &b]);
    assert_eq!(covers(&second), [Cover::Other; 2]);
    for digest in &digests {
        assert!(second.rewrite(digest).unwrap());
    }
    assert_eq!(covers(&second), [Cover::Current; 2]);
    // The old key is needed no more, and reads no more.
    assert!(open(&dir, &[&of_b], &[&b]).read(&digests[0], u64::MAX).unwrap() == large);
    assert!(first.read(&digests[0], u64::MAX).unwrap_err().cause::<NoKey>().is_some());
    let out = open(&dir, &[], &[&b]);
    assert!(out.rewrite(&digests[1]).unwrap());
    assert!(lies(&dir, &digests[1]) == small);
    assert!(!out.rewrite(&Digest::of(b"nothing")).unwrap());
}

#[test]
fn a_file_that_is_an_age_stream_itself_is_kept_as_it_is() {
    let (dir, (key, public)) = (tempfile::tempdir().unwrap(), generate());
    let objects = open(&dir, &[&public], &[&key]);
    let lay = lies(&dir, &objects.put_bytes(b"words").unwrap().digest);
    let clear = open(&dir, &[], &[]);
    let as_it_is = clear.put_bytes(&lay).unwrap().digest;
    assert!(objects.read(&as_it_is, u64::MAX).unwrap() == lay, "stored in the clear");
    let dir = tempfile::tempdir().unwrap();
    let objects = open(&dir, &[&public], &[&key]);
    let twice = objects.put_bytes(&lay).unwrap().digest;
    assert!(objects.read(&twice, u64::MAX).unwrap() == lay && decrypted(&key, &lies(&dir, &twice)) == lay);
}

#[test]
fn a_rewrite_of_what_is_damaged_changes_nothing() {
    let (dir, (key, public)) = (tempfile::tempdir().unwrap(), generate());
    let clear = open(&dir, &[], &[]);
    let digest = clear.put_bytes(&bytes(100_000, 1)).unwrap().digest;
    let mut wrong = lies(&dir, &digest);
    wrong[99_999] ^= 1;
    damage(&dir, &digest, &wrong);
    let objects = open(&dir, &[&public], &[&key]);
    let e = objects.rewrite(&digest).unwrap_err();
    assert!(matches!(e.cause(), Some(Fault::Corrupt { .. })), "{e}");
    assert!(lies(&dir, &digest) == wrong);
    assert_eq!(std::fs::read_dir(dir.path().join("objects/tmp")).unwrap().count(), 0);
    assert!(objects.put_bytes(&bytes(100_000, 1)).unwrap().new, "storing it again heals it");
    assert_eq!(objects.verify(&digest).unwrap(), Health::Ok);
    let mut wrong = lies(&dir, &digest);
    wrong[70_000] ^= 1;
    damage(&dir, &digest, &wrong);
    let e = objects.rewrite(&digest).unwrap_err();
    assert_eq!(e.cause(), Some(&Fault::Corrupt { digest, found: Digest::of(&wrong), size: wrong.len() as u64 }), "{e}");
    assert!(lies(&dir, &digest) == wrong);
}

/// Shortening, lengthening or altering a stream anywhere is found, and storing the same bytes again heals it.
#[test]
fn every_altered_byte_is_found() {
    let (dir, (key, public)) = (tempfile::tempdir().unwrap(), generate());
    let objects = open(&dir, &[&public], &[&key]);
    let plain = bytes(70_000, 3);
    let digest = objects.put_bytes(&plain).unwrap().digest;
    let right = lies(&dir, &digest);
    let mut wrongs: Vec<Vec<u8>> = [0, 5, 40, 130, 300, right.len() - 1].iter().map(|len| right[..*len].to_vec()).collect();
    wrongs.push([&right[..], b"x"].concat());
    for at in (0..500).step_by(3).chain((500..right.len()).step_by(4_999)).chain([right.len() - 1]) {
        let mut wrong = right.clone();
        wrong[at] ^= 1;
        wrongs.push(wrong);
    }
    for (i, wrong) in wrongs.iter().enumerate() {
        damage(&dir, &digest, wrong);
        let found = Health::Corrupt { found: Digest::of(wrong), size: wrong.len() as u64 };
        match objects.verify(&digest) {
            Ok(health) => assert_eq!(health, found, "{i}"),
            Err(e) => assert!(e.cause::<NoKey>().is_some(), "{i}: {e}"),
        }
        assert!(objects.read(&digest, u64::MAX).is_err(), "{i}");
        if i % 10 == 0 {
            assert!(objects.put_bytes(&plain).unwrap().new, "{i}");
            assert_eq!(objects.verify(&digest).unwrap(), Health::Ok, "{i}");
        }
    }
}

#[test]
fn readers_and_writers_see_the_object_while_it_is_rewritten() {
    let (dir, (key, public)) = (tempfile::tempdir().unwrap(), generate());
    let objects = Arc::new(open(&dir, &[&public], &[&key]));
    let plain = bytes(3_000_000, 4);
    let digest = objects.put_bytes(&plain).unwrap().digest;
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..10).for_each(|_| assert!(objects.read(&digest, u64::MAX).unwrap() == plain)));
            scope.spawn(|| (0..5).for_each(|_| assert!(!objects.put_bytes(&plain).unwrap().new)));
        }
        (0..10).for_each(|_| assert!(objects.rewrite(&digest).unwrap()));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_goes_in_comes_out(len in 0_usize..200_000, seed in any::<u8>(), keys in 1_usize..4) {
        let (dir, keys) = (tempfile::tempdir().unwrap(), (0..keys).map(|_| generate()).collect::<Vec<_>>());
        let recipients: Vec<&String> = keys.iter().map(|(_, public)| public).collect();
        let digest = open(&dir, &recipients, &[]).put_bytes(&bytes(len, seed)).unwrap().digest;
        prop_assert!(unhex(&digest.hex()).is_some());
        for (key, _) in &keys {
            let objects = open(&dir, &recipients, &[key]);
            prop_assert!(objects.read(&digest, u64::MAX).unwrap() == bytes(len, seed));
            prop_assert_eq!(listed(&objects), [(digest, len as u64)]);
        }
    }
}
