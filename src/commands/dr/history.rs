//! `kf dr history`: exercises that were made.

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::table::Table;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::commands::backup::Desk;
use crate::domain::dr::exercise::{Exercise, Outcome};
use crate::release::dr::history;
use serde::Serialize;
use serde_json::Value;

/// List the exercises that were made, the newest first
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf dr history\n  kf dr history --format json       with every step")]
pub(crate) struct Args {}

#[derive(Serialize)]
struct History {
    exercises: Vec<Made>,
    unreadable: Vec<String>,
}

#[derive(Serialize)]
struct Made {
    name: String,
    passed: bool,
    #[serde(flatten)]
    exercise: Exercise,
}

impl Report for History {
    const SCHEMA: &'static str = "kf.dr-history/1";

    fn blocks(&self) -> Vec<Block> {
        let mut t = Table::new(&["when", "scenario", "way", "result", ">done", ">skipped", ">failed", "by"]);
        for made in &self.exercises {
            let of = &made.exercise;
            let counts = [Outcome::Done, Outcome::Skipped, Outcome::Failed].map(|outcome| of.count(outcome).to_string());
            let [done, skipped, failed] = counts;
            t.row([
                of.at.to_string(),
                of.scenario.to_string(),
                of.mode.to_string(),
                of.result().into(),
                done,
                skipped,
                failed,
                of.by.clone(),
            ]);
        }
        let mut blocks = Block::filled(t);
        blocks.extend(self.unreadable.iter().map(|why| Block::from(format!("not counted: {why}"))));
        blocks.push(self.summary().into());
        blocks
    }

    fn summary(&self) -> String {
        match self.exercises.len() {
            0 => "no exercise was made yet: `kf dr exercise bad-release`".to_owned(),
            n => count(n, "exercise"),
        }
    }

    fn items(&self) -> Option<Vec<Value>> {
        self.exercises.iter().map(|made| serde_json::to_value(made).ok()).collect()
    }
}

pub(super) fn run(cx: &Cx, _: &Args) -> Result<Exit> {
    let desk = Desk::open(cx, None)?;
    let mut report = History { exercises: Vec::new(), unreadable: Vec::new() };
    for (name, read) in history(&desk.place())? {
        match read {
            Ok(exercise) => report.exercises.push(Made { name, passed: exercise.passed(), exercise }),
            Err(e) => report.unreadable.push(format!("{name}: {}", e.chain().join(": "))),
        }
    }
    cx.out.emit(&report)
}
