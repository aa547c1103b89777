//! What data a command reads: files, addresses of objects, the standard input, or the rows of a query.

use crate::base::error::{Error, Result};
use crate::cli::cx::Cx;
use crate::config::{DataSource, Drift};
use crate::data::Input;
use std::path::{Path, PathBuf};

/// The data that is named on the command line.
#[derive(clap::Args, Debug)]
pub(super) struct DataArgs {
    /// A file of CSV, JSON lines or Parquet, the address of an object, or `-`; again for more of the same shape
    #[arg(long, value_name = "FILE")]
    data: Vec<PathBuf>,
    /// A query whose rows are the data, asked of `--source`
    #[arg(long, value_name = "QUERY", conflicts_with = "data")]
    sql: Option<String>,
    /// The database of the query: sqlite:PATH, postgres://USER@HOST/DATABASE, or env:NAME that holds one (default: `source` in mlops.toml)
    #[arg(long, value_name = "DATABASE", requires = "sql")]
    source: Option<String>,
}

impl DataArgs {
    /// Whether any is named.
    pub(super) fn is_named(&self) -> bool {
        !self.data.is_empty() || self.sql.is_some()
    }

    /// What is named.
    pub(super) fn inputs(&self, cx: &Cx, config: &Drift) -> Result<Vec<Input>> {
        let Some(sql) = &self.sql else { return files(cx, &self.data) };
        // Parsed here and not by clap, which would show a password that was written into it.
        let named = self.source.as_ref().map(|text| text.parse::<DataSource>()).transpose();
        let named = named.map_err(|refused| Error::usage(format!("`--source` cannot be used: {refused}")))?;
        let query = match (&named, &config.source) {
            (Some(source), _) => cx.data_query(&cx.cwd, source, sql),
            (None, Some(source)) => cx.data_query(&cx.project()?.root, source, sql),
            (None, None) => Err(Error::usage(format!("no database is named that `{}` could ask", config.name))
                .hint(format!("give `--source sqlite:PATH`, or set `source` in `[drift.{}]`", config.name))),
        };
        query.map(|input| vec![input])
    }
}

/// What `mlops.toml` names.
pub(super) fn configured(cx: &Cx, config: &Drift) -> Result<Vec<Input>> {
    let root = &cx.project()?.root;
    match (&config.sql, &config.source) {
        (Some(sql), Some(source)) => cx.data_query(root, source, sql).map(|input| vec![input]),
        _ => config.data.iter().map(|path| cx.data_input(root, Path::new(path))).collect(),
    }
}

/// Files, addresses of objects, `-` for the standard input.
pub(super) fn files(cx: &Cx, paths: &[PathBuf]) -> Result<Vec<Input>> {
    if paths.iter().filter(|path| is_stdin(path)).count() > 1 {
        return Err(Error::usage("the standard input is named twice").hint("it can be read once"));
    }
    let one = |path: &PathBuf| match is_stdin(path) {
        true => Input::spooled("standard input", &mut std::io::stdin().lock()),
        false => cx.data_input(&cx.cwd, path),
    };
    paths.iter().map(one).collect()
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}
