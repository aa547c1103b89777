//! From what `[rollout.<name>]` says to a plan and a policy, and what is wrong with them, in the words of its keys.

use crate::base::error::{Error, Result};
use crate::base::name::Name;
use crate::base::text::did_you_mean;
use crate::config::{CanaryLimit, Judging, Loaded, PlanPreset, Problem, Project, Rollout, Schedule, Undecided, WeightMoved};
use crate::domain::rollout::measure::Frozen;
use crate::domain::rollout::plan::{OnDrift, OnInconclusive, Plan, Step, preset};
use crate::domain::rollout::policy::{self, Check, Mode, Policy, Rule};
use crate::domain::rollout::setup::{Strategy, Tests};
use std::collections::BTreeSet;
use std::time::Duration;

/// The unit of `latency-p95`.
const MILLISECONDS: f64 = 1000.0;
/// How long a shadow lasts where nothing is said, in seconds.
const HOUR: u64 = 3600;
/// The longest window of the judge in the short form, in seconds.
const WINDOW_MAX: u64 = 60;
/// Scores that no gateway counts: without another source they would keep every version waiting.
const JUDGED: [&str; 2] = ["faithfulness", "accuracy"];

/// What is said of rollouts to a target: under the name that is given, a schedule of the specifications too; else of this target,
/// else what is said of no target, else the short form with its defaults.
///
/// # Errors
/// When nothing has this name, or several plans could be meant.
pub fn configured(project: &Project, named: Option<&str>, target: &Name) -> Result<Rollout> {
    let usual = |preset| {
        let name: Name = PlanPreset::word(preset).parse().map_err(|e| Error::new(format!("{e}")))?;
        Ok(Rollout::named(&name, Schedule::Preset(preset)))
    };
    let Some(named) = named else {
        return match meant(project, target).as_slice() {
            [] => usual(PlanPreset::Ramp),
            [only] => Ok((*only).clone()),
            several => {
                let names: Vec<&str> = several.iter().map(|r| r.name.as_str()).collect();
                let hint = format!("say which one with `--plan NAME`, or give one of them `target = \"{target}\"`");
                Err(Error::usage(format!("several plans could be meant for `{target}`: {}", names.join(", "))).hint(hint))
            }
        };
    };
    if let Some(found) = project.rollout(named) {
        return Ok(found.clone());
    }
    if let Ok(preset) = named.parse() {
        return usual(preset);
    }
    let known = project.rollout.iter().map(|r| r.name.as_str()).chain(PlanPreset::ALL.iter().map(|p| p.word()));
    let known: Vec<&str> = known.collect();
    let hint = did_you_mean(named, known.iter().copied());
    Err(Error::usage(format!("there is no plan `{}`", crate::base::text::visible(named, 60)))
        .hint(hint.unwrap_or_else(|| format!("add `[rollout.NAME]` to mlops.toml, or take one of: {}", known.join(", ")))))
}

/// The plans that could be meant for a target: its own, else those of no target.
pub(super) fn meant<'p>(project: &'p Project, target: &Name) -> Vec<&'p Rollout> {
    let of = |target: Option<&Name>| project.rollout.iter().filter(|r| r.target.as_ref() == target).collect::<Vec<_>>();
    let own = of(Some(target));
    if own.is_empty() { of(None) } else { own }
}

/// Who is told of a way back on a target, which needs no plan: all of those of the plans that could be meant.
pub(super) fn alerts(project: &Project, target: &Name) -> Vec<Name> {
    let all: BTreeSet<&Name> = meant(project, target).into_iter().flat_map(|r| &r.alerts).collect();
    all.into_iter().cloned().collect()
}

/// The plan that is said, faults and all.
fn written(said: &Rollout) -> Option<Plan> {
    let seconds = |d: Duration| d.as_secs();
    let window = said.window.map(seconds);
    let mut plan = match &said.schedule {
        Schedule::Preset(named) => preset(named.word())?,
        Schedule::Ramp { initial, step, max } => {
            let (hold, longest) = (window.unwrap_or(15 * 60), said.max_duration.map_or(4 * 3600, seconds));
            let plan = Plan::ramp(initial.percent(), step.percent(), max.percent(), hold, longest)?;
            return Some(tested(with(Plan { window: hold.min(WINDOW_MAX), ..plan }, said), said));
        }
        Schedule::Steps(steps) => {
            let step = |s: &crate::config::RolloutStep| Step {
                weight: s.weight,
                hold: s.hold.as_secs(),
                analysis: s.analysis,
                approval: s.approval,
                smoke: s.smoke,
                load: s.load,
            };
            let held: u64 = steps.iter().map(|s| s.hold.as_secs()).fold(0, u64::saturating_add);
            // Steps that hold for nothing wait for the judge, which takes its time.
            let max_duration = held.saturating_mul(2).max(3600);
            Plan { steps: steps.iter().map(step).collect(), max_duration, ..Plan::at_once() }
        }
    };
    plan.window = window.unwrap_or(plan.window);
    plan.max_duration = said.max_duration.map_or(plan.max_duration, seconds);
    Some(tested(with(plan, said), said))
}

/// The plan with what every schedule has.
fn with(plan: Plan, said: &Rollout) -> Plan {
    let on_inconclusive = match said.on_inconclusive {
        Undecided::Hold => OnInconclusive::Hold,
        Undecided::Rollback => OnInconclusive::RollBack,
    };
    let on_drift = match said.on_drift {
        WeightMoved::Hold => OnDrift::Hold,
        WeightMoved::Reassert => OnDrift::Reassert,
        WeightMoved::Abort => OnDrift::Abort,
    };
    Plan { monitor: said.monitor.as_secs(), errors: u64::from(said.errors), on_inconclusive, on_drift, ..plan }
}

/// The plan whose first step runs the tests that there are, but for those of which steps say themselves before which they run.
fn tested(mut plan: Plan, said: &Rollout) -> Plan {
    let smoke = said.smoke.is_some() && !plan.steps.iter().any(|s| s.smoke);
    let load = said.load.is_some() && !plan.steps.iter().any(|s| s.load);
    if let Some(first) = plan.steps.first_mut() {
        first.smoke = (first.smoke && said.smoke.is_some()) || smoke;
        first.load = (first.load && said.load.is_some()) || load;
    }
    plan
}

/// What is said of a shadow: how much is copied, and for how long.
fn copies(said: &Rollout) -> Plan {
    let whole = said.max_duration.map(|d| d.as_secs());
    let hold = said.shadow_hold.map_or_else(|| whole.unwrap_or(HOUR).min(HOUR), |d| d.as_secs());
    let mut plan = with(Plan::shadow(said.shadow, hold), said);
    // In the short form a window is a whole step of the canary.
    let window = said.window.map_or(plan.window, |d| d.as_secs());
    plan.window = if matches!(said.schedule, Schedule::Steps(_)) { window } else { window.min(WINDOW_MAX) };
    plan.max_duration = whole.unwrap_or(plan.max_duration);
    tested(plan, said)
}

/// A plan without steps that are written. It is judged only by what comes after its switch, so its windows are short enough for that.
fn switch(plan: Plan, said: &Rollout) -> Plan {
    let plan = tested(with(plan, said), said);
    let window = said.window.map_or(plan.window, |w| w.as_secs()).min(WINDOW_MAX);
    let plan = Plan { window, ..plan };
    Plan { window: plan.window_in(true), ..plan }
}

/// Everything that is wrong with what is said of rollouts, for [`Loaded::report`].
pub fn problems(project: &Project) -> Vec<Problem> {
    project.rollout.iter().flat_map(faults).collect()
}

/// Refuses a rollout of which something wrong is said.
///
/// # Errors
/// With all that is wrong, underlined.
pub fn report(loaded: &Loaded, said: &Rollout) -> Result<()> {
    loaded.report(&faults(said))
}

fn faults(said: &Rollout) -> Vec<Problem> {
    let problem = |key: String, message: &str, hint: &str| Problem {
        key: format!("rollout.{}.{key}", said.name),
        word: None,
        message: message.to_owned(),
        hint: Some(hint.to_owned()),
    };
    let Some(plan) = written(said) else {
        let message = "the weight rises in steps above 0 from `initial` to `max`";
        return vec![problem("initial".to_owned(), message, "write `initial = 5`, `step = 10`, `max = 50`")];
    };
    let of_plan = plan.faults().into_iter().map(|(at, why)| {
        let step = at.strip_prefix("step ").map(|n| format!("steps.{n}"));
        let rise = "steps rise from a weight above 0 to 100, such as 5, 20, 100";
        let hint = if at == "monitor" { "write `3s` or more; `0s` watches nothing" } else { rise };
        problem(step.unwrap_or(at), why, hint)
    });
    let of_shadow = copies(said).faults().into_iter().map(|(at, why)| {
        let key = if at.starts_with("step") { "shadow".to_owned() } else { at };
        problem(key, why, "`shadow` is the percentage of requests that are copied, `shadow-hold` how long that lasts")
    });
    // What a baseline would say of costs and durations is not known before a rollout starts.
    let policy = policy(said, &Frozen::default(), Scores::There).0;
    let of_policy = policy.faults().into_iter().map(|(at, why)| {
        let limit = policy.checks.iter().any(|c| c.name == at);
        let (key, hint) = if limit { (format!("limits.{at}"), "a limit is a number, or false") } else { (at, "change it") };
        problem(if key == "checks" { "limits".to_owned() } else { key }, why, hint)
    });
    let mut all: Vec<Problem> = of_plan.collect();
    for found in of_shadow {
        // What both plans have is told once.
        if all.iter().all(|told| told.key != found.key) {
            all.push(found);
        }
    }
    all.into_iter().chain(of_policy).collect()
}

/// The plan of a strategy.
///
/// # Errors
/// When what is said is none.
pub fn plan(said: &Rollout, strategy: Strategy) -> Result<Plan> {
    let plan = match strategy {
        Strategy::Canary => written(said),
        Strategy::BlueGreen => Some(switch(Plan::blue_green(false), said)),
        Strategy::AllAtOnce | Strategy::Rollback => Some(switch(Plan::at_once(), said)),
        Strategy::Shadow => Some(copies(said)),
    };
    plan.filter(|plan| plan.faults().is_empty())
        .ok_or_else(|| Error::usage(format!("`[rollout.{}]` is no plan", said.name)).hint("`kf config check` says what is wrong"))
}

/// The tests that are said.
pub fn tests(said: &Rollout) -> Tests {
    Tests {
        smoke: said.smoke.clone(),
        load: said.load.clone(),
        requests: said.load_requests,
        timeout: said.test_timeout.as_secs(),
    }
}

/// Judged answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scores {
    /// The source of metrics has some, or evaluations are recorded.
    There,
    /// It has none; a limit whose number is written waits for them.
    Missing,
    /// There can be none, because nobody gets the answers of a shadow.
    OfNobody,
}

/// What a canary is held to, and the limits that are not judged with the reason.
pub fn policy(said: &Rollout, frozen: &Frozen, scores: Scores) -> (Policy, Vec<String>) {
    let mut unjudged = Vec::new();
    let mut checks = Vec::new();
    let number = |name: &str| said.limits.iter().find(|(limit, _)| *limit == name).map(|(_, at)| *at);
    for check in policy::limits() {
        let given = number(&check.name);
        if given == Some(CanaryLimit::Off) {
            unjudged.push(format!("{}: switched off", check.name));
            continue;
        }
        let lacking = match scores {
            _ if !JUDGED.contains(&check.name.as_str()) => None,
            Scores::Missing if given.is_none() => Some("the source of metrics has no judged answers"),
            Scores::OfNobody => Some("no user gets the answers of a shadow"),
            Scores::There | Scores::Missing => None,
        };
        if let Some(why) = lacking {
            unjudged.push(format!("{}: {why}", check.name));
            continue;
        }
        let beside = frozen.beside.contains_key(&check.metric);
        if matches!(check.name.as_str(), "latency-ratio" | "latency-degradation")
            && !beside
            && !frozen.seconds.contains_key(&check.metric)
        {
            unjudged.push(format!("{}: too few durations of the stable version were there at the start", check.name));
            continue;
        }
        let check = with_number(check, given, said);
        checks.push(if beside { policy::beside(check) } else { check });
    }
    if let Some(CanaryLimit::At(factor)) = number("cost") {
        match frozen.costs.iter().next() {
            Some((metric, baseline)) => {
                let cost = policy::cost(metric, *baseline);
                let range = (baseline / policy::COST_SPAN, baseline * policy::COST_SPAN);
                checks.push(Check { rule: Rule::Cost { factor, range }, ..cost });
            }
            None => unjudged.push("cost: no costs of the stable version were there at the start".to_owned()),
        }
    }
    let mode = match said.mode {
        Judging::Evidence => Mode::Evidence,
        Judging::Threshold => Mode::Threshold,
    };
    (Policy { mode, checks, ..Policy::default() }, unjudged)
}

/// The check with its numbers.
fn with_number(check: Check, given: Option<CanaryLimit>, said: &Rollout) -> Check {
    let judged = matches!(check.rule, Rule::Mean { .. } | Rule::Drop { .. });
    let least = u64::from(if judged { said.min_judged } else { said.min_requests });
    // What asks for more than others by itself is only lowered by whoever lowers all.
    let usual = if judged { policy::MIN_JUDGED } else { policy::MIN_REQUESTS };
    let min = if least == usual { check.min } else { least };
    let Some(CanaryLimit::At(number)) = given else { return Check { min, ..check } };
    let rule = match check.rule {
        // Limits on durations count answers over them: the number is in what is frozen.
        Rule::Rate { limit } if check.metric != crate::domain::rollout::measure::ERRORS => Rule::Rate { limit },
        Rule::Rate { .. } => Rule::Rate { limit: number },
        Rule::Ratio { floor, .. } => Rule::Ratio { factor: number, floor },
        Rule::Mean { range, .. } => Rule::Mean { least: number, range },
        Rule::Drop { range, .. } => Rule::Drop { most: number, range },
        rule => rule,
    };
    Check { rule, min, ..check }
}

/// What durations are held against with the numbers that are said, from what they are held against by the specification.
pub fn freeze(said: &Rollout, mut frozen: Frozen) -> Frozen {
    let usual = [("latency-ratio", "slower", 1.5), ("latency-degradation", "degraded", 1.2)];
    for (name, at) in &said.limits {
        let CanaryLimit::At(number) = *at else { continue };
        if *name == "latency-p95" {
            frozen.seconds.insert("slow".to_owned(), number / MILLISECONDS);
        }
        for (_, metric, factor) in usual.iter().filter(|(limit, ..)| limit == name) {
            if let Some(seconds) = frozen.seconds.get_mut(*metric) {
                *seconds *= number / factor;
            }
            if let Some(beside) = frozen.beside.get_mut(*metric) {
                beside.factor = number;
            }
        }
    }
    frozen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::weight::Weight;
    use crate::config::{Env, Vocabulary, parse};
    use crate::domain::rollout::plan::PRESETS;
    use std::path::Path;

    const HEAD: &str = "[project]\nname = \"shop\"\n[model.bot]\ntype = \"other\"\npath = \"bot\"\n[target.local]\nurl = \"http://bot-{version}.internal:8000\"\n";

    fn loaded(rollout: &str) -> Result<Loaded> {
        parse(&format!("{HEAD}{rollout}"), Path::new("mlops.toml"), &Env::default(), None, &Vocabulary::default())
    }

    /// What is said of a wrong plan, by the configuration or by the domain.
    fn said(rollout: &str) -> String {
        let found = loaded(rollout).and_then(|loaded| loaded.report(&problems(&loaded.project)));
        found.expect_err("a problem").to_string()
    }

    fn plan_of(rollout: &str) -> Plan {
        let loaded = loaded(rollout).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(problems(&loaded.project), [], "{rollout}");
        let said = configured(&loaded.project, None, &"local".parse().expect("a name")).expect("a plan");
        plan(&said, Strategy::Canary).expect("a plan")
    }

    /// Where nobody says which plan is meant, none is taken that nobody thought of.
    #[test]
    fn of_several_plans_one_must_be_named() {
        let of = |rollout: &str, named: Option<&str>| {
            let loaded = loaded(rollout).expect("it parses");
            configured(&loaded.project, named, &"local".parse().expect("a name")).map(|plan| plan.name.to_string())
        };
        let (quick, slow) = ("[rollout.quick]\nstep = 30\n", "[rollout.slow]\nstep = 1\nalerts = [\"a\"]\n");
        assert_eq!(of("", None).expect("the usual one"), "ramp");
        assert_eq!(of(quick, None).expect("the only one"), "quick");
        let two = format!("[alerts.a]\nurl = \"env:HOOK\"\n{quick}{slow}");
        let said = of(&two, None).expect_err("two").to_string();
        assert!(said.contains("several plans could be meant for `local`: quick, slow"), "{said}");
        assert_eq!(of(&two, Some("slow")).expect("named"), "slow");
        assert_eq!(of(&format!("{quick}target = \"local\"\n[rollout.slow]\n"), None).expect("its own"), "quick");
        let told = alerts(&loaded(&two).expect("it parses").project, &"local".parse().expect("a name"));
        assert_eq!(told.iter().map(Name::as_str).collect::<Vec<_>>(), ["a"], "the way back tells whoever could be meant");
    }

    #[test]
    fn what_is_wrong_is_underlined_where_it_stands() {
        for (rollout, line, words) in [
            ("[rollout.a]\nsteps = [{ weight = 105 }, { weight = 100 }]\n", 9, "is no part of the traffic: 105 %"),
            (
                "[rollout.a]\nsteps = [{ weight = 20 }, { weight = 5 }, { weight = 100 }]\n",
                9,
                "not above that of the step before",
            ),
            ("[rollout.a]\nsteps = [{ weight = 20 }]\n", 9, "the last step must have a weight of 100"),
            ("[rollout.a]\nsteps = []\n", 9, "has no step"),
            ("[rollout.a]\nsteps = [{ wieght = 20 }, { weight = 100 }]\n", 9, "unknown key `wieght`"),
            ("[rollout.a]\nsteps = [{ hold = \"1h\" }, { weight = 100 }]\n", 9, "has no `weight`"),
            ("[rollout.a]\nsteps = [{ weight = 5, smoke = true }, { weight = 100 }]\n", 9, "asks for a smoke test"),
            ("[rollout.a]\npreset = \"ramp\"\ninitial = 5\n", 9, "says its steps twice"),
            ("[rollout.a]\npreset = \"rampp\"\n", 9, "did you mean `ramp`?"),
            ("[rollout.a]\ninitial = 60\n", 9, "the weight rises in steps"),
            ("[rollout.a]\ntarget = \"locla\"\n", 9, "did you mean `local`?"),
            ("[rollout.a]\nalerts = [\"team\"]\n", 9, "there is no `[alerts.team]`"),
            ("[rollout.a]\nwindow = \"10ms\"\n", 9, "at least a second"),
            ("[rollout.a]\nmonitor = \"2s\"\n", 9, "three windows of at least a second"),
            ("[rollout.a]\nmax-duration = \"1m\"\npreset = \"four-hours\"\n", 9, "hold longer than this"),
            ("[rollout.a.limits]\nerror-rate = 1.5\n", 9, "between 0 and 1"),
            ("[rollout.a.limits]\nerror-rate = true\n", 9, "a number, or false"),
        ] {
            let told = said(rollout);
            assert!(told.contains(words) && told.contains(&format!("mlops.toml:{line}:")), "{rollout}{told}");
        }
    }

    #[test]
    fn each_form_says_what_it_means() {
        for named in PRESETS {
            assert_eq!(Some(plan_of(&format!("[rollout.a]\npreset = \"{named}\"\n"))), preset(named), "{named}");
        }
        assert_eq!(Some(plan_of("")), preset("ramp"), "nothing is the short form with its defaults");
        let short = plan_of("[rollout.a]\ninitial = 10\nstep = 20\nmax = 50\nwindow = \"10s\"\n");
        assert_eq!((short.window, short.steps.len(), short.steps[1].hold), (10, 4, 10));
        let steps = plan_of(
            "[rollout.a]\nsteps = [{ weight = 0, approval = true }, { weight = 2.5, hold = \"1m\" }, { weight = 100 }]\n",
        );
        assert_eq!((steps.steps[0].analysis, steps.steps[0].approval, steps.steps[1].hold), (false, true, 60));
        assert_eq!(steps.steps.last().map(|s| s.weight), Some(Weight::FULL));
    }

    /// The steps of a canary are not those of another strategy, which tests before its first traffic.
    #[test]
    fn a_switch_is_tested_whatever_the_steps_say() {
        let tests = "smoke = [\"true\"]\nload = [\"true\"]\n";
        for schedule in ["", "steps = [{ weight = 5 }, { weight = 100, smoke = true }]\n"] {
            let loaded = loaded(&format!("[rollout.a]\n{schedule}{tests}")).expect("a configuration");
            let said = configured(&loaded.project, None, &"local".parse().expect("a name")).expect("a plan");
            for strategy in [Strategy::BlueGreen, Strategy::AllAtOnce] {
                let tested: Vec<_> = plan(&said, strategy).expect("a plan").steps.iter().map(|s| (s.smoke, s.load)).collect();
                assert!(tested[0] == (true, true) && !tested[1..].contains(&(true, true)), "{schedule}{strategy:?} {tested:?}");
            }
            let canary = plan(&said, Strategy::Canary).expect("a plan");
            let first = canary.steps[0];
            assert_eq!((first.smoke, first.load), (schedule.is_empty(), true), "only the smoke test has a step that names it");
        }
    }

    /// Of a minute each there would be two, and three are needed to take a version back.
    #[test]
    fn the_monitor_after_a_switch_has_room_for_the_judge() {
        for (keys, window) in [
            ("", 60),
            ("window = \"15m\"\n", 60),
            ("window = \"2s\"\n", 2),
            ("monitor = \"2m\"\n", 24),
            ("preset = \"two-days\"\nmonitor = \"3s\"\n", 1),
            ("monitor = \"0s\"\n", 1),
        ] {
            let loaded = loaded(&format!("[rollout.a]\n{keys}")).expect("a configuration");
            let said = configured(&loaded.project, None, &"local".parse().expect("a name")).expect("a plan");
            for strategy in [Strategy::BlueGreen, Strategy::AllAtOnce] {
                assert_eq!(plan(&said, strategy).expect("a plan").window, window, "{keys}{strategy:?}");
            }
        }
    }

    #[test]
    fn a_plan_says_how_much_is_copied_and_for_how_long() {
        let shadow_of = |rollout: &str| {
            let loaded = loaded(rollout).unwrap_or_else(|e| panic!("{e}"));
            let said = configured(&loaded.project, None, &"local".parse().expect("a name")).expect("a plan");
            let plan = plan(&said, Strategy::Shadow).expect("a plan");
            (plan.steps[0].weight.percent(), plan.steps[0].hold, plan.window, plan.max_duration, plan.shadow)
        };
        assert_eq!(shadow_of(""), (10.0, 3600, 60, 7200, true));
        assert_eq!(shadow_of("[rollout.a]\nshadow = 50\nshadow-hold = \"10m\"\n"), (50.0, 600, 60, 1200, true));
        let short = "[rollout.a]\nmax-duration = \"40m\"\nwindow = \"5m\"\nmax = 5\n";
        assert_eq!(shadow_of(short), (10.0, 2400, 60, 2400, true), "a step of the canary is no window, its time is the longest");
        for (rollout, words) in [
            ("[rollout.a]\nshadow = 120\n", "`rollout.a.shadow` is no part of the traffic: 120 %"),
            ("[rollout.a]\nshadow = 0\n", "without traffic there is nothing to judge"),
            ("[rollout.a]\nmax-duration = \"4h\"\nshadow-hold = \"5h\"\n", "hold longer than this"),
        ] {
            let told = said(rollout);
            assert!(told.contains(words) && told.contains("mlops.toml:"), "{rollout}{told}");
        }
    }

    /// A number that is written for a canary keeps no shadow waiting for scores that nobody gives.
    #[test]
    fn users_answers_are_not_waited_for_where_nobody_gets_any() {
        let loaded = loaded("[rollout.a.limits]\nfaithfulness = 0.8\naccuracy = false\n").expect("a configuration");
        let (policy, unjudged) = policy(&loaded.project.rollout[0], &Frozen::default(), Scores::OfNobody);
        assert!(policy.checks.iter().all(|c| !JUDGED.contains(&c.name.as_str())), "{policy:?}");
        assert!(unjudged.contains(&"faithfulness: no user gets the answers of a shadow".to_owned()), "{unjudged:?}");
        assert!(unjudged.contains(&"accuracy: switched off".to_owned()), "{unjudged:?}");
    }

    #[test]
    fn limits_are_switched_off_or_take_their_number() {
        let limits = "error-rate = 0.1\nerror-ratio = false\nlatency-p95 = 250\nlatency-ratio = 3\nfaithfulness = 0.8\n";
        let loaded = loaded(&format!("[rollout.a.limits]\n{limits}"));
        let said = loaded.expect("a configuration").project.rollout[0].clone();
        let frozen = freeze(&said, Frozen::of(&crate::seams::metrics::Counted::default()).expect("frozen"));
        assert_eq!(frozen.seconds.get("slow"), Some(&0.25));
        let (policy, unjudged) = policy(&said, &frozen, Scores::Missing);
        let rules: Vec<(&str, Rule)> = policy.checks.iter().map(|c| (c.name.as_str(), c.rule)).collect();
        let mean = Rule::Mean { least: 0.8, range: (0.0, 1.0) };
        let beside = |floor| Rule::Ratio { factor: 1.0, floor };
        let wanted = [
            ("error-rate", Rule::Rate { limit: 0.1 }),
            ("latency-p95", Rule::Rate { limit: 0.05 }),
            ("latency-ratio", beside(0.05)),
            ("latency-degradation", beside(0.5)),
            ("faithfulness", mean),
        ];
        assert_eq!(rules, wanted, "{unjudged:?}");
        assert_eq!((unjudged.len(), frozen.beside["slower"].factor), (2, 3.0), "{unjudged:?}");
    }
}
