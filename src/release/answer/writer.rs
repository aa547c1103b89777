//! The language model that answers for a version: the version's prompt with the question and what was found, and what came of it.
//!
//! The prompt is the one that has a field for the question; of several the one in a file `answer`. Filled are `question` (or `query`,
//! `input`) and `context` (or `contexts`, `passages`, `documents`), the passages numbered with their sources; a prompt that needs
//! anything else, or formats what it is given, is refused before anybody is asked.

use super::Passage;
use crate::base::error::{Error, Result};
use crate::config::Llm;
use crate::domain::registry::parts::{Parts, Prompt};
use crate::domain::registry::tree::Step;
use crate::release::judging::Cached;
use crate::seams::model::{Message, Model, Request, Role};
use serde_json::Value;
use std::collections::BTreeMap;

const QUESTION: [&str; 3] = ["question", "query", "input"];
const CONTEXT: [&str; 4] = ["context", "contexts", "passages", "documents"];

/// Who writes answers, and how it is asked.
pub struct Writer {
    /// The model.
    pub model: Box<dyn Model>,
    /// What it answered before.
    pub cache: Cached,
    /// How it draws its words.
    pub settings: Llm,
}

/// The messages of a version's prompt.
#[derive(Debug, PartialEq)]
pub(super) struct Script {
    messages: Vec<(String, String)>,
}

impl Script {
    /// The prompt of a version that answers questions.
    ///
    /// # Errors
    /// When there is none, when it is not clear which, or when it needs what nobody has.
    pub(super) fn of(parts: &Parts) -> Result<Self> {
        let mut groups: BTreeMap<(String, Option<String>), Vec<&Prompt>> = BTreeMap::new();
        for prompt in &parts.prompts {
            groups.entry((prompt.path.clone(), prompt.group().map(|g| g.to_string()))).or_default().push(prompt);
        }
        let asks =
            |group: &&Vec<&Prompt>| group.iter().any(|p| p.template.fields().iter().any(|f| QUESTION.contains(&f.name.as_str())));
        let found: Vec<&Vec<&Prompt>> = groups.values().filter(asks).collect();
        let named: Vec<&Vec<&Prompt>> = found.iter().copied().filter(|group| stem(&group[0].path) == "answer").collect();
        let group = match (found.as_slice(), named.as_slice()) {
            ([one], _) | (_, [one]) => one,
            ([], _) => {
                return Err(Error::new("the version has no prompt with a field `{question}`")
                    .hint("add one, such as prompts/answer.txt with `{question}` and `{context}`"));
            }
            (many, _) => {
                let all: Vec<String> = many.iter().map(|g| g[0].to_string()).collect();
                return Err(Error::new(format!(
                    "several prompts of the version have a field `{{question}}`: {}",
                    all.join(", ")
                ))
                .hint("name the file of the one that answers `answer`"));
            }
        };
        let messages = group.iter().map(|p| (role_of(parts, p), p)).map(|(role, p)| checked(p).map(|()| (role, p.text.clone())));
        Ok(Self { messages: messages.collect::<Result<_>>()? })
    }

    /// What the model is asked about a question.
    pub(super) fn request(&self, question: &str, hits: &[Passage], settings: &Llm) -> Request {
        let passages: Vec<String> =
            hits.iter().enumerate().map(|(i, hit)| format!("[{}] {}\n{}", i + 1, hit.source, hit.text)).collect();
        let context = passages.join("\n\n");
        let mut request = Request {
            max_tokens: settings.max_tokens,
            temperature: Some(settings.temperature),
            seed: settings.seed.map(u64::from),
            ..Request::default()
        };
        for (role, text) in &self.messages {
            let text = fill(text, question, &context);
            match role.as_str() {
                "system" | "developer" => {
                    request.system =
                        Some(request.system.take().map_or_else(|| text.clone(), |before| format!("{before}\n\n{text}")));
                }
                "assistant" => request.messages.push(Message { role: Role::Assistant, text }),
                _ => request.messages.push(Message::user(text)),
            }
        }
        request
    }
}

fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.split('.').next().unwrap_or(name)
}

/// Who says a message of a chat: its `role`, beside its text.
fn role_of(parts: &Parts, prompt: &Prompt) -> String {
    let (Some(key), Some(document)) = (&prompt.key, parts.documents.get(&prompt.path)) else { return "user".to_owned() };
    let mut at = Some(&document.value);
    for step in &key.0[..key.0.len().saturating_sub(1)] {
        at = at.and_then(|value| match step {
            Step::Key(key) => value.get(key),
            Step::Index(n) => value.get(n),
            Step::Named { .. } | Step::Order => None,
        });
    }
    let role = at.and_then(|message| message.get("role")).and_then(Value::as_str);
    // A file with a text under `system` says it by its key.
    role.or_else(|| key.last_key().filter(|k| *k == "system")).unwrap_or("user").to_owned()
}

fn checked(prompt: &Prompt) -> Result<()> {
    for field in prompt.template.fields() {
        let known = QUESTION.contains(&field.name.as_str()) || CONTEXT.contains(&field.name.as_str());
        if !known || !field.path.is_empty() || field.conversion.is_some() || !field.spec.is_empty() {
            return Err(Error::new(format!(
                "{prompt}, line {}, column {}: `[system] kind = \"builtin\"` fills question and context and formats neither, and the \
                 prompt has `{{{field}}}`",
                field.line, field.column
            ))
            .hint("take the field out, or answer with `[system] kind = \"command\"`"));
        }
    }
    Ok(())
}

/// The text with its two fields filled and its doubled braces made single. It was read as a template before, so every single brace
/// belongs to a field.
fn fill(text: &str, question: &str, context: &str) -> String {
    let mut out = String::with_capacity(text.len() + question.len() + context.len());
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        let after = &rest[at + 1..];
        match after.strip_prefix(brace) {
            Some(next) => {
                out.push_str(brace);
                rest = next;
            }
            None => {
                let (name, next) = after.split_once('}').unwrap_or((after, ""));
                // What is filled in is never looked at again, whatever braces it has.
                out.push_str(if QUESTION.contains(&name) { question } else { context });
                rest = next;
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::name::ModelType;
    use crate::domain::registry::parts::{Layout, parse_parts};
    use crate::domain::registry::template::Template;

    fn script(files: &[(&str, &str)]) -> Result<Script> {
        let files: Vec<(&str, &[u8])> = files.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
        Script::of(&parse_parts(ModelType::Config, &Layout::default(), &files).expect("parts"))
    }

    #[test]
    fn fields_are_filled_once_and_braces_are_text() {
        assert_eq!(fill("{{{question}}} {context}", "{context}", "{question}"), "{{context}} {question}");
        assert_eq!(fill("no field", "q", "c"), "no field");
        assert!(Template::parse("{{{question}}} {context}").is_ok(), "it is a template");
    }

    #[test]
    fn the_prompt_with_the_question_answers() {
        let chat = "messages:\n  - role: system\n    content: Be brief.\n  - role: user\n    content: '{question}: {context}'\n";
        let found = script(&[("prompts/chat.yaml", chat), ("prompts/title.txt", "A title for {topic}.")]).expect("one");
        let messages = [("system", "Be brief."), ("user", "{question}: {context}")];
        assert_eq!(found.messages, messages.map(|(r, t)| (r.to_owned(), t.to_owned())));
        let both = [("prompts/answer.txt", "{question} {context}"), ("prompts/rewrite.txt", "{question}")];
        assert_eq!(script(&both).expect("named").messages[0].1, "{question} {context}");
    }

    #[test]
    fn a_prompt_that_cannot_be_filled_is_refused() {
        let refused = |files: &[(&str, &str)], why: &str| {
            let e = script(files).expect_err("refused");
            assert!(e.to_string().contains(why) && !e.hints().is_empty(), "{e}");
        };
        refused(&[("prompts/a.txt", "Hello.")], "no prompt with a field `{question}`");
        refused(&[("prompts/a.txt", "{question}"), ("prompts/b.txt", "{query}")], "several prompts");
        refused(&[("prompts/a.txt", "Hi.\n{question} {user}")], "prompts/a.txt, line 2, column 12: ");
        refused(&[("prompts/a.txt", "{question:>20}")], "formats neither");
        refused(&[("prompts/a.txt", "{question!r}")], "formats neither");
    }
}
