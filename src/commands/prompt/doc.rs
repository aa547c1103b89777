//! Prompts as reports show them.

use super::tokens;
use crate::domain::prompt::book::{Book, Prompt, Use};
use crate::domain::prompt::variable::{Variable, VariableType};
use serde::Serialize;
use serde_json::Value;

/// One text of a prompt.
#[derive(Serialize)]
pub(super) struct MessageDoc {
    pub(super) role: Option<String>,
    pub(super) text: String,
}

/// A prompt.
#[derive(Serialize)]
pub(super) struct PromptDoc {
    pub(super) prompt: String,
    pub(super) chat: bool,
    pub(super) description: Option<String>,
    pub(super) variables: Vec<String>,
    pub(super) tokens: u32,
    pub(super) messages: Vec<MessageDoc>,
    #[serde(skip)]
    pub(super) text: String,
}

impl PromptDoc {
    pub(super) fn of(prompt: &Prompt) -> Self {
        let message = |m: &crate::domain::prompt::book::Message| MessageDoc { role: m.role.clone(), text: m.text.clone() };
        Self {
            prompt: prompt.name(),
            chat: prompt.is_chat(),
            description: prompt.description.clone(),
            variables: prompt.variables().into_iter().map(str::to_owned).collect(),
            tokens: prompt.tokens(tokens()),
            messages: prompt.messages.iter().map(message).collect(),
            text: prompt.text(),
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        if self.chat { "chat" } else { "text" }
    }
}

/// A variable of a prompt, declared or only used.
#[derive(Serialize)]
pub(super) struct VariableDoc {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: VariableType,
    pub(super) declared: bool,
    pub(super) required: bool,
    pub(super) default: Option<Value>,
    pub(super) examples: Vec<Value>,
    pub(super) description: Option<String>,
    pub(super) uses: Vec<Use>,
}

impl VariableDoc {
    /// The variables of a prompt: those that it uses, and those that only are declared for it.
    pub(super) fn all(book: &Book, prompt: &Prompt) -> Vec<Self> {
        let uses = book.uses(prompt);
        let of = |name: &str| -> Vec<Use> {
            let root = |u: &&Use| u.field.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('['));
            uses.iter().filter(root).cloned().collect()
        };
        let mut all: Vec<Self> = prompt.variables().into_iter().map(|name| Self::one(name, &prompt.declared, of(name))).collect();
        let unused = prompt.declared.iter().filter(|v| !prompt.variables().contains(v.name.as_str()));
        all.extend(unused.map(|v| Self::one(&v.name, &prompt.declared, Vec::new())));
        all
    }

    fn one(name: &str, declared: &[Variable], uses: Vec<Use>) -> Self {
        let variable = declared.iter().find(|v| v.name == name);
        let default = variable.and_then(|v| v.default.clone());
        Self {
            name: name.to_owned(),
            kind: variable.map_or(VariableType::Any, |v| v.kind),
            declared: variable.is_some(),
            required: !uses.is_empty() && default.is_none(),
            default,
            examples: variable.map(|v| v.examples.clone()).unwrap_or_default(),
            description: variable.and_then(|v| v.description.clone()),
            uses,
        }
    }
}
