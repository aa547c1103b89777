//! The answers are those of reading everything, and every question of indexed fields is answered from an index.

use super::super::testing::{Log, START, settings};
use super::*;
use crate::base::event::{Event, Resource};
use crate::store::{Mode, Store};

/// What fits, by reading every entry.
fn slowly(entries: &[Entry], f: &Filter, limit: usize) -> Vec<u64> {
    let fits = |e: &&Entry| {
        let resource = |r: &str| {
            let full = e.resource.version.as_ref().map(|v| format!("{}@{v}", e.resource.name));
            e.resource.name == r || format!("{}:{}", e.resource.kind, e.resource.name) == r || full.as_deref() == Some(r)
        };
        let action = |a: &str| match a.strip_suffix('.') {
            Some(_) => e.action.starts_with(a),
            None => e.action == a,
        };
        let said = |t: &str| e.reason.as_ref().is_some_and(|r| r.contains(t)) || e.id.contains(t);
        f.actor.as_ref().is_none_or(|a| e.actor == *a || e.actor_id == *a)
            && f.action.as_deref().is_none_or(action)
            && f.resource.as_deref().is_none_or(resource)
            && f.ticket.as_ref().is_none_or(|t| e.ticket.as_ref() == Some(t))
            && f.since.is_none_or(|t| e.at >= t)
            && f.until.is_none_or(|t| e.at < t)
            && f.outcome.is_none_or(|o| e.outcome == o)
            && f.text.as_deref().is_none_or(said)
    };
    entries.iter().filter(fits).map(|e| e.index).take(limit).collect()
}

fn some(options: &[&str], at: usize) -> Option<String> {
    options.get(at % (options.len() * 2 + 1)).map(|s| (*s).to_owned())
}

/// Combinations of all fields, taken in steps that share no factor.
fn filters() -> impl Iterator<Item = Filter> {
    let start: Timestamp = START.parse().expect("a time");
    (0..2000usize).map(move |i| Filter {
        actor: some(&["ada@example.com", "nightly", "nobody"], i),
        action: some(&["version.promoted", "version.", "gate.checked", "state.created", "version"], i / 3),
        resource: some(&["bot-1", "version:bot-2", "model:bot-4", "bot-7@1.7.0", "bot-7@1.8.0", "model:bot-5"], i / 5),
        ticket: some(&["OPS-3", "OPS-17", "OPS"], i / 2 % 11),
        since: [None, None, Some(5), Some(20)][i / 7 % 4].map(|ms: i64| start.plus_micros(ms * 1000)),
        until: [None, None, Some(9), Some(20)][i / 11 % 4].map(|ms: i64| start.plus_micros(ms * 1000)),
        outcome: [None, None, Some(Outcome::Ok), Some(Outcome::Denied), Some(Outcome::Failed)][i / 13 % 5],
        text: some(&["because \"5", "\"25\" is"], i / 17 % 5),
    })
}

#[test]
fn answers_are_those_of_reading_everything() {
    let log = Log::new(3000);
    // One host's clock is wrong: what it appends now bears the time of the first entries.
    let random = std::sync::Arc::new(crate::base::random::Random::seeded(99));
    let settings = crate::store::Settings { random, ..settings(log.dir.path(), "ada@example.com", None) };
    let late = Store::open(settings, Mode::Write).expect("a state");
    late.write(|tx| {
        (0..50).for_each(|i| {
            tx.record(super::super::testing::event(i));
        });
        Ok(())
    })
    .expect("written");
    let all = log.store.read(|v| super::log(v, &Filter::default(), u64::MAX)).expect("all");
    assert_eq!((all.len(), all[0].index, all[3049].index), (3050, 3049, 0));
    let mut answered = 0;
    for filter in filters() {
        for limit in [5, 10_000] {
            let found = log.store.read(|v| find(v, &filter, limit)).expect("found");
            let found: Vec<u64> = found.into_iter().map(|s| s as u64).collect();
            assert_eq!(found, slowly(&all, &filter, limit as usize), "{filter:?}");
            answered += usize::from(!found.is_empty());
        }
    }
    assert!(answered > 300, "{answered} questions with an answer are too few to tell");
}

#[test]
fn every_indexed_question_is_answered_from_an_index() {
    let log = Log::new(300);
    let mut asked = 0;
    log.store
        .read(|view| {
            for filter in filters() {
                let filter = Filter { text: None, ..filter };
                let Some(numbers) = lookup::numbers(view, &filter)? else { continue };
                for stream in plan::streams(&numbers) {
                    let [steps, of_bodies] = stream.explain(view)?;
                    let indexed = filter == Filter { since: filter.since, until: filter.until, ..Filter::default() }
                        || filter
                            == Filter {
                                outcome: Some(Outcome::Ok),
                                since: filter.since,
                                until: filter.until,
                                ..Filter::default()
                            };
                    let wanted = if indexed { "INTEGER PRIMARY KEY" } else { "INDEX ev_" };
                    assert!(steps.iter().any(|s| s.contains(wanted)), "{filter:?}: {steps:?}");
                    assert!(!steps.iter().any(|s| s.contains("SCAN") || s.contains("TEMP B-TREE")), "{filter:?}: {steps:?}");
                    // The same way to the entries, then each body by its index; or, asked for anything, the bodies alone.
                    assert!(
                        !of_bodies.iter().any(|s| s.contains("SCAN") || s.contains("TEMP B-TREE")),
                        "{filter:?}: {of_bodies:?}"
                    );
                    if let [entries, bodies] = &of_bodies[..] {
                        assert!(entries.contains(" ev ") && entries.contains(wanted), "{filter:?}: {of_bodies:?}");
                        assert!(bodies.contains(" eb USING INTEGER PRIMARY KEY (rowid=?"), "{filter:?}: {of_bodies:?}");
                    }
                    asked += 1;
                }
            }
            Ok(())
        })
        .expect("explained");
    assert!(asked > 500, "{asked}");
}

/// PostgreSQL bounds a table only by conditions on that table: the bodies must have those of the entries.
#[test]
fn bodies_are_bounded_like_their_entries() {
    let log = Log::new(300);
    log.store
        .read(|view| {
            for filter in filters() {
                let Some(numbers) = lookup::numbers(view, &filter)? else { continue };
                for stream in plan::streams(&numbers) {
                    let sql = stream.bodies_sql();
                    if sql.contains(" ev CROSS JOIN eb ") {
                        assert!(sql.contains("eb.seq < ?1"), "{sql}");
                        let until = numbers.range.map(|(_, to)| format!("ev.seq <= {to}"));
                        assert!(until.is_none_or(|u| sql.contains(&u) && sql.contains(&u.replace("ev.", "eb."))), "{sql}");
                    }
                }
            }
            Ok(())
        })
        .expect("asked");
}

#[test]
fn entries_are_shown_with_names_and_reasons_until_they_are_erased() {
    let log = Log::new(300);
    let ask = |filter: &Filter| log.store.read(|v| super::log(v, filter, 50)).expect("entries");
    let ticket = Filter { ticket: Some("OPS-5".into()), ..Filter::default() };
    let [entry] = &ask(&ticket)[..] else { panic!("one entry") };
    assert_eq!((entry.index, entry.actor.as_str(), entry.host.as_str()), (35, "ada@example.com", "engine"));
    assert_eq!(entry.reason.as_deref(), Some("because \"35\" is due"));
    assert_eq!(entry.resource.to_string(), "version bot-35@1.5.0");
    let digest = Filter { resource: Some("bot@sha256:abcd".into()), ..Filter::default() };
    assert_eq!(ask(&digest), []);
    log.store
        .write(|tx| {
            let digest = format!("sha256:abcd{}", "0".repeat(60)).parse().expect("a digest");
            Ok(tx.record(Event::new("version.registered", Resource::version("bot", "1.0.0".parse().expect("a version"), digest))))
        })
        .expect("written");
    assert_eq!(ask(&digest).len(), 1);

    let id = entry.actor_id.clone();
    log.alter("DELETE FROM opening", &[]);
    log.alter("DELETE FROM pseudonym", &[]);
    let [entry] = &ask(&ticket)[..] else { panic!("one entry") };
    assert_eq!((&entry.actor, &entry.reason, entry.reason_erased), (&id, &None, true));
    assert_eq!(ask(&Filter { actor: Some(id), ..Filter::default() }).len(), 50);
    assert_eq!(ask(&Filter { actor: Some("ada@example.com".into()), ..Filter::default() }), []);
}
