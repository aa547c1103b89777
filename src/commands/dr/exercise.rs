//! `kf dr exercise`: goes through a runbook with people, or runs those of its steps that harm nobody.

use super::known;
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Result};
use crate::base::exit::Exit;
use crate::base::table::Table;
use crate::base::text::ellipsis;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::commands::backup::Desk;
use crate::config::secret::SecretRef;
use crate::domain::dr::exercise::{Answer, Exercise, Mode, NOTE_MAX, Outcome, Taken, answers};
use crate::domain::dr::facts::Facts;
use crate::domain::dr::parts::{BACK, GOOD, KEY};
use crate::domain::dr::runbook::{Runbook, Scenario, Step};
use crate::domain::dr::write::write;
use crate::release::backup::room;
use crate::release::dr::{Bench, record, take};
use crate::store::{Mode as StoreMode, Store};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};

/// Go through a runbook before there is a disaster, and keep a signed report
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf dr exercise data-corruption                    asks what became of each step\n  kf dr exercise lost-key --answers answers.jsonl   {\"step\": 1, \"outcome\": \"done\", \"who\": \"ada\", \"note\": \"\"} a line\n  kf dr exercise bad-release --yes                  every step was talked through\n  kf dr exercise regional-outage --run              runs those steps that change nothing in use, on a copy\n\nIt ends with 0 when every step was taken (with `--run`: every one that changes nothing in use), with 3 when one failed, and with 4 when some were left out."
)]
pub(crate) struct Args {
    /// What happened
    scenario: Scenario,
    /// Run the steps that harm nobody: a set is restored into a scratch folder, and checked there
    #[arg(long, conflicts_with = "answers")]
    run: bool,
    /// What became of each step, one JSON object a line; steps without one were skipped
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// What a variable of the runbook holds; again for more
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = variable, requires = "run")]
    set: Vec<(String, String)>,
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[derive(Serialize)]
struct Exercised {
    #[serde(flatten)]
    exercise: Exercise,
    passed: bool,
}

impl Report for Exercised {
    const SCHEMA: &'static str = "kf.dr-exercised/1";

    fn blocks(&self) -> Vec<Block> {
        let mut t = Table::new(&[">step", "what", "outcome", ">took", "who", "note"]);
        for (at, step) in self.exercise.steps.iter().enumerate() {
            let took = step.took_ms.map_or_else(String::new, |ms| format!("{}.{:03} s", ms / 1000, ms % 1000));
            t.row([(at + 1).to_string(), step.what.clone(), step.outcome.to_string(), took, step.who.clone(), step.note.clone()]);
        }
        let mut blocks: Vec<Block> = vec![t.into()];
        blocks.extend(self.exercise.gaps.iter().map(|gap| Block::from(format!("not said in mlops.toml: {gap}"))));
        blocks.push(self.summary().into());
        blocks
    }

    fn summary(&self) -> String {
        let of = &self.exercise;
        let [done, skipped, failed] = [Outcome::Done, Outcome::Skipped, Outcome::Failed].map(|outcome| of.count(outcome));
        format!("{}, {}, {}: {done} steps done, {skipped} skipped, {failed} failed", of.scenario, of.mode, of.result())
    }

    fn exit(&self) -> Exit {
        self.exercise.verdict().into()
    }
}

pub(super) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    if args.run && cx.global.dry_run {
        return Err(Error::usage("an exercise with `--run` restores a set, and `--dry-run` writes nothing")
            .hint("leave `--run` out to go through it on paper"));
    }
    let desk = Desk::open(cx, None)?;
    let facts = known(cx)?;
    let book = write(&facts, args.scenario);
    let store = cx.store(StoreMode::Write)?;
    let at = store.now();
    let steps = match (args.run, &args.answers) {
        (true, _) => run_steps(cx, args, &store, (&facts, &book))?,
        (false, Some(file)) => {
            let text = std::fs::read_to_string(cx.cwd.join(file)).context(|| format!("cannot read {}", file.display()))?;
            let answers = answers(&text, book.steps.len())?;
            let answer = |at: usize| answers.iter().find(|answer| answer.step == at + 1).cloned();
            taken(&book, |at, _| Ok(answer(at).unwrap_or_else(|| nobody(at))))?
        }
        (false, None) if cx.global.yes => {
            let who = &store.identity().name;
            taken(&book, |at, _| {
                Ok(Answer { step: at + 1, outcome: Outcome::Done, who: who.clone(), note: "talked through".into() })
            })?
        }
        (false, None) if std::io::stdin().is_terminal() => taken(&book, |at, step| ask(cx, at, step))?,
        (false, None) => {
            return Err(Error::usage("nobody is here to say what became of each step")
                .hint("`--answers FILE` says it, `--yes` that all were talked through, `--run` runs those that harm nobody"));
        }
    };
    let exercise = Exercise {
        schema: Exercise::schema(),
        scenario: args.scenario,
        mode: if args.run { Mode::Run } else { Mode::Tabletop },
        at,
        ended: store.now(),
        by: store.identity().name.clone(),
        target_minutes: book.target_minutes,
        runbook: Digest::of(book.markdown(&facts.project).as_bytes()),
        gaps: book.gaps.clone(),
        steps,
    };
    record(&store, &desk.place(), &exercise)?;
    cx.out.emit(&Exercised { passed: exercise.passed(), exercise })
}

fn taken(book: &Runbook, mut said: impl FnMut(usize, &Step) -> Result<Answer>) -> Result<Vec<Taken>> {
    let one = |(at, step): (usize, &Step)| {
        let Answer { outcome, who, note, .. } = said(at, step)?;
        Ok(Taken { what: step.what.clone(), command: step.line.to_string(), outcome, who, note, took_ms: None })
    };
    book.steps.iter().enumerate().map(one).collect()
}

fn nobody(at: usize) -> Answer {
    Answer { step: at + 1, outcome: Outcome::Skipped, who: String::new(), note: "nobody said anything".into() }
}

/// Asks a person; the answer begins with `d`, `s` or `f`, and may go on with who and what: `d ada: took five minutes`.
fn ask(cx: &Cx, at: usize, step: &Step) -> Result<Answer> {
    cx.out.warn(&format!(
        "\n{}. {} ({})\n   {}\n   [d]one, [s]kipped or [f]ailed, WHO: NOTE",
        at + 1,
        step.what,
        step.who,
        step.line
    ));
    let mut line = String::new();
    loop {
        line.clear();
        if std::io::stdin().lock().read_line(&mut line).context(|| "cannot read the answer")? == 0 {
            return Ok(nobody(at));
        }
        let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let outcome = match word {
            "d" | "done" => Outcome::Done,
            "s" | "skipped" => Outcome::Skipped,
            "f" | "failed" => Outcome::Failed,
            _ => {
                cx.out.warn("   write d, s or f first");
                continue;
            }
        };
        let (who, note) = rest.split_once(':').unwrap_or((rest, ""));
        let [who, note] = [who, note].map(|text| ellipsis(text.trim(), NOTE_MAX / 4));
        return Ok(Answer { step: at + 1, outcome, who, note });
    }
}

/// Runs the steps that harm nobody, in a scratch folder that goes afterwards.
fn run_steps(cx: &Cx, args: &Args, store: &Store, (facts, book): (&Facts, &Runbook)) -> Result<Vec<Taken>> {
    let (root, folder) = (&cx.project()?.root, room(&cx.kf_dir()?.join("cache").join("backup"))?);
    if let Some((name, _)) = args.set.iter().find(|(name, _)| !book.set.iter().any(|of| of.name == *name)) {
        let all: Vec<&str> = book.set.iter().map(|of| of.name.as_str()).collect();
        return Err(Error::usage(format!("the runbook has no variable `{name}`")).hint(format!("it has: {}", all.join(", "))));
    }
    let mut known = here(cx, (facts, book), root, folder.path(), store)?;
    known.extend(args.set.iter().cloned());
    let kf = std::env::current_exe().context(|| "cannot find the program that runs")?;
    let bench = Bench { kf: &kf, root, known: &known };
    let who = &store.identity().name;
    let mut steps = Vec::new();
    for step in &book.steps {
        if step.harmless {
            cx.out.note(&step.what);
        }
        let (outcome, note, took_ms) = take(&bench, step)?;
        steps.push(Taken { what: step.what.clone(), command: step.line.to_string(), outcome, who: who.clone(), note, took_ms });
    }
    Ok(steps)
}

/// What variables hold in an exercise: a scratch folder, the newest set, the key of this host, and names of the repository.
fn here(
    cx: &Cx,
    (facts, book): (&Facts, &Runbook),
    root: &Path,
    folder: &Path,
    store: &Store,
) -> Result<BTreeMap<String, String>> {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut known = BTreeMap::from([
        (BACK.to_owned(), path("restored")),
        ("SNAPSHOT".to_owned(), path("snapshot")),
        ("LOG_FILE".to_owned(), path("log.jsonl")),
        (GOOD.to_owned(), store.now().to_string()),
    ]);
    if let Some(SecretRef::File(file)) = cx.project()?.project.backup.identity.as_ref() {
        known.insert(KEY.to_owned(), root.join(file).display().to_string());
    }
    let names =
        [("TENANT", facts.tenants.is_empty()), ("COLLECTION", facts.tenants.is_empty()), ("MODEL", facts.models.is_empty())];
    for (name, _) in names.into_iter().filter(|(_, none)| !none) {
        known.extend(book.set.iter().find(|of| of.name == name).map(|of| (of.name.clone(), of.example.clone())));
    }
    Ok(known)
}
