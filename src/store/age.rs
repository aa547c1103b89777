//! Encryption for public keys in the format of age (<https://age-encryption.org/v1>): what stock `age` and `rage` read.
//!
//! Whoever writes needs the public keys only, and cannot read what they wrote. A stream that was cut off or altered anywhere is refused
//! when it is read: each 64 KiB are authenticated, and so is the end.

use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Result};
use crate::base::text::visible;
use crate::config::secret::Secret;
use age::secrecy::ExposeSecret as _;
use age::stream::{StreamReader, StreamWriter};
use age::{DecryptError, Decryptor, EncryptError, Encryptor, Identity, IdentityFile, Recipient};
use age_core::format::{FileKey, Stanza};
use std::collections::{BTreeSet, HashSet};
use std::io::{BufRead, Read, Write};

/// Those who can read something.
pub struct Recipients {
    all: Vec<Box<dyn Recipient + Send + Sync>>,
    id: String,
}

/// Words in the header of a stream that are for everybody to read. Programs of age pass over what they do not know; whoever can decrypt
/// the stream knows that the words are those of its writer.
pub struct Label {
    /// What kind of words they are.
    pub tag: &'static str,
    /// The words: printable ASCII without spaces.
    pub words: Vec<String>,
}

impl Recipient for Label {
    fn wrap_file_key(&self, _: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        Ok((vec![Stanza { tag: self.tag.into(), args: self.words.clone(), body: Vec::new() }], HashSet::new()))
    }
}

/// Why a stream cannot be read.
#[derive(Debug)]
pub enum Unopened {
    /// None of the keys is one of those that it was written for.
    NotOurs,
    /// It is no such stream, or its header is not what was written.
    Damaged(Error),
}

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
        Ok(Self { all: all.collect::<Result<_>>()?, id: id(keys) })
    }

    /// What tells one choice of keys from another: the same for the same keys in whatever order, whatever is remarked on them.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How many keys there are.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// Encrypts what is written to it; [`StreamWriter::finish`] ends it, and without that it cannot be read.
    ///
    /// # Errors
    /// When the beginning cannot be written.
    pub fn writer<W: Write>(&self, to: W) -> Result<StreamWriter<W>> {
        Self::begin(self.all.iter().map(|key| &**key as &dyn Recipient), to)
    }

    /// The same, with a label before all else in the header.
    ///
    /// # Errors
    /// When the beginning cannot be written.
    pub fn labelled_writer<W: Write>(&self, label: &Label, to: W) -> Result<StreamWriter<W>> {
        let keys = self.all.iter().map(|key| &**key as &dyn Recipient);
        Self::begin(std::iter::once(label as &dyn Recipient).chain(keys), to)
    }

    fn begin<'a, W: Write>(recipients: impl Iterator<Item = &'a dyn Recipient>, to: W) -> Result<StreamWriter<W>> {
        let encryptor = Encryptor::with_recipients(recipients);
        let encryptor = encryptor.context(|| "cannot encrypt for these keys")?;
        encryptor.wrap_output(to).context(|| "cannot write the beginning of an encrypted stream")
    }
}

/// A digest of the keys alone: of an SSH key its kind and its number, without who it belongs to.
fn id(keys: &[String]) -> String {
    let bare = |key: &String| key.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let all: BTreeSet<String> = keys.iter().map(bare).collect();
    let mut id = Digest::of(all.into_iter().collect::<Vec<_>>().join("\n").as_bytes()).hex();
    id.truncate(16);
    id
}

/// How an SSH key begins, and how its last line does.
const PEM: &str = "-----BEGIN";
const PEM_END: &str = "-----END";

/// The keys of a text, each with the number of its first line from 1: a block of SSH, or any other line that is no remark.
fn parts(text: &str) -> Vec<(usize, String)> {
    let mut all: Vec<(usize, String)> = Vec::new();
    let mut within = false;
    for (at, line) in text.lines().map(str::trim).enumerate() {
        if within && let Some((_, block)) = all.last_mut() {
            block.push_str(line);
            block.push('\n');
            within = !line.starts_with(PEM_END);
        } else if !line.is_empty() && !line.starts_with('#') {
            within = line.starts_with(PEM);
            all.push((at + 1, format!("{line}\n")));
        }
    }
    all
}

fn ssh(block: &str) -> Result<Box<dyn Identity + Send + Sync>> {
    match age::ssh::Identity::from_buffer(block.as_bytes(), None).context(|| "it is no SSH key")? {
        key @ age::ssh::Identity::Unencrypted(_) => Ok(Box::new(key)),
        _ => Err(Error::new("the SSH key has a passphrase, or is of a kind that age does not know")),
    }
}

fn of_age(line: &str) -> Result<Vec<Box<dyn Identity + Send + Sync>>> {
    // What the library says of a line may have the line in it.
    let wrong = |_| Error::new("it is no private key of age");
    IdentityFile::from_buffer(line.as_bytes())
        .map_err(wrong)?
        .into_identities()
        .map_err(|_| Error::new("it is no private key of age"))
}

/// Keys that read what was encrypted for them.
pub struct Identities(Vec<Box<dyn Identity + Send + Sync>>);

impl Identities {
    /// Private keys: those of a file of `age-keygen`, and of SSH without a passphrase; as many of both as there are, so that a key of one
    /// kind can be changed for one of the other.
    ///
    /// # Errors
    /// For a text that holds none, and with its line for a part that is none; never with the text.
    pub fn parse(text: &Secret) -> Result<Self> {
        let hint = "name a file of `kf backup keygen` or `age-keygen`, or an SSH private key without a passphrase";
        let mut all = Vec::new();
        for (line, part) in parts(text.expose()) {
            let read = match part.starts_with(PEM) {
                true => ssh(&part).map(|key| all.push(key)),
                false => of_age(&part).map(|keys| all.extend(keys)),
            };
            read.context(|| format!("the key cannot be read: line {line}")).hint(|| hint.into())?;
        }
        if all.is_empty() {
            return Err(Error::new("there is no key in what should hold private keys").hint(hint));
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

impl Identities {
    /// Decrypts a stream; tells a stream for others from one that is damaged.
    ///
    /// # Errors
    /// [`Unopened`].
    pub fn open<R: BufRead>(&self, from: R) -> Result<StreamReader<R>, Unopened> {
        let why = |e: DecryptError| match e {
            DecryptError::NoMatchingKeys => Unopened::NotOurs,
            e => Unopened::Damaged(Error::new(e)),
        };
        let stream = Decryptor::new_buffered(from).map_err(why)?;
        stream.decrypt(self.0.iter().map(|key| &**key as &dyn Identity)).map_err(why)
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
    fn one_text_holds_keys_of_both_kinds_in_any_order() {
        // Made by `ssh-keygen -t ed25519 -N '' -C kf` for this test.
        let ssh = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\nQyNTUxOQAAACCBX98Z6u5t6hvDU1rpo9rdHXTSXKxXZBfQIL1YE31PRQAAAIgcO8FQHDvB\nUAAAAAtzc2gtZWQyNTUxOQAAACCBX98Z6u5t6hvDU1rpo9rdHXTSXKxXZBfQIL1YE31PRQ\nAAAEAVETXjFbiRyiIMNh11CK+U5SGREWuO3aSGNZU2JbtbD4Ff3xnq7m3qG8NTWumj2t0d\ndNJcrFdkF9AgvVgTfU9FAAAAAmtmAQID\n-----END OPENSSH PRIVATE KEY-----\n";
        let ssh_public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIFf3xnq7m3qG8NTWumj2t0ddNJcrFdkF9AgvVgTfU9F kf";
        let ((a, public_a), (b, public_b)) = (generate(), generate());
        let text = |parts: &[&str]| Secret::new(parts.concat());
        for key in [
            text(&[a.expose(), ssh, b.expose()]),
            text(&[ssh, "\n# mine\n", a.expose(), b.expose()]),
            text(&[b.expose(), a.expose(), ssh]),
        ] {
            for public in [&public_a, &public_b, &ssh_public.to_owned()] {
                assert_eq!(opened(&key, &sealed(std::slice::from_ref(public), b"a backup")).expect(public), b"a backup");
            }
        }
        let two = text(&[ssh, ssh]);
        assert_eq!(opened(&two, &sealed(&[ssh_public.to_owned()], b"x")).expect("read"), b"x");
        let why = |key: &Secret| Identities::parse(key).err().map(|e| e.chain().join(": ")).unwrap_or_default();
        let wrong = why(&text(&[a.expose(), "no-such-key\n", ssh]));
        assert!(wrong.contains("line 3") && !wrong.contains("no-such-key"), "{wrong}");
        let cut = why(&text(&[a.expose(), "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"]));
        assert!(cut.contains("line 3"), "{cut}");
        assert!(why(&text(&["# nothing\n\n"])).contains("there is no key"));
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
    fn a_label_stands_first_for_everybody_to_read_and_changes_nothing_for_who_has_the_key() {
        let ((key, public), (other, _)) = (generate(), generate());
        let label = Label { tag: "kf-test", words: vec!["one".into(), "2".into()] };
        let mut stream = Vec::new();
        let mut writer = Recipients::parse(&[public]).expect("a key").labelled_writer(&label, &mut stream).expect("a stream");
        writer.write_all(b"some text").expect("written");
        writer.finish().expect("finished");
        assert!(
            stream.starts_with(b"age-encryption.org/v1\n-> kf-test one 2\n\n-> X25519 "),
            "{}",
            String::from_utf8_lossy(&stream)
        );
        assert_eq!(opened(&key, &stream).expect("read"), b"some text");
        assert!(matches!(Identities::parse(&other).expect("a key").open(&stream[..]), Err(Unopened::NotOurs)));
        let at = stream.iter().position(|b| *b == b'2').expect("the word");
        stream[at] = b'3';
        assert!(matches!(Identities::parse(&key).expect("a key").open(&stream[..]), Err(Unopened::Damaged(_))));
    }

    #[test]
    fn the_id_is_that_of_the_keys_in_whatever_order() {
        let ((_, a), (_, b)) = (generate(), generate());
        let id = |keys: &[&String]| {
            Recipients::parse(&keys.iter().map(|k| (*k).clone()).collect::<Vec<_>>()).expect("keys").id().to_owned()
        };
        assert_eq!(id(&[&a, &b]), id(&[&b, &a, &a]));
        assert_ne!(id(&[&a, &b]), id(&[&a]));
        let ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN";
        assert_eq!(id(&[&ssh.to_owned()]), id(&[&format!("{ssh} alice@example.com")]));
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
