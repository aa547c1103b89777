//! What a suite will take of language models at most, before any of them is asked.

use super::judging::{Heard, expected};
use super::provider::Kind;
use super::{Place, Plan};
use crate::base::error::Result;
use crate::release::answer::forecast::{self, Asked};
use crate::release::judging::{self, tokens};
use serde::Serialize;
use std::fmt;

/// What models take that answer, each by itself, and judges, by metric. What is kept is not known, as nothing is opened for it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimates {
    /// The models that answer.
    pub answering: Vec<forecast::Estimate>,
    /// The judges.
    pub judging: Vec<judging::Estimate>,
}

impl Estimates {
    /// True when no model is asked for anything.
    pub fn is_empty(&self) -> bool {
        self.answering.is_empty() && self.judging.is_empty()
    }
}

impl fmt::Display for Estimates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answering = self.answering.iter().map(ToString::to_string);
        let lines: Vec<String> = answering.chain(self.judging.iter().map(ToString::to_string)).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// Adds up what a suite takes; nobody is asked, so no key is needed.
///
/// # Errors
/// When a model cannot be made.
pub fn estimate(plan: &Plan, place: &Place<'_>) -> Result<Estimates> {
    let calls = || plan.asked.iter().flat_map(|asked| &asked.calls);
    let mut answering = Vec::new();
    for (_, kind) in &plan.providers {
        let Kind::Llm(own) = kind else { continue };
        let Some(settings) = own.as_deref().or(place.project.llm.as_ref()) else { continue };
        let number = calls().count();
        let tokens_in = calls().map(|call| tokens(&call.rendered.shown())).sum();
        let asked = Asked { what: "prompt", number, repeat: 1, requests: number as u64, kept: None, tokens_in };
        let model = (place.models.make)(std::slice::from_ref(settings), false)?.pop();
        answering.extend(model.map(|model| forecast::Estimate::of((model.as_ref(), settings.max_tokens), asked)));
    }
    let answers = plan.asked.iter().flat_map(|asked| plan.providers.iter().map(move |_| asked));
    let each = answers.flat_map(|asked| plan.suite.cases.iter().zip(&asked.calls));
    let heard = each.enumerate().map(|(at, (case, call))| {
        let prompt = call.rendered.shown();
        Heard { at, prompt, vars: &call.vars, text: "", assertions: &case.assertions }
    });
    let heard: Vec<Heard<'_>> = heard.collect();
    Ok(Estimates { answering, judging: expected(place, &heard)? })
}
