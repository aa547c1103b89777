//! Which prompt of a version answers questions: the one that has a field for the question; of several the one in a file `answer`.

use super::parts::{Parts, Prompt};
use crate::base::error::{Error, Result};
use std::collections::BTreeMap;

/// Names of the field for the question.
pub const QUESTION: [&str; 3] = ["question", "query", "input"];
/// Names of the field for what was found.
pub const CONTEXT: [&str; 4] = ["context", "contexts", "passages", "documents"];

impl Prompt {
    /// Whether it has a field of one of these names.
    pub fn has_field(&self, names: &[&str]) -> bool {
        self.template.fields().iter().any(|f| names.contains(&f.name.as_str()))
    }
}

impl Parts {
    /// The prompt that answers: its messages, of which there is one where it is no chat.
    ///
    /// # Errors
    /// When there is none, or when it is not clear which.
    pub fn answering(&self) -> Result<Vec<&Prompt>> {
        let mut groups: BTreeMap<(String, Option<String>), Vec<&Prompt>> = BTreeMap::new();
        for prompt in &self.prompts {
            groups.entry((prompt.path.clone(), prompt.group().map(|g| g.to_string()))).or_default().push(prompt);
        }
        let asks = |group: &&Vec<&Prompt>| group.iter().any(|p| p.has_field(&QUESTION));
        let found: Vec<&Vec<&Prompt>> = groups.values().filter(asks).collect();
        let named: Vec<&Vec<&Prompt>> = found.iter().copied().filter(|group| stem(&group[0].path) == "answer").collect();
        match (found.as_slice(), named.as_slice()) {
            ([one], _) | (_, [one]) => Ok((*one).clone()),
            ([], _) => Err(Error::new("the version has no prompt with a field `{question}`")
                .hint("add one, such as prompts/answer.txt with `{question}` and `{context}`")),
            (many, _) => {
                let all: Vec<String> = many.iter().map(|g| g[0].to_string()).collect();
                Err(Error::new(format!("several prompts of the version have a field `{{question}}`: {}", all.join(", ")))
                    .hint("name the file of the one that answers `answer`"))
            }
        }
    }
}

fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.split('.').next().unwrap_or(name)
}
