//! A log with some thousand entries for the tests of this room, and the means to alter it as an insider would.

use super::key::{SignerKey, VerifierKey};
use super::seal::LogSigner;
use super::verify::{Anchor, Verified, verify};
use crate::base::event::{Event, Outcome, Resource};
use crate::base::merkle::{Frontier, fold, leaf_hash};
use crate::base::random::Random;
use crate::base::time::Clock;
use crate::store::{DbTarget, Identity, Mode, Settings, Store, Value};
use crate::values;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// The time of the first entry.
pub(super) const START: &str = "2026-11-21T08:00:00Z";

pub(super) fn settings(dir: &Path, who: &str, key: Option<SignerKey>) -> Settings {
    let kind = if who.contains('@') { "user" } else { "ci" };
    Settings {
        target: DbTarget::Sqlite(dir.join("state.db")),
        lock_timeout: Duration::from_secs(20),
        identity: Identity { kind: kind.into(), name: who.into(), host: "engine".into() },
        clock: Arc::new(Clock::stepping(START.parse().expect("a time"))),
        random: Arc::new(Random::seeded(who.len() as u64)),
        seal: key.map(|key| Box::new(LogSigner::new(key)) as _),
        project: "demo".into(),
        copies: dir.to_owned(),
        keys: crate::store::objects::Keys::default(),
    }
}

/// A log in a directory of its own.
pub(super) struct Log {
    pub(super) dir: TempDir,
    pub(super) store: Store,
    pub(super) origin: String,
}

/// The key of a log.
pub(super) fn key_of(origin: &str) -> SignerKey {
    SignerKey::from_seed(origin, [7; 32]).expect("a key")
}

/// Event `i`: three actions, forty resources, a ticket for every seventh, a reason for every fifth.
pub(super) fn event(i: usize) -> Event {
    let action = ["version.registered", "version.promoted", "gate.checked"][i % 3];
    let outcome = [Outcome::Ok, Outcome::Ok, Outcome::Ok, Outcome::Denied, Outcome::Failed][i % 5];
    let version = format!("1.{}.0", i % 10).parse().expect("a version");
    let resource = if i.is_multiple_of(4) {
        Resource::new("model", format!("bot-{}", i % 40))
    } else {
        Resource { version: Some(version), ..Resource::new("version", format!("bot-{}", i % 40)) }
    };
    let ticket = i.is_multiple_of(7).then(|| format!("OPS-{}", i / 7));
    let reason = i.is_multiple_of(5).then(|| format!("because \"{i}\" is due"));
    Event::new(action, resource).outcome(outcome).because(ticket.as_deref(), reason.as_deref()).with("n", i)
}

impl Log {
    /// A log of `n` entries, a hundred a transaction, by two actors in turn. Each transaction is signed.
    pub(super) fn new(n: usize) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (store, _) = Store::init(settings(dir.path(), "ada@example.com", None)).expect("a state");
        let origin = crate::store::log::head(&store.db()).expect("a head").origin;
        drop(store);
        let clock = Arc::new(Clock::stepping(START.parse().expect("a time")));
        let stores = ["ada@example.com", "nightly"].map(|who| {
            let settings = Settings { clock: Arc::clone(&clock), ..settings(dir.path(), who, Some(key_of(&origin))) };
            Store::open(settings, Mode::Write).expect("a state")
        });
        for (turn, from) in (1..n).step_by(100).enumerate() {
            stores[turn % 2]
                .write(|tx| {
                    (from..n.min(from + 100)).for_each(|i| {
                        tx.record(event(i));
                    });
                    Ok(())
                })
                .expect("written");
        }
        let [store, _] = stores;
        Self { dir, store, origin }
    }

    /// The same log in another directory, to be altered there.
    pub(super) fn copy(&self) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let to = dir.path().join("state.db").display().to_string();
        self.store.db().execute("VACUUM INTO ?1", values![to]).expect("copied");
        let store = Store::open(settings(dir.path(), "ada@example.com", Some(key_of(&self.origin))), Mode::Write);
        Self { dir, store: store.expect("a state"), origin: self.origin.clone() }
    }

    /// Alters the state behind kf's back.
    pub(super) fn alter(&self, sql: &str, values: &[Value]) -> u64 {
        self.store.db().execute(sql, values).expect("altered")
    }

    /// Makes leaves, tiles and head fit the bodies again, as an insider with the database would.
    pub(super) fn rebuild(&self) {
        let bodies = self.store.read(|v| v.all("SELECT body FROM eb ORDER BY seq", &[], |r| r.text(0).map(str::to_owned)));
        let leaves: Vec<_> = bodies.expect("bodies").iter().map(|b| leaf_hash(b.as_bytes())).collect();
        let mut frontier = Frontier::new();
        for (i, leaf) in leaves.iter().enumerate() {
            frontier.push(*leaf);
            self.alter("UPDATE eb SET leaf = ?2 WHERE seq = ?1", values![i as i64, leaf.to_vec()]);
        }
        for (i, tile) in leaves.chunks_exact(256).enumerate() {
            self.alter("UPDATE tile SET hash = ?2 WHERE level = 1 AND idx = ?1", values![i as i64, fold(tile).to_vec()]);
        }
        self.alter("UPDATE log_head SET size = ?1, frontier = ?2", values![leaves.len() as i64, frontier.to_bytes()]);
    }

    pub(super) fn keys(&self) -> Vec<VerifierKey> {
        vec![key_of(&self.origin).public().clone()]
    }

    pub(super) fn verify(&self) -> Verified {
        self.verify_with(&self.keys(), &[])
    }

    pub(super) fn verify_with(&self, keys: &[VerifierKey], anchors: &[Anchor]) -> Verified {
        self.store.read(|view| verify(view, keys, anchors, 2)).expect("read")
    }

    /// The newest stored checkpoint.
    pub(super) fn checkpoint(&self) -> String {
        let sql = "SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1";
        self.store.read(|v| v.first(sql, &[], |r| r.text(0).map(str::to_owned))).expect("read").expect("a checkpoint")
    }
}
