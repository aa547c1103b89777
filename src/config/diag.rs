//! What is wrong with the configuration, all of it at once, with file, line and the words underlined.
//!
//! Invariants: a problem points into a text that is kept here (`mlops.toml` or one environment variable); no span of any
//! origin can make rendering fail; what looks like a secret is overwritten before a single line is shown.

use crate::base::error::Error;
use crate::base::text::count;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::collections::BTreeSet;
use std::ops::Range;

/// Problems shown in full; the rest is only counted.
const SHOWN_MAX: usize = 30;

/// Words in a key that announce a secret.
pub(super) const SECRET_WORDS: [&str; 11] =
    ["password", "passwd", "secret", "token", "api-key", "api_key", "apikey", "log-key", "access-key", "authorization", "cookie"];

/// The text a value stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Nowhere: kf's own default.
    BuiltIn,
    /// `mlops.toml`.
    File,
    /// The environment variable of this name, shown as `NAME=value`.
    Env(&'static str),
}

/// A place in a text, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) source: Source,
    pub(super) span: Range<usize>,
}

/// One problem: a title, the words it is about (the first is the culprit), and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Diagnostic {
    title: String,
    marks: Vec<(Spot, String)>,
    help: Vec<String>,
}

impl Diagnostic {
    pub(super) fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), marks: Vec::new(), help: Vec::new() }
    }

    /// Underlines a place.
    pub(super) fn at(self, spot: &Spot) -> Self {
        self.at_with(spot, "")
    }

    /// Underlines a place and writes a label beside it.
    pub(super) fn at_with(mut self, spot: &Spot, label: impl Into<String>) -> Self {
        self.marks.push((spot.clone(), label.into()));
        self
    }

    /// Says what to do about it.
    pub(super) fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// Says what to do about it, when there is something to say.
    pub(super) fn help_if(self, text: Option<String>) -> Self {
        match text {
            Some(text) => self.help(text),
            None => self,
        }
    }
}

/// The problems found so far, with the texts they point into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Diags {
    path: String,
    text: String,
    line_starts: Vec<usize>,
    env: Vec<(&'static str, String)>,
    secrets: Vec<Spot>,
    found: Vec<Diagnostic>,
    seen: BTreeSet<String>,
}

impl Diags {
    /// No problem yet with a file, shown by this path.
    pub(super) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            line_starts: std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i + 1)).collect(),
            env: Vec::new(),
            secrets: Vec::new(),
            found: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    /// Takes a value from the environment; the place of it is where it stands in `NAME=value`.
    pub(super) fn env_source(&mut self, name: &'static str, value: &str) -> Spot {
        self.env.push((name, format!("{name}={value}")));
        Spot { source: Source::Env(name), span: name.len() + 1..name.len() + 1 + value.len() }
    }

    /// Adds a problem; the same problem is kept once.
    pub(super) fn add(&mut self, problem: Diagnostic) {
        if self.seen.insert(format!("{:?} {}", problem.marks.first(), problem.title)) {
            self.found.push(problem);
        }
    }

    /// Marks a place whose text must never be shown.
    pub(super) fn hide(&mut self, spot: &Spot) {
        self.secrets.push(spot.clone());
    }

    /// How many problems there are.
    pub(super) fn len(&self) -> usize {
        self.found.len()
    }

    /// The line (from 1) on which a place of the file begins; `None` for other places.
    pub(super) fn line(&self, spot: &Spot) -> Option<usize> {
        (spot.source == Source::File).then(|| self.line_starts.partition_point(|start| *start <= spot.span.start))
    }

    /// The place of a quoted word within a place of the file; the whole place when it is not written there like this.
    pub(super) fn word(&self, spot: &Spot, word: Option<&str>) -> Spot {
        let (Some(word), Source::File) = (word, spot.source) else { return spot.clone() };
        let place = within(&self.text, &spot.span);
        let quoted = ['"', '\''].map(|quote| format!("{quote}{word}{quote}"));
        let found = quoted.iter().find_map(|q| self.text[place.clone()].find(q.as_str()).map(|at| (at, q.len())));
        let span = found.map_or(place.clone(), |(at, len)| place.start + at..place.start + at + len);
        Spot { source: Source::File, span }
    }

    /// All problems as one error, in the order of the file; nothing when there is none.
    ///
    /// # Errors
    /// When there is at least one problem.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        if self.found.is_empty() {
            return Ok(());
        }
        let rank = |d: &Diagnostic| match d.marks.first() {
            None => (0, 0),
            Some((spot, _)) if spot.source == Source::File => (1, spot.span.start),
            Some((spot, _)) => (2, spot.span.start),
        };
        self.found.sort_by_key(rank);
        let file = self.shown(Source::File);
        let mut blocks: Vec<String> = self.found.iter().take(SHOWN_MAX).map(|d| self.render(d, &file)).collect();
        let more = self.found.len().saturating_sub(SHOWN_MAX);
        if more > 0 {
            blocks.push(format!("error: and {} in `{}`", count(more, "more problem"), self.path));
        }
        Err(Error::rendered(blocks.join("\n\n")))
    }

    fn render(&self, problem: &Diagnostic, file: &str) -> String {
        let mut group = Group::with_title(Level::ERROR.primary_title(problem.title.as_str()));
        let mut sources: Vec<Source> = Vec::new();
        for (spot, _) in &problem.marks {
            if spot.source != Source::BuiltIn && !sources.contains(&spot.source) {
                sources.push(spot.source);
            }
        }
        for source in sources {
            let (path, text) = match source {
                Source::Env(_) => ("environment", self.shown(source)),
                _ => (self.path.as_str(), file.to_owned()),
            };
            let marks = problem.marks.iter().enumerate().filter(|(_, (spot, _))| spot.source == source);
            let marks: Vec<_> = marks
                .map(|(i, (spot, label))| {
                    let kind = if i == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
                    let mark = kind.span(within(&text, &spot.span));
                    if label.is_empty() { mark } else { mark.label(label.as_str()) }
                })
                .collect();
            group = group.element(Snippet::source(text).path(path).annotations(marks));
        }
        for help in &problem.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        Renderer::plain().render(&[group])
    }

    /// A text as it may be shown: secrets overwritten, every byte in its place.
    fn shown(&self, source: Source) -> String {
        let text = match source {
            Source::BuiltIn => "",
            Source::File => &self.text,
            Source::Env(name) => self.env.iter().find(|(n, _)| *n == name).map_or("", |(_, text)| text),
        };
        let mut bytes = text.as_bytes().to_vec();
        for spot in self.secrets.iter().filter(|s| s.source == source) {
            overwrite(&mut bytes, within(text, &spot.span));
        }
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            for range in secrets_in(line) {
                overwrite(&mut bytes, start + range.start..start + range.end);
            }
            start += line.len();
        }
        String::from_utf8(bytes).unwrap_or_default()
    }
}

/// A span that surely lies in the text, on character borders and on one line or more whole ones.
fn within(text: &str, span: &Range<usize>) -> Range<usize> {
    let border = |mut i: usize| {
        i = i.min(text.len());
        while !text.is_char_boundary(i) {
            i -= 1;
        }
        i
    };
    let start = border(span.start);
    start..border(span.end).max(start)
}

/// Line ends stay, so that what follows keeps its line.
fn overwrite(bytes: &mut [u8], range: Range<usize>) {
    for b in bytes.get_mut(range).unwrap_or_default() {
        if *b != b'\n' && *b != b'\r' {
            *b = b'*';
        }
    }
}

/// Where a line shows a secret: the value of a key that sounds like one, and the password in a URL. Works on lines, so that it
/// also protects text that is not valid TOML.
fn secrets_in(line: &str) -> Vec<Range<usize>> {
    let content = line.trim_end_matches(['\n', '\r']);
    let lower = content.to_ascii_lowercase();
    let mut found = Vec::new();
    for word in SECRET_WORDS {
        for (i, _) in lower.match_indices(word) {
            let after = &content[i + word.len()..];
            let gap = after.len() - after.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "_-\"' \t".contains(c)).len();
            let Some(value) = after[gap..].strip_prefix('=') else { continue };
            let bare = value.trim_start_matches([' ', '\t', '"', '\'']);
            if !bare.is_empty() && !bare.starts_with("env:") && !bare.starts_with("file:") {
                found.push(content.len() - bare.len()..content.len());
            }
        }
    }
    for (i, _) in content.match_indices("://") {
        let rest = &content[i + 3..];
        let end = rest.find(['/', '"', '\'', ' ', '?', '#']).unwrap_or(rest.len());
        let Some(at) = rest[..end].rfind('@') else { continue };
        let Some(colon) = rest[..at].find(':') else { continue };
        found.push(i + 3 + colon + 1..i + 3 + at);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rendered(text: &str, problems: impl IntoIterator<Item = Diagnostic>) -> String {
        let mut diags = Diags::new("mlops.toml", text);
        for p in problems {
            diags.add(p);
        }
        diags.finish().expect_err("a problem").to_string()
    }

    fn spot(span: Range<usize>) -> Spot {
        Spot { source: Source::File, span }
    }

    #[test]
    fn words_are_underlined_and_labelled() {
        let text = "a = 1\r\nmin = 2\r\nmax = 1\r\n";
        let problem =
            Diagnostic::new("min > max").at_with(&spot(13..14), "more").at_with(&spot(22..23), "less").help("swap them");
        insta::assert_snapshot!(rendered(text, [problem]), @r"
        error: min > max
         --> mlops.toml:2:7
          |
        2 | min = 2
          |       ^ more
        3 | max = 1
          |       - less
          |
          = help: swap them
        ");
    }

    #[test]
    fn a_value_of_the_environment_is_shown_as_it_was_typed() {
        let mut diags = Diags::new("mlops.toml", "");
        let spot = diags.env_source("KF_LOCK_TIMEOUT", "soon");
        diags.add(Diagnostic::new("`soon` is not a duration").at(&spot));
        insta::assert_snapshot!(diags.finish().expect_err("a problem"), @r"
        error: `soon` is not a duration
         --> environment:1:17
          |
        1 | KF_LOCK_TIMEOUT=soon
          |                 ^^^^
        ");
    }

    #[test]
    fn secrets_are_overwritten_wherever_they_stand() {
        let check = |line: &str, shown: &str| {
            let problem = Diagnostic::new("x").at(&spot(0..1));
            let out = rendered(line, [problem]);
            assert!(out.contains(&format!("1 | {shown}\n")), "{out}");
        };
        check("password = \"hunter2\"", "password = \"********");
        check("api_key_2='hunter2", "api_key_2='*******");
        check("h = { \"Authorization\" = \"Bearer é\" }", "h = { \"Authorization\" = \"************");
        check("url = \"postgres://u:hunter2@db/x\"", "url = \"postgres://u:*******@db/x\"");
        check("password = \"env:PGPASSWORD\"", "password = \"env:PGPASSWORD\"");
        check("require-ticket = true", "require-ticket = true");
    }

    #[test]
    fn a_hidden_place_is_overwritten_over_several_lines() {
        let mut diags = Diags::new("mlops.toml", "x = '''\nhunter2\n'''\n");
        diags.hide(&spot(4..19));
        diags.add(Diagnostic::new("no").at(&spot(4..19)));
        let out = diags.finish().expect_err("a problem").to_string();
        assert!(out.contains("*******") && !out.contains("hunter2"), "{out}");
    }

    #[test]
    fn a_flood_is_counted() {
        let out = rendered("a", (0..35).map(|i| Diagnostic::new(format!("p{i}"))));
        assert!(out.contains("error: p29") && !out.contains("error: p30"), "{out}");
        assert!(out.ends_with("error: and 5 more problems in `mlops.toml`"), "{out}");
    }

    proptest! {
        #[test]
        fn no_text_and_no_span_make_rendering_fail(text in "(?s).{0,60}", a in 0usize..80, b in 0usize..80, c in 0usize..80, label in ".{0,5}") {
            let problem = Diagnostic::new("t").at_with(&spot(a..b), label).at(&spot(b..c));
            prop_assert!(rendered(&text, [problem]).starts_with("error: t"));
        }

        #[test]
        fn no_literal_after_a_secret_key_survives(word in proptest::sample::select(SECRET_WORDS.as_slice()), value in "[0-9]{6,12}") {
            let line = format!("my-{word}-2 = \"{value}\"");
            let out = rendered(&line, [Diagnostic::new("t").at(&spot(0..line.len()))]);
            prop_assert!(!out.contains(&value), "{}", out);
        }
    }
}
