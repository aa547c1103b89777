//! The verdict over a model that changed: its gates, and its metrics against what they were.
//!
//! The metrics that gates name decide; where none is named, all do. Several are as many chances to be unlucky, so one is better or worse
//! only when it is so by Holm's correction over those that decide (`eval.md` §c), which bounds the chance of a false alarm at 5 %.
//! Better in one and worse in none passes; worse in one fails. What is neither is inconclusive, unless regression gates show that no more is
//! lost than they allow. Where rows lost their score nothing passes: those that are left may be the easy ones.

use super::doc::{FigureDoc, GateDoc};
use crate::base::text::{count, group};
use crate::base::verdict::Verdict;
use crate::stats::{multiplicity, power};
use std::collections::BTreeSet;

/// What there is to compare with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// Answers of before, of which so many are the same, letter by letter.
    There {
        /// How many.
        same: usize,
        /// Of how many.
        rows: usize,
    },
    /// The model is new.
    New,
    /// The model is what it was; what it is measured by changed.
    Same,
    /// Something, which could not be had.
    Unknown(String),
}

/// A verdict, with its reasons.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in sentences; what weighs most first.
    pub reasons: Vec<String>,
    /// About how many rows it takes to decide, when it is inconclusive for want of rows.
    pub needed: Option<u64>,
}

/// Decides, and says of each figure whether it decides, by the chance that is corrected then.
pub fn decide(figures: &mut [FigureDoc], gates: &[GateDoc], before: &Before) -> Decision {
    correct(figures, gates);
    let (compared, mut reasons) = against(figures, gates, before);
    let gated = Verdict::all(gates.iter().map(|g| g.verdict));
    let verdict = match compared {
        Some(compared) => Verdict::all([compared, gated]),
        None => gated,
    };
    let told = |wanted: Verdict| gates.iter().filter(move |g| g.verdict == wanted).map(told);
    let gates_say: Vec<String> = told(Verdict::Fail).chain(told(Verdict::Inconclusive)).collect();
    // What fails is said before what is open.
    match (compared, gated) {
        (Some(Verdict::Fail), _) => reasons.extend(gates_say),
        (_, Verdict::Fail) => reasons = gates_say.into_iter().chain(reasons).collect(),
        _ => reasons.extend(gates_say),
    }
    let rows = figures.iter().filter(|f| f.decides && is(f, INCONCLUSIVE)).filter_map(|f| f.needed);
    let needed = rows.chain(gates.iter().filter(|g| g.verdict == Verdict::Inconclusive).filter_map(|g| g.needed)).min();
    Decision { verdict, reasons, needed: needed.filter(|_| verdict == Verdict::Inconclusive) }
}

const BETTER: &str = "better";
const WORSE: &str = "worse";
const INCONCLUSIVE: &str = "inconclusive";

fn is(figure: &FigureDoc, word: &str) -> bool {
    figure.verdict.as_deref() == Some(word)
}

/// Which figures decide, and what is left of them by the corrected chance.
fn correct(figures: &mut [FigureDoc], gates: &[GateDoc]) {
    let named: BTreeSet<&str> = gates.iter().map(|g| g.metric.as_str()).collect();
    let any = figures.iter().any(|f| named.contains(f.metric.as_str()));
    let deciding = |f: &FigureDoc| f.verdict.is_some() && (!any || named.contains(f.metric.as_str()));
    for figure in figures.iter_mut().filter(|f| deciding(f) && misses(f)) {
        figure.decides = true;
    }
    let (at, chances): (Vec<usize>, Vec<f64>) =
        figures.iter().enumerate().filter(|(_, f)| deciding(f)).filter_map(|(i, f)| Some((i, f.p_value?))).unzip();
    for (at, chance) in at.into_iter().zip(multiplicity::holm(&chances).unwrap_or_default()) {
        let figure = &mut figures[at];
        figure.decides = true;
        figure.p_value = Some(chance);
        if chance > power::ALPHA {
            figure.verdict = Some(INCONCLUSIVE.to_owned());
        }
    }
}

/// What the comparison says; no verdict where there is nothing to compare and something else to judge.
fn against(figures: &[FigureDoc], gates: &[GateDoc], before: &Before) -> (Option<Verdict>, Vec<String>) {
    let (same, rows) = match before {
        Before::There { same, rows } => (*same, *rows),
        Before::New if gates.is_empty() => {
            let why = "it is new: there is nothing to compare it with, and no gate judges it";
            return (Some(Verdict::Inconclusive), vec![why.into()]);
        }
        Before::New => return (None, vec!["it is new, so its gates alone decide".into()]),
        Before::Same => return (None, vec!["the model is what it was; what it is measured by changed".into()]),
        Before::Unknown(why) => return (Some(Verdict::Inconclusive), vec![format!("nothing to compare it with: {why}")]),
    };
    let of = |word: &'static str| figures.iter().filter(move |f| f.decides && is(f, word));
    let (worse, better): (Vec<String>, Vec<String>) = (of(WORSE).map(moved).collect(), of(BETTER).map(moved).collect());
    let lost: Vec<String> = figures.iter().filter(|f| f.decides && misses(f)).map(|f| missing(f, rows)).collect();
    if !worse.is_empty() {
        return (Some(Verdict::Fail), worse.into_iter().chain(lost).chain(better).collect());
    }
    if !lost.is_empty() {
        return (Some(Verdict::Inconclusive), lost.into_iter().chain(better).collect());
    }
    if !better.is_empty() {
        return (Some(Verdict::Pass), better);
    }
    let open: Vec<&FigureDoc> = of(INCONCLUSIVE).collect();
    let guarded = |f: &&FigureDoc| gates.iter().any(|g| g.regression && g.metric == f.metric && g.verdict == Verdict::Pass);
    if !open.is_empty() && open.iter().all(guarded) {
        return (Some(Verdict::Pass), vec!["no more is lost than the regression gates allow".into()]);
    }
    let mut reasons = Vec::new();
    match (same == rows && rows > 0, open.is_empty()) {
        (true, _) => reasons.push(format!("no answer changed: {} do not show what this change does", count(rows, "row"))),
        (_, true) => reasons.push("no metric has a score of a row both before and now".to_owned()),
        _ => reasons.extend(open.iter().take(OPEN_SHOWN).map(|f| unsure(f))),
    }
    (Some(Verdict::Inconclusive), reasons)
}

/// True when scores that there should be are not there.
fn misses(f: &FigureDoc) -> bool {
    f.lost > 0 || f.unscored.is_some()
}

fn missing(f: &FigureDoc, rows: usize) -> String {
    match &f.unscored {
        Some(why) => format!("no row has a score by {}: {why}", f.metric),
        None => {
            let have = if f.lost == 1 { "has" } else { "have" };
            format!("{} of {} that had a score by {} before {have} none now", f.lost, count(rows, "row"), f.metric)
        }
    }
}

/// How many metrics that are open are said in a sentence.
const OPEN_SHOWN: usize = 3;

fn moved(f: &FigureDoc) -> String {
    let (base, head, by) = (f.base.unwrap_or_default(), f.head.unwrap_or_default(), f.difference.unwrap_or_default());
    let interval = f.low.zip(f.high).map(|(l, h)| format!(", 95 % interval {} … {}", signed(l), signed(h))).unwrap_or_default();
    format!(
        "{} is {}: {base:.4} → {head:.4} ({}{interval}, n = {})",
        f.metric,
        f.verdict.as_deref().unwrap_or_default(),
        signed(by),
        f.n
    )
}

fn unsure(f: &FigureDoc) -> String {
    let by = f.difference.unwrap_or_default();
    let rows = count(f.n, "row");
    let why = match (f.needed, f.detectable) {
        (Some(needed), _) => format!("needs n = {} (has {})", group(usize::try_from(needed).unwrap_or(usize::MAX)), f.n),
        (None, Some(least)) if least > by.abs() => format!("{rows} show only differences of {least:.4} or more"),
        (None, _) => format!("{rows} are too few to tell it from chance"),
    };
    format!("{} {}: inconclusive, {why}", f.metric, signed(by))
}

fn told(gate: &GateDoc) -> String {
    let word = if gate.verdict == Verdict::Fail { "fails" } else { "is inconclusive" };
    let measured = gate.measured.map(|m| format!("{m:.4}, ")).unwrap_or_default();
    let needed =
        gate.needed.map(|n| format!(", needs n = {}", group(usize::try_from(n).unwrap_or(usize::MAX)))).unwrap_or_default();
    format!("gate {} {word}: {} {measured}wanted {}; {}{needed}", gate.gate, gate.metric, gate.threshold, gate.reason)
}

/// A difference with its sign; nothing has none.
pub(super) fn signed(value: f64) -> String {
    let text = format!("{value:+.4}");
    if text.bytes().all(|b| matches!(b, b'+' | b'-' | b'0' | b'.')) { text[1..].to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(metric: &str, by: f64, p: f64) -> FigureDoc {
        let verdict = match by {
            _ if p > 0.05 => INCONCLUSIVE,
            by if by > 0.0 => BETTER,
            _ => WORSE,
        };
        FigureDoc {
            metric: metric.into(),
            decides: false,
            base: Some(0.8),
            head: Some(0.8 + by),
            difference: Some(by),
            low: Some(by - 0.05),
            high: Some(by + 0.05),
            n: 44,
            clusters: None,
            p_value: Some(p),
            detectable: Some(0.0714),
            verdict: Some(verdict.into()),
            needed: (p > 0.05 && by != 0.0).then_some(1540),
            lost: 0,
            unscored: None,
        }
    }

    fn gate(metric: &str, regression: bool, verdict: Verdict) -> GateDoc {
        GateDoc {
            gate: "words".into(),
            stage: "production".into(),
            metric: metric.into(),
            regression,
            measured: Some(0.5),
            threshold: "≥ 0.6".into(),
            verdict,
            reason: "the mean misses it".into(),
            needed: None,
        }
    }

    const THERE: Before = Before::There { same: 3, rows: 44 };

    /// What is left of the rows got better; what is gone may be what got worse.
    #[test]
    fn nothing_passes_where_scores_were_lost() {
        let there = Before::There { same: 0, rows: 44 };
        let half = FigureDoc { lost: 20, ..figure("token-f1", 0.1, 0.001) };
        let open = decide(&mut [half.clone()], &[], &there);
        assert_eq!(open.verdict, Verdict::Inconclusive);
        assert_eq!(open.reasons[0], "20 of 44 rows that had a score by token-f1 before have none now");
        let worse = decide(&mut [half.clone(), figure("bleu", -0.2, 0.001)], &[], &there);
        assert_eq!((worse.verdict, worse.reasons.len()), (Verdict::Fail, 3));
        // Of a metric that no gate names, where one names another, nothing is asked.
        let words = gate("bleu", false, Verdict::Pass);
        assert_eq!(decide(&mut [half, figure("bleu", 0.2, 0.001)], &[words], &there).verdict, Verdict::Pass);
        let declined = Some("error: the judge declined".to_owned());
        let gone = FigureDoc { unscored: declined, p_value: None, n: 0, ..figure("faithfulness", 0.0, 1.0) };
        let mut all = [gone, figure("token-f1", 0.1, 0.001)];
        let open = decide(&mut all, &[], &there);
        assert_eq!((open.verdict, all[0].decides), (Verdict::Inconclusive, true));
        assert_eq!(open.reasons[0], "no row has a score by faithfulness: error: the judge declined");
    }

    #[test]
    fn surely_worse_fails_and_within_noise_says_how_many_rows() {
        let worse = decide(&mut [figure("token-f1", -0.2, 0.001)], &[], &THERE);
        assert_eq!((worse.verdict, worse.needed), (Verdict::Fail, None));
        assert_eq!(worse.reasons, ["token-f1 is worse: 0.8000 → 0.6000 (-0.2000, 95 % interval -0.2500 … -0.1500, n = 44)"]);
        let open = decide(&mut [figure("token-f1", 0.01, 0.4)], &[], &THERE);
        assert_eq!((open.verdict, open.needed), (Verdict::Inconclusive, Some(1540)));
        assert_eq!(open.reasons, ["token-f1 +0.0100: inconclusive, needs n = 1,540 (has 44)"]);
        let nothing = decide(&mut [figure("token-f1", 0.0, 1.0)], &[], &THERE);
        assert_eq!(nothing.reasons, ["token-f1 0.0000: inconclusive, 44 rows show only differences of 0.0714 or more"]);
        // Four rows of seven that changed much prove nothing, whatever a formula says of so many rows.
        let few = FigureDoc { needed: None, detectable: Some(0.01), ..figure("token-f1", -0.5, 0.125) };
        assert_eq!(
            decide(&mut [few], &[], &THERE).reasons,
            ["token-f1 -0.5000: inconclusive, 44 rows are too few to tell it from chance"]
        );
        let equal = decide(&mut [figure("token-f1", 0.0, 1.0)], &[], &Before::There { same: 44, rows: 44 });
        assert_eq!(equal.reasons, ["no answer changed: 44 rows do not show what this change does"]);
    }

    /// Four chances at p = 0.02 are no proof: Holm makes 0.08 of the least of them.
    #[test]
    fn several_chances_to_be_unlucky_are_corrected_for() {
        let mut four =
            ["a", "b", "c", "d"].map(|m| figure(m, if m == "a" { -0.1 } else { 0.0 }, if m == "a" { 0.02 } else { 0.9 }));
        assert_eq!(decide(&mut four, &[], &THERE).verdict, Verdict::Inconclusive);
        assert!((four[0].p_value.expect("a chance") - 0.08).abs() < 1e-12 && four[0].decides);
        // Named by a gate it is the only one that decides.
        let mut four =
            ["a", "b", "c", "d"].map(|m| figure(m, if m == "a" { -0.1 } else { 0.0 }, if m == "a" { 0.02 } else { 0.9 }));
        let found = decide(&mut four, &[gate("a", false, Verdict::Pass)], &THERE);
        assert_eq!((found.verdict, four[0].decides, four[1].decides), (Verdict::Fail, true, false));
    }

    #[test]
    fn gates_and_comparison_must_both_hold() {
        let better = || [figure("a", 0.1, 0.001)];
        assert_eq!(decide(&mut better(), &[], &THERE).verdict, Verdict::Pass);
        let failed = decide(&mut better(), &[gate("a", false, Verdict::Fail)], &THERE);
        assert_eq!(failed.verdict, Verdict::Fail);
        assert_eq!(failed.reasons[0], "gate words fails: a 0.5000, wanted ≥ 0.6; the mean misses it");
        // A regression gate that passes shows that no more is lost than it allows, which is what can be asked of a change of style.
        let open = || [figure("a", 0.01, 0.4)];
        assert_eq!(decide(&mut open(), &[gate("a", true, Verdict::Pass)], &THERE).verdict, Verdict::Pass);
        assert_eq!(decide(&mut open(), &[gate("a", false, Verdict::Pass)], &THERE).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn without_anything_before_gates_alone_decide() {
        let alone = |gates: &[GateDoc], before: &Before| decide(&mut [], gates, before).verdict;
        let pass = [gate("a", false, Verdict::Pass)];
        assert_eq!((alone(&pass, &Before::New), alone(&[], &Before::New)), (Verdict::Pass, Verdict::Inconclusive));
        assert_eq!((alone(&pass, &Before::Same), alone(&[], &Before::Same)), (Verdict::Pass, Verdict::Pass));
        assert_eq!(alone(&pass, &Before::Unknown("no answers".into())), Verdict::Inconclusive);
    }
}
