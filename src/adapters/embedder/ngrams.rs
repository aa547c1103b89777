//! Words as hashed features: what makes equal and related words meet in every language, known to a table or not.
//!
//! A word is itself and its runs of three to five characters with marks at its ends ("<re", "ref", … "und>"), so that
//! inflected and compound words share most of what they are (fastText's subwords: Bojanowski et al. 2017). Each feature adds
//! or subtracts at one place of the vector, chosen by a fixed hash (Weinberger et al. 2009): there is no table, and dot
//! products are right on average. Words with digits have no runs: 1234 is as far from 1235 as from 9999.

/// Numbers in the hashed part of a vector.
pub(super) const WIDTH: usize = 256;

/// What the whole word counts beside one run of its characters.
const WHOLE: f32 = 3.0;
/// Characters of the shortest and the longest run.
const RUN_MIN: usize = 3;
const RUN_MAX: usize = 5;
/// Words that count less than this have no runs: the few dozen most frequent words of each language ("the", "und"), half of
/// all running text, whose parts mean nothing.
const WEIGHT_MIN: f32 = 0.2;
/// Characters of a word that runs are made of.
const CHARS_MAX: usize = 24;

/// Where FNV-1a begins.
const BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a with the finaliser of MurmurHash3; the same on every machine and in every version.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    finish(fold(BASIS, bytes))
}

fn fold(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |h, byte| (h ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

fn finish(mut h: u64) -> u64 {
    h ^= h >> 33;
    h = h.wrapping_mul(0xff51_afd7_ed55_8ccd);
    h ^ (h >> 33)
}

/// Adds a normalised word of this weight.
pub(super) fn add(word: &[u8], weight: f32, into: &mut [f32; WIDTH]) {
    let whole = hash(word);
    let mut bounded = [b'<'; CHARS_MAX * 4 + 2];
    let mut ends = [0_usize; CHARS_MAX + 3];
    let Some(chars) = bound(word, &mut bounded, &mut ends).filter(|_| weight >= WEIGHT_MIN) else {
        return put(whole, weight, into);
    };
    let runs: usize = (RUN_MIN..=RUN_MAX).map(|n| (chars + 1).saturating_sub(n)).sum();
    let unit = weight / (WHOLE * WHOLE + runs as f32).sqrt();
    put(whole, unit * WHOLE, into);
    for first in 0..chars {
        let mut state = BASIS;
        for (n, end) in (1..=RUN_MAX).zip(&ends[first + 1..=chars]) {
            state = fold(state, &bounded[ends[first + n - 1]..*end]);
            if n >= RUN_MIN {
                put(finish(state), unit, into);
            }
        }
    }
}

/// Writes the word with a mark at each end and where its characters begin and end; the number of characters, marks included.
/// `None` for a word with digits or of marks alone.
fn bound(word: &[u8], bounded: &mut [u8; CHARS_MAX * 4 + 2], ends: &mut [usize; CHARS_MAX + 3]) -> Option<usize> {
    let text = std::str::from_utf8(word).ok()?;
    if text.bytes().any(|b| b.is_ascii_digit()) || !text.starts_with(char::is_alphanumeric) {
        return None;
    }
    let (mut at, mut chars) = (1, 1);
    ends[1] = 1;
    for c in text.chars().take(CHARS_MAX) {
        at += c.encode_utf8(&mut bounded[at..]).len();
        chars += 1;
        ends[chars] = at;
    }
    bounded[at] = b'>';
    ends[chars + 1] = at + 1;
    Some(chars + 1)
}

/// Adds at the place and with the sign that a hash chooses.
fn put(hash: u64, value: f32, into: &mut [f32; WIDTH]) {
    let sign = if hash >> 63 == 0 { value } else { -value };
    into[(hash >> 16) as usize % WIDTH] += sign;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(a: &str, b: &str) -> f32 {
        let [mut x, mut y] = [[0.0; WIDTH]; 2];
        add(a.as_bytes(), 1.0, &mut x);
        add(b.as_bytes(), 1.0, &mut y);
        let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f32>();
        dot(&x, &y) / (dot(&x, &x) * dot(&y, &y)).sqrt()
    }

    /// Reference: FNV-1a of "a" is af63dc4c8601ec8c (its authors' test vectors), before the finaliser.
    #[test]
    fn the_hash_is_fixed() {
        let fnv = 0xaf63_dc4c_8601_ec8c_u64;
        let h = (fnv ^ (fnv >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        assert_eq!(hash(b"a"), h ^ (h >> 33));
    }

    #[test]
    fn related_words_are_near_and_numbers_are_not() {
        assert!(cosine("bestellung", "bestellungen") > 0.6);
        assert!(cosine("lieferung", "lieferungskosten") > 0.3);
        assert!(cosine("bestellung", "apple").abs() < 0.3);
        assert!(cosine("12345", "12346").abs() < 0.3);
        assert!(cosine("12345", "12345") > 0.999);
    }

    #[test]
    fn any_word_has_a_length() {
        for word in ["", "<", "漢", "a", &"é".repeat(400), "...", "\u{301}"] {
            let mut x = [0.0; WIDTH];
            add(word.as_bytes(), 1.0, &mut x);
            assert!(x.iter().map(|v| v * v).sum::<f32>() > 0.2, "{word}");
        }
    }
}
