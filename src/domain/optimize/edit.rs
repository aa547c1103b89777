//! One value of a structured file, or the text of a prompt, written anew, with everything else as it was.
//!
//! A number or a word is replaced where it stands, so that comments and layout stay. Where that does not give exactly the wanted value the
//! whole file is written from its values; comments are lost then. Whatever comes out was read again and says what was asked for.

use crate::base::error::{Context, Error, Result};
use crate::domain::registry::document::{self, Syntax};
use crate::domain::registry::parts::{Prompt, head_of};
use crate::domain::registry::place;
use crate::domain::registry::tree::{KeyPath, Step};
use serde_json::{Map, Value};

/// A structured file with another value at a place; a key that is not there is added.
///
/// # Errors
/// When the file does not parse, or the way leads through something that has no keys.
pub fn set(path: &str, bytes: &[u8], key: &KeyPath, new: &Value) -> Result<Vec<u8>> {
    let syntax = Syntax::of(path).ok_or_else(|| Error::new(format!("{path} is not a structured file")))?;
    let text = document::text_of(bytes).map_err(|fault| unread(path, &fault))?;
    let value = document::parse(syntax, bytes).map_err(|fault| unread(path, &fault))?;
    let mut wanted = if value.is_null() { Value::Object(Map::new()) } else { value };
    put(&mut wanted, &key.0, new).ok_or_else(|| Error::new(format!("{path} has no place for `{key}`")))?;
    let says = |text: &String| document::parse(syntax, text.as_bytes()).is_ok_and(|found| found == wanted);
    let in_place = [replaced(syntax, text, key, new), appended(syntax, text, key, new)];
    if let Some(text) = in_place.into_iter().flatten().find(says) {
        return Ok(text.into_bytes());
    }
    let whole = match syntax {
        Syntax::Yaml => serde_yaml::to_string(&wanted).context(|| format!("cannot write {path}"))?,
        Syntax::Toml => toml::to_string(&wanted).context(|| format!("cannot write {path}"))?,
        Syntax::Json => serde_json::to_string_pretty(&wanted).context(|| format!("cannot write {path}"))? + "\n",
    };
    if says(&whole) { Ok(whole.into_bytes()) } else { Err(Error::new(format!("{path} cannot be written with another `{key}`"))) }
}

/// The file of a prompt with another text in its place.
///
/// # Errors
/// When the file does not parse.
pub fn set_prompt(prompt: &Prompt, bytes: &[u8], text: &str) -> Result<Vec<u8>> {
    if let Some(key) = &prompt.key {
        return set(&prompt.path, bytes, key, &Value::String(text.to_owned()));
    }
    let whole = document::text_of(bytes).map_err(|fault| unread(&prompt.path, &fault))?;
    let head = head_of(whole).map_err(|fault| unread(&prompt.path, &fault))?;
    let body = head.map_or(whole, |head| head.body);
    Ok(format!("{}{text}", &whole[..whole.len() - body.len()]).into_bytes())
}

fn unread(path: &str, fault: &document::Fault) -> Error {
    Error::new(format!("{path}:{}:{}: {}", fault.line, fault.column, fault.message))
}

fn put(at: &mut Value, way: &[Step], new: &Value) -> Option<()> {
    let Some((step, rest)) = way.split_first() else {
        *at = new.clone();
        return Some(());
    };
    match step {
        Step::Key(key) => {
            let map = at.as_object_mut()?;
            if rest.is_empty() {
                map.insert(key.clone(), new.clone());
                return Some(());
            }
            put(map.get_mut(key)?, rest, new)
        }
        Step::Index(n) => put(at.as_array_mut()?.get_mut(*n)?, rest, new),
        Step::Named { .. } | Step::Order => None,
    }
}

/// The text with another word or number where this one stands.
fn replaced(syntax: Syntax, text: &str, key: &KeyPath, new: &Value) -> Option<String> {
    let at = place::find(syntax, text, key).value;
    let rest = text.get(at..)?;
    let end = rest.find(|c: char| c.is_whitespace() || matches!(c, ',' | '}' | ']' | '#')).unwrap_or(rest.len());
    (end > 0 && !new.is_object() && !new.is_array()).then(|| format!("{}{new}{}", &text[..at], &rest[end..]))
}

/// The text with a line more at its end, for a key of the whole file.
fn appended(syntax: Syntax, text: &str, key: &KeyPath, new: &Value) -> Option<String> {
    let [Step::Key(key)] = key.0.as_slice() else { return None };
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    match syntax {
        Syntax::Yaml => Some(format!("{text}{end}{key}: {new}\n")),
        // A key after a table would be one of the table.
        Syntax::Toml => Some(format!("{key} = {new}\n{text}")),
        Syntax::Json => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::registry::parts::prompts_of;
    use serde_json::json;

    fn edited(path: &str, text: &str, key: &[&str], new: Value) -> String {
        let key = KeyPath(key.iter().map(|k| Step::Key((*k).to_owned())).collect());
        String::from_utf8(set(path, text.as_bytes(), &key, &new).expect("edited")).expect("text")
    }

    #[test]
    fn a_number_changes_where_it_stands_and_comments_stay() {
        let yaml = "# how passages are found\nretrieval:\n  top_k: 2 # few\n  words: {top_k: 2}\n";
        assert_eq!(edited("a.yaml", yaml, &["retrieval", "top_k"], json!(5)), yaml.replacen("top_k: 2", "top_k: 5", 1));
        assert_eq!(edited("a.toml", "top-k = 2 # few\n", &["top-k"], json!(12)), "top-k = 12 # few\n");
        assert_eq!(edited("a.json", "{\"k\":2, \"x\": [1]}", &["k"], json!(0.25)), "{\"k\":0.25, \"x\": [1]}");
        assert_eq!(edited("a.yaml", "mode: hybrid\n", &["mode"], json!("words")), "mode: \"words\"\n");
    }

    #[test]
    fn a_key_that_is_not_there_is_added() {
        assert_eq!(edited("a.yaml", "collection: handbook", &["top-k"], json!(3)), "collection: handbook\ntop-k: 3\n");
        assert_eq!(edited("a.yaml", "", &["top-k"], json!(3)), "top-k: 3\n");
        assert_eq!(edited("a.toml", "[filters]\na = \"b\"\n", &["k"], json!(3)), "k = 3\n[filters]\na = \"b\"\n");
        assert_eq!(edited("a.json", "{}", &["k"], json!(3)), "{\n  \"k\": 3\n}\n");
        let nested = edited("a.yaml", "retrieval: {collection: a}\n", &["retrieval", "k"], json!(3));
        assert_eq!(document::parse(Syntax::Yaml, nested.as_bytes()), Ok(json!({"retrieval": {"collection": "a", "k": 3}})));
        assert!(set("a.yaml", b"- 1\n", &KeyPath(vec![Step::Key("k".into())]), &json!(1)).is_err(), "a list has no keys");
    }

    #[test]
    fn a_prompt_keeps_its_head_and_its_neighbours() {
        let prompt = |path: &str, bytes: &[u8]| prompts_of(path, bytes).expect("prompts").pop().expect("one");
        let text = b"---\ndescription: short\n---\nAsk {question}\n";
        let found = set_prompt(&prompt("p.txt", text), text, "Say {question}\n").expect("written");
        assert_eq!(String::from_utf8_lossy(&found), "---\ndescription: short\n---\nSay {question}\n");
        let chat = b"messages:\n- role: system\n  content: Be brief.\n- role: user\n  content: '{question}'\n";
        let found = set_prompt(&prompt("p.yaml", chat), chat, "Q: {question}\n\"x\": #y").expect("written");
        let value = document::parse(Syntax::Yaml, &found).expect("YAML");
        assert_eq!(value["messages"][1], json!({"role": "user", "content": "Q: {question}\n\"x\": #y"}));
        assert_eq!(value["messages"][0]["content"], "Be brief.");
    }
}
