//! Which format a file has, by its content.
//!
//! Order: signatures, then zip packages by what they declare of themselves, then text: mail, markup, JSON, and at last the
//! kinds of plain text that only their name tells apart (Markdown, values in rows), which content decides when it is
//! unmistakable.

use super::decode::{Decoded, decode};
use super::limits::{Limits, malformed};
use super::zipped::Package;
use super::{Format, csv, json};
use crate::domain::ingest::reason::{Refusal, Refused};

/// Signatures of what kf does not read: where they stand, the bytes, what they are.
const FOREIGN: &[(usize, &[u8], &str)] = &[
    (0, b"\x7fELF", "a program (ELF)"),
    (0, b"MZ", "a program (PE)"),
    (0, b"\xCA\xFE\xBA\xBE", "a program (Mach-O or Java)"),
    (0, b"\xCF\xFA\xED\xFE", "a program (Mach-O)"),
    (0, b"\0asm", "a program (WebAssembly)"),
    (0, b"\x89PNG", "a picture (PNG)"),
    (0, b"\xFF\xD8\xFF", "a picture (JPEG)"),
    (0, b"GIF8", "a picture (GIF)"),
    (0, b"II*\0", "a picture (TIFF)"),
    (0, b"MM\0*", "a picture (TIFF)"),
    (0, b"RIFF", "sound or pictures (RIFF)"),
    (4, b"ftyp", "a film (MP4)"),
    (0, b"OggS", "sound (Ogg)"),
    (0, b"ID3", "sound (MP3)"),
    (0, b"fLaC", "sound (FLAC)"),
    (0, b"\x1F\x8B", "a compressed file (gzip)"),
    (0, b"BZh", "a compressed file (bzip2)"),
    (0, b"\xFD7zXZ", "a compressed file (xz)"),
    (0, b"\x28\xB5\x2F\xFD", "a compressed file (zstd)"),
    (0, b"7z\xBC\xAF\x27\x1C", "an archive (7z)"),
    (0, b"Rar!", "an archive (RAR)"),
    (257, b"ustar", "an archive (tar)"),
    (0, b"!<arch>\n", "an archive (ar)"),
    (0, b"SQLite format 3\0", "a database (SQLite)"),
    (0, b"PAR1", "a table (Parquet)"),
    (0, b"wOFF", "a font"),
    (0, b"wOF2", "a font"),
    (0, b"%!PS", "PostScript"),
    (0, b"{\\rtf", "Rich Text Format"),
];

/// What a file is.
pub(super) struct Found<'a> {
    pub(super) format: Format,
    /// Its characters, for formats that are text themselves.
    pub(super) text: Option<Decoded<'a>>,
    pub(super) warnings: Vec<String>,
}

/// Finds the format of a file.
///
/// # Errors
/// `Empty`, `Unsupported`, `Encrypted`, `BadEncoding`, `Malformed`, `TooLarge`.
pub(super) fn sniff<'a>(bytes: &'a [u8], name: &str, limits: &Limits) -> Result<Found<'a>, Refused> {
    if bytes.iter().all(|b| b.is_ascii_whitespace() || *b == 0) {
        return Err(Refused::new(Refusal::Empty, format!("{} bytes, none of them text", bytes.len())));
    }
    let named = named(name);
    let mut found = match packed(bytes, limits)? {
        Some((format, warnings)) => Found { format, text: None, warnings },
        None => plain(bytes, named)?,
    };
    if let Some(named) = named.filter(|n| *n != found.format) {
        found.warnings.insert(0, format!("named like {named}, but its content is {}", found.format));
    }
    Ok(found)
}

/// The format that a file's extension promises.
fn named(name: &str) -> Option<Format> {
    let extension = name.rsplit(['/', '\\']).next()?.rsplit_once('.')?.1.to_ascii_lowercase();
    Some(match extension.as_str() {
        "txt" | "text" | "log" => Format::Text,
        "md" | "markdown" | "mkd" | "mdown" => Format::Markdown,
        "html" | "htm" | "xhtml" | "xht" => Format::Html,
        "pdf" => Format::Pdf,
        "docx" | "docm" | "dotx" | "dotm" => Format::Docx,
        "pptx" | "pptm" | "ppsx" | "ppsm" | "potx" => Format::Pptx,
        "xlsx" | "xlsm" | "xltx" | "xltm" => Format::Xlsx,
        "ods" | "ots" => Format::Ods,
        "csv" | "tsv" | "tab" => Format::Csv,
        "json" => Format::Json,
        "jsonl" | "ndjson" => Format::Jsonl,
        "epub" => Format::Epub,
        "eml" => Format::Eml,
        _ => return None,
    })
}

/// Formats that are bytes rather than text; `None` when it must be text.
fn packed(bytes: &[u8], limits: &Limits) -> Result<Option<(Format, Vec<String>)>, Refused> {
    let head = &bytes[..bytes.len().min(1_024)];
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return package(bytes, limits).map(Some);
    }
    if head.starts_with(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1") {
        let sealed: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let (reason, what) = match memchr::memmem::find(bytes, &sealed) {
            Some(_) => (Refusal::Encrypted, "the office document asks for a password"),
            None => (Refusal::Unsupported, "an office document of before 2007"),
        };
        return Err(Refused::new(reason, what));
    }
    let at = memchr::memmem::find(head, b"%PDF-");
    if at.is_some_and(|at| at == 0 || head[..at].iter().all(|b| b.is_ascii_whitespace()) || looks_binary(head)) {
        return Ok(Some((Format::Pdf, Vec::new())));
    }
    for (at, signature, what) in FOREIGN {
        let binary = looks_binary(head) || !signature.iter().all(u8::is_ascii_alphanumeric);
        if binary && bytes.get(*at..).is_some_and(|rest| rest.starts_with(signature)) {
            return Err(Refused::new(Refusal::Unsupported, *what));
        }
    }
    Ok(None)
}

/// Bytes that no text has.
fn looks_binary(head: &[u8]) -> bool {
    head.iter().any(|b| matches!(b, 0..=6 | 0x0E..=0x1A | 0x1C..=0x1F | 0x7F))
}

/// What a zip package declares to be.
fn package(bytes: &[u8], limits: &Limits) -> Result<(Format, Vec<String>), Refused> {
    let mut package = Package::open(bytes, limits)?;
    if let Some(kind) = package.read("mimetype")? {
        match String::from_utf8_lossy(&kind).trim() {
            "application/epub+zip" => return Ok((Format::Epub, Vec::new())),
            kind if kind.starts_with("application/vnd.oasis.opendocument.spreadsheet") => return Ok((Format::Ods, Vec::new())),
            _ => {}
        }
    }
    let types = package.text("[Content_Types].xml")?.unwrap_or_default();
    let main = [("word", Format::Docx), ("ppt", Format::Pptx), ("xl", Format::Xlsx)];
    let declared = [
        ("wordprocessingml.document.main", Format::Docx),
        ("wordprocessingml.template.main", Format::Docx),
        ("ms-word.document.macroEnabled", Format::Docx),
        ("ms-word.template.macroEnabled", Format::Docx),
        ("presentationml.presentation.main", Format::Pptx),
        ("presentationml.slideshow.main", Format::Pptx),
        ("presentationml.template.main", Format::Pptx),
        ("ms-powerpoint.", Format::Pptx),
        ("spreadsheetml.sheet.main", Format::Xlsx),
        ("spreadsheetml.template.main", Format::Xlsx),
        ("ms-excel.sheet.macroEnabled", Format::Xlsx),
        ("ms-excel.template.macroEnabled", Format::Xlsx),
    ];
    let mut format = declared.iter().find(|(kind, _)| types.contains(kind)).map(|(_, format)| *format);
    if format.is_none() {
        let relations = package.text("_rels/.rels")?.unwrap_or_default();
        format = main.iter().find(|(folder, _)| relations.contains(&format!("{folder}/"))).map(|(_, format)| *format);
    }
    let mut warnings = Vec::new();
    if package.names().iter().any(|n| n.to_ascii_lowercase().ends_with("vbaproject.bin")) {
        warnings.push("it holds macros, which are not read".to_owned());
    }
    let book = package.names().iter().any(|n| n.ends_with("META-INF/container.xml"));
    match format {
        Some(format) => Ok((format, warnings)),
        None if book => Ok((Format::Epub, warnings)),
        None => Err(Refused::new(Refusal::Unsupported, "a zip archive that is no document")),
    }
}

/// Formats that are text.
fn plain(bytes: &[u8], named: Option<Format>) -> Result<Found<'_>, Refused> {
    if is_mail(bytes, named) {
        return Ok(Found { format: Format::Eml, text: None, warnings: Vec::new() });
    }
    let text = decode(bytes)?;
    let sample = &text.text[..text.text.floor_char_boundary(1 << 16)];
    let controls = sample.bytes().filter(|b| *b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r' | 8 | 0x0B | 0x0C | 0x1B)).count();
    if controls * 200 > sample.len() || (controls > 0 && sample.len() < 64) {
        return Err(Refused::new(Refusal::Unsupported, "bytes that are no text"));
    }
    let mut warnings = Vec::new();
    let format = text_format(&text.text, sample, named, &mut warnings)?;
    Ok(Found { format, text: Some(text), warnings })
}

fn text_format(text: &str, sample: &str, named: Option<Format>, warnings: &mut Vec<String>) -> Result<Format, Refused> {
    let start = sample.trim_start();
    if start.starts_with('<') && is_markup(start, named) {
        if start.starts_with("<?xml") && !start.to_ascii_lowercase().contains("<html") {
            warnings.push("XML, read as markup without knowing its vocabulary".to_owned());
        }
        return Ok(Format::Html);
    }
    if start.starts_with(['{', '[']) {
        if json::are_lines(text) {
            return Ok(Format::Jsonl);
        }
        if json::is_value(text) {
            return Ok(Format::Json);
        }
    }
    match named {
        Some(Format::Json) if start.starts_with(['{', '[']) => Err(malformed("it is named JSON and is none")),
        Some(Format::Jsonl) if start.starts_with(['{', '[']) => Ok(Format::Jsonl),
        Some(Format::Html) if sample.contains("</") => Ok(Format::Html),
        Some(named @ (Format::Csv | Format::Markdown)) => Ok(named),
        _ if csv::is_unmistakable(sample) => Ok(Format::Csv),
        _ if is_markdown(sample) => Ok(Format::Markdown),
        _ => Ok(Format::Text),
    }
}

/// Markup begins with a declaration, a comment or an element that pages have.
fn is_markup(start: &str, named: Option<Format>) -> bool {
    const FIRST: &[&str] = &[
        "!doctype", "html", "head", "body", "title", "meta", "div", "p", "h1", "h2", "h3", "table", "ul", "ol", "center", "a",
        "span", "section", "article", "main", "header", "nav", "script", "style", "link", "pre", "b", "i", "font", "br", "hr",
    ];
    if start.starts_with("<?xml") || named == Some(Format::Html) {
        return true;
    }
    if start.starts_with("<!--") {
        let lower = start.to_ascii_lowercase();
        return lower.contains("<html") || lower.contains("<body") || lower.contains("<!doctype");
    }
    let name = start[1..].split(|c: char| !c.is_ascii_alphanumeric() && c != '!').next().unwrap_or_default();
    FIRST.iter().any(|f| name.eq_ignore_ascii_case(f)) && (start.contains("</") || name.starts_with('!'))
}

/// A message begins with header fields, and at least two of those that every message has.
fn is_mail(bytes: &[u8], named: Option<Format>) -> bool {
    const FIELDS: &[&str] = &[
        "from",
        "to",
        "cc",
        "subject",
        "date",
        "received",
        "message-id",
        "mime-version",
        "return-path",
        "content-type",
        "delivered-to",
        "reply-to",
    ];
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(8_192)]);
    let head = head.trim_start_matches(['\u{feff}', '\r', '\n']);
    let (mut known, mut fields) = (0, 0);
    for (at, line) in head.lines().enumerate() {
        if line.is_empty() || (at == 0 && line.starts_with("From ")) || line.starts_with([' ', '\t']) {
            if line.is_empty() || at == 0 && !line.starts_with("From ") {
                break;
            }
            continue;
        }
        let Some((field, _)) = line.split_once(':') else { break };
        if field.is_empty() || !field.bytes().all(|b| b.is_ascii_graphic()) {
            break;
        }
        fields += 1;
        known += usize::from(FIELDS.iter().any(|f| field.eq_ignore_ascii_case(f)));
    }
    let promised = named == Some(Format::Eml);
    (promised && known >= 1) || (known >= 3 && known * 4 >= fields) || (known >= 2 && head.starts_with("From "))
}

/// A heading, and either a fence that closes or several links.
fn is_markdown(sample: &str) -> bool {
    let (mut headings, mut fences) = (0, 0);
    for line in sample.lines() {
        let level = line.bytes().take_while(|b| *b == b'#').count();
        headings += usize::from((1..=6).contains(&level) && line[level..].starts_with(' '));
        fences += usize::from(line.starts_with("```"));
    }
    let links = sample.matches("](http").count() + sample.matches("](#").count();
    headings >= 2 && ((fences >= 2 && fences % 2 == 0) || links >= 2)
}
