//! Numbers as people write them: groups of letters and digits with single separators between, and the search for rules that
//! fit some groups in a row.

use super::{Finding, Kind, MOST, bank, ids, named, neighbours, net, phone};

/// Groups that a rule may look at: the longest IBAN in fours has nine.
const WINDOW: usize = 9;
/// Groups that are collected before the first of them are judged.
const RUN: usize = 128;
/// No rule takes fewer: `1.2.3.4`.
const SHORTEST: usize = 4;
/// No rule takes more letters and digits than this: the longest IBAN has 34.
const LONGEST: usize = 34;

/// What stands between a group and the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sep {
    /// Nothing that joins them.
    Start,
    /// One space of any width.
    Space,
    /// A hyphen or a dash.
    Hyphen,
    /// A full stop.
    Dot,
    /// A slash.
    Slash,
    /// A bracket, perhaps with a space, a hyphen or a slash.
    Bracket,
    /// A slash or a hyphen between spaces.
    Wide,
}

/// Letters and digits without anything between.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) sep: Sep,
    pub(super) len: u8,
    pub(super) digits: u8,
    /// No lower-case letters.
    pub(super) upper: bool,
}

impl Group {
    pub(super) fn is_number(&self) -> bool {
        self.digits == self.len
    }
}

/// Some groups in a row, as a rule sees them.
pub(super) struct Candidate<'a> {
    pub(super) text: &'a str,
    pub(super) groups: &'a [Group],
    /// Letters in upper case and digits of all groups.
    pub(super) joined: &'a [u8],
    /// The group before, when the run has one.
    pub(super) before: Option<&'a Group>,
    /// The group after, when the run has one.
    pub(super) after: Option<&'a Group>,
}

impl Candidate<'_> {
    pub(super) fn start(&self) -> usize {
        self.groups[0].start
    }

    pub(super) fn has_shape(&self, shapes: &[&[u8]]) -> bool {
        shapes.iter().any(|shape| shape.iter().eq(self.groups.iter().map(|g| &g.len)))
    }

    pub(super) fn all_digits(&self) -> bool {
        self.groups.iter().all(Group::is_number)
    }

    pub(super) fn upper(&self) -> bool {
        self.groups.iter().all(|g| g.upper)
    }

    /// True when one of the words stands at most so many bytes before.
    pub(super) fn named(&self, reach: usize, words: &[&str]) -> bool {
        named(self.text, self.start(), reach, words)
    }

    /// The separators inside, each as often as it occurs.
    pub(super) fn seps(&self) -> impl Iterator<Item = Sep> + '_ {
        self.groups.iter().skip(1).map(|g| g.sep)
    }

    /// True when nothing is joined to either end that makes it part of a longer number, a version, a path or a formula. A
    /// number after a space is part of it when the space also separates its groups and the two have the same length.
    pub(super) fn stands_alone(&self) -> bool {
        let spaced = self.groups.get(1).is_some_and(|g| g.sep == Sep::Space);
        let joins = |sep: Sep, outside: &Group, inside: &Group| match sep {
            Sep::Dot | Sep::Hyphen | Sep::Slash => true,
            Sep::Space => spaced && outside.is_number() && outside.len == inside.len,
            _ => false,
        };
        let (first, last) = (&self.groups[0], &self.groups[self.groups.len() - 1]);
        let left = self.before.is_some_and(|before| joins(first.sep, before, first));
        let right = self.after.is_some_and(|after| joins(after.sep, after, last));
        !left && !right && !self.is_glued()
    }

    /// True when the characters right before or after belong to the number or to a name: `0,5`, `id_5`, `5%`.
    fn is_glued(&self) -> bool {
        let end = self.groups[self.groups.len() - 1].end;
        let mut before = self.text[..self.start()].chars().rev();
        let mut after = self.text[end..].chars();
        let left = match before.next() {
            Some('.' | ',') => before.next().is_some_and(char::is_numeric),
            Some('-' | '/') => before.next().is_some_and(char::is_alphabetic),
            Some(c) => matches!(c, '_' | '$' | '€' | '£' | '\\' | '~' | '^') || c.is_alphanumeric(),
            None => false,
        };
        let right = match after.next() {
            Some('.' | ',') => after.next().is_some_and(char::is_numeric),
            Some(c) => matches!(c, '_' | '%' | '€' | '$' | '£' | '@') || c.is_alphanumeric(),
            None => false,
        };
        left || right
    }
}

/// What a rule says of a candidate: its name, its kind and whether a check digit proves it.
pub(super) type Match = (Kind, &'static str, bool);

/// Finds every number in a text that a rule knows.
pub(super) fn scan(text: &str) -> Vec<Finding> {
    let mut out = Vec::new();
    let mut run: Vec<Group> = Vec::with_capacity(RUN);
    // Groups at the front of the run that an earlier window has judged; they are only neighbours now.
    let mut judged = 0;
    for group in Groups::new(text) {
        if group.sep == Sep::Start {
            judge(text, &run, judged, run.len(), &mut out);
            run.clear();
            judged = 0;
        }
        run.push(group);
        if run.len() == RUN {
            let upto = judge(text, &run, judged, RUN - WINDOW, &mut out);
            run.drain(..upto - 1);
            judged = 1;
        }
        if out.len() >= MOST {
            return out;
        }
    }
    judge(text, &run, judged, run.len(), &mut out);
    out
}

/// Judges the groups from one place up to another as beginnings of numbers; gives the first that was not judged.
fn judge(text: &str, run: &[Group], from: usize, upto: usize, out: &mut Vec<Finding>) -> usize {
    let mut i = from;
    while i < upto {
        match best(text, run, i) {
            Some((count, (kind, rule, validated))) => {
                let start = if kind == Kind::Phone { widen(text, run[i].start) } else { run[i].start };
                let end = run[i + count - 1].end;
                out.push(Finding { kind, rule, span: start..end, validated });
                i += count;
            }
            None => i += 1,
        }
    }
    i
}

/// The beginning of a telephone number takes its `+` and its bracket along.
fn widen(text: &str, start: usize) -> usize {
    let mut at = start;
    for lead in ['(', '+'] {
        if text[..at].ends_with(lead) {
            at -= 1;
        }
    }
    // A bracket that opens before a number and closes after it is no part of it; only `+` and `(0…)` are.
    if text[at..].starts_with('(') && !text[start..].chars().take(7).any(|c| c == ')') { start } else { at }
}

/// The heaviest and then the longest rule that fits at a group.
fn best(text: &str, run: &[Group], i: usize) -> Option<(usize, Match)> {
    let mut joined = [0; LONGEST];
    let mut len = 0;
    let mut found: Option<(usize, Match)> = None;
    for count in 1..=WINDOW.min(run.len() - i) {
        let group = &run[i + count - 1];
        if len + usize::from(group.len) > LONGEST {
            break;
        }
        for c in text[group.start..group.end].chars().filter_map(fold) {
            joined[len] = c as u8;
            len += 1;
        }
        if len < SHORTEST {
            continue;
        }
        let candidate = Candidate {
            text,
            groups: &run[i..i + count],
            joined: &joined[..len],
            before: i.checked_sub(1).map(|b| &run[b]),
            after: run.get(i + count),
        };
        if let Some(next) = rules(&candidate)
            && found.is_none_or(|(_, (kind, ..))| next.0 <= kind)
        {
            found = Some((count, next));
        }
    }
    found
}

fn rules(candidate: &Candidate) -> Option<Match> {
    bank::judge(candidate)
        .or_else(|| ids::judge(candidate))
        .or_else(|| neighbours::judge(candidate))
        .or_else(|| net::ipv4(candidate))
        .or_else(|| phone::judge(candidate))
}

/// A digit of any script as ASCII, an ASCII letter in upper case, nothing for other characters.
pub(super) fn fold(c: char) -> Option<char> {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric().then(|| c.to_ascii_uppercase());
    }
    let zero = *ZEROS.iter().rev().find(|zero| **zero <= u32::from(c))?;
    char::from_digit(u32::from(c) - zero, 10)
}

/// The zero of each script whose ten digits stand in a row (Unicode 17, general category Nd), as far as they are in daily use.
const ZEROS: &[u32] = &[
    0x0660, 0x06f0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66, 0x0e50, 0x0ed0, 0x1040, 0x17e0,
    0xff10,
];

/// Cuts a text into groups that may be part of a number: those with a digit, and up to six capital letters.
struct Groups<'a> {
    text: &'a str,
    at: usize,
    /// Where the last group ended, when it was one that counts.
    last: Option<usize>,
}

impl<'a> Groups<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, last: None }
    }

    /// The separator between the last group and this place.
    fn sep(&self, start: usize) -> Sep {
        let Some(last) = self.last else { return Sep::Start };
        match &self.text[last..start] {
            " " | "\u{a0}" | "\u{202f}" | "\u{2009}" | "\u{2007}" => Sep::Space,
            "-" | "\u{2010}" | "\u{2011}" | "\u{2012}" | "\u{2013}" => Sep::Hyphen,
            "." | "\u{b7}" => Sep::Dot,
            "/" => Sep::Slash,
            "(" | ")" | " (" | ") " | ")-" | ")/" | "-(" => Sep::Bracket,
            " / " | " - " | " \u{2013} " => Sep::Wide,
            _ => Sep::Start,
        }
    }
}

impl Iterator for Groups<'_> {
    type Item = Group;

    fn next(&mut self) -> Option<Group> {
        let bytes = self.text.as_bytes();
        loop {
            while bytes.get(self.at).is_some_and(|b| b.is_ascii() && !b.is_ascii_alphanumeric()) {
                self.at += 1;
            }
            let start = self.at;
            let group = self.take(start)?;
            let counts = group.len > 0 && (group.digits > 0 || (group.upper && group.len <= 6));
            if counts {
                let sep = self.sep(start);
                self.last = Some(group.end);
                return Some(Group { sep, ..group });
            }
            if self.at > start {
                self.last = self.last.filter(|_| group.len == 0);
            }
        }
    }
}

impl Groups<'_> {
    /// The letters and digits from a place on; `None` at the end of the text. Without any, one other character is passed over.
    fn take(&mut self, start: usize) -> Option<Group> {
        let bytes = self.text.as_bytes();
        let mut group = Group { start, end: start, sep: Sep::Start, len: 0, digits: 0, upper: true };
        if start >= bytes.len() {
            return None;
        }
        while let Some(byte) = bytes.get(self.at) {
            let (width, digit) = if byte.is_ascii_alphanumeric() {
                group.upper &= !byte.is_ascii_lowercase();
                (1, byte.is_ascii_digit())
            } else if byte.is_ascii() {
                break;
            } else {
                let Some(c) = self.text[self.at..].chars().next() else { break };
                if fold(c).is_none() {
                    if c.is_alphabetic() {
                        // A word with other letters is no number.
                        group.upper = false;
                    } else {
                        if group.len == 0 {
                            self.at += c.len_utf8();
                        }
                        break;
                    }
                }
                (c.len_utf8(), !c.is_alphabetic())
            };
            self.at += width;
            group.len = group.len.saturating_add(1);
            group.digits = group.digits.saturating_add(u8::from(digit));
        }
        group.end = self.at;
        Some(group)
    }
}
