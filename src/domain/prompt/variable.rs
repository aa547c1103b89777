//! Variables that a prompt declares: type, default, examples, description; and the values that it is rendered with.
//!
//! They stand below `variables` in a structured file of prompts (beside a prompt or above it, the nearer declaration counts) and in the
//! head of a text file: `question: text`, or `top_k: {type: integer, default: 5}`. `input_variables`, a list of names, is read as other
//! tools write it. A prompt that declares some declares all: what it uses and does not declare is a fault.

use super::show::type_name;
use crate::base::name::words;
use crate::base::text::{did_you_mean, ellipsis};
use crate::domain::registry::tree::{KeyPath, Step};
use serde::Serialize;
use serde_json::{Map, Value};

words! {
    /// What a variable is.
    VariableType, "type of a variable" {
        /// Anything.
        Any = "any",
        /// Text.
        Text = "text",
        /// A whole number.
        Integer = "integer",
        /// A number; a whole one too.
        Number = "number",
        /// True or false.
        Boolean = "boolean",
        /// A list.
        List = "list",
        /// A map from text to values.
        Map = "map",
    }
}

/// Other words for the types: those of JSON Schema and of Python.
const WORDS: &[(&str, VariableType)] = &[
    ("array", VariableType::List),
    ("bool", VariableType::Boolean),
    ("dict", VariableType::Map),
    ("float", VariableType::Number),
    ("int", VariableType::Integer),
    ("object", VariableType::Map),
    ("str", VariableType::Text),
    ("string", VariableType::Text),
];

/// What can be said of a variable.
const KEYS: &[&str] = &["type", "default", "examples", "description"];

impl VariableType {
    fn read(word: &str) -> Result<Self, String> {
        let other = WORDS.iter().find(|(other, _)| *other == word).map(|(_, kind)| *kind);
        other.map_or_else(|| word.parse(), Ok)
    }

    /// Whether a value is of the type.
    pub fn holds(self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::Text => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::List => value.is_array(),
            Self::Map => value.is_object(),
        }
    }

    /// A value of the type to try formats with; none when it can be anything.
    pub(super) fn sample(self) -> Option<Value> {
        Some(match self {
            Self::Any => return None,
            Self::Text => "x".into(),
            Self::Integer => 1.into(),
            Self::Number => 1.5.into(),
            Self::Boolean => true.into(),
            Self::List => Value::Array(Vec::new()),
            Self::Map => Value::Object(Map::new()),
        })
    }
}

/// A variable as it is declared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: VariableType,
    /// What it is when nothing is given.
    pub default: Option<Value>,
    /// Values it may have.
    pub examples: Vec<Value>,
    /// What it means.
    pub description: Option<String>,
    /// Where it is declared.
    #[serde(skip)]
    pub at: KeyPath,
}

/// Something wrong with a declaration, and where.
pub(super) type Misdeclared = (KeyPath, String);

/// Reads declarations that stand at `at`.
pub(super) fn declared(value: &Value, at: &KeyPath, into: &mut Vec<Variable>, wrong: &mut Vec<Misdeclared>) {
    match value {
        Value::Object(map) => {
            for (name, said) in map {
                into.extend(one(name, said, at.with(Step::Key(name.clone())), wrong));
            }
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                let at = at.with(Step::Index(i));
                match (item, item.get("name").and_then(Value::as_str)) {
                    (Value::String(name), _) => into.extend(one(name, &Value::Null, at, wrong)),
                    (Value::Object(map), Some(name)) => {
                        let said: Map<String, Value> =
                            map.iter().filter(|(k, _)| *k != "name").map(|(k, v)| (k.clone(), v.clone())).collect();
                        into.extend(one(name, &Value::Object(said), at, wrong));
                    }
                    _ => wrong.push((at, "a variable in a list is a name, or a map with `name`".to_owned())),
                }
            }
        }
        _ => wrong.push((at.clone(), "variables are a map from names to what they are, such as `question: text`".to_owned())),
    }
}

fn one(name: &str, said: &Value, at: KeyPath, wrong: &mut Vec<Misdeclared>) -> Option<Variable> {
    let mut variable = Variable {
        name: name.to_owned(),
        kind: VariableType::Any,
        default: None,
        examples: Vec::new(),
        description: None,
        at: at.clone(),
    };
    if name.is_empty() || name.contains(['.', '[', ']', '{', '}', '!', ':']) {
        wrong.push((at, format!("`{}` cannot be the name of a variable", ellipsis(name, 40))));
        return None;
    }
    match said {
        Value::Null => {}
        Value::String(word) => match VariableType::read(word) {
            Ok(kind) => variable.kind = kind,
            Err(why) => wrong.push((at, why)),
        },
        Value::Object(map) => {
            for (key, value) in map {
                let at = at.with(Step::Key(key.clone()));
                match (key.as_str(), value) {
                    ("type", Value::String(word)) => match VariableType::read(word) {
                        Ok(kind) => variable.kind = kind,
                        Err(why) => wrong.push((at, why)),
                    },
                    ("default", value) => variable.default = Some(value.clone()),
                    ("examples", Value::Array(items)) => variable.examples.clone_from(items),
                    ("description", Value::String(text)) => variable.description = Some(text.clone()),
                    (key, _) if KEYS.contains(&key) => {
                        let what = if key == "examples" { "a list" } else { "text" };
                        wrong.push((at, format!("`{key}` of a variable is {what}")));
                    }
                    (key, _) => {
                        let hint = did_you_mean(key, KEYS.iter().copied()).unwrap_or_default();
                        wrong.push((at, format!("`{}` is not said of a variable; {hint}", ellipsis(key, 40))));
                    }
                }
            }
            variable.check(wrong);
        }
        _ => wrong.push((
            at,
            "a variable is said by its type, or by a map with `type`, `default`, `examples`, `description`".to_owned(),
        )),
    }
    Some(variable)
}

impl Variable {
    /// Default and examples are of the type.
    fn check(&self, wrong: &mut Vec<Misdeclared>) {
        let kind = self.kind;
        let mut refuse = |at: KeyPath, what: &str, value: &Value| {
            let shown = ellipsis(&value.to_string(), 40);
            wrong.push((at, format!("the {what} of `{}` is not of type {kind}: {shown}", self.name)));
        };
        if let Some(value) = self.default.as_ref().filter(|v| !kind.holds(v)) {
            refuse(self.at.with(Step::Key("default".into())), "default", value);
        }
        for (i, value) in self.examples.iter().enumerate().filter(|(_, v)| !kind.holds(v)) {
            refuse(self.at.with(Step::Key("examples".into())).with(Step::Index(i)), "example", value);
        }
    }

    /// A value given as text on a command line.
    ///
    /// # Errors
    /// When it is not of the type.
    pub fn of_text(&self, text: &str) -> Result<Value, String> {
        if matches!(self.kind, VariableType::Text | VariableType::Any) {
            return Ok(text.into());
        }
        let value = super::value::from_json(text).ok().filter(|value| self.kind.holds(value));
        value.ok_or_else(|| format!("`{}` is of type {}, and `{}` is none", self.name, self.kind, ellipsis(text, 40)))
    }
}

/// Why values do not fit a prompt, one line each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unfit {
    /// Variables without a value.
    pub missing: Vec<String>,
    /// Values that nothing uses.
    pub unused: Vec<String>,
    /// Values of another type than declared.
    pub mistyped: Vec<String>,
}

impl Unfit {
    /// The lines.
    pub fn lines(&self) -> Vec<String> {
        let missing = self.missing.iter().map(|name| format!("there is no value for `{name}`"));
        let unused = self.unused.iter().map(|name| format!("`{}` is given and nothing uses it", ellipsis(name, 40)));
        missing.chain(unused).chain(self.mistyped.iter().cloned()).collect()
    }

    /// True when the values fit.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unused.is_empty() && self.mistyped.is_empty()
    }
}

/// The values of a prompt that uses the variables `used`: those given, and defaults for the others.
///
/// # Errors
/// All that does not fit.
pub fn fitted<'u>(
    used: impl IntoIterator<Item = &'u str>,
    declared: &[Variable],
    given: &Map<String, Value>,
) -> Result<Map<String, Value>, Unfit> {
    let used: std::collections::BTreeSet<&str> = used.into_iter().collect();
    let mut unfit = Unfit::default();
    let mut values = Map::new();
    for name in &used {
        let variable = declared.iter().find(|v| v.name == **name);
        match given.get(*name).or_else(|| variable?.default.as_ref()) {
            Some(value) => {
                if let Some(variable) = variable.filter(|v| !v.kind.holds(value)) {
                    let (kind, found) = (variable.kind, type_name(value));
                    unfit.mistyped.push(format!("`{name}` is of type {kind}, and the value is of Python's type {found}"));
                }
                values.insert((*name).to_owned(), value.clone());
            }
            None => unfit.missing.push((*name).to_owned()),
        }
    }
    unfit.unused = given.keys().filter(|name| !used.contains(name.as_str())).cloned().collect();
    if unfit.is_empty() { Ok(values) } else { Err(unfit) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> (Vec<Variable>, Vec<String>) {
        let (mut all, mut wrong) = (Vec::new(), Vec::new());
        declared(&value, &KeyPath::default(), &mut all, &mut wrong);
        (all, wrong.into_iter().map(|(at, why)| format!("{at}: {why}")).collect())
    }

    #[test]
    fn declarations_are_read_in_every_form() {
        let (all, wrong) = read(
            json!({"q": "string", "k": {"type": "int", "default": 5, "examples": [3], "description": "how many"}, "x": null}),
        );
        assert_eq!(wrong, Vec::<String>::new());
        let kinds: Vec<_> = all.iter().map(|v| (v.name.as_str(), v.kind)).collect();
        assert_eq!(kinds, [("q", VariableType::Text), ("k", VariableType::Integer), ("x", VariableType::Any)]);
        assert_eq!((&all[1].default, all[1].description.as_deref()), (&Some(json!(5)), Some("how many")));
        assert_eq!(read(json!(["a", {"name": "b", "type": "list"}])).0[1].kind, VariableType::List);
    }

    #[test]
    fn what_is_wrong_with_a_declaration_is_said_where_it_is() {
        let check = |value: Value, expected: &str| assert_eq!(read(value.clone()).1.join("|"), expected, "{value}");
        check(json!({"q": "txt"}), "q: `txt` is not a type of a variable, did you mean `text`?");
        check(json!({"q": {"defualt": 1}}), "q.defualt: `defualt` is not said of a variable; did you mean `default`?");
        check(json!({"q": {"type": "integer", "default": "5"}}), "q.default: the default of `q` is not of type integer: \"5\"");
        check(json!({"q": {"type": "text", "examples": ["a", 1]}}), "q.examples[1]: the example of `q` is not of type text: 1");
        check(json!({"q": {"examples": 1}}), "q.examples: `examples` of a variable is a list");
        check(
            json!({"q": 5}),
            "q: a variable is said by its type, or by a map with `type`, `default`, `examples`, `description`",
        );
        check(json!({"a[b]": "text"}), "\"a[b]\": `a[b]` cannot be the name of a variable");
        check(json!([1]), "[0]: a variable in a list is a name, or a map with `name`");
        check(json!(1), ".: variables are a map from names to what they are, such as `question: text`");
    }

    #[test]
    fn values_fit_or_all_is_said() {
        let (all, _) = read(json!({"k": {"type": "integer", "default": 5}, "q": "text", "b": "boolean"}));
        let given = |value: Value| value.as_object().cloned().expect("a map");
        let fit = fitted(["k", "q"], &all, &given(json!({"q": "why"}))).expect("fits");
        assert_eq!(Value::Object(fit), json!({"k": 5, "q": "why"}));
        let unfit = fitted(["k", "q", "z"], &all, &given(json!({"k": "5", "zz": 1}))).expect_err("no");
        assert_eq!(
            unfit.lines(),
            [
                "there is no value for `q`",
                "there is no value for `z`",
                "`zz` is given and nothing uses it",
                "`k` is of type integer, and the value is of Python's type str"
            ]
        );
        assert_eq!(all[0].of_text("7"), Ok(json!(7)));
        assert!(all[0].of_text("7.5").is_err() && all[2].of_text("yes").is_err());
        assert_eq!(all[1].of_text("7"), Ok(json!("7")));
    }
}
