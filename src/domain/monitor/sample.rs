//! Samples of metrics as they come in: on the command line, or as JSON lines.
//!
//! A sample is a finite number of a metric at a time; what is no number is refused where it stands, since an average of it would be
//! none either. Labels tell the series of a metric apart; they are kept as canonical JSON, so that one series is one text.

use crate::base::canonical;
use crate::base::error::{Context, Error, Result};
use crate::base::name::Name;
use crate::base::text::visible;
use crate::base::time::Timestamp;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, Read as _};

/// Labels that a series has at most.
const LABELS_MAX: usize = 32;
/// The longest label, name or value, in bytes.
const LABEL_MAX: usize = 256;
/// The longest line, in bytes.
const LINE_MAX: u64 = 64 * 1024;

/// The labels of a series as canonical JSON; empty for none.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(String);

impl Labels {
    /// Labels of these names and values.
    ///
    /// # Errors
    /// When there are too many, one is too long, or one has a character that no state keeps.
    pub fn of(labels: &BTreeMap<String, String>) -> Result<Self> {
        if labels.is_empty() {
            return Ok(Self::default());
        }
        if labels.len() > LABELS_MAX {
            return Err(Error::usage(format!("{} labels, at most {LABELS_MAX} are allowed", labels.len())));
        }
        for (name, value) in labels {
            let shown = visible(name, 40);
            if name.is_empty() || name.len() > LABEL_MAX || value.len() > LABEL_MAX {
                return Err(Error::usage(format!("the label `{shown}` is empty or longer than {LABEL_MAX} bytes")));
            }
            if name.contains('\0') || value.contains('\0') {
                return Err(Error::usage(format!("the label `{shown}` holds the character U+0000, which no state can keep")));
            }
        }
        canonical::to_string(labels).map(Self).map_err(|e| Error::usage(format!("the labels cannot be written: {e}")))
    }

    /// Labels as a state holds them.
    pub fn kept(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// As a state holds them.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names and values; none of what cannot be read.
    pub fn map(&self) -> BTreeMap<String, String> {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

/// As Prometheus writes them: `{host="a"}`; nothing for none.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.map().iter().map(|(k, v)| format!("{}={v:?}", visible(k, 60))).collect();
        if all.is_empty() { Ok(()) } else { write!(f, "{{{}}}", all.join(",")) }
    }
}

/// A number of a metric at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The metric.
    pub name: Name,
    /// Which series of it.
    pub labels: Labels,
    /// When.
    pub at: Timestamp,
    /// The number, in the unit of the metric; finite.
    pub value: f64,
}

/// `name=value`.
///
/// # Errors
/// In words, with the column where a value is no finite number.
pub fn assignment(text: &str) -> Result<(Name, f64), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("`{}` is not NAME=VALUE", visible(text, 60)))?;
    let name: Name = name.parse().map_err(|e| format!("{e}"))?;
    let number = value.trim().parse::<f64>().ok().filter(|v| v.is_finite());
    let column = text.chars().count() - value.chars().count() + 1;
    number.map(|v| (name, v)).ok_or_else(|| format!("column {column}: `{}` is no finite number", visible(value, 40)))
}

/// `name=value` of a label.
///
/// # Errors
/// In words, when there is no `=`.
pub fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("`{}` is not NAME=VALUE", visible(text, 60)))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A line of a file of samples.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    name: Name,
    #[serde(deserialize_with = "finite")]
    value: f64,
    #[serde(default, deserialize_with = "time")]
    at: Option<Timestamp>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// A number, or a number in quotes as Prometheus writes it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Number(f64),
    Text(String),
}

fn finite<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
    let (value, shown) = match Scalar::deserialize(d).map_err(|_| serde::de::Error::custom("the value is no number"))? {
        Scalar::Number(value) => (Some(value), value.to_string()),
        Scalar::Text(text) => (text.parse::<f64>().ok(), visible(&text, 40)),
    };
    value.filter(|v| v.is_finite()).ok_or_else(|| serde::de::Error::custom(format!("`{shown}` is no finite number")))
}

/// RFC 3339, or seconds since 1970.
fn time<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Timestamp>, D::Error> {
    let wrong = || serde::de::Error::custom("`at` is no time: write RFC 3339 or seconds since 1970");
    match Scalar::deserialize(d).map_err(|_| wrong())? {
        Scalar::Number(seconds) => from_seconds(seconds).map(Some).ok_or_else(wrong),
        Scalar::Text(text) => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}

/// A time from seconds since 1970; `None` beyond the years that times are written in.
pub fn from_seconds(seconds: f64) -> Option<Timestamp> {
    /// The last second of the year 9998.
    const MOST: f64 = 253_370_764_799.0;
    #[expect(clippy::cast_possible_truncation, reason = "checked to be within 2^63 microseconds")]
    (0.0..=MOST).contains(&seconds).then(|| Timestamp::from_micros((seconds * 1e6).round() as i64))
}

/// Reads samples as JSON lines, one after another; `at` is the time of those that have none.
///
/// # Errors
/// When the source cannot be read, a line is none, or `take` fails; says which line and column.
pub fn read(what: &str, source: &mut dyn BufRead, at: Timestamp, take: &mut dyn FnMut(Sample) -> Result<()>) -> Result<()> {
    let (mut line, mut number) = (Vec::new(), 0u64);
    loop {
        line.clear();
        number += 1;
        let bytes = source.take(LINE_MAX + 1).read_until(b'\n', &mut line).context(|| format!("cannot read {what}"))?;
        if bytes == 0 {
            return Ok(());
        }
        let place = |column: usize, why: &str| {
            Error::new(format!("{what}, line {number}, column {column}: {why}"))
                .hint("a line is {\"name\": \"latency\", \"value\": 0.8, \"at\": \"2026-11-21T08:00:00Z\", \"labels\": {\"host\": \"a\"}}")
        };
        if line.len() as u64 > LINE_MAX {
            return Err(place(1, &format!("the line is longer than {} KiB", LINE_MAX / 1024)));
        }
        let text = if number == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line) } else { &line };
        if text.trim_ascii().is_empty() {
            continue;
        }
        let read: Line = serde_json::from_slice(text).map_err(|e| {
            let said = e.to_string();
            let why = said.rsplit_once(" at line ").map_or(said.as_str(), |(why, _)| why);
            place(e.column().max(1), why)
        })?;
        let labels = Labels::of(&read.labels).map_err(|e| place(1, &e.to_string()))?;
        take(Sample { name: read.name, labels, at: read.at.unwrap_or(at), value: read.value })?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_micros(1_795_248_000_000_000);

    fn lines(text: &str) -> Result<Vec<Sample>> {
        let mut all = Vec::new();
        read("samples", &mut text.as_bytes(), NOW, &mut |sample| {
            all.push(sample);
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn assignments_are_names_and_finite_numbers() {
        assert_eq!(assignment("latency.p95=0.82"), Ok(("latency.p95".parse().expect("a name"), 0.82)));
        assert_eq!(assignment("n=-1e3").map(|(_, v)| v), Ok(-1000.0));
        for (text, why) in [
            ("latency", "`latency` is not NAME=VALUE"),
            ("latency=NaN", "column 9: `NaN` is no finite number"),
            ("latency=-inf", "column 9: `-inf` is no finite number"),
            ("latency=1e999", "column 9: `1e999` is no finite number"),
            ("latency=", "column 9: `` is no finite number"),
        ] {
            assert_eq!(assignment(text), Err(why.to_owned()));
        }
        assert!(assignment("a b=1").expect_err("a blank").contains("cannot be a name"));
    }

    #[test]
    fn lines_are_samples() {
        let all = lines(
            "\u{feff}{\"name\": \"a\", \"value\": 1}\n\n{\"name\":\"a\",\"value\":\"2.5\",\"at\":\"2026-11-21T08:00:00Z\",\"labels\":{\"z\":\"1\",\"host\":\"x\"}}\r\n\
             {\"name\":\"a\",\"value\":3,\"at\":1795248000.5}",
        )
        .expect("samples");
        let of = |i: usize| (all[i].value, all[i].at.to_string(), all[i].labels.to_string());
        assert_eq!(of(0), (1.0, NOW.to_string(), String::new()));
        assert_eq!(of(1), (2.5, "2026-11-21T08:00:00Z".into(), "{host=\"x\",z=\"1\"}".into()));
        assert_eq!(of(2).1, "2026-11-21T08:00:00.500000Z");
        assert_eq!(all[1].labels.as_str(), "{\"host\":\"x\",\"z\":\"1\"}");
    }

    #[test]
    fn what_is_no_sample_is_refused_where_it_stands() {
        let long = format!("{{\"name\": \"a\", \"value\": 1}}\n{}", " ".repeat(70_000));
        for (text, place, why) in [
            ("{\"name\": \"a\", \"value\": NaN}", "line 1, column ", "no number"),
            ("\n{\"name\": \"a\", \"value\": \"inf\"}", "line 2, column ", "`inf` is no finite number"),
            ("{\"name\": \"a\", \"value\": 1e999}", "line 1, column ", "no number"),
            ("{\"name\": \"a\", \"value\": true}", "line 1, column ", "the value is no number"),
            ("{\"name\": \"a\"}", "line 1, column 13: ", "missing field `value`"),
            ("{\"name\": \"a\", \"value\": 1, \"when\": 3}", "line 1, column ", "unknown field `when`"),
            ("{\"name\": \"a\", \"value\": 1, \"at\": \"noon\"}", "line 1, column ", "`noon` is not a time"),
            ("{\"name\": \"a\", \"value\": 1, \"at\": -5}", "line 1, column ", "`at` is no time"),
            ("{\"name\": \"../a\", \"value\": 1}", "line 1, column ", "cannot be a name"),
            ("{\"name\": \"a\", \"value\": 1, \"labels\": {\"\": \"x\"}}", "line 1, column 1: ", "is empty or longer"),
            ("{\"name\": \"a\", \"value\": 1, \"labels\": {\"k\": \"\\u0000\"}}", "line 1, column 1: ", "U+0000"),
            ("name=1", "line 1, column ", "expected"),
            (&long, "line 2, column 1: ", "longer than 64 KiB"),
        ] {
            let said = lines(text).expect_err(text).to_string();
            assert!(said.starts_with(&format!("samples, {place}")) && said.contains(why), "{said}");
        }
    }

    proptest! {
        #[test]
        fn labels_are_one_text_whatever_is_in_them(map in proptest::collection::btree_map("\\PC{1,8}", "\\PC{0,8}", 0..5)) {
            let labels = Labels::of(&map).expect("labels");
            prop_assert_eq!(labels.map(), map.clone());
            prop_assert_eq!(labels.as_str().is_empty(), map.is_empty());
        }

        #[test]
        fn no_line_panics(text in "\\PC{0,80}") {
            let _ = lines(&text);
            let _ = assignment(&text);
        }
    }
}
