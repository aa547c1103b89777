//! Names that people choose: models, aliases, stages. A name is valid by existing: it is checked once, at the border.

use super::text::{nearest, visible};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The longest name of a model, an alias or a tag, in bytes.
pub const NAME_MAX: usize = 100;

/// The name of a model: letters, digits, `-`, `_`, `.`, starting with a letter or digit, at most [`NAME_MAX`] bytes.
///
/// ASCII only, so that it is safe as a file name, in a URL, a Git tag and a shell word on every system.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// The text cannot be a name; says why.
#[derive(Debug, PartialEq, Eq)]
pub struct BadName(String);

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadName {}

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = BadName;
    fn from_str(s: &str) -> Result<Self, BadName> {
        let bad = |why: &str| Err(BadName(format!("`{}` cannot be a name: {why}", visible(s, 40))));
        if s.is_empty() {
            return bad("it is empty");
        }
        if s.len() > NAME_MAX {
            return bad(&format!("it is {} bytes long, at most {NAME_MAX} are allowed", s.len()));
        }
        if let Some(c) = s.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))) {
            let c = visible(c.encode_utf8(&mut [0; 4]), 1);
            let meant = allowed(s).map(|name| format!(", such as `{name}`")).unwrap_or_default();
            return bad(&format!("`{c}` is not allowed, use letters, digits, `-`, `_` and `.`{meant}"));
        }
        if !s.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return bad("it must start with a letter or a digit");
        }
        if s.contains("..") {
            return bad("`..` is not allowed");
        }
        Ok(Self(s.to_owned()))
    }
}

/// A name like the text, with `-` for what is not allowed; nothing when little of it is left.
fn allowed(text: &str) -> Option<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')));
    let name = words.filter(|w| !w.is_empty()).collect::<Vec<_>>().join("-");
    let name = name.trim_start_matches(['-', '_', '.']).to_owned();
    let kept = name.chars().filter(char::is_ascii_alphanumeric).count() * 2 > text.chars().count();
    (kept && name.parse::<Name>().is_ok()).then_some(name)
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Declares an enum of fixed words with `word`, `ALL`, parsing, printing and serde.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word used in files, states and output.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result { f.pad(self.word()) }
        }

        impl ::std::str::FromStr for $name {
            type Err = String;
            fn from_str(s: &str) -> ::std::result::Result<Self, String> {
                Self::ALL.iter().copied().find(|v| v.word() == s).ok_or_else(|| {
                    let all: Vec<_> = Self::ALL.iter().map(|v| v.word()).collect();
                    let shown = $crate::base::text::visible(s, 40);
                    match $crate::base::text::nearest(s, all.iter().copied()) {
                        Some(near) => format!("`{shown}` is not a {}, did you mean `{near}`?", $what),
                        None => format!("`{shown}` is not a {}, expected one of: {}", $what, all.join(", ")),
                    }
                })
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, s: S) -> ::std::result::Result<S::Ok, S::Error> { s.serialize_str(self.word()) }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(d: D) -> ::std::result::Result<Self, D::Error> {
                <String as ::serde::Deserialize>::deserialize(d)?.parse().map_err(::serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use words;

words! {
    /// What a model is.
    ModelType, "model type" {
        /// Prompts, routing, retrieval and agents as one unit.
        Config = "config",
        /// One prompt template or a folder of them.
        Prompt = "prompt",
        /// An embedding model.
        Embedding = "embedding",
        /// A reranker.
        Reranker = "reranker",
        /// A classifier.
        Classifier = "classifier",
        /// A large language model.
        Llm = "llm",
        /// A dataset, golden or not.
        Dataset = "dataset",
        /// Anything else.
        Other = "other",
    }
}

words! {
    /// Where a version stands. MLflow's `None` reads as `development`.
    Stage, "stage" {
        /// Registered, not yet promoted.
        Development = "development",
        /// Under test before release.
        Staging = "staging",
        /// Serving users; one version a model.
        Production = "production",
        /// Retired or replaced, kept for rollback until its retention ends.
        Archived = "archived",
    }
}

impl Stage {
    /// The stages of a release: what versions are promoted to and gates guard.
    pub const RELEASE: [Self; 2] = [Self::Staging, Self::Production];

    /// Reads a stage of a release; `refusal` begins the sentence that refuses another one, as "nothing is promoted to".
    ///
    /// # Errors
    /// When the text is another stage or none at all; says which are right.
    pub fn of_release(text: &str, refusal: &str) -> Result<Self, String> {
        let words = Self::RELEASE.map(Self::word);
        match text.parse::<Self>() {
            Ok(stage) if Self::RELEASE.contains(&stage) => Ok(stage),
            Ok(other) => Err(format!("{refusal} {other}, expected {}", words.join(" or "))),
            Err(_) => Err(match nearest(text, words) {
                Some(near) => format!("`{}` is not a stage, did you mean `{near}`?", visible(text, 40)),
                None => format!("{refusal} `{}`, expected {}", visible(text, 40), words.join(" or ")),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_hurt_somewhere_are_refused() {
        for bad in [
            "",
            " ",
            "a b",
            "a\"b",
            "..",
            "a..b",
            "../x",
            ".git",
            "-rf",
            "a/b",
            "a@b",
            "🚀",
            "naïve",
            "a\nb",
            &"x".repeat(10_000),
        ] {
            let e = bad.parse::<Name>().expect_err(bad);
            assert!(e.to_string().len() < 300, "{e}");
        }
        for good in ["a", "support-bot", "bge_small.v1", "7b", &"x".repeat(NAME_MAX)] {
            assert_eq!(good.parse::<Name>().expect(good).as_str(), good);
        }
    }

    #[test]
    fn a_name_that_would_do_is_offered() {
        let check = |text: &str, why: &str| assert_eq!(text.parse::<Name>().expect_err(text).to_string(), why);
        let rule = "is not allowed, use letters, digits, `-`, `_` and `.`";
        check("my bot", &format!("`my bot` cannot be a name: ` ` {rule}, such as `my-bot`"));
        check("it's", &format!("`it's` cannot be a name: `'` {rule}, such as `it-s`"));
        check("../x", &format!("`../x` cannot be a name: `/` {rule}"));
        check("🚀", &format!("`🚀` cannot be a name: `🚀` {rule}"));
        check("a\tb", &format!(r"`a\tb` cannot be a name: `\t` {rule}, such as `a-b`"));
    }

    #[test]
    fn words_name_the_alternatives() {
        assert_eq!("production".parse(), Ok(Stage::Production));
        let e = "prod".parse::<Stage>().expect_err("not a stage");
        assert_eq!(e, "`prod` is not a stage, did you mean `production`?");
        let e = "canary".parse::<Stage>().expect_err("not a stage");
        assert_eq!(e, "`canary` is not a stage, expected one of: development, staging, production, archived");
    }

    #[test]
    fn only_stages_of_a_release_are_offered() {
        let read = |text| Stage::of_release(text, "nothing is promoted to");
        assert_eq!(read("staging"), Ok(Stage::Staging));
        assert_eq!(read("prod").expect_err("a slip"), "`prod` is not a stage, did you mean `production`?");
        assert_eq!(read("archived").expect_err("no way"), "nothing is promoted to archived, expected staging or production");
        assert_eq!(read("canary").expect_err("no stage"), "nothing is promoted to `canary`, expected staging or production");
    }
}
