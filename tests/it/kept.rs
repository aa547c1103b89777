//! Answers of a system that is asked, and of a judge, from one run to the next: kills, limits of speed, repeats, the cache alone.

use crate::repo::{ends, json, ok, on_both};
use crate::schemas::fit;
use crate::support::models::{KEY, Models};
use crate::support::sandbox::Sandbox;
use crate::support::{serve, wait_until};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Every judged metric.
const JUDGED: [&str; 11] = [
    "faithfulness",
    "hallucination",
    "answer-relevancy",
    "llm-context-precision",
    "llm-context-recall",
    "answer-correctness",
    "factual-correctness",
    "noise-sensitivity",
    "noise-sensitivity-irrelevant",
    "context-entity-recall",
    "rubric",
];

#[derive(Default)]
struct Heard {
    /// When each row was asked for, by its id.
    times: BTreeMap<String, Vec<Instant>>,
    /// How many requests are answered, in the order in which they come; the others wait.
    room: Option<usize>,
}

/// A system that answers over HTTP: row `r3` with what its question says, too busy at first for `[[busy]]`, never able to for `[[no]]`, and
/// another answer every second time for `[[moves]]`.
#[derive(Clone)]
struct System {
    address: SocketAddr,
    heard: Arc<Mutex<Heard>>,
}

impl System {
    fn start() -> Self {
        let heard: Arc<Mutex<Heard>> = Arc::default();
        let state = Arc::clone(&heard);
        let app =
            axum::Router::new().fallback(axum::routing::post(move |Json(asked): Json<Value>| take(Arc::clone(&state), asked)));
        Self { address: serve(app), heard }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.heard.lock().expect("nobody panicked")
    }

    fn requests(&self) -> usize {
        self.lock().times.values().map(Vec::len).sum()
    }

    fn config(&self) -> String {
        format!("[system]\nkind = \"http\"\nurl = \"http://{}/ask\"\nconcurrency = 2\n", self.address)
    }
}

async fn take(heard: Arc<Mutex<Heard>>, asked: Value) -> Response {
    let (id, question) =
        (asked["id"].as_str().unwrap_or_default().to_owned(), asked["question"].as_str().unwrap_or_default().to_owned());
    let (times, at) = {
        let mut heard = heard.lock().expect("nobody panicked");
        let times = heard.times.entry(id.clone()).or_default();
        times.push(Instant::now());
        (times.len(), heard.times.values().map(Vec::len).sum::<usize>())
    };
    if question.contains("[[busy]]") && times == 1 {
        return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")], "slow down").into_response();
    }
    if question.contains("[[no]]") {
        return Json(json!({"id": id, "error": "no documents"})).into_response();
    }
    while heard.lock().expect("nobody panicked").room.is_some_and(|room| at > room) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let text = if question.contains("[[moves]]") && times.is_multiple_of(2) { "Nobody knows.".to_owned() } else { said(&id) };
    Json(json!({"id": id, "answer": text, "contexts": [said(&id)], "latency_ms": 12.5, "cost_usd": 0.001})).into_response()
}

fn said(id: &str) -> String {
    format!("Parcel {id} goes out on day {id}.")
}

fn row(i: usize, mark: &str) -> Value {
    let id = format!("r{i:02}");
    json!({"question": format!("When does parcel {id} go out?{mark}"), "reference": said(&id), "id": id})
}

/// A repository whose bot answers over HTTP and is judged.
fn prepared(s: &mut Sandbox, system: &System, more: &str, rows: &[Value]) {
    s.set("MODEL_KEY", KEY);
    s.repository(&format!("[golden]\ndataset = \"golden.jsonl\"\n{}{more}", system.config()));
    s.write("golden.jsonl", rows.iter().map(|r| format!("{r}\n")).collect::<String>());
    s.write("bot/prompts/answer.txt", "Answer {question} from {context}.\n");
    ok(s, ["register", "bot", "bot"]);
}

fn eval(s: &Sandbox, code: i32, more: &[&str]) -> Value {
    let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(["eval", "bot", "--format", "json"]).args(more));
    assert_eq!(run.code, Some(code), "kf eval {more:?}\n{run}");
    json(&run)
}

/// What two runs of the same must have in common, byte by byte: everything but what names the run itself.
fn same(report: &Value, also: &[(&str, &str)]) -> String {
    let mut report = report.clone();
    for of in ["evaluation", "judged"] {
        for field in ["id", "at", "event"] {
            report[of][field] = Value::Null;
        }
    }
    for (of, field) in also {
        report[*of][*field] = Value::Null;
    }
    report.to_string()
}

/// A run that is killed while it asks, then while it judges, asks for nothing twice; then everything is there without anybody.
#[test]
fn what_was_answered_and_judged_survives_kills_and_is_repeated_without_asking() {
    for provider in ["anthropic", "openai"] {
        let (mut s, system, models) = (Sandbox::new(), System::start(), Models::start());
        let rows: Vec<Value> = (0..10).map(|i| row(i, if i == 8 { "[[busy]]" } else { "" })).collect();
        let judge = format!("[judge]\nconcurrency = 2\nrubric = \"It is polite.\"\n{}", models.keys(provider));
        prepared(&mut s, &system, &judge, &rows);
        let by: Vec<&str> = JUDGED.iter().flat_map(|m| ["--metric", m]).chain(["--rows"]).collect();
        let start = || {
            let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
            command.args(["eval", "bot"]).args(&by).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("kf starts")
        };
        // Killed by force while the system answers, and as by Ctrl-C while the judge does.
        system.lock().room = Some(4);
        let mut child = start();
        assert!(wait_until(60, || system.requests() > 4 && s.answers_kept() == 4), "it asks");
        child.kill().expect("killed");
        child.wait().expect("ended");
        system.lock().room = None;
        models.manner(|m| m.delay = Duration::from_millis(20));
        let mut child = start();
        assert!(wait_until(60, || models.requests() >= 12), "it judges");
        assert!(std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("runs").success());
        child.wait().expect("ended");
        let (asked, judged) = (system.requests(), models.requests());
        let report = eval(&s, 0, &by);
        assert_eq!(system.requests(), asked, "every answer was there");
        let times = |id: &str| system.lock().times[id].len();
        // A kill loses what is under way, two at most; one row was told to wait.
        assert!((11..=13).contains(&asked), "{asked}");
        assert!((2..=3).contains(&times("r08")) && (0..10).all(|i| times(&format!("r{i:02}")) <= 3));
        let waited = system.lock().times["r08"].clone();
        assert!(waited.windows(2).any(|pair| pair[1] - pair[0] >= Duration::from_millis(950)), "Retry-After is kept to");
        // What is judged took so many requests as without kills, and those that were under way at the second kill.
        let total = usize::try_from(report["judging"]["total"]["requests"].as_u64().expect("a count")).expect("few");
        assert!(judged > 10 && (total..=total + 2).contains(&models.requests()), "{total} {}", models.requests());
        assert_eq!((&report["answering"]["asked"], &report["answering"]["kept"]), (&json!(0), &json!(10)));
        assert_eq!(report["evaluation"]["system"], "http, from the cache");
        for metric in report["judged"]["metrics"].as_array().expect("metrics") {
            assert_eq!(metric["n"], 10, "{metric}");
        }
        assert_eq!(models.refused(), Vec::<String>::new());
        // Nobody may be asked, no key is there, and the report is the same.
        let counts = (system.requests(), models.requests());
        s.set("MODEL_KEY", "");
        let again = eval(&s, 0, &[by.as_slice(), &["--cache", "only"]].concat());
        assert_eq!(same(&report, &[("judging", "asked")]), same(&again, &[("judging", "asked")]));
        let third = eval(&s, 0, &[by.as_slice(), &["--cache", "only"]].concat());
        assert_eq!(same(&again, &[]), same(&third, &[]), "but for id, time and event");
        assert_eq!((system.requests(), models.requests()), counts, "zero calls");
        fit("eval", &[report, again]);
        ok(&s, ["fsck"]);
    }
}

/// A system may say something else tomorrow: a run that ended is not what the next one rests on, unless somebody says so.
#[test]
fn the_next_run_asks_again_and_what_is_kept_is_told() {
    on_both(|s| {
        let system = System::start();
        let gates = "[gates.fast]\nstage = \"staging\"\nkind = \"budget\"\nmetric = \"latency-p95\"\nmax = 60000\n\
                     [gates.words]\nstage = \"staging\"\nkind = \"absolute\"\nmetric = \"exact-match\"\nmin = 0.5\nbound = \"mean\"\n";
        let rows: Vec<Value> = (0..6).map(|i| row(i, if i == 5 { "[[no]]" } else { "" })).collect();
        prepared(s, &system, "", &rows);
        let mut asked = 0;
        let mut now = |n: usize| {
            asked += n;
            assert_eq!(system.requests(), asked);
        };
        let first = eval(s, 5, &[]);
        now(6);
        assert_eq!((&first["answering"]["asked"], &first["answering"]["since"]), (&json!(6), &Value::Null));
        let second = eval(s, 5, &[]);
        now(6);
        assert_eq!((&second["answering"]["kept"], &second["evaluation"]["system"]), (&json!(0), &json!("http")));
        // What failed is not kept, so it alone is asked for.
        let third = eval(s, 5, &["--cache", "write"]);
        now(1);
        assert_eq!((&third["answering"]["asked"], &third["answering"]["kept"]), (&json!(1), &json!(5)));
        let (since, until) =
            (third["answering"]["since"].as_str().expect("a time"), third["answering"]["until"].as_str().expect("a time"));
        assert!(since <= until && until < third["evaluation"]["at"].as_str().expect("a time"), "{since} {until}");
        let told = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(["eval", "bot", "--cache", "only"]));
        now(0);
        assert!(told.stdout.contains(&format!("5 of 6 answers from the cache, given {since} to {until}")), "{told}");
        assert!(told.stdout.contains("no answer to 1 row: nobody was asked: it is not in the cache"), "{told}");
        let off = eval(s, 5, &["--cache", "off"]);
        now(6);
        assert_eq!(off["answering"]["kept"], 0);
        // Gates that look at time take no answer of another run; others do.
        s.write("golden.jsonl", (0..5).map(|i| format!("{}\n", row(i, ""))).collect::<String>());
        s.write("mlops.toml", s.read("mlops.toml") + gates);
        let verdicts = |report: &Value| -> Vec<String> {
            let all = report["gates"].as_array().expect("gates").iter();
            all.map(|g| format!("{} {}", g["gate"].as_str().expect("a name"), g["verdict"].as_str().expect("a verdict")))
                .collect()
        };
        assert_eq!(verdicts(&eval(s, 0, &["--cache", "off"])), ["fast pass", "words pass"]);
        now(5);
        let kept = eval(s, 4, &["--cache", "read"]);
        now(0);
        assert_eq!(verdicts(&kept), ["fast inconclusive", "words pass"]);
        let why = kept["gates"][0]["reason"].as_str().expect("a reason");
        assert!(why.contains("from the cache, so their time is that of another run") && why.contains("--cache off"), "{why}");
        // Another version is another system, whatever it answers.
        s.write("bot/prompts/answer.txt", "Answer {question} briefly from {context}.\n");
        ok(s, ["register", "bot", "bot"]);
        assert_eq!(eval(s, 0, &["--cache", "write"])["answering"]["asked"], 5);
        now(5);
        // A dry run leaves nothing behind.
        std::fs::remove_dir_all(s.work().join(".kf/cache")).expect("removed");
        ok(s, ["eval", "bot", "--dry-run"]);
        now(5);
        assert!(!s.work().join(".kf/cache/answers.db").exists());
    });
}

#[test]
fn repeats_ask_the_system_again_and_the_mean_of_a_row_counts() {
    let (mut s, system, models) = (Sandbox::new(), System::start(), Models::start());
    let rows: Vec<Value> = (0..4).map(|i| row(i, if i < 2 { "[[moves]]" } else { "" })).collect();
    prepared(&mut s, &system, &format!("[judge]\n{}", models.keys("openai")), &rows);
    let by = ["--metric", "exact-match", "--metric", "faithfulness", "--rows", "--repeat", "3"];
    let report = eval(&s, 0, &by);
    assert_eq!(system.requests(), 12);
    assert_eq!(report["answering"]["repeat"].as_u64(), Some(3));
    assert_eq!((&report["answering"]["moved"], &report["judging"]["moved"]), (&json!(2), &json!(2)));
    let score = |i: usize, metric: &str| report["rows"][i]["scores"][metric].as_f64().expect("scored");
    for metric in ["exact-match", "faithfulness"] {
        // Two of three answers are right, then three of three.
        let scores: Vec<f64> = (0..4).map(|i| (score(i, metric) * 3.0).round()).collect();
        assert_eq!(scores, [2.0, 2.0, 3.0, 3.0], "{metric}");
    }
    // By hand: of two rows two of three answers are right, of two all: 5/6 for one, 1 for any two, (1/3 + 1)/2 for both, 1/2 for all three.
    let attempts = report["attempts"].as_array().expect("attempts");
    assert_eq!(attempts.iter().map(|a| &a["metric"]).collect::<Vec<_>>(), ["exact-match", "faithfulness"]);
    for a in attempts {
        let of = |k: usize, what: &str| a["of"][k - 1][what]["mean"].as_f64().expect("a chance");
        for (got, want) in [(of(1, "any"), 5.0 / 6.0), (of(2, "any"), 1.0), (of(2, "all"), 2.0 / 3.0), (of(3, "all"), 0.5)] {
            assert!((got - want).abs() < 1e-12, "{a}");
        }
    }
    let judged = models.requests();
    assert_eq!(judged, 24, "each answer is judged once, by two requests");
    // Each repeat is kept for itself.
    let again = eval(&s, 0, &[by.as_slice(), &["--cache", "only"]].concat());
    assert_eq!((&again["rows"], system.requests(), models.requests()), (&report["rows"], 12, judged));
    let fewer = eval(&s, 0, &["--metric", "exact-match", "--repeat", "2", "--cache", "write"]);
    let shown = ok(&s, ["eval", "bot", "--metric", "exact-match", "--repeat", "2", "--cache", "only"]).stdout;
    assert!(shown.contains("2 answers to each row: pass@2 is the chance that one of 2 passes"), "{shown}");
    assert_eq!((&fewer["answering"]["kept"], system.requests()), (&json!(8), 12));
    let more = eval(&s, 0, &["--metric", "exact-match", "--repeat", "4", "--cache", "write"]);
    assert_eq!((&more["answering"]["kept"], &more["answering"]["asked"], system.requests()), (&json!(12), &json!(4), 16));
    fit("eval", &[report, again]);
}

/// A program that is changed is another system, though its command line is the same.
#[test]
fn a_program_goes_on_after_a_kill_and_is_asked_anew_when_it_changes() {
    let mut s = Sandbox::new();
    let system = System::start();
    prepared(&mut s, &system, "", &(0..6).map(|i| row(i, "")).collect::<Vec<_>>());
    let program = "while read -r line; do id=${line#*\\\"id\\\":\\\"}; id=${id%%\\\"*}; echo $id >> asked.log; sleep 0.1\n\
                   printf '{\"id\": \"%s\", \"answer\": \"Parcel %s goes out on day %s.\"}\\n' $id $id $id; done\n";
    s.write("answer.sh", program);
    let config = s
        .read("mlops.toml")
        .replace(&system.config(), "[system]\nkind = \"command\"\ncommand = [\"sh\", \"answer.sh\"]\nconcurrency = 1\n");
    s.write("mlops.toml", config);
    let asked = || std::fs::read_to_string(s.work().join("asked.log")).map_or(0, |text| text.lines().count());
    let mut child = s
        .command(env!("CARGO_BIN_EXE_kf"))
        .args(["eval", "bot"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("kf starts");
    assert!(wait_until(60, || asked() >= 3), "it asks");
    child.kill().expect("killed");
    child.wait().expect("ended");
    // The program sees the end of its input and ends.
    std::thread::sleep(Duration::from_millis(300));
    let before = asked();
    let report = eval(&s, 0, &["--metric", "exact-match"]);
    let kept = usize::try_from(report["answering"]["kept"].as_u64().expect("a count")).expect("few");
    assert!(kept >= 2 && asked() == before + 6 - kept, "{kept} {before} {}", asked());
    assert_eq!(
        report["evaluation"]["metrics"].as_array().expect("metrics").iter().find(|m| m["metric"] == "exact-match").expect("it")["n"],
        6
    );
    s.write("answer.sh", format!("# changed\n{program}"));
    let changed = eval(&s, 0, &["--metric", "exact-match", "--cache", "write"]);
    assert_eq!((&changed["answering"]["kept"], &changed["answering"]["asked"]), (&json!(0), &json!(6)));
    let run = ends(&s, 2, ["eval", "bot", "--cache", "resume"]);
    assert!(run.stderr.contains("is not a use of the cache"), "{run}");
}
