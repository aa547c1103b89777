//! Asking variants and scoring what they answer: each row once, whatever it is looked at for.

use super::purse::Purse;
use crate::base::error::{Context, Result};
use crate::domain::eval::judged::registry::RANGE;
use crate::domain::eval::judged::{self, JudgedId};
use crate::domain::eval::known::known;
use crate::domain::eval::marks::Marks;
use crate::domain::eval::metrics::{self, MetricId};
use crate::domain::eval::record::RowScore;
use crate::domain::eval::score::{Scores, summary};
use crate::domain::golden::{Answer, Row};
use crate::domain::optimize::Files;
use crate::release::evaluate;
use crate::release::gates::FROM_CACHE;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroU32;
use std::path::Path;

/// What came of asking some rows.
pub struct Asked {
    /// Answers by row.
    pub answers: HashMap<String, Answer>,
    /// Who answered, as evaluations name it.
    pub system: String,
    /// True when some answers had been given before.
    pub cached: bool,
}

/// Asks the system for files unpacked in a folder, which go by this number, about some rows.
pub type Ask<'a> = &'a dyn Fn(&Path, &str, &[Row]) -> Result<Asked>;
/// Judges answers to some rows by some metrics.
pub type Judge<'a> = &'a dyn Fn(&[JudgedId], &[Row], &HashMap<String, Answer>) -> Result<Scores>;

/// What was computed, and what was judged where something is.
pub type Both = (Scores, Option<Scores>);

/// What decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A metric that is computed.
    Computed(MetricId),
    /// A metric that a model judges.
    Judged(JudgedId),
}

impl Target {
    /// The metric's name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Computed(id) => id.word(),
            Self::Judged(id) => id.word(),
        }
    }

    /// A score turned so that more is better.
    pub fn turned(self, score: f64) -> f64 {
        let info = known(self.word()).filter(|m| !m.higher_is_better());
        info.map_or(score, |m| m.range.0 + m.range.1 - score)
    }
}

/// Where variants are tried.
pub struct Lab<'a> {
    /// All rows of the dataset.
    pub rows: &'a [Row],
    /// Who answers.
    pub ask: Ask<'a>,
    /// Who judges.
    pub judge: Judge<'a>,
    /// What decides.
    pub target: Target,
    /// What is computed besides.
    pub computed: Vec<MetricId>,
    /// What is judged besides.
    pub judged: Vec<JudgedId>,
    /// How much of a ranking counts.
    pub k: NonZeroU32,
    /// Threads.
    pub jobs: usize,
    /// What may be spent.
    pub purse: Purse,
}

impl Lab<'_> {
    /// The rows at these places.
    pub(super) fn at(&self, at: &[usize]) -> Vec<Row> {
        at.iter().map(|i| self.rows[*i].clone()).collect()
    }
}

/// A version or a variant with what it answered so far.
pub struct Player {
    /// The files that answer.
    pub files: Files,
    /// Where they are.
    dir: tempfile::TempDir,
    /// What it goes by when it is asked.
    number: String,
    /// What it answered, by row.
    pub answers: HashMap<String, Answer>,
    /// Who answered for it, as evaluations name it.
    system: String,
    cached: bool,
    judged: BTreeMap<(String, &'static str), RowScore>,
}

impl Player {
    /// Writes the files where whoever answers can read them.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn new(files: Files, number: String) -> Result<Self> {
        let dir = tempfile::tempdir().context(|| "cannot make a scratch folder")?;
        for (path, bytes) in &files {
            let to = dir.path().join(path);
            let made = to.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&to, bytes));
            made.context(|| format!("cannot write {}", to.display()))?;
        }
        let (answers, system, judged) = (HashMap::new(), String::new(), BTreeMap::new());
        Ok(Self { files, dir, number, answers, system, cached: false, judged })
    }

    /// Where its files are.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Who answered for it, as evaluations name it.
    pub fn system(&self) -> String {
        format!("{}{}", self.system, if self.cached { FROM_CACHE } else { "" })
    }

    /// Asks about those of these rows that were not asked yet.
    ///
    /// # Errors
    /// When nobody can be asked.
    pub fn ask(&mut self, lab: &Lab<'_>, at: &[usize]) -> Result<()> {
        let rows: Vec<Row> = lab.at(at).into_iter().filter(|row| !self.answers.contains_key(&row.id)).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let asked = (lab.ask)(self.dir.path(), &self.number, &rows)?;
        self.answers.extend(asked.answers);
        self.cached |= asked.cached;
        self.system = asked.system;
        Ok(())
    }

    /// The scores of what decides on these rows, which were asked; rows without one are not in it.
    ///
    /// # Errors
    /// When nobody can be asked to judge.
    pub fn target(&mut self, lab: &Lab<'_>, at: &[usize]) -> Result<HashMap<usize, f64>> {
        let rows = match lab.target {
            Target::Computed(id) => evaluate::score_rows(&lab.at(at), &[&self.answers], &[id], lab.k, lab.jobs).rows,
            Target::Judged(id) => {
                self.judge(lab, &[id], at)?;
                self.judged_rows(lab, &[id], at)
            }
        };
        let place: HashMap<&str, usize> = at.iter().map(|i| (lab.rows[*i].id.as_str(), *i)).collect();
        Ok(rows.into_iter().filter_map(|r| Some((*place.get(r.row.as_str())?, lab.target.turned(r.value?)))).collect())
    }

    /// All scores on these rows: what is computed, and what is judged where something is.
    ///
    /// # Errors
    /// When nobody can be asked to judge.
    pub fn scores(&mut self, lab: &Lab<'_>, at: &[usize]) -> Result<Both> {
        let computed = evaluate::score_rows(&lab.at(at), &[&self.answers], &lab.computed, lab.k, lab.jobs);
        if lab.judged.is_empty() {
            return Ok((computed, None));
        }
        self.judge(lab, &lab.judged, at)?;
        let rows = self.judged_rows(lab, &lab.judged, at);
        let marks = Marks::of(&lab.at(at));
        let sums = lab.judged.iter().map(|id| summary(id.word(), RANGE, &rows, (&marks, at.len()))).collect();
        Ok((computed, Some(Scores { rows, sums, ..Scores::default() })))
    }

    /// Asks for the judgements that are missing, metric by metric, since some rows have been judged by one of them.
    fn judge(&mut self, lab: &Lab<'_>, metrics: &[JudgedId], at: &[usize]) -> Result<()> {
        let mut missing: BTreeMap<Vec<usize>, Vec<JudgedId>> = BTreeMap::new();
        for id in metrics {
            let open = |i: &&usize| !self.judged.contains_key(&(lab.rows[**i].id.clone(), id.word()));
            let rows: Vec<usize> = at.iter().filter(open).copied().collect();
            if !rows.is_empty() {
                missing.entry(rows).or_default().push(*id);
            }
        }
        for (rows, metrics) in missing {
            let scores = (lab.judge)(&metrics, &lab.at(&rows), &self.answers)?;
            let known = |metric: &str| judged::find(metric).map(|m| m.name);
            let found = scores.rows.into_iter().filter_map(|r| Some(((r.row.clone(), known(&r.metric)?), r)));
            self.judged.extend(found);
        }
        Ok(())
    }

    /// Judgements in the order of rows and metrics, each with the place of its row among these.
    fn judged_rows(&self, lab: &Lab<'_>, metrics: &[JudgedId], at: &[usize]) -> Vec<RowScore> {
        let mut names: Vec<&'static str> = metrics.iter().map(|id| id.word()).collect();
        names.sort_unstable();
        let mut rows = Vec::new();
        for (pos, i) in (0_i64..).zip(at) {
            let id = &lab.rows[*i].id;
            rows.extend(names.iter().filter_map(|name| Some(RowScore { pos, ..self.judged.get(&(id.clone(), *name))?.clone() })));
        }
        rows
    }
}

/// The metrics that are computed: what a name says, what gates name, what says whether retrieval finds enough.
pub fn computed<'n>(names: impl IntoIterator<Item = &'n str>) -> Vec<MetricId> {
    let named: BTreeSet<&str> = names.into_iter().collect();
    metrics::all().iter().filter(|m| !m.id.is_proxy() || named.contains(m.name)).map(|m| m.id).collect()
}
