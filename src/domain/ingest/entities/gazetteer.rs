//! Names that a tenant lists: a CSV file with the columns `name`, `kind`, and optionally `aliases` (set apart by `|`) and
//! `tenant` (only for this one).

use super::words::{Word, words};
use super::{Kind, Node, Taken};
use crate::base::error::{Context, Error, Result};
use crate::base::name::Name;
use std::collections::HashMap;

/// The names, by the first word of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gazetteer {
    entries: HashMap<String, Vec<(Vec<String>, Node)>>,
}

impl Gazetteer {
    /// Reads the names that are for `tenant`.
    ///
    /// # Errors
    /// When the file is no such table; the line is named.
    pub fn read(bytes: &[u8], tenant: &Name) -> Result<Self> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(bytes);
        let header = reader.headers().context(|| "cannot read the first line of the gazetteer")?.clone();
        let column = |name: &str| header.iter().position(|h| h.trim_start_matches('\u{feff}') == name);
        let (Some(name), Some(kind)) = (column("name"), column("kind")) else {
            return Err(Error::new("the gazetteer has no columns `name` and `kind`")
                .hint("its first line must be `name,kind`, `name,kind,aliases` or `name,kind,aliases,tenant`"));
        };
        let (aliases, only) = (column("aliases"), column("tenant"));
        let mut found = Self::default();
        for (line, record) in (2..).zip(reader.records()) {
            let record = record.context(|| format!("line {line} of the gazetteer is no CSV"))?;
            let cell = |at: Option<usize>| at.and_then(|i| record.get(i)).unwrap_or_default();
            let (name, kind) = (cell(Some(name)), cell(Some(kind)));
            let kind: Name = kind
                .parse()
                .map_err(|e| Error::new(format!("line {line} of the gazetteer: `{kind}` is no kind: {e}")))
                .hint(|| "a kind is a name such as `product`".into())?;
            if kind.as_str() == "document" {
                return Err(Error::new(format!("line {line} of the gazetteer: `document` is what kf calls its documents"))
                    .hint("name another kind"));
            }
            if cell(only).is_empty() || cell(only) == tenant.as_str() {
                found.add(name, kind.as_str(), cell(aliases));
            }
        }
        // The longest first: "Kestrel Air Max" before "Kestrel Air".
        found.entries.values_mut().for_each(|list| list.sort_by(|(a, n), (b, m)| b.len().cmp(&a.len()).then(n.cmp(m))));
        Ok(found)
    }

    fn add(&mut self, name: &str, kind: &str, aliases: &str) {
        let node = Node { kind: Kind::Owned(kind.to_owned()), key: name.to_lowercase(), name: name.to_owned() };
        for written in std::iter::once(name).chain(aliases.split('|')) {
            let parts: Vec<String> = words(written, 0).iter().map(Word::lower).collect();
            if let Some(first) = parts.first() {
                self.entries.entry(first.clone()).or_default().push((parts, node.clone()));
            }
        }
    }

    /// What makes another gazetteer find other things, for the digest of how documents are taken in.
    pub fn lines(&self) -> Vec<String> {
        let entries = self.entries.values().flatten();
        let mut lines: Vec<String> =
            entries.map(|(words, node)| format!("{}\t{}\t{}", words.join(" "), node.kind, node.name)).collect();
        lines.sort();
        lines
    }

    /// Finds listed names in a sentence: whole words, capitals do not count, the longest wins.
    pub(super) fn find(&self, all: &[Word<'_>], taken: &mut Taken) {
        if self.entries.is_empty() {
            return;
        }
        let lower: Vec<String> = all.iter().map(Word::lower).collect();
        for at in 0..lower.len() {
            let listed = self.entries.get(&lower[at]).into_iter().flatten();
            if let Some((words, node)) = listed.into_iter().find(|(words, _)| lower[at..].starts_with(words)) {
                taken.take(all, at..at + words.len(), node.clone(), "gazetteer", 100);
            }
        }
    }
}
