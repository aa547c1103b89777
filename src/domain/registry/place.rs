//! Where in a YAML, TOML or JSON file a value stands. The readers of YAML and JSON keep no positions, so the way to the value is walked
//! once more in the text: block collections of YAML by their indentation, flow collections and JSON by their brackets, TOML by its
//! parser's spans.
//!
//! Only files that were read without a fault are looked through. Where the text takes a way that the walk does not know (anchors,
//! explicit keys), the place is that of the nearest thing around it that was found: never wrong by more than the message says.

use super::document::Syntax;
use super::tree::{KeyPath, Step};
use toml::de::{DeTable, DeValue};

/// Bytes of a file at which something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Its key, or the element of a list.
    pub key: usize,
    /// Its value.
    pub value: usize,
}

/// Finds a value, or the nearest thing around it.
pub fn find(syntax: Syntax, text: &str, path: &KeyPath) -> Spot {
    match syntax {
        Syntax::Toml => in_toml(text, path),
        Syntax::Yaml | Syntax::Json => walk(text, path),
    }
}

fn in_toml(text: &str, path: &KeyPath) -> Spot {
    let mut spot = Spot { key: 0, value: 0 };
    let Ok(table) = DeTable::parse(text) else { return spot };
    let (mut tables, mut value): (Option<&DeTable<'_>>, Option<&DeValue<'_>>) = (Some(table.get_ref()), None);
    for step in &path.0 {
        let next = match (step, tables, value) {
            (Step::Key(key), Some(table), _) => table.iter().find(|(k, _)| k.get_ref().as_ref() == key.as_str()).map(|(k, v)| {
                spot = Spot { key: k.span().start, value: v.span().start };
                v.get_ref()
            }),
            (Step::Index(at), _, Some(DeValue::Array(items))) => items.get(*at).map(|v| {
                spot = Spot { key: v.span().start, value: v.span().start };
                v.get_ref()
            }),
            _ => None,
        };
        let Some(next) = next else { return spot };
        tables = if let DeValue::Table(table) = next { Some(table) } else { None };
        value = Some(next);
    }
    spot
}

fn walk(text: &str, path: &KeyPath) -> Spot {
    let first = content(text, 0);
    let mut spot = Spot { key: first, value: first };
    for step in &path.0 {
        let flow = text[spot.value..].starts_with(['{', '[']);
        let next = match step {
            Step::Key(key) if flow => flow_items(text, spot.value).find(|item| item.key.as_deref() == Some(key)).map(|i| i.spot),
            Step::Index(at) if flow => flow_items(text, spot.value).nth(*at).map(|i| i.spot),
            Step::Key(key) => block_key(text, spot.value, key),
            Step::Index(at) => block_item(text, spot.value, *at),
            _ => None,
        };
        let Some(next) = next else { return spot };
        spot = next;
    }
    spot
}

/// The next byte that is no blank and no comment.
fn content(text: &str, from: usize) -> usize {
    let mut at = from;
    loop {
        let rest = &text[at..];
        at += rest.len() - rest.trim_start().len();
        let lead = text[at..].starts_with('#')
            || (column(text, at) == 0 && (text[at..].starts_with("---") || text[at..].starts_with('%')));
        if !lead {
            return at;
        }
        at += text[at..].find('\n').map_or(text.len() - at, |n| n + 1);
    }
}

/// Bytes between the start of the line and a place in it.
fn column(text: &str, at: usize) -> usize {
    at - text[..at].rfind('\n').map_or(0, |n| n + 1)
}

/// Starts of what stands at one column of a block, from `first` on: the entries of one collection.
fn entries(text: &str, first: usize) -> impl Iterator<Item = usize> + '_ {
    let own = column(text, first);
    let mut next = Some(first).filter(|at| *at < text.len());
    std::iter::from_fn(move || {
        let here = next?;
        let mut line = here;
        next = loop {
            match text[line..].find('\n') {
                None => break None,
                Some(n) => line += n + 1,
            }
            let rest = text[line..].split('\n').next().unwrap_or_default();
            let indent = rest.len() - rest.trim_start_matches(' ').len();
            let blank = rest.trim().is_empty() || rest.trim_start().starts_with('#');
            if !blank && indent < own {
                break None;
            }
            if !blank && indent == own {
                break Some(line + own);
            }
        };
        Some(here)
    })
}

fn block_key(text: &str, first: usize, key: &str) -> Option<Spot> {
    entries(text, first).find_map(|at| {
        let (found, colon) = key_at(text, at)?;
        (found == key).then(|| Spot { key: at, value: value_after(text, colon + 1) })
    })
}

/// The key that begins here and its colon.
fn key_at(text: &str, at: usize) -> Option<(String, usize)> {
    let rest = text[at..].split('\n').next().unwrap_or_default();
    let (key, after) = match rest.chars().next()? {
        quote @ ('"' | '\'') => {
            let end = rest[1..].find(quote)? + 1;
            (rest[1..end].to_owned(), end + 1)
        }
        _ => {
            let end = rest
                .match_indices(':')
                .map(|(i, _)| i)
                .find(|i| rest[i + 1..].is_empty() || rest[i + 1..].starts_with([' ', '\r']))?;
            (rest[..end].trim_end().to_owned(), end)
        }
    };
    let colon = after + rest[after..].find(':')?;
    rest[after..colon].trim().is_empty().then_some((key, at + colon))
}

fn block_item(text: &str, first: usize, index: usize) -> Option<Spot> {
    let is_item = |at: &usize| text[*at..].starts_with('-') && !text[*at + 1..].starts_with(|c: char| !c.is_whitespace());
    let at = entries(text, first).filter(is_item).nth(index)?;
    let value = value_after(text, at + 1);
    Some(Spot { key: value, value })
}

/// What follows a colon or a dash: on its line, or else the next content.
fn value_after(text: &str, at: usize) -> usize {
    content(text, at).min(text.len())
}

struct FlowItem {
    key: Option<String>,
    spot: Spot,
}

/// The elements of a collection in brackets.
fn flow_items(text: &str, open: usize) -> impl Iterator<Item = FlowItem> + '_ {
    let map = text[open..].starts_with('{');
    let mut at = open + 1;
    std::iter::from_fn(move || {
        at = content(text, at);
        while text[at..].starts_with(',') {
            at = content(text, at + 1);
        }
        if at >= text.len() || text[at..].starts_with(['}', ']']) {
            return None;
        }
        let start = at;
        let mut value = start;
        let mut key = None;
        if map {
            let end = scalar_end(text, start, true);
            key = Some(text[start..end].trim().trim_matches(['"', '\'']).to_owned());
            let colon = content(text, end);
            value = if text[colon..].starts_with(':') { content(text, colon + 1) } else { colon };
        }
        at = value_end(text, value);
        Some(FlowItem { key, spot: Spot { key: start, value } })
    })
}

/// Where a scalar of a flow collection ends.
fn scalar_end(text: &str, at: usize, key: bool) -> usize {
    let rest = &text[at..];
    if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let mut escaped = false;
        for (i, c) in rest.char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' if quote == '"' => escaped = true,
                _ if c == quote => return at + i + 1,
                _ => {}
            }
        }
        return text.len();
    }
    let stops = |c: char| matches!(c, ',' | '}' | ']' | '\n') || (key && c == ':');
    at + rest.find(stops).unwrap_or(rest.len())
}

/// Where a value of a flow collection ends.
fn value_end(text: &str, at: usize) -> usize {
    let (mut depth, mut here) = (0_usize, at);
    while let Some(c) = text[here..].chars().next() {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' if depth <= 1 => return if depth == 1 { here + 1 } else { here },
            '}' | ']' => depth -= 1,
            ',' if depth == 0 => return here,
            '"' | '\'' => {
                here = scalar_end(text, here, false);
                continue;
            }
            _ => {}
        }
        here += c.len_utf8();
    }
    here
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(steps: &str) -> KeyPath {
        let step = |s: &str| s.parse().map_or_else(|_| Step::Key(s.to_owned()), Step::Index);
        KeyPath(steps.split('/').filter(|s| !s.is_empty()).map(step).collect())
    }

    fn check(syntax: Syntax, text: &str, steps: &str, key: &str, value: &str) {
        let spot = find(syntax, text, &path(steps));
        assert!(text[spot.key..].starts_with(key), "{steps}: {:?}", &text[spot.key..]);
        assert!(text[spot.value..].starts_with(value), "{steps}: {:?}", &text[spot.value..]);
    }

    #[test]
    fn values_are_found_in_every_syntax() {
        let yaml = "# a suite\n---\nprompts:\n- one\n- two # x\ntests:\n  # first\n  - vars: {a: 1, 'b': [x, \"y, z\", {c: d}]}\n    assert:\n      - type: equals\n        value: |\n          type: no\n      -   type: regex\n  -\n    \"vars\":\n      a: 2\n";
        check(Syntax::Yaml, yaml, "prompts/1", "two", "two");
        check(Syntax::Yaml, yaml, "tests/0/vars/b/1", "\"y, z\"", "\"y, z\"");
        check(Syntax::Yaml, yaml, "tests/0/vars/b/2/c", "c: d", "d}");
        check(Syntax::Yaml, yaml, "tests/0/assert/0/value", "value: |", "|");
        check(Syntax::Yaml, yaml, "tests/0/assert/1/type", "type: regex", "regex");
        check(Syntax::Yaml, yaml, "tests/1/vars/a", "a: 2", "2");
        check(Syntax::Yaml, yaml, "tests/1/vars/missing", "\"vars\":", "a: 2");
        let json = "{\"a\": {\"b\\\"\": 0, \"b\": [1, {\"c\": \"x\"}]},\n \"d\": 2}";
        check(Syntax::Json, json, "a/b/1/c", "\"c\": \"x\"", "\"x\"");
        check(Syntax::Json, json, "d", "\"d\": 2", "2");
        let toml =
            "prompts = [\"a\"]\n[[tests]]\nvars = {x = 1}\n[[tests]]\nvars = {x = 2}\n[[tests.assert]]\ntype = \"equals\"\n";
        check(Syntax::Toml, toml, "tests/1/vars/x", "x = 2", "2");
        check(Syntax::Toml, toml, "tests/1/assert/0/type", "type = \"equals\"", "\"equals\"");
    }

    proptest! {
        #[test]
        fn looking_never_panics(text in "[a-z:{}\\[\\]\"' \n#,|é-]{0,60}", steps in "([a-z]|[0-2])(/([a-z]|[0-2])){0,3}") {
            for syntax in [Syntax::Yaml, Syntax::Json, Syntax::Toml] {
                let spot = find(syntax, &text, &path(&steps));
                prop_assert!(text.is_char_boundary(spot.key) && text.is_char_boundary(spot.value));
            }
        }
    }
}
