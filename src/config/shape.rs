//! How a table of `mlops.toml` is described once and read, layered, listed and published from that description.
//!
//! [`table!`] declares a raw table: fields that remember where each value stands and which layer set it. From the
//! declaration come the walk that reports every unknown key and every wrong type (not the first one), the merge of layers
//! key by key, the list of origins, and the JSON Schema. Meaning is checked elsewhere (`check`), after all layers are merged.

use super::diag::{Diagnostic, Diags, Source, Spot};
use crate::base::name::Name;
use crate::base::text::{did_you_mean, visible};
use serde_json::{Map, Value, json};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Which layer set a value; a greater one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Layer {
    BuiltIn,
    File,
    Profile,
    Env,
}

/// A value, where it and its key stand, and which layer set it.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) spot: Spot,
    pub(super) key: Spot,
    pub(super) layer: Layer,
}

impl<T> At<T> {
    /// A default of kf.
    pub(super) fn built_in(value: T) -> Self {
        let nowhere = Spot { source: Source::BuiltIn, span: 0..0 };
        Self { value, spot: nowhere.clone(), key: nowhere, layer: Layer::BuiltIn }
    }
}

/// A value of a list and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item<T> {
    pub(super) value: T,
    pub(super) spot: Spot,
}

impl<T> Item<T> {
    /// A default of kf.
    pub(super) fn built_in(value: T) -> Self {
        Self { value, spot: At::built_in(()).spot }
    }
}

/// One line of the list of settings.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) spot: Spot,
    pub(super) layer: Layer,
}

/// Where a walk through one text is.
pub(super) struct Walk<'d> {
    pub(super) diags: &'d mut Diags,
    pub(super) layer: Layer,
    pub(super) source: Source,
    pub(super) path: Vec<String>,
}

impl Walk<'_> {
    pub(super) fn spot(&self, span: Range<usize>) -> Spot {
        Spot { source: self.source, span }
    }

    /// Reports a value of the wrong type.
    pub(super) fn wrong_type(&mut self, value: &Spanned<DeValue<'_>>, want: &str) {
        let found = with_article(value.get_ref().type_str());
        let key = self.path.join(".");
        let spot = self.spot(value.span());
        self.diags.add(Diagnostic::new(format!("`{key}` must be {want}, found {found}")).at(&spot));
    }

    /// The body of the table being walked, as a person writes it.
    fn table(&self) -> String {
        if self.path.is_empty() { "at the top level".to_owned() } else { format!("in `[{}]`", self.path.join(".")) }
    }
}

fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {noun}")
}

/// A key as it may be shown in a message.
pub(super) fn shown(text: &str) -> String {
    visible(text, 60)
}

/// A type of single values.
pub(super) trait Leaf: Sized {
    /// Reads it, or reports why it cannot be.
    fn read(value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>) -> Option<Self>;
    /// The JSON Schema of the type.
    fn schema() -> Value;
    /// The value, as it would be written.
    fn json(&self) -> Value;

    /// The value as text: strings as they are, everything else as JSON.
    fn show(&self) -> String {
        match self.json() {
            Value::String(s) => s,
            other => other.to_string(),
        }
    }
}

/// What can stand behind a key.
pub(super) trait Part: Sized {
    /// Takes what the file says.
    fn accept(&mut self, key: Spot, value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>);
    /// Lays this over a weaker layer.
    fn over(self, base: Self) -> Self;
    /// Where it was set and by which layer, when somebody set it.
    fn given(&self) -> Option<(&Spot, Layer)>;
    /// The JSON Schema; without required keys when not `strict`.
    fn schema(&self, strict: bool) -> Value;
    /// Lists every value below it.
    fn list(&self, key: &str, out: &mut Vec<Entry>);
}

impl<T: Leaf> Part for Option<At<T>> {
    fn accept(&mut self, key: Spot, value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>) {
        if let Some(read) = T::read(value, walk) {
            *self = Some(At { value: read, spot: walk.spot(value.span()), key, layer: walk.layer });
        }
    }

    fn over(self, base: Self) -> Self {
        self.or(base)
    }

    fn given(&self) -> Option<(&Spot, Layer)> {
        self.as_ref().map(|at| (&at.key, at.layer))
    }

    fn schema(&self, _: bool) -> Value {
        T::schema()
    }

    fn list(&self, key: &str, out: &mut Vec<Entry>) {
        if let Some(at) = self {
            at.list(key, out);
        }
    }
}

impl<T: Leaf> Part for At<T> {
    fn accept(&mut self, key: Spot, value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>) {
        if let Some(read) = T::read(value, walk) {
            *self = At { value: read, spot: walk.spot(value.span()), key, layer: walk.layer };
        }
    }

    fn over(self, base: Self) -> Self {
        if self.layer >= base.layer { self } else { base }
    }

    fn given(&self) -> Option<(&Spot, Layer)> {
        (self.layer > Layer::BuiltIn).then_some((&self.key, self.layer))
    }

    fn schema(&self, _: bool) -> Value {
        let mut schema = T::schema();
        schema["default"] = self.value.json();
        schema
    }

    fn list(&self, key: &str, out: &mut Vec<Entry>) {
        out.push(Entry { key: key.to_owned(), value: self.value.show(), spot: self.spot.clone(), layer: self.layer });
    }
}

/// A table with known keys; [`table!`] implements it.
pub(super) trait Table: Default {
    /// Its keys, in the order of the declaration.
    fn keys() -> Vec<&'static str>;
    /// Takes one key; false when there is no such key.
    fn take_key(&mut self, name: &str, key: Spot, value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>) -> bool;
    /// Lays this over a weaker layer, key by key.
    fn over(self, base: Self) -> Self;
    /// Its JSON Schema.
    fn schema(strict: bool) -> Value;
    /// Lists every value of it.
    fn list(&self, prefix: &str, out: &mut Vec<Entry>);
    /// The required keys that nobody set.
    fn missing(&self) -> Vec<&'static str>;
    /// Where somebody set the first of its keys that is set, and in which layer.
    fn first_given(&self) -> Option<(&Spot, Layer)>;
}

/// Reads a table key by key; every unknown key is reported. `also` are keys that the caller takes care of.
pub(super) fn walk_table<T: Table>(into: &mut T, table: &DeTable<'_>, also: &[&str], walk: &mut Walk<'_>) {
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        if also.contains(&name) {
            continue;
        }
        let spot = walk.spot(key.span());
        walk.path.push(shown(name));
        let known = into.take_key(name, spot.clone(), value, walk);
        walk.path.pop();
        if !known {
            let hint = did_you_mean(name, T::keys().into_iter().chain(also.iter().copied()));
            let problem = Diagnostic::new(format!("unknown key `{}` {}", shown(name), walk.table()));
            walk.diags.add(problem.at(&spot).help_if(hint));
        }
    }
}

/// A table that is there once, such as `[policy]`.
#[derive(Clone, Debug, Default)]
pub(super) struct Sub<T> {
    /// Where its name stands; nothing when the table is not there.
    pub(super) key: Option<Spot>,
    /// True when something in it could not be read, so that what is missing is not missed.
    pub(super) flawed: bool,
    pub(super) body: T,
}

impl<T: Table> Part for Sub<T> {
    fn accept(&mut self, key: Spot, value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>) {
        let before = walk.diags.len();
        match value.get_ref().as_table() {
            Some(table) => walk_table(&mut self.body, table, &[], walk),
            None => walk.wrong_type(value, "a table"),
        }
        self.flawed = walk.diags.len() > before;
        self.key = Some(key);
    }

    fn over(self, base: Self) -> Self {
        Self { key: self.key.or(base.key), flawed: self.flawed || base.flawed, body: self.body.over(base.body) }
    }

    fn given(&self) -> Option<(&Spot, Layer)> {
        self.key.as_ref().map(|key| (key, Layer::File))
    }

    fn schema(&self, strict: bool) -> Value {
        T::schema(strict)
    }

    fn list(&self, key: &str, out: &mut Vec<Entry>) {
        self.body.list(key, out);
    }
}

/// One of the tables of a [`Tables`].
#[derive(Clone, Debug)]
pub(super) struct Named<T> {
    pub(super) name: Name,
    pub(super) key: Spot,
    /// True when something in it could not be read.
    pub(super) flawed: bool,
    pub(super) body: T,
}

/// Tables that people name, such as `[gates.<name>]`, in the order of the file.
#[derive(Clone, Debug)]
pub(super) struct Tables<T>(pub(super) Vec<Named<T>>);

impl<T> Default for Tables<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Tables<T> {
    pub(super) fn get(&self, name: &str) -> Option<&Named<T>> {
        self.0.iter().find(|n| n.name.as_str() == name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.iter().map(|n| n.name.as_str())
    }
}

impl<T: Table> Part for Tables<T> {
    fn accept(&mut self, _: Spot, value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>) {
        let Some(tables) = value.get_ref().as_table() else {
            return walk.wrong_type(value, "a table of named tables");
        };
        for (key, value) in tables {
            let text = key.get_ref().as_ref();
            let spot = walk.spot(key.span());
            walk.path.push(shown(text));
            let before = walk.diags.len();
            let mut body = T::default();
            match value.get_ref().as_table() {
                Some(table) => walk_table(&mut body, table, &[], walk),
                None => walk.wrong_type(value, "a table"),
            }
            let flawed = walk.diags.len() > before;
            walk.path.pop();
            match text.parse::<Name>() {
                Ok(name) => self.0.push(Named { name, key: spot, flawed, body }),
                Err(e) => walk.diags.add(Diagnostic::new(e.to_string()).at(&spot)),
            }
        }
    }

    fn over(self, base: Self) -> Self {
        let mut out = base.0;
        for mine in self.0 {
            match out.iter().position(|n| n.name == mine.name) {
                None => out.push(mine),
                Some(i) => {
                    let base = out.swap_remove(i);
                    let flawed = mine.flawed || base.flawed;
                    out.push(Named { flawed, body: mine.body.over(base.body), ..mine });
                    let last = out.len() - 1;
                    out.swap(i, last);
                }
            }
        }
        Self(out)
    }

    fn given(&self) -> Option<(&Spot, Layer)> {
        self.0.first().map(|n| (&n.key, Layer::File))
    }

    fn schema(&self, strict: bool) -> Value {
        json!({ "type": "object", "propertyNames": super::leaf::name_schema(), "additionalProperties": T::schema(strict) })
    }

    fn list(&self, key: &str, out: &mut Vec<Entry>) {
        for named in &self.0 {
            named.body.list(&format!("{key}.{}", named.name), out);
        }
    }
}

/// A list of tables without names: `[{ … }, …]`, or `[[…]]` for each.
#[derive(Clone, Debug)]
pub(super) struct Many<T> {
    /// Where its key stands and which layer set it.
    at: Option<(Spot, Layer)>,
    pub(super) items: Vec<Element<T>>,
}

/// One of the tables of a [`Many`].
#[derive(Clone, Debug)]
pub(super) struct Element<T> {
    pub(super) spot: Spot,
    /// True when something in it could not be read.
    pub(super) flawed: bool,
    pub(super) body: T,
}

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self { at: None, items: Vec::new() }
    }
}

impl<T: Table> Part for Many<T> {
    fn accept(&mut self, key: Spot, value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>) {
        let Some(array) = value.get_ref().as_array() else {
            return walk.wrong_type(value, "a list of tables");
        };
        self.at = Some((key, walk.layer));
        for (i, value) in array.iter().enumerate() {
            let before = walk.diags.len();
            let mut body = T::default();
            walk.path.push((i + 1).to_string());
            match value.get_ref().as_table() {
                Some(table) => walk_table(&mut body, table, &[], walk),
                None => walk.wrong_type(value, "a table"),
            }
            walk.path.pop();
            self.items.push(Element { spot: walk.spot(value.span()), flawed: walk.diags.len() > before, body });
        }
    }

    /// A list takes the place of another as a whole.
    fn over(self, base: Self) -> Self {
        if self.at.is_some() { self } else { base }
    }

    fn given(&self) -> Option<(&Spot, Layer)> {
        self.at.as_ref().map(|(key, layer)| (key, *layer))
    }

    fn schema(&self, strict: bool) -> Value {
        json!({ "type": "array", "items": T::schema(strict) })
    }

    fn list(&self, key: &str, out: &mut Vec<Entry>) {
        for (i, element) in self.items.iter().enumerate() {
            element.body.list(&format!("{key}.{}", i + 1), out);
        }
    }
}

/// A table whose keys people choose, all values of one type, such as `headers`.
#[derive(Clone, Debug)]
pub(super) struct Free<T>(pub(super) Vec<(String, At<T>)>);

impl<T> Default for Free<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Leaf> Part for Free<T> {
    fn accept(&mut self, _: Spot, value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>) {
        let Some(table) = value.get_ref().as_table() else {
            return walk.wrong_type(value, "a table");
        };
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            walk.path.push(shown(name));
            let mut slot = None;
            slot.accept(walk.spot(key.span()), value, walk);
            walk.path.pop();
            self.0.extend(slot.map(|at| (name.to_owned(), at)));
        }
    }

    fn over(self, base: Self) -> Self {
        let mut out = base.0;
        for (name, at) in self.0 {
            match out.iter_mut().find(|(n, _)| *n == name) {
                Some(slot) => slot.1 = at,
                None => out.push((name, at)),
            }
        }
        Self(out)
    }

    fn given(&self) -> Option<(&Spot, Layer)> {
        self.0.iter().max_by_key(|(_, at)| at.layer).map(|(_, at)| (&at.key, at.layer))
    }

    fn schema(&self, _: bool) -> Value {
        json!({ "type": "object", "additionalProperties": T::schema() })
    }

    fn list(&self, key: &str, out: &mut Vec<Entry>) {
        for (name, at) in &self.0 {
            at.list(&format!("{key}.{}", shown(name)), out);
        }
    }
}

/// The schema of a table from those of its keys.
pub(super) fn table_schema(properties: Map<String, Value>, required: &[&str]) -> Value {
    let mut schema = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// Declares a raw table. `= "key"` names the key, `[required]` says that it must be set, `, or VALUE` gives the default of a
/// field of type [`At`]; the doc comment becomes the description in the JSON Schema.
macro_rules! table {
    ($(#[doc = $doc:literal])+ $name:ident {
        $($(#[doc = $about:literal])+ $field:ident: $ty:ty = $key:literal $([$required:ident])? $(, or $default:expr)?;)+
    }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug)]
        pub(in crate::config) struct $name { $($(#[doc = $about])+ pub(in crate::config) $field: $ty),+ }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $crate::config::shape::start!($($default)?)),+ }
            }
        }

        impl $crate::config::shape::Table for $name {
            fn keys() -> Vec<&'static str> {
                vec![$($key),+]
            }

            fn take_key(
                &mut self,
                name: &str,
                key: $crate::config::diag::Spot,
                value: &::toml::Spanned<::toml::de::DeValue<'_>>,
                walk: &mut $crate::config::shape::Walk<'_>,
            ) -> bool {
                use $crate::config::shape::Part as _;
                match name {
                    $($key => self.$field.accept(key, value, walk),)+
                    _ => return false,
                }
                true
            }

            fn over(self, base: Self) -> Self {
                use $crate::config::shape::Part as _;
                Self { $($field: self.$field.over(base.$field)),+ }
            }

            fn schema(strict: bool) -> ::serde_json::Value {
                use $crate::config::shape::Part as _;
                let start = Self::default();
                let mut properties = ::serde_json::Map::new();
                $(
                    let mut schema = start.$field.schema(strict);
                    schema["description"] = concat!($($about),+).trim().into();
                    properties.insert($key.to_owned(), schema);
                )+
                let required: &[&str] = &[$($crate::config::shape::required!($key $($required)?)),+].concat();
                $crate::config::shape::table_schema(properties, if strict { required } else { &[] })
            }

            fn list(&self, prefix: &str, out: &mut Vec<$crate::config::shape::Entry>) {
                use $crate::config::shape::Part as _;
                $(
                    let key = if prefix.is_empty() { $key.to_owned() } else { format!("{prefix}.{}", $key) };
                    self.$field.list(&key, out);
                )+
            }

            fn missing(&self) -> Vec<&'static str> {
                use $crate::config::shape::Part as _;
                let required: Vec<(&[&'static str], bool)> =
                    vec![$(($crate::config::shape::required!($key $($required)?), self.$field.given().is_none())),+];
                required.into_iter().filter(|(_, missing)| *missing).flat_map(|(keys, _)| keys.iter().copied()).collect()
            }

            fn first_given(&self) -> Option<(&$crate::config::diag::Spot, $crate::config::shape::Layer)> {
                use $crate::config::shape::Part as _;
                [$(self.$field.given()),+].into_iter().flatten().next()
            }
        }
    };
}
pub(super) use table;

/// How a field begins: empty, or with a default.
macro_rules! start {
    () => {
        Default::default()
    };
    ($default:expr) => {
        $crate::config::shape::At::built_in($default)
    };
}
pub(super) use start;

/// The key when it is required, nothing otherwise.
macro_rules! required {
    ($key:literal) => {
        &[] as &[&'static str]
    };
    ($key:literal required) => {
        &[$key] as &[&'static str]
    };
}
pub(super) use required;
