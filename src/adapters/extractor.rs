//! Reads documents in processes of their own, where a parser that crashes, hangs or eats memory takes nothing with it.
//!
//! PDF and packed formats (office files, e-books) are read by `kf extract-worker`, started when first needed and used again;
//! everything else is read here, by parsers that do not recurse, with panics caught. A worker may hold so much address space and
//! no more, ends itself when a document takes far too long, and ends with its parent, whose end of the pipe it reads.
//!
//! The protocol, both ways: frames of a length (u32, little-endian) and so many bytes. Asked: a frame of JSON `Asked`, a frame
//! of the file. Answered: a frame of JSON `Answered`.

use crate::base::error::{Context, Error, Result};
use crate::base::guard::guarded;
use crate::domain::ingest::document::Document;
use crate::domain::ingest::extract::{Extracted, Format, Limits, extract};
use crate::domain::ingest::reason::{Refusal, Refused};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::io::{BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Address space of a worker, in bytes: the largest file, what it unpacks to, and its text, several times over.
const MEMORY: u64 = 3 << 30;
/// How much longer than its time a document may take before its worker ends itself: its own checks come first.
const GRACE: Duration = Duration::from_secs(5);
/// The largest frame: a file or a text at the limits of `mlops.toml`, as JSON.
const FRAME_MAX: u32 = 2 << 30;

/// What one document may cost, as it is sent.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Bounds {
    /// The most bytes of the file, and the most that it may unpack to.
    pub max_bytes: u64,
    /// The most pages.
    pub max_pages: u32,
    /// How long it may take.
    pub timeout: Duration,
}

/// A request to a worker; the bytes of the file follow in a frame of their own.
#[derive(Serialize, Deserialize)]
struct Asked {
    name: String,
    bounds: Bounds,
}

/// The answer of a worker.
#[derive(Serialize, Deserialize)]
enum Answered {
    Read { format: String, document: Document },
    Refused { reason: String, detail: String },
}

/// Reads documents; shared by any number of threads.
pub struct Extractor {
    program: PathBuf,
    bounds: Bounds,
    idle: Mutex<Vec<Worker>>,
}

struct Worker {
    child: Child,
    asked: ChildStdin,
    answered: BufReader<ChildStdout>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Extractor {
    /// `program` is kf itself.
    pub fn new(program: &Path, bounds: Bounds) -> Self {
        Self { program: program.to_owned(), bounds, idle: Mutex::default() }
    }

    /// Reads a document.
    ///
    /// # Errors
    /// Why it cannot be used; a worker that died is [`Refusal::Crashed`], or [`Refusal::TooSlow`] when its time was over.
    pub fn extract(&self, bytes: &[u8], name: &str) -> Result<Extracted, Refused> {
        if !may_crash(bytes) {
            return here(bytes, name, &self.bounds);
        }
        let mut worker = match self.idle().map_or_else(|| self.start(), Ok) {
            Ok(worker) => worker,
            Err(e) => return Err(Refused::new(Refusal::Crashed, format!("cannot start a process to read it: {e}"))),
        };
        let started = Instant::now();
        match worker.ask(bytes, name, self.bounds) {
            Ok(answered) => {
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
                understand(answered)
            }
            Err(_) if started.elapsed() >= self.bounds.timeout => Err(too_slow(&self.bounds)),
            Err(e) => Err(Refused::new(Refusal::Crashed, format!("the process that read it died: {e}"))),
        }
    }

    /// A worker that waits for work; one that was ended meanwhile is no fault of the next document.
    fn idle(&self) -> Option<Worker> {
        loop {
            let mut worker = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if matches!(worker.child.try_wait(), Ok(None)) {
                return Some(worker);
            }
        }
    }

    fn start(&self) -> Result<Worker> {
        let mut child = Command::new(&self.program)
            .arg(WORKER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context(|| format!("cannot start {}", self.program.display()))?;
        let (Some(asked), Some(answered)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::new("a process was started without its pipes"));
        };
        Ok(Worker { child, asked, answered: BufReader::new(answered) })
    }
}

/// The name of the hidden command that a worker runs.
pub const WORKER: &str = "extract-worker";

impl Worker {
    fn ask(&mut self, bytes: &[u8], name: &str, bounds: Bounds) -> std::io::Result<Answered> {
        let asked = serde_json::to_vec(&Asked { name: name.to_owned(), bounds })?;
        write_frame(&mut self.asked, &asked)?;
        write_frame(&mut self.asked, bytes)?;
        self.asked.flush()?;
        let answer = read_frame(&mut self.answered)?.ok_or(ErrorKind::UnexpectedEof)?;
        Ok(serde_json::from_slice(&answer)?)
    }
}

fn understand(answered: Answered) -> Result<Extracted, Refused> {
    let strange = |what: &str| Refused::new(Refusal::Crashed, format!("the process that read it answered {what}"));
    match answered {
        Answered::Read { format, document } => {
            let format = Format::of(&format).ok_or_else(|| strange("with a format that does not exist"))?;
            Ok(Extracted { document, format, encoding: None })
        }
        Answered::Refused { reason, detail } => {
            Err(Refused::new(Refusal::of(&reason).ok_or_else(|| strange("with a reason that does not exist"))?, detail))
        }
    }
}

/// PDF and ZIP: formats whose parsers follow pointers and inflate.
fn may_crash(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(1024)];
    head.starts_with(b"PK") || head.windows(5).any(|w| w == b"%PDF-")
}

/// Reads a document in this process, a panic caught.
fn here(bytes: &[u8], name: &str, bounds: &Bounds) -> Result<Extracted, Refused> {
    let started = Instant::now();
    let late = || started.elapsed() >= bounds.timeout;
    let most = usize::try_from(bounds.max_bytes).unwrap_or(usize::MAX);
    let pages = usize::try_from(bounds.max_pages).unwrap_or(usize::MAX);
    let limits = Limits { max_bytes: most, max_inflated: most, max_pages: pages, ..Limits::new(&late) };
    guarded(|| extract(bytes, name, &limits)).unwrap_or_else(|| Err(Refused::new(Refusal::Crashed, "its parser panicked")))
}

fn too_slow(bounds: &Bounds) -> Refused {
    Refused::new(Refusal::TooSlow, format!("reading it took longer than {} s", bounds.timeout.as_secs()))
}

/// Bounds the memory of this process, which is a worker's. Failing to is no reason not to read.
pub fn confine() {
    let _ = setrlimit(Resource::As, Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) });
}

/// The worker's side: answers requests until the other side closes its pipe.
///
/// # Errors
/// When a pipe breaks or a request is none.
pub fn serve(asked: &mut dyn Read, answered: &mut dyn Write) -> Result<()> {
    let watch = Watch::start();
    while let Some(frame) = read_frame(asked).context(|| "cannot read a request")? {
        let request: Asked = serde_json::from_slice(&frame).context(|| "a request is no JSON")?;
        let bytes =
            read_frame(asked).context(|| "cannot read a file")?.ok_or_else(|| Error::new("a request without its file"))?;
        watch.until(Some(request.bounds.timeout + GRACE));
        let answer = match here(&bytes, &request.name, &request.bounds) {
            Ok(read) => Answered::Read { format: read.format.word().to_owned(), document: read.document },
            Err(refused) => Answered::Refused { reason: refused.reason.word().to_owned(), detail: refused.detail },
        };
        watch.until(None);
        let answer = serde_json::to_vec(&answer).context(|| "cannot write an answer")?;
        write_frame(answered, &answer).and_then(|()| answered.flush()).context(|| "cannot answer")?;
    }
    Ok(())
}

/// Ends the process when a document takes far longer than it may: a loop that never asks for the time cannot be stopped
/// otherwise.
#[derive(Clone)]
struct Watch {
    started: Instant,
    /// Milliseconds after `started` at which the process ends; 0 never.
    end: std::sync::Arc<AtomicU64>,
}

impl Watch {
    fn start() -> Self {
        let watch = Self { started: Instant::now(), end: std::sync::Arc::default() };
        let own = watch.clone();
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Duration::from_millis(200));
                let end = own.end.load(Ordering::Relaxed);
                if end != 0 && own.now() > end {
                    std::process::abort();
                }
            }
        });
        watch
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn until(&self, after: Option<Duration>) {
        let end = after.map_or(0, |after| self.now() + u64::try_from(after.as_millis()).unwrap_or(u64::MAX / 2));
        self.end.store(end, Ordering::Relaxed);
    }
}

fn write_frame(out: &mut dyn Write, bytes: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(bytes.len()).ok().filter(|n| *n <= FRAME_MAX).ok_or(ErrorKind::FileTooLarge)?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(bytes)
}

/// The next frame; `None` when the other side is done.
fn read_frame(from: &mut dyn Read) -> std::io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = u32::from_le_bytes(length);
    if length > FRAME_MAX {
        return Err(ErrorKind::FileTooLarge.into());
    }
    let mut bytes = Vec::new();
    from.take(u64::from(length)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != u64::from(length) {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { max_bytes: 1 << 20, max_pages: 10, timeout: Duration::from_secs(20) };

    #[test]
    fn a_worker_answers_until_its_pipe_closes() {
        let mut asked = Vec::new();
        for text in ["# A title\n\nSome words.", ""] {
            write_frame(&mut asked, &serde_json::to_vec(&Asked { name: "a.md".into(), bounds: BOUNDS }).expect("JSON"))
                .expect("written");
            write_frame(&mut asked, text.as_bytes()).expect("written");
        }
        let mut answered = Vec::new();
        serve(&mut &asked[..], &mut answered).expect("served");
        let mut from = &answered[..];
        let mut next =
            || understand(serde_json::from_slice(&read_frame(&mut from).expect("read").expect("a frame")).expect("JSON"));
        let read = next().expect("read");
        assert_eq!((read.format, read.document.text.as_str()), (Format::Markdown, "A title\n\nSome words."));
        assert_eq!(next().expect_err("refused").reason, Refusal::Empty);
    }

    #[test]
    fn a_worker_that_dies_is_a_crash_and_the_next_one_is_started() {
        let extractor = Extractor::new(Path::new("/bin/true"), BOUNDS);
        for _ in 0..2 {
            assert_eq!(extractor.extract(b"%PDF-1.4 ...", "a.pdf").expect_err("died").reason, Refusal::Crashed);
        }
        let missing = Extractor::new(Path::new("/no/such/program"), BOUNDS);
        assert_eq!(missing.extract(b"PK\x03\x04", "a.docx").expect_err("none").reason, Refusal::Crashed);
        assert!(missing.extract(b"Plain text is read in this process.", "a.txt").is_ok());
    }
}
