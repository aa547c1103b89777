//! What was done past the state, in files beside it: `.kf/emergency/ID.entry`, one for each time, replaced as a whole.
//!
//! An entry is one line of JSON; where this host has the log key it is a signed note around that line
//! (<https://c2sp.org/signed-note>), and says by which key. An entry that says it is signed by a key that is known here and is not, is
//! refused: no byte of it can be changed, and its signature cannot be left out.

use crate::base::digest::{Digest, hex};
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::name::Name;
use crate::base::time::Timestamp;
use crate::base::version::Version;
use crate::domain::audit::key::{SignerKey, VerifierKey};
use crate::domain::audit::note::Note;
use crate::domain::audit::refused::Why;
use crate::store::Identity;
use crate::store::objects::atomic::{sync_dir, write_file};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The form of an entry.
const SCHEMA: &str = "kf.emergency/1";
/// How the names of entries end.
const EXTENSION: &str = "entry";

/// What was done, and for whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Entry {
    /// The form.
    pub schema: String,
    /// Its id, by which it is known again.
    pub id: String,
    /// When it began.
    pub at: Timestamp,
    /// `user`, `ci` or `cron`.
    pub kind: String,
    /// Who acted.
    pub name: String,
    /// On which machine.
    pub host: String,
    /// The model.
    pub model: Name,
    /// The target.
    pub target: Name,
    /// Why the state could not be used.
    pub state: String,
    /// The ticket.
    pub ticket: Option<String>,
    /// The reason.
    pub reason: Option<String>,
    /// The version that had the traffic.
    pub from: Option<Version>,
    /// The version that was to get all of it.
    pub to: Version,
    /// What came of it.
    pub outcome: Outcome,
    /// The log key that it is signed with; `None` where this host has none.
    pub key: Option<String>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Nobody knows: whoever was about to do it did not write down how it went.
    Begun,
    /// The target showed it.
    Done,
    /// The target did not do it.
    Failed(String),
}

/// Whose an entry is, by its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It bears none, or one of a key that is not known here.
    Claimed,
    /// It was signed with the log key of this name.
    Signed(String),
}

/// An entry as it was found.
#[derive(Clone, Debug)]
pub struct Kept {
    /// What it says.
    pub entry: Entry,
    /// Who says so.
    pub proof: Proof,
    /// The digest of the file.
    pub digest: Digest,
    /// The file.
    pub path: PathBuf,
}

impl Entry {
    /// Of something that is about to be done.
    pub fn begun(
        (id, at, who): (String, Timestamp, &Identity),
        (model, target): (&Name, &Name),
        (from, to): (Option<Version>, Version),
        state: &Error,
    ) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            id,
            at,
            kind: who.kind.clone(),
            name: who.name.clone(),
            host: who.host.clone(),
            model: model.clone(),
            target: target.clone(),
            state: state.to_string(),
            ticket: None,
            reason: None,
            from,
            to,
            outcome: Outcome::Begun,
            key: None,
        }
    }

    /// Who acted.
    pub fn identity(&self) -> Identity {
        Identity { kind: self.kind.clone(), name: self.name.clone(), host: self.host.clone() }
    }
}

/// Writes an entry into the folder, in place of what it said before, and gives the file: it is on the disk then.
///
/// # Errors
/// When it cannot be written.
pub fn write(dir: &Path, entry: &Entry, key: Option<&SignerKey>) -> Result<PathBuf> {
    let trouble = || format!("cannot write down in {} what is done past the state", dir.display());
    let entry = Entry { key: key.map(|key| label(key.public())), ..entry.clone() };
    let mut text = serde_json::to_string(&entry).context(trouble)?;
    text.push('\n');
    if let Some(key) = key {
        text = Note::sign(&text, &[key]).context(trouble)?.to_string();
    }
    std::fs::create_dir_all(dir).context(trouble)?;
    let path = dir.join(format!("{}.{EXTENSION}", entry.id));
    write_file(&path, text.as_bytes(), 0o600)?;
    dir.parent().map_or(Ok(()), sync_dir)?;
    Ok(path)
}

/// The files of the entries, the oldest first: ids begin with their time.
///
/// # Errors
/// When the folder cannot be read.
pub fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let listed = match std::fs::read_dir(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.and_then(Iterator::collect::<std::io::Result<Vec<_>>>),
    };
    let listed = listed.context(|| format!("cannot read {}", dir.display()))?;
    let mut all: Vec<PathBuf> = listed.into_iter().map(|entry| entry.path()).collect();
    all.retain(|path| path.extension().is_some_and(|e| e == EXTENSION));
    all.sort();
    Ok(all)
}

/// Reads an entry.
///
/// # Errors
/// [`Kind::Broken`] when it is none, or its signature is not what it says.
pub fn read(path: &Path, known: Option<&VerifierKey>) -> Result<Kept> {
    let bytes = std::fs::read(path).context(|| format!("cannot read {}", path.display()))?;
    let (entry, proof) = parsed(&bytes, known).map_err(|why| {
        Error::of(Kind::Broken, format!("{} does not tell what was done past the state: {why}", path.display()))
            .hint("ask who was on call what was done, see `kf gateway status` or the target itself, and move the file away")
    })?;
    Ok(Kept { entry, proof, digest: Digest::of(&bytes), path: path.to_owned() })
}

fn parsed(bytes: &[u8], known: Option<&VerifierKey>) -> Result<(Entry, Proof), String> {
    let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
    let (line, proof) = match text.contains("\n\n") {
        false => (text.to_owned(), Proof::Claimed),
        true => {
            let note = Note::parse(bytes).map_err(|e| e.to_string())?;
            (note.text().to_owned(), proved(&note, known)?)
        }
    };
    let entry: Entry = serde_json::from_str(&line).map_err(|e| e.to_string())?;
    if entry.schema != SCHEMA {
        return Err(format!("its form is {}", entry.schema));
    }
    // Whoever takes a signature away, or makes it that of a key that nobody knows, leaves what the entry says of itself.
    let says = entry.key.as_deref().filter(|says| known.is_some_and(|known| label(known) == *says));
    match (says, &proof) {
        (Some(says), Proof::Claimed) => Err(format!("it says that {says} signed it, and bears no signature of that key")),
        _ => Ok((entry, proof)),
    }
}

/// How a key is named: one of the same name may have come after it.
fn label(key: &VerifierKey) -> String {
    format!("{}+{}", key.name(), hex(&key.id()))
}

fn proved(note: &Note, known: Option<&VerifierKey>) -> Result<Proof, String> {
    let Some(key) = known else { return Ok(Proof::Claimed) };
    match note.verify(std::slice::from_ref(key)) {
        Ok(_) => Ok(Proof::Signed(key.name().to_owned())),
        Err(refused) if refused.why() == Why::Untrusted => Ok(Proof::Claimed),
        Err(refused) => Err(refused.to_string()),
    }
}

/// Takes an entry away that was taken in, if nobody else has.
///
/// # Errors
/// When it cannot be removed; it is known again then.
pub fn remove(kept: &Kept) -> Result<()> {
    match std::fs::remove_file(&kept.path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).context(|| format!("cannot remove {}", kept.path.display())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let name = |text: &str| text.parse::<Name>().expect("a name");
        let who = Identity { kind: "user".into(), name: "ada".into(), host: "laptop".into() };
        let versions = (Some(Version::new(1, 1, 0)), Version::new(1, 0, 0));
        let at = Timestamp::from_micros(1_700_000_000_000_000);
        Entry::begun(("0193".into(), at, &who), (&name("bot"), &name("local")), versions, &Error::new("locked"))
    }

    fn key(seed: u8) -> SignerKey {
        SignerKey::from_seed("kf/shop/1", [seed; 32]).expect("a key")
    }

    #[test]
    fn what_is_written_is_read_with_whose_it_is() {
        let place = tempfile::tempdir().expect("a directory");
        let dir = place.path().join("emergency");
        assert_eq!(files(&dir).expect("none"), Vec::<PathBuf>::new());
        let (mine, other) = (key(1), key(2));
        for (signed, known, proof) in [
            (None, Some(&mine), Proof::Claimed),
            (Some(&mine), Some(&mine), Proof::Signed("kf/shop/1".into())),
            (Some(&mine), Some(&other), Proof::Claimed),
            (Some(&mine), None, Proof::Claimed),
        ] {
            let path = write(&dir, &Entry { outcome: Outcome::Failed("no".into()), ..entry() }, signed).expect("written");
            assert_eq!(files(&dir).expect("listed"), std::slice::from_ref(&path));
            let kept = read(&path, known.map(SignerKey::public)).expect("read");
            assert_eq!((kept.proof, kept.entry.outcome), (proof, Outcome::Failed("no".into())));
        }
    }

    #[test]
    fn one_that_was_altered_is_refused() {
        let place = tempfile::tempdir().expect("a directory");
        let path = write(place.path(), &entry(), Some(&key(1))).expect("written");
        let whole = std::fs::read_to_string(&path).expect("text");
        for text in [whole.replace("1.0.0", "1.0.9"), whole[..whole.len() / 2].to_owned(), String::new(), "{}\n".to_owned()] {
            std::fs::write(&path, text).expect("altered");
            let e = read(&path, Some(key(1).public())).expect_err("refused");
            assert_eq!(e.kind(), Kind::Broken);
        }
    }

    #[test]
    fn no_byte_of_a_signed_one_can_be_changed_nor_its_signature_left_out() {
        let place = tempfile::tempdir().expect("a directory");
        let (mine, other) = (key(1), key(2));
        let path = write(place.path(), &entry(), Some(&mine)).expect("written");
        let whole = std::fs::read(&path).expect("bytes");
        let refused = |bytes: &[u8]| parsed(bytes, Some(mine.public())).is_err();
        for at in 0..whole.len() {
            for flip in [1, 2, 0x20] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                assert!(refused(&bytes), "{}", String::from_utf8_lossy(&bytes));
            }
        }
        let text = String::from_utf8(whole).expect("text");
        let (line, _) = text.split_once("\n\n").expect("signatures");
        assert!(refused(format!("{line}\n").as_bytes()), "without its signature");
        // Whoever has another key cannot tell.
        assert_eq!(parsed(text.as_bytes(), Some(other.public())).map(|(_, proof)| proof), Ok(Proof::Claimed));
    }
}
