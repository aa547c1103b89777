//! Whether a version that is about to be released is what its digest says: every byte of it is read and hashed, before the
//! writer's lock is taken, because that may take minutes; under the lock its objects are only asked for again.

use super::checkout::manifest_of;
use super::parallel;
use crate::base::digest::Digest;
use crate::base::error::{Error, Kind, Result};
use crate::domain::registry::manifest::FileEntry;
use crate::domain::registry::table::VersionRow;
use crate::store::objects::{Fault, Health, Objects};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// Is told from any thread how many bytes there are in all, and how many were read since it was told last.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) + Sync);

/// Reads versions, and knows which ones it has read.
pub struct Reader<'a> {
    objects: &'a Objects,
    jobs: usize,
    progress: Progress<'a>,
    /// What reading came to, by the digest of the version; an error is handed out once.
    read: RefCell<BTreeMap<Digest, Result<()>>>,
}

impl<'a> Reader<'a> {
    /// A reader with up to `jobs` threads.
    pub fn new(objects: &'a Objects, jobs: usize, progress: Progress<'a>) -> Self {
        Self { objects, jobs, progress, read: RefCell::default() }
    }

    /// Reads all files of a version and keeps what came of it for [`Reader::require`].
    pub fn read(&self, version: &VersionRow) {
        let done = self.hash(version);
        self.read.borrow_mut().insert(version.digest, done);
    }

    /// Makes sure that all files of a version were read and are right. One that was read already is only asked for again; one
    /// that was not, because the state changed meanwhile, is read now.
    ///
    /// # Errors
    /// [`Kind::Broken`] when the manifest or a file is missing or damaged, [`Kind::Failed`] when one cannot be read.
    pub fn require(&self, version: &VersionRow) -> Result<()> {
        let known = self.read.borrow_mut().remove(&version.digest);
        match known {
            Some(done) => done.and_then(|()| self.ask(version)),
            None => self.hash(version),
        }
    }

    /// Whether all files of a version are there; they are not read.
    ///
    /// # Errors
    /// [`Kind::Broken`] when the manifest is damaged or a file is missing.
    pub fn there(&self, version: &VersionRow) -> Result<()> {
        self.ask(version)
    }

    fn ask(&self, version: &VersionRow) -> Result<()> {
        for file in manifest_of(self.objects, version).map_err(graded)?.files() {
            match self.objects.stat(&file.digest)? {
                None => return Err(damaged(version, file, "it is missing")),
                Some(size) if size != file.size => {
                    return Err(damaged(version, file, &format!("it has {size} bytes instead of {}", file.size)));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn hash(&self, version: &VersionRow) -> Result<()> {
        let manifest = manifest_of(self.objects, version).map_err(graded)?;
        let mut seen = BTreeSet::new();
        let files: Vec<&FileEntry> = manifest.files().iter().filter(|f| seen.insert(f.digest)).collect();
        let total = files.iter().map(|f| f.size).sum();
        let tell = |bytes| (self.progress)(total, bytes);
        let look = |file: &&FileEntry| self.objects.verify_telling(&file.digest, &tell);
        // Of several, the first in the order of the manifest, whichever thread was first.
        let mut wrong: BTreeMap<&str, Error> = BTreeMap::new();
        parallel::each(&files, self.jobs, &look, &mut |file, health, _| {
            let problem = match health {
                Ok(Health::Ok) => return,
                Ok(Health::Missing) => damaged(version, file, "it is missing"),
                Ok(Health::Corrupt { found, size }) => {
                    damaged(version, file, &format!("its {size} bytes have the digest {found}"))
                }
                Err(e) => graded(e),
            };
            wrong.insert(&file.path, problem);
        });
        wrong.into_values().next().map_or(Ok(()), Err)
    }
}

/// An object that is missing or corrupt is a no; a place that does not answer says nothing about what is in it.
fn graded(e: Error) -> Error {
    if e.cause::<Fault>().is_some() { e.kind_of(Kind::Broken) } else { e }
}

fn damaged(version: &VersionRow, file: &FileEntry, how: &str) -> Error {
    let what = format!("the file {} of {} is not what was registered: {how}", file.path.escape_debug(), version.reference());
    Error::of(Kind::Broken, what).hint(format!(
        "`kf fsck --repair` sets damaged objects aside; registering the same files again heals them: `kf register {} PATH --version {}`",
        version.name, version.version
    ))
}
