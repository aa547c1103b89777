//! Randomness is a value: the system's, or a seeded sequence for tests.

use std::sync::Mutex;

/// Where random bytes come from.
#[derive(Debug)]
pub enum Random {
    /// The operating system's generator.
    System,
    /// A repeatable sequence (SplitMix64); never for keys, only for tests.
    Seeded(Mutex<u64>),
}

impl Random {
    /// A repeatable sequence.
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Mutex::new(seed))
    }

    /// `N` random bytes.
    ///
    /// # Panics
    /// When the operating system has no randomness to give, without which no id can be made.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        match self {
            Self::System => getrandom::fill(&mut out).expect("the operating system gives random bytes"),
            Self::Seeded(state) => {
                let mut state = state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                for chunk in out.chunks_mut(8) {
                    let word = splitmix64(&mut state).to_le_bytes();
                    chunk.copy_from_slice(&word[..chunk.len()]);
                }
            }
        }
        out
    }

    /// A time-ordered UUID (version 7, RFC 9562) for this instant.
    pub fn uuid(&self, now: super::time::Timestamp) -> uuid::Uuid {
        let millis = u64::try_from(now.micros().div_euclid(1000)).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes::<10>()).into_uuid()
    }
}

/// The next number of SplitMix64 (Steele, Lea and Flood 2014, with Vigna's constants).
pub fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first output of SplitMix64 for seed 0, as in the reference C code.
    #[test]
    fn the_seeded_sequence_is_the_published_one() {
        assert_eq!(splitmix64(&mut 0), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn uuids_carry_their_time() {
        let now = "2026-11-21T08:00:00Z".parse().expect("a time");
        let a = Random::seeded(1).uuid(now);
        assert_eq!(a, Random::seeded(1).uuid(now));
        assert_eq!(a.get_version_num(), 7);
        assert_ne!(Random::System.uuid(now), Random::System.uuid(now));
    }
}
