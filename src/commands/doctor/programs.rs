//! Programs that targets and plans of `mlops.toml` name: whether each is on this machine. None of them is run: what starts a version, or
//! tests one, must not do so because a doctor came by.

use super::{Check, Health};
use crate::adapters::process;
use crate::cli::cx::Cx;
use crate::config::env::PATH;
use crate::config::{Counter, Loaded, Rollout, Serves, Splitter, Target};
use std::ffi::OsStr;
use std::path::Path;

/// Where programs are when nothing says so.
const USUAL: &str = "/usr/local/bin:/bin:/usr/bin";

/// A key and the program with its arguments that it names.
type Named<'a> = (&'static str, &'a [String]);

/// One check for each target, and for each plan that names a program.
pub(super) fn checks(cx: &Cx, loaded: &Loaded) -> Vec<Check> {
    let path = cx.env.os(PATH).unwrap_or(OsStr::new(USUAL));
    let targets = loaded.project.target.iter().map(|target| {
        // A cluster is steered from where kf was started, everything else from the repository.
        let dir = if matches!(target.splitter, Splitter::Kubernetes(_)) { &cx.cwd } else { &loaded.root };
        check(&format!("target.{}", target.name), target.kind().word(), &of_target(target), (dir, path))
    });
    let plans = loaded.project.rollout.iter().map(|plan| (plan, of_plan(plan))).filter(|(_, programs)| !programs.is_empty());
    let plans = plans.map(|(plan, all)| check(&format!("rollout.{}", plan.name), "its programs", &all, (&loaded.root, path)));
    targets.chain(plans).collect()
}

fn of_target(target: &Target) -> Vec<Named<'_>> {
    let behind = match &target.splitter {
        Splitter::Gateway(gateway) => {
            return match &gateway.serves {
                Serves::Command(argv) => vec![("command", argv)],
                Serves::Url(_) => Vec::new(),
            };
        }
        Splitter::Kubernetes(cluster) => return vec![("kubectl", &cluster.kubectl)],
        Splitter::Nginx(nginx) => &nginx.behind,
        Splitter::Envoy(envoy) => &envoy.behind,
    };
    let own: Vec<Named<'_>> = match &target.splitter {
        Splitter::Nginx(nginx) => vec![("test", &nginx.test), ("reload", &nginx.reload)],
        _ => Vec::new(),
    };
    let more = [("start", &behind.start), ("stop", &behind.stop)];
    own.into_iter().chain(more.into_iter().filter_map(|(key, argv)| Some((key, argv.as_deref()?)))).collect()
}

fn of_plan(plan: &Rollout) -> Vec<Named<'_>> {
    let source = match &plan.source.counter {
        Counter::Command { argv, .. } => Some(argv),
        _ => None,
    };
    let all = [("smoke", plan.smoke.as_ref()), ("load", plan.load.as_ref()), ("source.command", source)];
    all.into_iter().filter_map(|(key, argv)| Some((key, argv?.as_slice()))).collect()
}

/// The programs of one table.
fn check(table: &str, kind: &str, programs: &[Named<'_>], (dir, path): (&Path, &OsStr)) -> Check {
    let named = programs.iter().filter_map(|(key, argv)| Some((*key, argv.first()?.as_str())));
    let (there, missing): (Vec<_>, Vec<_>) = named.partition(|(_, program)| process::find(program, dir, path).is_some());
    let words = |all: &[(&str, &str)]| {
        let mut names: Vec<String> = all.iter().map(|(_, program)| format!("`{program}`")).collect();
        names.dedup();
        names.join(", ")
    };
    let Some((key, program)) = missing.first() else {
        let found = if there.is_empty() { "kf runs no program for it".to_owned() } else { format!("{} is here", words(&there)) };
        return Check { what: table.into(), health: Health::Ok, found: format!("{kind}: {found}"), hint: None };
    };
    let hint = if program.contains('/') {
        format!("put it there and make it executable (`chmod +x {program}`), or name another program by `{table}.{key}`")
    } else {
        format!("install `{program}` or add its folder to PATH, or name another program by `{table}.{key}`")
    };
    let found = format!("{kind}: {} cannot be run here", words(&missing));
    Check { what: table.into(), health: Health::Broken, found, hint: Some(hint) }
}
