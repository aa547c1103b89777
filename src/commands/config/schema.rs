//! `kf config schema`: the JSON Schema of mlops.toml, for editors.

use crate::base::error::{Context, Result};
use crate::base::exit::Exit;
use crate::base::format::Format;
use crate::cli::cx::Cx;
use crate::config;

/// Print the JSON Schema of mlops.toml, for editors
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf config schema > mlops.schema.json")]
pub(crate) struct Args {}

pub(crate) fn run(cx: &Cx, _: &Args) -> Result<Exit> {
    cx.only_formats("a JSON Schema", &[Format::Table, Format::Json])?;
    let text = serde_json::to_string_pretty(&config::json_schema()).context(|| "cannot write the schema")?;
    cx.out.print(&format!("{text}\n"))?;
    Ok(Exit::Ok)
}
