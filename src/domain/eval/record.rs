//! Evaluations as they are kept: sums governed and audited, rows as working data sealed by a digest in the event.
//!
//! The digest of the rows is SHA-256 over one canonical JSON line a row and metric, in order: `[pos,"row","metric","value","reason"]`
//! with the value as its shortest decimal text, so that anyone can recompute it from an export.

use crate::base::canonical;
use crate::base::digest::{Digest, Hasher};
use crate::base::error::{Context, Result};
use crate::base::event::Event;
use crate::base::time::Timestamp;
use crate::domain::eval::score::{COST_PER_QUERY, LATENCY_P95};
use crate::domain::registry::change::resource;
use crate::domain::registry::table::VersionRow;
use crate::store::check::rows::real;
use crate::store::{Feed, Row, Tx, Value, View, values};
use serde::Serialize;
use serde_json::{Map, json};

/// What the judge of an evaluation of some rows has before the name of these rows.
pub const PART: &str = ";rows=";
/// What the judge of an evaluation has at its end that was stopped before its end.
pub const STOPPED: &str = ";stopped";

/// One metric of an evaluation in sum.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The metric's name.
    pub metric: String,
    /// The mean over the scored rows, or the value itself for what is not a mean (a percentile); `None` when no row was scored.
    pub mean: Option<f64>,
    /// Lower end of the 95 % interval.
    pub low: Option<f64>,
    /// Upper end of the 95 % interval.
    pub high: Option<f64>,
    /// Rows scored.
    pub n: i64,
    /// Rows in the dataset.
    pub total: i64,
    /// Why no row was scored, when none was.
    pub unscored: Option<String>,
}

/// Why no row is scored, from the reasons of the rows and how often each was given: the most frequent one, and of how many
/// rows it is when there are others.
pub(super) fn why_unscored(reasons: impl Iterator<Item = (String, i64)>) -> Option<String> {
    let mut reasons: Vec<(String, i64)> = reasons.collect();
    reasons.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let total: i64 = reasons.iter().map(|r| r.1).sum();
    let (reason, n) = reasons.into_iter().next()?;
    Some(if n == total { reason } else { format!("{reason} ({n} of {total} rows)") })
}

/// Why a budget that rests on what answers say of themselves is not known.
pub(super) fn unstated(metric: &str) -> Option<String> {
    match metric {
        COST_PER_QUERY => Some("no answer says what it cost".to_owned()),
        LATENCY_P95 => Some("no answer says how long it took".to_owned()),
        _ => None,
    }
}

/// The score of one row by one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct RowScore {
    /// Where the row stands in the dataset, from 0.
    pub pos: i64,
    /// The row's id.
    pub row: String,
    /// The metric's name.
    pub metric: String,
    /// The score, or `None` when unscored.
    pub value: Option<f64>,
    /// Why it is unscored.
    pub reason: Option<String>,
}

/// A recorded evaluation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Its id.
    pub id: String,
    /// The digest of the version that was evaluated.
    pub digest: Digest,
    /// The dataset's name or path.
    pub dataset: String,
    /// The digest of the dataset's bytes.
    pub dataset_digest: Digest,
    /// Who judged: `deterministic` or a judge's id.
    pub judge: String,
    /// How the answers came: `recorded`, `command` or `http`.
    pub system: String,
    /// Rows in the dataset.
    pub rows: i64,
    /// The digest of all row scores.
    pub rows_digest: Digest,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// The audit event.
    pub event: i64,
    /// The metrics in sum, by name.
    pub metrics: Vec<Summary>,
}

impl Evaluation {
    /// True when all rows of its dataset were asked and judged to their end: what is told of some rows is not told of the version.
    pub fn is_whole(&self) -> bool {
        !self.judge.contains(PART) && !self.judge.ends_with(STOPPED)
    }

    /// The sum of a metric.
    pub fn metric(&self, name: &str) -> Option<&Summary> {
        self.metrics.iter().find(|m| m.metric == name)
    }
}

/// What is to be recorded.
#[derive(Clone, Debug)]
pub struct NewEvaluation {
    /// Its id, under which its rows were appended.
    pub id: String,
    /// The version.
    pub version: VersionRow,
    /// The dataset's name or path.
    pub dataset: String,
    /// The digest of the dataset's bytes.
    pub dataset_digest: Digest,
    /// Who judged.
    pub judge: String,
    /// How the answers came.
    pub system: String,
    /// Rows in the dataset.
    pub rows: i64,
    /// The digest of all row scores.
    pub rows_digest: Digest,
    /// The metrics in sum.
    pub metrics: Vec<Summary>,
}

/// The digest of row scores.
///
/// # Errors
/// Never for scores that came from a dataset; kept as an error rather than a panic.
pub fn digest_of(rows: &[RowScore]) -> Result<Digest> {
    let mut hasher = Hasher::new();
    for r in rows {
        let line = canonical::to_string(&json!([r.pos, r.row, r.metric, r.value.map(|v| v.to_string()), r.reason]))
            .context(|| format!("row {} has no canonical form", r.row))?;
        hasher.update(line.as_bytes());
        hasher.update(b"\n");
    }
    Ok(hasher.finish())
}

/// Appends the row scores of an evaluation that is about to be recorded.
pub fn append_rows(feed: &Feed<'_>, id: &str, rows: &[RowScore]) -> Result<u64> {
    let values = |r: &RowScore| -> Vec<Value> {
        vec![id.into(), r.pos.into(), (&r.row).into(), (&r.metric).into(), r.value.into(), r.reason.as_deref().into()]
    };
    feed.append("eval_row", &["evaluation", "pos", "row_id", "metric", "value", "reason"], rows.iter().map(values))
}

/// Metrics in sum as the event states them: numbers with a fraction are text there.
pub fn sums(metrics: &[Summary]) -> Map<String, serde_json::Value> {
    metrics
        .iter()
        .map(|m| {
            (
                m.metric.clone(),
                json!({"mean": real(m.mean), "low": real(m.low), "high": real(m.high), "n": m.n, "total": m.total}),
            )
        })
        .collect()
}

/// Records an evaluation and gives the index of its event.
pub fn record(tx: &Tx<'_>, new: &NewEvaluation) -> Result<i64> {
    let event = tx.record(
        Event::new("evaluation.recorded", resource(&new.version))
            .with("evaluation", new.id.as_str())
            .with("dataset", json!({"name": new.dataset, "digest": new.dataset_digest}))
            .with("judge", new.judge.as_str())
            .with("system", new.system.as_str())
            .with("rows", json!({"n": new.rows, "digest": new.rows_digest}))
            .with("metrics", sums(&new.metrics)),
    );
    tx.execute(
        "INSERT INTO evaluation (id, version, digest, dataset, dataset_digest, judge, system, row_count, rows_digest, ts, actor, event) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        values![
            &new.id,
            new.version.id,
            new.version.digest,
            &new.dataset,
            new.dataset_digest,
            &new.judge,
            &new.system,
            new.rows,
            new.rows_digest,
            tx.now(),
            tx.pseudonym()?,
            event
        ],
    )?;
    for m in &new.metrics {
        tx.execute(
            "INSERT INTO evaluation_metric (evaluation, metric, mean, low, high, n, total) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            values![&new.id, &m.metric, m.mean, m.low, m.high, m.n, m.total],
        )?;
    }
    Ok(event)
}

const EVALUATION: &str = "SELECT e.id, e.digest, e.dataset, e.dataset_digest, e.judge, e.system, e.row_count, e.rows_digest, e.ts, \
     COALESCE(p.name, e.actor), e.event FROM evaluation e LEFT JOIN pseudonym p ON p.id = e.actor";

fn evaluation(row: &Row<'_>) -> Result<Evaluation> {
    Ok(Evaluation {
        id: row.text(0)?.to_owned(),
        digest: row.digest(1)?,
        dataset: row.text(2)?.to_owned(),
        dataset_digest: row.digest(3)?,
        judge: row.text(4)?.to_owned(),
        system: row.text(5)?.to_owned(),
        rows: row.int(6)?,
        rows_digest: row.digest(7)?,
        at: row.time(8)?,
        actor: row.name(9)?,
        event: row.int(10)?,
        metrics: Vec::new(),
    })
}

fn with_metrics(view: View<'_>, mut e: Evaluation) -> Result<Evaluation> {
    let sql = "SELECT metric, mean, low, high, n, total FROM evaluation_metric WHERE evaluation = ?1 ORDER BY metric";
    e.metrics = view.all(sql, values![&e.id], |r| {
        Ok(Summary {
            metric: r.text(0)?.to_owned(),
            mean: r.opt_real(1)?,
            low: r.opt_real(2)?,
            high: r.opt_real(3)?,
            n: r.int(4)?,
            total: r.int(5)?,
            unscored: None,
        })
    })?;
    for m in e.metrics.iter_mut().filter(|m| m.mean.is_none()) {
        m.unscored = unstated(&m.metric).map_or_else(|| reasons(view, &e.id, &m.metric), |why| Ok(Some(why)))?;
    }
    Ok(e)
}

/// Why a metric scored no row, as its rows say.
fn reasons(view: View<'_>, evaluation: &str, metric: &str) -> Result<Option<String>> {
    let sql =
        "SELECT reason, count(*) FROM eval_row WHERE evaluation = ?1 AND metric = ?2 AND reason IS NOT NULL GROUP BY reason";
    let found = view.all(sql, values![evaluation, metric], |r| Ok((r.text(0)?.to_owned(), r.int(1)?)))?;
    Ok(why_unscored(found.into_iter()))
}

/// The evaluations of a version, newest first, at most `limit`.
pub fn of_version(view: View<'_>, version: i64, limit: u32) -> Result<Vec<Evaluation>> {
    let sql = format!("{EVALUATION} WHERE e.version = ?1 ORDER BY e.event DESC LIMIT ?2");
    let found = view.all(&sql, values![version, limit], evaluation)?;
    found.into_iter().map(|e| with_metrics(view, e)).collect()
}

/// The newest evaluation of exactly this version on exactly this dataset by this judge.
pub fn newest(view: View<'_>, version: i64, dataset: &Digest, judge: &str) -> Result<Option<Evaluation>> {
    let sql =
        format!("{EVALUATION} WHERE e.version = ?1 AND e.dataset_digest = ?2 AND e.judge = ?3 ORDER BY e.event DESC LIMIT 1");
    let found = view.first(&sql, values![version, *dataset, judge], evaluation)?;
    found.map(|e| with_metrics(view, e)).transpose()
}

/// The newest evaluation of exactly this version on exactly this dataset by this judge that computed a metric: one that was asked for another
/// metric alone says nothing of this one, and does not hide what was found before.
pub fn newest_of(view: View<'_>, version: i64, dataset: &Digest, judge: &str, metric: &str) -> Result<Option<Evaluation>> {
    let sql = format!(
        "{EVALUATION} WHERE e.version = ?1 AND e.dataset_digest = ?2 AND e.judge = ?3 AND EXISTS (SELECT 1 FROM evaluation_metric m \
         WHERE m.evaluation = e.id AND m.metric = ?4) ORDER BY e.event DESC LIMIT 1"
    );
    let found = view.first(&sql, values![version, *dataset, judge, metric], evaluation)?;
    found.map(|e| with_metrics(view, e)).transpose()
}

/// The scored rows of one metric of an evaluation, in the dataset's order.
pub fn scored_rows(view: View<'_>, evaluation: &str, metric: &str) -> Result<Vec<(String, f64)>> {
    let sql = "SELECT row_id, value FROM eval_row WHERE evaluation = ?1 AND metric = ?2 AND value IS NOT NULL ORDER BY pos";
    view.all(sql, values![evaluation, metric], |r| Ok((r.text(0)?.to_owned(), r.real(1)?)))
}

/// Why rows of an evaluation have no score by a metric.
pub fn unscored_rows(view: View<'_>, evaluation: &str, metric: &str) -> Result<Vec<(String, String)>> {
    let sql = "SELECT row_id, reason FROM eval_row WHERE evaluation = ?1 AND metric = ?2 AND value IS NULL ORDER BY pos";
    view.all(sql, values![evaluation, metric], |r| Ok((r.text(0)?.to_owned(), r.opt_text(1)?.unwrap_or_default().to_owned())))
}

/// Every row score of an evaluation, in the order in which it was sealed.
pub fn all_rows(view: View<'_>, evaluation: &str) -> Result<Vec<RowScore>> {
    let sql = "SELECT pos, row_id, metric, value, reason FROM eval_row WHERE evaluation = ?1 ORDER BY pos, metric";
    view.all(sql, values![evaluation], |r| {
        Ok(RowScore {
            pos: r.int(0)?,
            row: r.text(1)?.to_owned(),
            metric: r.text(2)?.to_owned(),
            value: r.opt_real(3)?,
            reason: r.opt_text(4)?.map(str::to_owned),
        })
    })
}
