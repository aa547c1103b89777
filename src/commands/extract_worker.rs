//! `kf extract-worker`: reads documents for `kf ingest` in a process of its own; not for people.

use crate::adapters::extractor::{confine, serve};
use crate::base::error::Result;
use crate::base::exit::Exit;

/// Read documents for `kf ingest`
#[derive(clap::Args, Debug)]
#[command(hide = true, after_long_help = "Examples:\n  kf ingest docs/        starts as many of these as it needs")]
pub(crate) struct Args {}

pub(crate) fn run() -> Result<Exit> {
    confine();
    serve(&mut std::io::stdin().lock(), &mut std::io::stdout().lock())?;
    Ok(Exit::Ok)
}
