//! Damaged characters: bytes that were no character, and text that was decoded twice.
//!
//! Two shares, because they mean different things. Bytes that could not be decoded are lost. Mojibake (`Ã©` for `é`, what
//! UTF-8 looks like when it is read as Windows-1252) and private characters (a PDF font without a mapping) are still there,
//! but neither a search nor a model will understand them.

use crate::domain::ingest::document::Document;

/// What is damaged in a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Characters that are not white space.
    pub characters: usize,
    /// Bytes that were no character, or replacement characters that the source itself brought.
    pub lost: usize,
    /// Characters of mojibake and of private use.
    pub garbled: usize,
}

impl Damage {
    /// The share of lost characters, 0 to 1.
    pub fn lost_share(&self) -> f64 {
        share(self.lost, self.characters)
    }

    /// The share of garbled characters, 0 to 1.
    pub fn garbled_share(&self) -> f64 {
        share(self.garbled, self.characters)
    }
}

fn share(part: usize, all: usize) -> f64 {
    if all == 0 { 0.0 } else { (part as f64 / all as f64).min(1.0) }
}

/// Counts the characters of a document and what is damaged among them.
pub fn measure(doc: &Document) -> Damage {
    let mut damage = Damage::default();
    let mut replaced = 0;
    let mut lead = None;
    for c in doc.text.chars() {
        if c.is_ascii() {
            damage.characters += usize::from(!c.is_ascii_whitespace());
            lead = None;
            continue;
        }
        damage.characters += usize::from(!c.is_whitespace());
        replaced += usize::from(c == '\u{fffd}');
        damage.garbled += usize::from(is_private(c));
        if lead.is_some_and(|first| is_mojibake(first, c)) {
            damage.garbled += 2;
            lead = None;
        } else {
            lead = Some(c);
        }
    }
    damage.lost = doc.undecodable.max(replaced);
    damage
}

fn is_private(c: char) -> bool {
    matches!(u32::from(c), 0xe000..=0xf8ff | 0xf_0000..=0x10_fffd)
}

/// True when two characters are the first bytes of a UTF-8 sequence read as Windows-1252 or Latin-1: a lead byte for Latin,
/// Greek or Cyrillic letters or for typographic marks, then a byte from 80 to BF. A letter with an accent before a quotation
/// mark is no mojibake, so after `â` only what begins a mark of U+2000 to U+20FF counts.
fn is_mojibake(first: char, second: char) -> bool {
    match first {
        'Ã' | 'Å' | 'Ä' | 'Ð' | 'Ñ' | 'Â' => {
            continuation(second) && !matches!(second, '»' | '“' | '”' | '’' | '–' | '…' | '\u{a0}')
        }
        'â' => matches!(second, '€' | '\u{80}'),
        'ï' => matches!(second, '»'),
        _ => false,
    }
}

/// A byte from 80 to BF as Windows-1252 or Latin-1 shows it.
fn continuation(c: char) -> bool {
    matches!(c, '\u{80}'..='\u{bf}') || "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(text: &str) -> Damage {
        measure(&Document { text: text.to_owned(), ..Document::default() })
    }

    #[test]
    fn what_was_decoded_twice_is_seen() {
        let twice = |text: &str| text.bytes().map(char::from).collect::<String>();
        for (text, pairs) in [("un thé fêté où", 4), ("größer über", 3), ("señor años", 2), ("l’œuvre", 2)] {
            assert_eq!(measured(&twice(text)).garbled, 2 * pairs, "{text}");
            assert_eq!(measured(text).garbled, 0, "{text}");
        }
        assert_eq!(measured("CafÃ© â€œouvertâ€").garbled, 6);
    }

    #[test]
    fn ordinary_accents_are_whole() {
        for text in ["« Voilà », dit-il", "Âge, ÂME", "ESPAÑA – AÑO", "„Ärger“", "À côté… Ñ", "naïve »", "Ãé is no word"]
        {
            assert_eq!(measured(text).garbled, 0, "{text}");
        }
    }

    #[test]
    fn lost_bytes_are_counted_once() {
        let doc = Document { text: "a\u{fffd}b \u{fffd}".into(), undecodable: 2, ..Document::default() };
        assert_eq!(measure(&doc), Damage { characters: 4, lost: 2, garbled: 0 });
        assert_eq!(measure(&doc).lost_share(), 0.5);
        assert_eq!(measured("a\u{fffd}").lost, 1);
        assert_eq!(measured("").lost_share(), 0.0);
        assert_eq!(measured("\u{e001}\u{f0000}x").garbled, 2);
    }
}
