//! `kf gateway`: a reverse proxy that splits the requests of a model between two of its versions.

mod run;
mod status;

use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::text::did_you_mean;
use crate::cli::cx::Cx;
use crate::config::{GatewayTarget, Secret, Target};

/// Split the requests of a model between two of its versions, on this machine
#[derive(clap::Subcommand, Debug)]
#[command(
    after_long_help = "Examples:\n  kf gateway run                       serve what is in production, until Ctrl-C\n  kf gateway run --target local --format jsonl\n  kf gateway status"
)]
pub(crate) enum Command {
    Run(run::Args),
    Status(status::Args),
}

impl Command {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        match self {
            Self::Run(args) => run::run(cx, args),
            Self::Status(args) => status::run(cx, args),
        }
    }
}

/// The target of kind gateway that is named, or the only one.
///
/// # Errors
/// When there is none, or several and none is named.
fn target_of<'a>(cx: &'a Cx, named: Option<&Name>) -> Result<(&'a Target, &'a GatewayTarget)> {
    let project = &cx.project()?.project;
    let all: Vec<_> = project.target.iter().filter_map(|target| Some((target, target.gateway()?))).collect();
    let names = || all.iter().map(|(target, _)| target.name.as_str());
    let add = "add `[target.local]` with `command = [\"python3\", \"serve.py\"]` to mlops.toml; docs/gateway.md";
    match (named, all.as_slice()) {
        (Some(name), _) => match all.iter().find(|(target, _)| target.name == *name) {
            Some(found) => Ok(*found),
            None => {
                let hint = did_you_mean(name.as_str(), names()).unwrap_or_else(|| add.to_owned());
                Err(Error::usage(format!("there is no `[target.{name}]` of kind `gateway`")).hint(hint))
            }
        },
        (None, [only]) => Ok(*only),
        (None, []) => Err(Error::usage("mlops.toml has no target of kind `gateway`").hint(add)),
        (None, _) => {
            let names = names().collect::<Vec<_>>().join(", ");
            Err(Error::usage(format!("there are several gateways: {names}")).hint("say which one with `--target NAME`"))
        }
    }
}

/// What whoever asks a gateway must show.
fn token_of(cx: &Cx, gateway: &GatewayTarget) -> Result<Option<Secret>> {
    gateway.admin_token.as_ref().map(|token| cx.secret(token)).transpose()
}
