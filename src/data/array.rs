//! The elements of one array of JSON, one after the other: where each ends, not what it holds.

use std::io::{BufRead, Error, ErrorKind, Result};

/// Reads the elements of an array.
#[derive(Debug, Default)]
pub(super) struct Elements {
    begun: bool,
    ended: bool,
}

impl Elements {
    /// Reads the bytes of the next element into `out`; false when there is none any more.
    ///
    /// # Errors
    /// When the array is cut short or something stands after it, and as the reader fails.
    pub(super) fn next(&mut self, from: &mut impl BufRead, out: &mut Vec<u8>) -> Result<bool> {
        let mut scan = Scan::default();
        loop {
            let window = from.fill_buf()?;
            if window.is_empty() {
                return if self.ended { Ok(false) } else { Err(ErrorKind::UnexpectedEof.into()) };
            }
            if !self.begun || self.ended {
                let Some(at) = window.iter().position(|byte| !byte.is_ascii_whitespace()) else {
                    let all = window.len();
                    from.consume(all);
                    continue;
                };
                if self.ended {
                    return Err(Error::new(ErrorKind::InvalidData, "something stands after the end of the array"));
                }
                // What comes here begins with the bracket.
                self.begun = true;
                from.consume(at + 1);
                continue;
            }
            let end = window.iter().position(|byte| scan.ends(*byte));
            out.extend_from_slice(&window[..end.unwrap_or(window.len())]);
            let (used, found) = end.map_or((window.len(), None), |at| (at + 1, Some(window[at])));
            from.consume(used);
            match found {
                Some(b']') => self.ended = true,
                Some(_) => return Ok(true),
                None => continue,
            }
            if out.iter().any(|byte| !byte.is_ascii_whitespace()) {
                return Ok(true);
            }
        }
    }
}

/// Where in an element a byte stands.
#[derive(Debug, Default)]
struct Scan {
    depth: usize,
    inside_text: bool,
    escaped: bool,
}

impl Scan {
    /// Takes the next byte; true for the one after the element.
    fn ends(&mut self, byte: u8) -> bool {
        if self.inside_text {
            self.inside_text = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            return false;
        }
        match byte {
            b'"' => self.inside_text = true,
            b'{' | b'[' => self.depth += 1,
            b',' | b']' if self.depth == 0 => return true,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    /// The elements, read through a window of one byte and through a large one.
    fn elements(text: &str) -> std::result::Result<Vec<String>, ErrorKind> {
        let by = |capacity: usize| {
            let mut from = BufReader::with_capacity(capacity, text.as_bytes());
            let (mut elements, mut all, mut bytes) = (Elements::default(), Vec::new(), Vec::new());
            while elements.next(&mut from, &mut bytes).map_err(|e| e.kind())? {
                all.push(String::from_utf8(std::mem::take(&mut bytes)).expect("text").trim().to_owned());
            }
            Ok(all)
        };
        let whole = by(4096);
        assert_eq!(by(1), whole, "{text}");
        whole
    }

    #[test]
    fn elements_end_where_they_end() {
        for (text, want) in [
            ("[]", vec![]),
            (" [ ] \n", vec![]),
            ("[{\"a\":1}]", vec!["{\"a\":1}"]),
            ("\n[{\"a\":[1,2],\"b\":\"],}\\\"\"} ,\n {}, 7]\n", vec!["{\"a\":[1,2],\"b\":\"],}\\\"\"}", "{}", "7"]),
            ("[\"\\\\\", \"a\"]", vec!["\"\\\\\"", "\"a\""]),
        ] {
            assert_eq!(elements(text), Ok(want.into_iter().map(str::to_owned).collect()), "{text}");
        }
    }

    #[test]
    fn what_is_cut_short_or_goes_on_is_an_error() {
        for text in ["[", "[{\"a\":1}", "[{\"a\":\"]", "[1,"] {
            assert_eq!(elements(text), Err(ErrorKind::UnexpectedEof), "{text}");
        }
        assert_eq!(elements("[1] [2]"), Err(ErrorKind::InvalidData));
    }
}
