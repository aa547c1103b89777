//! Storing and verifying a file costs little more than its SHA-256.
//!
//! The baseline reads the same file in blocks and hashes it with the `sha2` crate alone; for storing, it writes the blocks to
//! another file too. All run on the RAM disk when there is one. CPU time is compared, by turns, since wall time on a busy machine
//! tells about its other work.

use crate::line::{Bar, Line};
use crate::measure::{Of, Sample, medians};
use crate::scratch;
use kf::base::error::{Context as _, Result};
use kf::store::objects::Objects;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

/// Bytes of the file.
const SIZE: usize = 256 * 1024 * 1024;

/// Runs in a batch.
const RUNS: usize = 3;

/// Bytes that the baseline reads at a time.
const BLOCK: usize = 256 * 1024;

pub(crate) fn run() -> Result<Vec<Line>> {
    let dir = scratch::in_memory()?;
    let file = dir.path().join("file");
    std::fs::write(&file, vec![0x5a; SIZE]).context(|| "cannot write the file to hash")?;
    let objects = Objects::files(&dir.path().join("objects"))?;
    let stored = objects.put_file(&file)?;
    let verify = || objects.verify(&stored.digest).map(drop);
    let [verified, alone] = medians(Of::Own, RUNS, verify, || hash(&file, None).map(drop))?;
    let place = dir.path().join("fresh");
    let store = || {
        Objects::files(&place)?.put_file(&file)?;
        std::fs::remove_dir_all(&place).context(|| "cannot remove what was stored")
    };
    let copy = dir.path().join("copy");
    let hash_and_copy = || {
        hash(&file, Some(&mut File::create(&copy).context(|| "cannot make a copy")?))?;
        std::fs::remove_file(&copy).context(|| "cannot remove the copy")
    };
    let [new, copied] = medians(Of::Own, RUNS, store, hash_and_copy)?;
    let line = |name: &str, sample: Sample, baseline: Sample, what: &str| Line {
        name: name.to_owned(),
        sample,
        bar: Bar::Ratio(0.9),
        value: baseline.cpu_ms / sample.cpu_ms,
        note: format!("{what}: {:.0} ms CPU for 256 MiB", baseline.cpu_ms),
    };
    Ok(vec![
        line("hash: verify an object", verified, alone, "sha2 alone"),
        line("hash: store an object", new, copied, "sha2 and a plain copy"),
    ])
}

/// Hashes a file, and copies it on the way when there is somewhere to.
fn hash(path: &Path, mut copy: Option<&mut File>) -> Result<[u8; 32]> {
    let mut file = File::open(path).context(|| "cannot open the file to hash")?;
    let (mut hasher, mut block) = (Sha256::new(), vec![0; BLOCK]);
    loop {
        match file.read(&mut block).context(|| "cannot read the file to hash")? {
            0 => return Ok(hasher.finalize().into()),
            n => {
                hasher.update(&block[..n]);
                if let Some(copy) = &mut copy {
                    copy.write_all(&block[..n]).context(|| "cannot write the copy")?;
                }
            }
        }
    }
}
