//! Places to measure in: fresh repositories, on disk and in memory, and large states that are seeded once and kept.

use crate::measure::{kf, output};
use kf::base::error::{Context as _, Result};
use kf::base::random::Random;
use kf::base::time::Clock;
use kf::store::{DbTarget, Identity, Mode, Settings, Store, migrations};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Cargo's folder for what benchmarks keep; `cargo clean` removes it.
const KEPT: &str = env!("CARGO_TARGET_TMPDIR");

/// The RAM disk of Linux.
const MEMORY: &str = "/dev/shm";

/// A folder on the disk of the build.
pub(crate) fn on_disk() -> Result<TempDir> {
    tempfile::tempdir_in(KEPT).context(|| format!("cannot make a folder in {KEPT}"))
}

/// A folder in memory where there is a RAM disk, else on disk.
pub(crate) fn in_memory() -> Result<TempDir> {
    if !Path::new(MEMORY).is_dir() {
        return on_disk();
    }
    tempfile::tempdir_in(MEMORY).context(|| format!("cannot make a folder in {MEMORY}"))
}

/// Makes a repository with a state, without Git. Its `mlops.toml` comes first: the folder may lie in another repository.
pub(crate) fn init(dir: &Path) -> Result<()> {
    std::fs::write(dir.join("mlops.toml"), "[project]\nname = \"bench\"\n").context(|| "cannot write mlops.toml")?;
    output(kf().arg("-C").arg(dir).arg("init")).map(drop)
}

/// Opens the state of a repository made by [`init`], to write as `who`.
pub(crate) fn open(dir: &Path, who: &str) -> Result<Store> {
    let settings = Settings {
        target: DbTarget::Sqlite(dir.join(".kf/state.db")),
        lock_timeout: Duration::from_secs(60),
        identity: Identity { kind: "user".into(), name: who.into(), host: "bench".into() },
        clock: Arc::new(Clock::System),
        random: Arc::new(Random::System),
        seal: None,
        project: "bench".into(),
        copies: dir.join(".kf"),
        keys: kf::store::objects::Keys::default(),
    };
    Store::open(settings, Mode::Write)
}

/// A repository that `fill` seeds on first use and that later runs find again. Its name carries the number of the schema; a
/// half-seeded one never gets the name.
pub(crate) fn kept(name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let place = Path::new(KEPT).join(format!("bench-{name}-schema-{}", migrations::CURRENT));
    if place.is_dir() {
        return Ok(place);
    }
    let fresh = on_disk()?;
    init(fresh.path())?;
    fill(fresh.path())?;
    std::fs::rename(fresh.path(), &place).context(|| format!("cannot keep {}", place.display()))?;
    // Its folder has another name now: there is nothing left to remove.
    let _ = fresh.keep();
    Ok(place)
}
