//! `kf backup restore`: gets a set back into a new folder, one component into a server, or all in the place of what is in use.

use super::{Desk, Key, Planned, Trust, Which, configured, copy_at, load};
use crate::base::error::{Error, Kind, Result};
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::quantity::Bytes;
use crate::base::table::Table;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::out::sentences;
use crate::cli::progress;
use crate::cli::report::{Block, Report};
use crate::commands::gc::waiting;
use crate::config::SecretRef;
use crate::domain::backup::manifest::Found;
use crate::release::backup::erasures::{Asked, Erased, in_folder};
use crate::release::backup::here::{Live, Replacing, restore_here};
use crate::release::backup::restore::restore;
use crate::release::backup::sets::STATE;
use crate::store::snapshot::is_damage;
use crate::store::{DbTarget, Mode, log};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Restore a backup set into a new folder, one component of it into a server, or all in the place of the state that is in use
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf backup restore latest --to /tmp/shop\n  kf backup restore latest --component state --to /tmp/state\n  kf backup restore latest --component answers --into postgres://ada@db.example.org/answers_back\n  kf backup restore --point-in-time 2026-11-20T08:00:00Z --to /tmp/shop\n  kf backup restore 20261121t --here --force     state and artifacts of this repository; what is there is kept first\n\nWhat is there is never overwritten without `--force`, and then it is backed up first. After an interruption the same command goes on. Erasures that are newer than the set are done again: the state in use tells of them, or `--erasures` does."
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(super) which: Which,
    /// The folder, which must not be there yet
    #[arg(long, value_name = "FOLDER", required_unless_present_any = ["into", "here"], conflicts_with_all = ["into", "here"])]
    to: Option<PathBuf>,
    /// In the place of the state and the artifacts of this repository
    #[arg(long, conflicts_with_all = ["into", "component"])]
    here: bool,
    /// Only this component
    #[arg(long, value_name = "NAME")]
    pub(super) component: Vec<Name>,
    /// Load the component into this server or folder; for a cluster of Qdrant once for each node
    #[arg(long, value_name = "PLACE", requires = "component")]
    pub(super) into: Vec<String>,
    /// Replace what is there, after a set was made of it
    #[arg(long, conflicts_with = "to")]
    pub(super) force: bool,
    /// The password or key there, as `env:NAME` or `file:PATH` (default: that of the component, when it is the same server)
    #[arg(long, value_name = "REFERENCE", requires = "into")]
    pub(super) secret: Option<SecretRef>,
    /// A `kf audit export jsonl` of the log that tells what was erased since (default: the state of this repository)
    #[arg(long, value_name = "FILE", conflicts_with = "into")]
    erasures: Option<PathBuf>,
    #[command(flatten)]
    pub(super) key: Key,
    #[command(flatten)]
    pub(super) trust: Trust,
}

/// What became of erasures, for scripts.
#[derive(Serialize)]
struct ErasedDoc {
    /// True when somebody could say what was erased since.
    known: bool,
    /// So many were done again.
    again: usize,
    /// Why nobody could say.
    why: Option<String>,
}

impl ErasedDoc {
    /// Nothing for a restore without a state.
    fn of(erased: &Erased) -> Option<Self> {
        match erased {
            Erased::None => None,
            Erased::Again(again) => Some(Self { known: true, again: *again, why: None }),
            Erased::Unknown(why) => Some(Self { known: false, again: 0, why: Some(why.clone()) }),
        }
    }

    fn words(&self) -> String {
        match (&self.why, self.again) {
            (Some(why), _) => format!(
                "What was erased since the set was made is not known, and may be back: {why}. Before anybody opens it, name a `kf audit export \
                 jsonl` of the newest log by `--erasures`, or erase again by hand: `kf tenant erase`"
            ),
            (None, 0) => "Nothing was erased since that the set did not know of".to_owned(),
            (None, n) => format!("{n} erasures that are newer than the set were done again"),
        }
    }
}

#[derive(Serialize)]
struct Restored {
    set: String,
    to: PathBuf,
    components: Vec<Part>,
    objects: u64,
    bytes: u64,
    erasures: Option<ErasedDoc>,
    /// Milliseconds from when the set was begun to the time that was asked for.
    before_ms: Option<i64>,
    #[serde(skip)]
    distance: Option<String>,
}

#[derive(Serialize)]
struct Part {
    name: Name,
    at: PathBuf,
}

impl Report for Restored {
    const SCHEMA: &'static str = "kf.backup-restore/1";

    fn blocks(&self) -> Vec<Block> {
        let mut t = Table::new(&["component", "at"]);
        for part in &self.components {
            t.row([part.name.to_string(), part.at.display().to_string()]);
        }
        let mut blocks = Block::filled(t);
        blocks.extend(self.distance.clone().map(Block::from));
        blocks.extend(self.erasures.iter().flat_map(|erased| sentences([erased.words()])));
        blocks.push(self.summary().into());
        blocks
    }

    fn summary(&self) -> String {
        let (to, objects) = (self.to.display(), count(usize::try_from(self.objects).unwrap_or(usize::MAX), "object"));
        let state = self.components.iter().any(|part| part.name.as_str() == STATE);
        let check = if state { format!("; `kf -C {to} fsck` checks it") } else { String::new() };
        format!("{} is in {to}: {}, {objects}, read again{check}", self.set, Bytes(self.bytes))
    }
}

#[derive(Serialize)]
struct Here {
    set: String,
    /// The set of what was there before.
    safety: Option<String>,
    /// Where the files of a state that could not be read are.
    aside: Option<PathBuf>,
    log_was: u64,
    log_is: u64,
    objects: u64,
    erasures: Option<ErasedDoc>,
    before_ms: Option<i64>,
    #[serde(skip)]
    distance: Option<String>,
}

impl Report for Here {
    const SCHEMA: &'static str = "kf.backup-restore-here/1";

    fn blocks(&self) -> Vec<Block> {
        let kept = match (&self.safety, &self.aside) {
            (Some(safety), _) => {
                format!("What was there before is the set {safety}: `kf backup restore {safety} --here --force` goes back")
            }
            (None, Some(folder)) => format!("What was there before could not be read, and is in {}", folder.display()),
            (None, None) => "There was no state before".to_owned(),
        };
        let mut blocks: Vec<Block> = self.distance.clone().map(Block::from).into_iter().collect();
        blocks.extend(sentences([kept].into_iter().chain(self.erasures.iter().map(ErasedDoc::words))));
        blocks.push(self.summary().into());
        blocks
    }

    fn summary(&self) -> String {
        format!("{} is the state of this repository: {} log entries, {} before", self.set, self.log_is, self.log_was)
    }
}

pub(super) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    if args.here {
        return here(cx, args);
    }
    let Some(to) = &args.to else { return load::run(cx, args) };
    let desk = Desk::open(cx, Some(&args.key))?;
    let place = desk.place();
    let set = args.which.find(cx, &place, STATE, args.trust.unsigned)?;
    if cx.global.dry_run {
        return cx.out.emit(&Planned::of(&set.manifest));
    }
    let bar = progress::things(&cx.out, "restoring", 0);
    let named = to.clone();
    let open = |file: &Path| copy_at(cx, file);
    // Whoever restores because the state is lost has none to ask.
    let live = cx.store(Mode::Read).ok();
    let export = args.erasures.as_ref().map(|file| cx.cwd.join(file));
    let asked = match (&export, &live) {
        (Some(file), _) => Asked::Export(file),
        (None, Some(store)) => Asked::Live(store),
        (None, None) => Asked::Nobody,
    };
    let mut erased = Erased::None;
    let mut again = |folder: &Path| {
        erased = in_folder(asked, &set, folder, &open)?;
        Ok(())
    };
    let done = restore(&place, &set, &args.component, &cx.cwd.join(&named), &mut again, &mut |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    let parts = done.components.into_iter().map(|(name, at)| Part { name, at }).collect();
    cx.out.emit(&Restored {
        to: named,
        components: parts,
        objects: done.objects,
        bytes: done.bytes,
        erasures: ErasedDoc::of(&erased),
        before_ms: args.which.before_ms(&set),
        distance: args.which.distance(&set),
        set: set.manifest.id,
    })
}

fn here(cx: &Cx, args: &Args) -> Result<Exit> {
    let desk = Desk::open(cx, Some(&args.key))?;
    let place = desk.place();
    let set = args.which.find(cx, &place, STATE, args.trust.unsigned)?;
    if !args.force {
        return Err(refused(cx, &set));
    }
    if cx.global.dry_run {
        return cx.out.emit(&Planned::of(&set.manifest));
    }
    let objects = cx.objects()?;
    let target = cx.db_target()?;
    // Whether it can be read is known when all of it was read.
    let live = cx.store(Mode::Write).and_then(|store| {
        if let DbTarget::Sqlite(_) = &target {
            let folder = crate::release::backup::room(&cx.kf_dir()?.join("cache").join("backup"))?;
            store.snapshot(&folder.path().join("state.db"))?;
        }
        Ok(store)
    });
    let (path, why);
    let live = match (&live, &target) {
        (Ok(store), _) => Live::Sound(store),
        (Err(e), DbTarget::Sqlite(file)) if is_damage(e) || is_lost(e, file) => {
            (path, why) = (file, e);
            Live::Damaged(path, why)
        }
        (Err(e), DbTarget::Sqlite(file)) => return Err(kept_out(e, file)),
        (Err(e), _) => {
            let chain = e.chain().join(": ");
            return Err(Error::of(e.kind(), format!("what is in use cannot be replaced, because it cannot be read: {chain}"))
                .hint("`kf backup restore SET --to FOLDER`, then `kf state move` from there to an empty place"));
        }
    };
    let open = |file: &Path| copy_at(cx, file);
    let export = args.erasures.as_ref().map(|file| cx.cwd.join(file));
    let bar = progress::things(&cx.out, "restoring", 0);
    let kf = cx.kf_dir()?;
    let of = Replacing {
        set: &set,
        live,
        objects: &objects,
        recipients: &configured(cx)?.recipients,
        export: export.as_deref(),
        kf: &kf,
        random: &cx.random,
        open: &open,
    };
    let done = restore_here(
        &place,
        &of,
        (&mut waiting(cx), &mut |done, of| {
            bar.set_length(of);
            bar.set_position(done);
        }),
    )?;
    bar.finish_and_clear();
    cx.out.emit(&Here {
        safety: done.safety,
        aside: done.aside,
        log_was: done.was,
        log_is: done.is,
        objects: done.objects,
        erasures: ErasedDoc::of(&done.erased),
        before_ms: args.which.before_ms(&set),
        distance: args.which.distance(&set),
        set: set.manifest.id,
    })
}

/// Whether a state is not there: what is there and cannot be read for now is to be kept first.
fn is_lost(e: &Error, file: &Path) -> bool {
    let none =
        || std::fs::symlink_metadata(file).map_or_else(|e| e.kind() == std::io::ErrorKind::NotFound, |meta| meta.len() == 0);
    e.kind() == Kind::NoRepository && none()
}

/// A state that may be sound and cannot be kept now is replaced by nothing.
fn kept_out(e: &Error, file: &Path) -> Error {
    let what = format!("what is in use cannot be kept, so nothing takes its place: {}", e.chain().join(": "));
    let hints = e.hints().iter().fold(Error::of(e.kind(), what), |e, hint| e.hint(hint.as_str()));
    hints.hint(format!(
        "nothing was changed; `--to FOLDER` restores beside it, and who wants to lose what came since moves {} and what begins with its          name away first",
        file.display()
    ))
}

/// What would go.
fn refused(cx: &Cx, set: &Found) -> Error {
    let size = cx.store(Mode::Read).and_then(|store| store.read(|view| log::head(view.db()))).map(|head| head.frontier.size());
    let (id, kept) = (&set.manifest.id, set.manifest.log.as_ref().map_or(0, |log| log.size));
    let what = match size {
        Ok(size) => {
            format!("the state of this repository has {size} log entries and the set {id} has {kept}: what came since would go")
        }
        Err(e) => format!("the set {id} would take the place of a state that cannot be read: {e}"),
    };
    Error::usage(what).hint("`--force` does it; what is there is kept first, as a set of the plan `safety`")
}
