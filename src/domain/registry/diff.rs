//! What differs between two versions: type, files, dependencies and metrics.
//!
//! Files are compared by digest first, so only changed ones are read. YAML, TOML and JSON are compared key by key
//! ([`super::tree`]), other texts as unified diffs (Myers, three lines of context), prompts also by the variables they need,
//! and everything else, or larger than [`TEXT_MAX`], by size and digest. A file that left and one that came are one renamed
//! file when their digests are the same, or when their paths differ in the extension only.

use super::document::{Syntax, text_of};
use super::manifest::{FileEntry, Manifest, extension_of};
use super::parts::{Layout, Part, Prompt, prompts_of};
use super::tree::{self, KeyChange};
use crate::base::digest::Digest;
use crate::base::error::{Context, Result};
use crate::base::name::{ModelType, Name};
use crate::base::quantity::Bytes;
use crate::base::version::Version;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

/// Files larger than this many bytes are compared by size and digest only.
pub const TEXT_MAX: u64 = 1 << 20;

/// A version that another one needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dependency {
    /// Its model.
    pub name: Name,
    /// Its number.
    pub version: Version,
    /// Its digest, as it is in the manifest of the version that needs it.
    pub digest: Digest,
}

/// One of the two versions that are compared.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// What it is made of.
    pub manifest: &'a Manifest,
    /// Names of what it depends on; a digest of the manifest that has no name here is called by its digest.
    pub depends: &'a [Dependency],
    /// Its metrics by name.
    pub metrics: &'a BTreeMap<String, f64>,
}

/// How a file changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// Its content is another one.
    Changed,
    /// It has another path, and may have another content.
    Renamed,
}

/// What changed within a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "as")]
pub enum Detail {
    /// Nothing to compare: the file is new, gone, or only its path changed.
    None,
    /// Not text, or too large to compare as text: see size and digest.
    Binary,
    /// A structured file.
    Keys {
        /// What differs, at least one thing.
        changes: Vec<KeyChange>,
    },
    /// A text.
    Text {
        /// Unified diff.
        unified: String,
        /// Lines that are new.
        added: usize,
        /// Lines that are gone.
        removed: usize,
    },
}

/// A prompt that is new, gone, or needs other variables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PromptChange {
    /// Where in its file; missing when the file is the prompt.
    pub key: Option<String>,
    /// New, gone or changed.
    pub status: Status,
    /// Variables it needs now and did not.
    pub added: Vec<String>,
    /// Variables it no longer uses.
    pub removed: Vec<String>,
}

/// One file that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FileChange {
    /// Its path, the new one when it was renamed.
    pub path: String,
    /// Its path before, when it was renamed.
    pub from: Option<String>,
    /// How it changed.
    pub status: Status,
    /// The part it belongs to.
    pub part: Option<Part>,
    /// The file before.
    pub old: Option<FileEntry>,
    /// The file now.
    pub new: Option<FileEntry>,
    /// What changed within it.
    pub detail: Detail,
    /// What changed for those who call its prompts.
    pub prompts: Vec<PromptChange>,
}

/// A dependency that is new, gone or another version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DependencyChange {
    /// The model's name, or the digest when the name is not known.
    pub name: String,
    /// The version before; `None` when there was none or its number is not known.
    pub old: Option<Version>,
    /// The version now, likewise.
    pub new: Option<Version>,
    /// New, gone or changed.
    pub status: Status,
}

/// A metric that is new, gone or has another value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricChange {
    /// Its name.
    pub name: String,
    /// The value before.
    pub old: Option<f64>,
    /// The value now.
    pub new: Option<f64>,
    /// New minus old; missing when either is.
    pub delta: Option<f64>,
}

/// All that differs between two versions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The types of both.
    pub kinds: (ModelType, ModelType),
    /// The files, by path.
    pub files: Vec<FileChange>,
    /// The dependencies, by name.
    pub depends: Vec<DependencyChange>,
    /// The metrics, by name. They are no part of a version's identity.
    pub metrics: Vec<MetricChange>,
}

impl Difference {
    /// True when both are the same version: same type, files and dependencies.
    pub fn is_empty(&self) -> bool {
        self.kinds.0 == self.kinds.1 && self.files.is_empty() && self.depends.is_empty()
    }
}

/// Compares two versions. `read` gets the content of a file by its digest; it is asked only for changed files of at most
/// [`TEXT_MAX`] bytes.
///
/// # Errors
/// When `read` fails; names the file.
pub fn compare(
    old: Side<'_>,
    new: Side<'_>,
    layout: &Layout,
    read: &mut dyn FnMut(&Digest) -> Result<Vec<u8>>,
) -> Result<Difference> {
    let kind = new.manifest.kind();
    let mut files = Vec::new();
    for (before, after) in pair_files(old.manifest, new.manifest) {
        files.push(file_change(before, after, &mut |path| layout.part_of(kind, path), read)?);
    }
    files.sort_by(|a: &FileChange, b| a.path.cmp(&b.path));
    Ok(Difference {
        kinds: (old.manifest.kind(), kind),
        files,
        depends: dependency_changes(old, new),
        metrics: metric_changes(old.metrics, new.metrics),
    })
}

type Pair<'a> = (Option<&'a FileEntry>, Option<&'a FileEntry>);

/// The files that differ, renamed ones together.
fn pair_files<'a>(old: &'a Manifest, new: &'a Manifest) -> Vec<Pair<'a>> {
    let mut pairs: Vec<Pair<'_>> = Vec::new();
    let mut gone: Vec<&FileEntry> = old.files().iter().filter(|f| new.file(&f.path).is_none()).collect();
    let mut came: Vec<&FileEntry> = Vec::new();
    for after in new.files() {
        match old.file(&after.path) {
            Some(before) if before.digest == after.digest => {}
            Some(before) => pairs.push((Some(before), Some(after))),
            None => came.push(after),
        }
    }
    let by_content = |f: &FileEntry| Some((f.digest.hex(), Notation::Any));
    let by_stem = |f: &FileEntry| Some((stem(&f.path).to_owned(), notation(f)?));
    pair_by(&by_content, &mut gone, &mut came, &mut pairs);
    pair_by(&by_stem, &mut gone, &mut came, &mut pairs);
    pairs.extend(gone.into_iter().map(|f| (Some(f), None)));
    pairs.extend(came.into_iter().map(|f| (None, Some(f))));
    pairs
}

/// What two files must share, beside a name, to be one file under another path.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Notation {
    Any,
    Structured,
    Prose,
}

fn notation(f: &FileEntry) -> Option<Notation> {
    if Syntax::of(&f.path).is_some() {
        return Some(Notation::Structured);
    }
    matches!(f.media.as_str(), "text/plain" | "text/markdown").then_some(Notation::Prose)
}

/// Moves files with the same key from both lists to the pairs, first come first served.
fn pair_by<'a>(
    key: &dyn Fn(&FileEntry) -> Option<(String, Notation)>,
    gone: &mut Vec<&'a FileEntry>,
    came: &mut Vec<&'a FileEntry>,
    pairs: &mut Vec<Pair<'a>>,
) {
    let mut waiting: BTreeMap<(String, Notation), VecDeque<&'a FileEntry>> = BTreeMap::new();
    for file in gone.iter().rev() {
        if let Some(key) = key(file) {
            waiting.entry(key).or_default().push_front(file);
        }
    }
    let mut paired = BTreeSet::new();
    came.retain(|after| {
        let before = key(after).and_then(|key| waiting.get_mut(&key)?.pop_front());
        if let Some(before) = before {
            paired.insert(&before.path);
            pairs.push((Some(before), Some(after)));
        }
        before.is_none()
    });
    gone.retain(|f| !paired.contains(&f.path));
}

fn stem(path: &str) -> &str {
    let extension = extension_of(path);
    path.strip_suffix(extension).filter(|_| !extension.is_empty()).map_or(path, |s| s.trim_end_matches('.'))
}

fn file_change(
    before: Option<&FileEntry>,
    after: Option<&FileEntry>,
    part_of: &mut dyn FnMut(&str) -> Option<Part>,
    read: &mut dyn FnMut(&Digest) -> Result<Vec<u8>>,
) -> Result<FileChange> {
    let path = after.or(before).map_or("", |f| f.path.as_str()).to_owned();
    let part = part_of(&path);
    let (status, from) = match (before, after) {
        (Some(b), Some(a)) if b.path == a.path => (Status::Changed, None),
        (Some(b), Some(_)) => (Status::Renamed, Some(b.path.clone())),
        (Some(_), None) => (Status::Removed, None),
        _ => (Status::Added, None),
    };
    let (mut detail, mut prompts) = (Detail::None, Vec::new());
    if let Some((b, a)) = before.zip(after).filter(|(b, a)| b.digest != a.digest) {
        detail = Detail::Binary;
        if b.size <= TEXT_MAX && a.size <= TEXT_MAX {
            let old = read(&b.digest).context(|| format!("cannot compare `{}`", b.path))?;
            let new = read(&a.digest).context(|| format!("cannot compare `{}`", a.path))?;
            detail = detail_of((&b.path, &old), (&a.path, &new));
            if part == Some(Part::Prompts) {
                prompts = prompt_changes((&b.path, &old), (&a.path, &new));
            }
        }
    }
    Ok(FileChange { path, from, status, part, old: before.cloned(), new: after.cloned(), detail, prompts })
}

fn detail_of(old: (&str, &[u8]), new: (&str, &[u8])) -> Detail {
    if let (Some(a), Some(b)) = (Syntax::of(old.0), Syntax::of(new.0))
        && let Some(changes) = tree::file_changes((a, old.1), (b, new.1))
        && !changes.is_empty()
    {
        return Detail::Keys { changes };
    }
    let text = |bytes| text_of(bytes).ok().filter(|t| !t.contains('\0'));
    match (text(old.1), text(new.1)) {
        (Some(a), Some(b)) => text_detail((old.0, a), (new.0, b)),
        _ => Detail::Binary,
    }
}

fn text_detail(old: (&str, &str), new: (&str, &str)) -> Detail {
    let diff = similar::TextDiff::from_lines(old.1, new.1);
    let count = |tag| diff.iter_all_changes().filter(|c| c.tag() == tag).count();
    let unified = diff.unified_diff().context_radius(3).header(&format!("a/{}", old.0), &format!("b/{}", new.0)).to_string();
    Detail::Text { unified, added: count(similar::ChangeTag::Insert), removed: count(similar::ChangeTag::Delete) }
}

/// Prompts by where they are in their file, with what each needs; the texts of one list are one prompt.
fn prompts_by_key(prompts: &[Prompt]) -> BTreeMap<Option<String>, BTreeSet<String>> {
    let mut all: BTreeMap<Option<String>, BTreeSet<String>> = BTreeMap::new();
    for prompt in prompts {
        all.entry(prompt.group().map(|g| g.to_string())).or_default().extend(prompt.template.variables());
    }
    all
}

/// What changed for the callers of a file's prompts; empty when either side is not a valid prompt file.
fn prompt_changes(old: (&str, &[u8]), new: (&str, &[u8])) -> Vec<PromptChange> {
    let (Ok(old), Ok(new)) = (prompts_of(old.0, old.1), prompts_of(new.0, new.1)) else { return Vec::new() };
    let (old, new) = (prompts_by_key(&old), prompts_by_key(&new));
    let keys: BTreeSet<&Option<String>> = old.keys().chain(new.keys()).collect();
    let none = BTreeSet::new();
    let changes = keys.into_iter().filter_map(|key| {
        let (a, b) = (old.get(key), new.get(key));
        let status = match (a, b) {
            (None, _) => Status::Added,
            (_, None) => Status::Removed,
            _ => Status::Changed,
        };
        let (a, b) = (a.unwrap_or(&none), b.unwrap_or(&none));
        let (added, removed): (Vec<_>, Vec<_>) = (b.difference(a).cloned().collect(), a.difference(b).cloned().collect());
        let same = status == Status::Changed && added.is_empty() && removed.is_empty();
        (!same).then(|| PromptChange { key: key.clone(), status, added, removed })
    });
    changes.collect()
}

/// How many versions of one model a side needs.
fn same_name(side: Side<'_>, name: &Name) -> usize {
    side.depends.iter().filter(|d| d.name == *name).count()
}

fn dependency_changes(old: Side<'_>, new: Side<'_>) -> Vec<DependencyChange> {
    let named = |side: Side<'_>| -> BTreeMap<String, (Option<Version>, Digest)> {
        let one = |digest: &Digest| match side.depends.iter().find(|d| d.digest == *digest) {
            Some(d) if same_name(side, &d.name) > 1 => (format!("{}@{}", d.name, d.version), (Some(d.version), *digest)),
            Some(d) => (d.name.to_string(), (Some(d.version), *digest)),
            None => (digest.to_string(), (None, *digest)),
        };
        side.manifest.depends().iter().map(one).collect()
    };
    let (old, new) = (named(old), named(new));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changes = names.into_iter().filter_map(|name| {
        let (a, b) = (old.get(name), new.get(name));
        let status = match (a, b) {
            _ if a == b => return None,
            (None, _) => Status::Added,
            (_, None) => Status::Removed,
            _ => Status::Changed,
        };
        Some(DependencyChange { name: name.clone(), old: a.and_then(|a| a.0), new: b.and_then(|b| b.0), status })
    });
    changes.collect()
}

fn metric_changes(old: &BTreeMap<String, f64>, new: &BTreeMap<String, f64>) -> Vec<MetricChange> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changes = names.into_iter().map(|name| {
        let (a, b) = (old.get(name).copied(), new.get(name).copied());
        MetricChange { name: name.clone(), old: a, new: b, delta: a.zip(b).map(|(a, b)| b - a) }
    });
    changes.filter(|m| m.old.map(f64::to_bits) != m.new.map(f64::to_bits)).collect()
}

/// A difference as plain text, one line a change and diffs indented below; empty for no difference.
pub fn text(difference: &Difference) -> String {
    let mut out = String::new();
    let (old, new) = difference.kinds;
    if old != new {
        let _ = writeln!(out, "type: {old} → {new}");
    }
    for file in &difference.files {
        file_text(&mut out, file);
    }
    let version = |v: Option<Version>| v.map_or_else(|| "an unknown version".to_owned(), |v| v.to_string());
    for d in &difference.depends {
        let _ = match d.status {
            Status::Added => writeln!(out, "needs {}: added {}", d.name, version(d.new)),
            Status::Removed => writeln!(out, "needs {}: removed {}", d.name, version(d.old)),
            _ => writeln!(out, "needs {}: {} → {}", d.name, version(d.old), version(d.new)),
        };
    }
    let value = |v: Option<f64>| v.map_or_else(|| "none".to_owned(), |v| v.to_string());
    for m in &difference.metrics {
        let delta = m.delta.map_or_else(String::new, |d| format!(" ({d:+.4})"));
        let _ = writeln!(out, "metric {}: {} → {}{delta}", m.name, value(m.old), value(m.new));
    }
    out
}

fn file_text(out: &mut String, file: &FileChange) {
    let size = |f: &Option<FileEntry>| f.as_ref().map_or_else(String::new, |f| Bytes(f.size).to_string());
    let path = &file.path;
    let _ = match file.status {
        Status::Added => writeln!(out, "added {path} ({})", size(&file.new)),
        Status::Removed => writeln!(out, "removed {path} ({})", size(&file.old)),
        Status::Changed => writeln!(out, "changed {path}"),
        Status::Renamed => writeln!(out, "renamed {} → {path}", file.from.as_deref().unwrap_or_default()),
    };
    for p in &file.prompts {
        let name = p.key.as_ref().map_or_else(String::new, |key| format!(" `{key}`"));
        let status = match p.status {
            Status::Added => " added",
            Status::Removed => " removed",
            _ => "",
        };
        let signs = p.added.iter().map(|v| format!(" +{{{v}}}")).chain(p.removed.iter().map(|v| format!(" -{{{v}}}")));
        let _ = writeln!(out, "    prompt{name}{status}:{}", signs.collect::<String>());
    }
    match &file.detail {
        Detail::None => {}
        Detail::Binary => {
            let short = |f: &Option<FileEntry>| f.as_ref().map_or_else(String::new, |f| f.digest.short());
            let (a, b) = (&file.old, &file.new);
            let _ = writeln!(out, "    {} {} → {} {}", size(a), short(a), size(b), short(b));
        }
        Detail::Keys { changes } => changes.iter().for_each(|c| out.push_str(&format!("    {c}\n"))),
        Detail::Text { unified, .. } => unified.lines().for_each(|l| out.push_str(&format!("    {l}\n"))),
    }
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
