//! From what was written to what is meant: every table is checked after all layers are merged, and all problems are reported.
//!
//! A table's own rules stand beside its declaration in `tables`; here is what several of them need. No rule here knows a
//! domain: names of metrics come in through [`Vocabulary`].

use super::diag::{Diagnostic, Diags, SECRET_WORDS, Source, Spot};
use super::path::{Dataset, RepoPath};
use super::schema::Raw;
use super::shape::{At, Item, Layer, Named, Sub, Table, Tables, shown};
use super::tables::model::RawModel;
use crate::base::name::{ModelType, Name};
use crate::base::reference::Reference;
use crate::base::text::{did_you_mean, nearest};
use std::collections::BTreeMap;

/// Words that other rooms know and the configuration may use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vocabulary<'a> {
    /// The names of the evaluation metrics that gates may ask for, each with its lowest and highest score.
    pub metrics: &'a [(&'a str, (f64, f64))],
    /// Those of them that a language model judges.
    pub judged: &'a [&'a str],
}

/// What a check can look at, and where it reports.
pub(super) struct Checker<'c> {
    pub(super) raw: &'c Raw,
    pub(super) vocabulary: &'c Vocabulary<'c>,
    pub(super) diags: &'c mut Diags,
    /// The models by name, each with its place in the file.
    pub(super) models: BTreeMap<&'c str, usize>,
    /// True while the table being checked has something that could not be read, so that nobody misses what is missing.
    flawed: bool,
}

/// A table that is there once.
pub(super) trait CheckOne: Table {
    type Plain;
    /// Its meaning; nothing after a problem that leaves none.
    fn check(&self, cx: &mut Checker<'_>) -> Option<Self::Plain>;
}

/// A table that people name.
pub(super) trait CheckNamed: Table {
    type Plain;
    /// Its meaning; nothing after a problem that leaves none. `key` is where its name stands.
    fn check(&self, name: &Name, key: &Spot, cx: &mut Checker<'_>) -> Option<Self::Plain>;
    /// What is to be said about all tables together.
    fn check_all(_: &Tables<Self>, _: &mut Checker<'_>) {}
}

/// What stands behind a top-level key, checked.
pub(super) trait Check {
    type Plain;
    fn check(&self, key: &str, cx: &mut Checker<'_>) -> Option<Self::Plain>;
}

impl<T: CheckOne> Check for Sub<T> {
    type Plain = T::Plain;
    fn check(&self, key: &str, cx: &mut Checker<'_>) -> Option<T::Plain> {
        cx.flawed = self.flawed;
        cx.missing(key, self.key.as_ref(), &self.body);
        self.body.check(cx)
    }
}

impl<T: CheckNamed> Check for Tables<T> {
    type Plain = Vec<T::Plain>;
    fn check(&self, key: &str, cx: &mut Checker<'_>) -> Option<Vec<T::Plain>> {
        let all = self.0.iter().map(|named| {
            cx.flawed = named.flawed;
            cx.missing(&format!("{key}.{}", named.name), Some(&named.key), &named.body);
            named.body.check(&named.name, &named.key, cx)
        });
        // Every table is checked, so that each one's problems are reported.
        let all: Vec<Option<T::Plain>> = all.collect();
        cx.flawed = false;
        T::check_all(self, cx);
        all.into_iter().collect()
    }
}

/// The words that a key may have, by its schema; nothing of one that takes others too.
fn words(of: &serde_json::Value) -> String {
    let words: Vec<String> = of.as_array().into_iter().flatten().filter_map(|w| Some(format!("`{}`", w.as_str()?))).collect();
    if words.is_empty() { String::new() } else { format!(", one of {}", words.join(", ")) }
}

impl<'c> Checker<'c> {
    /// A checker that has reported nothing.
    pub(super) fn new(raw: &'c Raw, vocabulary: &'c Vocabulary<'c>, diags: &'c mut Diags) -> Self {
        let models = raw.models.names().enumerate().map(|(i, name)| (name, i)).collect();
        Self { raw, vocabulary, diags, models, flawed: false }
    }

    /// Reports required keys that nobody set, with the words that there are to choose from.
    fn missing<T: Table>(&mut self, table: &str, at: Option<&Spot>, body: &T) {
        for key in body.missing() {
            let problem = Diagnostic::new(format!("`[{table}]` has no `{key}`"));
            let words = words(&T::schema(false)["properties"][key]["enum"]);
            self.absent(match at {
                Some(spot) => problem.at(spot).help(format!("add `{key} = …`{words}")),
                None => {
                    let top = Spot { source: Source::File, span: 0..0 };
                    problem.at(&top).help(format!("add `[{table}]` with `{key} = …`{words}"))
                }
            });
        }
    }

    /// Reports that something is not there; not in a table of which a part could not be read.
    pub(super) fn absent(&mut self, problem: Diagnostic) {
        if !self.flawed {
            self.diags.add(problem);
        }
    }

    /// The model of this name.
    pub(super) fn model(&self, name: &str) -> Option<&'c Named<RawModel>> {
        self.raw.models.0.get(*self.models.get(name)?)
    }

    /// Reports names of channels that no `[alerts.<name>]` has.
    pub(super) fn known_alerts(&mut self, names: &[Item<Name>]) {
        let known = &self.raw.alerts;
        for item in names.iter().filter(|item| known.get(item.value.as_str()).is_none()) {
            let hint = did_you_mean(item.value.as_str(), known.names());
            let hint = hint.unwrap_or_else(|| format!("add `[alerts.{}]` with `url = \"env:NAME\"`", item.value));
            self.refuse(&item.spot, format!("there is no `[alerts.{}]`", item.value), hint);
        }
    }

    /// Reports a problem with one value.
    pub(super) fn refuse(&mut self, spot: &Spot, title: impl Into<String>, help: impl Into<String>) {
        self.diags.add(Diagnostic::new(title).at(spot).help(help));
    }

    /// Refuses a key that the choice made by `decider` (a kind, a URL) has no use for. A key of a weaker layer than the
    /// decider is passed over: a profile that chooses another kind need not undo what the file says for the first one.
    pub(super) fn unused<T>(&mut self, given: Option<(&Spot, Layer)>, decider: &At<T>, title: impl Into<String>) {
        if let Some((key, layer)) = given
            && layer >= decider.layer
        {
            self.diags.add(Diagnostic::new(title).at(key).at_with(&decider.spot, "decided here"));
        }
    }

    /// Reports the name of a model that `mlops.toml` does not have; true when it has it.
    pub(super) fn known_model(&mut self, name: &Name, spot: &Spot) -> bool {
        let known = self.models.contains_key(name.as_str());
        if !known {
            let hint = did_you_mean(name.as_str(), self.raw.models.names());
            let hint = hint.unwrap_or_else(|| format!("add `[model.{name}]`"));
            self.refuse(spot, format!("there is no model `{name}`"), hint);
        }
        known
    }

    /// A reference to a version of a model of type `dataset`.
    pub(super) fn dataset_model(&mut self, reference: &Reference, spot: &Spot) -> Option<Reference> {
        if !self.known_model(&reference.name, spot) {
            return None;
        }
        let kind = self.model(reference.name.as_str()).and_then(|m| m.body.kind.as_ref());
        if let Some(kind) = kind.filter(|k| k.value != ModelType::Dataset) {
            let title = format!("`{}` is not a dataset", reference.name);
            let label = format!("its type is {}", kind.value);
            self.diags.add(Diagnostic::new(title).at(spot).at_with(&kind.spot, label));
            return None;
        }
        Some(reference.clone())
    }

    /// A dataset: the name of a model when there is one of it, otherwise a path.
    pub(super) fn dataset(&mut self, at: &At<String>) -> Option<Dataset> {
        let text = at.value.as_str();
        let name = text.split_once('@').map_or(text, |(name, _)| name);
        let named = self.models.contains_key(name) || text.contains('@') && !text.contains('/');
        if named || !text.contains(['/', '.']) && !text.is_empty() {
            return match text.parse::<Reference>() {
                Ok(reference) if !self.models.contains_key(reference.name.as_str()) => {
                    let datasets = self.raw.models.0.iter().filter(|m| m.body.is_dataset()).map(|m| m.name.as_str());
                    let near = nearest(reference.name.as_str(), datasets).map(|near| format!("did you mean `{near}`?"));
                    let help =
                        near.unwrap_or_else(|| format!("name a model of type `dataset`, or a file as `./{}`", reference.name));
                    self.refuse(&at.spot, format!("there is no dataset `{}`", reference.name), help);
                    None
                }
                Ok(reference) => self.dataset_model(&reference, &at.spot).map(Dataset::Model),
                Err(e) => {
                    self.refuse(&at.spot, e.to_string(), "name a model of type `dataset`, or a file as `./NAME`");
                    None
                }
            };
        }
        match text.parse::<RepoPath>() {
            Ok(path) => Some(Dataset::Path(path)),
            Err(e) => {
                self.refuse(&at.spot, e.to_string(), "name a model of type `dataset`, or a file of the repository");
                None
            }
        }
    }

    /// A URL of one of these schemes, with a host and without a password; `password` says where that belongs.
    pub(super) fn url(&mut self, key: &str, at: &At<String>, schemes: &[&str], password: &str) -> Option<String> {
        let all = schemes.iter().map(|s| format!("`{s}://`")).collect::<Vec<_>>().join(" or ");
        let help = format!("write {all}, a host, and what follows");
        let (title, help) = match url::Url::parse(&at.value) {
            Err(e) => (format!("`{key}` is not a URL: {e}"), help),
            Ok(url) if !schemes.contains(&url.scheme()) || url.host_str().is_none_or(str::is_empty) => {
                (format!("`{key}` must be a URL with {all} and a host"), help)
            }
            Ok(url) if url.password().is_some() || url.query_pairs().any(|(k, _)| sounds_secret(&k)) => {
                (format!("`{key}` holds a secret"), password.to_owned())
            }
            Ok(_) => return Some(at.value.clone()),
        };
        // Whatever is wrong with it, a password in it is not for the screen.
        if at.value.contains(['@', '?']) {
            self.diags.hide(&at.spot);
        }
        self.refuse(&at.spot, title, help);
        None
    }

    /// The name of an evaluation metric, with its lowest and highest score.
    pub(super) fn metric(&mut self, at: &At<String>) -> Option<(String, (f64, f64))> {
        let known = self.vocabulary.metrics;
        if let Some((name, range)) = known.iter().find(|(name, _)| *name == at.value) {
            return Some(((*name).to_owned(), *range));
        }
        let hint =
            did_you_mean(&at.value, known.iter().map(|(name, _)| *name)).unwrap_or_else(|| "this kf knows no metric".to_owned());
        self.refuse(&at.spot, format!("there is no metric `{}`", shown(&at.value)), hint);
        None
    }
}

/// True for a key whose value is likely a secret.
pub(super) fn sounds_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| key.contains(word))
}
