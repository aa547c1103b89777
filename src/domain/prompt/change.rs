//! Which prompts differ between two versions of a model.

use super::book::{Book, Prompt};
use crate::seams::embedder::Tokens;
use serde::Serialize;
use std::collections::BTreeSet;

/// A prompt that is new, gone or another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its name.
    pub prompt: String,
    /// `added`, `removed` or `changed`.
    pub status: &'static str,
    /// Variables that only the newer one has.
    pub variables_added: Vec<String>,
    /// Variables that only the older one has.
    pub variables_removed: Vec<String>,
    /// Tokens of the older one.
    pub tokens_before: Option<u32>,
    /// Tokens of the newer one.
    pub tokens_after: Option<u32>,
}

/// Prompts by their name; one whose file was renamed is gone and new.
pub fn changes(old: &[Book], new: &[Book], tokens: &dyn Tokens) -> Vec<Change> {
    let all = |books: &[Book]| -> Vec<Prompt> { books.iter().flat_map(|b| b.prompts.clone()).collect() };
    let (old, new) = (all(old), all(new));
    let find = |side: &[Prompt], name: &str| side.iter().find(|p| p.name() == name).cloned();
    let names: BTreeSet<String> = old.iter().chain(&new).map(Prompt::name).collect();
    let set = |p: &Option<Prompt>| -> BTreeSet<String> { p.iter().flat_map(|p| p.variables()).map(str::to_owned).collect() };
    let one = |name: String| {
        let (before, after) = (find(&old, &name), find(&new, &name));
        let status = match (&before, &after) {
            (None, _) => "added",
            (_, None) => "removed",
            (Some(b), Some(a)) if b.text() == a.text() && b.declared == a.declared && b.description == a.description => {
                return None;
            }
            _ => "changed",
        };
        let (b, a) = (set(&before), set(&after));
        Some(Change {
            prompt: name,
            status,
            variables_added: a.difference(&b).cloned().collect(),
            variables_removed: b.difference(&a).cloned().collect(),
            tokens_before: before.map(|p| p.tokens(tokens)),
            tokens_after: after.map(|p| p.tokens(tokens)),
        })
    };
    names.into_iter().filter_map(one).collect()
}
