//! Plain text: paragraphs by blank lines; headings, lists and code only where they are certain.
//!
//! Headings: a line underlined with one repeated sign; a numbered line (`2.1 Title`) or one in capitals, standing alone.
//! Code: lines set in by four columns or more against the rest of the text that look like code or columns. Everything
//! else is a paragraph; a text whose lines are long and never blank has one paragraph a line.

use super::limits::Out;
use crate::domain::ingest::document::BlockKind;
use crate::domain::ingest::reason::Refused;
use std::borrow::Cow;

/// Columns that a tab goes to the next multiple of.
const TAB: usize = 8;
/// A line longer than this, in characters, was not broken by hand.
const LONG_LINE: usize = 160;
/// A heading is no longer than this, in characters.
const HEADING_MAX: usize = 90;
/// Lines after which a paragraph of plain text ends though no blank line came, so that blocks stay of use.
const LINES_MAX: usize = 200;

/// Reads a plain text.
///
/// # Errors
/// `TooLarge`, `TooSlow`.
pub(super) fn extract(text: &str, out: &mut Out) -> Result<(), Refused> {
    let text = without_overstrikes(text);
    let lines: Vec<&str> = text.split('\n').flat_map(|l| l.strip_suffix('\r').unwrap_or(l).split(['\r', '\u{c}'])).collect();
    let base = usual_indent(&lines);
    let single = one_line_paragraphs(&lines);
    let mut at = 0;
    let mut alone = true;
    while at < lines.len() {
        out.tick()?;
        if is_blank(lines[at]) {
            at += 1;
            alone = true;
            continue;
        }
        let mut end = at + 1;
        while end < lines.len() && end - at < LINES_MAX && !is_blank(lines[end]) && !single {
            end += 1;
        }
        group(&lines[at..end], base, alone, lines.get(end).is_none_or(|l| is_blank(l)), out)?;
        alone = false;
        at = end;
    }
    Ok(())
}

fn is_blank(line: &str) -> bool {
    line.trim().is_empty()
}

/// Bold and underlined letters of line printers: `x`, backspace, `x`.
fn without_overstrikes(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{8}') {
        return Cow::Borrowed(text);
    }
    let mut made = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{8}' => {
                made.pop();
            }
            c => made.push(c),
        }
    }
    Cow::Owned(made)
}

/// Columns before the first sign.
fn indent(line: &str) -> usize {
    let mut columns = 0;
    for b in line.bytes() {
        match b {
            b' ' => columns += 1,
            b'\t' => columns += TAB - columns % TAB,
            _ => break,
        }
    }
    columns
}

/// The indentation that most lines have at least: the smallest of a quarter of the lines or more.
fn usual_indent(lines: &[&str]) -> usize {
    let mut counts = [0_usize; 33];
    let mut total = 0;
    for line in lines.iter().filter(|l| !is_blank(l)).take(20_000) {
        counts[indent(line).min(32)] += 1;
        total += 1;
    }
    counts.iter().position(|n| *n * 4 >= total).unwrap_or(0)
}

/// True when lines are whole paragraphs.
fn one_line_paragraphs(lines: &[&str]) -> bool {
    let full = lines.iter().filter(|l| !is_blank(l)).count();
    let long = lines.iter().filter(|l| l.len() > LONG_LINE).count();
    full >= 2 && long * 3 > full
}

/// One group of lines between blank ones.
fn group(lines: &[&str], base: usize, alone: bool, closed: bool, out: &mut Out) -> Result<(), Refused> {
    let mut lines = lines;
    if let Some((level, used)) = underlined(lines) {
        out.push(BlockKind::Heading(level), None, lines[used - 2])?;
        lines = &lines[used..];
    } else if alone && let Some(level) = lone_heading(lines, closed) {
        out.push(BlockKind::Heading(level), None, lines[0])?;
        lines = &lines[1..];
    }
    if lines.is_empty() {
        return Ok(());
    }
    if is_code(lines, base) {
        let shared = lines.iter().map(|l| indent(l)).min().unwrap_or(0);
        let set_out: Vec<Cow<str>> = lines.iter().map(|l| set_out(l, shared)).collect();
        out.push(BlockKind::Code, None, &set_out.join("\n"))?;
        return Ok(());
    }
    paragraphs(lines, out)
}

/// A line without its first columns.
fn set_out(line: &str, columns: usize) -> Cow<'_, str> {
    let (mut done, mut at) = (0, 0);
    for b in line.bytes() {
        match b {
            _ if done >= columns => break,
            b' ' => done += 1,
            b'\t' => done += TAB - done % TAB,
            _ => break,
        }
        at += 1;
    }
    // A tab may reach further than asked.
    match done.saturating_sub(columns) {
        0 => Cow::Borrowed(&line[at..]),
        over => Cow::Owned(format!("{}{}", " ".repeat(over), &line[at..])),
    }
}

/// A title with a line of one sign below it (and perhaps above): its level and the lines used.
fn underlined(lines: &[&str]) -> Option<(u8, usize)> {
    let from = usize::from(rule(lines.first()?).is_some());
    let title = lines.get(from)?;
    let (sign, length) = rule(lines.get(from + 1)?)?;
    let width = title.trim().chars().count();
    if rule(title).is_some() || width > HEADING_MAX || length + 2 < width || length > width + 24 || width == 0 {
        return None;
    }
    let level = match sign {
        '#' | '*' if from == 1 => 1,
        '=' => 1,
        '-' | '*' => 2,
        _ => 3,
    };
    Some((level, from + 2))
}

/// A line of one repeated sign: the sign and how often.
fn rule(line: &str) -> Option<(char, usize)> {
    let line = line.trim();
    let sign = line.chars().next().filter(|c| "=-~^*+#\"`_".contains(*c))?;
    (line.len() >= 3 && line.chars().all(|c| c == sign)).then_some((sign, line.len()))
}

/// A line that stands alone and can only be a heading.
fn lone_heading(lines: &[&str], closed: bool) -> Option<u8> {
    let line = lines.first()?.trim_end();
    let title = line.trim_start();
    let own = lines.len() == 1 && closed || lines.get(1).is_some_and(|next| indent(next) > indent(line) + 1);
    let width = title.chars().count();
    if !own || !(3..=HEADING_MAX).contains(&width) || title.ends_with(['.', ',', ';', ':']) || title.contains("  ") {
        return None;
    }
    if let Some(level) = numbered(title) {
        return Some(level);
    }
    let letters = title.chars().filter(|c| c.is_alphabetic()).count();
    let capitals = title.chars().filter(|c| c.is_uppercase()).count();
    (letters >= 4 && capitals == letters && !title.ends_with(['!', '?']) && letters * 3 >= width * 2).then_some(1)
}

/// `2.1 Title` has level 2.
fn numbered(title: &str) -> Option<u8> {
    let (number, words) = title.split_once(' ')?;
    let number = number.trim_end_matches('.');
    let parts = number.split('.').count();
    let digits = number.split('.').all(|p| (1..=2).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()));
    let first = words.trim_start().chars().next()?;
    // A lone number before a few words is more often an item of a list.
    (digits && parts >= 2 && first.is_uppercase()).then(|| u8::try_from(parts.min(6)).unwrap_or(6))
}

/// Set in, and with the signs or the columns of code.
fn is_code(lines: &[&str], base: usize) -> bool {
    if lines.iter().any(|l| indent(l) < base + 4) || bullet(lines[0]).is_some() {
        return false;
    }
    let coded = |line: &&&str| {
        let line = line.trim();
        let signs = line.chars().filter(|c| "{}[]<>=;$#|\\+@&%~^".contains(*c)).count();
        signs * 12 >= line.len() || line.contains("   ") || line.starts_with(['$', '#', '>', '%', '-'])
    };
    lines.iter().filter(coded).count() * 2 >= lines.len()
}

/// Paragraphs and items of a list.
fn paragraphs(lines: &[&str], out: &mut Out) -> Result<(), Refused> {
    let mut kind = BlockKind::Paragraph;
    let mut text = String::new();
    let mut before = 0;
    for line in lines {
        if let Some(item) = bullet(line) {
            out.push(kind, None, &text)?;
            text.clear();
            kind = BlockKind::ListItem;
            text.push_str(item);
        } else {
            // A line further out than an item's own is no part of it.
            if kind == BlockKind::ListItem && indent(line) == 0 && before > 0 {
                out.push(kind, None, &text)?;
                text.clear();
                kind = BlockKind::Paragraph;
            }
            text.push(' ');
            text.push_str(line);
        }
        before = indent(line);
    }
    out.push(kind, None, &text)?;
    Ok(())
}

/// What follows the sign of an item; numbers stay because texts refer to them.
fn bullet(line: &str) -> Option<&str> {
    let line = line.trim_start();
    for sign in ["- ", "* ", "+ ", "• ", "o ", "· ", "– "] {
        if let Some(item) = line.strip_prefix(sign) {
            return Some(item).filter(|i| !is_blank(i));
        }
    }
    let (number, _) = line.split_once(' ')?;
    let parts = number.strip_suffix(['.', ')'])?;
    let number = parts.split('.').all(|p| (1..=2).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()));
    number.then_some(line)
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn paragraphs_headings_and_lists_are_found() {
        check(
            "a.txt",
            "A title\r\n=======\r\n\r\nfirst line\r\nsecond line\r\n\r\nPart\n----\n- one\n  more\n- two\n\n1. x\n2. y\n\nOVERVIEW OF IT\n\n2.1 The rest\n\nend.",
            "# A title\nfirst line second line\n## Part\n- one more\n- two\n- 1. x\n- 2. y\n# OVERVIEW OF IT\n## 2.1 The rest\nend.",
        );
    }

    #[test]
    fn code_is_kept() {
        check(
            "a.txt",
            "Some words that are long enough.\nMore of them.\nAnd more.\n\n    if (x) {\n      y();\n    }\n\n    only set in as a quotation of some words\n",
            "Some words that are long enough. More of them. And more.\n``` if (x) {\n  y();\n}\nonly set in as a quotation of some words",
        );
    }

    #[test]
    fn manual_pages_are_read() {
        check("a.1", "N\u{8}NA\u{8}AM\u{8}ME\u{8}E\n       ls - list\n       files\n", "# NAME\nls - list files");
    }

    #[test]
    fn long_lines_are_paragraphs() {
        let line = "word ".repeat(40);
        check("a.txt", &format!("{line}\n{line}\nx"), &format!("{}\n{}\nx", line.trim(), line.trim()));
    }
}
