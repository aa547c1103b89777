//! Checkpoints (<https://c2sp.org/tlog-checkpoint>): the head of a log as a signed note of three lines: origin, size, root.
//!
//! None of ours has extension lines, which witnesses would not cover; those of others are read past.

use super::key::{SignerKey, VerifierKey, check_name};
use super::note::Note;
use super::refused::{Refused, Why, base64, decimal, hash};
use crate::base::merkle::Hash;

/// The head of a log: which log, how many entries, and the root over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: the name of its key.
    pub origin: String,
    /// The number of entries.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
}

impl Checkpoint {
    /// Reads the text of a checkpoint. Trust it only when it came through [`open`].
    ///
    /// # Errors
    /// When the text is not three lines or more, none empty, with a decimal size and a base64 SHA-256.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let bad = |what: &str| Refused::malformed(format!("the checkpoint {what}"));
        let lines: Vec<&str> = text.strip_suffix('\n').ok_or_else(|| bad("does not end with a newline"))?.split('\n').collect();
        let [origin, size, root, ..] = lines[..] else { return Err(bad("has less than three lines")) };
        if lines.iter().any(|line| line.is_empty()) {
            return Err(bad("has an empty line"));
        }
        let size = decimal(size).ok_or_else(|| bad("has no decimal size in its second line"))?;
        let root = hash(root).ok_or_else(|| bad("has no base64 SHA-256 in its third line"))?;
        Ok(Self { origin: origin.to_owned(), size, root })
    }

    /// The text that is signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, base64(&self.root))
    }

    /// The checkpoint signed by the keys of its log: one, or two while one key takes over from another.
    ///
    /// # Errors
    /// When there is no key, or the name of one is not the origin.
    pub fn sign(&self, keys: &[&SignerKey]) -> Result<Note, Refused> {
        check_name(&self.origin)?;
        if let Some(key) = keys.iter().find(|k| k.public().name() != self.origin) {
            let (origin, name) = (&self.origin, key.public().name());
            return Err(Refused::new(Why::Mismatch, format!("the key is that of `{name}`, the log is `{origin}`")));
        }
        Note::sign(&self.text(), keys)
    }
}

/// The checkpoint in a signed note, when a known key of that very log signed it. Keys of other logs and of witnesses may be
/// among the known ones; they must be right, and they do not suffice.
///
/// # Errors
/// [`Why::Malformed`] when it is not a checkpoint, [`Why::Forged`] and [`Why::Untrusted`] as [`Note::verify`] says.
pub fn open(note: &[u8], known: &[VerifierKey]) -> Result<Checkpoint, Refused> {
    opened(&Note::parse(note)?, known)
}

/// [`open`] for a note that is read already.
pub(super) fn opened(note: &Note, known: &[VerifierKey]) -> Result<Checkpoint, Refused> {
    let signed = note.verify(known)?;
    let checkpoint = Checkpoint::parse(note.text())?;
    if signed.iter().any(|key| key.name() == checkpoint.origin) {
        return Ok(checkpoint);
    }
    let origin = &checkpoint.origin;
    Err(Refused::new(Why::Untrusted, format!("the checkpoint of `{origin}` is not signed by a known key of that name")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::merkle::{empty_root, leaf_hash};
    use proptest::prelude::*;

    /// The example of c2sp.org/tlog-checkpoint.
    const EXAMPLE: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    fn signer(name: &str, seed: u8) -> SignerKey {
        SignerKey::from_seed(name, [seed; 32]).expect("a key")
    }

    fn head(origin: &str, size: u64) -> Checkpoint {
        Checkpoint { origin: origin.into(), size, root: leaf_hash(&size.to_be_bytes()) }
    }

    #[test]
    fn the_example_of_the_specification_reads_and_prints_back() {
        let c = Checkpoint::parse(EXAMPLE).expect("a checkpoint");
        assert_eq!((c.origin.as_str(), c.size), ("example.com/behind-the-sofa", 20_852_163));
        assert_eq!(c.text(), EXAMPLE);
        assert_eq!(Checkpoint::parse(&format!("{EXAMPLE}extension\nanother\n")), Ok(c));
    }

    #[test]
    fn what_is_no_checkpoint_is_refused() {
        for bad in [
            String::new(),
            "\n".into(),
            "a\n1\n".into(),
            EXAMPLE.trim_end().into(),
            format!("\n{EXAMPLE}"),
            format!("{EXAMPLE}\n"),
            format!("{EXAMPLE}\nx\n"),
            EXAMPLE.replace("20852163", "020852163"),
            EXAMPLE.replace("20852163", "+20852163"),
            EXAMPLE.replace("20852163", "20852163 "),
            EXAMPLE.replace("20852163", "20852163\r"),
            EXAMPLE.replace("20852163", "99999999999999999999"),
            EXAMPLE.replace("I=\n", "J=\n"),
            EXAMPLE.replace("I=\n", "IA\n"),
            EXAMPLE.replace("I=\n", "IAAA\n"),
        ] {
            assert_eq!(Checkpoint::parse(&bad).map_err(|e| e.why()), Err(Why::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn only_a_key_of_the_log_vouches_for_it() {
        let (ours, other) = (signer("ours", 1), signer("other", 2));
        let keys = [ours.public().clone(), other.public().clone()];
        let c = head("ours", 3);
        assert_eq!(open(c.sign(&[&ours]).expect("signed").to_string().as_bytes(), &keys), Ok(c.clone()));
        assert_eq!(c.sign(&[&other]).map_err(|e| e.why()), Err(Why::Mismatch));
        let witnessed = Note::sign(&c.text(), &[&other]).expect("signed").to_string();
        assert_eq!(open(witnessed.as_bytes(), &keys).map_err(|e| e.why()), Err(Why::Untrusted));
        let both = Note::sign(&c.text(), &[&other, &ours]).expect("signed").to_string();
        assert_eq!(open(both.as_bytes(), &keys), Ok(c));
        assert_eq!(open(both.as_bytes(), &[]).map_err(|e| e.why()), Err(Why::Untrusted));
        let unlike = Note::sign("not a checkpoint\n", &[&ours]).expect("signed").to_string();
        assert_eq!(open(unlike.as_bytes(), &keys).map_err(|e| e.why()), Err(Why::Malformed));
        assert!(head("two words", 1).sign(&[]).is_err());
    }

    #[test]
    fn while_keys_change_either_one_opens_it() {
        let (old, new) = (signer("log", 1), signer("log", 2));
        let note = head("log", 9).sign(&[&old, &new]).expect("signed").to_string();
        for key in [&old, &new] {
            assert_eq!(open(note.as_bytes(), &[key.public().clone()]), Ok(head("log", 9)));
        }
    }

    /// Two other implementations read our checkpoints and believe them, and we read theirs.
    #[test]
    fn others_accept_our_checkpoints() {
        let key = signer("example.com/log", 7);
        for size in 0..=70 {
            let ours =
                Checkpoint { root: if size == 0 { empty_root() } else { head("", size).root }, ..head("example.com/log", size) };
            let note = ours.sign(&[&key]).expect("signed").to_string();
            let theirs = signed_note::Note::from_bytes(note.as_bytes()).expect("their note");
            let verifier = signed_note::StandardVerifier::new(&key.public().to_string()).expect("their verifier");
            theirs.verify(&signed_note::VerifierList::new(vec![Box::new(verifier)])).expect("they accept");
            let read = tlog_tiles::checkpoint::Checkpoint::from_bytes(theirs.text()).expect("their checkpoint");
            assert_eq!((read.origin(), read.size(), read.hash().0), (ours.origin.as_str(), size, ours.root));
            assert_eq!(Checkpoint::parse(std::str::from_utf8(&read.to_bytes()).expect("text")), Ok(ours));
        }
    }

    proptest! {
        #[test]
        fn text_reads_back(origin in "[a-z./-]{1,30}", size: u64, root: [u8; 32], junk in "\\PC*\n?") {
            let c = Checkpoint { origin, size, root };
            prop_assert_eq!(Checkpoint::parse(&c.text()), Ok(c));
            prop_assert!(Checkpoint::parse(&junk).is_err());
        }

        #[test]
        fn a_flipped_bit_is_refused(at: prop::sample::Index, bit in 0u8..8) {
            let key = signer("log", 1);
            let mut bytes = head("log", 1234).sign(&[&key]).expect("signed").to_string().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(open(&bytes, &[key.public().clone()]).is_err());
        }
    }
}
