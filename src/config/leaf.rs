//! The types of single values in `mlops.toml`, how each is read, shown, and described in the JSON Schema.

use super::diag::Diagnostic;
use super::path::RepoPath;
use super::secret::SecretRef;
use super::shape::{Item, Leaf, Walk, shown};
use crate::base::name::{ModelType, Name, Stage};
use crate::base::reference::Reference;
use crate::base::text::{ellipsis, nearest};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;
use toml::Spanned;
use toml::de::DeValue;

/// The longest duration that is taken: a year.
const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Reads a string, or reports that it is none.
fn text<'v>(value: &'v Spanned<DeValue<'_>>, want: &str, walk: &mut Walk<'_>) -> Option<&'v str> {
    let text = value.get_ref().as_str();
    if text.is_none() {
        walk.wrong_type(value, want);
    }
    if text.is_some_and(|t| t.contains('\0')) {
        let title = format!("`{}` holds the character U+0000, which no state can keep", walk.path.join("."));
        refuse(value, &title, Some("take `\\u0000` out".into()), walk);
        return None;
    }
    text
}

fn refuse(value: &Spanned<DeValue<'_>>, title: &str, help: Option<String>, walk: &mut Walk<'_>) {
    let spot = walk.spot(value.span());
    walk.diags.add(Diagnostic::new(ellipsis(title, 240)).at(&spot).help_if(help));
}

impl Leaf for String {
    fn read(value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>) -> Option<Self> {
        text(value, "a string", walk).map(str::to_owned)
    }

    fn schema() -> Value {
        json!({ "type": "string" })
    }

    fn json(&self) -> Value {
        json!(self)
    }
}

impl Leaf for bool {
    fn read(value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>) -> Option<Self> {
        let read = value.get_ref().as_bool();
        if read.is_none() {
            walk.wrong_type(value, "true or false");
        }
        read
    }

    fn schema() -> Value {
        json!({ "type": "boolean" })
    }

    fn json(&self) -> Value {
        json!(self)
    }
}

/// Finite numbers; an integer is one too.
impl Leaf for f64 {
    fn read(value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>) -> Option<Self> {
        let number = match value.get_ref() {
            DeValue::Float(f) => f.as_str().parse::<f64>().ok(),
            DeValue::Integer(i) if i.radix() == 10 => i.as_str().parse::<f64>().ok(),
            _ => None,
        };
        let Some(number) = number else {
            walk.wrong_type(value, "a number");
            return None;
        };
        if !number.is_finite() {
            refuse(value, &format!("`{}` must be a finite number", walk.path.join(".")), None, walk);
            return None;
        }
        Some(number)
    }

    fn schema() -> Value {
        json!({ "type": "number" })
    }

    fn json(&self) -> Value {
        json!(self)
    }
}

/// Whole numbers from 0.
impl Leaf for u32 {
    fn read(value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>) -> Option<Self> {
        let DeValue::Integer(i) = value.get_ref() else {
            walk.wrong_type(value, "a whole number");
            return None;
        };
        let number = u32::from_str_radix(i.as_str(), i.radix()).ok();
        if number.is_none() {
            refuse(value, &format!("`{}` must be between 0 and {}", walk.path.join("."), u32::MAX), None, walk);
        }
        number
    }

    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX })
    }

    fn json(&self) -> Value {
        json!(self)
    }
}

/// Whole numbers from 1.
impl Leaf for NonZeroU32 {
    fn read(value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>) -> Option<Self> {
        let number = Self::new(u32::read(value, walk)?);
        if number.is_none() {
            refuse(value, &format!("`{}` must be at least 1", walk.path.join(".")), None, walk);
        }
        number
    }

    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX })
    }

    fn json(&self) -> Value {
        json!(self.get())
    }
}

/// Reads a duration such as `30s` or `1m 30s`, at most a year.
///
/// # Errors
/// With a message for a person.
pub fn duration(text: &str) -> Result<Duration, String> {
    let read = length(text);
    read.filter(|d| *d <= DURATION_MAX).ok_or_else(|| format!("`{}` is not a duration: write it as 30s or 5m", shown(text)))
}

/// A length of time; a day has 24 hours here and a week seven days, months and years have no length.
fn length(text: &str) -> Option<Duration> {
    let span: jiff::Span = text.parse().ok()?;
    let exact = span.get_years() == 0 && span.get_months() == 0;
    let length = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok().filter(|_| exact)?;
    Duration::try_from(length).ok()
}

impl Leaf for Duration {
    fn read(value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>) -> Option<Self> {
        let text = text(value, "a duration such as \"30s\"", walk)?;
        let read = length(text);
        let help = || Some("write a number and a unit: `500ms`, `30s`, `5m`, `2h`, `7d`".to_owned());
        match read {
            None => refuse(value, &format!("`{}` is not a duration", shown(text)), help(), walk),
            Some(d) if d > DURATION_MAX => {
                refuse(value, &format!("`{}` is longer than a year", shown(text)), help(), walk);
                return None;
            }
            Some(_) => {}
        }
        read
    }

    fn schema() -> Value {
        json!({ "type": "string", "examples": ["500ms", "30s", "5m", "2h", "7d"] })
    }

    fn json(&self) -> Value {
        jiff::SignedDuration::try_from(*self).map_or(Value::Null, |d| json!(format!("{d:#}")))
    }
}

impl Leaf for SecretRef {
    fn read(value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>) -> Option<Self> {
        let spot = walk.spot(value.span());
        let read = value.get_ref().as_str().and_then(|text| text.parse().ok());
        if read.is_none() {
            walk.diags.hide(&spot);
            let title = format!("`{}` must be a reference to a secret, not the secret itself", walk.path.join("."));
            let help = "write `env:NAME` for an environment variable or `file:PATH` for a file outside version control; \
                        a secret that was committed must be replaced";
            walk.diags.add(Diagnostic::new(title).at(&spot).help(help));
        }
        read
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$" })
    }

    fn json(&self) -> Value {
        json!(self.to_string())
    }
}

/// Reads what has its own parser, whose error says why.
fn parsed<T: FromStr<Err: std::fmt::Display>>(value: &Spanned<DeValue<'_>>, want: &str, walk: &mut Walk<'_>) -> Option<T> {
    let read = text(value, want, walk)?.parse::<T>();
    read.map_err(|e| refuse(value, &e.to_string(), None, walk)).ok()
}

/// The JSON Schema of a name.
pub(super) fn name_schema() -> Value {
    json!({ "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$", "maxLength": crate::base::name::NAME_MAX })
}

macro_rules! parsed_leaf {
    ($($ty:ty, $want:literal, $schema:expr;)+) => {$(
        impl Leaf for $ty {
            fn read(value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>) -> Option<Self> {
                parsed(value, $want, walk)
            }

            fn schema() -> Value {
                $schema
            }

            fn json(&self) -> Value {
                json!(self.to_string())
            }
        }
    )+};
}

parsed_leaf! {
    Name, "a name", name_schema();
    Reference, "a reference such as \"NAME@1.2.0\"", json!({ "type": "string", "examples": ["bot", "bot@1.2.0", "bot@production"] });
    RepoPath, "a path", json!({ "type": "string", "pattern": "^[^/]" });
}

/// Reads one of some words, or says which there are.
pub(super) fn word<T: FromStr>(value: &Spanned<DeValue<'_>>, what: &str, words: &[&str], walk: &mut Walk<'_>) -> Option<T> {
    let read = text(value, &format!("a {what} ({})", words.join(", ")), walk)?;
    let parsed = read.parse::<T>().ok();
    if parsed.is_none() {
        let near = nearest(read, words.iter().copied()).map(|word| format!("did you mean `{word}`?"));
        let help = near.unwrap_or_else(|| format!("expected one of: {}", words.join(", ")));
        refuse(value, &format!("`{}` is not a {what}", shown(read)), Some(help), walk);
    }
    parsed
}

/// Makes enums of fixed words (`base::name::words!`) values of `mlops.toml`.
macro_rules! word_leaf {
    ($($ty:ty, $what:literal;)+) => {$(
        impl $crate::config::shape::Leaf for $ty {
            fn read(
                value: &::toml::Spanned<::toml::de::DeValue<'_>>,
                walk: &mut $crate::config::shape::Walk<'_>,
            ) -> Option<Self> {
                let words: Vec<&str> = Self::ALL.iter().map(|w| w.word()).collect();
                $crate::config::leaf::word(value, $what, &words, walk)
            }

            fn schema() -> ::serde_json::Value {
                let words: Vec<&str> = Self::ALL.iter().map(|w| w.word()).collect();
                ::serde_json::json!({ "type": "string", "enum": words })
            }

            fn json(&self) -> ::serde_json::Value {
                self.word().into()
            }
        }
    )+};
}
pub(super) use word_leaf;

word_leaf! {
    ModelType, "model type";
    Stage, "stage";
}

impl<T: Leaf> Leaf for Vec<Item<T>> {
    fn read(value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>) -> Option<Self> {
        let Some(array) = value.get_ref().as_array() else {
            walk.wrong_type(value, "a list");
            return None;
        };
        // Each wrong item is reported; the right ones stay, so that their meaning is checked too.
        Some(array.iter().filter_map(|v| item(v, walk)).collect())
    }

    fn schema() -> Value {
        json!({ "type": "array", "items": T::schema() })
    }

    fn json(&self) -> Value {
        self.iter().map(|i| i.value.json()).collect()
    }
}

fn item<T: Leaf>(value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>) -> Option<Item<T>> {
    let read = T::read(value, walk)?;
    Some(Item { value: read, spot: walk.spot(value.span()) })
}

/// One value, or a list of them.
#[derive(Clone, Debug)]
pub(super) struct OneOrMany<T>(pub(super) Vec<Item<T>>);

impl<T: Leaf> Leaf for OneOrMany<T> {
    fn read(value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>) -> Option<Self> {
        if value.get_ref().is_array() {
            return Vec::read(value, walk).map(Self);
        }
        item(value, walk).map(|i| Self(vec![i]))
    }

    fn schema() -> Value {
        json!({ "anyOf": [T::schema(), { "type": "array", "items": T::schema(), "minItems": 1 }] })
    }

    fn json(&self) -> Value {
        match self.0.as_slice() {
            [one] => one.value.json(),
            many => many.iter().map(|i| i.value.json()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::diag::{Diags, Source};
    use crate::config::shape::Layer;

    /// Reads the value of `x`; gives what it shows or the first line of the problem.
    fn read<T: Leaf>(value: &str) -> Result<String, String> {
        let text = format!("x = {value}");
        let document = toml::de::DeTable::parse(&text).expect("TOML");
        let mut diags = Diags::new("mlops.toml", &text);
        let mut walk = Walk { diags: &mut diags, layer: Layer::File, source: Source::File, path: vec!["x".to_owned()] };
        let read = T::read(&document.get_ref()["x"], &mut walk);
        match diags.finish() {
            Ok(()) => Ok(read.expect("a value without a problem").show()),
            Err(e) => {
                assert!(read.is_none_or(|read| read.json().is_array()), "a value with a problem: {e}");
                Err(e.to_string().lines().next().unwrap_or_default().to_owned())
            }
        }
    }

    #[track_caller]
    fn check<T: Leaf>(value: &str, shown: &str) {
        assert_eq!(read::<T>(value).as_deref(), Ok(shown));
    }

    #[track_caller]
    fn refused<T: Leaf>(value: &str, why: &str) {
        assert_eq!(read::<T>(value), Err(format!("error: {why}")));
    }

    #[test]
    fn numbers() {
        check::<f64>("0.5", "0.5");
        check::<f64>("-1_000", "-1000.0");
        refused::<f64>("nan", "`x` must be a finite number");
        refused::<f64>("1e999", "`x` must be a finite number");
        refused::<f64>("\"1\"", "`x` must be a number, found a string");
        check::<u32>("0x1F", "31");
        refused::<u32>("-1", "`x` must be between 0 and 4294967295");
        refused::<u32>("99999999999999999999999", "`x` must be between 0 and 4294967295");
        refused::<u32>("1.0", "`x` must be a whole number, found a float");
        refused::<NonZeroU32>("0", "`x` must be at least 1");
    }

    #[test]
    fn durations() {
        check::<Duration>("\"90s\"", "1m 30s");
        check::<Duration>("\"500ms\"", "500ms");
        check::<Duration>("\"0s\"", "0s");
        check::<Duration>("\"1w 2d 3h\"", "219h");
        refused::<Duration>("\"1mo\"", "`1mo` is not a duration");
        refused::<Duration>("\"367d\"", "`367d` is longer than a year");
        refused::<Duration>("\"30\"", "`30` is not a duration");
        refused::<Duration>("\"-1s\"", "`-1s` is not a duration");
        refused::<Duration>("\"9000h\"", "`9000h` is longer than a year");
        refused::<Duration>("30", "`x` must be a duration such as \"30s\", found an integer");
    }

    #[test]
    fn words_and_lists() {
        check::<OneOrMany<Stage>>("\"staging\"", "staging");
        check::<OneOrMany<Stage>>("[\"staging\", \"production\"]", "[\"staging\",\"production\"]");
        refused::<Stage>("\"prodution\"", "`prodution` is not a stage");
        refused::<Stage>("1", "`x` must be a stage (development, staging, production, archived), found an integer");
        refused::<Vec<Item<bool>>>("true", "`x` must be a list, found a boolean");
        refused::<Vec<Item<bool>>>("[true, 1]", "`x` must be true or false, found an integer");
        refused::<Name>(
            "\"a b\"",
            "`a b` cannot be a name: ` ` is not allowed, use letters, digits, `-`, `_` and `.`, such as `a-b`",
        );
        check::<Reference>("\"bot\"", "bot@latest");
    }

    #[test]
    fn a_literal_secret_is_refused() {
        check::<SecretRef>("\"env:TOKEN\"", "env:TOKEN");
        refused::<SecretRef>("\"hunter2\"", "`x` must be a reference to a secret, not the secret itself");
        refused::<SecretRef>("42", "`x` must be a reference to a secret, not the secret itself");
    }
}
