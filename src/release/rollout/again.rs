//! Starting a rollout again that was taken back or failed, while it would still be the same one; and what to type to release a version
//! as things stand.
//!
//! What a rollout holds its version against was frozen at its start. When something else is in production by now, or the version is
//! archived, it could only stand still, or take users back to what nobody wants any more: then it is refused, with what to type instead.

use super::{order, plan};
use crate::base::error::{Error, Result};
use crate::base::name::{Name, Stage};
use crate::base::version::Version;
use crate::config::Project;
use crate::domain::registry::table::{self as registry, VersionRow};
use crate::domain::rollout::machine::Event;
use crate::domain::rollout::record::Because;
use crate::domain::rollout::setup::{Setup, Strategy};
use crate::domain::rollout::table::{self, Rollout};
use crate::store::{Store, View};

/// Why a rollout cannot be started again as things stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    /// Why.
    pub why: String,
    /// What to type instead, as a sentence.
    pub instead: String,
}

/// Starts a rollout again from its first step; gives it as it stands then, and whether it changed.
///
/// # Errors
/// When it is stale or has not ended, and when the state of the repository cannot be written.
pub fn again(store: &Store, project: &Project, uid: &str, because: Because<'_>) -> Result<(Rollout, bool)> {
    store.write(|tx| {
        let view = tx.view();
        let ended = table::find(view, uid)?.filter(|of| of.state.phase.ended());
        if let Some(of) = &ended
            && let Some(Stale { why, instead }) = stale(view, project, of)?
        {
            let what = format!("the rollout of {} cannot be started again: {why}", of.setup.reference());
            return Err(Error::new(what).hint(instead));
        }
        order::take(tx, uid, &Event::Retry, because)
    })
}

/// Why a rollout that has ended cannot be started again; `None` when it can.
///
/// # Errors
/// When the state cannot be read.
pub fn stale(view: View<'_>, project: &Project, of: &Rollout) -> Result<Option<Stale>> {
    let setup = &of.setup;
    let (reference, model, is_back) = (setup.reference(), &setup.model, setup.strategy == Strategy::Rollback);
    let found = |why: String, instead: String| Ok(Some(Stale { why, instead }));
    let same = |r: &Rollout| r.uid != of.uid && r.setup.model == *model && (!is_back || r.setup.target == setup.target);
    if let Some(other) = table::open(view)?.into_iter().find(same) {
        let why = format!("a rollout of {} is under way ({})", other.setup.reference(), other.short());
        return found(why, format!("`kf canary status {}` shows it", other.short()));
    }
    let Some(known) = registry::find_model(view, model)? else { return Ok(None) };
    let version = registry::find_version(view, known.id, setup.canary.version)?;
    let now = registry::in_production(view, known.id)?.map(|v| v.version);
    if let Some(purged) = version.as_ref().and_then(|v| v.purged) {
        let why = format!("its files were removed on {}, after its retention", purged.day());
        return found(why, format!("register them again, or choose another version: `kf list {model}`"));
    }
    if is_back && project.target(setup.target.as_str()).is_some() {
        let fits = now == Some(setup.canary.version) || now == stable(setup);
        let on = target(project, model, Some(&setup.target));
        let instead = format!("`kf rollback {model} --to {}{on}` goes back from what is there now", setup.canary.version);
        return if fits { Ok(None) } else { found(moved(setup, now), instead) };
    }
    let instead = || {
        let like = Like { strategy: setup.strategy, target: Some(&setup.target), plan: Some(&setup.named) };
        format!("{} begins a new one", typed(project, (model, &reference), version.as_ref().map(|v| v.stage), like))
    };
    if project.target(setup.target.as_str()).is_none() {
        let why = format!("mlops.toml has no `[target.{}]` any more", setup.target);
        return found(why, if is_back { "put it back: a rollout goes on where it began".to_owned() } else { instead() });
    }
    if version.as_ref().is_some_and(|v| v.stage == Stage::Archived) {
        return found(format!("{reference} is archived"), instead());
    }
    match now {
        now if setup.staged && now == Some(setup.canary.version) => Ok(None),
        now if !setup.staged && now == stable(setup) => Ok(None),
        Some(now) if now == setup.canary.version => {
            found(format!("{reference} is in production by now"), format!("`kf history {model}` shows how it got there"))
        }
        now => found(moved(setup, now), instead()),
    }
}

fn stable(setup: &Setup) -> Option<Version> {
    setup.stable.as_ref().map(|arm| arm.version)
}

/// That something else is in production than when a rollout began.
fn moved(setup: &Setup, now: Option<Version>) -> String {
    let word = |version: Option<Version>| version.map_or("nothing".to_owned(), |v| format!("{}@{v}", setup.model));
    let before = if setup.staged { Some(setup.canary.version) } else { stable(setup) };
    format!("when it began {} was in production, and now {} is", word(before), word(now))
}

/// How a version is to be released, as far as that is known.
#[derive(Clone, Copy, Debug)]
pub struct Like<'a> {
    /// How it takes the place of another.
    pub strategy: Strategy,
    /// Where.
    pub target: Option<&'a Name>,
    /// By which plan.
    pub plan: Option<&'a str>,
}

/// What to type to release a version that stands in this stage: each command works when it is typed as it is shown, but for the
/// ticket that a policy asks for.
pub fn typed(project: &Project, of: (&Name, &str), stage: Option<Stage>, like: Like<'_>) -> String {
    let commands: Vec<String> = commands(project, of, stage, like).iter().map(|command| format!("`{command}`")).collect();
    commands.join(", then ")
}

/// The same, one command after the other.
pub fn commands(project: &Project, (model, reference): (&Name, &str), stage: Option<Stage>, like: Like<'_>) -> Vec<String> {
    let restored = (stage == Some(Stage::Archived)).then(|| format!("kf restore {reference}"));
    let below = matches!(stage, Some(Stage::Archived | Stage::Development));
    let staged = (below && !project.policy.skip_staging)
        .then(|| format!("kf promote {reference} --to staging{}", ticket(project, Stage::Staging)));
    let last = format!("{}{}", begun(project, (model, reference), like), ticket(project, Stage::Production));
    restored.into_iter().chain(staged).chain([last]).collect()
}

/// The ticket without which the policy lets nothing into a stage.
fn ticket(project: &Project, to: Stage) -> &'static str {
    if project.policy.require_ticket.contains(&to) { " --ticket ID" } else { "" }
}

/// The command by which a version is released.
fn begun(project: &Project, (model, reference): (&Name, &str), like: Like<'_>) -> String {
    let named = like.target.filter(|t| project.target.iter().any(|of| of.model == *model && of.name == **t));
    let Some(place) = named.or_else(|| project.target.iter().find(|of| of.model == *model).map(|of| &of.name)) else {
        return format!("kf promote {reference} --to production");
    };
    let command = match like.strategy {
        Strategy::Canary | Strategy::Rollback => format!("kf canary start {reference}"),
        other => format!("kf deploy {reference} --strategy {}", other.word()),
    };
    format!("{command}{}{}", target(project, model, Some(place)), planned(project, place, like.plan))
}

/// Which target is meant, where a model has several.
fn target(project: &Project, model: &Name, named: Option<&Name>) -> String {
    let several = project.target.iter().filter(|of| of.model == *model).count() > 1;
    named.filter(|_| several).map(|named| format!(" --target {named}")).unwrap_or_default()
}

/// Which plan is meant, where another one, or none, would be taken without its name.
fn planned(project: &Project, place: &Name, named: Option<&str>) -> String {
    let usual = plan::configured(project, None, place).ok().map(|said| said.name.to_string());
    let named = named.filter(|named| plan::configured(project, Some(named), place).is_ok());
    let meant = match (usual, named) {
        (Some(usual), Some(named)) if usual != named => Some(named.to_owned()),
        (Some(_), _) => None,
        (None, Some(named)) => Some(named.to_owned()),
        (None, None) => plan::meant(project, place).first().map(|said| said.name.to_string()),
    };
    meant.map(|meant| format!(" --plan {meant}")).unwrap_or_default()
}

/// What to type to release a version of a model that has a target; `None` where it has none.
pub fn with_traffic(project: &Project, version: &VersionRow, on: Option<&str>) -> Option<String> {
    let of_model = |name: &str| project.target(name).filter(|t| t.model == version.name);
    let target = on.and_then(of_model).or_else(|| project.target.iter().find(|t| t.model == version.name))?;
    let like = Like { strategy: Strategy::Canary, target: Some(&target.name), plan: None };
    Some(typed(project, (&version.name, &version.reference()), Some(version.stage), like))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Env, Vocabulary, parse};
    use std::path::Path;

    const ONE: &str =
        "[target.local]\nurl = \"http://bot-{version}.internal:8000\"\nlisten = \"127.0.0.1:3\"\nadmin = \"127.0.0.1:1\"\n";
    const TWO: &str =
        "[target.two]\nurl = \"http://bot-{version}.internal:8000\"\nlisten = \"127.0.0.1:4\"\nadmin = \"127.0.0.1:2\"\n";
    const PLANS: &str = "[rollout.calm]\npreset = \"two-days\"\n[rollout.fast]\npreset = \"four-hours\"\n";

    /// What is typed for a version of the bot that was tried on `local` by the plan `fast`.
    fn shown(more: &str, stage: Stage, strategy: Strategy) -> String {
        let text = format!("[project]\nname = \"shop\"\n[model.bot]\ntype = \"other\"\npath = \"bot\"\n{more}");
        let loaded = parse(&text, Path::new("mlops.toml"), &Env::default(), None, &Vocabulary::default());
        let project = loaded.unwrap_or_else(|e| panic!("{e}")).project;
        let (model, local) = ("bot".parse().expect("a name"), "local".parse().expect("a name"));
        let like = Like { strategy, target: Some(&local), plan: Some("fast") };
        typed(&project, (&model, "bot@1.0.1"), Some(stage), like)
    }

    #[test]
    fn what_is_to_be_typed_names_what_could_be_meant_otherwise() {
        for (more, stage, strategy, expected) in [
            (ONE.to_owned(), Stage::Staging, Strategy::Canary, "`kf canary start bot@1.0.1`"),
            (format!("{ONE}{PLANS}"), Stage::Staging, Strategy::Canary, "`kf canary start bot@1.0.1 --plan fast`"),
            (
                format!("{ONE}{TWO}{PLANS}target = \"two\"\n"),
                Stage::Staging,
                Strategy::BlueGreen,
                "`kf deploy bot@1.0.1 --strategy blue-green --target local --plan fast`",
            ),
            (
                ONE.to_owned(),
                Stage::Archived,
                Strategy::Canary,
                "`kf restore bot@1.0.1`, then `kf promote bot@1.0.1 --to staging`, then `kf canary start bot@1.0.1`",
            ),
            (
                format!("{ONE}[policy]\nskip-staging = true\n"),
                Stage::Archived,
                Strategy::Canary,
                "`kf restore bot@1.0.1`, then `kf canary start bot@1.0.1`",
            ),
            (String::new(), Stage::Staging, Strategy::Canary, "`kf promote bot@1.0.1 --to production`"),
            (
                "[policy]\nrequire-ticket = [\"production\"]\n".to_owned(),
                Stage::Development,
                Strategy::Canary,
                "`kf promote bot@1.0.1 --to staging`, then `kf promote bot@1.0.1 --to production --ticket ID`",
            ),
        ] {
            assert_eq!(shown(&more, stage, strategy), expected, "{more}");
        }
    }
}
