//! `kf ab show`, `kf ab list` and `kf ab assign`.

use super::doc::{Listed, TestDoc};
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::cli::cx::Cx;
use crate::cli::out::sentences;
use crate::cli::report::{Block, Report};
use crate::domain::ab::{Design, Variant, table};
use crate::store::Mode;
use serde::Serialize;

/// Show a test: what it compares, and what was recorded
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf ab show greeting\n  kf ab show greeting --format json")]
pub(crate) struct ShowArgs {
    /// The test
    name: Name,
}

/// List the tests, the newest first
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf ab list\n  kf ab list --format json")]
pub(crate) struct ListArgs {}

/// Print the variant and the version that a user gets, the same one every time
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf ab assign greeting --key user-17\n  kf ab assign greeting --key user-17 --format json\n\nNothing is written: the hash of the name of the test and of the key decides, as it does for `kf flag eval`."
)]
pub(crate) struct AssignArgs {
    /// The test
    name: Name,
    /// Who asks: the id of a user or of a session
    #[arg(long)]
    key: String,
}

#[derive(Serialize)]
struct Assigned {
    test: Name,
    key: String,
    variant: Variant,
    version: String,
    /// False once the test was stopped: everybody should get one version then.
    open: bool,
}

impl Report for Assigned {
    const SCHEMA: &'static str = "kf.ab-assign/1";

    fn blocks(&self) -> Vec<Block> {
        sentences([self.summary()])
    }

    fn summary(&self) -> String {
        format!("{} {}", self.variant, self.version)
    }
}

pub(super) fn assign(cx: &Cx, args: &AssignArgs) -> Result<Exit> {
    let test = cx.store(Mode::Read)?.read(|view| table::get(view, &args.name))?;
    if test.setup.design == Design::Paired {
        return Err(crate::base::error::Error::usage(format!("in the test {} each unit gets both versions", args.name))
            .hint("ask both, and record what each of them answered"));
    }
    if !test.open {
        cx.warn(&format!("the test {} was stopped: everybody should get one version", args.name));
    }
    let variant = test.setup.assigned(&args.key);
    let version = test.setup.arm(variant).reference();
    cx.out.emit(&Assigned { test: args.name.clone(), key: args.key.clone(), variant, version, open: test.open })
}

pub(super) fn show(cx: &Cx, args: &ShowArgs) -> Result<Exit> {
    let doc = cx.store(Mode::Read)?.read(|view| {
        let test = table::get(view, &args.name)?;
        Ok(TestDoc::of(&test, table::batches(view, &args.name)?))
    })?;
    cx.out.emit(&doc)
}

pub(super) fn list(cx: &Cx, _: &ListArgs) -> Result<Exit> {
    let tests = cx.store(Mode::Read)?.read(table::all)?;
    cx.out.emit(&Listed { tests: tests.iter().map(|test| TestDoc::of(test, Vec::new())).collect() })
}
