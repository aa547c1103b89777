//! A backup costs no more than one by restic (<https://restic.net>) of the same store, and less than a second when nothing is new.
//!
//! The store is 2 GB: seven files of 200 MB by chance, which nothing compresses, and four thousand of 150 kB of text. restic is taken from
//! the PATH, with a new repository for each run, as kf has a new place; where there is none its line is left out. Both write to the disk
//! of the build and flush what they wrote.

use crate::line::{Bar, Line};
use crate::measure::{Of, Sample, kf, median, medians, once, output, peak_memory};
use crate::scratch;
use kf::base::error::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Files by chance, and the bytes of each.
const LARGE: (usize, usize) = (7, 200_000_000);
/// Files of text, and the bytes of each.
const SMALL: (usize, usize) = (4_000, 150_000);
/// Bytes in a megabyte.
const MB: f64 = 1e6;
/// What memory may be used.
const MEMORY: f64 = 200.0;

pub(crate) fn run() -> Result<Vec<Line>> {
    let dir = scratch::on_disk()?;
    let dir = dir.path();
    prepare(dir)?;
    let place = dir.join("place");
    let backup = || {
        clear(&place)?;
        output(kf().arg("-C").arg(dir).args(["backup", "run"])).map(drop)
    };
    let mut lines = Vec::new();
    match Command::new("restic").arg("version").output() {
        Err(_) => lines.push(
            Line::timed("backup: 2 GB, first set", median(Of::Children, 1, backup)?, Bar::Exact).noted("restic is not here"),
        ),
        Ok(_) => {
            let repository = dir.join("restic");
            let [ours, theirs] = medians(Of::Children, 1, backup, || restic(&repository, &dir.join(".kf/objects")))?;
            clear(&repository)?;
            lines.push(ratio("backup: 2 GB, first set", (ours, theirs), 0.7, "restic"));
        }
    }
    let again = median(Of::Children, 1, || output(kf().arg("-C").arg(dir).args(["backup", "run"])).map(drop))?;
    lines.push(Line::timed("backup: 2 GB, nothing new", again, Bar::WallMs(1000.0)));
    let verify = |identity: &[&str]| {
        output(kf().arg("-C").arg(dir).args(["backup", "verify", "--read-data", "all"]).args(identity)).map(drop)
    };
    let stored = objects(&place.join("sha256"))?;
    // What is read must come from the disk each time, as it does months after it was written.
    let hashed = median(Of::Own, 1, || stored.iter().try_for_each(|path| hash(path)))?;
    let from_disk = median(Of::Own, 1, || {
        forget(&stored)?;
        stored.iter().try_for_each(|path| each_block(path, &mut |_| ()))
    })?;
    let (slower, what) =
        if from_disk.wall_ms > hashed.wall_ms { (from_disk, "reading the disk") } else { (hashed, "sha2 in one thread") };
    let cipher = median(Of::Children, 1, || forget(&stored).and_then(|()| verify(&[])))?;
    lines.push(ratio("backup: verify 2 GB without a key", (cipher, slower), 0.8, what));
    let key = dir.join("backup.key").display().to_string();
    let opened = median(Of::Children, 1, || forget(&stored).and_then(|()| verify(&["--identity", &key])))?;
    lines.push(ratio("backup: verify 2 GB with a key", (opened, slower), 0.8, what));
    let mut peak = 0;
    let sample = once(Of::Children, 1, || {
        clear(&place)?;
        peak = peak_memory(kf().arg("-C").arg(dir).args(["backup", "run"]))?;
        Ok(())
    })?;
    let value = peak as f64 / MB;
    lines.push(Line {
        name: "backup: memory".into(),
        sample,
        bar: Bar::AboveMb(MEMORY),
        value,
        note: format!("peak {value:.1} MB"),
    });
    Ok(lines)
}

fn ratio(name: &str, (ours, theirs): (Sample, Sample), least: f64, what: &str) -> Line {
    let note = format!("{what}: {:.0} ms, {:.0} ms CPU", theirs.wall_ms, theirs.cpu_ms);
    Line { name: name.to_owned(), sample: ours, bar: Bar::Ratio(least), value: theirs.wall_ms / ours.wall_ms, note }
}

/// A repository with a version of 2 GB, and a place for its backups.
fn prepare(dir: &Path) -> Result<()> {
    scratch::init(dir)?;
    let key = dir.join("backup.key");
    let made = output(kf().arg("-C").arg(dir).args(["backup", "keygen", "--format", "json", "-o"]).arg(&key))?;
    let made: serde_json::Value = serde_json::from_slice(&made).context(|| "keygen prints no JSON")?;
    let recipient = made["recipient"].as_str().unwrap_or_default();
    let place = dir.join("place").display().to_string();
    let config = format!(
        "[project]\nname = \"bench\"\n[backup]\nrecipients = [\"{recipient}\"]\n[backup.place]\nurl = \"file://{place}\"\n"
    );
    std::fs::write(dir.join("mlops.toml"), config).context(|| "cannot write mlops.toml")?;
    let files = dir.join("files");
    std::fs::create_dir(&files).context(|| "cannot make a folder")?;
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for at in 0..LARGE.0 {
        let mut file = File::create(files.join(format!("weights-{at}"))).context(|| "cannot make a file")?;
        let mut block = vec![0; 1 << 20];
        let mut left = LARGE.1;
        while left > 0 {
            block.chunks_exact_mut(8).for_each(|piece| piece.copy_from_slice(&chance.next().to_le_bytes()));
            let n = left.min(block.len());
            file.write_all(&block[..n]).context(|| "cannot write a file")?;
            left -= n;
        }
    }
    let words =
        ["retrieval", "answer", "context", "document", "the", "of", "and", "a", "question", "model", "version", "is", "in"];
    for at in 0..SMALL.0 {
        let mut text = format!("document {at}\n");
        while text.len() < SMALL.1 {
            text.push_str(words[(chance.next() % words.len() as u64) as usize]);
            text.push(if chance.next().is_multiple_of(17) { '\n' } else { ' ' });
        }
        std::fs::write(files.join(format!("text-{at}")), text).context(|| "cannot write a file")?;
    }
    output(kf().arg("-C").arg(dir).args(["register", "weights", "--type", "other"]).arg(&files))?;
    std::fs::remove_dir_all(&files).context(|| "cannot remove a folder")
}

/// Numbers that look like chance (xorshift64, Marsaglia 2003).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn restic(repository: &Path, of: &Path) -> Result<()> {
    clear(repository)?;
    let restic = || {
        let mut restic = Command::new("restic");
        restic.env("RESTIC_PASSWORD", "bench").arg("--no-cache").arg("--repo").arg(repository);
        restic
    };
    output(restic().arg("init"))?;
    output(restic().arg("backup").arg(of)).map(drop)
}

fn clear(dir: &Path) -> Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).context(|| format!("cannot remove {}", dir.display())),
        _ => Ok(()),
    }
}

/// All files two folders below one.
fn objects(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = |dir: &Path| -> Result<Vec<PathBuf>> {
        let all = std::fs::read_dir(dir).context(|| format!("cannot list {}", dir.display()))?;
        all.map(|entry| entry.map(|e| e.path()).context(|| "cannot list a folder")).collect()
    };
    let mut all = Vec::new();
    for fan in entries(dir)? {
        all.extend(entries(&fan)?);
    }
    Ok(all)
}

fn hash(path: &Path) -> Result<()> {
    let mut hasher = Sha256::new();
    each_block(path, &mut |block| hasher.update(block))
}

fn each_block(path: &Path, take: &mut dyn FnMut(&[u8])) -> Result<()> {
    let mut file = File::open(path).context(|| "cannot open a stored object")?;
    let mut block = vec![0; 256 * 1024];
    loop {
        match file.read(&mut block).context(|| "cannot read a stored object")? {
            0 => return Ok(()),
            n => take(&block[..n]),
        }
    }
}

/// Drops what memory holds of these files.
fn forget(files: &[PathBuf]) -> Result<()> {
    files.iter().try_for_each(|path| {
        let file = File::open(path).context(|| "cannot open a stored object")?;
        file.sync_all().context(|| "cannot write a stored object out")?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).context(|| "cannot drop what memory holds")
    })
}
