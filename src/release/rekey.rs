//! Brings all objects, and the names and reasons beside the audit log, to the keys of now: encrypts what lies in the clear, encrypts
//! anew what was encrypted for others, or stores everything in the clear again.
//!
//! Invariants: an object has its old bytes or its new ones at any moment, and the new ones only after all of the old were read and found
//! right; nothing is encrypted for keys that this host cannot show to have, unless it is told to; what the label of an object says is
//! done is not done again, so a run that died goes on where it was. The event says for which keys all objects were encrypted, and is
//! recorded after the last of them, in the transaction that brings names and reasons to those keys. Collections and repairs wait for a run, as it holds the lock of long work; registrations do not.

use crate::base::digest::Digest;
use crate::base::error::{Error, Result};
use crate::base::event::{Event, Resource};
use crate::release::parallel;
use crate::store::check::{Entry, entries};
use crate::store::fields::Resealed;
use crate::store::lock::{Hold, Matter};
use crate::store::objects::{Cover, Fault, NoKey, Objects};
use crate::store::{META_STATE_ID, Store, Tx, View, meta};
use serde::Serialize;
use std::sync::atomic::{AtomicBool, Ordering};

/// The event of a run.
const ACTION: &str = "artifacts.rekeyed";

/// The most failures that are told one by one.
const TOLD_MAX: usize = 20;

/// How to bring objects to the keys of now.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Store everything in the clear.
    pub decrypt: bool,
    /// Encrypt for keys that this host does not have.
    pub blind: bool,
    /// False to only tell what would be done.
    pub apply: bool,
    /// How many threads read and write.
    pub jobs: usize,
}

/// The keys of now.
#[derive(Clone, Debug, Serialize)]
pub struct Recipients {
    /// Tells one choice of keys from another.
    pub id: String,
    /// How many keys.
    pub keys: usize,
}

/// An object that stays as it is.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// The object.
    pub object: Digest,
    /// Why.
    pub why: String,
}

/// What a run did, or would do.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// False when it only tells what would be done.
    pub applied: bool,
    /// Where the objects are.
    pub artifacts: String,
    /// Whom objects are encrypted for; nobody when they are stored in the clear.
    pub recipients: Option<Recipients>,
    /// All objects.
    pub objects: u64,
    /// Those that needed nothing.
    pub current: u64,
    /// Those that lay in the clear.
    pub clear: u64,
    /// Those that were encrypted for others.
    pub other: u64,
    /// Those that were written anew.
    pub rewritten: u64,
    /// The plain bytes of those.
    pub bytes: u64,
    /// Those that could not be.
    pub left: u64,
    /// The first of those.
    pub failures: Vec<Failure>,
    /// Objects in the trash, which stay as they are until they are deleted.
    pub trashed: u64,
    /// Names and reasons beside the audit log.
    pub fields: Resealed,
    /// The audit event.
    pub event: Option<i64>,
}

impl Report {
    /// Objects, names and reasons that stay as they are.
    pub fn all_left(&self) -> u64 {
        self.left + self.fields.left
    }
}

/// Brings all objects, names and reasons to the keys of now. `progress` is told how many of how many are done, `waiting` who holds a lock.
///
/// # Errors
/// A usage error when nothing says what is wanted. When this host cannot read what it would write, the objects cannot be listed, or the
/// place fails while it is written.
pub fn run(
    store: &Store,
    objects: &Objects,
    options: Options,
    progress: &mut dyn FnMut(u64, u64),
    waiting: &mut dyn FnMut(&str),
) -> Result<Report> {
    let recipients = objects.recipients().map(|(id, keys)| Recipients { id, keys });
    wanted(recipients.as_ref(), options.decrypt)?;
    if !options.blind {
        objects.prove_keys().map_err(|e| {
            e.hint("nothing was changed; `kf rekey --blind` goes on all the same: whoever has no other copy of that key loses everything")
        })?;
    }
    let apply = options.apply && !store.is_dry_run();
    let _one_run = apply.then(|| store.lock(Matter::Work, Hold::Alone, "rekey", waiting)).transpose()?;
    let (mut report, open) = survey(objects, recipients)?;
    report.fields = store.read(|view| view.sealed_fields())?;
    if apply {
        rewrite(objects, &open, options.jobs, &mut report, progress)?;
        report.applied = true;
        store.write(|tx| reseal(tx, &mut report))?;
    }
    Ok(report)
}

fn wanted(recipients: Option<&Recipients>, decrypt: bool) -> Result<()> {
    match (recipients, decrypt) {
        (None, false) => Err(Error::usage("`[artifacts]` does not say whom objects are encrypted for").hint(
            "add `encrypt = [\"age1…\"]` and `identity = \"file:kf.key\"` below `[artifacts]`; `kf backup keygen -o kf.key` makes a key. \
             To store everything in the clear again: `kf rekey --decrypt`",
        )),
        (Some(_), true) => Err(Error::usage("`artifacts.encrypt` says that objects are encrypted, `--decrypt` that they are not")
            .hint("take `encrypt` out of `[artifacts]`, leave `identity` there, then run `kf rekey --decrypt`")),
        _ => Ok(()),
    }
}

/// What there is, and what is to be written anew with its size.
fn survey(objects: &Objects, recipients: Option<Recipients>) -> Result<(Report, Vec<(Digest, u64)>)> {
    let right = if recipients.is_some() { Cover::Current } else { Cover::Plain };
    let mut report = Report {
        applied: false,
        artifacts: objects.describe(),
        recipients,
        objects: 0,
        current: 0,
        clear: 0,
        other: 0,
        rewritten: 0,
        bytes: 0,
        left: 0,
        failures: Vec::new(),
        trashed: objects.trashed()?.len() as u64,
        fields: Resealed::default(),
        event: None,
    };
    let mut open = Vec::new();
    objects.survey(&mut |digest, size, _, cover| {
        report.objects += 1;
        match cover {
            _ if cover == right => report.current += 1,
            Cover::Plain => report.clear += 1,
            Cover::Current | Cover::Other => report.other += 1,
        }
        if cover != right {
            open.push((digest, size));
        }
        Ok(())
    })?;
    Ok((report, open))
}

fn rewrite(
    objects: &Objects,
    open: &[(Digest, u64)],
    jobs: usize,
    report: &mut Report,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<()> {
    let (stop, mut fatal) = (AtomicBool::new(false), None);
    let one = |(digest, _): &(Digest, u64)| {
        if stop.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let done = objects.rewrite(digest);
        // A place that cannot be written fails for all of them.
        if done.as_ref().is_err_and(|e| !is_its_own(e)) {
            stop.store(true, Ordering::Relaxed);
        }
        done
    };
    parallel::each(open, jobs, &one, &mut |(digest, size), done, told| {
        match done {
            Ok(true) => {
                report.rewritten += 1;
                report.bytes += size;
            }
            // Collected meanwhile.
            Ok(false) => {}
            Err(e) if is_its_own(&e) => {
                report.left += 1;
                report.failures.push(Failure { object: *digest, why: e.to_string() });
            }
            Err(e) => fatal = fatal.take().or(Some(e)),
        }
        progress(told, open.len() as u64);
    });
    report.failures.sort_by_key(|f| f.object);
    report.failures.truncate(TOLD_MAX);
    match fatal {
        Some(e) => Err(e.hint("what was written anew is done; `kf rekey` goes on with the rest")),
        None => Ok(()),
    }
}

/// True for an error that is about one object and says nothing about others.
fn is_its_own(e: &Error) -> bool {
    e.cause::<NoKey>().is_some() || e.cause::<Fault>().is_some()
}

/// The id of the keys that a run brought all objects to, and the entry that says so; none when there was no run.
///
/// # Errors
/// When the log cannot be read.
pub fn last(store: &Store) -> Result<Option<(Option<String>, i64)>> {
    store.read(last_of)
}

fn last_of(view: View<'_>) -> Result<Option<(Option<String>, i64)>> {
    let done = |entry: &Entry| entry.detail.get("left").and_then(serde_json::Value::as_u64) == Some(0);
    Ok(entries(view, ACTION)?.iter().rfind(|entry| done(entry)).map(|e| (e.text("recipients").map(str::to_owned), e.seq)))
}

/// Brings names and reasons to the keys of now, and says in the log what the run came to.
fn reseal(tx: &Tx<'_>, report: &mut Report) -> Result<()> {
    if report.fields.open() > 0 {
        report.fields = tx.reseal_fields()?;
    }
    if !said_before(tx.view(), report)? {
        report.event = Some(record(tx, report)?);
    }
    Ok(())
}

/// Whether the log says already what this run came to.
fn said_before(view: View<'_>, report: &Report) -> Result<bool> {
    let (rewritten, left) = (report.rewritten + report.fields.rewritten, report.all_left());
    if rewritten > 0 || left > 0 {
        return Ok(rewritten == 0);
    }
    let id = report.recipients.as_ref().map(|r| r.id.clone());
    Ok(last_of(view)?.map_or(id.is_none(), |(said, _)| said == id))
}

fn record(tx: &Tx<'_>, report: &Report) -> Result<i64> {
    let name = meta(tx.view().db(), META_STATE_ID)?.unwrap_or_default();
    let event = Event::new(ACTION, Resource::new("state", name))
        .with("objects", report.objects)
        .with("rewritten", report.rewritten)
        .with("bytes", report.bytes)
        .with("names-and-reasons", report.fields.rewritten)
        .with("left", report.all_left());
    Ok(tx.record(match &report.recipients {
        Some(to) => event.with("recipients", to.id.as_str()).with("keys", to.keys),
        None => event,
    }))
}
