//! Reads a set again. Without a key that is the bytes as they are stored; with one, what they were.

use super::pack::{extract, open, scratch};
use super::{Place, mirror, scratch as own};
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::domain::backup::manifest::{Found, Stream};
use crate::store::objects::Health;
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
    let of = streams.len() as u64;
    for (at, (what, stream, component)) in streams.iter().enumerate() {
        found.objects += 1;
        told(at as u64, of);
        match sizes.get(&stream.object) {
            None => found.wrong.push(format!("{what}: it is missing")),
            Some(size) if *size != stream.size => {
                found.wrong.push(format!("{what}: it has {size} bytes and had {}", stream.size));
            }
            Some(_) if depth == Depth::There || !(*component || picked(&stream.object, depth)) => {}
            Some(_) => {
                found.read += 1;
                found.bytes += stream.size;
                if let Some(why) = read(place, stream, *component)? {
                    found.wrong.push(format!("{what}: {why}"));
                }
            }
        }
    }
    Ok(found)
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
    match place.objects.verify(&stream.object)? {
        Health::Ok => {}
        Health::Missing => return Ok(Some("it is missing".to_owned())),
        Health::Corrupt { .. } => return Ok(Some("its bytes are others than those that were written".to_owned())),
    }
    let Some(identities) = place.identities else { return Ok(None) };
    let folder = scratch(place.scratch)?;
    let files = scratch(folder.path())?;
    let opened = open(place.objects, folder.path(), (identities, stream), &mut |from| match component {
        true => extract(from, files.path()).map(drop),
        false => Ok(()),
    });
    Ok(opened.err().map(|e| e.to_string()))
}
