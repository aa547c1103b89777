//! Puts a set in the place of the state and the objects that are in use.
//!
//! First what is there is kept: as a set of its own, or, when it cannot be read, as its files beside. Then the set is restored in a folder
//! of our own and read again there, erasures that it does not know of included. Then its rows take the place of those in use, in one
//! transaction with the event: a kill anywhere leaves the state of before or that of the set. Objects are only added.

use super::erasures::{self, Asked, Erased, Open, RESTORED};
use super::restore::{objects_back, restore_into};
use super::run::{self, Request};
use super::scratch::room;
use super::sets::SAFETY;
use super::{Place, mirror};
use crate::base::digest::hex;
use crate::base::error::{Context, Error, Result};
use crate::base::event::{Event, Resource};
use crate::base::name::Name;
use crate::base::random::Random;
use crate::domain::audit::query::{self, Filter};
use crate::domain::backup::manifest::Found;
use crate::domain::ingest::table::Scope;
use crate::release::backup::parts::{Part, Source};
use crate::release::index::index_all;
use crate::store::lock::{Hold, Matter};
use crate::store::objects::{Objects, atomic};
use crate::store::vectors::pgvector;
use crate::store::{Store, View, fulltext, log, state_id};
use serde_json::json;
use std::path::{Path, PathBuf};

/// The file of `.kf` that is there while a set is put in the place of the state.
const MARK: &str = "restoring";
/// The fact by which its event is known.
const ID: &str = "restore";

/// What is in use.
pub enum Live<'a> {
    /// A state that can be read.
    Sound(&'a Store),
    /// A SQLite file that cannot, or is not there; why.
    Damaged(&'a Path, &'a Error),
}

/// What takes the place of what.
pub struct Replacing<'a> {
    /// The set.
    pub set: &'a Found,
    /// What is in use.
    pub live: Live<'a>,
    /// The objects in use.
    pub objects: &'a Objects,
    /// Who can read the set of what was there.
    pub recipients: &'a [String],
    /// Where erasures are looked for that the set does not know of; nowhere for those that the state in use tells of.
    pub export: Option<&'a Path>,
    /// The folder `.kf`.
    pub kf: &'a Path,
    /// The source of ids.
    pub random: &'a Random,
    /// Opens the state of a file.
    pub open: Open<'a>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// The set of what was there before; `None` when that could not be read.
    pub safety: Option<String>,
    /// Where the files of a damaged state are.
    pub aside: Option<PathBuf>,
    /// Entries of the log that was there before; 0 when it could not be read.
    pub was: u64,
    /// Entries of the log now.
    pub is: u64,
    /// Objects of the set.
    pub objects: u64,
    /// What became of erasures.
    pub erased: Erased,
}

/// How far it is, for people, and who is waited for.
pub type Talk<'a> = (&'a mut dyn FnMut(&str), &'a mut dyn FnMut(u64, u64));

/// Puts a set in the place of what is in use.
///
/// # Errors
/// When what is there cannot be kept, the set is damaged or has no state, or somebody writes meanwhile; the state is as it was then.
pub fn restore_here(place: &Place<'_>, of: &Replacing<'_>, (waiting, told): Talk<'_>) -> Result<Replaced> {
    place.readable()?;
    let set = &of.set.manifest;
    if set.log.is_none() {
        return Err(Error::usage(format!("the backup set {} has no state", set.id)).hint("`--to FOLDER` restores what it has"));
    }
    let folder = room(place.scratch)?;
    let restored = folder.path().join("restored");
    std::fs::create_dir(&restored).context(|| format!("cannot make {}", restored.display()))?;
    let work = Work {
        place,
        of,
        id: hex(&of.random.bytes::<8>()),
        scratch: folder.path(),
        file: restored.join(".kf/state.db"),
        restored,
    };
    let mark = of.kf.join(MARK);
    let marked = || atomic::write_file(&mark, format!("{} {}\n", work.id, set.id).as_bytes(), 0o600);
    let done = match &of.live {
        Live::Sound(store) => {
            let _alone = store.lock(Matter::Work, Hold::Alone, "backup restore --here", waiting)?;
            marked()?;
            work.over(store, (waiting, told))
        }
        Live::Damaged(path, why) => {
            marked()?;
            work.instead(path, why, told)
        }
    };
    // Whoever gets the error knows; the mark is for who was killed.
    std::fs::remove_file(&mark).context(|| format!("cannot remove {}", mark.display()))?;
    done
}

/// A restore under way.
struct Work<'a> {
    place: &'a Place<'a>,
    of: &'a Replacing<'a>,
    /// By which its event is known.
    id: String,
    scratch: &'a Path,
    /// Where the set is restored.
    restored: PathBuf,
    /// The state in it.
    file: PathBuf,
}

impl Work<'_> {
    /// In the place of a state that can be read.
    fn over(&self, store: &Store, (waiting, told): Talk<'_>) -> Result<Replaced> {
        let (of, set) = (self.of, &self.of.set.manifest);
        let known = erasures::known(of.export.map_or(Asked::Live(store), Asked::Export), set)?;
        let safety = keep(store, self.place, of, waiting)?;
        let was = store.read(|view| log::head(view.db()))?.frontier.size();
        let objects = self.bring(told)?;
        let copy = (of.open)(&self.file)?;
        erasures::words(&copy, set)?;
        let erased = match known {
            Err(why) => Erased::Unknown(why),
            Ok(all) => Erased::Again(erasures::again(&copy, set, &all, &self.restored.join(".kf/cache"))?),
        };
        let event = self.event(&copy)?.with("safety", safety.as_str()).with("was", json!({"size": was}));
        let is = replace(store, &copy, was, event)?;
        forget_caches(of.kf)?;
        Ok(Replaced { safety: Some(safety), aside: None, was, is, objects, erased })
    }

    /// In the place of a SQLite file that cannot be read.
    fn instead(&self, path: &Path, why: &Error, told: &mut dyn FnMut(u64, u64)) -> Result<Replaced> {
        let of = self.of;
        let objects = self.bring(told)?;
        let erased = erasures::in_folder(of.export.map_or(Asked::Nobody, Asked::Export), of.set, &self.restored, of.open)?;
        let copy = (of.open)(&self.file)?;
        let event = self.event(&copy)?.with("damaged", why.to_string());
        copy.write(|tx| Ok(tx.record(event)))?;
        copy.scrub(&[])?;
        let is = copy.read(|view| log::head(view.db()))?.frontier.size();
        drop(copy);
        let ready = beside(&self.file, path)?;
        let aside = set_aside(path, &of.kf.join(format!("damaged-{}", self.id)))?;
        std::fs::rename(&ready, path).context(|| format!("cannot put the state at {}", path.display()))?;
        atomic::sync_dir(of.kf)?;
        forget_caches(of.kf)?;
        Ok(Replaced { safety: None, aside, was: 0, is, objects, erased })
    }

    /// The state into the scratch folder, the objects among those in use; gives how many objects the set has.
    fn bring(&self, told: &mut dyn FnMut(u64, u64)) -> Result<u64> {
        let state = "state".parse().context(|| "a fixed word is a name")?;
        restore_into(self.place, self.of.set, &[state], &self.restored, &mut |_, _| {})?;
        let Some(all) = &self.of.set.manifest.artifacts else { return Ok(0) };
        let index = mirror::index(self.place.objects, all)?;
        objects_back(self.place, &index, (self.of.objects, self.scratch), told)?;
        Ok(index.len() as u64)
    }

    fn event(&self, copy: &Store) -> Result<Event> {
        let found = self.of.set;
        let event = Event::new(RESTORED, Resource::new("state", state_id(&copy.db())?)).with("set", found.manifest.id.as_str());
        Ok(event.with("manifest", found.digest.to_string()).with(ID, self.id.as_str()))
    }
}

/// What is there, as a set that no rule removes.
fn keep(store: &Store, place: &Place<'_>, of: &Replacing<'_>, waiting: &mut dyn FnMut(&str)) -> Result<String> {
    let name = |word: &str| word.parse::<Name>().context(|| "a fixed word is a name");
    let parts =
        [Part { name: name("state")?, source: Source::State }, Part { name: name("artifacts")?, source: Source::Artifacts }];
    let plan = name(SAFETY)?;
    let (recipients, artifacts) = (of.recipients, of.objects);
    let request = Request { name: &plan, plan: None, only_if_due: false, parts: &parts, recipients, artifacts };
    let made = run::run(store, place, &request, waiting, &mut |_| {});
    let hint = || "what is there is kept first, and nothing was changed; `--to FOLDER` restores beside it".to_owned();
    let made = made.context(|| "cannot keep what is there now").hint(hint)?;
    made.map(|made| made.found.manifest.id).ok_or_else(|| Error::new("what is there now was not kept"))
}

/// Rows, indexes of words and the event, in one transaction; gives the entries of the log then.
fn replace(store: &Store, copy: &Store, was: u64, event: Event) -> Result<u64> {
    // Words are kept apart from the rows, by the collection.
    let old: Vec<i64> = store.read(|view| Ok(Scope::everywhere(view)?.iter().map(Scope::id).collect()))?;
    store.replace(copy, was, &mut |_, _| {}, |tx| {
        for id in old {
            fulltext::drop(tx, id)?;
            pgvector::drop(tx, id)?;
        }
        index_all(tx)?;
        Ok(tx.record(event))
    })?;
    Ok(store.read(|view| log::head(view.db()))?.frontier.size())
}

/// Caches hold what can be learnt again, and may know of what is no more.
fn forget_caches(kf: &Path) -> Result<()> {
    for name in ["vectors", "seen"] {
        let folder = kf.join("cache").join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).context(|| format!("cannot remove {}", folder.display()))?;
        }
    }
    Ok(())
}

/// Brings a file beside the place that it shall have, so that a rename does the rest: the scratch folder may be on another disk. The name is
/// always the same, so what a kill leaves is overwritten by the next attempt.
fn beside(file: &Path, place: &Path) -> Result<PathBuf> {
    let mut name = place.as_os_str().to_owned();
    name.push(".restored.tmp");
    let (to, failed) = (PathBuf::from(name), || format!("cannot bring the state beside {}", place.display()));
    match std::fs::rename(file, &to) {
        Err(e) if e.kind() == std::io::ErrorKind::CrossesDevices => {
            std::fs::copy(file, &to).and_then(|_| std::fs::File::open(&to)?.sync_all()).context(failed)?;
            // What is left of it goes with the scratch folder.
        }
        renamed => renamed.context(failed)?,
    }
    Ok(to)
}

/// Keeps the files of a state that cannot be read. They are there twice until the set takes the place of the first: what lies in the
/// write-ahead log belongs to the old file, and must not be played into the new one.
fn set_aside(path: &Path, folder: &Path) -> Result<Option<PathBuf>> {
    let beside = |end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let files: Vec<PathBuf> = ["", "-wal", "-shm"].iter().map(|end| beside(end)).filter(|file| file.exists()).collect();
    if files.is_empty() {
        return Ok(None);
    }
    std::fs::create_dir_all(folder).context(|| format!("cannot make {}", folder.display()))?;
    for file in &files {
        let to = folder.join(file.file_name().unwrap_or_default());
        std::fs::hard_link(file, &to)
            .or_else(|_| std::fs::copy(file, &to).map(drop))
            .context(|| format!("cannot keep {}", file.display()))?;
    }
    atomic::sync_dir(folder)?;
    for end in ["-wal", "-shm"] {
        let file = beside(end);
        if file.exists() {
            std::fs::remove_file(&file).context(|| format!("cannot remove {}", file.display()))?;
        }
    }
    atomic::sync_dir(path.parent().unwrap_or(Path::new(".")))?;
    Ok(Some(folder.to_owned()))
}

/// Gives whoever looks the state, when it can be opened.
pub type Read<'a> = &'a dyn Fn(&mut dyn FnMut(View<'_>) -> Result<()>) -> Result<()>;

/// The set whose restore was begun here and did not end; the mark of one that did end goes. `read` looks into the state, when it can be
/// opened.
pub fn interrupted(kf: &Path, read: Read<'_>) -> Option<String> {
    let mark = kf.join(MARK);
    let text = std::fs::read_to_string(&mark).ok()?;
    let (id, set) = text.trim().split_once(' ')?;
    let mut took_place = false;
    let looked = read(&mut |view| {
        let filter = Filter { action: Some(RESTORED.to_owned()), ..Filter::default() };
        let newest = query::log(view, &filter, 1)?;
        took_place = newest.iter().any(|entry| entry.detail.get(ID).and_then(|value| value.as_str()) == Some(id));
        Ok(())
    });
    if looked.is_ok() && took_place {
        // When this fails the next command finds it again.
        let _ = std::fs::remove_file(&mark);
        return None;
    }
    Some(set.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn a_state_comes_from_another_disk_too() {
        let home = tempfile::tempdir().expect("a folder");
        // Memory, where the system has it; elsewhere this is a rename.
        let other = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
        let device = |path: &Path| std::fs::metadata(path).expect("there").dev();
        if Path::new("/dev/shm").is_dir() {
            assert_ne!(device(home.path()), device(other.path()), "the test needs two file systems");
        }
        let (file, place) = (other.path().join("state.db"), home.path().join("state.db"));
        for bytes in ["first", "the second attempt"] {
            std::fs::write(&file, bytes).expect("written");
            let ready = beside(&file, &place).expect("brought");
            assert_eq!((ready.parent(), std::fs::read_to_string(&ready).expect("there").as_str()), (place.parent(), bytes));
        }
        assert!(!place.exists());
    }
}
