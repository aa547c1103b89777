//! Electronic books (EPUB 2 and 3): the chapters in the order of the spine, each read as HTML.
//!
//! The container may lie under a prefix, as in books that were packed with their folder.

use super::html;
use super::limits::{Out, malformed, too_large};
use super::markup::{Piece, Pieces, attribute, local};
use super::xml::properties;
use super::zipped::{Package, resolve};
use crate::domain::ingest::reason::{Refusal, Refused};
use std::collections::HashMap;

/// Reads a book.
///
/// # Errors
/// `Malformed`, `Encrypted`, `TooLarge`, `TooSlow`.
pub(super) fn extract(bytes: &[u8], out: &mut Out) -> Result<(), Refused> {
    let mut package = Package::open(bytes, out.limits)?;
    let container = package.names().into_iter().filter(|n| n.ends_with("META-INF/container.xml")).min_by_key(|n| n.len());
    let container = container.ok_or_else(|| malformed("a book without its container"))?.to_owned();
    let prefix = container.trim_end_matches("META-INF/container.xml").to_owned();
    if is_locked(&package.text(&format!("{prefix}META-INF/encryption.xml"))?.unwrap_or_default()) {
        return Err(Refused::new(Refusal::Encrypted, "the book's chapters are locked"));
    }
    let root = package.text(&container)?.unwrap_or_default();
    let root = Pieces::xml(&root).find_map(|piece| match piece {
        Piece::Start(tag, attributes, _) if local(tag) == "rootfile" => attribute(attributes, "full-path"),
        _ => None,
    });
    let root = format!("{prefix}{}", root.ok_or_else(|| malformed("a book whose container names no contents"))?);
    let contents = package.text(&root)?.ok_or_else(|| malformed("a book without its contents"))?;
    properties(&mut package, &root, out)?;
    let chapters = chapters(&contents);
    if chapters.len() > out.limits.max_pages {
        return Err(too_large(format!("{} chapters, the limit is {}", chapters.len(), out.limits.max_pages)));
    }
    let mut missing = 0;
    for chapter in chapters {
        match package.text(&resolve(&root, &unescaped(&chapter)))? {
            Some(text) => html::extract(&text, None, out)?,
            None => missing += 1,
        }
    }
    if missing > 0 {
        out.canon.warn(format!("{missing} chapters are missing"));
    }
    Ok(())
}

/// Fonts are often obfuscated; chapters that are mean a lock.
fn is_locked(encryption: &str) -> bool {
    Pieces::xml(encryption).any(|piece| match piece {
        Piece::Start(tag, attributes, _) if local(tag) == "CipherReference" => {
            attribute(attributes, "URI").is_some_and(|u| [".xhtml", ".html", ".htm", ".xml"].iter().any(|e| u.ends_with(e)))
        }
        _ => false,
    })
}

/// The addresses of the chapters in the order of the spine, or of the manifest when there is no spine.
fn chapters(contents: &str) -> Vec<String> {
    let (mut by_id, mut pages, mut spine) = (HashMap::new(), Vec::new(), Vec::new());
    for piece in Pieces::xml(contents) {
        let Piece::Start(tag, attributes, _) = piece else { continue };
        let value = |key: &str| attribute(attributes, key).unwrap_or_default().into_owned();
        match local(tag) {
            "item" => {
                if value("media-type").contains("html") {
                    pages.push(value("href"));
                }
                by_id.insert(value("id"), value("href"));
            }
            "itemref" => spine.push(value("idref")),
            _ => {}
        }
    }
    let ordered: Vec<String> = spine.iter().filter_map(|id| by_id.get(id).cloned()).collect();
    if ordered.is_empty() { pages } else { ordered }
}

/// An address without its percent signs.
fn unescaped(address: &str) -> String {
    let mut bytes = Vec::with_capacity(address.len());
    let mut rest = address.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).filter(|_| *first == b'%').and_then(|d| std::str::from_utf8(d).ok());
        match code.and_then(|d| u8::from_str_radix(d, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
