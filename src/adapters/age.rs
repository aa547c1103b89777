//! Encryption for public keys in the format of age (<https://age-encryption.org/v1>): what stock `age` and `rage` read.
//!
//! Whoever writes needs the public keys only, and cannot read what they wrote. A stream that was cut off or altered anywhere is refused
//! when it is read: each 64 KiB are authenticated, and so is the end.

use crate::base::error::{Context, Error, Result};
use crate::base::text::visible;
use crate::config::secret::Secret;
use age::secrecy::ExposeSecret as _;
use age::stream::{StreamReader, StreamWriter};
use age::{Decryptor, Encryptor, Identity, IdentityFile, Recipient};
use std::io::{Read, Write};

/// Those who can read something.
pub struct Recipients(Vec<Box<dyn Recipient + Send + Sync>>);

impl Recipients {
    /// Public keys as written: `age1…`, `ssh-ed25519 …` or `ssh-rsa …`.
    ///
    /// # Errors
    /// For a text that is no such key, and without any.
    pub fn parse(keys: &[String]) -> Result<Self> {
        let hint = "write `age1…` (from `kf backup keygen` or `age-keygen`), or an SSH public key as in `~/.ssh/id_ed25519.pub`";
        if keys.is_empty() {
            return Err(Error::usage("`backup.recipients` names nobody who could read a backup").hint(hint));
        }
        let all = keys.iter().map(|text| {
            let key = text.trim();
            let ours: Option<Box<dyn Recipient + Send + Sync>> = match key.starts_with("ssh-") {
                true => key.parse::<age::ssh::Recipient>().ok().map(|key| Box::new(key) as _),
                false => key.parse::<age::x25519::Recipient>().ok().map(|key| Box::new(key) as _),
            };
            ours.ok_or_else(|| Error::usage(format!("`{}` is no public key of age or SSH", visible(key, 80))).hint(hint))
        });
        Ok(Self(all.collect::<Result<_>>()?))
    }

    /// Encrypts what is written to it; [`StreamWriter::finish`] ends it, and without that it cannot be read.
    ///
    /// # Errors
    /// When the beginning cannot be written.
    pub fn writer<W: Write>(&self, to: W) -> Result<StreamWriter<W>> {
        let encryptor = Encryptor::with_recipients(self.0.iter().map(|key| &**key as &dyn Recipient));
        let encryptor = encryptor.context(|| "cannot encrypt for these keys")?;
        encryptor.wrap_output(to).context(|| "cannot write the beginning of an encrypted stream")
    }
}

/// Keys that read what was encrypted for them.
pub struct Identities(Vec<Box<dyn Identity + Send + Sync>>);

impl Identities {
    /// Private keys: those of a file of `age-keygen`, or one of SSH without a passphrase.
    ///
    /// # Errors
    /// For a text that holds none.
    pub fn parse(text: &Secret) -> Result<Self> {
        let text = text.expose();
        let hint = "name a file of `kf backup keygen` or `age-keygen`, or an SSH private key without a passphrase";
        if text.contains("-----BEGIN") {
            let key = age::ssh::Identity::from_buffer(text.as_bytes(), None)
                .context(|| "the key cannot be read")
                .hint(|| hint.into())?;
            return match key {
                age::ssh::Identity::Unencrypted(_) => Ok(Self(vec![Box::new(key)])),
                _ => Err(Error::new("the SSH key has a passphrase, or is of a kind that age does not know").hint(hint)),
            };
        }
        let file = IdentityFile::from_buffer(text.as_bytes()).context(|| "the key cannot be read").hint(|| hint.into())?;
        let all = file.into_identities().context(|| "the key cannot be read").hint(|| hint.into())?;
        if all.is_empty() {
            return Err(Error::new("there is no key in what `backup.identity` names").hint(hint));
        }
        Ok(Self(all))
    }

    /// Decrypts a stream that one of the keys can read.
    ///
    /// # Errors
    /// When none can, or it is none.
    pub fn reader<R: Read>(&self, from: R) -> Result<StreamReader<R>> {
        let wrong = || "this key reads no such backup, or the stream is damaged".to_owned();
        let stream = Decryptor::new(from).context(wrong)?;
        let keys = self.0.iter().map(|key| &**key as &dyn Identity);
        stream.decrypt(keys).context(wrong).hint(|| "take the identity that belongs to one of the recipients of the set".into())
    }
}

/// A new key: the file that `age` reads, and its public key.
pub fn generate() -> (Secret, String) {
    let identity = age::x25519::Identity::generate();
    let public = identity.to_public().to_string();
    (Secret::new(format!("# public key: {public}\n{}\n", identity.to_string().expose_secret())), public)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(recipients: &[String], text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Recipients::parse(recipients).expect("keys").writer(&mut out).expect("a stream");
        writer.write_all(text).expect("written");
        writer.finish().expect("finished");
        out
    }

    fn opened(key: &Secret, stream: &[u8]) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        Identities::parse(key)?.reader(stream)?.read_to_end(&mut text).context(|| "damaged")?;
        Ok(text)
    }

    #[test]
    fn each_recipient_reads_it_and_nobody_else() {
        let ((a, public_a), (b, public_b), (c, _)) = (generate(), generate(), generate());
        let stream = sealed(&[public_a, public_b], b"a backup");
        assert_eq!(opened(&a, &stream).expect("read"), b"a backup");
        assert_eq!(opened(&b, &stream).expect("read"), b"a backup");
        assert!(opened(&c, &stream).expect_err("refused").to_string().contains("this key reads no such backup"));
    }

    #[test]
    fn what_was_cut_off_or_altered_is_refused() {
        let (key, public) = generate();
        let stream = sealed(&[public], &vec![7; 200_000]);
        for cut in [0, 10, 100, stream.len() / 2, stream.len() - 1] {
            assert!(opened(&key, &stream[..cut]).is_err(), "{cut}");
        }
        for at in (0..stream.len()).step_by(stream.len() / 50) {
            let mut altered = stream.clone();
            altered[at] ^= 1;
            // What stands after the last stanza line of the header is checked by it, all else by the stream.
            assert!(opened(&key, &altered).is_err(), "{at}");
        }
    }

    #[test]
    fn what_is_no_key_says_so() {
        let refused = |keys: &[&str]| {
            let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
            Recipients::parse(&keys).err().map(|e| e.to_string()).unwrap_or_default()
        };
        assert_eq!(refused(&["age1nonsense"]), "`age1nonsense` is no public key of age or SSH");
        assert!(refused(&[]).contains("names nobody"));
        assert!(refused(&["ssh-ed25519 AAAA"]).contains("is no public key"));
    }
}
