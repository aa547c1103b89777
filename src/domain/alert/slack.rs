//! The body of a Slack incoming webhook: Block Kit with a text for notifications.
//!
//! Sources: "Sending messages using incoming webhooks", "Formatting message text" (`&`, `<` and `>` are escaped, nothing else) and the
//! references of Block Kit: a message has at most 50 blocks, a header 150 characters, a section and a text element 3,000.

use super::cut;
use crate::seams::notifier::{Act, Message, Severity};
use serde_json::{Value, json};

/// The longest text of a section or an element.
const TEXT_MAX: usize = 3_000;
/// The longest text of a header.
const HEADER_MAX: usize = 150;
/// Sections of a body: header, facts and the note on what was left out are blocks too.
const SECTIONS_MAX: usize = 47;

/// The payload.
pub fn payload(message: &Message) -> Value {
    let title = format!("{} {}", mark(message), message.title);
    let mut blocks = vec![json!({"type": "header", "text": {"type": "plain_text", "text": cut(&title, HEADER_MAX)}})];
    let mut sections = sections(&body(message, &title), TEXT_MAX);
    if sections.len() > SECTIONS_MAX {
        sections.truncate(SECTIONS_MAX);
        sections.push("…".to_owned());
    }
    blocks.extend(sections.into_iter().map(|text| json!({"type": "section", "text": marked_up(&text)})));
    let facts = format!("{} · {} · {}", message.source, message.about, message.at);
    blocks.push(json!({"type": "context", "elements": [marked_up(&escaped(&facts, TEXT_MAX))]}));
    json!({"text": escaped(&title, TEXT_MAX), "blocks": blocks})
}

/// Verbatim, so that nothing in data becomes a link or calls somebody.
fn marked_up(text: &str) -> Value {
    json!({"type": "mrkdwn", "text": text, "verbatim": true})
}

fn mark(message: &Message) -> &'static str {
    match (message.act, message.severity) {
        (Act::Resolve, _) => "\u{2705}",
        (Act::Trigger, Severity::Critical) => "\u{1f6a8}",
        (Act::Trigger, Severity::Error) => "\u{274c}",
        (Act::Trigger, Severity::Warning) => "\u{26a0}\u{fe0f}",
        (Act::Trigger, Severity::Info) => "\u{2139}\u{fe0f}",
    }
}

/// The body; a title that its header cannot hold comes first.
fn body(message: &Message, title: &str) -> String {
    match cut(title, HEADER_MAX) == title {
        true => message.body.clone(),
        false => format!("{title}\n{}", message.body),
    }
}

/// What a character is written as.
fn escape(c: char) -> Option<&'static str> {
    match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    }
}

/// The beginning of a text that fits when it is escaped.
fn escaped(text: &str, max: usize) -> String {
    let beginning: String = text.chars().take(max).collect();
    sections(&beginning, max).into_iter().next().unwrap_or_default()
}

/// An escaped text in pieces that fit, cut between lines where a line fits; none is blank.
fn sections(text: &str, max: usize) -> Vec<String> {
    let mut pieces = Pieces { max, done: Vec::new(), piece: String::new(), used: 0 };
    for line in text.split_inclusive('\n') {
        let whole: usize = line.chars().map(units).sum();
        if whole <= max && pieces.used + whole > max {
            pieces.end();
        }
        line.chars().for_each(|c| pieces.push(c));
    }
    pieces.end();
    pieces.done
}

/// How many UTF-16 units a character takes, escaped.
fn units(c: char) -> usize {
    escape(c).map_or(c.len_utf16(), str::len)
}

/// A text that is cut as it is written.
struct Pieces {
    max: usize,
    done: Vec<String>,
    piece: String,
    used: usize,
}

impl Pieces {
    fn push(&mut self, c: char) {
        if self.used + units(c) > self.max {
            self.end();
        }
        self.used += units(c);
        match escape(c) {
            Some(text) => self.piece.push_str(text),
            None => self.piece.push(c),
        }
    }

    fn end(&mut self) {
        let piece = std::mem::take(&mut self.piece);
        self.used = 0;
        if !piece.trim().is_empty() {
            self.done.push(piece);
        }
    }
}
