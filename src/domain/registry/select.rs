//! The words for a reference that names nothing.

use super::table::{Model, aliases, versions};
use crate::base::error::{Error, Result};
use crate::base::name::{Name, Stage};
use crate::base::reference::{Reference, Selector};
use crate::base::text::{did_you_mean, nearest};
use crate::base::version::Version;
use crate::store::View;

/// How many versions a hint lists.
const SHOWN: u32 = 5;

/// The error for a reference that names no version of a model that exists.
pub(super) fn not_found(view: View<'_>, model: &Model, reference: &Reference) -> Result<Error> {
    let name = &model.name;
    Ok(match &reference.selector {
        Selector::Stage(stage) => Error::new(format!("no version of {name} is in {stage}"))
            .hint(format!("`kf list {name}` shows where its versions stand")),
        Selector::Alias(alias) => no_selector(view, model, alias)?,
        Selector::Latest => Error::new(format!("{name} has no versions")),
        Selector::Version(_) | Selector::Digest(_) => {
            let known: Vec<String> = versions(view, model.id, SHOWN)?.iter().map(|v| v.version.to_string()).collect();
            Error::new(format!("there is no {reference}")).hint(format!("the newest versions are: {}", known.join(", ")))
        }
    })
}

/// The error for a word after the `@` that is neither a stage nor one of the model's aliases; names what is nearest.
fn no_selector(view: View<'_>, model: &Model, word: &Name) -> Result<Error> {
    let aliases = names(view, model)?;
    let others = Stage::ALL.iter().map(|s| s.word()).chain(["latest"]);
    let near = nearest(word.as_str(), aliases.iter().map(String::as_str).chain(others)).map(str::to_owned);
    Ok(match near.or_else(|| slip(word.as_str())) {
        Some(meant) => {
            Error::new(format!("{} has no alias `{word}`", model.name)).hint(format!("did you mean `{}@{meant}`?", model.name))
        }
        None => no_alias(view, model, word, &format!("`kf alias {}@VERSION {word}` makes one", model.name))?,
    })
}

/// The error for an alias that a model does not have; names the nearest, and hints at something else when it has none.
pub(super) fn no_alias(view: View<'_>, model: &Model, alias: &Name, without: &str) -> Result<Error> {
    let names = names(view, model)?;
    let hint = did_you_mean(alias.as_str(), names.iter().map(String::as_str));
    Ok(Error::new(format!("{} has no alias `{alias}`", model.name)).hint(hint.unwrap_or_else(|| without.to_owned())))
}

fn names(view: View<'_>, model: &Model) -> Result<Vec<String>> {
    Ok(aliases(view, model.id)?.into_iter().map(|(alias, _, _)| alias.to_string()).collect())
}

/// What else may have been meant: a version written as `v1.2.0`, or a digest without its `sha256:`.
fn slip(word: &str) -> Option<String> {
    if let Ok(version) = word.trim_start_matches(['v', 'V']).parse::<Version>() {
        return Some(version.to_string());
    }
    let hex = word.len() >= 4 && word.bytes().all(|b| b.is_ascii_hexdigit()) && word.bytes().any(|b| b.is_ascii_digit());
    hex.then(|| format!("sha256:{word}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_alias_may_be_another_selector() {
        let check = |word: &str, meant: Option<&str>| assert_eq!(slip(word).as_deref(), meant, "{word}");
        check("v1.2.0", Some("1.2.0"));
        check("ab12cd", Some("sha256:ab12cd"));
        check("face", None);
        check("champion", None);
    }
}
