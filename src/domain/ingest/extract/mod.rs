//! From the bytes of a file to its canonical text: the format is found by content, its text and structure are read, and
//! what cannot be read is refused with a reason (D1).
//!
//! Invariants:
//! - Never a panic, never recursion that the input drives, never more memory than [`Limits`] allow.
//! - The name of a file only breaks ties between formats that are all plain text; when it contradicts the content, the
//!   content wins and the document carries a warning.
//! - Every document that comes out keeps the rules of [`Document::fault`].

mod csv;
mod decode;
mod docx;
mod eml;
mod epub;
mod html;
mod json;
mod limits;
mod markdown;
mod markup;
mod ods;
mod pdf;
mod pptx;
mod sniff;
mod styles;
mod text;
mod xlsx;
mod xml;
mod zipped;

pub use limits::Limits;

use super::document::Document;
use super::reason::{Refusal, Refused};
use limits::{Out, too_large};
use std::fmt;

/// A format that kf reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// Plain text.
    Text,
    /// Markdown (CommonMark with tables).
    Markdown,
    /// HTML, XHTML and other markup.
    Html,
    /// Portable Document Format.
    Pdf,
    /// Word (Office Open XML).
    Docx,
    /// PowerPoint (Office Open XML).
    Pptx,
    /// Excel (Office Open XML).
    Xlsx,
    /// OpenDocument spreadsheet.
    Ods,
    /// Values in rows, separated by commas, semicolons, tabs or bars.
    Csv,
    /// One JSON value.
    Json,
    /// One JSON value a line.
    Jsonl,
    /// Electronic book.
    Epub,
    /// One message of electronic mail.
    Eml,
}

impl Format {
    /// Every format, in the order of reports.
    pub const ALL: &'static [Self] = &[
        Self::Text,
        Self::Markdown,
        Self::Html,
        Self::Pdf,
        Self::Docx,
        Self::Pptx,
        Self::Xlsx,
        Self::Ods,
        Self::Csv,
        Self::Json,
        Self::Jsonl,
        Self::Epub,
        Self::Eml,
    ];

    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Markdown => "markdown",
            Self::Html => "html",
            Self::Pdf => "pdf",
            Self::Docx => "docx",
            Self::Pptx => "pptx",
            Self::Xlsx => "xlsx",
            Self::Ods => "ods",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Epub => "epub",
            Self::Eml => "eml",
        }
    }

    /// The format of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|f| f.word() == word)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What was read out of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extracted {
    /// The document.
    pub document: Document,
    /// The format its content has.
    pub format: Format,
    /// The encoding of its characters (WHATWG name), for formats that are text themselves.
    pub encoding: Option<&'static str>,
}

/// Reads the text and the structure of a file.
///
/// `name` is the file's name or path; only its extension is looked at. Time is asked for between blocks and pages.
///
/// # Errors
/// Why the file holds no text that can be used: see [`Refusal`]. The detail never quotes the document.
pub fn extract(bytes: &[u8], name: &str, limits: &Limits) -> Result<Extracted, Refused> {
    if bytes.len() > limits.max_bytes {
        return Err(too_large(format!("{} bytes, the limit is {}", bytes.len(), limits.max_bytes)));
    }
    let found = sniff::sniff(bytes, name, limits)?;
    let mut out = Out::new(limits);
    for warning in found.warnings {
        out.canon.warn(warning);
    }
    let encoding = found.text.as_ref().map(|t| t.encoding);
    if let Some(text) = &found.text {
        out.canon.undecodable(text.undecodable);
    }
    let text = found.text.as_ref().map_or("", |t| &*t.text);
    match found.format {
        Format::Text => text::extract(text, &mut out)?,
        Format::Markdown => markdown::extract(text, &mut out)?,
        Format::Html => html::extract(text, None, &mut out)?,
        Format::Csv => csv::extract(text, &mut out)?,
        Format::Json => json::extract(text, &mut out)?,
        Format::Jsonl => json::extract_lines(text, &mut out)?,
        Format::Pdf => pdf::extract(bytes, &mut out)?,
        Format::Docx => docx::extract(bytes, &mut out)?,
        Format::Pptx => pptx::extract(bytes, &mut out)?,
        Format::Xlsx => xlsx::extract(bytes, &mut out)?,
        Format::Ods => ods::extract(bytes, &mut out)?,
        Format::Epub => epub::extract(bytes, &mut out)?,
        Format::Eml => eml::extract(bytes, &mut out)?,
    }
    let document = out.finish();
    if document.blocks.is_empty() {
        return Err(Refused::new(Refusal::Empty, format!("the {} holds no text", found.format)));
    }
    Ok(Extracted { document, format: found.format, encoding })
}

#[cfg(test)]
mod tests;
