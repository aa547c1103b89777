//! Moving a whole state with its objects, stopped at each step and run again.

use super::*;
use crate::base::name::Stage;
use crate::base::verdict::Verdict;
use crate::release::fsck;
use crate::release::testing::{Bench, actions};
use crate::store::Mode;

const PLACE: &str = "sqlite:there.db";

/// A state with three versions, an evaluation, a shared file and an empty one.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.register("base@1.0.0", &[]);
    bench.register("m@1.0.0", &["base@1.0.0"]);
    let manifest = bench.publish(&[("empty.txt", ""), ("b.txt", "b")]);
    bench.add("m@1.1.0", &manifest, &[]);
    bench.stage("m@1.0.0", Stage::Production);
    bench.evaluate("m@1.0.0", Digest::of(b"golden"));
    bench
}

fn elsewhere(bench: &Bench) -> Objects {
    Objects::files(&bench.dir.path().join("elsewhere")).expect("objects")
}

fn digests(objects: &Objects) -> Vec<(Digest, u64)> {
    let mut all = Vec::new();
    objects
        .list(&mut |digest, size, _| {
            all.push((digest, size));
            Ok(())
        })
        .expect("listed");
    all
}

fn go(bench: &Bench, to: &Objects, progress: &mut dyn FnMut(Progress)) -> Result<Report> {
    let artifacts = Artifacts { to, scratch: bench.dir.path(), jobs: 3 };
    let request = Request { target: bench.settings("there.db"), place: PLACE, artifacts: Some(artifacts) };
    run(&bench.store, &bench.objects, request, &mut |_| {}, progress)
}

fn moved_store(bench: &Bench) -> Store {
    Store::open(bench.settings("there.db"), Mode::Write).expect("opens")
}

fn is_sound(store: &Store, objects: &Objects) {
    let options = fsck::Options { quick: false, repair: false, jobs: 2, keys: &[], journal: None };
    let report = fsck::check(store, objects, options, &mut |_, _| {}, &mut |_| {}).expect("checked");
    assert_eq!((report.findings, report.verdict), (Vec::new(), Verdict::Pass));
}

#[test]
fn a_state_and_its_objects_arrive_whole() {
    let bench = bench();
    let to = elsewhere(&bench);
    let (mut copied, mut verified, mut tables) = ((0, 0), (0, 0), Vec::new());
    let report = go(&bench, &to, &mut |p| match p {
        Progress::Copied(done, all) => copied = (done, all),
        Progress::Verified(done, all) => verified = (done, all),
        Progress::Rows(table, _) => tables.push(table),
    })
    .expect("moved");
    let there = digests(&to);
    assert_eq!(there, digests(&bench.objects));
    let carried = report.artifacts.expect("objects");
    let bytes: u64 = there.iter().map(|(_, size)| size).sum();
    assert_eq!((carried.objects, carried.bytes, carried.copied), (there.len() as u64, bytes, there.len() as u64));
    assert_eq!((copied, verified), ((8, 8), (8, 8)));
    assert!(tables.contains(&"eb") && tables.contains(&"eval_row"), "{tables:?}");
    let store = moved_store(&bench);
    assert_eq!(actions(&store, 2), ["state.moved", "state.sealed"]);
    is_sound(&store, &to);
    is_sound(&bench.store, &bench.objects);
    let proof = report.proof.expect("a proof");
    assert_eq!(proof.log_size, 7, "created, three versions, a move, an evaluation, the seal");
}

#[test]
fn a_second_call_changes_nothing() {
    let bench = bench();
    let to = elsewhere(&bench);
    assert!(go(&bench, &to, &mut |_| {}).expect("moved").changed);
    let again = go(&bench, &to, &mut |_| {}).expect("moved before");
    assert!(!again.changed && again.proof.is_none());
    assert_eq!(actions(&moved_store(&bench), 1), ["state.moved"]);
}

#[test]
fn objects_stay_where_they_are_when_nobody_asks() {
    let bench = bench();
    let request = Request { target: bench.settings("there.db"), place: PLACE, artifacts: None };
    let report = run(&bench.store, &bench.objects, request, &mut |_| {}, &mut |_| {}).expect("moved");
    assert_eq!(report.artifacts, None);
    is_sound(&moved_store(&bench), &bench.objects);
}

/// Objects were copied, then nothing more: as after a kill while objects are on their way.
#[test]
fn objects_that_arrived_are_not_copied_again() {
    let bench = bench();
    let to = elsewhere(&bench);
    let artifacts = Artifacts { to: &to, scratch: bench.dir.path(), jobs: 1 };
    let half: Vec<_> = digests(&bench.objects).into_iter().take(3).collect();
    Carrier { from: &bench.objects, place: artifacts, done: BTreeMap::new(), copied: 0 }.copy(&half).expect("copied");
    bench.alias("m@1.0.0", "still-works");
    let carried = go(&bench, &to, &mut |_| {}).expect("moved").artifacts.expect("objects");
    assert_eq!((carried.objects, carried.copied), (8, 5));
    let left: Vec<_> =
        std::fs::read_dir(bench.dir.path()).expect("listed").filter_map(|e| e.ok()?.file_name().into_string().ok()).collect();
    assert!(!left.iter().any(|name| name.starts_with("moving-")), "{left:?}");
}

#[test]
fn what_is_stored_while_objects_are_copied_comes_along() {
    let bench = bench();
    let to = elsewhere(&bench);
    let mut late = false;
    let report = go(&bench, &to, &mut |p| {
        if let (Progress::Verified(8, 8), false) = (p, late) {
            late = true;
            bench.register("late@1.0.0", &[]);
        }
    })
    .expect("moved");
    let carried = report.artifacts.expect("objects");
    // Its manifest and its own file; the one it shares came before.
    assert_eq!((late, carried.objects, digests(&to)), (true, 10, digests(&bench.objects)));
    is_sound(&moved_store(&bench), &to);
}

/// The source is sealed and the copy complete, but closed: as after a kill before the last step.
#[test]
fn a_kill_before_the_last_step_is_finished_by_the_same_command() {
    let bench = bench();
    let to = elsewhere(&bench);
    let Place::Empty(copy) = transfer::receive(&bench.store, bench.settings("there.db"), PLACE).expect("a place") else {
        panic!("not empty")
    };
    bench.store.seal_into(&copy, PLACE, &mut || Ok(()), &mut |_, _| {}).expect("sealed");
    drop(copy);
    assert!(Store::open(bench.settings("there.db"), Mode::Write).is_err());
    let report = go(&bench, &to, &mut |_| {}).expect("finished");
    assert!(report.changed && report.proof.is_some());
    is_sound(&moved_store(&bench), &to);
}

#[test]
fn a_corrupt_object_stops_the_move_and_the_state_works_on() {
    let bench = bench();
    bench.spoil(&Digest::of(b"b"), b"c");
    let e = go(&bench, &elsewhere(&bench), &mut |_| {}).expect_err("refused");
    assert!(e.hints().iter().any(|h| h.contains("kf fsck --repair")), "{e} {:?}", e.hints());
    bench.alias("m@1.0.0", "still-works");
}

#[test]
fn an_object_that_is_wrong_at_the_new_place_stops_the_move() {
    let bench = bench();
    let to = elsewhere(&bench);
    let hex = Digest::of(b"b").hex();
    let dir = bench.dir.path().join("elsewhere/sha256").join(&hex[..2]);
    std::fs::create_dir_all(&dir).expect("made");
    std::fs::write(dir.join(&hex[2..]), b"c").expect("written");
    let e = go(&bench, &to, &mut |_| {}).expect_err("refused");
    assert!(e.to_string().contains("has other bytes"), "{e}");
    bench.alias("m@1.0.0", "still-works");
}

#[test]
fn a_dry_run_touches_nothing() {
    let bench = bench();
    bench.store.set_dry_run(true);
    let report = go(&bench, &elsewhere(&bench), &mut |_| {}).expect("told");
    assert!(!report.changed && report.tables.iter().any(|t| t.table == "version" && t.rows == 3));
    assert!(!bench.dir.path().join("there.db").exists() && !bench.dir.path().join("elsewhere").exists());
}

#[test]
fn batches_hold_at_least_one_and_not_too_much() {
    let of = |sizes: &[u64]| batch_of(&sizes.iter().map(|s| (Digest::of(b""), *s)).collect::<Vec<_>>());
    assert_eq!(of(&[BATCH_BYTES * 4, 1]), 1);
    assert_eq!(of(&[BATCH_BYTES, 1]), 1);
    assert_eq!(of(&[1, 2, BATCH_BYTES]), 2);
    assert_eq!(of(&vec![0; 1000]), BATCH_FILES);
}
