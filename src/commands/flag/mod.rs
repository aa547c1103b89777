//! `kf flag`: which variant each user of a tenant gets.

mod change;
mod eval;
mod export;
mod show;

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::weight::Weight;
use crate::cli::cx::Cx;
use crate::domain::flag::{Flag, value};
use serde::Serialize;
use serde_json::Value;

/// Switch something on for a part of a tenant's users, always the same ones
#[derive(clap::Subcommand, Debug)]
#[command(
    after_long_help = "Examples:\n  kf flag set new-ranking --percent 5\n  kf flag set prompt --variant v2=10 --variant v1=90 --tenant acme\n  kf flag eval new-ranking --key user-17\n  kf flag export -o flags.json          for OpenFeature's clients of flagd"
)]
pub(crate) enum Command {
    Eval(eval::Args),
    Export(export::Args),
    Get(show::GetArgs),
    List(show::ListArgs),
    Remove(change::RemoveArgs),
    Set(change::SetArgs),
}

impl Command {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        match self {
            Self::Eval(args) => eval::run(cx, args),
            Self::Export(args) => export::run(cx, args),
            Self::Get(args) => show::get(cx, args),
            Self::List(args) => show::list(cx, args),
            Self::Remove(args) => change::remove(cx, args),
            Self::Set(args) => change::set(cx, args),
        }
    }
}

/// Whose flags.
#[derive(clap::Args, Debug)]
struct Whose {
    /// The tenant; `ingest.tenant` of mlops.toml when it is left out
    #[arg(long)]
    tenant: Option<Name>,
}

impl Whose {
    fn name(&self, cx: &Cx) -> Result<Name> {
        Ok(match &self.tenant {
            Some(tenant) => tenant.clone(),
            None => cx.project()?.project.ingest.tenant.clone(),
        })
    }
}

/// A flag as reports show it.
#[derive(Serialize)]
struct FlagDoc {
    name: Name,
    variants: Vec<VariantDoc>,
    /// What whoever has no key gets.
    fallback: String,
}

#[derive(Serialize)]
struct VariantDoc {
    variant: Name,
    value: Value,
    percent: f64,
}

impl From<&Flag> for FlagDoc {
    fn from(flag: &Flag) -> Self {
        let variant = |(name, part): &(Name, Weight)| VariantDoc {
            variant: name.clone(),
            value: value(name.as_str()),
            percent: part.percent(),
        };
        Self {
            name: flag.name.clone(),
            variants: flag.rule.parts().iter().map(variant).collect(),
            fallback: flag.rule.fallback().to_owned(),
        }
    }
}
