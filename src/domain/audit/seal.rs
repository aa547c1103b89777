//! Signs the head of the log with the log key, after each change or later over a tail that hosts without the key appended.

use super::checkpoint::{self, Checkpoint};
use super::key::SignerKey;
use crate::base::error::{Context, Result};
use crate::base::merkle::Hash;
use crate::store::Seal;

/// Signs checkpoints with the log key. The name of the key must be the origin of the log it signs.
#[derive(Debug)]
pub struct LogSigner {
    key: SignerKey,
}

impl LogSigner {
    /// A signer with this key.
    pub fn new(key: SignerKey) -> Self {
        Self { key }
    }

    /// The key.
    pub fn key(&self) -> &SignerKey {
        &self.key
    }
}

impl Seal for LogSigner {
    /// A signed checkpoint of this head.
    ///
    /// # Errors
    /// When the key is that of another log.
    fn seal(&self, origin: &str, size: u64, root: &Hash) -> Result<String> {
        let head = Checkpoint { origin: origin.to_owned(), size, root: *root };
        let note =
            head.sign(&[&self.key]).context(|| format!("the log key cannot sign the audit log `{origin}`")).hint(|| {
                format!(
                    "make a key named `{origin}` with `kf audit key --generate`, or take `signing.log-key` or KF_LOG_KEY away"
                )
            })?;
        Ok(note.to_string())
    }

    fn opened(&self, origin: &str, note: &str) -> Option<(u64, Hash)> {
        let head = checkpoint::open(note.as_bytes(), std::slice::from_ref(self.key.public())).ok()?;
        (head.origin == origin).then_some((head.size, head.root))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::merkle::leaf_hash;

    #[test]
    fn a_head_is_signed_by_the_key_of_its_name_only() {
        let signer = LogSigner::new(SignerKey::from_seed("kf/demo/1", [1; 32]).expect("a key"));
        let note = signer.seal("kf/demo/1", 3, &leaf_hash(b"a")).expect("signed");
        let read = super::super::checkpoint::open(note.as_bytes(), &[signer.key().public().clone()]).expect("opens");
        assert_eq!((read.size, read.root), (3, leaf_hash(b"a")));
        let e = signer.seal("kf/other/2", 3, &leaf_hash(b"a")).expect_err("refused");
        assert!(e.to_string().contains("kf/demo/1") && e.hints()[0].contains("named `kf/other/2`"), "{e} {:?}", e.hints());
    }
}
