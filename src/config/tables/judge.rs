//! `[judge]`: who judges answers, by which metrics, and how.
//!
//! The keys of a model are those of `[llm]`; `[[judge.panel]]` names further models that judge beside the first.

use super::llm::{Llm, RawLlm, at_least_one};
use crate::base::name::words;
use crate::base::text::nearest;
use crate::config::check::{CheckOne, Checker};
use crate::config::diag::Diagnostic;
use crate::config::joined::Joined;
use crate::config::shape::{At, Item, Many, Table as _, shown, table};
use std::num::NonZeroU32;

/// The most judges: more cost more and change little.
const JUDGES_MAX: usize = 3;
/// The most questions that are made of an answer.
const QUESTIONS_MAX: u32 = 10;

words! {
    /// Who takes an answer apart into statements.
    Statements, "way to find statements" {
        /// The judge.
        Judge = "judge",
        /// Its sentences are its statements: a call less, and the same every time.
        Sentences = "sentences",
    }
}

crate::config::leaf::word_leaf! { Statements, "way to find statements"; }

table! {
    /// What `[judge]` says beside its model, as written.
    RawRules {
        /// The judged metrics of every evaluation, beside those that gates name; none when it is not given.
        metrics: At<Vec<Item<String>>> = "metrics", or Vec::new();
        /// What the metric `rubric` asks for, in words; a row's own `rubric` takes its place.
        rubric: Option<At<String>> = "rubric";
        /// Who takes answers apart into statements: the judge, or the ends of their sentences.
        statements: At<Statements> = "statements", or Statements::Judge;
        /// How many questions answer-relevancy makes of an answer, 1 to 10.
        questions: At<NonZeroU32> = "questions", or at_least_one(3);
        /// The share of rows that a judged metric must have scored for a gate to go by it, 0 to 1.
        min_coverage: At<f64> = "min-coverage", or 0.9;
        /// One or two models more that judge the same; the majority of verdicts and the median of scores count.
        panel: Many<RawLlm> = "panel";
    }
}

/// `[judge]` as written: the model that leads, and the rest.
pub(in crate::config) type RawJudge = Joined<RawLlm, RawRules>;

/// Who judges, by which metrics, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Judge {
    /// The models, the leading one first; one to three.
    pub models: Vec<Llm>,
    /// The judged metrics of every evaluation, each once.
    pub metrics: Vec<String>,
    /// What the metric `rubric` asks for.
    pub rubric: Option<String>,
    /// Who takes answers apart.
    pub statements: Statements,
    /// How many questions are made of an answer; 1 to 10.
    pub questions: u32,
    /// The share of rows that must have been scored, 0 to 1.
    pub min_coverage: f64,
}

impl CheckOne for RawJudge {
    type Plain = Option<Judge>;
    fn check(&self, cx: &mut Checker<'_>) -> Option<Option<Judge>> {
        let rules = &self.second;
        let lead = self.first.checked("judge", cx)?;
        let Some(lead) = lead else {
            if let Some((key, _)) = rules.first_given() {
                let problem = Diagnostic::new("`[judge]` says how answers are judged, and not by whom").at(key);
                cx.absent(problem.help("add `provider = \"anthropic\"` and `model = \"…\"`"));
            }
            return Some(None);
        };
        let mut models = vec![lead];
        for (i, member) in rules.panel.items.iter().enumerate() {
            let name = format!("judge.panel.{}", i + 1);
            match member.body.checked(&name, cx) {
                Some(Some(model)) => models.push(model),
                Some(None) => {
                    cx.refuse(&member.spot, format!("`[[{name}]]` is empty"), "name a `provider` and a `model`, or remove it")
                }
                None => {}
            }
        }
        if let Some(extra) = rules.panel.items.get(JUDGES_MAX - 1) {
            cx.refuse(&extra.spot, format!("there are more than {JUDGES_MAX} judges"), "leave two in `[[judge.panel]]`");
        }
        for (i, model) in models.iter().enumerate() {
            let again = models[..i].iter().any(|m| (&m.base_url, &m.model) == (&model.base_url, &model.model));
            if let Some(member) = rules.panel.items.get(i.wrapping_sub(1)).filter(|_| again) {
                let title = format!("`{}` judges twice", shown(&model.model));
                cx.refuse(&member.spot, title, "name another model, best of another family");
            }
        }
        if rules.questions.value.get() > QUESTIONS_MAX {
            cx.refuse(&rules.questions.spot, format!("`judge.questions` must not be above {QUESTIONS_MAX}"), "3 are usual");
        }
        if !(0.0..=1.0).contains(&rules.min_coverage.value) {
            cx.refuse(
                &rules.min_coverage.spot,
                "`judge.min-coverage` must be between 0 and 1",
                "write a share of 1: 0.9 for 90 %",
            );
        }
        if let Some(at) = rules.rubric.as_ref().filter(|at| at.value.trim().is_empty()) {
            cx.refuse(&at.spot, "`judge.rubric` is empty", "write what a good answer does, or remove it");
        }
        Some(Some(Judge {
            models,
            metrics: rules.judged(cx),
            rubric: rules.rubric.as_ref().map(|at| at.value.trim().to_owned()),
            statements: rules.statements.value,
            questions: rules.questions.value.get(),
            min_coverage: rules.min_coverage.value,
        }))
    }
}

impl RawRules {
    fn judged(&self, cx: &mut Checker<'_>) -> Vec<String> {
        let known = cx.vocabulary.judged;
        let mut names = Vec::new();
        for item in &self.metrics.value {
            if known.contains(&item.value.as_str()) {
                names.push(item.value.clone());
                continue;
            }
            let near = nearest(&item.value, known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
            let help = near.unwrap_or_else(|| format!("expected some of: {}", known.join(", ")));
            cx.refuse(&item.spot, format!("`{}` is no metric that is judged", shown(&item.value)), help);
        }
        names.sort_unstable();
        names.dedup();
        names
    }
}
