//! The versions of a bucket's keys: deleting a key puts a marker over its versions, which are all still there (Amazon S3 User Guide,
//! "Deleting object versions from a versioning-enabled bucket").

use super::requests::Ask;
use super::{Key, NAMED_MAX, Pieces, Remote, Sink};
use crate::base::error::{Context, Error, Result};
use crate::base::time::Timestamp;
use crate::store::runtime::block_on;
use futures_util::StreamExt as _;
use object_store::{GetOptions, ObjectStore as _};
use std::collections::BTreeSet;

/// A version of a key, or the marker of a deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    /// The whole key.
    pub(super) key: String,
    pub(super) id: String,
    pub(super) marker: bool,
    /// True when it is what a plain request finds.
    pub(super) newest: bool,
    pub(super) size: u64,
    pub(super) time: Timestamp,
}

impl Remote {
    /// Every version below a prefix: key by key, the newest first.
    pub(super) fn versions(&self, prefix: &str) -> Result<Vec<Version>> {
        let what = "cannot list the versions of objects";
        let (mut all, mut from) = (Vec::new(), None::<(String, String)>);
        loop {
            let mut query = vec![("versions", String::new()), ("prefix", prefix.to_owned())];
            if let Some((key, id)) = from.take() {
                query.extend([("key-marker", key), ("version-id-marker", id)]);
            }
            let answer = self.done(&Ask { method: "GET", query, ..Ask::default() }, what)?;
            let text = answer.text();
            read(&text, &mut all).context(|| what)?;
            if tag(&text, "IsTruncated") != Some("true") {
                break;
            }
            from = tag(&text, "NextKeyMarker").map(str::to_owned).zip(tag(&text, "NextVersionIdMarker").map(str::to_owned));
            if from.is_none() {
                return Err(Error::new(format!("{what} in {}: the server does not say where the rest begins", self.place)));
            }
        }
        // Servers give markers apart from versions; those of one key stay in their order.
        all.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(all)
    }

    /// The versions of one key, without markers.
    pub(super) fn versions_of(&self, key: &Key) -> Result<Vec<Version>> {
        let mut all = self.versions(key.as_ref())?;
        all.retain(|version| version.key == key.as_ref() && !version.marker);
        Ok(all)
    }

    /// Goes through the newest version of each key below a folder, hidden or not.
    pub(super) fn walk_versions(&self, dir: &Key, each: &mut dyn FnMut(&str, u64, Timestamp) -> Result<()>) -> Result<()> {
        let below = format!("{dir}/");
        let mut seen = BTreeSet::new();
        for version in self.versions(&below)?.iter().filter(|version| !version.marker) {
            let Some(name) = version.key.strip_prefix(&below) else { continue };
            if seen.insert(name) {
                each(name, version.size, version.time)?;
            }
        }
        Ok(())
    }

    /// The names below a folder that a deletion hides.
    pub(super) fn hidden_below(&self, dir: &Key) -> Result<Vec<String>> {
        if self.requests.is_none() {
            return Ok(Vec::new());
        }
        let below = format!("{dir}/");
        let all = self.versions(&below)?;
        let there: BTreeSet<&str> = all.iter().filter(|v| !v.marker).map(|v| v.key.as_str()).collect();
        let hidden = all.iter().filter(|v| v.marker && v.newest && there.contains(v.key.as_str()));
        Ok(hidden.filter_map(|v| v.key.strip_prefix(&below).map(str::to_owned)).collect())
    }

    /// The bytes of the n-th version of a key, the newest first; `None` when there is none, or no versions are asked for.
    pub(super) fn open_version(&self, key: &Key, n: usize) -> Result<Option<Box<Pieces<'_>>>> {
        if self.requests.is_none() {
            return Ok(None);
        }
        let Some(version) = self.versions_of(key)?.into_iter().nth(n) else { return Ok(None) };
        let what = format!("cannot read a version of {key}");
        let options = GetOptions { version: Some(version.id), ..GetOptions::default() };
        let mut stream = block_on(self.store.get_opts(key, options))?.map_err(|e| self.worded(e, &what))?.into_stream();
        Ok(Some(Box::new(move || block_on(stream.next())?.transpose().map_err(|e| self.worded(e, &what)))))
    }

    /// Gives them to a sink; false when there are none.
    pub(super) fn stream_version(&self, key: &Key, n: usize, sink: Sink<'_>) -> Result<bool> {
        let Some(mut pieces) = self.open_version(key, n)? else { return Ok(false) };
        while let Some(bytes) = pieces()? {
            sink(&bytes)?;
        }
        Ok(true)
    }

    /// The newest bytes of a key that a deletion hides; `None` when there are none, or no versions are asked for.
    pub(super) fn hidden_bytes(&self, key: &Key) -> Result<Option<Vec<u8>>> {
        let mut all = Vec::new();
        let there = self.stream_version(key, 0, &mut |bytes| {
            all.extend_from_slice(bytes);
            if all.len() as u64 > NAMED_MAX {
                Err(Error::new(format!("{key} has too many bytes to read at once")))
            } else {
                Ok(())
            }
        })?;
        Ok(there.then_some(all))
    }

    /// What a key had before, without what it has now.
    pub(super) fn older_bytes(&self, key: &Key) -> Result<Vec<Vec<u8>>> {
        if self.requests.is_none() {
            return Ok(Vec::new());
        }
        let older = self.versions_of(key)?.into_iter().filter(|version| !version.newest && version.size <= NAMED_MAX);
        older.map(|version| self.bytes_of(key, &version)).collect()
    }

    fn bytes_of(&self, key: &Key, version: &Version) -> Result<Vec<u8>> {
        let ask = Ask { method: "GET", key: Some(key), query: vec![("versionId", version.id.clone())], ..Ask::default() };
        Ok(self.done(&ask, "cannot read a version of an object")?.body)
    }
}

/// What stands between a tag and its end, the first time.
fn tag<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner)
}

/// Reads a page of versions (Amazon S3 API Reference, ListObjectVersions). Our keys have no character that XML would write otherwise.
fn read(text: &str, all: &mut Vec<Version>) -> Result<()> {
    for (name, marker) in [("Version", false), ("DeleteMarker", true)] {
        for rest in text.split(&format!("<{name}>")).skip(1) {
            let Some((item, _)) = rest.split_once(&format!("</{name}>")) else { continue };
            let of = |name: &str| tag(item, name).ok_or_else(|| Error::new(format!("a version has no `{name}`")));
            let size = if marker { 0 } else { of("Size")?.parse().context(|| "the size of a version is no number")? };
            let time = of("LastModified")?.parse().context(|| "the time of a version is none")?;
            let (key, id) = (of("Key")?.to_owned(), of("VersionId")?.to_owned());
            all.push(Version { key, id, marker, newest: tag(item, "IsLatest") == Some("true"), size, time });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_versions_is_read() {
        let item = |name: &str, key: &str, newest: bool, more: &str| {
            format!(
                "<{name}><Key>{key}</Key><VersionId>v.{key}</VersionId><IsLatest>{newest}</IsLatest><LastModified>2026-11-22T11:00:00.000Z</LastModified>{more}</{name}>"
            )
        };
        let text = format!(
            "<ListVersionsResult><Prefix>p</Prefix><IsTruncated>false</IsTruncated>{}{}</ListVersionsResult>",
            item("Version", "a", false, "<Size>7</Size>"),
            item("DeleteMarker", "a", true, "")
        );
        let mut all = Vec::new();
        read(&text, &mut all).expect("read");
        let brief: Vec<_> = all.iter().map(|v| (v.key.as_str(), v.id.as_str(), v.marker, v.newest, v.size)).collect();
        assert_eq!(brief, [("a", "v.a", false, false, 7), ("a", "v.a", true, true, 0)]);
        assert_eq!(tag(&text, "IsTruncated"), Some("false"));
        assert!(read("<Version><Key>a</Key></Version>", &mut all).is_err());
    }
}
