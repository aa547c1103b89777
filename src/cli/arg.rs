//! Texts of the command line that are kept: how long they may be.
//!
//! A ticket stands in the audit log, whose entries have at most 65,535 bytes, and in an index of PostgreSQL, whose rows have at
//! most 2,704 (a third of a page); a name too stands in such an index. Clap would repeat the text that it refuses.

use crate::base::error;
use crate::base::quantity::{PicoUsd, TokenPrice};
use crate::release::evaluate::ReportFile;
use crate::release::judging::CacheMode;
use clap::builder::{StringValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Command, Error};
use std::ffi::OsStr;

/// The longest ticket, in bytes: an id or a URL.
const TICKET_MAX: usize = 1_000;
/// The longest reason, in bytes: some pages.
const REASON_MAX: usize = 10_000;
/// The longest name of who acts, in bytes.
const ACTOR_MAX: usize = 500;

/// Reads a text of limited length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limited {
    max: usize,
    may_be_empty: bool,
    /// Some lines, or one word that stands in tables and in an index.
    lines: bool,
    instead: &'static str,
}

/// A ticket.
pub(crate) fn ticket() -> Limited {
    Limited { max: TICKET_MAX, may_be_empty: true, lines: false, instead: "give its id or its URL" }
}

/// A reason.
pub(crate) fn reason() -> Limited {
    Limited { max: REASON_MAX, may_be_empty: true, lines: true, instead: "say it shorter, or name a ticket that says it" }
}

/// Who acts.
pub(crate) fn actor() -> Limited {
    Limited { max: ACTOR_MAX, may_be_empty: false, lines: false, instead: "give a name or an e-mail address" }
}

/// An error of a value with its hints, for clap, which shows one text.
pub(crate) fn told_in_a_line(e: &error::Error) -> String {
    std::iter::once(e.to_string()).chain(e.hints().iter().cloned()).collect::<Vec<_>>().join("; ")
}

/// US dollars, as a limit of what may be spent.
pub(crate) fn money_of(text: &str) -> Result<PicoUsd, String> {
    // Millionths of a dollar are the finest that people write.
    let micro = TokenPrice::parse(text).and_then(|p| i64::try_from(p.0).ok()).and_then(|m| m.checked_mul(1_000_000));
    micro.map(PicoUsd).ok_or_else(|| "expected US dollars, such as 2 or 0.50".to_owned())
}

/// What answers are used for that are kept.
pub(crate) fn cache_of(text: &str) -> Result<CacheMode, String> {
    text.parse()
}

/// Where a file of a report goes, of one of these kinds: `KIND=PATH`.
pub(crate) fn report_file(text: &str, kinds: &[&str]) -> Result<ReportFile, String> {
    let (kind, path) = text.split_once('=').ok_or("expected KIND=PATH")?;
    if !kinds.contains(&kind) {
        return Err(format!("`{kind}` is not one of: {}", kinds.join(", ")));
    }
    Ok(ReportFile { kind: kind.to_owned(), path: path.into() })
}

impl TypedValueParser for Limited {
    type Value = String;

    fn parse_ref(&self, cmd: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<String, Error> {
        let text = StringValueParser::new().parse_ref(cmd, arg, value)?;
        let name = arg.map(ToString::to_string).unwrap_or_default();
        let wrong = match text.len() {
            _ if text.trim().is_empty() && !self.may_be_empty => format!("`{name}` is empty"),
            _ if !self.lines && text.contains(char::is_control) => format!("`{name}` holds a control character"),
            n if n > self.max => format!("`{name}` is {n} bytes long, at most {} are kept", self.max),
            _ => return Ok(text),
        };
        let message = format!("{wrong}\n\n  tip: {}\n\nFor more information, try '--help'.\n", self.instead);
        Err(Error::raw(ErrorKind::ValueValidation, message).with_cmd(cmd))
    }
}
