//! The two streams: standard output carries the report, standard error everything else.

use super::report::{self, Block, Report};
use crate::base::error::{Context, Error, Result};
use crate::base::exit::Exit;
use crate::base::format::Format;
use crate::config::env::{self, Env};
use std::fs::OpenOptions;
use std::io::{IsTerminal as _, Write as _};

/// Where and how a command speaks.
pub(crate) struct Out {
    /// The format of the report.
    pub(crate) format: Format,
    /// Says nothing when all is well.
    pub(crate) quiet: bool,
    /// Nothing is changed, and every report says so.
    dry_run: bool,
    /// Shows progress to a person.
    pub(crate) progress: bool,
    width: Option<u16>,
    colour: bool,
    github: Github,
}

#[derive(Default)]
struct Github {
    actions: bool,
    summary: Option<String>,
    output: Option<String>,
    delimiter: String,
}

impl Out {
    /// Reads from the environment how to speak.
    pub(crate) fn new(env: &Env, format: Format, quiet: bool, dry_run: bool, delimiter: String) -> Self {
        let stderr_tty = std::io::stderr().is_terminal();
        let set = |name: &str| env.is_set(name);
        let forced = env.text("CLICOLOR_FORCE").is_some_and(|v| v != "0");
        let able = stderr_tty && env.text(env::TERM) != Some("dumb");
        let colour = !set("NO_COLOR") && (able || forced);
        let width = std::io::stdout()
            .is_terminal()
            .then(|| env.text("COLUMNS").and_then(|c| c.parse().ok()).or_else(comfy_width))
            .flatten();
        // A shell that inherited the files of a step is not that step.
        let actions = env.text(env::GITHUB_ACTIONS) == Some("true");
        let file = |name: &str| env.text(name).filter(|_| actions).map(str::to_owned);
        let github = Github { actions, summary: file("GITHUB_STEP_SUMMARY"), output: file("GITHUB_OUTPUT"), delimiter };
        let progress = stderr_tty && !quiet && !set("CI") && !set("KF_NO_PROGRESS");
        Self { format, quiet, dry_run, progress, width, colour, github }
    }

    /// Says the result of a command and how it ends.
    pub(crate) fn emit<R: Report>(&self, report: &R) -> Result<Exit> {
        self.emit_as(report, self.format)
    }

    /// The same in another format than was asked for, where the flag means something else.
    pub(crate) fn emit_as<R: Report>(&self, report: &R, format: Format) -> Result<Exit> {
        let exit = report.exit();
        if !self.quiet || exit != Exit::Ok {
            self.print(&self.told(report::render(report, format, self.width)?, format))?;
        }
        if self.dry_run {
            self.note(DRY_RUN);
        }
        self.tell_github(report, exit);
        Ok(exit)
    }

    /// True when each record is written as soon as it is done; what [`Self::emit`] says at the end has none then.
    pub(crate) fn streams(&self) -> bool {
        self.format == Format::Jsonl && !self.quiet
    }

    /// Writes one record of a stream as a line.
    pub(crate) fn stream(&self, record: &impl serde::Serialize) -> Result<()> {
        let line = serde_json::to_string(record).context(|| "cannot write JSON")?;
        self.print(&format!("{line}\n"))
    }

    /// Writes text to standard output; a reader that went away is not an error.
    pub(crate) fn print(&self, text: &str) -> Result<()> {
        let mut out = std::io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            done => done.context(|| "cannot write to standard output"),
        }
    }

    /// Tells a person something on standard error; silent under `--quiet`.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.warn(text);
        }
    }

    /// Tells a person something on standard error in any case.
    pub(crate) fn warn(&self, text: &str) {
        let text = if self.github.actions { &inert(text) } else { text };
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    /// A report as it may be printed here.
    fn told(&self, text: String, format: Format) -> String {
        let is_data = matches!(format, Format::Json | Format::Jsonl | Format::Csv);
        if self.github.actions && !is_data { inert(&text) } else { text }
    }

    /// Shows an error with its causes and hints.
    pub(crate) fn error(&self, e: &Error) {
        self.warn(&self.error_text(e));
        if self.github.actions {
            self.annotate(None, "kf", &e.to_string());
        }
    }

    fn error_text(&self, e: &Error) -> String {
        if matches!(self.format, Format::Json | Format::Jsonl) {
            let chain = e.chain();
            return json_error(chain.first().map_or("", String::as_str), chain.get(1..).unwrap_or_default(), e.hints());
        }
        let paint =
            |style: &str, text: &str| if self.colour { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() };
        let mut lines = Vec::new();
        let mut chain = e.chain().into_iter().map(|m| report::clean(&m));
        if let Some(first) = chain.next() {
            lines.push(if e.is_rendered() { first } else { format!("{} {first}", paint("1;31", "error:")) });
        }
        lines.extend(chain.map(|cause| format!("caused by: {cause}")));
        lines.extend(e.hints().iter().map(|hint| format!("{} {}", paint("1;36", "hint:"), report::clean(hint))));
        lines.join("\n")
    }

    /// The command is done by now: a file that GitHub cannot be told in changes nothing about how it ended.
    fn tell_github<R: Report>(&self, report: &R, exit: Exit) {
        if let Some(path) = &self.github.summary {
            let name = R::SCHEMA.split('/').next().unwrap_or_default().replace('.', " ");
            let dry = if self.dry_run { format!("{DRY_RUN}\n\n") } else { String::new() };
            let text = format!("### {name}: {}\n\n{dry}{}\n", report.summary(), report::markdown(report));
            self.append("GITHUB_STEP_SUMMARY", path, cut(&text, SUMMARY_MAX));
        }
        if let Some(path) = &self.github.output {
            let mut outputs = vec![("verdict", exit.word().to_owned()), ("summary", report.summary())];
            outputs.extend(report.outputs());
            let d = &self.github.delimiter;
            let text: String = outputs.iter().map(|(k, v)| format!("{k}<<{d}\n{v}\n{d}\n")).collect();
            self.append("GITHUB_OUTPUT", path, &text);
        }
        if self.github.actions && exit != Exit::Ok {
            for (file, title, message) in report.annotations().iter().take(ANNOTATIONS_MAX) {
                self.annotate(file.as_deref(), title, message);
            }
        }
    }

    fn append(&self, variable: &str, path: &str, text: &str) {
        let file = OpenOptions::new().create(true).append(true).open(path);
        if let Err(e) = file.and_then(|mut f| f.write_all(text.as_bytes())) {
            self.warn(&report::clean(&format!("warning: cannot write {path} ({variable}): {e}")));
        }
    }

    fn annotate(&self, file: Option<&str>, title: &str, message: &str) {
        let data = |s: &str| s.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
        let property = |s: &str| data(s).replace(':', "%3A").replace(',', "%2C");
        let file = file.map(|f| format!("file={},", property(f))).unwrap_or_default();
        let line = format!("::error {file}title={}::{}", property(title), data(&inert(&report::clean(message))));
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }
}

/// Text in which no line is a command to the runner of GitHub Actions, which obeys whatever a log holds: a dataset that comes with a pull
/// request must not. A space without width parts what would be one.
fn inert(text: &str) -> String {
    let line = |line: &str| {
        let start = line.len() - line.trim_start().len();
        let (space, rest) = line.split_at(start);
        let gap = if rest.starts_with("::") { "\u{200b}" } else { "" };
        format!("{space}{gap}{}", rest.replace("##[", "##\u{200b}["))
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// An error as one line of JSON.
pub(super) fn json_error(error: &str, causes: &[String], hints: &[String]) -> String {
    serde_json::json!({"schema": "kf.error/1", "error": error, "causes": causes, "hints": hints}).to_string()
}

/// What follows every report of a dry run, because the report tells what would be as if it were.
const DRY_RUN: &str = "dry run: nothing was changed";

/// GitHub refuses a step summary above 1 MiB; leave room for other steps' words.
const SUMMARY_MAX: usize = 900_000;
/// GitHub shows ten annotations a step and drops the rest.
const ANNOTATIONS_MAX: usize = 10;

fn cut(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn comfy_width() -> Option<u16> {
    comfy_table::Table::new().width()
}

/// A report without a table: only sentences.
pub(crate) fn sentences(lines: impl IntoIterator<Item = String>) -> Vec<Block> {
    let text = lines.into_iter().collect::<Vec<_>>().join("\n");
    vec![Block::Text(text)]
}

/// What a panic says: it is a bug, and what helps to mend it.
pub(crate) fn bug(info: &str) {
    let _ = writeln!(
        std::io::stderr().lock(),
        "error: kf has a bug: {info}\nhint: please report it with the command you ran; the state is safe, a transaction that did not finish changed nothing"
    );
}
