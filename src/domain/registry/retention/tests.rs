//! Each reason to keep a version, alone and gone. The state behind it is shown by `release::gc`; here only the rules.

use super::*;
use crate::base::digest::Digest;
use crate::base::name::ModelType;
use crate::base::version::Version;

const RULES: Rules = Rules { retention_days: 30, rollback_window: 1 };

fn version(stage: Stage, retired: Option<i64>) -> VersionRow {
    VersionRow {
        id: 1,
        model: 1,
        name: "m".parse().expect("a name"),
        kind: ModelType::Other,
        version: Version::FIRST,
        digest: Digest::of(b""),
        stage,
        created: Timestamp::from_micros(0),
        author: String::new(),
        files: 0,
        bytes: 0,
        git: None,
        retired: retired.map(Timestamp::from_micros),
        purged: None,
        event: 0,
    }
}

fn check(stage: Stage, retired: Option<i64>, now: i64, expected: Option<&str>) {
    assert_eq!(by_stage(&version(stage, retired), RULES, Timestamp::from_micros(now)).as_deref(), expected);
}

#[test]
fn only_archived_versions_expire_and_only_after_their_retention() {
    for stage in [Stage::Development, Stage::Staging, Stage::Production] {
        check(stage, None, i64::MAX, Some(&format!("stage {stage}")));
    }
    check(Stage::Archived, Some(0), 30 * DAY - 1, Some("retention until 1970-01-31"));
    check(Stage::Archived, Some(0), 30 * DAY, None);
}

#[test]
fn an_archived_version_without_the_time_of_its_retirement_is_kept() {
    check(Stage::Archived, None, i64::MAX, Some("archived, nobody knows when"));
}

#[test]
fn a_clock_that_went_back_removes_nothing() {
    check(Stage::Archived, Some(40 * DAY), 0, Some("retention until 1970-03-12"));
}

#[test]
fn the_longest_retention_there_is_does_not_overflow() {
    let rules = Rules { retention_days: u32::MAX, rollback_window: 1 };
    let kept = by_stage(&version(Stage::Archived, Some(i64::MAX - 5)), rules, Timestamp::from_micros(i64::MAX - 1));
    assert!(kept.is_some(), "{kept:?}");
}
