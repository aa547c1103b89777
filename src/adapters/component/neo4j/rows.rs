//! The rows of an answer of the Query API as they come: a whole graph is one answer, and no memory holds it.
//!
//! The answer is one object with the rows in `data.values`. Each is given out as soon as it is there; what is around them is kept, and
//! read at the end: it tells whether the statement went through.

use crate::base::error::{Context, Error, Result};
use serde_json::Value;

/// The most bytes of a row, and of what is around them.
const MAX: usize = 64 << 20;

/// Takes an answer apart.
#[derive(Default)]
pub(super) struct Rows {
    /// Objects and lists that are open.
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// The last string of the second level: the key, when a value begins.
    key: Vec<u8>,
    /// Inside of `data.values`.
    within: bool,
    row: Vec<u8>,
    around: Vec<u8>,
}

impl Rows {
    /// Takes bytes and gives out the rows that are whole.
    pub(super) fn take(&mut self, bytes: &[u8], each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        for byte in bytes {
            self.byte(*byte, each)?;
        }
        match self.row.len().max(self.around.len()) > MAX {
            true => Err(Error::new("a node or relationship is larger than 64 MiB")),
            false => Ok(()),
        }
    }

    fn byte(&mut self, byte: u8, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let opens = !self.in_string && matches!(byte, b'[' | b'{');
        let closes = !self.in_string && matches!(byte, b']' | b'}');
        if self.in_string {
            let ends = byte == b'"' && !self.escaped;
            self.escaped = byte == b'\\' && !self.escaped;
            self.in_string = !ends;
            if self.depth == 2 && !ends {
                self.key.push(byte);
            }
        } else if byte == b'"' {
            self.in_string = true;
            if self.depth == 2 {
                self.key.clear();
            }
        }
        if opens && byte == b'[' && self.depth == 2 && self.key == b"values" {
            self.within = true;
            self.around.push(byte);
            self.depth += 1;
            return Ok(());
        }
        if closes && self.within && self.depth == 3 {
            self.within = false;
        }
        match self.within {
            false => self.around.push(byte),
            true if self.depth > 3 || opens => self.row.push(byte),
            // Commas and spaces between rows.
            true => {}
        }
        if opens {
            self.depth += 1;
        } else if closes {
            self.depth = self.depth.saturating_sub(1);
            if self.within && self.depth == 3 {
                each(&self.row)?;
                self.row.clear();
            }
        }
        Ok(())
    }

    /// What was around the rows.
    pub(super) fn end(self) -> Result<Value> {
        serde_json::from_slice(&self.around).context(|| "the answer of Neo4j breaks off, or is none of its Query API")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str, step: usize) -> (Vec<String>, Result<Value>) {
        let (mut rows, mut all) = (Rows::default(), Vec::new());
        for piece in text.as_bytes().chunks(step) {
            let each = &mut |row: &[u8]| {
                all.push(String::from_utf8_lossy(row).into_owned());
                Ok(())
            };
            rows.take(piece, each).expect("taken");
        }
        (all, rows.end())
    }

    #[test]
    fn rows_come_out_however_the_answer_is_cut() {
        let text =
            r#"{"data":{"fields":["values","["],"values":[[1,"a]\"["],[{"values":[2]}, "\\"] ,[]]},"errors":[{"code":"x"}]}"#;
        for step in 1..text.len() {
            let (rows, around) = taken(text, step);
            assert_eq!(rows, [r#"[1,"a]\"["]"#, r#"[{"values":[2]}, "\\"]"#, "[]"], "{step}");
            let around = around.expect("JSON");
            assert_eq!((&around["errors"][0]["code"], &around["data"]["values"]), (&"x".into(), &serde_json::json!([])));
        }
        let (rows, around) = taken(&text[..60], 7);
        assert!(rows.len() == 1 && around.is_err(), "{rows:?}");
        assert!(taken(r#"{"errors":[{"code":"values","values":[[1]]}]}"#, 3).0.is_empty(), "rows are in `data` only");
    }
}
