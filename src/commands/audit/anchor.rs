//! `kf audit anchor`: puts the signed head of the log where an attacker on the state cannot reach it: into Git.

use super::{entries, sign_tail};
use crate::adapters::git;
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::exit::Exit;
use crate::cli::cx::Cx;
use crate::cli::out::sentences;
use crate::cli::report::{Block, Report};
use crate::domain::audit::prove::{self, Stored};
use crate::domain::audit::verify::Anchor;
use crate::store::{Mode, Store, log};
use serde::Serialize;
use std::path::PathBuf;

/// Where in the repository the anchor is.
pub(super) const PATH: &str = "audit/checkpoint";

/// Commit the newest signed checkpoint to Git as audit/checkpoint
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf audit anchor && git push\n  kf audit anchor --no-commit\n\n`kf audit verify` compares the log with it. Only a checkpoint outside the state shows that an older copy of it was put back."
)]
pub(crate) struct Args {
    /// Write the file and leave the commit to you
    #[arg(long)]
    no_commit: bool,
}

#[derive(Serialize)]
struct Anchored {
    path: PathBuf,
    size: u64,
    root: Digest,
    changed: bool,
    commit: Option<String>,
}

impl Report for Anchored {
    const SCHEMA: &'static str = "kf.audit-anchor/1";

    fn blocks(&self) -> Vec<Block> {
        sentences([self.summary()])
    }

    fn summary(&self) -> String {
        let how = match (&self.commit, self.changed) {
            (Some(commit), _) => format!("committed as {}", commit.chars().take(12).collect::<String>()),
            (None, true) => "written".to_owned(),
            (None, false) => "there already".to_owned(),
        };
        format!("{PATH} at {} ({}) is {how}", entries(self.size), self.root)
    }
}

/// The anchor of this repository, if there is one.
fn read(cx: &Cx) -> Result<Option<Vec<u8>>> {
    match std::fs::read(cx.project()?.root.join(PATH)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).context(|| format!("cannot read `{PATH}`")),
    }
}

/// The most committed versions that are compared: anchors are few, and the newest of them imply the others.
const VERSIONS_MAX: usize = 50;

/// Every anchor of this log in this repository: the file, and what is committed of it, which stays when the file is deleted or
/// overwritten. Older versions that are checkpoints of another log belong to a state that was here before.
pub(in crate::commands) fn all(cx: &Cx, store: &Store) -> Result<Vec<Anchor>> {
    let path = cx.project()?.root.join(PATH);
    let file = read(cx)?;
    let mut anchors = Vec::new();
    if let Some(bytes) = &file {
        anchors.push(Anchor::read(PATH, bytes)?);
    }
    // A head that cannot be read is found elsewhere, and no version is passed over for it.
    let origin = log::head(&store.db()).ok().map(|head| head.origin);
    for version in git::committed(&path, VERSIONS_MAX)? {
        if file.as_ref() == Some(&version.bytes) {
            continue;
        }
        let name = format!("{PATH} of commit {}", version.commit.chars().take(12).collect::<String>());
        let other = |a: &Anchor| origin.as_ref().is_some_and(|origin| a.checkpoint().origin != *origin);
        match Anchor::read(&name, &version.bytes) {
            Ok(anchor) if !version.in_head && other(&anchor) => {}
            Ok(anchor) => anchors.push(anchor),
            Err(e) => cx.out.warn(&format!("warning: {e}")),
        }
    }
    Ok(anchors)
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let path = cx.project()?.root.join(PATH);
    let store = cx.store(Mode::Write)?;
    let anchors = all(cx, &store)?;
    store.read(|view| {
        // An anchor that the log does not continue is evidence: it is not overwritten.
        for anchor in &anchors {
            let known = anchor.checkpoint();
            if known.origin != log::head(view.db())?.origin {
                return Err(Error::of(
                    Kind::Broken,
                    format!("`{}` is a checkpoint of another log, `{}`", anchor.name(), known.origin),
                )
                .hint(format!("if the state was made anew, take `{PATH}` out of Git in a commit of its own")));
            }
            prove::consistency(view, known.size, Some(&known.root))
                .context(|| format!("the log does not continue `{}`", anchor.name()))
                .hint(|| "run `kf audit verify`: it was rolled back or rewritten, or this is a fork".into())
                .map_err(|e| if matches!(e.kind(), Kind::Locked | Kind::Bug) { e } else { e.kind_of(Kind::Broken) })?;
        }
        Ok(())
    })?;
    sign_tail(cx, &store)?;
    let Stored { checkpoint, note } = store.read(prove::checkpoint)?;
    let before = read(cx)?.map(|bytes| Anchor::read(PATH, &bytes)).transpose()?;
    let changed = before.as_ref().is_none_or(|b| *b.checkpoint() != checkpoint);
    let mut commit = None;
    if !cx.global.dry_run {
        if changed {
            write(&path, &note.to_string())?;
        }
        if !args.no_commit {
            commit = git::commit_file(&path, &format!("Anchor the audit log at {}\n", entries(checkpoint.size)))
                .hint(|| "`kf audit anchor --no-commit` only writes the file".into())?;
        }
    }
    cx.out.emit(&Anchored { path, size: checkpoint.size, root: Digest::from_bytes(checkpoint.root), changed, commit })
}

fn write(path: &std::path::Path, text: &str) -> Result<()> {
    let dir = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    dir.and_then(|()| std::fs::write(path, text)).context(|| format!("cannot write `{}`", path.display()))
}
