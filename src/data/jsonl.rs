//! Objects of JSON, one a line or in one array: their keys are the columns, keys of objects in them are `a.b`.
//!
//! Values are what JSON says they are: a number between quotes is a text (but `NaN`, `Infinity` and `-Infinity`, which JSON has no
//! other way to write, are numbers, as in the JSON of protocol buffers; Python writes them without quotes). Arrays of numbers
//! are vectors, other arrays are texts.

use super::array::Elements;
use super::cell::Dialect;
use super::csv::ROW_MAX;
use super::decode::Characters;
use super::input::{Input, Unpacked};
use super::spool::Spill;
use super::table::{COLUMNS_MAX, Gathered, Remarks};
use super::{EXAMPLE, Source, Trouble};
use crate::base::error::{Context, Error, Result};
use crate::base::text::visible;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::io::{BufRead, BufReader, ErrorKind};

/// Objects in objects that are columns of their own; what lies deeper is a text.
const DEPTH_MAX: usize = 16;

/// Reads a file of objects.
///
/// # Errors
/// When it cannot be read, or most of its lines are no objects.
pub(super) fn read(
    input: &Input,
    (bytes, is_array): (Unpacked, bool),
    spill: &mut Spill,
    remarks: &mut Remarks,
) -> Result<(Gathered, Source)> {
    let failed = || format!("cannot read {}", input.name());
    let mut lines = BufReader::with_capacity(64 << 10, Characters::new(bytes, ROW_MAX));
    let mut elements = is_array.then(Elements::default);
    let mut objects = Objects { table: Gathered::new(Vec::new(), Dialect::default()), columns: HashMap::new(), spill };
    let (mut line, mut bytes, mut broken) = (0, Vec::new(), 0_u64);
    loop {
        bytes.clear();
        lines.get_mut().row_ends();
        if !next(&mut lines, elements.as_mut(), &mut bytes).context(failed)? {
            break;
        }
        line += 1;
        let characters = String::from_utf8_lossy(&bytes);
        let text = characters.trim();
        if text.is_empty() {
            continue;
        }
        if matches!(characters, Cow::Owned(_)) {
            remarks.add(Trouble::Undecodable, line, || visible(text, EXAMPLE));
        }
        if !objects.add(text).context(failed)? {
            broken += 1;
            remarks.add(Trouble::NotAnObject, line, || visible(text, EXAMPLE));
        }
    }
    let Objects { mut table, .. } = objects;
    if broken > table.rows {
        let all = broken + table.rows;
        let what = if is_array { "elements" } else { "lines" };
        return Err(Error::new(format!("{}: {broken} of its {all} {what} are no objects of JSON", failed()))
            .hint("write one object a line, or one array of objects"));
    }
    table.finish(spill)?;
    let characters = lines.into_inner();
    let (encoding, bytes) = (characters.encoding(), characters.into_bytes());
    let format = format!("{}, {encoding}{}", if is_array { "JSON" } else { "JSON lines" }, bytes.packing());
    let (digest, bytes) = bytes.finish();
    let source = Source { name: input.name().to_owned(), digest, bytes, rows: table.rows, format };
    Ok((table, source))
}

/// Reads the next line, or the next element of an array; false when there is none any more.
fn next(from: &mut impl BufRead, elements: Option<&mut Elements>, bytes: &mut Vec<u8>) -> Result<bool> {
    let Some(elements) = elements else {
        return from.read_until(b'\n', bytes).map(|n| n > 0).context(|| "a line cannot be read");
    };
    elements.next(from, bytes).map_err(|e| match e.kind() {
        ErrorKind::UnexpectedEof => {
            Error::new("it is cut short: the array has no end").hint("wait until it is written, or copy it again")
        }
        _ => Error::new(e),
    })
}

/// What the lines so far gave.
struct Objects<'a> {
    table: Gathered,
    columns: HashMap<String, usize>,
    spill: &'a mut Spill,
}

impl Objects<'_> {
    /// Adds the object of a line; false when there is none, and then no part of it.
    fn add(&mut self, text: &str) -> Result<bool> {
        let quoted;
        let mut leaves = Vec::new();
        if flatten(text, "", 0, &mut leaves).is_err() {
            leaves.clear();
            quoted = with_quoted_words(text);
            if flatten(&quoted, "", 0, &mut leaves).is_err() {
                return Ok(false);
            }
        }
        self.store(&leaves)?;
        Ok(true)
    }

    fn store(&mut self, leaves: &[(String, &RawValue)]) -> Result<()> {
        for (name, value) in leaves {
            let (cell, quoted) = match value.get() {
                "null" => continue,
                text if text.starts_with('"') => (string(text), true),
                text => (Cow::Borrowed(text), false),
            };
            let column = match self.columns.get(name) {
                Some(column) => *column,
                None => self.column(name)?,
            };
            self.table.push(column, &cell, quoted && !is_special(&cell), self.spill)?;
        }
        self.table.rows += 1;
        Ok(())
    }

    fn column(&mut self, name: &str) -> Result<usize> {
        if self.columns.len() == COLUMNS_MAX {
            return Err(Error::new(format!("its objects have more than {COLUMNS_MAX} keys"))
                .hint("write what varies as values, not as keys"));
        }
        let column = self.table.add_column(name);
        self.columns.insert(name.to_owned(), column);
        Ok(column)
    }
}

/// The characters of a string; as it is written when it escapes what is no character.
fn string(text: &str) -> Cow<'_, str> {
    serde_json::from_str::<String>(text).map_or(Cow::Borrowed(text.trim_matches('"')), Cow::Owned)
}

/// Words for numbers that JSON has no digits for.
fn is_special(cell: &str) -> bool {
    matches!(cell, "NaN" | "Infinity" | "-Infinity")
}

/// The values of an object by name, those of objects in it as `a.b`.
fn flatten<'a>(text: &'a str, above: &str, depth: usize, leaves: &mut Vec<(String, &'a RawValue)>) -> serde_json::Result<()> {
    let mut json = serde_json::Deserializer::from_str(text);
    let fields = json.deserialize_map(Fields)?;
    json.end()?;
    for (key, value) in fields {
        let name = if above.is_empty() { key.into_owned() } else { format!("{above}.{key}") };
        if value.get().starts_with('{') && depth < DEPTH_MAX {
            flatten(value.get(), &name, depth + 1, leaves)?;
        } else {
            leaves.push((name, value));
        }
    }
    Ok(())
}

/// The fields of an object in their order.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(fields)
    }
}

/// The text with quotes around `NaN` and `Infinity` where they stand outside of strings, as Python writes them.
fn with_quoted_words(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let (mut rest, mut inside) = (text, false);
    while let Some(c) = rest.chars().next() {
        let word = ["NaN", "-Infinity", "Infinity"].into_iter().find(|word| !inside && rest.starts_with(word));
        let taken = match (c, word) {
            (_, Some(word)) => {
                out.push_str(&format!("\"{word}\""));
                word.len()
            }
            ('\\', None) if inside => {
                let two = rest.chars().take(2).map(char::len_utf8).sum();
                out.push_str(&rest[..two]);
                two
            }
            _ => {
                inside ^= c == '"';
                out.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::table::tests::{input, numbers, remarked, shown, texts};
    use crate::data::{Column, Kind, Table, open};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn opened(text: &str) -> Box<dyn Table> {
        open(&[input("data", text.as_bytes())], &BTreeMap::new()).unwrap()
    }

    fn check(text: &str, columns: &[&str]) {
        assert_eq!(shown(&*opened(text)), columns);
    }

    #[test]
    fn keys_are_columns() {
        check(
            "{\"a\": 1, \"in\": {\"x\": 0.5, \"y\": {\"z\": \"w\"}}, \"b\": true, \"v\": [1, 2.5], \"l\": [\"p\"]}\r\n\n\
             {\"v\": [3, 4], \"t\": \"2026-11-21T00:00:00Z\", \"a\": null, \"in\": null}",
            &[
                "a: Integer: 1 -",
                "in.x: Number: 0.5 -",
                "in.y.z: Text: w -",
                "b: Boolean: true -",
                "v: Vector { width: 2 }: [1.0,2.5] [3.0,4.0]",
                "l: Text: [\"p\"] -",
                "t: Time: - 1795219200",
            ],
        );
    }

    #[test]
    fn texts_stay_texts() {
        check(r#"{"n": "1", "b": "true", "e": "", "w": "NA"}"#, &["n: Text: 1", "b: Text: true", "e: Text: ", "w: Text: NA"]);
        let expected = BTreeMap::from([("n".to_owned(), Kind::Number)]);
        let table = open(&[input("data", b"{\"n\": \"1\"}\n{\"n\": \"x\"}\n")], &expected).unwrap();
        let Column { kind, own, bad, .. } = table.columns()[0];
        assert_eq!((kind, own, bad), (Kind::Number, Kind::Text, 1));
    }

    #[test]
    fn numbers_without_digits_are_read_as_programs_write_them() {
        check(
            "{\"x\": NaN, \"s\": \"NaN \\\" NaN\"}\n{\"x\": -Infinity}\n{\"x\": \"Infinity\"}\n{\"x\": 1}",
            &["x: Number: NaN -inf inf 1", "s: Text: NaN \" NaN - - -"],
        );
    }

    #[test]
    fn mixed_cells_are_a_text_column() {
        check("{\"a\": 1}\n{\"a\": \"x\"}\n{\"a\": {\"b\": 2}}\n", &["a: Text: 1 x -", "a.b: Integer: - - 2"]);
    }

    #[test]
    fn of_a_key_that_comes_twice_the_first_counts() {
        check("{\"a\": 1, \"a\": 2}\n{\"a\": 3}\n", &["a: Integer: 1 3"]);
    }

    #[test]
    fn lines_that_are_no_objects_are_left_out_and_told() {
        let table = opened("{\"a\": 1}\n{\"a\": 2\n{\"a\": 3}\n{\"a\": 4} x\n{}\n");
        assert_eq!(shown(&*table), ["a: Integer: 1 3 -"]);
        assert_eq!(remarked(&*table), [(Trouble::NotAnObject, 2, 2)]);
        let e = open(&[input("data", b"{\"a\": 1}\n1\n2\n")], &BTreeMap::new()).map(|_| ()).unwrap_err();
        assert!(e.to_string().contains("2 of its 3 lines are no objects"), "{e}");
        let e = open(&[input("data", b"[{\"a\": 1}")], &BTreeMap::new()).map(|_| ()).unwrap_err();
        assert!(e.chain().concat().contains("the array has no end"), "{e}");
    }

    #[test]
    fn an_array_is_read_as_its_elements() {
        check("[{\"a\": 1},\n {\"a\": NaN, \"b\": \"],\"}]\n", &["a: Number: 1 NaN", "b: Text: - ],"]);
        check(" [\n{\"a\": {\"b\": [1, 2]}}]", &["a.b: Vector { width: 2 }: [1.0,2.0]"]);
    }

    #[test]
    fn depth_has_an_end() {
        let deep = |n: usize| format!("{}1{}", "{\"a\":".repeat(n), "}".repeat(n));
        assert_eq!(opened(&deep(DEPTH_MAX)).columns()[0].kind, Kind::Integer);
        assert_eq!(opened(&deep(DEPTH_MAX + 5)).columns()[0].kind, Kind::Text);
        assert_eq!(opened(&deep(100_000)).columns()[0].kind, Kind::Text);
    }

    proptest! {
        #[test]
        fn what_a_writer_wrote_is_read_back(
            rows in prop::collection::vec((prop::option::of(-1e300..1e300_f64), "\\PC{0,12}", any::<bool>()), 1..40),
        ) {
            let line = |(x, s, b): &(Option<f64>, String, bool)| serde_json::json!({"x": x, "s": format!("t{s}"), "b": b}).to_string();
            let table = opened(&rows.iter().map(line).collect::<Vec<_>>().join("\n"));
            let at = |name: &str| table.columns().iter().position(|c| c.name == name);
            prop_assert_eq!(texts(&*table, at("s").unwrap()), rows.iter().map(|(_, s, _)| format!("t{s}")).collect::<Vec<_>>());
            if let Some(x) = at("x") {
                prop_assert_eq!(numbers(&*table, x), rows.iter().map(|(x, _, _)| *x).collect::<Vec<_>>());
            }
        }

        #[test]
        fn no_text_panics(text in "[{]([-0-9aN,:\n\"\\[\\]{}\\\\é]|null|true|NaN|Infinity|\"a\":){0,40}") {
            if let Ok(table) = open(&[input("data", text.as_bytes())], &BTreeMap::new()) {
                shown(&*table);
            }
        }
    }
}
