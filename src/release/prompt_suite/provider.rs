//! Who answers the prompts of a suite: the one place where providers are made. A new kind is a word in [`Kind::of`] and an arm in
//! [`make`].
//!
//! A provider answers every call exactly once, in any order, and bounds by itself how many it has open; a call that cannot be answered has
//! its reason.

use super::Place;
use super::llm::{self, Language};
use crate::adapters::process::{Program, why};
use crate::base::error::{Error, Result};
use crate::base::text::ellipsis;
use crate::config::{Llm, duration};
use crate::domain::prompt::book::Rendered;
use crate::domain::prompt::suite::ProviderSpec;
use crate::domain::registry::table::VersionRow;
use crate::release::parallel;
use crate::release::system;
use crate::seams::answerer::{Answer, Answerer, Question};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a program may take unless the suite says otherwise.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How many calls are open at a time unless the suite says otherwise.
const CONCURRENCY: usize = 4;
/// How many a suite may ask for.
const CONCURRENCY_MAX: usize = 64;
/// The longest prompt that a program is given as an argument, in bytes: Linux takes no longer ones than 128 KiB.
const ARGUMENT_MAX: usize = 100_000;

/// A rendered prompt that is to be answered.
#[derive(Clone, Debug)]
pub struct Call {
    /// Unique among the calls of a run.
    pub id: String,
    /// The prompt.
    pub rendered: Rendered,
    /// What it was rendered with.
    pub vars: Map<String, Value>,
}

/// Takes the answers as they come: the place of the call among the calls, and the answer or why there is none.
pub type Each<'a> = &'a mut dyn FnMut(usize, Result<Answer, String>) -> Result<()>;

/// Something that answers prompts.
pub trait Provider {
    /// Answers all calls; the first error of `each` ends the work and is returned.
    ///
    /// # Errors
    /// When it cannot be asked at all; trouble with one call is its outcome.
    fn complete(&self, calls: &[Call], each: Each<'_>) -> Result<()>;
}

/// What a provider is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// The rendered prompt is the answer.
    Echo,
    /// A program answers on its standard output.
    Exec {
        /// The program and its arguments.
        argv: Vec<String>,
        /// How long it may take.
        timeout: Duration,
        /// How many run at a time.
        concurrency: usize,
        /// What it is told of itself.
        options: Value,
    },
    /// What `[system]` of `mlops.toml` says.
    System,
    /// A language model; that of `[llm]` in `mlops.toml` where the suite names none of its own.
    Llm(Option<Box<Llm>>),
}

impl Kind {
    /// Reads what a suite says of a provider.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of(spec: &ProviderSpec) -> Result<Self, String> {
        let id = spec.id.trim();
        if let Some(named) = llm::named(id) {
            return llm::read(named, &spec.config).map(|settings| Self::Llm(Some(Box::new(settings))));
        }
        let exec = id == "exec" || id.starts_with("exec:");
        if !exec && !matches!(id, "echo" | "system" | "llm") {
            return Err(format!(
                "`{}` is no provider that kf can ask: there is `echo`, `exec:PROGRAM ARGUMENTS`, `system`, `llm`, \
                 `anthropic:messages:MODEL` and `openai:chat:MODEL`, which with `apiBaseUrl` is every server that speaks its protocol",
                ellipsis(id, 60)
            ));
        }
        let allowed: &[&str] = if exec { &["command", "timeout", "concurrency", "options"] } else { &[] };
        if let Some(odd) = spec.config.keys().find(|k| !allowed.contains(&k.as_str())) {
            return Err(format!("`{}` is not said of the provider `{}`", ellipsis(odd, 40), ellipsis(id, 40)));
        }
        match id {
            "echo" => Ok(Self::Echo),
            "system" => Ok(Self::System),
            "llm" => Ok(Self::Llm(None)),
            _ => Self::exec(id, &spec.config),
        }
    }

    fn exec(id: &str, config: &Map<String, Value>) -> Result<Self, String> {
        let argv = match config.get("command") {
            Some(Value::Array(items)) => items.iter().map(|i| i.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>(),
            Some(_) => None,
            None => Some(words(id.strip_prefix("exec:").unwrap_or_default())?),
        };
        let argv = argv.filter(|a| a.first().is_some_and(|p| !p.trim().is_empty()));
        let argv = argv.ok_or("`exec:` names no program: write `exec: python3 answer.py`, or `command` as a list of texts")?;
        let timeout = match config.get("timeout") {
            None => TIMEOUT,
            Some(Value::String(text)) => duration(text)?,
            // promptfoo counts milliseconds.
            Some(value) => Duration::from_millis(value.as_u64().ok_or("`timeout` is a duration such as `30s`, or milliseconds")?),
        };
        let concurrency = match config.get("concurrency") {
            None => CONCURRENCY,
            Some(value) => value
                .as_u64()
                .and_then(|n| usize::try_from(n).ok())
                .filter(|n| (1..=CONCURRENCY_MAX).contains(n))
                .ok_or_else(|| format!("`concurrency` is a number from 1 to {CONCURRENCY_MAX}"))?,
        };
        if timeout.is_zero() {
            return Err("`timeout` must not be zero".to_owned());
        }
        Ok(Self::Exec { argv, timeout, concurrency, options: config.get("options").cloned().unwrap_or_else(|| json!({})) })
    }
}

/// The words of a command line, with quotes as shells have them and nothing else of a shell.
fn words(line: &str) -> Result<Vec<String>, String> {
    let (mut all, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_with(String::new);
            }
            (None, c) if c.is_whitespace() => all.extend(word.take()),
            (_, c) => word.get_or_insert_with(String::new).push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    all.extend(word);
    Ok(all)
}

/// Makes a provider for the prompts of one source.
///
/// # Errors
/// When `[system]` names none, or needs a version where there is none; when a key is missing.
pub fn make<'p>(kind: &Kind, place: &'p Place<'_>, label: &str, version: Option<&VersionRow>) -> Result<Box<dyn Provider + 'p>> {
    match kind {
        Kind::Llm(settings) => {
            let settings = settings.as_deref().or(place.project.llm.as_ref());
            let settings = settings.ok_or_else(|| Error::usage("the provider `llm` needs `[llm]` in mlops.toml"))?;
            Ok(Box::new(Language::new(settings, &place.models)?))
        }
        Kind::Echo => Ok(Box::new(Echo)),
        Kind::Exec { argv, timeout, concurrency, options } => Ok(Box::new(Exec {
            argv: argv.clone(),
            dir: place.dir.clone(),
            timeout: *timeout,
            concurrency: *concurrency,
            options: options.clone(),
        })),
        Kind::System => {
            let files = match version {
                Some(version) => (place.unpack)(version)?,
                None => tempfile::tempdir().map_err(|e| Error::new(format!("cannot make a scratch folder: {e}")))?,
            };
            let (model, number) = match version {
                Some(v) => (v.name.to_string(), v.version.to_string()),
                // What is not registered has no number.
                None => (label.to_owned(), "0.0.0".to_owned()),
            };
            let answerer = system::answerer_as(&place.project.system, (&model, &number), place.root, files.path(), place.secret)?;
            let answerer = answerer.ok_or_else(|| {
                Error::usage("the provider `system` needs `[system]` of kind `command` or `http` in mlops.toml")
                    .hint("set it, or use `exec:PROGRAM` or `echo` as the provider")
            })?;
            Ok(Box::new(System { answerer, _files: files }))
        }
    }
}

struct Echo;

impl Provider for Echo {
    fn complete(&self, calls: &[Call], each: Each<'_>) -> Result<()> {
        for (i, call) in calls.iter().enumerate() {
            each(i, Ok(Answer { text: call.rendered.text(), ..Answer::default() }))?;
        }
        Ok(())
    }
}

/// A program for each call: the prompt on its standard input, and as promptfoo has it, prompt, options and context as further arguments
/// where the prompt is no longer than an argument may be.
struct Exec {
    argv: Vec<String>,
    dir: PathBuf,
    timeout: Duration,
    concurrency: usize,
    options: Value,
}

impl Exec {
    fn one(&self, call: &Call) -> Result<Answer, String> {
        let text = call.rendered.text();
        let mut program = Program::from_argv(&self.argv).map_err(|e| e.to_string())?.dir(&self.dir).timeout(self.timeout);
        let context = json!({"vars": call.vars}).to_string();
        // A NUL cannot be in an argument.
        if text.len() + context.len() <= ARGUMENT_MAX && !text.contains('\0') {
            program = program.arg(&text).arg(self.options.to_string()).arg(context);
        }
        let started = Instant::now();
        let output = program.run(text.as_bytes()).map_err(|e| e.to_string())?;
        let latency = started.elapsed().as_secs_f64() * 1e3;
        if !output.ended.success() {
            return Err(why(&program.name(), &output.ended, &output.stderr));
        }
        let text = String::from_utf8(output.stdout).map_err(|_| format!("`{}` did not write UTF-8", program.name()))?;
        let text = text.strip_suffix('\n').map(|t| t.strip_suffix('\r').unwrap_or(t)).unwrap_or(&text).to_owned();
        Ok(Answer { text, latency_ms: Some(latency), ..Answer::default() })
    }
}

impl Provider for Exec {
    fn complete(&self, calls: &[Call], each: Each<'_>) -> Result<()> {
        let places: Vec<usize> = (0..calls.len()).collect();
        let mut done = Ok(());
        parallel::each(&places, self.concurrency, &|i: &usize| self.one(&calls[*i]), &mut |i, answer, _| {
            if done.is_ok() {
                done = each(*i, answer);
            }
        });
        done
    }
}

struct System {
    answerer: Box<dyn Answerer>,
    /// Where the version is unpacked while it is asked.
    _files: TempDir,
}

impl Provider for System {
    fn complete(&self, calls: &[Call], each: Each<'_>) -> Result<()> {
        let question =
            |c: &Call| Question { id: c.id.clone(), question: c.rendered.text(), meta: c.vars.clone(), ..Question::default() };
        let questions: Vec<Question> = calls.iter().map(question).collect();
        let places: HashMap<&str, usize> = calls.iter().enumerate().map(|(i, c)| (c.id.as_str(), i)).collect();
        self.answerer.answer(&questions, &mut |answered| match places.get(answered.id.as_str()) {
            Some(i) => each(*i, answered.outcome),
            None => Ok(()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(id: &str, config: Value) -> Result<Kind, String> {
        let config = config.as_object().cloned().expect("a map");
        Kind::of(&ProviderSpec { id: id.into(), label: id.into(), config, place: (1, 1) })
    }

    #[test]
    fn providers_are_read() {
        assert_eq!(kind("echo", json!({})), Ok(Kind::Echo));
        assert_eq!(kind("system", json!({})), Ok(Kind::System));
        let exec =
            kind("exec: python3 'my bot.py' --n=\"1 2\" ''", json!({"timeout": 1500, "concurrency": 2})).expect("a program");
        let argv = ["python3", "my bot.py", "--n=1 2", ""].map(str::to_owned).to_vec();
        assert_eq!(exec, Kind::Exec { argv, timeout: Duration::from_millis(1500), concurrency: 2, options: json!({}) });
        assert!(matches!(kind("exec", json!({"command": ["a"], "timeout": "5s"})), Ok(Kind::Exec { .. })));
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        let check = |id: &str, config: Value, words: &str| {
            let why = kind(id, config).expect_err(words);
            assert!(why.contains(words), "{id}: {why}");
        };
        check("openai:responses:gpt-5", json!({}), "no provider that kf can ask");
        check("openai:chat:m", json!({"tools": []}), "`tools` is not said of a language model");
        check("llm", json!({"temperature": 0}), "`temperature` is not said");
        check("exec:", json!({}), "names no program");
        check("exec: a 'b", json!({}), "not closed");
        check("exec: a", json!({"timeout": "soon"}), "not a duration");
        check("exec: a", json!({"timeout": 0}), "not be zero");
        check("exec: a", json!({"concurrency": 0}), "from 1 to 64");
        check("exec: a", json!({"temperature": 0}), "`temperature` is not said");
        check("exec", json!({"command": "a b"}), "names no program");
        check("echo", json!({"x": 1}), "`x` is not said");
    }
}
