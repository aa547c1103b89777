//! `kf checkout`.

use crate::repo::{ends, flip_a_bit, init, json, ok, on_both, refused, with_bot};
use insta::assert_snapshot;
use std::collections::BTreeMap;
use std::path::Path;

/// Every file below a folder with its bytes.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in std::fs::read_dir(&next).expect("a folder").flatten() {
            if entry.path().is_dir() {
                dirs.push(entry.path());
            } else {
                let name = entry.path().strip_prefix(dir).expect("below").display().to_string();
                found.insert(name, std::fs::read(entry.path()).expect("a file"));
            }
        }
    }
    found
}

#[test]
fn every_byte_comes_back_under_its_name() {
    on_both(|s| {
        init(s);
        let long = "n".repeat(255);
        for name in ["empty", "a b", "it's \"quoted\"", "..x", "x..", "🚀/ünï", "-rf", "%2e%2e", &long] {
            s.write(Path::new("m").join(name), name.repeat(3));
        }
        s.write("m/empty", "");
        s.write("m/big.bin", (0..3_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>());
        ok(s, ["register", "m", "m"]);
        ok(s, ["checkout", "m", "out"]);
        let (before, after) = (files(&s.work().join("m")), files(&s.work().join("out")));
        assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
        assert!(before == after, "bytes differ");
        let shown = json(&ok(s, ["show", "m", "--format", "json"]));
        assert_eq!(shown["manifest"].as_array().map(Vec::len), Some(10));
    });
}

#[test]
fn a_single_empty_file_is_a_version() {
    on_both(|s| {
        init(s);
        s.write("w.bin", "");
        assert_snapshot!(s.kf(["register", "m", "w.bin"]), @"
        registered m@1.0.0 (cc5182bcff1b, 1 file, 0 B)
        -- exit status: 0 --
        ");
        assert_snapshot!(s.kf(["checkout", "m@1.0.0", "out"]), @"
        m@1.0.0: 1 file, 0 B written to out, every byte verified
        -- exit status: 0 --
        ");
        assert_eq!(s.read("out/w.bin"), "");
    });
}

#[test]
fn nothing_is_overwritten_unless_asked() {
    on_both(|s| {
        with_bot(s);
        s.write("out/routing.yaml", "mine");
        assert_snapshot!(ends(s, 1, ["checkout", "bot", "out"]), @"
        -- stderr --
        error: [ROOT]/work/out holds 1 file of this version already, such as routing.yaml
        hint: choose an empty folder, or overwrite them with `--force`
        -- exit status: 1 --
        ");
        assert_eq!(s.read("out/routing.yaml"), "mine");
        assert!(!s.work().join("out/retrieval.yaml").exists(), "refused before the first file");
        ok(s, ["checkout", "bot", "out", "--force"]);
        assert_eq!(s.read("out/routing.yaml"), "default: small\n");
        assert_snapshot!(refused(s, 0, ["checkout", "bot", "dry", "--dry-run"]), @"
        bot@1.0.0: 3 files, 71 B would be written to dry
        -- stderr --
        dry run: nothing was changed
        -- exit status: 0 --
        ");
        assert!(!s.work().join("dry").exists());
    });
}

#[test]
fn files_are_not_written_through_links() {
    on_both(|s| {
        with_bot(s);
        std::fs::create_dir_all(s.work().join("out")).expect("a folder");
        std::os::unix::fs::symlink(s.root().join("home"), s.work().join("out/prompts")).expect("a link");
        assert_snapshot!(ends(s, 1, ["checkout", "bot", "out", "--force"]), @"
        -- stderr --
        error: [ROOT]/work/out/prompts is a link: files are not written through it
        hint: remove the link, or choose an empty folder
        -- exit status: 1 --
        ");
        assert!(!s.root().join("home/answer.txt").exists());
    });
}

#[test]
fn a_damaged_object_is_found_and_not_delivered() {
    let s = crate::support::sandbox::Sandbox::new();
    with_bot(&s);
    flip_a_bit(&s, "bot");
    let run = ends(&s, 1, ["checkout", "bot", "out"]);
    assert_snapshot!(run, @"
    -- stderr --
    error: cannot write [ROOT]/work/out/prompts/answer.txt
    caused by: cannot read object sha256:f6fe36d23e7794082f06b7cb820b67bd7b4eabbde42eb0308914edbcf53d1dc7 from files in [ROOT]/work/.kf/objects
    caused by: the object is corrupt: its 34 bytes have the digest sha256:7070155566746dfff2321bb7ffa1592e238558d8eaf2740fbea741e178c6b9e8
    hint: store the same file again, which heals the object, or restore it from a backup
    -- exit status: 1 --
    ");
    assert!(!s.work().join("out/prompts/answer.txt").exists());
}
