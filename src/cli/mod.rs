//! The command line: global flags, dispatch, context, output, completion. Domain rules are elsewhere.

pub(crate) mod arg;
pub(crate) mod complete;
pub(crate) mod cx;
mod engines;
mod offers;
pub(crate) mod out;
pub(crate) mod progress;
pub(crate) mod report;
mod unparsed;

use crate::base::error::{Error, Kind};
use crate::base::exit::{self, Exit};
use crate::base::format::Format;
use crate::commands::Command;
use crate::config::env::Env;
use clap::{CommandFactory as _, Parser};
use cx::Cx;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Versions, evaluates, promotes and rolls back LLM and RAG systems, with an audit trail a stranger can verify
#[derive(Parser, Debug)]
#[command(name = "kf", version, max_term_width = 100, disable_help_subcommand = true)]
#[command(
    after_long_help = "Examples:\n  kf demo                              see a release from end to end\n  kf init && kf status                 start in this directory\n  kf register bot config/              a new version of a model\n  kf promote bot --to production       release it, if its gates pass\n\nExit codes: 0 done or pass, 1 failed, 2 usage, 3 no, 4 inconclusive, 5 partly done, 10 no state, 11 locked."
)]
pub struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes. An id that a command uses for an argument of its own would give it the flag's value.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct Global {
    /// How the report is written: table, json, jsonl, csv or markdown
    #[arg(long, global = true, value_name = "FORMAT", env = "KF_FORMAT", hide_env_values = true, value_parser = format_of, help_heading = "Global options")]
    pub(crate) format: Option<Format>,
    /// Say nothing when all is well, and else the report in the format that was asked for
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub(crate) quiet: bool,
    /// Do everything but the change itself
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) dry_run: bool,
    /// Answer yes to questions
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub(crate) yes: bool,
    /// Act in this name; asserted, not proven
    // An id of its own: clap takes an argument of a command with the same id for this one.
    #[arg(
        id = "global-as",
        long = "as",
        global = true,
        value_name = "ACTOR",
        value_parser = arg::actor(),
        env = "KF_AS",
        hide_env_values = true,
        help_heading = "Global options"
    )]
    pub(crate) actor: Option<String>,
    /// Use this profile of mlops.toml
    #[arg(long, global = true, value_name = "NAME", env = "KF_PROFILE", hide_env_values = true, help_heading = "Global options")]
    pub(crate) profile: Option<String>,
    /// Wait this long for another writer, such as 30s or 5m
    #[arg(long, global = true, value_name = "TIME", value_parser = duration_of, help_heading = "Global options")]
    pub(crate) lock_timeout: Option<Duration>,
    /// Use this many threads (default: all cores)
    #[arg(long, global = true, value_name = "N", env = "KF_JOBS", hide_env_values = true, help_heading = "Global options")]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// Run as if started in this directory
    #[arg(id = "global-dir", short = 'C', global = true, value_name = "DIR", help_heading = "Global options")]
    pub(crate) dir: Option<PathBuf>,
}

/// Nothing is set when a shell asks for completions.
impl Global {
    pub(crate) fn for_completion() -> Self {
        Self {
            format: None,
            quiet: true,
            dry_run: false,
            yes: false,
            actor: None,
            profile: None,
            lock_timeout: Some(Duration::ZERO),
            jobs: None,
            dir: None,
        }
    }
}

fn duration_of(text: &str) -> Result<Duration, String> {
    crate::config::duration(text)
}

fn format_of(text: &str) -> Result<Format, String> {
    text.parse()
}

/// Runs the program: parses the arguments, runs the command, says how it ended.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let env = Env::from_process();
    complete::serve(&env);
    std::panic::set_hook(Box::new(|info| {
        if !crate::base::guard::is_guarded() {
            out::bug(&info.to_string());
        }
    }));
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(e) => return unparsed::end(e, &args, &env),
    };
    let cx = match Cx::new(cli.global, env) {
        Ok(cx) => cx,
        Err(failed) => {
            let (out, e) = *failed;
            return end(&out, Err(e));
        }
    };
    let done = cli.command.run(&cx);
    end(&cx.out, done)
}

fn end(out: &out::Out, done: Result<Exit, Error>) -> ExitCode {
    match done {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(e) => {
            out.error(&e);
            if e.kind() == Kind::Bug {
                out.warn("hint: this is a bug of kf; please report it with the command you ran");
            }
            ExitCode::from(exit::code_of(e.kind()))
        }
    }
}

/// The definition of the command line, for completion, man pages and the tests of the surface.
pub fn command() -> clap::Command {
    Cli::command()
}
