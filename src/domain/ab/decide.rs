//! What is to be done by what was seen of a test, and why.

use super::analyse::{Compared, Decision, Guarded, Held, KEEP, PROMOTE, Split, Values};
use super::{Design, Rule, Setup, size};
use crate::stats::power::ALPHA;
use crate::stats::sequential::LEAST;

/// What a decision rests on.
pub(super) struct Case<'a> {
    pub(super) setup: &'a Setup,
    pub(super) split: &'a Split,
    pub(super) primary: &'a Compared,
    pub(super) guardrails: &'a [Guarded],
    /// Of the metric that decides.
    pub(super) values: &'a Values,
}

/// Where the metric that decides points.
enum Leaning {
    /// The treatment is better.
    Better(String),
    /// It is not.
    NotBetter(String),
    /// Neither is clear.
    Open(String),
}

/// The evidence that a decision takes.
const BAR: f64 = 1.0 / ALPHA;

impl Case<'_> {
    /// Units of the variant that has fewer; pairs.
    fn fewest(&self) -> u64 {
        if self.setup.design == Design::Paired { self.values.pairs.n } else { self.values.control.n.min(self.values.treatment.n) }
    }

    /// Units that a plan counts.
    fn all(&self) -> u64 {
        if self.setup.design == Design::Paired { self.values.pairs.n } else { self.values.control.n + self.values.treatment.n }
    }

    /// The units of the plan.
    fn planned(&self) -> Option<u64> {
        let setup = self.setup;
        let size = size::needed(&setup.metric, setup.design, setup.split, setup.aim?)?;
        Some(size.looking.unwrap_or(size.once))
    }

    fn named(&self, state: Held) -> Vec<&str> {
        self.guardrails.iter().filter(|g| g.state == state).map(|g| g.compared.metric.name.as_str()).collect()
    }

    fn leaning(&self) -> Leaning {
        let Some(chance) = self.primary.probability else { return self.alike() };
        if chance <= KEEP {
            Leaning::NotBetter(format!("the treatment is better with a chance of {chance:.4} only"))
        } else if chance < PROMOTE {
            let bars = format!("{KEEP} keeps control, {PROMOTE} promotes");
            Leaning::Open(format!("the treatment is better with a chance of {chance:.4}: {bars}"))
        } else {
            Leaning::Better(format!("the treatment is better with a chance of {chance:.4}"))
        }
    }

    /// Where no value differs from another there is no chance.
    fn alike(&self) -> Leaning {
        let (n, p) = (self.fewest(), self.primary);
        let Some(difference) = p.difference.filter(|_| n >= LEAST) else {
            return Leaning::Open(format!("{} has too few values to say anything", p.metric.name));
        };
        let alike = match self.setup.design {
            Design::Paired => format!("all {n} pairs differ by {difference}"),
            Design::Split => format!("all values of a variant are alike, and the two differ by {difference}"),
        };
        if p.evidence >= BAR {
            Leaning::Better(format!("{alike}: the treatment is better, the evidence is {:.1e}", p.evidence))
        } else if p.evidence_keep >= BAR && p.evidence <= 1.0 {
            Leaning::NotBetter(format!("{alike}: the treatment is not better, the evidence is {:.1e}", p.evidence_keep))
        } else {
            Leaning::Open(format!("{alike}: the evidence is {:.2}, {BAR} promotes", p.evidence))
        }
    }

    /// What is missing to keep control however often somebody looks; `None` when nothing is.
    fn missing(&self) -> Option<String> {
        if self.fewest() < LEAST {
            return Some(format!("fewer than {LEAST} units of a variant keep nothing"));
        }
        let (planned, evidence) = (self.planned(), self.primary.evidence_keep);
        if evidence >= BAR || planned.is_some_and(|planned| self.all() >= planned) {
            return None;
        }
        let what = match (self.setup.aim, planned) {
            (Some(aim), Some(planned)) => {
                format!(
                    "{} of the planned {planned} units are there, and the evidence that it is not {} better",
                    self.all(),
                    aim.effect
                )
            }
            (Some(aim), None) => format!("the evidence that it is not {} better", aim.effect),
            (None, _) => "the evidence that it is worse".to_owned(),
        };
        Some(format!("{what} is {evidence:.2}: {BAR} keeps control"))
    }
}

/// Decides.
pub(super) fn decide(case: &Case<'_>) -> (Decision, String) {
    let split = case.split;
    if split.is_another() {
        let (t, c, part, e) = (split.treatment, split.control, 100.0 * split.planned, split.evidence.unwrap_or_default());
        let what = format!("{t} units of the treatment and {c} of control are not a split of {part} %");
        return (Decision::Invalid, format!("{what} (evidence {e:.1e}): units were lost on the way"));
    }
    let broken = case.named(Held::Broken);
    if !broken.is_empty() {
        return (Decision::Guarded, format!("worse than control by more than the margin: {}", broken.join(", ")));
    }
    let both = case.setup.rule == Rule::Both;
    match case.leaning() {
        Leaning::Open(why) => (Decision::Continue, why),
        Leaning::NotBetter(why) => match case.missing().filter(|_| both) {
            None => (Decision::Keep, why),
            Some(missing) => {
                (Decision::Continue, format!("{why}, but whoever looks again and again sees that by luck too: {missing}"))
            }
        },
        Leaning::Better(why) => promote(case, why, both),
    }
}

/// Whether a treatment that is better may be promoted.
fn promote(case: &Case<'_>, why: String, both: bool) -> (Decision, String) {
    let evidence = case.primary.evidence;
    if both && evidence < BAR {
        let luck = "but whoever looks again and again sees that by luck too";
        return (Decision::Continue, format!("{why}, {luck}: the evidence is {evidence:.2}, {BAR} promotes"));
    }
    let open = case.named(Held::Open);
    if !open.is_empty() {
        let why = format!("the treatment is better, but not yet surely within the margin: {}", open.join(", "));
        return (Decision::Continue, why);
    }
    (Decision::Promote, why)
}
