//! What texts mean, by the embedder of the project: asked only where a baseline has texts, and on one thread, because costly vectors
//! are kept in the state.
//!
//! Costly vectors are kept with those of the documents of the tenant that `ingest.tenant` names, when there are any, and go with them;
//! else every run makes its own.

use super::Place;
use crate::base::error::Result;
use crate::data::Table;
use crate::domain::drift::baseline::{Baseline, Meant, Selection};
use crate::domain::drift::policy::Rule;
use crate::domain::drift::texts::{Embedding, MadeBy};
use crate::domain::ingest::table::Tenant;
use crate::release::embed::{kept_or_made, vectors};
use crate::seams::embedder::{Embedder, Purpose};

/// Learns what the texts of a baseline mean.
///
/// # Errors
/// When there are texts and the embedder cannot be had or fails.
pub(super) fn learn(place: &Place<'_>, table: &dyn Table, selection: &Selection, baseline: &mut Baseline) -> Result<()> {
    if baseline.has_texts(selection) { with(place, |embedding| baseline.learn(table, embedding)) } else { Ok(()) }
}

/// What new texts mean beside those of a baseline. An embedder that cannot be had is told of each column of texts; the others go on.
pub(super) fn meant(place: &Place<'_>, table: &dyn Table, baseline: &Baseline, how: (&Selection, Rule)) -> Meant {
    if !baseline.has_texts(how.0) {
        return Meant::new();
    }
    let meant = with(place, |embedding| Ok(baseline.meant(table, how, Ok(embedding))));
    meant.unwrap_or_else(|e| baseline.meant(table, how, Err(&e)))
}

fn with<T>(place: &Place<'_>, work: impl FnOnce(&Embedding<'_>) -> Result<T>) -> Result<T> {
    let embedder = (place.embedder)()?;
    let embedder: &dyn Embedder = embedder.as_ref();
    let tenant = place.store.read(|view| Tenant::find(view, &place.tenant))?;
    let embed = |texts: &[&str]| match &tenant {
        // A dry run keeps nothing.
        Some(tenant) if place.store.is_dry_run() => place.store.read(|view| kept_or_made(view, tenant, embedder, texts)),
        Some(tenant) => vectors(place.store, tenant, embedder, texts),
        None => embedder.embed(texts, Purpose::Document),
    };
    let model = embedder.model();
    let made_by = MadeBy { name: model.name.clone(), digest: model.digest, dimensions: model.dimensions };
    work(&Embedding { made_by, embed: &embed })
}
