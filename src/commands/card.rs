//! `kf card`: the model card of a version.

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::reference::Reference;
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::domain::registry::card::{markdown, yaml};
use crate::domain::registry::table;
use crate::release::card::input;
use crate::store::Mode;
use crate::store::objects::atomic;
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
    let objects = cx.objects()?;
    let card = cx.store(Mode::Read)?.read(|view| {
        let version = table::resolve(view, &args.reference)?;
        input(view, &objects, &version)
    })?;
    let text = if args.yaml { yaml(&card) } else { markdown(&card) };
    match &args.output {
        Some(path) => atomic::write_file(&cx.output_path(path)?, text.as_bytes(), 0o644)?,
        None => cx.out.print(&text)?,
    }
    Ok(Exit::Ok)
}
