//! What an e-mail about an alert says, for whoever builds the message.
//!
//! The id is that of the alert, so that a second delivery is the same message (RFC 5322 §3.6.4); all about one condition refer to
//! one id that no message has, which is how readers thread them.

use crate::base::digest::Digest;
use crate::seams::notifier::{Act, Message};

/// The parts of a message that depend on the alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The subject, one line.
    pub subject: String,
    /// The text.
    pub text: String,
    /// `<id@domain>`.
    pub message_id: String,
    /// What it refers to: `<condition@domain>`.
    pub thread: String,
}

/// Characters of a digest that tell conditions of one sender apart.
const THREAD: usize = 32;

/// The message; `domain` is that of the sender's address.
pub fn mail(message: &Message, domain: &str) -> Mail {
    let word = match message.act {
        Act::Resolve => "resolved",
        Act::Trigger => message.severity.word(),
    };
    let facts: String = message.facts.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    let end = format!("{}, {}\nkey: {}\nid: {}\n", message.source, message.at, message.key, message.id);
    let digest = crate::base::digest::hex(Digest::of(message.key.as_bytes()).as_bytes());
    Mail {
        subject: format!("[kf] {word}: {}", message.title),
        text: format!("{}\n\n{}\n\n{facts}-- \n{end}", message.title, message.body),
        message_id: format!("<{}@{domain}>", message.id),
        thread: format!("<{}@{domain}>", &digest[..THREAD]),
    }
}
