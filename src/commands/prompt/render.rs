//! `kf prompt render`: what a prompt says with values in the places of its variables.

use super::{Which, prompt, tokens};
use crate::base::error::{Context, Error, Result};
use crate::base::exit::Exit;
use crate::base::format::Format;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::commands::version_doc::VersionDoc;
use crate::domain::prompt::book::{Prompt, Rendered};
use crate::domain::prompt::value::{from_file, from_json};
use crate::domain::prompt::variable::fitted;
use serde::Serialize;
use serde_json::{Map, Value};
use std::path::PathBuf;

/// Render a prompt as Python's `str.format` does
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf prompt render answer@production --var question='Where is my parcel?' --var price:=9.5\n  kf prompt render answer --vars values.yaml --format json\n  kf prompt render --file prompts/answer.txt --vars values.json -o prompt.txt\n\nA value given as NAME=TEXT is text, or what the variable is declared as; NAME:=JSON is any value. Values without a\nvariable and variables without a value or default are refused, all at once."
)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// A value: NAME=TEXT, or NAME:=JSON; again for more
    #[arg(long = "var", value_name = "K=V", value_parser = given_of)]
    vars: Vec<Given>,
    /// A file of values (JSON, YAML or TOML); again for more, later ones count
    #[arg(long = "vars", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Let values be there that the prompt does not use
    #[arg(long)]
    allow_unused: bool,
    /// Write the prompt to this file
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// A value of the command line.
#[derive(Clone, Debug)]
struct Given {
    name: String,
    value: Said,
}

#[derive(Clone, Debug)]
enum Said {
    Text(String),
    Json(Value),
}

fn given_of(text: &str) -> Result<Given, String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=TEXT or NAME:=JSON")?;
    let (name, value) = match name.strip_suffix(':') {
        Some(name) => (name, Said::Json(from_json(value).map_err(|f| format!("column {}: {}", f.column, f.message))?)),
        None => (name, Said::Text(value.to_owned())),
    };
    if name.is_empty() {
        return Err("expected a name before `=`".to_owned());
    }
    Ok(Given { name: name.to_owned(), value })
}

#[derive(Serialize)]
struct Done {
    version: Option<VersionDoc>,
    prompt: String,
    rendered: Rendered,
    values: Map<String, Value>,
    tokens: u32,
    #[serde(skip)]
    output: Option<PathBuf>,
}

impl Report for Done {
    const SCHEMA: &'static str = "kf.prompt-render/1";

    fn blocks(&self) -> Vec<Block> {
        match &self.output {
            Some(path) => vec![format!("{} written to {}", self.prompt, path.display()).into()],
            None => vec![Block::Verbatim(self.rendered.shown())],
        }
    }

    fn summary(&self) -> String {
        format!("{}: {}", self.prompt, count(self.tokens as usize, "token"))
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let found = args.which.read(cx)?;
    let (_, one) = prompt::select(&found.books, args.which.prompt.as_deref(), &found.of)?;
    let values = values(cx, args, one)?;
    let rendered = one.render(&values).map_err(|fault| {
        let e = Error::usage(format!("cannot render {} of {}: {fault}", one.name(), found.of));
        // A structured file keeps no places of its texts.
        if one.key.is_some() { e.hint("the place is that in the text of the prompt") } else { e }
    })?;
    let text = match &rendered {
        Rendered::Text(text) => text.clone(),
        Rendered::Chat(messages) => serde_json::to_string_pretty(messages).context(|| "cannot write JSON")?,
    };
    if let Some(path) = &args.output {
        cx.write_output(path, &text)?;
    } else if cx.global.format.unwrap_or(Format::Table) == Format::Table && matches!(rendered, Rendered::Text(_)) {
        // Whoever pipes a prompt on gets it to the letter.
        cx.out.print(&text)?;
        return Ok(Exit::Ok);
    }
    let tokens = tokens().count(&rendered.shown());
    cx.out.emit(&Done { version: found.doc(), prompt: one.name(), rendered, values, tokens, output: args.output.clone() })
}

/// The values that were given, as the prompt declares them.
fn values(cx: &Cx, args: &Args, one: &Prompt) -> Result<Map<String, Value>> {
    let mut given = Map::new();
    for file in &args.files {
        let path = cx.cwd.join(file);
        let bytes = std::fs::read(&path).context(|| format!("cannot read {}", file.display()))?;
        let read = from_file(&file.to_string_lossy(), &bytes)
            .map_err(|f| Error::usage(format!("{}:{}:{}: {}", file.display(), f.line, f.column, f.message)))?;
        given.extend(read);
    }
    for said in &args.vars {
        let value = match &said.value {
            Said::Json(value) => value.clone(),
            Said::Text(text) => match one.declared.iter().find(|v| v.name == said.name) {
                Some(variable) => variable.of_text(text).map_err(Error::usage)?,
                None => Value::String(text.clone()),
            },
        };
        given.insert(said.name.clone(), value);
    }
    if args.allow_unused {
        let used = one.variables();
        given.retain(|name, _| used.contains(name.as_str()));
    }
    fitted(one.variables(), &one.declared, &given).map_err(|unfit| {
        let e = Error::usage(format!("the values do not fit {}:\n{}", one.name(), unfit.lines().join("\n")));
        let e = if unfit.missing.is_empty() { e } else { e.hint("give a value with `--var NAME=TEXT` or `--vars FILE`") };
        if unfit.unused.is_empty() { e } else { e.hint("`--allow-unused` lets values be there that nothing uses") }
    })
}
