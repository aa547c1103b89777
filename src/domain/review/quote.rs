//! Somebody else's text in Markdown for GitHub: seen as it is, and nothing more.
//!
//! Within a line all that Markdown, HTML and tables give a meaning becomes an entity. That does not stop mentions, references to issues
//! and addresses, which are looked for in the finished page: an invisible space of no width stands behind what begins one. In fenced
//! blocks nothing has a meaning but a fence, so the fence is longer than any in the text.

use crate::base::text::group;

/// A space of no width.
const APART: char = '\u{200b}';

/// Whether a character has no place in a page: it steers, hides, or turns the direction of writing.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// At most `max` characters of a text, with how many more there are.
pub fn cut(text: &str, max: usize) -> String {
    let all = text.chars().count();
    if all <= max {
        return text.to_owned();
    }
    format!("{} … ({} more characters)", text.chars().take(max).collect::<String>(), group(all - max))
}

/// A text within a line of Markdown or a cell of a table, at most `max` characters of it.
pub(super) fn inline(text: &str, max: usize) -> String {
    let text = cut(text, max);
    let mut out = String::with_capacity(text.len() * 2);
    let mut rest = text.as_str();
    while let Some(c) = rest.chars().next() {
        let before = rest;
        rest = &rest[c.len_utf8()..];
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            c if is_hidden(c) => out.push('\u{fffd}'),
            '@' | '#' => out.extend([&format!("&#{};", u32::from(c)), "\u{200b}"]),
            '&' | '<' | '>' | '*' | '_' | '`' | '[' | ']' | '(' | ')' | '|' | '\\' | '~' | '!' | '$' | '"' => {
                out.push_str(&format!("&#{};", u32::from(c)));
            }
            // Addresses, and `GH-1`, which is an issue.
            ':' if rest.starts_with('/') => out.extend([c, APART]),
            '.' if ends_with(&out, "www") => out.extend([c, APART]),
            '-' if ends_with(&out, "gh") => out.extend([c, APART]),
            _ => out.push_str(&before[..c.len_utf8()]),
        }
    }
    // What begins a line may be a heading, a list or a rule.
    let begins = out.chars().next().is_some_and(|c| matches!(c, '-' | '+' | '=' | '.' | ':') || c.is_ascii_digit());
    if begins { format!("{APART}{out}") } else { out }
}

/// Whether a text ends so, whatever its capitals.
fn ends_with(text: &str, end: &str) -> bool {
    text.len().checked_sub(end.len()).and_then(|at| text.get(at..)).is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}

/// A fenced block of a text.
pub(super) fn fenced(language: &str, text: &str) -> String {
    let shown: String = text.chars().map(|c| if is_hidden(c) && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect();
    let longest = shown.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", shown.trim_end())
}

/// How wide the lines of a block are, in characters: what GitHub shows without a bar to scroll.
const WIDTH: usize = 96;

/// A text with its name before it, broken into lines each of which begins with `mark`; at most `max` characters of it.
pub(super) fn labelled(mark: &str, name: &str, text: &str, max: usize) -> String {
    let text = cut(text.trim(), max);
    let begins = format!("{mark} {name:<9} ");
    let again = format!("{mark} {:<9} ", "");
    let room = WIDTH.saturating_sub(begins.chars().count()).max(20);
    let mut lines: Vec<String> = Vec::new();
    for line in text.split('\n') {
        let mut now = String::new();
        for word in line.split(' ') {
            let mut word = word;
            loop {
                let used = now.chars().count();
                let wanted = used + usize::from(used > 0) + word.chars().count();
                if wanted <= room {
                    if used > 0 {
                        now.push(' ');
                    }
                    now.push_str(word);
                    break;
                }
                if used > 0 {
                    lines.push(std::mem::take(&mut now));
                    continue;
                }
                let end = word.char_indices().nth(room).map_or(word.len(), |(at, _)| at);
                lines.push(word[..end].to_owned());
                word = &word[end..];
            }
        }
        lines.push(now);
    }
    lines.iter().enumerate().map(|(i, l)| format!("{}{l}\n", if i == 0 { &begins } else { &again })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_has_a_meaning_within_a_line() {
        let check = |text: &str, shown: &str| assert_eq!(inline(text, 100).replace(APART, "¦"), shown, "{text}");
        check("@everyone in #12", "&#64;¦everyone in &#35;¦12");
        check("a | b\\| c", "a &#124; b&#92;&#124; c");
        check("<img src=x> `code` **b** _i_", "&#60;img src=x&#62; &#96;code&#96; &#42;&#42;b&#42;&#42; &#95;i&#95;");
        check("[x](https://a.b) www.a.b GH-1", "&#91;x&#93;&#40;https:¦//a.b&#41; www.¦a.b GH-¦1");
        check("- list\n# title", "¦- list &#35;¦ title");
        check("&#64;x &lt;b&gt;", "&#38;&#35;¦64;x &#38;lt;b&#38;gt;");
        check("a\u{202e}b\u{1b}[31m\u{200b}", "a\u{fffd}b\u{fffd}&#91;31m\u{fffd}");
        assert_eq!(inline(&"x".repeat(1_000_000), 3), "xxx … &#40;999,997 more characters&#41;");
    }

    #[test]
    fn a_fence_is_longer_than_any_in_the_text() {
        assert_eq!(fenced("diff", "a\n````\n@x"), "`````diff\na\n````\n@x\n`````\n");
    }

    #[test]
    fn long_lines_are_broken_and_every_line_has_the_mark() {
        let text = format!("{} {}", "word ".repeat(40), "y".repeat(300));
        let block = labelled("-", "before", &text, 10_000);
        assert!(block.lines().all(|l| l.starts_with("- ") && l.chars().count() <= WIDTH), "{block}");
        assert_eq!(block.matches('y').count(), 300);
        assert_eq!(labelled("+", "now", "a\nb", 10), "+ now       a\n+           b\n");
    }

    proptest! {
        /// Whatever a row holds: no bare character of markup, no mention, no line break, and no fence that ends a block.
        #[test]
        fn text_stays_text(text in "\\PC{0,80}|[@#|<>`*_\\[\\]()!&~\\\\a-z \n:/.-]{0,80}") {
            let shown = inline(&text, 60);
            prop_assert!(!shown.contains(['\n', '|', '<', '>', '`', '*', '[', '\\', '@']), "{shown}");
            prop_assert!(!shown.contains("://") && !shown.to_lowercase().contains("www.a"), "{shown}");
            let block = fenced("text", &text);
            let fence = block.lines().next_back().expect("a fence");
            let inner: Vec<&str> = block.lines().skip(1).collect();
            prop_assert!(inner[..inner.len() - 1].iter().all(|l| !l.trim_start().starts_with(fence)), "{block}");
            for line in labelled("-", "x", &text, 60).lines() {
                prop_assert!(line.starts_with("- "), "{line}");
            }
        }
    }
}
