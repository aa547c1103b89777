//! `kf rekey`: encrypts objects for the recipients of now.

use super::gc::waiting;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::quantity::Bytes;
use crate::base::table::Table;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::progress;
use crate::cli::report::{Block, Report};
use crate::release::rekey::{self, Options};
use crate::store::Mode;
use serde::Serialize;

/// Encrypt all objects, and the names and reasons beside the audit log, for the keys that `artifacts.encrypt` names now: turns encryption on, and changes keys
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf rekey --dry-run        how many objects are not encrypted for the keys of now\n  kf rekey                  encrypt them; after an interruption it goes on\n  kf rekey --decrypt        store everything in the clear again\n\nTo change keys, keep the old private key in what `artifacts.identity` names until this is done."
)]
pub(crate) struct Args {
    /// Store everything in the clear again; `artifacts.encrypt` must be gone
    #[arg(long)]
    decrypt: bool,
    /// Encrypt for keys of which this host cannot show that it has one
    #[arg(long, conflicts_with = "decrypt")]
    blind: bool,
}

#[derive(Serialize)]
struct Rekeyed {
    #[serde(flatten)]
    report: rekey::Report,
}

impl Report for Rekeyed {
    const SCHEMA: &'static str = "kf.rekey/1";

    fn blocks(&self) -> Vec<Block> {
        let r = &self.report;
        let counted = |n: u64| count(usize::try_from(n).unwrap_or(usize::MAX), "object");
        let mut lines = Vec::new();
        if r.clear + r.other > 0 {
            lines.push(format!(
                "of {}, {} lay in the clear, {} were encrypted for other keys",
                counted(r.objects),
                r.clear,
                r.other
            ));
        }
        let f = &r.fields;
        if f.open() > 0 {
            lines.push(format!(
                "of the {} names and reasons beside the audit log, {} lay in the clear, {} were encrypted for other keys",
                f.values, f.clear, f.other
            ));
        }
        if f.left > 0 {
            lines.push(format!(
                "{} of them stay as they are: no key here reads them, or they are damaged (`kf audit verify`)",
                f.left
            ));
        }
        if r.trashed > 0 {
            lines.push(format!("{} in the trash stay as they are until `kf gc` deletes them", counted(r.trashed)));
        }
        let mut blocks: Vec<Block> = Vec::new();
        if !r.failures.is_empty() {
            let mut t = Table::new(&["object", "stays as it is because"]);
            r.failures.iter().for_each(|f| {
                t.row([f.object.to_string(), f.why.clone()]);
            });
            blocks.push(t.into());
            lines.push("hint: `kf fsck` tells what needs them; bring the key, or register the same files again".into());
        }
        lines.push(self.summary());
        blocks.push(lines.join("\n").into());
        blocks
    }

    fn summary(&self) -> String {
        let r = &self.report;
        let counted = |n: u64| count(usize::try_from(n).unwrap_or(usize::MAX), "object");
        let how = match &r.recipients {
            Some(to) => format!("encrypted for {} ({})", count(to.keys, "key"), to.id),
            None => "stored in the clear".into(),
        };
        let fields = |n: u64| match n {
            0 => String::new(),
            n => format!("; and {n} of the names and reasons beside the audit log"),
        };
        match (r.applied, r.rewritten, r.left) {
            (false, ..) => format!("would be {how}: {}{}", counted(r.clear + r.other), fields(r.fields.open())),
            (true, 0, 0) if r.fields.rewritten == 0 => format!("all {} are {how} already", counted(r.objects)),
            (true, n, 0) => format!("now {how}: {}, {}{}", counted(n), Bytes(r.bytes), fields(r.fields.rewritten)),
            (true, n, left) => {
                let done = format!("{}, {}{}", counted(n), Bytes(r.bytes), fields(r.fields.rewritten));
                format!("now {how}: {done}; {} stay as they were", counted(left))
            }
        }
    }

    fn exit(&self) -> Exit {
        if self.report.all_left() > 0 { Exit::Partial } else { Exit::Ok }
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let apply = !cx.global.dry_run;
    let (store, objects) = (cx.store(if apply { Mode::Write } else { Mode::Read })?, cx.objects()?);
    let options = Options { decrypt: args.decrypt, blind: args.blind, apply, jobs: cx.jobs() };
    let bar = progress::things(&cx.out, "encrypting", 0);
    let mut progress = |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let report = rekey::run(&store, &objects, options, &mut progress, &mut waiting(cx))?;
    bar.finish_and_clear();
    cx.out.emit(&Rekeyed { report })
}
