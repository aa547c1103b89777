//! Whether what splits traffic answers: a part `target_NAME` for each `[target.NAME]`, unless `[health.checks.target_NAME]` says what
//! to ask in its place.
//!
//! A cluster is asked only so: starting `kubectl` and asking an API server may take seconds.

use super::{Ask, Probe, Surroundings, failing};
use crate::adapters::gateway::Gateway;
use crate::adapters::{probe, servers};
use crate::base::error::{Error, Result};
use crate::base::name::Name;
use crate::base::random::Random;
use crate::config::{GatewayTarget, KubernetesTarget, Splitter, Target};
use crate::domain::monitor::health::{Found, Standing};
use crate::seams::routes;
use crate::seams::traffic::Fault;

/// One for each target.
pub fn targets(around: &Surroundings<'_>) -> Vec<Probe> {
    let named = |name: &str| around.project.health.checks.iter().any(|check| check.name.as_str() == name);
    let all = around.project.target.iter().map(|target| (format!("target_{}", target.name), target));
    all.filter(|(name, _)| !named(name)).map(|(name, target)| probe_of(around, name, target)).collect()
}

fn probe_of(around: &Surroundings<'_>, name: String, target: &Target) -> Probe {
    let timeout = around.project.health.timeout.min(target.timeout);
    let ask: Result<Ask> = match &target.splitter {
        Splitter::Gateway(settings) => gateway(around, target, settings),
        Splitter::Nginx(nginx) => {
            let (name, door) = (target.name.clone(), nginx.behind.probe.clone());
            Ok(Box::new(move || servers::answers(name, &door, timeout)))
        }
        Splitter::Envoy(envoy) => {
            let admin = envoy.admin;
            Ok(Box::new(move || probe::address(&format!("http://{admin}/ready"), None, timeout)))
        }
        Splitter::Kubernetes(cluster) => return Probe { ask: Err(unasked(&name, cluster)), name },
    };
    let ask = ask.map_err(|e| failing(&name, &e));
    Probe { name, ask }
}

fn gateway(around: &Surroundings<'_>, target: &Target, settings: &GatewayTarget) -> Result<Ask> {
    let token = settings.admin_token.as_ref().map(around.secret).transpose()?;
    let (gateway, model, name) =
        (Gateway::new(target, settings, token, Random::System)?, target.model.clone(), target.name.clone());
    Ok(Box::new(move || {
        let asked = || Ok((gateway.shown()?, gateway.versions()?));
        let (shown, versions) = asked().map_err(|fault| down(fault, &name))?;
        let Some(stable) = shown.table.routes().stable else {
            return Ok(format!("the {gateway} answers and serves nothing yet"));
        };
        match versions.iter().any(|v| v.version == stable && v.standing == routes::Standing::Ready) {
            true => Ok(format!("the {gateway} serves {model}@{stable}")),
            false => Err(Error::new(format!("the {gateway} answers, but {model}@{stable} does not"))
                .hint(format!("`kf gateway status --target {name}` says why"))),
        }
    }))
}

/// Why a gateway cannot be asked, and that it may not run.
fn down(fault: Fault, name: &Name) -> Error {
    match fault {
        Fault::Refused(e) => e,
        Fault::Conflict(e) | Fault::Unclear(e) => {
            Error::new(e.chain().join(": ")).hint(format!("`kf gateway run --target {name}` starts it"))
        }
    }
}

fn unasked(name: &str, cluster: &KubernetesTarget) -> Found {
    let asks = cluster.kubectl.iter().map(String::as_str).chain(["--context", &cluster.context, "get", "--raw", "/readyz"]);
    let asks = asks.map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ");
    Found {
        name: name.to_owned(),
        standing: Standing::Unasked,
        told: "its cluster is not asked: that may take seconds".to_owned(),
        hint: Some(format!("`[health.checks.{name}]` with `command = [{asks}]` asks it")),
    }
}
