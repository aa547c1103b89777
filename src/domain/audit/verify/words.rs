//! The dictionary behind the numbers of the narrow columns, spelt as in the bodies.

use super::super::body::spelt;
use crate::base::error::Result;
use crate::store::View;
use crate::values;
use std::collections::HashMap;

/// All words by their number.
pub(super) struct Words(HashMap<i64, Word>);

struct Word {
    kind: String,
    /// The word, or for a resource its kind.
    text: String,
    /// For a resource its name.
    name: Option<String>,
}

impl Words {
    pub(super) fn load(view: View<'_>) -> Result<Self> {
        let mut words = HashMap::new();
        view.each("SELECT id, kind, text FROM dict", values![], |row| {
            // A word that is no text any more stands for nothing, which its entries will show.
            if let (Ok(kind), Ok(text)) = (row.text(1), row.text(2)) {
                let (text, name) = match text.split_once('\u{1f}').filter(|_| kind == "res") {
                    Some((of, name)) => (spelt(of), Some(spelt(name))),
                    None => (spelt(text), None),
                };
                words.insert(row.int(0)?, Word { kind: kind.to_owned(), text, name });
            }
            Ok(())
        })?;
        Ok(Self(words))
    }

    /// Whether the number stands for this word of this kind.
    pub(super) fn is(&self, kind: &str, id: i64, text: &str) -> bool {
        self.0.get(&id).is_some_and(|w| w.kind == kind && w.text == text && w.name.is_none())
    }

    /// Whether the number stands for this resource.
    pub(super) fn is_resource(&self, id: i64, kind: &str, name: &str) -> bool {
        self.0.get(&id).is_some_and(|w| w.kind == "res" && w.text == kind && w.name.as_deref() == Some(name))
    }
}
