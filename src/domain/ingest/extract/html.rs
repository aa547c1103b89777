//! HTML and other markup: text with its headings, lists, tables, code and links, in one pass without a tree.
//!
//! All text that a reader sees is kept, also menus: what is main content differs from page to page and guesses lose text
//! (measured on manuals: readability-like extraction keeps 73 %). Scripts, styles, `noscript`, templates and frames are no
//! text. State is a few flags, so 100,000 open elements cost what 10 do. A table whose cells hold headings, lists or
//! other tables is layout: it becomes paragraphs.

use super::limits::Out;
use super::markup::{Piece, Pieces, attribute, decode_entities, local};
use crate::domain::ingest::document::BlockKind;
use crate::domain::ingest::reason::Refused;

/// Tables inside tables that are told apart; deeper ones read as part of the outer.
const TABLES_MAX: usize = 16;
/// A cell longer than this, in bytes, is layout rather than data.
const CELL_MAX: usize = 2_000;

/// Reads a document of markup; `page` is noted on its blocks.
///
/// # Errors
/// `TooLarge`, `TooSlow`.
pub(super) fn extract(text: &str, page: Option<u32>, out: &mut Out) -> Result<(), Refused> {
    let mut reader = Reader { page, generic: is_generic(text), ..Reader::default() };
    let pieces = if reader.generic { Pieces::xml(text) } else { Pieces::html(text) };
    for piece in pieces {
        out.tick()?;
        match piece {
            Piece::Start(name, attributes, empty) => {
                reader.start(&Tag::new(name), attributes, out)?;
                if empty && reader.generic {
                    reader.end(&Tag::new(name), out)?;
                }
            }
            Piece::End(name) => reader.end(&Tag::new(name), out)?,
            Piece::Text(text) => reader.text(&decode_entities(text)),
            Piece::Plain(text) => reader.text(text),
            Piece::Raw(text) => reader.raw(text, out),
        }
    }
    reader.flush(out)?;
    while !reader.tables.is_empty() {
        reader.end_row(out)?;
        reader.tables.pop();
    }
    Ok(())
}

/// Markup that is not HTML (DocBook, feeds): every element stands apart.
fn is_generic(text: &str) -> bool {
    let head = &text[..text.floor_char_boundary(4_096)];
    head.trim_start().starts_with("<?xml") && !head.to_ascii_lowercase().contains("<html")
}

/// A tag's name in lower case, without allocating.
struct Tag([u8; 16], usize);

impl Tag {
    fn new(name: &str) -> Self {
        let mut lower = [0; 16];
        let bytes = local(name).as_bytes();
        let len = bytes.len().min(16);
        lower[..len].copy_from_slice(&bytes[..len]);
        lower.make_ascii_lowercase();
        Self(lower, len)
    }

    fn name(&self) -> &str {
        std::str::from_utf8(&self.0[..self.1]).unwrap_or_default()
    }
}

/// A table that is open.
#[derive(Default)]
struct Table {
    cells: Vec<String>,
    /// A cell is open: text goes into it.
    open: bool,
    rows: usize,
    /// Every cell of the row so far is a heading.
    all_heads: bool,
    in_head: bool,
    layout: bool,
}

/// What is open while a document is read.
#[derive(Default)]
struct Reader {
    page: Option<u32>,
    generic: bool,
    buffer: String,
    /// White space stood last, so the next word is set apart.
    gap: bool,
    links: Vec<(usize, String)>,
    heading: Option<u8>,
    item: bool,
    pre: bool,
    breaks: u8,
    muted: bool,
    in_title: bool,
    tables: Vec<Table>,
}

impl Reader {
    fn kind(&self) -> BlockKind {
        match self.heading {
            _ if self.pre => BlockKind::Code,
            Some(level) => BlockKind::Heading(level),
            None if self.item => BlockKind::ListItem,
            None => BlockKind::Paragraph,
        }
    }

    /// Ends the block that is being written.
    fn flush(&mut self, out: &mut Out) -> Result<(), Refused> {
        self.breaks = 0;
        self.gap = false;
        if self.buffer.is_empty() {
            self.links.clear();
            return Ok(());
        }
        let text = std::mem::take(&mut self.buffer);
        let links = std::mem::take(&mut self.links);
        if let Some(start) = out.push(self.kind(), self.page, &text)? {
            self.item = false;
            let end = out.canon.len();
            for (at, target) in links {
                out.canon.link(&target, (start + at).min(end));
            }
        }
        self.buffer = text;
        self.buffer.clear();
        Ok(())
    }

    /// Ends a block, or inside a cell of data only sets words apart.
    fn apart(&mut self, out: &mut Out) -> Result<(), Refused> {
        if self.in_cell() && self.buffer.len() <= CELL_MAX {
            self.gap = true;
            return Ok(());
        }
        self.make_layout(out)?;
        self.flush(out)
    }

    fn in_cell(&self) -> bool {
        self.tables.last().is_some_and(|t| t.open && !t.layout)
    }

    /// The table turns out to be layout: what its row holds so far becomes text.
    fn make_layout(&mut self, out: &mut Out) -> Result<(), Refused> {
        let Some(table) = self.tables.last_mut().filter(|t| t.open && !t.layout) else { return Ok(()) };
        table.layout = true;
        let cells = std::mem::take(&mut table.cells);
        out.row(false, self.page, &cells)?;
        self.flush(out)
    }

    fn start(&mut self, tag: &Tag, attributes: &str, out: &mut Out) -> Result<(), Refused> {
        match tag.name() {
            "html" => {
                if let Some(language) = attribute(attributes, "lang").or_else(|| attribute(attributes, "xml:lang")) {
                    out.canon.meta("language", &language);
                }
            }
            "meta" => meta(attributes, out),
            "title" if !self.generic => self.in_title = true,
            "title" => self.block_start(Some(2), out)?,
            "a" | "ulink" => self.anchor(attributes),
            "br" => self.line_break(out)?,
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.block_start(Some(tag.0[1] - b'0'), out)?,
            "li" | "dt" | "listitem" => {
                self.block_start(None, out)?;
                self.item = true;
            }
            "pre" | "programlisting" | "screen" | "listing" | "xmp" => {
                self.block_start(None, out)?;
                self.pre = true;
            }
            "ul" | "ol" | "dl" | "dd" | "hr" | "blockquote" | "menu" | "dir" => self.block_start(None, out)?,
            "table" | "informaltable" => self.table_start(out)?,
            "thead" | "tr" | "td" | "th" | "row" | "entry" => self.table_part(tag.name(), out)?,
            "option" | "img" | "input" | "button" | "select" | "label" | "wbr" => self.gap |= tag.name() != "wbr",
            name if self.stands_apart(name) => self.apart(out)?,
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, tag: &Tag, out: &mut Out) -> Result<(), Refused> {
        match tag.name() {
            "a" => self.muted = false,
            "title" if !self.generic => {}
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "title" => {
                self.flush(out)?;
                self.heading = None;
            }
            "pre" | "programlisting" | "screen" | "listing" | "xmp" => {
                self.flush(out)?;
                self.pre = false;
            }
            "li" | "dt" | "listitem" | "dd" => {
                self.apart(out)?;
                self.item = false;
            }
            "ul" | "ol" | "dl" | "blockquote" | "menu" | "dir" | "caption" => self.apart(out)?,
            "td" | "th" | "entry" => self.end_cell(out)?,
            "tr" | "row" => self.end_row(out)?,
            "thead" => {
                if let Some(table) = self.tables.last_mut() {
                    table.in_head = false;
                }
            }
            "table" | "informaltable" => {
                self.end_row(out)?;
                self.flush(out)?;
                self.tables.pop();
            }
            "option" | "button" | "select" | "label" => self.gap = true,
            name if self.stands_apart(name) => self.apart(out)?,
            _ => {}
        }
        Ok(())
    }

    /// A block begins that no cell of data holds.
    fn block_start(&mut self, heading: Option<u8>, out: &mut Out) -> Result<(), Refused> {
        self.make_layout(out)?;
        self.flush(out)?;
        self.heading = heading;
        Ok(())
    }

    fn stands_apart(&self, name: &str) -> bool {
        const BLOCKS: &[&str] = &[
            "p",
            "div",
            "section",
            "article",
            "header",
            "footer",
            "nav",
            "main",
            "aside",
            "body",
            "form",
            "fieldset",
            "legend",
            "figure",
            "figcaption",
            "address",
            "center",
            "details",
            "summary",
            "caption",
            "tbody",
            "tfoot",
            "optgroup",
            "hgroup",
            "dialog",
            "noframes",
            "textarea",
            "head",
        ];
        const INLINE: &[&str] =
            &["emphasis", "literal", "command", "filename", "ulink", "link", "option", "i", "b", "em", "code"];
        BLOCKS.contains(&name) || (self.generic && !INLINE.contains(&name))
    }

    fn anchor(&mut self, attributes: &str) {
        // Sphinx and its like end every heading with a pilcrow that links to itself.
        self.muted = attribute(attributes, "class").is_some_and(|c| c.contains("headerlink"));
        let target = attribute(attributes, "href").or_else(|| attribute(attributes, "url"));
        if let Some(target) = target.filter(|t| !t.starts_with('#') && !t.starts_with("javascript:")) {
            // Where the words of a cell begin is known only once its row is written; the row's own begin serves.
            let gap = usize::from(self.gap && !self.buffer.is_empty());
            let at = if self.in_cell() { 0 } else { self.buffer.len() + gap };
            self.links.push((at, target.into_owned()));
        }
    }

    /// One break is a space, two in a row end a paragraph.
    fn line_break(&mut self, out: &mut Out) -> Result<(), Refused> {
        if self.pre {
            self.buffer.push('\n');
            return Ok(());
        }
        self.gap = true;
        self.breaks += 1;
        if self.breaks >= 2 && self.heading.is_none() { self.apart(out) } else { Ok(()) }
    }

    fn table_start(&mut self, out: &mut Out) -> Result<(), Refused> {
        self.block_start(None, out)?;
        if self.tables.len() < TABLES_MAX {
            self.tables.push(Table::default());
        }
        Ok(())
    }

    fn table_part(&mut self, name: &str, out: &mut Out) -> Result<(), Refused> {
        if self.tables.is_empty() {
            return self.flush(out);
        }
        match name {
            "tr" | "row" | "thead" => self.end_row(out)?,
            _ => self.end_cell(out)?,
        }
        let Some(table) = self.tables.last_mut() else { return Ok(()) };
        match name {
            "thead" => table.in_head = true,
            "tr" | "row" => table.all_heads = true,
            _ => {
                table.open = true;
                table.all_heads &= name == "th" || table.in_head;
            }
        }
        Ok(())
    }

    fn end_cell(&mut self, out: &mut Out) -> Result<(), Refused> {
        let Some(table) = self.tables.last_mut() else { return self.flush(out) };
        if !table.open || table.layout {
            table.open = false;
            return self.flush(out);
        }
        table.open = false;
        table.cells.push(std::mem::take(&mut self.buffer));
        self.gap = false;
        Ok(())
    }

    fn end_row(&mut self, out: &mut Out) -> Result<(), Refused> {
        self.end_cell(out)?;
        let Some(table) = self.tables.last_mut() else { return Ok(()) };
        let header = (table.all_heads || table.in_head) && table.rows == 0;
        let cells = std::mem::take(&mut table.cells);
        if cells.is_empty() {
            return Ok(());
        }
        table.rows += 1;
        let written = out.row(header, self.page, &cells)?;
        for (_, target) in std::mem::take(&mut self.links) {
            if let Some(start) = written {
                out.canon.link(&target, start);
            }
        }
        Ok(())
    }

    fn raw(&mut self, text: &str, out: &mut Out) {
        if std::mem::take(&mut self.in_title) {
            out.canon.title(&decode_entities(text));
        } else if self.pre {
            self.buffer.push_str(&decode_entities(text));
        }
    }

    fn text(&mut self, text: &str) {
        if self.muted {
            return;
        }
        if self.pre {
            self.buffer.push_str(text);
            return;
        }
        self.gap |= text.starts_with(|c: char| c.is_ascii_whitespace());
        let mut words = false;
        for word in text.split_ascii_whitespace() {
            if (self.gap || words) && !self.buffer.is_empty() {
                self.buffer.push(' ');
            }
            self.gap = false;
            words = true;
            self.breaks = 0;
            self.buffer.push_str(word);
        }
        self.gap |= text.ends_with(|c: char| c.is_ascii_whitespace());
    }
}

/// What the page says of itself.
fn meta(attributes: &str, out: &mut Out) {
    let Some(key) = attribute(attributes, "name").or_else(|| attribute(attributes, "property")) else { return };
    let key = match key.to_ascii_lowercase().as_str() {
        "author" | "dc.creator" | "dcterms.creator" | "article:author" => "author",
        "description" | "dc.description" | "og:description" => "description",
        "keywords" => "keywords",
        "date" | "dc.date" | "dcterms.created" | "article:published_time" => "created",
        "dc.language" | "dcterms.language" => "language",
        _ => return,
    };
    if let Some(value) = attribute(attributes, "content") {
        out.canon.meta(key, &value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, read};

    #[test]
    fn structure_is_kept() {
        check(
            "a.html",
            "<html lang=de><head><title>T &amp; t</title><meta name=Author content='A. B.'><style>p{}</style></head><body><h1>One\
             <a class=headerlink href='#x'>¶</a></h1>text<p>more &uuml;<b>b</b>er<ul><li>a<li>b</ul><pre>x\n  y</pre>\
             <table><tr><th>k<th>v<tr><td>1<td><p>2</p></table><script>no()</script><noscript>no</noscript>end",
            "# One\ntext\nmore über\n- a\n- b\n``` x\n  y\n|# k | v\n| 1 | 2\nend",
        );
        let made = read("a.html", b"<html lang=de><title>T &amp; t</title><meta name=Author content='A. B.'><p>x").unwrap();
        assert_eq!(made.document.title.as_deref(), Some("T & t"));
        assert_eq!(made.document.meta["author"], "A. B.");
        assert_eq!(made.document.meta["language"], "de");
    }

    #[test]
    fn links_stand_where_their_words_begin() {
        let made = read("a.html", "<p>Só veja <a href='http://x/?a=1&amp;b'>aqui</a>, <a href=#y>no</a>".as_bytes()).unwrap();
        let links = &made.document.links;
        assert_eq!(links.len(), 1);
        assert_eq!(links[0].target, "http://x/?a=1&b");
        assert!(made.document.text[links[0].at..].starts_with("aqui"));
    }

    #[test]
    fn layout_tables_are_text() {
        check("a.html", "<table><tr><td>menu<td><h2>H</h2><p>one<p>two</table>", "| menu\n## H\none\ntwo");
        check("a.html", "<table><tr><td><table><tr><td>a<td>b</table></table>", "| a | b");
    }

    #[test]
    fn dirt_and_depth_are_read_to_the_end() {
        check("a.html", "<p>a<br>b<br><br>c<p <b>d</b></p></i>", "a b\nc\nd");
        let deep = format!("<html>{}x{}", "<div>".repeat(100_000), "</div>".repeat(50_000));
        check("a.html", &deep, "x");
        let tables = format!("<html>{}x", "<table><tr><td>".repeat(100_000));
        check("a.html", &tables, "x");
    }

    #[test]
    fn other_markup_is_read_as_text() {
        check(
            "a.xml",
            "<?xml version='1.0'?><book><title>T</title><para>a <emphasis>b</emphasis> c</para></book>",
            "## T\na b c",
        );
    }
}
