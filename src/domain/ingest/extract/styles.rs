//! Which styles of a Word document are headings or items: by outline level, by inheritance, by name.

use super::markup::{Piece, Pieces, attribute, local};
use std::collections::HashMap;

/// What headings are called in the style identifiers of localised Word, lower case and without what identifiers drop.
const HEADINGS: &[&str] = &[
    "heading",
    "titre",
    "überschrift",
    "berschrift",
    "título",
    "titulo",
    "ttulo",
    "titolo",
    "kop",
    "rubrik",
    "overskrift",
    "nagłówek",
    "nagwek",
    "заголовок",
    "otsikko",
    "cmsor",
    "nadpis",
];
/// Styles that are followed through `basedOn`.
const BASES_MAX: usize = 16;

/// What a style says of its paragraphs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Meaning {
    /// The level of a heading, 1 to 6.
    pub(super) heading: Option<u8>,
    /// An item of a list.
    pub(super) item: bool,
    /// The title of the document.
    pub(super) title: bool,
}

#[derive(Default)]
struct Style {
    name: String,
    based_on: String,
    outline: Option<u8>,
    numbered: bool,
}

/// The styles of a document.
#[derive(Default)]
pub(super) struct Styles(HashMap<String, Style>);

impl Styles {
    /// Reads `styles.xml`.
    pub(super) fn read(text: &str) -> Self {
        let mut styles = HashMap::new();
        let (mut id, mut style) = (String::new(), Style::default());
        for piece in Pieces::xml(text) {
            match piece {
                Piece::Start(tag, attributes, _) => {
                    let value = |key: &str| attribute(attributes, key).unwrap_or_default().into_owned();
                    match local(tag) {
                        "style" => (id, style) = (value("w:styleId"), Style::default()),
                        "name" => style.name = value("w:val").to_lowercase(),
                        "basedOn" => style.based_on = value("w:val"),
                        "outlineLvl" => style.outline = value("w:val").parse().ok(),
                        "numId" => style.numbered = value("w:val") != "0",
                        _ => {}
                    }
                }
                Piece::End(tag) if local(tag) == "style" => {
                    styles.insert(std::mem::take(&mut id), std::mem::take(&mut style));
                }
                _ => {}
            }
        }
        Self(styles)
    }

    /// What a style means; of an unknown one what its identifier says.
    pub(super) fn meaning(&self, id: &str) -> Meaning {
        let mut meaning = by_name(&id.to_lowercase());
        let mut at = id;
        for _ in 0..BASES_MAX {
            let Some(style) = self.0.get(at) else { break };
            let named = by_name(&style.name);
            meaning.title |= named.title && at == id;
            meaning.item |= named.item || style.numbered;
            let level = style.outline.map(level);
            // An outline level of 9 is body text and ends the search.
            if let Some(level) = level {
                meaning.heading = level;
                break;
            }
            meaning.heading = meaning.heading.or(named.heading);
            if meaning.heading.is_some() {
                break;
            }
            at = &style.based_on;
        }
        meaning
    }
}

/// Word counts outline levels from 0; 9 is body text.
pub(super) fn level(outline: u8) -> Option<u8> {
    (outline < 9).then(|| (outline + 1).min(6))
}

fn by_name(name: &str) -> Meaning {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let heading =
        HEADINGS.contains(&stem.trim_end_matches([' ', '-', '_'])).then(|| name[stem.len()..].parse::<u8>().ok()).flatten();
    let title = ["title", "titel"].contains(&name);
    Meaning {
        heading: heading.filter(|l| *l > 0).map(|l| l.min(6)).or(title.then_some(1)),
        item: ["list bullet", "list number", "listbullet", "listnumber"].iter().any(|l| name.starts_with(l)),
        title,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_known_in_every_language() {
        let styles = Styles::read(
            "<w:styles><w:style w:styleId='Ttulo1'><w:name w:val='heading 1'/></w:style>\
             <w:style w:styleId='Mine'><w:name w:val='Mine'/><w:basedOn w:val='Ttulo1'/></w:style>\
             <w:style w:styleId='Lvl'><w:name w:val='x'/><w:pPr><w:outlineLvl w:val='2'/></w:pPr></w:style>\
             <w:style w:styleId='Body'><w:name w:val='b'/><w:basedOn w:val='Ttulo1'/><w:pPr><w:outlineLvl w:val='9'/></w:pPr></w:style>\
             <w:style w:styleId='Loop'><w:name w:val='l'/><w:basedOn w:val='Loop'/></w:style></w:styles>",
        );
        let check = |id: &str, heading: Option<u8>| assert_eq!(styles.meaning(id).heading, heading, "{id}");
        check("Ttulo1", Some(1));
        check("Mine", Some(1));
        check("Lvl", Some(3));
        check("Body", None);
        check("Loop", None);
        check("Titre2", Some(2));
        check("berschrift3", Some(3));
        check("Heading9", Some(6));
        check("Normal", None);
    }
}
