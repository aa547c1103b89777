//! `kf prompt vars`: the variables of prompts, what they are, and where they are used.

use super::doc::VariableDoc;
use super::{Which, prompt};
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::table::Table;
use crate::base::text::{count, ellipsis};
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::commands::version_doc::VersionDoc;
use serde::Serialize;

/// Show the variables of prompts: type, default, and where each is used
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf prompt vars answer\n  kf prompt vars --file prompts/answer.txt\n  kf prompt vars support-bot@production --prompt prompts/answer.txt --format json"
)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
}

#[derive(Serialize)]
struct Entry {
    prompt: String,
    variables: Vec<VariableDoc>,
}

#[derive(Serialize)]
struct Listed {
    version: Option<VersionDoc>,
    prompts: Vec<Entry>,
}

/// The longest default or example in a table, in characters.
const SHOWN: usize = 40;

impl Report for Listed {
    const SCHEMA: &'static str = "kf.prompt-vars/1";

    fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        for e in &self.prompts {
            if e.variables.is_empty() {
                blocks.push(format!("{} has no variables.", e.prompt).into());
                continue;
            }
            let mut t =
                Table::new(&["variable", "type", "default", "used at", "examples", "description"]).titled(e.prompt.clone());
            for v in &e.variables {
                let default = match (&v.default, v.required) {
                    (Some(value), _) => ellipsis(&value.to_string(), SHOWN),
                    (None, true) => "required".into(),
                    (None, false) => String::new(),
                };
                let places: Vec<String> = v.uses.iter().map(|u| format!("{}:{}", u.line, u.column)).collect();
                let examples: Vec<String> = v.examples.iter().map(ToString::to_string).collect();
                let places = if places.is_empty() { "nowhere".to_owned() } else { places.join(", ") };
                let kind = if v.declared { v.kind.to_string() } else { "not declared".to_owned() };
                t.row([
                    v.name.clone(),
                    kind,
                    default,
                    places,
                    ellipsis(&examples.join(", "), SHOWN),
                    v.description.clone().unwrap_or_default(),
                ]);
            }
            blocks.push(t.into());
        }
        blocks
    }

    fn summary(&self) -> String {
        let variables = self.prompts.iter().map(|e| e.variables.len()).sum();
        format!("{} of {}", count(variables, "variable"), count(self.prompts.len(), "prompt"))
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.prompts.iter().filter_map(|v| serde_json::to_value(v).ok()).collect())
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let found = args.which.read(cx)?;
    let mut prompts = Vec::new();
    if args.which.prompt.is_some() || found.books.iter().all(|b| b.prompts.is_empty()) {
        let (book, one) = prompt::select(&found.books, args.which.prompt.as_deref(), &found.of)?;
        prompts.push(Entry { prompt: one.name(), variables: VariableDoc::all(book, one) });
    } else {
        for book in &found.books {
            prompts.extend(book.prompts.iter().map(|p| Entry { prompt: p.name(), variables: VariableDoc::all(book, p) }));
        }
    }
    cx.out.emit(&Listed { version: found.doc(), prompts })
}
