//! `kf backup keygen`: a key that reads backups.

use crate::adapters::{age, git};
use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::store::objects::atomic;
use serde::Serialize;
use std::path::PathBuf;

/// Make a key that reads backups; keep it where the backups are not
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf backup keygen -o backup.key\n\nWhoever loses it loses the backups: keep a copy where neither the backups nor this machine are."
)]
pub(crate) struct Args {
    /// The file, which must not be there yet
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Serialize)]
struct Made {
    recipient: String,
    file: PathBuf,
    /// The `.gitignore` that keeps it out of Git since now.
    gitignore: Option<PathBuf>,
}

impl Report for Made {
    const SCHEMA: &'static str = "kf.backup-keygen/1";

    fn blocks(&self) -> Vec<Block> {
        let text = format!(
            "[backup]\nrecipients = [\"{}\"]\nidentity = \"file:{}\"     # only where backups are read",
            self.recipient,
            self.file.display()
        );
        vec![self.summary().into(), Block::Verbatim(format!("mlops.toml:\n\n{text}"))]
    }

    fn summary(&self) -> String {
        let ignored = self.gitignore.as_ref().map(|_| "; .gitignore keeps it out of Git").unwrap_or_default();
        format!("{} reads what is encrypted for {}{ignored}", self.file.display(), self.recipient)
    }
}

pub(super) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let path = cx.cwd.join(&args.output);
    if path.exists() {
        return Err(Error::new(format!("{} is there already, and may be the only key that reads something", path.display()))
            .hint("name another file"));
    }
    let (key, recipient) = age::generate();
    let mut gitignore = None;
    if !cx.global.dry_run {
        // Before the key is there, so that no `git add .` ever sees it. A key may be made where there is no repository of kf.
        if let Ok(loaded) = cx.project() {
            gitignore = git::ignore_file(&path, &loaded.root)?;
        }
        atomic::write_file(&path, key.expose().as_bytes(), 0o600)?;
    }
    cx.out.emit(&Made { recipient, file: args.output.clone(), gitignore })
}
