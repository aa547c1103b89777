//! Signed notes (<https://c2sp.org/signed-note>): a text, a blank line, and one line for each signature,
//! `— name base64(id ‖ signature)`.
//!
//! The rule that makes them safe to pass around: signatures of unknown keys are ignored, a signature that bears a known key's
//! name and id and is not its own refuses the whole note, and so does a note that no known key signed.

use super::key::{SignerKey, VerifierKey, check_name};
use super::refused::{Refused, Why, base64, text, unbase64};
use crate::base::digest::hex;
use std::fmt;

/// The longest note that is read, in bytes: far more than sixteen post-quantum signatures need.
const MAX_BYTES: usize = 1_000_000;

/// The most signatures that are read; the specification asks for at least 16.
const MAX_SIGNATURES: usize = 100;

/// A text with the signatures that came with it, checked for form only: see [`Note::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Signature {
    name: String,
    id: [u8; 4],
    bytes: Vec<u8>,
}

impl Note {
    /// Reads a note.
    ///
    /// # Errors
    /// When the bytes are not a note; nothing is said about its signatures yet.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        if bytes.len() > MAX_BYTES {
            return Err(Refused::malformed(format!("the note has {} bytes, more than {MAX_BYTES}", bytes.len())));
        }
        let all = text(bytes, "note")?;
        // The blank line before the signatures is the last one: a text may hold others.
        let (text, lines) =
            all.rsplit_once("\n\n").ok_or_else(|| Refused::malformed("the note has no blank line before its signatures"))?;
        let lines = lines.strip_suffix('\n').ok_or_else(|| Refused::malformed("the note does not end with a newline"))?;
        let signatures: Vec<Signature> =
            lines.split('\n').take(MAX_SIGNATURES + 1).map(Signature::parse).collect::<Result<_, _>>()?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(Refused::malformed(format!("the note has more than {MAX_SIGNATURES} signatures")));
        }
        let text = format!("{text}\n");
        check_text(&text)?;
        Ok(Self { text, signatures })
    }

    /// A note signed by some keys.
    ///
    /// # Errors
    /// When the text does not end with a newline or holds other control characters, or nobody signs.
    pub fn sign(text: &str, keys: &[&SignerKey]) -> Result<Self, Refused> {
        check_text(text)?;
        if keys.is_empty() || keys.len() > MAX_SIGNATURES {
            return Err(Refused::malformed(format!(
                "a note wants between 1 and {MAX_SIGNATURES} signatures, not {}",
                keys.len()
            )));
        }
        let signatures = keys.iter().map(|key| Signature {
            name: key.public().name().to_owned(),
            id: key.public().id(),
            bytes: key.sign(text.as_bytes()).to_vec(),
        });
        Ok(Self { text: text.to_owned(), signatures: signatures.collect() })
    }

    /// The text, which means nothing before [`Note::verify`] has said who signed it. Ends with a newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The known keys that signed this text, each once, in the order of the signatures; at least one.
    ///
    /// # Errors
    /// [`Why::Forged`] when a signature bears a known key's name and id and is not that key's, [`Why::Untrusted`] when no
    /// known key signed.
    pub fn verify<'k>(&self, known: &'k [VerifierKey]) -> Result<Vec<&'k VerifierKey>, Refused> {
        let mut signed: Vec<&VerifierKey> = Vec::new();
        for signature in &self.signatures {
            let mut named = known.iter().filter(|k| k.name() == signature.name && k.id() == signature.id).peekable();
            if named.peek().is_none() {
                continue;
            }
            let key = named.find(|k| k.verify(self.text.as_bytes(), &signature.bytes)).ok_or_else(|| {
                let (name, id) = (&signature.name, hex(&signature.id));
                Refused::new(
                    Why::Forged,
                    format!("the signature of `{name}+{id}` does not match the text: one of them was altered"),
                )
            })?;
            if !signed.contains(&key) {
                signed.push(key);
            }
        }
        if signed.is_empty() {
            return Err(Refused::new(Why::Untrusted, format!("{}, and no known key is among them", self.signers())));
        }
        Ok(signed)
    }

    /// `signed by a+00112233, b+44556677`: as the note says, unverified.
    fn signers(&self) -> String {
        let names: Vec<String> = self.signatures.iter().map(|s| format!("{}+{}", s.name, hex(&s.id))).collect();
        format!("signed by {}", names.join(", "))
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for s in &self.signatures {
            writeln!(f, "— {} {}", s.name, base64(&[s.id.as_slice(), &s.bytes].concat()))?;
        }
        Ok(())
    }
}

impl Signature {
    fn parse(line: &str) -> Result<Self, Refused> {
        let bad = || Refused::malformed(format!("not a signature line: {:?}", line.chars().take(80).collect::<String>()));
        let (name, signature) = line.strip_prefix("— ").and_then(|rest| rest.split_once(' ')).ok_or_else(bad)?;
        check_name(name).map_err(|_| bad())?;
        let signature = unbase64(signature).ok_or_else(bad)?;
        match signature.split_first_chunk::<4>() {
            Some((id, bytes)) if !bytes.is_empty() => Ok(Self { name: name.to_owned(), id: *id, bytes: bytes.to_vec() }),
            _ => Err(bad()),
        }
    }
}

fn check_text(text: &str) -> Result<(), Refused> {
    if !text.ends_with('\n') {
        return Err(Refused::malformed("the text of a note must end with a newline"));
    }
    match text.chars().find(|c| *c < ' ' && *c != '\n') {
        Some(c) => Err(Refused::malformed(format!("the text of a note cannot hold {c:?}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Keys, text and signatures from the documentation and the tests of golang.org/x/mod/sumdb/note.
    const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const PETER_SECRET: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
    const TEXT: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    const PETER_LINE: &str =
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    const ENOCH_LINE: &str =
        "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

    fn key(text: &str) -> VerifierKey {
        text.parse().expect("a public key")
    }

    fn names(note: &str, known: &[VerifierKey]) -> Result<Vec<String>, Why> {
        let note = Note::parse(note.as_bytes()).map_err(|e| e.why())?;
        let signed = note.verify(known).map_err(|e| e.why())?;
        Ok(signed.iter().map(|k| k.name().to_owned()).collect())
    }

    #[test]
    fn the_published_note_is_signed_to_the_byte() {
        let secret = SignerKey::parse(PETER_SECRET).expect("a private key");
        let note = Note::sign(TEXT, &[&secret]).expect("signed");
        assert_eq!(note.to_string(), format!("{TEXT}\n{PETER_LINE}"));
        assert_eq!(Note::parse(note.to_string().as_bytes()), Ok(note));
    }

    #[test]
    fn known_keys_count_unknown_ones_do_not() {
        let both = format!("{TEXT}\n{PETER_LINE}{ENOCH_LINE}");
        assert_eq!(names(&both, &[key(PETER), key(ENOCH)]), Ok(vec!["PeterNeumann".into(), "EnochRoot".into()]));
        assert_eq!(names(&both, &[key(ENOCH)]), Ok(vec!["EnochRoot".into()]));
        assert_eq!(names(&format!("{TEXT}\n{PETER_LINE}{PETER_LINE}"), &[key(PETER)]), Ok(vec!["PeterNeumann".into()]));
        assert_eq!(names(&both, &[]), Err(Why::Untrusted));
        let same_name = SignerKey::from_seed("PeterNeumann", [1; 32]).expect("a key");
        assert_eq!(names(&both, &[same_name.public().clone()]), Err(Why::Untrusted));
    }

    #[test]
    fn a_known_key_that_fails_refuses_the_whole_note() {
        let altered = PETER_LINE.replace("x08go/ZJ", "x08go/ZK");
        let check = |note: String| {
            assert_eq!(names(&note, &[key(PETER), key(ENOCH)]), Err(Why::Forged), "{note}");
        };
        check(format!("{TEXT}\n{altered}{ENOCH_LINE}"));
        check(format!("{TEXT}\n{ENOCH_LINE}{altered}"));
        check(format!("{TEXT}\n{PETER_LINE}{altered}"));
        check(format!("x{TEXT}\n{PETER_LINE}{ENOCH_LINE}"));
        assert_eq!(names(&format!("{TEXT}\n{altered}{ENOCH_LINE}"), &[key(ENOCH)]), Ok(vec!["EnochRoot".into()]));
    }

    #[test]
    fn what_is_no_note_is_refused() {
        let good = format!("{TEXT}\n{PETER_LINE}");
        for bad in [
            String::new(),
            "\n\n".into(),
            TEXT.into(),
            format!("{TEXT}\n"),
            format!("{TEXT}{PETER_LINE}"),
            good.trim_end().into(),
            format!("{good}\n"),
            format!("{good}x\n"),
            good.replace("— ", "- "),
            good.replace("— ", "—\u{a0}"),
            good.replace("AM=", "AM"),
            good.replace("AM=", "AN="),
            good.replace("your problem,", "your\tproblem,"),
            good.replace("your problem,", "your\r\nproblem,"),
            format!("{TEXT}\n— PeterNeumann x08gow==\n"),
            format!("{TEXT}\n—  x08go/ZJ\n"),
            format!("{TEXT}\n— a+b x08go/ZJ\n"),
            format!("{TEXT}\n{}", PETER_LINE.repeat(101)),
            format!("{}\n{PETER_LINE}", "a\n".repeat(500_000)),
        ] {
            assert_eq!(names(&bad, &[key(PETER)]), Err(Why::Malformed), "{:?}", bad.get(..200).unwrap_or(&bad));
        }
        assert_eq!(Note::parse(b"\xff\n\n").map_err(|e| e.why()), Err(Why::Malformed));
        let secret = SignerKey::parse(PETER_SECRET).expect("a private key");
        for bad in ["", "no newline", "a\tb\n"] {
            assert!(Note::sign(bad, &[&secret]).is_err(), "{bad:?}");
        }
        assert!(Note::sign(TEXT, &[]).is_err());
    }

    #[test]
    fn a_text_may_hold_blank_lines_and_forged_signature_lines() {
        let secret = SignerKey::parse(PETER_SECRET).expect("a private key");
        let tricky = format!("{TEXT}\n{ENOCH_LINE}");
        let note = Note::sign(&tricky, &[&secret]).expect("signed").to_string();
        assert_eq!(Note::parse(note.as_bytes()).expect("a note").text(), tricky);
        assert_eq!(names(&note, &[key(PETER), key(ENOCH)]), Ok(vec!["PeterNeumann".into()]));
    }

    #[test]
    fn at_least_sixteen_signatures_are_read_and_others_read_ours() {
        let keys: Vec<SignerKey> = (0..20).map(|i| SignerKey::from_seed(&format!("w{i}"), [i; 32]).expect("a key")).collect();
        let note = Note::sign(TEXT, &keys.iter().collect::<Vec<_>>()).expect("signed").to_string();
        let known: Vec<VerifierKey> = keys.iter().map(|k| k.public().clone()).collect();
        assert_eq!(names(&note, &known).map(|n| n.len()), Ok(20));
        let verifiers = known.iter().map(|k| -> Box<dyn signed_note::Verifier> {
            Box::new(signed_note::StandardVerifier::new(&k.to_string()).expect("their verifier"))
        });
        let theirs = signed_note::Note::from_bytes(note.as_bytes()).expect("their note");
        let (good, unknown) = theirs.verify(&signed_note::VerifierList::new(verifiers.collect())).expect("they accept");
        assert_eq!((good.len(), unknown.len()), (20, 0));
        assert_eq!(theirs.to_bytes(), note.as_bytes());
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_refused(at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = format!("{TEXT}\n{PETER_LINE}").into_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let known = [key(PETER)];
            prop_assert!(Note::parse(&bytes).is_err() || Note::parse(&bytes).expect("a note").verify(&known).is_err());
        }

        #[test]
        fn what_reads_prints_back(text in "[ -~é\n]{0,80}\n", line in "(— [a-z]{1,5} [A-Za-z0-9+/]{8}\n){1,4}", junk in "\\PC*") {
            let whole = format!("{text}\n{line}");
            prop_assert_eq!(Note::parse(whole.as_bytes()).expect("a note").to_string(), whole);
            prop_assert!(Note::parse(junk.as_bytes()).is_err());
        }
    }
}
