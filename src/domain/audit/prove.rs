//! Proofs made from the state: that an entry is in the log, that the log only grew since an earlier checkpoint.
//!
//! A proof leads to the newest signed checkpoint, so that who has the public key needs nothing else. Hashes come from the
//! sealed tiles and, below them, from at most one tile of leaves; each proof is checked against the checkpoint before it is
//! handed out, so a damaged tree gives an error here and never a proof that fails elsewhere.

use super::checkpoint::Checkpoint;
use super::note::Note;
use super::proof::{ConsistencyProof, InclusionProof};
use super::refused::Refused;
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::merkle::{self, Hash, fold, leaf_hash};
use crate::store::check::{self, Entry};
use crate::store::log::TILE_WIDTH;
use crate::store::{View, log};
use crate::values;

/// Levels of the tree that a tile spans: 2⁸ is [`TILE_WIDTH`].
const TILE_LEVELS: u8 = 8;

/// A stored checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// It, signed.
    pub note: Note,
}

/// The newest stored checkpoint; `None` when nothing was ever signed.
///
/// # Errors
/// When what is stored is not a checkpoint.
pub(super) fn newest_checkpoint(view: View<'_>) -> Result<Option<Stored>> {
    let sql = "SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1";
    let text = view.first(sql, values![], |row| Ok(row.text(0)?.to_owned()))?;
    text.map(|text| {
        let read = || {
            let note = Note::parse(text.as_bytes())?;
            Ok::<_, Refused>(Stored { checkpoint: Checkpoint::parse(note.text())?, note })
        };
        read().context(|| "the newest checkpoint of the audit log is damaged").hint(|| "run `kf audit verify`".into())
    })
    .transpose()
}

/// The newest signed checkpoint.
///
/// # Errors
/// When nothing is signed yet, or what is stored is not a checkpoint.
pub fn checkpoint(view: View<'_>) -> Result<Stored> {
    newest_checkpoint(view)?.ok_or_else(|| unsigned("nothing in the audit log is signed yet"))
}

/// An entry with the proof that it is in the log.
#[derive(Clone, Debug)]
pub struct Included {
    /// The proof, in the form that others read.
    pub proof: InclusionProof,
    /// What it leads to.
    pub checkpoint: Checkpoint,
    /// The entry, byte by byte.
    pub entry: String,
    /// Its leaf hash.
    pub leaf: Hash,
}

/// Proves that entry `index` is in the log.
///
/// # Errors
/// When there is no such entry, no signed checkpoint covers it, or the stored tree is damaged.
pub fn inclusion(view: View<'_>, index: u64) -> Result<Included> {
    let Stored { checkpoint, note } = signed(view, index)?;
    let sql = "SELECT body FROM eb WHERE seq = ?1";
    let entry = view
        .first(sql, values![i64_of(index)?], |row| Ok(row.text(0)?.to_owned()))?
        .ok_or_else(|| damaged(format!("entry {index} of the audit log is missing")))?;
    let leaf = leaf_hash(entry.as_bytes());
    let hashes = merkle::inclusion_proof(index, checkpoint.size, &mut |level, at| node(view, level, at))?;
    if !merkle::verify_inclusion(&leaf, index, checkpoint.size, &hashes, &checkpoint.root) {
        return Err(damaged(format!("entry {index} does not lead to the checkpoint at {} entries", checkpoint.size)));
    }
    Ok(Included { proof: InclusionProof { index, extra: Vec::new(), hashes, checkpoint: note }, checkpoint, entry, leaf })
}

/// Entry `index`, after making sure that it is in the log: its bytes have the stored hash, which leads to the head of the log.
/// That costs the hashes of at most a tile on each level, however long the log is.
///
/// # Errors
/// When there is no such entry, or it does not lead to the head.
pub fn logged(view: View<'_>, index: u64) -> Result<Entry> {
    let root = log::head(view.db())?.frontier;
    let missing = || damaged(format!("entry {index} of the audit log is missing"));
    if index >= root.size() {
        return Err(missing());
    }
    let seq = i64_of(index)?;
    let body = view.first("SELECT body FROM eb WHERE seq = ?1", values![seq], |row| Ok(row.text_bytes(0)?.to_vec()))?;
    let body = body.ok_or_else(missing)?;
    let hashes = merkle::inclusion_proof(index, root.size(), &mut |level, at| node(view, level, at))?;
    if !merkle::verify_inclusion(&leaf_hash(&body), index, root.size(), &hashes, &root.root()) {
        return Err(damaged(format!("entry {index} of the audit log does not lead to its head")));
    }
    let facts = check::facts(view, seq)?;
    let read = std::str::from_utf8(&body).ok().and_then(|body| Entry::read(check::Stored { seq, body, facts: &facts }));
    read.ok_or_else(|| damaged(format!("entry {index} of the audit log cannot be read")))
}

/// Proves that the log at its newest signed checkpoint begins with the `old` entries it had before; `known` is the root they
/// had, when the caller has an earlier checkpoint.
///
/// # Errors
/// When no signed checkpoint has that many entries, the log does not begin with those, or the stored tree is damaged.
pub fn consistency(view: View<'_>, old: u64, known: Option<&Hash>) -> Result<(ConsistencyProof, Checkpoint)> {
    let size = log::head(view.db())?.frontier.size();
    if old > size {
        let what = format!("the audit log has {size} entries, so it did not grow from {old}");
        return Err(match known {
            Some(_) => damaged(format!("{what}: it was rolled back to an older copy, or this is a fork")),
            None => {
                Error::new(what).hint(format!("give a number of entries up to {size}, or a file with the checkpoint of then"))
            }
        });
    }
    let Stored { checkpoint, note } = match old.checked_sub(1) {
        Some(last) => signed(view, last)?,
        None => checkpoint(view)?,
    };
    let mut nodes = |level, at| node(view, level, at);
    let hashes = merkle::consistency_proof(old, checkpoint.size, &mut nodes)?;
    let root = merkle::root(old, &mut nodes)?;
    if !merkle::verify_consistency(old, &root, checkpoint.size, &checkpoint.root, &hashes) {
        return Err(damaged(format!("the first {old} entries do not lead to the checkpoint at {} entries", checkpoint.size)));
    }
    if known.is_some_and(|known| *known != root) {
        return Err(damaged(format!("the audit log does not begin with the {old} entries of that checkpoint: it was rewritten")));
    }
    Ok((ConsistencyProof { old, hashes, checkpoint: note }, checkpoint))
}

/// The newest checkpoint, which must cover entry `index`.
fn signed(view: View<'_>, index: u64) -> Result<Stored> {
    let size = log::head(view.db())?.frontier.size();
    if index >= size {
        return Err(Error::new(format!("there is no entry {index} in the audit log: it has {size}, counted from 0"))
            .hint("list entries with `kf audit log`"));
    }
    let stored = checkpoint(view)?;
    let covered = stored.checkpoint.size;
    if covered <= index {
        return Err(unsigned(&format!(
            "entry {index} is not signed yet: the newest checkpoint covers the first {covered} entries"
        )));
    }
    Ok(stored)
}

/// The hash of the perfect subtree `(level, index)`, as [`merkle::root`] counts them.
pub(super) fn node(view: View<'_>, level: u8, index: u64) -> Result<Hash> {
    let below = level % TILE_LEVELS;
    let tile = level / TILE_LEVELS;
    let range = index << below..(index + 1) << below;
    let hashes = stored_hashes(view, tile, range.clone())?;
    if hashes.len() as u64 != range.end - range.start {
        return Err(damaged(format!("the audit log lacks hashes of level {} from {} on", tile * TILE_LEVELS, range.start)));
    }
    Ok(fold(&hashes))
}

/// The stored hashes of a tile level (0 for the leaves) within a range; those that are missing are left out.
pub(super) fn stored_hashes(view: View<'_>, tile: u8, range: std::ops::Range<u64>) -> Result<Vec<Hash>> {
    let (from, to) = (i64_of(range.start)?, i64_of(range.end)?);
    let hash = |row: &crate::store::Row<'_>| Ok(*row.digest(0)?.as_bytes());
    if tile == 0 {
        return view.all("SELECT leaf FROM eb WHERE seq >= ?1 AND seq < ?2 ORDER BY seq", values![from, to], hash);
    }
    let sql = "SELECT hash FROM tile WHERE level = ?3 AND idx >= ?1 AND idx < ?2 ORDER BY idx";
    view.all(sql, values![from, to, i64::from(tile)], hash)
}

pub(super) fn damaged(what: String) -> Error {
    Error::of(Kind::Broken, what).hint("the audit log is damaged: `kf audit verify` names what was altered")
}

fn unsigned(what: &str) -> Error {
    Error::new(what)
        .hint("sign it with `kf audit checkpoint` on a host that has the log key; `kf audit key --generate` makes one")
}

fn i64_of(n: u64) -> Result<i64> {
    i64::try_from(n).context(|| format!("{n} is more than an audit log can hold"))
}

const _: () = assert!(1 << TILE_LEVELS == TILE_WIDTH);

#[cfg(test)]
mod tests {
    use super::super::testing::{Log, event, settings};
    use super::*;
    use crate::store::{Mode, Store};
    use ct_merkle::{ConsistencyProof as TheirConsistency, InclusionProof as TheirInclusion, RootHash};
    use sha2::Sha256;
    use sha2::digest::Output;

    fn their_root(c: &Checkpoint) -> RootHash<Sha256> {
        RootHash::new(Output::<Sha256>::from(c.root), c.size)
    }

    fn checkpoint_at(log: &Log, size: i64) -> Checkpoint {
        let sql = "SELECT note FROM checkpoint WHERE size = ?1";
        let note = log.store.read(|v| v.first(sql, values![size], |r| Ok(r.text(0)?.to_owned()))).expect("read").expect("one");
        super::super::checkpoint::open(note.as_bytes(), &log.keys()).expect("ours")
    }

    #[test]
    fn every_entry_is_proven_to_us_and_to_others() {
        let log = Log::new(3000);
        for index in [0, 1, 100, 255, 256, 1023, 1234, 2047, 2048, 2559, 2560, 2815, 2816, 2998, 2999] {
            let proven = log.store.read(|v| inclusion(v, index)).expect("proven");
            let read = InclusionProof::parse(proven.proof.to_string().as_bytes()).expect("reads");
            let opened = read.verify(&leaf_hash(proven.entry.as_bytes()), &log.keys()).expect("holds");
            assert_eq!((opened.size, &opened), (3000, &proven.checkpoint));
            let theirs = TheirInclusion::<Sha256>::from_bytes(proven.proof.hashes.concat());
            their_root(&opened).verify_inclusion(&proven.entry.as_bytes(), index, &theirs).expect("they accept");
        }
        for old in [1, 101, 256, 512, 1201, 2048, 2801, 3000] {
            let (proof, checkpoint) = log.store.read(|v| consistency(v, old, None)).expect("proven");
            if old > 1 && old % 100 == 1 {
                let before = checkpoint_at(&log, old as i64);
                let read = ConsistencyProof::parse(proof.to_string().as_bytes()).expect("reads");
                assert_eq!(read.verify(&before, &log.keys()), Ok(checkpoint.clone()));
                assert!(log.store.read(|v| consistency(v, old, Some(&before.root))).is_ok());
                let theirs = TheirConsistency::<Sha256>::try_from_bytes(proof.hashes.concat()).expect("their proof");
                their_root(&checkpoint).verify_consistency(&their_root(&before), &theirs).expect("they accept");
            }
            assert!(log.store.read(|v| consistency(v, old, Some(&[1; 32]))).is_err(), "{old}");
        }
        assert_eq!(log.store.read(|v| consistency(v, 0, None)).expect("nothing to prove").0.hashes, Vec::<Hash>::new());
    }

    #[test]
    fn what_cannot_be_proven_says_why() {
        let log = Log::new(300);
        let check = |index, what: &str, hint: &str| {
            let e = log.store.read(|v| inclusion(v, index)).expect_err("no proof");
            assert!(e.to_string().contains(what) && e.hints().iter().any(|h| h.contains(hint)), "{e} {:?}", e.hints());
        };
        check(300, "there is no entry 300", "kf audit log");
        check(u64::MAX, "there is no entry", "kf audit log");
        let late = Store::open(settings(log.dir.path(), "late@example.com", None), Mode::Write).expect("a state");
        late.write(|tx| Ok(tx.record(event(1)))).expect("written");
        check(300, "entry 300 is not signed yet: the newest checkpoint covers the first 300", "kf audit checkpoint");
        let e = log.store.read(|v| consistency(v, 302, None)).expect_err("too many");
        assert_eq!(e.to_string(), "the audit log has 301 entries, so it did not grow from 302");
        let e = log.store.read(|v| consistency(v, 302, Some(&[1; 32]))).expect_err("too many");
        assert!(e.kind() == Kind::Broken && e.to_string().contains("rolled back"), "{e}");
        log.alter("UPDATE eb SET body = replace(body, '\"n\":77', '\"n\":78') WHERE seq = 77", &[]);
        check(77, "entry 77 does not lead to the checkpoint at 300", "kf audit verify");
        log.alter("UPDATE eb SET leaf = x'00' WHERE seq = 76", &[]);
        assert!(log.store.read(|v| inclusion(v, 77)).is_err());
        log.alter("DELETE FROM tile", &[]);
        check(299, "lacks hashes of level 8", "kf audit verify");
        log.alter("UPDATE checkpoint SET note = 'x'", &[]);
        check(1, "the newest checkpoint of the audit log is damaged", "kf audit verify");
        log.alter("DELETE FROM checkpoint", &[]);
        check(1, "nothing in the audit log is signed yet", "kf audit key --generate");
    }
}
