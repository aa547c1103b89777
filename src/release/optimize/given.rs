//! Variants that somebody makes: files that a person wrote, prompts that a language model proposes.

use super::lab::{Lab, Player};
use super::parts_of;
use crate::base::error::{Context, Error, Result};
use crate::domain::optimize::propose::{self, Proposal, SHOWN, Seen};
use crate::domain::optimize::{Files, Operator, Variant};
use crate::domain::registry::parts::{Layout, Parts, Prompt};
use crate::domain::registry::table::VersionRow;
use crate::release::gather::gather;
use crate::release::judging::Cached;
use crate::seams::model::{Content, Model};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What variants are made from.
pub struct Stock<'a> {
    /// The version.
    pub version: &'a VersionRow,
    /// Its files.
    pub files: &'a Files,
    /// What they say.
    pub parts: &'a Parts,
    /// Which of them is what.
    pub layout: &'a Layout,
    /// Whether whoever answers reads the prompt.
    pub reads_prompt: bool,
}

/// The variants of these paths: a file is another prompt, a folder in a named folder is files that take the place of the version's, and
/// any other named folder is a list of such files and folders.
///
/// # Errors
/// When a path cannot be read, holds nothing, or makes something that nobody can answer with.
pub fn given(stock: &Stock<'_>, paths: &[PathBuf]) -> Result<Vec<Variant>> {
    let mut found: Vec<Variant> = Vec::new();
    for path in paths {
        let mut entries = if path.is_dir() { children(path)? } else { vec![path.clone()] };
        entries.sort();
        if entries.is_empty() {
            return Err(Error::usage(format!("there is no variant in {}", path.display())).hint("put files of prompts into it"));
        }
        for entry in entries {
            let variant = if entry.is_dir() { folder(stock, &entry) } else { file(stock, &entry) }?;
            parts_of(stock.version, &variant.files, stock.layout)
                .context(|| format!("{} cannot be tried", entry.display()))
                .hint(|| "mend it, or name other variants".to_owned())?;
            found.push(variant);
        }
    }
    Ok(found)
}

fn children(dir: &Path) -> Result<Vec<PathBuf>> {
    let unread = || format!("cannot read {}", dir.display());
    let entries = std::fs::read_dir(dir).and_then(Iterator::collect::<std::io::Result<Vec<_>>>).context(unread)?;
    let hidden = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with('.');
    Ok(entries.iter().filter(|entry| !hidden(entry)).map(std::fs::DirEntry::path).collect())
}

fn label(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn file(stock: &Stock<'_>, path: &Path) -> Result<Variant> {
    if !stock.reads_prompt {
        return Err(Error::usage(format!(
            "{} is a prompt, and nobody reads the prompt of {}",
            path.display(),
            stock.version.name
        ))
        .hint("add `[llm]`, with which `[system] kind = \"builtin\"` answers by the prompt")
        .hint("a folder of files takes the place of other files of the version"));
    }
    let bytes = std::fs::read(path).context(|| format!("cannot read {}", path.display()))?;
    let group = stock.parts.answering().context(|| format!("{} cannot be tried", path.display()))?;
    let old = group[0].path.as_str();
    let ending = |path: &str| path.rsplit('/').next().and_then(|name| name.split_once('.')).map(|(_, e)| e.to_owned());
    let stem = ending(old).map_or(old, |e| &old[..old.len() - e.len() - 1]);
    let new = ending(&label(path)).map_or_else(|| stem.to_owned(), |e| format!("{stem}.{}", e.rsplit('.').next().unwrap_or(&e)));
    let mut files = stock.files.clone();
    files.remove(old);
    files.insert(new, bytes);
    Ok(Variant { name: format!("file: {}", label(path)), operator: Operator::File, files, shows: BTreeSet::new() })
}

fn folder(stock: &Stock<'_>, path: &Path) -> Result<Variant> {
    let mut files = stock.files.clone();
    for file in gather(path, &[path.to_owned()])? {
        let bytes = std::fs::read(&file.source).context(|| format!("cannot read {}", file.source.display()))?;
        files.insert(file.name, bytes);
    }
    Ok(Variant { name: format!("folder: {}", label(path)), operator: Operator::Folder, files, shows: BTreeSet::new() })
}

/// Who proposes.
pub struct Proposer<'a> {
    /// The model.
    pub model: &'a dyn Model,
    /// What it answered before.
    pub cache: &'a Cached,
    /// Prompts that are asked for.
    pub wanted: usize,
    /// The seed of the search.
    pub seed: u64,
}

/// The prompts that a model proposes after it saw the worst rows at `dev`, which the parent has answered; and why others are not tried.
///
/// # Errors
/// When the model cannot be asked, or answers something else.
pub fn proposed(
    lab: &Lab<'_>,
    (files, prompt): (&Files, &Prompt),
    parent: &mut Player,
    dev: &[usize],
    who: &Proposer<'_>,
) -> Result<(Vec<Variant>, Vec<String>)> {
    let scores = parent.target(lab, dev)?;
    let mut worst: Vec<Seen> = dev
        .iter()
        .filter_map(|i| {
            let (row, score) = (&lab.rows[*i], *scores.get(i)?);
            let answer = parent.answers.get(&row.id)?.answer.clone()?;
            Some(Seen { question: row.question.clone(), reference: row.references.first()?.clone(), answer, score })
        })
        .collect();
    worst.sort_by(|a, b| a.score.total_cmp(&b.score));
    worst.truncate(SHOWN);
    let request = propose::request(prompt, lab.target.word(), &worst, who.wanted, who.seed);
    let digest = request.digest()?;
    let about = who.model.about();
    let kept = who.cache.completion(about, &digest)?;
    let completion = match kept {
        Some(kept) => kept,
        None if who.cache.is_all() => {
            return Err(Error::new("nobody was asked for prompts: no proposal is in the cache").hint("leave `--cache only` out"));
        }
        None => {
            let told = |failure: crate::seams::model::Failure| failure.into_error();
            let completion = who.model.complete(request)?.map_err(told).context(|| format!("{about} proposes nothing"))?;
            who.cache.keep(about, &digest, &completion)?;
            completion
        }
    };
    let Content::Json(answer) = &completion.content else { return Err(Error::new(format!("{about} answered with text"))) };
    let proposals = propose::read(answer).map_err(|why| Error::new(format!("what {about} proposes cannot be read: {why}")))?;
    Ok(checked(files, prompt, &proposals))
}

fn checked(files: &Files, prompt: &Prompt, proposals: &[Proposal]) -> (Vec<Variant>, Vec<String>) {
    let (mut found, mut refused): (Vec<Variant>, Vec<String>) = (Vec::new(), Vec::new());
    for (n, proposal) in (1..).zip(proposals) {
        match propose::variant(files, prompt, proposal, n) {
            Ok(variant) if found.iter().any(|v| v.files == variant.files) => {
                refused.push(format!("proposal {n} is not tried: it is another one again"));
            }
            Ok(variant) => found.push(variant),
            Err(why) => refused.push(format!("proposal {n} is not tried: {why}")),
        }
    }
    (found, refused)
}
