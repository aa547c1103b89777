//! Taking secrets out of what a service says, however it writes them.
//!
//! A service may repeat a key as it is, percent-encoded, as JSON writes it, in hexadecimal, in base64 (also within a longer text such
//! as `Bearer KEY`), or one in the other, and may cut it. So runs are looked for: of a key every [`RUN`] characters in a row, of what is
//! shorter, or may be words, the whole. The windows that such a run has in an encoding are found by a rolling hash, so the time is linear
//! in the length of a text. What holds no run stays as it is, byte by byte.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use memchr::memchr2;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

/// Characters of a key in a row that nobody may read.
const RUN: usize = 12;
/// The shortest key of which runs are looked for.
const KEY_MIN: usize = 20;
/// Characters of base64 that a run decides alone, wherever it stands.
const RUN_BASE64: usize = 15;
/// How many of the characters of a run may be of a beginning that all keys of a maker have.
const KNOWN_MAX: usize = 4;
/// How often what is encoded may be encoded once more.
const NESTED: usize = 3;
/// What takes the place of a secret.
const GONE: &str = "***";

/// What keys of makers begin with, the longer ones first. Everybody may read that.
const BEGINNINGS: [&str; 14] = [
    "sk-ant-admin01-",
    "sk-ant-api03-",
    "github_pat_",
    "sk-svcacct-",
    "sk-or-v1-",
    "sk-admin-",
    "sk-live-",
    "sk_live_",
    "sk_test_",
    "sk-proj-",
    "sk-ant-",
    "glpat-",
    "whsec_",
    "xoxb-",
];

/// A secret, and whether parts of it are secret too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hidden {
    text: String,
    /// What comes before this is known to everybody; `None` when only the whole is looked for.
    from: Option<usize>,
}

impl Hidden {
    /// What is secret as a whole.
    pub(super) fn whole(text: impl Into<String>) -> Self {
        Self { text: text.into(), from: None }
    }

    /// What is a key: so is each run of it, when it is long enough.
    pub(super) fn key(text: impl Into<String>) -> Self {
        let text: String = text.into();
        let from = known(&text).saturating_sub(KNOWN_MAX);
        let long = text.is_ascii() && text.len() >= KEY_MIN && text.len() - from >= RUN;
        Self { from: long.then_some(from), text }
    }

    /// Takes it as a whole unless it has the digits of a key: of words no run is secret.
    pub(super) fn unless_words(self) -> Self {
        let digits = self.text.bytes().filter(u8::is_ascii_digit).count();
        Self { from: self.from.filter(|_| digits >= 3), ..self }
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }
}

/// How much of the beginning of a key everybody knows: the mark of its maker, or the header of a JSON Web Token.
fn known(key: &str) -> usize {
    let token = key.strip_prefix("eyJ").and_then(|rest| rest.find('.')).map(|dot| "eyJ".len() + dot + 1);
    token.or_else(|| BEGINNINGS.iter().find(|b| key.starts_with(**b)).map(|b| b.len())).unwrap_or(0)
}

/// In which respect bytes are taken to be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fold {
    /// In none.
    Plain,
    /// Digits of either case.
    Hex,
    /// Either alphabet of base64.
    Base64,
}

impl Fold {
    fn of(self, bytes: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Self::Plain => Cow::Borrowed(bytes),
            Self::Hex => Cow::Owned(bytes.to_ascii_lowercase()),
            Self::Base64 => Cow::Owned(
                bytes
                    .iter()
                    .map(|b| match b {
                        b'-' => b'+',
                        b'_' => b'/',
                        other => *other,
                    })
                    .collect(),
            ),
        }
    }
}

/// Takes certain secrets out of texts.
#[derive(Debug, Default)]
pub(super) struct Redactor(Vec<Windows>);

impl Redactor {
    /// Takes out these.
    pub(super) fn of(secrets: &[Hidden]) -> Self {
        let mut found: BTreeMap<(Fold, usize), HashSet<Vec<u8>>> = BTreeMap::new();
        let mut add = |fold: Fold, width: usize, text: &[u8]| {
            let windows = text.windows(width.max(1)).map(<[u8]>::to_vec);
            found.entry((fold, width)).or_default().extend(windows);
        };
        for secret in secrets.iter().filter(|s| !s.text.is_empty()) {
            let all = secret.text.as_bytes();
            let core = &all[secret.from.unwrap_or(0)..];
            let run = secret.from.map(|_| RUN);
            add(Fold::Plain, all.len(), all);
            run.iter().for_each(|run| add(Fold::Plain, *run, core));
            let hex: String = core.iter().map(|b| format!("{b:02x}")).collect();
            add(Fold::Hex, run.map_or(hex.len(), |run| 2 * run), hex.as_bytes());
            for before in 0..3 {
                let written = decided(core, before);
                add(Fold::Base64, run.map_or(written.len(), |_| RUN_BASE64), Fold::Base64.of(written.as_bytes()).as_ref());
            }
        }
        Self(
            found
                .into_iter()
                .filter(|((_, width), _)| *width > 0)
                .map(|((fold, width), all)| Windows::new(fold, width, all))
                .collect(),
        )
    }

    /// The text without the secrets.
    pub(super) fn text(&self, text: &str) -> String {
        let mut marks = Vec::new();
        let mut view = View { bytes: Cow::Borrowed(text.as_bytes()), at: None };
        for _ in 0..=NESTED {
            self.mark(&view, &mut marks);
            match view.decoded() {
                Some(next) => view = next,
                None => break,
            }
        }
        cut(text, marks)
    }

    fn mark(&self, view: &View<'_>, marks: &mut Vec<Range<usize>>) {
        let mut folded: Option<(Fold, Cow<'_, [u8]>)> = None;
        for windows in self.0.iter().filter(|w| w.width <= view.bytes.len()) {
            if folded.as_ref().is_none_or(|(fold, _)| *fold != windows.fold) {
                folded = Some((windows.fold, windows.fold.of(&view.bytes)));
            }
            if let Some((_, bytes)) = &folded {
                windows.find(bytes, &mut |found| push(marks, view.raw(&found)));
            }
        }
    }
}

/// The characters of base64 that a text decides alone when so many bytes come before it in its group of three.
fn decided(core: &[u8], before: usize) -> String {
    let padded: Vec<u8> = std::iter::repeat_n(0, before).chain(core.iter().copied()).collect();
    let written = STANDARD_NO_PAD.encode(&padded);
    let (from, to) = ((8 * before).div_ceil(6), 8 * padded.len() / 6);
    written.get(from..to).unwrap_or_default().to_owned()
}

/// Adds a stretch, to the last one where they touch.
fn push(marks: &mut Vec<Range<usize>>, new: Range<usize>) {
    match marks.last_mut() {
        Some(last) if last.start <= new.start && new.start <= last.end => last.end = last.end.max(new.end),
        _ => marks.push(new),
    }
}

/// The text with something else in the place of these stretches.
fn cut(text: &str, mut marks: Vec<Range<usize>>) -> String {
    if marks.is_empty() {
        return text.to_owned();
    }
    marks.sort_by_key(|m| m.start);
    let mut merged = Vec::new();
    marks.into_iter().for_each(|mark| push(&mut merged, mark));
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for Range { mut start, mut end } in merged {
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        while !text.is_char_boundary(end) {
            end += 1;
        }
        out.push_str(text.get(at..start).unwrap_or_default());
        out.push_str(GONE);
        at = end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// A text as it is, or with its escapes read.
struct View<'t> {
    bytes: Cow<'t, [u8]>,
    /// Where each byte stands in the text as it is, and where that ends; `None` when it is that text.
    at: Option<Vec<usize>>,
}

impl View<'_> {
    fn place(&self, i: usize) -> usize {
        self.at.as_ref().map_or(i, |at| at[i])
    }

    /// Where something of this view stands in the text as it is.
    fn raw(&self, found: &Range<usize>) -> Range<usize> {
        self.place(found.start)..self.place(found.end)
    }

    /// The same with `%41` and the escapes of JSON read once; `None` when there are none.
    fn decoded(&self) -> Option<Self> {
        let first = memchr2(b'%', b'\\', &self.bytes)?;
        let (mut bytes, mut at) = (Vec::with_capacity(self.bytes.len()), Vec::with_capacity(self.bytes.len() + 1));
        bytes.extend_from_slice(&self.bytes[..first]);
        at.extend((0..first).map(|i| self.place(i)));
        let (mut i, mut any) = (first, false);
        while let Some(byte) = self.bytes.get(i) {
            let before = bytes.len();
            let taken = match escape(&self.bytes[i..], &mut bytes) {
                0 => {
                    bytes.push(*byte);
                    1
                }
                taken => {
                    any = true;
                    taken
                }
            };
            at.extend(std::iter::repeat_n(self.place(i), bytes.len() - before));
            i += taken;
        }
        at.push(self.place(self.bytes.len()));
        any.then_some(Self { bytes: Cow::Owned(bytes), at: Some(at) })
    }
}

/// Reads the escape that a text begins with; gives how long it is, 0 when there is none.
fn escape(text: &[u8], into: &mut Vec<u8>) -> usize {
    let hex = |from: usize, to: usize| {
        let digits = text.get(from..to).filter(|d| d.iter().all(u8::is_ascii_hexdigit))?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let (taken, read) = match (text.first(), text.get(1)) {
        (Some(b'%'), _) => match hex(1, 3).and_then(|b| u8::try_from(b).ok()) {
            Some(byte) => {
                into.push(byte);
                return 3;
            }
            None => return 0,
        },
        (Some(b'\\'), Some(b'u')) => match hex(2, 6) {
            Some(high @ 0xD800..0xDC00) if text.get(6..8) == Some(b"\\u") => match hex(8, 12) {
                Some(low @ 0xDC00..0xE000) => (12, char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))),
                _ => return 0,
            },
            unit => (6, unit.and_then(char::from_u32)),
        },
        (Some(b'\\'), Some(mark)) => {
            let read = match mark {
                b'"' | b'\\' | b'/' => char::from(*mark),
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                _ => return 0,
            };
            (2, Some(read))
        }
        _ => return 0,
    };
    let Some(read) = read else { return 0 };
    into.extend_from_slice(read.encode_utf8(&mut [0; 4]).as_bytes());
    taken
}

/// Windows of one width, to be found in texts.
#[derive(Debug)]
struct Windows {
    fold: Fold,
    width: usize,
    all: HashSet<Vec<u8>>,
    /// A bit for each hash that a window has, so that nearly all of a text is passed over without a look at `all`.
    seen: Vec<u64>,
    /// What the byte that leaves a window counts in its hash.
    weight: u64,
}

/// What a byte counts more than the one after it: any odd number with well mixed bits.
const BASE: u64 = 0x9E37_79B9_7F4A_7C15;
/// Bits of a hash that tell windows apart.
const BITS: u32 = 14;

impl Windows {
    fn new(fold: Fold, width: usize, all: HashSet<Vec<u8>>) -> Self {
        let mut seen = vec![0; 1 << (BITS - 6)];
        for window in &all {
            let (word, bit) = place(window.iter().fold(0, |hash, byte| next(hash, *byte)));
            seen[word] |= bit;
        }
        let weight = (1..width).fold(1, |weight: u64, _| weight.wrapping_mul(BASE));
        Self { fold, width, all, seen, weight }
    }

    /// Calls `found` with every window in these bytes, from first to last; of base64 with the characters that it has a part in.
    fn find(&self, bytes: &[u8], found: &mut dyn FnMut(Range<usize>)) {
        let Some(first) = bytes.get(..self.width) else { return };
        let mut hash = first.iter().fold(0, |hash, byte| next(hash, *byte));
        let mut start = 0;
        loop {
            let (word, bit) = place(hash);
            let end = start + self.width;
            if self.seen[word] & bit != 0 && self.all.contains(&bytes[start..end]) {
                found(self.whole(bytes, start..end));
            }
            let Some(new) = bytes.get(end) else { return };
            let old = self.weight.wrapping_mul(u64::from(bytes[start]) + 1);
            hash = next(hash.wrapping_sub(old), *new);
            start += 1;
        }
    }

    fn whole(&self, bytes: &[u8], found: Range<usize>) -> Range<usize> {
        if self.fold != Fold::Base64 {
            return found;
        }
        let is_part = |i: usize| bytes.get(i).is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'));
        // The letter of an escape, as in `\n`, is none of it.
        let is_escape = |i: usize| i > 0 && bytes[i - 1] == b'\\';
        let before = found.start.checked_sub(1).filter(|i| is_part(*i) && !is_escape(*i));
        before.unwrap_or(found.start)..found.end + usize::from(is_part(found.end))
    }
}

fn next(hash: u64, byte: u8) -> u64 {
    hash.wrapping_mul(BASE).wrapping_add(u64::from(byte) + 1)
}

/// Where the bit of a hash is.
fn place(hash: u64) -> (usize, u64) {
    let top = (hash ^ (hash >> 29)).wrapping_mul(BASE) >> (64 - BITS);
    (usize::try_from(top >> 6).unwrap_or(0), 1 << (top & 63))
}

#[cfg(test)]
mod tests;
