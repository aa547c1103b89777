//! A state with something of everything in it: for tests that look at all of it.

use crate::repo::{ends, json, ok, write_bot};
use crate::support::sandbox::{Engine, Sandbox};
use kf::base::digest::Digest;
use kf::base::random::Random;
use kf::base::time::Clock;
use kf::base::weight::Weight;
use kf::domain::rollout::judge::judge;
use kf::domain::rollout::lease;
use kf::domain::rollout::machine::{Event, Phase, advance};
use kf::domain::rollout::measure::Frozen;
use kf::domain::rollout::plan::Plan;
use kf::domain::rollout::policy::Policy;
use kf::domain::rollout::record::{self, Because, Note};
use kf::domain::rollout::setup::{Setup, Strategy, Tests};
use kf::domain::rollout::table::{Latency, Rollout, Seen};
use kf::domain::rollout::window::Window;
use kf::release::rollout::order::order;
use kf::seams::traffic::Arm;
use kf::store::objects::Keys;
use kf::store::{DbTarget, Identity, Mode, PostgresTarget, Settings, Store};
use std::sync::Arc;
use std::time::Duration;

/// What the story's `mlops.toml` says after the table of the project.
pub(crate) const CONFIG: &str = "[model.golden]\ntype = \"dataset\"\npath = \"golden.jsonl\"\n[golden]\ndataset = \"golden@1.0.0\"\n[policy]\nskip-staging = true\n[signing]\nlog-key = \"file:../log.key\"\n\
    [gates.exact]\nstage = [\"staging\", \"production\"]\nkind = \"absolute\"\nmetric = \"exact-match\"\nmin = 0.3\nallow-recorded = true\n\
    [gates.no-worse]\nstage = \"production\"\nkind = \"regression\"\nmetric = \"exact-match\"\nmargin = 0.9\nallow-recorded = true\n\
    [target.edge]\ncommand = [\"python3\", \"serve.py\"]\nadmin = \"127.0.0.1:1\"\n";

/// Eight questions, and answers of which the first `right` are right; one cannot be scored.
fn answers(s: &Sandbox, right: usize) {
    let rows = (0..8).map(|i| format!("{{\"id\": \"q{i}\", \"question\": \"Question {i}?\", \"reference\": \"answer {i}\"}}\n"));
    s.write("golden.jsonl", rows.collect::<String>());
    let text = |i: usize| if i < right { format!("answer {i}") } else { "no idea".to_owned() };
    let line = |i: usize| match i {
        7 => "{\"id\": \"q7\", \"error\": \"timeout\"}\n".to_owned(),
        _ => format!("{{\"id\": \"q{i}\", \"answer\": \"{}\"}}\n", text(i)),
    };
    s.write("answers.jsonl", (0..8).map(line).collect::<String>());
}

fn next(s: &Sandbox, top_k: u32) {
    s.write("bot/retrieval.yaml", format!("top-k: {top_k}\nmode: hybrid\n"));
    ok(s, ["register", "bot", "bot", "--bump", "patch"]);
}

/// Registers with everything there is, evaluates, promotes with a waiver and without, is refused, rolls back, aliases, tags,
/// archives, restores; signed from the first entry on.
pub(crate) fn tell(s: &Sandbox) {
    s.git(["init", "-q", "-b", "main"]);
    s.repository("");
    ok(s, ["audit", "key", "--generate", "--out", "../log.key"]);
    let config = s.read("mlops.toml");
    s.write("mlops.toml", format!("{config}{CONFIG}"));
    write_bot(s);
    answers(s, 7);
    s.git(["add", "."]);
    s.git(["commit", "-q", "-m", "first"]);
    ok(s, ["register", "golden", "golden.jsonl", "--type", "dataset", "--tag", "reviewed"]);
    ok(s, ["register", "embedder", "bot/routing.yaml", "--type", "embedding", "--meta", "license=MIT", "--as", "nightly"]);
    let registered =
        ["register", "bot", "bot", "--metric", "f1=0.83", "--metric", "loss=0.25", "--meta", "language=en", "--tag", "new"];
    let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
    command.args(registered).args([
        "--depends",
        "embedder@1.0.0",
        "--dataset",
        "golden@1.0.0",
        "--ticket",
        "OPS-1",
        "--reason",
        "go",
    ]);
    let run = s.finish(&mut command);
    assert_eq!(run.code, Some(0), "{run}");
    let evaluate = |reference: &str| {
        s.kf(["eval", reference, "--answers", "answers.jsonl", "--metric", "exact-match", "--metric", "token-f1"])
    };
    evaluate("bot@1.0.0");
    let first = ["promote", "bot@1.0.0", "--to", "production", "--first-release", "--ticket", "OPS-2", "--reason", "the first"];
    ok(s, first);
    next(s, 8);
    ends(s, 4, ["promote", "bot@1.0.1", "--to", "production", "--reason", "too early"]);
    answers(s, 5);
    evaluate("bot@1.0.1");
    ok(s, ["promote", "bot@1.0.1", "--to", "staging"]);
    ok(s, ["promote", "bot@1.0.1", "--to", "production"]);
    ok(s, ["rollback", "bot", "--ticket", "INC-1", "--reason", "customers complain"]);
    ok(s, ["alias", "bot@1.0.0", "champion"]);
    ok(s, ["tag", "bot@1.0.0", "praised"]);
    ok(s, ["tag", "bot@1.0.0", "new", "--remove"]);
    next(s, 9);
    ok(s, ["archive", "bot@1.0.2", "--reason", "nobody needs it"]);
    ok(s, ["restore", "bot@1.0.2"]);
    ok(s, ["archive", "bot@1.0.2"]);
    ok(s, ["audit", "checkpoint"]);
}

/// Documents of a tenant on top of the story: taken, replaced, refused and taken out.
pub(crate) fn documents(s: &Sandbox) {
    s.write("manual/returns.md", RETURNS);
    s.write("manual/short.txt", "Too short.\n");
    s.write("manual/old.txt", RETURNS.replace("parcel", "letter").repeat(2));
    s.write("manual/terms.md", TERMS);
    let take = ["ingest", "manual", "--skeleton", "--tenant", "acme", "--meta", "product=x200"];
    s.kf(take);
    s.write("manual/returns.md", RETURNS.replace("thirty", "fourteen"));
    s.kf(take);
    let report = json(&ok(s, ["ingest", "report", "--tenant", "acme", "--format", "json"]));
    assert_eq!((&report["totals"]["documents"], &report["totals"]["refused"]), (&3.into(), &serde_json::json!({"too-short": 1})));
    ok(s, ["ingest", "rm", "manual/old.txt", "--tenant", "acme"]);
}

/// A baseline of the bot, a quiet check, and one that drifts, with a ticket and a program that follow.
pub(crate) fn drift(s: &Sandbox) {
    let table = "[drift.bot]\nexclude = [\"id\"]\non-critical = [\"open-ticket\", \"command\", \"notify\"]\ncommand = [\"true\"]\n\
        alerts = [\"team\"]\n[alerts.team]\nkind = \"slack\"\nurl = \"file:team.url\"\n";
    // Nobody is there: the message waits.
    s.write("team.url", "http://127.0.0.1:1/hook");
    s.write("mlops.toml", s.read("mlops.toml") + table);
    s.write("accepted.csv", rows(0, "extra"));
    s.write("quiet.csv", rows(1, "extra"));
    s.write("moved.csv", rows(60, "renamed"));
    ok(s, ["drift", "baseline", "bot@1.0.0", "--data", "accepted.csv"]);
    ok(s, ["drift", "check", "bot", "--data", "quiet.csv"]);
    ends(s, 3, ["drift", "check", "bot", "--data", "moved.csv"]);
}

/// Two days of a metric, one value of it high: an episode that opens, and closes when values are usual again; another that is open.
pub(crate) fn monitor(s: &Sandbox) {
    let line = |at: i64, name: &str, value: f64| {
        let at = at / 1_000_000;
        format!("{{\"name\": \"{name}\", \"value\": {value}, \"at\": {at}, \"labels\": {{\"host\": \"a\"}}}}\n")
    };
    let now = s.next_start();
    let hour = |back: i64| now - back * 3_600_000_000;
    let usual = |back: i64| 100.0 + (back * 7 % 5) as f64;
    let before = (3..50).rev().map(|back| line(hour(back), "latency", usual(back)) + &line(hour(back), "queue", usual(back)));
    s.write("before.jsonl", before.collect::<String>());
    s.write("high.jsonl", line(hour(2), "latency", 400.0) + &line(hour(2), "queue", 300.0));
    s.write("usual.jsonl", (0..2).map(|back| line(hour(back), "latency", 101.0)).collect::<String>());
    ok(s, ["monitor", "record", "--data", "before.jsonl", "--data", "high.jsonl"]);
    ends(s, 3, ["monitor", "check"]);
    ok(s, ["monitor", "record", "--data", "usual.jsonl"]);
    ends(s, 3, ["monitor", "check"]);
}

/// A rollout of the embedder that was taken back after a window, and one of the bot that a person paused while it waits for approval.
/// No target takes part: what it would have said is told to the machine.
pub(crate) fn rollouts(s: &Sandbox) {
    let store = open(s);
    let told = |of: &Rollout, fence: i64, event: &Event| {
        let taken = store.write(|tx| {
            let made = advance(&of.setup.plan, &of.state, event).expect("an event that fits");
            assert!(record::held(tx, &of.uid, fence)?.is_some(), "the lease is held");
            record::take(tx, of, (event, &made), None, Because::default())
        });
        taken.expect("written")
    };
    let begin = |model: &str, plan: Plan| {
        let planned = store.write(|tx| record::plan(tx, &setup(model, plan.clone()), Because::default())).expect("planned");
        let (of, _) = order(&store, &planned.uid, &Event::Start, Because::default()).expect("started");
        let lease = lease::take(&store, &of.uid, 1, &|_, _| false).expect("a lease");
        let ready = (0..3).fold(of, |of, _| told(&of, lease.fence, &Event::Done));
        (ready, lease.fence)
    };
    let (of, fence) = begin("embedder", Plan::of(&[(5.0, 60)]).expect("a plan"));
    let of = told(&of, fence, &Event::Observed(Weight::from_percent(5.0).expect("a weight")));
    let mark = Note { reason: "a window begins".into(), upto: Some(store.now()), cursor: Some("0".into()), ..Note::default() };
    let judgement = judge(&of.setup.policy, &[]);
    let seen = Seen { attempt: 1, step: 0, window: Window { id: 2, ..Window::default() }, left_out: Vec::new() };
    let (since, latency) = (Some(store.now()), Some(Latency { stable: vec![(0.5, 3)], canary: vec![(0.25, 4)] }));
    let window = Note { since, seen: Some(seen), judgement: Some(judgement), latency, ..mark.clone() };
    for (id, note) in [(1, &mark), (2, &window)] {
        assert!(record::note(&store, &of, fence, (id, &of.state, note)).expect("noted"));
    }
    let (of, _) = order(&store, &of.uid, &Event::Abort("slow".into()), Because::default()).expect("aborted");
    assert_eq!(told(&of, fence, &Event::Observed(Weight::NONE)).state.phase, Phase::RolledBack);
    let mut asks = Plan::blue_green(true);
    asks.steps[0].smoke = false;
    let (of, fence) = begin("bot", asks);
    assert_eq!(told(&of, fence, &Event::Observed(Weight::NONE)).state.phase, Phase::AwaitingApproval);
    order(&store, &of.uid, &Event::Pause, Because::default()).expect("paused");
}

fn setup(model: &str, plan: Plan) -> Setup {
    let arm = |version: &str| Arm { version: version.parse().expect("a version"), digest: Digest::of(version.as_bytes()) };
    Setup {
        model: model.parse().expect("a name"),
        canary: arm("1.0.1"),
        // Of the bot 1.0.0 is in production, of the embedder nothing.
        stable: (model == "bot").then(|| arm("1.0.0")),
        target: "edge".parse().expect("a name"),
        named: "ramp".into(),
        strategy: Strategy::Canary,
        plan,
        policy: Policy::default(),
        frozen: Frozen::default(),
        unjudged: Vec::new(),
        evaluations: false,
        tests: Tests::default(),
        alerts: Vec::new(),
        first_release: false,
        ticket: None,
        staged: false,
    }
}

/// Flags of two tenants, one of them set twice, and one that is no more.
pub(crate) fn flags(s: &Sandbox) {
    ok(s, ["flag", "set", "beta", "--percent", "5"]);
    ok(s, ["flag", "set", "beta", "--percent", "10"]);
    ok(s, ["flag", "set", "prompt", "--variant", "v2=10", "--variant", "v1=90"]);
    ok(s, ["flag", "set", "beta", "--on", "--tenant", "acme"]);
    ok(s, ["flag", "set", "old", "--off"]);
    ok(s, ["flag", "remove", "old"]);
}

/// Two tests of versions, one of them stopped, and results that were not recorded yet.
pub(crate) fn ab(s: &Sandbox) {
    let arms = ["--control", "bot@1.0.0", "--treatment", "bot@1.0.1"];
    let [c, control, t, treatment] = arms;
    ok(s, ["ab", "create", "old", c, control, t, treatment, "--metric", "solved"]);
    let guard = ["--guardrail", "latency-ms:mean:lower=50", "--effect", "0.05", "--base", "0.6"];
    let [g, latency, e, effect, b, base] = guard;
    ok(s, ["ab", "create", "greeting", c, control, t, treatment, "--metric", "solved", g, latency, e, effect, b, base]);
    let rows = |from: usize| -> String {
        let row = |i: usize| format!("user-{i},{},{}\n", i % 3 % 2, 400 + i * 7 % 11);
        std::iter::once("unit,solved,latency-ms\n".to_owned()).chain((from..from + 12).map(row)).collect()
    };
    s.write("results.csv", rows(0));
    s.write("more.csv", rows(12));
    ok(s, ["ab", "record", "greeting", "--from", "results.csv"]);
    ok(s, ["ab", "record", "old", "--from", "results.csv"]);
    ok(s, ["ab", "stop", "old", "--reason", "replaced"]);
}

/// A backup of all of it in a folder beside the state.
pub(crate) fn backups(s: &Sandbox) {
    let made = json(&ok(s, ["backup", "keygen", "-o", "backup.key", "--format", "json"]));
    let recipient = made["recipient"].as_str().expect("a public key");
    let keys =
        format!("[backup]\nrecipients = [\"{recipient}\"]\nidentity = \"file:backup.key\"\n[backup.place]\nurl = \"place\"\n");
    s.write("mlops.toml", format!("{}\n{keys}", s.read("mlops.toml")));
    ok(s, ["backup", "run"]);
}

/// A thousand rows of data whose amounts are moved by so much; `extra` names a column of words.
pub(crate) fn rows(by: u32, extra: &str) -> String {
    let row = |i: u32| {
        let word = ["north", "south", "south", "east"][(i % 4) as usize];
        format!("{i},{},{}\n", f64::from((i * 37 + 11 * by) % 100 + by) / 2.0, word)
    };
    format!("id,amount,{extra}\n") + &(0..1000).map(row).collect::<String>()
}

/// A text with things and what is said of them: each document of the story is one end of a relation.
pub(crate) const TERMS: &str = "# Terms\n\nThe Service Level Agreement (SLA) follows ISO 9001 and was signed on 3 March 2024 in Bristol. \
    Our partner Kestrel Systems acquired Plover Analytics last year, and nothing changed for customers. What is sent back is \
    told in [the page on returns](returns.md), and every supplier reads it before the first order is placed with us.\n";

/// A text that passes every check, long enough to have a signature.
pub(crate) const RETURNS: &str = "# Returns\n\nA parcel may be sent back within thirty days after it arrived at your door. \
    Write the number of the order on the form and put it into the parcel before you close it.\n\n\
    ## Refunds\n\nThe money goes back to the card that paid for the order. It takes five working days until the bank shows it. \
    Goods that were used or damaged are refunded in part, and a person decides how much that is.\n";

/// Opens the state of a sandbox from outside of the program.
pub(crate) fn open(s: &Sandbox) -> Store {
    open_with(s, Keys::default())
}

/// The same with keys of names and reasons.
pub(crate) fn open_with(s: &Sandbox, keys: Keys) -> Store {
    let target = match s.environment().get("KF_STATE_URL") {
        None => DbTarget::Sqlite(s.work().join(".kf/state.db")),
        Some(url) => DbTarget::Postgres(PostgresTarget { url: url.clone(), password: None, schema: "kf".into() }),
    };
    let settings = Settings {
        target,
        lock_timeout: Duration::from_secs(20),
        identity: Identity { kind: "user".into(), name: "eve".into(), host: "elsewhere".into() },
        clock: Arc::new(Clock::System),
        random: Arc::new(Random::System),
        seal: None,
        project: "shop".into(),
        copies: s.root(),
        keys,
    };
    Store::open(settings, Mode::Write).expect("a state")
}

/// Changes rows behind kf's back, and says how many. Keys to other tables hold nobody back.
pub(crate) fn alter(s: &Sandbox, store: &Store, sql: &str) -> u64 {
    lift(s, store);
    store.db().execute(sql, &[]).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

/// Switches the checks of foreign keys off for this connection.
pub(crate) fn lift(s: &Sandbox, store: &Store) {
    let off = match s.engine() {
        Engine::Files => "PRAGMA foreign_keys = OFF",
        Engine::Servers => "SET session_replication_role = replica",
    };
    store.db().execute(off, &[]).expect("switched off");
}
