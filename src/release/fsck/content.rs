//! The bytes behind the rows: every manifest and every file that a version names, each object once, by several threads.

use super::{Options, unreadable};
use crate::base::digest::Digest;
use crate::base::error::{Error, Result};
use crate::base::text::count;
use crate::domain::registry::manifest::Manifest;
use crate::domain::registry::table::VersionRow;
use crate::release::checkout::MANIFEST_MAX;
use crate::release::parallel;
use crate::store::check::Finding;
use crate::store::objects::{Cover, Fault, Health, NoKey, Objects};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The objects in sum.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Content {
    /// Objects that versions and the log name.
    pub named: u64,
    /// Those whose bytes were read again and are right.
    pub verified: u64,
    /// Those that are there with the right size and were not read.
    pub present: u64,
    /// Those that are encrypted and could not be read here, because no key of this host reads them; nothing is known about their bytes.
    pub locked: u64,
    /// Bytes of those verified or present.
    pub bytes: u64,
    /// Objects that lie in the clear although `artifacts.encrypt` names keys.
    pub clear: u64,
    /// Objects that are encrypted for other keys than those of `artifacts.encrypt`, as they say themselves.
    pub other_keys: u64,
    /// Objects that nothing names; garbage collection removes them in time.
    pub orphans: u64,
    /// Bytes of the orphans.
    pub orphan_bytes: u64,
}

/// What checking the objects gave.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) sum: Content,
    pub(super) findings: Vec<Finding>,
    /// Objects with which nothing is wrong, and their bytes.
    pub(super) sound: BTreeMap<Digest, u64>,
    /// Objects whose bytes are wrong.
    pub(super) corrupt: Vec<Digest>,
    /// Objects that are needed and lie in the trash.
    pub(super) in_trash: Vec<Digest>,
}

/// An object that something other than a version names.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) digest: Digest,
    /// What it is, for people.
    pub(super) of: String,
    /// What to type to store it again.
    pub(super) again: String,
    /// Its size, when who names it says.
    pub(super) size: Option<u64>,
}

/// Who needs an object.
#[derive(Clone, Debug)]
struct Need {
    /// For people: `file prompts/a.txt of m@1.0.0`.
    of: String,
    /// What to type to store it again.
    again: String,
    /// Its size, when the one who needs it says.
    size: Option<u64>,
}

/// What is known about an object after looking at it.
enum Seen {
    Verified(u64),
    Present(u64),
    Missing,
    Locked,
    Corrupt(String),
    Unreadable(Error),
}

/// Looks at every object that versions and others name, but for those that were found `sound` before.
pub(super) fn check(
    objects: &Objects,
    (versions, named): (&[VersionRow], &[Named]),
    options: Options<'_>,
    sound: &BTreeMap<Digest, u64>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Checked> {
    let mut checked = Checked::default();
    let stored = match stored(objects, &mut checked.sum) {
        Ok(stored) => stored,
        Err(e) => {
            checked.findings.push(unreadable(&format!("objects ({})", objects.describe()), &e));
            return Ok(checked);
        }
    };
    let mut needs: BTreeMap<Digest, Need> = BTreeMap::new();
    for version in versions.iter().filter(|v| v.purged.is_none()) {
        let again = format!("`kf register {} PATH --version {}`", version.name, version.version);
        let of = format!("manifest of {}", version.reference());
        needs.insert(version.digest, Need { of, again: again.clone(), size: None });
        // A manifest that cannot be read is found again, and told, when its object is looked at.
        let Ok(bytes) = objects.read(&version.digest, MANIFEST_MAX) else { continue };
        match Manifest::from_bytes(&bytes) {
            Ok(manifest) => add_files(&mut needs, &mut checked, version, &manifest, &again),
            Err(e) => checked.findings.push(unreadable(&format!("manifest of {}", version.reference()), &e)),
        }
    }
    for other in named {
        let Named { digest, of, again, size } = other.clone();
        needs.entry(digest).or_insert(Need { of, again, size });
    }
    let trashed: BTreeSet<Digest> = objects.trashed().unwrap_or_default().into_iter().map(|t| t.digest).collect();
    let all: Vec<(Digest, Need)> = needs.into_iter().collect();
    let look = |(digest, need): &(Digest, Need)| match sound.get(digest) {
        Some(size) if options.quick => Seen::Present(*size),
        Some(size) => Seen::Verified(*size),
        None => look_at(objects, digest, need, options.quick),
    };
    parallel::each(&all, options.jobs, &look, &mut |(digest, need), seen, done| {
        checked.take(digest, need, seen, &trashed);
        progress(done, all.len() as u64);
    });
    checked.sum.named = all.len() as u64;
    if checked.sum.locked > 0 {
        // What manifests name is not known while they cannot be read.
        return Ok(checked);
    }
    for (digest, size) in &stored {
        if all.binary_search_by_key(digest, |(d, _)| *d).is_err() {
            checked.sum.orphans += 1;
            checked.sum.orphan_bytes += size;
        }
    }
    Ok(checked)
}

fn stored(objects: &Objects, sum: &mut Content) -> Result<Vec<(Digest, u64)>> {
    let mut stored = Vec::new();
    if objects.recipients().is_some() {
        objects.survey(&mut |digest, size, _, cover| {
            stored.push((digest, size));
            match cover {
                Cover::Plain => sum.clear += 1,
                Cover::Other => sum.other_keys += 1,
                Cover::Current => {}
            }
            Ok(())
        })?;
        return Ok(stored);
    }
    objects.list(&mut |digest, size, _| {
        stored.push((digest, size));
        Ok(())
    })?;
    Ok(stored)
}

/// Compares a manifest with its version's row, and adds what it names.
fn add_files(needs: &mut BTreeMap<Digest, Need>, checked: &mut Checked, version: &VersionRow, manifest: &Manifest, again: &str) {
    let mut wrong = Vec::new();
    if manifest.kind() != version.kind {
        wrong.push(format!("its manifest is of type {}, its model of type {}", manifest.kind(), version.kind));
    }
    let (files, bytes) = (manifest.files().len() as i64, i64::try_from(manifest.total_size()).unwrap_or(i64::MAX));
    if (files, bytes) != (version.files, version.bytes) {
        let row = format!("{} and {} bytes", count(version.files.max(0) as usize, "file"), version.bytes);
        wrong.push(format!("its row says {row}, its manifest {} and {bytes} bytes", count(manifest.files().len(), "file")));
    }
    if !wrong.is_empty() {
        let fix = crate::store::check::restore_fix(Some(version.event));
        checked.findings.push(Finding::new(format!("version {}", version.reference()), wrong.join("; "), fix));
    }
    for file in manifest.files() {
        let of = format!("file {} of {}", file.path.escape_debug(), version.reference());
        needs.entry(file.digest).or_insert(Need { of, again: again.to_owned(), size: Some(file.size) });
    }
}

fn look_at(objects: &Objects, digest: &Digest, need: &Need, quick: bool) -> Seen {
    let size = match objects.stat(digest) {
        Ok(Some(size)) => size,
        Ok(None) => return Seen::Missing,
        Err(e) => return Seen::Unreadable(e),
    };
    if let Some(right) = need.size.filter(|right| *right != size) {
        return Seen::Corrupt(format!("it has {size} bytes instead of {right}"));
    }
    // No object but that of nothing is empty, and a manifest never is.
    if size == 0 && *digest != Digest::of(b"") {
        return Seen::Corrupt("it is empty".into());
    }
    if quick {
        return Seen::Present(size);
    }
    match objects.verify(digest) {
        Ok(Health::Ok) => Seen::Verified(size),
        Ok(Health::Missing) => Seen::Missing,
        Ok(Health::Corrupt { found, size }) => Seen::Corrupt(format!("its {size} bytes have the digest {found}")),
        Err(e) if e.cause::<NoKey>().is_some() => Seen::Locked,
        Err(e) if e.cause::<Fault>().is_some() => Seen::Corrupt(e.to_string()),
        Err(e) => Seen::Unreadable(e),
    }
}

impl Checked {
    fn take(&mut self, digest: &Digest, need: &Need, seen: Seen, trashed: &BTreeSet<Digest>) {
        let subject = format!("object {digest}");
        let Need { of, again, .. } = need;
        match seen {
            Seen::Verified(size) => {
                self.sum.verified += 1;
                self.sum.bytes += size;
                self.sound.insert(*digest, size);
            }
            Seen::Present(size) => {
                self.sum.present += 1;
                self.sum.bytes += size;
                self.sound.insert(*digest, size);
            }
            Seen::Locked => self.sum.locked += 1,
            Seen::Missing if trashed.contains(digest) => {
                self.in_trash.push(*digest);
                let fix = "`kf fsck --repair` takes it back";
                self.findings.push(Finding::new(subject, format!("it is in the trash, but it is the {of}"), fix));
            }
            Seen::Missing => {
                let fix = format!("store the same bytes again: {again}");
                self.findings.push(Finding::new(subject, format!("it is missing; it is the {of}"), fix));
            }
            Seen::Corrupt(how) => {
                self.corrupt.push(*digest);
                let fix = format!("`kf fsck --repair` sets it aside; then store the same bytes again: {again}");
                self.findings.push(Finding::new(subject, format!("it is corrupt: {how}; it is the {of}"), fix));
            }
            Seen::Unreadable(e) => self.findings.push(unreadable(&subject, &e)),
        }
    }
}

/// True when a finding is about this object.
pub(super) fn is_about(finding: &Finding, digest: &Digest) -> bool {
    finding.subject == format!("object {digest}")
}
