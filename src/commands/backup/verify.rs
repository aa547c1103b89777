//! `kf backup verify`: reads a set again.

use super::{Desk, Key, Trust};
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::quantity::Bytes;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::progress;
use crate::cli::report::{Block, Report};
use crate::release::backup::verify::{Depth, verify};
use crate::release::backup::{lock, sets};
use serde::Serialize;

/// Read a backup set again and hold it against its manifest
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf backup verify latest\n  kf backup verify latest --read-data all\n  kf backup verify latest --read-data 5%\n\nWithout a key the stored bytes are read; only with one it is known that they can be restored."
)]
pub(crate) struct Args {
    /// The set, its beginning or end, or `latest`
    #[arg(default_value = "latest")]
    set: String,
    /// How much is read: all, or so many percent of the objects; without it only whether all is there
    #[arg(long, value_name = "all|N%", value_parser = depth)]
    read_data: Option<Depth>,
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    trust: Trust,
}

fn depth(text: &str) -> Result<Depth, String> {
    let percent = |n: &str| n.parse::<u8>().ok().filter(|n| (1..=100).contains(n));
    match text.strip_suffix('%').map(percent) {
        None if text == "all" => Ok(Depth::All),
        Some(Some(percent)) => Ok(Depth::Part(percent)),
        _ => Err("write `all`, or a part such as `5%`".to_owned()),
    }
}

#[derive(Serialize)]
struct Verified {
    set: String,
    verdict: &'static str,
    objects: u64,
    read: u64,
    read_bytes: u64,
    signed_by: Option<String>,
    wrong: Vec<String>,
}

impl Report for Verified {
    const SCHEMA: &'static str = "kf.backup-verify/1";

    fn blocks(&self) -> Vec<Block> {
        let mut lines = self.wrong.clone();
        lines.push(self.summary());
        vec![Block::Verbatim(lines.join("\n"))]
    }

    fn summary(&self) -> String {
        let all = count(usize::try_from(self.objects).unwrap_or(usize::MAX), "object");
        let read = format!("{} of {all} read again, {}", self.read, Bytes(self.read_bytes));
        let signed =
            self.signed_by.as_ref().map_or_else(|| ", not signed by a key known here".to_owned(), |k| format!(", signed by {k}"));
        match self.verdict {
            "damaged" => format!("{} is damaged: {} wrong", self.set, self.wrong.len()),
            verdict => format!("{}: {verdict}; {read}{signed}", self.set),
        }
    }

    fn exit(&self) -> Exit {
        if self.wrong.is_empty() { Exit::Ok } else { Exit::No }
    }
}

pub(super) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let desk = Desk::open(cx, Some(&args.key))?;
    let place = desk.place();
    let set = sets::find(&place, &args.set, &mut |why| cx.warn(why))?;
    let trusted = args.trust.unsigned || place.trusts(&set);
    let bar = progress::things(&cx.out, "reading", 0);
    let depth = args.read_data.unwrap_or(Depth::There);
    let mut found = verify(&place, &set, depth, &mut |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    found.wrong.extend(lock::shorter(&place, &set.manifest)?);
    if !trusted {
        found
            .wrong
            .push("the manifest: no key that is known here signed it, anybody who can write there may have made it".to_owned());
    }
    let verdict = match (found.wrong.is_empty(), depth, found.opened) {
        (false, ..) => "damaged",
        (true, Depth::There, _) => "complete",
        (true, _, false) => "ciphertext verified",
        (true, Depth::Part(_), true) => "readable as far as it was read",
        (true, Depth::All, true) => "restorable",
    };
    cx.out.emit(&Verified {
        set: set.manifest.id,
        verdict,
        objects: found.objects,
        read: found.read,
        read_bytes: found.bytes,
        signed_by: set.signed_by,
        wrong: found.wrong,
    })
}
