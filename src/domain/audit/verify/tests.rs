//! An altered byte anywhere is found and named; what may be erased may be missing.

use super::super::key::SignerKey;
use super::super::seal::LogSigner;
use super::super::testing::{Log, event, key_of, settings};
use super::*;
use crate::base::event::{Event, Resource};
use crate::store::{Mode, Store, Value, signing};
use crate::values;

/// A log of 3,000 entries takes a moment to make, so the cases share one and alter copies.
const ENTRIES: usize = 3000;

#[test]
fn a_sound_log_passes_and_everything_was_read() {
    let log = Log::new(ENTRIES);
    let found = log.verify();
    assert_eq!((found.verdict(), &found.findings[..]), (Verdict::Pass, &[][..]));
    assert_eq!((found.size, found.entries, found.signed, found.unsigned), (3000, 3000, 3000, 0));
    assert_eq!((found.checkpoints, found.tiles, found.openings, found.regression_count), (30, 11, 599, 0));
    assert_eq!(found.root, Some(found.head));
    assert_eq!(found.origin, log.origin);
    // Without a key nobody can say whose checkpoints they are.
    let blind = log.verify_with(&[], &[]);
    assert_eq!((blind.verdict(), blind.unchecked, blind.signed, blind.finding_count), (Verdict::Inconclusive, 30, 0, 0));
}

/// Alters a copy and checks that the first finding is at `index` and says `what`.
fn check(log: &Log, index: u64, what: &str, statements: &[(&str, &[Value])]) {
    let copy = log.copy();
    for (sql, values) in statements {
        assert!(copy.alter(sql, values) > 0, "{sql} changes nothing");
    }
    let found = copy.verify();
    assert_eq!(found.verdict(), Verdict::Fail, "{statements:?}");
    let first = &found.findings[0];
    assert_eq!(first.index, Some(index), "{statements:?}: {:?}", found.findings);
    assert!(first.what.contains(what), "{statements:?}: {first:?}");
    assert!(found.finding_count as usize >= found.findings.len());
}

#[test]
fn an_altered_column_is_found_at_its_entry() {
    let log = Log::new(ENTRIES);
    let check = |index, what, sql| check(&log, index, what, &[(sql, &[])]);
    check(
        1234,
        "its body does not have the hash",
        "UPDATE eb SET body = replace(body, '\"n\":1234', '\"n\":1235') WHERE seq = 1234",
    );
    check(1234, "its body does not have the hash", "UPDATE eb SET leaf = randomblob(32) WHERE seq = 1234");
    check(1234, "its body does not have the hash", "UPDATE eb SET leaf = x'00' WHERE seq = 1234");
    check(17, "about: id", "UPDATE ev SET id = randomblob(16) WHERE seq = 17");
    check(17, "about: time", "UPDATE ev SET ts = ts + 1 WHERE seq = 17");
    check(17, "about: actor", "UPDATE ev SET actor = action WHERE seq = 17");
    check(17, "about: action", "UPDATE ev SET action = actor WHERE seq = 17");
    check(2999, "about: resource", "UPDATE ev SET res = res + 1 WHERE seq = 2999");
    check(8, "about: outcome", "UPDATE ev SET outcome = 0 WHERE seq = 8");
    check(7, "about: ticket", "UPDATE ev SET ticket = NULL WHERE seq = 7");
    check(8, "about: ticket", "UPDATE ev SET ticket = 1 WHERE seq = 8");
    check(300, "no narrow columns", "DELETE FROM ev WHERE seq = 300");
    check(300, "the body was removed", "DELETE FROM eb WHERE seq = 300");
    check(0, "about: actor, action", "UPDATE dict SET text = text || 'x' WHERE kind IN ('action', 'actor')");
    check(7, "about: ticket", "UPDATE dict SET kind = 'word' WHERE kind = 'ticket' AND text = 'OPS-1'");
}

#[test]
fn an_altered_hash_is_found_in_its_range() {
    let log = Log::new(ENTRIES);
    let one = |index, what, sql| check(&log, index, what, &[(sql, &[])]);
    one(512, "do not have the hash under which they were sealed", "UPDATE tile SET hash = randomblob(32) WHERE idx = 2");
    one(512, "do not have the hash under which they were sealed", "UPDATE tile SET hash = x'' WHERE idx = 2");
    one(512, "entries 512 to 767 is missing", "DELETE FROM tile WHERE idx = 2");
    one(512, "entries 512 to 767 is missing", "UPDATE tile SET level = 2 WHERE idx = 2");
    one(512, "entries 512 to 767 is missing", "UPDATE tile SET idx = 99 WHERE idx = 2");
    // 3,000 is 2048 + 512 + 256 + …: the hashes of the head stand for these ranges.
    for (place, from) in [(0i64, 0u64), (1, 2048), (2, 2560)] {
        let sql = "UPDATE log_head SET frontier = CAST(substr(frontier, 1, ?1) || x'00' || substr(frontier, ?1 + 2) AS BLOB)";
        check(&log, from, "do not lead to the head", &[(sql, &[(32 * place).into()])]);
    }
}

#[test]
fn entries_removed_or_exchanged_are_found() {
    let log = Log::new(ENTRIES);
    check(&log, 2999, "the body was removed", &[("DELETE FROM eb WHERE seq = 2999", &[])]);
    let last = [("DELETE FROM eb WHERE seq = 2999", &[][..]), ("DELETE FROM ev WHERE seq = 2999", &[])];
    check(&log, 2999, "entry 2999 is missing", &last);
    check(&log, 700, "no body", &[("DELETE FROM eb WHERE seq BETWEEN 700 AND 709", &[])]);
    let moved =
        |table: &str| format!("UPDATE {table} SET seq = CASE seq WHEN 40 THEN -50 WHEN 50 THEN -40 END WHERE seq IN (40, 50)");
    let back = |table: &str| format!("UPDATE {table} SET seq = -seq WHERE seq < 0");
    let swap: Vec<String> = ["eb", "ev", "opening"].iter().flat_map(|t| [moved(t), back(t)]).collect();
    let swap: Vec<(&str, &[Value])> = swap.iter().map(|s| (s.as_str(), &[][..])).collect();
    // Bodies, columns and openings agree with one another, and not with the tree.
    check(&log, 0, "the checkpoint at 101 entries", &swap);
    check(&log, 40, "about: id, action, resource", &swap[..2]);
    check(&log, 3000, "the log has 3000 entries", &[("INSERT INTO eb VALUES (3000, x'00', '{}')", &[])]);
    check(&log, 2999, "the body was removed", &[("UPDATE eb SET seq = 1152921504606846976 WHERE seq = 2999", &[])]);
}

#[test]
fn an_altered_opening_is_found_and_an_erased_one_is_not() {
    let log = Log::new(ENTRIES);
    let one = |index, what, sql| check(&log, index, what, &[(sql, &[])]);
    one(25, "its opening of `reason` does not match", "UPDATE opening SET value = value || ' ' WHERE seq = 25");
    one(25, "its opening of `reason` does not match", "UPDATE opening SET salt = randomblob(32) WHERE seq = 25");
    one(25, "a salt of another length", "UPDATE opening SET salt = CAST(salt || x'00' AS BLOB) WHERE seq = 25");
    one(25, "its opening of `Reason` opens nothing", "UPDATE opening SET field = 'Reason' WHERE seq = 25");
    one(26, "opens nothing that the entry commits to", "UPDATE opening SET seq = 26 WHERE seq = 25");
    one(9000, "there is an opening for entry 9000", "UPDATE opening SET seq = 9000 WHERE seq = 25");
    let copy = log.copy();
    copy.alter("DELETE FROM opening WHERE seq < 1000", &[]);
    copy.alter("DELETE FROM pseudonym WHERE kind = 'user'", &[]);
    assert_eq!(copy.verify().verdict(), Verdict::Pass);
}

#[test]
fn a_name_that_was_altered_is_found_and_an_erased_one_is_not() {
    let log = Log::new(300);
    assert_eq!(log.verify().names, 3, "two people and the machine");
    let one = |index, what, sql| check(&log, index, what, &[(sql, &[])]);
    one(0, "the name behind user-", "UPDATE pseudonym SET name = 'eve@example.com' WHERE name = 'ada@example.com'");
    one(101, "the name behind ci-", "UPDATE pseudonym SET kind = 'user' WHERE name = 'nightly'");
    one(0, "the name behind host-", "UPDATE pseudonym SET salt = zeroblob(32) WHERE kind = 'host'");
    one(0, "the name behind host-", "UPDATE pseudonym SET salt = CAST(salt || x'00' AS BLOB) WHERE kind = 'host'");
    let copy = log.copy();
    copy.alter("DELETE FROM pseudonym WHERE name = 'nightly'", &[]);
    assert_eq!(copy.verify().verdict(), Verdict::Pass, "an erased name is no finding");
    copy.alter("UPDATE pseudonym SET id = 'user-0' WHERE name = 'ada@example.com'", &[]);
    let found = copy.verify();
    assert!(found.findings.iter().any(|f| f.what.contains("no entry commits to it")), "{:?}", found.findings);
}

#[test]
fn a_fact_beside_an_entry_is_held_to_its_digest() {
    let log = Log::new(3);
    let long = vec!["x".repeat(99); 99];
    log.store.write(|tx| Ok(tx.record(event(3).with("list", long.clone())))).expect("written");
    let sound = log.verify();
    assert_eq!((sound.verdict(), sound.facts), (Verdict::Pass, 1));
    let one = |index, what, sql| check(&log, index, what, &[(sql, &[])]);
    one(3, "does not have the digest", "UPDATE fact SET value = replace(value, 'xx', 'xy')");
    one(3, "its fact `list`, which stands beside it, is missing", "UPDATE fact SET key = 'lists'");
    one(3, "its fact `list`, which stands beside it, is missing", "DELETE FROM fact");
    one(2, "none that the entry has a digest of", "UPDATE fact SET seq = 2");
    one(3, "its fact `list`, which stands beside it, is missing", "UPDATE fact SET seq = 9");
    let copy = log.copy();
    copy.alter("INSERT INTO fact (seq, key, value) VALUES (9, 'list', '[]')", &[]);
    assert_eq!(copy.verify().findings[0].what, "there is a fact for entry 9, the log has 4 entries");
}

#[test]
fn every_byte_of_an_entry_and_of_a_checkpoint_counts() {
    let log = Log::new(300);
    let flip = |sql: &str, bytes: &[u8], index: u64| {
        let copy = log.copy();
        for at in 0..bytes.len() {
            let mut altered = bytes.to_vec();
            // A high bit makes it no UTF-8 now and then: it must be found, not fail.
            altered[at] ^= if at % 3 == 0 { 0x80 } else { 1 };
            copy.alter(sql, values![altered]);
            let found = copy.verify();
            assert_eq!(found.verdict(), Verdict::Fail, "byte {at}");
            let first = &found.findings[0];
            assert!(first.index <= Some(index) && first.last == Some(index), "byte {at}: {:?}", found.findings);
        }
    };
    let body = log.store.read(|v| v.first("SELECT body FROM eb WHERE seq = 280", &[], |r| Ok(r.text(0)?.to_owned())));
    flip("UPDATE eb SET body = CAST(?1 AS TEXT) WHERE seq = 280", body.expect("read").expect("a body").as_bytes(), 280);
    flip("UPDATE checkpoint SET note = CAST(?1 AS TEXT) WHERE size = 300", log.checkpoint().as_bytes(), 299);
}

#[test]
fn a_head_that_was_altered_is_found() {
    let log = Log::new(ENTRIES);
    let one = |sql: &str, what: &str| {
        let copy = log.copy();
        assert!(copy.alter(sql, &[]) > 0);
        let found = copy.verify();
        assert_eq!(found.verdict(), Verdict::Fail, "{sql}");
        assert!(found.findings.iter().any(|f| f.what.contains(what)), "{sql}: {:?}", found.findings);
    };
    one("UPDATE log_head SET size = 2999", "does not fit its size of 2999");
    one("UPDATE log_head SET size = -1", "does not fit its size of -1");
    one("UPDATE log_head SET frontier = x'00'", "does not fit its size");
    one("UPDATE log_head SET origin = origin || 'x'", "the checkpoint at 101 entries is of");
    one("DELETE FROM log_head", "the head of the log is missing");
    one("UPDATE log_head SET size = 1 << 60, frontier = zeroblob(32)", "entries 3000 to 1152921504606846975 are missing");
}

/// An insider with the database, but not the key: everything fits again except what was signed.
#[test]
fn a_rebuilt_tree_is_found_by_its_checkpoints_and_by_an_anchor() {
    let log = Log::new(ENTRIES);
    let anchor = || vec![Anchor::read("yesterday.note", log.checkpoint().as_bytes()).expect("an anchor")];
    let sound = log.verify_with(&log.keys(), &anchor());
    assert!(sound.verdict() == Verdict::Pass && sound.anchors[0].agrees && sound.anchors[0].signed, "{sound:?}");

    let copy = log.copy();
    copy.alter("UPDATE eb SET body = replace(body, '\"n\":1234', '\"n\":1235') WHERE seq = 1234", &[]);
    copy.rebuild();
    let found = copy.verify();
    let first = &found.findings[0];
    assert_eq!((found.finding_count, first.index, first.last), (1, Some(1201), Some(1300)), "{:?}", found.findings);
    assert!(first.what.contains("states the root"));
    assert_eq!((found.signed, found.unsigned), (1201, 1799));

    copy.alter("DELETE FROM checkpoint WHERE size > 1234", &[]);
    let found = copy.verify();
    assert_eq!((found.verdict(), found.signed, found.unsigned), (Verdict::Pass, 1201, 1799), "an unsigned tail is told");
    let found = copy.verify_with(&copy.keys(), &anchor());
    assert_eq!((found.verdict(), found.finding_count), (Verdict::Fail, 1));
    let (both, said) = (&found.anchors[0], &found.findings[0].what);
    let ours = both.found.expect("the root there is");
    assert!(ours != both.root && said.contains(&ours.to_string()) && said.contains(&both.root.to_string()), "{said}");
}

/// Without any checkpoint there is nothing to compare with, which is found where a key is known, and nothing is signed on.
#[test]
fn a_log_whose_checkpoints_were_removed_is_found_and_not_signed_on_the_way() {
    let log = Log::new(300);
    log.alter("UPDATE eb SET body = replace(body, '\"n\":123', '\"n\":124') WHERE seq = 123", &[]);
    log.alter("DELETE FROM checkpoint", &[]);
    log.rebuild();
    let found = log.verify();
    assert_eq!((found.verdict(), found.finding_count, found.never_signed), (Verdict::Fail, 1, true), "{:?}", found.findings);
    assert!(found.findings[0].what.contains("its checkpoints were removed"), "{:?}", found.findings);
    let again = Store::open(settings(log.dir.path(), "nightly", Some(key_of(&log.origin))), Mode::Write).expect("a state");
    assert!(!again.signs_on().expect("asked"));
    again.write(|tx| Ok(tx.record(event(300)))).expect("appended");
    assert_eq!((log.verify().size, log.verify().checkpoints), (301, 0));
    // A checkpoint of somebody else in their place does not help.
    let stranger = LogSigner::new(SignerKey::from_seed(&log.origin, [9; 32]).expect("a key"));
    log.store.sign_head(&stranger).expect("signed");
    assert!(!again.signs_on().expect("asked"));
}

/// The newest checkpoint is of the very head: what does not have its root is not signed.
#[test]
fn a_head_that_its_checkpoint_does_not_fit_is_not_signed_on() {
    let log = Log::new(300);
    assert!(log.copy().store.signs_on().expect("asked"));
    let copy = log.copy();
    copy.alter("UPDATE eb SET body = replace(body, '\"n\":123', '\"n\":124') WHERE seq = 123", &[]);
    copy.rebuild();
    assert!(!copy.store.signs_on().expect("asked"));
}

/// A key made later on an old log signs from its own event on; one that hosts without it appended after asks for a person.
#[test]
fn a_key_that_was_just_made_signs_and_one_that_was_left_unused_does_not() {
    let log = Log::new(1);
    let plain = Store::open(settings(log.dir.path(), "late@example.com", None), Mode::Write).expect("a state");
    let made = || Event::new(signing::KEY_GENERATED, Resource::new("log-key", "k"));
    plain.write(|tx| Ok((tx.record(event(1)), tx.record(made())))).expect("written");
    assert_eq!(log.verify_with(&[], &[]).verdict(), Verdict::Pass);
    let keyed = Store::open(settings(log.dir.path(), "nightly", Some(key_of(&log.origin))), Mode::Write).expect("a state");
    assert!(keyed.signs_on().expect("asked"));
    plain.write(|tx| Ok(tx.record(event(3)))).expect("written");
    assert!(!keyed.signs_on().expect("asked"));
    assert_eq!((log.verify_with(&[], &[]).verdict(), log.verify().verdict()), (Verdict::Inconclusive, Verdict::Fail));
    let sound = Log::new(30);
    sound.store.write(|tx| Ok(tx.record(made()))).expect("written");
    assert_eq!(sound.verify().verdict(), Verdict::Pass);
}

/// The newest entries removed, with all that belongs to them: only what is outside remembers.
#[test]
fn a_log_that_was_rolled_back_is_found_by_an_anchor() {
    let log = Log::new(ENTRIES);
    let anchor = vec![Anchor::read("yesterday.note", log.checkpoint().as_bytes()).expect("an anchor")];
    for sql in ["DELETE FROM eb WHERE seq >= 2560", "DELETE FROM ev WHERE seq >= 2560", "DELETE FROM opening WHERE seq >= 2560"] {
        log.alter(sql, &[]);
    }
    log.alter("DELETE FROM tile WHERE idx >= 10", &[]);
    log.rebuild();
    let found = log.verify();
    assert!(found.findings[0].what.contains("the newest were removed"), "{:?}", found.findings);
    log.alter("DELETE FROM checkpoint WHERE size > 2560", &[]);
    assert_eq!(log.verify().verdict(), Verdict::Pass);
    let found = log.verify_with(&log.keys(), &anchor);
    let said = &found.findings[0].what;
    assert!(said.contains("covers 3000 entries, the log has 2560: it was rolled back"), "{said}");
}

#[test]
fn anchors_and_checkpoints_of_others_are_refused() {
    let log = Log::new(300);
    let one = |bytes: &str, keys: &[VerifierKey], what: Option<&str>, signed: bool| {
        let found = log.verify_with(keys, &[Anchor::read("a", bytes.as_bytes()).expect("an anchor")]);
        let said = found.findings.iter().find(|f| f.index.is_none()).map(|f| f.what.clone());
        assert_eq!((said.is_some(), found.anchors[0].signed), (what.is_some(), signed), "{found:?}");
        assert!(said.unwrap_or_default().contains(what.unwrap_or_default()));
    };
    let (note, keys) = (log.checkpoint(), log.keys());
    one(&note, &keys, None, true);
    one(&note, &[], None, false);
    let text = note.split_once("\n\n").expect("a note").0;
    one(&format!("{text}\n"), &keys, None, false);
    one(&note.replace("kf/demo", "kf/other"), &[], Some("is a checkpoint of `kf/other"), false);
    let forged = note.replace("\n300\n", "\n301\n");
    one(&forged, &keys, Some("it was rolled back"), false);
    let stranger = SignerKey::from_seed(&log.origin, [9; 32]).expect("a key");
    one(&note, &[stranger.public().clone()], None, false);
    // The root of no entries, RFC 6962 §2.1.
    one(&format!("{}\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", log.origin), &keys, None, false);
    assert!(Anchor::read("a", b"not a checkpoint\n").is_err());

    // Somebody who replaces the stored checkpoint by one under a key of the same name.
    let found = log.verify_with(&[stranger.public().clone()], &[]);
    assert!(found.findings[0].what.contains("no known key is among them"), "{:?}", found.findings);
    // After a change of keys both are known.
    let both = [stranger.public().clone(), key_of(&log.origin).public().clone()];
    assert_eq!(log.verify_with(&both, &[]).verdict(), Verdict::Pass);
}

#[test]
fn a_clock_that_went_back_is_told_and_an_unsigned_tail_can_be_signed_later() {
    let log = Log::new(300);
    let late = Store::open(settings(log.dir.path(), "late@example.com", None), Mode::Write).expect("a state");
    late.write(|tx| Ok(tx.record(event(1)))).expect("written");
    let found = log.verify();
    assert_eq!((found.verdict(), found.regression_count, found.regressions[0].index), (Verdict::Pass, 1, 300));
    assert_eq!((found.signed, found.unsigned), (300, 1));
    let signer = LogSigner::new(key_of(&log.origin));
    assert_eq!(log.store.sign_head(&signer).expect("signed"), Some(301));
    assert_eq!(log.store.sign_head(&signer).expect("nothing to sign"), None);
    let found = log.verify();
    assert_eq!((found.verdict(), found.size, found.unsigned), (Verdict::Pass, 301, 0));
}

/// Three levels of tiles: the rows together are the frontier of RFC 6962.
#[test]
fn the_rows_of_tiles_make_the_root_of_the_leaves() {
    let log = Log::new(2);
    let mut tree = log.store.read(tree::Tree::new).expect("a tree");
    let (mut frontier, mut findings) = (crate::base::merkle::Frontier::new(), Vec::new());
    for i in 0..70_000u64 {
        let leaf = crate::base::merkle::leaf_hash(&i.to_be_bytes());
        frontier.push(leaf);
        tree.push(i, leaf, &mut findings);
        if i % 1009 == 0 || [254, 255, 256, 65_534, 65_535, 65_536].contains(&i) {
            assert_eq!((tree.size(), tree.root()), (i + 1, Some(frontier.root())));
        }
    }
    // 273 tiles of leaves and one of tiles, none of which is stored here.
    assert_eq!((tree.tiles, findings.len()), (274, 274));
}
