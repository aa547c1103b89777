//! Registering a version of 100 files, with the syncs of a disk and without any.
//!
//! The bar is for the work; what the disk's syncs add is theirs, so it is held against the run in memory, and the run on
//! disk is reported with the time that as many plain synced writes take beside it.

use crate::line::{Bar, Line};
use crate::measure::{Of, Sample, kf, median, output};
use crate::scratch;
use kf::base::error::{Context as _, Result};
use std::io::Write as _;
use std::path::Path;

/// Runs in a batch.
const RUNS: usize = 10;

/// Files of a version.
const FILES: usize = 100;

pub(crate) fn run() -> Result<Vec<Line>> {
    let memory = measure(scratch::in_memory()?.path())?;
    let disk = scratch::on_disk()?;
    let on_disk = measure(disk.path())?;
    let sync = median(Of::Own, RUNS, || synced_write(disk.path()))?;
    let above = on_disk.wall_ms - memory.wall_ms;
    let disk_note = format!("syncs add {above:.0} ms; one synced write here takes {:.1} ms", sync.wall_ms);
    Ok(vec![
        Line::timed("register: 100 files in memory", memory, Bar::WallMs(50.0)),
        Line::timed("register: 100 files on disk", on_disk, Bar::CpuMs(50.0)).noted(disk_note),
    ])
}

/// Registers versions one after the other, each with 100 files that differ from those before.
fn measure(dir: &Path) -> Result<Sample> {
    scratch::init(dir)?;
    let mut n = 0;
    let folder = dir.join("files");
    std::fs::create_dir(&folder).context(|| "cannot make a folder")?;
    // Writing the files is not what is measured, so they are all there before.
    for run in 0..=RUNS * 5 {
        write_files(&folder.join(run.to_string()), run)?;
    }
    median(Of::Children, RUNS, || {
        let files = folder.join(n.to_string());
        n += 1;
        output(kf().arg("-C").arg(dir).args(["register", "bot", "--type", "other", "--bump", "patch"]).arg(files)).map(drop)
    })
}

/// Files of 2 kB each, as prompts and rules are.
fn write_files(dir: &Path, run: usize) -> Result<()> {
    std::fs::create_dir(dir).context(|| "cannot make a folder")?;
    for i in 0..FILES {
        let line = format!("run {run} file {i}\n");
        std::fs::write(dir.join(format!("file-{i:03}.txt")), line.repeat(2048 / line.len())).context(|| "cannot write a file")?;
    }
    Ok(())
}

fn synced_write(dir: &Path) -> Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(dir).context(|| "cannot make a file")?;
    file.write_all(&[1; 4096]).context(|| "cannot write a file")?;
    file.as_file().sync_all().context(|| "cannot sync a file")
}
