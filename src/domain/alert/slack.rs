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
    let mut sections = sections(&body(message, &title));
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

fn escape(c: char, into: &mut String) {
    match c {
        '&' => into.push_str("&amp;"),
        '<' => into.push_str("&lt;"),
        '>' => into.push_str("&gt;"),
        c => into.push(c),
    }
}

/// The beginning of a text that fits when it is escaped.
fn escaped(text: &str, max: usize) -> String {
    sections_of(text, max).into_iter().next().unwrap_or_default()
}

fn sections(body: &str) -> Vec<String> {
    sections_of(body, TEXT_MAX)
}

/// An escaped text in pieces that fit, cut between lines where a line fits.
fn sections_of(text: &str, max: usize) -> Vec<String> {
    let units = |text: &str| text.encode_utf16().count();
    let mut pieces: Vec<String> = Vec::new();
    let mut piece = String::new();
    for line in text.split_inclusive('\n') {
        let mut whole = String::new();
        line.chars().for_each(|c| escape(c, &mut whole));
        if units(&piece) + units(&whole) > max {
            pieces.push(std::mem::take(&mut piece));
        }
        if units(&whole) <= max {
            piece.push_str(&whole);
            continue;
        }
        for c in line.chars() {
            let mut one = String::new();
            escape(c, &mut one);
            if units(&piece) + units(&one) > max {
                pieces.push(std::mem::take(&mut piece));
            }
            piece.push_str(&one);
        }
    }
    pieces.push(piece);
    // A section must hold something.
    pieces.retain(|piece| !piece.trim().is_empty());
    pieces
}
