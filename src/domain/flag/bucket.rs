//! Which bucket a key falls into, as the `fractional` operation of flagd has it, so that every OpenFeature client that reads an exported
//! file gives the same variant.
//!
//! From flagd's decisions on `fractional` (high-precision bucketing; hashing consistency, accepted 2025-12-03): without a value to bucket
//! by, the array of flag key and targeting key in CBOR (RFC 8949, deterministic encoding) is hashed by MurmurHash3 x86 32-bit with seed 0, and
//! the bucket is ⌊hash · total / 2³²⌋. Clients before that hashed the two texts put together; they give other keys the same parts.

/// The bucket of a key, from 0 to `total` − 1.
pub fn of(flag: &str, key: &str, total: u32) -> u32 {
    // An array of two: major type 4.
    let mut bytes = vec![0x82];
    for text in [flag, key] {
        head(0x60, text.len() as u64, &mut bytes);
        bytes.extend_from_slice(text.as_bytes());
    }
    ((u64::from(murmur3(&bytes)) * u64::from(total)) >> 32) as u32
}

/// The shortest head of a text of this length (RFC 8949 §3, §4.2.1).
fn head(major: u8, length: u64, out: &mut Vec<u8>) {
    let big = length.to_be_bytes();
    match length {
        0..=23 => out.push(major | length as u8),
        24..=0xff => out.extend([major | 24, big[7]]),
        0x100..=0xffff => out.extend([&[major | 25], &big[6..]].concat()),
        0x1_0000..=0xffff_ffff => out.extend([&[major | 26], &big[4..]].concat()),
        _ => out.extend([&[major | 27], &big[..]].concat()),
    }
}

/// MurmurHash3 x86 32-bit (Appleby, public domain) with seed 0.
fn murmur3(bytes: &[u8]) -> u32 {
    let mix = |k: u32| k.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let mut h = 0_u32;
    let blocks = bytes.chunks_exact(4);
    let tail = blocks.remainder();
    for block in blocks {
        let k = u32::from_le_bytes([block[0], block[1], block[2], block[3]]);
        h = (h ^ mix(k)).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    let k = tail.iter().rev().fold(0_u32, |k, byte| (k << 8) | u32::from(*byte));
    h ^= mix(k);
    h ^= bytes.len() as u32;
    h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
    h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
    h ^ (h >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verification value of SMHasher for MurmurHash3_x86_32 is of all lengths and seeds; these are mmh3 5.3.1's with seed 0.
    #[test]
    fn the_hash_is_the_published_one() {
        for (text, hash) in [
            ("", 0),
            ("hello", 613_153_351),
            ("The quick brown fox jumps over the lazy dog", 0x2e4f_f723),
            ("headerColorrachel@faas.com", 1_805_633_606),
        ] {
            assert_eq!(murmur3(text.as_bytes()), hash, "{text}");
        }
    }

    /// flagd's tests of the operation at v0.12 with a text to bucket by: a quarter each of red, blue, green and yellow.
    #[test]
    fn quarters_are_those_of_flagds_tests() {
        let of_text = |text: &str| ((u64::from(murmur3(text.as_bytes())) * 100) >> 32) / 25;
        for (text, quarter) in [
            ("headerColorrachel@faas.com", 1),
            ("headerColormonica@faas.com", 3),
            ("headerColorjoey@faas.com", 0),
            ("headerColorross@faas.com", 1),
            ("my-seedrachel@faas.com", 2),
            ("my-seedmonica@faas.com", 0),
            ("my-seedjoey@faas.com", 1),
            ("my-seedross@faas.com", 2),
        ] {
            assert_eq!(of_text(text), quarter, "{text}");
        }
    }

    /// openfeature-flagd-core 2.0.0: `{"fractional": [["red", 2500], ["blue", 2500], ["green", 2500], ["yellow", 2500]]}`.
    #[test]
    fn buckets_are_those_of_an_openfeature_client() {
        let long = "x".repeat(30);
        for (key, quarter) in [
            ("rachel@faas.com", 0),
            ("monica@faas.com", 3),
            ("joey@faas.com", 3),
            ("ross@faas.com", 2),
            ("foo@foo.com", 1),
            ("ünï", 2),
            (&long, 1),
        ] {
            assert_eq!(of("headerColor", key, 10_000) / 2500, quarter, "{key}");
        }
    }

    /// cbor2 5.9.0: `cbor2.dumps("x" * n)`.
    #[test]
    fn texts_of_every_length_have_the_shortest_head() {
        for (length, bytes) in [
            (0, &[0x60_u8] as &[u8]),
            (23, &[0x77]),
            (24, &[0x78, 24]),
            (255, &[0x78, 255]),
            (256, &[0x79, 1, 0]),
            (65_535, &[0x79, 255, 255]),
            (65_536, &[0x7a, 0, 1, 0, 0]),
            (1 << 32, &[0x7b, 0, 0, 0, 1, 0, 0, 0, 0]),
        ] {
            let mut out = Vec::new();
            head(0x60, length, &mut out);
            assert_eq!(out, bytes, "{length}");
        }
    }
}
