//! `kf flag export`: the flags of a tenant as a flagd file.

use super::Whose;
use crate::base::error::{Context, Result};
use crate::base::exit::Exit;
use crate::base::format::Format;
use crate::cli::cx::Cx;
use crate::domain::flag::{document, table};
use crate::store::Mode;
use std::path::PathBuf;

/// Print the flags of a tenant as a flagd file, which OpenFeature's clients read
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf flag export\n  kf flag export --tenant acme --flagd flags.json")]
pub(crate) struct Args {
    #[command(flatten)]
    whose: Whose,
    /// Write it to this file, whole or not at all
    #[arg(short = 'o', long = "flagd", value_name = "FILE")]
    flagd: Option<PathBuf>,
}

pub(super) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    cx.only_formats("a flagd file", &[Format::Table, Format::Json])?;
    let tenant = args.whose.name(cx)?;
    let flags = cx.store(Mode::Read)?.read(|view| table::all(view, &tenant))?;
    let text = serde_json::to_string_pretty(&document::flagd(&tenant, &flags)).context(|| "cannot write the flags")? + "\n";
    match &args.flagd {
        Some(path) => cx.write_output(path, &text)?,
        None => cx.out.print(&text)?,
    }
    Ok(Exit::Ok)
}
