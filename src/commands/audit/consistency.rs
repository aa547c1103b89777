//! `kf audit consistency`: proves that the log only grew since an earlier checkpoint.

use super::{Output, Trust};
use crate::base::digest::Digest;
use crate::base::error::{Context, Result};
use crate::base::exit::Exit;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::audit::checkpoint::Checkpoint;
use crate::domain::audit::prove;
use crate::domain::audit::verify::Anchor;
use crate::store::Mode;
use serde::Serialize;

/// Prove that the log only grew since an earlier checkpoint (the request of c2sp.org/tlog-witness)
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf audit consistency 1200 -o since-1200.proof\n  kf audit consistency yesterday.checkpoint"
)]
pub(crate) struct Args {
    /// How many entries there were then, or a file with the checkpoint of then
    old: String,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    trust: Trust,
}

#[derive(Serialize)]
struct Proven {
    old: u64,
    size: u64,
    root: Digest,
    proof: String,
    #[serde(skip)]
    output: Output,
}

impl Report for Proven {
    const SCHEMA: &'static str = "kf.audit-consistency/1";

    fn blocks(&self) -> Vec<Block> {
        self.output.blocks(&self.proof, self.summary())
    }

    fn summary(&self) -> String {
        let file = self.output.place();
        format!("the proof that the {} signed entries begin with the first {}{file}", self.size, self.old)
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let known = known(cx, &args.old)?;
    let keys = args.trust.keys(cx)?;
    let old = known.as_ref().map_or_else(|size| *size, |checkpoint| checkpoint.size);
    let root = known.as_ref().ok().map(|checkpoint| &checkpoint.root);
    let (proof, newest) = cx.store(Mode::Read)?.read(|view| prove::consistency(view, old, root))?;
    if let (Ok(known), false) = (&known, keys.is_empty()) {
        proof.verify(known, &keys).context(|| format!("the log does not continue `{}`", args.old))?;
    }
    let report = Proven {
        old,
        size: newest.size,
        root: Digest::from_bytes(newest.root),
        proof: proof.to_string(),
        output: args.output.clone(),
    };
    args.output.save(cx, &report.proof)?;
    cx.out.emit(&report)
}

/// The checkpoint in a file, or a number of entries.
fn known(cx: &Cx, old: &str) -> Result<Result<Checkpoint, u64>> {
    if let Ok(size) = old.parse() {
        return Ok(Err(size));
    }
    let bytes = std::fs::read(cx.cwd.join(old))
        .context(|| format!("cannot read `{old}`"))
        .hint(|| "give a number of entries, or a file with a checkpoint".into())?;
    Ok(Ok(Anchor::read(old, &bytes)?.checkpoint().clone()))
}
