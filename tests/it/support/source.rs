//! Reads Rust source just far enough for rules about it: code without comments and literals, and the literals by themselves.

use std::path::{Path, PathBuf};

/// A source file, taken apart.
pub(crate) struct Source {
    /// Its path below the directory that was walked.
    pub(crate) path: PathBuf,
    /// The text as it stands.
    pub(crate) text: String,
    /// The text with comments and the insides of literals blanked; line numbers stay.
    pub(crate) code: String,
    /// The string literals: line (from 1) and raw text between the quotes.
    pub(crate) literals: Vec<(usize, String)>,
}

impl Source {
    /// Takes a text apart.
    pub(crate) fn parse(path: impl Into<PathBuf>, text: &str) -> Self {
        let (code, literals) = Lexer::new(text).run();
        Self { path: path.into(), text: text.to_owned(), code, literals }
    }

    /// The line (from 1) of a byte of `code`.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }

    /// The byte from which the file's own unit tests begin, if it has any.
    pub(crate) fn tests_begin(&self) -> usize {
        self.code.find("#[cfg(test)]\nmod tests {").unwrap_or(self.code.len())
    }
}

/// Every `.rs` file below a directory, in the order of their paths.
pub(crate) fn walk(dir: &Path) -> Vec<Source> {
    let mut files = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in std::fs::read_dir(&next).expect("a directory of the project").flatten() {
            let path = entry.path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).expect("UTF-8 source");
                files.push(Source::parse(path.strip_prefix(dir).expect("below it"), &text));
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    code: String,
    literals: Vec<(usize, String)>,
}

impl<'a> Lexer<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text, line: 1, code: String::with_capacity(text.len()), literals: Vec::new() }
    }

    fn run(mut self) -> (String, Vec<(usize, String)>) {
        while !self.rest.is_empty() {
            let word_before = self.code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
            if self.rest.starts_with("//") {
                self.blank(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                self.blank(comment_length(self.rest));
            } else if let Some(hashes) = raw_string(self.rest).filter(|_| !word_before) {
                self.raw(hashes);
            } else if self.rest.starts_with('"') {
                self.string();
            } else if let Some(length) = char_length(self.rest) {
                self.keep(1);
                self.blank(length - 2);
                self.keep(1);
            } else {
                self.keep(self.rest.chars().next().map_or(1, char::len_utf8));
            }
        }
        (self.code, self.literals)
    }

    fn keep(&mut self, bytes: usize) {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.code.push_str(taken);
        self.rest = rest;
    }

    /// Spaces in place of text, byte for byte; line breaks stay.
    fn blank(&mut self, bytes: usize) {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.code.extend(taken.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }));
        self.rest = rest;
    }

    fn string(&mut self) {
        self.keep(1);
        let mut escaped = false;
        let length = self.rest.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        self.literal(length.unwrap_or(self.rest.len()), 1);
    }

    fn raw(&mut self, hashes: usize) {
        let open = self.rest.find('"').map_or(self.rest.len(), |at| at + 1);
        self.keep(open);
        let close = format!("\"{}", "#".repeat(hashes));
        self.literal(self.rest.find(&close).unwrap_or(self.rest.len()), close.len());
    }

    fn literal(&mut self, length: usize, close: usize) {
        self.literals.push((self.line, self.rest[..length].to_owned()));
        self.blank(length);
        self.keep(close.min(self.rest.len()));
    }
}

/// The length of the block comment that begins here; such comments nest.
fn comment_length(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The number of hashes when a raw string begins here.
fn raw_string(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("br").or_else(|| text.strip_prefix("cr")).or_else(|| text.strip_prefix('r'))?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    rest[hashes..].starts_with('"').then_some(hashes)
}

/// The length of the character literal that begins here; `None` for a lifetime.
fn char_length(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('\'')?;
    if let Some(escape) = rest.strip_prefix('\\') {
        // The character after the backslash may itself be a quote.
        let first = escape.chars().next()?.len_utf8();
        return Some(1 + 1 + first + escape[first..].find('\'')? + 1);
    }
    let c = rest.chars().next()?;
    rest[c.len_utf8()..].starts_with('\'').then(|| c.len_utf8() + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, code: &str, literals: &[&str]) {
        let source = Source::parse("x.rs", text);
        assert_eq!(source.code, code);
        assert_eq!(source.literals.iter().map(|(_, l)| l.as_str()).collect::<Vec<_>>(), literals);
    }

    #[test]
    fn comments_and_literals_are_taken_out() {
        check("a // b\nc", "a     \nc", &[]);
        check("a /* b /* c */ */ d", "a                 d", &[]);
        check(r#"f("x\"y") + g"#, r#"f("    ") + g"#, &[r#"x\"y"#]);
        check(r##"r#"a"b"# c"##, r##"r#"   "# c"##, &[r#"a"b"#]);
        check(r"'\'' 'a '", r"'  ' 'a '", &[]);
        check("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}", &[]);
        check("x(\"// no comment\")", "x(\"             \")", &["// no comment"]);
        check("'\"' \"b\"", "' ' \" \"", &["b"]);
    }

    #[test]
    fn lines_are_counted() {
        let source = Source::parse("x.rs", "a\n\"b\nc\" d\n\"e\"");
        assert_eq!(source.literals, [(2, "b\nc".to_owned()), (4, "e".to_owned())]);
        assert_eq!(source.line(source.code.find('d').expect("d")), 3);
    }
}
