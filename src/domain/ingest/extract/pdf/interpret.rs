//! Runs the text operators of a page (ISO 32000-1, 9.2 to 9.4) and gives what is shown with its place, size and style.

use super::font::{Font, Tables, dictionary_of, get};
use super::lexer::{Lexer, Token};
use crate::domain::ingest::extract::limits::{Out, too_large};
use crate::domain::ingest::reason::Refused;
use lopdf::{DecompressError, Dictionary, Document, Error, Object, Stream};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

/// Forms inside forms that are followed.
const FORMS_MAX: usize = 10;
/// Saved states that are kept.
const STATES_MAX: usize = 512;
/// The most bytes that one page's content unpacks to.
const PAGE_MAX: usize = 64 << 20;
/// Content is run rather than kept, so all pages together may unpack to this many times what may be held at once.
const PAGES_TIMES: usize = 4;
/// A gap inside a string wider than this, in em, is a space.
const SPACE: f32 = 0.12;
/// Letters of a pair that stand further apart than this, in em, are of two words.
const PAIR_SPACE: f32 = 0.2;

/// Text shown in one go, in a frame where it runs along x and lines descend along y.
pub(super) struct Run {
    pub(super) text: String,
    pub(super) start: f32,
    pub(super) end: f32,
    pub(super) y: f32,
    /// Height of the letters' em, in the page's units.
    pub(super) size: f32,
    /// Quarter turns that the text is turned by.
    pub(super) turn: u8,
    pub(super) bold: bool,
    pub(super) fixed: bool,
}

type Matrix = [f32; 6];

const IDENTITY: Matrix = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];

/// `a` applied first, then `b`.
fn times(a: &Matrix, b: &Matrix) -> Matrix {
    [
        a[0] * b[0] + a[1] * b[2],
        a[0] * b[1] + a[1] * b[3],
        a[2] * b[0] + a[3] * b[2],
        a[2] * b[1] + a[3] * b[3],
        a[4] * b[0] + a[5] * b[2] + b[4],
        a[4] * b[1] + a[5] * b[3] + b[5],
    ]
}

type Fonts<'a> = BTreeMap<Vec<u8>, &'a Dictionary>;

/// The state that `q` saves.
#[derive(Clone)]
struct State {
    ctm: Matrix,
    font: Option<Rc<Font>>,
    size: f32,
    char_space: f32,
    word_space: f32,
    scale: f32,
    leading: f32,
    rise: f32,
}

/// Reads the pages of one document.
pub(super) struct Interpreter<'a> {
    doc: &'a Document,
    tables: Tables,
    fonts: HashMap<*const Dictionary, Rc<Font>>,
    /// Bytes of content that may still be run, forms as often as they are shown.
    left: usize,
    /// Forms that were found to show no text.
    barren: HashSet<*const Stream>,
    runs: Vec<Run>,
}

impl<'a> Interpreter<'a> {
    pub(super) fn new(doc: &'a Document, out: &Out) -> Self {
        let left = out.limits.max_inflated.saturating_mul(PAGES_TIMES);
        Self { doc, tables: Tables::default(), fonts: HashMap::new(), left, barren: HashSet::new(), runs: Vec::new() }
    }

    /// What a page shows, in the order of its content.
    pub(super) fn page(&mut self, id: lopdf::ObjectId, out: &mut Out) -> Result<Vec<Run>, Refused> {
        let limit = self.left.min(PAGE_MAX);
        let content = self.doc.get_page_content_with_limit(id, limit).map_err(|_| bomb())?;
        let fonts = self.doc.get_page_fonts(id).unwrap_or_default();
        let (direct, ids) = self.doc.get_page_resources(id).unwrap_or_default();
        let resources: Vec<&Dictionary> =
            direct.into_iter().chain(ids.iter().filter_map(|id| self.doc.get_dictionary(*id).ok())).collect();
        self.run(&content, &fonts, &resources, IDENTITY, 0, out)?;
        Ok(std::mem::take(&mut self.runs))
    }

    fn run(
        &mut self,
        content: &[u8],
        fonts: &Fonts<'a>,
        resources: &[&'a Dictionary],
        ctm: Matrix,
        depth: usize,
        out: &mut Out,
    ) -> Result<(), Refused> {
        // A form of no size still costs a step, so that forms in forms end.
        self.left = self.left.checked_sub(content.len() + 256).ok_or_else(bomb)?;
        let mut stack = Stack::new(ctm);
        let mut operands: Vec<Token> = Vec::new();
        let mut lexer = Lexer::new(content);
        while let Some(token) = lexer.next() {
            let Token::Operator(operator) = token else {
                if operands.len() < 4_096 {
                    operands.push(token);
                }
                continue;
            };
            out.tick()?;
            match operator {
                b"ID" => lexer.skip_image(),
                b"Tf" => {
                    let name = operands.iter().find_map(|t| if let Token::Name(name) = t { Some(&**name) } else { None });
                    stack.state.font = name.and_then(|n| fonts.get(n)).map(|dictionary| self.font(dictionary));
                    stack.state.size = number(&operands, 0);
                }
                b"Do" => {
                    if let Some(Token::Name(name)) = operands.first()
                        && depth < FORMS_MAX
                    {
                        self.form(name, fonts, resources, &stack.state.ctm, depth, out)?;
                    }
                }
                _ => stack.operate(operator, &operands, &mut self.runs),
            }
            operands.clear();
        }
        Ok(())
    }

    /// A picture made of operators: a page within the page.
    fn form(
        &mut self,
        name: &[u8],
        fonts: &Fonts<'a>,
        resources: &[&'a Dictionary],
        ctm: &Matrix,
        depth: usize,
        out: &mut Out,
    ) -> Result<(), Refused> {
        let doc = self.doc;
        let found =
            resources.iter().find_map(|r| get(dictionary_of(get(r, b"XObject", doc)?, doc)?, name, doc)?.as_stream().ok());
        let Some(stream) = found.filter(|s| s.dict.get(b"Subtype").and_then(Object::as_name).is_ok_and(|n| n == b"Form")) else {
            return Ok(());
        };
        if self.barren.contains(&std::ptr::from_ref(stream)) {
            return Ok(());
        }
        let before = self.runs.len();
        let content = plain(stream, self.left.min(PAGE_MAX))?;
        let own = get(&stream.dict, b"Resources", doc).and_then(|r| dictionary_of(r, doc));
        let mut its_fonts = fonts.clone();
        let own_fonts = own.and_then(|o| get(o, b"Font", doc)).and_then(|f| dictionary_of(f, doc));
        for (name, font) in own_fonts.into_iter().flat_map(Dictionary::iter) {
            its_fonts.extend(dictionary_of(font, doc).map(|font| (name.clone(), font)));
        }
        let its_resources: Vec<&Dictionary> = own.map_or_else(|| resources.to_vec(), |own| vec![own]);
        let matrix = get(&stream.dict, b"Matrix", doc).and_then(|m| m.as_array().ok());
        let mut its_matrix = IDENTITY;
        for (to, from) in its_matrix.iter_mut().zip(matrix.into_iter().flatten()) {
            *to = from.as_float().unwrap_or(*to);
        }
        self.run(&content, &its_fonts, &its_resources, times(&its_matrix, ctm), depth + 1, out)?;
        if self.runs.len() == before {
            self.barren.insert(std::ptr::from_ref(stream));
        }
        Ok(())
    }

    fn font(&mut self, dictionary: &'a Dictionary) -> Rc<Font> {
        let key = std::ptr::from_ref(dictionary);
        if let Some(font) = self.fonts.get(&key) {
            return Rc::clone(font);
        }
        let font = Rc::new(Font::of(dictionary, self.doc, &mut self.tables));
        self.fonts.insert(key, Rc::clone(&font));
        font
    }
}

/// The content of a stream; broken filters give nothing.
fn plain(stream: &Stream, limit: usize) -> Result<Vec<u8>, Refused> {
    match stream.get_plain_content_with_limit(limit) {
        Ok(content) => Ok(content),
        Err(Error::Decompress(DecompressError::MemoryLimitExceeded { .. })) => Err(bomb()),
        Err(_) => Ok(Vec::new()),
    }
}

fn bomb() -> Refused {
    too_large("its pages unpack to more than the limits allow")
}

/// The number that stands at `at` among the numbers of the operands.
fn number(operands: &[Token], at: usize) -> f32 {
    operands.iter().filter_map(|t| if let Token::Number(n) = t { Some(*n) } else { None }).nth(at).unwrap_or(0.0)
}

/// The graphics and text state of one content stream.
struct Stack {
    state: State,
    saved: Vec<State>,
    text: Matrix,
    line: Matrix,
}

impl Stack {
    fn new(ctm: Matrix) -> Self {
        let state = State { ctm, font: None, size: 1.0, char_space: 0.0, word_space: 0.0, scale: 1.0, leading: 0.0, rise: 0.0 };
        Self { state, saved: Vec::new(), text: IDENTITY, line: IDENTITY }
    }

    fn operate(&mut self, operator: &[u8], operands: &[Token], runs: &mut Vec<Run>) {
        let n = |at| number(operands, at);
        match operator {
            b"q" if self.saved.len() < STATES_MAX => self.saved.push(self.state.clone()),
            b"Q" => self.state = self.saved.pop().unwrap_or_else(|| self.state.clone()),
            b"cm" => self.state.ctm = times(&[n(0), n(1), n(2), n(3), n(4), n(5)], &self.state.ctm),
            b"BT" => (self.text, self.line) = (IDENTITY, IDENTITY),
            b"Tm" => {
                self.line = [n(0), n(1), n(2), n(3), n(4), n(5)];
                self.text = self.line;
            }
            b"Td" => self.next_line(n(0), n(1)),
            b"TD" => {
                self.state.leading = -n(1);
                self.next_line(n(0), n(1));
            }
            b"T*" => self.next_line(0.0, -self.state.leading),
            b"Tc" => self.state.char_space = n(0),
            b"Tw" => self.state.word_space = n(0),
            b"Tz" => self.state.scale = n(0) / 100.0,
            b"TL" => self.state.leading = n(0),
            b"Ts" => self.state.rise = n(0),
            b"Tj" | b"TJ" => self.show(operands, runs),
            b"'" => {
                self.next_line(0.0, -self.state.leading);
                self.show(operands, runs);
            }
            b"\"" => {
                (self.state.word_space, self.state.char_space) = (n(0), n(1));
                self.next_line(0.0, -self.state.leading);
                let texts = operands.iter().position(|t| matches!(t, Token::Text(_))).unwrap_or(operands.len());
                self.show(&operands[texts..], runs);
            }
            _ => {}
        }
    }

    fn next_line(&mut self, x: f32, y: f32) {
        self.line = times(&[1.0, 0.0, 0.0, 1.0, x, y], &self.line);
        self.text = self.line;
    }

    /// Shows strings, with adjustments between them in thousandths of an em.
    fn show(&mut self, operands: &[Token], runs: &mut Vec<Run>) {
        let Some(font) = self.state.font.clone() else { return };
        let frame = times(&self.text, &self.state.ctm);
        let mut text = String::with_capacity(64);
        let (mut advance, mut shift) = (0_f32, 0_f32);
        // Where the first glyph begins and the last one ends: adjustments before and after are gaps, not letters.
        let (mut first, mut last) = (None, 0_f32);
        let size = self.state.size;
        for operand in operands {
            match operand {
                Token::Number(by) => {
                    let by = -by / 1_000.0 * size;
                    shift += by;
                    advance += by * self.state.scale;
                }
                Token::Text(bytes) => {
                    if shift > SPACE * size.abs() && !text.is_empty() && !text.ends_with(' ') {
                        text.push(' ');
                    }
                    shift = 0.0;
                    // groff parts words by the distance within a pair of letters; longer strings are spaced-out letters.
                    let pair = self.state.char_space > PAIR_SPACE * size.abs() && bytes.len() == 2 && !font.wide;
                    for (glyph, width, space) in font.glyphs(bytes) {
                        if pair && last > 0.0 && !text.is_empty() && !text.ends_with(' ') {
                            text.push(' ');
                        }
                        first.get_or_insert(advance);
                        last = advance + width * size * self.state.scale;
                        let extra = self.state.char_space + if space { self.state.word_space } else { 0.0 };
                        advance += (width * size + extra) * self.state.scale;
                        text.push_str(glyph);
                    }
                }
                _ => {}
            }
        }
        self.text = times(&[1.0, 0.0, 0.0, 1.0, advance, 0.0], &self.text);
        if !text.trim().is_empty() {
            runs.extend(place(text, &frame, (first.unwrap_or(0.0), last), self.state.rise, size, &font));
        } else if !text.is_empty()
            && let Some(last) = runs.last_mut()
            && !last.text.ends_with(' ')
        {
            // A space shown alone still parts words.
            last.text.push(' ');
        }
    }
}

/// A run in the frame where it runs along x; `None` when its numbers are none.
fn place(text: String, frame: &Matrix, (first, last): (f32, f32), rise: f32, size: f32, font: &Font) -> Option<Run> {
    let along = (frame[0].powi(2) + frame[1].powi(2)).sqrt();
    let across = (frame[2].powi(2) + frame[3].powi(2)).sqrt();
    let (x, y) = (frame[4] + rise * frame[2], frame[5] + rise * frame[3]);
    let sign = size.signum();
    let turn = match (frame[0] * sign, frame[1] * sign) {
        (a, b) if a.abs() >= b.abs() && a >= 0.0 => 0,
        (a, b) if a.abs() >= b.abs() => 2,
        (_, b) if b > 0.0 => 1,
        _ => 3,
    };
    let (start, y) = match turn {
        0 => (x, y),
        1 => (y, -x),
        2 => (-x, -y),
        _ => (-y, x),
    };
    let size = (size * across).abs();
    let (start, end) = (start + first * along * sign, start + last * along * sign);
    let sound = start.is_finite() && end.is_finite() && y.is_finite() && size.is_finite() && size > 0.0;
    sound.then_some(Run { text, start, end, y, size, turn, bold: font.bold, fixed: font.fixed })
}
