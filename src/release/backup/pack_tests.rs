use super::*;
use crate::adapters::age;

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
    let place = Place { objects: &objects, scratch: dir.path(), signer: None, known: &[], identities: None, jobs: 2 };
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
