//! A program that is told by its standard input, as text, with the facts in its environment.

use super::process::Program;
use crate::base::error::Result;
use crate::base::time::Timestamp;
use crate::seams::notifier::{Message, Notifier, Told};
use std::path::Path;
use std::time::Duration;

/// A program.
#[derive(Clone, Debug)]
pub struct Hook {
    program: Program,
}

impl Hook {
    /// The program and its arguments, run in a folder, for at most so long.
    ///
    /// # Errors
    /// When the list is empty.
    pub fn new(argv: &[String], dir: &Path, timeout: Duration) -> Result<Self> {
        Ok(Self { program: Program::from_argv(argv)?.dir(dir).timeout(timeout) })
    }
}

impl Notifier for Hook {
    fn tell(&self, message: &Message, _: Timestamp) -> Told {
        let named = |name: &str| format!("KF_{}", name.to_ascii_uppercase().replace('-', "_"));
        let program = message.facts.iter().fold(self.program.clone(), |program, (name, value)| program.env(named(name), value));
        let program = program.env("KF_KEY", &message.id);
        match program.output(format!("{}\n{}\n", message.title, message.body).as_bytes()) {
            Ok(_) => Told::Taken("it ended with 0".to_owned()),
            Err(e) => Told::Missed(e, None),
        }
    }
}
