//! The pieces of HTML and XML: tags, text, character data. One pass, no tree, no recursion, linear in the input.
//!
//! Nothing is an error: what is no tag is text, and what is never closed ends where it does least harm. Entities that a
//! document defines itself stay as they are written, so neither files nor their own multiples are ever pulled in. Names of
//! entities are those of the HTML standard (`htmlize` 1.1).

use std::borrow::Cow;

/// Elements whose content is no markup in HTML; found again by their end tag.
const RAW: &[&str] = &["script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "noscript", "template"];

/// A piece of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A start tag: its name as written, its attributes unparsed, and whether it closes itself.
    Start(&'a str, &'a str, bool),
    /// An end tag.
    End(&'a str),
    /// Text with entities.
    Text(&'a str),
    /// Text without entities (a CDATA section).
    Plain(&'a str),
    /// The content of an element that is no markup, entities not decoded.
    Raw(&'a str),
}

/// The pieces of a document, in order.
pub(super) struct Pieces<'a> {
    text: &'a str,
    at: usize,
    html: bool,
    raw: Option<usize>,
    /// Set when a quote was found that nothing closes: from there on quotes mean nothing.
    quotes_off: bool,
    /// Set when a comment was found that nothing closes.
    comments_off: bool,
    /// Set when the inner part of a document type was found that nothing closes.
    subsets_off: bool,
    /// Set when no `>` is left: the rest is text.
    tags_off: bool,
    /// For each of `RAW`: set when one was found that nothing closes. Each search is made in vain once only, or a document
    /// of such dirt would cost its length squared.
    raw_off: [bool; RAW.len()],
}

impl<'a> Pieces<'a> {
    /// The pieces of an HTML document: scripts and the like are no markup.
    pub(super) fn html(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            html: true,
            raw: None,
            quotes_off: false,
            comments_off: false,
            subsets_off: false,
            tags_off: false,
            raw_off: [false; RAW.len()],
        }
    }

    /// The pieces of an XML document.
    pub(super) fn xml(text: &'a str) -> Self {
        Self { html: false, ..Self::html(text) }
    }

    fn take(&mut self, upto: usize) -> &'a str {
        let piece = &self.text[self.at..upto];
        self.at = upto;
        piece
    }

    /// The content of an element that is no markup, up to its end tag.
    fn raw_content(&mut self, which: usize) -> Option<Piece<'a>> {
        if self.raw_off[which] {
            return None;
        }
        let end = end_tag(&self.text[self.at..], RAW[which]);
        self.raw_off[which] = end.is_none();
        Some(Piece::Raw(self.take(self.at + end?)))
    }

    /// The next `>`.
    fn close(&mut self, rest: &str) -> Option<usize> {
        let found = memchr::memchr(b'>', rest.as_bytes());
        self.tags_off = found.is_none();
        found
    }

    /// A tag beginning here; `None` when the `<` is text.
    fn tag(&mut self) -> Option<Option<Piece<'a>>> {
        if self.tags_off {
            return None;
        }
        let rest = &self.text[self.at..];
        match rest.as_bytes().get(1)? {
            b'!' => {
                let piece = self.declaration(rest);
                Some(piece)
            }
            b'?' => {
                self.at += self.close(rest)? + 1;
                Some(None)
            }
            b'/' => {
                let end = self.close(rest)?;
                self.at += end + 1;
                let name = rest[2..end].split(|c: char| c.is_ascii_whitespace()).next().unwrap_or_default();
                Some((!name.is_empty()).then_some(Piece::End(name)))
            }
            b if b.is_ascii_alphabetic() || *b == b'_' => self.start_tag(rest).map(Some),
            _ => None,
        }
    }

    fn start_tag(&mut self, rest: &'a str) -> Option<Piece<'a>> {
        let end = match self.quotes_off {
            false => tag_end(rest.as_bytes()),
            true => None,
        };
        let end = match end {
            Some(end) => end,
            None => {
                self.quotes_off = true;
                self.close(rest)?
            }
        };
        let inner = &rest[1..end];
        let name_end = inner.find(|c: char| c.is_ascii_whitespace() || c == '/').unwrap_or(inner.len());
        let (name, attributes) = inner.split_at(name_end);
        let empty = attributes.ends_with('/');
        self.at += end + 1;
        if self.html && !empty {
            self.raw = RAW.iter().position(|r| name.eq_ignore_ascii_case(r));
        }
        Some(Piece::Start(name, attributes, empty))
    }

    /// Comments and document types say nothing; CDATA is text.
    fn declaration(&mut self, rest: &'a str) -> Option<Piece<'a>> {
        if let Some(data) = rest.strip_prefix("<![CDATA[") {
            let end = data.find("]]>").unwrap_or(data.len());
            self.at += rest.len() - data.len() + (end + 3).min(data.len());
            return Some(Piece::Plain(&data[..end]));
        }
        if rest.starts_with("<!--") && !self.comments_off {
            if let Some(end) = rest[2..].find("-->") {
                self.at += 2 + end + 3;
                return None;
            }
            self.comments_off = true;
        }
        let Some(close) = self.close(rest) else {
            self.at = self.text.len();
            return Some(Piece::Text(rest));
        };
        let mut subset = None;
        if !self.subsets_off && rest[..close].contains('[') {
            subset = rest.find("]>").map(|e| e + 1);
            self.subsets_off = subset.is_none();
        }
        self.at += subset.unwrap_or(close) + 1;
        None
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if let Some(which) = self.raw.take()
            && let Some(piece) = self.raw_content(which)
        {
            return Some(piece);
        }
        while self.at < self.text.len() {
            if self.text.as_bytes()[self.at] != b'<' {
                let rest = &self.text.as_bytes()[self.at..];
                let end = memchr::memchr(b'<', rest).map_or(self.text.len(), |e| self.at + e);
                return Some(Piece::Text(self.take(end)));
            }
            match self.tag() {
                Some(Some(piece)) => return Some(piece),
                Some(None) => {}
                // A `<` that begins nothing is text, up to the next one.
                None => {
                    let rest = &self.text.as_bytes()[self.at + 1..];
                    let end = memchr::memchr(b'<', rest).map_or(self.text.len(), |e| self.at + 1 + e);
                    return Some(Piece::Text(self.take(end)));
                }
            }
        }
        None
    }
}

/// Where a tag ends: the first `>` outside quoted values. `None` when a quote is never closed.
fn tag_end(tag: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr3(b'>', b'"', b'\'', tag.get(at..)?)?;
        let found = tag[at];
        if found == b'>' {
            return Some(at);
        }
        // Only a quote that begins a value counts; others are dirt in a name.
        let before = tag[..at].trim_ascii_end().last();
        if before == Some(&b'=') {
            at += 1 + memchr::memchr(found, &tag[at + 1..])?;
        }
        at += 1;
    }
}

/// Where `</name` begins.
fn end_tag(text: &str, name: &str) -> Option<usize> {
    memchr::memmem::find_iter(text.as_bytes(), b"</").find(|at| {
        let rest = &text.as_bytes()[at + 2..];
        rest.get(..name.len()).is_some_and(|n| n.eq_ignore_ascii_case(name.as_bytes()))
    })
}

/// The value of an attribute, decoded; the key without regard to case.
pub(super) fn attribute<'a>(attributes: &'a str, key: &str) -> Option<Cow<'a, str>> {
    let mut rest = attributes;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if rest.is_empty() {
            return None;
        }
        let end = rest.find(|c: char| c.is_ascii_whitespace() || matches!(c, '=' | '/')).unwrap_or(rest.len()).max(1);
        let (name, after) = match rest.is_char_boundary(end) {
            true => rest.split_at(end),
            false => return None,
        };
        let mut value = "";
        rest = after;
        if let Some(given) = after.trim_start().strip_prefix('=') {
            let given = given.trim_start();
            (value, rest) = match given.as_bytes().first() {
                Some(quote @ (b'"' | b'\'')) => given[1..].split_once(char::from(*quote)).unwrap_or((&given[1..], "")),
                _ => given.split_at(given.find(|c: char| c.is_ascii_whitespace()).unwrap_or(given.len())),
            };
        }
        if name.eq_ignore_ascii_case(key) {
            return Some(decode_entities(value));
        }
    }
}

/// Text with its entities decoded.
pub(super) fn decode_entities(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'&', text.as_bytes()).is_none() { Cow::Borrowed(text) } else { htmlize::unescape(text) }
}

/// The name without its namespace prefix: `p` of `w:p`.
pub(super) fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(html: &str, expected: &str) {
        let shown: Vec<String> = Pieces::html(html)
            .map(|p| match p {
                Piece::Start(name, attributes, empty) => format!("<{name}{attributes}{}>", if empty { "" } else { " " }),
                Piece::End(name) => format!("</{name}>"),
                Piece::Text(t) | Piece::Plain(t) => t.to_owned(),
                Piece::Raw(t) => format!("[{t}]"),
            })
            .collect();
        assert_eq!(shown.join("|"), expected);
    }

    #[test]
    fn pieces_are_found() {
        check("a<p class='>'>b</p >c", "a|<p class='>' >|b|</p>|c");
        check("<br/><!-- <p> --><!DOCTYPE x [<!ENTITY a 'b'>]>x", "<br/>|x");
        check("<script>if (a<b) '</p>'</script>t", "<script >|[if (a<b) '</p>']|</script>|t");
        check("<![CDATA[a<b]]>", "a<b");
    }

    #[test]
    fn dirt_is_text() {
        check("1 < 2 <3", "1 |< 2 |<3");
        check("<p x=\"a>b</p>", "<p x=\"a >|b|</p>");
        check("<!-- never closed <b>x</b>", "x|</b>");
        check("a <", "a |<");
        check("<script>never closed", "<script >|never closed");
    }

    /// Each of these would take hours if every failed search were made again.
    #[test]
    fn dirt_costs_its_length() {
        for dirt in ["<a ", "</a ", "<!--", "<![x>", "<script>", "<p a=\"", "<!DOCTYPE x [>", "<?", "<"] {
            let text = dirt.repeat(1_000_000) + "end";
            assert!(matches!(Pieces::html(&text).last(), Some(Piece::Text(t)) if t.ends_with("end")), "{dirt}");
        }
    }

    #[test]
    fn attributes_are_read() {
        let tag = " href = 'a&amp;b' checked data-x=\"1>2\" id=z/ title";
        assert_eq!(attribute(tag, "HREF").as_deref(), Some("a&b"));
        assert_eq!(attribute(tag, "data-x").as_deref(), Some("1>2"));
        assert_eq!(attribute(tag, "id").as_deref(), Some("z/"));
        assert_eq!(attribute(tag, "checked").as_deref(), Some(""));
        assert_eq!(attribute(tag, "none"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end(text in "[<>!/a-c\"'=\\[\\]&; \\-é?]{0,60}") {
            for pieces in [Pieces::html(&text), Pieces::xml(&text)] {
                for piece in pieces {
                    if let Piece::Start(_, attributes, _) = piece {
                        attribute(attributes, "none");
                    }
                }
            }
        }
    }
}
