//! In which window each rule takes the canary back: those that people have today, and kf's.

use kf::domain::rollout::judge::{Decision, judge_on};
use kf::domain::rollout::policy::{Mode, Policy, limits};
use kf::domain::rollout::window::{Figure, Window};
use kf::stats::describe::Counts;
use kf::stats::ordered::Ordered;
use kf::stats::rank_sum;

/// The rules, in the order of [`taken_back`].
pub(crate) const RULES: [&str; 8] = [
    "one window > 5 %",
    "five windows > 5 %",
    "one window > 2× stable",
    "z-test at every window, p < .05",
    "z-test once at the end",
    "Mann–Whitney of windows, once at the end",
    "kf, `mode = \"threshold\"`",
    "kf",
];

/// The absolute limit of the rules.
const LIMIT: f64 = 0.05;
/// The one-sided 95 % quantile of the normal law.
const Z: f64 = 1.644_853_626_951_472_2;

/// kf's judge with the checks of errors alone, as the other rules have no more.
pub(crate) fn policy(mode: Mode) -> Policy {
    Policy { mode, checks: limits().into_iter().filter(|c| c.metric == "errors").collect(), ..Policy::default() }
}

/// The window, from 1, in which each rule takes the canary back; `None` for a rule that never does.
pub(crate) fn taken_back(windows: &[Window]) -> [Option<usize>; RULES.len()] {
    let arms: Vec<(Counts, Counts)> = windows.iter().filter_map(arms).collect();
    let first = |broken: &dyn Fn(usize) -> bool| (0..arms.len()).find(|i| broken(*i)).map(|i| i + 1);
    let rate = |c: Counts| c.rate().unwrap_or(0.0);
    let over = |i: usize| rate(arms[i].1) > LIMIT;
    let by_kf = |mode| {
        let policy = policy(mode);
        (1..=windows.len()).find(|n| judge_on(&policy, &windows[..*n]).decision == Decision::RollBack)
    };
    let end = arms.len();
    [
        first(&over),
        first(&|i| (0..=i).filter(|j| over(*j)).count() >= 5),
        first(&|i| rate(arms[i].1) > 2.0 * rate(arms[i].0)),
        first(&|i| z(&arms[..=i]) > Z),
        (z(&arms) > Z).then_some(end),
        higher_by_rank(&arms).then_some(end),
        by_kf(Mode::Threshold),
        by_kf(Mode::Evidence),
    ]
}

fn arms(window: &Window) -> Option<(Counts, Counts)> {
    match window.figures.get("errors") {
        Some(Figure::Counts { stable, canary }) => Some((*stable, *canary)),
        _ => None,
    }
}

/// The z of the difference of two rates over all windows, with the pooled variance; 0 when there is none.
fn z(arms: &[(Counts, Counts)]) -> f64 {
    let (stable, canary) = arms.iter().fold((Counts::default(), Counts::default()), |sum, w| (sum.0.and(w.0), sum.1.and(w.1)));
    let (Some(p), Some(q), Some(all)) = (stable.rate(), canary.rate(), stable.and(canary).rate()) else { return 0.0 };
    let variance = all * (1.0 - all) * (1.0 / stable.n as f64 + 1.0 / canary.n as f64);
    if variance > 0.0 { (q - p) / variance.sqrt() } else { 0.0 }
}

/// Whether the canary's rates of the windows rank above stable's, one-sided at 5 %.
fn higher_by_rank(arms: &[(Counts, Counts)]) -> bool {
    let rates = |side: &dyn Fn(&(Counts, Counts)) -> Counts| Ordered::of(arms.iter().filter_map(|w| side(w).rate()).collect());
    let (Some(stable), Some(canary)) = (rates(&|w| w.0), rates(&|w| w.1)) else { return false };
    rank_sum::compare(&stable, &canary, 0.95).is_some_and(|ranks| ranks.effect > 0.5 && ranks.p_value / 2.0 < 0.05)
}
