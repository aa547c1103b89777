//! Somebody who is told of something: a webhook, a program.

use crate::base::error::Result;

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The same for every try, so that who is told twice can tell.
    pub key: String,
    /// One line.
    pub title: String,
    /// What follows it, in lines.
    pub body: String,
    /// Facts for programs: names in capitals with `_`, values.
    pub facts: Vec<(&'static str, String)>,
}

/// Tells somebody.
pub trait Notifier {
    /// Who that is, for people; no secret.
    fn name(&self) -> &str;

    /// Tells; when it comes back without an error, it was taken.
    ///
    /// # Errors
    /// When nobody took it. It may have been taken all the same when the answer was lost.
    fn tell(&self, message: &Message) -> Result<()>;
}
