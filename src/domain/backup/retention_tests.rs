use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn set(id: &str, time: &str) -> Kept {
    Kept { id: id.to_owned(), at: at(time), proven: false }
}

fn stays(sets: &[Kept], keep: &Keep) -> Vec<String> {
    decide(sets, keep).into_iter().filter(|fate| !fate.goes()).map(|fate| fate.id).collect()
}

#[test]
fn each_rule_keeps_the_newest_of_its_buckets_and_says_so() {
    let sets = [
        set("a", "2026-01-31T23:00:00Z"),
        set("b", "2026-02-01T01:00:00Z"),
        set("c", "2026-02-01T01:30:00Z"),
        set("d", "2026-02-02T00:00:00Z"),
        set("e", "2026-02-08T23:59:59Z"),
    ];
    let keep = |change: &dyn Fn(&mut Keep)| {
        let mut keep = Keep::default();
        change(&mut keep);
        stays(&sets, &keep)
    };
    assert_eq!(keep(&|_| ()), ["e"], "the newest is never removed");
    assert_eq!(keep(&|k| k.last = 2), ["e", "d"]);
    assert_eq!(keep(&|k| k.hourly = 4), ["e", "d", "c", "a"], "of one hour the newest");
    assert_eq!(keep(&|k| k.daily = 3), ["e", "d", "c"]);
    // 2026-02-01 is a Sunday, 2026-02-02 a Monday.
    assert_eq!(keep(&|k| k.weekly = 2), ["e", "c"]);
    assert_eq!(keep(&|k| k.monthly = 9), ["e", "a"]);
    assert_eq!(keep(&|k| k.yearly = 9), ["e"]);
    assert_eq!(keep(&|k| k.days = 6), ["e"]);
    assert_eq!(keep(&|k| k.days = 7), ["e", "d"], "counted from the newest set");
    assert_eq!(keep(&|k| k.forever = true), ["e", "d", "c", "b", "a"]);
    let fates = decide(&sets, &Keep { last: 1, daily: 2, ..Keep::default() });
    assert_eq!(fates[0].because, ["the newest", "last 1", "daily 1 of 2"]);
    assert_eq!(fates[1].because, ["daily 2 of 2"]);
}

#[test]
fn what_a_drill_proved_stays_until_a_newer_one_is_proven() {
    let mut sets = vec![set("a", "2026-01-01T00:00:00Z"), set("b", "2026-01-02T00:00:00Z"), set("c", "2026-01-03T00:00:00Z")];
    sets[0].proven = true;
    assert_eq!(stays(&sets, &Keep { last: 1, ..Keep::default() }), ["c", "a"]);
    sets[1].proven = true;
    assert_eq!(stays(&sets, &Keep { last: 1, ..Keep::default() }), ["c", "b"]);
}

/// Prunes after every backup of six years, as a cron job does, and compares what is left with the rules written down once more.
fn six_years(every: i64, keep: &Keep) -> Vec<Timestamp> {
    let start = at("2026-01-01T00:20:00Z").micros();
    let mut sets: Vec<Kept> = Vec::new();
    let mut time = start;
    while time < start + 6 * 365 * DAY + 2 * DAY {
        sets.push(Kept { id: time.to_string(), at: Timestamp::from_micros(time), proven: false });
        let gone: BTreeSet<String> = decide(&sets, keep).into_iter().filter(Fate::goes).map(|fate| fate.id).collect();
        sets.retain(|set| !gone.contains(&set.id));
        time += every;
    }
    sets.into_iter().map(|set| set.at).collect()
}

#[test]
fn six_years_of_days_leave_thirty_days() {
    let left = six_years(DAY, &Keep { days: 30, ..Keep::default() });
    assert_eq!((left.len(), left[0].day(), left[30].day()), (31, "2031-12-02".to_owned(), "2032-01-01".to_owned()));
}

#[test]
fn six_years_of_grandfathers_leave_exactly_theirs() {
    let left = six_years(DAY / 4, &Keep { hourly: 4, daily: 7, weekly: 4, monthly: 12, yearly: 10, ..Keep::default() });
    let days: Vec<String> = left.iter().map(|at| at.to_string()).collect();
    let expected = [
        // The last of each year.
        "2026-12-31T18:20:00Z",
        "2027-12-31T18:20:00Z",
        "2028-12-31T18:20:00Z",
        "2029-12-31T18:20:00Z",
        "2030-12-31T18:20:00Z",
        // The last of each month of the last year.
        "2031-02-28T18:20:00Z",
        "2031-03-31T18:20:00Z",
        "2031-04-30T18:20:00Z",
        "2031-05-31T18:20:00Z",
        "2031-06-30T18:20:00Z",
        "2031-07-31T18:20:00Z",
        "2031-08-31T18:20:00Z",
        "2031-09-30T18:20:00Z",
        "2031-10-31T18:20:00Z",
        "2031-11-30T18:20:00Z",
        // Sundays; then the last seven days; then hours.
        "2031-12-14T18:20:00Z",
        "2031-12-21T18:20:00Z",
        "2031-12-26T18:20:00Z",
        "2031-12-27T18:20:00Z",
        "2031-12-28T18:20:00Z",
        "2031-12-29T18:20:00Z",
        "2031-12-30T18:20:00Z",
        "2031-12-31T18:20:00Z",
        "2032-01-01T00:20:00Z",
        "2032-01-01T06:20:00Z",
        "2032-01-01T12:20:00Z",
        "2032-01-01T18:20:00Z",
    ];
    assert_eq!(days, expected);
}

#[test]
fn seven_years_of_hours_lose_none_and_what_is_kept_for_ever_stays() {
    assert_eq!(six_years(HOUR * 6, &Keep { days: 2557, ..Keep::default() }).len(), (6 * 365 + 2) * 4);
    assert_eq!(six_years(DAY * 10, &Keep { forever: true, ..Keep::default() }).len(), 220);
}

/// The rules once more, as their words say them and sharing nothing with [`decide`]: spans are those of the calendar, written so that
/// their texts sort; a rule of spans names the newest set of each of the last so many that have one.
fn named(sets: &[Kept], keep: &Keep) -> BTreeSet<String> {
    let mut old: Vec<&Kept> = sets.iter().collect();
    old.sort_by_key(|set| (set.at, &set.id));
    let Some(last) = old.last() else { return BTreeSet::new() };
    let mut stay = BTreeSet::from([last.id.clone()]);
    stay.extend(old.iter().rev().find(|set| set.proven).map(|set| set.id.clone()));
    stay.extend(old.iter().rev().take(keep.last as usize).map(|set| set.id.clone()));
    let age = |set: &Kept| last.at.micros() - set.at.micros();
    let young = |set: &&&Kept| keep.forever || (keep.days > 0 && age(set) <= i64::from(keep.days) * 86_400_000_000);
    stay.extend(old.iter().filter(young).map(|set| set.id.clone()));
    let rules =
        [("%F %H", keep.hourly), ("%F", keep.daily), ("%G-%V", keep.weekly), ("%Y-%m", keep.monthly), ("%Y", keep.yearly)];
    for (span, most) in rules.into_iter().filter(|(_, most)| *most > 0) {
        let mut newest: BTreeMap<String, &str> = BTreeMap::new();
        for set in &old {
            let at = jiff::Timestamp::from_microsecond(set.at.micros()).expect("a time").to_zoned(jiff::tz::TimeZone::UTC);
            newest.insert(at.strftime(span).to_string(), &set.id);
        }
        stay.extend(newest.values().rev().take(most as usize).map(|id| (*id).to_owned()));
    }
    stay
}

/// Six years of backups as a plan makes them, pruned every so often; what is left, and all that there ever was.
fn six_years_of(times: &[i64], prune_every: usize, keep: &Keep) -> (Vec<Kept>, Vec<Kept>) {
    let (mut left, mut all) = (Vec::new(), Vec::new());
    for (n, time) in times.iter().enumerate() {
        // Every so often a drill proves the newest.
        let set = Kept { id: format!("{time:020}"), at: Timestamp::from_micros(*time), proven: n % 31 == 7 };
        left.push(set.clone());
        all.push(set);
        if n % prune_every == 0 || n + 1 == times.len() {
            let gone: BTreeSet<String> = decide(&left, keep).into_iter().filter(Fate::goes).map(|fate| fate.id).collect();
            left.retain(|set| !gone.contains(&set.id));
        }
    }
    (left, all)
}

/// What it is called, when sets are made, how often is pruned, the rules, and how many are left where that is plain.
type Schedule = (&'static str, Vec<i64>, usize, Keep, Option<usize>);

/// The three schedules of the specification (000 §7.1) and one that thins out: after six years there is exactly what the rules name of
/// all that there ever was, however often was pruned on the way.
#[test]
fn six_years_of_every_schedule_leave_exactly_what_the_rules_name() {
    let start = at("2026-11-21T08:20:00Z").micros();
    let every = |step: i64| -> Vec<i64> { (0..6 * 365 * DAY / step).map(|n| start + n * step).collect() };
    // Changes come when they come; the seed is fixed.
    let mut random = 7_u64;
    let mut at = start;
    let changes: Vec<i64> = (0..900)
        .map(|_| {
            at += i64::try_from(crate::base::random::splitmix64(&mut random) % (5 * DAY as u64)).expect("small");
            at
        })
        .collect();
    let hourly = Keep { days: 7 * 365 + 2, ..Keep::default() };
    let thinned = Keep { last: 3, hourly: 24, daily: 7, weekly: 5, monthly: 12, yearly: 7, ..Keep::default() };
    let cases: [Schedule; 5] = [
        ("daily, 30 days", every(DAY), 1, Keep { days: 30, ..Keep::default() }, Some(31)),
        ("hourly, 7 years", every(HOUR), 9_000, hourly, Some(6 * 365 * 24)),
        ("on change, for ever", changes.clone(), 1, Keep { forever: true, ..Keep::default() }, Some(900)),
        ("thinned out", every(HOUR * 5), 1, thinned.clone(), None),
        ("changes, thinned out", changes, 3, thinned, None),
    ];
    for (what, times, prune_every, keep, expected) in cases {
        let (left, all) = six_years_of(&times, prune_every, &keep);
        let ids: BTreeSet<String> = left.iter().map(|set| set.id.clone()).collect();
        if let Some(expected) = expected {
            assert_eq!(ids.len(), expected, "{what}");
        }
        assert!(ids == named(&all, &keep), "{what}: {} are left, {} are named", ids.len(), named(&all, &keep).len());
    }
}

fn any_sets() -> impl Strategy<Value = Vec<Kept>> {
    let one = (0..4000_i64, any::<bool>());
    proptest::collection::vec(one, 0..60).prop_map(|all| {
        let set = |(i, (hours, proven)): (usize, (i64, bool))| Kept {
            id: format!("{i:02}"),
            at: Timestamp::from_micros(hours * HOUR),
            proven,
        };
        all.into_iter().enumerate().map(set).collect()
    })
}

proptest! {
    /// Any sets, any rules: what stays is what the rules name.
    #[test]
    fn what_stays_is_what_the_rules_name(
        sets in any_sets(), last in 0..4_u32, hourly in 0..30_u32, daily in 0..9_u32, weekly in 0..5_u32, monthly in 0..7_u32,
        yearly in 0..3_u32, days in 0..40_u32,
    ) {
        let keep = Keep { last, hourly, daily, weekly, monthly, yearly, days, ..Keep::default() };
        let left: BTreeSet<String> = stays(&sets, &keep).into_iter().collect();
        prop_assert_eq!(left, named(&sets, &keep));
    }

    /// Whatever the rules: every set has one fate, the newest and the newest proven one stay, more generous rules keep no fewer, and
    /// to prune again removes nothing.
    #[test]
    fn nothing_needed_goes(sets in any_sets(), last in 0..5_u32, daily in 0..9_u32, weekly in 0..5_u32, days in 0..40_u32) {
        let keep = Keep { last, daily, weekly, days, ..Keep::default() };
        let fates = decide(&sets, &keep);
        prop_assert_eq!(fates.len(), sets.len());
        let left: Vec<Kept> = sets.iter().filter(|s| fates.iter().any(|f| f.id == s.id && !f.goes())).cloned().collect();
        prop_assert_eq!(left.iter().map(|s| s.at).max(), sets.iter().map(|s| s.at).max());
        let proven = |all: &[Kept]| all.iter().filter(|s| s.proven).map(|s| s.at).max();
        prop_assert_eq!(proven(&left), proven(&sets));
        let more = Keep { last: last + 1, daily: daily + 1, ..keep.clone() };
        prop_assert!(stays(&sets, &more).len() >= left.len());
        prop_assert!(decide(&left, &keep).iter().all(|fate| !fate.goes()));
    }
}
