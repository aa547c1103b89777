//! `kf drift baseline`: what a version was accepted on.

use super::data::DataArgs;
use super::{config_of, place, size};
use crate::base::digest::Digest;
use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::reference::Reference;
use crate::base::table::Table;
use crate::base::text::count;
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::commands::gc::waiting;
use crate::domain::drift::baseline::{Kept, Profile};
use crate::domain::drift::outcome::Answers;
use crate::release::drift::{Taken, baseline};
use crate::store::Mode;
use clap_complete::engine::ArgValueCompleter;
use serde::Serialize;

/// Keep a profile of the data that a version was accepted on
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf drift baseline support-bot@1.2.0 --data accepted.csv\n  kf drift baseline support-bot@production --data a.parquet --data b.parquet --name queries\n  kf drift baseline support-bot --name handbook --data index:handbook\n  kf drift baseline support-bot --sql \"SELECT words, topic FROM accepted ORDER BY id\" --source sqlite:app.db"
)]
pub(crate) struct Args {
    /// The version
    #[arg(add = ArgValueCompleter::new(complete::references))]
    reference: Reference,
    #[command(flatten)]
    data: DataArgs,
    /// The name that checks find it by (default: that of the model)
    #[arg(long, value_name = "NAME")]
    name: Option<Name>,
}

#[derive(Serialize)]
struct ColumnDoc {
    column: String,
    kind: &'static str,
    bad: u64,
    left_out: Option<String>,
}

#[derive(Serialize)]
struct Baselined {
    baseline: String,
    name: Name,
    version: String,
    rows: u64,
    columns: Vec<ColumnDoc>,
    /// How often the predictions are right; absent without labels.
    answers: Option<AnswersDoc>,
    profile: Digest,
    changed: bool,
    event: i64,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct AnswersDoc {
    label: String,
    prediction: String,
    unlabelled: u64,
    words: String,
}

impl Report for Baselined {
    const SCHEMA: &'static str = "kf.drift-baseline/1";

    fn blocks(&self) -> Vec<Block> {
        let mut t = Table::new(&["column", "compared as", ">unreadable"]);
        for c in &self.columns {
            let told = c.left_out.as_ref().map_or_else(|| c.kind.to_owned(), |why| format!("not at all: {why}"));
            t.row([c.column.clone(), told, c.bad.to_string()]);
        }
        let right = self.answers.as_ref().map(|answers| format!("answers: {}", answers.words));
        let notes = self.notes.iter().map(|n| format!("note: {n}"));
        let lines: Vec<String> = right.into_iter().chain(notes).chain([self.summary()]).collect();
        vec![t.into(), lines.join("\n").into()]
    }

    fn summary(&self) -> String {
        let (rows, columns) = (count(size(self.rows), "row"), count(self.columns.len(), "column"));
        let said = if self.changed { "is kept" } else { "was kept before" };
        format!("{}: the baseline of {} {said}: {rows}, {columns}", self.name, self.version)
    }
}

fn doc(kept: &Kept) -> ColumnDoc {
    let (kind, left_out) = match &kept.profile {
        Profile::Numbers(_) => ("numbers", None),
        Profile::Levels(_) => ("levels", None),
        Profile::Vectors(_) => ("vectors", None),
        Profile::Texts(_) => ("texts", None),
        Profile::LeftOut(why) => ("nothing", Some(why.clone())),
    };
    ColumnDoc { column: kept.name.clone(), kind, bad: kept.bad, left_out }
}

fn answers_doc(answers: &Answers) -> AnswersDoc {
    AnswersDoc {
        label: answers.label.clone(),
        prediction: answers.prediction.clone(),
        unlabelled: answers.unknown(),
        words: answers.words(),
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    if !args.data.is_named() {
        return Err(Error::usage("no data is named").hint("give `--data FILE`, or `--sql QUERY`"));
    }
    let name = args.name.clone().unwrap_or_else(|| args.reference.name.clone());
    let mut config = config_of(cx, &name)?;
    if cx.project()?.project.drift(name.as_str()).is_none() {
        config.model = args.reference.name.clone();
    }
    let (store, objects) = (cx.store(Mode::Write)?, cx.objects()?);
    let inputs = args.data.inputs(cx, &config)?;
    let Taken { uid, version, rows, baseline, profile, changed, event, mut notes } =
        baseline(&place(cx, &store, &objects, &args.data)?, &config, &args.reference, &inputs, &mut waiting(cx))?;
    if args.data.holds_documents() && config.keep_texts {
        let tenant = args.data.tenant(cx)?;
        notes.push(format!(
            "the baseline keeps pieces of documents of {tenant}, also when those are erased: `keep-texts = false` in `[drift.{name}]` keeps digests"
        ));
    }
    let columns = baseline.columns.iter().map(doc).collect();
    let answers = baseline.together.answers.as_ref().map(answers_doc);
    cx.out.emit(&Baselined { baseline: uid, name, version, rows, columns, answers, profile, changed, event, notes })
}
