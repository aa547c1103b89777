//! Testing prompts by a suite: every prompt is rendered for every case before anybody is asked, then every provider answers, and every
//! answer is held against what must hold.
//!
//! What is wrong with the suite, its prompts or its values is found before the first call, all of it at once: an answer is never paid for
//! to learn of a typing error. Nothing is kept in the state.

mod estimate;
mod judging;
mod llm;
pub mod provider;

pub use estimate::{Estimates, estimate};
pub use judging::JudgedBy;
pub use llm::Purse;

use super::prompt::{Page, page, readable, select};
use crate::base::error::{Context, Error, Result};
use crate::base::reference::Reference;
use crate::config::{Llm, Project, Secret, SecretRef};
use crate::domain::prompt::book::{Prompt, Rendered};
use crate::domain::prompt::suite::assertion::{Given, Judged, Opinion};
use crate::domain::prompt::suite::outcome::{Cell, End, sum};
use crate::domain::prompt::suite::{Case, From, PromptSource, Suite, read};
use crate::domain::prompt::variable::fitted;
use crate::domain::registry::table::VersionRow;
use crate::release::judging::Cached;
use crate::seams::answerer::Answer;
use crate::seams::embedder::{Embedder, Purpose};
use crate::seams::model::Model;
use judging::{Court, Heard, Opinions};
use provider::{Call, Kind, make};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The largest file of a suite, in bytes.
const FILE_MAX: u64 = 16 * 1024 * 1024;

/// Gives a registered version and its prompts.
pub type VersionOf<'a> = &'a dyn Fn(&Reference) -> Result<(VersionRow, Vec<Page>)>;

/// What a suite may need from around it; nothing is opened before it is needed.
pub struct Place<'a> {
    /// What `mlops.toml` says.
    pub project: &'a Project,
    /// The repository.
    pub root: &'a Path,
    /// The folder of the suite.
    pub dir: PathBuf,
    /// Finds registered prompts.
    pub version: VersionOf<'a>,
    /// Unpacks a version.
    pub unpack: &'a dyn Fn(&VersionRow) -> Result<TempDir>,
    /// Fetches a secret.
    pub secret: &'a dyn Fn(&SecretRef) -> Result<Secret>,
    /// What makes vectors for `similar` and for judges.
    pub embedder: &'a dyn Fn() -> Result<Box<dyn Embedder>>,
    /// What asks language models.
    pub models: Models<'a>,
}

/// Makes language models of these settings, with their keys or without.
pub type MakeModels<'a> = &'a dyn Fn(&[Llm], bool) -> Result<Vec<Box<dyn Model>>>;

/// What it takes to ask language models, and what asking took.
pub struct Models<'a> {
    /// Makes models of these settings, with their keys or, where nobody will be asked, without.
    pub make: MakeModels<'a>,
    /// Opens what was answered before.
    pub cache: &'a dyn Fn() -> Result<Cached>,
    /// What may be spent, and what was.
    pub purse: Purse,
    /// Who judged, once somebody has.
    pub judged: RefCell<Option<JudgedBy>>,
}

/// A prompt of a suite, found, with what each case renders to.
struct Asked {
    label: String,
    version: Option<VersionRow>,
    calls: Vec<Call>,
}

/// A suite that is ready to run.
pub struct Plan {
    suite: Suite,
    asked: Vec<Asked>,
    providers: Vec<(String, Kind)>,
}

/// What is run of a suite.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Only cases whose name holds this.
    pub filter: Option<String>,
    /// Only the first so many of them.
    pub limit: Option<usize>,
    /// Only this prompt, by its label.
    pub prompt: Option<String>,
    /// Only this provider, by its label.
    pub provider: Option<String>,
    /// These instead of the prompts of the suite.
    pub on: Vec<PromptSource>,
}

impl Plan {
    /// How many calls it will make.
    pub fn calls(&self) -> usize {
        self.asked.iter().map(|a| a.calls.len()).sum::<usize>() * self.providers.len()
    }

    /// What the suite says of itself.
    pub fn description(&self) -> Option<&str> {
        self.suite.description.as_deref()
    }
}

/// Reads a suite and makes it ready.
///
/// # Errors
/// All that is wrong with it, by file, line and column.
pub fn prepare(file: &Path, shown: &str, place: &Place<'_>, choice: &Choice) -> Result<Plan> {
    let bytes = read_file(file)?;
    let files = |name: &str| read_file(&place.dir.join(name)).map_err(|e| e.to_string());
    let mut suite = read::read(shown, &bytes, &files).map_err(|all| {
        wrong(shown, Faults { list: all.into_iter().map(|f| ((f.line, f.column), f.message)).collect(), more: 0 })
    })?;
    choose(&mut suite, choice)?;
    let mut faults = Faults::default();
    let mut providers = Vec::new();
    for spec in &suite.providers {
        match Kind::of(spec) {
            Ok(Kind::Llm(None)) if place.project.llm.is_none() => {
                faults.add(|| spec.place, "the provider `llm` needs `[llm]` in mlops.toml".to_owned());
            }
            Ok(kind) => providers.push((spec.label.clone(), kind)),
            Err(why) => faults.add(|| spec.place, why),
        }
    }
    let mut found: Vec<(PromptSource, Prompt, Option<VersionRow>)> = Vec::new();
    for source in &suite.prompts {
        match find(source, place) {
            Ok((prompt, version)) => found.push((source.clone(), prompt, version)),
            // What is on the command line has no place in the suite.
            Err(e) if source.place.0 == 0 => return Err(e),
            Err(e) => faults.add(|| source.place, e.to_string()),
        }
    }
    unused(&suite, &found, &mut faults);
    let mut asked: Vec<Asked> = Vec::new();
    for (number, (source, prompt, version)) in found.into_iter().enumerate() {
        let label = label(&source, &prompt, version.as_ref(), number);
        let label = if asked.iter().any(|a| a.label == label) { format!("{label} ({})", number + 1) } else { label };
        let mut calls = Vec::new();
        for (i, case) in suite.cases.iter().enumerate() {
            match render(&prompt, case) {
                Ok((rendered, vars)) => calls.push(Call { id: format!("{}-{}", number + 1, i + 1), rendered, vars }),
                Err(all) => {
                    for why in all {
                        faults.add(|| suite.place(&case.at), format!("{}, with the prompt {label}: {why}", case.name));
                    }
                }
            }
        }
        asked.push(Asked { label, version, calls });
    }
    if !faults.list.is_empty() {
        return Err(wrong(shown, faults));
    }
    if let Some(wanted) = &choice.prompt {
        let all: Vec<String> = asked.iter().map(|a| format!("`{}`", a.label)).collect();
        asked.retain(|a| a.label == *wanted);
        if asked.is_empty() {
            return Err(Error::usage(format!("the suite has no prompt `{wanted}`")).hint(format!("there is: {}", all.join(", "))));
        }
    }
    Ok(Plan { suite, asked, providers })
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    let meta = std::fs::metadata(path).context(|| format!("cannot read {}", path.display()))?;
    if !meta.is_file() || meta.len() > FILE_MAX {
        return Err(Error::new(format!("{} is no file of at most 16 MiB", path.display())));
    }
    std::fs::read(path).context(|| format!("cannot read {}", path.display()))
}

/// The most faults that are told.
const FAULTS_MAX: usize = 50;

/// What is wrong with a suite, each with its line and column; beyond the first ones they are only counted.
#[derive(Default)]
struct Faults {
    list: Vec<((usize, usize), String)>,
    more: usize,
}

impl Faults {
    /// A place is looked for only when it is told.
    fn add(&mut self, place: impl FnOnce() -> (usize, usize), why: String) {
        match self.list.len() < FAULTS_MAX {
            true => self.list.push((place(), why)),
            false => self.more += 1,
        }
    }
}

fn wrong(shown: &str, faults: Faults) -> Error {
    let Faults { list: mut faults, more } = faults;
    faults.sort_by_key(|(place, _)| *place);
    let lines = faults.iter().map(|((line, column), why)| format!("{shown}:{line}:{column}: {why}"));
    let mut lines: Vec<String> = lines.collect();
    lines.extend((more > 0).then(|| format!("and {more} more")));
    let jinja = faults.iter().any(|(_, why)| why.contains("nothing uses it"));
    let e = Error::usage(format!("the suite cannot be run:\n{}", lines.join("\n")));
    if jinja {
        e.hint("prompts are Python format strings: a variable is `{name}`, and `{{name}}` is text")
    } else {
        e.hint("mend these lines")
    }
}

fn choose(suite: &mut Suite, choice: &Choice) -> Result<()> {
    if !choice.on.is_empty() {
        suite.prompts.clone_from(&choice.on);
    }
    if let Some(wanted) = &choice.provider {
        let all: Vec<String> = suite.providers.iter().map(|p| format!("`{}`", p.label)).collect();
        suite.providers.retain(|p| p.label == *wanted);
        if suite.providers.is_empty() {
            return Err(
                Error::usage(format!("the suite has no provider `{wanted}`")).hint(format!("there is: {}", all.join(", ")))
            );
        }
    }
    if let Some(part) = &choice.filter {
        suite.cases.retain(|c| c.name.contains(part.as_str()));
        if suite.cases.is_empty() {
            return Err(Error::usage(format!("no case of the suite has `{part}` in its name")));
        }
    }
    suite.cases.truncate(choice.limit.unwrap_or(usize::MAX));
    Ok(())
}

fn find(source: &PromptSource, place: &Place<'_>) -> Result<(Prompt, Option<VersionRow>)> {
    let one = |pages: Vec<Page>, which: Option<&str>, of: &str| -> Result<Prompt> {
        let books = readable(pages, of)?;
        Ok(select(&books, which, of)?.1.clone())
    };
    match &source.from {
        From::Text(text) => {
            let book = crate::domain::prompt::book::Book::read("prompt", text.as_bytes());
            Ok((one(vec![Page { path: "prompt".into(), book }], None, "the suite")?, None))
        }
        From::File(file, which) => {
            let path = place.dir.join(file);
            let page = page(place.root, &path)?;
            let of = page.path.clone();
            Ok((one(vec![page], which.as_deref(), &of)?, None))
        }
        From::Version(reference, which) => {
            let reference: Reference = reference.parse().map_err(Error::usage)?;
            let (version, pages) = (place.version)(&reference)?;
            let of = version.reference();
            Ok((one(pages, which.as_deref(), &of)?, Some(version)))
        }
    }
}

fn label(source: &PromptSource, prompt: &Prompt, version: Option<&VersionRow>, number: usize) -> String {
    if let Some(label) = &source.label {
        return label.clone();
    }
    match (&source.from, version) {
        (From::Text(_), _) => format!("prompt {}", number + 1),
        (From::File(file, _), _) => prompt.key.as_ref().map_or_else(|| file.clone(), |key| format!("{file}#{key}")),
        (From::Version(_, None), Some(version)) => version.reference(),
        (From::Version(..), Some(version)) => format!("{}#{}", version.reference(), prompt.name()),
        (From::Version(reference, _), None) => reference.clone(),
    }
}

/// Values that no prompt and no assertion uses.
fn unused(suite: &Suite, found: &[(PromptSource, Prompt, Option<VersionRow>)], faults: &mut Faults) {
    if found.len() < suite.prompts.len() {
        return;
    }
    let used: BTreeSet<&str> = found.iter().flat_map(|(_, prompt, _)| prompt.variables()).collect();
    for case in &suite.cases {
        for name in case.vars.keys().filter(|n| !used.contains(n.as_str()) && !case.asked_by_assertions.contains(n)) {
            faults.add(|| suite.place(&case.at), format!("{}: `{name}` is given and nothing uses it", case.name));
        }
    }
}

fn render(prompt: &Prompt, case: &Case) -> Result<(Rendered, serde_json::Map<String, serde_json::Value>), Vec<String>> {
    let used = prompt.variables();
    let given = case.vars.iter().filter(|(name, _)| used.contains(name.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect();
    let values = fitted(used.iter().copied(), &prompt.declared, &given).map_err(|unfit| unfit.lines())?;
    let rendered = prompt.render(&values).map_err(|fault| vec![fault.to_string()])?;
    // What a program is told is what the case says, with defaults.
    let vars = values.into_iter().chain(case.vars.clone()).collect();
    Ok((rendered, vars))
}

/// Runs a suite. `told` hears of each answer.
///
/// # Errors
/// When a provider cannot be asked at all.
pub fn run(plan: &Plan, place: &Place<'_>, told: &dyn Fn()) -> Result<Vec<Cell>> {
    let near = Near { embedder: RefCell::new(None), make: place.embedder, known: RefCell::default() };
    let judged = plan.suite.cases.iter().flat_map(|case| &case.assertions).any(|assertion| !assertion.asks().is_empty());
    let court = if judged { Court::open(place)? } else { None };
    // All are made before the first is asked: what one of them lacks is not found after others were paid.
    let mut made = Vec::new();
    for asked in &plan.asked {
        for (label, kind) in &plan.providers {
            made.push((asked, label, make(kind, place, &asked.label, asked.version.as_ref())?));
        }
    }
    let mut all = Vec::new();
    for (asked, label, provider) in made {
        let mut answers: Vec<Option<Result<Answer, String>>> = vec![None; asked.calls.len()];
        provider.complete(&asked.calls, &mut |i, answer| {
            told();
            answers[i] = Some(answer);
            Ok(())
        })?;
        for ((case, call), answer) in plan.suite.cases.iter().zip(&asked.calls).zip(answers) {
            let answer = answer.unwrap_or_else(|| Err("the provider gave no answer".to_owned()));
            all.push(Answered { case, call, of: (&asked.label, label), answer });
        }
    }
    let opinions = court.map_or_else(|| Ok(Opinions::default()), |court| opinions(court, &all, place))?;
    let one = |(at, answered): (usize, Answered<'_>)| cell(answered, &near, &|asked| opinions.of(at, asked));
    Ok(all.into_iter().enumerate().map(one).collect())
}

/// What came of one call.
struct Answered<'a> {
    case: &'a Case,
    call: &'a Call,
    /// The labels of prompt and provider.
    of: (&'a str, &'a str),
    answer: Result<Answer, String>,
}

fn opinions(court: Court<'_>, all: &[Answered<'_>], place: &Place<'_>) -> Result<Opinions> {
    let heard = all.iter().enumerate().filter_map(|(at, one)| {
        let text = one.answer.as_ref().ok()?.text.as_str();
        let (prompt, assertions) = (one.call.rendered.shown(), one.case.assertions.as_slice());
        Some(Heard { at, prompt, vars: &one.call.vars, text, assertions })
    });
    let (opinions, by) = court.hear(&heard.collect::<Vec<_>>())?;
    *place.models.judged.borrow_mut() = Some(by);
    Ok(opinions)
}

fn cell(Answered { case, call, of: (prompt, provider), answer }: Answered<'_>, near: &Near<'_>, opinion: Opinion<'_>) -> Cell {
    let mut cell = Cell {
        case: case.name.clone(),
        prompt: prompt.to_owned(),
        provider: provider.to_owned(),
        end: End::Error,
        score: None,
        reason: None,
        vars: call.vars.clone(),
        answer: None,
        latency_ms: None,
        cost_usd: None,
        kept: false,
        assertions: Vec::new(),
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) => return Cell { reason: Some(why), ..cell },
    };
    cell.latency_ms = answer.latency_ms;
    cell.cost_usd = answer.cost.map(crate::base::quantity::MicroUsd::usd);
    cell.kept = answer.kept.is_some();
    let given = Given { text: &answer.text, latency_ms: cell.latency_ms, cost_usd: cell.cost_usd, kept: cell.kept };
    let all: Vec<Judged> = case.assertions.iter().map(|a| a.judge(given, &|a, b| near.of(a, b), opinion)).collect();
    let sum = sum(&all, case.threshold);
    cell.end = match sum.verdict {
        crate::base::verdict::Verdict::Pass => End::Pass,
        crate::base::verdict::Verdict::Fail => End::Fail,
        crate::base::verdict::Verdict::Inconclusive => End::Unscored,
    };
    cell.score = sum.score;
    cell.reason = Some(sum.reason).filter(|r| !r.is_empty());
    cell.assertions = all;
    cell.answer = Some(answer.text);
    cell
}

/// How near texts are, by the embedder of the repository, opened when it is first asked.
struct Near<'a> {
    embedder: RefCell<Option<Box<dyn Embedder>>>,
    make: &'a dyn Fn() -> Result<Box<dyn Embedder>>,
    known: RefCell<HashMap<String, Vec<f32>>>,
}

impl Near<'_> {
    fn of(&self, a: &str, b: &str) -> Result<f64, String> {
        let (a, b) = (self.vector(a)?, self.vector(b)?);
        Ok(a.iter().zip(&b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum())
    }

    fn vector(&self, text: &str) -> Result<Vec<f32>, String> {
        if let Some(known) = self.known.borrow().get(text) {
            return Ok(known.clone());
        }
        let mut embedder = self.embedder.borrow_mut();
        if embedder.is_none() {
            *embedder = Some((self.make)().map_err(|e| e.to_string())?);
        }
        let made = embedder.as_ref().map(|e| e.embed(&[text], Purpose::Document)).transpose().map_err(|e| e.to_string())?;
        let vector = made.and_then(|all| all.into_iter().next()).unwrap_or_default();
        self.known.borrow_mut().insert(text.to_owned(), vector.clone());
        Ok(vector)
    }
}
