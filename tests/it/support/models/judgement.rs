//! What the model of the fake says: verdicts by a rule of thumb that tests can work out.

use super::{Asked, Manner};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The form that a schema in words has, told by its properties.
pub(super) fn form_of(system: &str) -> String {
    let marks = [
        ("noncommittal", "questions"),
        ("declines", "statements"),
        ("attributed", "statements"),
        ("entities", "entities"),
        ("score", "judgement"),
    ];
    let schema = &system[system.find("JSON Schema").unwrap_or(0)..];
    marks.iter().find(|(mark, _)| schema.contains(&format!("\"{mark}\""))).map_or("verdicts", |(_, form)| form).to_owned()
}

/// The texts between the fences by their names.
fn texts(asked: &Asked) -> Vec<(String, String)> {
    let Some(start) = asked.system.find("`<<<").map(|i| i + 4) else { return Vec::new() };
    let mark = &asked.system[start..start + 16];
    let (open, close) = (format!("<<<{mark} "), format!("\n{mark}>>>"));
    let blocks = asked.text.split(open.as_str()).skip(1);
    blocks
        .filter_map(|block| {
            let (name, rest) = block.split_once('\n')?;
            Some((name.to_owned(), rest.split_once(close.as_str())?.0.to_owned()))
        })
        .collect()
}

fn words(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect()
}

fn sentences(text: &str) -> Vec<String> {
    text.split_inclusive(['.', '!', '?']).map(|s| s.trim().to_owned()).filter(|s| !words(s).is_empty()).collect()
}

/// What the model says.
pub(super) fn judgement(asked: &Asked, manner: &Manner) -> Value {
    let all = texts(asked);
    let one = |name: &str| all.iter().find(|(n, _)| n == name).map(|(_, t)| t.as_str()).unwrap_or_default();
    let numbered = |kind: &str| -> Vec<&str> {
        all.iter().filter(|(n, _)| n.starts_with(&format!("{kind} "))).map(|(_, t)| t.as_str()).collect()
    };
    let holds = |text: &str, statement: &str| !manner.contrary && words(statement).is_subset(&words(text));
    let contexts = numbered("context");
    let from = |statement: &str| -> Vec<String> {
        (1..).zip(&contexts).filter(|(_, c)| holds(c, statement)).map(|(i, _)| format!("c{i}")).collect()
    };
    let Some(form) = asked.form.as_deref() else {
        // No form: it answers the question from the contexts, as a system does.
        return json!(format!("Of {} characters I make this.", asked.text.chars().count()));
    };
    match form {
        "proposals" => {
            let propose = |idea: &str, prompt: String| json!({"idea": idea, "prompt": prompt});
            let prompt = one("the prompt");
            json!({"proposals": [propose("be careful", format!("Be careful. {prompt}")), propose("be short", "Be short.".to_owned())]})
        }
        "statements" if !contexts.is_empty() => {
            let verdict = |s: String| {
                let from = from(&s);
                json!({"statement": s, "reason": "r", "attributed": !from.is_empty(), "contexts": from})
            };
            json!({"statements": sentences(one("reference")).into_iter().map(verdict).collect::<Vec<_>>()})
        }
        "statements" => {
            let declines = one("text").contains("do not know");
            let all = if declines { Vec::new() } else { sentences(one("text")) };
            json!({"reason": "r", "declines": declines, "statements": all})
        }
        "verdicts" if !numbered("statement").is_empty() => {
            let verdict = |(i, s): (usize, &&str)| {
                let from = from(s);
                json!({"id": format!("s{}", i + 1), "reason": "r", "supported": !from.is_empty(), "contexts": from})
            };
            json!({"verdicts": numbered("statement").iter().enumerate().map(verdict).collect::<Vec<_>>()})
        }
        "verdicts" if !contexts.is_empty() => {
            let useful = |(i, c): (usize, &&str)| {
                let useful = sentences(one("answer")).iter().any(|s| holds(c, s));
                json!({"id": format!("c{}", i + 1), "reason": "r", "useful": useful})
            };
            json!({"verdicts": contexts.iter().enumerate().map(useful).collect::<Vec<_>>()})
        }
        "verdicts" => {
            let (said, right) = (numbered("system statement"), numbered("right statement"));
            let verdicts = |these: &[&str], those: &[&str], prefix: &str, key: &str| -> Value {
                let one = |(i, s): (usize, &&str)| json!({"id": format!("{prefix}{}", i + 1), "reason": "r", key: those.iter().any(|t| holds(t, s))});
                these.iter().enumerate().map(one).collect()
            };
            json!({"answer": verdicts(&said, &right, "a", "correct"), "reference": verdicts(&right, &said, "r", "covered")})
        }
        "questions" => {
            let noncommittal = one("text").contains("do not know");
            json!({"reason": "r", "noncommittal": noncommittal, "questions": [one("text"), one("text"), one("text")]})
        }
        "entities" => {
            let all: BTreeSet<String> = numbered("text")
                .iter()
                .flat_map(|t| t.split(|c: char| !c.is_alphanumeric()))
                .filter(|w| w.starts_with(|c: char| c.is_uppercase() || c.is_numeric()))
                .map(str::to_owned)
                .collect();
            json!({"entities": all})
        }
        _ => json!({"reason": "r", "score": if manner.contrary { 2 } else { 8 }}),
    }
}
