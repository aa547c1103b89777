//! Weights in the safetensors format: eight bytes of length, that much JSON, then the numbers (format 0.3 to 0.6, "Format" in
//! the README of huggingface/safetensors). Every offset is checked, because the file may be anybody's.

use crate::base::error::{Context, Error, Result};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The longest header that the reference reader takes.
const HEADER_MAX: usize = 100_000_000;

/// A file of weights that was read.
pub(super) struct Weights<'b> {
    tensors: Map<String, Value>,
    numbers: &'b [u8],
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [usize; 2],
}

impl<'b> Weights<'b> {
    /// Reads the header.
    pub(super) fn new(bytes: &'b [u8]) -> Result<Self> {
        let cut = || Error::new("this is no safetensors file: it ends within its header");
        let (length, rest) = bytes.split_first_chunk::<8>().ok_or_else(cut)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok().filter(|n| *n <= HEADER_MAX).ok_or_else(cut)?;
        let (header, numbers) = rest.split_at_checked(length).ok_or_else(cut)?;
        let tensors = serde_json::from_slice(header).context(|| "the header of the safetensors file is not JSON")?;
        Ok(Self { tensors, numbers })
    }

    /// True when there is a tensor of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The numbers of a tensor, row by row, which must have this shape.
    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let entry = self.tensors.get(name).ok_or_else(|| Error::new(format!("the weights have no `{name}`")))?;
        let entry: Entry = Entry::deserialize(entry).context(|| format!("the header describes `{name}` wrongly"))?;
        if entry.shape != shape {
            return Err(Error::new(format!("`{name}` has the shape {:?}, config.json says {shape:?}", entry.shape)));
        }
        let count = shape.iter().try_fold(1_usize, |n, side| n.checked_mul(*side));
        let bytes = self.numbers.get(entry.data_offsets[0]..entry.data_offsets[1]);
        let (numbers, width): (Option<Vec<f32>>, usize) = match entry.dtype.as_str() {
            "F32" => (bytes.map(|b| b.as_chunks::<4>().0.iter().map(|n| f32::from_le_bytes(*n)).collect()), 4),
            "F16" => (bytes.map(|b| b.as_chunks::<2>().0.iter().map(|n| half(u16::from_le_bytes(*n))).collect()), 2),
            "BF16" => (
                bytes.map(|b| {
                    b.as_chunks::<2>().0.iter().map(|n| f32::from_bits(u32::from(u16::from_le_bytes(*n)) << 16)).collect()
                }),
                2,
            ),
            other => {
                let error = Error::new(format!("`{name}` holds numbers of the type {other}"));
                return Err(error.hint("kf reads F32, F16 and BF16: save the model in one of them"));
            }
        };
        match (numbers, count.and_then(|n| n.checked_mul(width))) {
            (Some(numbers), Some(size)) if entry.data_offsets[1] - entry.data_offsets[0] == size => Ok(numbers),
            _ => Err(Error::new(format!("the numbers of `{name}` are not all in the file: it is cut or damaged"))),
        }
    }
}

/// A 16-bit float (IEEE 754 binary16).
fn half(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (u32::from(bits >> 15), u32::from(bits >> 10 & 31), u32::from(bits & 1023));
    let size = match exponent {
        // Subnormal: the fraction counts steps of 2^-24.
        0 => f32::from(bits & 1023) * f32::from_bits(0x3380_0000),
        31 => f32::from_bits(0x7f80_0000 | fraction << 13),
        _ => f32::from_bits((exponent + 112) << 23 | fraction << 13),
    };
    f32::from_bits(size.to_bits() | sign << 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, numbers: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), numbers].concat()
    }

    /// The values of IEEE 754-2019, table 3.5 and the ends of its ranges.
    #[test]
    fn halves_are_read() {
        for (bits, value) in
            [(0x3c00, 1.0), (0xc000, -2.0), (0x7bff, 65504.0), (0x0001, 5.960_464_5e-8), (0x0400, 6.103_515_6e-5)]
        {
            assert_eq!(half(bits), value);
        }
        assert_eq!((half(0x8000).to_bits(), half(0x7c00)), (0x8000_0000, f32::INFINITY));
        assert!(half(0x7e00).is_nan());
    }

    #[test]
    fn tensors_are_found_and_damage_is_said() {
        let numbers = [1.0_f32.to_le_bytes(), 2.5_f32.to_le_bytes()].concat();
        let header = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"BF16","shape":[1,2],"data_offsets":[2,6]},
            "far":{"dtype":"F32","shape":[2],"data_offsets":[4,12]},"back":{"dtype":"F32","shape":[1],"data_offsets":[8,4]},
            "int":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},"few":{"dtype":"F32","shape":[2],"data_offsets":[0,4]},
            "huge":{"dtype":"F32","shape":[9999999999,9999999999],"data_offsets":[0,4]},"__metadata__":{"format":"pt"}}"#;
        let bytes = file(header, &numbers);
        let weights = Weights::new(&bytes).expect("a header");
        assert_eq!(weights.tensor("a", &[2]).expect("there"), [1.0, 2.5]);
        assert_eq!(weights.tensor("b", &[1, 2]).expect("there"), [1.0, 0.0]);
        assert!(weights.has("a") && !weights.has("z"));
        let check = |name: &str, shape: &[usize], said: &str| {
            let e = weights.tensor(name, shape).expect_err(name).to_string();
            assert!(e.contains(said), "{name}: {e}");
        };
        check("z", &[1], "no `z`");
        check("a", &[3], "has the shape [2], config.json says [3]");
        check("far", &[2], "cut or damaged");
        check("back", &[1], "cut or damaged");
        check("few", &[2], "cut or damaged");
        check("huge", &[9_999_999_999, 9_999_999_999], "cut or damaged");
        check("int", &[1], "of the type I64");
        check("__metadata__", &[1], "describes `__metadata__` wrongly");
        for damaged in [&b"short"[..], &file("{", b"")[..], &u64::MAX.to_le_bytes()[..], &9_u64.to_le_bytes()[..]] {
            assert!(Weights::new(damaged).is_err());
        }
    }
}
