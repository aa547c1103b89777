//! `kf alert test`: one message through one channel, now.

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::config::AlertKind;
use crate::domain::alert::Alert;
use crate::release::alert::{With, channel, message_of, notifier};
use crate::seams::notifier::{Act, Severity, Told};
use serde::Serialize;

/// Send a test message through one channel, and print what its receiver answered
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf alert test oncall\n\nThe message says that it is a test; PagerDuty makes an incident of it, of severity info. Nothing is recorded.\nExits 3 when the receiver refuses it, 5 when it refuses some of several people, 1 when it cannot be reached."
)]
pub(crate) struct Args {
    /// The channel: the NAME of an `[alerts.NAME]` of mlops.toml
    name: Name,
}

#[derive(Serialize)]
struct Tested {
    name: Name,
    kind: AlertKind,
    /// The id of the message.
    id: String,
    /// Null when nothing was sent.
    taken: Option<bool>,
    /// What was answered, or why it was refused.
    answer: String,
    /// Which of several people were refused, and why.
    lost: Option<String>,
    hints: Vec<String>,
}

impl Report for Tested {
    const SCHEMA: &'static str = "kf.alert-test/1";

    fn blocks(&self) -> Vec<Block> {
        let hints: String = self.hints.iter().map(|hint| format!("\nhint: {hint}")).collect();
        vec![format!("{}{hints}", self.summary()).into()]
    }

    fn summary(&self) -> String {
        let said = match self.taken {
            Some(true) => "took the message",
            Some(false) => "refused the message",
            None => return format!("alerts.{} ({}) would be sent a message", self.name, self.kind),
        };
        let lost = self.lost.as_ref().map(|lost| format!("; {lost}")).unwrap_or_default();
        format!("alerts.{} ({}) {said} {}: {}{lost}", self.name, self.kind, self.id, self.answer)
    }

    fn exit(&self) -> Exit {
        match self.taken {
            Some(false) => Exit::No,
            _ if self.lost.is_some() => Exit::Partial,
            _ => Exit::Ok,
        }
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let loaded = cx.project()?;
    let project = &loaded.project;
    let alerts = channel(project, args.name.as_str())?;
    let notifier = notifier(alerts, With { project, root: &loaded.root, secret: &|reference| cx.secret(reference) })?;
    let (now, name) = (cx.clock.now(), &args.name);
    let alert = Alert {
        about: format!("test/{name}"),
        act: Act::Trigger,
        severity: Severity::Info,
        title: format!("test of alerts.{name}: nothing is wrong"),
        body: format!("`kf alert test {name}` sent this to see whether it arrives."),
        facts: vec![("test".to_owned(), "true".to_owned())],
    };
    let id = cx.random.uuid(now).to_string();
    // It needs no state, so its key is the project's, which no alert has.
    let message = message_of(&format!("kf/{}/test", project.project.name), &id, &alert, now);
    let mut tested =
        Tested { name: name.clone(), kind: alerts.kind(), id, taken: None, answer: String::new(), lost: None, hints: Vec::new() };
    if cx.global.dry_run {
        return cx.out.emit(&tested);
    }
    match notifier.tell(&message, now) {
        Told::Taken(answer) => (tested.taken, tested.answer) = (Some(true), answer),
        Told::Partly(answer, e) => {
            (tested.taken, tested.answer) = (Some(true), answer);
            (tested.lost, tested.hints) = (Some(e.to_string()), e.hints().to_vec());
        }
        Told::Refused(e) => (tested.taken, tested.answer, tested.hints) = (Some(false), e.to_string(), e.hints().to_vec()),
        Told::Missed(e, _) => return Err(e),
    }
    cx.out.emit(&tested)
}
