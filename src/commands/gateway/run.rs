//! `kf gateway run`: serves users until a signal ends it.

use super::{target_of, token_of};
use crate::base::error::{Context, Result};
use crate::base::exit::Exit;
use crate::base::format::Format;
use crate::base::name::Name;
use crate::base::time::Timestamp;
use crate::base::version::Version;
use crate::cli::cx::Cx;
use crate::cli::out::sentences;
use crate::cli::report::{Block, Report};
use crate::commands::health::probes_of;
use crate::config::{GatewayTarget, SecretRef, Serves, Target, env};
use crate::domain::flag::{self, Flag};
use crate::domain::registry::table;
use crate::gateway::configured::{Given, settings};
use crate::gateway::files::fetch;
use crate::gateway::run::{Desk, Event, Setup, run as serve};
use crate::release::health::Probe;
use crate::seams::traffic::Arm;
use crate::store::Mode;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Serve users: start the versions of a model and split the requests between them, until Ctrl-C
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf gateway run\n  kf gateway run --target local --format jsonl     one JSON object a line for everything that happens\n  kf gateway run --dry-run                         what it would serve, and where\n\nIt goes on with the weights that it had when it ended; the first time it serves what is in production. docs/gateway.md\ntells of the admin interface and of systemd."
)]
pub(crate) struct Args {
    /// The target of mlops.toml; not needed when there is one of kind `gateway`
    #[arg(long, value_name = "NAME")]
    target: Option<Name>,
}

/// What a dry run says.
#[derive(Serialize)]
struct Plan {
    target: Name,
    model: Name,
    listen: String,
    admin: String,
    production: Option<Version>,
    command: Option<Vec<String>>,
    url: Option<String>,
}

impl Report for Plan {
    const SCHEMA: &'static str = "kf.gateway-run/1";

    fn blocks(&self) -> Vec<Block> {
        sentences([self.summary()])
    }

    fn summary(&self) -> String {
        let Self { target, model, listen, production, .. } = self;
        let what = match production {
            Some(version) => format!("{model} {version}"),
            None => format!("{model}, of which no version is in production"),
        };
        format!("the gateway {target} would serve http://{listen}: {what}")
    }
}

/// The thread of the command: it has the state and the screen.
struct Screen<'a> {
    cx: &'a Cx,
    model: &'a Name,
}

#[derive(Serialize)]
struct Line<'a> {
    schema: &'static str,
    at: Timestamp,
    #[serde(flatten)]
    event: &'a Event,
}

impl Desk for Screen<'_> {
    fn production(&self) -> Result<Option<Arm>> {
        let store = self.cx.store(Mode::Read)?;
        let found = store.read(|view| match table::find_model(view, self.model)? {
            Some(model) => table::in_production(view, model.id),
            None => Ok(None),
        })?;
        Ok(found.map(|row| Arm { version: row.version, digest: row.digest }))
    }

    fn files(&self, runs: &Path, arm: &Arm) -> Result<PathBuf> {
        fetch(runs, self.model, arm, &self.cx.store(Mode::Read)?, &self.cx.objects()?)
    }

    fn flags(&self, tenant: &Name) -> Result<Vec<Flag>> {
        self.cx.store(Mode::Read)?.read(|view| flag::table::all(view, tenant))
    }

    fn probes(&self) -> Vec<Probe> {
        probes_of(self.cx).unwrap_or_default()
    }

    fn tell(&self, event: &Event) -> Result<()> {
        let out = &self.cx.out;
        if out.streams() {
            return out.stream(&Line { schema: "kf.gateway-event/1", at: self.cx.clock.now(), event });
        }
        match event {
            Event::Ready { .. } if !out.quiet => return out.print(&format!("{}\n", event.words())),
            _ if event.is_trouble() => self.cx.warn(&event.words()),
            _ => out.note(&event.words()),
        }
        Ok(())
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let (target, gateway) = target_of(cx, args.target.as_ref())?;
    let screen = Screen { cx, model: &target.model };
    if cx.global.dry_run {
        let production = screen.production()?;
        let (command, url) = match &gateway.serves {
            Serves::Command(argv) => (Some(argv.clone()), None),
            Serves::Url(address) => {
                let one = |arm: &Arm| address.at(&target.model, arm.version);
                (None, production.as_ref().map(one))
            }
        };
        return cx.out.emit(&Plan {
            target: target.name.clone(),
            model: target.model.clone(),
            listen: gateway.listen.to_string(),
            admin: gateway.admin.to_string(),
            production: production.map(|arm| arm.version),
            command,
            url,
        });
    }
    cx.only_formats("what happens to a gateway", &[Format::Table, Format::Jsonl])?;
    serve(setup(cx, target, gateway)?, &screen)?;
    Ok(Exit::Ok)
}

fn setup(cx: &Cx, target: &Target, gateway: &GatewayTarget) -> Result<Setup> {
    let root = cx.project()?.root.clone();
    let file = |path: &String| std::fs::read(root.join(path)).context(|| format!("cannot read {path}"));
    let rules = &gateway.proxy;
    let tls = rules.tls.as_ref().map(|(certificate, key)| Ok((file(certificate)?, cx.secret(key)?))).transpose()?;
    let authorities = rules.upstream_ca.as_ref().map(file).transpose()?;
    Ok(Setup {
        settings: settings(rules, &target.ready, Given { tls, authorities }),
        token: token_of(cx, gateway)?,
        dir: cx.kf_dir()?.join("gateway"),
        kf: std::env::current_exe().context(|| "cannot find the program that runs")?,
        hidden: hidden(cx, gateway)?,
        tenant: cx.project()?.project.ingest.tenant.clone(),
        health: cx.project()?.project.health.timeout,
        target: target.clone(),
        gateway: gateway.clone(),
        root,
    })
}

/// The variables that hold secrets of kf, which are no business of the programs that it starts.
fn hidden(cx: &Cx, gateway: &GatewayTarget) -> Result<Vec<String>> {
    let tls = gateway.proxy.tls.as_ref().map(|(_, key)| key);
    let all = [gateway.admin_token.as_ref(), tls, cx.project()?.project.signing.log_key.as_ref()];
    let named = all.into_iter().flatten().filter_map(|secret| match secret {
        SecretRef::Env(name) => Some(name.clone()),
        SecretRef::File(_) => None,
    });
    Ok(named.chain([env::KF_LOG_KEY.to_owned()]).collect())
}
