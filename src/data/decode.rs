//! The characters of a file as UTF-8, whatever its encoding, piece by piece.
//!
//! Order: byte-order mark, UTF-16 without a mark, then ASCII until the first byte beyond it; what follows that decides between
//! UTF-8 and a guess. Bytes that are no UTF-8 in a file that is UTF-8 are passed on: who reads the cells counts them.

use crate::base::encoding::{guess, mostly_utf8, utf16_without_mark};
use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8};
use std::io::{Error, ErrorKind, Read, Result};

/// Bytes that an encoding is decided on.
const WINDOW: usize = 256 << 10;

enum How {
    Fresh,
    Ascii,
    Utf8,
    Other(Box<Other>),
}

/// What is not UTF-8, and its characters that nobody has taken yet.
struct Other {
    decoder: Decoder,
    text: Vec<u8>,
    taken: usize,
    ended: bool,
}

impl Other {
    /// The next characters of `bytes`, of which it tells how many it used; `last` when no others follow.
    fn decode(&mut self, bytes: &[u8], last: bool) -> usize {
        self.text.resize(WINDOW, 0);
        let (result, read, written, _) = self.decoder.decode_to_utf8(bytes, &mut self.text, last);
        self.text.truncate(written);
        self.taken = 0;
        self.ended = last && result == CoderResult::InputEmpty;
        read
    }

    fn take(&mut self, out: &mut [u8]) -> usize {
        let n = out.len().min(self.text.len() - self.taken);
        out[..n].copy_from_slice(&self.text[self.taken..self.taken + n]);
        self.taken += n;
        n
    }
}

/// Reads characters. A row (everything between two calls of [`Self::row_ends`]) is limited in bytes.
pub(super) struct Characters<R> {
    bytes: R,
    window: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
    how: How,
    row: u64,
    row_max: u64,
    /// So far the number of quotes is odd.
    quote_open: bool,
}

impl<R: Read> Characters<R> {
    /// The characters of these bytes, in rows of at most about `row_max` bytes.
    pub(super) fn new(bytes: R, row_max: u64) -> Self {
        Self {
            bytes,
            window: vec![0; WINDOW],
            start: 0,
            end: 0,
            ended: false,
            how: How::Fresh,
            row: 0,
            row_max,
            quote_open: false,
        }
    }

    /// A row has ended.
    pub(super) fn row_ends(&mut self) {
        self.row = 0;
    }

    /// The WHATWG name of the encoding, as far as it was read.
    pub(super) fn encoding(&self) -> &'static str {
        match &self.how {
            How::Other(other) => other.decoder.encoding().name(),
            _ => UTF_8.name(),
        }
    }

    /// True when one of the quotes so far has no other.
    pub(super) fn is_quote_open(&self) -> bool {
        self.quote_open
    }

    /// What was read from.
    pub(super) fn into_bytes(self) -> R {
        self.bytes
    }

    /// Fills the window up behind what is left in it.
    fn fill(&mut self) -> Result<()> {
        self.window.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while !self.ended && self.end < WINDOW {
            match self.bytes.read(&mut self.window[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(n) => self.end += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn as_encoded(encoding: &'static Encoding) -> How {
        if encoding == UTF_8 {
            return How::Utf8;
        }
        let decoder = encoding.new_decoder_without_bom_handling();
        How::Other(Box::new(Other { decoder, text: Vec::new(), taken: 0, ended: false }))
    }

    fn decide(&mut self) -> Result<()> {
        self.fill()?;
        let left = &self.window[self.start..self.end];
        // A character may be cut by the end of the window.
        let broken = std::str::from_utf8(left).is_err_and(|e| e.error_len().is_some() || self.ended);
        self.how = if !broken || mostly_utf8(left) { How::Utf8 } else { Self::as_encoded(guess(left)) };
        Ok(())
    }

    fn copy(&mut self, most: usize, out: &mut [u8]) -> usize {
        let n = most.min(out.len());
        out[..n].copy_from_slice(&self.window[self.start..self.start + n]);
        self.start += n;
        n
    }

    fn next(&mut self, out: &mut [u8]) -> Result<usize> {
        loop {
            if self.start == self.end {
                self.fill()?;
            }
            let left = &self.window[self.start..self.end];
            match &mut self.how {
                How::Fresh => {
                    let marked = Encoding::for_bom(left);
                    self.how = match marked {
                        Some((encoding, _)) => Self::as_encoded(encoding),
                        None => utf16_without_mark(left).map_or(How::Ascii, Self::as_encoded),
                    };
                    self.start += marked.map_or(0, |(_, mark)| mark);
                }
                How::Other(other) => match other.take(out) {
                    0 if other.ended || out.is_empty() => return Ok(0),
                    0 => {
                        let used = other.decode(left, self.ended);
                        self.start += used;
                        // Half a character is left: the other half is still to be read.
                        if used == 0 && !self.ended {
                            self.fill()?;
                        }
                    }
                    n => return Ok(n),
                },
                _ if left.is_empty() => return Ok(0),
                How::Utf8 => return Ok(self.copy(self.end - self.start, out)),
                How::Ascii => match left.iter().position(|b| !b.is_ascii()).unwrap_or(left.len()) {
                    0 => self.decide()?,
                    ascii => return Ok(self.copy(ascii, out)),
                },
            }
        }
    }
}

impl<R: Read> Read for Characters<R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        let n = self.next(out)?;
        self.row += n as u64;
        self.quote_open ^= memchr::memchr_iter(b'"', &out[..n]).count() % 2 == 1;
        if self.row > self.row_max {
            let words = format!("a row has more than {} MiB: perhaps a quote is never closed", self.row_max >> 20);
            return Err(Error::other(words));
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use encoding_rs::WINDOWS_1252;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> (String, &'static str) {
        let mut characters = Characters::new(bytes, u64::MAX);
        let mut out = Vec::new();
        characters.read_to_end(&mut out).unwrap();
        (String::from_utf8_lossy(&out).into_owned(), characters.encoding())
    }

    const TEXT: &str = "Größe;Straße\n1,5;Königsallee\n2,5;Mühlenweg für Fußgänger\n";

    #[test]
    fn every_encoding_reads_alike() {
        let utf16 = |little: bool, mark: bool| -> Vec<u8> {
            let text = if mark { format!("\u{feff}{TEXT}") } else { TEXT.to_owned() };
            text.encode_utf16().flat_map(|u| if little { u.to_le_bytes() } else { u.to_be_bytes() }).collect()
        };
        let late = [vec![b'x'; 2 * WINDOW], TEXT.as_bytes().to_vec()].concat();
        for (bytes, encoding) in [
            (TEXT.as_bytes().to_vec(), "UTF-8"),
            (format!("\u{feff}{TEXT}").into_bytes(), "UTF-8"),
            (utf16(true, true), "UTF-16LE"),
            (utf16(false, true), "UTF-16BE"),
            (utf16(true, false), "UTF-16LE"),
            (WINDOWS_1252.encode(TEXT).0.into_owned(), "windows-1252"),
        ] {
            assert_eq!(read(&bytes), (TEXT.to_owned(), encoding));
        }
        assert_eq!(read(&late).1, "UTF-8");
        let late = [vec![b'x'; 2 * WINDOW], WINDOWS_1252.encode(TEXT).0.into_owned()].concat();
        assert!(read(&late).0.ends_with(TEXT));
    }

    #[test]
    fn a_row_is_limited() {
        let mut characters = Characters::new(&b"0123456789"[..], 5);
        let mut out = [0; 4];
        assert_eq!(characters.read(&mut out).unwrap(), 4);
        characters.row_ends();
        assert_eq!(characters.read(&mut out).unwrap(), 4);
        assert!(characters.read(&mut out).is_err());
    }

    proptest! {
        #[test]
        fn utf8_is_never_changed(text in "\\PC{1,300}", lead in WINDOW - 20..WINDOW + 5) {
            prop_assume!(!text.starts_with('\u{feff}'));
            let all = format!("{}{text}", "x".repeat(lead));
            prop_assert_eq!(read(all.as_bytes()).0, all);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            read(&bytes);
        }
    }
}
