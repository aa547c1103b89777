//! Which version a rollback puts back: the last one that was in production and was not itself rolled back from.

use super::table::{StageChange, VersionRow};
use crate::base::name::Stage;

/// The number of the last good production version, given the history (newest first) and the version in production now.
pub fn last_good(history: &[StageChange], now: Option<&VersionRow>) -> Option<i64> {
    let mut bad: Vec<i64> = now.map(|v| v.id).into_iter().collect();
    let into_production = history.iter().filter(|c| c.to == Stage::Production);
    let mut newer_rolled_back = false;
    for change in into_production {
        if newer_rolled_back {
            // What was in production when a rollback came had gone wrong.
            bad.push(change.version_id);
        }
        newer_rolled_back = change.how == "rollback";
        if !bad.contains(&change.version_id) {
            return Some(change.version_id);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Timestamp;
    use crate::base::version::Version;

    /// A history in the order it happened: (how, version id).
    fn check(happened: &[(&str, i64)], expected: Option<i64>) {
        let history: Vec<StageChange> = happened
            .iter()
            .rev()
            .map(|(how, id)| StageChange {
                version: Version::FIRST,
                version_id: *id,
                how: (*how).to_owned(),
                from: None,
                to: Stage::Production,
                replaced: None,
                at: Timestamp::from_micros(0),
                actor: String::new(),
                ticket: None,
                reason: None,
                event: 0,
            })
            .collect();
        let now = happened.last().map(|(_, id)| *id);
        // Only the id of the version in production matters.
        let bad_now = now.map(|id| VersionRow { id, ..sample() });
        assert_eq!(last_good(&history, bad_now.as_ref()), expected, "{happened:?}");
    }

    fn sample() -> VersionRow {
        VersionRow {
            id: 0,
            model: 1,
            name: "m".parse().expect("a name"),
            kind: crate::base::name::ModelType::Other,
            version: Version::FIRST,
            digest: crate::base::digest::Digest::of(b""),
            stage: Stage::Production,
            created: Timestamp::from_micros(0),
            author: String::new(),
            files: 0,
            bytes: 0,
            git: None,
            retired: None,
            purged: None,
            event: 0,
        }
    }

    #[test]
    fn the_version_before_the_current_one_comes_back() {
        check(&[("promote", 1), ("promote", 2)], Some(1));
        check(&[("promote", 1)], None);
        check(&[], None);
    }

    #[test]
    fn a_version_that_was_rolled_back_from_does_not_come_back() {
        check(&[("promote", 1), ("promote", 2), ("promote", 3), ("rollback", 2)], Some(1));
        check(&[("promote", 1), ("promote", 2), ("rollback", 1)], None);
        check(&[("promote", 1), ("promote", 2), ("rollback", 1), ("promote", 3)], Some(1));
    }
}
