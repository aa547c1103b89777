//! `kf audit prove`: proves that an entry is in the log, to anyone who has its public key.

use super::{Output, Trust};
use crate::base::digest::Digest;
use crate::base::error::{Context, Result};
use crate::base::exit::Exit;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::audit::prove;
use crate::store::Mode;
use serde::Serialize;

/// Prove that an entry is in the log (c2sp.org/tlog-proof)
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf audit prove 17 -o 17.tlog-proof\n  kf audit show 17 --raw > 17.json       what it is the proof of\n  kf audit key                           what checks it"
)]
pub(crate) struct Args {
    /// The index of the entry, from 0
    index: u64,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    trust: Trust,
}

#[derive(Serialize)]
struct Proven {
    index: u64,
    size: u64,
    root: Digest,
    leaf: Digest,
    entry: String,
    proof: String,
    #[serde(skip)]
    output: Output,
}

impl Report for Proven {
    const SCHEMA: &'static str = "kf.audit-proof/1";

    fn blocks(&self) -> Vec<Block> {
        self.output.blocks(&self.proof, self.summary())
    }

    fn summary(&self) -> String {
        let file = self.output.place();
        format!("the proof that entry {} is one of the {} signed ones{file}", self.index, self.size)
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let keys = args.trust.keys(cx)?;
    let proven = cx.store(Mode::Read)?.read(|view| prove::inclusion(view, args.index))?;
    if !keys.is_empty() {
        proven.proof.verify(&proven.leaf, &keys).context(|| "the newest checkpoint of the audit log cannot be trusted")?;
    }
    let report = Proven {
        index: args.index,
        size: proven.checkpoint.size,
        root: Digest::from_bytes(proven.checkpoint.root),
        leaf: Digest::from_bytes(proven.leaf),
        entry: proven.entry,
        proof: proven.proof.to_string(),
        output: args.output.clone(),
    };
    args.output.save(cx, &report.proof)?;
    cx.out.emit(&report)
}
