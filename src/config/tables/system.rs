//! `[system]`: how a version answers a question when it is evaluated.

use crate::base::name::words;
use crate::config::check::{CheckOne, Checker, sounds_secret};
use crate::config::diag::Diagnostic;
use crate::config::path::RepoPath;
use crate::config::secret::SecretRef;
use crate::config::shape::{At, Free, Item, Layer, Leaf, Part as _, Walk, shown, table};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;
use toml::Spanned;
use toml::de::DeValue;

words! {
    /// Where answers come from.
    SystemKind, "kind of system" {
        /// From a file, answered before.
        Recorded = "recorded",
        /// From a program that kf starts.
        Command = "command",
        /// From an HTTP service.
        Http = "http",
        /// From the documents that were taken in, by the retrieval settings of the version: sentences quoted with their sources.
        Builtin = "builtin",
    }
}

crate::config::leaf::word_leaf! { SystemKind, "kind of system"; }

table! {
    /// As written.
    RawSystem {
        /// Where answers come from.
        kind: At<SystemKind> = "kind", or SystemKind::Recorded;
        /// The program and its arguments (`command`).
        command: Option<At<Vec<Item<String>>>> = "command";
        /// Files and folders that the answers of the program depend on, relative to the repository (`command`).
        files: Option<At<Vec<Item<RepoPath>>>> = "files";
        /// The address that questions are posted to (`http`).
        url: Option<At<String>> = "url";
        /// How long an answer may take (`command`, `http`).
        timeout: At<Duration> = "timeout", or Duration::from_secs(60);
        /// How many questions are asked at a time (`command`, `http`).
        concurrency: At<NonZeroU32> = "concurrency", or NonZeroU32::new(4).unwrap_or(NonZeroU32::MIN);
        /// Headers of every request (`http`); a secret one as `env:NAME` or `file:PATH`, which holds the whole value.
        headers: Free<HeaderValue> = "headers";
    }
}

/// How a version answers a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum System {
    /// Answers were recorded before and come from a file.
    Recorded,
    /// The documents that were taken in answer.
    Builtin,
    /// A program answers.
    Command {
        /// The program and its arguments; at least the program.
        command: Vec<String>,
        /// Files and folders that its answers depend on.
        files: Vec<RepoPath>,
        /// How long an answer may take; not zero.
        timeout: Duration,
        /// How many questions are asked at a time; at least 1.
        concurrency: u32,
    },
    /// An HTTP service answers.
    Http {
        /// The address that questions are posted to.
        url: String,
        /// How long an answer may take; not zero.
        timeout: Duration,
        /// How many questions are asked at a time; at least 1.
        concurrency: u32,
        /// Headers of every request, by lower-case name.
        headers: BTreeMap<String, HeaderValue>,
    },
}

impl System {
    /// Files and folders of the repository that answers depend on, beside those of the version.
    pub fn files(&self) -> &[RepoPath] {
        match self {
            Self::Command { files, .. } => files,
            Self::Recorded | Self::Builtin | Self::Http { .. } => &[],
        }
    }

    /// The word that chooses it.
    pub fn kind(&self) -> SystemKind {
        match self {
            Self::Recorded => SystemKind::Recorded,
            Self::Builtin => SystemKind::Builtin,
            Self::Command { .. } => SystemKind::Command,
            Self::Http { .. } => SystemKind::Http,
        }
    }
}

/// The value of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderValue {
    /// Sent as it is: visible characters and spaces.
    Plain(String),
    /// The whole value is a secret.
    Secret(SecretRef),
}

impl Leaf for HeaderValue {
    fn read(value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>) -> Option<Self> {
        match value.get_ref().as_str() {
            Some(text) if text.starts_with("env:") || text.starts_with("file:") => SecretRef::read(value, walk).map(Self::Secret),
            _ => String::read(value, walk).map(Self::Plain),
        }
    }

    fn schema() -> Value {
        String::schema()
    }

    fn json(&self) -> Value {
        match self {
            Self::Plain(text) => json!(text),
            Self::Secret(reference) => reference.json(),
        }
    }
}

impl CheckOne for RawSystem {
    type Plain = System;
    fn check(&self, cx: &mut Checker<'_>) -> Option<System> {
        self.refuse_unused(cx);
        if self.timeout.value.is_zero() {
            cx.refuse(&self.timeout.spot, "`system.timeout` must not be zero", "write how long an answer may take: `60s`");
        }
        let (timeout, concurrency) = (self.timeout.value, self.concurrency.value.get());
        match self.kind.value {
            SystemKind::Recorded => Some(System::Recorded),
            SystemKind::Builtin => Some(System::Builtin),
            SystemKind::Command => {
                let files = self.files.iter().flat_map(|at| &at.value).map(|item| item.value.clone()).collect();
                Some(System::Command { command: self.program(cx)?, files, timeout, concurrency })
            }
            SystemKind::Http => {
                let headers = self.checked_headers(cx);
                let help = "take it out and add a header to `[system.headers]`: `authorization = \"env:NAME\"`";
                let Some(at) = &self.url else {
                    let problem = Diagnostic::new("a system of kind `http` needs `url`").at(&self.kind.spot);
                    cx.absent(problem.help("add `url = \"https://…\"`"));
                    return None;
                };
                let url = cx.url("system.url", at, &["https", "http"], help)?;
                Some(System::Http { url, timeout, concurrency, headers })
            }
        }
    }
}

impl RawSystem {
    fn refuse_unused(&self, cx: &mut Checker<'_>) {
        use SystemKind::{Command, Http};
        for (given, key, kinds) in [
            (self.command.given(), "command", &[Command] as &[SystemKind]),
            (self.files.given(), "files", &[Command]),
            (self.url.given(), "url", &[Http]),
            (self.timeout.given(), "timeout", &[Command, Http]),
            (self.concurrency.given(), "concurrency", &[Command, Http]),
            (self.headers.given(), "headers", &[Http]),
        ] {
            if !kinds.contains(&self.kind.value) {
                let kinds = kinds.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(" and ");
                let this = if self.kind.layer == Layer::BuiltIn { "without `kind` this one is" } else { "this one is" };
                let title = format!("`system.{key}` is for systems of kind {kinds}, {this} `{}`", self.kind.value);
                cx.unused(given, &self.kind, title);
            }
        }
    }

    fn program(&self, cx: &mut Checker<'_>) -> Option<Vec<String>> {
        let help = "write the program and its arguments: `command = [\"python\", \"answer.py\"]`";
        let Some(command) = &self.command else {
            cx.absent(Diagnostic::new("a system of kind `command` needs `command`").at(&self.kind.spot).help(help));
            return None;
        };
        if command.value.first().is_none_or(|program| program.value.trim().is_empty()) {
            cx.absent(Diagnostic::new("`system.command` names no program").at(&command.spot).help(help));
        }
        for item in command.value.iter().filter(|i| i.value.contains('\0')) {
            cx.refuse(&item.spot, "an argument cannot hold a NUL character", help);
        }
        Some(command.value.iter().map(|i| i.value.clone()).collect())
    }

    fn checked_headers(&self, cx: &mut Checker<'_>) -> BTreeMap<String, HeaderValue> {
        let mut headers = BTreeMap::new();
        for (name, at) in &self.headers.0 {
            // RFC 9110 §5.1: a field name is a token; §5.5: a value has visible characters, spaces and tabs.
            let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
            if name.is_empty() || !name.chars().all(token) {
                cx.refuse(&at.key, format!("`{}` cannot be the name of a header", shown(name)), "use letters, digits and `-`");
            }
            if let HeaderValue::Plain(text) = &at.value {
                if sounds_secret(name) {
                    cx.diags.hide(&at.spot);
                    let title = format!("the header `{}` must be a reference to a secret, not the secret itself", shown(name));
                    cx.refuse(&at.spot, title, "write `env:NAME` or `file:PATH`; a secret that was committed must be replaced");
                } else if text.chars().any(|c| c.is_control() && c != '\t') {
                    cx.refuse(&at.spot, format!("the header `{}` has control characters", shown(name)), "write it on one line");
                }
            }
            if headers.insert(name.to_ascii_lowercase(), at.value.clone()).is_some() {
                cx.refuse(
                    &at.key,
                    format!("the header `{}` is there twice", shown(name)),
                    "names of headers have no case; keep one",
                );
            }
        }
        headers
    }
}
