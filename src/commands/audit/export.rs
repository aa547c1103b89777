//! `kf audit export`: carries the log out, byte by byte.

use super::{Trust, entries};
use crate::base::error::{self, Error, Result};
use crate::base::exit::Exit;
use crate::base::format::Format;
use crate::base::quantity::Bytes;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::out::sentences;
use crate::cli::report::{Block, Report};
use crate::domain::audit::export::{self, Exported, Way};
use crate::domain::audit::verify::{Verified, verify};
use crate::store::Mode;
use serde::Serialize;
use std::path::PathBuf;
use std::str::FromStr;

/// Write the log to files: as a tree of tiles (c2sp.org/tlog-tiles), or one entry a line
#[derive(clap::Args, Debug)]
#[command(
    allow_missing_positional = true,
    after_long_help = "Examples:\n  kf audit export tiles public/log      for a web server; run it again to go on\n  kf audit export jsonl log.jsonl       the bytes that are hashed, one entry a line\n\nThe log is verified first, and an altered one is not exported: exits 3. `--format tiles` and `--format jsonl` say the same\nas the word before the path."
)]
pub(crate) struct Args {
    /// How the report is written; without a word before the path, tiles or jsonl: what to export
    // Stands in for the global flag of this name, so it has its type. Tiles are what is exported when nothing else is said, and
    // a table is how it is reported then: so one value stands for both.
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    format: Option<Format>,
    /// tiles or jsonl (default: tiles)
    kind: Option<Kind>,
    /// The directory for tiles, the file for lines
    path: PathBuf,
    #[command(flatten)]
    trust: Trust,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tiles,
    Jsonl,
}

impl FromStr for Kind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "tiles" => Ok(Self::Tiles),
            "jsonl" => Ok(Self::Jsonl),
            _ => Err("the log is exported as tiles or as jsonl".into()),
        }
    }
}

fn format(text: &str) -> Result<Format, String> {
    if text == "tiles" { Ok(Format::Table) } else { text.parse() }
}

impl Args {
    /// What to export, and how to report it.
    fn wanted(&self) -> Result<(Kind, Format)> {
        let format = self.format.unwrap_or(Format::Table);
        match (self.kind, format) {
            (Some(kind), format) => Ok((kind, format)),
            (None, Format::Table) => Ok((Kind::Tiles, Format::Table)),
            (None, Format::Jsonl) => Ok((Kind::Jsonl, Format::Table)),
            (None, other) => Err(Error::usage(format!("the log is exported as tiles or as jsonl, not as {other}"))
                .hint(format!("say what to export: `kf audit export tiles {} --format {other}`", self.path.display()))),
        }
    }
}

#[derive(Serialize)]
struct Done {
    path: PathBuf,
    #[serde(flatten)]
    exported: Exported,
    #[serde(skip)]
    way: Way,
}

impl Report for Done {
    const SCHEMA: &'static str = "kf.audit-export/1";

    fn blocks(&self) -> Vec<Block> {
        let e = &self.exported;
        let (written, covers) = match self.way {
            Way::Write => ("written", "covers"),
            Way::Try => ("would be written", "would cover"),
        };
        let mut lines = vec![
            self.summary(),
            format!(
                "{} {written}, {} were there already",
                count(usize::try_from(e.written).unwrap_or(usize::MAX), "file"),
                e.kept
            ),
        ];
        match &e.checkpoint {
            Some(path) => lines.push(format!("{} {covers} the first {}", path.display(), entries(e.signed))),
            None => lines.push("Nothing is signed yet, so there is no checkpoint beside it: see `kf audit key`".into()),
        }
        sentences(lines)
    }

    fn summary(&self) -> String {
        let place = if self.way == Way::Write { "in" } else { "would be in" };
        format!(
            "{} ({}) of {}: {place} {}",
            entries(self.exported.entries),
            Bytes(self.exported.bytes),
            self.exported.origin,
            self.path.display()
        )
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let (kind, format) = args.wanted()?;
    let path = cx.output_path(&args.path)?;
    let keys = args.trust.keys(cx)?;
    let way = if cx.global.dry_run { Way::Try } else { Way::Write };
    let store = cx.store(Mode::Read)?;
    let exported = store.read(|view| {
        sound(&verify(view, &keys, &[], cx.jobs())?)?;
        match kind {
            Kind::Jsonl => export::jsonl(view, &path, way),
            Kind::Tiles => export::tiles(view, &path, way),
        }
    })?;
    cx.out.emit_as(&Done { path, exported, way }, format)
}

/// Refuses a log in which something was altered: a stranger would take what is exported for the log.
fn sound(found: &Verified) -> Result<()> {
    let Some(first) = found.findings.first() else { return Ok(()) };
    let at = first.index.map(|i| format!("entry {i}: ")).unwrap_or_default();
    let all = count(usize::try_from(found.finding_count).unwrap_or(usize::MAX), "finding");
    Err(Error::of(error::Kind::Broken, format!("the audit log was altered and is not exported: {all}; {at}{}", first.what))
        .hint("`kf audit verify` names all of them"))
}
