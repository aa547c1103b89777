//! Small text tools that every room needs: plurals, spans of time, the nearest of some words.

use std::borrow::Cow;

/// A number with so many digits after the point; what rounds to zero has no sign.
pub fn fixed(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    match text.strip_prefix('-') {
        Some(rest) if rest.bytes().all(|b| matches!(b, b'0' | b'.')) => rest.to_owned(),
        _ => text,
    }
}

/// `1 row`, `2 rows`.
pub fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{} {noun}s", group(n)) }
}

/// `1 commit`, `2 commits`, `1 row of band`, of a name in the plural.
pub fn counted(n: u64, names: &str) -> String {
    let (first, rest) = names.split_once(' ').map_or((names, String::new()), |(first, rest)| (first, format!(" {rest}")));
    let one = match first.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => first.strip_suffix('s').unwrap_or(first).to_owned(),
    };
    if n == 1 { format!("1 {one}{rest}") } else { format!("{n} {names}") }
}

/// Digits in groups of three: `12,345`.
pub fn group(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// The longest text that is taken for a slip of the keyboard, in characters: distances of long texts take long.
const SLIP_MAX: usize = 100;
/// How much of what there is a hint lists, in characters.
const LISTED_MAX: usize = 300;

/// The word that was likely meant: a third of the letters may differ (as rustc and cargo do it), one is the beginning of the
/// other, or the same parts stand in another order. Capitals do not count. Nothing when no word is near.
pub fn nearest<'w>(wanted: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    if wanted.chars().nth(SLIP_MAX).is_some() {
        return None;
    }
    let wanted = wanted.to_lowercase();
    let ranked = words.into_iter().filter_map(|word| Some((strangeness(&wanted, &word.to_lowercase())?, word)));
    ranked.min().map(|(_, word)| word)
}

/// How far a word is from what was written, in slips; `None` when it is another word altogether.
fn strangeness(wanted: &str, word: &str) -> Option<usize> {
    let (long, short) = (wanted.chars().count().max(word.chars().count()), wanted.chars().count().min(word.chars().count()));
    if long > SLIP_MAX {
        return None;
    }
    let slips = strsim::damerau_levenshtein(wanted, word);
    // A word of which nothing is left is no slip.
    if slips <= (wanted.chars().count().max(3)) / 3 && slips < short {
        return Some(slips);
    }
    let begins = short > 1 && (word.starts_with(wanted) || wanted.starts_with(word));
    (begins || parts(wanted) == parts(word)).then_some(SLIP_MAX + long - short)
}

/// The parts of a name in an order that does not depend on where they stand in it.
fn parts(name: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = name.split(['-', '_', '.', ' ']).collect();
    parts.sort_unstable();
    parts
}

/// What to write instead of an unknown word: the nearest one, or what there is; nothing when there is nothing.
pub fn did_you_mean<'w>(wanted: &str, words: impl IntoIterator<Item = &'w str> + Clone) -> Option<String> {
    if let Some(word) = nearest(wanted, words.clone()) {
        return Some(format!("did you mean `{word}`?"));
    }
    // A name with a comma in it would look like two.
    let quoted = |word: &'w str| if word.contains(',') { Cow::from(format!("`{word}`")) } else { Cow::from(word) };
    let all: Vec<Cow<'w, str>> = words.into_iter().map(quoted).collect();
    let mut room = LISTED_MAX;
    let fits = |word: &&Cow<'w, str>| {
        let enough = word.chars().count() + 2 <= room;
        room = room.saturating_sub(word.chars().count() + 2);
        enough
    };
    let listed: Vec<&str> = all.iter().take_while(fits).map(Cow::as_ref).collect();
    let more = all.len() - listed.len();
    match (listed.is_empty(), more) {
        (true, _) => None,
        (_, 0) => Some(format!("there is: {}", listed.join(", "))),
        _ => Some(format!("there is: {} and {} more", listed.join(", "), group(more))),
    }
}

/// What a person wrote, as it can be shown on one line of a terminal: at most `max` characters, then `…`; what cannot be seen
/// or would steer the terminal is written as an escape.
pub fn visible(text: &str, max: usize) -> String {
    let mut out = String::new();
    for c in text.chars().take(max) {
        match c {
            '\'' | '"' | '\\' => out.push(c),
            _ => out.extend(c.escape_debug()),
        }
    }
    if text.chars().nth(max).is_some() {
        out.push('…');
    }
    out
}

/// The text cut to at most `max` characters, with `…` when something was cut, on one line.
pub fn ellipsis(text: &str, max: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().count() <= max {
        return line;
    }
    let mut cut: String = line.chars().take(max.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// Text between quotes in Mermaid, on one line: what could end it, or mean Markdown, HTML or an entity, as character codes.
pub fn mermaid(text: &str) -> String {
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    line.fold(String::new(), |mut out, c| {
        if matches!(c, '"' | '#' | '<' | '>' | '&' | '`' | '\\' | ';' | '|') {
            out.push_str(&format!("#{};", u32::from(c)));
        } else {
            out.push(c);
        }
        out
    })
}

/// Text without meaning to Markdown; a [`Table`](super::table::Table) takes care of pipes, backslashes and line breaks.
pub fn markdown(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '*' => out.push_str("&#42;"),
            '_' => out.push_str("&#95;"),
            '`' => out.push_str("&#96;"),
            '[' => out.push_str("&#91;"),
            ']' => out.push_str("&#93;"),
            '<' => out.push_str("&lt;"),
            c => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals_and_groups() {
        assert_eq!(count(1, "row"), "1 row");
        assert_eq!(count(12_345, "row"), "12,345 rows");
        assert_eq!(group(100), "100");
        assert_eq!((counted(1, "rows of band"), counted(2, "rows of band")), ("1 row of band".into(), "2 rows of band".into()));
        assert_eq!((counted(1, "entries"), counted(1_234, "files")), ("1 entry".into(), "1234 files".into()));
    }

    #[test]
    fn near_words_are_suggested() {
        let check = |wanted: &str, words: &[&str], near: Option<&str>| {
            assert_eq!(nearest(wanted, words.iter().copied()), near, "{wanted}");
        };
        let stages = ["development", "staging", "production", "archived"];
        check("produciton", &stages, Some("production"));
        check("prod", &stages, Some("production"));
        check("PRODUCTION", &stages, Some("production"));
        check("stagign", &stages, Some("staging"));
        check("stagings", &stages, Some("staging"));
        check("arhcived", &stages, Some("archived"));
        check("canary", &stages, None);
        check("bt", &["bot", "embedder"], Some("bot"));
        check("bto", &["bot", "embedder"], Some("bot"));
        check("x", &["y", "bot"], None);
        check("b", &["bot"], None);
        check("bot-support", &["embedder", "support-bot"], Some("support-bot"));
        check("ulr", &["min", "max", "url"], Some("url"));
        check("mn", &["min", "max", "url"], Some("min"));
        check("naive", &["naïve"], Some("naïve"));
        check("", &["bot"], None);
        check(&"x".repeat(10_000), &["bot"], None);
        check(&"x".repeat(99), &[&"x".repeat(100), "bot"], Some(&"x".repeat(100)));
    }

    #[test]
    fn the_nearest_of_several_wins_whatever_their_order() {
        for words in [["bot-2", "bot", "robot"], ["robot", "bot", "bot-2"]] {
            assert_eq!(nearest("bott", words), Some("bot"));
            assert_eq!(nearest("bo", words), Some("bot"));
        }
    }

    #[test]
    fn what_there_is_is_listed_when_nothing_is_near() {
        assert_eq!(did_you_mean("suport-bot", ["support-bot", "x"]).as_deref(), Some("did you mean `support-bot`?"));
        assert_eq!(did_you_mean("zzz", ["support-bot", "x"]).as_deref(), Some("there is: support-bot, x"));
        assert_eq!(did_you_mean("zzz", ["text, words", "x"]).as_deref(), Some("there is: `text, words`, x"));
        assert_eq!(did_you_mean("zzz", []), None);
        let many: Vec<String> = (0..2000).map(|i| format!("model-{i}")).collect();
        let hint = did_you_mean("zzz", many.iter().map(String::as_str)).expect("a hint");
        assert!(hint.starts_with("there is: model-0, ") && hint.ends_with(" more") && hint.chars().count() < 340, "{hint}");
    }

    #[test]
    fn what_was_written_is_shown_as_it_was() {
        assert_eq!(visible(r#"it's "a\b" 🚀 é"#, 40), r#"it's "a\b" 🚀 é"#);
        assert_eq!(visible("a\n\u{1b}[31m\u{202e}", 40), r"a\n\u{1b}[31m\u{202e}");
        assert_eq!(visible(&"x".repeat(10_000), 3), "xxx…");
    }

    #[test]
    fn what_rounds_to_zero_has_no_sign() {
        let shown = [-0.001, -0.0, 0.004, -0.006, -12.345, f64::NEG_INFINITY].map(|v| fixed(v, 2));
        assert_eq!(shown, ["0.00", "0.00", "0.00", "-0.01", "-12.35", "-inf"]);
        assert_eq!((fixed(-0.4, 0), fixed(-0.6, 0)), ("0".to_owned(), "-1".to_owned()));
    }

    #[test]
    fn long_text_is_cut_on_one_line() {
        assert_eq!(ellipsis("a\nbcdef", 4), "a b…");
        assert_eq!(ellipsis("abc", 4), "abc");
    }
}
