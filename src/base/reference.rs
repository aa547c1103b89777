//! References: how a person names a version, `NAME[@SELECTOR]`.

use super::name::{Name, Stage};
use super::text::visible;
use super::version::Version;
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A model and which of its versions is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The model.
    pub name: Name,
    /// The version of it.
    pub selector: Selector,
}

/// Which version of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// The highest version (`NAME` or `NAME@latest`).
    Latest,
    /// Exactly this one (`NAME@1.2.0`).
    Version(Version),
    /// The newest version in a stage (`NAME@production`); one at most in production.
    Stage(Stage),
    /// The version an alias points to (`NAME@champion`).
    Alias(Name),
    /// The version whose digest starts so (`NAME@sha256:ab12`), in lower-case hexadecimal digits, at least four.
    Digest(String),
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.selector {
            Selector::Latest => write!(f, "{name}@latest"),
            Selector::Version(v) => write!(f, "{name}@{v}"),
            Selector::Stage(s) => write!(f, "{name}@{s}"),
            Selector::Alias(a) => write!(f, "{name}@{a}"),
            Selector::Digest(d) => write!(f, "{name}@sha256:{d}"),
        }
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// The text is not a reference; says why.
#[derive(Debug, PartialEq, Eq)]
pub struct BadReference(String);

impl fmt::Display for BadReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadReference {}

impl FromStr for Reference {
    type Err = BadReference;
    fn from_str(s: &str) -> Result<Self, BadReference> {
        let (name, selector) = s.split_once('@').map_or((s, None), |(n, sel)| (n, Some(sel)));
        let name: Name = name.parse().map_err(|e: super::name::BadName| {
            BadReference(match meant(s) {
                Some(meant) => format!("`{}` is not a reference, did you mean `{meant}`?", visible(s, 40)),
                None => e.to_string(),
            })
        })?;
        let selector = selector.map_or(Ok(Selector::Latest), |sel| selector_of(&name, sel))?;
        Ok(Self { name, selector })
    }
}

/// The reference that a habit from elsewhere stands for: `bot:1.2.0`, `bot/production`, `bot==1.2.0`.
fn meant(text: &str) -> Option<Reference> {
    let at = text.find([':', '/', '=', '#']).filter(|_| !text.contains('@'))?;
    let (name, selector) = text.split_at(at);
    format!("{name}@{}", selector.trim_start_matches([':', '/', '=', '#', 'v'])).parse().ok()
}

fn selector_of(name: &Name, text: &str) -> Result<Selector, BadReference> {
    if text == "latest" {
        return Ok(Selector::Latest);
    }
    if let Some(hex) = text.strip_prefix("sha256:") {
        let digits = hex.to_ascii_lowercase();
        let fits = (4..=64).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
        return fits
            .then_some(Selector::Digest(digits))
            .ok_or_else(|| BadReference(format!("`{name}@{text}` is not a reference: a digest has 4 to 64 hexadecimal digits")));
    }
    if let Ok(stage) = text.parse::<Stage>() {
        return Ok(Selector::Stage(stage));
    }
    if text.eq_ignore_ascii_case("none") {
        return Ok(Selector::Stage(Stage::Development));
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return text.parse().map(Selector::Version).map_err(|e| BadReference(format!("in `{name}@…`: {e}")));
    }
    text.parse().map(Selector::Alias).map_err(|_| {
        BadReference(format!(
            "`{}` does not name a version of {name}: expected a version (1.2.0), a stage, an alias, `latest` or `sha256:…`",
            visible(text, 40)
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, printed: &str) {
        assert_eq!(text.parse::<Reference>().expect(text).to_string(), printed);
    }

    #[test]
    fn every_form_reads_back() {
        check("bot", "bot@latest");
        check("bot@1.2.0", "bot@1.2.0");
        check("bot@production", "bot@production");
        check("bot@None", "bot@development");
        check("bot@champion", "bot@champion");
        check("bot@sha256:AB12", "bot@sha256:ab12");
    }

    #[test]
    fn habits_from_elsewhere_get_a_suggestion() {
        let check = |text: &str, meant: &str| {
            let e = text.parse::<Reference>().expect_err(text).to_string();
            assert!(e.ends_with(&format!("did you mean `{meant}`?")), "{e}");
        };
        check("bot:1.2.0", "bot@1.2.0");
        check("bot:v1.2.0", "bot@1.2.0");
        check("bot==1.2.0", "bot@1.2.0");
        check("bot/production", "bot@production");
        let e = "a:b:c".parse::<Reference>().expect_err("no habit").to_string();
        assert!(e.contains("`:` is not allowed"), "{e}");
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for bad in ["", "@1.0.0", "bot@", "bot@1.2", "bot@sha256:xyz", "bot@sha256:ab", "bot@a b", "a b@1.0.0"] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
    }
}
