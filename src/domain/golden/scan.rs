//! Where the elements of a JSON text lie, so that a row and a field have a line. `serde_json` keeps no positions; this only
//! looks at texts that it has accepted, and on others finds something or nothing, but never fails.

/// One element of an array, or one entry of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Child {
    /// The key of an entry.
    pub key: Option<String>,
    /// First byte of the value.
    pub start: usize,
    /// The byte after the value.
    pub end: usize,
}

/// The elements of the array, or the entries of the object, whose bracket is at `at`; none for other values.
pub(super) fn children(text: &str, at: usize) -> Vec<Child> {
    let bytes = text.as_bytes();
    let object = match bytes.get(at) {
        Some(b'{') => true,
        Some(b'[') => false,
        _ => return Vec::new(),
    };
    let mut out = Vec::new();
    let mut i = at + 1;
    loop {
        i = skip(bytes, i, b" \t\r\n,");
        if i >= bytes.len() || matches!(bytes[i], b']' | b'}') {
            return out;
        }
        let mut key = None;
        if object {
            let end = value_end(bytes, i);
            key = text.get(i..end).and_then(|k| serde_json::from_str(k).ok());
            i = skip(bytes, end, b" \t\r\n:");
        }
        let end = value_end(bytes, i);
        if end <= i {
            return out;
        }
        out.push(Child { key, start: i, end });
        i = end;
    }
}

fn skip(bytes: &[u8], from: usize, set: &[u8]) -> usize {
    from + bytes.get(from..).map_or(0, |rest| rest.iter().take_while(|b| set.contains(b)).count())
}

fn value_end(bytes: &[u8], start: usize) -> usize {
    match bytes.get(start) {
        Some(b'"') => string_end(bytes, start),
        Some(b'{' | b'[') => bracket_end(bytes, start),
        _ => start + bytes.get(start..).map_or(0, |r| r.iter().take_while(|b| !b" \t\r\n,:]}".contains(b)).count()),
    }
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut i = start + 1;
    while let Some(b) = bytes.get(i) {
        match b {
            b'"' => return i + 1,
            b'\\' => i += 2,
            _ => i += 1,
        }
    }
    bytes.len()
}

fn bracket_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0usize;
    let mut i = start;
    while let Some(b) = bytes.get(i) {
        match b {
            b'"' => {
                i = string_end(bytes, i);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        i += 1;
        if depth == 0 {
            return i;
        }
    }
    bytes.len()
}

/// Where the lines of a text start, for the line of a byte in logarithmic time.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(i, _)| i).collect())
    }

    /// The line of a byte, from 1.
    pub(super) fn line(&self, byte: usize) -> usize {
        self.0.partition_point(|newline| *newline < byte) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: &[(Option<&str>, &str)]) {
        let found = children(text, 0);
        let found: Vec<_> = found.iter().map(|c| (c.key.as_deref(), &text[c.start..c.end])).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn elements_and_entries_are_found() {
        check(
            "[1, \"a,]\\\"\" ,{\"x\": [2]}, [ ] ]",
            &[(None, "1"), (None, "\"a,]\\\"\""), (None, "{\"x\": [2]}"), (None, "[ ]")],
        );
        check("{ \"a\\u0062\" : null,\n\"é\":{}}", &[(Some("ab"), "null"), (Some("é"), "{}")]);
        check("[]", &[]);
        check("7", &[]);
        let lines = Lines::of("a\nb\n\nc");
        assert_eq!([0, 1, 2, 4, 5].map(|b| lines.line(b)), [1, 1, 2, 3, 4]);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "[\\[\\]{}\",:\\\\a-c1é \n]{0,40}") {
            for child in children(&text, 0) {
                prop_assert!(child.start < child.end && child.end <= text.len());
            }
        }
    }
}
