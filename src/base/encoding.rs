//! Which encoding a text is in, from its bytes alone.
//!
//! A guess by frequencies is that of chardetng 1.0, as browsers make it; it never answers UTF-16, which is known by its NULs.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, ISO_2022_JP, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// The part of a text that a guess is made on, in bytes.
const GUESSED_ON: usize = 1 << 18;

/// Text in Latin letters has a NUL in nearly every second byte of UTF-16; the side tells the order.
pub fn utf16_without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let sample = &bytes[..bytes.len().min(1 << 16) & !1];
    if sample.len() < 4 {
        return None;
    }
    let pairs = sample.len() / 2;
    let even = sample.iter().step_by(2).filter(|b| **b == 0).count();
    let odd = sample.iter().skip(1).step_by(2).filter(|b| **b == 0).count();
    let (encoding, many, few) = if odd > even { (UTF_16LE, odd, even) } else { (UTF_16BE, even, odd) };
    if many * 10 < pairs * 4 || few * 100 > pairs {
        return None;
    }
    // A program also has NULs; in text every unit is a character and hardly one is a control.
    let (text, bad) = encoding.decode_without_bom_handling(sample);
    let controls = text.chars().filter(|c| c.is_control() && !c.is_whitespace()).count();
    (controls * 100 <= pairs && (!bad || text.matches('\u{fffd}').count() * 200 <= pairs)).then_some(encoding)
}

/// UTF-8 with a few broken bytes is still UTF-8: far more sequences are whole than are broken.
pub fn mostly_utf8(bytes: &[u8]) -> bool {
    let (mut whole, mut broken) = (0_usize, 0_usize);
    for chunk in bytes.utf8_chunks() {
        whole += chunk.valid().bytes().filter(|b| *b >= 0xC0).count();
        broken += usize::from(!chunk.invalid().is_empty());
    }
    whole > broken * 4
}

/// A guess by the frequencies of letters.
pub fn guess(bytes: &[u8]) -> &'static Encoding {
    let sample = informative(bytes);
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(sample, sample.len() == bytes.len());
    let guessed = detector.guess(None, Utf8Detection::Deny);
    if guessed == ISO_2022_JP { WINDOWS_1252 } else { guessed }
}

/// The stretch from the first byte beyond ASCII.
fn informative(bytes: &[u8]) -> &[u8] {
    let from = bytes.iter().position(|b| *b >= 0x80).unwrap_or(0).saturating_sub(64);
    &bytes[from..bytes.len().min(from + GUESSED_ON)]
}
