//! One verification under way: takes checked chunks in order, grows the tree, compares roots where a checkpoint or an anchor
//! states one, and sums up.

use super::super::key::VerifierKey;
use super::chunk::{Checked, Signed};
use super::names::Pseudonyms;
use super::tree::Tree;
use super::{Anchor, Finding, Regression, Verified};
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::base::merkle::{Frontier, Hash, empty_root};
use crate::store::{META_STATE_ID, View, signing};
use crate::values;
use std::collections::{BTreeMap, VecDeque};

/// The most findings that are reported; all are counted.
const FINDINGS_MAX: usize = 100;

/// The most findings that are kept to choose the first from.
const KEPT_MAX: usize = 100_000;

/// The most steps back in time that are reported; all are counted.
const REGRESSIONS_MAX: usize = 20;

/// What is known so far.
pub(super) struct Run<'a> {
    keys: &'a [VerifierKey],
    anchors: &'a [Anchor],
    head: Head,
    tree: Tree,
    /// Roots at the sizes that anchors state.
    roots: BTreeMap<u64, Option<Hash>>,
    checkpoints: VecDeque<Signed>,
    pseudonyms: Pseudonyms,
    /// The time of the last entry.
    last: Option<i64>,
    /// The size of the last checkpoint that agreed, and whether the last one did.
    agreed: (u64, bool),
    findings: Vec<Finding>,
    found: Verified,
}

/// The head as it is stored, whatever it is.
struct Head {
    size: i64,
    origin: String,
    frontier: Option<Frontier>,
}

impl Head {
    fn load(view: View<'_>) -> Result<Option<Self>> {
        view.first("SELECT size, frontier, origin FROM log_head WHERE id = 1", values![], |row| {
            let size = row.int(0)?;
            let frontier = u64::try_from(size).ok().and_then(|size| Frontier::from_bytes(size, row.blob(1).ok()?));
            Ok(Self { size, frontier, origin: String::from_utf8_lossy(row.text_bytes(2)?).into_owned() })
        })
    }
}

impl<'a> Run<'a> {
    pub(super) fn new(view: View<'_>, keys: &'a [VerifierKey], anchors: &'a [Anchor]) -> Result<Self> {
        let mut findings = Vec::new();
        let head = Head::load(view)?.unwrap_or(Head { size: 0, origin: String::new(), frontier: None });
        let mut size = head.size;
        if head.frontier.is_none() {
            findings.push(Finding::whole(format!(
                "the head of the log is missing or does not fit its size of {size}: it was altered"
            )));
            size = view.count("SELECT max(seq) + 1 FROM eb HAVING count(*) > 0", values![])?;
        }
        let empty = Digest::from_bytes(empty_root());
        let found = Verified {
            origin: head.origin.clone(),
            size: u64::try_from(size).unwrap_or(0),
            entries: 0,
            root: None,
            head: head.frontier.as_ref().map_or(empty, |f| Digest::from_bytes(f.root())),
            signed: 0,
            unsigned: 0,
            checkpoints: 0,
            unchecked: 0,
            never_signed: false,
            tiles: 0,
            openings: 0,
            locked: 0,
            facts: 0,
            names: 0,
            anchors: Vec::new(),
            regressions: Vec::new(),
            regression_count: 0,
            findings: Vec::new(),
            finding_count: findings.len() as u64,
        };
        let mut roots: BTreeMap<u64, Option<Hash>> = anchors.iter().map(|a| (a.checkpoint().size, None)).collect();
        roots.entry(0).and_modify(|root| *root = Some(empty_root()));
        let (tree, checkpoints) = (Tree::new(view)?, VecDeque::new());
        Ok(Self {
            keys,
            anchors,
            head: Head { size, ..head },
            tree,
            roots,
            checkpoints,
            pseudonyms: Pseudonyms::default(),
            last: None,
            agreed: (0, true),
            findings,
            found,
        })
    }

    /// How many entries the log should have.
    pub(super) fn size(&self) -> i64 {
        self.head.size
    }

    /// Takes the next chunk.
    pub(super) fn take(&mut self, mut chunk: Checked) {
        self.keep(&mut chunk.findings);
        self.found.entries += chunk.leaves.len() as u64;
        self.found.openings += chunk.openings;
        self.found.locked += chunk.locked;
        self.found.facts += chunk.facts;
        let mut findings = Vec::new();
        self.pseudonyms.follow(chunk.pseudonyms, &mut findings);
        self.keep(&mut findings);
        self.checkpoints.extend(chunk.checkpoints);
        for (seq, leaf, time) in chunk.leaves {
            let Ok(index) = u64::try_from(seq) else { continue };
            let mut findings = Vec::new();
            // Checkpoints within a hole cannot hold: they are judged with the hole filled.
            self.tree.push(index, leaf, &mut findings);
            self.keep(&mut findings);
            self.regress(index, time);
            self.compare_roots();
        }
    }

    fn keep(&mut self, findings: &mut Vec<Finding>) {
        self.found.finding_count += findings.len() as u64;
        let room = KEPT_MAX.saturating_sub(self.findings.len()).min(findings.len());
        self.findings.extend(findings.drain(..room));
        findings.clear();
    }

    fn regress(&mut self, index: u64, time: Option<i64>) {
        let Some(time) = time else { return };
        if let Some(micros) = self.last.map(|last| last.saturating_sub(time)).filter(|back| *back > 0) {
            self.found.regression_count += 1;
            if self.found.regressions.len() < REGRESSIONS_MAX {
                self.found.regressions.push(Regression { index, micros });
            }
        }
        self.last = Some(time);
    }

    /// Compares the root with what checkpoints and anchors say about the log of this size.
    fn compare_roots(&mut self) {
        let size = self.tree.size();
        if let Some(root) = self.roots.get_mut(&size) {
            *root = self.tree.root();
        }
        while self.checkpoints.front().is_some_and(|c| u64::try_from(c.size).is_ok_and(|at| at <= size)) {
            let Some(signed) = self.checkpoints.pop_front() else { break };
            let root = if signed.size.unsigned_abs() == size { self.tree.root() } else { None };
            self.judge(&signed, root);
        }
    }

    /// Compares a stored checkpoint with the root at its size, `None` when entries are missing there.
    fn judge(&mut self, signed: &Signed, root: Option<Hash>) {
        self.found.checkpoints += 1;
        self.found.unchecked += u64::from(self.keys.is_empty());
        // One that says nothing was found already.
        let Some(says) = &signed.says else { return };
        let size = signed.size.unsigned_abs();
        let origin = &self.head.origin;
        let other = if says.size != size {
            Some(format!("the checkpoint stored for {size} entries is one of {}", says.size))
        } else if says.origin != *origin {
            Some(format!("the checkpoint at {size} entries is of `{}`, the log is `{origin}`", says.origin))
        } else {
            None
        };
        if let Some(what) = other {
            self.keep(&mut vec![Finding::at(signed.size - 1, what)]);
        } else if root == Some(says.root) {
            self.agreed = (size, true);
            if signed.trusted {
                self.found.signed = size;
            }
        } else if std::mem::replace(&mut self.agreed.1, false) {
            // Those that follow disagree for the same reason: the first one tells where.
            let stated = Digest::from_bytes(says.root);
            let found = root.map_or_else(|| "no root".to_owned(), |root| Digest::from_bytes(root).to_string());
            let what = format!(
                "the checkpoint at {size} entries states the root {stated}, they have {found}: entries were altered after it was signed"
            );
            self.keep(&mut vec![Finding::within(self.agreed.0..size, what)]);
        }
    }

    /// Compares with the head and the anchors, looks for what lies outside, and sums up.
    pub(super) fn finish(mut self, view: View<'_>) -> Result<Verified> {
        let mut findings = outside(view, self.head.size)?;
        let (names, locked) = self.pseudonyms.compare(view, &mut findings)?;
        self.found.names = names;
        self.found.locked += locked;
        findings.extend(origin(view, &self.head.origin)?);
        self.found.never_signed = never_signed(view, self.head.size, !self.keys.is_empty())?;
        if self.found.never_signed && !self.keys.is_empty() {
            findings.push(Finding::whole(
                "nothing of it is signed though it has a key: its checkpoints were removed, or whoever has the key never signed it; \
                 compare it with an anchor or a backup, then `kf audit checkpoint --yes` signs it as it is"
                    .into(),
            ));
        }
        for signed in std::mem::take(&mut self.checkpoints) {
            self.judge(&signed, None);
        }
        if let Some(frontier) = &self.head.frontier {
            self.tree.finish(frontier, &mut findings);
        }
        let size = self.found.size;
        for anchor in self.anchors {
            let root = self.roots.get(&anchor.checkpoint().size).copied().flatten();
            self.found.anchors.push(anchor.compare(&self.head.origin, size, root, self.keys, &mut findings));
        }
        self.keep(&mut findings);
        self.found.root = self.tree.root().map(Digest::from_bytes);
        self.found.tiles = self.tree.tiles;
        self.found.unsigned = size.saturating_sub(self.found.signed);
        self.findings.sort_by_key(Finding::rank);
        self.findings.truncate(FINDINGS_MAX);
        self.found.findings = self.findings;
        Ok(self.found)
    }
}

/// Whether entries follow the one that made the newest key (with a known key and no such entry: the first), and no checkpoint
/// is as new as that.
fn never_signed(view: View<'_>, size: i64, keyed: bool) -> Result<bool> {
    let made = signing::key_generated(view.db())?.map(|index| i64::try_from(index).unwrap_or(i64::MAX).saturating_add(1));
    let Some(since) = made.or_else(|| keyed.then_some(1)) else { return Ok(false) };
    let newer = view.count("SELECT COUNT(*) FROM checkpoint WHERE size >= ?1", values![since])?;
    Ok(size > since && newer == 0)
}

/// The first entry says whose log it is; head and state must say so too.
fn origin(view: View<'_>, origin: &str) -> Result<Vec<Finding>> {
    let body = view.first("SELECT body FROM eb WHERE seq = 0", values![], |row| Ok(row.text_bytes(0)?.to_vec()))?;
    let first: serde_json::Value = body.and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or_default();
    let told = |path: &str| first.pointer(path).and_then(serde_json::Value::as_str).unwrap_or("nothing");
    let stored = view.first("SELECT value FROM meta WHERE key = ?1", values![META_STATE_ID], |row| {
        Ok(String::from_utf8_lossy(row.text_bytes(0)?).into_owned())
    })?;
    let id = stored.as_deref().unwrap_or("nothing");
    let mut findings = Vec::new();
    let mut compare = |what: &str, stored: &str, told: &str| {
        if stored != told {
            findings.push(Finding::at(0, format!("{what} is `{stored}`, the first entry says `{told}`: it was altered")));
        }
    };
    compare("the origin in the head of the log", origin, told("/detail/origin"));
    compare("the state-id in meta", id, told("/res/name"));
    Ok(findings)
}

/// What the state holds about entries that the log does not have.
fn outside(view: View<'_>, size: i64) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (what, sql) in [
        ("a body", "SELECT seq FROM eb WHERE seq < 0 OR seq >= ?1 ORDER BY seq LIMIT 100"),
        ("narrow columns", "SELECT seq FROM ev WHERE seq < 0 OR seq >= ?1 ORDER BY seq LIMIT 100"),
        ("a fact", "SELECT seq FROM fact WHERE seq < 0 OR seq >= ?1 ORDER BY seq LIMIT 100"),
        ("an opening", "SELECT seq FROM opening WHERE seq < 0 OR seq >= ?1 ORDER BY seq LIMIT 100"),
    ] {
        view.each(sql, values![size], |row| {
            let seq = row.int(0)?;
            findings.push(Finding::at(seq, format!("there is {what} for entry {seq}, the log has {size} entries")));
            Ok(())
        })?;
    }
    view.each("SELECT size FROM checkpoint WHERE size < 1 OR size > ?1 ORDER BY size LIMIT 100", values![size], |row| {
        let at = row.int(0)?;
        findings.push(Finding::at(
            at - 1,
            format!("a checkpoint was signed at {at} entries, the log has {size}: the newest were removed"),
        ));
        Ok(())
    })?;
    Ok(findings)
}
