//! The language model that answers for a version: the version's prompt with the question and what was found, and what came of it.
//!
//! The prompt is the one that has a field for the question; of several the one in a file `answer`. It is rendered as every prompt is
//! ([`Book`]), with `question` (or `query`, `input`), with `context` (or `contexts`, `passages`, `documents`), the passages numbered with
//! their sources, and with the defaults of what else it declares; a prompt that needs more is refused before anybody is asked.

use super::Passage;
use crate::base::error::{Error, Kind, Result};
use crate::config::Llm;
use crate::domain::prompt::book::{Book, Prompt, Rendered};
use crate::domain::registry::answering::{CONTEXT, QUESTION};
use crate::domain::registry::parts::Parts;
use crate::release::judging::Cached;
use crate::seams::model::{Message, Model, Request, Role};
use serde_json::{Map, Value};

/// Who writes answers, and how it is asked.
pub struct Writer {
    /// The model.
    pub model: Box<dyn Model>,
    /// What it answered before.
    pub cache: Cached,
    /// How it draws its words.
    pub settings: Llm,
    /// True when nobody may be asked for anything, a service that makes vectors included.
    pub dry: bool,
}

/// A version's prompt, with a value for everything that it needs beside question and context.
#[derive(Debug)]
pub(super) struct Script {
    prompt: Prompt,
    defaults: Map<String, Value>,
}

impl Script {
    /// The prompt that answers questions, of a version with these files.
    ///
    /// # Errors
    /// When there is none, when it is not clear which, when it needs what nobody has, or cannot be rendered with texts.
    pub(super) fn of(parts: &Parts, files: &[(&str, &[u8])]) -> Result<Self> {
        let pieces = parts.answering()?;
        let path = &pieces[0].path;
        let bytes = files.iter().find(|(name, _)| name == path).map_or(&[] as &[u8], |(_, bytes)| bytes);
        let book = Book::read(path, bytes).map_err(|faults| {
            let lines: Vec<String> = faults.iter().map(|f| format!("{path}:{}:{}: {}", f.line, f.column, f.message)).collect();
            Error::new(lines.join("\n"))
        })?;
        let answers = |p: &&Prompt| {
            let asks = p.variables().iter().any(|name| QUESTION.contains(name));
            asks && p.messages.iter().any(|m| pieces.iter().any(|piece| piece.text == m.text))
        };
        let lost = || Error::of(Kind::Bug, format!("{path} was read in two ways"));
        let prompt = book.prompts.iter().find(answers).ok_or_else(lost)?;
        let script = Self { prompt: prompt.clone(), defaults: defaults(&book, prompt)? };
        script.messages("?", "?").map_err(|why| {
            Error::new(format!("{} cannot be rendered: {why}", prompt.name()))
                .hint(format!("question and context are texts; `kf prompt render {}` tries it", prompt.path))
        })?;
        Ok(script)
    }

    /// What the model is asked about a question.
    ///
    /// # Errors
    /// Why the prompt cannot be rendered with it.
    pub(super) fn request(&self, question: &str, hits: &[Passage], settings: &Llm) -> Result<Request, String> {
        let passages: Vec<String> =
            hits.iter().enumerate().map(|(i, hit)| format!("[{}] {}\n{}", i + 1, hit.source, hit.text)).collect();
        let mut request = Request {
            max_tokens: settings.max_tokens,
            temperature: Some(settings.temperature),
            seed: settings.seed.map(u64::from),
            ..Request::default()
        };
        for (role, text) in self.messages(question, &passages.join("\n\n"))? {
            match role.as_str() {
                "system" | "developer" => {
                    request.system =
                        Some(request.system.take().map_or_else(|| text.clone(), |before| format!("{before}\n\n{text}")));
                }
                "assistant" => request.messages.push(Message { role: Role::Assistant, text }),
                _ => request.messages.push(Message::user(text)),
            }
        }
        Ok(request)
    }

    /// Whether what was found is in the prompt at all.
    pub(super) fn reads_context(&self) -> bool {
        self.prompt.variables().iter().any(|name| CONTEXT.contains(name))
    }

    /// The messages, each with who says it.
    fn messages(&self, question: &str, context: &str) -> Result<Vec<(String, String)>, String> {
        let mut values = self.defaults.clone();
        for name in self.prompt.variables() {
            if QUESTION.contains(&name) {
                values.insert(name.to_owned(), question.into());
            } else if CONTEXT.contains(&name) {
                values.insert(name.to_owned(), context.into());
            }
        }
        match self.prompt.render(&values).map_err(|fault| fault.to_string())? {
            Rendered::Text(text) => Ok(vec![("user".to_owned(), text)]),
            Rendered::Chat(messages) => messages.as_array().into_iter().flatten().map(said).collect(),
        }
    }
}

/// The values of what the prompt declares beside question and context.
fn defaults(book: &Book, prompt: &Prompt) -> Result<Map<String, Value>> {
    let mut values = Map::new();
    for name in prompt.variables().into_iter().filter(|name| !QUESTION.contains(name) && !CONTEXT.contains(name)) {
        let Some(value) = prompt.declared.iter().find(|v| v.name == name).and_then(|v| v.default.clone()) else {
            let of_it =
                |field: &str| field.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '!', ':']));
            let place = book.uses(prompt).into_iter().find(|at| of_it(&at.field));
            let (place, field) = place.map_or_else(
                || (String::new(), name.to_owned()),
                |at| (format!(", line {}, column {}", at.line, at.column), at.field),
            );
            let why = "`[system] kind = \"builtin\"` has a value for question and context and none for";
            return Err(Error::new(format!("{}{place}: {why} `{{{field}}}`", prompt.name())).hint(
                "give it a `default` where the prompt declares its `variables`, or answer with `[system] kind = \"command\"`",
            ));
        };
        values.insert(name.to_owned(), value);
    }
    Ok(values)
}

/// Who says a message of a chat, and its text: one, or those of its parts.
fn said(message: &Value) -> Result<(String, String), String> {
    let text = match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) if parts.iter().all(|part| part["text"].is_string()) => {
            parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n\n")
        }
        _ => return Err("a message of it has another content than text".to_owned()),
    };
    Ok((message["role"].as_str().unwrap_or("user").to_owned(), text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::name::ModelType;
    use crate::domain::registry::parts::{Layout, parse_parts};

    fn script(files: &[(&str, &str)]) -> Result<Script> {
        let files: Vec<(&str, &[u8])> = files.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
        Script::of(&parse_parts(ModelType::Config, &Layout::default(), &files).expect("parts"), &files)
    }

    fn messages(files: &[(&str, &str)], question: &str, context: &str) -> Vec<(String, String)> {
        script(files).expect("a prompt").messages(question, context).expect("rendered")
    }

    fn pair(role: &str, text: &str) -> (String, String) {
        (role.to_owned(), text.to_owned())
    }

    #[test]
    fn fields_are_filled_once_and_braces_are_text() {
        let found = messages(&[("prompts/a.txt", "{{{question}}} {context}")], "{context}", "{question}");
        assert_eq!(found, [pair("user", "{{context}} {question}")]);
        assert_eq!(messages(&[("prompts/a.txt", "{query!r:>6}")], "hi", "")[0].1, "  'hi'", "it is formatted");
    }

    #[test]
    fn the_prompt_with_the_question_answers() {
        let chat = "messages:\n  - role: system\n    content: Be brief.\n  - role: user\n    content: '{question}: {context}'\n";
        let found = messages(&[("prompts/chat.yaml", chat), ("prompts/title.txt", "A title for {topic}.")], "q", "c");
        assert_eq!(found, [pair("system", "Be brief."), pair("user", "q: c")]);
        let both = [("prompts/answer.txt", "{question} {context}"), ("prompts/rewrite.txt", "{question}")];
        assert_eq!(messages(&both, "q", "c")[0].1, "q c");
    }

    #[test]
    fn parts_of_a_message_are_one_text() {
        let chat = r#"{"messages": [{"role": "user", "content": [{"type": "text", "text": "Read."}, {"type": "text", "text": "{input}"}]}]}"#;
        assert_eq!(messages(&[("prompts/chat.json", chat)], "q", "")[0].1, "Read.\n\nq");
    }

    #[test]
    fn what_else_is_declared_has_its_default() {
        let text = "---\nvariables:\n  tone: {type: text, default: kind}\n---\nBe {tone}: {question}";
        assert_eq!(messages(&[("prompts/a.txt", text)], "q", "")[0].1, "Be kind: q");
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
        refused(&[("prompts/a.txt", "{question} {user[name]!r}")], "prompts/a.txt, line 1, column 12: ");
        refused(&[("prompts/a.txt", "{question:d}")], "prompts/a.txt cannot be rendered: 1:1: ValueError: ");
        let picture =
            r#"{"messages": [{"role": "user", "content": [{"image": "x"}]}, {"role": "user", "content": "{question}"}]}"#;
        refused(&[("prompts/a.json", picture)], "another content than text");
    }
}
