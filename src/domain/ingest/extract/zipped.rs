//! The parts of a zip package, each inflated only when it is asked for and never beyond the limits.
//!
//! The directory's own sizes are judged before anything is inflated; because they can lie, what comes out is counted too.

use super::limits::{Limits, malformed, too_large};
use crate::domain::ingest::reason::{Refusal, Refused};
use std::collections::HashMap;
use std::io::{Cursor, Read};
use zip::ZipArchive;

/// Parts smaller than this may have any ratio: a blank page packs very well.
const RATIO_FROM: u64 = 1 << 20;
/// More parts than any book has.
const PARTS_MAX: usize = 100_000;

/// An opened package.
pub(super) struct Package<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    by_name: HashMap<String, usize>,
    /// The same names in lower case: office programs treat names without regard to case.
    by_lower: HashMap<String, usize>,
    left: u64,
    ratio: u64,
}

impl<'a> Package<'a> {
    /// Opens a package and judges its directory.
    ///
    /// # Errors
    /// `Malformed` without a readable directory; `TooLarge` when the parts together or one alone unpack to too much.
    pub(super) fn open(bytes: &'a [u8], limits: &Limits) -> Result<Self, Refused> {
        let mut archive =
            ZipArchive::new(Cursor::new(bytes)).map_err(|_| malformed("a zip package whose directory cannot be read"))?;
        if archive.len() > PARTS_MAX {
            return Err(too_large(format!("{} parts, the limit is {PARTS_MAX}", archive.len())));
        }
        let ratio = limits.max_ratio as u64;
        let (mut by_name, mut by_lower, mut total) = (HashMap::new(), HashMap::new(), 0_u64);
        for at in 0..archive.len() {
            let Ok(part) = archive.by_index_raw(at) else { continue };
            total = total.saturating_add(part.size());
            if part.size() > RATIO_FROM && part.size() / part.compressed_size().max(1) > ratio {
                return Err(too_large(format!("a part unpacks to more than {ratio} times its size")));
            }
            let Ok(name) = part.name().map(|n| n.replace('\\', "/")) else { continue };
            let name = name.trim_start_matches('/');
            by_name.entry(name.to_owned()).or_insert(at);
            by_lower.entry(name.to_ascii_lowercase()).or_insert(at);
        }
        if total > limits.max_inflated as u64 {
            return Err(too_large(format!("unpacks to {total} bytes, the limit is {}", limits.max_inflated)));
        }
        Ok(Self { archive, by_name, by_lower, left: limits.max_inflated as u64, ratio })
    }

    /// The names of the parts, sorted.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.by_name.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// True when the package has the part.
    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// A part by its name.
    fn find(&self, name: &str) -> Option<usize> {
        let name = name.trim_start_matches('/');
        self.by_name.get(name).or_else(|| self.by_lower.get(&name.to_ascii_lowercase())).copied()
    }

    /// The bytes of a part; `None` when there is no such part.
    ///
    /// # Errors
    /// `Encrypted`, `Malformed` when it cannot be inflated, `TooLarge` when it unpacks to more than it says or than is left.
    pub(super) fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refused> {
        let Some(at) = self.find(name) else { return Ok(None) };
        let raw = self.archive.by_index_raw(at).map_err(|_| malformed("a part of the package cannot be read"))?;
        if raw.encrypted() {
            return Err(Refused::new(Refusal::Encrypted, "the package asks for a password"));
        }
        let cap = self.left.min((raw.compressed_size().saturating_mul(self.ratio)).max(RATIO_FROM));
        let expected = raw.size().min(cap);
        drop(raw);
        let part = self.archive.by_index(at).map_err(|_| malformed("a part is packed in a way that is not known"))?;
        let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
        let taken = part.take(cap + 1).read_to_end(&mut bytes);
        if bytes.len() as u64 > cap {
            return Err(too_large("a part unpacks to more than the limits allow"));
        }
        taken.map_err(|_| malformed("a part of the package is damaged"))?;
        self.left -= bytes.len() as u64;
        Ok(Some(bytes))
    }

    /// The characters of a part that is XML or HTML.
    ///
    /// # Errors
    /// As [`Package::read`], and `BadEncoding`.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Refused> {
        let Some(bytes) = self.read(name)? else { return Ok(None) };
        match String::from_utf8(bytes) {
            Ok(mut text) => {
                if text.starts_with('\u{feff}') {
                    text.drain(..'\u{feff}'.len_utf8());
                }
                Ok(Some(text))
            }
            Err(e) => Ok(Some(super::decode::decode(e.as_bytes())?.text.into_owned())),
        }
    }
}

/// The name that `target` has as seen from the part `base`: `../media/a.xml` beside `word/document.xml` is `media/a.xml`.
pub(super) fn resolve(base: &str, target: &str) -> String {
    let target = target.split(['#', '?']).next().unwrap_or_default().replace('\\', "/");
    let mut path: Vec<&str> = match target.starts_with('/') {
        true => Vec::new(),
        false => base.rsplit_once('/').map_or_else(Vec::new, |(folder, _)| folder.split('/').collect()),
    };
    for step in target.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                path.pop();
            }
            step => path.push(step),
        }
    }
    path.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_resolved_like_addresses() {
        assert_eq!(resolve("word/document.xml", "media/a.xml"), "word/media/a.xml");
        assert_eq!(resolve("ppt/slides/slide1.xml", "../notesSlides/n.xml#x"), "ppt/notesSlides/n.xml");
        assert_eq!(resolve("_rels/.rels", "/word/document.xml"), "word/document.xml");
        assert_eq!(resolve("a.xml", "../../../etc/passwd"), "etc/passwd");
    }
}
