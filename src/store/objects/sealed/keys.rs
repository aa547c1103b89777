//! The keys of this host, and what is said where one is missing.

use super::Header;
use crate::base::error::{Context as _, Error, Result};
use crate::base::text::{count, visible};
use crate::config::secret::Secret;
use crate::store::age::{Identities, Recipients};
use std::fmt;
use std::io::{Read as _, Write as _};
use std::sync::OnceLock;

/// Fetches the private keys.
pub type Fetch = Box<dyn Fn() -> Result<Secret> + Send + Sync>;

/// Whom objects are encrypted for, and what reads them.
#[derive(Default)]
pub struct Keys {
    recipients: Option<Recipients>,
    /// The recipients as they are written, for people.
    written: String,
    identity: Option<Fetch>,
    identities: OnceLock<Identities>,
    proven: OnceLock<bool>,
}

/// An object is encrypted, and no key of this host reads it; found with [`Error::cause`].
#[derive(Debug)]
pub struct NoKey {
    why: String,
}

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for NoKey {}

impl Keys {
    /// Encrypts for `recipients`, public keys as they are written, when there are any; `identity` is called when the first encrypted
    /// object is read.
    ///
    /// # Errors
    /// For a text that is no public key.
    pub fn new(recipients: &[String], identity: Option<Fetch>) -> Result<Self> {
        let shown: Vec<String> = recipients.iter().map(|key| visible(key, 80)).collect();
        let recipients = if recipients.is_empty() { None } else { Some(Recipients::parse(recipients)?) };
        Ok(Self { recipients, written: shown.join(", "), identity, ..Self::default() })
    }

    /// Whom objects are encrypted for.
    pub(in crate::store) fn recipients(&self) -> Option<&Recipients> {
        self.recipients.as_ref()
    }

    /// The same with their id, for people.
    pub(in crate::store) fn told(&self) -> Option<(String, usize)> {
        self.recipients.as_ref().map(|r| (r.id().to_owned(), r.count()))
    }

    /// True when there is something to expect of encryption here.
    pub(in crate::store) fn are_configured(&self) -> bool {
        self.recipients.is_some() || self.identity.is_some()
    }

    /// True when there are private keys.
    pub(super) fn are_here(&self) -> bool {
        self.identities().is_ok()
    }

    /// The private keys.
    ///
    /// # Errors
    /// When there are none, or they cannot be read.
    pub(in crate::store) fn identities(&self) -> Result<&Identities> {
        if let Some(identities) = self.identities.get() {
            return Ok(identities);
        }
        let fetch = self.identity.as_ref().ok_or_else(|| Error::new("`artifacts.identity` names no key"))?;
        let identities = fetch()
            .and_then(|secret| Identities::parse(&secret))
            .context(|| "the key that `artifacts.identity` names cannot be had")?;
        Ok(self.identities.get_or_init(|| identities))
    }

    /// The private keys, or why an object cannot be read without.
    pub(super) fn identities_for(&self, header: &Header) -> Result<&Identities> {
        self.identities().map_err(|e| {
            let hint = e.hints().first().cloned().unwrap_or_else(|| {
                "bring the private key of one of them here, and write `identity = \"file:PATH\"` or `\"env:NAME\"` below `[artifacts]`".into()
            });
            Self::locked(format!("it is encrypted for {}, and {e}", self.keys_of(header)), hint)
        })
    }

    /// Whether the private keys read what is encrypted for these recipients, by their id: shown by encrypting something for them.
    pub(in crate::store) fn read_for(&self, recipients: &str) -> bool {
        self.recipients.as_ref().is_some_and(|r| r.id() == recipients) && *self.proven.get_or_init(|| self.prove().is_ok())
    }

    /// What is said when none of the private keys reads an object; none when one should, so that it must be damaged.
    pub(super) fn not_ours(&self, header: &Header) -> Option<Error> {
        if self.read_for(&header.recipients) {
            return None;
        }
        let why = format!(
            "it is encrypted for {}, and `artifacts.identity` holds the private key of none of them",
            self.keys_of(header)
        );
        let hint = "add that key to the file that `artifacts.identity` names, which may hold several; without it the object is lost: \
                    register the same files again, or restore a backup";
        Some(Self::locked(why, hint.into()))
    }

    fn are_current(&self, header: &Header) -> bool {
        self.recipients.as_ref().is_some_and(|r| r.id() == header.recipients)
    }

    fn keys_of(&self, header: &Header) -> String {
        match &self.recipients {
            Some(_) if self.are_current(header) => format!("the keys of `artifacts.encrypt` ({})", self.written),
            Some(now) => format!("the keys {} and not those of `artifacts.encrypt`, which are {}", header.recipients, now.id()),
            None => format!("the keys {}", header.recipients),
        }
    }

    fn locked(why: String, hint: String) -> Error {
        let locked: Result<()> = Err(NoKey { why }).context(|| "no key here reads it").hint(|| hint);
        locked.err().unwrap_or_else(|| Error::new("no key here reads it"))
    }

    /// Encrypts something for the recipients and reads it with the private keys.
    ///
    /// # Errors
    /// When that does not give the same again.
    pub(in crate::store::objects) fn prove(&self) -> Result<()> {
        let Some(recipients) = &self.recipients else { return Ok(()) };
        let identities = self.identities()?;
        let failed = || "cannot encrypt and decrypt".to_owned();
        let (mut stream, mut back) = (Vec::new(), Vec::new());
        let mut writer = recipients.writer(&mut stream)?;
        writer.write_all(b"kf").context(failed)?;
        writer.finish().context(failed)?;
        if let Ok(mut reader) = identities.open(&stream[..]) {
            reader.read_to_end(&mut back).context(failed)?;
        }
        if back != b"kf" {
            let keys = count(recipients.count(), "recipient");
            return Err(Error::new(format!(
                "`artifacts.identity` cannot read what is encrypted for the {keys} of `artifacts.encrypt` ({})",
                self.written
            ))
            .hint(
                "add the private key of one of them to the file that `artifacts.identity` names, or correct `artifacts.encrypt`",
            ));
        }
        Ok(())
    }
}
