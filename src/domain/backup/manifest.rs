//! What a backup set is: one text in canonical JSON (RFC 8785), signed as a note (<https://c2sp.org/signed-note>) where the host has the
//! log's key.
//!
//! All else in the place is named by the SHA-256 of its bytes, which the manifest tells: whoever trusts it trusts the set.

use crate::base::digest::{Digest, hex};
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::name::Name;
use crate::base::time::Timestamp;
use crate::domain::audit::key::{SignerKey, VerifierKey};
use crate::domain::audit::note::Note;
use crate::domain::audit::refused::Why;
use crate::domain::audit::statement;
use crate::seams::backup::Counts;
use crate::store::objects::lock::{LockMode, Retention};
use serde::{Deserialize, Serialize};

/// The form of a manifest.
const SCHEMA: &str = "kf.backup-set/1";
/// The folder of manifests.
pub const SETS: &str = "sets";

/// A backup set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The form of this text.
    pub schema: String,
    /// The set's name: the time at which it was begun, and something by chance.
    pub id: String,
    /// The plan that it was made by.
    pub plan: Name,
    /// When it was begun: what came later is not in it.
    pub began: Timestamp,
    /// When all of it was there.
    pub ended: Timestamp,
    /// The kf that made it.
    pub kf: String,
    /// Who can read it.
    pub recipients: Vec<String>,
    /// The state at that time, when it is in the set.
    pub log: Option<Log>,
    /// What is in it.
    pub components: Vec<Part>,
    /// The objects of versions, when they are in the set.
    pub artifacts: Option<Artifacts>,
    /// How long it is locked, when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<Lock>,
}

/// How long a set is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Who may end the lock.
    pub mode: LockMode,
    /// Until when the manifest is locked.
    pub until: Timestamp,
    /// Until when every object that it names is, at least.
    pub objects: Timestamp,
}

impl Lock {
    /// The lock of the manifest.
    pub fn retention(&self) -> Retention {
        Retention { mode: self.mode, until: self.until }
    }
}

/// The audit log as a set has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Its origin.
    pub origin: String,
    /// Its entries.
    pub size: u64,
    /// Its root.
    pub root: Digest,
}

/// A component: one stream of tar, zstd and age.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its name.
    pub name: Name,
    /// What it is.
    pub kind: String,
    /// Where it was, without passwords.
    pub place: String,
    /// The program that wrote it.
    pub tool: Option<String>,
    /// What is stored.
    pub stored: Stream,
    /// What is in it.
    pub counts: Counts,
    /// The audit log as this component has it, when it is that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Log>,
}

/// Encrypted bytes, and what they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// The digest of what is stored, which names it.
    pub object: Digest,
    /// Its bytes.
    pub size: u64,
    /// The digest of what was encrypted and compressed.
    pub plain: Digest,
    /// Its bytes.
    pub plain_size: u64,
}

/// The objects of versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifacts {
    /// The list of them, as lines of JSON, each a [`Stream`]: stored as it is.
    pub index: Digest,
    /// How many.
    pub objects: u64,
    /// Their bytes, as they are.
    pub bytes: u64,
    /// The bytes that are stored of them.
    pub stored: u64,
}

/// A manifest as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it says.
    pub manifest: Manifest,
    /// The key that signed it; `None` when nobody whom we know did.
    pub signed_by: Option<String>,
    /// The digest of the whole text.
    pub digest: Digest,
}

impl Manifest {
    /// The schema of a manifest that is written now.
    pub fn schema() -> String {
        SCHEMA.to_owned()
    }

    /// The text that is stored, signed where there is a key.
    ///
    /// # Errors
    /// Never for a manifest; kept as an error rather than a panic.
    pub fn text(&self, key: Option<&SignerKey>) -> Result<String> {
        statement::write(self, key)
    }

    /// Reads a manifest of this name.
    ///
    /// # Errors
    /// When it is damaged, or of another set, or of a newer kf, or its signature by a known key is wrong.
    pub fn read(id: &str, bytes: &[u8], known: &[VerifierKey]) -> Result<Found> {
        let damaged = || format!("the manifest of the backup set {id} is damaged");
        // A form that this kf does not know is no damage.
        let broken = |e: Error| e.kind_of(Kind::Broken);
        let (text, signed_by) = if let Some(text) = statement::unsigned(bytes) {
            (text, None)
        } else {
            let note = Note::parse(bytes).context(damaged).map_err(broken)?;
            let signed = match note.verify(known) {
                Ok(keys) => keys.first().map(|key| key.name().to_owned()),
                Err(e) if e.why() == Why::Untrusted => None,
                Err(e) => return Err(broken(Error::new(format!("{}: {e}", damaged())))),
            };
            (note.text().to_owned(), signed)
        };
        let value: serde_json::Value = serde_json::from_str(&text).context(damaged).map_err(broken)?;
        let schema = value["schema"].as_str().unwrap_or_default();
        if schema != SCHEMA {
            return Err(Error::new(format!("the backup set {id} has the form `{schema}`, and this kf reads `{SCHEMA}`"))
                .hint("use the kf that made it, or a newer one"));
        }
        let manifest: Self = serde_json::from_value(value).context(damaged).map_err(broken)?;
        if manifest.id != id {
            return Err(broken(Error::new(format!("{}: it says that it is {}", damaged(), manifest.id))));
        }
        if plan_of(id) != Some(manifest.plan.as_str()) {
            return Err(broken(Error::new(format!("{}: it says that its plan is {}", damaged(), manifest.plan))));
        }
        Ok(Found { manifest, signed_by, digest: Digest::of(bytes) })
    }

    /// The audit log as the set has it, in the state or apart from it.
    pub fn any_log(&self) -> Option<&Log> {
        self.log.as_ref().or_else(|| self.components.iter().find_map(|part| part.log.as_ref()))
    }

    /// The bytes that are stored for it, objects of versions included.
    pub fn stored(&self) -> u64 {
        self.components.iter().map(|part| part.stored.size).sum::<u64>() + self.artifacts.map_or(0, |all| all.stored)
    }
}

/// The name of a set: the time first, so that names are in the order of time; then the plan, so that who looks for the newest set of a plan
/// reads one manifest and not those of seven years.
pub fn id(at: Timestamp, plan: &str, chance: &[u8; 4]) -> String {
    format!("{}-{plan}-{}", moment(at), hex(chance))
}

/// A name for what is made at a time.
pub fn stamp(at: Timestamp, chance: &[u8; 4]) -> String {
    format!("{}-{}", moment(at), hex(chance))
}

/// The plan in the name of a set; `None` for what is no such name.
pub fn plan_of(id: &str) -> Option<&str> {
    let (_, rest) = id.split_once('-')?;
    rest.rsplit_once('-').map(|(plan, _)| plan)
}

/// Whether a name is one of a set: other files that lie among manifests are none, whoever put them there.
pub fn is_id(name: &str) -> bool {
    let Some((second, rest)) = name.split_once('-') else { return false };
    let form = |(at, c): (usize, u8)| match at {
        8 => c == b't',
        15 => c == b'z',
        _ => c.is_ascii_digit(),
    };
    second.len() == 16 && second.bytes().enumerate().all(form) && rest.contains('-')
}

/// A time to the second, as part of a name.
fn moment(at: Timestamp) -> String {
    let digits: String = at.to_string().chars().filter(char::is_ascii_digit).take(14).collect();
    format!("{}t{}z", &digits[..8], &digits[8..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let at = Timestamp::from_micros(1_795_000_000_000_000);
        let stream = Stream { object: Digest::of(b"o"), size: 9, plain: Digest::of(b"p"), plain_size: 20 };
        Manifest {
            schema: Manifest::schema(),
            id: id(at, "daily", &[1, 2, 3, 255]),
            plan: "daily".parse().expect("a name"),
            began: at,
            ended: at.plus_micros(1_500_000),
            kf: "0.1.0".into(),
            recipients: vec!["age1x".into()],
            log: Some(Log { origin: "kf/shop/1".into(), size: 3, root: Digest::of(b"r") }),
            components: vec![Part {
                name: "state".parse().expect("a name"),
                kind: "state".into(),
                place: ".kf/state.db".into(),
                tool: None,
                stored: stream,
                counts: Counts::from([("rows of ev".into(), 3)]),
                log: None,
            }],
            artifacts: Some(Artifacts { index: Digest::of(b"i"), objects: 2, bytes: 30, stored: 25 }),
            lock: None,
        }
    }

    #[test]
    fn what_was_written_is_read_and_whoever_signed_it_is_told() {
        let (of, key) = (manifest(), SignerKey::from_seed("kf/shop/1", [3; 32]).expect("a key"));
        assert_eq!(of.id, "20261118t110640z-daily-010203ff");
        let plain = of.text(None).expect("a text");
        let found = Manifest::read(&of.id, plain.as_bytes(), &[]).expect("read");
        assert_eq!((found.manifest, found.signed_by), (of.clone(), None));
        let signed = of.text(Some(&key)).expect("a text");
        let known = [key.public().clone()];
        let found = Manifest::read(&of.id, signed.as_bytes(), &known).expect("read");
        assert_eq!((found.manifest.stored(), found.signed_by.as_deref()), (34, Some("kf/shop/1")));
        assert_eq!(Manifest::read(&of.id, signed.as_bytes(), &[]).expect("read").signed_by, None, "nobody whom we know");
    }

    #[test]
    fn the_plan_is_in_the_name() {
        let at = Timestamp::from_micros(1_795_000_000_000_000);
        for plan in ["daily", "on-change", "a"] {
            assert_eq!(plan_of(&id(at, plan, &[0; 4])), Some(plan));
        }
        assert_eq!((plan_of("notes.txt"), plan_of("a-b")), (None, None));
        let other = Manifest { plan: "hourly".parse().expect("a name"), ..manifest() };
        let e = Manifest::read(&other.id, other.text(None).expect("a text").as_bytes(), &[]).expect_err("another plan");
        assert!(e.to_string().contains("its plan is hourly"), "{e}");
    }

    #[test]
    fn what_was_altered_is_refused() {
        let (of, key) = (manifest(), SignerKey::from_seed("kf/shop/1", [3; 32]).expect("a key"));
        let signed = of.text(Some(&key)).expect("a text");
        let known = [key.public().clone()];
        for at in (0..signed.len()).step_by(7) {
            let mut bytes = signed.clone().into_bytes();
            bytes[at] ^= 1;
            let found = Manifest::read(&of.id, &bytes, &known);
            assert!(found.is_err() || found.is_ok_and(|f| f.signed_by.is_none()), "{at}");
        }
        let other = Manifest { id: "20270101t000000z-daily-00000000".into(), ..of.clone() }.text(None).expect("a text");
        assert!(
            Manifest::read(&of.id, other.as_bytes(), &[]).expect_err("another").to_string().contains("it says that it is 2027")
        );
        let newer = Manifest { schema: "kf.backup-set/2".into(), ..of.clone() }.text(None).expect("a text");
        let e = Manifest::read(&of.id, newer.as_bytes(), &[]).expect_err("newer");
        assert!(e.to_string().contains("has the form `kf.backup-set/2`"), "{e}");
    }
}
