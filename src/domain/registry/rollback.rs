//! Which version a rollback puts back: the last one that was in production and was not itself rolled back from; where a target gives
//! users another version than the one in production, the one that was meant to serve them.

use super::table::{StageChange, VersionRow};
use crate::base::name::Stage;
use std::collections::BTreeSet;

/// The number of the last good production version, given the history (newest first) and the version in production now.
pub fn last_good(history: &[StageChange], now: Option<&VersionRow>) -> Option<i64> {
    good(history, now).first().copied()
}

/// The numbers of the versions that were in production and not rolled back from, the newest first.
fn good(history: &[StageChange], now: Option<&VersionRow>) -> Vec<i64> {
    let mut bad: BTreeSet<i64> = now.map(|v| v.id).into_iter().collect();
    let mut good = Vec::new();
    let mut newer_rolled_back = false;
    for change in history.iter().filter(|c| c.to == Stage::Production) {
        if newer_rolled_back {
            // What was in production when a rollback came had gone wrong.
            bad.insert(change.version_id);
        }
        newer_rolled_back = change.how == "rollback";
        if !bad.contains(&change.version_id) && !good.contains(&change.version_id) {
            good.push(change.version_id);
        }
    }
    good
}

/// The number of the version that users are to get, given also what targets give them now (each that is known).
///
/// Where they get the version in production, that is the one before it. Where they get another one, that is the version in production
/// when it came there by a rollback, which the target only did not follow; when it was promoted without traffic, it stays what users
/// get all along, as long as that is a good one; else it is the version in production too.
pub fn back_to(history: &[StageChange], now: Option<&VersionRow>, served: &[i64]) -> Option<i64> {
    let Some(at) = now.map(|v| v.id) else { return last_good(history, None) };
    if served.iter().all(|id| *id == at) {
        return last_good(history, now);
    }
    let newest = history.iter().find(|c| c.to == Stage::Production);
    if newest.is_some_and(|c| c.version_id == at && c.how == "rollback") {
        return Some(at);
    }
    if served.contains(&at) {
        return last_good(history, now);
    }
    let good = good(history, now);
    Some(served.iter().copied().find(|id| good.contains(id)).unwrap_or(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Timestamp;
    use crate::base::version::Version;

    /// A history in the order it happened, (how, version id), the newest first.
    fn history(happened: &[(&str, i64)]) -> Vec<StageChange> {
        happened
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
            .collect()
    }

    fn check(happened: &[(&str, i64)], expected: Option<i64>) {
        let history = history(happened);
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

    /// What users get counts, and not what the registry says of it.
    #[test]
    fn where_a_target_serves_another_version_it_is_known_what_was_meant() {
        for (happened, served, expected) in [
            (&[("promote", 1), ("promote", 2)][..], &[][..], Some(1)),
            (&[("promote", 1), ("promote", 2)], &[2], Some(1)),
            (&[("promote", 1), ("promote", 2), ("rollback", 1)], &[2], Some(1)),
            (&[("promote", 1), ("promote", 2), ("rollback", 1)], &[2, 1], Some(1)),
            (&[("promote", 1), ("promote", 2), ("rollback", 1)], &[1], None),
            (&[("promote", 1), ("promote", 2)], &[1], Some(1)),
            (&[("promote", 1), ("promote", 2), ("promote", 3)], &[1], Some(1)),
            (&[("promote", 1), ("promote", 2)], &[1, 2], Some(1)),
            (&[("promote", 1), ("promote", 2), ("rollback", 1), ("promote", 3)], &[2], Some(3)),
            (&[("promote", 1)], &[9], Some(1)),
        ] {
            let now = happened.last().map(|(_, id)| VersionRow { id: *id, ..sample() });
            assert_eq!(back_to(&history(happened), now.as_ref(), served), expected, "{happened:?} {served:?}");
        }
        assert_eq!(back_to(&[], None, &[1]), None);
    }
}
