//! An alert as a report that people go on writing in: an issue, a file in the repository. Markdown with two marks that nobody sees:
//! of which condition it is, and which messages are in it already.
//!
//! Invariant: what an alert says stands in a fence that nothing in it can close, so no data becomes markup, calls somebody, or
//! passes for a mark.

use super::cut;
use crate::base::digest::Digest;
use crate::seams::notifier::{Act, Message};

/// The longest title of an issue on GitHub.
const TITLE_MAX: usize = 256;
/// The longest text: GitHub takes 65,536 characters.
const TEXT_MAX: usize = 60_000;

/// One line.
pub fn title(message: &Message) -> String {
    let title = if message.title.trim().is_empty() { &message.about } else { &message.title };
    cut(&title.split_whitespace().collect::<Vec<_>>().join(" "), TITLE_MAX)
}

/// The first text of an incident.
pub fn opened(message: &Message) -> String {
    format!("{}\n{}", mark_of_key(&message.key), said(message, message.body.trim_end()))
}

/// What is said of an incident that is open: with the title of then, because that of the incident tells how it began.
pub fn added(message: &Message) -> String {
    said(message, format!("{}\n{}", title(message), message.body).trim_end())
}

fn said(message: &Message, body: &str) -> String {
    let what = match message.act {
        Act::Trigger => format!("**{}** since {}", message.severity, message.at),
        Act::Resolve => format!("**Over** since {}", message.at),
    };
    let mut text = format!("{body}\n");
    for (name, value) in &message.facts {
        text.push_str(&format!("{name}: {value}\n"));
    }
    let text: String = text.chars().map(|c| if c.is_control() && !matches!(c, '\n' | '\t') { ' ' } else { c }).collect();
    let text = cut(&text, TEXT_MAX);
    let fence = "`".repeat(longest_run(&text, '`').max(2) + 1);
    format!(
        "{}\n{what}: `{}` of `{}`\n\n{fence}text\n{}\n{fence}\n",
        mark_of_id(&message.id),
        plain(&message.about),
        plain(&message.source),
        text.trim_end()
    )
}

/// Stands in what was opened for a condition.
pub fn mark_of_key(key: &str) -> String {
    format!("<!-- kf-incident {} -->", &Digest::of(key.as_bytes()).hex()[..32])
}

/// Stands where a message was said.
pub fn mark_of_id(id: &str) -> String {
    format!("<!-- kf-alert {} -->", &Digest::of(id.as_bytes()).hex()[..32])
}

/// Stands where an incident is over.
pub const OVER: &str = "<!-- kf-incident over -->";

/// Without what would end a code span or a line.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c == '`' || c.is_control() { '\'' } else { c }).collect()
}

fn longest_run(text: &str, of: char) -> usize {
    text.split(|c| c != of).map(|run| run.chars().count()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seams::notifier::Severity;
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Parser, Tag};

    fn message(title: &str, body: &str) -> Message {
        Message {
            id: "01a1fedd".to_owned(),
            key: "kf/shop/ab12/rollout/bot".to_owned(),
            about: "rollout/bot".to_owned(),
            source: "kf/shop".to_owned(),
            act: Act::Trigger,
            severity: Severity::Critical,
            title: title.to_owned(),
            body: body.to_owned(),
            facts: vec![("version".to_owned(), body.to_owned())],
            at: "2026-11-21T08:00:00Z".parse().expect("a time"),
        }
    }

    #[test]
    fn an_incident_says_what_when_and_of_what() {
        let text = opened(&message("bot was taken back", "errors 9 %"));
        assert!(text.starts_with(&mark_of_key("kf/shop/ab12/rollout/bot")), "{text}");
        assert!(text.contains("**critical** since 2026-11-21T08:00:00Z: `rollout/bot` of `kf/shop`"), "{text}");
        assert!(text.contains("```text\nerrors 9 %\nversion: errors 9 %\n```"), "{text}");
        let later = added(&message("bot\nwas taken back", "errors 9 %"));
        assert!(
            later.starts_with("<!-- kf-alert ") && later.contains("```text\nbot was taken back\nerrors 9 %\nversion"),
            "{later}"
        );
        assert_eq!(title(&message("a\nb\t c", "")), "a b c");
        assert_eq!(title(&message(" \n", "")), "rollout/bot");
    }

    proptest! {
        /// A reader of CommonMark finds all that an alert says in one code block.
        #[test]
        fn nothing_that_is_said_becomes_markup(title in "[`~<>!a @#\\n-]{0,20}", body in "[`~<>!a @#\\n-]{0,80}") {
            let text = added(&message(&title, &body));
            let mut blocks = Parser::new(&text).filter(|e| matches!(e, Event::Start(Tag::CodeBlock(_))));
            prop_assert!(blocks.next().is_some() && blocks.next().is_none(), "{}", text);
            let comments = Parser::new(&text).filter(|e| matches!(e, Event::Html(html) if html.contains("kf-"))).count();
            prop_assert_eq!(comments, 1, "{}", text);
        }
    }
}
