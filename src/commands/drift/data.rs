//! What data a command reads: files, addresses of objects, the standard input, chunks of an index, or the rows of a query.

use crate::base::error::{Error, Result};
use crate::base::name::Name;
use crate::cli::cx::Cx;
use crate::config::{DataSource, Drift, indexed};
use crate::data::Input;
use crate::release::drift::index;
use crate::store::Mode;
use std::path::{Path, PathBuf};

/// The data that is named on the command line.
#[derive(clap::Args, Debug)]
pub(super) struct DataArgs {
    /// A file of CSV, JSON lines or Parquet, the address of an object, `index:COLLECTION`, or `-`; again for more of the same shape
    #[arg(long, value_name = "FILE")]
    data: Vec<PathBuf>,
    /// A query whose rows are the data, asked of `--source`
    #[arg(long, value_name = "QUERY", conflicts_with = "data")]
    sql: Option<String>,
    /// The database of the query: sqlite:PATH, postgres://USER@HOST/DATABASE, or env:NAME that holds one (default: `source` in mlops.toml)
    #[arg(long, value_name = "DATABASE", requires = "sql")]
    source: Option<String>,
    /// The tenant whose `index:COLLECTION` is read and by whom costly vectors are kept (default: `ingest.tenant`)
    #[arg(long, value_name = "NAME")]
    tenant: Option<Name>,
}

impl DataArgs {
    /// Whether any is named.
    pub(super) fn is_named(&self) -> bool {
        !self.data.is_empty() || self.sql.is_some()
    }

    /// What is named.
    pub(super) fn inputs(&self, cx: &Cx, config: &Drift) -> Result<Vec<Input>> {
        let Some(sql) = &self.sql else { return self.files(cx, &self.data) };
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

    /// What `mlops.toml` names.
    pub(super) fn configured(&self, cx: &Cx, config: &Drift) -> Result<Vec<Input>> {
        let root = &cx.project()?.root;
        match (&config.sql, &config.source) {
            (Some(sql), Some(source)) => cx.data_query(root, source, sql).map(|input| vec![input]),
            _ => config.data.iter().map(|path| self.one(cx, root, Path::new(path))).collect(),
        }
    }

    /// Files, addresses of objects, collections, `-` for the standard input.
    pub(super) fn files(&self, cx: &Cx, paths: &[PathBuf]) -> Result<Vec<Input>> {
        if paths.iter().filter(|path| is_stdin(path)).count() > 1 {
            return Err(Error::usage("the standard input is named twice").hint("it can be read once"));
        }
        let one = |path: &PathBuf| match is_stdin(path) {
            true => Input::spooled("standard input", &mut std::io::stdin().lock()),
            false => self.one(cx, &cx.cwd, path),
        };
        paths.iter().map(one).collect()
    }

    /// The tenant whose documents and vectors are used.
    pub(super) fn tenant(&self, cx: &Cx) -> Result<Name> {
        Ok(self.tenant.clone().unwrap_or(cx.project()?.project.ingest.tenant.clone()))
    }

    /// Whether documents of a tenant are among what is named.
    pub(super) fn holds_documents(&self) -> bool {
        self.data.iter().any(|path| path.to_str().and_then(indexed).is_some())
    }

    /// A file below `root`, an object, or a collection.
    fn one(&self, cx: &Cx, root: &Path, path: &Path) -> Result<Input> {
        let Some((named, collection)) = path.to_str().and_then(|text| Some((text, indexed(text)?))) else {
            return cx.data_input(root, path);
        };
        let collection = collection.map_err(|refused| {
            Error::usage(format!("`{named}` names no collection: {refused}"))
                .hint("write `index:COLLECTION`, or `./index:…` for a file of that name")
        })?;
        index::chunks(&cx.store(Mode::Read)?, &self.tenant(cx)?, &collection, named)
    }
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}
