//! A runbook: what happened, how long getting over it may take, who and what is needed, and steps of one command each.

use super::line::Line;
use crate::base::name::words;
use crate::base::text::markdown;
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use std::fmt::Write as _;

words! {
    /// What happened.
    Scenario, "scenario" {
        /// The place where everything runs is gone for hours.
        RegionalOutage = "regional-outage",
        /// Data of a tenant are wrong.
        DataCorruption = "data-corruption",
        /// Nothing is left but the backups.
        CompleteFailure = "complete-failure",
        /// A key is gone or known to others.
        LostKey = "lost-key",
        /// Users got a version that is worse.
        BadRelease = "bad-release",
        /// Somebody with our credentials encrypted or altered what there is.
        Ransomware = "ransomware",
    }
}

impl Scenario {
    /// A line on it.
    pub const fn what(self) -> &'static str {
        match self {
            Self::RegionalOutage => "The place where everything runs is gone for hours; the backups are not.",
            Self::DataCorruption => "Documents or vectors of a tenant are wrong; everything else is right.",
            Self::CompleteFailure => "Nothing is left but the backups and the key that reads them.",
            Self::LostKey => "The key that reads backups, or the one that signs the audit log, is gone or known to others.",
            Self::BadRelease => "Users got a version that is worse than the one before.",
            Self::Ransomware => "Somebody with our credentials encrypted, removed or altered what there is, perhaps long ago.",
        }
    }

    /// How many minutes it may take (000 §7.3; the way back of a release from §3).
    pub const fn target_minutes(self) -> u32 {
        match self {
            Self::RegionalOutage => 4 * 60,
            Self::DataCorruption => 2 * 60,
            Self::CompleteFailure | Self::Ransomware => 6 * 60,
            Self::LostKey => 24 * 60,
            Self::BadRelease => 5,
        }
    }
}

words! {
    /// Who takes a step.
    Role, "role" {
        /// Decides, and tells others.
        Commander = "commander",
        /// Types.
        Operator = "operator",
        /// Has the keys that are kept elsewhere.
        KeyHolder = "key holder",
    }
}

/// What has to be known before the first step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Variable {
    /// Its name in a shell.
    pub name: String,
    /// What it holds.
    pub means: String,
    /// One that could be.
    pub example: String,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it does.
    pub what: String,
    /// Who takes it.
    pub who: Role,
    /// How many minutes it should take.
    pub minutes: u32,
    /// The command.
    pub line: Line,
    /// True when it changes nothing that is in use.
    pub harmless: bool,
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut fields = s.serialize_struct("Step", 5)?;
        fields.serialize_field("what", &self.what)?;
        fields.serialize_field("who", &self.who)?;
        fields.serialize_field("minutes", &self.minutes)?;
        fields.serialize_field("command", &self.line.to_string())?;
        fields.serialize_field("harmless", &self.harmless)?;
        fields.end()
    }
}

/// A runbook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Runbook {
    /// What happened.
    pub scenario: Scenario,
    /// A line on it.
    pub what: &'static str,
    /// How many minutes it may take.
    pub target_minutes: u32,
    /// Who and what is needed.
    pub needs: Vec<String>,
    /// What `mlops.toml` does not say, and so no step does.
    pub gaps: Vec<String>,
    /// What has to be known first.
    pub set: Vec<Variable>,
    /// The steps.
    pub steps: Vec<Step>,
}

impl Runbook {
    /// The text for people.
    pub fn markdown(&self, project: &str) -> String {
        let mut text = format!("# {}: {}\n\n{}\n\n", markdown(project), self.scenario, self.what);
        let minutes: u32 = self.steps.iter().map(|step| step.minutes).sum();
        put(&mut text, format_args!("Target: {}; the steps add up to {}.\n", long(self.target_minutes), long(minutes)));
        list(&mut text, "Needed", self.needs.iter().cloned());
        list(&mut text, "Not said in mlops.toml, so no step does it", self.gaps.iter().cloned());
        if !self.set.is_empty() {
            text.push_str("\n## First\n\n");
            let lines: Vec<String> = self.set.iter().map(|of| format!("export {}={}", of.name, quoted(&of.example))).collect();
            text.push_str(&block(&lines.join("\n")));
            list(&mut text, "", self.set.iter().map(|of| format!("`{}`: {}", of.name, of.means)));
        }
        text.push_str("\n## Steps\n");
        for (at, step) in self.steps.iter().enumerate() {
            let harmless = if step.harmless { ", changes nothing" } else { "" };
            put(&mut text, format_args!("\n{}. {} ({}, {} min{harmless})\n\n", at + 1, step.what, step.who, step.minutes));
            text.push_str(&block(&step.line.to_string()));
        }
        text
    }
}

/// Writing to a text does not fail.
fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(what);
}

fn list(text: &mut String, title: &str, items: impl Iterator<Item = String>) {
    let items: Vec<String> = items.map(|item| format!("- {item}\n")).collect();
    if items.is_empty() {
        return;
    }
    match title {
        "" => text.push('\n'),
        title => put(text, format_args!("\n{title}:\n\n")),
    }
    text.push_str(&items.concat());
}

fn quoted(text: &str) -> String {
    super::line::Word::from(text).to_string()
}

/// A block of commands, which no line of it can end.
fn block(lines: &str) -> String {
    let longest = lines.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}sh\n{lines}\n{fence}\n")
}

/// Minutes, for people.
pub fn long(minutes: u32) -> String {
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} minutes"),
        (hours, 0) => format!("{hours} hours"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}
