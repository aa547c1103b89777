//! `kf drift replay`: a check made again, to see whether it comes out the same.

use super::data::DataArgs;
use super::{config_of, place};
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::drift::policy::Status;
use crate::domain::drift::table::find_check;
use crate::release::drift::Data;
use crate::release::drift::check::replay;
use crate::store::Mode;
use serde::Serialize;
use std::path::PathBuf;

/// Make a check again with its baseline and settings: the same data give the same digest
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf drift replay 1c0ffee5 --data today.csv\n\nExits 3 when it comes out otherwise.")]
pub(crate) struct Args {
    /// The check: its id, the end of it, or a name for its newest
    check: String,
    #[command(flatten)]
    data: DataArgs,
    /// The data of the reference, when the check read them too
    #[arg(long, value_name = "FILE")]
    reference: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Replayed {
    check: String,
    name: Name,
    same: bool,
    report: Digest,
    found: Digest,
    verdict: Status,
    verdict_now: Status,
    differs: Vec<String>,
}

impl Report for Replayed {
    const SCHEMA: &'static str = "kf.drift-replay/1";

    fn blocks(&self) -> Vec<Block> {
        let lines: Vec<String> = self.differs.iter().map(|d| format!("differs: {d}")).chain([self.summary()]).collect();
        vec![lines.join("\n").into()]
    }

    fn summary(&self) -> String {
        match self.same {
            true => format!("{}: the same again: {}, {}", self.name, self.verdict, self.report.short()),
            false => format!(
                "{}: not the same: {} instead of {}, {} instead of {}",
                self.name,
                self.verdict_now,
                self.verdict,
                self.found.short(),
                self.report.short()
            ),
        }
    }

    fn exit(&self) -> Exit {
        if self.same { Exit::Ok } else { Exit::No }
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let (store, objects) = (cx.store(Mode::Read)?, cx.objects()?);
    let name = store.read(|view| find_check(view, Some(&args.check)))?.name;
    let (new, reference) = (args.data.inputs(cx, &config_of(cx, &name)?)?, args.data.files(cx, &args.reference)?);
    let again = replay(&place(cx, &store, &objects, &args.data)?, &args.check, Data { new: &new, reference: &reference })?;
    cx.out.emit(&Replayed {
        same: again.digest == again.check.report,
        check: again.check.uid,
        name: again.check.name,
        report: again.check.report,
        found: again.digest,
        verdict: again.before.judgement.status.weight(),
        verdict_now: again.now.judgement.status.weight(),
        differs: again.differs,
    })
}
