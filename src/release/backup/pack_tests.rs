use super::*;
use crate::adapters::age;
use crate::base::time::Timestamp;

/// Name, kind, and link or bytes.
type Entry<'a> = (&'a str, tar::EntryType, &'a str);

/// A tar of entries (name, kind, link or bytes) as no tar program would write it: names are put into the header as they are.
fn hostile(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, text) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        let link = kind.is_symlink() || kind.is_hard_link();
        if link {
            header.as_old_mut().linkname[..text.len()].copy_from_slice(text.as_bytes());
        }
        header.set_size(if link { 0 } else { text.len() as u64 });
        header.set_cksum();
        builder.append(&header, if link { &b""[..] } else { text.as_bytes() }).expect("an entry");
    }
    builder.into_inner().expect("a tar")
}

#[test]
fn nothing_of_a_hostile_archive_leaves_its_folder() {
    use tar::EntryType::{Fifo, Link, Regular, Symlink};
    let cases: [(&[Entry<'_>], &str); 6] = [
        (&[("../out", Regular, "x")], "leads out of it"),
        (&[("/out", Regular, "x")], "leads out of it"),
        (&[("a/../../out", Regular, "x")], "leads out of it"),
        (&[("link", Symlink, "/etc")], "leads out of it"),
        (&[("hard", Link, "../../etc/passwd")], "no file, folder or link"),
        (&[("pipe", Fifo, "")], "no file, folder or link"),
    ];
    for (entries, why) in cases {
        let dir = tempfile::tempdir().expect("a folder");
        let to = dir.path().join("in");
        std::fs::create_dir(&to).expect("a folder");
        let e = extract(&mut hostile(entries).as_slice(), Some(&to)).expect_err("refused").to_string();
        assert!(e.contains(why), "{entries:?}: {e}");
        let left: Vec<_> = std::fs::read_dir(dir.path()).expect("a folder").collect();
        assert_eq!(left.len(), 1, "{entries:?}");
    }
    // A link to a folder of the archive is no way out for what is written through it.
    let dir = tempfile::tempdir().expect("a folder");
    let through = hostile(&[("a", Symlink, "."), ("a/../a/b", Regular, "x")]);
    let _ = extract(&mut through.as_slice(), Some(dir.path()));
    assert!(!dir.path().parent().expect("a folder").join("b").exists());
}

#[test]
fn a_folder_comes_back_as_it_was() {
    let dir = tempfile::tempdir().expect("a folder");
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    std::fs::create_dir_all(from.join("a/empty")).expect("folders");
    std::fs::create_dir(&to).expect("a folder");
    std::fs::write(from.join("a/ä file"), vec![7; 300_000]).expect("a file");
    std::fs::write(from.join("a").join("n".repeat(200)), b"long").expect("a file");
    std::os::unix::fs::symlink("ä file", from.join("a/link")).expect("a link");
    std::os::unix::fs::symlink("/etc/hosts", from.join("out")).expect("a link");
    let (key, public) = age::generate();
    let objects = Objects::files(&dir.path().join("objects")).expect("a place");
    let recipients = Recipients::parse(&[public]).expect("keys");
    let mut packed = Packed::default();
    let place = Place {
        objects: &objects,
        scratch: dir.path(),
        signer: None,
        known: &[],
        identities: None,
        jobs: 2,
        now: Timestamp::from_micros(0),
    };
    let stream = seal(&place, &recipients, &mut |w| {
        packed = archive(&from, w)?;
        Ok(())
    })
    .expect("sealed");
    assert_eq!(packed, Packed { files: 3, bytes: 300_004, links_out: 1 });
    let identities = Identities::parse(&key).expect("a key");
    let back = open((&objects, dir.path()), (&identities, &stream), &mut |r| extract(r, Some(&to))).expect("opened");
    assert_eq!((back.files, back.links_out), (3, 0));
    assert_eq!(std::fs::read(to.join("a/ä file")).expect("a file"), vec![7; 300_000]);
    assert_eq!(std::fs::read_link(to.join("a/link")).expect("a link"), Path::new("ä file"));
    assert!(to.join("a/empty").is_dir() && !to.join("out").exists());

    // The manifest says less, or something else, than comes out: a bomb, a stream in the place of another.
    let less = Stream { plain_size: stream.plain_size - 1, ..stream };
    let other = Stream { plain: crate::base::digest::Digest::of(b"x"), ..stream };
    for wrong in [less, other] {
        let e = open((&objects, dir.path()), (&identities, &wrong), &mut |_| Ok(())).expect_err("refused");
        assert!(e.to_string().contains("something else than its manifest says"), "{e}");
    }
}

#[test]
fn nobody_else_reads_a_scratch_folder() {
    use std::os::unix::fs::PermissionsExt as _;
    let beside = tempfile::tempdir().expect("a folder");
    let made = scratch(&beside.path().join("cache")).expect("a scratch folder");
    assert_eq!(std::fs::metadata(made.path()).expect("there").permissions().mode() & 0o777, 0o700);
}

/// Packed by somebody else or by an earlier kf: holes as GNU tar writes them.
fn with_holes(root: &Path) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_path_with_name(root.join("holes"), "holes").expect("packed");
    builder.into_inner().expect("a tar")
}

#[test]
fn a_file_with_holes_comes_back_however_it_was_packed() {
    use std::io::{Seek as _, SeekFrom};
    let dir = tempfile::tempdir().expect("a folder");
    let from = dir.path().join("from");
    std::fs::create_dir(&from).expect("a folder");
    let mut file = File::create(from.join("holes")).expect("a file");
    for at in [1 << 20, 5 << 20] {
        file.seek(SeekFrom::Start(at)).expect("a place");
        file.write_all(b"words").expect("written");
    }
    file.set_len(8 << 20).expect("a hole at the end");
    drop(file);
    let whole = std::fs::read(from.join("holes")).expect("a file");
    let mut ours = Vec::new();
    archive(&from, &mut ours).expect("packed");
    let kinds = |tar: &[u8]| -> Vec<tar::EntryType> {
        let mut archive = tar::Archive::new(tar);
        archive.entries().expect("a tar").map(|entry| entry.expect("an entry").header().entry_type()).collect()
    };
    assert_eq!(kinds(&ours), [tar::EntryType::Directory, tar::EntryType::Regular], "any tar reads it");
    let theirs = with_holes(&from);
    assert_eq!(kinds(&theirs), [tar::EntryType::GNUSparse], "the test needs a disk that has holes");
    for (n, tar) in [ours, theirs].iter().enumerate() {
        let to = dir.path().join(format!("to{n}"));
        std::fs::create_dir(&to).expect("a folder");
        assert_eq!(extract(&mut tar.as_slice(), None).expect("read").files, 1);
        assert_eq!(extract(&mut tar.as_slice(), Some(&to)).expect("unpacked").files, 1);
        assert!(std::fs::read(to.join("holes")).expect("a file") == whole, "{n}");
    }
}

/// None of these is seen by looking at one entry alone.
#[test]
fn no_chain_of_links_leads_out() {
    use tar::EntryType::{Directory, Regular, Symlink};
    let cases: [(&[Entry<'_>], &str); 6] = [
        // What is below a link is elsewhere than its name says.
        (&[("a/b/c", Directory, ""), ("a/b/c/up", Symlink, "../.."), ("a/b/c/up/out", Symlink, "../../..")], "is a link there"),
        (&[("d", Directory, ""), ("l", Symlink, "d"), ("l/file", Regular, "x")], "is a link there"),
        (&[("l", Symlink, "d"), ("l/x/y", Directory, "")], "is a link there"),
        // A link by way of another, whichever comes first.
        (&[("x/y/z/up", Symlink, "../../.."), ("out", Symlink, "x/y/z/up/..")], "leads out of it"),
        (&[("out", Symlink, "x/y/z/up/.."), ("x/y/z/up", Symlink, "../../..")], "leads out of it"),
        (&[("a/../b", Directory, "")], "leads out of it"),
    ];
    for (entries, why) in cases {
        for written in [true, false] {
            let dir = tempfile::tempdir().expect("a folder");
            let to = dir.path().join("in");
            std::fs::create_dir(&to).expect("a folder");
            let e = extract(&mut hostile(entries).as_slice(), written.then_some(to.as_path())).expect_err("refused").to_string();
            assert!(e.contains(why), "{entries:?}: {e}");
            let out = to.join("out");
            assert!(std::fs::symlink_metadata(&out).is_err(), "{entries:?}: a link that leads out is left");
        }
    }
    // Links by way of links that stay within come back, and what goes round in circles leads nowhere.
    let dir = tempfile::tempdir().expect("a folder");
    let right: &[Entry<'_>] = &[
        ("releases/1/bin", Directory, ""),
        ("current", Symlink, "releases/1"),
        ("bin", Symlink, "current/bin"),
        ("up", Symlink, "current/../2"),
        ("round", Symlink, "round"),
    ];
    assert_eq!(extract(&mut hostile(right).as_slice(), Some(dir.path())).expect("unpacked").files, 4);
    assert!(dir.path().join("bin").is_dir());
}

/// What would be refused when it is unpacked is left out when it is packed.
#[test]
fn what_is_packed_can_be_unpacked() {
    let dir = tempfile::tempdir().expect("a folder");
    let from = dir.path().join("from");
    std::fs::create_dir_all(from.join("x/y/z")).expect("folders");
    for (link, target) in [("x/y/z/up", "../../.."), ("out", "x/y/z/up/.."), ("also", "out/from"), ("within", "x/y/z/up/x")] {
        std::os::unix::fs::symlink(target, from.join(link)).expect("a link");
    }
    let mut tar = Vec::new();
    let packed = archive(&from, &mut tar).expect("packed");
    assert_eq!((packed.files, packed.links_out), (2, 2));
    let to = dir.path().join("to");
    std::fs::create_dir(&to).expect("a folder");
    assert_eq!(extract(&mut tar.as_slice(), Some(&to)).expect("unpacked").files, 2);
    assert!(to.join("within/y").is_dir() && std::fs::symlink_metadata(to.join("out")).is_err());
}

/// As root nothing stands in the way, but the modes are looked at all the same.
#[test]
fn folders_for_reading_only_and_the_folder_itself_come_back_with_their_modes() {
    let dir = tempfile::tempdir().expect("a folder");
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    std::fs::create_dir_all(from.join("a/b")).expect("folders");
    std::fs::create_dir(&to).expect("a folder");
    std::fs::write(from.join("a/b/file"), "x").expect("a file");
    let modes = [("a/b", 0o500), ("a", 0o555), ("", 0o750)];
    for (path, mode) in modes {
        std::fs::set_permissions(from.join(path), Permissions::from_mode(mode)).expect("a mode");
    }
    let mut tar = Vec::new();
    archive(&from, &mut tar).expect("packed");
    extract(&mut tar.as_slice(), Some(&to)).expect("unpacked");
    for (path, mode) in modes {
        let is = std::fs::metadata(to.join(path)).expect("there").permissions().mode() & 0o777;
        assert_eq!(is, mode, "`{path}`: {is:o}");
    }
    assert_eq!(std::fs::read_to_string(to.join("a/b/file")).expect("a file"), "x");
    for dir in [&from, &to] {
        super::super::scratch::remove(dir).expect("removed, whatever the modes");
    }
}
