//! The model card of a version: what it is, what it is for, how it scored, where it came from.
//!
//! The front matter of the Markdown form uses the metadata fields of Hugging Face model cards
//! (<https://huggingface.co/docs/hub/model-cards>, `modelcard.md` of `huggingface/hub-docs`), scores in `model-index`. The
//! YAML form has the same fields and everything else the card knows. A score that could not be computed is shown with its
//! reason and left out of `model-index`, which has no word for it. Equal input gives equal bytes.

use super::diff::Dependency;
use super::lineage::{Direction, Graph};
use super::manifest::FileEntry;
use crate::base::digest::Digest;
use crate::base::name::{ModelType, Name, Stage};
use crate::base::quantity::Bytes;
use crate::base::table::Table;
use crate::base::text::{group, markdown as escaped};
use crate::base::time::Timestamp;
use crate::base::version::Version;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Where the sources of a version lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitState {
    /// The commit's object name.
    pub commit: String,
    /// The repository's address, without credentials.
    pub remote: Option<String>,
    /// True when there were changes that no commit has.
    pub dirty: bool,
}

/// One score.
#[derive(Clone, Debug, PartialEq)]
pub struct CardScore {
    /// The golden dataset.
    pub dataset: String,
    /// Its digest.
    pub dataset_digest: Digest,
    /// Who judged, such as `offline` or the name of a model.
    pub judge: String,
    /// The metric.
    pub metric: String,
    /// The mean over the rows that were scored, or why there is none.
    pub value: Result<f64, String>,
    /// Rows that were scored.
    pub n: usize,
    /// The confidence interval of the mean.
    pub interval: Option<(f64, f64)>,
}

/// All that a card says. What is empty or `None` is left out.
#[derive(Clone, Debug, PartialEq)]
pub struct CardInput {
    /// The model.
    pub name: Name,
    /// The version.
    pub version: Version,
    /// Its digest.
    pub digest: Digest,
    /// What it is.
    pub kind: ModelType,
    /// Where it stands.
    pub stage: Stage,
    /// When it was registered.
    pub created: Timestamp,
    /// Who registered it.
    pub author: Option<String>,
    /// What it is, in Markdown.
    pub description: Option<String>,
    /// What it is meant for, in Markdown.
    pub intended_use: Option<String>,
    /// Who is to use it.
    pub users: Vec<String>,
    /// What it cannot do, one sentence each.
    pub limitations: Vec<String>,
    /// When it is trained or tuned again.
    pub retraining: Option<String>,
    /// Licence identifier as Hugging Face spells it, such as `apache-2.0`.
    pub license: Option<String>,
    /// ISO 639 codes.
    pub languages: Vec<String>,
    /// Free tags.
    pub tags: Vec<String>,
    /// Datasets it was made with, beside those it was evaluated on.
    pub datasets: Vec<String>,
    /// The sources.
    pub git: Option<GitState>,
    /// What it is made of.
    pub files: Vec<FileEntry>,
    /// What it needs.
    pub depends: Vec<Dependency>,
    /// Metrics given at registration.
    pub metrics: BTreeMap<String, f64>,
    /// Scores on golden datasets.
    pub scores: Vec<CardScore>,
    /// Where it came from: a graph and the node of this version in it.
    pub lineage: Option<(Graph, String)>,
}

/// The card as Markdown with YAML front matter.
pub fn markdown(card: &CardInput) -> String {
    let mut out = format!("---\n{}---\n\n# {} {}\n", yaml_of(&Value::Object(metadata(card))), card.name, card.version);
    if let Some(description) = &card.description {
        let _ = write!(out, "\n{}\n", prose(description));
    }
    out.push_str(&format!("\n{}", facts(card).markdown()));
    let mut section = |title: &str, body: String| {
        if !body.is_empty() {
            let _ = write!(out, "\n## {title}\n\n{}\n", body.trim_end());
        }
    };
    let list = |items: &[String]| items.iter().map(|i| format!("- {}\n", line(i))).collect::<String>();
    section("Intended use", card.intended_use.as_deref().map(prose).unwrap_or_default());
    section("Users", list(&card.users));
    section("Limitations", list(&card.limitations));
    section("Evaluation", scores(card));
    section("Metrics at registration", metrics(card));
    section("Retraining", card.retraining.as_deref().map(prose).unwrap_or_default());
    section("Needs", depends(card));
    section("Files", files(card));
    section("Lineage", lineage(card));
    out
}

/// The card as one YAML document.
pub fn yaml(card: &CardInput) -> String {
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| {
        let empty =
            value.is_null() || value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty);
        if !empty {
            map.insert(key.to_owned(), value);
        }
    };
    put("model_name", json!(card.name));
    put("version", json!(card.version));
    put("digest", json!(card.digest));
    put("model_type", json!(card.kind));
    put("stage", json!(card.stage));
    put("created", json!(card.created));
    put("author", json!(card.author));
    put("description", json!(card.description));
    put("intended_use", json!(card.intended_use));
    put("primary_users", json!(card.users));
    put("limitations", json!(card.limitations));
    put("retraining_policy", json!(card.retraining));
    if let Some(git) = &card.git {
        put("git", json!({"commit": git.commit, "remote": git.remote, "uncommitted_changes": git.dirty}));
    }
    put("registered_metrics", Value::Object(card.metrics.iter().map(|(k, v)| (k.clone(), json!(v))).collect()));
    put("evaluations", Value::Array(card.scores.iter().map(score_value).collect()));
    put("depends", json!(card.depends));
    put("files", json!(card.files));
    if let Some((graph, _)) = &card.lineage {
        put("lineage", graph.json());
    }
    map.extend(metadata(card));
    yaml_of(&Value::Object(map))
}

fn yaml_of(value: &Value) -> String {
    serde_yaml::to_string(value).expect("a JSON value has only text keys and finite numbers, which YAML can write")
}

fn score_value(score: &CardScore) -> Value {
    let (value, unscored) = match &score.value {
        Ok(v) => (json!(v), Value::Null),
        Err(why) => (Value::Null, json!(why)),
    };
    json!({
        "dataset": score.dataset, "dataset_digest": score.dataset_digest, "judge": score.judge, "metric": score.metric,
        "value": value, "unscored": unscored, "n": score.n, "interval": score.interval.map(|(low, high)| [low, high]),
    })
}

/// What Hugging Face calls the task of each type; `None` where it has no word.
fn pipeline_tag(kind: ModelType) -> Option<&'static str> {
    match kind {
        ModelType::Embedding => Some("feature-extraction"),
        ModelType::Reranker => Some("text-ranking"),
        ModelType::Classifier => Some("text-classification"),
        ModelType::Llm => Some("text-generation"),
        ModelType::Config | ModelType::Prompt => Some("question-answering"),
        ModelType::Dataset | ModelType::Other => None,
    }
}

/// The front matter in the order of Hugging Face's template.
fn metadata(card: &CardInput) -> Map<String, Value> {
    let mut map = Map::new();
    let evaluated = || card.scores.iter().filter(|s| s.value.as_ref().is_ok_and(|v| v.is_finite()));
    if !card.languages.is_empty() {
        map.insert("language".to_owned(), json!(card.languages));
    }
    if let Some(license) = &card.license {
        map.insert("license".to_owned(), json!(license));
    }
    if let Some(tag) = pipeline_tag(card.kind) {
        map.insert("pipeline_tag".to_owned(), json!(tag));
    }
    let tags: BTreeSet<&str> = card.tags.iter().map(String::as_str).chain(["kf", card.kind.word()]).collect();
    map.insert("tags".to_owned(), json!(tags));
    let datasets: BTreeSet<&str> =
        card.datasets.iter().map(String::as_str).chain(card.scores.iter().map(|s| s.dataset.as_str())).collect();
    if !datasets.is_empty() {
        map.insert("datasets".to_owned(), json!(datasets));
    }
    let names: BTreeSet<&str> = card.metrics.keys().map(String::as_str).chain(evaluated().map(|s| s.metric.as_str())).collect();
    if !names.is_empty() {
        map.insert("metrics".to_owned(), json!(names));
    }
    if evaluated().next().is_some() {
        let mut by_dataset: BTreeMap<(&str, Digest), Vec<Value>> = BTreeMap::new();
        for score in evaluated() {
            by_dataset.entry((&score.dataset, score.dataset_digest)).or_default().push(metric_entry(score));
        }
        let task = json!({"type": pipeline_tag(card.kind).unwrap_or("other")});
        let results: Vec<Value> = by_dataset
            .into_iter()
            .map(|((name, digest), metrics)| {
                json!({"task": task, "dataset": {"type": name, "name": name, "revision": digest}, "metrics": metrics})
            })
            .collect();
        map.insert("model-index".to_owned(), json!([{"name": card.name, "results": results}]));
    }
    map
}

fn metric_entry(score: &CardScore) -> Value {
    let mut args = Map::from_iter([("judge".to_owned(), json!(score.judge)), ("n".to_owned(), json!(score.n))]);
    if let Some((low, high)) = score.interval {
        args.insert("interval".to_owned(), json!([low, high]));
    }
    json!({"type": score.metric, "name": score.metric, "value": score.value.as_ref().ok(), "args": args})
}

fn facts(card: &CardInput) -> Table {
    let mut table = Table::new(&["", ""]);
    table.row(["Version", &format!("{} {}", card.name, card.version)]);
    table.row(["Digest", &card.digest.to_string()]);
    table.row(["Type", card.kind.word()]);
    table.row(["Stage", card.stage.word()]);
    table.row(["Registered", &card.created.to_string()]);
    if let Some(author) = &card.author {
        table.row(["Author", &escaped(author)]);
    }
    if let Some(git) = &card.git {
        let dirty = if git.dirty { " with uncommitted changes" } else { "" };
        let remote = git.remote.as_ref().map_or_else(String::new, |r| format!(" of {r}"));
        table.row(["Commit", &escaped(&format!("{}{remote}{dirty}", git.commit))]);
    }
    table
}

fn scores(card: &CardInput) -> String {
    if card.scores.is_empty() {
        return "This version has not been evaluated.".to_owned();
    }
    let mut table = Table::new(&["Dataset", "Metric", ">Value", ">Interval", ">n", "Judge"]);
    for s in &card.scores {
        let value = s.value.as_ref().map_or_else(|why| format!("unscored: {}", escaped(why)), |v| format!("{v:.4}"));
        let interval = s.interval.map_or_else(String::new, |(low, high)| format!("{low:.4} to {high:.4}"));
        table.row([escaped(&s.dataset), escaped(&s.metric), value, interval, group(s.n), escaped(&s.judge)]);
    }
    table.markdown()
}

fn metrics(card: &CardInput) -> String {
    if card.metrics.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["Metric", ">Value"]);
    for (name, value) in &card.metrics {
        table.row([escaped(name), value.to_string()]);
    }
    table.markdown()
}

fn depends(card: &CardInput) -> String {
    card.depends.iter().map(|d| format!("- {} {} (`{}`)\n", d.name, d.version, d.digest)).collect()
}

fn files(card: &CardInput) -> String {
    if card.files.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["Path", ">Size", "Media type", "SHA-256"]);
    for f in &card.files {
        table.row([escaped(&f.path), Bytes(f.size).to_string(), escaped(&f.media), f.digest.hex()]);
    }
    table.markdown()
}

fn lineage(card: &CardInput) -> String {
    let Some((graph, root)) = &card.lineage else { return String::new() };
    let tree = graph.tree(root, Direction::Up);
    // A fence longer than any run of backticks in it cannot be closed from within.
    let longest = tree.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{tree}{fence}\n")
}

/// Markdown of an author, without HTML.
fn prose(text: &str) -> String {
    text.trim().replace('<', "&lt;")
}

/// Plain text on one line of Markdown.
fn line(text: &str) -> String {
    escaped(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::registry::lineage::{Edge, Node, NodeKind};

    fn score(metric: &str, value: Result<f64, String>) -> CardScore {
        CardScore {
            dataset: "support-golden".into(),
            dataset_digest: Digest::of(b"golden"),
            judge: "offline".into(),
            metric: metric.into(),
            value,
            n: 200,
            interval: Some((0.9, 0.95)),
        }
    }

    fn card() -> CardInput {
        let node = |id: &str, kind| Node { id: id.into(), kind, label: format!("{id} ```") };
        let edge = Edge { from: "bot".into(), to: "golden".into(), relation: "evaluated on".into() };
        let graph = Graph::new(vec![node("bot", NodeKind::Version), node("golden", NodeKind::Dataset)], vec![edge]);
        CardInput {
            name: "support-bot".parse().expect("name"),
            version: Version::new(1, 2, 0),
            digest: Digest::of(b"bot"),
            kind: ModelType::Config,
            stage: Stage::Staging,
            created: Timestamp::from_micros(0),
            author: Some("a*b|c".into()),
            description: Some("Answers <b>tickets</b>.".into()),
            intended_use: None,
            users: vec!["QA [team]\n# not a heading".into()],
            limitations: vec!["English only".into()],
            retraining: None,
            license: Some("apache-2.0".into()),
            languages: vec!["en".into(), "no".into()],
            tags: vec!["yes: no".into()],
            datasets: vec!["docs".into()],
            git: Some(GitState { commit: "abc".into(), remote: None, dirty: true }),
            files: vec![],
            depends: vec![],
            metrics: BTreeMap::from([("cost".to_owned(), f64::NAN)]),
            scores: vec![score("faithfulness", Ok(0.93)), score("recall", Err("no reference contexts".into()))],
            lineage: Some((graph.expect("valid"), "bot".into())),
        }
    }

    #[test]
    fn the_front_matter_has_hugging_face_fields() {
        let text = markdown(&card());
        let front = text.strip_prefix("---\n").and_then(|t| t.split_once("\n---\n")).expect("front matter").0;
        let value: Value = serde_yaml::from_str(front).expect("YAML");
        assert_eq!(value["license"], "apache-2.0");
        assert_eq!(value["language"], json!(["en", "no"]), "`no` must stay text");
        assert_eq!(value["tags"], json!(["config", "kf", "yes: no"]));
        assert_eq!(value["datasets"], json!(["docs", "support-golden"]));
        let result = &value["model-index"][0]["results"][0];
        assert_eq!(value["model-index"][0]["name"], "support-bot");
        assert_eq!(result["task"]["type"], "question-answering");
        assert_eq!(
            (&result["dataset"]["type"], &result["dataset"]["name"]),
            (&json!("support-golden"), &json!("support-golden"))
        );
        let metrics = result["metrics"].as_array().expect("list");
        assert_eq!(metrics.len(), 1, "what was not scored has no value to give");
        assert_eq!((&metrics[0]["type"], &metrics[0]["value"]), (&json!("faithfulness"), &json!(0.93)));
        assert_eq!(metrics[0]["args"], json!({"judge": "offline", "n": 200, "interval": [0.9, 0.95]}));
    }

    #[test]
    fn the_body_says_what_is_known_and_escapes_what_people_wrote() {
        let text = markdown(&card());
        for part in [
            "# support-bot 1.2.0\n\nAnswers &lt;b>tickets&lt;/b>.\n",
            "| Author | a&#42;b\\|c |",
            "| Commit | abc with uncommitted changes |",
            "- QA &#91;team&#93; # not a heading\n",
            "| support-golden | faithfulness | 0.9300 | 0.9000 to 0.9500 | 200 | offline |",
            "| support-golden | recall | unscored: no reference contexts |",
            "````text\nversion bot ```\n",
        ] {
            assert!(text.contains(part), "{part}\nin\n{text}");
        }
        assert!(!text.contains("## Retraining") && !text.contains("## Files"), "{text}");
        let bare = CardInput { scores: vec![], metrics: BTreeMap::new(), ..card() };
        assert!(markdown(&bare).contains("has not been evaluated"));
    }

    #[test]
    fn the_yaml_form_reads_back() {
        let value: Value = serde_yaml::from_str(&yaml(&card())).expect("YAML");
        assert_eq!(value["model_name"], "support-bot");
        assert_eq!(value["version"], "1.2.0");
        assert_eq!(value["evaluations"][1]["unscored"], "no reference contexts");
        assert_eq!(value["git"]["uncommitted_changes"], true);
        assert_eq!(value.get("retraining_policy"), None);
        assert_eq!(value["lineage"]["edges"][0]["relation"], "evaluated on");
    }
}
