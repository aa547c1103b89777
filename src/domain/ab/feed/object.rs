//! The fields of a JSON object with their places, every one of them: a map would keep the last of two with one name.

use super::{Cell, RESERVED};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// A field, with its text without quotes.
pub(super) struct Field {
    pub(super) name: String,
    /// The character of the line at which its value begins, from 1.
    pub(super) column: usize,
    pub(super) text: String,
    pub(super) quoted: bool,
}

impl Field {
    pub(super) fn cell(&self) -> Cell<'_> {
        let bare = |first: char| matches!(first, '[' | '{' | 't' | 'f');
        Cell { column: self.column, text: &self.text, quoted: self.quoted, nameless: !self.quoted && self.text.starts_with(bare) }
    }
}

/// The fields of the object of a line, those of `metrics` among them; else the column, and what is wrong there.
pub(super) fn fields(line: &str) -> Result<Vec<Field>, (usize, String)> {
    // A value is a part of the line, so its place is the distance of the two.
    let column = |raw: &RawValue| {
        let at = (raw.get().as_ptr() as usize).saturating_sub(line.as_ptr() as usize);
        line.get(..at).map_or(1, |before| before.chars().count() + 1)
    };
    let Pairs(pairs) = serde_json::from_str(line).map_err(|e| broken(line, &e))?;
    let mut flat = Vec::new();
    for (name, raw) in pairs {
        flat.push(field(name, column(raw), raw.get()));
        if flat.last().is_none_or(|f| f.name != "metrics") {
            continue;
        }
        let inner = serde_json::from_str::<Pairs<'_>>(raw.get());
        let Pairs(inner) = inner.map_err(|_| (column(raw), "`metrics` is not an object of numbers".to_owned()))?;
        for (name, raw) in inner {
            if RESERVED.contains(&name.as_str()) {
                return Err((column(raw), format!("`{name}` is no metric: it stands beside `metrics`")));
            }
            flat.push(field(name, column(raw), raw.get()));
        }
    }
    Ok(flat)
}

fn field(name: String, column: usize, raw: &str) -> Field {
    let quoted = raw.starts_with('"');
    let text = if quoted { serde_json::from_str(raw).unwrap_or_default() } else { raw.to_owned() };
    Field { name, column, text, quoted }
}

/// Where a line is no object, and why.
fn broken(line: &str, e: &serde_json::Error) -> (usize, String) {
    let said = e.to_string();
    let why = said.rsplit_once(" at line ").map_or(said.as_str(), |(why, _)| why);
    let column = line.get(..e.column().saturating_sub(1)).map_or(e.column(), |t| t.chars().count() + 1);
    (column.max(1), format!("not a JSON object: {why}"))
}

/// Names and values in their order.
struct Pairs<'t>(Vec<(String, &'t RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry::<String, &'de RawValue>()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        from.deserialize_map(All)
    }
}
