//! What the parts of office packages have in common: how one part refers to others, and what a document states of itself.

use super::limits::Out;
use super::markup::{Piece, Pieces, attribute, decode_entities, local};
use super::zipped::{Package, resolve};
use crate::domain::ingest::reason::Refused;

/// A reference from one part to another, or to an address outside.
pub(super) struct Relation {
    pub(super) id: String,
    /// The last word of its type: `hyperlink`, `slide`, `footnotes`.
    pub(super) kind: String,
    /// The part's full name, or the address as written.
    pub(super) target: String,
}

/// The references of a part; `""` for those of the package.
///
/// # Errors
/// As [`Package::read`].
pub(super) fn relations(package: &mut Package, part: &str) -> Result<Vec<Relation>, Refused> {
    let (folder, name) = part.rsplit_once('/').unwrap_or(("", part));
    let text = package.text(format!("{folder}/_rels/{name}.rels").trim_start_matches('/'))?.unwrap_or_default();
    let mut found = Vec::new();
    for piece in Pieces::xml(&text) {
        let Piece::Start(tag, attributes, _) = piece else { continue };
        if local(tag) != "Relationship" {
            continue;
        }
        let value = |key: &str| attribute(attributes, key).unwrap_or_default().into_owned();
        let outside = value("TargetMode") == "External";
        let target = value("Target");
        found.push(Relation {
            id: value("Id"),
            kind: value("Type").rsplit('/').next().unwrap_or_default().to_owned(),
            target: if outside { target } else { resolve(part, &target) },
        });
    }
    Ok(found)
}

/// The part that the package is about: the target of its `officeDocument`, wherever that is.
///
/// # Errors
/// As [`Package::read`].
pub(super) fn main_part(package: &mut Package, usual: &str) -> Result<String, Refused> {
    let relations = relations(package, "")?;
    let found = relations.into_iter().find(|r| r.kind == "officeDocument" && package.has(&r.target));
    Ok(found.map_or_else(|| usual.to_owned(), |r| r.target))
}

/// Notes title, author and dates of Dublin Core elements in a part, when it is there.
///
/// # Errors
/// As [`Package::read`].
pub(super) fn properties(package: &mut Package, part: &str, out: &mut Out) -> Result<(), Refused> {
    let text = package.text(part)?.unwrap_or_default();
    for (name, value) in elements(&text) {
        match name {
            "title" => out.canon.title(&value),
            "creator" | "initial-creator" => out.canon.meta("author", &value),
            "created" | "creation-date" | "date" => out.canon.meta("created", &value),
            "language" | "subject" | "keywords" | "description" => out.canon.meta(name, &value),
            _ => {}
        }
    }
    Ok(())
}

/// The elements that hold text alone, with their text.
pub(super) fn elements(text: &str) -> Vec<(&str, String)> {
    let (mut found, mut open, mut value) = (Vec::new(), None, String::new());
    for piece in Pieces::xml(text) {
        match piece {
            Piece::Start(tag, _, empty) => {
                open = (!empty).then_some(local(tag));
                value.clear();
            }
            Piece::Text(text) => value.push_str(&decode_entities(text)),
            Piece::Plain(text) | Piece::Raw(text) => value.push_str(text),
            Piece::End(tag) => {
                if open.take() == Some(local(tag)) {
                    found.push((local(tag), std::mem::take(&mut value)));
                }
            }
        }
    }
    found
}
