//! Links to other documents, as sources: whether there is such a document is asked when the graph is read, so that it does not
//! matter which of the two was taken first.

use super::super::document::Document;
use super::{Node, Relation};

/// That the document from `source` points to others.
pub(super) fn relations(document: &Document, source: &str) -> Vec<Relation> {
    let relation = |target: String, at: usize| {
        let end = document.blocks.partition_point(|b| b.span.start <= at);
        let block = document.blocks.get(end.saturating_sub(1)).filter(|b| b.span.contains(&at));
        Relation {
            subject: Node::document(source),
            relation: "links-to".into(),
            object: Node::document(&target),
            evidence: block.map_or(0..0, |b| b.span.clone()),
            method: "link".into(),
            confidence: 100,
        }
    };
    let links = document.links.iter().filter_map(|l| resolve(source, &l.target).map(|t| (t, l.at)));
    links.filter(|(target, _)| target != source).map(|(target, at)| relation(target, at)).collect()
}

/// The source that a relative address names from `source`; `None` for other places and for what leaves the top.
fn resolve(source: &str, target: &str) -> Option<String> {
    let path = target.split(['#', '?']).next()?;
    let scheme = path.split(['/', '.']).next().is_some_and(|first| first.contains(':'));
    if path.is_empty() || path.ends_with('/') || path.starts_with('/') || scheme {
        return None;
    }
    let path = unescape(path)?;
    let mut parts: Vec<&str> = source.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop().filter(|p| !p.is_empty())?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/")).filter(|p| !p.chars().any(char::is_control))
}

/// `%20` as the byte that it stands for.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match code.filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn links_are_resolved_from_where_they_stand() {
        for (target, want) in [
            ("b.md", Some("docs/b.md")),
            ("./b.md#part", Some("docs/b.md")),
            ("../README.md", Some("README.md")),
            ("sub/c%20d.md?x", Some("docs/sub/c d.md")),
            ("../../out.md", None),
            ("https://example.org/b.md", None),
            ("mailto:a@example.org", None),
            ("#here", None),
            ("%ff", None),
            ("a%", Some("docs/a%")),
        ] {
            assert_eq!(resolve("docs/a.md", target).as_deref(), want, "{target}");
        }
        assert_eq!(resolve("/abs/a.md", "b.md").as_deref(), Some("/abs/b.md"));
        assert_eq!(resolve("/abs/a.md", "../../b.md"), None);
    }
}
