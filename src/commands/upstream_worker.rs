//! `kf upstream-worker`: tends the program of a version for `kf gateway run`; not for people.

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::gateway::worker::tend;
use std::ffi::OsString;

/// Tend the program of a version for `kf gateway run`
#[derive(clap::Args, Debug)]
#[command(
    hide = true,
    after_long_help = "Examples:\n  kf gateway run        starts one of these for every version that it serves"
)]
pub(crate) struct Args {
    /// The program and its arguments
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> Result<Exit> {
    tend(&args.command)?;
    Ok(Exit::Ok)
}
