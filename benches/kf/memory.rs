//! Memory does not grow with the size of a file that is registered.

use crate::line::{Bar, Line};
use crate::measure::{Of, kf, once, peak_memory};
use crate::scratch;
use kf::base::error::{Context as _, Result};
use std::fs::File;
use std::path::Path;

/// Bytes of the small file and of the large one, which is sparse.
const SIZES: [u64; 2] = [64 * 1024 * 1024, 5_000_000_000];

/// Bytes in a megabyte.
const MB: f64 = 1e6;

pub(crate) fn run() -> Result<Vec<Line>> {
    let dir = scratch::on_disk()?;
    scratch::init(dir.path())?;
    let mut peaks = [0; 2];
    let mut sample = Default::default();
    for (size, peak) in SIZES.iter().zip(&mut peaks) {
        let file = dir.path().join(format!("weights-{size}"));
        File::create(&file).and_then(|f| f.set_len(*size)).context(|| "cannot make a sparse file")?;
        sample = once(Of::Children, 1, || {
            *peak = register(dir.path(), &file)?;
            Ok(())
        })?;
    }
    let [small, large] = peaks.map(|p| p as f64 / MB);
    let note = format!("peak {large:.1} MB, {small:.1} MB for 64 MiB");
    Ok(vec![Line { name: "memory: register 5 GB".into(), sample, bar: Bar::AboveMb(8.0), value: large - small, note }])
}

fn register(dir: &Path, file: &Path) -> Result<u64> {
    peak_memory(kf().arg("-C").arg(dir).args(["register", "weights", "--type", "other", "--bump", "minor"]).arg(file))
}
