//! `kf config check`: whether mlops.toml is right; all problems at once.

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::out::sentences;
use crate::cli::report::{Block, Report};
use crate::release::rollout::plan::problems;
use serde::Serialize;
use std::path::PathBuf;

/// Check mlops.toml and the files that it names, and report every problem at once
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf config check\n  kf config check --profile ci\n\nData with a pointer FILE.dvc counts as there."
)]
pub(crate) struct Args {}

#[derive(Serialize)]
struct Checked {
    file: PathBuf,
    project: String,
    models: usize,
    gates: usize,
}

impl Report for Checked {
    const SCHEMA: &'static str = "kf.config-check/1";

    fn blocks(&self) -> Vec<Block> {
        sentences([self.summary()])
    }

    fn summary(&self) -> String {
        format!("{} is right: {}, {}", self.file.display(), count(self.models, "model"), count(self.gates, "gate"))
    }
}

pub(crate) fn run(cx: &Cx, _: &Args) -> Result<Exit> {
    let loaded = cx.project()?;
    let problems: Vec<_> = loaded.missing_files().into_iter().chain(problems(&loaded.project)).collect();
    loaded.report(&problems)?;
    cx.out.emit(&Checked {
        file: loaded.path.clone(),
        project: loaded.project.project.name.to_string(),
        models: loaded.project.models.len(),
        gates: loaded.project.gates.len(),
    })
}
