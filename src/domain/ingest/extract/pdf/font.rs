//! What the codes of a font mean and how wide they are (ISO 32000-1, 9.6 to 9.10).
//!
//! A code's text is what `ToUnicode` says, else what its glyph's name means, else the base encoding. Ligatures are spelled
//! out, because nobody searches for `ﬁ`. Encodings and glyph names are lopdf's tables (Adobe Glyph List).

use super::lexer::{Lexer, Token};
use lopdf::{Dictionary, Document, Object};
use std::collections::{BTreeMap, HashMap};

/// The most bytes that a CMap unpacks to.
const CMAP_MAX: usize = 4 << 20;
/// The most bytes that a font program unpacks to.
const PROGRAM_MAX: usize = 8 << 20;
/// The most codes that a CMap names.
const CODES_MAX: usize = 1 << 17;
/// Width of a glyph that no table names, in em.
const USUAL_WIDTH: f32 = 0.5;

/// A font as text needs it.
pub(super) struct Font {
    /// Codes have two bytes.
    pub(super) wide: bool,
    pub(super) bold: bool,
    pub(super) fixed: bool,
    /// The texts of all glyphs, one after the other.
    pool: String,
    /// By code.
    glyphs: Vec<Glyph>,
    usual: f32,
}

/// A code's stretch of the pool and its width in em.
#[derive(Clone, Copy)]
struct Glyph {
    start: u32,
    end: u32,
    width: f32,
}

/// A font while its parts are read.
#[derive(Default)]
struct Draft {
    fixed: bool,
    texts: BTreeMap<u32, Box<str>>,
    widths: BTreeMap<u32, f32>,
    usual: f32,
}

impl Font {
    /// Reads a font's dictionary; whatever is missing or broken falls back.
    pub(super) fn of(dictionary: &Dictionary, doc: &Document, tables: &mut Tables) -> Self {
        let descendant = get(dictionary, b"DescendantFonts", doc).and_then(|d| d.as_array().ok());
        let descendant = descendant.and_then(|d| d.first()).and_then(|d| dictionary_of(d, doc));
        let name = get(dictionary, b"BaseFont", doc).and_then(|n| n.as_name().ok()).unwrap_or_default();
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let descriptor = get(descendant.unwrap_or(dictionary), b"FontDescriptor", doc).and_then(|d| dictionary_of(d, doc));
        let flags = descriptor.and_then(|d| get(d, b"Flags", doc)).and_then(|f| f.as_i64().ok()).unwrap_or(0);
        let fixed =
            ["mono", "courier", "typewriter", "cmtt", "consol", "sftt"].iter().any(|m| name.contains(m)) || flags & 1 != 0;
        let mut draft = Draft { fixed, usual: USUAL_WIDTH, ..Draft::default() };
        match descendant {
            Some(descendant) => draft.wide_widths(descendant, doc),
            None => {
                draft.simple_widths(dictionary, doc);
                draft.simple_texts(dictionary, doc, tables);
                if get(dictionary, b"Encoding", doc).is_none() {
                    draft.built_in(descriptor, doc, tables);
                }
            }
        }
        draft.read_own_map(dictionary, doc);
        let (pool, glyphs) = draft.finish();
        Self {
            wide: descendant.is_some(),
            bold: ["bold", "black", "heavy", "cmbx", "-demi", "semibold"].iter().any(|b| name.contains(b))
                || flags & 0x4_0000 != 0,
            fixed,
            pool,
            glyphs,
            usual: draft.usual,
        }
    }

    /// Each code of a string: its text, its width in em, and whether it is the one-byte space.
    pub(super) fn glyphs<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = (&'a str, f32, bool)> + 'a {
        let size = if self.wide { 2 } else { 1 };
        bytes.chunks(size).map(move |code| {
            let code = code.iter().fold(0, |all, b| all << 8 | usize::from(*b));
            let (text, width) = self.glyphs.get(code).map_or(("", self.usual), |glyph| {
                (self.pool.get(glyph.start as usize..glyph.end as usize).unwrap_or_default(), glyph.width)
            });
            (text, width, !self.wide && code == 32)
        })
    }
}

impl Draft {
    /// The texts as one string, and every code's part of it.
    fn finish(&self) -> (String, Vec<Glyph>) {
        let last = |codes: Option<&u32>| codes.map_or(0, |code| (*code as usize + 1).min(1 << 16));
        let count = last(self.texts.keys().next_back()).max(last(self.widths.keys().next_back()));
        let mut pool = String::new();
        let mut glyphs = vec![Glyph { start: 0, end: 0, width: self.usual }; count];
        for (code, text) in &self.texts {
            if let Some(glyph) = glyphs.get_mut(*code as usize) {
                glyph.start = pool.len() as u32;
                pool.push_str(text);
                glyph.end = pool.len() as u32;
            }
        }
        for (code, width) in &self.widths {
            glyphs.get_mut(*code as usize).into_iter().for_each(|glyph| glyph.width = *width);
        }
        (pool, glyphs)
    }

    fn simple_widths(&mut self, dictionary: &Dictionary, doc: &Document) {
        let matrix = get(dictionary, b"FontMatrix", doc).and_then(|m| m.as_array().ok());
        let scale = matrix.and_then(|m| m.first()).and_then(|s| s.as_float().ok()).map_or(0.001, f32::abs);
        let first = get(dictionary, b"FirstChar", doc).and_then(|f| f.as_i64().ok()).unwrap_or(0);
        let widths = get(dictionary, b"Widths", doc).and_then(|w| w.as_array().ok());
        if self.fixed {
            self.usual = 0.6;
        }
        for (at, width) in widths.into_iter().flatten().take(256).enumerate() {
            if let (Ok(width), Ok(code)) = (resolve(width, doc).as_float(), u32::try_from(first + at as i64)) {
                self.widths.insert(code, width * scale);
            }
        }
    }

    /// `W` names widths as `first [w w w]` or `first last w`.
    fn wide_widths(&mut self, descendant: &Dictionary, doc: &Document) {
        self.usual = get(descendant, b"DW", doc).and_then(|w| w.as_float().ok()).unwrap_or(1_000.0) / 1_000.0;
        let Some(all) = get(descendant, b"W", doc).and_then(|w| w.as_array().ok()) else { return };
        let mut at = 0;
        while let Some(first) = all.get(at).and_then(|f| resolve(f, doc).as_i64().ok()).and_then(|f| u32::try_from(f).ok()) {
            match all.get(at + 1).map(|o| resolve(o, doc)) {
                Some(Object::Array(list)) => {
                    for (code, width) in (first..).zip(list.iter().take(1 << 16)) {
                        self.widths.extend(resolve(width, doc).as_float().ok().map(|w| (code, w / 1_000.0)));
                    }
                    at += 2;
                }
                Some(last) => {
                    let last = last.as_i64().unwrap_or(0).clamp(0, 0xFFFF) as u32;
                    let width = all.get(at + 2).and_then(|w| resolve(w, doc).as_float().ok()).unwrap_or(1_000.0);
                    self.widths.extend((first..=last).map(|code| (code, width / 1_000.0)));
                    at += 3;
                }
                None => break,
            }
            if self.widths.len() > CODES_MAX {
                break;
            }
        }
    }

    /// The texts of one-byte codes by the font's encoding.
    fn simple_texts(&mut self, dictionary: &Dictionary, doc: &Document, tables: &mut Tables) {
        let encoding = get(dictionary, b"Encoding", doc);
        let named = encoding.and_then(|e| e.as_name().ok());
        let own = encoding.and_then(|e| dictionary_of(e, doc));
        let base = named.or_else(|| own.and_then(|o| get(o, b"BaseEncoding", doc)).and_then(|b| b.as_name().ok()));
        let truetype = dictionary.get(b"Subtype").and_then(Object::as_name).is_ok_and(|s| s == b"TrueType");
        let base = base.unwrap_or(if truetype { b"WinAnsiEncoding" } else { b"StandardEncoding" });
        for (code, text) in tables.base(base).iter().enumerate() {
            if !text.is_empty() {
                self.texts.insert(code as u32, spelled(text));
            }
        }
        let mut code = 0_u32;
        for change in
            own.and_then(|o| get(o, b"Differences", doc)).and_then(|d| d.as_array().ok()).into_iter().flatten().take(1_024)
        {
            match resolve(change, doc) {
                Object::Integer(at) => code = u32::try_from(*at).unwrap_or(0),
                Object::Name(name) => {
                    if let Some(text) = tables.glyph(name) {
                        self.texts.insert(code, spelled(&text));
                    }
                    code = code.saturating_add(1);
                }
                _ => {}
            }
        }
    }

    /// The encoding inside a Type 1 font program, whose clear part says `dup 15 /bullet put`.
    fn built_in(&mut self, descriptor: Option<&Dictionary>, doc: &Document, tables: &mut Tables) {
        let program = descriptor.and_then(|d| get(d, b"FontFile", doc)).and_then(|f| f.as_stream().ok());
        let Some(program) = program.and_then(|p| p.get_plain_content_with_limit(PROGRAM_MAX).ok()) else { return };
        let clear = memchr::memmem::find(&program, b"eexec").unwrap_or(program.len().min(1 << 16));
        let mut tokens = Lexer::new(&program[..clear]).peekable();
        while let Some(token) = tokens.next() {
            if token != Token::Operator(b"dup") {
                continue;
            }
            let Some(Token::Number(code)) = tokens.next_if(|t| matches!(t, Token::Number(_))) else { continue };
            let Some(Token::Name(name)) = tokens.next_if(|t| matches!(t, Token::Name(_))) else { continue };
            if let Some(text) = tables.glyph(&name).filter(|_| (0.0..256.0).contains(&code)) {
                self.texts.insert(code as u32, spelled(&text));
            }
        }
    }

    /// What the font says itself (ISO 32000-1, 9.10.3).
    fn read_own_map(&mut self, dictionary: &Dictionary, doc: &Document) {
        let stream = get(dictionary, b"ToUnicode", doc).and_then(|s| s.as_stream().ok());
        let Some(map) = stream.and_then(|s| s.get_plain_content_with_limit(CMAP_MAX).ok()) else { return };
        let mut held: Vec<Option<Vec<u8>>> = Vec::new();
        let mut list: Option<usize> = None;
        for token in Lexer::new(&map) {
            match token {
                Token::Text(text) => held.push(Some(text.into_owned())),
                Token::Open => {
                    list = Some(held.len());
                    held.push(None);
                }
                Token::Close => {
                    if let Some(from) = list.take() {
                        self.listed(&held[from.saturating_sub(2)..]);
                        held.truncate(from.saturating_sub(2));
                    }
                }
                Token::Operator(b"endbfchar") => {
                    for pair in held.chunks(2) {
                        if let [Some(code), Some(text)] = pair {
                            self.say(number(code), text, 0);
                        }
                    }
                    held.clear();
                }
                Token::Operator(b"endbfrange") => {
                    for triple in held.chunks(3) {
                        if let [Some(first), Some(last), Some(text)] = triple {
                            let (first, last) = (number(first), number(last).min(0xFFFF));
                            (first..=last).for_each(|code| self.say(code, text, code - first));
                        }
                    }
                    held.clear();
                }
                Token::Operator(b"endcodespacerange" | b"begincmap" | b"beginbfchar" | b"beginbfrange") => held.clear(),
                _ => {}
            }
        }
    }

    /// `first last [text text …]`.
    fn listed(&mut self, held: &[Option<Vec<u8>>]) {
        if let [Some(first), Some(_), None, texts @ ..] = held {
            for (code, text) in (number(first)..).zip(texts) {
                self.say(code, text.as_deref().unwrap_or_default(), 0);
            }
        }
    }

    /// The text of a code: UTF-16, its last unit `plus` further on.
    fn say(&mut self, code: u32, text: &[u8], plus: u32) {
        let mut units: Vec<u16> = match text {
            [one] => vec![u16::from(*one)],
            _ => text.chunks_exact(2).map(|u| u16::from_be_bytes([u[0], u[1]])).collect(),
        };
        if let Some(last) = units.last_mut() {
            *last = last.wrapping_add(plus as u16);
        }
        let text = String::from_utf16_lossy(&units);
        if self.texts.len() < CODES_MAX && !text.chars().all(|c| c == '\0' || c == '\u{fffd}') {
            self.texts.insert(code, spelled(&text));
        }
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |all, b| all << 8 | u32::from(*b))
}

/// Ligatures as letters (Unicode, Alphabetic Presentation Forms).
fn spelled(text: &str) -> Box<str> {
    if !text.contains(['\u{fb00}', '\u{fb01}', '\u{fb02}', '\u{fb03}', '\u{fb04}', '\u{fb05}', '\u{fb06}']) {
        return text.into();
    }
    let mut made = String::new();
    for c in text.chars() {
        match c {
            '\u{fb00}' => made.push_str("ff"),
            '\u{fb01}' => made.push_str("fi"),
            '\u{fb02}' => made.push_str("fl"),
            '\u{fb03}' => made.push_str("ffi"),
            '\u{fb04}' => made.push_str("ffl"),
            '\u{fb05}' | '\u{fb06}' => made.push_str("st"),
            c => made.push(c),
        }
    }
    made.into()
}

/// A value of a dictionary, references followed.
pub(super) fn get<'a>(dictionary: &'a Dictionary, key: &[u8], doc: &'a Document) -> Option<&'a Object> {
    dictionary.get(key).ok().map(|object| resolve(object, doc))
}

/// What a reference leads to.
pub(super) fn resolve<'a>(object: &'a Object, doc: &'a Document) -> &'a Object {
    doc.dereference(object).map_or(object, |(_, object)| object)
}

/// A dictionary, or that of a stream.
pub(super) fn dictionary_of<'a>(object: &'a Object, doc: &'a Document) -> Option<&'a Dictionary> {
    match resolve(object, doc) {
        Object::Dictionary(dictionary) => Some(dictionary),
        Object::Stream(stream) => Some(&stream.dict),
        _ => None,
    }
}

/// Encodings and glyph names, looked up once a document.
#[derive(Default)]
pub(super) struct Tables {
    bases: HashMap<Vec<u8>, Vec<String>>,
    glyphs: HashMap<Vec<u8>, Option<String>>,
}

impl Tables {
    /// The texts of the 256 codes of a base encoding; of an unknown one those of Windows.
    fn base(&mut self, name: &[u8]) -> &[String] {
        let name: &[u8] = match name {
            b"StandardEncoding" | b"MacRomanEncoding" | b"MacExpertEncoding" => name,
            _ => b"WinAnsiEncoding",
        };
        self.bases.entry(name.to_vec()).or_insert_with(|| {
            let encoding = Object::Name(name.to_vec());
            (0..=255).map(|code| decoded(encoding.clone(), code).unwrap_or_default()).collect()
        })
    }

    /// What a glyph's name means: `Adieresis`, `uni00C4`, `f_i`, `a.sc`.
    fn glyph(&mut self, name: &[u8]) -> Option<String> {
        if let Some(known) = self.glyphs.get(name) {
            return known.clone();
        }
        let found = named(name);
        self.glyphs.insert(name.to_vec(), found.clone());
        found
    }
}

/// The text of one code under an encoding, by lopdf's tables.
fn decoded(encoding: Object, code: u8) -> Option<String> {
    let mut font = Dictionary::new();
    font.set("Type", Object::Name(b"Font".to_vec()));
    font.set("Encoding", encoding);
    let empty = Document::new();
    let text = font.get_font_encoding(&empty).ok()?.bytes_to_string(&[code]).ok()?;
    Some(text).filter(|t| !t.is_empty() && !t.chars().any(char::is_control))
}

fn named(name: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(name).ok()?;
    let text = text.split('.').next().filter(|t| !t.is_empty())?;
    let mut made = String::new();
    for part in text.split('_') {
        let hexadecimal = part.strip_prefix("uni").or_else(|| part.strip_prefix('u')).filter(|h| h.len() >= 4);
        let coded = hexadecimal.and_then(|h| u32::from_str_radix(h.get(..h.len().min(6))?, 16).ok()).and_then(char::from_u32);
        match (part, coded) {
            ("ff" | "ffi" | "ffl" | "fi" | "fl", _) => made.push_str(part),
            (_, Some(c)) => made.push(c),
            _ => made.push_str(&listed(part)?),
        }
    }
    Some(made)
}

/// The Adobe Glyph List, asked through an encoding that has one difference.
fn listed(name: &str) -> Option<String> {
    let mut encoding = Dictionary::new();
    encoding.set("Type", Object::Name(b"Encoding".to_vec()));
    encoding.set("Differences", Object::Array(vec![Object::Integer(1), Object::Name(name.as_bytes().to_vec())]));
    // Code 1 means nothing in the encoding that a failure falls back to.
    decoded(Object::Dictionary(encoding), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_glyphs_mean_characters() {
        let check =
            |name: &str, text: Option<&str>| assert_eq!(Tables::default().glyph(name.as_bytes()).as_deref(), text, "{name}");
        check("Adieresis", Some("Ä"));
        check("uni00E9", Some("é"));
        check("u1F600", Some("😀"));
        check("f_f_i", Some("ffi"));
        check("a.sc", Some("a"));
        check("quoteright", Some("’"));
        check("nonsense-glyph", None);
    }

    #[test]
    fn base_encodings_are_known() {
        let mut tables = Tables::default();
        assert_eq!(tables.base(b"WinAnsiEncoding")[0x80], "€");
        assert_eq!(tables.base(b"MacRomanEncoding")[0x80], "Ä");
        assert_eq!(tables.base(b"StandardEncoding")[0x27], "’");
    }
}
