//! How many numbers are stored: their bits, little end first, as base64. What is read back is what was written, in half the space of
//! digits.

use crate::stats::cloud::Cloud;
use crate::stats::components::Basis;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Numbers of `N` bytes each.
fn write<const N: usize>(numbers: impl Iterator<Item = [u8; N]>) -> String {
    BASE64_STANDARD.encode(numbers.flatten().collect::<Vec<u8>>())
}

/// `None` for what is no base64 or is cut.
fn words<const N: usize>(text: &str) -> Option<Vec<[u8; N]>> {
    let bytes = BASE64_STANDARD.decode(text).ok()?;
    let (words, rest) = bytes.as_chunks::<N>();
    rest.is_empty().then(|| words.to_vec())
}

fn pack(values: &[f64]) -> String {
    write(values.iter().map(|v| v.to_le_bytes()))
}

/// Finite numbers only.
fn unpack(text: &str) -> Option<Vec<f64>> {
    let values: Vec<f64> = words(text)?.into_iter().map(f64::from_le_bytes).collect();
    values.iter().all(|v| v.is_finite()).then_some(values)
}

/// What was stored, as `of` reads it.
fn read<'de, D: Deserializer<'de>, S: Deserialize<'de>, T>(from: D, of: impl Fn(S) -> Option<T>) -> Result<T, D::Error> {
    of(S::deserialize(from)?).ok_or_else(|| D::Error::custom("packed numbers are cut or not finite"))
}

pub(super) mod one {
    use super::{Deserializer, Serialize, Serializer, read};

    pub(in super::super) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        value.to_bits().serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        read(from, |bits: u64| Some(f64::from_bits(bits)).filter(|v| v.is_finite()))
    }
}

pub(super) mod singles {
    use super::{Deserializer, Serialize, Serializer, read, words, write};

    pub(in super::super) fn serialize<S: Serializer>(values: &[f32], to: S) -> Result<S::Ok, S::Error> {
        write(values.iter().map(|v| v.to_le_bytes())).serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f32>, D::Error> {
        read(from, |text: String| {
            let values: Vec<f32> = words(&text)?.into_iter().map(f32::from_le_bytes).collect();
            values.iter().all(|v| v.is_finite()).then_some(values)
        })
    }
}

pub(super) mod lists {
    use super::{Deserializer, Serialize, Serializer, pack, read, unpack};

    pub(in super::super) fn serialize<S: Serializer>(lists: &[Vec<f64>], to: S) -> Result<S::Ok, S::Error> {
        lists.iter().map(|list| pack(list)).collect::<Vec<_>>().serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Vec<f64>>, D::Error> {
        read(from, |lists: Vec<String>| lists.iter().map(|list| unpack(list)).collect())
    }
}

pub(super) mod basis {
    use super::{Basis, Deserializer, Serializer, lists, read, unpack};

    pub(in super::super) fn serialize<S: Serializer>(basis: &Basis, to: S) -> Result<S::Ok, S::Error> {
        let own = [basis.mean.clone(), basis.variances.clone()];
        lists::serialize(&own.into_iter().chain(basis.components.iter().cloned()).collect::<Vec<_>>(), to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Basis, D::Error> {
        read(from, |lists: Vec<String>| {
            let mut lists = lists.iter().map(|list| unpack(list));
            let (mean, variances) = (lists.next()??, lists.next()??);
            let components = lists.collect::<Option<Vec<_>>>()?;
            let sound = components.len() == variances.len() && components.iter().all(|c| c.len() == mean.len());
            (sound && !mean.is_empty()).then_some(Basis { mean, components, variances })
        })
    }
}

pub(super) mod cloud {
    use super::{Cloud, Deserializer, Serialize, Serializer, pack, read, unpack};

    pub(in super::super) fn serialize<S: Serializer>(cloud: &Option<Cloud>, to: S) -> Result<S::Ok, S::Error> {
        cloud.as_ref().map(|cloud| (cloud.rows(), pack(&cloud.parts()))).serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Cloud>, D::Error> {
        read(from, |stored: Option<(u64, String)>| match stored {
            Some((rows, parts)) => Cloud::from_parts(rows, &unpack(&parts)?).map(Some),
            None => Some(None),
        })
    }
}

pub(super) mod centre {
    use super::{Deserializer, Serialize, Serializer, pack, read, unpack};
    use crate::stats::cloud::Centre;

    pub(in super::super) fn serialize<S: Serializer>(centre: &Option<Centre>, to: S) -> Result<S::Ok, S::Error> {
        centre.as_ref().map(|c| (c.rows, pack(&c.mean), c.squares.to_bits())).serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Centre>, D::Error> {
        read(from, |stored: Option<(u64, String, u64)>| {
            let Some((rows, mean, squares)) = stored else { return Some(None) };
            let centre = Centre { rows, mean: unpack(&mean)?, squares: f64::from_bits(squares) };
            (rows > 0 && centre.squares >= 0.0 && centre.squares.is_finite()).then_some(Some(centre))
        })
    }
}
