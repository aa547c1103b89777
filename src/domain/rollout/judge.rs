//! The judge: what the windows so far mean for the canary. One pure function, [`judge`], of a policy and the windows; asked
//! again with one window more it never has to remember anything, so a controller that died judges on as if it had not.
//!
//! * **Roll back** needs proof: evidence of a broken limit that a good version shows with a chance of at most `alpha` over the
//!   whole rollout, however often one looks (in threshold mode: windows in a row over the limit), and not the stable version
//!   in the same trouble in the same windows. What only the canary breaks decides, also while both break something else.
//! * **Ready** needs data: every check has its least number of draws and its estimate inside the limit. How long a step lasts
//!   is not decided here ([`super::machine`]).
//! * **Hold**: no data, traffic not split as set, or both versions broken. Nobody is moved and the clock stops.
//! * **Doubt** is a check with all of its data whose estimate is outside its limit, without proof.
//! * **Collect** is everything in between; each finding says what it lacks.
//!
//! How clumped errors are is learnt from the stable version's windows. Before it had its first bad minutes, or when errors come
//! far more in clumps than in most services (one minute in twenty with eleven times the errors of the rest and 3 % in all),
//! false roll-backs may pass `alpha`: about 7 of 100 in simulation; with 1 % in all about 1.
//!
//! Which windows to give: those of the present step, or of all steps; evidence starts anew at every window, so old good days
//! do not outvote a new fault. Unpaired differences and costs have no such start: give them the step's. Windows without an
//! answer of the warm-up are left out by the caller.

use super::literal;
use super::measure::{DURATIONS, ERRORS};
use super::policy::{Check, Mode, Policy, Rule};
use super::reading::{self, Point};
use super::window::{Figure, Window};
use crate::stats::cluster::{correlation, design_effect};
use crate::stats::evidence::{Evidence, of_ratio, of_ratio_below};
use serde::{Deserialize, Serialize};

/// The chance of ever holding a rollout whose traffic is split as it was set.
const SHARE_ALPHA: f64 = 0.01;
/// Beyond this many draws more "needs about N more" is no help.
const NEEDS_MAX: f64 = 1e9;

/// What should be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// A limit is broken: take the canary back.
    RollBack,
    /// Nothing can be said from this: move nobody, stop the clock, tell somebody.
    Hold(Hold),
    /// Go on collecting.
    Collect,
    /// The same, of a check that has its data: it is outside its limit, which may yet be chance.
    Doubt,
    /// Nothing speaks against the next step.
    Ready,
}

/// Why nothing can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hold {
    /// The canary gets no requests.
    NoData,
    /// The observed share is not the one that was set.
    WrongShare,
    /// The stable version breaks the same limit in the same windows.
    BothBroken,
}

/// How one check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Inside its limit with enough draws.
    Good,
    /// Too few draws to go on.
    TooFew,
    /// Outside its limit, which is not proven yet.
    Beyond,
    /// Its limit is broken.
    Broken,
    /// Its limit is broken, and by the stable version too.
    BothBroken,
}

/// One check with its numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The check's name.
    pub check: String,
    /// How it stands.
    pub standing: Standing,
    /// Draws of the canary.
    pub n: u64,
    /// Draws of the stable version, when it is compared with.
    pub against: Option<u64>,
    /// The canary's figure, in the unit of the limit (rates as shares of 1); `None` without draws.
    pub estimate: Option<f64>,
    /// The stable version's figure, where it has one.
    pub stable: Option<f64>,
    /// The limit; `None` when it follows from the stable version, which has no draws.
    pub limit: Option<f64>,
    /// What speaks for a broken limit: ln E; in threshold mode windows in a row over the limit.
    #[serde(deserialize_with = "evidence")]
    pub evidence: f64,
    /// The evidence at which the limit counts as broken, in the unit of `evidence`.
    pub needed: f64,
    /// About how many draws more would decide it; `None` when it is decided or no number would do.
    pub needs: Option<u64>,
    /// Figures that could not be, and were left out.
    pub refused: u64,
    /// In threshold mode, of a rate: the chance that a version just like the stable one is rolled back within as many windows.
    pub false_alarm: Option<f64>,
    /// Why it stands so, in words.
    pub reason: String,
}

impl Finding {
    /// True when it is compared with a version that has no requests, as with all of the traffic at the canary: more of that does not help.
    pub fn is_alone(&self) -> bool {
        self.n > 0 && self.against == Some(0)
    }
}

/// The judge's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// What should be done.
    pub decision: Decision,
    /// Why, in words.
    pub reason: String,
    /// How it was decided.
    pub mode: Mode,
    /// Every check, in the order of the policy.
    pub findings: Vec<Finding>,
}

/// JSON has no number for evidence of nothing at all.
fn evidence<'de, D: serde::Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(d)?.unwrap_or(f64::NEG_INFINITY))
}

/// Judges the windows, which are in the order of their ids. A policy with [`Policy::faults`] is not for judging: a rule with a
/// fault never breaks.
pub fn judge(policy: &Policy, windows: &[Window]) -> Judgement {
    judge_like(policy, windows, windows)
}

/// The same, where how clumped errors are is learnt from other windows.
fn judge_like(policy: &Policy, windows: &[Window], learnt: &[Window]) -> Judgement {
    let findings: Vec<Finding> = policy.checks.iter().map(|check| finding(policy, check, windows, learnt)).collect();
    let (decision, reason) = decide(policy, windows, &findings);
    Judgement { decision, reason, mode: policy.mode, findings }
}

/// What the windows mean where something may have broken both versions: what that did to both says nothing of one. It would keep
/// the version waiting until it is diluted, and hide what only the version breaks later, also because errors that come all at
/// once make every later one less of a proof. Once it has been over for as many windows as a proof needs, only what came since can
/// take the version back, and the windows in which both broke a limit are left out of what lets it go on.
pub fn judge_on(policy: &Policy, windows: &[Window]) -> Judgement {
    let all = judge(policy, windows);
    let both: Vec<bool> = windows.iter().map(|window| breaks_both(policy, window)).collect();
    let Some(last) = both.iter().rposition(|both| *both) else { return all };
    let after = &windows[last + 1..];
    let calm = after.iter().filter(|w| w.canary > 0).count() as u64;
    if all.decision == Decision::RollBack || calm < policy.min_windows.max(1) {
        return all;
    }
    let apart: Vec<Window> = windows.iter().zip(&both).filter(|(_, both)| !**both).map(|(w, _)| w.clone()).collect();
    // Some windows alone do not show how clumped errors are.
    let since = judge_like(policy, after, &apart);
    if since.decision == Decision::RollBack {
        return since;
    }
    let apart = judge(policy, &apart);
    if apart.decision == Decision::RollBack { since } else { apart }
}

/// True when both versions break the same limit in a window.
fn breaks_both(policy: &Policy, window: &Window) -> bool {
    policy.checks.iter().any(|check| {
        let (figures, _) = reading::figures(check, std::slice::from_ref(window));
        figures.iter().any(|figure| reading::breaks_both(&check.rule, figure))
    })
}

fn decide(policy: &Policy, windows: &[Window], findings: &[Finding]) -> (Decision, String) {
    let with = |standing: Standing| findings.iter().find(|f| f.standing == standing);
    let told = |f: &Finding| format!("{}: {}", f.check, f.reason);
    // What only the canary breaks takes it back, also while both break something else; but where stable is broken too, a
    // comparison with it proves nothing.
    let standing: Vec<_> = policy.checks.iter().zip(findings).map(|(check, f)| (f.standing, &check.metric, f)).collect();
    let doubted = policy.checks.iter().zip(findings).find(|(check, f)| f.standing == Standing::Beyond && f.n >= check.min);
    let both: Vec<_> = standing.iter().filter(|s| s.0 == Standing::BothBroken).collect();
    let spoilt = |metric, f: &Finding| f.against.is_some() && both.iter().any(|b| b.1 == metric);
    let broken = standing.iter().find(|(standing, metric, f)| *standing == Standing::Broken && !spoilt(*metric, f));
    if let Some((_, _, broken)) = broken {
        return (Decision::RollBack, told(broken));
    }
    if let Some((_, _, both)) = both.first() {
        return (Decision::Hold(Hold::BothBroken), told(both));
    }
    if blind(policy, windows) {
        let why = format!("the canary got no request in the last {} windows", policy.blind_windows);
        return (Decision::Hold(Hold::NoData), why);
    }
    if let Some(why) = wrong_share(policy, windows) {
        return (Decision::Hold(Hold::WrongShare), why);
    }
    if let Some((_, doubted)) = doubted {
        return (Decision::Doubt, told(doubted));
    }
    // What has nothing to be compared with is not what is waited for, where something else is.
    let (alone, few): (Vec<_>, Vec<_>) = findings.iter().filter(|f| f.standing == Standing::TooFew).partition(|f| f.is_alone());
    if let Some(open) = with(Standing::Beyond).or(few.first().copied()) {
        return (Decision::Collect, told(open));
    }
    if !alone.is_empty() {
        let names: Vec<&str> = alone.iter().map(|f| f.check.as_str()).collect();
        let why = format!("what can be judged keeps to its limits; nothing to compare with: {}", names.join(", "));
        return (Decision::Collect, why);
    }
    (Decision::Ready, "every check has its data and keeps to its limit".to_owned())
}

/// True when the last windows, as many as the policy says, had no request of the canary.
fn blind(policy: &Policy, windows: &[Window]) -> bool {
    let empty = windows.iter().rev().take_while(|w| w.canary == 0).count() as u64;
    policy.blind_windows > 0 && empty >= policy.blind_windows
}

/// Why the traffic of the last share that was set is not split as it was; `None` when nothing proves that.
fn wrong_share(policy: &Policy, windows: &[Window]) -> Option<String> {
    let tolerance = policy.share_tolerance?;
    let share = windows.last()?.share;
    let same: Vec<&Window> = windows.iter().rev().take_while(|w| w.share == share).filter(|w| w.canary + w.stable > 0).collect();
    let split: Vec<(u64, u64)> = same.iter().map(|w| (w.canary, w.canary + w.stable)).collect();
    // Sessions send many requests each, so windows scatter more than single requests would.
    let alike = correlation(&split).unwrap_or(0.0);
    let (mut more, mut fewer) = (Evidence::default(), Evidence::default());
    for w in same.iter().rev() {
        let power = 1.0 / design_effect(w.canary + w.stable, alike);
        more.add(&of_ratio(w.stable, w.canary, share, 1.0 + tolerance), power);
        fewer.add(&of_ratio_below(w.stable, w.canary, share, 1.0 - tolerance), power);
    }
    // One of two sides may be wrong by chance: each has half of it.
    let proven = more.log().max(fewer.log()) >= (2.0 / SHARE_ALPHA).ln();
    let (canary, all) = split.iter().fold((0, 0), |sum, w| (sum.0 + w.0, sum.1 + w.1));
    proven.then(|| {
        let seen = 100.0 * canary as f64 / all as f64;
        format!("the canary got {seen:.1} % of {all} requests, {:.1} % was set", 100.0 * share)
    })
}

fn finding(policy: &Policy, check: &Check, windows: &[Window], learnt: &[Window]) -> Finding {
    let (figures, refused) = reading::figures(check, windows);
    let fault = check.rule.fault();
    let figures = if fault.is_some() { Vec::new() } else { figures };
    let point = reading::point(&check.rule, &figures);
    let (evidence, needed) = match policy.mode {
        Mode::Evidence => {
            let (learnt, _) = reading::figures(check, learnt);
            (reading::evidence(&check.rule, &figures, &learnt), policy.threshold())
        }
        Mode::Threshold => (literal::in_a_row(policy, &check.rule, &figures) as f64, policy.consecutive.max(1) as f64),
    };
    let proven = evidence >= needed;
    let (standing, reason) = stand(policy, check, &figures, &point, proven);
    let false_alarm = (policy.mode == Mode::Threshold).then(|| literal::false_alarm(policy, &check.rule, &figures)).flatten();
    let refusals =
        if refused > 0 { format!("; {refused} windows with figures that cannot be were left out") } else { String::new() };
    Finding {
        check: check.name.clone(),
        standing,
        n: point.n,
        against: point.against,
        estimate: point.estimate,
        stable: point.stable,
        limit: point.limit,
        evidence,
        needed,
        needs: needs(policy.mode, check, standing, &point, (evidence, needed)),
        refused,
        false_alarm,
        reason: fault.map_or(reason, str::to_owned) + &refusals,
    }
}

fn stand(policy: &Policy, check: &Check, figures: &[Figure], point: &Point, proven: bool) -> (Standing, String) {
    let numbers = numbers(check, point);
    if proven && above_floor(check, figures) {
        let troubled = reading::troubled(&check.rule, figures);
        let seen = troubled.len() as u64;
        if policy.mode == Mode::Evidence && reading::are_counts(figures) && seen < policy.min_windows {
            return (Standing::Beyond, format!("{numbers}, over it in {seen} of at least {} windows", policy.min_windows));
        }
        // The very same windows: a fault that both share began for both at one time.
        if reading::point(&check.rule, &troubled).stable_beyond {
            return (Standing::BothBroken, format!("{numbers}: both versions break the limit"));
        }
        return (Standing::Broken, format!("{numbers}: the limit is broken"));
    }
    let short = point.n < check.min || point.against.is_some_and(|n| n < check.min);
    match (short, point.beyond) {
        _ if point.n == 0 => (Standing::TooFew, format!("no {} yet", draws(check))),
        (_, true) => (Standing::Beyond, format!("{numbers}: outside the limit, not proven")),
        // As with all of the traffic at the canary: more of it does not help.
        (true, false) if point.against == Some(0) => {
            (Standing::TooFew, format!("{numbers}: not judged, there is nothing to compare with"))
        }
        (true, false) => (Standing::TooFew, format!("{numbers}: fewer than {}", check.min)),
        (false, false) => (Standing::Good, format!("{numbers}: inside the limit")),
    }
}

/// False when a ratio is proven of rates so low that they are no harm, in all windows and in those of the trouble alike.
fn above_floor(check: &Check, figures: &[Figure]) -> bool {
    let Rule::Ratio { floor, .. } = check.rule else { return true };
    let rate = |figures: &[Figure]| reading::point(&check.rule, figures).estimate.unwrap_or(0.0);
    let recent = &figures[figures.len().saturating_sub(10)..];
    rate(figures) >= floor || rate(recent) >= floor
}

/// What the draws of a check are, for people.
fn draws(check: &Check) -> String {
    let metric = check.metric.as_str();
    match check.rule {
        Rule::Rate { .. } | Rule::Ratio { .. } if metric == ERRORS => "requests".to_owned(),
        Rule::Rate { .. } if DURATIONS.contains(&metric) => "durations".to_owned(),
        Rule::Ratio { .. } if DURATIONS.contains(&metric) => {
            format!("durations to compare: that begins when the stable version has {}", check.min.max(1))
        }
        Rule::Rate { .. } | Rule::Ratio { .. } => format!("draws of `{metric}`"),
        Rule::Mean { .. } | Rule::Drop { .. } | Rule::Paired { .. } => format!("answers judged for `{metric}`"),
        Rule::Cost { .. } => format!("answers with `{metric}`"),
    }
}

fn numbers(check: &Check, point: &Point) -> String {
    let show = |v: Option<f64>| v.map_or_else(|| "unknown".to_owned(), |v| format!("{v:.4}"));
    let seen = format!("{} of {} draws", show(point.estimate), point.n);
    let (durations, limit) = (DURATIONS.contains(&check.metric.as_str()), show(point.limit));
    match point.against {
        Some(0) => {
            let none = if check.metric == ERRORS { "requests" } else { "answers" };
            format!("{seen}; the stable version has had no {none} yet in this step")
        }
        Some(n) if point.stable == Some(0.0) && matches!(check.rule, Rule::Ratio { .. }) => {
            let none = if durations { "none over its mark" } else { "no errors" };
            format!("{seen}; the stable version has had {none} in {n}, so the limit is {limit}")
        }
        against => {
            let beside = if durations { " in the same windows" } else { "" };
            let against = against.map_or_else(String::new, |n| format!(" against {n}{beside}"));
            let stable = point.stable.map_or_else(String::new, |s| format!(", stable {s:.4}"));
            format!("{seen}{against}{stable}, limit {limit}")
        }
    }
}

/// Draws that are missing to the least number; when the limit looks broken, those to proof at the pace so far.
fn needs(mode: Mode, check: &Check, standing: Standing, point: &Point, (evidence, needed): (f64, f64)) -> Option<u64> {
    let missing = check.min.saturating_sub(point.n).max(point.against.map_or(0, |n| check.min.saturating_sub(n)));
    match standing {
        Standing::TooFew => Some(missing.max(1)),
        Standing::Beyond if mode == Mode::Evidence => {
            // ln E grows about evenly with the draws; near its start it is below 0 and says nothing of its pace.
            let pace = evidence.max(0.5) / point.n.max(1) as f64;
            let more = ((needed - evidence).max(0.0) / pace).ceil();
            (more <= NEEDS_MAX).then_some((more as u64).max(missing).max(1))
        }
        Standing::Beyond => Some(missing).filter(|n| *n > 0),
        Standing::Good | Standing::Broken | Standing::BothBroken => None,
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
