//! `kf card`: the model card of a version.

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::format::Format;
use crate::base::reference::Reference;
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::domain::registry::card::{markdown, yaml};
use crate::domain::registry::table;
use crate::release::card::input;
use crate::store::Mode;
use clap_complete::engine::ArgValueCompleter;
use std::path::PathBuf;

/// Print the model card of a version, in the fields of Hugging Face model cards
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf card support-bot@production\n  kf card support-bot --yaml\n  kf card support-bot -o README.md"
)]
pub(crate) struct Args {
    /// The version
    #[arg(add = ArgValueCompleter::new(complete::references))]
    reference: Reference,
    /// As YAML instead of Markdown
    #[arg(long)]
    yaml: bool,
    /// Write it to this file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    if args.yaml {
        cx.only_formats("the YAML of a card", &[Format::Table])?;
    } else {
        cx.only_formats("a model card", &[Format::Table, Format::Markdown])?;
    }
    let objects = cx.objects()?;
    let card = cx.store(Mode::Read)?.read(|view| {
        let version = table::resolve(view, &args.reference)?;
        input(view, &objects, &version)
    })?;
    let text = if args.yaml { yaml(&card) } else { markdown(&card) };
    match &args.output {
        Some(path) => cx.write_output(path, &text)?,
        None => cx.out.print(&text)?,
    }
    Ok(Exit::Ok)
}
