//! `kf tenant`: whose documents there are, what is kept of one, and that it goes.

mod erase;
mod export;
mod list;

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::cli::cx::Cx;

/// List tenants, export what is kept of one, erase it
#[derive(clap::Subcommand, Debug)]
#[command(
    after_long_help = "Examples:\n  kf tenant list\n  kf tenant export acme acme-export\n  kf tenant erase acme --subject \"Ada Lovelace\" --reason \"GDPR Art. 17, request 12\" --dry-run"
)]
pub(crate) enum Command {
    Erase(erase::Args),
    Export(export::Args),
    List(list::Args),
}

impl Command {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        match self {
            Self::Erase(args) => erase::run(cx, args),
            Self::Export(args) => export::run(cx, args),
            Self::List(args) => list::run(cx, args),
        }
    }
}
