//! What an encrypted object says of itself to everybody.

use crate::base::digest::Digest;
use crate::store::age::Label;

/// How much of an object is read to know its header. Sixteen recipients, the most that the configuration takes, are at most
/// 13 KiB when all are RSA keys of 4,096 bits.
pub(in crate::store::objects) const PEEK: usize = 16 << 10;

const TAG: &str = "kf-object";
const MAGIC: &[u8] = b"age-encryption.org/v1\n-> kf-object ";
/// What ends the header: the line of its authentication code, 43 characters of Base64.
const END: &[u8] = b"\n--- ";
const CODE: usize = 43;
/// The nonce between header and payload.
const NONCE: u64 = 16;
/// Bytes of a chunk of the payload, and of the tag behind each.
const CHUNK: u64 = 64 << 10;
const SEAL: u64 = 16;

/// The words of the label of an object.
pub(super) fn label(digest: &Digest, size: u64, recipients: &str) -> Label {
    Label { tag: TAG, words: vec![digest.hex(), size.to_string(), recipients.to_owned()] }
}

/// The beginning of an encrypted object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store::objects) struct Header {
    /// The number of its plain bytes, as it states.
    pub(super) size: u64,
    /// Which recipients it was encrypted for.
    pub(super) recipients: String,
    /// The bytes before the payload; none when the header has no end.
    before: Option<u64>,
}

impl Header {
    /// The header of an object of this name; none when these are not the first bytes of one.
    pub(in crate::store::objects) fn read(digest: &Digest, start: &[u8]) -> Option<Self> {
        let rest = start.strip_prefix(MAGIC)?;
        let line = std::str::from_utf8(rest.split(|b| *b == b'\n').next()?).ok()?;
        let mut words = line.split(' ');
        let (named, size, recipients) = (words.next()?, words.next()?.parse().ok()?, words.next()?.to_owned());
        if named != digest.hex() || words.next().is_some() {
            return None;
        }
        let end = start.windows(END.len()).position(|bytes| bytes == END).map(|at| at + END.len() + CODE);
        let before = end.filter(|end| start.get(*end) == Some(&b'\n')).map(|end| end as u64 + 1 + NONCE);
        Some(Self { size, recipients, before })
    }

    /// The number of plain bytes in a stream that is `stored` bytes long.
    pub(super) fn plain_size(&self, stored: u64) -> u64 {
        let payload = self.before.map_or(0, |before| stored.saturating_sub(before));
        payload.saturating_sub(SEAL * payload.div_ceil(CHUNK + SEAL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::age::{Recipients, generate};
    use proptest::prelude::*;
    use std::io::Write as _;

    fn sealed(bytes: &[u8], keys: usize) -> (Digest, Vec<u8>, String) {
        let keys: Vec<String> = (0..keys).map(|_| generate().1).collect();
        let recipients = Recipients::parse(&keys).unwrap();
        let (digest, mut out) = (Digest::of(bytes), Vec::new());
        let mut writer = recipients.labelled_writer(&label(&digest, bytes.len() as u64, recipients.id()), &mut out).unwrap();
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap();
        (digest, out, recipients.id().to_owned())
    }

    #[test]
    fn the_size_follows_from_the_length_of_the_stream() {
        let chunk = CHUNK as usize;
        for len in [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 2 * chunk + 1, 1_000_000] {
            let (digest, out, id) = sealed(&vec![3; len], 1 + len % 16);
            let header = Header::read(&digest, &out[..out.len().min(PEEK)]).unwrap();
            assert_eq!((header.size, header.recipients.as_str()), (len as u64, id.as_str()));
            assert_eq!(header.plain_size(out.len() as u64), len as u64, "{len}");
            if len > 0 {
                assert_ne!(header.plain_size(out.len() as u64 - 1), len as u64, "cut short: {len}");
            }
        }
    }

    #[test]
    fn another_name_or_a_header_without_end_is_not_believed() {
        let (digest, out, _) = sealed(b"some bytes", 1);
        assert_eq!(Header::read(&Digest::of(b"others"), &out), None);
        assert_eq!(Header::read(&digest, &out[1..]), None);
        let header = Header::read(&digest, &out[..150]).unwrap();
        assert_eq!((header.before, header.plain_size(150)), (None, 0));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(rest in proptest::collection::vec(any::<u8>(), 0..300), stored in any::<u64>()) {
            let digest = Digest::of(b"x");
            for start in [rest.clone(), [MAGIC, &rest].concat(), [MAGIC, digest.hex().as_bytes(), b" 5 id\n", &rest].concat()] {
                if let Some(header) = Header::read(&digest, &start) {
                    prop_assert!(header.plain_size(stored) <= stored);
                }
            }
        }
    }
}
