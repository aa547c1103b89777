//! `kf ingest`: documents in, and what became of them.

mod check;
mod report;
mod retry;
mod rm;
mod run;
mod show;
mod status;

pub(super) use run::rules_of;
pub(super) use status::waits;

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::cli::cx::Cx;

/// Take documents in: read, check, cut into chunks, embed, index
#[derive(clap::Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_long_help = "Examples:\n  kf ingest docs/\n  kf ingest docs/ manual.pdf --tenant acme --collection manuals --meta product=x200\n  kf ingest report\n  kf ingest show docs/returns.md"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: run::RunArgs,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    Check(check::Args),
    Report(report::Args),
    Retry(retry::Args),
    Rm(rm::Args),
    Show(show::Args),
    Status(status::Args),
}

impl Args {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        match &self.command {
            None => run::run(cx, &self.run),
            Some(Command::Check(args)) => check::run(cx, args),
            Some(Command::Report(args)) => report::run(cx, args),
            Some(Command::Retry(args)) => retry::run(cx, args),
            Some(Command::Rm(args)) => rm::run(cx, args),
            Some(Command::Show(args)) => show::run(cx, args),
            Some(Command::Status(args)) => status::run(cx, args),
        }
    }
}

/// Which documents are meant.
#[derive(clap::Args, Debug)]
pub(crate) struct Where {
    /// The tenant that the documents belong to (default: `ingest.tenant`)
    #[arg(long, value_name = "NAME")]
    tenant: Option<Name>,
    /// The collection (default: `ingest.collection`)
    #[arg(long, value_name = "NAME")]
    collection: Option<Name>,
}

impl Where {
    /// Tenant and collection, as given or as `mlops.toml` says.
    pub(crate) fn names(&self, cx: &Cx) -> Result<(Name, Name)> {
        let ingest = &cx.project()?.project.ingest;
        Ok((
            self.tenant.clone().unwrap_or_else(|| ingest.tenant.clone()),
            self.collection.clone().unwrap_or_else(|| ingest.collection.clone()),
        ))
    }
}
