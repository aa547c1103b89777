//! What a model card says, gathered from the registry, the evaluations and the lineage. Descriptions that people write come from
//! the version's metadata: `description`, `intended-use`, `users`, `limitations`, `retraining`, `license`, `language`.

use super::attest;
use super::checkout::manifest_of;
use super::lineage::graph;
use crate::base::error::Result;
use crate::domain::eval::record;
use crate::domain::registry::card::{CardInput, CardScore, GitState};
use crate::domain::registry::diff::Dependency;
use crate::domain::registry::table::{self, VersionRow};
use crate::store::View;
use crate::store::objects::Objects;

/// How many evaluations a card quotes: the newest.
const EVALUATIONS: u32 = 5;

/// Gathers the card of a version.
///
/// # Errors
/// When the state or the manifest cannot be read, or an evaluation is not what the audit log recorded.
pub fn input(view: View<'_>, objects: &Objects, version: &VersionRow) -> Result<CardInput> {
    let notes = table::notes(view, version.id)?;
    let meta = |key: &str| notes.meta.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone());
    let list = |key: &str, at: char| -> Vec<String> {
        let text = meta(key).unwrap_or_default();
        text.split(at).map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
    };
    let links = table::links_from(view, version.id)?;
    let named = |relation: &str| links.iter().filter(move |(r, _)| r == relation).map(|(_, v)| v).collect::<Vec<_>>();
    let files = if version.purged.is_some() { Vec::new() } else { manifest_of(objects, version)?.files().to_vec() };
    Ok(CardInput {
        name: version.name.clone(),
        version: version.version,
        digest: version.digest,
        kind: version.kind,
        stage: version.stage,
        created: version.created,
        author: Some(version.author.clone()),
        description: meta("description"),
        intended_use: meta("intended-use"),
        users: list("users", ','),
        limitations: list("limitations", ';'),
        retraining: meta("retraining"),
        license: meta("license"),
        languages: list("language", ','),
        tags: notes.tags.clone(),
        datasets: named("dataset").into_iter().map(VersionRow::reference).collect(),
        git: version.git.as_ref().map(|g| GitState { commit: g.commit.clone(), remote: None, dirty: g.dirty }),
        files,
        depends: named("depends")
            .into_iter()
            .map(|v| Dependency { name: v.name.clone(), version: v.version, digest: v.digest })
            .collect(),
        metrics: notes.metrics.into_iter().collect(),
        scores: scores(view, version)?,
        lineage: Some(graph(view, version)?),
    })
}

fn scores(view: View<'_>, version: &VersionRow) -> Result<Vec<CardScore>> {
    let mut scores: Vec<CardScore> = Vec::new();
    let evaluations = record::of_version(view, version.id, EVALUATIONS)?;
    attest::evaluations(view, version, &evaluations)?;
    for e in evaluations {
        let quoted = |s: &CardScore| s.dataset_digest == e.dataset_digest && s.judge == e.judge;
        if scores.iter().any(quoted) {
            continue;
        }
        scores.extend(e.metrics.iter().map(|m| CardScore {
            dataset: e.dataset.clone(),
            dataset_digest: e.dataset_digest,
            judge: e.judge.clone(),
            metric: m.metric.clone(),
            value: m.mean.ok_or_else(|| format!("none of {} rows could be scored", m.total)),
            n: usize::try_from(m.n).unwrap_or(0),
            interval: m.low.zip(m.high),
        }));
    }
    Ok(scores)
}
