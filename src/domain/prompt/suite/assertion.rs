//! What must hold of an answer, by the names that promptfoo gives it, and whether it does.
//!
//! Thresholds that are left out are promptfoo's: 5 edits for `levenshtein`, 0.75 for `rouge-n` and `similar`, 0.5 for `bleu`. ROUGE-1 and
//! BLEU are those of `kf eval`. Patterns take time in proportion to the text (`regex-lite`); they are searched for anywhere, with the ASCII
//! classes of JavaScript. `not-` before a name turns it round; what is unscored stays so.

use super::rated::{self, Asked, Rated};
use super::schema::Schema;
use crate::base::text::{did_you_mean, ellipsis, fixed};
use crate::base::verdict::Verdict;
use crate::domain::eval::metrics::bleu::bleu;
use crate::domain::eval::metrics::contexts::edits;
use crate::domain::eval::metrics::refusal::is_refusal;
use crate::domain::eval::metrics::rouge::{Tokens, rouge_n};
use regex_lite::Regex;
use serde::Serialize;
use serde_json::{Map, Value};

/// Names of assertions that kf judges.
const NAMES: &[&str] = &[
    "assert-set",
    "bleu",
    "contains",
    "contains-all",
    "contains-any",
    "contains-json",
    "cost",
    "ends-with",
    "equals",
    "icontains",
    "icontains-all",
    "icontains-any",
    "is-json",
    "is-refusal",
    "latency",
    "levenshtein",
    "regex",
    "rouge-n",
    "similar",
    "starts-with",
    "word-count",
];

/// Names of promptfoo that a service or a model of its own has to judge, which kf does not ask.
const ELSEWHERE: &[&str] = &[
    "agent-rubric",
    "classifier",
    "conversation-relevance",
    "max-score",
    "moderation",
    "pi",
    "search-rubric",
    "select-best",
    "trajectory:goal-success",
];

/// Names of promptfoo that kf computes nothing for: other markup than JSON, other figures of words, what a call of a tool or a trace says.
const UNCOMPUTED: &[&str] = &[
    "contains-html",
    "contains-sql",
    "contains-xml",
    "f-score",
    "finish-reason",
    "gleu",
    "guardrails",
    "is-html",
    "is-sql",
    "is-valid-function-call",
    "is-valid-openai-function-call",
    "is-valid-openai-tools-call",
    "is-xml",
    "meteor",
    "perplexity",
    "perplexity-score",
    "similar:cosine",
    "similar:dot",
    "similar:euclidean",
    "skill-used",
    "tool-call-f1",
    "trace-error-spans",
    "trace-span-count",
    "trace-span-duration",
    "trajectory:step-count",
    "trajectory:tool-args-match",
    "trajectory:tool-sequence",
    "trajectory:tool-used",
];

/// How the names of promptfoo's attacks begin.
const ATTACKS: &str = "promptfoo:";

/// Names of promptfoo that are programs.
const CODE: &[&str] = &["javascript", "python", "ruby", "webhook"];

/// What can be said of an assertion.
const KEYS: &[&str] = &["type", "value", "threshold", "weight", "metric", "assert"];

/// Keys of promptfoo's judged assertions, which are refused with their reason.
const JUDGE_KEYS: &[&str] = &["provider", "rubricPrompt", "config"];

/// What must hold.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// Its name as it is written: `not-contains`.
    pub name: String,
    /// What it counts in the mean of its case; what counts 0 is only reported.
    pub weight: f64,
    /// The figure that its score is added to.
    pub metric: Option<String>,
    negated: bool,
    check: Check,
}

#[derive(Clone, Debug)]
enum Check {
    Equals(Value),
    Contains { texts: Vec<String>, all: bool, fold: bool },
    StartsWith(String),
    EndsWith(String),
    Regex(Regex),
    IsJson(Option<Schema>),
    ContainsJson(Option<Schema>),
    WordCount { least: Option<u64>, most: Option<u64> },
    Latency(f64),
    Cost(f64),
    Levenshtein { text: String, most: f64 },
    Rouge { texts: Vec<String>, least: f64 },
    Bleu { texts: Vec<String>, least: f64 },
    Similar { texts: Vec<String>, least: f64 },
    IsRefusal,
    Rated(Rated),
    Set { assertions: Vec<Assertion>, threshold: Option<f64> },
}

/// An answer as assertions see it.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// The text.
    pub text: &'a str,
    /// How long it took, in milliseconds, if that is known.
    pub latency_ms: Option<f64>,
    /// What it cost in US dollars, if that is known.
    pub cost_usd: Option<f64>,
    /// True when it was given in an earlier run, so that its time says nothing of now.
    pub kept: bool,
}

/// How near two texts are in meaning, from -1 to 1, or why that is not known.
pub type Similarity<'s> = &'s dyn Fn(&str, &str) -> Result<f64, String>;

/// What a judge gives an answer for what it was asked, from 0 to 1, or why it gives nothing.
pub type Opinion<'s> = &'s dyn Fn(&Asked) -> Result<f64, String>;

/// What came of an assertion.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// Its name.
    #[serde(rename = "type")]
    pub name: String,
    /// The figure that its score belongs to.
    pub metric: Option<String>,
    /// What it counts.
    pub weight: f64,
    /// Pass, fail, or unscored as `inconclusive`.
    pub verdict: Verdict,
    /// From 0 to 1.
    pub score: Option<f64>,
    /// What was expected and what was found.
    pub reason: String,
}

impl Assertion {
    /// Reads an assertion whose texts have their variables filled in.
    ///
    /// # Errors
    /// What is wrong, and the key that it is about, if one.
    pub fn read(said: &Value) -> Result<Self, (Option<&'static str>, String)> {
        let whole = |why: String| (None, why);
        let map = said.as_object().ok_or_else(|| {
            whole(format!("an assertion is a map with `type`, and this is {}", ellipsis(&said.to_string(), 40)))
        })?;
        let name = match (map.get("type"), map.get("assert")) {
            (Some(Value::String(name)), _) => name.as_str(),
            (None, Some(_)) => "assert-set",
            _ => return Err(whole("an assertion has a `type`, such as `contains`".to_owned())),
        };
        let (negated, plain) = name.strip_prefix("not-").map_or((false, name), |plain| (true, plain));
        if CODE.contains(&plain) {
            return Err((
                Some("type"),
                format!(
                    "`{name}` is a program, and kf runs no code of a suite; there is `regex`, `is-json` with a schema, and `exec:` as a provider"
                ),
            ));
        }
        if let Some(instead) = instead(plain) {
            let shown = ellipsis(name, 40);
            return Err((Some("type"), format!("`{shown}` is an assertion of promptfoo that kf has not; {instead}")));
        }
        let judged = rated::names().any(|known| known == plain);
        if !judged && !NAMES.contains(&plain) {
            let hint = did_you_mean(plain, NAMES.iter().copied().chain(rated::names())).unwrap_or_default();
            return Err((Some("type"), format!("`{}` is no assertion that kf knows; {hint}", ellipsis(name, 40))));
        }
        let known = |key: &str| KEYS.contains(&key) || (judged && JUDGE_KEYS.contains(&key));
        if let Some(odd) = map.keys().find(|key| !known(key)) {
            let hint = did_you_mean(odd, KEYS.iter().copied()).unwrap_or_default();
            return Err(whole(format!("`{}` is not said of an assertion; {hint}", ellipsis(odd, 40))));
        }
        let weight = number(map, "weight")?.unwrap_or(1.0);
        if weight < 0.0 {
            return Err((Some("weight"), format!("`weight` is {weight}, and must not be below 0")));
        }
        let metric = match map.get("metric") {
            None => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(_) => return Err((Some("metric"), "`metric` is a name".to_owned())),
        };
        let check = Check::read(plain, map)?;
        if negated && matches!(check, Check::Set { .. }) {
            return Err((Some("type"), "a set of assertions cannot be turned round: turn each of its assertions".to_owned()));
        }
        Ok(Self { name: name.to_owned(), weight, metric, negated, check })
    }

    /// What a judge has to be asked of an answer before it can be judged.
    pub fn asks(&self) -> Vec<&Asked> {
        match &self.check {
            Check::Rated(rated) => vec![&rated.asked],
            Check::Set { assertions, .. } => assertions.iter().flat_map(Self::asks).collect(),
            _ => Vec::new(),
        }
    }

    /// The variables of a case that it looks at beside those in its texts.
    pub(super) fn variables(&self, vars: &Map<String, Value>) -> Result<Vec<&'static str>, String> {
        match &self.check {
            Check::Rated(rated) => rated.variables(&self.name, vars),
            Check::Set { assertions, .. } => {
                let all: Result<Vec<_>, String> = assertions.iter().map(|a| a.variables(vars)).collect();
                Ok(all?.concat())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Judges an answer.
    pub fn judge(&self, given: Given<'_>, similarity: Similarity<'_>, opinion: Opinion<'_>) -> Judged {
        let (mut verdict, mut score, mut reason) = self.check.judge(given, similarity, opinion);
        if self.negated {
            verdict = match verdict {
                Verdict::Pass => Verdict::Fail,
                Verdict::Fail => Verdict::Pass,
                Verdict::Inconclusive => Verdict::Inconclusive,
            };
            score = score.map(|s| 1.0 - s);
            if verdict != Verdict::Inconclusive {
                reason = format!("must not hold: {reason}");
            }
        }
        Judged { name: self.name.clone(), metric: self.metric.clone(), weight: self.weight, verdict, score, reason }
    }
}

/// Whether an assertion has this name, here or at promptfoo.
pub(super) fn is_name(name: &str) -> bool {
    NAMES.contains(&name) || CODE.contains(&name) || instead(name).is_some() || rated::names().any(|known| known == name)
}

/// What there is in the place of an assertion that promptfoo has and kf has not; `None` for every other name.
fn instead(name: &str) -> Option<&'static str> {
    let by_meaning = "`similar` compares by the cosine";
    match name {
        _ if name.starts_with("similar:") && UNCOMPUTED.contains(&name) => Some(by_meaning),
        _ if UNCOMPUTED.contains(&name) => Some("`regex` finds a pattern, `is-json` holds JSON against a schema"),
        _ if ELSEWHERE.contains(&name) || name.starts_with(ATTACKS) => {
            Some("`llm-rubric` has an answer judged by criteria in words")
        }
        _ => None,
    }
}

/// The key that is wrong, if one, and why.
pub(super) type Wrong = (Option<&'static str>, String);

fn number(map: &Map<String, Value>, key: &'static str) -> Result<Option<f64>, Wrong> {
    match map.get(key) {
        None => Ok(None),
        Some(value) => match value.as_f64().filter(|n| n.is_finite()) {
            Some(n) => Ok(Some(n)),
            None => Err((Some(key), format!("`{key}` is a number, and this is {}", ellipsis(&value.to_string(), 40)))),
        },
    }
}

/// A text, a number as its text.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        _ => None,
    }
}

impl Check {
    fn read(name: &str, map: &Map<String, Value>) -> Result<Self, Wrong> {
        let value = map.get("value");
        let lacks = |what: &str| (None, format!("`{name}` needs `value`: {what}"));
        let one = || value.and_then(text_of).ok_or_else(|| lacks("a text"));
        // promptfoo reads a text with commas as a list.
        let list = |split: bool| -> Result<Vec<String>, Wrong> {
            let texts = match value {
                Some(Value::Array(items)) => items.iter().map(text_of).collect::<Option<Vec<_>>>(),
                Some(Value::String(text)) if split => Some(text.split(',').map(|t| t.trim().to_owned()).collect()),
                Some(value) => text_of(value).map(|t| vec![t]),
                None => None,
            };
            texts.filter(|t| !t.is_empty()).ok_or_else(|| lacks("a list of texts"))
        };
        let threshold = number(map, "threshold")?;
        if let Some(rated) = Rated::read(name, map, threshold) {
            return Ok(Self::Rated(rated?));
        }
        let bound = |what: &str| threshold.ok_or_else(|| (None, format!("`{name}` needs `threshold`: {what}")));
        let fold = name.starts_with('i');
        Ok(match name {
            "equals" => Self::Equals(value.cloned().ok_or_else(|| lacks("a text, or what its JSON is"))?),
            "contains" | "icontains" => Self::Contains { texts: vec![one()?], all: true, fold },
            "contains-any" | "icontains-any" => Self::Contains { texts: list(true)?, all: false, fold },
            "contains-all" | "icontains-all" => Self::Contains { texts: list(true)?, all: true, fold },
            "starts-with" => Self::StartsWith(one()?),
            "ends-with" => Self::EndsWith(one()?),
            "regex" => {
                let pattern = one()?;
                let no = |e: regex_lite::Error| (Some("value"), format!("`{}` is no pattern: {e}", ellipsis(&pattern, 60)));
                Self::Regex(Regex::new(&pattern).map_err(no)?)
            }
            "is-json" => Self::IsJson(schema(value)?),
            "contains-json" => Self::ContainsJson(schema(value)?),
            "word-count" => words_of(value)?,
            "latency" => Self::Latency(bound("milliseconds")?),
            "cost" => Self::Cost(bound("US dollars")?),
            "levenshtein" => Self::Levenshtein { text: one()?, most: threshold.unwrap_or(5.0) },
            "rouge-n" => Self::Rouge { texts: list(false)?, least: threshold.unwrap_or(0.75) },
            "bleu" => Self::Bleu { texts: list(false)?, least: threshold.unwrap_or(0.5) },
            "similar" => Self::Similar { texts: list(false)?, least: threshold.unwrap_or(0.75) },
            "is-refusal" => Self::IsRefusal,
            _ => {
                let all = map.get("assert").and_then(Value::as_array).filter(|all| !all.is_empty());
                let all = all.ok_or_else(|| (None, "a set of assertions has a list `assert`".to_owned()))?;
                let assertions =
                    all.iter().map(Assertion::read).collect::<Result<_, _>>().map_err(|(_, why)| (Some("assert"), why))?;
                Self::Set { assertions, threshold }
            }
        })
    }

    fn judge(&self, given: Given<'_>, similarity: Similarity<'_>, opinion: Opinion<'_>) -> (Verdict, Option<f64>, String) {
        let got = || shown(given.text);
        let binary =
            |holds: bool, reason: String| (if holds { Verdict::Pass } else { Verdict::Fail }, Some(f64::from(holds)), reason);
        let unscored = |why: String| (Verdict::Inconclusive, None, why);
        let at_least = |score: f64, least: f64, what: &str| {
            let verdict = if score >= least { Verdict::Pass } else { Verdict::Fail };
            (verdict, Some(score.clamp(0.0, 1.0)), format!("expected {what} of at least {least}, got {}", fixed(score, 3)))
        };
        match self {
            Self::Equals(Value::String(text)) => {
                binary(given.text == text, format!("expected exactly {}, got {}", shown(text), got()))
            }
            Self::Equals(value) => {
                let same = serde_json::from_str::<Value>(given.text).is_ok_and(|found| found == *value);
                binary(same, format!("expected JSON equal to {}, got {}", ellipsis(&value.to_string(), SHOWN), got()))
            }
            Self::Contains { texts, all, fold } => contains(given.text, texts, *all, *fold),
            Self::StartsWith(text) => {
                binary(given.text.starts_with(text), format!("expected to begin with {}, got {}", shown(text), got()))
            }
            Self::EndsWith(text) => {
                binary(given.text.ends_with(text), format!("expected to end with {}, got {}", shown(text), got()))
            }
            Self::Regex(regex) => binary(
                regex.is_match(given.text),
                format!("expected a match of `{}`, got {}", ellipsis(regex.as_str(), SHOWN), got()),
            ),
            Self::IsJson(schema) => match serde_json::from_str::<Value>(given.text) {
                Err(e) => binary(false, format!("expected JSON ({e}), got {}", got())),
                Ok(value) => fits(schema.as_ref(), &value),
            },
            Self::ContainsJson(schema) => contains_json(given.text, schema.as_ref()),
            Self::WordCount { least, most } => {
                let n = given.text.split_whitespace().count() as u64;
                let holds = least.is_none_or(|l| n >= l) && most.is_none_or(|m| n <= m);
                let bounds = match (least, most) {
                    (Some(l), Some(m)) if l == m => format!("{l}"),
                    (Some(l), Some(m)) => format!("{l} to {m}"),
                    (Some(l), None) => format!("at least {l}"),
                    (None, m) => format!("at most {}", m.unwrap_or_default()),
                };
                binary(holds, format!("expected {bounds} words, got {n}"))
            }
            Self::Latency(most) => match given.latency_ms {
                _ if given.kept => unscored(
                    "the answer is from the cache, so its time is that of another run: `--cache off` measures it".to_owned(),
                ),
                None => unscored("nobody stated how long the answer took".to_owned()),
                Some(ms) => binary(ms <= *most, format!("expected at most {most} ms, got {} ms", fixed(ms, 0))),
            },
            Self::Cost(most) => match given.cost_usd {
                None => unscored("nobody stated what the answer cost".to_owned()),
                Some(usd) => binary(usd <= *most, format!("expected at most {most} USD, got {usd}")),
            },
            Self::Levenshtein { text, most } => {
                let edits = edits(given.text, text);
                binary(
                    edits as f64 <= *most,
                    format!("expected at most {most} edits from {}, got {edits}: {}", shown(text), got()),
                )
            }
            Self::Rouge { texts, least } => {
                at_least(rouge_n(given.text, texts, 1, Tokens::Unicode).value().unwrap_or(0.0), *least, "ROUGE-1")
            }
            Self::Bleu { texts, least } => at_least(bleu(given.text, texts).value().unwrap_or(0.0), *least, "BLEU"),
            Self::Similar { texts, least } => {
                let all: Result<Vec<f64>, String> = texts.iter().map(|text| similarity(given.text, text)).collect();
                match all {
                    Ok(all) => at_least(all.into_iter().fold(f64::NEG_INFINITY, f64::max), *least, "similarity"),
                    Err(why) => unscored(why),
                }
            }
            Self::IsRefusal => binary(is_refusal(given.text), format!("expected a refusal, got {}", got())),
            Self::Rated(rated) => match opinion(&rated.asked) {
                Ok(score) => at_least(score, rated.least, rated.asked.metric.word()),
                Err(why) => unscored(why),
            },
            Self::Set { assertions, threshold } => {
                let all: Vec<Judged> = assertions.iter().map(|a| a.judge(given, similarity, opinion)).collect();
                let sum = super::outcome::sum(&all, *threshold);
                (sum.verdict, sum.score, sum.reason)
            }
        }
    }
}

/// Characters of an answer that a reason shows.
const SHOWN: usize = 120;

fn shown(text: &str) -> String {
    format!("{:?}", ellipsis(text, SHOWN))
}

fn contains(text: &str, wanted: &[String], all: bool, fold: bool) -> (Verdict, Option<f64>, String) {
    let folded = if fold { text.to_lowercase() } else { text.to_owned() };
    let has = |w: &&String| if fold { folded.contains(&w.to_lowercase()) } else { folded.contains(w.as_str()) };
    let found = wanted.iter().filter(has).count();
    let holds = if all { found == wanted.len() } else { found > 0 };
    let missing: Vec<String> = wanted.iter().filter(|w| !has(w)).map(|w| shown(w)).collect();
    let named: Vec<String> = wanted.iter().map(|w| shown(w)).collect();
    let expected = match (wanted.len(), all) {
        (1, _) => format!("expected to contain {}", named.join("")),
        (_, true) if !holds => format!("expected to contain {} too", missing.join(", ")),
        (_, true) => format!("expected to contain all of {}", named.join(", ")),
        (_, false) => format!("expected to contain one of {}", named.join(", ")),
    };
    (if holds { Verdict::Pass } else { Verdict::Fail }, Some(f64::from(holds)), format!("{expected}, got {}", shown(text)))
}

fn schema(value: Option<&Value>) -> Result<Option<Schema>, Wrong> {
    let wrong = |why: String| (Some("value"), why);
    match value {
        None => Ok(None),
        Some(Value::String(text)) => {
            let value: Value = serde_json::from_str(text).map_err(|e| wrong(format!("the schema is no JSON: {e}")))?;
            Schema::new(&value).map(Some).map_err(wrong)
        }
        Some(value) => Schema::new(value).map(Some).map_err(wrong),
    }
}

fn fits(schema: Option<&Schema>, value: &Value) -> (Verdict, Option<f64>, String) {
    match schema.map_or(Ok(()), |s| s.check(value)) {
        Ok(()) => (Verdict::Pass, Some(1.0), "it is JSON that fits".to_owned()),
        Err(why) => (Verdict::Fail, Some(0.0), format!("expected JSON that fits the schema: {why}")),
    }
}

/// The first object or list of JSON in a text that fits; none fits when none does.
fn contains_json(text: &str, schema: Option<&Schema>) -> (Verdict, Option<f64>, String) {
    let mut last = None;
    let mut at = 0;
    while let Some(offset) = text[at..].find(['{', '[']) {
        let start = at + offset;
        let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>();
        at = start + 1;
        if let Some(Ok(value)) = values.next() {
            let judged = fits(schema, &value);
            if judged.0 == Verdict::Pass {
                return judged;
            }
            at = start + values.byte_offset().max(1);
            last = Some(judged);
        }
    }
    last.unwrap_or_else(|| (Verdict::Fail, Some(0.0), format!("expected JSON within the answer, got {}", shown(text))))
}

fn words_of(value: Option<&Value>) -> Result<Check, Wrong> {
    let wrong = || (Some("value"), "`word-count` needs `value`: a number, or a map with `min` and `max`".to_owned());
    let exact = |n: u64| Check::WordCount { least: Some(n), most: Some(n) };
    match value {
        Some(Value::Object(map)) if !map.is_empty() && map.keys().all(|k| matches!(k.as_str(), "min" | "max")) => {
            let bound = |key: &str| map.get(key).map(|v| v.as_u64().ok_or_else(wrong)).transpose();
            Ok(Check::WordCount { least: bound("min")?, most: bound("max")? })
        }
        Some(Value::Number(n)) => n.as_u64().map(exact).ok_or_else(wrong),
        Some(Value::String(text)) => text.trim().parse().map(exact).map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
#[path = "assertion_tests.rs"]
mod tests;
