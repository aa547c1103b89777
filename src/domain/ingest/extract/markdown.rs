//! Markdown: CommonMark with tables, footnotes and task lists (pulldown-cmark 0.13), front matter as what the document
//! states of itself, embedded HTML as HTML.

use super::html;
use super::limits::Out;
use crate::domain::ingest::document::BlockKind;
use crate::domain::ingest::reason::Refused;
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// Reads a Markdown text.
///
/// # Errors
/// `TooLarge`, `TooSlow`.
pub(super) fn extract(text: &str, out: &mut Out) -> Result<(), Refused> {
    let body = front_matter(text, out);
    let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut reader = Reader::default();
    for event in Parser::new_ext(body, options) {
        out.tick()?;
        reader.event(event, out)?;
    }
    reader.flush(out)
}

/// Takes `key: value` lines between `---` (or `key = value` between `+++`) at the start; gives the rest.
fn front_matter<'a>(text: &'a str, out: &mut Out) -> &'a str {
    let Some(fence) = ["---", "+++"].into_iter().find(|f| text.lines().next().is_some_and(|l| l.trim_end() == *f)) else {
        return text;
    };
    let start = text.find('\n').map_or(text.len(), |at| at + 1);
    let mut at = start;
    for line in text[start..].split_inclusive('\n') {
        at += line.len();
        if line.trim_end() == fence || (fence == "---" && line.trim_end() == "...") {
            for (key, value) in text[start..at - line.len()].lines().filter_map(|l| pair(l, fence)) {
                match key {
                    "title" => out.canon.title(value),
                    "date" => out.canon.meta("created", value),
                    "lang" => out.canon.meta("language", value),
                    _ => out.canon.meta(key, value),
                }
            }
            return &text[at..];
        }
        // Something that is neither a pair nor part of one: a rule, not front matter.
        if pair(line, fence).is_none() && !line.starts_with([' ', '\t', '-', '#', ']', '}']) && !line.trim().is_empty() {
            return text;
        }
    }
    text
}

fn pair<'a>(line: &'a str, fence: &str) -> Option<(&'a str, &'a str)> {
    let (key, value) = line.split_once(if fence == "---" { ':' } else { '=' })?;
    let plain = !key.is_empty() && key.trim_end().bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    plain.then(|| (key.trim_end(), value.trim().trim_matches(['"', '\''])))
}

/// What is open while the events come in.
#[derive(Default)]
struct Reader {
    buffer: String,
    links: Vec<(usize, String)>,
    heading: Option<u8>,
    item: bool,
    code: bool,
    cells: Vec<String>,
    table: bool,
    head: bool,
    html: String,
}

impl Reader {
    fn event(&mut self, event: Event, out: &mut Out) -> Result<(), Refused> {
        match event {
            Event::Start(tag) => self.start(tag, out)?,
            Event::End(tag) => self.end(tag, out)?,
            Event::Text(text) | Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.buffer.push_str(&text);
            }
            Event::Html(text) => self.html.push_str(&text),
            Event::InlineHtml(tag) => {
                if tag.starts_with("<br") {
                    self.buffer.push(' ');
                }
            }
            Event::SoftBreak | Event::HardBreak => self.buffer.push('\n'),
            Event::FootnoteReference(name) => {
                self.buffer.push('[');
                self.buffer.push_str(&name);
                self.buffer.push(']');
            }
            Event::Rule => self.flush(out)?,
            Event::TaskListMarker(done) => self.buffer.push_str(if done { "[x] " } else { "[ ] " }),
        }
        Ok(())
    }

    fn start(&mut self, tag: Tag, out: &mut Out) -> Result<(), Refused> {
        match tag {
            Tag::Link { dest_url, .. } => self.links.push((self.buffer.len(), dest_url.into_string())),
            Tag::Emphasis | Tag::Strong | Tag::Strikethrough | Tag::Image { .. } | Tag::Superscript | Tag::Subscript => {}
            Tag::TableCell => {}
            Tag::Heading { level, .. } => {
                self.flush(out)?;
                self.heading = Some(level as u8);
            }
            Tag::Item => {
                self.flush(out)?;
                self.item = true;
            }
            Tag::CodeBlock(kind) => {
                self.flush(out)?;
                self.code = true;
                // Diagrams and the like are code too; front matter is taken before.
                let _: CodeBlockKind = kind;
            }
            Tag::Table(_) => {
                self.flush(out)?;
                self.table = true;
            }
            Tag::TableHead => self.head = true,
            Tag::FootnoteDefinition(name) => {
                self.flush(out)?;
                self.buffer.push_str(&format!("[{name}] "));
            }
            _ => self.flush_unless_footnote(out)?,
        }
        Ok(())
    }

    /// The first paragraph of a footnote goes on after its mark.
    fn flush_unless_footnote(&mut self, out: &mut Out) -> Result<(), Refused> {
        if self.buffer.starts_with('[') && self.buffer.ends_with("] ") { Ok(()) } else { self.flush(out) }
    }

    fn end(&mut self, tag: TagEnd, out: &mut Out) -> Result<(), Refused> {
        match tag {
            TagEnd::Link | TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough | TagEnd::Image => {}
            TagEnd::TableCell => self.cells.push(std::mem::take(&mut self.buffer)),
            TagEnd::TableHead | TagEnd::TableRow => self.row(out)?,
            TagEnd::Table => self.table = false,
            TagEnd::Item => {
                self.flush(out)?;
                self.item = false;
            }
            TagEnd::HtmlBlock => {
                self.flush(out)?;
                html::extract(&std::mem::take(&mut self.html), None, out)?;
            }
            TagEnd::Heading(_) => {
                self.flush(out)?;
                self.heading = None;
            }
            TagEnd::CodeBlock => {
                self.flush(out)?;
                self.code = false;
            }
            _ => self.flush(out)?,
        }
        Ok(())
    }

    fn row(&mut self, out: &mut Out) -> Result<(), Refused> {
        let cells = std::mem::take(&mut self.cells);
        let start = out.row(std::mem::take(&mut self.head), None, &cells)?;
        for (_, target) in std::mem::take(&mut self.links) {
            if let Some(start) = start {
                out.canon.link(&target, start);
            }
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut Out) -> Result<(), Refused> {
        let text = std::mem::take(&mut self.buffer);
        let links = std::mem::take(&mut self.links);
        let kind = match self.heading {
            _ if self.code => BlockKind::Code,
            Some(level) => BlockKind::Heading(level),
            None if self.item => BlockKind::ListItem,
            None => BlockKind::Paragraph,
        };
        let Some(start) = out.push(kind, None, &text)? else { return Ok(()) };
        self.item = false;
        let lead = text.len() - text.trim_start().len();
        for (at, target) in links {
            let at = start + at.saturating_sub(lead);
            out.canon.link(&target, at.min(out.canon.len()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, read};

    #[test]
    fn structure_is_kept() {
        check(
            "a.md",
            "---\ntitle: \"T\"\nauthor: X\n---\n# One\ntext *a* `b`\nmore [link](http://x)\n\n- i\n  - j\n- k\n\n```rust\nfn x() {\n    y\n}\n```\n\
             | a | b |\n|---|---|\n| 1 | 2 |\n\n<div><p>html &amp; more</p></div>\n\nend[^1]\n\n[^1]: note\n",
            "# One\ntext a b more link\n- i\n- j\n- k\n``` fn x() {\n    y\n}\n|# a | b\n| 1 | 2\nhtml & more\nend[1]\n[1] note",
        );
        let made = read("a.md", b"---\ntitle: \"T\"\nauthor: X\n---\n# One\nsee [here](http://x)").unwrap();
        assert_eq!(made.document.title.as_deref(), Some("T"));
        assert_eq!(made.document.meta["author"], "X");
        let link = &made.document.links[0];
        assert_eq!((link.target.as_str(), &made.document.text[link.at..]), ("http://x", "here"));
    }

    #[test]
    fn a_rule_is_no_front_matter() {
        check("a.md", "---\nWords of a text.\n---\nmore", "## Words of a text.\nmore");
    }

    #[test]
    fn markdown_is_known_without_a_name() {
        check("README", "# A\n\nSee [x](http://x) and [y](http://y).\n\n## B\n\nz", "# A\nSee x and y.\n## B\nz");
    }
}
