//! Storing a file costs little more than its SHA-256.
//!
//! The baseline hashes the same file with the `sha2` crate alone, read in blocks of the same order; both run on the RAM disk
//! when there is one, so that neither waits for a disk. What counts is CPU time in user mode and in the kernel, which for the
//! store includes writing the copy.

use crate::line::{Bar, Line};
use crate::measure::{Of, median};
use crate::scratch;
use kf::base::error::{Context as _, Result};
use kf::store::objects::Objects;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Bytes of the file.
const SIZE: usize = 256 * 1024 * 1024;

/// Bytes that the baseline reads at a time.
const BLOCK: usize = 1024 * 1024;

pub(crate) fn run() -> Result<Vec<Line>> {
    let dir = scratch::in_memory()?;
    let file = dir.path().join("file");
    std::fs::write(&file, vec![0x5a; SIZE]).context(|| "cannot write the file to hash")?;
    let alone = median(Of::Own, 1, || hash(&file).map(drop))?;
    let objects = Objects::files(&dir.path().join("objects"))?;
    let stored = objects.put_file(&file)?;
    let verified = median(Of::Own, 1, || objects.verify(&stored.digest).map(drop))?;
    let again = median(Of::Own, 1, || objects.put_file(&file).map(drop))?;
    let mut n = 0;
    let new = median(Of::Own, 1, || {
        n += 1;
        let place = dir.path().join(format!("objects-{n}"));
        Objects::files(&place)?.put_file(&file)?;
        std::fs::remove_dir_all(&place).context(|| "cannot remove what was stored")
    })?;
    let line = |name: &str, sample: crate::measure::Sample, passes: f64| Line {
        name: name.to_owned(),
        sample,
        bar: Bar::Ratio(0.9),
        value: alone.wall_ms * passes / sample.wall_ms,
        note: format!("sha2 alone: {:.1} ms for 256 MiB", alone.wall_ms),
    };
    Ok(vec![line("hash: verify an object", verified, 1.0), line("hash: store again", again, 2.0), line("hash: store", new, 1.0)])
}

fn hash(path: &Path) -> Result<[u8; 32]> {
    let mut file = File::open(path).context(|| "cannot open the file to hash")?;
    let (mut hasher, mut block) = (Sha256::new(), vec![0; BLOCK]);
    loop {
        match file.read(&mut block).context(|| "cannot read the file to hash")? {
            0 => return Ok(hasher.finalize().into()),
            n => hasher.update(&block[..n]),
        }
    }
}
