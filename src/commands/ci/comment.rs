//! `kf ci comment`: the Markdown of a pull request's comment, from the reports of the commands that judged it.

use crate::base::error::{Context, Error, Result};
use crate::base::exit::Exit;
use crate::base::format::Format;
use crate::base::name::Name;
use crate::base::text::visible;
use crate::cli::cx::Cx;
use crate::domain::review::comment::{Input, render};
use crate::domain::review::doc::{PROMPTS, REVIEW};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Write the Markdown of a pull request's comment from reports: `kf eval --changed` and `kf prompt test`, as JSON
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf eval --changed --format json > eval.json\n  kf prompt test --format json > prompts.json\n  kf ci comment eval.json prompts.json -o comment.md\n\nThe first line of the comment is `<!-- kf-ci-comment:ID -->`, by which a workflow finds it again to change it.\nIt ends with 0 whatever the reports say: the commands that wrote them have ended with their verdicts."
)]
pub(crate) struct Args {
    /// Reports in JSON; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write it to this file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What tells this comment from others of kf in the same pull request
    #[arg(long, value_name = "ID", default_value = "prompts")]
    id: Name,
    /// What the comment is called
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
}

/// The largest report that is read, in bytes.
const REPORT_MAX: u64 = 256 * 1024 * 1024;

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    cx.only_formats("a comment", &[Format::Table, Format::Markdown])?;
    let inputs: Vec<Input> = args.files.iter().map(|file| input(cx, file)).collect::<Result<_>>()?;
    let text = render(&args.id, args.title.as_deref(), &inputs);
    match &args.output {
        Some(path) => cx.write_output(path, &text)?,
        None => cx.out.print(&text)?,
    }
    Ok(Exit::Ok)
}

fn input(cx: &Cx, file: &Path) -> Result<Input> {
    let shown = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
    let bytes = bytes(&cx.cwd, file).context(|| format!("cannot read {shown}"))?;
    if bytes.len() as u64 > REPORT_MAX {
        return Err(Error::usage(format!("{shown} is larger than any report: at most {REPORT_MAX} bytes are read")));
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        let error = Error::usage(format!("{shown} is empty"));
        return Err(error.hint("the command that should have written it failed: see what it said"));
    }
    let doc: Value = serde_json::from_slice(&bytes)
        .context(|| format!("{shown} is no JSON"))
        .hint(|| "write it with `--format json`".to_owned())
        .map_err(|e| e.kind_of(crate::base::error::Kind::Usage))?;
    match doc["schema"].as_str().unwrap_or_default() {
        REVIEW => fitting(doc, &shown).map(Input::Review),
        PROMPTS => fitting(doc, &shown).map(Input::Tested),
        "kf.error/1" => {
            Err(Error::usage(format!("{shown} holds an error: {}", visible(doc["error"].as_str().unwrap_or_default(), 200))))
        }
        other => {
            let what = if other.is_empty() { "a report of kf".to_owned() } else { format!("`{}`", visible(other, 60)) };
            let not = if other.is_empty() { "is not" } else { "is" };
            let error = Error::usage(format!("{shown} {not} {what}, and a comment is made of `{REVIEW}` and `{PROMPTS}`"));
            Err(error.hint("write them with `kf eval --changed --format json` and `kf prompt test --format json`"))
        }
    }
}

fn bytes(cwd: &Path, file: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().lock().take(REPORT_MAX + 1).read_to_end(&mut bytes)?;
    } else {
        std::fs::File::open(cwd.join(file))?.take(REPORT_MAX + 1).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn fitting<T: DeserializeOwned>(doc: Value, shown: &str) -> Result<T> {
    serde_json::from_value(doc)
        .context(|| format!("{shown} does not have what a report has"))
        .hint(|| "it was written by another version of kf, or changed by hand".to_owned())
        .map_err(|e| e.kind_of(crate::base::error::Kind::Usage))
}
