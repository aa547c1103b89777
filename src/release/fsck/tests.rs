//! A sound state, and then each kind of damage to its objects, found and named; and what a repair and a second registration
//! heal. Rows and entries that were edited are shown on both engines by the tests of the binary.

use super::*;
use crate::base::name::Stage;
use crate::domain::registry::retention::Rules;
use crate::release::gc;
use crate::release::testing::Bench;

const READ: Options<'_> = Options { quick: false, repair: false, jobs: 3, keys: &[], journal: None };
const QUICK: Options<'_> = Options { quick: true, ..READ };
const REPAIR: Options<'_> = Options { repair: true, ..READ };

fn bench() -> Bench {
    let bench = Bench::new();
    bench.register("base@1.0.0", &[]);
    bench.register("m@1.0.0", &["base@1.0.0"]);
    bench.register("m@1.1.0", &[]);
    bench.stage("m@1.0.0", Stage::Production);
    bench.stage("m@1.1.0", Stage::Production);
    bench.alias("m@1.0.0", "best");
    bench.evaluate("m@1.1.0", Digest::of(b"golden"));
    bench
}

fn run(bench: &Bench, options: Options<'_>) -> Report {
    check(&bench.store, &bench.objects, options, &mut |_, _| {}, &mut |_| {}).expect("checked")
}

fn file_of(reference: &str) -> Digest {
    Digest::of(reference.as_bytes())
}

/// Expects findings about this subject only, the first of which says this.
fn expect(report: &Report, subject: &str, says: &str) {
    assert_eq!(report.verdict, Verdict::Fail);
    let about: Vec<_> = report.findings.iter().filter(|f| f.subject == subject).collect();
    assert!(about.iter().any(|f| f.problem.contains(says)), "{subject}: {says}: {:#?}", report.findings);
    assert_eq!(about.len(), report.findings.len(), "{:#?}", report.findings);
}

#[test]
fn a_sound_state_passes_and_everything_was_read() {
    let bench = bench();
    bench.objects.put_bytes(b"nobody names this").expect("stored");
    let mut last = (0, 0);
    let report = check(&bench.store, &bench.objects, READ, &mut |done, all| last = (done, all), &mut |_| {}).expect("checked");
    assert_eq!((report.findings, report.verdict), (Vec::new(), Verdict::Pass));
    // Three manifests, three files of their own, one that all share.
    assert_eq!((report.content.named, report.content.verified, report.content.present), (7, 7, 0));
    assert_eq!((report.content.orphans, report.content.orphan_bytes), (1, 17));
    assert_eq!((report.rows.versions, report.rows.evaluations, report.rows.scores), (3, 1, 2));
    assert_eq!(last, (7, 7));
    assert_eq!(report.log.entries, 8);
    assert_eq!(bench.actions(1), ["evaluation.recorded"], "a check writes nothing");
}

#[test]
fn a_quick_check_claims_nothing_to_be_verified() {
    let bench = bench();
    let flipped = file_of("m@1.0.0");
    bench.spoil(&flipped, b"m@1.0.1");
    let report = run(&bench, QUICK);
    assert_eq!((report.content.verified, report.content.present, report.rows.scores), (0, 7, 0));
    assert_eq!(report.verdict, Verdict::Pass, "the same size looks right from outside");
    bench.spoil(&flipped, b"");
    expect(&run(&bench, QUICK), &format!("object {flipped}"), "it has 0 bytes instead of 7");
}

#[test]
fn each_damage_to_an_object_is_found_with_the_command_that_heals_it() {
    let bench = bench();
    let file = file_of("m@1.0.0");
    let subject = format!("object {file}");
    bench.spoil(&file, b"m@1.0.1");
    let report = run(&bench, READ);
    expect(&report, &subject, "its 7 bytes have the digest");
    assert!(report.findings[0].problem.contains("file a.txt of m@1.0.0"), "{:?}", report.findings);
    assert!(report.findings[0].fix.contains("`kf register m PATH --version 1.0.0`"), "{:?}", report.findings);
    std::fs::remove_file(bench.path(&file)).expect("removed");
    expect(&run(&bench, READ), &subject, "it is missing");
}

#[test]
fn a_damaged_manifest_is_found() {
    let bench = bench();
    let manifest = bench.version("m@1.1.0").digest;
    bench.spoil(&manifest, b"{}");
    expect(&run(&bench, READ), &format!("object {manifest}"), "it is the manifest of m@1.1.0");
    bench.spoil(&manifest, b"");
    expect(&run(&bench, QUICK), &format!("object {manifest}"), "it is empty");
}

#[test]
fn a_repair_sets_aside_what_is_corrupt_and_storing_it_again_heals_it() {
    let bench = bench();
    let files = [("a.txt", "m@1.0.0"), ("shared.txt", "shared")];
    let (empty, wrong) = (file_of("m@1.0.0"), Digest::of(b"shared"));
    bench.spoil(&empty, b"");
    bench.spoil(&wrong, b"SHARED");
    let report = run(&bench, REPAIR);
    assert_eq!(report.verdict, Verdict::Fail, "they are still missing");
    let mut expected = vec![empty, wrong];
    expected.sort();
    assert_eq!(report.repaired.quarantined, expected);
    assert_eq!(bench.actions(1), ["state.repaired"]);
    let kept = std::fs::read_dir(bench.dir.path().join("objects/quarantine")).expect("a quarantine").count();
    assert_eq!(kept, 2, "nothing is thrown away");
    assert!(!bench.path(&empty).exists());

    let manifest = bench.publish(&files);
    assert!(!bench.add("m@1.0.0", &manifest, &["base@1.0.0"]).changed);
    let report = run(&bench, READ);
    assert_eq!((report.findings, report.verdict), (Vec::new(), Verdict::Pass));
}

#[test]
fn a_repair_takes_back_from_the_trash_what_is_needed_and_sweeps_temporaries() {
    let bench = bench();
    let file = file_of("m@1.0.0");
    assert!(bench.objects.trash(&file, bench.now()).expect("trashed"));
    expect(&run(&bench, READ), &format!("object {file}"), "it is in the trash");
    let left = bench.dir.path().join("objects/tmp/left-behind");
    std::fs::write(&left, b"half").expect("written");
    bench.later(400);
    let report = run(&bench, REPAIR);
    assert_eq!((report.findings, report.repaired.restored, report.repaired.temporaries), (Vec::new(), vec![file], 1));
    assert!(bench.path(&file).exists() && !left.exists());
}

#[test]
fn a_repair_without_damage_records_nothing_and_a_dry_run_changes_nothing() {
    let bench = bench();
    let report = run(&bench, REPAIR);
    assert_eq!((report.repaired.event, report.verdict), (None, Verdict::Pass));
    assert_eq!(bench.actions(1), ["evaluation.recorded"]);
    let file = file_of("m@1.0.0");
    bench.spoil(&file, b"");
    bench.store.set_dry_run(true);
    assert!(run(&bench, REPAIR).repaired.quarantined.is_empty() && bench.path(&file).exists());
}

/// Garbage that is collected after the rows were read and before their objects are looked at is nothing wrong; what is missing
/// besides is.
#[test]
fn what_was_collected_meanwhile_is_no_finding() {
    let bench = bench();
    bench.register("old@1.0.0", &[]);
    bench.stage("old@1.0.0", Stage::Archived);
    bench.later(400);
    let look = |seen: &Seen| contents(&bench.store, &bench.objects, seen, READ, &mut |_, _| {}, &mut |_| {}).expect("checked");
    let see = || bench.store.read(|view| see(view, &bench.objects, READ, &mut Vec::new())).expect("seen");
    let seen = see();
    let rules = Rules { retention_days: 365, rollback_window: 3 };
    let options = gc::Options { rules, grace: gc::GRACE, force: false, apply: true };
    let gone = gc::run(&bench.store, &bench.objects, options, &mut |_| {}).expect("collected").removed;
    assert!(gone.iter().any(|r| r.object == file_of("old@1.0.0")), "{gone:?}");
    let once = content::check(&bench.objects, (&seen.versions, &seen.named), READ, &BTreeMap::new(), &mut |_, _| {});
    assert!(!once.expect("checked").findings.is_empty(), "one look at it is not enough");
    let checked = look(&seen);
    assert_eq!(checked.findings, []);
    assert_eq!((checked.sum.named, checked.sum.verified), (7, 7), "what was sound before still counts");
    let seen = see();
    std::fs::remove_file(bench.path(&file_of("m@1.0.0"))).expect("removed");
    assert_eq!(look(&seen).findings.len(), 1);
}
