//! Questions that are answered from an index give what looking at every version would give.

use super::change::{self, Move, NewVersion, Number, Way};
use super::table::{self, Filter, VersionRow};
use crate::base::digest::Digest;
use crate::base::name::{ModelType, Stage};
use crate::base::random::Random;
use crate::base::time::Clock;
use crate::base::version::{Bump, Version};
use crate::store::{DbTarget, Identity, Settings, Store, Tx, View};
use std::sync::Arc;
use tempfile::TempDir;

fn state() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        target: DbTarget::Sqlite(dir.path().join("state.db")),
        lock_timeout: std::time::Duration::from_secs(1),
        identity: Identity { kind: "user".into(), name: "ada".into(), host: "engine".into() },
        clock: Arc::new(Clock::stepping("2026-11-21T08:00:00Z".parse().unwrap())),
        random: Arc::new(Random::seeded(7)),
        seal: None,
        project: "demo".into(),
        copies: dir.path().to_owned(),
        keys: crate::store::objects::Keys::default(),
    };
    let (store, _) = Store::init(settings).unwrap();
    (dir, store)
}

fn new(name: &str, number: Number, bytes: &str) -> NewVersion {
    NewVersion {
        name: name.parse().unwrap(),
        kind: ModelType::Other,
        number,
        digest: Digest::of(bytes.as_bytes()),
        files: 1,
        bytes: 3,
        git: None,
        metrics: Vec::new(),
        meta: Vec::new(),
        tags: Vec::new(),
        links: Vec::new(),
        advised_from: None,
        ticket: None,
        reason: None,
    }
}

fn go(tx: &Tx<'_>, version: &VersionRow, to: Stage) {
    let change = Move { way: Way::Promote, to, ticket: None, reason: None, detail: Default::default() };
    change::move_to(tx, version, &change).unwrap();
}

/// Three models; the first with 300 versions on six lines, moved about in an order of their own; the last has one version.
fn filled() -> (TempDir, Store) {
    let (dir, store) = state();
    let write = |tx: &Tx<'_>| {
        let mut rows = Vec::new();
        for i in 0..300u32 {
            let number = Number::Exactly(Version::new(1 + i % 3, i % 2, i));
            rows.push(change::register(tx, &new("a", number, &format!("a{i}")))?.version);
        }
        for i in 0..20u32 {
            change::register(tx, &new("b", Number::Exactly(Version::new(0, i, 0)), &format!("b{i}")))?;
        }
        change::register(tx, &new("c", Number::Bumped(Bump::Major), "c"))?;
        for (i, to) in [(7, Stage::Staging), (3, Stage::Archived), (200, Stage::Production), (5, Stage::Staging)] {
            go(tx, &rows[i], to);
        }
        go(tx, &table::version_by_id(tx.view(), rows[7].id)?.unwrap(), Stage::Development);
        Ok(())
    };
    store.write(write).unwrap();
    (dir, store)
}

fn all(view: View<'_>, name: &str) -> Vec<VersionRow> {
    let model = table::model(view, &name.parse().unwrap()).unwrap();
    table::versions(view, model.id, u32::MAX).unwrap()
}

fn resolved(view: View<'_>, reference: &str) -> Result<String, String> {
    table::resolve(view, &reference.parse().unwrap()).map(|v| v.version.to_string()).map_err(|e| e.to_string())
}

#[test]
fn the_overview_is_the_highest_of_each_and_what_is_staged() {
    let (_dir, store) = filled();
    let (found, expected) = store
        .read(|view| {
            let mut expected = Vec::new();
            for name in ["a", "b", "c"] {
                let rows = all(view, name);
                let highest = rows.iter().map(|r| r.version).max().unwrap();
                let staged = |r: &VersionRow| matches!(r.stage, Stage::Staging | Stage::Production);
                expected.extend(rows.into_iter().filter(|r| r.version == highest || staged(r)));
            }
            Ok((table::overview(view)?, expected))
        })
        .unwrap();
    assert_eq!(found, expected);
    assert_eq!(found.len(), 5, "three newest, one in staging, one in production");
}

#[test]
fn every_digest_is_found_by_its_digits_and_only_when_they_tell() {
    let (_dir, store) = filled();
    let check = |view: View<'_>| {
        let rows = all(view, "a");
        for row in &rows {
            let hex = row.digest.hex();
            for digits in [8, 9, 16, 63, 64] {
                assert_eq!(resolved(view, &format!("a@sha256:{}", &hex[..digits])), Ok(row.version.to_string()));
            }
            let prefix = &hex[..4];
            let fitting = rows.iter().filter(|r| r.digest.hex().starts_with(prefix)).count();
            assert_eq!(resolved(view, &format!("a@sha256:{prefix}")).is_ok(), fitting == 1, "{prefix} fits {fitting}");
        }
        assert!(resolved(view, "b@sha256:ffffffff").unwrap_err().contains("there is no b@sha256:ffffffff"));
        Ok(())
    };
    store.read(check).unwrap();
}

#[test]
fn digits_that_fit_several_are_refused_with_their_names() {
    let (_dir, store) = filled();
    // Two digests that differ in the last digit only.
    let twin = |last: u8| {
        let mut bytes = [0xab; 32];
        bytes[31] = last;
        Digest::from_bytes(bytes)
    };
    store
        .write(|tx| {
            for (patch, last) in [(1, 0x10), (2, 0x11)] {
                let number = Number::Exactly(Version::new(9, 0, patch));
                change::register(tx, &NewVersion { digest: twin(last), ..new("a", number, "") })?;
            }
            Ok(())
        })
        .unwrap();
    let check = |view: View<'_>| {
        let e = resolved(view, "a@sha256:abababab").unwrap_err();
        assert!(e.contains("several versions of a: 9.0.1 (") && e.contains("9.0.2 ("), "{e}");
        assert_eq!(resolved(view, &format!("a@sha256:{}", twin(0x11).hex())), Ok("9.0.2".into()));
        Ok(())
    };
    store.read(check).unwrap();
}

#[test]
fn a_stage_names_the_version_that_came_to_it_last() {
    let (_dir, store) = filled();
    let check = |view: View<'_>| {
        let number = |i: u32| Ok(Version::new(1 + i % 3, i % 2, i).to_string());
        assert_eq!(resolved(view, "a@staging"), number(5));
        assert_eq!(resolved(view, "a@production"), number(200));
        assert_eq!(resolved(view, "a@archived"), number(3));
        assert_eq!(resolved(view, "a@development"), number(7), "moved back there after the others were registered");
        assert_eq!(resolved(view, "b@development"), Ok("0.19.0".into()), "never moved: the last registered");
        assert!(resolved(view, "b@production").unwrap_err().contains("no version of b is in production"));
        Ok(())
    };
    store.read(check).unwrap();
}

#[test]
fn a_number_is_checked_against_its_own_line() {
    let (_dir, store) = filled();
    let register = |number: Version| {
        let new = new("a", Number::Exactly(number), "something new");
        store.write(|tx| change::register(tx, &new)).map(|r| r.version.version).map_err(|e| e.to_string())
    };
    assert!(register(Version::new(1, 0, 0)).unwrap_err().contains("a@1.0.0 exists already"));
    // The line 1.0 ends with 294; 295 is on 2.1.
    assert!(register(Version::new(1, 0, 293)).unwrap_err().contains("1.0.293 is not above a@1.0.294"));
    assert_eq!(register(Version::new(1, 0, 295)), Ok(Version::new(1, 0, 295)));
}

#[test]
fn a_filter_lets_through_what_fits_and_the_limit_counts_only_that() {
    let (_dir, store) = filled();
    store
        .write(|tx| {
            let a = all(tx.view(), "a");
            for row in a.iter().step_by(7) {
                change::tag(tx, row, "weekly", false)?;
            }
            Ok(())
        })
        .unwrap();
    let check = |view: View<'_>| {
        let id = table::model(view, &"a".parse().unwrap())?.id;
        let rows = all(view, "a");
        assert_eq!(table::all_versions(view, Filter { model: Some(id), ..Filter::default() }, u32::MAX)?, rows);
        let weekly: Vec<_> = rows.iter().step_by(7).cloned().collect();
        assert_eq!(table::all_versions(view, Filter { tag: Some("weekly"), ..Filter::default() }, u32::MAX)?, weekly);
        assert_eq!(table::all_versions(view, Filter { model: Some(id), tag: Some("weekly"), stage: None }, 3)?, weekly[..3]);
        let staged = table::all_versions(view, Filter { model: Some(id), stage: Some(Stage::Staging), tag: None }, 1)?;
        assert_eq!(staged.iter().map(|r| r.stage).collect::<Vec<_>>(), [Stage::Staging], "however far down it is");
        assert_eq!(table::all_versions(view, Filter::default(), u32::MAX)?.len(), 321);
        assert_eq!(table::count_versions(view, Filter::default())?, 321);
        let weekly_of_a = Filter { model: Some(id), tag: Some("weekly"), stage: None };
        assert_eq!(table::count_versions(view, weekly_of_a)?, weekly.len());
        assert_eq!((table::tags(view, None)?, table::tags(view, Some(id))?), (vec!["weekly".into()], vec!["weekly".into()]));
        Ok(())
    };
    store.read(check).unwrap();
}
