//! Who answers with variants, judges their answers and proposes some: the tools of `mlops.toml`, paid from one purse.

use super::Args;
use crate::base::error::{Error, Result};
use crate::cli::cx::Cx;
use crate::cli::progress;
use crate::config::{Judge as JudgeTable, Llm, Project, System};
use crate::domain::eval::judged::JudgedId;
use crate::domain::eval::score::Scores;
use crate::domain::golden::{Answer, Row};
use crate::domain::registry::table::VersionRow;
use crate::release::answer::writer::Writer;
use crate::release::judging::{self, Bench, CacheMode};
use crate::release::optimize::Purse;
use crate::release::optimize::lab::Asked;
use crate::release::{answer, evaluate, system};
use crate::seams::embedder::Embedder;
use crate::seams::model::Model;
use crate::store::Store;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::path::Path;

/// Who answers, judges and proposes, with one purse.
pub(super) struct Tools<'a> {
    pub(super) cx: &'a Cx,
    args: &'a Args,
    pub(super) project: &'a Project,
    pub(super) purse: Purse,
    pub(super) judges: Option<&'a JudgeTable>,
    /// The model that answers, where one does.
    pub(super) writer: Option<&'a Llm>,
    /// What makes vectors, once it was needed.
    embedder: OnceCell<Box<dyn Embedder>>,
}

impl<'a> Tools<'a> {
    pub(super) fn new(cx: &'a Cx, args: &'a Args, project: &'a Project) -> Result<Self> {
        let writer = project.llm.as_ref().filter(|_| project.system == System::Builtin);
        let tools = Self {
            cx,
            args,
            project,
            purse: Purse::new(args.max_cost),
            judges: project.judge.as_ref(),
            writer,
            embedder: OnceCell::new(),
        };
        if args.max_cost.is_some() {
            let asked = writer.or(project.llm.as_ref().filter(|_| args.model.is_some()));
            judging::priced(&tools.models(asked.map_or(&[], std::slice::from_ref), false)?)?;
            judging::priced(&tools.models(tools.judges.map_or(&[], |j| &j.models), false)?)?;
        }
        Ok(tools)
    }

    /// True when models are asked.
    pub(super) fn asks(&self) -> bool {
        self.writer.is_some() || self.judges.is_some()
    }

    /// Without a key nobody can be asked, and nobody has to be.
    pub(super) fn keyed(&self) -> bool {
        !self.cx.global.dry_run && self.args.cache != CacheMode::Only
    }

    pub(super) fn models(&self, of: &[Llm], keys: bool) -> Result<Vec<Box<dyn Model>>> {
        Ok(self.cx.models(of, keys)?.into_iter().map(|model| self.purse.meter(model)).collect())
    }

    pub(super) fn ask(&self, (version, store): (&VersionRow, &Store), dir: &Path, number: &str, rows: &[Row]) -> Result<Asked> {
        let cx = self.cx;
        let bar = progress::things(&cx.out, "answering", rows.len() as u64);
        let each = || bar.inc(1);
        let asked = if self.project.system == System::Builtin {
            let (embedder, cache) = (self.embedder()?, cx.vectors_dir()?);
            let qdrant: answer::QdrantOf<'_> = &|scope| cx.qdrant_for(scope);
            let writer = self.writer()?;
            let model = writer.as_ref().map(|w| w.model.about().model.clone());
            let built = answer::builtin(store, embedder, self.project, version, dir, (cache, qdrant), writer)?;
            let round = evaluate::round(&built, rows, 0, &each)?;
            cx.tell_of_engine(built.note());
            let system = model.map_or_else(|| "builtin".to_owned(), |model| format!("builtin, {model}"));
            Asked { answers: round.answers, system, cached: !round.kept.is_empty() }
        } else {
            let named = (version.name.as_str(), number);
            let found = system::answerer_as(&self.project.system, named, &self.cx.project()?.root, dir, &|r| cx.secret(r))?;
            let found = found.ok_or_else(|| Error::usage("nobody answers with a variant"))?;
            let answers = evaluate::round(found.as_ref(), rows, 0, &each)?.answers;
            answers.values().filter_map(|a| a.cost_usd).for_each(|cost| self.purse.pay(cost));
            Asked { answers, system: found.kind().to_owned(), cached: false }
        };
        bar.finish_and_clear();
        Ok(asked)
    }

    fn embedder(&self) -> Result<&dyn Embedder> {
        if let Some(there) = self.embedder.get() {
            return Ok(there.as_ref());
        }
        let made = self.cx.embedder()?;
        Ok(self.embedder.get_or_init(|| made).as_ref())
    }

    fn writer(&self) -> Result<Option<Writer>> {
        let Some(llm) = self.writer else { return Ok(None) };
        let mut models = self.models(std::slice::from_ref(llm), self.keyed())?;
        let cache = self.cx.answers(self.args.cache)?;
        Ok(models.pop().map(|model| Writer { model, cache, settings: llm.clone(), dry: false }))
    }

    pub(super) fn judge(&self, ids: &[JudgedId], rows: &[Row], answers: &HashMap<String, Answer>) -> Result<Scores> {
        let judge = self.judges.ok_or_else(|| Error::usage("mlops.toml names no judge"))?;
        let bench = Bench {
            models: self.models(&judge.models, self.keyed())?,
            settings: judging::settings(judge),
            min_coverage: judge.min_coverage,
            embedder: self.embedder()?,
            metrics: ids.to_vec(),
            repeat: 1,
            max_cost: None,
            cache: &self.cx.answers(self.args.cache)?,
        };
        let bar = progress::things(&self.cx.out, "judging", (rows.len() * ids.len()) as u64);
        let outcome = judging::run(&bench, rows, answers, &|| bar.inc(1))?;
        bar.finish_and_clear();
        Ok(outcome.scores)
    }
}
