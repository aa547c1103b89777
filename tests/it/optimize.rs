//! `kf optimize`.

use crate::builtin;
use crate::repo::{ends, events, json, ok, on_both, refused};
use crate::schemas::fit;
use crate::support::models::{KEY, Models};
use crate::support::sandbox::{Run, Sandbox};
use serde_json::{Value, json};

/// A program that answers by the files of the version: rightly every third question, all of them when the prompt says `careful`, every
/// seventh besides when it says `lucky`, none when it says `sloppy`. It finds the passages of as many questions in five as `top_k` says.
const ANSWER: &str = r#"text=$(cat "$KF_VERSION_DIR/prompts/answer.txt")
k=$(sed -n 's/^top_k: *\([0-9]*\).*/\1/p' "$KF_VERSION_DIR/retrieval.yaml")
while read -r line; do
    echo "$KF_VERSION" >> asked.log
    n=${line#*\"id\":\"q}; n=${n%%\"*}
    right=no
    [ $((n % 3)) -ne 0 ] || right=yes
    case $text in
    *careful*) right=yes;;
    *lucky*) [ $((n % 7)) -ne 0 ] || right=yes;;
    *sloppy*) right=no;;
    esac
    answer="answer $n"; [ $right = yes ] || answer=nothing
    found=; [ $((n % 5)) -ge "$k" ] || found="passage number $n"
    printf '{"id": "q%s", "answer": "%s", "contexts": ["%s"], "cost_usd": 0.001}\n' "$n" "$answer" "$found"
done
"#;

const CONFIG: &str = "[model.bot]\ntype = \"config\"\npath = \"bot\"\n[golden]\ndataset = \"golden.jsonl\"\n\
    [system]\nkind = \"command\"\ncommand = [\"sh\", \"answer.sh\"]\nconcurrency = 1\n\
    [alerts.team]\nkind = \"file\"\npath = \"incidents\"\n\
    [gates.right]\nstage = \"staging\"\nkind = \"absolute\"\nmetric = \"exact-match\"\nmin = 0.9\nbound = \"mean\"\n\
    [gates.found]\nstage = \"staging\"\nkind = \"absolute\"\nmetric = \"context-recall\"\nmin = 0.1\nbound = \"mean\"\n";

const PROMPT: &str = "Answer {question} from {context}.\n";

/// Sixty questions, of which the even ones decide.
fn golden(s: &Sandbox, split: bool) {
    let row = |i: usize| {
        let row = json!({
            "id": format!("q{i}"), "question": format!("What is number {i}?"), "reference": format!("answer {i}"),
            "reference_contexts": [format!("passage number {i}")],
        });
        let side = if i.is_multiple_of(2) { "holdout" } else { "dev" };
        let mut row = row.as_object().cloned().expect("a row");
        row.extend(split.then(|| ("split".to_owned(), json!(side))));
        Value::Object(row).to_string() + "\n"
    };
    s.write("golden.jsonl", (0..60).map(row).collect::<String>());
}

fn prepare(s: &Sandbox, top_k: u32) {
    s.repository(CONFIG);
    s.write("answer.sh", ANSWER);
    golden(s, false);
    s.write("bot/prompts/answer.txt", PROMPT);
    s.write("bot/retrieval.yaml", format!("top_k: {top_k} # of five\n"));
    ok(s, ["register", "bot", "-q"]);
    for (name, word) in [("careful", "careful"), ("lucky", "lucky"), ("sloppy", "sloppy"), ("same", "polite")] {
        s.write(format!("drafts/{name}.txt"), format!("Be {word}. {PROMPT}"));
    }
}

fn optimized<const N: usize>(s: &Sandbox, code: i32, more: [&str; N]) -> (Run, Value) {
    let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
    command.args(["optimize", "bot@1.0.0", "--format", "json"]).args(more);
    let run = s.finish(&mut command);
    assert_eq!(run.code, Some(code), "kf optimize {more:?}\n{run}");
    let found = json(&run);
    fit("optimize", std::slice::from_ref(&found));
    (run, found)
}

/// The number of the newest version.
fn newest(s: &Sandbox) -> String {
    json(&ok(s, ["show", "bot", "--format", "json"]))["version"].as_str().expect("a version").to_owned()
}

fn outcomes(found: &Value) -> Vec<(&str, &str)> {
    let trials = found["trials"].as_array().expect("trials");
    trials.iter().map(|t| (t["name"].as_str().expect("a name"), t["came"].as_str().expect("a word"))).collect()
}

#[test]
fn a_better_prompt_is_registered_promoted_and_told() {
    on_both(|s| {
        prepare(s, 5);
        s.write("bot/prompts/answer.txt", "Something that nobody has committed: {question}\n");
        let (_, found) = optimized(s, 0, ["--metric", "exact-match", "--variants", "drafts", "--notify", "team"]);
        assert_eq!(
            (&found["result"], &found["promotion"]["stage"], &found["promotion"]["changed"]),
            (&json!("better"), &json!("staging"), &json!(true))
        );
        let mut tried = outcomes(&found);
        tried.sort_unstable();
        assert_eq!(
            tried,
            [
                ("file: careful.txt", "finalist"),
                ("file: lucky.txt", "finalist"),
                ("file: same.txt", "same-answers"),
                ("file: sloppy.txt", "beaten")
            ]
        );
        let won = &found["finalists"][0];
        assert_eq!((&won["name"], &won["verdict"], &won["now"]), (&json!("file: careful.txt"), &json!("pass"), &json!(1.0)));
        assert!(
            won["probability"].as_f64().is_some_and(|p| p > 0.999) && won["p_value"].as_f64().is_some_and(|p| p < 0.01),
            "{won}"
        );
        assert_eq!(
            (&won["guards"][0]["metric"], &won["guards"][0]["reason"]),
            (&json!("context-recall"), &json!("no row changed"))
        );
        let split = &found["split"];
        assert_eq!(split["dev"].as_u64().zip(split["holdout"].as_u64()).map(|(a, b)| a + b), Some(60));
        assert_eq!(won["n"], split["holdout"], "only rows that nobody saw decide");

        let version = found["registered"]["version"].as_str().expect("a version");
        let reference = format!("bot@{version}");
        let shown = json(&ok(s, ["show", &reference, "--format", "json"]));
        assert_eq!(
            (&shown["meta"]["parent"], &shown["meta"]["optimize.operator"], &shown["meta"]["optimize.seed"]),
            (&json!("bot@1.0.0"), &json!("file"), &json!("0"))
        );
        assert_eq!(shown["uses"][0]["relation"], "parent");
        assert_eq!(shown["evaluations"][0]["rows"], 60, "its evaluation on all rows is kept");
        let lineage = ok(s, ["lineage", &reference]).stdout;
        assert!(lineage.contains("varied from") && lineage.contains("bot@1.0.0"), "{lineage}");
        ok(s, ["checkout", &reference, "won", "-q"]);
        assert_eq!(
            (s.read("won/prompts/answer.txt"), s.read("won/retrieval.yaml")),
            (format!("Be careful. {PROMPT}"), "top_k: 5 # of five\n".into())
        );
        assert_eq!(
            s.read("bot/prompts/answer.txt"),
            "Something that nobody has committed: {question}\n",
            "the user's files stay"
        );
        let told: Vec<_> = std::fs::read_dir(s.work().join("incidents")).expect("a folder").collect();
        assert_eq!(told.len(), 1);
        let file = told[0].as_ref().expect("a file").path();
        assert!(
            std::fs::read_to_string(file).expect("text").contains(&format!("{reference} is in staging: better than bot@1.0.0"))
        );
        ok(s, ["audit", "verify"]);
        ok(s, ["fsck"]);

        // The same again finds the same version, and moves nothing.
        let (_, again) = optimized(s, 0, ["--metric", "exact-match", "--variants", "drafts"]);
        assert_eq!((&again["registered"]["version"], &again["promotion"]["changed"]), (&json!(version), &json!(false)));
        assert_eq!(newest(s), version, "nothing is registered twice");
        let table = ok(s, ["optimize", "bot@1.0.0", "--metric", "exact-match", "--variants", "drafts/careful.txt"]).stdout;
        for words in [
            "VARIANT",
            "on the rows that decide",
            "what must not get worse",
            "is better than bot@1.0.0: file: careful.txt",
            "kf checkout",
        ] {
            assert!(table.contains(words), "{words}\n{table}");
        }
    });
}

#[test]
fn nothing_better_is_registered_and_what_is_open_says_how_many_rows_would_tell() {
    let s = &Sandbox::new();
    prepare(s, 5);
    let (_, none) = optimized(s, 0, ["--metric", "exact-match", "--variants", "drafts/sloppy.txt", "drafts/same.txt"]);
    assert_eq!(
        (&none["result"], &none["registered"], none["finalists"].as_array().map(Vec::len)),
        (&json!("none-better"), &Value::Null, Some(0))
    );
    let (_, open) = optimized(s, 4, ["--metric", "exact-match", "--variants", "drafts/lucky.txt"]);
    assert_eq!((&open["result"], &open["registered"]), (&json!("inconclusive"), &Value::Null));
    let n = open["finalists"][0]["n"].as_u64().expect("rows");
    assert!(open["needed"].as_u64().is_some_and(|needed| needed > n && needed < 2000), "{open}");
    let said = ends(s, 4, ["optimize", "bot", "--metric", "exact-match", "--variants", "drafts/lucky.txt"]).stdout;
    assert!(said.contains(&format!("inconclusive, needs n = {} rows that decide: file: lucky.txt", open["needed"])), "{said}");
    assert_eq!(newest(s), "1.0.0");
    // A gate that a better version does not pass keeps it from staging.
    let found = "metric = \"context-recall\"\nmin = 0.1\nbound = \"mean\"";
    s.write("mlops.toml", s.read("mlops.toml").replace(found, "metric = \"token-f1\"\nmin = 1.0\nbound = \"interval\""));
    let (_, kept) = optimized(s, 4, ["--metric", "exact-match", "--variants", "drafts/careful.txt"]);
    assert_eq!(
        (&kept["result"], &kept["promotion"]["changed"], &kept["promotion"]["stage"]),
        (&json!("better"), &json!(false), &json!("development"))
    );
    assert!(ok(s, ["audit", "log", "--action", "version.promotion-refused"]).stdout.contains("bot@"), "through the gates");
}

#[test]
fn too_little_found_names_the_settings_and_the_rows_and_other_settings_mend_it() {
    let s = &Sandbox::new();
    prepare(s, 1);
    let (_, low) = optimized(s, 3, ["--metric", "exact-match", "--variants", "drafts/same.txt"]);
    let recall = &low["recall"];
    assert_eq!(
        (&recall["metric"], &recall["mean"], &recall["below"], &recall["limit"]),
        (&json!("context-recall"), &json!(0.2), &json!(true), &json!(0.85))
    );
    assert_eq!(recall["missed"].as_array().map(Vec::len), Some(48));
    assert_eq!(
        recall["missed"][0],
        json!({"row": "q1", "question": "What is number 1?", "score": 0.0, "wanted": ["passage number 1"]})
    );
    assert_eq!(
        (&recall["settings"][0]["setting"], &recall["settings"][0]["value"], &recall["settings"][0]["place"]),
        (&json!("top_k"), &json!("1"), &json!("retrieval.yaml"))
    );
    let said = ends(s, 3, ["optimize", "bot", "--metric", "exact-match", "--deterministic", "--no-promote"]).stdout;
    for words in
        ["below 0.85: review retrieval", "settings to review", "top_k = 5", "48 rows missed something", "What is number 1?"]
    {
        assert!(said.contains(words), "{words}\n{said}");
    }
    let (_, mended) = optimized(s, 0, ["--metric", "context-recall", "--no-promote"]);
    assert_eq!((&mended["result"], &mended["recall"]["below"]), (&json!("better"), &json!(false)));
    assert!(mended["reason"].as_str().is_some_and(|r| r.starts_with("top_k = 5: a gain of +0.8")), "{mended}");
    let version = mended["registered"]["version"].as_str().expect("a version");
    ok(s, ["checkout", &format!("bot@{version}"), "won", "-q"]);
    assert_eq!(s.read("won/retrieval.yaml"), "top_k: 5 # of five\n", "comments stay");
}

#[test]
fn a_dry_run_asks_nobody_and_what_cannot_be_varied_is_refused() {
    let s = &Sandbox::new();
    prepare(s, 3);
    let before = events(s);
    let run = ok(s, ["optimize", "bot", "--dry-run"]);
    for words in [
        "faithfulness (offline proxy)",
        "would try 9 variants: at most ",
        "  top_k = 5\n",
        "  demonstrations: 2\n",
        "about $0.00",
    ] {
        assert!(run.stdout.contains(words), "{words}\n{run}");
    }
    assert_eq!((events(s), s.work().join("asked.log").exists()), (before, false));
    let words = |code, why: &str, args: &[&str]| {
        let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
        let run = s.finish(command.args(["optimize", "bot"]).args(args));
        assert!(run.code == Some(code) && run.stderr.contains(why) && run.stderr.contains("hint: "), "{args:?} {why}\n{run}");
    };
    s.write("drafts/broken.txt", "Answer {question\n");
    words(1, "broken.txt cannot be tried", &["--variants", "drafts"]);
    words(2, "there is no metric `exact-mach`", &["--metric", "exact-mach"]);
    words(2, "a model judges faithfulness, and mlops.toml names none", &["--metric", "faithfulness"]);
    words(2, "`--model` asks the model of `[llm]`", &["--model"]);
    words(2, "has no `[alerts.tea]`", &["--notify", "tea"]);
    let config = s.read("mlops.toml");
    let system = "kind = \"command\"\ncommand = [\"sh\", \"answer.sh\"]\nconcurrency = 1\n";
    for (other, why) in [
        ("kind = \"http\"\nurl = \"http://127.0.0.1:9/\"\n", "an HTTP service knows its versions itself"),
        ("kind = \"recorded\"\n", "answers that were recorded are those of one version"),
    ] {
        s.write("mlops.toml", config.replace(system, other));
        words(2, why, &[]);
    }
    s.write("mlops.toml", config.replace(system, "kind = \"builtin\"\n"));
    words(2, "nobody reads the prompt of bot", &["--variants", "drafts/careful.txt"]);
    s.write("mlops.toml", format!("{config}[policy]\nrequire-clean-git = true\n"));
    words(2, "a variant is in no commit", &[]);
    s.write("mlops.toml", config);
    s.write("golden.jsonl", s.read("golden.jsonl").lines().take(1).map(|l| format!("{l}\n")).collect::<String>());
    words(1, "to search on and", &[]);
}

#[test]
fn a_model_proposes_from_rows_that_do_not_decide_and_money_ends_the_search() {
    let mut s = Sandbox::new();
    let models = Models::start();
    s.set("MODEL_KEY", KEY);
    prepare(&s, 5);
    golden(&s, true);
    s.write("mlops.toml", s.read("mlops.toml") + "[llm]\n" + &models.keys("openai"));
    let s = &s;
    let (run, found) = optimized(s, 0, ["--metric", "exact-match", "--model=2"]);
    assert_eq!(
        (&found["result"], &found["split"]["given"], &found["split"]["holdout"]),
        (&json!("better"), &json!(true), &json!(30))
    );
    assert_eq!(outcomes(&found), [("model 1: be careful", "finalist")]);
    assert!(run.stderr.contains("proposal 2 is not tried: it leaves {context} out"), "{run}");
    assert_eq!((models.requests(), models.refused()), (1, Vec::new()));
    let shown = |i: usize| !models.times(&format!("What is number {i}?")).is_empty();
    assert!((0..60).step_by(2).all(|i| !shown(i)), "rows that decide are never shown");
    assert_eq!((0..60).filter(|i| shown(*i)).count(), 6, "the worst of the others are");
    // What it proposed is kept, and costs nothing the second time.
    let (_, again) = optimized(s, 0, ["--metric", "exact-match", "--model=2", "--cache", "only"]);
    assert_eq!((&again["registered"]["digest"], models.requests()), (&found["registered"]["digest"], 1));
    assert_eq!(
        ends(s, 5, ["optimize", "bot@1.0.0", "--metric", "exact-match", "--variants", "drafts", "--max-cost", "0.07"])
            .stdout
            .matches("stopped at --max-cost")
            .count(),
        1
    );
    let before = events(s);
    let (_, stopped) = optimized(s, 5, ["--metric", "exact-match", "--variants", "drafts", "--max-cost", "0.01"]);
    assert_eq!(
        (&stopped["result"], &stopped["spent_usd"], events(s)),
        (&json!("stopped"), &json!(0.06), before),
        "the version's own answers cost more"
    );
}

#[test]
fn rows_that_belong_together_may_not_stand_on_both_sides() {
    let s = &Sandbox::new();
    prepare(s, 5);
    golden(s, true);
    s.write("golden.jsonl", s.read("golden.jsonl").replace("What is number 1?", "What is  number 0?"));
    let run = refused(s, 1, ["optimize", "bot", "--metric", "exact-match"]);
    assert!(run.stderr.contains("rows `q1` of dev and `q0` of the holdout belong together"), "{run}");
}

/// What would stop the search is told before it, and what is to be typed helps.
#[test]
fn documents_that_are_not_there_are_missed_by_a_dry_run_too() {
    let s = &Sandbox::new();
    builtin::handbook(s);
    builtin::registered(s, "collection: manual\ntop_k: 2\n");
    let rows = s.read("golden.jsonl");
    let sides = rows.lines().zip(["dev", "holdout", "dev"]);
    s.write(
        "golden.jsonl",
        sides.map(|(row, side)| row.replacen('{', &format!("{{\"split\": \"{side}\", "), 1) + "\n").collect::<String>(),
    );
    let before = events(s);
    for dry in [true, false] {
        let more = if dry { &["--dry-run"] as &[&str] } else { &[] };
        let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(["optimize", "bot", "--metric", "token-f1"]).args(more));
        let told = run.stderr.contains("the tenant default has no collection manual")
            && run.stderr.contains("take documents in with `kf ingest PATH --collection manual`");
        assert!(run.code == Some(1) && told, "{run}");
    }
    assert_eq!(events(s), before);
    ok(s, ["ingest", "docs", "--collection", "manual"]);
    ok(s, ["optimize", "bot", "--metric", "token-f1", "--dry-run"]);
}

/// The built-in system with a model that writes: its answers are paid from the purse, and judged by a model where nothing else is asked for.
#[test]
fn a_model_that_answers_is_paid_from_the_purse_and_judged() {
    let mut s = Sandbox::new();
    let models = Models::start();
    s.set("MODEL_KEY", KEY);
    builtin::handbook(&s);
    builtin::registered(&s, "collection: handbook\ntop_k: 2\n");
    let rows = s.read("golden.jsonl");
    let sides = rows.lines().zip(["dev", "holdout", "dev"]);
    s.write(
        "golden.jsonl",
        sides.map(|(row, side)| row.replacen('{', &format!("{{\"split\": \"{side}\", "), 1) + "\n").collect::<String>(),
    );
    let keys = models.keys("openai");
    s.write("mlops.toml", format!("{}[llm]\n{keys}[judge]\n{keys}", s.read("mlops.toml")));
    let s = &s;
    let (_, dry) = optimized(s, 0, ["--dry-run", "--trials", "2"]);
    assert_eq!((&dry["metric"], &dry["result"], models.requests()), (&json!("faithfulness"), &Value::Null, 0));
    assert!(dry["plan"]["cost_usd"].as_f64().is_some_and(|usd| usd > 0.001), "{dry}");
    assert!(dry["plan"]["judgements"].as_u64().is_some_and(|n| n > 4), "{dry}");
    let (_, stopped) = optimized(s, 5, ["--max-cost", "0.000001"]);
    assert_eq!((&stopped["result"], &stopped["evaluation"]), (&json!("stopped"), &Value::Null));
    let asked = models.requests();
    assert!((1..=3).contains(&asked), "{asked}: no more than were under way");
    let (_, found) = optimized(s, 0, ["--trials", "2"]);
    assert_eq!((&found["result"], models.refused()), (&json!("none-better"), Vec::new()), "{found:#}");
    assert!(models.requests() > asked && found["mean"].is_number(), "{found:#}");
    let shown = json(&ok(s, ["show", "bot", "--format", "json"]));
    let judged = |e: &Value| e["metrics"].as_array().is_some_and(|m| m.iter().any(|m| m["metric"] == "faithfulness"));
    assert!(
        shown["evaluations"].as_array().is_some_and(|all| all.iter().any(judged)),
        "the version's own judgements are kept: {shown:#}"
    );
    let (_, again) = optimized(s, 0, ["--trials", "2", "--cache", "only"]);
    assert_eq!((&again["trials"], &again["spent_usd"]), (&found["trials"], &json!(0.0)), "nobody is asked twice");
}
