//! A state with objects for the tests of this room, at a time that only moves when told to.

use crate::base::digest::Digest;
use crate::base::name::{ModelType, Stage};
use crate::base::random::Random;
use crate::base::time::{Clock, Timestamp};
use crate::domain::eval::record::{self, NewEvaluation, RowScore, Summary};
use crate::domain::registry::change::{self, Move, NewVersion, Number, Registered, Way, move_to};
use crate::domain::registry::manifest::{FileEntry, Manifest};
use crate::domain::registry::table::{self, VersionRow};
use crate::store::objects::Objects;
use crate::store::{DbTarget, Identity, Mode, Settings, Store, View};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

pub(super) struct Bench {
    pub(super) dir: tempfile::TempDir,
    pub(super) store: Store,
    pub(super) objects: Objects,
    clock: Arc<Clock>,
    dated: RefCell<BTreeSet<PathBuf>>,
}

pub(super) fn settings(file: &Path, clock: &Arc<Clock>) -> Settings {
    Settings {
        target: DbTarget::Sqlite(file.to_owned()),
        lock_timeout: Duration::from_secs(5),
        identity: Identity { kind: "user".into(), name: "ada".into(), host: "engine".into() },
        clock: Arc::clone(clock),
        random: Arc::new(Random::System),
        seal: None,
        project: "demo".into(),
        copies: file.parent().expect("a directory").to_owned(),
        keys: crate::store::objects::Keys::default(),
    }
}

/// The time of the machine, as its files have it.
pub(super) fn time_of_files() -> Timestamp {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let modified = file.as_file().metadata().and_then(|m| m.modified()).expect("a time");
    let since = modified.duration_since(UNIX_EPOCH).expect("after 1970");
    Timestamp::from_micros(i64::try_from(since.as_micros()).expect("within 290,000 years"))
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::at("2026-11-21T08:00:00Z".parse().expect("a time"))
    }

    pub(super) fn at(start: Timestamp) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let clock = Arc::new(Clock::stepping(start));
        let (store, _) = Store::init(settings(&dir.path().join("state.db"), &clock)).expect("a state");
        let objects = Objects::files(&dir.path().join("objects")).expect("objects");
        Self { dir, store, objects, clock, dated: RefCell::default() }
    }

    /// Settings for another database beside this one.
    pub(super) fn settings(&self, file: &str) -> Settings {
        settings(&self.dir.path().join(file), &self.clock)
    }

    /// The same state and objects for another thread.
    pub(super) fn beside(dir: &Path, clock: &Arc<Clock>) -> (Store, Objects) {
        let store = Store::open(settings(&dir.join("state.db"), clock), Mode::Write).expect("a state");
        (store, Objects::files(&dir.join("objects")).expect("objects"))
    }

    pub(super) fn clock(&self) -> Arc<Clock> {
        Arc::clone(&self.clock)
    }

    pub(super) fn later(&self, days: i64) {
        self.date_objects();
        let Clock::Stepping(next) = &*self.clock else { panic!("time does not stand still") };
        next.fetch_add(days * 86_400_000_000, Ordering::Relaxed);
    }

    /// Gives new objects the time of the bench, as their files have that of the machine.
    pub(super) fn date_objects(&self) {
        let micros = u64::try_from(self.store.now().micros()).expect("after 1970");
        let mut digests = Vec::new();
        self.objects
            .list(&mut |d, _, _| {
                digests.push(d);
                Ok(())
            })
            .expect("listed");
        for path in digests.iter().map(|d| self.path(d)) {
            if self.dated.borrow_mut().insert(path.clone()) {
                File::open(&path).and_then(|f| f.set_modified(UNIX_EPOCH + Duration::from_micros(micros))).expect("dated");
            }
        }
    }

    pub(super) fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.dir.path().join("objects/sha256").join(&hex[..2]).join(&hex[2..])
    }

    /// Replaces the bytes of an object behind everybody's back.
    pub(super) fn spoil(&self, digest: &Digest, bytes: &[u8]) {
        let path = self.path(digest);
        std::fs::remove_file(&path).expect("removed");
        std::fs::write(&path, bytes).expect("written");
    }

    pub(super) fn publish(&self, files: &[(&str, &str)]) -> Manifest {
        let entry = |(path, text): &(&str, &str)| {
            let stored = self.objects.put_bytes(text.as_bytes()).expect("stored");
            FileEntry { path: (*path).into(), digest: stored.digest, size: stored.size, media: "text/plain".into() }
        };
        let manifest = Manifest::new(ModelType::Other, files.iter().map(entry).collect(), Vec::new()).expect("a manifest");
        self.objects.put_bytes(&manifest.to_bytes()).expect("stored");
        self.date_objects();
        manifest
    }

    pub(super) fn add(&self, reference: &str, manifest: &Manifest, needs: &[&str]) -> Registered {
        let (name, number) = reference.split_once('@').expect("a version");
        let new = NewVersion {
            name: name.parse().expect("a name"),
            kind: ModelType::Other,
            number: Number::Exactly(number.parse().expect("a number")),
            digest: manifest.digest(),
            files: manifest.files().len() as i64,
            bytes: manifest.total_size() as i64,
            git: None,
            metrics: Vec::new(),
            meta: Vec::new(),
            tags: Vec::new(),
            links: needs.iter().map(|n| ("depends".to_owned(), self.version(n))).collect(),
            advised_from: None,
            ticket: None,
            reason: None,
        };
        self.store.write(|tx| change::register(tx, &new)).expect("registered")
    }

    /// Registers a version whose one file holds its name, beside one that all versions share.
    pub(super) fn register(&self, reference: &str, needs: &[&str]) -> VersionRow {
        let manifest = self.publish(&[("a.txt", reference), ("shared.txt", "shared")]);
        self.add(reference, &manifest, needs).version
    }

    pub(super) fn version(&self, reference: &str) -> VersionRow {
        let reference = reference.parse().expect("a reference");
        self.store.read(|view| table::resolve(view, &reference)).expect("a version")
    }

    pub(super) fn stage(&self, reference: &str, to: Stage) {
        let way = if to == Stage::Archived { Way::Archive } else { Way::Promote };
        let change = Move { way, to, ticket: None, reason: None, detail: serde_json::Map::new() };
        let version = self.version(reference);
        self.store.write(|tx| move_to(tx, &version, &change)).expect("moved");
    }

    pub(super) fn alias(&self, reference: &str, alias: &str) {
        let version = self.version(reference);
        self.store.write(|tx| change::set_alias(tx, &version, &alias.parse().expect("a name"))).expect("set");
    }

    /// Records an evaluation of a version on a dataset with two rows.
    pub(super) fn evaluate(&self, reference: &str, dataset: Digest) {
        self.evaluate_as(&format!("eval-{reference}"), reference, dataset, &[Some(0.5), Some(0.5)]);
    }

    /// Records an evaluation with these scores of `f1`.
    pub(super) fn evaluate_as(&self, id: &str, reference: &str, dataset: Digest, scores: &[Option<f64>]) {
        self.evaluate_by("f1", id, (reference, dataset), scores);
    }

    /// The same by another metric.
    pub(super) fn evaluate_by(&self, metric: &str, id: &str, (reference, dataset): (&str, Digest), scores: &[Option<f64>]) {
        let score = |(pos, value): (usize, &Option<f64>)| RowScore {
            pos: pos as i64,
            row: format!("q{pos}"),
            metric: metric.into(),
            value: *value,
            reason: value.is_none().then(|| "no answer".to_owned()),
        };
        let rows: Vec<RowScore> = scores.iter().enumerate().map(score).collect();
        self.store.feed(|f| record::append_rows(f, id, &rows)).expect("fed");
        let known: Vec<f64> = scores.iter().flatten().copied().collect();
        let new = NewEvaluation {
            id: id.to_owned(),
            version: self.version(reference),
            dataset: "golden.jsonl".into(),
            dataset_digest: dataset,
            judge: "deterministic".into(),
            system: "recorded".into(),
            rows: rows.len() as i64,
            rows_digest: record::digest_of(&rows).expect("a digest"),
            metrics: vec![Summary {
                metric: metric.into(),
                mean: crate::stats::describe::mean(&known),
                low: None,
                high: None,
                n: known.len() as i64,
                total: rows.len() as i64,
                unscored: None,
            }],
        };
        self.store.write(|tx| record::record(tx, &new)).expect("recorded");
    }

    /// The actions of the newest events, the newest first.
    pub(super) fn actions(&self, n: u32) -> Vec<String> {
        actions(&self.store, n)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.store.now()
    }
}

pub(super) fn actions(store: &Store, n: u32) -> Vec<String> {
    let action = |body: &str| body.split('"').nth(3).expect("an action").to_owned();
    let newest = |view: View<'_>| {
        let mut all = Vec::new();
        crate::store::check::read_log(view, &mut |stored| all.push(action(stored.body)))?;
        Ok(all.into_iter().rev().take(n as usize).collect())
    };
    store.read(newest).expect("events")
}
