//! `kf prompt show`: prompts with their variables, tokens and lineage.

use super::doc::{PromptDoc, VariableDoc};
use super::{Which, prompt};
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::commands::version_doc::VersionDoc;
use crate::domain::eval::record;
use crate::domain::registry::change::PARENT;
use crate::domain::registry::table;
use crate::store::Mode;
use serde::Serialize;

/// How many evaluations are counted.
const EVALUATIONS: u32 = 1000;

/// Show the prompts of a version: text, variables, tokens, and who uses it
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf prompt show answer\n  kf prompt show support-bot@production --prompt prompts/answer.txt\n  kf prompt show --file prompts/answer.txt --format json\n\nTokens are those of the built-in tokenizer (WordPiece); a model's own count differs by a few in a hundred."
)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
}

#[derive(Serialize)]
struct Entry {
    #[serde(flatten)]
    doc: PromptDoc,
    declared: Vec<VariableDoc>,
}

/// What a version came from and who uses it.
#[derive(Serialize)]
struct Lineage {
    commit: Option<String>,
    uses: Vec<String>,
    used_by: Vec<String>,
    evaluations: usize,
}

#[derive(Serialize)]
struct Shown {
    version: Option<VersionDoc>,
    file: Option<String>,
    prompts: Vec<Entry>,
    lineage: Option<Lineage>,
}

impl Report for Shown {
    const SCHEMA: &'static str = "kf.prompt-show/1";

    fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        for e in &self.prompts {
            let p = &e.doc;
            let mut lines = vec![format!("{}  {}, {}", p.prompt, p.kind(), count(p.tokens as usize, "token"))];
            lines.extend(p.description.clone());
            if !p.variables.is_empty() {
                lines.push(format!("variables: {}", p.variables.join(", ")));
            }
            blocks.push(Block::Text(lines.join("\n")));
            blocks.push(Block::Verbatim(p.text.clone()));
        }
        blocks.extend(self.lineage.as_ref().map(|l| Block::Text(self.lineage_text(l))));
        blocks
    }

    fn summary(&self) -> String {
        let of = self.version.as_ref().map(VersionDoc::reference).or_else(|| self.file.clone()).unwrap_or_default();
        format!("{} of {of}", count(self.prompts.len(), "prompt"))
    }
}

impl Shown {
    fn lineage_text(&self, l: &Lineage) -> String {
        let mut lines = Vec::new();
        if let Some(v) = &self.version {
            let commit = l.commit.as_ref().map(|c| format!(", commit {}", c.get(..12).unwrap_or(c))).unwrap_or_default();
            lines.push(format!("{} ({}), {} by {}{commit}", v.reference(), v.stage, v.created.day(), v.author));
        }
        lines.extend((!l.uses.is_empty()).then(|| format!("uses {}", l.uses.join(", "))));
        lines.extend((!l.used_by.is_empty()).then(|| format!("used by {}", l.used_by.join(", "))));
        lines.extend((l.evaluations > 0).then(|| count(l.evaluations, "evaluation")));
        lines.join("\n")
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let found = args.which.read(cx)?;
    let mut prompts = Vec::new();
    if args.which.prompt.is_some() {
        let (book, one) = prompt::select(&found.books, args.which.prompt.as_deref(), &found.of)?;
        prompts.push(Entry { doc: PromptDoc::of(one), declared: VariableDoc::all(book, one) });
    } else {
        let all = found.books.iter().flat_map(|b| b.prompts.iter().map(move |p| (b, p)));
        prompts.extend(all.map(|(b, p)| Entry { doc: PromptDoc::of(p), declared: VariableDoc::all(b, p) }));
        if prompts.is_empty() {
            prompt::select(&found.books, None, &found.of)?;
        }
    }
    let lineage = match &found.version {
        None => None,
        Some(row) => Some(cx.store(Mode::Read)?.read(|view| {
            let names = |links: Vec<(String, table::VersionRow)>| {
                links.iter().filter(|(relation, _)| relation != PARENT).map(|(_, v)| v.reference()).collect()
            };
            Ok(Lineage {
                commit: row.git.as_ref().map(|g| g.commit.clone()),
                uses: names(table::links_from(view, row.id)?),
                used_by: names(table::links_to(view, row.id)?),
                evaluations: record::of_version(view, row.id, EVALUATIONS)?.len(),
            })
        })?),
    };
    let file = found.version.is_none().then(|| found.of.clone());
    cx.out.emit(&Shown { version: found.doc(), file, prompts, lineage })
}
