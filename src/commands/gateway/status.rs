//! `kf gateway status`: what a running gateway does.

use super::{target_of, token_of};
use crate::adapters::gateway::Gateway;
use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::random::Random;
use crate::base::table::Table;
use crate::base::time::Timestamp;
use crate::base::version::Version;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::seams::routes::{Answering, Blown, Counted, Shown, Standing, Took};
use crate::seams::traffic::Fault;
use serde::Serialize;
use std::collections::BTreeMap;

/// Show what a running gateway serves, and what became of the requests
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf gateway status\n  kf gateway status --target local --format json\n\nExit code 3 when the gateway does not run or its version does not answer."
)]
pub(crate) struct Args {
    /// The target of mlops.toml; not needed when there is one of kind `gateway`
    #[arg(long, value_name = "NAME")]
    target: Option<Name>,
}

#[derive(Serialize)]
struct Status {
    target: Name,
    model: Name,
    listen: String,
    admin: String,
    /// Why it cannot be asked; `null` when it answers.
    down: Option<String>,
    generation: Option<u64>,
    stable: Option<Version>,
    canary: Option<Version>,
    /// As the table has it.
    percent: f64,
    /// As it is: none after the fuse has blown.
    effective_percent: f64,
    shadow_percent: f64,
    fuse: Option<Fuse>,
    versions: Vec<VersionStatus>,
}

#[derive(Serialize)]
struct Fuse {
    at: Timestamp,
    why: String,
}

/// One version: how it stands, and what was counted of it since the gateway began.
#[derive(Serialize)]
struct VersionStatus {
    version: Version,
    standing: Option<Standing>,
    endpoint: Option<String>,
    why: Option<String>,
    crashes: u64,
    requests: u64,
    errors: u64,
    aborted: u64,
    active: u64,
    /// Upper ends of the buckets that they lie in.
    p50_seconds: Option<f64>,
    p95_seconds: Option<f64>,
    p99_seconds: Option<f64>,
}

impl Report for Status {
    const SCHEMA: &'static str = "kf.gateway-status/1";

    fn blocks(&self) -> Vec<Block> {
        if self.down.is_some() {
            return vec![self.summary().into()];
        }
        let mut lines = vec![self.summary()];
        if let Some(fuse) = &self.fuse {
            lines.push(format!("fuse    blown at {}: {}", fuse.at, fuse.why));
        }
        lines.extend(self.versions.iter().filter_map(|v| Some(format!("{:<7} {}", v.version.to_string(), v.why.as_ref()?))));
        let mut t = Table::new(&["version", "part", "is", ">requests", ">errors", ">p50", ">p95", ">p99", "endpoint"]);
        for v in &self.versions {
            let standing = v.standing.map_or("gone", Standing::word);
            let took = |seconds: Option<f64>| seconds.map(|s| format!("{:.0} ms", s * 1000.0)).unwrap_or_default();
            t.row([
                v.version.to_string(),
                self.part(v.version),
                standing.to_owned(),
                v.requests.to_string(),
                v.errors.to_string(),
                took(v.p50_seconds),
                took(v.p95_seconds),
                took(v.p99_seconds),
                v.endpoint.clone().unwrap_or_default(),
            ]);
        }
        vec![lines.join("\n").into(), t.into()]
    }

    fn summary(&self) -> String {
        let Self { target, model, listen, .. } = self;
        if let Some(why) = &self.down {
            return format!("the gateway {target} does not answer: {why}");
        }
        let generation = self.generation.unwrap_or_default();
        format!("gateway {target} serves {model} at http://{listen}, table {generation}")
    }

    fn exit(&self) -> Exit {
        let serves = |v: &VersionStatus| Some(v.version) == self.stable && v.standing == Some(Standing::Ready);
        if self.down.is_none() && self.versions.iter().any(serves) { Exit::Ok } else { Exit::No }
    }
}

impl Status {
    /// What a version gets, for people.
    fn part(&self, version: Version) -> String {
        let shadow = if self.shadow_percent > 0.0 { format!(", copies of {} %", self.shadow_percent) } else { String::new() };
        match (Some(version) == self.stable, Some(version) == self.canary) {
            (true, _) => format!("{} %", 100.0 - self.effective_percent),
            (_, true) => format!("{} %{shadow}", self.effective_percent),
            _ => "–".to_owned(),
        }
    }

    fn down(mut self, why: &Error) -> Self {
        self.down = Some(why.to_string());
        self
    }

    fn asked(mut self, shown: Shown, versions: &[Answering], counted: &BTreeMap<Version, Counted>) -> Self {
        let routes = shown.table.routes();
        (self.generation, self.stable, self.canary) = (Some(shown.table.generation), routes.stable, routes.canary);
        (self.percent, self.shadow_percent) = (routes.weight.percent(), routes.shadow.percent());
        self.effective_percent = shown.effective.percent();
        self.fuse = shown.fuse.map(|Blown { at, why }| Fuse { at, why });
        let mut all: BTreeMap<Version, VersionStatus> =
            counted.iter().map(|(version, counted)| (*version, VersionStatus::of(*version, counted))).collect();
        for answering in versions {
            let status =
                all.entry(answering.version).or_insert_with(|| VersionStatus::of(answering.version, &Counted::default()));
            let Answering { standing, endpoint, why, crashes, .. } = answering.clone();
            (status.standing, status.endpoint, status.why, status.crashes) = (Some(standing), endpoint, why, crashes);
        }
        self.versions = all.into_values().collect();
        self
    }
}

impl VersionStatus {
    fn of(version: Version, counted: &Counted) -> Self {
        let at = |share: f64| quantile(&counted.latency, share);
        Self {
            version,
            standing: None,
            endpoint: None,
            why: None,
            crashes: 0,
            requests: counted.requests,
            errors: counted.errors,
            aborted: counted.aborted,
            active: counted.active,
            p50_seconds: at(0.5),
            p95_seconds: at(0.95),
            p99_seconds: at(0.99),
        }
    }
}

/// The upper end of the bucket in which the value lies that this share of all does not exceed: the smallest rank that is at
/// least the share of n (definition 1 of Hyndman and Fan 1996); `None` of nothing, and in a bucket without an end.
fn quantile(buckets: &[Took], share: f64) -> Option<f64> {
    let n: u64 = buckets.iter().map(|(_, _, n)| n).sum();
    let rank = (n as f64 * share).ceil().max(1.0);
    let mut below = 0;
    let found = buckets.iter().find(|(_, _, n)| {
        below += n;
        below as f64 >= rank
    });
    found.and_then(|(_, most, _)| *most)
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let (target, settings) = target_of(cx, args.target.as_ref())?;
    let gateway = Gateway::new(target, settings, token_of(cx, settings)?, Random::System)?;
    let status = Status {
        target: target.name.clone(),
        model: target.model.clone(),
        listen: settings.listen.to_string(),
        admin: settings.admin.to_string(),
        down: None,
        generation: None,
        stable: None,
        canary: None,
        percent: 0.0,
        effective_percent: 0.0,
        shadow_percent: 0.0,
        fuse: None,
        versions: Vec::new(),
    };
    let asked = || Ok((gateway.shown()?, gateway.versions()?, gateway.counters()?));
    let status = match asked() {
        Ok((shown, versions, counters)) => status.asked(shown, &versions, &counters.arms),
        Err(Fault::Unclear(e)) => status.down(&e),
        Err(fault) => return Err(fault.into_error()),
    };
    cx.out.emit(&status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_end_of_the_bucket_that_holds_its_rank() {
        let buckets = [(0.0, Some(0.1), 50), (0.1, Some(0.2), 45), (0.3, Some(0.4), 4), (0.4, None, 1)];
        let at = |share| quantile(&buckets, share);
        assert_eq!([at(0.5), at(0.501), at(0.95), at(0.951), at(0.99)], [Some(0.1), Some(0.2), Some(0.2), Some(0.4), Some(0.4)]);
        assert_eq!((at(1.0), quantile(&[], 0.5), quantile(&[(0.0, Some(0.1), 0)], 0.5)), (None, None, None));
    }
}
