//! What is needed stays, what is not goes in two steps, and a run that dies or races loses nothing.

use super::*;
use crate::base::name::Stage;
use crate::base::verdict::Verdict;
use crate::release::fsck;
use crate::release::testing::{Bench, time_of_files};
use crate::store::check::{Stored, read_log};
use std::sync::atomic::{AtomicBool, Ordering};

fn options(retention_days: u32, rollback_window: u32) -> Options {
    Options { rules: Rules { retention_days, rollback_window }, grace: GRACE, force: false, apply: true }
}

fn collect(bench: &Bench, options: Options) -> Report {
    run(&bench.store, &bench.objects, options, &mut |_| {}).expect("collected")
}

fn file_of(reference: &str) -> Digest {
    Digest::of(reference.as_bytes())
}

fn is_there(bench: &Bench, reference: &str) -> bool {
    bench.objects.stat(&file_of(reference)).expect("asked").is_some()
}

fn is_sound(bench: &Bench) {
    let options = fsck::Options { quick: false, repair: false, jobs: 2, keys: &[], journal: None };
    let report = fsck::check(&bench.store, &bench.objects, options, &mut |_, _| {}, &mut |_| {}).expect("checked");
    assert_eq!((report.findings, report.verdict), (Vec::new(), Verdict::Pass));
}

/// m: 1.0.0 to 1.3.0 were in production one after the other; 0.9.0 was archived by hand; dev never left development.
fn bench() -> Bench {
    fill(Bench::new())
}

fn fill(bench: Bench) -> Bench {
    bench.register("m@0.9.0", &[]);
    bench.stage("m@0.9.0", Stage::Archived);
    for version in ["m@1.0.0", "m@1.1.0", "m@1.2.0", "m@1.3.0"] {
        bench.register(version, &[]);
        bench.stage(version, Stage::Production);
    }
    bench.register("dev@1.0.0", &[]);
    bench.later(400);
    bench
}

fn expired(report: &Report) -> Vec<&str> {
    report.expired.iter().map(|e| e.version.as_str()).collect()
}

#[test]
fn stage_window_and_retention_keep_versions_and_say_so() {
    let bench = bench();
    let report = collect(&bench, Options { apply: false, ..options(365, 3) });
    assert_eq!(expired(&report), ["m@0.9.0", "m@1.0.0"]);
    let kept: Vec<_> = report.kept.iter().map(|k| (k.version.as_str(), k.why.as_str())).collect();
    let expected = [
        ("m@1.1.0", "rollback window"),
        ("m@1.2.0", "rollback window"),
        ("m@1.3.0", "stage production"),
        ("dev@1.0.0", "stage development"),
    ];
    assert_eq!(kept, expected);
    assert!(collect(&bench, Options { apply: false, ..options(500, 1) }).expired.is_empty());
    // The manifest and the one file of each; the shared one is needed by others.
    assert_eq!((report.removed.len(), report.applied, report.young), (4, false, 0));
    assert!(is_there(&bench, "m@1.0.0") && bench.version("m@1.0.0").purged.is_none(), "only told");
}

#[test]
fn aliases_and_links_keep_versions() {
    let bench = bench();
    bench.alias("m@1.0.0", "golden-days");
    bench.register("base@1.0.0", &[]);
    bench.register("middle@1.0.0", &["base@1.0.0"]);
    bench.register("top@1.0.0", &["middle@1.0.0"]);
    for archived in ["base@1.0.0", "middle@1.0.0"] {
        bench.stage(archived, Stage::Archived);
    }
    bench.later(400);
    let report = collect(&bench, options(365, 1));
    assert_eq!(expired(&report), ["m@0.9.0", "m@1.1.0", "m@1.2.0"]);
    let why = |version: &str| report.kept.iter().find(|k| k.version == version).expect("kept").why.clone();
    assert_eq!(why("m@1.0.0"), "alias golden-days");
    assert_eq!((why("middle@1.0.0"), why("base@1.0.0")), ("needed by top@1.0.0".into(), "needed by middle@1.0.0".into()));
    is_sound(&bench);
}

#[test]
fn what_goes_is_recorded_moved_to_the_trash_and_deleted_after_the_grace() {
    let bench = bench();
    let report = collect(&bench, options(365, 3));
    assert_eq!((report.applied, report.removed.len()), (true, 4));
    assert!(!is_there(&bench, "m@1.0.0") && is_there(&bench, "m@1.1.0"));
    assert!(bench.version("m@1.0.0").purged.is_some() && bench.version("m@1.1.0").purged.is_none());
    let event = report.event.expect("an event");
    let body = |seq: i64| {
        let mut found = String::new();
        let pick = &mut |stored: Stored<'_>| {
            if stored.seq == seq {
                found = format!("{} {:?}", stored.body, stored.facts)
            }
        };
        bench.store.read(|v| read_log(v, pick)).expect("read");
        found
    };
    for removed in &report.removed {
        assert!(body(event).contains(&removed.object.to_string()), "{}", body(event));
    }
    assert!(body(event).contains("m@0.9.0") && body(event).contains("\"action\":\"gc.run\""));
    is_sound(&bench);

    assert_eq!(bench.objects.trashed().expect("asked").len(), 4);
    let soon = collect(&bench, options(365, 3));
    assert_eq!((soon.deleted, soon.event, soon.removed.len()), (0, None, 0), "nothing to do is done silently");
    bench.later(13);
    assert_eq!(collect(&bench, options(365, 3)).deleted, 0);
    bench.later(2);
    assert_eq!(collect(&bench, options(365, 3)).deleted, 4);
    assert!(bench.objects.trashed().expect("asked").is_empty());
    assert_eq!(bench.actions(1), ["gc.emptied"]);
    is_sound(&bench);
}

#[test]
fn objects_that_nothing_names_go_after_the_grace_and_not_before() {
    let bench = Bench::new();
    bench.publish(&[("a.txt", "of a registration that never came to its row")]);
    bench.later(13);
    let report = collect(&bench, options(365, 1));
    assert_eq!((report.removed.len(), report.young, report.event), (0, 2, None));
    bench.later(2);
    let report = collect(&bench, options(365, 1));
    assert_eq!((report.removed.len(), report.young), (2, 0));
}

#[test]
fn a_short_grace_must_be_forced() {
    let bench = Bench::new();
    let short = Options { grace: Duration::from_secs(600), ..options(365, 1) };
    let e = run(&bench.store, &bench.objects, short, &mut |_| {}).expect_err("refused");
    assert!(e.to_string().contains("could lose its files") && e.hints()[0].contains("--force"), "{e} {:?}", e.hints());
    collect(&bench, Options { force: true, ..short });
}

#[test]
fn datasets_of_evaluations_are_kept_with_the_version_and_go_with_it() {
    let bench = bench();
    let kept = bench.objects.put_bytes(b"golden rows").expect("stored").digest;
    let gone = bench.objects.put_bytes(b"old golden rows").expect("stored").digest;
    bench.evaluate("m@1.3.0", kept);
    bench.evaluate("m@1.0.0", gone);
    bench.later(20);
    let removed: Vec<_> = collect(&bench, options(365, 3)).removed.into_iter().map(|r| r.object).collect();
    assert!(removed.contains(&gone) && !removed.contains(&kept), "{removed:?}");
    is_sound(&bench);
}

#[test]
fn nothing_is_collected_while_a_manifest_that_is_needed_cannot_be_read() {
    let bench = bench();
    bench.spoil(&bench.version("m@1.3.0").digest, b"");
    let e = run(&bench.store, &bench.objects, options(365, 1), &mut |_| {}).expect_err("refused");
    assert!(e.to_string().contains("nothing is collected") && e.hints().iter().any(|h| h.contains("kf fsck")), "{e}");
    assert!(is_there(&bench, "m@1.0.0") && bench.version("m@1.0.0").purged.is_none());
}

/// The rows say collected, the bytes are still there: as after a kill between the transaction and the move.
#[test]
fn a_run_that_dies_after_its_transaction_is_finished_by_the_next() {
    let bench = bench();
    let mut reach = Reach { objects: &bench.objects, manifests: BTreeMap::new() };
    let mut stored = Vec::new();
    bench
        .objects
        .list(&mut |digest, size, at| {
            stored.push((digest, size, at));
            Ok(())
        })
        .expect("listed");
    let now = bench.now();
    let decided = bench.store.write(|tx| decide(tx, &mut reach, &stored, options(365, 3), now, now)).expect("decided");
    assert!(decided.1.is_some() && is_there(&bench, "m@1.0.0"));
    is_sound(&bench);
    let report = collect(&bench, options(365, 3));
    assert_eq!((report.expired.len(), report.removed.len()), (0, 4));
    assert!(!is_there(&bench, "m@1.0.0"));
    is_sound(&bench);
}

/// A registration found the old bytes in place and got its row in before the bytes moved.
#[test]
fn what_came_to_be_needed_while_a_run_decided_goes_back() {
    let bench = bench();
    let manifest = bench.publish(&[("a.txt", "m@1.0.0")]);
    bench.later(20);
    let file = file_of("m@1.0.0");
    assert!(bench.objects.trash(&file, bench.now()).expect("moved"));
    bench.add("late@1.0.0", &manifest, &[]);
    let report = collect(&bench, options(365, 3));
    assert_eq!(report.restored, [file]);
    assert!(is_there(&bench, "m@1.0.0"));
    is_sound(&bench);
}

#[test]
fn a_version_that_came_back_between_plan_and_decision_is_kept() {
    let bench = bench();
    let mut reach = Reach { objects: &bench.objects, manifests: BTreeMap::new() };
    let now = bench.now();
    let planned = bench.store.read(|v| plan(v, &mut reach, &[], options(365, 3).rules, now, now)).expect("planned");
    assert_eq!(planned.sorted.expired.len(), 2);
    bench.stage("m@1.0.0", Stage::Staging);
    let (decided, _) = bench.store.write(|tx| decide(tx, &mut reach, &[], options(365, 3), now, now)).expect("decided");
    let expired: Vec<_> = decided.sorted.expired.iter().map(VersionRow::reference).collect();
    assert_eq!(expired, ["m@0.9.0"]);
}

#[test]
fn a_list_too_long_for_an_event_becomes_an_object_that_stays() {
    let bench = Bench::new();
    bench.register("m@1.0.0", &[]);
    for i in 0..900 {
        bench.objects.put_bytes(format!("orphan {i}").as_bytes()).expect("stored");
    }
    bench.later(20);
    let report = collect(&bench, options(365, 1));
    assert_eq!(report.removed.len(), 900);
    let runs = bench.store.read(|view| entries(view, "gc.run")).expect("read");
    let list = runs.iter().find_map(list_of).expect("a list");
    let text = String::from_utf8(bench.objects.read(&list, 1 << 20).expect("read")).expect("text");
    assert_eq!(text.lines().count(), 900);
    assert!(report.removed.iter().all(|r| text.contains(&r.object.to_string())));
    bench.later(40);
    let later = collect(&bench, options(365, 1));
    assert_eq!((later.removed.len(), later.deleted), (0, 900), "the list itself is no garbage");
    is_sound(&bench);
}

#[test]
fn a_version_whose_files_went_can_be_registered_again_and_its_retention_starts_anew() {
    let bench = bench();
    collect(&bench, options(365, 3));
    assert!(bench.version("m@1.0.0").purged.is_some());
    bench.later(30);
    collect(&bench, options(365, 3));
    let manifest = bench.publish(&[("a.txt", "m@1.0.0"), ("shared.txt", "shared")]);
    assert!(bench.add("m@1.0.0", &manifest, &[]).changed);
    let version = bench.version("m@1.0.0");
    assert_eq!((version.purged, version.stage), (None, Stage::Archived));
    is_sound(&bench);
    bench.later(300);
    assert!(collect(&bench, options(365, 3)).expired.is_empty());
    bench.later(100);
    assert_eq!(expired(&collect(&bench, options(365, 3))), ["m@1.0.0"]);
    is_sound(&bench);
}

#[test]
fn a_dry_run_of_the_state_changes_nothing_either() {
    let bench = bench();
    bench.store.set_dry_run(true);
    let report = collect(&bench, options(365, 3));
    assert_eq!((report.applied, report.expired.len()), (false, 2));
    assert!(is_there(&bench, "m@1.0.0"));
}

/// Registrations that name bytes which are about to go, and bytes of their own, while runs follow each other.
#[test]
fn runs_beside_registrations_lose_nothing() {
    let bench = fill(Bench::at(time_of_files().plus_micros(-400 * 86_400_000_000)));
    let (dir, clock) = (bench.dir.path().to_owned(), bench.clock());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (store, objects) = Bench::beside(&dir, &clock);
            while !done.load(Ordering::Relaxed) {
                run(&store, &objects, options(365, 3), &mut |_| {}).expect("collected");
            }
        });
        for i in 0..10 {
            bench.register(&format!("n@1.{i}.0"), &[]);
            let manifest = bench.publish(&[("a.txt", "m@1.0.0"), ("b.txt", &i.to_string())]);
            bench.add(&format!("o@1.{i}.0"), &manifest, &[]);
            let found = manifest.files().iter().map(|f| f.digest).collect::<Vec<_>>();
            give_back_found(&bench.objects, &found, 2).expect("given back");
        }
        done.store(true, Ordering::Relaxed);
    });
    is_sound(&bench);
}
