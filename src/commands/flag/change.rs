//! `kf flag set` and `kf flag remove`.

use super::{FlagDoc, Whose};
use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::weight::Weight;
use crate::cli::cx::Cx;
use crate::cli::out::sentences;
use crate::cli::report::{Block, Report};
use crate::domain::flag::{Flag, Rule, record};
use crate::store::Mode;
use serde::Serialize;

/// Set a flag of a tenant: on, off, on for a part of its users, or variants by their parts
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf flag set new-ranking --percent 5\n  kf flag set new-ranking --on --tenant acme\n  kf flag set prompt --variant v2\n  kf flag set prompt --variant v2=10 --variant v1=90\n\nRaising the part of what stands first takes it from nobody who has it."
)]
pub(crate) struct SetArgs {
    /// The flag
    name: Name,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    how: How,
}

/// What it gives: one of these.
#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
struct How {
    /// On for everybody
    #[arg(long)]
    on: bool,
    /// Off for everybody
    #[arg(long)]
    off: bool,
    /// On for this part of the users, off for the rest
    #[arg(long, value_name = "P", value_parser = percent)]
    percent: Option<Weight>,
    /// A variant for everybody, or for this part of the users; all parts together are 100
    #[arg(long = "variant", value_name = "NAME[=P]", value_parser = variant)]
    variants: Vec<(Name, Weight)>,
}

/// Take a flag of a tenant away: clients then use what is written in their code
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf flag remove new-ranking\n  kf flag remove new-ranking --tenant acme")]
pub(crate) struct RemoveArgs {
    /// The flag
    name: Name,
    #[command(flatten)]
    whose: Whose,
}

fn percent(text: &str) -> Result<Weight, String> {
    let weight = text.trim_end_matches('%').trim().parse().ok().and_then(Weight::from_percent);
    weight.ok_or_else(|| "a part is a percentage from 0 to 100 with at most two decimals".to_owned())
}

fn variant(text: &str) -> Result<(Name, Weight), String> {
    let (name, part) = text.split_once('=').map_or((text, None), |(name, part)| (name, Some(part)));
    Ok((name.parse().map_err(|e: crate::base::name::BadName| e.to_string())?, part.map_or(Ok(Weight::FULL), percent)?))
}

impl How {
    fn rule(&self) -> Result<Rule> {
        let hint = "name all of them: `--variant v2=10 --variant v1=90`";
        match self.percent {
            Some(part) => Ok(Rule::on(part)),
            None if self.on => Ok(Rule::on(Weight::FULL)),
            None if self.off => Ok(Rule::on(Weight::NONE)),
            None => Rule::of(self.variants.clone()).map_err(|why| Error::usage(why).hint(hint)),
        }
    }
}

#[derive(Serialize)]
struct Changed {
    tenant: Name,
    name: Name,
    /// The flag as it is now; nothing when it was taken away.
    flag: Option<FlagDoc>,
    /// In words, what it gives now and what it gave before.
    rule: Option<String>,
    before: Option<String>,
}

impl Report for Changed {
    const SCHEMA: &'static str = "kf.flag/1";

    fn blocks(&self) -> Vec<Block> {
        sentences([self.summary()])
    }

    fn summary(&self) -> String {
        let flag = format!("{}/{}", self.tenant, self.name);
        match (&self.rule, &self.before) {
            (Some(now), Some(before)) if now == before => format!("{flag} is {now} already"),
            (Some(now), Some(before)) => format!("{flag} is {now}, before {before}"),
            (Some(now), None) => format!("{flag} is {now}"),
            (None, before) => format!("{flag} is no flag any more, before {}", before.as_deref().unwrap_or("nothing")),
        }
    }
}

pub(super) fn set(cx: &Cx, args: &SetArgs) -> Result<Exit> {
    let rule = args.how.rule()?;
    let tenant = args.whose.name(cx)?;
    let flag = Flag { name: args.name.clone(), rule };
    let before = cx.store(Mode::Write)?.write(|tx| record::set(tx, &tenant, &flag))?;
    cx.out.emit(&Changed {
        tenant,
        name: args.name.clone(),
        rule: Some(flag.rule.words()),
        before: before.map(|rule| rule.words()),
        flag: Some(FlagDoc::from(&flag)),
    })
}

pub(super) fn remove(cx: &Cx, args: &RemoveArgs) -> Result<Exit> {
    let tenant = args.whose.name(cx)?;
    let before = cx.store(Mode::Write)?.write(|tx| record::remove(tx, &tenant, &args.name))?;
    cx.out.emit(&Changed { tenant, name: args.name.clone(), flag: None, rule: None, before: Some(before.words()) })
}
