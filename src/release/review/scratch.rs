//! A state that is thrown away: in it a pull request is merged, as it were, and its gates are judged against what was there before.
//!
//! What is registered in it stands under numbers that mean nothing outside. A version there is its files alone: what it depends on lives
//! in the state of the repository, and changes no answer.

use crate::adapters::embedder::builtin::builtin;
use crate::base::error::{Context, Result};
use crate::base::name::{ModelType, Name, Stage};
use crate::base::reference::{Reference, Selector};
use crate::config::Project;
use crate::domain::prompt::book::Book;
use crate::domain::prompt::change::{Change, changes};
use crate::domain::registry::change::{Move, Way, move_to};
use crate::domain::registry::diff::text;
use crate::domain::registry::table::VersionRow;
use crate::domain::review::doc::PromptDoc;
use crate::release::calibration::{self, Calibration};
use crate::release::evaluate::Loaded;
use crate::release::prompt;
use crate::release::register::{Place, Request, Wanted, contents, differ, register};
use crate::store::objects::Objects;
use crate::store::{Settings, Store};
use serde_json::{Map, json};
use std::path::Path;

/// The state, and the objects of what is registered in it.
pub struct Scratch {
    place: Place,
    folder: tempfile::TempDir,
}

impl Scratch {
    /// An empty one; `settings` says how a state in a file is opened.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(settings: &dyn Fn(&Path) -> Result<Settings>, jobs: usize) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("kf-review-").tempdir().context(|| "cannot make a scratch folder")?;
        let (store, _) = Store::init(settings(&folder.path().join("state.db"))?)?;
        let objects = Objects::files(&folder.path().join("objects"))?;
        Ok(Self { place: Place { store, objects, root: folder.path().to_owned(), jobs }, folder })
    }

    /// The state.
    pub fn store(&self) -> &Store {
        &self.place.store
    }

    /// The objects.
    pub fn objects(&self) -> &Objects {
        &self.place.objects
    }

    /// Registers a model as the files below `root` have it.
    ///
    /// # Errors
    /// When its files cannot be read, or are none of its kind.
    pub fn register(&mut self, project: &Project, root: &Path, name: &Name) -> Result<VersionRow> {
        let plain = Request { depends: Vec::new(), dataset: None, clean_git: false, ..Request::of_model(project, root, name)? };
        self.enter(root, &plain)
    }

    fn enter(&mut self, root: &Path, request: &Request) -> Result<VersionRow> {
        root.clone_into(&mut self.place.root);
        Ok(register(&self.place, request, &|_, _| {}, &mut |_| {})?.version)
    }

    /// Puts a version in production, whatever its gates say: it is what was merged before.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn put_in_production(&self, version: &VersionRow) -> Result<()> {
        let change = Move { way: Way::Promote, to: Stage::Production, ticket: None, reason: None, detail: Map::new() };
        self.place.store.write(|tx| move_to(tx, version, &change).map(|_| ()))
    }

    /// Takes a registered dataset in under its own number, so that gates find it.
    ///
    /// # Errors
    /// When its name is none of a version, or it cannot be written.
    pub fn adopt(&mut self, loaded: &Loaded) -> Result<Reference> {
        let reference: Reference = loaded.dataset.name.parse().context(|| format!("cannot take {} in", loaded.dataset.name))?;
        let root = self.folder.path().join("dataset");
        let file = root.join(loaded.dataset.file.rsplit('/').next().unwrap_or("dataset"));
        std::fs::create_dir_all(&root).context(|| format!("cannot make {}", root.display()))?;
        std::fs::write(&file, &loaded.dataset.bytes).context(|| format!("cannot write {}", file.display()))?;
        let number = match &reference.selector {
            Selector::Version(version) => Wanted::Exactly(*version),
            _ => Wanted::Advised,
        };
        let request = Request {
            name: reference.name.clone(),
            kind: Some(ModelType::Dataset),
            paths: vec![file],
            number,
            metrics: Vec::new(),
            meta: Vec::new(),
            tags: Vec::new(),
            depends: Vec::new(),
            dataset: None,
            layout: crate::domain::registry::parts::Layout::default(),
            ticket: None,
            reason: None,
            clean_git: false,
            parent: None,
        };
        self.enter(&root, &request)?;
        Ok(reference)
    }

    /// Takes over what people's labels say of a judge.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn vouch(&self, found: &Calibration) -> Result<()> {
        let (of, labels) = ((found.judge.as_str(), found.metric.as_str()), json!({"event": found.event}));
        self.place
            .store
            .write(|tx| Ok(calibration::record(tx, of, &found.threshold, &labels, &found.agreement.confusion)))
            .map(|_| ())
    }

    /// What differs between two versions, as text.
    ///
    /// # Errors
    /// When a file of them cannot be read.
    pub fn diff(&self, project: &Project, (old, new): (&VersionRow, &VersionRow)) -> Result<String> {
        let objects = &self.place.objects;
        let (before, after) = self.place.store.read(|view| Ok((contents(view, objects, old)?, contents(view, objects, new)?)))?;
        Ok(text(&differ(objects, &before, &after, &prompt::layout(project, &new.name)?)?))
    }

    /// The prompts that differ between two versions, each side as its own configuration lays it out.
    ///
    /// # Errors
    /// When a file of them cannot be read.
    pub fn prompts(&self, (old, was): (&VersionRow, &Project), (new, is): (&VersionRow, &Project)) -> Result<Vec<PromptDoc>> {
        let read = |row: &VersionRow, project: &Project| -> Result<Vec<Book>> {
            let pages = prompt::of_version(&self.place.objects, row, &prompt::layout(project, &row.name)?)?;
            Ok(pages.into_iter().filter_map(|page| page.book.ok()).collect())
        };
        let one = |c: Change| PromptDoc {
            prompt: c.prompt,
            status: c.status.to_owned(),
            variables_added: c.variables_added,
            variables_removed: c.variables_removed,
            tokens_before: c.tokens_before,
            tokens_after: c.tokens_after,
        };
        Ok(changes(&read(old, was)?, &read(new, is)?, builtin()).into_iter().map(one).collect())
    }
}
