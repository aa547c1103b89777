//! From bytes to characters: which encoding a text is in, and its characters.
//!
//! Order: byte-order mark, UTF-16 without a mark (by the parity of NUL bytes), the declaration in the text itself, strict
//! UTF-8, a guess by chardetng 1.0 (which never answers UTF-16). A declaration gives way to valid UTF-8 with several
//! characters beyond ASCII, because by chance other encodings hardly ever look like that. Bytes that are no character
//! become U+FFFD and are counted.

use crate::base::encoding::{guess, mostly_utf8, utf16_without_mark};
use crate::domain::ingest::reason::{Refusal, Refused};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use std::borrow::Cow;

/// The part of a text that is searched for a declaration, in bytes (the HTML standard asks for 1,024).
const DECLARED_IN: usize = 2_048;
/// Of a hundred characters, how many may be undecodable before the text counts as being in no known encoding.
const BAD_PERCENT: usize = 20;

/// A decoded text.
#[derive(Debug)]
pub(super) struct Decoded<'a> {
    /// Its characters, without a byte-order mark.
    pub(super) text: Cow<'a, str>,
    /// The WHATWG name of its encoding.
    pub(super) encoding: &'static str,
    /// Bytes that were no character.
    pub(super) undecodable: usize,
}

/// The characters of a text.
///
/// # Errors
/// `BadEncoding` when more than a fifth are no characters in the encoding found.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded<'_>, Refused> {
    let decoded = decode_any(bytes);
    if decoded.undecodable > 8 && decoded.undecodable * 100 > decoded.text.chars().count() * BAD_PERCENT {
        let detail = format!("{} bytes are no characters in {}", decoded.undecodable, decoded.encoding);
        return Err(Refused::new(Refusal::BadEncoding, detail));
    }
    Ok(decoded)
}

fn decode_any(bytes: &[u8]) -> Decoded<'_> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return decode_as(&bytes[mark..], encoding);
    }
    if let Some(encoding) = utf16_without_mark(bytes) {
        return decode_as(bytes, encoding);
    }
    let utf8 = std::str::from_utf8(bytes);
    if let Some(encoding) = declared(bytes).filter(|e| *e != UTF_8) {
        let plainly_utf8 = utf8.is_ok_and(|text| text.bytes().filter(|b| *b >= 0xC0).take(4).count() > 3);
        if !plainly_utf8 {
            return decode_as(bytes, encoding);
        }
    }
    match utf8 {
        Ok(text) => Decoded { text: text.into(), encoding: UTF_8.name(), undecodable: 0 },
        Err(_) if mostly_utf8(bytes) => decode_as(bytes, UTF_8),
        Err(_) => decode_as(bytes, guess(bytes)),
    }
}

/// Decodes with one encoding, counting what is no character in it.
fn decode_as<'a>(bytes: &'a [u8], encoding: &'static Encoding) -> Decoded<'a> {
    let (text, bad) = encoding.decode_without_bom_handling(bytes);
    if !bad && !encoding.is_single_byte() {
        return Decoded { text, encoding: encoding.name(), undecodable: 0 };
    }
    // A single-byte encoding leaves its holes as C1 controls, which no text uses.
    let holes = encoding.is_single_byte() && text.chars().any(is_c1);
    let text: Cow<'a, str> = match holes {
        true => text.chars().map(|c| if is_c1(c) { '\u{fffd}' } else { c }).collect::<String>().into(),
        false => text,
    };
    let undecodable = if bad || holes { text.matches('\u{fffd}').count() } else { 0 };
    Decoded { text, encoding: encoding.name(), undecodable }
}

fn is_c1(c: char) -> bool {
    matches!(c, '\u{80}'..='\u{84}' | '\u{86}'..='\u{9f}')
}

/// The encoding that the text says it is in: an XML declaration or a `meta` element.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes[..bytes.len().min(DECLARED_IN)].to_ascii_lowercase();
    let text = String::from_utf8_lossy(&head);
    let start = text.trim_start();
    if !start.starts_with('<') {
        return None;
    }
    let label = if start.starts_with("<?xml") {
        start.split_once("?>").and_then(|(declaration, _)| value_after(declaration, "encoding"))
    } else {
        None
    };
    let label = label.or_else(|| text.split("<meta").skip(1).find_map(|tag| value_after(tag.split('>').next()?, "charset")));
    let encoding = Encoding::for_label(label?.as_bytes())?;
    // Whoever can be read as ASCII so far is not in UTF-16, whatever it says.
    Some(if [UTF_16LE, UTF_16BE].contains(&encoding) { UTF_8 } else { encoding })
}

/// The value in `key = "value"`, with or without quotes.
fn value_after<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let rest = &text[text.find(key)? + key.len()..];
    let rest = rest.trim_start().strip_prefix('=')?.trim_start().trim_start_matches(['"', '\'']);
    rest.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | '>' | '/' | '?')).next().filter(|v| !v.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use encoding_rs::WINDOWS_1252;

    fn check(bytes: &[u8], encoding: &str, text: &str, undecodable: usize) {
        let made = decode(bytes).unwrap();
        assert_eq!((made.encoding, &*made.text, made.undecodable), (encoding, text, undecodable));
    }

    const GERMAN: &str = "Die Prüfung der Übergröße kostet fünf Euro und dauert länger als üblich.";

    fn utf16(text: &str, little: bool) -> Vec<u8> {
        text.encode_utf16().flat_map(|u| if little { u.to_le_bytes() } else { u.to_be_bytes() }).collect()
    }

    #[test]
    fn marks_and_declarations_are_followed() {
        check(b"\xEF\xBB\xBFa\xC3\xA9", "UTF-8", "aé", 0);
        check(&[&[0xFF, 0xFE][..], &utf16(GERMAN, true)].concat(), "UTF-16LE", GERMAN, 0);
        check(&[&[0xFE, 0xFF][..], &utf16(GERMAN, false)].concat(), "UTF-16BE", GERMAN, 0);
        check(b"<meta charset=iso-8859-5>\xB0", "ISO-8859-5", "<meta charset=iso-8859-5>А", 0);
        check(b"<?xml version='1.0' encoding='koi8-r'?>\xC1", "KOI8-R", "<?xml version='1.0' encoding='koi8-r'?>а", 0);
    }

    #[test]
    fn encodings_are_found_without_a_mark() {
        check(&utf16(GERMAN, true), "UTF-16LE", GERMAN, 0);
        check(&utf16(GERMAN, false), "UTF-16BE", GERMAN, 0);
        check(&WINDOWS_1252.encode(GERMAN).0, "windows-1252", GERMAN, 0);
        let quoted = "L’été où “tout” coûtait 5 € à l’hôtel… c’était déjà très cher.";
        check(&WINDOWS_1252.encode(quoted).0, "windows-1252", quoted, 0);
        let spanish = "El niño comió piñones en la montaña. ¿Qué más quería? ¡Nada más!";
        check(&WINDOWS_1252.encode(spanish).0, "windows-1252", spanish, 0);
    }

    #[test]
    fn a_false_declaration_gives_way_to_plain_utf8() {
        let page = "<meta charset=\"iso-8859-1\">äöüß";
        check(page.as_bytes(), "UTF-8", page, 0);
    }

    #[test]
    fn broken_bytes_are_counted() {
        check(b"\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9F\xC3\xA9\xC3\xA8 \xFF.", "UTF-8", "äöüßéè \u{fffd}.", 1);
        let noise: Vec<u8> = (0..400_u32).flat_map(|i| [0xEF, 0xBB, 0xBF, 0xFF, 0xFE][i as usize % 5..].to_vec()).collect();
        let marked = [&b"\xEF\xBB\xBF"[..], &noise].concat();
        assert_eq!(decode(&marked).unwrap_err().reason, Refusal::BadEncoding);
    }
}
