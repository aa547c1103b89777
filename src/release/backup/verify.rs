//! Reads a set again. Without a key that is the bytes as they are stored; with one, what they were.

use super::pack::{extract, open};
use super::{Place, mirror, scratch as own};
use crate::base::digest::Digest;
use crate::base::error::{Kind, Result};
use crate::domain::backup::manifest::{Found, Stream};
use crate::release::parallel;
use crate::store::objects::{Fault, Health};
use std::collections::BTreeMap;

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Only whether all objects are there, with the right number of bytes.
    There,
    /// Every byte of so many percent of the objects, and of all components.
    Part(u8),
    /// Every byte.
    All,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Objects of the set.
    pub objects: u64,
    /// Those that were read again.
    pub read: u64,
    /// The bytes that were read.
    pub bytes: u64,
    /// True when what was read was also decrypted and unpacked.
    pub opened: bool,
    /// What is wrong, each with the object.
    pub wrong: Vec<String>,
}

/// Reads a set again.
///
/// # Errors
/// When the place cannot be read, which says nothing of the set.
pub fn verify(place: &Place<'_>, set: &Found, depth: Depth, told: &mut dyn FnMut(u64, u64)) -> Result<Verified> {
    let _at_work = (depth != Depth::There).then(|| own::hold(place.scratch)).transpose()?;
    let mut found = Verified { opened: place.identities.is_some() && depth != Depth::There, ..Verified::default() };
    let mut streams: Vec<(String, Stream, bool)> =
        set.manifest.components.iter().map(|part| (format!("component {}", part.name), part.stored, true)).collect();
    if let Some(all) = &set.manifest.artifacts {
        match mirror::index(place.objects, all) {
            Ok(index) => {
                let same = (index.len() as u64, index.values().map(|s| s.plain_size).sum::<u64>());
                if same != (all.objects, all.bytes) {
                    found.wrong.push("the list of objects has others than the manifest says".to_owned());
                }
                streams.extend(index.into_iter().map(|(digest, stream)| (format!("object {digest}"), stream, false)));
            }
            Err(e) => found.wrong.push(format!("the list of objects: {e}")),
        }
    }
    let mut sizes: BTreeMap<Digest, u64> = BTreeMap::new();
    place.objects.list(&mut |digest, size, _| {
        sizes.insert(digest, size);
        Ok(())
    })?;
    found.objects = streams.len() as u64;
    let mut read_again = Vec::new();
    for one in &streams {
        let (what, stream, component) = one;
        match sizes.get(&stream.object) {
            None => found.wrong.push(format!("{what}: it is missing")),
            Some(size) if *size != stream.size => {
                found.wrong.push(format!("{what}: it has {size} bytes and had {}", stream.size));
            }
            Some(_) if depth != Depth::There && (*component || picked(&stream.object, depth)) => read_again.push(one),
            Some(_) => {}
        }
    }
    let (of, mut failed) = (read_again.len() as u64, None);
    let again = |(_, stream, component): &&(String, Stream, bool)| read(place, stream, *component);
    parallel::each(&read_again, place.jobs, &again, &mut |(what, stream, _), why, done| {
        found.read += 1;
        found.bytes += stream.size;
        match why {
            Ok(None) => {}
            Ok(Some(why)) => found.wrong.push(format!("{what}: {why}")),
            Err(e) => failed = failed.take().or(Some(e)),
        }
        told(done, of);
    });
    found.wrong.sort();
    failed.map_or(Ok(found), Err)
}

/// Which objects are read of a part: the digest decides, so that each is read at some part or other.
fn picked(object: &Digest, depth: Depth) -> bool {
    match depth {
        Depth::There => false,
        Depth::Part(percent) => u16::from(object.as_bytes()[0]) * 100 / 256 < u16::from(percent),
        Depth::All => true,
    }
}

/// Why a stream is not what it was; `None` when it is.
fn read(place: &Place<'_>, stream: &Stream, component: bool) -> Result<Option<String>> {
    let stored = || {
        Ok(match place.objects.verify(&stream.object)? {
            Health::Ok => None,
            Health::Missing => Some("it is missing".to_owned()),
            Health::Corrupt { .. } => Some(ALTERED.to_owned()),
        })
    };
    let Some(identities) = place.identities else { return stored() };
    // Opening would take an older version there.
    if place.objects.lockable()
        && let Some(why) = stored()?
    {
        return Ok(Some(why));
    }
    let opened = open((place.objects, place.scratch), (identities, stream), &mut |from| match component {
        // Nothing is written here: what fails is what is in it.
        true => extract(from, None).map(drop).map_err(|e| e.kind_of(Kind::Broken)),
        false => Ok(()),
    });
    match opened {
        Ok(()) => Ok(None),
        Err(e) => match e.cause::<Fault>() {
            Some(Fault::Missing(_)) => Ok(Some("it is missing".to_owned())),
            Some(Fault::Corrupt { .. }) => Ok(Some(ALTERED.to_owned())),
            None if e.kind() == Kind::Broken => Ok(Some(e.to_string())),
            None => Err(e),
        },
    }
}

/// What is said of bytes that were changed.
const ALTERED: &str = "its bytes are others than those that were written";
