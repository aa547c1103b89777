//! What is wrong with a file, all of it at once.

use serde::Serialize;
use std::fmt;

/// More problems than this are only counted.
pub const PROBLEMS_MAX: usize = 50;

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// All that is wrong with a file. Prints as lines of `file:line: message`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problems {
    /// The file, as it was named to the reader.
    pub file: String,
    /// The first problems, at most [`PROBLEMS_MAX`], by line.
    pub list: Vec<Problem>,
    /// How many there are beyond those.
    pub more: usize,
}

impl Problems {
    pub(super) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), list: Vec::new(), more: 0 }
    }

    pub(super) fn push(&mut self, line: usize, message: impl Into<String>) {
        if self.list.len() < PROBLEMS_MAX {
            self.list.push(Problem { line, message: message.into() });
        } else {
            self.more += 1;
        }
    }

    /// Puts reasons before the problems that follow from them; without any problem they are none.
    pub(super) fn because(&mut self, reasons: Vec<String>) {
        if !self.list.is_empty() {
            self.list.splice(0..0, reasons.into_iter().map(|message| Problem { line: 1, message }));
            self.more += self.list.len().saturating_sub(PROBLEMS_MAX);
            self.list.truncate(PROBLEMS_MAX);
        }
    }

    /// How many there are, listed or not.
    pub(super) fn total(&self) -> usize {
        self.list.len() + self.more
    }

    /// The value when nothing is wrong.
    pub(super) fn or<T>(mut self, value: T) -> Result<T, Self> {
        if self.list.is_empty() {
            return Ok(value);
        }
        self.list.sort_by_key(|p| p.line);
        Err(self)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, p) in self.list.iter().enumerate() {
            let end = if i > 0 { "\n" } else { "" };
            write!(f, "{end}{}:{}: {}", self.file, p.line, p.message)?;
        }
        if self.more > 0 {
            write!(f, "\n… and {}", crate::base::text::count(self.more, "problem"))?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
