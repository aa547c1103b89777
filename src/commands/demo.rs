//! `kf demo`: a release from end to end in a scratch folder, with the real commands on the files of `examples/support-bot`.
//!
//! Every step runs this binary. A step that ends otherwise than the story says ends the demo with exit code 1, so changed
//! sample data changes what is seen.

use crate::adapters::process::{Ended, Program};
use crate::base::error::{Context, Error, Result};
use crate::base::exit::Exit;
use crate::base::format::Format;
use crate::cli::cx::Cx;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// See a release from end to end: register, evaluate, promote, refuse, watch, roll back, verify
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf demo\n  kf demo --dir /tmp/kf-demo     keep the folder and look around")]
pub(crate) struct Args {
    /// Use this folder, which must not exist yet, and keep it
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

macro_rules! files {
    ($($path:literal),+ $(,)?) => { &[$(($path, include_str!(concat!("../../examples/support-bot/", $path)))),+] };
}

const FILES: &[(&str, &str)] = files![
    "mlops.toml",
    "golden/support.jsonl",
    "answers/1.jsonl",
    "answers/2.jsonl",
    "answers/3.jsonl",
    "config/1/agents.yaml",
    "config/1/prompts/answer.txt",
    "config/1/retrieval.yaml",
    "config/1/routing.yaml",
    "config/2/agents.yaml",
    "config/2/prompts/answer.txt",
    "config/2/retrieval.yaml",
    "config/2/routing.yaml",
    "config/3/agents.yaml",
    "config/3/prompts/answer.txt",
    "config/3/retrieval.yaml",
    "config/3/routing.yaml",
    "documents/handbook.de.md",
    "documents/handbook.en.md",
    "documents/handbook.es.md",
    "documents/handbook.fr.md",
    "traffic/accepted.csv",
    "traffic/friday.csv",
    "traffic/monday.csv",
];

enum Step {
    /// Words between the commands.
    Say(&'static str),
    /// The configuration of a version takes the place of the current one.
    Use(&'static str),
    /// A line is appended to a file.
    Append(&'static str, &'static str),
    /// A kf command and the exit code that the story expects.
    Kf(&'static [&'static str], u8),
}

use Step::{Append, Kf, Say, Use};

const STORY: &[Step] = &[
    Say(
        "A support bot answers customers in four languages. Its configuration (prompts, routing, retrieval, agents) is one model.",
    ),
    Kf(&["init"], 0),
    Say("A key signs the audit log from the start."),
    Kf(&["audit", "key", "--generate", "--out", "log.key"], 0),
    Append("mlops.toml", "\n[signing]\nlog-key = \"file:log.key\"\n"),
    Say("What the bot answers from: a handbook in four languages, taken in, cut into chunks and made searchable, all offline."),
    Kf(&["ingest", "documents", "--collection", "handbook"], 0),
    Kf(&["search", "How long can I return an item?", "--collection", "handbook", "-k", "1"], 0),
    Say("The first version: register it, score its answers on 44 reviewed questions, release it."),
    Use("1"),
    Kf(&["register", "bot"], 0),
    Kf(&["eval", "bot", "--answers", "answers/1.jsonl"], 0),
    Kf(&["promote", "bot", "--to", "staging"], 0),
    Kf(&["promote", "bot", "--to", "production", "--first-release", "--ticket", "OPS-1", "--reason", "first release"], 0),
    Say("Somebody makes it cheaper: a smaller model, one passage, a terse prompt. Its gates say no, so it goes nowhere."),
    Use("3"),
    Kf(&["register", "bot"], 0),
    Kf(&["eval", "bot", "--answers", "answers/3.jsonl"], 3),
    Kf(&["promote", "bot", "--to", "staging"], 3),
    Say("A better one: complete answers with citations. It is compared with production row by row, and passes."),
    Use("2"),
    Kf(&["register", "bot"], 0),
    Kf(&["diff", "bot@production", "bot"], 0),
    Kf(&["eval", "bot", "--answers", "answers/2.jsonl"], 0),
    Kf(&["promote", "bot", "--to", "staging"], 0),
    Kf(&["promote", "bot", "--to", "production", "--ticket", "OPS-2", "--reason", "complete, cited answers"], 0),
    Say("The questions it was accepted on are its baseline. Monday is like them; on Friday customers ask about something new."),
    Kf(&["drift", "baseline", "bot@production", "--data", "traffic/accepted.csv"], 0),
    Kf(&["drift", "check", "bot", "--data", "traffic/monday.csv"], 0),
    Kf(&["drift", "check", "bot", "--data", "traffic/friday.csv"], 3),
    Say("That opened one ticket, due at once."),
    Kf(&["drift", "due"], 3),
    Say("A complaint comes in. The last good version is back in one command."),
    Kf(&["rollback", "bot", "--ticket", "INC-7", "--reason", "a customer complains about long answers"], 0),
    Kf(&["history", "bot"], 0),
    Say("Every step is in the audit log, which anybody can verify."),
    Kf(&["audit", "log"], 0),
    Kf(&["audit", "verify"], 0),
    Kf(&["status"], 0),
];

/// How long one step may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(120);

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    cx.only_formats("the demo", &[Format::Table])?;
    if cx.global.dry_run {
        return tell(cx);
    }
    let (dir, _scratch) = place(cx, args)?;
    write_files(&dir)?;
    let kf = std::env::current_exe().context(|| "cannot find the program that runs")?;
    cx.out.print(&format!("kf demo, in {}\n", dir.display()))?;
    for step in STORY {
        cx.out.print(&shown(step))?;
        match step {
            Say(_) => {}
            Use(version) => use_version(&dir, version)?,
            Append(file, text) => append(&dir.join(file), text)?,
            Kf(words, expected) => kf_step(cx, &kf, &dir, words, *expected)?,
        }
    }
    let kept = if args.dir.is_some() { format!("\nThe folder stays: cd {}\n", dir.display()) } else { String::new() };
    cx.out.print(&format!(
        "\nDone: a worse version was refused, a better one released and rolled back, drift was found, and the log verified.\n{kept}"
    ))?;
    Ok(Exit::Ok)
}

/// The steps, without taking any of them.
fn tell(cx: &Cx) -> Result<Exit> {
    cx.out.print("kf demo would do this in a new folder:\n")?;
    STORY.iter().try_for_each(|step| cx.out.print(&shown(step)))?;
    Ok(Exit::Ok)
}

/// A step as it is shown before it is taken.
fn shown(step: &Step) -> String {
    match step {
        Say(words) => format!("\n# {words}\n"),
        Use(version) => format!("\n$ cp -r config/{version}/. config/current/\n"),
        Append(file, text) => {
            format!("\n$ printf '{}' >> {file}\n", text.escape_default().to_string().replace("\\\"", "\""))
        }
        Kf(words, _) => format!("\n$ kf {}\n", typed(words)),
    }
}

/// Words as a shell takes them.
fn typed(words: &[&str]) -> String {
    let quoted = words.iter().map(|w| if w.contains(' ') { format!("\"{w}\"") } else { (*w).to_owned() });
    quoted.collect::<Vec<_>>().join(" ")
}

fn place(cx: &Cx, args: &Args) -> Result<(PathBuf, Option<tempfile::TempDir>)> {
    match &args.dir {
        Some(dir) => {
            let dir = cx.cwd.join(dir);
            std::fs::create_dir(&dir)
                .context(|| format!("cannot make {}", dir.display()))
                .hint(|| "name a folder that does not exist yet, in one that does".into())?;
            Ok((dir, None))
        }
        None => {
            let scratch = tempfile::Builder::new().prefix("kf-demo-").tempdir().context(|| "cannot make a scratch folder")?;
            Ok((scratch.path().to_owned(), Some(scratch)))
        }
    }
}

fn write_files(dir: &Path) -> Result<()> {
    FILES.iter().try_for_each(|(path, text)| write(&dir.join(path), text))
}

fn write(path: &Path, text: &str) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    std::fs::create_dir_all(parent)
        .and_then(|()| std::fs::write(path, text))
        .context(|| format!("cannot write {}", path.display()))
}

fn use_version(dir: &Path, version: &str) -> Result<()> {
    let prefix = format!("config/{version}/");
    let current = dir.join("config/current");
    FILES
        .iter()
        .filter_map(|(path, text)| Some((path.strip_prefix(&prefix)?, text)))
        .try_for_each(|(p, text)| write(&current.join(p), text))
}

fn append(path: &Path, text: &str) -> Result<()> {
    let old = std::fs::read_to_string(path).context(|| format!("cannot read {}", path.display()))?;
    write(path, &(old + text))
}

/// What of the caller's environment would change the story: other states, CI reports, another actor.
fn unwanted(cx: &Cx) -> Vec<OsString> {
    ["KF_", "GITHUB_"].iter().flat_map(|p| cx.env.with_prefix(p)).map(|(name, _)| name.into()).collect()
}

fn kf_step(cx: &Cx, kf: &Path, dir: &Path, words: &[&str], expected: u8) -> Result<()> {
    let mut program = Program::new(kf).args(words).dir(dir).timeout(STEP_TIMEOUT);
    for name in unwanted(cx) {
        program = program.unset(name);
    }
    let done = program.run(&[])?;
    cx.out.print(&String::from_utf8_lossy(&done.stdout))?;
    if !done.stderr.is_empty() {
        cx.out.print(&done.stderr)?;
    }
    match done.ended {
        Ended::Status(code) if code == i32::from(expected) => {
            if expected != 0 {
                cx.out.print(&format!("(exit code {expected})\n"))?;
            }
            Ok(())
        }
        ended => {
            Err(Error::new(format!("`kf {}` ended otherwise than the story says: {ended:?} instead of {expected}", typed(words)))
                .hint("look around with `kf demo --dir DIR`"))
        }
    }
}
