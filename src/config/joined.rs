//! Two tables under one name: the keys that several tables share are declared once, and joined with those that are a table's own.

use super::diag::Spot;
use super::shape::{Entry, Layer, Table, Walk};
use serde_json::Value;
use toml::Spanned;
use toml::de::DeValue;

/// A table with the keys of both; no key is in both.
#[derive(Clone, Debug, Default)]
pub(super) struct Joined<A, B> {
    pub(super) first: A,
    pub(super) second: B,
}

impl<A: Table, B: Table> Table for Joined<A, B> {
    fn keys() -> Vec<&'static str> {
        [A::keys(), B::keys()].concat()
    }

    fn take_key(&mut self, name: &str, key: Spot, value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>) -> bool {
        self.first.take_key(name, key.clone(), value, walk) || self.second.take_key(name, key, value, walk)
    }

    fn over(self, base: Self) -> Self {
        Self { first: self.first.over(base.first), second: self.second.over(base.second) }
    }

    fn schema(strict: bool) -> Value {
        let (mut schema, mut more) = (A::schema(strict), B::schema(strict));
        if let (Value::Object(all), Value::Object(own)) = (&mut schema["properties"], more["properties"].take()) {
            all.extend(own);
        }
        let named = |schema: &Value| schema["required"].as_array().cloned().unwrap_or_default();
        let required = [named(&schema), named(&more)].concat();
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        schema
    }

    fn list(&self, prefix: &str, out: &mut Vec<Entry>) {
        self.first.list(prefix, out);
        self.second.list(prefix, out);
    }

    fn missing(&self) -> Vec<&'static str> {
        [self.first.missing(), self.second.missing()].concat()
    }

    fn first_given(&self) -> Option<(&Spot, Layer)> {
        self.first.first_given().or_else(|| self.second.first_given())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::shape::{At, table};
    use serde_json::json;

    table! {
        /// One.
        Left {
            /// A word.
            word: Option<At<String>> = "word" [required];
        }
    }

    table! {
        /// Another.
        Right {
            /// A number.
            number: At<u32> = "number", or 3;
            /// A second word.
            other: Option<At<String>> = "other" [required];
        }
    }

    type Both = Joined<Left, Right>;

    #[test]
    fn it_has_the_keys_of_both() {
        assert_eq!(Both::keys(), ["word", "number", "other"]);
        let schema = Both::schema(true);
        assert_eq!(schema["required"], json!(["word", "other"]));
        assert_eq!(schema["properties"]["number"]["default"], json!(3));
        assert_eq!(schema["properties"].as_object().expect("keys").len(), 3);
        assert_eq!(Both::schema(false)["required"], Value::Null);
    }

    #[test]
    fn a_stronger_layer_lies_over_both() {
        let set = |word: Option<&str>, number: Option<u32>| {
            let at = |layer| At { layer, ..At::built_in(()) };
            let place = |value: String| At { value, spot: at(Layer::File).spot, key: at(Layer::File).key, layer: Layer::File };
            let mut both = Both::default();
            both.first.word = word.map(|w| place(w.to_owned()));
            if let Some(number) = number {
                both.second.number = At { value: number, layer: Layer::File, ..At::built_in(0) };
            }
            both
        };
        let merged = set(Some("mine"), None).over(set(Some("base"), Some(5)));
        let mut listed = Vec::new();
        merged.list("t", &mut listed);
        let shown: Vec<_> = listed.iter().map(|e| (e.key.as_str(), e.value.as_str())).collect();
        assert_eq!(shown, [("t.word", "mine"), ("t.number", "5")]);
        assert_eq!(merged.missing(), ["other"]);
        assert_eq!(merged.first_given().map(|(_, layer)| layer), Some(Layer::File));
        assert!(Both::default().first_given().is_none());
    }
}
