//! `[model.<name>]`: what a model is made of.

use crate::base::name::{ModelType, Name};
use crate::base::reference::{Reference, Selector};
use crate::config::check::{CheckNamed, Checker};
use crate::config::diag::{Diagnostic, Spot};
use crate::config::path::RepoPath;
use crate::config::shape::{At, Item, Named, Sub, Tables, table};
use std::collections::BTreeMap;

table! {
    /// As written.
    RawModel {
        /// What the model is.
        kind: Option<At<ModelType>> = "type" [required];
        /// The file or folder that it is made of, relative to the repository.
        path: Option<At<RepoPath>> = "path";
        /// The files and folders that it is made of, when there are several.
        paths: Option<At<Vec<Item<RepoPath>>>> = "paths";
        /// What it does, in a sentence.
        description: Option<At<String>> = "description";
        /// Licence, as an SPDX expression.
        license: Option<At<String>> = "license";
        /// Languages that it is made for, such as `en`.
        language: At<Vec<Item<String>>> = "language", or Vec::new();
        /// Tags that every version of it gets.
        tags: At<Vec<Item<String>>> = "tags", or Vec::new();
        /// Versions of other models that it needs.
        depends: At<Vec<Item<Reference>>> = "depends", or Vec::new();
        /// The version of a dataset that it was made from.
        dataset: Option<At<Reference>> = "dataset";
        /// For models of type `config`: where its parts are, relative to `path`.
        parts: Sub<RawParts> = "parts";
    }
}

table! {
    /// As written.
    RawParts {
        /// Prompt templates.
        prompts: Option<At<RepoPath>> = "prompts";
        /// Routing rules.
        routing: Option<At<RepoPath>> = "routing";
        /// Retrieval settings.
        retrieval: Option<At<RepoPath>> = "retrieval";
        /// Agent definitions.
        agents: Option<At<RepoPath>> = "agents";
    }
}

/// What a model is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Its name.
    pub name: Name,
    /// What it is.
    pub kind: ModelType,
    /// Its files and folders, at least one.
    pub paths: Vec<RepoPath>,
    /// What it does.
    pub description: Option<String>,
    /// Licence, as an SPDX expression.
    pub license: Option<String>,
    /// Languages that it is made for.
    pub language: Vec<String>,
    /// Tags that every version of it gets.
    pub tags: Vec<String>,
    /// Versions of other models of this file that it needs.
    pub depends: Vec<Reference>,
    /// The version of a dataset that it was made from.
    pub dataset: Option<Reference>,
    /// Where the parts of a model of type `config` are.
    pub parts: Parts,
}

/// Where the parts of a model of type `config` are, relative to its one path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Prompt templates.
    pub prompts: Option<RepoPath>,
    /// Routing rules.
    pub routing: Option<RepoPath>,
    /// Retrieval settings.
    pub retrieval: Option<RepoPath>,
    /// Agent definitions.
    pub agents: Option<RepoPath>,
}

impl CheckNamed for RawModel {
    type Plain = Model;
    fn check(&self, name: &Name, key: &Spot, cx: &mut Checker<'_>) -> Option<Model> {
        let paths = self.checked_paths(name, key, cx);
        if let Some(kind) = &self.kind {
            self.check_parts(kind, cx);
        }
        for item in &self.depends.value {
            self.check_dependency(name, item, cx);
        }
        let dataset = self.dataset.as_ref().and_then(|at| cx.dataset_model(&at.value, &at.spot));
        let text = |at: &Option<At<String>>| at.as_ref().map(|at| at.value.clone());
        let texts = |at: &At<Vec<Item<String>>>| at.value.iter().map(|i| i.value.clone()).collect();
        Some(Model {
            name: name.clone(),
            kind: self.kind.as_ref()?.value,
            paths,
            description: text(&self.description),
            license: text(&self.license),
            language: texts(&self.language),
            tags: texts(&self.tags),
            depends: self.depends.value.iter().map(|i| i.value.clone()).collect(),
            dataset,
            parts: self.parts.body.plain(),
        })
    }

    fn check_all(all: &Tables<Self>, cx: &mut Checker<'_>) {
        for (spot, way) in circles(&all.0, &cx.models) {
            let title = format!("no version of these models can be the first: `{}`", way.join("` → `"));
            cx.refuse(spot, title, "name a version in one of them: `NAME@1.0.0`");
        }
    }
}

impl RawModel {
    /// True for a model of type `dataset`.
    pub(in crate::config) fn is_dataset(&self) -> bool {
        self.kind.as_ref().is_some_and(|kind| kind.value == ModelType::Dataset)
    }

    fn checked_paths(&self, name: &Name, key: &Spot, cx: &mut Checker<'_>) -> Vec<RepoPath> {
        match (&self.path, &self.paths) {
            // A profile that says one of them takes the place of the other one of the file.
            (Some(one), Some(many)) if one.layer > many.layer => vec![one.value.clone()],
            (Some(one), Some(many)) if one.layer == many.layer => {
                let problem = Diagnostic::new(format!("model `{name}` has `path` and `paths`")).at(&one.key).at(&many.key);
                cx.diags.add(problem.help("keep one of them"));
                Vec::new()
            }
            (_, Some(many)) => distinct(name, many, cx),
            (Some(one), None) => vec![one.value.clone()],
            (None, None) => {
                let problem = Diagnostic::new(format!("model `{name}` has no `path`")).at(key);
                cx.absent(problem.help("add `path = \"…\"`, a file or folder of the repository"));
                Vec::new()
            }
        }
    }

    fn check_parts(&self, kind: &At<ModelType>, cx: &mut Checker<'_>) {
        let Some(key) = &self.parts.key else { return };
        if kind.value != ModelType::Config {
            let problem = Diagnostic::new("only a model of type `config` has `parts`").at(key);
            cx.diags.add(problem.at_with(&kind.spot, format!("this one is of type `{}`", kind.value)));
        } else if let Some(paths) = self.paths.as_ref().filter(|_| self.path.is_none()) {
            let problem = Diagnostic::new("`parts` are relative to `path`, and this model has `paths`").at(key).at(&paths.key);
            cx.diags.add(problem.help("name the folder that holds all parts in `path`"));
        }
    }

    fn check_dependency(&self, name: &Name, item: &Item<Reference>, cx: &mut Checker<'_>) {
        let other = &item.value.name;
        if !cx.known_model(other, &item.spot) {
            return;
        }
        if other == name && item.value.selector == Selector::Latest {
            let help = "remove it, or name an earlier version: `NAME@1.0.0`";
            cx.refuse(&item.spot, format!("model `{name}` depends on itself"), help);
        }
    }
}

fn distinct(name: &Name, paths: &At<Vec<Item<RepoPath>>>, cx: &mut Checker<'_>) -> Vec<RepoPath> {
    if paths.value.is_empty() {
        let problem = Diagnostic::new(format!("model `{name}` has no path")).at(&paths.spot);
        cx.absent(problem.help("name a file or folder of the repository"));
    }
    let mut seen: BTreeMap<&RepoPath, &Spot> = BTreeMap::new();
    for item in &paths.value {
        if let Some(first) = seen.insert(&item.value, &item.spot) {
            let problem = Diagnostic::new(format!("model `{name}` names `{}` twice", item.value));
            cx.diags.add(problem.at(&item.spot).at_with(first, "first here"));
        }
    }
    paths.value.iter().map(|i| i.value.clone()).collect()
}

/// Every circle of references to `latest`, once: the reference that closes it, and the models on the way. Depth first with an
/// own stack, so that a long chain is no danger.
fn circles<'m>(models: &'m [Named<RawModel>], index: &BTreeMap<&str, usize>) -> Vec<(&'m Spot, Vec<&'m str>)> {
    let next = |at: usize, edge: usize| {
        let item = models[at].body.depends.value.get(edge)?;
        let floating = item.value.selector == Selector::Latest && item.value.name != models[at].name;
        Some((item, index.get(item.value.name.as_str()).copied().filter(|_| floating)))
    };
    let mut found = Vec::new();
    let mut done = vec![false; models.len()];
    let mut place_on_way: BTreeMap<usize, usize> = BTreeMap::new();
    for start in 0..models.len() {
        let mut way: Vec<(usize, usize)> = if done[start] { Vec::new() } else { vec![(start, 0)] };
        place_on_way.insert(start, 0);
        while let Some(last) = way.last_mut() {
            let (at, edge) = *last;
            last.1 += 1;
            match next(at, edge) {
                None => {
                    done[at] = true;
                    place_on_way.remove(&at);
                    way.pop();
                }
                Some((item, Some(to))) => match place_on_way.get(&to) {
                    Some(place) => {
                        let names = way[*place..].iter().map(|(i, _)| *i).chain([to]);
                        found.push((&item.spot, names.map(|i| models[i].name.as_str()).collect()));
                    }
                    None if !done[to] => {
                        place_on_way.insert(to, way.len());
                        way.push((to, 0));
                    }
                    None => {}
                },
                Some((_, None)) => {}
            }
        }
        place_on_way.clear();
    }
    found
}

impl RawParts {
    fn plain(&self) -> Parts {
        let path = |at: &Option<At<RepoPath>>| at.as_ref().map(|at| at.value.clone());
        Parts {
            prompts: path(&self.prompts),
            routing: path(&self.routing),
            retrieval: path(&self.retrieval),
            agents: path(&self.agents),
        }
    }
}
