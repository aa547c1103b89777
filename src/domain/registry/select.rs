//! The words for a reference that names nothing.

use super::table::{Model, aliases, versions};
use crate::base::error::{Error, Result};
use crate::base::reference::{Reference, Selector};
use crate::base::text::did_you_mean;
use crate::store::View;

/// How many versions a hint lists.
const SHOWN: u32 = 5;

/// The error for a reference that names no version of a model that exists.
pub(super) fn not_found(view: View<'_>, model: &Model, reference: &Reference) -> Result<Error> {
    let name = &model.name;
    Ok(match &reference.selector {
        Selector::Stage(stage) => Error::new(format!("no version of {name} is in {stage}"))
            .hint(format!("`kf list {name}` shows where its versions stand")),
        Selector::Alias(alias) => {
            let names: Vec<String> = aliases(view, model.id)?.into_iter().map(|(a, _, _)| a.to_string()).collect();
            let e = Error::new(format!("{name} has no alias `{alias}`"));
            match did_you_mean(alias.as_str(), names.iter().map(String::as_str)) {
                Some(hint) => e.hint(hint),
                None => e.hint(format!("`kf alias {name}@VERSION {alias}` makes one")),
            }
        }
        Selector::Latest => Error::new(format!("{name} has no versions")),
        Selector::Version(_) | Selector::Digest(_) => {
            let known: Vec<String> = versions(view, model.id, SHOWN)?.iter().map(|v| v.version.to_string()).collect();
            Error::new(format!("there is no {reference}")).hint(format!("the newest versions are: {}", known.join(", ")))
        }
    })
}
