//! Golden datasets by name: a registered dataset (`golden@2.0.0`) or a file of the repository. Either way the identity is the
//! SHA-256 of the file's bytes, so the same dataset counts as the same whichever way it is named.

use crate::base::digest::{Digest, Hasher};
use crate::base::error::{Context, Error, Result};
use crate::base::name::ModelType;
use crate::base::reference::Reference;
use crate::domain::registry::table;
use crate::release::attest;
use crate::release::checkout::manifest_of;
use crate::store::View;
use crate::store::objects::Objects;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The largest golden dataset that is read, in bytes.
pub const DATASET_MAX: u64 = 1024 * 1024 * 1024;

/// A dataset found.
pub struct Dataset {
    /// As it is named in reports.
    pub name: String,
    /// The name of the file, by whose ending its format is told.
    pub file: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Their digest.
    pub digest: Digest,
}

enum Place {
    File(PathBuf),
    Registered(Reference),
}

fn place(root: &Path, wanted: &str) -> Result<Place> {
    let path = root.join(wanted);
    if path.is_file() {
        return Ok(Place::File(path));
    }
    wanted.parse().map(Place::Registered).map_err(|_| {
        Error::new(format!("there is no golden dataset {wanted}"))
            .hint("name a file (JSON, JSONL or CSV) or a registered dataset: NAME@VERSION")
    })
}

/// The name and digest of a dataset, without reading a registered one.
///
/// # Errors
/// When it is not there.
pub fn identify(view: View<'_>, root: &Path, wanted: &str) -> Result<(String, Digest)> {
    match place(root, wanted)? {
        Place::File(path) => {
            let mut file = std::fs::File::open(&path).context(|| format!("cannot read {}", path.display()))?;
            let mut hasher = Hasher::new();
            let mut buffer = vec![0; 256 * 1024];
            loop {
                let n = file.read(&mut buffer).context(|| format!("cannot read {}", path.display()))?;
                if n == 0 {
                    return Ok((wanted.to_owned(), hasher.finish()));
                }
                hasher.update(&buffer[..n]);
            }
        }
        Place::Registered(reference) => {
            let version = table::resolve(view, &reference)
                .context(|| format!("no file of the repository and no registered dataset is called {wanted}"))?;
            let noted = table::notes(view, version.id)?.meta.into_iter().find(|(k, _)| k == FILE_DIGEST);
            let (key, noted) = noted.ok_or_else(|| not_one_file(&version.reference()))?;
            attest::meta(view, &version, &key, &noted)?;
            let digest = noted.parse().map_err(|_| not_one_file(&version.reference()))?;
            Ok((version.reference(), digest))
        }
    }
}

/// The metadata key under which registration notes the digest of a dataset's one file.
pub const FILE_DIGEST: &str = "file-digest";

fn not_one_file(reference: &str) -> Error {
    Error::new(format!("{reference} is not a dataset of one file"))
        .hint("register the golden dataset by itself: `kf register NAME FILE --type dataset`")
}

/// Reads a dataset.
///
/// # Errors
/// When it is not there, too large, damaged, or no dataset of one file.
pub fn load(view: View<'_>, objects: &Objects, root: &Path, wanted: &str) -> Result<Dataset> {
    match place(root, wanted)? {
        Place::File(path) => {
            let size = std::fs::metadata(&path).context(|| format!("cannot read {}", path.display()))?.len();
            if size > DATASET_MAX {
                return Err(Error::new(format!("{wanted} is {size} bytes long, at most {DATASET_MAX} are read"))
                    .hint("split the dataset"));
            }
            let bytes = std::fs::read(&path).context(|| format!("cannot read {}", path.display()))?;
            Ok(Dataset { name: wanted.to_owned(), file: wanted.to_owned(), digest: Digest::of(&bytes), bytes })
        }
        Place::Registered(reference) => {
            let version = table::resolve(view, &reference)
                .context(|| format!("no file of the repository and no registered dataset is called {wanted}"))?;
            if version.kind != ModelType::Dataset {
                return Err(Error::new(format!("{} is a model of type {}, not a dataset", version.reference(), version.kind))
                    .hint("register the golden dataset: `kf register NAME FILE --type dataset`"));
            }
            let manifest = manifest_of(objects, &version)?;
            let [file] = manifest.files() else { return Err(not_one_file(&version.reference())) };
            let bytes = objects.read(&file.digest, DATASET_MAX)?;
            Ok(Dataset { name: version.reference(), file: file.path.clone(), digest: file.digest, bytes })
        }
    }
}
