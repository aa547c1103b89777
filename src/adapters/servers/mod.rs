//! Web servers that split traffic as a file says which kf writes: nginx and Envoy.
//!
//! Invariants, on top of those of [`crate::seams::traffic`]: what counts is what answers users at the `probe`, several times in a
//! row, not what a file says; a file is replaced by a rename, under a lock, and only while it is what the caller's guard saw; one
//! that the server does not take is put back. A file that somebody edited is overwritten only to take traffic away from a canary:
//! whatever else is in the way, the way back is open. Nothing is kept outside the files and the server, so a kf that is killed at
//! any instant is followed by one that reads what answers.
//!
//! * `split`: what a server is to do, as its files and its answers carry it.
//! * `versions`: versions behind a server: their addresses, whether they answer, how they are started and stopped.
//! * `door`: asks where users come in.
//! * `nginx`, `envoy`: the servers; `nginx_conf`, `envoy_config`: their files as text; `envoy_counted`: what Envoy counted.

mod door;
mod envoy;
mod envoy_config;
mod envoy_counted;
mod nginx;
mod nginx_conf;
mod split;
mod versions;

pub use door::answers;
pub use envoy::Envoy;
pub use nginx::Nginx;

use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Result};
use crate::base::name::Name;
use crate::base::version::Version;
use crate::base::weight::Weight;
use crate::seams::traffic::{Arm, Arms, Asked, Before, Fault, Keep, Known, Ready, Seen, Target};
use crate::store::objects::atomic::write_file;
use split::{Split, Written};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use versions::{Standing, Versions};

/// How long is waited between two looks at something that takes a moment.
const PAUSE: Duration = Duration::from_millis(50);
/// For how many seconds a server keeps an idle connection to a version: less than versions do (5 s in uvicorn and Node.js), or a
/// POST meets one that is just being closed.
const IDLE_SECONDS: u32 = 4;
/// Looks in a row that must agree after a change. nginx leaves its old workers 100 ms before it tells them to end
/// (`ngx_master_process_cycle`), and until they do they answer too.
const CALM: u32 = 8;
/// The guard of a place where no file is.
const NO_FILE: &str = "none";

/// A server of one kind: its files, and how it takes them.
pub trait Server: Send + Sync {
    /// What it is called.
    fn name(&self) -> &'static str;

    /// The file that says who gets what.
    fn file(&self) -> &Path;

    /// What a person has to do so that the server uses the file.
    fn how_to_include(&self) -> String;

    /// What a text of the file says, and whether it is as kf wrote it.
    ///
    /// # Errors
    /// When kf did not write it.
    fn parse(&self, text: &str) -> Result<(Split, bool)>;

    /// The file as kf wrote it, from what an edited one still says of that.
    ///
    /// # Errors
    /// When it no longer does.
    fn unedited(&self, text: &str) -> Result<String>;

    /// What answers users; `None` when that is not by the file. Waits until all parts of the server agree, at most as long as a
    /// request may take.
    fn running(&self) -> Asked<Option<Split>>;

    /// Whether the server and the place of the file are as kf needs them; changes nothing.
    fn check(&self) -> Asked<()>;

    /// Whether copies can be sent.
    fn can_copy(&self) -> Asked<()>;

    /// Puts the file in place and has the server take it; `before` is what the file was, and the server answers by it if it is
    /// `good`. Does not wait until the server has the new one.
    fn install(&self, split: &Split, before: Option<&Written>, good: bool) -> Asked<()>;

    /// Takes out what only versions needed that the split does not have.
    fn prune(&self, split: &Split) -> Asked<()>;
}

/// A server with the versions behind it.
pub struct Served<S> {
    server: S,
    versions: Versions,
    timeout: Duration,
}

/// Holds the place of a file as long as it lives.
struct Held(#[expect(dead_code, reason = "the lock ends when the file is closed")] File);

/// The place of a file that kf writes, from the repository on when it is relative.
fn place(root: &Path, path: &str) -> PathBuf {
    root.join(path)
}

/// A refusal for something that kf itself could not do.
fn refused(e: Error) -> Fault {
    Fault::Refused(e)
}

/// Replaces a file; what it was is kept under the name with `.old` when the server answers by it. Gives what to put back when
/// the server does not take the new one: the last that it took, rather than one that was only written.
fn replace(path: &Path, text: &str, before: Option<&Written>, good: bool) -> Result<Option<String>> {
    let old = old_of(path);
    let back = match before {
        Some(before) if good => {
            write_file(&old, before.text.as_bytes(), 0o644)?;
            Some(before.text.clone())
        }
        Some(before) => Some(std::fs::read_to_string(&old).unwrap_or_else(|_| before.text.clone())),
        None => None,
    };
    write_file(path, text.as_bytes(), 0o644)?;
    // What it was before an edit is told only of the file that there is.
    let _ = std::fs::remove_file(beside(path, ".kf"));
    Ok(back)
}

/// Puts back what a file was; takes it away when it was not there.
fn put_back(path: &Path, back: Option<&str>) -> Result<()> {
    match back {
        Some(text) => write_file(path, text.as_bytes(), 0o644),
        None => std::fs::remove_file(path).map_err(|e| worded(e, path)),
    }
}

/// Where the last file that the server took is kept.
fn old_of(path: &Path) -> PathBuf {
    beside(path, ".old")
}

/// A file beside another one, with more at the end of its name.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// What served before, as the file says, or else the server.
fn replaced(written: Option<&Written>, running: Option<&Split>) -> Option<Arm> {
    written.map(|written| &written.split).or(running).and_then(|split| split.replaced.clone())
}

/// Waits until `ready` gives something, at most so long.
fn wait_for<T>(limit: Duration, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = ready() {
            return Some(found);
        }
        if began.elapsed() >= limit {
            return None;
        }
        std::thread::sleep(PAUSE);
    }
}

impl<S: Server> Served<S> {
    /// What the file says, with the guard of it; without one when there is no file.
    fn written(&self) -> Asked<Option<Written>> {
        let path = self.server.file();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(refused(worded(e, path))),
        };
        let move_away = || format!("move it away, and kf writes it anew: `mv {0} {0}.mine`", path.display());
        let (split, as_written) = self
            .server
            .parse(&text)
            .context(|| format!("`{}` is not a file of kf", path.display()))
            .hint(move_away)
            .map_err(refused)?;
        Ok(Some(Written { split, edited: !as_written, guard: Digest::of(text.as_bytes()).to_string(), text }))
    }

    /// Keeps everybody else from writing.
    fn hold(&self) -> Asked<Held> {
        let path = self.server.file();
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let lock = path.with_file_name(format!(".{name}.lock"));
        let file = File::options().create(true).truncate(false).write(true).open(&lock);
        let file = file.map_err(|e| refused(worded(e, &lock)))?;
        let taken = wait_for(self.timeout, || match file.try_lock() {
            Ok(()) => Some(Ok(())),
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Error(e)) => Some(Err(refused(worded(e, &lock)))),
        });
        taken.unwrap_or_else(|| {
            let message = format!("another kf has been writing `{}` for {:?}", path.display(), self.timeout);
            Err(Fault::Conflict(Error::new(message)))
        })?;
        Ok(Held(file))
    }

    /// What is to come: both versions and the weight, one generation on.
    fn next(&self, written: Option<&Written>, running: Option<&Split>, arms: &Arms, weight: Weight) -> Split {
        let stable = arms.stable.as_ref().map(|arm| arm.version);
        let canary = arms.canary.version;
        let generation = Split::after(written.map(|w| &w.split), running);
        let shadow = written.map_or(Weight::NONE, |w| if w.split.canary == Some(canary) { w.split.shadow } else { Weight::NONE });
        let replaced = replaced(written, running);
        // What became the stable one at the end of its rollout has all of the traffic already.
        if weight == Weight::FULL && running.is_some_and(|split| split.stable == Some(canary) && split.canary.is_none()) {
            return Split { generation, replaced, ..Split::of(Some(canary)) };
        }
        Split { generation, stable, canary: Some(canary), weight, shadow, replaced }
    }

    /// Has the server do what `wanted` says, and waits until it answers so; nothing, when it does already.
    fn bring(&self, wanted: &Split, written: Option<&Written>, running: Option<&Split>) -> Asked<()> {
        let there = |split: &Split| Split { generation: wanted.generation, ..split.clone() } == *wanted;
        if running.is_some_and(there) && written.is_some_and(|w| !w.edited && there(&w.split)) {
            return Ok(());
        }
        let good = written.is_some_and(|w| running.is_some_and(|r| r.generation == w.split.generation));
        self.server.install(wanted, written, good)?;
        self.await_generation(wanted.generation)
    }

    fn await_generation(&self, generation: u64) -> Asked<()> {
        let (mut last, mut calm) = (Ok(None), 0);
        let arrived = wait_for(self.timeout, || {
            last = self.server.running();
            calm = if matches!(&last, Ok(Some(split)) if split.generation == generation) { calm + 1 } else { 0 };
            (calm == CALM).then_some(())
        });
        if arrived.is_some() {
            return Ok(());
        }
        let shows = match last {
            Ok(Some(split)) => format!("it still answers by generation {}", split.generation),
            Ok(None) => "its answers are not by the file".to_owned(),
            Err(fault) => fault.into_error().to_string(),
        };
        let message = format!("{} did not take generation {generation} within {:?}: {shows}", self.describe(), self.timeout);
        Err(Fault::Unclear(Error::new(message).hint("its own log says why: a file that it cannot use is only told there")))
    }

    /// Whether what answers is what the registry says of the stable version.
    fn agrees(&self, arms: &Arms, running: &Split) -> Asked<()> {
        let stable = arms.stable.as_ref().map(|arm| arm.version);
        let model = &arms.model;
        if running.stable != stable && running.stable != Some(arms.canary.version) {
            let word = |version: Option<Version>| version.map_or("no version".to_owned(), |v| format!("{model}@{v}"));
            let message = format!("{} has {} serve, not {}", self.describe(), word(running.stable), word(stable));
            let hint = format!(
                "`kf list {model}` shows what is in production; bring it to the target first: `kf deploy {model}@VERSION`"
            );
            return Err(refused(Error::new(message).hint(hint)));
        }
        match running.canary.filter(|&other| other != arms.canary.version && running.weight > Weight::NONE) {
            None => Ok(()),
            Some(other) => {
                let message = format!("{} gives {} of the traffic to {model}@{other}", self.describe(), running.weight);
                Err(refused(Error::new(message).hint(format!("end that rollout first: `kf canary abort {model}`"))))
            }
        }
    }

    /// Makes sure that what is to get more can take it: the canary always, the stable version when it had nothing.
    fn can_take(&self, arms: &Arms, wanted: &Split, before: Option<&Split>) -> Asked<()> {
        let part = |version: Version| before.map_or(Weight::NONE, |split| split.part_of(version));
        let canary = Some(arms.canary.version).filter(|&v| wanted.part_of(v) > part(v));
        let stable = wanted.stable.filter(|&v| wanted.part_of(v) > Weight::NONE && part(v) == Weight::NONE);
        let mut gaining = canary.into_iter().chain(stable);
        gaining.try_for_each(|v| unready(&arms.model, v, self.versions.standing(&arms.model, v)?))
    }

    /// Makes sure that a version has all of the traffic; that nobody has any when there is none.
    fn has_all(&self, arms: &Arms, version: Option<Version>, running: &Split) -> Asked<()> {
        let model = &arms.model;
        let (who, part, right) = match version {
            Some(version) => {
                let part = running.part_of(version);
                (format!("{model}@{version}"), part, part == Weight::FULL)
            }
            None => (format!("{model}@{}", arms.canary.version), running.weight, running.weight == Weight::NONE),
        };
        if right {
            return Ok(());
        }
        let message = format!("{who} has {part} of the traffic of {}: the rollout has not ended there", self.describe());
        Err(refused(Error::new(message)))
    }

    /// The same fault, with what to do before a rollout can begin.
    fn start_first(&self, fault: Fault, arms: &Arms, stable: Version) -> Fault {
        let (model, target) = (&arms.model, &self.versions.target);
        let address = self.versions.address(model, stable);
        let by_kf = if self.versions.can_start() { "" } else { "; `start` of the target is a program by which kf does" };
        let hint = format!(
            "the version in production must answer first: start {model}@{stable} at {address} (`url` of `[target.{target}]`){by_kf}"
        );
        match fault {
            Fault::Unclear(e) => Fault::Unclear(e.hint(hint)),
            other => other,
        }
    }

    fn include_first(&self) -> String {
        let (name, file) = (self.server.name(), self.server.file().display());
        format!("{name} does not go by `{file}`: {}", self.server.how_to_include())
    }

    /// Puts the file as kf wrote it beside an edited one, and says what to do with both.
    fn how_to_undo(&self, model: &Name, edited: &Written) -> String {
        let place = self.server.file();
        let over = format!("`kf canary abort {model}` takes the canary back, and overwrites it");
        let ours = beside(place, ".kf");
        let text = self.server.unedited(&edited.text);
        match text.and_then(|text| write_file(&ours, text.as_bytes(), 0o644)) {
            Ok(()) => format!("`diff {1} {0}` shows the change, `mv {1} {0}` undoes it; {over}", place.display(), ours.display()),
            Err(_) => format!("undo the change; {over}"),
        }
    }

    /// The server with what is running, which must be something.
    fn must_run(&self) -> Asked<Split> {
        self.server.running()?.ok_or_else(|| Fault::Unclear(Error::new(self.include_first())))
    }
}

/// Words a failure of the file system.
fn worded(e: std::io::Error, path: &Path) -> Error {
    let hint = format!("kf must be allowed to write the folder `{}`", path.parent().unwrap_or(Path::new(".")).display());
    Error::new(format!("cannot use `{}`: {e}", path.display())).hint(hint)
}

/// Why a version cannot take traffic, as a fault.
fn unready(model: &Name, version: Version, standing: Standing) -> Asked<()> {
    match standing {
        Standing::Ready => Ok(()),
        Standing::Not(why) => Err(Fault::Unclear(Error::new(format!("{model}@{version} cannot take traffic: {why}")))),
    }
}

impl<S: Server> Target for Served<S> {
    fn describe(&self) -> String {
        format!("{} by `{}`", self.server.name(), self.server.file().display())
    }

    fn preflight(&self, arms: &Arms) -> Asked<()> {
        self.versions.apart(arms).map_err(refused)?;
        self.server.check()?;
        if arms.back {
            return Ok(());
        }
        let first = self.written()?.is_none();
        // What `scale` starts with the first file does not run before.
        if let Some(arm) = arms.stable.as_ref().filter(|_| !first || !self.versions.can_start()) {
            let standing = self.versions.standing(&arms.model, arm.version)?;
            unready(&arms.model, arm.version, standing).map_err(|fault| self.start_first(fault, arms, arm.version))?;
        }
        if first {
            return Ok(());
        }
        self.server.running()?.map_or(Ok(()), |running| self.agrees(arms, &running))
    }

    fn scale(&self, arms: &Arms, weight: Weight) -> Asked<()> {
        let first = self.written()?.is_none();
        let stable = arms.stable.as_ref().filter(|_| first || weight < Weight::FULL);
        for arm in stable.into_iter().chain([&arms.canary]) {
            self.versions.start(&arms.model, arm)?;
        }
        let _held = self.hold()?;
        if self.written()?.is_some() {
            return Ok(());
        }
        // The first file: who includes it is told while readiness is waited for.
        let stable = arms.stable.as_ref().map(|arm| arm.version);
        match self.server.install(&Split { generation: 1, ..Split::of(stable) }, None, false) {
            Err(Fault::Unclear(_)) => Ok(()),
            done => done,
        }
    }

    fn ready(&self, arms: &Arms, weight: Weight) -> Asked<Ready> {
        match self.server.running() {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(Ready::NotYet(self.include_first())),
            Err(Fault::Unclear(e)) => return Ok(Ready::NotYet(e.to_string())),
            Err(other) => return Err(other),
        }
        let stable = arms.stable.as_ref().filter(|_| weight < Weight::FULL);
        for arm in [Some(&arms.canary), stable].into_iter().flatten() {
            if let Standing::Not(why) = self.versions.standing(&arms.model, arm.version)? {
                return Ok(Ready::NotYet(format!("{}@{}: {why}", arms.model, arm.version)));
            }
        }
        Ok(Ready::Yes)
    }

    fn preview(&self, arms: &Arms) -> Asked<Option<String>> {
        Ok(Some(self.versions.address(&arms.model, arms.canary.version)))
    }

    fn read(&self, arms: &Arms) -> Asked<Seen> {
        let written = self.written()?;
        let running = self.must_run()?;
        let weight = running.part_of(arms.canary.version);
        let alone = running.stable.is_none() && weight > Weight::NONE;
        Ok(Seen {
            weight,
            share: if alone { 1.0 } else { weight.share() },
            stable: running.stable,
            canary: running.canary,
            taken: None,
            guard: written.map_or_else(|| NO_FILE.to_owned(), |w| w.guard),
        })
    }

    fn write(&self, arms: &Arms, weight: Weight, guard: &str) -> Asked<()> {
        let _held = self.hold()?;
        let written = self.written()?;
        let place = self.server.file().display();
        if written.as_ref().map_or(NO_FILE, |w| &w.guard) != guard {
            return Err(Fault::Conflict(Error::new(format!("`{place}` was changed meanwhile"))));
        }
        if let Some(edited) = written.as_ref().filter(|w| w.edited && weight > Weight::NONE && !arms.back) {
            let hint = self.how_to_undo(&arms.model, edited);
            return Err(Fault::Conflict(Error::new(format!("`{place}` was edited since kf wrote it")).hint(hint)));
        }
        let running = self.server.running().ok().flatten();
        let wanted = self.next(written.as_ref(), running.as_ref(), arms, weight);
        self.can_take(arms, &wanted, running.as_ref().or(written.as_ref().map(|w| &w.split)))?;
        self.bring(&wanted, written.as_ref(), running.as_ref())
    }

    fn shadow(&self, arms: &Arms, part: Weight) -> Asked<()> {
        if part > Weight::NONE {
            self.server.can_copy()?;
            let canary = arms.canary.version;
            unready(&arms.model, canary, self.versions.standing(&arms.model, canary)?)?;
        }
        let _held = self.hold()?;
        let (written, running) = (self.written()?, self.must_run()?);
        let now = running.part_of(arms.canary.version);
        let mut wanted = Split { shadow: part, ..self.next(written.as_ref(), Some(&running), arms, now) };
        // Of a shadow whose copies end nothing is left: nobody may name it, then neither.
        wanted.canary = wanted.canary.filter(|_| part > Weight::NONE || now > Weight::NONE);
        self.bring(&wanted, written.as_ref(), Some(&running))
    }

    fn can_copy(&self) -> Asked<()> {
        self.server.can_copy()
    }

    fn copies(&self, arms: &Arms, part: Weight) -> Asked<bool> {
        let running = self.must_run()?;
        let made = if running.canary == Some(arms.canary.version) { running.shadow } else { Weight::NONE };
        Ok(made == part)
    }

    fn knows(&self, _: &Name) -> Asked<Known> {
        let replaced = self.written()?.and_then(|written| written.split.replaced);
        let before = replaced.into_iter().map(|arm| Before { arm, then: None }).collect();
        // Versions run by themselves here: whether one is there only its address tells.
        Ok(Known { before, ..Known::default() })
    }

    fn settle(&self, arms: &Arms, keep: Keep) -> Asked<()> {
        let stable = arms.stable.as_ref();
        let (winner, loser) = match keep {
            Keep::Canary => (Some(&arms.canary), stable),
            Keep::Stable => (stable, Some(&arms.canary)),
        };
        let (winner, loser) = (winner.map(|arm| arm.version), loser.filter(|arm| Some(arm.version) != winner.map(|w| w.version)));
        let held = self.hold()?;
        let (written, running) = (self.written()?, self.must_run()?);
        self.has_all(arms, winner, &running)?;
        let generation = Split::after(written.as_ref().map(|w| &w.split), Some(&running));
        // Only what was really replaced is remembered, and only when it could be started again.
        let before = stable.filter(|arm| keep == Keep::Canary && arm.is_told() && Some(arm.version) != winner).cloned();
        let replaced = before.or_else(|| replaced(written.as_ref(), Some(&running)));
        let wanted = Split { generation, replaced, ..Split::of(winner) };
        self.bring(&wanted, written.as_ref(), Some(&running))?;
        self.server.prune(&wanted)?;
        drop(held);
        loser.map_or(Ok(()), |arm| self.versions.stop(&arms.model, arm))
    }
}
