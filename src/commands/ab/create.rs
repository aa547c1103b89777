//! `kf ab create`: a test begins.

use super::doc::TestDoc;
use super::{Looked, percent};
use crate::base::digest::hex;
use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::reference::Reference;
use crate::base::weight::Weight;
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::domain::ab::{Arm, Design, Guardrail, Metric, Rule, Setup, record};
use crate::domain::registry::table;
use crate::release::attest;
use crate::store::{Mode, View};
use clap_complete::engine::ArgValueCompleter;

/// Begin a test of one version against another
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf ab create greeting --control bot@1.0.0 --treatment bot@1.1.0 --metric solved\n  kf ab create speed --control bot@production --treatment bot@latest --metric latency-ms:mean:lower --split 20 --effect 50 --sd 400\n  kf ab create prompts --control bot@1.0.0 --treatment bot@1.1.0 --metric token-f1 --paired\n\nA metric is NAME[:rate|:score|:mean][:higher|:lower]. What is left out is what kf knows of the name (error-rate, latency-…, cost-…, metrics of `kf eval`), else a rate of which higher is better; a guardrail of another name must have its direction. What is decided here never changes."
)]
pub(crate) struct Args {
    /// The test
    name: Name,
    /// The version that is there
    #[arg(long, value_name = "REF", add = ArgValueCompleter::new(complete::references))]
    control: Reference,
    /// The version on trial
    #[arg(long, value_name = "REF", add = ArgValueCompleter::new(complete::references))]
    treatment: Reference,
    /// The metric that decides
    #[arg(long, value_name = "METRIC")]
    metric: Metric,
    /// A metric that must not get worse by more than a margin, such as error-rate=0.01 or quality:score:higher=0.05; again for more
    #[arg(long = "guardrail", value_name = "METRIC=MARGIN")]
    guardrails: Vec<Guardrail>,
    /// The part of the users that gets the treatment, in percent
    #[arg(long, value_name = "P", default_value = "50", value_parser = percent)]
    split: Weight,
    /// Each unit gets both versions, as the questions of a dataset do
    #[arg(long, conflicts_with = "split")]
    paired: bool,
    /// What a promotion takes: `both` the chance and evidence that holds at every look, or `bayes` the chance alone
    #[arg(long, value_name = "RULE", default_value = "both")]
    rule: Rule,
    #[command(flatten)]
    looked: Looked,
}

pub(super) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let design = if args.paired { Design::Paired } else { Design::Split };
    let aim = args.looked.aim(&args.metric, design)?;
    let test = cx.store(Mode::Write)?.write(|tx| {
        let setup = Setup {
            name: args.name.clone(),
            control: arm(tx.view(), &args.control)?,
            treatment: arm(tx.view(), &args.treatment)?,
            metric: args.metric.clone(),
            guardrails: args.guardrails.clone(),
            split: args.split,
            design,
            rule: args.rule,
            aim,
            salt: hex(&tx.salt()[..16]),
        };
        setup.check().map_err(Error::usage)?;
        record::create(tx, &setup)?;
        Ok(TestDoc::begun(&setup, tx.now()))
    })?;
    cx.out.emit(&test)
}

fn arm(view: View<'_>, reference: &Reference) -> Result<Arm> {
    let version = table::resolve(view, reference)?;
    attest::version(view, &version)?;
    Ok(Arm { model: version.name, version: version.version, digest: version.digest })
}
