//! What a gateway counted between two readings: the difference of what it counted since it began.

use crate::base::error::{Context, Error, Result};
use crate::base::version::Version;
use crate::seams::metrics::{Ask, Bucket, Buckets, Counted, Reading};
use crate::seams::routes::{self, Took};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a reading ended: what had been counted by then.
#[derive(Serialize, Deserialize)]
struct Cursor {
    /// The life of the gateway that counted.
    boot: String,
    /// By version.
    arms: BTreeMap<Version, Counts>,
}

/// What is kept of one version.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Counts {
    requests: u64,
    errors: u64,
    /// How long answers took.
    latency: Vec<Took>,
}

impl Counts {
    fn of(counted: &routes::Counted) -> Self {
        Self { requests: counted.requests, errors: counted.errors, latency: counted.latency.clone() }
    }

    /// What was counted after `before`.
    ///
    /// # Errors
    /// When that is more, which no gateway counts in one life.
    fn since(&self, before: &Self) -> Result<Counted> {
        let fell = || Error::new("less was counted than before");
        let old = |begin: f64| before.latency.iter().find(|(b, ..)| b.total_cmp(&begin).is_eq()).map_or(0, |(_, _, n)| *n);
        let bucket = |(above, most, n): &Took| {
            let n = n.checked_sub(old(*above)).ok_or_else(fell)?;
            Ok(Bucket { above: *above, most: most.unwrap_or(f64::INFINITY), n })
        };
        let counts: Vec<Bucket> = self.latency.iter().map(bucket).collect::<Result<_>>()?;
        Ok(Counted {
            requests: Some(self.requests.checked_sub(before.requests).ok_or_else(fell)?),
            errors: Some(self.errors.checked_sub(before.errors).ok_or_else(fell)?),
            latency: Some(Buckets { counts: counts.into_iter().filter(|bucket| bucket.n > 0).collect() }),
            ..Counted::default()
        })
    }
}

/// What was counted since the cursor; nothing yet where there is none, because the window only begins.
///
/// # Errors
/// When the cursor is none of this source, or a gateway counted backwards.
pub(in crate::adapters) fn since(now: &routes::Counters, ask: &Ask<'_>) -> Result<Reading> {
    let counts = |version: Version| now.arms.get(&version).map(Counts::of).unwrap_or_default();
    let asked = ask.stable.into_iter().chain([ask.canary]);
    let arms: BTreeMap<Version, Counts> = asked.map(|version| (version, counts(version))).collect();
    let before = match ask.cursor {
        Some(text) => serde_json::from_str(text).context(|| "where the last reading ended cannot be read")?,
        None => Cursor { boot: now.boot.clone(), arms: arms.clone() },
    };
    let counted = |version: Version| {
        let old = before.arms.get(&version).filter(|_| before.boot == now.boot);
        arms.get(&version).cloned().unwrap_or_default().since(&old.cloned().unwrap_or_default())
    };
    let canary = counted(ask.canary)?;
    let stable = ask.stable.map_or_else(|| Ok(Counted::default()), counted)?;
    let cursor =
        serde_json::to_string(&Cursor { boot: now.boot.clone(), arms }).context(|| "cannot note where this reading ends")?;
    Ok(Reading { stable, canary, cursor: Some(cursor), ..Reading::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::name::Name;
    use crate::base::time::Timestamp;

    const STABLE: Version = Version::new(1, 0, 0);
    const CANARY: Version = Version::new(1, 1, 0);

    fn counters(boot: &str, arms: &[(Version, u64, u64, &[Took])]) -> routes::Counters {
        let counted = |(version, requests, errors, latency): &(Version, u64, u64, &[Took])| {
            let counted =
                routes::Counted { requests: *requests, errors: *errors, latency: latency.to_vec(), ..Default::default() };
            (*version, counted)
        };
        routes::Counters { boot: boot.into(), arms: arms.iter().map(counted).collect(), ..Default::default() }
    }

    fn read(now: &routes::Counters, cursor: Option<&str>) -> Result<Reading> {
        let model: Name = "bot".parse().expect("a name");
        let at = Timestamp::from_micros(0);
        since(now, &Ask { model: &model, stable: Some(STABLE), canary: CANARY, from: at, to: at, cursor })
    }

    /// Requests, errors, and what is in each bucket.
    type Told = (Option<u64>, Option<u64>, Vec<(f64, f64, u64)>);

    fn told(counted: &Counted) -> Told {
        let latency = counted.latency.clone().expect("counted").counts;
        (counted.requests, counted.errors, latency.into_iter().map(|b| (b.above, b.most, b.n)).collect())
    }

    #[test]
    fn each_reading_goes_on_where_the_last_one_ended() {
        let first = read(&counters("a", &[(STABLE, 1000, 9, &[(0.05, Some(0.1), 1000)])]), None).expect("read");
        assert_eq!(told(&first.stable), (Some(0), Some(0), vec![]), "what was before is not in the window");
        assert_eq!(told(&first.canary), (Some(0), Some(0), vec![]));
        let arms: &[(Version, u64, u64, &[Took])] = &[
            (STABLE, 1090, 10, &[(0.05, Some(0.1), 1080), (0.1, Some(0.2), 0), (0.2, None, 10)]),
            (CANARY, 10, 2, &[(0.1, Some(0.2), 10)]),
        ];
        let next = read(&counters("a", arms), first.cursor.as_deref()).expect("read");
        assert_eq!(told(&next.stable), (Some(90), Some(1), vec![(0.05, 0.1, 80), (0.2, f64::INFINITY, 10)]));
        assert_eq!(told(&next.canary), (Some(10), Some(2), vec![(0.1, 0.2, 10)]));
        let same = read(&counters("a", arms), next.cursor.as_deref()).expect("read");
        assert_eq!(told(&same.canary), (Some(0), Some(0), vec![]), "nothing is counted twice");
    }

    #[test]
    fn a_gateway_that_was_started_again_counts_from_zero() {
        let first = read(&counters("a", &[(STABLE, 1000, 9, &[]), (CANARY, 50, 5, &[])]), None).expect("read");
        let next = read(&counters("b", &[(STABLE, 7, 1, &[(0.05, Some(0.1), 7)])]), first.cursor.as_deref()).expect("read");
        assert_eq!((told(&next.stable), told(&next.canary).0), ((Some(7), Some(1), vec![(0.05, 0.1, 7)]), Some(0)));
    }

    #[test]
    fn garbage_is_an_error() {
        let first = read(&counters("a", &[(STABLE, 1000, 9, &[(0.05, Some(0.1), 5)])]), None).expect("read");
        let five: &[Took] = &[(0.05, Some(0.1), 5)];
        for fewer in [(STABLE, 999, 9, five), (STABLE, 1000, 8, five), (STABLE, 1000, 9, &[(0.05, Some(0.1), 4)])] {
            assert!(read(&counters("a", &[fewer]), first.cursor.as_deref()).is_err(), "{fewer:?}");
        }
        assert!(read(&counters("a", &[]), Some("{")).is_err());
    }
}
