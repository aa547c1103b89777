//! `kf ab analyze`: what may be said by now.

use super::doc::AimDoc;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::{Name, Stage};
use crate::base::table::Table;
use crate::base::text::group;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::config::Project;
use crate::domain::ab::analyse::{Analysis, Compared, Decision, Guarded, MISMATCH, analyse};
use crate::domain::ab::table::{self, Test};
use crate::domain::ab::{Design, Setup};
use crate::domain::registry::table as registry;
use crate::domain::rollout::setup::Strategy;
use crate::release::rollout::again::{Like, commands};
use crate::store::{Mode, View};
use serde::Serialize;

/// Say which version is better, as far as that is clear by now
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf ab analyze greeting\n  kf ab analyze greeting --format json\n\nExits 0 when it is decided, 4 while it is not, 3 when a guardrail is broken or the split is not the planned one. With the rule `both` look as often as you like."
)]
pub(crate) struct Args {
    /// The test
    name: Name,
}

/// A test judged.
#[derive(Serialize)]
pub(super) struct Judged {
    test: Name,
    control: String,
    treatment: String,
    design: Design,
    rule: crate::domain::ab::Rule,
    open: bool,
    #[serde(flatten)]
    pub(super) analysis: Analysis,
    plan: Option<AimDoc>,
    /// What to do next.
    next: Option<String>,
    /// True when what was counted are requests and not users.
    counted: bool,
}

impl Judged {
    /// Judges a test by what it holds.
    pub(super) fn of(view: View<'_>, project: &Project, test: &Test) -> Result<Self> {
        let Setup { name, control, treatment, design, rule, .. } = test.setup.clone();
        let seen = table::seen(view, &test.setup)?;
        let analysis = analyse(&test.setup, &seen);
        let next = match analysis.decision {
            Decision::Promote => Some(released(view, project, test)?),
            Decision::Keep | Decision::Guarded => Some(stopped(test)),
            Decision::Continue | Decision::Invalid => None,
        };
        Ok(Self {
            test: name,
            control: control.reference(),
            treatment: treatment.reference(),
            design,
            rule,
            open: test.open,
            plan: AimDoc::of(&test.setup),
            next: next.filter(|_| test.open),
            counted: seen.counted,
            analysis,
        })
    }

    fn split(&self) -> String {
        let s = &self.analysis.split;
        let n = |n: u64| group(usize::try_from(n).unwrap_or(usize::MAX));
        let units = format!("{} units of control, {} of the treatment", n(s.control), n(s.treatment));
        let often = "who sends many of them counts often";
        let Some(against) = s.evidence.map(evidence) else {
            let none = format!("requests were counted and not users: the split cannot be checked, and {often}");
            return if self.counted { none } else { units };
        };
        let bar = group((1.0 / MISMATCH).round() as usize);
        let said = if s.is_another() {
            format!("{units}: that is not the planned split (evidence {against}, {bar} is enough)")
        } else {
            format!("{units}; the split is the planned one, as far as is seen (evidence {against} against it, {bar} is enough)")
        };
        if self.counted { format!("{said}\nrequests were counted besides: {often}") } else { said }
    }

    /// How far it is with what was planned.
    fn progress(&self) -> Option<String> {
        let plan = self.plan.as_ref()?;
        let wanted = plan.units.and_then(|units| units.looking.or(Some(units.once)))?;
        let p = &self.analysis.primary;
        let seen = if self.design == Design::Paired { p.treatment.n.min(p.control.n) } else { p.control.n + p.treatment.n };
        let n = |n: u64| group(usize::try_from(n).unwrap_or(usize::MAX));
        Some(match (self.analysis.decision, seen >= wanted) {
            (Decision::Continue, true) => format!(
                "the planned {} units are there and decide nothing: if the treatment were {} better, they would have with a chance of {}",
                n(wanted),
                plan.effect,
                plan.power
            ),
            (Decision::Continue, false) => format!("{} of the planned {} units are there", n(seen), n(wanted)),
            _ => return None,
        })
    }
}

fn stopped(test: &Test) -> String {
    format!("kf ab stop {}", test.setup.name)
}

/// The steps from a test to the treatment in production, from the stage in which it stands.
fn released(view: View<'_>, project: &Project, test: &Test) -> Result<String> {
    let arm = &test.setup.treatment;
    let version = registry::find_version(view, registry::model(view, &arm.model)?.id, arm.version)?;
    let stage = version.map(|v| v.stage);
    let like = Like { strategy: Strategy::Canary, target: None, plan: None };
    // What users get already is promoted no more.
    let steps = if stage == Some(Stage::Production) {
        Vec::new()
    } else {
        commands(project, (&arm.model, &arm.reference()), stage, like)
    };
    Ok(std::iter::once(stopped(test)).chain(steps).collect::<Vec<_>>().join(" && "))
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(String::new, |v| if v.abs() >= 1000.0 { format!("{v:.1}") } else { format!("{v:.4}") })
}

fn evidence(value: f64) -> String {
    if value >= 1e4 { format!("{value:.1e}") } else { format!("{value:.2}") }
}

fn compared(t: &mut Table, c: &Compared) {
    let range = c.low.zip(c.high).map(|(l, h)| format!("{l:+.4} … {h:+.4}")).unwrap_or_default();
    t.row([
        c.metric.name.to_string(),
        number(c.control.mean),
        number(c.treatment.mean),
        c.difference.map(|d| format!("{d:+.4}")).unwrap_or_default(),
        range,
        format!("{}/{}", c.control.n, c.treatment.n),
        number(c.probability),
        evidence(c.evidence),
        number(c.loss_promote),
        number(c.loss_keep),
        number(c.detectable),
    ]);
}

fn guarded(t: &mut Table, g: &Guarded) {
    let c = &g.compared;
    t.row([
        c.metric.to_string(),
        number(c.control.mean),
        number(c.treatment.mean),
        c.difference.map(|d| format!("{d:+.4}")).unwrap_or_default(),
        g.margin.to_string(),
        format!("{:.4}", g.p_holds),
        format!("{:.4}", g.p_broken),
        g.state.to_string(),
    ]);
}

impl Report for Judged {
    const SCHEMA: &'static str = "kf.ab-analysis/1";

    fn blocks(&self) -> Vec<Block> {
        let state = if self.open { "" } else { ", stopped" };
        let mut lines = vec![format!("{}: {} against {}{state}", self.test, self.treatment, self.control), self.split()];
        let repeated = self.analysis.primary.repeated;
        if repeated > 0 {
            lines.push(format!("{repeated} units have several records: the mean of each counts"));
        }
        let columns = [
            "metric",
            ">control",
            ">treatment",
            ">difference",
            "95 % interval",
            ">n",
            ">chance better",
            ">evidence",
            ">loss if promoted",
            ">loss if kept",
            ">detectable",
        ];
        let mut t = Table::new(&columns);
        compared(&mut t, &self.analysis.primary);
        let mut blocks = vec![lines.join("\n").into(), t.into()];
        let columns = ["guardrail", ">control", ">treatment", ">difference", ">margin", ">p within", ">p beyond", "state"];
        let mut t = Table::new(&columns);
        self.analysis.guardrails.iter().for_each(|g| guarded(&mut t, g));
        blocks.extend(Block::filled(t));
        let said = [Some(self.summary()), self.progress(), self.next.as_ref().map(|next| format!("next: {next}"))];
        blocks.push(said.into_iter().flatten().collect::<Vec<_>>().join("\n").into());
        blocks
    }

    fn summary(&self) -> String {
        format!("{}: {}: {}", self.test, self.analysis.decision, self.analysis.reason)
    }

    fn exit(&self) -> Exit {
        match self.analysis.decision {
            Decision::Promote | Decision::Keep => Exit::Ok,
            Decision::Continue => Exit::Inconclusive,
            Decision::Guarded | Decision::Invalid => Exit::No,
        }
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        vec![("decision", self.analysis.decision.to_string())]
    }
}

pub(super) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let project = &cx.project()?.project;
    let judged = cx.store(Mode::Read)?.read(|view| Judged::of(view, project, &table::get(view, &args.name)?))?;
    cx.out.emit(&judged)
}
