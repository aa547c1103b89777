//! `kf drift check NAME --compat evidently`: the values of another tool, printed and not recorded.

use super::config_of;
use super::data::DataArgs;
use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::table::Table;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::drift::evidently::table::Said;
use crate::domain::drift::table::newest_baseline;
use crate::release::drift::compat::{Tool, evidently};
use crate::store::Mode;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Serialize)]
struct ColumnDoc {
    column: String,
    taken_as: Option<&'static str>,
    method: Option<&'static str>,
    score: Option<f64>,
    threshold: Option<f64>,
    drifted: Option<bool>,
    /// Why there is no score.
    why: Option<String>,
}

#[derive(Serialize)]
struct CompatDoc {
    name: Name,
    tool: &'static str,
    rows_ref: u64,
    rows: u64,
    scored: usize,
    drifted: usize,
    dataset_drift: Option<bool>,
    columns: Vec<ColumnDoc>,
    notes: Vec<String>,
}

impl Report for CompatDoc {
    const SCHEMA: &'static str = "kf.drift-compat/1";

    fn blocks(&self) -> Vec<Block> {
        let mut t = Table::new(&["column", "taken as", "method", ">score", ">threshold", "drift"]);
        for c in &self.columns {
            let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:?}"));
            let drift = match (c.drifted, &c.why) {
                (Some(true), _) => "yes".to_owned(),
                (Some(false), _) => "no".to_owned(),
                (None, why) => format!("not scored: {}", why.as_deref().unwrap_or_default()),
            };
            let word = |word: Option<&'static str>| word.unwrap_or("-").to_owned();
            t.row([c.column.clone(), word(c.taken_as), word(c.method), number(c.score), number(c.threshold), drift]);
        }
        let lines: Vec<String> = self.notes.iter().map(|n| format!("note: {n}")).chain([self.summary()]).collect();
        vec![t.into(), lines.join("\n").into()]
    }

    fn summary(&self) -> String {
        let said = match self.dataset_drift {
            Some(true) => "drift of the data set",
            Some(false) => "no drift of the data set",
            None => "nothing to say",
        };
        let of = count(self.scored, "scored column");
        format!("{}: Evidently 0.7.23 finds {said}: {} of {of} drifted; nothing is recorded", self.name, self.drifted)
    }

    fn exit(&self) -> Exit {
        match self.dataset_drift {
            Some(true) => Exit::No,
            Some(false) => Exit::Ok,
            None => Exit::Inconclusive,
        }
    }
}

fn doc((column, said): (String, Said)) -> ColumnDoc {
    match said {
        Said::Score { taken, method, score } => ColumnDoc {
            column,
            taken_as: Some(taken.word()),
            method: Some(method.word()),
            score: Some(score),
            threshold: Some(method.threshold()),
            drifted: Some(method.drifted(score)),
            why: None,
        },
        Said::Nothing(why) => {
            ColumnDoc { column, taken_as: None, method: None, score: None, threshold: None, drifted: None, why: Some(why) }
        }
    }
}

pub(super) fn run(cx: &Cx, tool: Tool, names: &[Name], data: &DataArgs, reference: &[PathBuf]) -> Result<Exit> {
    let [name] = names else {
        return Err(Error::usage(format!("`--compat {tool}` compares one thing"))
            .hint("name it: `kf drift check NAME --compat evidently …`"));
    };
    if reference.is_empty() {
        return Err(Error::usage(format!(
            "`--compat {tool}` needs the data of the reference: its values cannot be had from a profile"
        ))
        .hint("give the files that the baseline was taken of: `--reference FILE`"));
    }
    let config = config_of(cx, name)?;
    let new = if data.is_named() { data.inputs(cx, &config)? } else { data.configured(cx, &config)? };
    let found = evidently(&config, &data.files(cx, reference)?, &new, cx.jobs())?;
    let baseline = cx.store(Mode::Read)?.read(|view| newest_baseline(view, name))?;
    let other = baseline.filter(|row| row.data != found.reference_digest());
    let notes = other.map(|row| format!("the reference is not the data that the baseline of {} was taken of", row.reference()));
    let (scored, drifted) = found.counted();
    cx.out.emit(&CompatDoc {
        name: name.clone(),
        tool: tool.word(),
        rows_ref: found.rows_ref,
        rows: found.rows,
        scored,
        drifted,
        dataset_drift: found.drifted(),
        columns: found.columns.into_iter().map(doc).collect(),
        notes: notes.into_iter().collect(),
    })
}
