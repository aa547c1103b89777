use super::*;
use crate::base::time::{Clock, Timestamp};
use crate::gateway::fuse::Fuse;
use crate::gateway::settings::FuseRule;
use crate::gateway::table::{Table, Upstream};
use crate::gateway::tally::Tally;
use proptest::prelude::*;

fn weight(hundredths: u16) -> Weight {
    Weight::from_hundredths(hundredths).expect("a weight")
}

fn routes(part: u16, canary: bool) -> Routes {
    let upstream =
        |version: &str| Upstream { version: version.parse().expect("a version"), endpoints: vec!["http://127.0.0.1:1".into()] };
    let table = Table {
        generation: 1,
        model: "bot".parse().expect("a name"),
        stable: Some(upstream("1.0.0")),
        canary: canary.then(|| upstream("1.1.0")),
        weight: weight(part),
        shadow: Weight::NONE,
        salt: "1.0.0+1.1.0".into(),
    };
    let clock = Arc::new(Clock::stepping(Timestamp::from_micros(0)));
    Routes::new(table, None, Fuse::new(FuseRule::default(), clock), |_| Arc::new(Tally::new())).expect("a table")
}

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.names.tenant_header = Some("x-tenant".into());
    settings.names.sticky_header = Some("x-user".into());
    settings.tenants = [("calm".to_owned(), Policy::StableOnly), ("keen".to_owned(), Policy::Canary)].into();
    settings
}

/// The version that answers and whether it was forced and a session begun, or why none does.
fn chosen(routes: &Routes, headers: &[(&str, &str)]) -> Result<(String, bool, bool), NoChoice> {
    let headers = headers.iter().map(|(k, v)| (k.parse().expect("a name"), v.parse().expect("a value"))).collect();
    let marks = Marks::new(&settings()).expect("names");
    let dice = Dice::new(&Random::seeded(1));
    let choice = choose(routes, &marks, &headers, &dice, || "new".into())?;
    Ok((choice.arm.version.to_string(), choice.forced, choice.session.is_some()))
}

fn is(version: &str, forced: bool, session: bool) -> Result<(String, bool, bool), NoChoice> {
    Ok((version.into(), forced, session))
}

#[test]
fn a_header_goes_before_a_cookie_and_both_before_the_split() {
    let half = routes(0, true);
    let of = |headers: &[(&str, &str)]| chosen(&half, headers);
    assert_eq!(of(&[("x-kf-version", "canary")]), is("1.1.0", true, false));
    assert_eq!(of(&[("x-kf-version", "stable"), ("cookie", "kf-version=canary")]), is("1.0.0", true, false));
    assert_eq!(of(&[("x-kf-version", "1.1.0")]), is("1.1.0", true, false));
    assert_eq!(of(&[("cookie", "kf-version=1.1.0"), ("x-user", "u")]), is("1.1.0", true, false));
    assert_eq!(of(&[("cookie", "kf-version=0.9.0"), ("x-user", "u")]), is("1.0.0", false, false), "a stale cookie");
    assert_eq!(of(&[("x-kf-version", "0.9.0")]), Err(NoChoice::Unknown));
    assert_eq!(of(&[("x-kf-version", "")]), Err(NoChoice::Unknown));
}

/// A shadow answers nobody: neither who asks for it by name nor a tenant that always gets the newest.
#[test]
fn nobody_gets_the_answers_of_a_shadow() {
    let with = |part: u16, shadow: u16| {
        let mut routes = routes(part, true);
        routes.table.shadow = weight(shadow);
        routes
    };
    let (copies, both) = (with(0, 100), with(100, 100));
    for headers in [[("x-tenant", "keen")], [("cookie", "kf-version=canary")], [("x-user", "u")]] {
        assert_eq!(chosen(&copies, &headers), is("1.0.0", false, false), "{headers:?}");
    }
    assert_eq!(chosen(&copies, &[("x-kf-version", "canary")]), Err(NoChoice::Unknown));
    assert_eq!(chosen(&copies, &[("x-kf-version", "stable")]), is("1.0.0", true, false));
    assert_eq!(chosen(&both, &[("x-kf-version", "canary")]), is("1.1.0", true, false), "beside users it is a canary");
}

#[test]
fn a_session_is_begun_only_when_there_is_something_to_split() {
    assert_eq!(chosen(&routes(5000, false), &[]), is("1.0.0", false, false));
    assert_eq!(chosen(&routes(10_000, true), &[]), is("1.1.0", false, true));
    assert_eq!(chosen(&routes(10_000, true), &[("cookie", "kf-session=a")]), is("1.1.0", false, false));
    assert_eq!(chosen(&routes(10_000, true), &[("cookie", "kf-session=")]), is("1.1.0", false, true), "an empty key is none");
}

#[test]
fn tenants_get_what_they_may() {
    let all = routes(10_000, true);
    assert_eq!(chosen(&all, &[("x-tenant", "calm")]), is("1.0.0", false, false));
    assert_eq!(chosen(&all, &[("x-tenant", "calm"), ("cookie", "kf-version=canary")]), is("1.0.0", false, false));
    assert_eq!(chosen(&all, &[("x-tenant", "calm"), ("x-kf-version", "canary")]), Err(NoChoice::Unknown));
    assert_eq!(chosen(&all, &[("x-tenant", "calm"), ("x-kf-version", "1.0.0")]), is("1.0.0", true, false));
    for both in ["keen, calm", "calm,keen", "calm,stranger"] {
        assert_eq!(chosen(&all, &[("x-tenant", both), ("x-kf-version", "canary")]), Err(NoChoice::Unknown), "{both}");
    }
    assert_eq!(chosen(&all, &[("x-tenant", "keen"), ("x-tenant", "calm")]), is("1.0.0", false, false), "of two lines");
    assert_eq!(chosen(&routes(0, true), &[("x-tenant", "keen")]), is("1.1.0", false, false));
    assert_eq!(chosen(&routes(0, false), &[("x-tenant", "keen")]), is("1.0.0", false, false));
}

#[test]
fn a_blown_fuse_leaves_only_those_who_ask() {
    let all = routes(10_000, true);
    (0..20).for_each(|_| all.fuse.count(true, true));
    assert_eq!(chosen(&all, &[("x-user", "u")]), is("1.0.0", false, false));
    assert_eq!(chosen(&all, &[("x-tenant", "keen"), ("x-user", "u")]), is("1.0.0", false, false));
    assert_eq!(chosen(&all, &[("x-kf-version", "canary")]), is("1.1.0", true, false));
}

/// Within five standard deviations of the binomial: a wrong split fails, the fixed seed makes it no lottery.
fn is_about(hits: usize, n: usize, share: f64) -> bool {
    (hits as f64 - n as f64 * share).abs() <= 5.0 * (n as f64 * share * (1.0 - share)).sqrt()
}

#[test]
fn shares_are_as_set() {
    let (n, dice) = (100_000, Dice::new(&Random::seeded(7)));
    for part in [1, 50, 500, 2_500, 5_000, 9_999] {
        let share = weight(part).share();
        let sessions = (0..n).filter(|i| is_canarys("pair", format!("user-{i}").as_bytes(), weight(part))).count();
        assert!(is_about(sessions, n, share), "{sessions} sessions of {n} at {share}");
        let rolled = (0..n).filter(|_| dice.hits(weight(part))).count();
        assert!(is_about(rolled, n, share), "{rolled} rolls of {n} at {share}");
    }
    assert_eq!((0..n).filter(|_| dice.hits(Weight::NONE)).count(), 0);
    assert_eq!((0..n).filter(|_| dice.hits(Weight::FULL)).count(), n);
}

#[test]
fn another_pair_of_versions_tries_other_sessions() {
    let n = 100_000;
    let hit = |salt: &str, i: usize| is_canarys(salt, format!("user-{i}").as_bytes(), weight(1_000));
    let both = (0..n).filter(|i| hit("a", *i) && hit("b", *i)).count();
    assert!(is_about(both, n, 0.01), "{both}");
}

proptest! {
    /// Raising the weight moves sessions only to the canary, lowering it only back.
    #[test]
    fn sessions_move_one_way(key in prop::collection::vec(any::<u8>(), 0..40), salt in "[ -~]{0,20}", a in 0_u16..=10_000, b in 0_u16..=10_000) {
        let (low, high) = (weight(a.min(b)), weight(a.max(b)));
        prop_assert!(!is_canarys(&salt, &key, low) || is_canarys(&salt, &key, high));
        prop_assert!(!is_canarys(&salt, &key, Weight::NONE));
        prop_assert!(is_canarys(&salt, &key, Weight::FULL));
    }
}
