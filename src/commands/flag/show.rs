//! `kf flag get` and `kf flag list`.

use super::{FlagDoc, Whose};
use crate::base::error::{Context, Result};
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::table::Table;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::flag::table;
use crate::store::Mode;
use serde::Serialize;

/// Show a flag of a tenant
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf flag get new-ranking\n  kf flag get new-ranking --tenant acme --format json")]
pub(crate) struct GetArgs {
    /// The flag
    name: Name,
    #[command(flatten)]
    whose: Whose,
}

/// List the flags of a tenant
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf flag list\n  kf flag list --tenant acme --format json")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    whose: Whose,
}

#[derive(Serialize)]
struct Listed {
    tenant: Name,
    flags: Vec<FlagDoc>,
}

impl Report for Listed {
    const SCHEMA: &'static str = "kf.flag-list/1";

    fn blocks(&self) -> Vec<Block> {
        let mut t = Table::new(&["flag", "variant", "percent"]);
        for flag in &self.flags {
            for (i, v) in flag.variants.iter().enumerate() {
                t.row([if i == 0 { flag.name.as_str() } else { "" }, v.variant.as_str(), &v.percent.to_string()]);
            }
        }
        if self.flags.is_empty() { vec![self.summary().into()] } else { vec![Block::from(t)] }
    }

    fn summary(&self) -> String {
        format!("{} of {}", count(self.flags.len(), "flag"), self.tenant)
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        self.flags.iter().map(|flag| serde_json::to_value(flag).ok()).collect()
    }
}

pub(super) fn get(cx: &Cx, args: &GetArgs) -> Result<Exit> {
    let tenant = args.whose.name(cx)?;
    let flag = cx.store(Mode::Read)?.read(|view| table::get(view, &tenant, &args.name))?;
    cx.out.emit(&Listed { tenant, flags: vec![FlagDoc::from(&flag)] })
}

pub(super) fn list(cx: &Cx, args: &ListArgs) -> Result<Exit> {
    let tenant = args.whose.name(cx)?;
    let flags =
        cx.store(Mode::Read)?.read(|view| table::all(view, &tenant)).context(|| format!("cannot list the flags of {tenant}"))?;
    cx.out.emit(&Listed { tenant, flags: flags.iter().map(FlagDoc::from).collect() })
}
