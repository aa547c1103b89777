//! The manifest of a version: its type, its files (path → digest, size, media type) and the digests it depends on.
//!
//! The SHA-256 of the manifest's bytes is the version's digest, so one manifest has exactly one byte string: canonical JSON
//! (RFC 8785), files sorted bytewise by path, dependencies sorted, nothing else in it. Metrics, tags and metadata are not in
//! it. Reading is strict: what is not byte for byte what [`Manifest::to_bytes`] writes is refused, so a manifest that was
//! tampered with in a way that leaves its meaning alone does not pass for the original either.
//!
//! Paths are relative, `/`-separated UTF-8 without `.`, `..`, empty parts, backslashes or control characters: safe to write
//! out below any directory on any system.

use crate::base::canonical::{self, INTEGER_MAX};
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Result};
use crate::base::name::ModelType;
use crate::base::text::visible;
use crate::fail;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The format of the bytes; part of what is hashed.
pub const SCHEMA: &str = "kf.manifest/1";

/// The longest path in bytes.
pub const PATH_MAX: usize = 1024;

/// One file of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Where it lies within the version, `/`-separated and relative.
    pub path: String,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Its media type, see [`media_type`].
    pub media: String,
}

/// What makes a version. Valid by existing: paths are safe and unique, files and dependencies are sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    kind: ModelType,
    files: Vec<FileEntry>,
    depends: Vec<Digest>,
}

/// The JSON form; field order does not matter, canonical JSON sorts.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    schema: String,
    kind: ModelType,
    files: Vec<FileEntry>,
    depends: Vec<Digest>,
}

impl Manifest {
    /// A manifest from its parts in any order; a dependency named twice counts once.
    ///
    /// # Errors
    /// When a path is unsafe, used twice, or at once a file and a folder; when a size cannot be written exactly.
    pub fn new(kind: ModelType, mut files: Vec<FileEntry>, mut depends: Vec<Digest>) -> Result<Self> {
        files.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
        depends.sort_unstable();
        depends.dedup();
        check_files(&files)?;
        Ok(Self { kind, files, depends })
    }

    /// What kind of model this is a version of.
    pub fn kind(&self) -> ModelType {
        self.kind
    }

    /// The files, sorted bytewise by path.
    pub fn files(&self) -> &[FileEntry] {
        &self.files
    }

    /// Digests of the versions that this one needs, sorted.
    pub fn depends(&self) -> &[Digest] {
        &self.depends
    }

    /// The file at a path.
    pub fn file(&self, path: &str) -> Option<&FileEntry> {
        self.files.binary_search_by(|f| f.path.as_bytes().cmp(path.as_bytes())).ok().map(|i| &self.files[i])
    }

    /// Bytes of all files together.
    pub fn total_size(&self) -> u64 {
        self.files.iter().fold(0, |sum, f| sum.saturating_add(f.size))
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let wire = Wire { schema: SCHEMA.to_owned(), kind: self.kind, files: self.files.clone(), depends: self.depends.clone() };
        canonical::to_string(&wire).expect("sizes were checked to be canonical integers, all else is text").into_bytes()
    }

    /// The version's digest: SHA-256 of [`Manifest::to_bytes`].
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }

    /// Reads what [`Manifest::to_bytes`] wrote.
    ///
    /// # Errors
    /// When the bytes are anything else: other JSON, unknown fields, unsafe or unsorted paths, another layout of the same
    /// value.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let wire: Wire = serde_json::from_slice(bytes).context(|| "cannot read the manifest")?;
        if wire.schema != SCHEMA {
            let schema = crate::base::text::ellipsis(&wire.schema, 40);
            let e = Error::new(format!("cannot read the manifest: its format is `{schema}`, this kf reads `{SCHEMA}`"));
            return Err(e.hint("install the kf that wrote it, or a newer one"));
        }
        let manifest = Self::new(wire.kind, wire.files, wire.depends)?;
        if manifest.to_bytes() != bytes {
            fail!("cannot read the manifest: its bytes are not canonical (unsorted, spaced or escaped differently)");
        }
        Ok(manifest)
    }
}

/// Checks sorted files: each path safe and unique, no path below another one, sizes within what JSON keeps exactly.
fn check_files(files: &[FileEntry]) -> Result<()> {
    let all: BTreeSet<&str> = files.iter().map(|f| f.path.as_str()).collect();
    for pair in files.windows(2) {
        if pair[0].path == pair[1].path {
            fail!("the path `{}` is in the manifest twice", pair[0].path.escape_debug());
        }
    }
    for file in files {
        check_path(&file.path)?;
        if i64::try_from(file.size).map_or(true, |size| size > INTEGER_MAX) {
            fail!("`{}` is {} bytes long, more than a manifest can say", file.path, file.size);
        }
        let parents = file.path.match_indices('/').map(|(i, _)| &file.path[..i]);
        if let Some(parent) = parents.into_iter().find(|p| all.contains(p)) {
            fail!("`{parent}` is in the manifest both as a file and as the folder of `{}`", file.path);
        }
    }
    Ok(())
}

/// Checks that a path can be written out below any directory without leaving it.
///
/// # Errors
/// When it is absolute, empty, too long, or has `.`, `..`, empty parts, backslashes, control characters or a drive letter.
pub fn check_path(path: &str) -> Result<()> {
    let bytes = path.as_bytes();
    let drive = bytes.len() >= 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':';
    let why = if path.is_empty() {
        "it is empty"
    } else if path.len() > PATH_MAX {
        "it is longer than 1024 bytes"
    } else if path.starts_with('/') || drive {
        "it is absolute"
    } else if path.contains('\\') {
        "it has a backslash; parts are separated by `/`"
    } else if path.chars().any(char::is_control) {
        "it has a control character"
    } else if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        "it has an empty part, `.` or `..`"
    } else {
        return Ok(());
    };
    Err(Error::new(format!("`{}` cannot be a path in a version: {why}", visible(path, 80)))
        .hint("rename it: paths are relative to the model's folder, such as `prompts/system.txt`"))
}

/// Extensions and their media types (IANA where registered). The table is part of the format: a changed line changes the
/// digest of what is registered next, so entries are only added.
const MEDIA: &[(&str, &str)] = &[
    ("bin", "application/octet-stream"),
    ("csv", "text/csv"),
    ("gguf", "application/vnd.gguf"),
    ("gz", "application/gzip"),
    ("html", "text/html"),
    ("j2", "text/plain"),
    ("joblib", "application/octet-stream"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("json", "application/json"),
    ("jsonl", "application/jsonl"),
    ("md", "text/markdown"),
    ("ndjson", "application/jsonl"),
    ("npy", "application/octet-stream"),
    ("onnx", "application/onnx"),
    ("parquet", "application/vnd.apache.parquet"),
    ("pdf", "application/pdf"),
    ("pkl", "application/octet-stream"),
    ("png", "image/png"),
    ("prompt", "text/plain"),
    ("pt", "application/octet-stream"),
    ("pth", "application/octet-stream"),
    ("py", "text/x-python"),
    ("safetensors", "application/vnd.safetensors"),
    ("tar", "application/x-tar"),
    ("toml", "application/toml"),
    ("tsv", "text/tab-separated-values"),
    ("txt", "text/plain"),
    ("xml", "application/xml"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("zip", "application/zip"),
    ("zst", "application/zstd"),
];

/// First bytes of files that are known by content.
const MAGIC: &[(&[u8], &str)] = &[
    (b"GGUF", "application/vnd.gguf"),
    (b"PAR1", "application/vnd.apache.parquet"),
    (b"PK\x03\x04", "application/zip"),
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x1f\x8b", "application/gzip"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
];

/// The media type of a file by its extension; without a known one by its first bytes (a few hundred are enough).
pub fn media_type(path: &str, head: &[u8]) -> &'static str {
    let extension = extension_of(path).to_ascii_lowercase();
    if let Ok(i) = MEDIA.binary_search_by(|(e, _)| (*e).cmp(extension.as_str())) {
        return MEDIA[i].1;
    }
    if let Some((_, media)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        return media;
    }
    // A head that was cut within a character is still text.
    let text = !head.contains(&0) && std::str::from_utf8(head).map_or_else(|e| e.error_len().is_none(), |_| true);
    if text { "text/plain" } else { "application/octet-stream" }
}

/// The extension of the last part of a path without its dot; empty when there is none.
pub(crate) fn extension_of(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map_or("", |(_, e)| e)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(path: &str, content: &[u8]) -> FileEntry {
        FileEntry {
            path: path.to_owned(),
            digest: Digest::of(content),
            size: content.len() as u64,
            media: media_type(path, content).to_owned(),
        }
    }

    fn manifest(paths: &[&str]) -> Result<Manifest> {
        Manifest::new(ModelType::Config, paths.iter().map(|p| entry(p, p.as_bytes())).collect(), vec![])
    }

    /// The bytes are a promise: a digest computed by an older kf must stay reachable. SHA-256("abc") is FIPS 180-4's example.
    #[test]
    fn the_bytes_are_what_they_always_were() {
        let m = Manifest::new(ModelType::Prompt, vec![entry("a.txt", b"abc")], vec![Digest::of(b"abc")]).expect("valid");
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let expected = format!(
            "{{\"depends\":[\"{abc}\"],\"files\":[{{\"digest\":\"{abc}\",\"media\":\"text/plain\",\"path\":\"a.txt\",\"size\":3}}],\
             \"kind\":\"prompt\",\"schema\":\"kf.manifest/1\"}}"
        );
        assert_eq!(String::from_utf8(m.to_bytes()).expect("UTF-8"), expected);
        assert_eq!(m.digest(), Digest::of(expected.as_bytes()));
    }

    #[test]
    fn order_of_files_and_dependencies_does_not_change_the_digest() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let one = Manifest::new(ModelType::Llm, vec![entry("x", b"1"), entry("a/b", b"2")], vec![a, b, a]).expect("valid");
        let two = Manifest::new(ModelType::Llm, vec![entry("a/b", b"2"), entry("x", b"1")], vec![b, a]).expect("valid");
        assert_eq!(one.digest(), two.digest());
        let other = Manifest::new(ModelType::Other, one.files().to_vec(), vec![a, b]).expect("valid");
        assert_ne!(one.digest(), other.digest(), "the type is part of the identity");
        assert_eq!(one.file("x").map(|f| f.size), Some(1));
        assert_eq!(one.file("y"), None);
    }

    #[test]
    fn paths_that_could_leave_the_folder_are_refused() {
        let long = "x".repeat(PATH_MAX + 1);
        let bad =
            ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "./a", ".", "..", "a\\..\\b", "C:x", "c:/x", "a\0b", "a\nb"];
        for path in bad.into_iter().chain([long.as_str()]) {
            let e = manifest(&[path]).expect_err(path);
            assert!(e.to_string().len() < 300 && !e.hints().is_empty(), "{e}");
        }
        for path in ["a", "a/b.txt", "..a/b..", "prompts/système.txt", "a b", ".hidden", "ab:c"] {
            manifest(&[path]).expect(path);
        }
    }

    #[test]
    fn a_path_twice_or_as_file_and_folder_is_refused() {
        let e = manifest(&["a", "b", "a"]).expect_err("twice");
        assert_eq!(e.to_string(), "the path `a` is in the manifest twice");
        let e = manifest(&["a", "a-b", "a/b/c"]).expect_err("file and folder");
        assert_eq!(e.to_string(), "`a` is in the manifest both as a file and as the folder of `a/b/c`");
        let mut huge = entry("a", b"");
        huge.size = 1 << 60;
        assert!(Manifest::new(ModelType::Other, vec![huge], vec![]).is_err());
    }

    #[test]
    fn another_spelling_of_the_same_manifest_is_refused() {
        let bytes = manifest(&["a", "b"]).expect("valid").to_bytes();
        let text = String::from_utf8(bytes).expect("UTF-8");
        assert!(Manifest::from_bytes(text.as_bytes()).is_ok());
        let swapped = text.replace("\"path\":\"a\"", "\"path\":\"c\"");
        for bad in [
            format!("{text}\n"),
            text.replace(":[", ": ["),
            text.replace("\"path\":\"a\"", "\"path\":\"\\u0061\""),
            text.replace("\"depends\":[]", "\"depends\":[],\"extra\":1"),
            text.replace("\"size\":1", "\"size\":1.0"),
            text.replace("kf.manifest/1", "kf.manifest/2"),
            text.replace("\"path\":\"a\"", "\"path\":\"/a\""),
            text.replace("\"path\":\"b\"", "\"path\":\"a\""),
            text.replace("\"kind\":\"config\"", "\"kind\":\"config\",\"kind\":\"config\""),
            swapped,
            String::new(),
        ] {
            assert!(Manifest::from_bytes(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn media_types_come_from_the_name_and_else_from_the_content() {
        assert!(MEDIA.is_sorted_by_key(|(e, _)| *e), "binary search needs order");
        assert_eq!(media_type("a/B.YAML", b""), "application/yaml");
        assert_eq!(media_type("model", b"GGUF\x03\0\0\0"), "application/vnd.gguf");
        assert_eq!(media_type("LICENSE", "naïv".as_bytes()), "text/plain");
        assert_eq!(media_type("LICENSE", &"naï".as_bytes()[..3]), "text/plain");
        assert_eq!(media_type("weights", b"a\0b"), "application/octet-stream");
        assert_eq!(media_type(".json", b"x"), "text/plain");
    }

    fn any_entries() -> impl Strategy<Value = Vec<FileEntry>> {
        let path = proptest::collection::vec("[a-z\u{e9}\u{1f600} ._-]{1,4}", 1..4).prop_map(|parts| parts.join("/"));
        let file = (path, any::<[u8; 32]>(), 0..=INTEGER_MAX.unsigned_abs(), "[ -~]{0,8}");
        let file = file.prop_map(|(path, d, size, media)| FileEntry { path, digest: Digest::from_bytes(d), size, media });
        proptest::collection::vec(file, 0..6)
    }

    proptest! {
        #[test]
        fn what_was_written_reads_back(files in any_entries(), depends in proptest::collection::vec(any::<[u8; 32]>(), 0..4)) {
            let depends = depends.into_iter().map(Digest::from_bytes).collect();
            if let Ok(m) = Manifest::new(ModelType::Config, files, depends) {
                let back = Manifest::from_bytes(&m.to_bytes());
                prop_assert_eq!(back.expect("its own bytes"), m);
            }
        }

        #[test]
        fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Manifest::from_bytes(&bytes);
        }
    }
}
