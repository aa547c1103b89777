//! A file to which an application or a web server appends one JSON object a line: an access log, a log of answers.
//!
//! | key | what |
//! | --- | --- |
//! | `time` | when, RFC 3339 or seconds since 1970 |
//! | `version` | which version answered; lines of other versions are passed over |
//! | `model` | which model, where one file has several |
//! | `status` or `ok` | an HTTP status, of which those from 500 on are failures; or true and false. A line with one of them is a request |
//! | `seconds` | how long it took until the last byte |
//! | `scores`, `costs` | numbers by metric, of judged answers and of what they cost; a line may bring only these |
//!
//! Each line counts once: the cursor is how far the file was read, and what it begins with, so that another file under the
//! same name is noticed (`rename` and `copytruncate` of logrotate; the rest of the old one is read from `PATH.1`). A line without its
//! end waits. Lines older than the window count only where it goes on from the last one: there they came late. Without a cursor the
//! window's first line is looked for by halves (`since`), since a log may be as long as the disk.
//!
//! A file that is not there yet is waited for: nothing is known until the first answer is logged. A folder that is not there is an error,
//! because nobody will write into it.
//!
//! A log has broken lines where a machine went down. One in a hundred is passed over; more are an error, since then nobody knows
//! whose lines are missing.

use super::Ranges;
use super::since::first_line;
use super::tally::Tally;
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Result};
use crate::base::text::visible;
use crate::base::time::Timestamp;
use crate::seams::metrics::{Ask, MetricSource, Reading};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// What is looked at of the beginning of a file, in bytes.
const HEAD: u64 = 512;
/// The longest line, in bytes.
const LINE_MAX: u64 = 1 << 20;
/// One line in so many may be broken.
const BROKEN_ONE_IN: u64 = 100;

/// A file.
#[derive(Clone, Debug)]
pub(super) struct Source {
    path: PathBuf,
    ranges: Ranges,
}

/// How far the file was read.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    /// Bytes up to the end of the last whole line.
    offset: u64,
    /// Bytes of its beginning that `begins` is of.
    head: u64,
    /// The digest of its beginning.
    begins: Digest,
    /// Where the window ended.
    to: Timestamp,
}

#[derive(Deserialize)]
struct Line {
    time: When,
    version: Option<String>,
    model: Option<String>,
    status: Option<u16>,
    ok: Option<bool>,
    seconds: Option<f64>,
    #[serde(default)]
    scores: BTreeMap<String, Option<f64>>,
    #[serde(default)]
    costs: BTreeMap<String, Option<f64>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum When {
    Text(String),
    Seconds(f64),
}

impl When {
    /// # Errors
    /// In words, why it is none.
    fn at(&self) -> std::result::Result<Timestamp, String> {
        match self {
            Self::Text(text) => text.parse().map_err(|e: crate::base::time::NotATime| e.to_string()),
            Self::Seconds(s) if s.abs() < 1e11 => Ok(Timestamp::from_micros((s * 1e6).round() as i64)),
            Self::Seconds(s) => Err(format!("its time of {s} seconds since 1970 is none")),
        }
    }
}

impl Source {
    pub(super) fn new(path: PathBuf, ranges: Ranges) -> Self {
        Self { path, ranges }
    }

    /// The file; `None` while it is not there.
    fn open(path: &Path) -> Result<Option<File>> {
        let cannot = || format!("cannot read `{}`", path.display());
        let opened = match File::open(path) {
            Err(e)
                if e.kind() == ErrorKind::NotFound && path.parent().is_some_and(|p| p.as_os_str().is_empty() || p.is_dir()) =>
            {
                return Ok(None);
            }
            opened => opened
                .context(cannot)
                .hint(|| "`path` of the source names the log, from the folder of mlops.toml on".to_owned())?,
        };
        if !opened.metadata().context(cannot)?.is_file() {
            return Err(Error::new(format!("`{}` is not a file", path.display())));
        }
        Ok(Some(opened))
    }

    /// Where to read: files with the byte to begin at, oldest first; none while the log is not there. The last one is the one that is
    /// written now.
    fn places(&self, cursor: Option<&Cursor>, from: Timestamp) -> Result<Vec<(File, u64)>> {
        let begin = |mut file: File| {
            let start = match cursor {
                // Of an empty file, or of none: nothing says which lines are new but their time.
                None | Some(Cursor { head: 0, .. }) => self.first_line(&mut file, from)?,
                Some(cursor) => cursor.offset,
            };
            Ok::<_, Error>((file, start))
        };
        let mut current = Self::open(&self.path)?;
        let same = |file: &mut Option<File>| file.as_mut().zip(cursor).map(|(file, c)| goes_on(file, c)).transpose();
        if cursor.is_none() || same(&mut current)?.unwrap_or(false) {
            return current.map(begin).into_iter().collect();
        }
        let mut old = self.path.clone().into_os_string();
        old.push(".1");
        let mut old = Self::open(Path::new(&old)).ok().flatten();
        let old = if same(&mut old)?.unwrap_or(false) { old } else { None };
        let rest = old.map(begin).transpose()?;
        Ok(rest.into_iter().chain(current.map(|file| (file, 0))).collect())
    }

    fn first_line(&self, file: &mut File, from: Timestamp) -> Result<u64> {
        first_line(file, from, &time_of).context(|| format!("cannot read {}", self.describe()))
    }
}

/// True when a file begins as the one that a cursor is of, and is as long at least.
fn goes_on(file: &mut File, cursor: &Cursor) -> Result<bool> {
    let (read, begins) = head(file, cursor.head)?;
    let long = file.metadata().context(|| "cannot tell how long the file is")?.len() >= cursor.offset;
    Ok(long && read == cursor.head && begins == cursor.begins)
}

/// The digest of the first bytes, at most so many, and how many there are.
fn head(file: &mut File, most: u64) -> Result<(u64, Digest)> {
    let mut bytes = Vec::new();
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.by_ref().take(most.min(HEAD)).read_to_end(&mut bytes));
    read.context(|| "cannot read how the file begins")?;
    Ok((bytes.len() as u64, Digest::of(&bytes)))
}

impl MetricSource for Source {
    fn describe(&self) -> String {
        format!("the file `{}`", self.path.display())
    }

    fn read(&self, ask: &Ask<'_>) -> Result<Reading> {
        let cursor: Option<Cursor> =
            ask.cursor.map(serde_json::from_str).transpose().context(|| format!("the cursor of {} is none", self.describe()))?;
        let late = cursor.as_ref().is_some_and(|c| c.to == ask.from && c.head > 0);
        let mut count = Count::new(ask, if late { None } else { Some(ask.from) });
        let places = self.places(cursor.as_ref(), ask.from)?;
        if places.is_empty() {
            let at = cursor.map_or((0, 0, Digest::of(b"")), |c| (c.offset, c.head, c.begins));
            let missing = Some(format!("`{}` is not there yet", self.path.display()));
            return Ok(Reading { cursor: Some(written(at, ask.to)?), missing, ..Reading::default() });
        }
        let (mut offset, mut begins) = (0, (0, Digest::of(b"")));
        for (mut file, start) in places {
            let cannot = || format!("cannot read {}", self.describe());
            file.seek(SeekFrom::Start(start)).context(cannot)?;
            offset = start + each_line(&mut BufReader::new(&mut file), |line| count.take(line)).context(cannot)?;
            begins = head(&mut file, offset)?;
        }
        let cursor = written((offset, begins.0, begins.1), ask.to)?;
        count.reading(&self.ranges, cursor).map_err(|why| Error::new(format!("{}: {why}", self.describe())))
    }
}

/// A cursor as text: how far, how much of the beginning was looked at, and what it was.
fn written((offset, head, begins): (u64, u64, Digest), to: Timestamp) -> Result<String> {
    serde_json::to_string(&Cursor { offset, head, begins, to }).context(|| "a cursor cannot be written")
}

/// When a line was written; `None` for one that does not say.
fn time_of(line: &[u8]) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Timed {
        time: When,
    }
    serde_json::from_slice::<Timed>(line).ok()?.time.at().ok()
}

/// Gives each whole line, without its end; `None` for one that is too long. The number of bytes of whole lines.
fn each_line(from: &mut impl BufRead, mut each: impl FnMut(Option<&[u8]>)) -> std::io::Result<u64> {
    let (mut whole, mut line, mut pending) = (0, Vec::new(), 0);
    loop {
        line.clear();
        let read = from.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)? as u64;
        let ended = line.last() == Some(&b'\n');
        if read == 0 || (!ended && read < LINE_MAX) {
            return Ok(whole);
        }
        if ended {
            each(Some(&line[..line.len() - 1]).filter(|_| pending == 0));
            whole += pending + read;
            pending = 0;
        } else {
            pending += read;
        }
    }
}

/// What was counted so far.
struct Count<'a> {
    ask: &'a Ask<'a>,
    versions: (Option<String>, String),
    since: Option<Timestamp>,
    stable: Tally,
    canary: Tally,
    lines: u64,
    broken: u64,
    first: Option<String>,
}

impl<'a> Count<'a> {
    fn new(ask: &'a Ask<'a>, since: Option<Timestamp>) -> Self {
        let versions = (ask.stable.map(|v| v.to_string()), ask.canary.to_string());
        let (stable, canary) = (Tally::default(), Tally::default());
        Self { ask, versions, since, stable, canary, lines: 0, broken: 0, first: None }
    }

    fn take(&mut self, line: Option<&[u8]>) {
        if line.is_some_and(|l| l.trim_ascii().is_empty()) {
            return;
        }
        self.lines += 1;
        let found = line.ok_or_else(|| "it is longer than 1 MiB".to_owned()).and_then(|l| self.add(l));
        if let Err(why) = found {
            self.broken += 1;
            let shown = visible(&String::from_utf8_lossy(line.unwrap_or_default()), 80);
            self.first.get_or_insert_with(|| format!("`{shown}`: {why}"));
        }
    }

    /// # Errors
    /// In words, why a line is none.
    fn add(&mut self, line: &[u8]) -> std::result::Result<(), String> {
        let line: Line = serde_json::from_slice(line).map_err(|e| e.to_string())?;
        let time = line.time.at()?;
        if line.seconds.is_some_and(|s| s < 0.0) || line.costs.values().flatten().any(|c| *c < 0.0) {
            return Err("it has a duration or a cost below 0".to_owned());
        }
        let other = line.model.is_some_and(|m| m != self.ask.model.as_str());
        if other || self.since.is_some_and(|since| time < since) {
            return Ok(());
        }
        let arm = match line.version {
            Some(version) if version == self.versions.1 => &mut self.canary,
            Some(version) if Some(&version) == self.versions.0.as_ref() => &mut self.stable,
            _ => return Ok(()),
        };
        if line.ok.is_some() || line.status.is_some() {
            arm.requests += 1;
            arm.errors += u64::from(line.ok == Some(false) || line.status.is_some_and(|s| s >= 500));
            arm.seconds.extend(line.seconds);
        }
        for (into, values) in [(&mut arm.scores, line.scores), (&mut arm.costs, line.costs)] {
            for (metric, value) in values {
                into.entry(metric).or_default().extend(value);
            }
        }
        Ok(())
    }

    /// # Errors
    /// In words, when too many lines are broken.
    fn reading(self, ranges: &Ranges, cursor: String) -> std::result::Result<Reading, String> {
        if let Some(first) = self.first.filter(|_| self.broken > 1 && self.broken * BROKEN_ONE_IN > self.lines) {
            return Err(format!("{} of {} lines cannot be read, first {first}", self.broken, self.lines));
        }
        let (stable, canary) = (self.stable.counted(ranges)?, self.canary.counted(ranges)?);
        Ok(Reading { stable, canary, cursor: Some(cursor), ..Reading::default() })
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
