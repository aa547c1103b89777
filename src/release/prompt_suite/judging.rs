//! Answers of a suite before the judges of `mlops.toml`: what its assertions have to be told, asked all together and before any of them is
//! judged, by the metrics, prompts and cache of `kf eval`.

use super::Place;
use super::llm::Purse;
use crate::base::error::Result;
use crate::base::quantity::PicoUsd;
use crate::base::text::ellipsis;
use crate::config::Judge;
use crate::domain::eval::judged::JudgedId;
use crate::domain::golden::{Answer, Row};
use crate::domain::prompt::suite::assertion::Assertion;
use crate::domain::prompt::suite::rated::{self, Asked};
use crate::release::judging::{self, Bench, Cached, Coming, Estimate, Judges, Took};
use crate::seams::embedder::Embedder;
use crate::seams::model::Model;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// An answer that is to be judged.
pub(super) struct Heard<'a> {
    /// Which of the answers it is.
    pub(super) at: usize,
    /// The rendered prompt.
    pub(super) prompt: String,
    /// The values of its case.
    pub(super) vars: &'a Map<String, Value>,
    /// The answer.
    pub(super) text: &'a str,
    /// What must hold of it.
    pub(super) assertions: &'a [Assertion],
}

/// Who judged, and what it took.
#[derive(Clone, Debug, Serialize)]
pub struct JudgedBy {
    /// The name under which people's labels vouch for it.
    pub judge: String,
    /// The models.
    pub models: Vec<String>,
    /// By which metrics.
    pub metrics: BTreeSet<&'static str>,
    /// What was asked for now.
    pub asked: Took,
    /// All answers that the scores rest on, when they were given.
    pub total: Took,
}

/// What judges said of answers, by the place of the answer.
#[derive(Debug, Default)]
pub(super) struct Opinions(HashMap<(usize, Asked), Result<f64, String>>);

impl Opinions {
    /// What was said of an answer, or why nothing was.
    pub(super) fn of(&self, at: usize, asked: &Asked) -> Result<f64, String> {
        let nobody = || Err("it needs a judge: add `[judge]` with `provider`, `model` and `api-key` to mlops.toml".to_owned());
        self.0.get(&(at, asked.clone())).cloned().unwrap_or_else(nobody)
    }
}

/// Who would judge a suite, made before anybody is asked for an answer: a key that is missing is found first.
pub(super) struct Court<'a> {
    models: Vec<Box<dyn Model>>,
    embedder: Box<dyn Embedder>,
    cache: Cached,
    name: String,
    judge: &'a Judge,
    purse: &'a Purse,
}

impl<'a> Court<'a> {
    /// The judges of `mlops.toml`; `None` when it names none.
    ///
    /// # Errors
    /// When a key is missing, or a limit of cost has no prices to go by.
    pub(super) fn open(place: &'a Place<'_>) -> Result<Option<Self>> {
        let (Some(judge), Some(name)) = (&place.project.judge, judging::name(place.project)?) else { return Ok(None) };
        let cache = (place.models.cache)()?;
        let models = (place.models.make)(&judge.models, !cache.is_all())?;
        if place.models.purse.limit().is_some() {
            judging::priced(&models)?;
        }
        let embedder = (place.embedder)()?;
        Ok(Some(Self { models, embedder, cache, name, judge, purse: &place.models.purse }))
    }

    /// Asks for everything that the assertions on these answers have to be told.
    ///
    /// # Errors
    /// When a judge takes no request at all, or the cache cannot be used.
    pub(super) fn hear(self, heard: &[Heard<'_>]) -> Result<(Opinions, JudgedBy)> {
        let (by_metric, mut opinions) = asks(self.judge, heard);
        let nothing = Took { cost_usd: Some(PicoUsd(0)), ..Took::default() };
        let models = self.models.iter().map(|m| m.about().model.clone()).collect();
        let mut by = JudgedBy { judge: self.name, models, metrics: BTreeSet::new(), asked: nothing, total: nothing };
        let mut bench = Bench {
            models: self.models,
            settings: judging::settings(self.judge),
            min_coverage: self.judge.min_coverage,
            embedder: &*self.embedder,
            metrics: Vec::new(),
            repeat: 1,
            max_cost: None,
            cache: &self.cache,
        };
        for (metric, asks) in by_metric {
            by.metrics.insert(metric.word());
            (bench.metrics, bench.max_cost) = (vec![metric], self.purse.left());
            let rows: Vec<Row> = asks.iter().enumerate().map(|(i, ask)| row(i, ask)).collect();
            let answers = rows.iter().zip(&asks).map(|(row, (one, _))| (row.id.clone(), answer(one))).collect();
            let outcome = judging::run(&bench, &rows, &answers, &|| {})?;
            self.purse.pay(0, outcome.asked.cost_usd);
            if outcome.stopped {
                self.purse.stop();
            }
            (by.asked, by.total) = (by.asked.and(outcome.asked), by.total.and(outcome.total));
            for (score, (one, asked)) in outcome.scores.rows.into_iter().zip(asks) {
                let said = score.value.ok_or_else(|| score.reason.unwrap_or_default());
                opinions.0.insert((one.at, asked.clone()), said);
            }
        }
        Ok((opinions, by))
    }
}

/// What has to be asked of a judge, by the metric that is asked for.
type Asks<'h> = BTreeMap<JudgedId, Vec<(&'h Heard<'h>, &'h Asked)>>;

/// What has to be asked about answers, and the opinions that nobody is asked for.
fn asks<'h>(judge: &Judge, heard: &'h [Heard<'h>]) -> (Asks<'h>, Opinions) {
    let (mut by_metric, mut opinions) = (Asks::new(), Opinions::default());
    for one in heard {
        let asks: BTreeSet<&Asked> = one.assertions.iter().flat_map(Assertion::asks).collect();
        for asked in asks {
            match refusal(judge, asked) {
                Some(why) => drop(opinions.0.insert((one.at, asked.clone()), Err(why))),
                None => by_metric.entry(asked.metric).or_default().push((one, asked)),
            }
        }
    }
    (by_metric, opinions)
}

/// What judging answers will take that are yet to come, by metric. Nobody is asked, so no key is needed.
///
/// # Errors
/// When a judge cannot be made.
pub(super) fn expected(place: &Place<'_>, heard: &[Heard<'_>]) -> Result<Vec<Estimate>> {
    let Some(judge) = &place.project.judge else { return Ok(Vec::new()) };
    let models = (place.models.make)(&judge.models, false)?;
    let one = |(metric, asks): (JudgedId, Vec<(&Heard<'_>, &Asked)>)| {
        let rows: Vec<Row> = asks.iter().enumerate().map(|(i, ask)| row(i, ask)).collect();
        let length = |one: &Heard<'_>| answer(one).contexts.iter().map(|text| judging::tokens(text)).sum();
        let coming: Coming = rows.iter().zip(&asks).map(|(row, (one, _))| (row.id.clone(), length(one))).collect();
        let judges = Judges { models: &models, metrics: &[metric], repeat: 1 };
        judging::estimate(judges, &rows, &HashMap::new(), Some(&coming))
    };
    Ok(asks(judge, heard).0.into_iter().map(one).collect())
}

/// Why a judge is not asked: the assertion names another.
fn refusal(judge: &Judge, asked: &Asked) -> Option<String> {
    let (wanted, lead) = (asked.by.as_deref()?, judge.models.first()?);
    let same = super::llm::named(wanted).is_some_and(|named| named == (lead.provider, lead.model.as_str()));
    (!same).then(|| format!("it asks for the judge `{}`, and `[judge]` of mlops.toml is `{}`", ellipsis(wanted, 60), lead.model))
}

fn row(number: usize, (one, asked): &(&Heard<'_>, &Asked)) -> Row {
    let mut extra = Map::new();
    extra.extend(asked.criteria.as_ref().map(|criteria| ("rubric".to_owned(), Value::String(criteria.clone()))));
    Row {
        id: number.to_string(),
        question: rated::question(one.vars).map_or_else(|| one.prompt.clone(), str::to_owned),
        references: asked.reference.iter().cloned().collect(),
        extra,
        ..Row::default()
    }
}

fn answer(one: &Heard<'_>) -> Answer {
    // Whether contexts are there where they are needed was found when the suite was read.
    let contexts = rated::contexts(one.vars).unwrap_or_default();
    Answer { answer: Some(one.text.to_owned()), contexts, ..Answer::default() }
}
