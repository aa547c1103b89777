//! Proofs as files that can be checked without the log, by anyone who has its public key:
//! <https://c2sp.org/tlog-proof> for "this entry is in the log", and the request of <https://c2sp.org/tlog-witness> for "this
//! log only grew since".
//!
//! Both are a few lines, the hashes in base64 one a line, a blank line and the signed checkpoint they lead to.

use super::checkpoint::{Checkpoint, opened};
use super::key::VerifierKey;
use super::note::Note;
use super::refused::{Refused, Why, base64, decimal, hash, text, unbase64};
use crate::base::merkle::{self, Hash};
use std::fmt;

/// The first line of a `.tlog-proof` file.
const MAGIC: &str = "c2sp.org/tlog-proof@v1";

/// The most hashes in a proof: one for each level of the largest tree there can be.
const MAX_INCLUSION: usize = 64;

/// The most hashes that a witness takes.
const MAX_CONSISTENCY: usize = 63;

/// Proves that an entry is in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    /// The index of the entry, from 0.
    pub index: u64,
    /// Bytes that travel along. Nothing covers them: do not trust them. Empty for none.
    pub extra: Vec<u8>,
    /// The audit path, from the leaf's sibling to the root's child.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint of the tree.
    pub checkpoint: Note,
}

impl InclusionProof {
    /// Reads a proof; it proves nothing before [`InclusionProof::verify`].
    ///
    /// # Errors
    /// When the bytes are not a `c2sp.org/tlog-proof@v1`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let bad = |what: &str| Refused::malformed(format!("the proof {what}"));
        let (head, checkpoint) = parts(bytes)?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(MAGIC) {
            return Err(bad(&format!("does not begin with `{MAGIC}`")));
        }
        let extra = match lines.next_if(|line| line.starts_with("extra ")) {
            Some(line) => unbase64(&line["extra ".len()..]).ok_or_else(|| bad("has extra data that is not base64"))?,
            None => Vec::new(),
        };
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(decimal);
        let index = index.ok_or_else(|| bad("has no `index` with a decimal number after its first line"))?;
        Ok(Self { index, extra, hashes: read_hashes(lines, MAX_INCLUSION)?, checkpoint })
    }

    /// The checkpoint of the log that holds the leaf hash `leaf` at [`InclusionProof::index`].
    ///
    /// # Errors
    /// Those of [`super::checkpoint::open`], and [`Why::Mismatch`] when the hashes do not lead from the leaf to its root.
    pub fn verify(&self, leaf: &Hash, known: &[VerifierKey]) -> Result<Checkpoint, Refused> {
        let checkpoint = opened(&self.checkpoint, known)?;
        if merkle::verify_inclusion(leaf, self.index, checkpoint.size, &self.hashes, &checkpoint.root) {
            return Ok(checkpoint);
        }
        let (index, size, origin) = (self.index, checkpoint.size, &checkpoint.origin);
        Err(Refused::new(
            Why::Mismatch,
            format!("the entry is not number {index} of the {size} in `{origin}`: one of them was altered"),
        ))
    }
}

impl fmt::Display for InclusionProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{MAGIC}")?;
        if !self.extra.is_empty() {
            writeln!(f, "extra {}", base64(&self.extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        write_hashes(f, &self.hashes)?;
        write!(f, "{}", self.checkpoint)
    }
}

/// Proves that a log still begins with the entries it had at an earlier checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// The number of entries at the earlier checkpoint.
    pub old: u64,
    /// The RFC 6962 consistency proof.
    pub hashes: Vec<Hash>,
    /// The later checkpoint, signed.
    pub checkpoint: Note,
}

impl ConsistencyProof {
    /// Reads a proof; it proves nothing before [`ConsistencyProof::verify`].
    ///
    /// # Errors
    /// When the bytes are not the body of a request to a witness.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let (head, checkpoint) = parts(bytes)?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(decimal);
        let old = old.ok_or_else(|| Refused::malformed("the proof does not begin with `old` and a decimal number"))?;
        Ok(Self { old, hashes: read_hashes(lines, MAX_CONSISTENCY)?, checkpoint })
    }

    /// The later checkpoint, when the log at that point begins with the log at the checkpoint `known_before`.
    ///
    /// # Errors
    /// Those of [`super::checkpoint::open`], and [`Why::Mismatch`] when it is another log, the proof starts from another size,
    /// or the log was rolled back or forked.
    pub fn verify(&self, known_before: &Checkpoint, known: &[VerifierKey]) -> Result<Checkpoint, Refused> {
        let (old, new) = (known_before, opened(&self.checkpoint, known)?);
        let mismatch = |detail: String| Err(Refused::new(Why::Mismatch, detail));
        if new.origin != old.origin {
            return mismatch(format!("the proof is about `{}`, not `{}`", new.origin, old.origin));
        }
        if new.size < old.size {
            return mismatch(format!("`{}` was rolled back: it had {} entries and has {}", new.origin, old.size, new.size));
        }
        if self.old != old.size {
            return mismatch(format!("the proof starts at {} entries, the known checkpoint has {}", self.old, old.size));
        }
        if !merkle::verify_consistency(old.size, &old.root, new.size, &new.root, &self.hashes) {
            let (origin, size) = (&new.origin, old.size);
            return mismatch(format!(
                "`{origin}` does not begin with the {size} entries it had: it was rewritten, or the proof altered"
            ));
        }
        Ok(new)
    }
}

impl fmt::Display for ConsistencyProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        write_hashes(f, &self.hashes)?;
        write!(f, "{}", self.checkpoint)
    }
}

/// What is before the first blank line, and the checkpoint after it.
fn parts(bytes: &[u8]) -> Result<(&str, Note), Refused> {
    let (head, checkpoint) = text(bytes, "proof")?
        .split_once("\n\n")
        .ok_or_else(|| Refused::malformed("the proof has no blank line before its checkpoint"))?;
    Ok((head, Note::parse(checkpoint.as_bytes())?))
}

fn read_hashes<'a>(lines: impl Iterator<Item = &'a str>, max: usize) -> Result<Vec<Hash>, Refused> {
    let mut hashes = Vec::new();
    for (i, line) in lines.enumerate() {
        if i == max {
            return Err(Refused::malformed(format!("the proof has more than {max} hashes")));
        }
        hashes.push(hash(line).ok_or_else(|| Refused::malformed(format!("hash {} of the proof is no base64 SHA-256", i + 1)))?);
    }
    Ok(hashes)
}

fn write_hashes(f: &mut fmt::Formatter<'_>, hashes: &[Hash]) -> fmt::Result {
    hashes.iter().try_for_each(|h| writeln!(f, "{}", base64(h)))?;
    writeln!(f)
}

#[cfg(test)]
mod tests {
    use super::super::key::SignerKey;
    use super::*;
    use crate::base::merkle::{Frontier, consistency_proof, empty_root, fold, inclusion_proof, leaf_hash};
    use proptest::prelude::*;
    use std::convert::Infallible;

    fn key() -> SignerKey {
        SignerKey::from_seed("example.com/log", [9; 32]).expect("a key")
    }

    fn known() -> Vec<VerifierKey> {
        vec![key().public().clone()]
    }

    fn leaf(i: u64) -> Hash {
        leaf_hash(&i.to_be_bytes())
    }

    fn head(size: u64) -> Checkpoint {
        let mut frontier = Frontier::new();
        (0..size).for_each(|i| frontier.push(leaf(i)));
        Checkpoint { origin: "example.com/log".into(), size, root: frontier.root() }
    }

    fn nodes(level: u8, index: u64) -> Result<Hash, Infallible> {
        let leaves: Vec<Hash> = (index << level..(index + 1) << level).map(leaf).collect();
        Ok(fold(&leaves))
    }

    fn inclusion(index: u64, size: u64) -> InclusionProof {
        let hashes = inclusion_proof(index, size, &mut nodes).expect("in memory");
        InclusionProof { index, extra: Vec::new(), hashes, checkpoint: head(size).sign(&[&key()]).expect("signed") }
    }

    fn consistency(old: u64, size: u64) -> ConsistencyProof {
        let hashes = consistency_proof(old, size, &mut nodes).expect("in memory");
        ConsistencyProof { old, hashes, checkpoint: head(size).sign(&[&key()]).expect("signed") }
    }

    #[test]
    fn proofs_print_read_back_and_hold() {
        for size in 1..=20 {
            for index in 0..size {
                let proof = inclusion(index, size);
                assert_eq!(InclusionProof::parse(proof.to_string().as_bytes()), Ok(proof.clone()));
                assert_eq!(proof.verify(&leaf(index), &known()), Ok(head(size)), "{index} of {size}");
                assert_eq!(proof.verify(&leaf(size), &known()).map_err(|e| e.why()), Err(Why::Mismatch), "{index} of {size}");
            }
            for old in 0..=size {
                let proof = consistency(old, size);
                assert_eq!(ConsistencyProof::parse(proof.to_string().as_bytes()), Ok(proof.clone()));
                assert_eq!(proof.verify(&head(old), &known()), Ok(head(size)), "{old} to {size}");
                let mut forked = head(old);
                forked.root[0] ^= 1;
                assert_eq!(proof.verify(&forked, &known()).map_err(|e| e.why()), Err(Why::Mismatch), "{old} to {size}");
            }
        }
    }

    /// The layout of c2sp.org/tlog-proof, with the extra data of its example.
    #[test]
    fn the_file_is_laid_out_as_specified() {
        let proof = InclusionProof { extra: b"age-v1.2.1-darwin-arm64.tar.gz".to_vec(), ..inclusion(2, 3) };
        let checkpoint = head(3).sign(&[&key()]).expect("signed");
        let sibling = base64(&nodes(1, 0).expect("in memory"));
        let wanted =
            format!("c2sp.org/tlog-proof@v1\nextra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6\nindex 2\n{sibling}\n\n{checkpoint}");
        assert_eq!(proof.to_string(), wanted);
        assert_eq!(InclusionProof::parse(wanted.as_bytes()), Ok(proof));
        assert_eq!(consistency(2, 3).to_string(), format!("old 2\n{}\n\n{checkpoint}", base64(&leaf(2))));
    }

    #[test]
    fn what_is_no_proof_is_refused() {
        let good = inclusion(5, 7).to_string();
        for bad in [
            String::new(),
            "\n\n".into(),
            good.replace("@v1", "@v2"),
            good.replace("index 5\n", ""),
            good.replace("index 5", "index 05"),
            good.replace("index 5", "index -5"),
            good.replace("index 5", "index"),
            good.replace("index 5", "extra !!\nindex 5"),
            good.replace("index 5", "index 5\nextra AQ=="),
            good.replace("index 5\n", "index 5\n!!notbase64!!\n"),
            good.replace("index 5\n", "index 5\nAQ==\n"),
            good.replace("index 5\n", &format!("index 5\n{}", format!("{}\n", base64(&[0; 32])).repeat(65))),
            good.replacen("\n\n", "\n", 1),
            good.trim_end().into(),
        ] {
            assert_eq!(InclusionProof::parse(bad.as_bytes()).map_err(|e| e.why()), Err(Why::Malformed), "{bad}");
        }
        let good = consistency(5, 7).to_string();
        for bad in [
            good.replace("old 5", "old 05"),
            good.replace("old 5", "new 5"),
            good.replace("old 5\n", &format!("old 5\n{}", format!("{}\n", base64(&[0; 32])).repeat(64))),
            good.replacen("\n\n", "\n", 1),
        ] {
            assert_eq!(ConsistencyProof::parse(bad.as_bytes()).map_err(|e| e.why()), Err(Why::Malformed), "{bad}");
        }
    }

    #[test]
    fn a_refusal_says_what_happened_to_the_log() {
        let check = |old: &Checkpoint, proof: ConsistencyProof, wanted: &str| {
            let refused = proof.verify(old, &known()).expect_err("refused");
            assert_eq!(refused.why(), Why::Mismatch);
            assert!(refused.to_string().contains(wanted), "{refused}");
        };
        check(&head(9), consistency(5, 7), "rolled back: it had 9 entries and has 7");
        check(&head(4), consistency(5, 7), "starts at 5 entries, the known checkpoint has 4");
        check(&Checkpoint { origin: "other".into(), ..head(5) }, consistency(5, 7), "not `other`");
        check(&Checkpoint { root: leaf(0), ..head(7) }, consistency(7, 7), "rewritten");
        check(&Checkpoint { root: leaf(0), ..head(0) }, consistency(0, 7), "rewritten");
        assert_eq!(head(0).root, empty_root());
        assert_eq!(inclusion(0, 1).verify(&leaf(0), &[]).map_err(|e| e.why()), Err(Why::Untrusted));
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_refused(size in 2u64..40, which: prop::sample::Index, at: prop::sample::Index, bit in 0u8..8) {
            let flipped = |text: String| {
                let mut bytes = text.into_bytes();
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
                bytes
            };
            let index = which.index(size as usize) as u64;
            let bytes = flipped(inclusion(index, size).to_string());
            prop_assert!(InclusionProof::parse(&bytes).and_then(|p| p.verify(&leaf(index), &known())).is_err());
            let bytes = flipped(consistency(index, size).to_string());
            prop_assert!(ConsistencyProof::parse(&bytes).and_then(|p| p.verify(&head(index), &known())).is_err());
        }

        #[test]
        fn no_text_panics(junk in "(\\PC|\n)*", tail in "(\\PC|\n)*") {
            prop_assert!(InclusionProof::parse(junk.as_bytes()).is_err());
            prop_assert!(ConsistencyProof::parse(junk.as_bytes()).is_err());
            let unsigned = format!("{MAGIC}\nextra {tail}");
            prop_assert!(InclusionProof::parse(unsigned.as_bytes()).is_err());
        }
    }
}
