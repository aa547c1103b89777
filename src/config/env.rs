//! The environment as a value: a snapshot taken once in `main`, and every variable that kf reads, with what it means.
//!
//! Nothing else in kf asks the process for its environment, so a test decides what is set. A variable that is set to
//! nothing counts as not set.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;

/// One variable that kf reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name; a trailing `*` stands for every name that begins so.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub doc: &'static str,
}

macro_rules! variables {
    ($($name:ident = $text:literal, $doc:literal;)+) => {
        $(#[doc = $doc] pub const $name: &str = $text;)+

        /// Every variable that kf reads, its own first.
        pub const VARIABLES: &[Variable] = &[$(Variable { name: $text, doc: $doc }),+];
    };
}

variables! {
    KF_DIR = "KF_DIR", "Directory to start looking for `mlops.toml` in; `-C` wins over it.";
    KF_PROFILE = "KF_PROFILE", "The `[profile.NAME]` of mlops.toml to use; `--profile` wins over it.";
    KF_FORMAT = "KF_FORMAT", "Output format when `--format` is not given: table, json, jsonl, csv or markdown.";
    KF_AS = "KF_AS", "Who acts, when `--as` is not given.";
    KF_STATE_URL = "KF_STATE_URL", "Takes the place of `state.url`.";
    KF_ARTIFACTS_URL = "KF_ARTIFACTS_URL", "Takes the place of `artifacts.url`.";
    KF_LOCK_TIMEOUT = "KF_LOCK_TIMEOUT", "Takes the place of `state.lock-timeout`, such as `30s`.";
    KF_JOBS = "KF_JOBS", "How many things to do at a time, when `--jobs` is not given.";
    KF_LOG = "KF_LOG", "What to log on stderr: error, warn, info, debug or trace.";
    KF_NO_PROGRESS = "KF_NO_PROGRESS", "Set to anything: no progress bars.";
    KF_CLOCK = "KF_CLOCK", "For tests only: the RFC 3339 time at which a clock starts that steps by a millisecond.";
    KF_SEED = "KF_SEED", "For tests only: the seed of ids and salts, which are then the same in every run.";
    KF_LOG_KEY = "KF_LOG_KEY", "The key that signs the audit log, itself; takes the place of `signing.log-key`.";
    NO_COLOR = "NO_COLOR", "Set to anything: no colours.";
    TERM = "TERM", "`dumb`: no colours on a terminal.";
    CLICOLOR_FORCE = "CLICOLOR_FORCE", "Set to anything but 0: colours even into a pipe.";
    CI = "CI", "Set to anything: kf runs unattended, so no progress bars and no questions.";
    GITHUB_ACTIONS = "GITHUB_ACTIONS", "`true` inside GitHub Actions.";
    GITHUB_STEP_SUMMARY = "GITHUB_STEP_SUMMARY", "The file that takes Markdown for the summary of a GitHub step; counts where `GITHUB_ACTIONS` is `true`.";
    GITHUB_OUTPUT = "GITHUB_OUTPUT", "The file that takes the outputs of a GitHub step; counts where `GITHUB_ACTIONS` is `true`.";
    GITHUB_BASE_REF = "GITHUB_BASE_REF", "The branch that a pull request goes into: what `kf eval --changed` compares with, as `origin/BRANCH`.";
    COLUMNS = "COLUMNS", "Width of tables in characters, when it cannot be asked of the terminal.";
    PATH = "PATH", "Where programs are that are named without a `/`.";
    HOME = "HOME", "The home directory.";
    USER = "USER", "Who acts, when neither `--as` nor `KF_AS` nor Git says so.";
    PAGER = "PAGER", "The program that shows long lists on a terminal.";
    AWS = "AWS_*", "Credentials, region and endpoint of S3, as the AWS tools read them, where mlops.toml gives none.";
}

/// A snapshot of the environment.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Env(BTreeMap<OsString, OsString>);

impl Env {
    /// A snapshot of these variables; `main` passes `std::env::vars_os()`, a test what it needs.
    pub fn new<K: Into<OsString>, V: Into<OsString>>(variables: impl IntoIterator<Item = (K, V)>) -> Self {
        Self(variables.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }

    /// The environment of this process.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the process")]
    pub fn from_process() -> Self {
        Self::new(std::env::vars_os())
    }

    /// The value of a variable that is a secret.
    pub fn secret(&self, name: &str) -> Option<super::secret::Secret> {
        self.text(name).map(|v| super::secret::Secret::new(v.to_owned()))
    }

    /// The value of a variable, of any bytes; `None` when it is not set or empty.
    pub fn os(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str).filter(|v| !v.is_empty())
    }

    /// The value of a variable; `None` when it is not set, empty, or not UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.os(name)?.to_str()
    }

    /// True when a variable is set to something.
    pub fn is_set(&self, name: &str) -> bool {
        self.os(name).is_some()
    }

    /// The variables whose name begins with `prefix` and whose name and value are UTF-8, in the order of their names.
    pub fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let text = self.0.iter().filter_map(|(k, v)| Some((k.to_str()?, v.to_str()?)));
        text.filter(move |(k, v)| k.starts_with(prefix) && !v.is_empty())
    }
}

/// Shows names only: any value may be a secret.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_counts_as_not_set() {
        let env = Env::new([("A", "1"), ("B", ""), ("AB", "2")]);
        assert_eq!((env.text("A"), env.text("B"), env.text("C")), (Some("1"), None, None));
        assert!(env.is_set("A") && !env.is_set("B"));
        assert_eq!(env.with_prefix("A").collect::<Vec<_>>(), [("A", "1"), ("AB", "2")]);
    }

    #[test]
    fn debug_shows_no_value() {
        assert_eq!(format!("{:?}", Env::new([("TOKEN", "hunter2")])), "{\"TOKEN\"}");
    }

    #[test]
    fn variables_are_listed_once_with_a_sentence() {
        let names: std::collections::BTreeSet<_> = VARIABLES.iter().map(|v| v.name).collect();
        assert_eq!(names.len(), VARIABLES.len());
        assert!(VARIABLES.iter().all(|v| v.doc.ends_with('.')), "a sentence ends");
        assert!(names.contains(KF_STATE_URL) && names.contains("AWS_*"));
    }
}
