//! A program that is told by its standard input, as text, with the facts in its environment.

use super::process::Program;
use crate::base::error::Result;
use crate::seams::notifier::{Message, Notifier};
use std::path::Path;
use std::time::Duration;

/// A program.
#[derive(Clone, Debug)]
pub struct Hook {
    name: String,
    program: Program,
}

impl Hook {
    /// The program and its arguments, run in a folder, for at most so long.
    ///
    /// # Errors
    /// When the list is empty.
    pub fn new(argv: &[String], dir: &Path, timeout: Duration) -> Result<Self> {
        let program = Program::from_argv(argv)?.dir(dir).timeout(timeout);
        Ok(Self { name: program.name(), program })
    }
}

impl Notifier for Hook {
    fn name(&self) -> &str {
        &self.name
    }

    fn tell(&self, message: &Message) -> Result<()> {
        let program = message.facts.iter().fold(self.program.clone(), |program, (name, value)| program.env(name, value));
        let program = program.env("KF_KEY", &message.key);
        program.output(format!("{}\n{}\n", message.title, message.body).as_bytes()).map(|_| ())
    }
}
