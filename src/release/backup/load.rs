//! Loads one component of a set into a server or folder that is named.
//!
//! Nothing is loaded over what is there, unless it is asked for: then what is there goes into a set of its own first. All files are
//! brought, decrypted and held against the manifest before the place is touched, and what it holds at the end is counted.

use super::Place;
use super::pack::scratch;
use super::parts::{Part, Source};
use super::restore::component;
use super::run::{Request as Making, run};
use super::scratch::room;
use super::sets::SAFETY;
use super::verify::{Depth, verify};
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::event::{Event, Outcome, Resource};
use crate::base::name::Name;
use crate::domain::backup::manifest::{self, Found};
use crate::seams::backup::{Component, Counts, difference};
use crate::store::Store;
use crate::store::objects::Objects;

/// What is loaded.
pub struct Request<'a> {
    /// The set.
    pub set: &'a Found,
    /// The component.
    pub name: &'a Name,
    /// Replaces what is there, after that was kept.
    pub force: bool,
    /// Who can read what is kept of it, as written.
    pub recipients: &'a [String],
    /// The objects of versions, for the set that is made.
    pub artifacts: &'a Objects,
}

/// What was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Where it is, without passwords.
    pub into: String,
    /// What is there now; nothing in a dry run.
    pub counts: Counts,
    /// The set of what was there before.
    pub safety: Option<String>,
}

/// Loads a component.
///
/// # Errors
/// When the place has something and `force` was not asked for, the set is damaged, or the place does not take all of it.
pub fn load(
    store: &Store,
    place: &Place<'_>,
    request: &Request<'_>,
    into: Box<dyn Component>,
    waiting: &mut dyn FnMut(&str),
) -> Result<Loaded> {
    let (kind, part) = (into.kind(), part(request.set, request.name)?);
    let there = into.occupied()?;
    if let Some(what) = &there {
        refuse(request, &kind.place, what, into.as_ref())?;
    }
    if store.is_dry_run() {
        return Ok(Loaded { into: kind.place, counts: Counts::new(), safety: None });
    }
    let folder = room(place.scratch)?;
    let files = folder.path().join("files");
    component(place, part, &files).context(|| format!("cannot read {}", part.name))?;
    let parts = [Part { name: request.name.clone(), source: Source::Other(into) }];
    let safety = match there {
        None => None,
        Some(_) => {
            let plan: Name = SAFETY.parse().context(|| "a fixed word is a name")?;
            let (name, parts, recipients, artifacts) = (&plan, &parts[..], request.recipients, request.artifacts);
            let making = Making { name, plan: None, only_if_due: false, parts, recipients, artifacts };
            let kept = run(store, place, &making, waiting, &mut |_| {})
                .context(|| "cannot keep what is there, which would be replaced")?;
            if let Some(kept) = &kept {
                can_come_back(place, &kept.found)?;
            }
            kept.map(|kept| kept.found.manifest.id)
        }
    };
    let [Part { source: Source::Other(into), .. }] = &parts else { return Err(Error::new("a component is none")) };
    let own = scratch(folder.path())?;
    let loaded = into.load(&files, own.path(), safety.is_some()).and_then(|counts| match difference(&part.counts, &counts) {
        None => Ok(counts),
        Some(wrong) => Err(Error::new(format!("not all of it arrived: {wrong}"))),
    });
    let event = Event::new("backup.loaded", Resource::new("backup", &request.set.manifest.id))
        .with("component", request.name.as_str())
        .with("into", kind.place.as_str())
        .with("safety", safety.clone());
    let event = if loaded.is_ok() { event } else { event.outcome(Outcome::Failed) };
    let recorded = store.write(|tx| Ok(tx.record(event)));
    let counts = loaded.context(|| format!("cannot load {} into {}", request.name, kind.place));
    let counts = match &safety {
        Some(id) => counts.hint(|| format!("what was there before is in the set {id}")),
        None => counts,
    };
    let counts = counts?;
    recorded?;
    Ok(Loaded { into: kind.place, counts, safety })
}

/// Reads the set of what is there again, before anything takes its place: with the key here as far as it reads it, or else its bytes.
fn can_come_back(place: &Place<'_>, kept: &Found) -> Result<()> {
    let again = |place: &Place<'_>| verify(place, kept, Depth::All, &mut |_, _| {});
    // A key that is named for an older set need not be one of those that read new ones.
    let found = again(place).or_else(|_| again(&Place { identities: None, ..*place }))?;
    let Some(first) = found.wrong.first() else { return Ok(()) };
    let what = format!("the set {} of what is there does not come back: {first}", kept.manifest.id);
    Err(Error::of(Kind::Broken, what).hint("nothing was replaced; keep what is there in another way, and name an empty place"))
}

/// The component of a set that is named.
///
/// # Errors
/// When it has none of this name.
pub fn part<'a>(set: &'a Found, name: &Name) -> Result<&'a manifest::Part> {
    let all = &set.manifest.components;
    all.iter().find(|part| part.name == *name).ok_or_else(|| {
        let names = all.iter().map(|part| part.name.as_str()).collect::<Vec<_>>().join(", ");
        let what = format!("the backup set {} has no component `{name}` that can be loaded", set.manifest.id);
        Error::usage(what).hint(format!("it has: {names}"))
    })
}

fn refuse(request: &Request<'_>, place: &str, what: &str, into: &dyn Component) -> Result<()> {
    if !into.can_be_replaced() {
        let e = Error::new(format!("{place}: the place is not empty, it has {what}"));
        return Err(e.hint("kf cannot keep what a program made there: move it away, or name an empty folder"));
    }
    match request.force {
        true => Ok(()),
        false => Err(Error::new(format!("{place} is not empty, it has {what}: nothing is loaded over it"))
            .hint("name an empty one; `--force` backs up what is there into a set of its own, and puts this in its stead")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::pack::seal;
    use super::*;
    use crate::adapters::age::{self, Identities, Recipients};
    use crate::base::digest::Digest;
    use crate::base::time::Timestamp;
    use crate::domain::backup::manifest::Manifest;

    /// A set whose archive holds what is never unpacked was written without an error: only reading it again tells.
    #[test]
    fn a_set_that_does_not_come_back_replaces_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        let objects = Objects::files(&dir.path().join("place")).expect("a place");
        let (key, public) = age::generate();
        let (recipients, identities) = (Recipients::parse(&[public]).expect("keys"), Identities::parse(&key).expect("a key"));
        let at = Timestamp::from_micros(1_795_000_000_000_000);
        let place = Place {
            objects: &objects,
            scratch: dir.path(),
            signer: None,
            known: &[],
            identities: Some(&identities),
            jobs: 1,
            now: at,
        };
        let of = |kind: tar::EntryType| {
            let mut header = tar::Header::new_gnu();
            header.set_path("one").expect("a name");
            header.set_entry_type(kind);
            header.set_size(0);
            header.set_mode(0o644);
            header.set_cksum();
            let mut builder = tar::Builder::new(Vec::new());
            builder.append(&header, &b""[..]).expect("an entry");
            let tar = builder.into_inner().expect("a tar");
            let stored = seal(&place, &recipients, &mut |to| to.write_all(&tar).context(|| "cannot write")).expect("sealed");
            let part = manifest::Part {
                name: "uploads".parse().expect("a name"),
                kind: "directory".into(),
                place: "uploads".into(),
                tool: None,
                stored,
                counts: Counts::new(),
                log: None,
            };
            let manifest = Manifest {
                schema: Manifest::schema(),
                id: "20261121t080000z-safety-00000000".into(),
                plan: SAFETY.parse().expect("a name"),
                began: at,
                ended: at,
                kf: "0.1.0".into(),
                recipients: Vec::new(),
                log: None,
                components: vec![part],
                artifacts: None,
                lock: None,
            };
            Found { manifest, signed_by: None, digest: Digest::of(b"") }
        };
        can_come_back(&place, &of(tar::EntryType::Regular)).expect("it comes back");
        let e = can_come_back(&place, &of(tar::EntryType::Fifo)).expect_err("refused").to_string();
        assert!(e.contains("does not come back") && e.contains("no file, folder or link"), "{e}");
        // A key of somebody else reads no bytes, but tells whether they are there.
        let other = Identities::parse(&age::generate().0).expect("a key");
        let theirs = Place { identities: Some(&other), ..place };
        can_come_back(&theirs, &of(tar::EntryType::Fifo)).expect("as it was written");
    }
}
