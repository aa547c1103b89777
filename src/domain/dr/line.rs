//! A command as a shell takes it. What nobody can know beforehand, such as since when something was wrong, is a variable.

use std::collections::BTreeMap;
use std::fmt;

/// A word of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// As it is.
    Plain(String),
    /// What a variable holds, and what follows it.
    Of(String, String),
}

impl From<&str> for Word {
    fn from(text: &str) -> Self {
        Self::Plain(text.to_owned())
    }
}

impl From<String> for Word {
    fn from(text: String) -> Self {
        Self::Plain(text)
    }
}

/// What a variable holds.
pub fn var(name: impl Into<String>) -> Word {
    Word::Of(name.into(), String::new())
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let safe = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
        match self {
            Self::Of(name, rest) if rest.chars().all(safe) => write!(f, "\"${{{name}}}{rest}\""),
            Self::Of(name, rest) => write!(f, "\"${{{name}}}\"'{}'", rest.replace('\'', "'\\''")),
            Self::Plain(text) if !text.is_empty() && text.chars().all(safe) => f.write_str(text),
            Self::Plain(text) => write!(f, "'{}'", text.replace('\'', "'\\''")),
        }
    }
}

/// One command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Variables of its environment.
    pub env: Vec<(&'static str, &'static str)>,
    /// The program and its arguments.
    pub words: Vec<Word>,
    /// The file that it reads.
    pub input: Option<Word>,
}

impl Line {
    /// A command of these words.
    pub fn of<W: Into<Word>>(words: impl IntoIterator<Item = W>) -> Self {
        Self { words: words.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// With one more word.
    #[must_use]
    pub fn and(mut self, word: impl Into<Word>) -> Self {
        self.words.push(word.into());
        self
    }

    /// The variables that it needs.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.words.iter().chain(&self.input).filter_map(|word| match word {
            Word::Of(name, _) => Some(name.as_str()),
            Word::Plain(_) => None,
        })
    }

    /// The program and its arguments, with what the variables hold; `None` when one of them is not known.
    pub fn filled(&self, known: &BTreeMap<String, String>) -> Option<Vec<String>> {
        let fill = |word: &Word| match word {
            Word::Plain(text) => Some(text.clone()),
            Word::Of(name, rest) => known.get(name).map(|value| format!("{value}{rest}")),
        };
        self.words.iter().map(fill).collect()
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let env = self.env.iter().map(|(name, value)| format!("{name}={value}"));
        let words: Vec<String> = env.chain(self.words.iter().map(ToString::to_string)).collect();
        f.write_str(&words.join(" "))?;
        self.input.as_ref().map_or(Ok(()), |file| write!(f, " < {file}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_each_word_as_it_is_meant() {
        let odd = "it's $HOME `x`";
        let line = Line::of(["printf", "%s|", odd, "", "a b"]).and(Word::Of("SET".into(), "/x".into()));
        assert_eq!(line.to_string(), "printf '%s|' 'it'\\''s $HOME `x`' '' 'a b' \"${SET}/x\"");
        assert_eq!(line.variables().collect::<Vec<_>>(), ["SET"]);
        assert_eq!(line.filled(&BTreeMap::new()), None, "a variable that nobody set");
        let known = BTreeMap::from([("SET".to_owned(), "/a folder".to_owned())]);
        assert_eq!(line.filled(&known).expect("words"), ["printf", "%s|", odd, "", "a b", "/a folder/x"]);
    }
}
