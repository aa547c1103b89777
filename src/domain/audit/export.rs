//! Carries the log out: as the static files of <https://c2sp.org/tlog-tiles>, or as one canonical entry a line.
//!
//! Both hold the entries byte by byte and come with the newest signed checkpoint, which is written last: an export that was cut
//! short has none, and running it again keeps what is there. A file of the tree never changes, so one that is there with other
//! contents is the trace of a log that was rewritten, and stops the export.

use super::checkpoint::Checkpoint;
use super::key::VerifierKey;
use super::note::Note;
use super::prove::{self, Stored, damaged, newest_checkpoint, stored_hashes};
use super::tiles::{Row, TileFile, encode_bundle, encode_tile, read_tree, tree_files};
use crate::base::error::{Context, Error, Result};
use crate::store::View;
use crate::values;
use serde::Serialize;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// The name of the checkpoint in a tree of files.
const CHECKPOINT: &str = "checkpoint";

/// What an export did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Whose log it is.
    pub origin: String,
    /// How many entries were exported.
    pub entries: u64,
    /// How many of them the checkpoint beside them covers.
    pub signed: u64,
    /// Files written.
    pub written: u64,
    /// Files that were there already and right.
    pub kept: u64,
    /// Bytes in all of them.
    pub bytes: u64,
    /// Where the checkpoint is; `None` when nothing is signed.
    pub checkpoint: Option<PathBuf>,
}

/// Whether the files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Yes.
    Write,
    /// No: everything else is done, and what is said is what would be written.
    Try,
}

/// Writes the tree of the newest signed checkpoint as files under `dir`, then reads them all again.
///
/// # Errors
/// When nothing is signed, `dir` holds another log or other contents, the files cannot be written, or the log is damaged.
pub fn tiles(view: View<'_>, dir: &Path, way: Way) -> Result<Exported> {
    let Stored { checkpoint, note } = prove::checkpoint(view)?;
    same_log(dir, &checkpoint)?;
    let mut done = Exported {
        origin: checkpoint.origin.clone(),
        entries: checkpoint.size,
        signed: checkpoint.size,
        written: 0,
        kept: 0,
        bytes: 0,
        checkpoint: Some(dir.join(CHECKPOINT)),
    };
    for file in tree_files(checkpoint.size) {
        let bytes = contents(view, &file)?;
        done.bytes += bytes.len() as u64;
        if keep_or_write(&dir.join(file.to_string()), &bytes, way)? {
            done.written += 1;
        } else {
            done.kept += 1;
        }
    }
    let root = read_tree(checkpoint.size, &mut |file| {
        if way == Way::Try {
            return contents(view, file);
        }
        let path = dir.join(file.to_string());
        fs::read(&path).context(|| format!("cannot read `{}` again", path.display()))
    })?;
    if root != checkpoint.root {
        return Err(damaged(format!("the exported entries do not have the root of the checkpoint at {}", checkpoint.size)));
    }
    if way == Way::Write {
        write(&dir.join(CHECKPOINT), note.to_string().as_bytes(), true)?;
    }
    Ok(done)
}

/// Reads the files of an export again: the entries that they hold have the root of the checkpoint beside them, which is given. Where
/// `known` has keys, one of them signed it.
///
/// # Errors
/// When files are missing or damaged, or the checkpoint is another log's or nobody's.
pub fn read_again(dir: &Path, known: &[VerifierKey]) -> Result<Checkpoint> {
    let path = dir.join(CHECKPOINT);
    let bytes = fs::read(&path).context(|| format!("cannot read `{}`", path.display()))?;
    let read = match known {
        [] => Note::parse(&bytes).and_then(|note| Checkpoint::parse(note.text())),
        known => super::checkpoint::open(&bytes, known),
    };
    let checkpoint = read.context(|| format!("`{}` is no checkpoint of this log", path.display()))?;
    let root = read_tree(checkpoint.size, &mut |file| {
        let path = dir.join(file.to_string());
        fs::read(&path).context(|| format!("cannot read `{}`", path.display()))
    })?;
    match root == checkpoint.root {
        true => Ok(checkpoint),
        false => Err(damaged(format!("the exported entries do not have the root of the checkpoint at {}", checkpoint.size))),
    }
}

/// Refuses a directory that holds another log, or a newer state of this one.
fn same_log(dir: &Path, ours: &Checkpoint) -> Result<()> {
    let path = dir.join(CHECKPOINT);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e).context(|| format!("cannot read `{}`", path.display())),
    };
    let read = Note::parse(&bytes).and_then(|note| Checkpoint::parse(note.text()));
    let theirs = read.context(|| format!("`{}` is there and is not a checkpoint", path.display())).hint(elsewhere)?;
    if theirs.origin != ours.origin {
        return Err(Error::new(format!("`{}` holds the log `{}`, this is `{}`", dir.display(), theirs.origin, ours.origin))
            .hint(elsewhere()));
    }
    if theirs.size > ours.size {
        return Err(Error::new(format!(
            "`{}` holds {} entries of this log, which has {} signed ones: it was rolled back, or this is an older copy",
            dir.display(),
            theirs.size,
            ours.size
        ))
        .hint(format!("compare them with `kf audit verify --against {}`", path.display())));
    }
    Ok(())
}

fn elsewhere() -> String {
    "export to an empty directory".into()
}

/// What belongs into a file of the tree.
fn contents(view: View<'_>, file: &TileFile) -> Result<Vec<u8>> {
    let range = file.range();
    let wanted = range.end - range.start;
    let (bytes, found) = match file.row() {
        Row::Entries => {
            let bodies = bodies(view, range)?;
            (encode_bundle(bodies.iter().map(String::as_bytes)).context(|| format!("cannot make `{file}`"))?, bodies.len())
        }
        Row::Hashes(level) => {
            let hashes = stored_hashes(view, level, range)?;
            (encode_tile(&hashes), hashes.len())
        }
    };
    if found as u64 != wanted {
        return Err(damaged(format!("`{file}` cannot be made: the audit log has {found} of the {wanted} it should hold")));
    }
    Ok(bytes)
}

fn bodies(view: View<'_>, range: std::ops::Range<u64>) -> Result<Vec<String>> {
    let bounds = [range.start, range.end].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
    let sql = "SELECT body FROM eb WHERE seq >= ?1 AND seq < ?2 ORDER BY seq";
    view.all(sql, values![bounds[0], bounds[1]], |row| Ok(row.text(0)?.to_owned()))
}

/// Writes a file unless it is there with these bytes; true when it was written. One that a crash cut short is replaced.
fn keep_or_write(path: &Path, bytes: &[u8], way: Way) -> Result<bool> {
    match fs::read(path) {
        Ok(found) if found == bytes => return Ok(false),
        Ok(found) if found.len() == bytes.len() => {
            return Err(Error::new(format!("`{}` is there with other contents, and such a file never changes", path.display()))
                .hint("the log was rewritten since it was exported, or the file was altered: compare with `kf audit verify --against DIR/checkpoint`")
                .hint(elsewhere()));
        }
        Ok(_) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(e).context(|| format!("cannot read `{}`", path.display())),
    }
    if way == Way::Write {
        write(path, bytes, false)?;
    }
    Ok(true)
}

/// Puts a whole file in its place, or nothing. With `lasting` it is on the disk before anything shows it.
fn write(path: &Path, bytes: &[u8], lasting: bool) -> Result<()> {
    replace(path, lasting, |file| file.write_all(bytes))
}

fn replace(path: &Path, lasting: bool, fill: impl FnOnce(&mut BufWriter<&File>) -> std::io::Result<()>) -> Result<()> {
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let put = || {
        fs::create_dir_all(dir)?;
        let file = NamedTempFile::new_in(dir)?;
        let mut out = BufWriter::new(file.as_file());
        fill(&mut out)?;
        out.flush()?;
        drop(out);
        readable(file.as_file())?;
        if lasting {
            file.as_file().sync_all()?;
        }
        file.persist(path).map_err(|e| e.error)?;
        if lasting { File::open(dir)?.sync_all() } else { Ok(()) }
    };
    put().context(|| format!("cannot write `{}`", path.display()))
}

/// Temporary files are for their owner only; an export is for others.
fn readable(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

/// Writes all entries to `path`, one a line, and the newest signed checkpoint to `path` + `.checkpoint` when there is one.
///
/// # Errors
/// When the files cannot be written, or an entry is missing.
pub fn jsonl(view: View<'_>, path: &Path, way: Way) -> Result<Exported> {
    let head = crate::store::log::head(view.db())?;
    let stored = newest_checkpoint(view)?;
    let (entries, bytes) = match way {
        Way::Try => lines(view, &mut std::io::sink())?,
        Way::Write => {
            let mut read = Ok((0, 0));
            replace(path, true, |out| {
                read = lines(view, out);
                // The reason is told below; here it only keeps the file from its place.
                if read.is_err() { Err(std::io::Error::other("the entries could not be read")) } else { Ok(()) }
            })
            .or_else(|e| std::mem::replace(&mut read, Ok((0, 0))).and(Err(e)))?;
            read?
        }
    };
    let mut done = Exported { origin: head.origin, entries, signed: 0, written: 1, kept: 0, bytes, checkpoint: None };
    if let Some(Stored { checkpoint, note }) = stored {
        let beside = beside(path);
        if way == Way::Write {
            write(&beside, note.to_string().as_bytes(), true)?;
        }
        done = Exported { signed: checkpoint.size, written: 2, checkpoint: Some(beside), ..done };
    }
    Ok(done)
}

/// Writes all entries, one a line; how many there are, and how many bytes.
fn lines(view: View<'_>, out: &mut dyn Write) -> Result<(u64, u64)> {
    let (mut entries, mut bytes) = (0u64, 0u64);
    view.each("SELECT seq, body FROM eb ORDER BY seq", values![], |row| {
        if u64::try_from(row.int(0)?) != Ok(entries) {
            return Err(damaged(format!("entry {entries} of the audit log is missing")));
        }
        let body = row.text(1)?;
        entries += 1;
        bytes += body.len() as u64 + 1;
        writeln!(out, "{body}").context(|| format!("cannot write entry {}", entries - 1))
    })?;
    Ok((entries, bytes))
}

/// `FILE.checkpoint`.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".checkpoint");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Log, event, settings};
    use super::*;
    use crate::base::merkle::{Frontier, leaf_hash};
    use crate::store::{Mode, Store};
    use tlog_tiles::{TileHashReader, TileReader};

    /// Tiles as another implementation reads them.
    struct Theirs(PathBuf);

    impl TileReader for Theirs {
        fn height(&self) -> u8 {
            8
        }

        fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
            let path = |t: &tlog_tiles::Tile| self.0.join(t.path().replacen("tile/8/", "tile/", 1));
            Ok(tiles.iter().map(|t| fs::read(path(t)).expect("an exported tile")).collect())
        }

        fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
    }

    /// Another implementation opens the checkpoint and proves entries from the files alone.
    #[test]
    fn others_believe_the_exported_tree() {
        let log = Log::new(1300);
        let out = tempfile::tempdir().expect("a directory");
        let done = log.store.read(|v| tiles(v, out.path(), Way::Write)).expect("exported");
        assert_eq!((done.entries, done.signed, done.kept, done.origin.as_str()), (1300, 1300, 0, log.origin.as_str()));
        assert_eq!(done.written, 6 + 6 + 1);

        let note = fs::read(out.path().join("checkpoint")).expect("a checkpoint");
        let note = signed_note::Note::from_bytes(&note).expect("their note");
        let key = log.keys()[0].to_string();
        let verifier = signed_note::StandardVerifier::new(&key).expect("their verifier");
        note.verify(&signed_note::VerifierList::new(vec![Box::new(verifier)])).expect("they accept");
        let checkpoint = tlog_tiles::checkpoint::Checkpoint::from_bytes(note.text()).expect("their checkpoint");
        let (size, root) = (checkpoint.size(), *checkpoint.hash());
        let theirs = Theirs(out.path().to_owned());
        let reader = TileHashReader::new(size, root, &theirs);
        for index in [0, 255, 256, 1279, 1280, 1299] {
            let proof = tlog_tiles::prove_record(size, index, &reader).expect("their proof");
            let entry = log.store.read(|v| super::super::prove::inclusion(v, index)).expect("proven").entry;
            tlog_tiles::check_record(&proof, size, root, index, tlog_tiles::record_hash(entry.as_bytes())).expect("it holds");
        }
    }

    #[test]
    fn an_export_goes_on_where_it_was() {
        let log = Log::new(600);
        let out = tempfile::tempdir().expect("a directory");
        let export = || log.store.read(|v| tiles(v, out.path(), Way::Write));
        assert_eq!(export().expect("exported").written, 3 + 3 + 1);
        fs::remove_file(out.path().join("checkpoint")).expect("removed");
        fs::write(out.path().join("tile/0/001"), "").expect("cut short");
        let again = export().expect("exported");
        assert_eq!((again.written, again.kept), (1, 6));
        log.store.write(|tx| Ok(tx.record(event(600)))).expect("written");
        let more = export().expect("exported");
        assert_eq!((more.entries, more.written, more.kept), (601, 2, 5), "one entry more: a new partial bundle and tile");
        let note = fs::read(out.path().join("checkpoint")).expect("a checkpoint");
        assert_eq!(super::super::checkpoint::open(&note, &log.keys()).expect("ours").size, 601);
    }

    #[test]
    fn an_export_that_does_not_fit_is_refused() {
        let log = Log::new(600);
        let out = tempfile::tempdir().expect("a directory");
        let export = |log: &Log| log.store.read(|v| tiles(v, out.path(), Way::Write)).expect_err("refused").to_string();
        log.store.read(|v| tiles(v, out.path(), Way::Write)).expect("exported");
        let copy = log.copy();
        copy.alter("UPDATE eb SET body = replace(body, '\"n\":7}', '\"n\":8}') WHERE seq = 7", &[]);
        assert!(export(&copy).contains("never changes"), "{}", export(&copy));
        let copy = log.copy();
        copy.alter("DELETE FROM eb WHERE seq = 599", &[]);
        assert!(export(&copy).contains("has 87 of the 88"), "{}", export(&copy));
        let copy = log.copy();
        copy.alter("DELETE FROM checkpoint WHERE size > 501", &[]);
        assert!(export(&copy).contains("holds 600 entries of this log, which has 501"), "{}", export(&copy));
        copy.alter("DELETE FROM checkpoint", &[]);
        assert!(export(&copy).contains("nothing in the audit log is signed yet"), "{}", export(&copy));
        let other = log.checkpoint().replace("kf/demo", "kf/other");
        fs::write(out.path().join("checkpoint"), other).expect("written");
        assert!(export(&log).contains("holds the log `kf/other"));
        fs::write(out.path().join("checkpoint"), "x").expect("written");
        assert!(export(&log).contains("is not a checkpoint"));

        // A leaf that is stored wrong makes a tile that is not made of its entries.
        let copy = log.copy();
        copy.alter("UPDATE eb SET leaf = zeroblob(32) WHERE seq = 7", &[]);
        let elsewhere = tempfile::tempdir().expect("a directory");
        let e = copy.store.read(|v| tiles(v, elsewhere.path(), Way::Write)).expect_err("refused").to_string();
        assert!(e.contains("`tile/0/000` does not match the entries"), "{e}");
        assert!(!elsewhere.path().join("checkpoint").exists());
    }

    #[test]
    fn lines_are_the_entries_byte_by_byte() {
        let log = Log::new(300);
        let late = Store::open(settings(log.dir.path(), "late@example.com", None), Mode::Write).expect("a state");
        late.write(|tx| Ok(tx.record(event(1)))).expect("written");
        let out = tempfile::tempdir().expect("a directory");
        let path = out.path().join("log.jsonl");
        let done = log.store.read(|v| jsonl(v, &path, Way::Write)).expect("exported");
        assert_eq!((done.entries, done.signed, done.checkpoint), (301, 300, Some(out.path().join("log.jsonl.checkpoint"))));
        let mut frontier = Frontier::new();
        let lines = fs::read_to_string(&path).expect("text");
        lines.lines().take(300).for_each(|line| frontier.push(leaf_hash(line.as_bytes())));
        let note = fs::read(out.path().join("log.jsonl.checkpoint")).expect("a checkpoint");
        assert_eq!(super::super::checkpoint::open(&note, &log.keys()).expect("ours").root, frontier.root());
        log.alter("DELETE FROM eb WHERE seq = 7", &[]);
        let e = log.store.read(|v| jsonl(v, &path, Way::Write)).expect_err("a hole").to_string();
        assert!(e.contains("entry 7 of the audit log is missing"), "{e}");
        assert_eq!(fs::read_to_string(&path).expect("text"), lines, "what was there stays");
    }
}
