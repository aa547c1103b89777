//! Columns of what may have to be forgotten, encrypted where they lie: the names behind pseudonyms and the openings of commitments,
//! each together with its salt, without which the commitment in the log tells nothing.
//!
//! A value is sealed with ChaCha20-Poly1305 (RFC 8439) under a data key of 32 random bytes, which stands in `data_key` as an age stream for
//! the recipients of `artifacts.encrypt`. So stock `age` gives the data key, each value costs no public-key operation, and a host that has
//! recipients only can write: it makes a data key for each transaction and forgets it. What stands in the column is
//!
//! ```text
//! kf-sealed:1:DATA-KEY:LOOKUP:CONTEXT:BASE64(nonce ‖ sealed(salt ‖ text))
//! ```
//!
//! CONTEXT says whose value it is (the pseudonym, or entry and field) and is authenticated, so no value can stand in another's place.
//! (DATA-KEY is `-` for a second pseudonym of one name that stands in the clear again: the table has each name once.)
//! LOOKUP finds a name without decrypting all: HMAC-SHA-256 of kind and name under a key of its own, cut to 16 bytes; openings
//! have none. Nonces are random: 96 bits are enough for the 2³² values that RFC 8439's successors allow a key.
//!
//! Whoever has no key sees pseudonyms for names and no reasons; all else works. A sealed value that cannot be decrypted is never
//! taken for the text itself.

mod reseal;
#[cfg(test)]
mod tests;

pub use reseal::Resealed;

use super::age::Unopened;
use super::db::Db;
use super::log::SALT_LEN;
use super::objects::Keys;
use crate::base::digest::hex;
use crate::base::error::{Context as _, Error, Result};
use crate::base::time::Timestamp;
use crate::values;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::rc::Rc;

/// What a sealed value begins with; no text that is kept may.
const MARK: &str = "kf-sealed:1:";

/// Stands for a data key where nothing is encrypted.
const CLEAR: &str = "-";

/// Length of a data key in bytes.
const KEY_LEN: usize = 32;

/// A name is looked up under this many of the newest data keys.
const LOOKED_UP: i64 = 8;

/// The longest name that is sealed, in bytes: an index of PostgreSQL has room for 2,704, and a sealed name is a third longer.
const NAME_MAX: usize = 1_800;

/// The keys of this host, and the data keys that it has opened.
#[derive(Default)]
pub struct Fields {
    keys: Keys,
    opened: RefCell<BTreeMap<String, Unwrapped>>,
}

/// What became of a data key that was to be opened.
#[derive(Clone)]
enum Unwrapped {
    Key(Rc<DataKey>),
    /// No key of this host opens it.
    Locked,
    /// It is not what was stored: a key of this host should open it, or what it holds is no data key.
    Damaged,
}

impl Unwrapped {
    fn key(self) -> Option<Rc<DataKey>> {
        match self {
            Self::Key(key) => Some(key),
            Self::Locked | Self::Damaged => None,
        }
    }
}

/// A data key as it is stored.
struct Wrapped {
    recipients: String,
    stream: Vec<u8>,
}

/// What seals values.
pub(super) struct DataKey {
    id: String,
    seal: LessSafeKey,
    lookup: ring::hmac::Key,
}

/// What stands in a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// A text with its salt.
    Open {
        /// The key of its commitment.
        salt: Vec<u8>,
        /// The text.
        text: String,
        /// Whether it was sealed.
        sealed: bool,
    },
    /// Sealed with a data key that no key of this host opens.
    Locked,
    /// It cannot be what was sealed, or its data key is not what was stored.
    Damaged,
}

/// The parts of a sealed value.
struct Parts<'a> {
    key: &'a str,
    context: &'a str,
    body: &'a str,
}

impl<'a> Parts<'a> {
    fn of(stored: &'a str) -> Option<Self> {
        let mut parts = stored.strip_prefix(MARK)?.splitn(4, ':');
        let mut next = || parts.next().unwrap_or_default();
        let (key, _lookup, context, body) = (next(), next(), next(), next());
        Some(Self { key, context, body })
    }
}

/// What the opening of an entry's field is authenticated for.
pub fn opening_context(seq: i64, field: &str) -> String {
    format!("{seq}.{field}")
}

/// Refuses a text that would be taken for a sealed one.
pub(super) fn refuse_mark(what: &str, text: &str) -> Result<()> {
    if text.starts_with(MARK) {
        return Err(
            Error::usage(format!("{what} begins with `{MARK}`, which marks what is encrypted")).hint("word it another way")
        );
    }
    Ok(())
}

impl DataKey {
    fn new(id: &str, key: &[u8]) -> Result<Self> {
        let wrong = || format!("the data key {id} is not {KEY_LEN} bytes long");
        let part = |what: &str| ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key), what.as_bytes());
        if key.len() != KEY_LEN {
            return Err(Error::new(wrong()));
        }
        let unbound = UnboundKey::new(&CHACHA20_POLY1305, part("kf seals values").as_ref()).map_err(|_| Error::new(wrong()))?;
        let lookup = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, part("kf looks names up").as_ref());
        Ok(Self { id: id.to_owned(), seal: LessSafeKey::new(unbound), lookup })
    }

    /// What the sealed forms of a name begin with.
    fn prefix(&self, kind: &str, name: &str) -> String {
        let tag = ring::hmac::sign(&self.lookup, format!("{kind}\u{1f}{name}").as_bytes());
        format!("{MARK}{}:{}:", self.id, hex(&tag.as_ref()[..16]))
    }

    /// The range in which the sealed forms of a name lie, the end excluded.
    pub(super) fn range(&self, kind: &str, name: &str) -> (String, String) {
        let from = self.prefix(kind, name);
        // `;` follows `:` in ASCII.
        let to = format!("{};", &from[..from.len() - 1]);
        (from, to)
    }

    pub(super) fn seal_name(&self, pseudonym: &str, kind: &str, name: &str, salt: &[u8]) -> Result<String> {
        if name.len() > NAME_MAX {
            return Err(super::log::too_long(&format!("the name of this {kind}"), name.len(), NAME_MAX));
        }
        self.seal(&self.prefix(kind, name), pseudonym, salt, name)
    }

    pub(super) fn seal_opening(&self, seq: i64, field: &str, salt: &[u8], text: &str) -> Result<String> {
        self.seal(&format!("{MARK}{}::", self.id), &opening_context(seq, field), salt, text)
    }

    fn seal(&self, prefix: &str, context: &str, salt: &[u8], text: &str) -> Result<String> {
        let failed = |_| Error::new("a value cannot be encrypted");
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(failed)?;
        let mut sealed = [salt, text.as_bytes()].concat();
        let aad = Aad::from(context.as_bytes());
        self.seal.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed).map_err(failed)?;
        Ok(format!("{prefix}{context}:{}", BASE64.encode([&nonce[..], &sealed].concat())))
    }

    fn open(&self, parts: &Parts<'_>) -> Option<Kept> {
        let mut body = BASE64.decode(parts.body).ok()?;
        if body.len() < NONCE_LEN {
            return None;
        }
        let mut sealed = body.split_off(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(&body).ok()?;
        let plain = self.seal.open_in_place(nonce, Aad::from(parts.context.as_bytes()), &mut sealed).ok()?;
        of_plain(plain)
    }
}

fn of_plain(plain: &[u8]) -> Option<Kept> {
    let (salt, text) = plain.split_at_checked(SALT_LEN)?;
    let text = String::from_utf8(text.to_vec()).ok()?;
    Some(Kept::Open { salt: salt.to_vec(), text, sealed: true })
}

/// A name in the clear beside which the same name stands already.
fn framed(pseudonym: &str, salt: &[u8], name: &str) -> String {
    format!("{MARK}{CLEAR}::{pseudonym}:{}", BASE64.encode([salt, name.as_bytes()].concat()))
}

impl Fields {
    /// With the keys of a host.
    pub fn new(keys: Keys) -> Self {
        Self { keys, opened: RefCell::default() }
    }

    /// The data keys of a state, to read what is sealed with them.
    pub(super) fn load(&self, db: &Db) -> Result<Reveal<'_>> {
        let mut wrapped = BTreeMap::new();
        db.each("SELECT id, wrapped, recipients FROM data_key", &[], &mut |row| {
            let (id, stream) = (row.text(0)?.to_owned(), row.blob(1)?.to_vec());
            wrapped.insert(id, Wrapped { recipients: row.text(2)?.to_owned(), stream });
            Ok(())
        })?;
        Ok(Reveal { fields: self, wrapped })
    }

    /// The newest data keys that this host opens, to look names up.
    pub(super) fn newest(&self, db: &Db) -> Result<Vec<Rc<DataKey>>> {
        if !self.keys.are_configured() {
            return Ok(Vec::new());
        }
        let sql = "SELECT id, wrapped, recipients FROM data_key ORDER BY created DESC, id LIMIT ?1";
        let mut found = Vec::new();
        db.each(sql, values![LOOKED_UP], &mut |row| {
            found.extend(self.unwrapped(row.text(0)?, row.blob(1)?, row.text(2)?).key());
            Ok(())
        })?;
        Ok(found)
    }

    /// What a transaction seals with: the newest data key for the recipients of now that this host opens, or a new one; nothing when
    /// nothing is to be encrypted.
    pub(super) fn sealer(&self, db: &Db, now: Timestamp) -> Result<Option<Rc<DataKey>>> {
        let Some((recipients, _)) = self.keys.told() else { return Ok(None) };
        let sql = "SELECT id, wrapped FROM data_key WHERE recipients = ?1 ORDER BY created DESC, id LIMIT ?2";
        let mut found = None;
        db.each(sql, values![&recipients, LOOKED_UP], &mut |row| {
            if found.is_none() {
                found = self.unwrapped(row.text(0)?, row.blob(1)?, &recipients).key();
            }
            Ok(())
        })?;
        match found {
            Some(key) => Ok(Some(key)),
            None => self.make(db, now, &recipients).map(Some),
        }
    }

    fn make(&self, db: &Db, now: Timestamp, recipients: &str) -> Result<Rc<DataKey>> {
        let failed = || "cannot encrypt a data key".to_owned();
        let mut random = [0; KEY_LEN + 8];
        SystemRandom::new().fill(&mut random).map_err(|_| Error::new(failed()))?;
        let (key, id) = random.split_at(KEY_LEN);
        let (id, mut wrapped) = (hex(id), Vec::new());
        let to = self.keys.recipients().ok_or_else(|| Error::new(failed()))?;
        let mut writer = to.writer(&mut wrapped)?;
        writer.write_all(key).context(failed)?;
        writer.finish().context(failed)?;
        let sql = "INSERT INTO data_key (id, recipients, wrapped, created) VALUES (?1, ?2, ?3, ?4)";
        db.execute(sql, values![&id, recipients, wrapped, now])?;
        let made = Rc::new(DataKey::new(&id, key)?);
        self.opened.borrow_mut().insert(id, Unwrapped::Key(Rc::clone(&made)));
        Ok(made)
    }

    fn unwrapped(&self, id: &str, wrapped: &[u8], recipients: &str) -> Unwrapped {
        if let Some(known) = self.opened.borrow().get(id) {
            return known.clone();
        }
        let found = self.unwrap(id, wrapped, recipients);
        self.opened.borrow_mut().insert(id.to_owned(), found.clone());
        found
    }

    fn unwrap(&self, id: &str, wrapped: &[u8], recipients: &str) -> Unwrapped {
        let Ok(keys) = self.keys.identities() else { return Unwrapped::Locked };
        let mut key = Vec::new();
        match keys.open(wrapped) {
            Err(Unopened::NotOurs) if self.keys.read_for(recipients) => Unwrapped::Damaged,
            Err(Unopened::NotOurs) => Unwrapped::Locked,
            Err(Unopened::Damaged(_)) => Unwrapped::Damaged,
            Ok(mut stream) => match stream.read_to_end(&mut key) {
                Ok(_) => DataKey::new(id, &key).map_or(Unwrapped::Damaged, |key| Unwrapped::Key(Rc::new(key))),
                Err(_) => Unwrapped::Damaged,
            },
        }
    }
}

/// Reads what is sealed, as far as the keys of this host reach.
pub struct Reveal<'a> {
    fields: &'a Fields,
    wrapped: BTreeMap<String, Wrapped>,
}

impl Reveal<'_> {
    /// `None` when there is no such data key.
    fn key(&self, id: &str) -> Option<Unwrapped> {
        if let Some(known) = self.fields.opened.borrow().get(id) {
            return Some(known.clone());
        }
        let Wrapped { recipients, stream } = self.wrapped.get(id)?;
        Some(self.fields.unwrapped(id, stream, recipients))
    }

    fn opened(&self, parts: &Parts<'_>) -> Kept {
        if parts.key == CLEAR {
            return BASE64.decode(parts.body).ok().and_then(|plain| of_plain(&plain)).unwrap_or(Kept::Damaged);
        }
        match self.key(parts.key) {
            Some(Unwrapped::Key(key)) => key.open(parts).unwrap_or(Kept::Damaged),
            Some(Unwrapped::Locked) => Kept::Locked,
            Some(Unwrapped::Damaged) | None => Kept::Damaged,
        }
    }

    /// What stands in a column for this context, `salt` being that beside it.
    pub fn kept(&self, context: &str, salt: &[u8], stored: &str) -> Kept {
        match Parts::of(stored) {
            None => Kept::Open { salt: salt.to_vec(), text: stored.to_owned(), sealed: false },
            Some(parts) if parts.context != context || !salt.is_empty() => Kept::Damaged,
            Some(parts) => self.opened(&parts),
        }
    }

    /// The name that stands in a column, or its pseudonym where no key of this host reads it.
    pub fn name(&self, stored: &str) -> String {
        let Some(parts) = Parts::of(stored) else { return stored.to_owned() };
        match self.opened(&parts) {
            Kept::Open { text, .. } => text,
            Kept::Locked | Kept::Damaged => parts.context.to_owned(),
        }
    }

    /// The text that stands in a column; none where no key of this host reads it.
    pub fn text(&self, stored: &str) -> Option<String> {
        match Parts::of(stored) {
            None => Some(stored.to_owned()),
            Some(parts) => match self.opened(&parts) {
                Kept::Open { text, .. } => Some(text),
                Kept::Locked | Kept::Damaged => None,
            },
        }
    }
}
