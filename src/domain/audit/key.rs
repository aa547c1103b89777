//! The Ed25519 keys that sign notes, in the text forms of `golang.org/x/mod/sumdb/note`, which <https://c2sp.org/signed-note>
//! took over: `name+hex(id)+base64(0x01 ‖ public key)` for everybody, `PRIVATE+KEY+name+hex(id)+base64(0x01 ‖ seed)` for the
//! holder. The id is the first four bytes of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key).
//!
//! A private key never shows itself: it has no `Display`, its `Debug` and every error leave it out.

use super::refused::{Refused, base64, unbase64};
use crate::base::digest::{Digest, hex};
use crate::base::error::{Context, Result};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use std::fmt;
use std::str::FromStr;

/// The signature type of plain Ed25519 in signed notes.
const ED25519_TYPE: u8 = 1;

const PRIVATE: &str = "PRIVATE+KEY+";

/// Checks the name of a key, which is also the origin of the log it signs.
///
/// # Errors
/// When the name is empty or holds a space of any kind, a `+` or a control character.
pub fn check_name(name: &str) -> Result<(), Refused> {
    if name.is_empty() {
        return Err(Refused::malformed("the name of a key cannot be empty"));
    }
    match name.chars().find(|c| c.is_whitespace() || c.is_control() || *c == '+') {
        Some(c) => Err(Refused::malformed(format!("the name of a key cannot hold {c:?}"))),
        None => Ok(()),
    }
}

/// The public half of a key: what others need to check its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    public: [u8; 32],
}

impl VerifierKey {
    /// A key from its name and its 32 bytes (RFC 8032).
    ///
    /// # Errors
    /// When the name is no name for a key: see [`check_name`].
    pub fn new(name: &str, public: [u8; 32]) -> Result<Self, Refused> {
        check_name(name)?;
        let hashed = Digest::of(&[name.as_bytes(), b"\n", &[ED25519_TYPE], &public].concat());
        let [a, b, c, d, ..] = *hashed.as_bytes();
        Ok(Self { name: name.to_owned(), id: [a, b, c, d], public })
    }

    /// The name, such as `example.com/log`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id that signatures carry; short, to find the key, not to trust it.
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// Whether `signature` is this key's over `text`.
    pub fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.public).verify(text, signature).is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}+{}+{}", self.name, hex(&self.id), typed(&self.public)))
    }
}

impl FromStr for VerifierKey {
    type Err = Refused;

    fn from_str(s: &str) -> Result<Self, Refused> {
        if s.starts_with(PRIVATE) {
            return Err(Refused::malformed(
                "this is a private key where a public key is wanted: replace it, it is no secret any more",
            ));
        }
        let (name, id, public) =
            fields(s).ok_or_else(|| Refused::malformed("not a public key: expected `name+id+base64`, with an Ed25519 key"))?;
        let key = Self::new(name, public)?;
        if hex(&key.id) != id {
            return Err(Refused::malformed(format!("the key of `{name}` has the id {}, its text says `{id}`", hex(&key.id))));
        }
        Ok(key)
    }
}

/// A key that can sign.
pub struct SignerKey {
    public: VerifierKey,
    seed: [u8; 32],
    pair: Ed25519KeyPair,
}

impl SignerKey {
    /// A key from its name and its 32-byte seed (the private key of RFC 8032).
    ///
    /// # Errors
    /// When the name is no name for a key: see [`check_name`].
    pub fn from_seed(name: &str, seed: [u8; 32]) -> Result<Self, Refused> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("a seed is 32 bytes");
        let public = pair.public_key().as_ref().try_into().expect("an Ed25519 public key is 32 bytes");
        Ok(Self { public: VerifierKey::new(name, public)?, seed, pair })
    }

    /// A new key from the system's random numbers.
    ///
    /// # Errors
    /// When the name is no name for a key, or the system gives no random numbers.
    pub fn generate(name: &str) -> Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).context(|| format!("cannot make a key for `{name}`: the system gives no random numbers"))?;
        Self::from_seed(name, seed).context(|| format!("cannot make a key for `{name}`"))
    }

    /// A key from the text that [`SignerKey::secret_text`] makes.
    ///
    /// # Errors
    /// When the text is not that. The error does not show the text.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let bad = || Refused::malformed("not a private key: expected `PRIVATE+KEY+name+id+base64`, with an Ed25519 key");
        let (name, id, seed) = text.strip_prefix(PRIVATE).and_then(fields).ok_or_else(bad)?;
        let key = Self::from_seed(name, seed).map_err(|_| bad())?;
        if hex(&key.public.id) != id {
            return Err(Refused::malformed(
                "the id in the private key is not that of its public key: it was mistyped or altered",
            ));
        }
        Ok(key)
    }

    /// The text form, which is the secret itself.
    pub fn secret_text(&self) -> String {
        format!("{PRIVATE}{}+{}+{}", self.public.name, hex(&self.public.id), typed(&self.seed))
    }

    /// The public half.
    pub fn public(&self) -> &VerifierKey {
        &self.public
    }

    /// The 64-byte signature over `text`.
    pub fn sign(&self, text: &[u8]) -> [u8; 64] {
        self.pair.sign(text).as_ref().try_into().expect("an Ed25519 signature is 64 bytes")
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignerKey({})", self.public)
    }
}

/// Base64 of the signature type and 32 bytes of key.
fn typed(key: &[u8; 32]) -> String {
    base64(&[&[ED25519_TYPE], key.as_slice()].concat())
}

/// Name, id and key bytes of `name+id+base64(0x01 ‖ 32 bytes)`. Base64 may hold `+`, names and ids may not.
fn fields(text: &str) -> Option<(&str, &str, [u8; 32])> {
    let (name, rest) = text.split_once('+')?;
    let (id, key) = rest.split_once('+')?;
    let key = unbase64(key)?;
    let (kind, key) = key.split_first()?;
    Some((name, id, key.try_into().ok().filter(|_| *kind == ED25519_TYPE)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use signed_note::{Signer as _, Verifier as _};

    /// From the documentation and the tests of golang.org/x/mod/sumdb/note.
    const PUBLIC: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const SECRET: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";

    #[test]
    fn the_published_key_reads_and_prints_back() {
        let secret = SignerKey::parse(SECRET).expect("a private key");
        assert_eq!(secret.public().to_string(), PUBLIC);
        assert_eq!(secret.secret_text(), SECRET);
        assert_eq!(PUBLIC.parse::<VerifierKey>().as_ref(), Ok(secret.public()));
        assert_eq!(format!("{secret:?}"), format!("SignerKey({PUBLIC})"));
    }

    /// The manglings of `TestNewVerifier` and `TestNewSigner` there: every proper substring and every raised byte.
    #[test]
    fn mangled_keys_are_refused() {
        for good in [PUBLIC, SECRET] {
            let check = |text: &str| {
                assert!(text.parse::<VerifierKey>().is_err(), "{text}");
                let error = SignerKey::parse(text).expect_err(text).to_string();
                assert!(!error.contains("AYEK"), "{error}");
            };
            for from in 0..good.len() {
                for to in from..=good.len() {
                    if to - from < good.len() {
                        // Without its prefix a private key has the form of a public one; its id gives it away.
                        check(&good[from..to]);
                    }
                }
                let mut raised = good.as_bytes().to_vec();
                raised[from] += 1;
                check(std::str::from_utf8(&raised).expect("ASCII"));
            }
        }
        for bad in [
            "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
            "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        ] {
            assert!(bad.parse::<VerifierKey>().is_err(), "{bad}");
        }
        assert!(SECRET.parse::<VerifierKey>().expect_err("private").to_string().contains("private key"));
    }

    #[test]
    fn names_that_would_break_the_format_are_refused() {
        for bad in ["", " ", "a b", "a+b", "a\nb", "a\u{a0}b", "a\u{2003}b", "a\u{1}b", "a\u{7f}b"] {
            assert!(check_name(bad).is_err(), "{bad:?}");
            assert!(SignerKey::generate(bad).is_err(), "{bad:?}");
        }
        assert_eq!(check_name("example.com/kf/журнал"), Ok(()));
    }

    #[test]
    fn generated_keys_differ_and_another_implementation_reads_them() {
        let key = SignerKey::generate("example.com/log").expect("a key");
        assert_ne!(key.secret_text(), SignerKey::generate("example.com/log").expect("a key").secret_text());
        let signer = signed_note::StandardSigner::new(&key.secret_text()).expect("their signer");
        let verifier = signed_note::StandardVerifier::new(&key.public().to_string()).expect("their verifier");
        assert_eq!(signer.key_id().to_be_bytes(), key.public().id());
        assert_eq!(signer.sign(b"text").expect("signed"), key.sign(b"text"));
        assert!(verifier.verify(b"text", &key.sign(b"text")));
        assert!(key.public().verify(b"text", &signer.sign(b"text").expect("signed")));
    }

    proptest! {
        #[test]
        fn keys_print_and_read_back(name in "[a-z./é-]{1,20}", seed: [u8; 32]) {
            let key = SignerKey::from_seed(&name, seed).expect("a key");
            prop_assert_eq!(SignerKey::parse(&key.secret_text()).expect("reads").secret_text(), key.secret_text());
            prop_assert_eq!(key.public().to_string().parse(), Ok(key.public().clone()));
        }

        #[test]
        fn no_text_panics(text in "\\PC*", prefixed in "PRIVATE\\+KEY\\+[a-z+/=0-9]*") {
            prop_assert!(text.parse::<VerifierKey>().is_err());
            prop_assert!(SignerKey::parse(&prefixed).is_err());
        }

        #[test]
        fn a_flipped_bit_breaks_a_signature(text in prop::collection::vec(any::<u8>(), 1..60), at: prop::sample::Index) {
            let key = SignerKey::from_seed("a", [3; 32]).expect("a key");
            let signature = key.sign(&text);
            prop_assert!(key.public().verify(&text, &signature));
            let mut bad = text.clone();
            bad[at.index(text.len())] ^= 1;
            prop_assert!(!key.public().verify(&bad, &signature));
            let mut bad = signature;
            bad[at.index(64)] ^= 1;
            prop_assert!(!key.public().verify(&text, &bad));
            prop_assert!(!key.public().verify(&text, &signature[..63]));
        }
    }
}
