//! Which models a pull request changes: those whose versions would be others, and those that are answered for or measured otherwise.
//!
//! A version is its files, so models are compared by the files that they are made of, wherever links lead and however often one file is in
//! several of them: a change that was taken back is none. Nor is a file one that Git does not know, such as weights that DVC keeps: nobody
//! can say what it was, so it is taken to have been what it is. What answers for all models, with the files that it is said to read, and what
//! all are measured by, changes all.

use crate::adapters::git::since::{Changed, Since, Status};
use crate::base::digest::Digest;
use crate::base::error::{Context, Result};
use crate::base::name::{ModelType, Name};
use crate::config::{FILE_NAME, Gate, Model, Project, System};
use crate::domain::review::doc::FileDoc;
use crate::release::gather::{Gathered, gather};
use crate::release::reads;
use crate::store::objects;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A repository: what its `mlops.toml` says, and where its files are.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// What it says.
    pub project: &'a Project,
    /// Where they are.
    pub root: &'a Path,
}

/// What else of the repository an evaluation reads.
#[derive(Clone, Copy, Default)]
pub struct Read<'a> {
    /// The golden dataset, when it is a file, from the repository's root.
    pub dataset: Option<&'a str>,
    /// The file of recorded answers, from the repository's root.
    pub answers: Option<&'a str>,
}

/// A model that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: Name,
    /// Its files that changed.
    pub files: Vec<FileDoc>,
    /// What else changed that it depends on.
    pub why: Vec<String>,
    /// True when there was no such model.
    pub is_new: bool,
    /// True when it would answer as before, and only what it is measured by changed.
    pub same: bool,
}

/// The models of a repository since another commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Those that changed, by name.
    pub found: Vec<Found>,
    /// Those that did not.
    pub unchanged: Vec<Name>,
    /// Those that are gone.
    pub removed: Vec<Name>,
    /// Files that count and are not committed.
    pub uncommitted: Vec<String>,
    /// How many files changed that no model is made of, and that none is answered for or measured by.
    pub elsewhere: usize,
}

/// Compares the models of two sides. A dataset is not evaluated, so it is no model here.
///
/// # Errors
/// When the files of a model as it is now cannot be read.
pub fn changes(head: Side<'_>, base: Option<Side<'_>>, since: &Since, read: Read<'_>, jobs: usize) -> Result<Changes> {
    let mut all = Changes::default();
    if let Some(base) = base {
        let gone = base.project.models.iter().filter(|m| is_asked(m) && head.project.model(m.name.as_str()).is_none());
        all.removed.extend(gone.map(|m| m.name.clone()));
    }
    if since.files.is_empty() {
        all.unchanged.extend(head.project.models.iter().filter(|m| is_asked(m)).map(|m| m.name.clone()));
        return Ok(all);
    }
    let answering = base.map_or_else(Vec::new, |base| answering(head.project, base.project, since, read));
    let reading = reading(head, base, since, jobs)?;
    let mut counted: BTreeSet<String> = answering.iter().flat_map(|why| why.file.clone()).collect();
    counted.extend(reading.iter().map(|f| f.path.clone()));
    let mut owned = BTreeSet::new();
    for model in head.project.models.iter().filter(|m| is_asked(m)) {
        let now = contents(head.root, model, jobs)?;
        let was = base.and_then(|b| Some((b, b.project.model(model.name.as_str())?)));
        // Files that cannot be read as they were are as good as none: what is there now is new.
        let before = was.and_then(|(b, m)| Some((b, m, contents(b.root, m, jobs).ok()?)));
        let sides = now.values().chain(before.iter().flat_map(|(_, _, files)| files.values()));
        owned.extend(sides.flat_map(|file| [file.path.clone(), file.real.clone()]));
        let Some((base, old, before)) = before else {
            let files = now.values().map(|f| FileDoc { path: f.path.clone(), status: "added".into(), from: None }).collect();
            counted.extend(now.values().map(|f| f.path.clone()));
            all.found.push(Found { name: model.name.clone(), files, why: Vec::new(), is_new: true, same: false });
            continue;
        };
        let mut files = differing(&before, &now, since);
        let known: BTreeSet<String> = files.iter().map(|f| f.path.clone()).collect();
        files.extend(reading.iter().filter(|f| !known.contains(&f.path)).cloned());
        let mut why = tables(old, model);
        why.extend(answering.iter().map(|w| w.text.clone()));
        let same = files.is_empty() && why.is_empty();
        let measured = measuring(model, (head.project, base.project), since, read);
        if same && measured.is_empty() {
            all.unchanged.push(model.name.clone());
            continue;
        }
        counted.extend(files.iter().map(|f| f.path.clone()));
        counted.extend(measured.iter().flat_map(|w| w.file.clone()));
        why.extend(measured.into_iter().map(|w| w.text));
        all.found.push(Found { name: model.name.clone(), files, why, is_new: false, same });
    }
    owned.extend(counted.iter().cloned());
    all.elsewhere = since.files.iter().filter(|f| !is_ours(f, &owned, head, base)).count();
    all.uncommitted = counted.into_iter().filter(|path| since.of(path).is_some_and(|f| f.uncommitted)).collect();
    Ok(all)
}

/// Whether a model is made of a file, or one depends on it: now or before, by one of its names.
fn is_ours(file: &Changed, owned: &BTreeSet<String>, head: Side<'_>, base: Option<Side<'_>>) -> bool {
    let below = |path: &str, folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let made_of = |side: Side<'_>, path: &str| {
        let mut paths = side.project.models.iter().flat_map(|m| &m.paths).chain(side.project.system.files());
        paths.any(|p| below(path, p.as_str()))
    };
    let names = [Some(&file.path), file.from.as_ref()];
    let mut names = names.into_iter().flatten();
    names.any(|path| owned.contains(path) || made_of(head, path) || base.is_some_and(|base| made_of(base, path)))
}

/// What changed of the files that the system reads beside those of a version.
fn reading(head: Side<'_>, base: Option<Side<'_>>, since: &Since, jobs: usize) -> Result<Vec<FileDoc>> {
    let of = |side: Side<'_>| digested(side.root, reads::files(&side.project.system, side.root)?, jobs);
    let now = of(head)?;
    // Files that cannot be read as they were are as good as none; where nothing names them, the table of the system changed.
    let before = base.and_then(|base| of(base).ok()).unwrap_or_default();
    Ok(differing(&before, &now, since))
}

fn is_asked(model: &Model) -> bool {
    model.kind != ModelType::Dataset
}

/// A file of a version.
struct Content {
    /// Its path in the repository.
    path: String,
    /// Where that leads, when it is a link.
    real: String,
    digest: Digest,
}

impl Content {
    fn is_touched(&self, since: &Since) -> bool {
        since.touches(&self.path) || since.touches(&self.real)
    }

    /// Where Git sees the change.
    fn shown(&self, since: &Since) -> String {
        if since.touches(&self.path) { self.path.clone() } else { self.real.clone() }
    }
}

/// The files that a model is made of, by their names in its version.
fn contents(root: &Path, model: &Model, jobs: usize) -> Result<BTreeMap<String, Content>> {
    let paths: Vec<PathBuf> = model.paths.iter().map(|p| p.under(root)).collect();
    digested(root, gather(root, &paths).context(|| format!("cannot read the files of {}", model.name))?, jobs)
}

fn digested(root: &Path, files: Vec<Gathered>, jobs: usize) -> Result<BTreeMap<String, Content>> {
    let sources: Vec<PathBuf> = files.iter().map(|f| f.source.clone()).collect();
    let digests = objects::digest_files(&sources, jobs, &|_| {})?;
    let real = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let path = |source: &Path| source.strip_prefix(&real).unwrap_or(source).to_string_lossy().into_owned();
    let one = |(file, stored): (Gathered, objects::Stored)| {
        let leads_to = file.source.canonicalize().unwrap_or_else(|_| file.source.clone());
        (file.name, Content { path: path(&file.source), real: path(&leads_to), digest: stored.digest })
    };
    Ok(files.into_iter().zip(digests).map(one).collect())
}

fn differing(before: &BTreeMap<String, Content>, now: &BTreeMap<String, Content>, since: &Since) -> Vec<FileDoc> {
    let mut files = Vec::new();
    for (name, file) in now.iter().filter(|(_, file)| file.is_touched(since)) {
        let status = match before.get(name) {
            Some(old) if old.digest == file.digest => continue,
            Some(_) => "changed",
            None => "added",
        };
        let renamed = since.files.iter().find(|f| f.path == file.path && f.status == Status::Renamed && status == "added");
        let from = renamed.and_then(|f| f.from.clone());
        let status = if from.is_some() { "renamed" } else { status };
        files.push(FileDoc { path: file.shown(since), status: status.into(), from });
    }
    for (name, file) in before.iter().filter(|(_, file)| file.is_touched(since)) {
        let known = |f: &FileDoc| f.from.as_ref() == Some(&file.path);
        if !now.contains_key(name) && !files.iter().any(known) {
            files.push(FileDoc { path: file.path.clone(), status: "removed".into(), from: None });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// What of a model's own table makes another version of it.
fn tables(old: &Model, new: &Model) -> Vec<String> {
    let differs = [
        ("type", old.kind != new.kind),
        ("parts", old.parts != new.parts),
        ("depends", old.depends != new.depends),
        ("dataset", old.dataset != new.dataset),
    ];
    differs.iter().filter(|(_, differs)| *differs).map(|(key, _)| format!("{FILE_NAME}: `model.{}.{key}`", new.name)).collect()
}

/// Something that changed, and the file that it is in when that is not `mlops.toml`.
struct Why {
    text: String,
    file: Option<String>,
}

impl Why {
    fn table(name: &str) -> Self {
        Self { text: format!("{FILE_NAME}: `[{name}]`"), file: Some(FILE_NAME.to_owned()) }
    }

    fn file(path: &str, what: &str) -> Self {
        Self { text: format!("{path}: {what}"), file: Some(path.to_owned()) }
    }
}

/// What answers for every model, where it changed.
fn answering(head: &Project, base: &Project, since: &Since, read: Read<'_>) -> Vec<Why> {
    let mut found = Vec::new();
    if head.system != base.system {
        found.push(Why::table("system"));
    }
    if head.system == System::Builtin {
        let of = |p: &Project| (p.llm.clone(), p.embedder.clone(), p.vectors.clone());
        found.extend((of(head) != of(base)).then(|| Why::table("llm")));
    }
    if let System::Command { command, .. } = &head.system {
        let program = command.iter().map(|word| word.strip_prefix("./").unwrap_or(word));
        found.extend(program.filter(|word| since.of(word).is_some()).map(|word| Why::file(word, "the program that answers")));
    }
    found.extend(read.answers.filter(|path| since.of(path).is_some()).map(|path| Why::file(path, "the recorded answers")));
    found
}

/// What a model is measured by, where it changed.
fn measuring(model: &Model, (head, base): (&Project, &Project), since: &Since, read: Read<'_>) -> Vec<Why> {
    let mut found: Vec<Why> = Vec::new();
    found.extend(read.dataset.filter(|path| since.of(path).is_some()).map(|path| Why::file(path, "the golden dataset")));
    if head.golden != base.golden {
        found.push(Why::table("golden"));
    }
    let guards = |gate: &&Gate| gate.models.as_ref().is_none_or(|models| models.contains(&model.name));
    let gates = |p: &Project| p.gates.iter().filter(guards).cloned().collect::<Vec<Gate>>();
    if gates(head) != gates(base) {
        found.push(Why::table("gates"));
    }
    if head.judge != base.judge {
        found.push(Why::table("judge"));
    }
    found
}
