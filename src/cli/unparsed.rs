//! What is said when the command line has no command to run: help, version, or what is wrong with it.

use super::out::json_error;
use crate::base::format::Format;
use crate::base::text::visible;
use crate::config::env::{self, Env};
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

/// How much of a wrong value is shown, in characters.
const SHOWN_MAX: usize = 80;

/// Says it and gives the exit code: 0 for help and version, 2 for a usage error, 1 when it cannot be written.
pub(super) fn end(mut e: Error, args: &[OsString], env: &Env) -> ExitCode {
    let tip = lost_value(&e, args);
    for kind in [ContextKind::InvalidValue, ContextKind::InvalidArg, ContextKind::InvalidSubcommand] {
        if let Some(ContextValue::String(value)) = e.get(kind).cloned() {
            let shown = visible(&value, SHOWN_MAX);
            if shown != value {
                // The tips repeat the word as it was.
                e.remove(ContextKind::Suggested);
            }
            e.insert(kind, ContextValue::String(shown));
        }
    }
    if let Some(tip) = tip {
        // The usage line would show the two words that were refused together.
        e.remove(ContextKind::Usage);
        e.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    let said = if e.use_stderr() && wants_json(args, env) { as_json(&e) } else { e.print() };
    match said {
        // A reader that went away is not an error.
        Err(io) if io.kind() != std::io::ErrorKind::BrokenPipe && !e.use_stderr() => {
            let _ = writeln!(std::io::stderr().lock(), "error: cannot write to standard output\ncaused by: {io}");
            ExitCode::from(1)
        }
        _ => ExitCode::from(u8::try_from(e.exit_code()).unwrap_or(2)),
    }
}

/// The option whose value is optional, so that it must stand behind `=`: what follows a space is taken for the model.
const CHANGED: &str = "--changed";

/// What to type where the value of such an option stands behind a space.
fn lost_value(e: &Error, args: &[OsString]) -> Option<String> {
    let words: Vec<&str> = args.iter().filter_map(|a| a.to_str()).take_while(|a| *a != "--").collect();
    let value = words.windows(2).find(|pair| pair[0] == CHANGED && !pair[1].starts_with('-'))?[1];
    let refused = match e.kind() {
        ErrorKind::ArgumentConflict => true,
        ErrorKind::ValueValidation => {
            matches!(e.get(ContextKind::InvalidValue), Some(ContextValue::String(text)) if text == value)
        }
        _ => false,
    };
    refused.then(|| format!("to compare with `{0}` write `{CHANGED}={0}`", visible(value, SHOWN_MAX)))
}

/// Whether errors are to be JSON: what could not be parsed is asked for that word alone.
fn wants_json(args: &[OsString], env: &Env) -> bool {
    let json = |text: &str| matches!(text.parse(), Ok(Format::Json | Format::Jsonl));
    let mut words = args.iter().filter_map(|a| a.to_str()).take_while(|a| *a != "--");
    while let Some(word) = words.next() {
        let value = if word == "--format" { words.next() } else { word.strip_prefix("--format=") };
        if let Some(value) = value {
            return json(value);
        }
    }
    env.text(env::KF_FORMAT).is_some_and(json)
}

/// The first paragraph is the error, what follows helps.
fn as_json(e: &Error) -> std::io::Result<()> {
    let text = e.render().to_string();
    let mut paragraphs = text.split("\n\n").map(|p| p.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|p| !p.is_empty());
    let first = paragraphs.next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(&first);
    writeln!(std::io::stderr().lock(), "{}", json_error(first, &[], &paragraphs.collect::<Vec<_>>()))
}
