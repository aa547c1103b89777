//! The replacement fields of a prompt template in Python's `str.format` syntax.
//!
//! Grammar (Python 3 Library Reference, "Format String Syntax", and CPython's `unicode_format.h`): literal text with `{{` and
//! `}}` for braces, fields `{name[key]!conversion:spec}`, fields within a spec one level deep. Only what can be known without
//! values is checked here: braces, names, conversions, and specs against the "Format Specification Mini-Language" for the
//! values that JSON has (text, numbers, true/false). All faults of a text are reported with line and column, not only the
//! first.
//!
//! Two things Python allows are refused: attribute access (`{user.name}`), because walking attributes is how format strings
//! leak secrets, and specs that only other types know (`{day:%Y}`).

use super::document::Fault;
use super::format_spec::{NUMBER_MAX, check_spec};
use crate::base::unicode::decimal;
use std::collections::BTreeSet;
use std::fmt;

/// Reading stops after this many faults of one text.
const FAULTS_MAX: usize = 50;

/// A template whose fields are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    fields: Vec<Field>,
    pieces: Vec<Piece>,
}

/// What a text is made of, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text, with single braces for the doubled ones.
    Text(String),
    /// The field at this place among the fields.
    Field(usize),
}

/// Something wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxFault {
    /// What and where.
    pub fault: Fault,
    /// True for what Python allows and we refuse: the attribute of a value.
    pub attribute: bool,
}

/// One replacement field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The variable: a name, or a number for a positional one (automatic numbers are filled in).
    pub name: String,
    /// What is taken from the variable, outermost first: the texts between brackets.
    pub path: Vec<String>,
    /// `s`, `r` or `a` after `!`.
    pub conversion: Option<char>,
    /// The text after `:`, as it is written.
    pub spec: String,
    /// Fields within the spec.
    pub nested: Vec<Field>,
    /// What the spec is made of; its fields are those of `nested`.
    pub spec_pieces: Vec<Piece>,
    /// Line of its `{`, from 1.
    pub line: usize,
    /// Column of its `{`, from 1, in characters.
    pub column: usize,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.path.iter().try_for_each(|key| write!(f, "[{key}]"))
    }
}

impl Template {
    /// Finds the fields of a template.
    ///
    /// # Errors
    /// The faults found, at most 50, in the order of the text; never empty.
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        Self::read(text).map_err(|faults| faults.into_iter().map(|f| f.fault).collect())
    }

    /// As [`Template::parse`], with what kind of fault each is.
    ///
    /// # Errors
    /// As [`Template::parse`].
    pub fn read(text: &str) -> Result<Self, Vec<SyntaxFault>> {
        let mut parser = Parser { text, faults: Vec::new(), numbering: Numbering::Unknown, place: Place::START };
        let (fields, pieces) = parser.fields(0, text.len(), 0);
        if parser.faults.is_empty() { Ok(Self { fields, pieces }) } else { Err(parser.faults) }
    }

    /// The fields in the order of the text; those within specs are inside their field.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The whole text: its literal parts and its fields.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// What the template needs, sorted, each once: `name`, `config[key]`, `0`.
    pub fn variables(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        collect(&self.fields, &mut all);
        all
    }
}

fn collect(fields: &[Field], all: &mut BTreeSet<String>) {
    for field in fields {
        all.insert(field.to_string());
        collect(&field.nested, all);
    }
}

/// Whether positional fields have been numbered by hand or are numbered as they come; Python refuses a mix.
#[derive(Clone, Copy, PartialEq)]
enum Numbering {
    Unknown,
    Automatic(usize),
    Manual,
}

struct Parser<'a> {
    text: &'a str,
    faults: Vec<SyntaxFault>,
    numbering: Numbering,
    place: Place,
}

/// A byte of the text with its line and column. Fields come in order, so going on from the last place keeps a text of many
/// fields linear.
#[derive(Clone, Copy)]
struct Place {
    byte: usize,
    line: usize,
    column: usize,
}

impl Place {
    const START: Self = Self { byte: 0, line: 1, column: 1 };

    fn on_to(self, text: &str, byte: usize) -> Self {
        let from = if byte < self.byte { Self::START } else { self };
        text[from.byte..byte].chars().fold(Self { byte, ..from }, |p, c| match c {
            '\n' => Self { line: p.line + 1, column: 1, ..p },
            _ => Self { column: p.column + 1, ..p },
        })
    }
}

/// Byte ranges of one field's pieces, each within the text.
struct Pieces {
    name: (usize, usize),
    conversion: Option<char>,
    spec: (usize, usize),
    end: usize,
}

impl Parser<'_> {
    fn fault(&mut self, byte: usize, message: impl Into<String>) {
        let Place { line, column, .. } = self.place_of(byte);
        self.faults.push(SyntaxFault { fault: Fault { line, column, message: message.into() }, attribute: false });
    }

    fn place_of(&mut self, byte: usize) -> Place {
        self.place = self.place.on_to(self.text, byte);
        self.place
    }

    /// The character at a byte, when it lies before `end`.
    fn peek(&self, at: usize, end: usize) -> Option<char> {
        self.text[at..end].chars().next()
    }

    /// The fields between two bytes and the pieces they stand among; `depth` counts the specs around them.
    fn fields(&mut self, start: usize, end: usize, depth: usize) -> (Vec<Field>, Vec<Piece>) {
        let (mut fields, mut pieces, mut literal) = (Vec::new(), Vec::new(), String::new());
        let (text, mut at) = (self.text, start);
        while let Some(offset) = text[at..end].find(['{', '}']) {
            if self.faults.len() >= FAULTS_MAX {
                break;
            }
            let brace = at + offset;
            literal.push_str(&text[at..brace]);
            at = brace + 1;
            let c = &text[brace..at];
            if depth == 2 && c == "{" {
                self.fault(brace, "a field within a field within a field is nested too deep");
                break;
            } else if text[at..end].starts_with(c) {
                literal.push_str(c);
                at += 1;
            } else if c == "}" {
                self.fault(brace, "`}` has no `{` before it; a brace as text is written `}}`");
            } else {
                let Some(found) = self.pieces(brace, end) else { break };
                at = found.end;
                if let Some(field) = self.field(brace, &found, depth) {
                    pieces.extend((!literal.is_empty()).then(|| Piece::Text(std::mem::take(&mut literal))));
                    pieces.push(Piece::Field(fields.len()));
                    fields.push(field);
                }
            }
        }
        literal.push_str(&text[at..end]);
        pieces.extend((!literal.is_empty()).then_some(Piece::Text(literal)));
        (fields, pieces)
    }

    /// Splits the field whose `{` is at `brace` as CPython's `parse_field` does; `None` when it never ends.
    fn pieces(&mut self, brace: usize, end: usize) -> Option<Pieces> {
        let name = brace + 1;
        let stop = self.name_end(brace, end)?;
        let pieces = |conversion, spec, end| Some(Pieces { name: (name, stop), conversion, spec, end });
        let mut at = stop + 1;
        let mut conversion = None;
        match &self.text[stop..at] {
            "}" => return pieces(None, (stop, stop), at),
            "!" => {
                conversion = self.peek(at, end);
                at += conversion.map_or(0, char::len_utf8);
                if self.peek(at, end) == Some('}') {
                    return pieces(conversion, (at, at), at + 1);
                }
                if self.peek(at, end) != Some(':') {
                    self.fault(stop, "after `!` comes one of `s`, `r`, `a` and then `:` or `}`");
                    return None;
                }
                at += 1;
            }
            _ => {}
        }
        let mut open = 1usize;
        for (i, c) in self.text[at..end].char_indices() {
            match c {
                '{' => open += 1,
                '}' => open -= 1,
                _ => {}
            }
            if open == 0 {
                return pieces(conversion, (at, at + i), at + i + 1);
            }
        }
        self.fault(brace, "`{` has no `}` after it; a brace as text is written `{{`");
        None
    }

    /// Where the name of a field ends: at `}`, `:` or `!` outside brackets.
    fn name_end(&mut self, brace: usize, end: usize) -> Option<usize> {
        let mut in_key = false;
        for (i, c) in self.text[brace + 1..end].char_indices() {
            let at = brace + 1 + i;
            match c {
                ']' if in_key => in_key = false,
                _ if in_key => {}
                '[' => in_key = true,
                '}' | ':' | '!' => return Some(at),
                '{' => {
                    self.fault(at, "`{` within the name of a field; a brace as text is written `{{`");
                    return None;
                }
                _ => {}
            }
        }
        let what = if in_key { "`{` has a `[` without `]` after it" } else { "`{` has no `}` after it" };
        self.fault(brace, format!("{what}; a brace as text is written `{{{{`"));
        None
    }

    fn field(&mut self, brace: usize, pieces: &Pieces, depth: usize) -> Option<Field> {
        let known = self.faults.len();
        let Place { line, column, .. } = self.place_of(brace);
        let full = &self.text[pieces.name.0..pieces.name.1];
        let (first, rest) = full.split_at(full.find(['.', '[']).unwrap_or(full.len()));
        // The number comes before those of the fields within the spec, as in CPython.
        let name = self.variable(brace, first);
        let path = self.path(brace, rest);
        if let Some(c) = pieces.conversion.filter(|c| !matches!(c, 's' | 'r' | 'a')) {
            self.fault(brace, format!("`!{}` is not a conversion; there is `!s`, `!r` and `!a`", c.escape_debug()));
        }
        let spec = &self.text[pieces.spec.0..pieces.spec.1];
        let (nested, spec_pieces) = self.fields(pieces.spec.0, pieces.spec.1, depth + 1);
        if nested.is_empty()
            && self.faults.len() == known
            && let Err(why) = check_spec(spec, pieces.conversion.is_some())
        {
            let shown = crate::base::text::ellipsis(spec, 40);
            self.fault(pieces.spec.0, format!("`{shown}` is not a format of text or numbers: {why}"));
        }
        let spec = spec.to_owned();
        let conversion = pieces.conversion;
        (self.faults.len() == known).then_some(Field { name, path, conversion, spec, nested, spec_pieces, line, column })
    }

    /// The variable of a field, with automatic numbers filled in.
    fn variable(&mut self, brace: usize, name: &str) -> String {
        let digits = !name.is_empty() && name.chars().all(|c| decimal(c).is_some());
        if !name.is_empty() && !digits {
            return name.to_owned();
        }
        let number = index(name).filter(|n| *n <= NUMBER_MAX);
        if digits && number.is_none() {
            self.fault(brace, "the number of the field is too large");
        }
        match (self.numbering, digits) {
            (Numbering::Automatic(_), true) | (Numbering::Manual, false) => {
                self.fault(brace, "fields without a name (`{}`) and numbered fields (`{0}`) cannot be mixed");
            }
            (Numbering::Unknown | Numbering::Manual, true) => self.numbering = Numbering::Manual,
            (Numbering::Unknown, false) => self.numbering = Numbering::Automatic(1),
            (Numbering::Automatic(n), false) => {
                self.numbering = Numbering::Automatic(n + 1);
                return n.to_string();
            }
        }
        number.unwrap_or(0).to_string()
    }

    /// The keys after the name: `[a][0]`.
    fn path(&mut self, brace: usize, mut rest: &str) -> Vec<String> {
        let mut path = Vec::new();
        while !rest.is_empty() {
            let Some(inner) = rest.strip_prefix('[') else {
                match rest.strip_prefix('.') {
                    Some(name) if name.is_empty() || name.starts_with(['.', '[']) => {
                        self.fault(brace, "`.` has no name after it")
                    }
                    Some(attribute) => {
                        let attribute = crate::base::text::ellipsis(attribute, 40);
                        self.fault(brace, format!("attributes (`.{attribute}`) are not read from values; write `[{attribute}]`"));
                        self.faults.iter_mut().rev().take(1).for_each(|f| f.attribute = true);
                    }
                    None => self.fault(brace, "only `[` may follow `]` in a field"),
                }
                return path;
            };
            let Some((key, after)) = inner.split_once(']') else {
                self.fault(brace, "`[` has no `]` after it");
                return path;
            };
            if key.is_empty() {
                self.fault(brace, "`[]` has no key in it");
            } else if key.chars().all(|c| decimal(c).is_some()) && index(key).is_none() {
                self.fault(brace, "the number between `[` and `]` is too large");
            }
            path.push(key.to_owned());
            rest = after;
        }
        path
    }
}

/// The number that decimal digits of any script make, if nothing else is there and it fits a machine word as CPython's does.
pub fn index(text: &str) -> Option<usize> {
    let digit = |number: usize, c: char| number.checked_mul(10)?.checked_add(decimal(c)? as usize);
    let number = text.chars().try_fold(0, digit)?;
    (!text.is_empty() && isize::try_from(number).is_ok()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, variables: &[&str]) {
        let template = Template::parse(text).unwrap_or_else(|faults| panic!("{text}: {faults:?}"));
        let mut sorted = variables.to_vec();
        sorted.sort_unstable();
        assert_eq!(template.variables().iter().map(String::as_str).collect::<Vec<_>>(), sorted, "{text}");
    }

    fn check_faults(text: &str, expected: &[(usize, usize, &str)]) {
        let faults = Template::parse(text).expect_err(text);
        assert_eq!(faults.len(), expected.len(), "{text}: {faults:?}");
        for (fault, (line, column, words)) in faults.iter().zip(expected) {
            assert_eq!((fault.line, fault.column), (*line, *column), "{text}: {fault:?}");
            assert!(fault.message.contains(words), "{text}: {fault:?}");
        }
    }

    /// The requirement's own examples, and those of the Python Library Reference ("Format examples").
    #[test]
    fn variables_are_found() {
        check("🔥 {hook_text} - {cta} #trending #{hashtag}", &["cta", "hashtag", "hook_text"]);
        check("{config[key]} costs {price:.2f}", &["config[key]", "price"]);
        check("{0}{1}{0}", &["0", "1"]);
        check("{}, {}", &["0", "1"]);
        check("{:<30}|{:*^30}|{:+f}|{: f}|{:,}|{:.2%}", &["0", "1", "2", "3", "4", "5"]);
        check("{0:{fill}{align}16}", &["0", "align", "fill"]);
        check("{:{}} {}", &["0", "1", "2"]);
        check("{0!r:20} {0!s}", &["0"]);
        check("{{not a field}} {{{name}}}", &["name"]);
        check("{d[a.b:c!d{]}", &["d[a.b:c!d{]"]);
        check("{a b-c|d}", &["a b-c|d"]);
        check("{m[x][0]}", &["m[x][0]"]);
        check("", &[]);
    }

    #[test]
    fn a_field_keeps_all_its_pieces() {
        let template = Template::parse("a\n é{m[k]!r:>{w}}").expect("valid");
        let field = &template.fields()[0];
        assert_eq!((field.name.as_str(), field.path.as_slice()), ("m", &["k".to_owned()][..]));
        assert_eq!((field.conversion, field.spec.as_str()), (Some('r'), ">{w}"));
        assert_eq!((field.line, field.column), (2, 3));
        assert_eq!((field.nested[0].name.as_str(), field.nested[0].column), ("w", 12));
    }

    #[test]
    fn unbalanced_braces_are_placed() {
        check_faults("a } b", &[(1, 3, "no `{` before")]);
        check_faults("line\nété {name", &[(2, 5, "no `}` after")]);
        check_faults("{", &[(1, 1, "no `}` after")]);
        check_faults("{a{b}}", &[(1, 3, "within the name")]);
        check_faults("{a:{b}", &[(1, 1, "no `}` after")]);
        check_faults("{a[b}", &[(1, 1, "`[` without `]`")]);
        check_faults("} {x} }\n}", &[(1, 1, "no `{`"), (1, 7, "no `{`"), (2, 1, "no `{`")]);
        check_faults("{a!}", &[(1, 3, "after `!`")]);
        check_faults("{a!rx}", &[(1, 3, "after `!`")]);
    }

    #[test]
    fn names_that_python_or_we_refuse() {
        check_faults("{user.name}", &[(1, 1, "write `[name]`")]);
        check_faults("{a[]}", &[(1, 1, "no key")]);
        check_faults("{a[x]y}", &[(1, 1, "only `[`")]);
        check_faults("{} {0}", &[(1, 4, "cannot be mixed")]);
        check_faults("{0:{}}", &[(1, 4, "cannot be mixed")]);
        check_faults("{99999999999999999999}", &[(1, 1, "too large")]);
        check_faults("{a!x}", &[(1, 1, "not a conversion")]);
        check_faults("{a:{b:{c}}}", &[(1, 7, "too deep")]);
        check_faults("{.x} {y.z:é}", &[(1, 1, "attributes"), (1, 6, "attributes")]);
    }

    #[test]
    fn specs_are_placed() {
        check_faults("ok {a:.2q}", &[(1, 7, "`.2q` is not a format")]);
        check_faults("{\"role\": \"user\"}", &[(1, 9, "written `{{` and `}}`")]);
    }

    #[test]
    fn a_long_line_of_fields_or_faults_is_read_in_linear_time() {
        let fields = "{a}".repeat(300_000);
        assert_eq!(Template::parse(&fields).expect("valid").fields().last().map(|f| f.column), Some(899_998));
        assert_eq!(Template::parse(&"}x".repeat(300_000)).expect_err("faults").len(), FAULTS_MAX);
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "[{}\\[\\]!:.,<=>^+0-9a-zé🔥\n]{0,40}") {
            match Template::parse(&text) {
                Ok(t) => prop_assert!(t.fields().len() <= text.len()),
                Err(faults) => prop_assert!(!faults.is_empty() && faults.iter().all(|f| f.line >= 1 && f.column >= 1)),
            }
        }

        #[test]
        fn escaped_text_has_no_fields(text in ".{0,60}") {
            let escaped = text.replace('{', "{{").replace('}', "}}");
            prop_assert_eq!(Template::parse(&escaped).expect("escaped").variables().len(), 0);
        }

        #[test]
        fn any_name_without_syntax_is_found(name in "[a-z][a-zé0-9 _-]{0,12}", key in "[a-z.:!{ ]{1,8}") {
            let found = Template::parse(&format!("x{{{name}[{key}]:>3}}")).expect("valid").variables();
            let expected = format!("{name}[{key}]");
            prop_assert!(found.contains(&expected), "{:?}", found);
        }
    }
}
