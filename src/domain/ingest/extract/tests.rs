//! What every format has in common: hostile files, formats found by content, and rules that no mutation may break.

use super::*;
use crate::domain::ingest::document::BlockKind;

/// Extracts with the usual limits; whatever comes out keeps the rules of canonical text.
pub(super) fn read(name: &str, bytes: &[u8]) -> Result<Extracted, Refused> {
    let made = extract(bytes, name, &Limits::new(&|| false));
    if let Ok(made) = &made {
        assert_eq!(made.document.fault(), None, "{name}");
    }
    made
}

/// The blocks of a document in short: `# heading`, `- item`, `| row`, `|# header row`, and code after three ticks.
pub(super) fn show(document: &Document) -> String {
    let blocks = document.blocks.iter().map(|block| {
        let text = document.slice(block);
        match block.kind {
            BlockKind::Heading(level) => format!("{} {text}", "#".repeat(level.into())),
            BlockKind::Paragraph => text.to_owned(),
            BlockKind::ListItem => format!("- {text}"),
            BlockKind::TableRow(true) => format!("|# {text}"),
            BlockKind::TableRow(false) if text.starts_with('|') => text.to_owned(),
            BlockKind::TableRow(false) => format!("| {text}"),
            BlockKind::Code => format!("``` {text}"),
        }
    });
    blocks.collect::<Vec<_>>().join("\n")
}

/// The blocks that a text file of this name has.
pub(super) fn check(name: &str, text: &str, expected: &str) {
    assert_eq!(show(&read(name, text.as_bytes()).unwrap().document), expected);
}

fn reason(name: &str, bytes: &[u8]) -> Refusal {
    read(name, bytes).unwrap_err().reason
}

#[test]
fn nothing_is_empty() {
    assert_eq!(reason("a.txt", b""), Refusal::Empty);
    assert_eq!(reason("a.txt", b" \n\t\r\n"), Refusal::Empty);
    assert_eq!(reason("a.html", b"<html><script>x()</script></html>"), Refusal::Empty);
    assert_eq!(reason("a.docx", &samples::docx("")), Refusal::Empty);
}

#[test]
fn what_is_no_text_is_unsupported() {
    let elf = [&b"\x7fELF\x02\x01\x01\0"[..], &[0; 64], b"plain words in it"].concat();
    assert_eq!(reason("a.txt", &elf), Refusal::Unsupported);
    assert_eq!(reason("a.txt", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), Refusal::Unsupported);
    assert_eq!(reason("a.md", b"\x1f\x8b\x08\0\0\0\0\0\0\x03abc"), Refusal::Unsupported);
    let noise: Vec<u8> = (0..4_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    assert_eq!(reason("a.txt", &noise), Refusal::Unsupported);
    assert_eq!(reason("a.zip", &samples::zipped(&[("a.txt", "words")])), Refusal::Unsupported);
    assert_eq!(reason("a.rtf", b"{\\rtf1 words}"), Refusal::Unsupported);
    check("a.txt", "MZ is the beginning of this text", "MZ is the beginning of this text");
}

#[test]
fn content_wins_over_the_name() {
    let check = |name: &str, bytes: &[u8], format: Format, warned: bool| {
        let made = read(name, bytes).unwrap();
        assert_eq!(made.format, format, "{name}");
        assert_eq!(made.document.warnings.iter().any(|w| w.starts_with("named like")), warned, "{name}");
    };
    check("a.txt", b"<!DOCTYPE html><p>words", Format::Html, true);
    check("a.pdf", b"words of a text", Format::Text, true);
    check("a.xlsx", &samples::docx("<w:p><w:r><w:t>x</w:t></w:r></w:p>"), Format::Docx, true);
    check("a.doc", &samples::docx("<w:p><w:r><w:t>x</w:t></w:r></w:p>"), Format::Docx, false);
    check("a.md", b"words alone", Format::Markdown, false);
    check("a.html", b"{\"a\": 1}", Format::Json, true);
    check("noname", b"Subject: x\nFrom: a@b.c\nTo: b@c.d\n\nwords", Format::Eml, false);
    check("a.txt", b"Note: this is\nno: mail\n\nwords", Format::Text, false);
}

#[test]
fn encodings_reach_the_document() {
    let text = "Größe und Übermaß";
    let latin: Vec<u8> = text.chars().map(|c| c as u8).collect();
    let made = read("a.txt", &latin).unwrap();
    assert_eq!((made.document.text.as_str(), made.encoding), (text, Some("windows-1252")));
    let page = [&b"<meta charset=iso-8859-1><p>"[..], &latin].concat();
    assert_eq!(read("a.html", &page).unwrap().document.text, text);
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(read("a.txt", &wide).unwrap().document.text, text);
}

#[test]
fn limits_hold() {
    let late = || true;
    let limits = Limits::new(&late);
    let lines = "line\n\n".repeat(10_000);
    assert_eq!(extract(lines.as_bytes(), "a.txt", &limits).unwrap_err().reason, Refusal::TooSlow);
    let in_time = || false;
    let small = Limits { max_bytes: 10, ..Limits::new(&in_time) };
    assert_eq!(extract(b"more than ten bytes", "a.txt", &small).unwrap_err().reason, Refusal::TooLarge);
    let short = Limits { max_inflated: 1_000, ..Limits::new(&in_time) };
    assert_eq!(extract(lines.as_bytes(), "a.txt", &short).unwrap_err().reason, Refusal::TooLarge);
    // A shared string that every cell repeats would multiply.
    let cells = "<c t='s'><v>0</v></c>".repeat(100);
    let rows = format!("<row>{cells}</row>").repeat(100);
    let book = samples::xlsx(&rows, &"x".repeat(100_000));
    let some = Limits { max_inflated: 4 << 20, ..Limits::new(&in_time) };
    assert_eq!(extract(&book, "a.xlsx", &some).unwrap_err().reason, Refusal::TooLarge);
}

#[test]
fn bombs_and_broken_packages_are_refused() {
    let bomb = samples::zipped(&[("_rels/.rels", samples::RELATIONS), ("word/document.xml", &" ".repeat(64 << 20))]);
    assert_eq!(reason("a.docx", &bomb), Refusal::TooLarge);
    let whole = samples::docx("<w:p><w:r><w:t>x</w:t></w:r></w:p>");
    assert_eq!(reason("a.docx", &whole[..whole.len() - 30]), Refusal::Malformed);
    let sealed: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let ole = [&b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"[..], &[0; 504], &sealed].concat();
    assert_eq!(reason("a.docx", &ole), Refusal::Encrypted);
    assert_eq!(reason("a.doc", &ole[..300]), Refusal::Unsupported);
}

/// Every format's sample, unharmed.
#[test]
fn samples_are_read() {
    for (name, bytes) in samples::all() {
        let made = read(name, &bytes).unwrap();
        assert_eq!(made.format.word(), name.trim_start_matches("a."), "{name}");
        assert!(made.document.text.contains("words"), "{name}: {}", made.document.text);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(96))]
    /// Flipped bytes and lost ends never harm: a document that keeps its rules and stays small, or a reason.
    #[test]
    fn mutated_samples_do_not_hurt(
        flips in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), proptest::prelude::any::<u8>()), 0..16),
        cut in proptest::prelude::any::<proptest::sample::Index>(),
        whole in proptest::prelude::any::<bool>(),
    ) {
        for (name, mut bytes) in samples::all() {
            for (at, byte) in &flips {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            let upto = if whole { bytes.len() } else { cut.index(bytes.len()) };
            if let Ok(made) = read(name, &bytes[..upto]) {
                assert!(made.document.text.len() < 200 * bytes.len() + 4_096, "{name}");
            }
        }
    }
}

pub(super) mod samples;
