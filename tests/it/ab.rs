//! `kf ab`: tests of one version against another, from plan to end.

use crate::repo::{ends, events, json, next_bot, ok, on_both, refused, with_bot};
use crate::schemas::fit;
use crate::support::sandbox::Sandbox;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// A repository with two versions of the bot.
pub(crate) fn two_bots(s: &Sandbox) {
    with_bot(s);
    next_bot(s, 6);
}

pub(crate) fn create<const N: usize>(s: &Sandbox, name: &str, more: [&str; N]) {
    let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
    command.args(["ab", "create", name, "--control", "bot@1.0.0", "--treatment", "bot@1.0.1"]).args(more);
    let run = s.finish(&mut command);
    assert_eq!(run.code, Some(0), "{run}");
}

/// `n` users of each variant of whom so many were served well, in `ms` milliseconds and a little more or less.
fn results(n: usize, (control, treatment): (usize, usize), (slow, fast): (usize, usize)) -> String {
    let mut csv = "unit,variant,solved,latency-ms,note\n".to_owned();
    for (variant, solved, ms) in [("control", control, slow), ("treatment", treatment, fast)] {
        for i in 0..n {
            let _ = writeln!(csv, "{variant}-{i},{variant},{},{},x", u8::from(i < solved), ms + i * 37 % 41);
        }
    }
    csv
}

pub(crate) fn analysis(s: &Sandbox, name: &str, code: i32) -> Value {
    let found = json(&ends(s, code, ["ab", "analyze", name, "--format", "json"]));
    fit("ab-analysis", std::slice::from_ref(&found));
    found
}

#[test]
fn a_test_goes_from_its_plan_to_its_end() {
    on_both(|s| {
        two_bots(s);
        create(
            s,
            "greeting",
            ["--metric", "solved", "--guardrail", "latency-ms:mean:lower=25", "--effect", "0.08", "--base", "0.5"],
        );
        let shown = ok(s, ["ab", "show", "greeting"]).stdout;
        assert!(shown.contains("greeting: bot@1.0.1 against bot@1.0.0, running"), "{shown}");
        assert!(shown.contains("a difference of 0.08 is found with a chance of 0.8 by"), "{shown}");
        assert_eq!(analysis(s, "greeting", 4)["decision"], "continue");
        // A little, twice: it counts once, and decides nothing.
        s.write("few.csv", results(40, (20, 22), (400, 400)));
        let first = json(&ok(s, ["ab", "record", "greeting", "--from", "few.csv", "--format", "json"]));
        assert_eq!((&first["new"], &first["unused"]), (&json!(160), &json!(["note"])));
        let before = events(s);
        let again = json(&ok(s, ["ab", "record", "greeting", "--from", "few.csv", "--format", "json"]));
        assert_eq!((&again["new"], &again["known"], &again["event"]), (&json!(0), &json!(160), &Value::Null));
        assert_eq!(events(s), before, "nothing new, no event");
        s.write("other.csv", results(40, (21, 22), (400, 400)));
        let differing = ok(s, ["ab", "record", "greeting", "--from", "other.csv"]).stdout;
        assert!(
            differing.contains("recorded 0 values, 159 there already, 1 there with another number, which stays"),
            "{differing}"
        );
        let few = analysis(s, "greeting", 4);
        assert_eq!((&few["decision"], &few["primary"]["control"]["n"]), (&json!("continue"), &json!(40)));
        let table = ends(s, 4, ["ab", "analyze", "greeting"]).stdout;
        assert!(table.contains("of the planned") && table.contains("the split is the planned one"), "{table}");
        // Much: it is clear, and no user waits longer.
        s.write("many.csv", results(2_000, (1_000, 1_200), (400, 401)));
        ok(s, ["ab", "record", "greeting", "--from", "many.csv"]);
        let many = analysis(s, "greeting", 0);
        assert_eq!((&many["decision"], &many["guardrails"][0]["state"]), (&json!("promote"), &json!("holds")), "{many:#}");
        // Of the 40 that were there 18 have 0, and keep it: 1,182 of 2,000.
        assert_eq!(many["primary"]["treatment"]["mean"], 0.591);
        assert_eq!(
            many["next"],
            "kf ab stop greeting && kf promote bot@1.0.1 --to staging && kf promote bot@1.0.1 --to production"
        );
        // What was seen of them is not their names.
        let state = ok(s, ["audit", "log", "--format", "json"]).stdout;
        assert!(!state.contains("treatment-17"));
        let stopped = ok(s, ["ab", "stop", "greeting", "--reason", "clear", "--ticket", "OPS-1"]).stdout;
        assert!(stopped.starts_with("greeting is stopped: promote: the treatment is better with a chance of"), "{stopped}");
        for args in [["ab", "stop", "greeting", "--quiet", "--quiet"], ["ab", "record", "greeting", "--from", "few.csv"]] {
            let run = s.kf(args);
            assert!(run.code == Some(1) || run.code == Some(2), "{run}");
        }
        assert!(refused(s, 1, ["ab", "record", "greeting", "--from", "few.csv"]).stderr.contains("was stopped: promote"));
        let listed = json(&ok(s, ["ab", "list", "--format", "json"]));
        assert_eq!((&listed["tests"][0]["open"], &listed["tests"][0]["decision"]), (&json!(false), &json!("promote")));
        assert!(ok(s, ["ab", "assign", "greeting", "--key", "u"]).stderr.contains("was stopped"));
        ok(s, ["fsck"]);
    });
}

#[test]
fn what_users_of_a_running_test_get_stays() {
    on_both(|s| {
        two_bots(s);
        let old = s.read("mlops.toml");
        s.write("mlops.toml", format!("{old}\n[policy]\nretention-days = 0\nrollback-window = 1\n"));
        create(s, "greeting", ["--metric", "solved"]);
        let run = refused(s, 1, ["archive", "bot@1.0.0"]);
        assert!(run.stderr.contains("the A/B test greeting") && run.stderr.contains("kf ab stop greeting"), "{run}");
        ok(s, ["ab", "stop", "greeting"]);
        ok(s, ["archive", "bot@1.0.0"]);
        // One that was retired before a test with it began is held by the test alone.
        create(s, "again", ["--metric", "solved"]);
        let kept = || ok(s, ["gc", "--grace", "1s", "--force"]).stdout;
        assert!(kept().contains("bot@1.0.0  A/B test again"), "{}", kept());
        ok(s, ["ab", "stop", "again"]);
        assert!(kept().contains("past retention: 1 version"), "{}", kept());
    });
}

#[test]
fn a_broken_guardrail_and_a_lost_part_of_the_users_end_with_3() {
    let s = &Sandbox::new();
    two_bots(s);
    create(s, "slow", ["--metric", "solved", "--guardrail", "latency-ms:mean:lower=25"]);
    s.write("slow.csv", results(2_000, (1_000, 1_200), (400, 480)));
    ok(s, ["ab", "record", "slow", "--from", "slow.csv"]);
    let found = analysis(s, "slow", 3);
    assert_eq!((&found["decision"], &found["guardrails"][0]["state"]), (&json!("guarded"), &json!("broken")), "{found:#}");
    create(s, "lost", ["--metric", "solved"]);
    let lost: String = results(2_000, (1_000, 1_200), (400, 400)).lines().filter(|l| !l.contains("treatment-1")).fold(
        String::new(),
        |mut all, line| {
            let _ = writeln!(all, "{line}");
            all
        },
    );
    s.write("lost.csv", lost);
    ok(s, ["ab", "record", "lost", "--from", "lost.csv"]);
    let found = analysis(s, "lost", 3);
    assert_eq!(found["decision"], "invalid");
    assert!(found["reason"].as_str().is_some_and(|r| r.contains("units were lost on the way")), "{found:#}");
    let table = ends(s, 3, ["ab", "analyze", "lost"]).stdout;
    assert!(table.contains("that is not the planned split") && !table.contains("is the planned one"), "{table}");
    // The other way round it is kept; with the rule of Bayes alone luck is enough.
    create(s, "worse", ["--metric", "solved"]);
    s.write("worse.csv", results(2_000, (1_200, 1_000), (400, 400)));
    ok(s, ["ab", "record", "worse", "--from", "worse.csv"]);
    assert_eq!(analysis(s, "worse", 0)["decision"], "keep");
    for (name, rule, code) in [("lucky", "both", 4), ("bold", "bayes", 0)] {
        create(s, name, ["--metric", "solved", "--rule", rule]);
        s.write("lucky.csv", results(1_000, (500, 540), (400, 400)));
        ok(s, ["ab", "record", name, "--from", "lucky.csv"]);
        let found = analysis(s, name, code);
        assert!(found["primary"]["probability"].as_f64().is_some_and(|p| (0.95..0.98).contains(&p)), "{found:#}");
    }
}

/// More users are served well, and errors rise from 1 % to 25 %: nobody has to say that these are worse.
#[test]
fn a_guardrail_on_a_name_of_kf_looks_the_right_way() {
    let s = &Sandbox::new();
    two_bots(s);
    create(s, "er", ["--metric", "solved", "--guardrail", "error-rate=0.01", "--guardrail", "latency-p95=50"]);
    let shown = ok(s, ["ab", "show", "er"]).stdout;
    assert!(shown.contains("guardrail: error-rate (rate, lower is better), at most 0.01 worse"), "{shown}");
    assert!(shown.contains("guardrail: latency-p95 (mean, lower is better), at most 50 worse"), "{shown}");
    let mut csv = "unit,variant,solved,error-rate,latency-p95\n".to_owned();
    for (variant, solved, failed) in [("control", 1_000, 20), ("treatment", 1_300, 500)] {
        for i in 0..2_000 {
            let _ = writeln!(csv, "{variant}-{i},{variant},{},{},400", u8::from(i < solved), u8::from(i < failed));
        }
    }
    s.write("er.csv", csv);
    ok(s, ["ab", "record", "er", "--from", "er.csv"]);
    let found = analysis(s, "er", 3);
    assert_eq!((&found["decision"], &found["guardrails"][0]["state"]), (&json!("guarded"), &json!("broken")), "{found:#}");
    let before = events(s);
    for (more, why) in [
        (["--metric", "solved", "--guardrail", "error-rate:higher=0.01"], "lower is better: write `error-rate` alone"),
        (["--metric", "solved", "--guardrail", "quality=0.1"], "write `quality:higher=0.1` when higher ones are better"),
        (["--metric", "token-f1:rate", "--split", "50"], "is a score (from 0 to 1) and no rate"),
        (["--metric", "hallucination:higher", "--split", "50"], "lower is better"),
    ] {
        let arms = ["ab", "create", "t", "--control", "bot@1.0.0", "--treatment", "bot@1.0.1"];
        let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(arms).args(more));
        assert!(run.code == Some(2) && run.stderr.contains(why), "{why}: {run}");
    }
    assert_eq!(events(s), before);
}

/// What is printed can be typed, wherever the version stands.
#[test]
fn what_is_next_leads_to_production() {
    for (staged, policy, steps) in [(false, "", 3), (true, "", 2), (false, "\n[policy]\nskip-staging = true\n", 2)] {
        let s = &Sandbox::new();
        two_bots(s);
        s.write("mlops.toml", s.read("mlops.toml") + policy);
        if staged {
            ok(s, ["promote", "bot@1.0.1", "--to", "staging"]);
        }
        create(s, "t", ["--metric", "solved"]);
        create(s, "late", ["--metric", "solved"]);
        s.write("r.csv", results(2_000, (1_000, 1_200), (400, 400)));
        ok(s, ["ab", "record", "t", "--from", "r.csv"]);
        ok(s, ["ab", "record", "late", "--from", "r.csv"]);
        let next = analysis(s, "t", 0)["next"].as_str().expect("a next step").to_owned();
        let typed: Vec<&str> = next.split(" && ").collect();
        assert_eq!(typed.len(), steps, "{next}");
        for command in typed {
            let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(command.split(' ').skip(1)));
            assert_eq!(run.code, Some(0), "{command}: {run}");
        }
        assert!(ok(s, ["show", "bot@production"]).stdout.contains("1.0.1"));
        assert_eq!(analysis(s, "late", 0)["next"], "kf ab stop late", "it is in production already");
    }
}

#[test]
fn a_feed_with_a_bad_line_changes_nothing() {
    let s = &Sandbox::new();
    two_bots(s);
    create(s, "t", ["--metric", "solved", "--guardrail", "quality:score:higher=0.1"]);
    let before = events(s);
    s.write("bad.csv", "unit,variant,solved,quality\na,control,1,0.5\nb,treatment,2,0.5\nc,neither,1,1.5\n");
    let run = refused(s, 1, ["ab", "record", "t", "--from", "bad.csv"]);
    for line in [
        "nothing of bad.csv is recorded:",
        "bad.csv:3:13: `solved` is a rate: 0 or 1, not 2",
        "bad.csv:4:13: `quality` is a score: from 0 to 1, not 1.5",
    ] {
        assert!(run.stderr.contains(line), "{line}: {run}");
    }
    s.write("bad.jsonl", "{\"unit\": \"a\", \"solved\": 1}\n{\"unit\": \"b\", \"solved\": 1\n");
    assert!(refused(s, 1, ["ab", "record", "t", "--from", "bad.jsonl"]).stderr.contains("bad.jsonl:2:25: not a JSON object"));
    assert!(refused(s, 1, ["ab", "record", "t", "--from", "none.csv"]).stderr.contains("cannot read none.csv"));
    assert_eq!(events(s), before);
    assert_eq!(json(&ok(s, ["ab", "show", "t", "--format", "json"]))["batches"], json!([]));
    // A field that is there twice, and a list that is nobody's name.
    s.write("twice.jsonl", "{\"unit\": \"a\", \"solved\": 1, \"solved\": 0}\n{\"unit\": [\"z\"], \"solved\": 1}\n");
    let run = refused(s, 1, ["ab", "record", "t", "--from", "twice.jsonl"]);
    assert!(run.stderr.contains("twice.jsonl:1:38: `solved` is there twice"), "{run}");
    assert!(run.stderr.contains("twice.jsonl:2:10: `unit` is `[\"z\"]`, and is to be a text or a number"), "{run}");
    s.write("twice.csv", "unit,solved,solved\na,1,0\n");
    assert!(refused(s, 1, ["ab", "record", "t", "--from", "twice.csv"]).stderr.contains("twice.csv:1:13: the column `solved`"));
    // A unit that changes sides between two feeds.
    s.write("one.csv", "unit,variant,solved\na,control,1\n");
    ok(s, ["ab", "record", "t", "--from", "one.csv"]);
    s.write("two.csv", "unit,variant,solved\nz,control,1\na,treatment,1\n");
    let run = refused(s, 1, ["ab", "record", "t", "--from", "two.csv"]);
    assert!(run.stderr.contains("two.csv:3:1: this unit was recorded with control, and has treatment here"), "{run}");
    for (args, code, why) in [
        (&["ab", "create", "t", "--control", "bot@1.0.0", "--treatment", "bot@1.0.1", "--metric", "x"] as &[&str], 1, "already"),
        (
            &["ab", "create", "u", "--control", "bot@1.0.0", "--treatment", "bot@1.0.0", "--metric", "x"],
            2,
            "both variants are bot@1.0.0",
        ),
        (&["ab", "create", "u", "--control", "bot@1.0.0", "--treatment", "bot@7.0.0", "--metric", "x"], 1, "7.0.0"),
        (
            &["ab", "create", "u", "--control", "bot@1.0.0", "--treatment", "bot@1.0.1", "--metric", "unit"],
            2,
            "field of every line",
        ),
        (
            &["ab", "create", "u", "--control", "bot@1.0.0", "--treatment", "bot@1.0.1", "--metric", "x", "--split", "100"],
            2,
            "between 0 and 100",
        ),
        (
            &["ab", "create", "u", "--control", "bot@1.0.0", "--treatment", "bot@1.0.1", "--metric", "x:median"],
            2,
            "neither a kind",
        ),
        (
            &["ab", "create", "u", "--control", "bot@1.0.0", "--treatment", "bot@1.0.1", "--metric", "x", "--guardrail", "y"],
            2,
            "METRIC=MARGIN",
        ),
        (
            &["ab", "create", "u", "--control", "bot@1.0.0", "--treatment", "bot@1.0.1", "--metric", "x", "--effect", "0.1"],
            2,
            "`--base`",
        ),
        (&["ab", "plan", "--metric", "x:mean", "--effect", "1", "--base", "0.5"], 2, "`--sd`"),
        (&["ab", "plan", "--metric", "x", "--effect", "0.6", "--base", "0.5"], 2, "which no rate is"),
        (&["ab", "plan", "--metric", "x"], 2, "`--effect`"),
        (&["ab", "analyze", "tt"], 1, "there is: t"),
        (&["ab", "record", "t", "--from", "evaluations"], 2, "--paired"),
        (&["ab", "record", "t", "--from", "gateway"], 2, "no target for bot"),
    ] {
        let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(args));
        assert!(run.code == Some(code) && run.stderr.contains(why), "{args:?} {why}: {run}");
    }
}

#[test]
fn a_user_gets_the_same_version_every_time_and_as_a_flag_would() {
    let s = &Sandbox::new();
    two_bots(s);
    create(s, "greeting", ["--metric", "solved", "--split", "20"]);
    ok(s, ["flag", "set", "greeting", "--variant", "treatment=20", "--variant", "control=80"]);
    let before = events(s);
    let mut treated = 0;
    for key in (0..40).map(|i| format!("user-{i}")) {
        let said = ok(s, ["ab", "assign", "greeting", "--key", &key]).stdout;
        let flag = ok(s, ["flag", "eval", "greeting", "--key", &key]).stdout;
        assert_eq!(said.split(' ').next(), Some(flag.trim()), "{key}");
        treated += u32::from(said == "treatment bot@1.0.1\n");
    }
    assert!((2..=16).contains(&treated), "{treated} of 40");
    fit("ab-assign", &[json(&ok(s, ["ab", "assign", "greeting", "--key", "user-1", "--format", "json"]))]);
    assert_eq!(events(s), before, "assigning writes nothing");
    // Results without a variant are of the one that was assigned.
    let lines: String = (0..40).map(|i| format!("{{\"unit\": \"user-{i}\", \"solved\": 1}}\n")).collect();
    s.write("r.jsonl", lines);
    ok(s, ["ab", "record", "greeting", "--from", "r.jsonl"]);
    assert_eq!(analysis(s, "greeting", 4)["primary"]["treatment"]["n"], treated);
}

/// What could not be added up is refused before it stops every analysis.
#[test]
fn values_beyond_sums_are_refused() {
    let s = &Sandbox::new();
    two_bots(s);
    create(s, "large", ["--metric", "cost:mean:lower"]);
    s.write("large.csv", "unit,variant,cost\na,control,1e308\nb,control,-1e308\n");
    assert!(refused(s, 1, ["ab", "record", "large", "--from", "large.csv"]).stderr.contains("large.csv:2:11: `cost` is 1e308"));
    ends(s, 4, ["ab", "analyze", "large"]);
    ok(s, ["ab", "stop", "large"]);
}

/// Pairs that all gain the same have no spread, and are no less clear for that.
#[test]
fn pairs_that_are_all_alike_are_decided() {
    let s = &Sandbox::new();
    two_bots(s);
    for (name, control, treatment, decision) in [("better", 0, 1, "promote"), ("worse", 1, 0, "keep")] {
        create(s, name, ["--metric", "solved", "--paired"]);
        let csv: String = (0..500).map(|i| format!("q{i},control,{control}\nq{i},treatment,{treatment}\n")).collect();
        s.write("alike.csv", format!("unit,variant,solved\n{csv}"));
        ok(s, ["ab", "record", name, "--from", "alike.csv"]);
        let found = analysis(s, name, 0);
        assert_eq!((&found["decision"], &found["primary"]["probability"]), (&json!(decision), &Value::Null), "{found:#}");
        assert!(found["reason"].as_str().is_some_and(|r| r.starts_with("all 500 pairs differ by")), "{found:#}");
    }
}

/// Six users show by luck what looks like a worse version.
#[test]
fn a_few_units_keep_nothing() {
    let s = &Sandbox::new();
    two_bots(s);
    create(s, "early", ["--metric", "solved"]);
    s.write("early.csv", results(3, (3, 0), (400, 400)));
    ok(s, ["ab", "record", "early", "--from", "early.csv"]);
    let found = analysis(s, "early", 4);
    assert!(found["primary"]["probability"].as_f64().is_some_and(|p| p < 0.05), "{found:#}");
    assert!(found["reason"].as_str().is_some_and(|r| r.ends_with("fewer than 30 units of a variant keep nothing")), "{found:#}");
}

/// A user who comes ten times is one user.
#[test]
fn a_unit_with_many_records_counts_once() {
    let s = &Sandbox::new();
    two_bots(s);
    create(s, "often", ["--metric", "solved"]);
    let mut csv = "unit,id,variant,solved\n".to_owned();
    for (variant, users) in [("control", 40), ("treatment", 40)] {
        for (user, visit) in (0..users).flat_map(|u| (0..10).map(move |v| (u, v))) {
            let solved = u8::from(if variant == "control" { user % 2 == 0 } else { user % 3 > 0 });
            let _ = writeln!(csv, "{variant}{user},{variant}{user}-{visit},{variant},{solved}");
        }
    }
    s.write("often.csv", csv);
    ok(s, ["ab", "record", "often", "--from", "often.csv"]);
    let found = analysis(s, "often", 4);
    let primary = &found["primary"];
    assert_eq!((&primary["control"]["n"], &primary["repeated"]), (&json!(40), &json!(80)), "{found:#}");
    // As rows that are independent 400 of 0.5 and 0.65 would promote.
    assert!(primary["evidence"].as_f64().is_some_and(|e| e < 3.0), "{found:#}");
}

#[test]
fn a_plan_says_how_many_users_it_takes() {
    let s = &Sandbox::new();
    let plan =
        |args: &[&str]| json(&s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(["ab", "plan", "--format", "json"]).args(args)));
    // statsmodels 0.15.0: `samplesize_proportions_2indep_onetail(0.02, 0.1, 0.8)` is 3840.8 of each variant.
    let rate = plan(&["--metric", "solved", "--base", "0.1", "--effect", "0.02"]);
    assert_eq!(rate["units"]["once"], 2 * 3841);
    let looking = rate["units"]["looking"].as_u64().expect("a number");
    assert!(looking > 2 * 3841 && looking < 6 * 3841, "{rate}");
    let more = plan(&["--metric", "solved", "--base", "0.1", "--effect", "0.02", "--power", "0.9", "--split", "20"]);
    assert!(more["units"]["once"].as_u64() > rate["units"]["once"].as_u64(), "{more}");
    let pairs = plan(&["--metric", "f1:score", "--sd", "0.2", "--effect", "0.04", "--paired"]);
    assert_eq!((&pairs["units"]["once"], &pairs["design"]), (&json!(197), &json!("paired")));
}
