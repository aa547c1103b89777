//! Which part of the version number a difference asks for, with the reasons.
//!
//! The rules (000 §3, 003 §2: MAJOR for a new architecture, MINOR for a new capability, PATCH for tweaks). The strongest
//! reason decides; all are given.
//!
//! | what changed | part |
//! |---|---|
//! | the type of the model | MAJOR |
//! | a file is gone or has another name: of a part, or any that is not documentation (`.md`, `.txt`, LICENSE …) | MAJOR |
//! | a prompt is gone; a variable of a prompt is gone or new (a caller who does not pass it fails) | MAJOR |
//! | a member of agents, nodes, tools, routes, languages … ([`MEMBERS`]) is gone or replaced; an edge ([`EDGES`]) likewise | MAJOR |
//! | a section (mapping or list) of a structured file of a part is gone | MAJOR |
//! | a key of the architecture ([`ARCHITECTURE`]) has another value, is new or gone | MAJOR |
//! | … but `model` names another dated snapshot of the same model (`gpt-4o-2024-05-13` → `gpt-4o-2024-08-06`) | PATCH |
//! | a dependency is gone, or its MAJOR changed, or it is another one of unknown version | MAJOR |
//! | a new file that is not documentation, a new prompt, member, edge, section or dependency; a dependency's MINOR changed | MINOR |
//! | a dataset file that only grew | MINOR |
//! | everything else: values, new or removed single settings, texts, order, documentation, weights, notation | PATCH |
//!
//! Members and edges that only moved within their list are no change of the graph. Metrics advise nothing. The keys of the
//! architecture count in files of parts, and in structured files of embedding, reranker, classifier, llm and other models
//! (`config.json` of Hugging Face), never in data.

use super::diff::{DependencyChange, Detail, Difference, FileChange, Status};
use super::tree::{KeyChange, KeyPath, Step};
use crate::base::name::ModelType;
use crate::base::text::ellipsis;
use crate::base::version::Bump;
use serde::Serialize;
use serde_json::Value;

/// Keys that make the architecture, in lower case with `_` for `-`.
pub const ARCHITECTURE: &[&str] = &[
    "architecture",
    "architectures",
    "base_model",
    "dim",
    "dimension",
    "dimensions",
    "embedder",
    "embedding_dim",
    "embedding_dimension",
    "embedding_model",
    "hidden_size",
    "llm",
    "model",
    "model_id",
    "model_name",
    "model_type",
    "num_attention_heads",
    "num_hidden_layers",
    "rerank_model",
    "reranker",
    "reranker_model",
    "vocab_size",
];

/// The keys among them whose value is the name of a generating model, where a dated snapshot is the same model.
const MODELS: &[&str] = &["llm", "model", "model_id", "model_name"];

/// Keys that hold members of the graph.
pub const MEMBERS: &[&str] =
    &["agents", "capabilities", "handlers", "intents", "languages", "models", "nodes", "routes", "skills", "steps", "tools"];

/// Keys that hold connections of the graph.
pub const EDGES: &[&str] = &["edges", "entry", "entry_point", "fallback", "handoff", "handoffs", "next", "start"];

/// Why a part of the version should rise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Reason {
    /// The part.
    pub bump: Bump,
    /// The sentence; names file and key.
    pub why: String,
}

/// What a difference advises.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// The part to raise.
    pub bump: Bump,
    /// All reasons, the strongest first, in the order of the difference.
    pub reasons: Vec<Reason>,
}

/// The advice for a difference; `None` when both are the same version.
pub fn advise(difference: &Difference) -> Option<Advice> {
    let mut reasons = Vec::new();
    let (old, new) = difference.kinds;
    if old != new {
        reasons.push(major(format!("the type changed from {old} to {new}")));
    }
    difference.files.iter().for_each(|file| file_reasons(new, file, &mut reasons));
    reasons.extend(difference.depends.iter().map(dependency_reason));
    reasons.sort_by_key(|r| std::cmp::Reverse(r.bump));
    reasons.first().map(|r| r.bump).map(|bump| Advice { bump, reasons })
}

fn major(why: String) -> Reason {
    Reason { bump: Bump::Major, why }
}

fn minor(why: String) -> Reason {
    Reason { bump: Bump::Minor, why }
}

fn patch(why: String) -> Reason {
    Reason { bump: Bump::Patch, why }
}

fn file_reasons(kind: ModelType, file: &FileChange, out: &mut Vec<Reason>) {
    let path = &file.path;
    let what = file.part.map_or_else(|| "file".to_owned(), |part| format!("file of the {part}"));
    let prose = file.part.is_none() && is_documentation(path);
    let known = out.len();
    match file.status {
        Status::Added if prose => out.push(patch(format!("the documentation `{path}` is new"))),
        Status::Removed if prose => out.push(patch(format!("the documentation `{path}` is gone"))),
        Status::Added => out.push(minor(format!("the {what} `{path}` is new"))),
        Status::Removed => out.push(major(format!("the {what} `{path}` is gone"))),
        Status::Renamed if !prose && renames(file) => {
            let from = file.from.as_deref().unwrap_or_default();
            out.push(major(format!("the {what} `{from}` is now `{path}`; who loads it by its name does not find it")));
        }
        Status::Changed | Status::Renamed => {}
    }
    prompt_reasons(file, out);
    match &file.detail {
        Detail::Keys { changes } if kind == ModelType::Dataset => {
            let grew = changes.iter().all(|c| c.old.is_none());
            out.push(if grew { minor(format!("`{path}` has more data")) } else { patch(format!("data of `{path}` changed")) });
        }
        Detail::Keys { changes } => key_reasons(kind, file, changes, out),
        Detail::Text { removed: 0, added, .. } if kind == ModelType::Dataset && *added > 0 => {
            out.push(minor(format!("`{path}` has more data")));
        }
        Detail::Text { .. } => out.push(patch(format!("the text of `{path}` changed"))),
        Detail::Binary => out.push(patch(format!("the content of `{path}` changed"))),
        Detail::None if out.len() == known => out.push(patch(format!("`{path}` has another name"))),
        Detail::None => {}
    }
}

fn is_documentation(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let documents = ["license", "licence", "readme", "changelog", "notice", "authors"];
    name.ends_with(".md") || name.ends_with(".txt") || documents.iter().any(|d| name.starts_with(d))
}

/// True when more than the extension of a path changed. Files of parts are found by their folder or name, whatever notation
/// they have; others are loaded by their full name.
fn renames(file: &FileChange) -> bool {
    let stem = |p: &str| p.rsplit_once('.').map_or_else(|| p.to_owned(), |(s, _)| s.to_owned());
    file.part.is_none() || file.from.as_deref().is_some_and(|from| stem(from) != stem(&file.path))
}

fn prompt_reasons(file: &FileChange, out: &mut Vec<Reason>) {
    for p in &file.prompts {
        let prompt = p.key.as_ref().map_or_else(|| format!("`{}`", file.path), |key| format!("`{key}` of `{}`", file.path));
        match p.status {
            Status::Added => out.push(minor(format!("the prompt {prompt} is new"))),
            Status::Removed => out.push(major(format!("the prompt {prompt} is gone"))),
            _ => {
                out.extend(p.added.iter().map(|v| major(format!("the prompt {prompt} needs the new variable `{v}`"))));
                out.extend(p.removed.iter().map(|v| major(format!("the prompt {prompt} no longer uses the variable `{v}`"))));
            }
        }
    }
}

fn key_reasons(kind: ModelType, file: &FileChange, changes: &[KeyChange], out: &mut Vec<Reason>) {
    let of_models = !super::parts::has_parts(kind);
    for change in changes {
        let at = format!("`{}` of `{}`", change.path, file.path);
        let reason = if file.part.is_some() {
            architecture_reason(&at, change).unwrap_or_else(|| part_reason(&at, change, changes))
        } else if of_models {
            architecture_reason(&at, change).unwrap_or_else(|| patch(format!("{at} changed")))
        } else {
            patch(format!("{at} changed"))
        };
        out.push(reason);
    }
}

fn normal(key: &str) -> String {
    key.to_ascii_lowercase().replace('-', "_")
}

/// The key that a change is about: the last one, or the one around `name` and `id` (`model: {name: …}`).
fn subject(path: &KeyPath) -> Option<String> {
    let mut keys = path.0.iter().rev().skip_while(|s| matches!(s, Step::Index(_))).map(|s| match s {
        Step::Key(k) => Some(normal(k)),
        _ => None,
    });
    let last = keys.next()??;
    if matches!(last.as_str(), "name" | "id")
        && let Some(Some(parent)) = keys.next()
        && ARCHITECTURE.contains(&parent.as_str())
    {
        return Some(parent);
    }
    Some(last)
}

fn architecture_reason(at: &str, change: &KeyChange) -> Option<Reason> {
    let key = subject(&change.path).filter(|k| ARCHITECTURE.contains(&k.as_str()))?;
    let shown = |v: &Option<Value>| v.as_ref().map_or_else(|| "nothing".to_owned(), |v| ellipsis(&v.to_string(), 60));
    let (old, new) = (shown(&change.old), shown(&change.new));
    let text = |v: &Option<Value>| v.as_ref().and_then(Value::as_str).map(family);
    if MODELS.contains(&key.as_str()) && text(&change.old).is_some() && text(&change.old) == text(&change.new) {
        return Some(patch(format!("{at} is another snapshot of the same model: {old} → {new}")));
    }
    Some(major(format!("{at} makes the architecture: {old} → {new}")))
}

/// The name of a model without the date of its snapshot: `gpt-4o-2024-08-06` and `gpt-4o-latest` are `gpt-4o`.
fn family(model: &str) -> String {
    let lower = model.to_ascii_lowercase();
    let mut words: Vec<&str> = lower.split(['-', '@', ':']).collect();
    let digits = |w: &str, n: usize| w.len() == n && w.bytes().all(|b| b.is_ascii_digit());
    loop {
        match words.as_slice() {
            [_, .., "latest" | "preview"] => words.truncate(words.len() - 1),
            [_, .., y, m, d] if digits(y, 4) && digits(m, 2) && digits(d, 2) => words.truncate(words.len() - 3),
            [_, .., d] if digits(d, 8) || digits(d, 4) => words.truncate(words.len() - 1),
            _ => return words.join("-"),
        }
    }
}

/// What a change in a part's file does to the graph of routes and agents, or else to its settings.
fn part_reason(at: &str, change: &KeyChange, all: &[KeyChange]) -> Reason {
    let section = |v: &Option<Value>| v.as_ref().is_some_and(|v| v.is_object() || v.is_array());
    let what = match graph_key(&change.path) {
        Some(what) if !moved(change, all) => what,
        Some(_) => return patch(format!("{at} moved")),
        None if change.new.is_none() && section(&change.old) => return major(format!("the section {at} is gone")),
        None if change.old.is_none() && section(&change.new) => return minor(format!("the section {at} is new")),
        None => return patch(format!("{at} changed")),
    };
    match (&change.old, &change.new) {
        (None, Some(_)) => minor(format!("the {what} {at} is new")),
        (Some(_), None) => major(format!("the {what} {at} is gone")),
        _ => major(format!("the {what} {at} is another one")),
    }
}

/// What of the graph a change is about: a direct member of a list or mapping of members, or anything within edges.
fn graph_key(path: &KeyPath) -> Option<&'static str> {
    let holds = |s: &Step, keys: &[&str]| matches!(s, Step::Key(k) if keys.contains(&normal(k).as_str()));
    let order = path.0.last() == Some(&Step::Order);
    if !order && path.0.iter().any(|s| holds(s, EDGES)) {
        return Some("edge");
    }
    let (last, before) = path.0.split_last()?;
    let parent = before.last()?;
    (*last != Step::Order && holds(parent, MEMBERS)).then_some("member")
}

/// True when the same value is gone from one place and new in another of the same list.
fn moved(change: &KeyChange, all: &[KeyChange]) -> bool {
    let list = |c: &KeyChange| c.path.0.split_last().filter(|(s, _)| matches!(s, Step::Index(_))).map(|(_, l)| l.to_vec());
    let Some(own) = list(change) else { return false };
    let counterpart = |c: &&KeyChange| match (&change.old, &change.new) {
        (Some(v), None) => c.old.is_none() && c.new.as_ref() == Some(v),
        (None, Some(v)) => c.new.is_none() && c.old.as_ref() == Some(v),
        _ => false,
    };
    all.iter().filter(counterpart).any(|c| list(c).as_ref() == Some(&own))
}

fn dependency_reason(d: &DependencyChange) -> Reason {
    let name = &d.name;
    match (d.status, d.old, d.new) {
        (Status::Added, ..) => minor(format!("it needs `{name}`, which is new")),
        (Status::Removed, ..) => major(format!("it no longer needs `{name}`")),
        (_, Some(old), Some(new)) if old.major != new.major => {
            major(format!("`{name}`, which it needs, went from {old} to {new}"))
        }
        (_, Some(old), Some(new)) if old.minor != new.minor => {
            minor(format!("`{name}`, which it needs, went from {old} to {new}"))
        }
        (_, Some(old), Some(new)) => patch(format!("`{name}`, which it needs, went from {old} to {new}")),
        _ => major(format!("`{name}`, which it needs, is another one of unknown version")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Digest;
    use crate::base::version::Bump::{Major, Minor, Patch};
    use crate::domain::registry::diff::{Side, compare};
    use crate::domain::registry::manifest::{FileEntry, Manifest, media_type};
    use crate::domain::registry::parts::Layout;
    use std::collections::BTreeMap;

    type Files<'a> = &'a [(&'a str, &'a str)];

    fn advice(kind: ModelType, old: Files<'_>, new: Files<'_>) -> Option<Advice> {
        let entry = |(path, text): &(&str, &str)| FileEntry {
            path: (*path).to_owned(),
            digest: Digest::of(text.as_bytes()),
            size: text.len() as u64,
            media: media_type(path, text.as_bytes()).to_owned(),
        };
        let manifest = |files: Files<'_>| Manifest::new(kind, files.iter().map(entry).collect(), vec![]).expect("valid");
        let texts: BTreeMap<Digest, &str> = old.iter().chain(new).map(|(_, t)| (Digest::of(t.as_bytes()), *t)).collect();
        let mut read = |d: &Digest| Ok(texts[d].as_bytes().to_vec());
        let (a, b, none) = (manifest(old), manifest(new), BTreeMap::new());
        let side = |manifest| Side { manifest, depends: &[], metrics: &none };
        advise(&compare(side(&a), side(&b), &Layout::default(), &mut read).expect("compared"))
    }

    fn check_kind(kind: ModelType, old: Files<'_>, new: Files<'_>, bump: Bump, words: &str) {
        let advice = advice(kind, old, new).expect("differs");
        let all: Vec<&str> = advice.reasons.iter().map(|r| r.why.as_str()).collect();
        assert_eq!(advice.bump, bump, "{all:?}");
        assert!(advice.reasons[0].why.contains(words), "{words} in {all:?}");
    }

    fn check(path: &str, old: &str, new: &str, bump: Bump, words: &str) {
        check_kind(ModelType::Config, &[(path, old)], &[(path, new)], bump, words);
    }

    #[test]
    fn tweaks_are_a_patch() {
        check("retrieval.yaml", "top_k: 5", "top_k: 8", Patch, "`top_k` of `retrieval.yaml`");
        check("retrieval.yaml", "top_k: 5", "top_k: 5\nalpha: 0.5", Patch, "`alpha`");
        check("retrieval.yaml", "top_k: 5\nalpha: 0.5", "top_k: 5", Patch, "`alpha`");
        check("prompts/a.txt", "Hi {x}", "Hello {x}", Patch, "the text of `prompts/a.txt`");
        check("README.md", "a", "b", Patch, "README");
        check("routing.yaml", "languages: [en, fr, de]", "languages: [de, en, fr]", Patch, "moved");
        check("agents.yaml", "agents: [{name: a}, {name: b}]", "agents: [{name: b}, {name: a}]", Patch, "agents[order]");
        check("evaluation_results.json", "{\"model\": \"a\"}", "{\"model\": \"b\"}", Patch, "changed");
    }

    #[test]
    fn what_is_new_and_takes_nothing_away_is_a_minor() {
        check(
            "agents.yaml",
            "agents: [{name: a, model: x}]",
            "agents: [{name: b, model: y}, {name: a, model: x}]",
            Minor,
            "name=b",
        );
        check("routing.yaml", "languages: [en]", "languages: [de, en]", Minor, "member `languages[0]`");
        check("routing.yaml", "edges: [[a, b]]", "edges: [[a, b], [b, c]]", Minor, "edge");
        check("retrieval.yaml", "k: 1", "k: 1\nrerank: {top: 3}", Minor, "section `rerank`");
        check("prompts/a.yaml", "hi: '{x}'", "hi: '{x}'\nbye: '{y}'", Minor, "prompt `bye`");
        check_kind(ModelType::Config, &[("a.md", "1")], &[("a.md", "1"), ("prompts/b.txt", "x")], Minor, "file of the prompts");
        check_kind(ModelType::Dataset, &[("d.jsonl", "1\n")], &[("d.jsonl", "1\n2\n")], Minor, "more data");
    }

    #[test]
    fn what_callers_must_follow_is_a_major() {
        check("prompts/a.txt", "Hi {x}", "Hi {x} {y}", Major, "new variable `y`");
        check("prompts/a.txt", "Hi {x[a]}", "Hi", Major, "no longer uses the variable `x[a]`");
        check("agents.yaml", "agents: {a: {t: 1}, b: {t: 1}}", "agents: {a: {t: 1}}", Major, "member `agents.b`");
        check("routing.yaml", "languages: [en, fr]", "languages: [en, de]", Major, "is another one");
        check("routing.yaml", "edges: [{from: a, to: b}]", "edges: [{from: a, to: c}]", Major, "edge `edges[0].to`");
        check("retrieval.yaml", "rerank: {k: 1}\nx: 1", "x: 1", Major, "section `rerank`");
        check_kind(ModelType::Config, &[("prompts/a.txt", "x")], &[("prompts/b.txt", "x")], Major, "now `prompts/b.txt`");
        check_kind(ModelType::Llm, &[("w.bin", "x"), ("b", "y")], &[("b", "y")], Major, "`w.bin` is gone");
    }

    #[test]
    fn the_architecture_is_a_major() {
        check("retrieval.yaml", "embedding_model: a", "embedding_model: b", Major, "makes the architecture");
        check("retrieval.yaml", "index: {dimensions: 384}", "index: {dimensions: 768}", Major, "384 → 768");
        check("agents.yaml", "model: gpt-4o", "model: claude-sonnet-4", Major, "`model` of `agents.yaml`");
        check("agents.yaml", "model: {name: gpt-4o, t: 1}", "model: {name: o3, t: 1}", Major, "`model.name`");
        check("agents.yaml", "model: gpt-4o-2024-05-13", "model: gpt-4o-2024-08-06", Patch, "snapshot");
        check("retrieval.yaml", "embedding-model: e-20240101", "embedding-model: e-20250101", Major, "architecture");
        let (old, new) = ("{\"hidden_size\": 384}", "{\"hidden_size\": 768}");
        check_kind(ModelType::Embedding, &[("config.json", old)], &[("config.json", new)], Major, "hidden_size");
        check_kind(ModelType::Dataset, &[("rows.json", "[{\"model\": 1}]")], &[("rows.json", "[{\"model\": 2}]")], Patch, "data");
    }

    #[test]
    fn another_notation_of_a_part_is_a_patch() {
        check_kind(ModelType::Config, &[("routing.yaml", "a: 1\n")], &[("routing.json", "{\"a\": 1}")], Patch, "routing.json");
        assert_eq!(advice(ModelType::Config, &[("a", "x")], &[("a", "x")]), None);
    }

    #[test]
    fn snapshots_are_told_from_models() {
        for (a, b, same) in [
            ("claude-3-5-sonnet-20240620", "claude-3-5-sonnet-latest", true),
            ("gpt-4-0613", "gpt-4", true),
            ("gpt-4", "gpt-4o", false),
            ("gpt-4", "gpt-5", false),
            ("2024", "2025", false),
        ] {
            assert_eq!(family(a) == family(b), same, "{a} and {b}");
        }
    }

    #[test]
    fn dependencies_count_by_their_version() {
        let change = |status, old: Option<&str>, new: Option<&str>| {
            let version = |v: Option<&str>| v.map(|v| v.parse().expect("version"));
            dependency_reason(&DependencyChange { name: "bge".into(), old: version(old), new: version(new), status }).bump
        };
        assert_eq!(change(Status::Changed, Some("1.0.0"), Some("2.0.0")), Major);
        assert_eq!(change(Status::Changed, Some("1.0.0"), Some("1.1.0")), Minor);
        assert_eq!(change(Status::Changed, Some("1.0.0"), Some("1.0.1")), Patch);
        assert_eq!(change(Status::Added, None, Some("1.0.0")), Minor);
        assert_eq!(change(Status::Removed, Some("1.0.0"), None), Major);
    }
}
