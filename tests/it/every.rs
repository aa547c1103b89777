//! Every command once, for what holds of all of them: a format that cannot be printed is refused, the others are what they are
//! called. `dry_run.rs` runs the same table.

use crate::repo::ok;
use crate::story;
use crate::support::pg;
use crate::support::sandbox::{Engine, Run, Sandbox, on_both_engines};
use clap::Command;
use std::collections::BTreeSet;

/// Stands for a place of another engine.
const ELSEWHERE: &str = "ELSEWHERE";

/// Every command with arguments that make it do something on the state of [`prepare`], those first that write the most.
pub(crate) const EVERY: &[(&str, &[&str])] = &[
    ("ab analyze", &["greeting"]),
    ("ab assign", &["greeting", "--key", "user-17"]),
    ("ab create", &["second", "--control", "bot@1.0.0", "--treatment", "bot@1.0.1", "--metric", "solved"]),
    ("ab list", &[]),
    ("ab plan", &["--metric", "solved", "--base", "0.6", "--effect", "0.05"]),
    ("ab record", &["greeting", "--from", "more.csv"]),
    ("ab show", &["greeting"]),
    ("ab stop", &["greeting", "--reason", "clear"]),
    ("alert list", &["--all"]),
    ("alert send", &["--all"]),
    ("alert test", &["team"]),
    ("alias", &["bot@1.0.1", "best"]),
    ("archive", &["bot@1.0.2"]),
    ("audit anchor", &[]),
    ("audit checkpoint", &["-o", "../checkpoint"]),
    ("audit consistency", &["2", "-o", "consistency"]),
    ("audit export", &["tiles", "public/log"]),
    ("audit export", &["jsonl", "log.jsonl"]),
    ("audit key", &[]),
    ("audit key", &["--generate", "--out", "../second.key"]),
    ("audit log", &[]),
    ("audit prove", &["1", "-o", "proof"]),
    ("audit show", &["1"]),
    ("audit show", &["1", "--raw"]),
    ("audit verify", &[]),
    ("backup drill", &["latest"]),
    ("backup keygen", &["-o", "second.key"]),
    ("backup list", &[]),
    ("backup prune", &["--apply"]),
    ("backup restore", &["latest", "--to", "../back"]),
    ("backup run", &[]),
    ("backup show", &["latest"]),
    ("backup status", &[]),
    ("backup verify", &["latest"]),
    ("canary abort", &["bot", "--reason", "wrong language"]),
    ("canary approve", &["bot"]),
    ("canary explain", &["embedder"]),
    ("canary history", &[]),
    ("canary pause", &["bot"]),
    ("canary promote", &["bot", "--full"]),
    ("canary resume", &["bot"]),
    ("canary retry", &["embedder"]),
    ("canary run", &["bot"]),
    ("canary start", &["golden@1.0.0", "--detach"]),
    ("canary status", &["bot"]),
    ("canary tick", &["bot"]),
    ("card", &["bot@1.0.0"]),
    ("card", &["bot@1.0.0", "--yaml", "-o", "card.yaml"]),
    ("checkout", &["bot@1.0.0", "out"]),
    ("ci comment", &["review.json", "-o", "comment.md"]),
    ("completions", &["bash"]),
    ("config check", &[]),
    ("config schema", &[]),
    ("config show", &[]),
    ("demo", &["--dir", "show"]),
    ("deploy", &["golden@1.0.0", "--strategy", "blue-green"]),
    ("diff", &["bot@1.0.0", "bot@1.0.1"]),
    ("doctor", &[]),
    ("dr exercise", &["bad-release", "--yes"]),
    ("dr history", &[]),
    ("dr plan", &["-o", "runbooks"]),
    ("drift baseline", &["bot@1.0.1", "--data", "quiet.csv"]),
    ("drift check", &["bot", "--data", "moved.csv", "--report", "json=drift.json"]),
    ("drift close", &["bot", "--reason", "retrained"]),
    ("drift due", &[]),
    ("drift explain", &["bot"]),
    ("drift history", &["bot"]),
    ("drift list", &[]),
    ("drift replay", &["bot", "--data", "moved.csv"]),
    ("drift report", &["bot", "--report", "markdown=drift.md"]),
    ("eval", &["bot@1.0.2", "--answers", "answers.jsonl", "--report", "junit=j.xml", "--report", "html=h.html"]),
    ("flag eval", &["beta", "--key", "user-1"]),
    ("flag export", &[]),
    ("flag get", &["beta"]),
    ("flag list", &[]),
    ("flag remove", &["prompt"]),
    ("flag set", &["beta", "--percent", "7.5"]),
    ("fsck", &["--repair"]),
    ("gateway run", &["--target", "edge"]),
    ("gateway status", &["--target", "edge"]),
    ("gc", &["--apply"]),
    ("graph neighbors", &["Kestrel Systems", "--tenant", "acme"]),
    ("graph path", &["Kestrel Systems", "Plover Analytics", "--tenant", "acme"]),
    ("graph show", &["Kestrel Systems", "--tenant", "acme"]),
    ("health", &[]),
    ("help", &["promote"]),
    ("help", &["--man", "man"]),
    ("history", &["bot"]),
    ("index export", &["snapshot", "--tenant", "acme"]),
    ("index import", &["indexed", "--tenant", "other"]),
    ("index list", &["--tenant", "acme"]),
    ("index move", &["--to", "embedded", "--tenant", "acme"]),
    ("index rebuild", &["--tenant", "acme"]),
    ("index stats", &["--tenant", "acme"]),
    ("index verify", &["--tenant", "acme"]),
    ("ingest", &["manual", "--tenant", "acme"]),
    ("ingest check", &["manual/returns.md"]),
    ("ingest report", &["--tenant", "acme"]),
    ("ingest retry", &["--tenant", "acme"]),
    ("ingest rm", &["manual/returns.md", "--tenant", "acme"]),
    ("ingest show", &["manual/returns.md", "--tenant", "acme"]),
    ("ingest show", &["manual/returns.md", "--tenant", "acme", "--text"]),
    ("ingest status", &["--tenant", "acme"]),
    ("init", &[]),
    ("init", &["-C", "bot"]),
    ("judge calibrate", &["labels.jsonl", "--cache", "only"]),
    ("lineage", &["bot@1.0.0", "--report", "dot=l.dot", "--report", "mermaid=l.mmd"]),
    ("list", &[]),
    ("log", &["bot"]),
    ("monitor check", &[]),
    ("monitor export grafana", &[]),
    ("monitor export probes", &[]),
    ("monitor export prometheus-rules", &["-o", "kf.rules.yml"]),
    ("monitor metrics", &["-o", "kf.prom"]),
    ("monitor record", &["latency=102", "--label", "host=a"]),
    ("monitor report", &["--daily", "--report", "html=day.html"]),
    ("monitor status", &[]),
    ("optimize", &["bot@1.0.2", "--profile", "live", "--metric", "exact-match", "--trials", "2", "--no-promote"]),
    ("promote", &["bot@1.0.2", "--to", "production"]),
    ("prompt add", &["prompts"]),
    ("prompt check", &["prompts", "bot@1.0.0"]),
    ("prompt diff", &["hello@1.0.0", "hello@2.0.0"]),
    ("prompt list", &[]),
    ("prompt log", &["hello"]),
    ("prompt render", &["hello@2.0.0", "--var", "name=Ada", "--var", "tone=warm", "-o", "hello.txt"]),
    ("prompt show", &["bot@1.0.0"]),
    ("prompt test", &["--report", "junit=p.xml"]),
    ("prompt vars", &["bot@1.0.0"]),
    ("register", &["bot", "bot"]),
    ("register", &["new", "bot", "--type", "other"]),
    ("rekey", &["--decrypt"]),
    ("restore", &["bot@1.0.1"]),
    ("rollback", &["bot", "--to", "1.0.1", "--no-traffic"]),
    ("search", &["parcel", "--tenant", "acme"]),
    ("show", &["bot@1.0.0"]),
    ("state move", &["--to", ELSEWHERE]),
    ("status", &[]),
    ("tag", &["bot@1.0.0", "good"]),
    ("tenant erase", &["acme", "--yes", "--reason", "asked for"]),
    ("tenant export", &["acme", "given"]),
    ("tenant list", &[]),
];

/// A profile in which a program answers every question.
const LIVE: &str = r#"[profile.live.system]
kind = "command"
command = ["sed", "-u", 's/.*"id":"\([^"]*\)".*/{"id":"\1","answer":"no idea"}/']
"#;

/// The state that the table is about: something of everything, and something new to register and to take in.
pub(crate) fn prepare(s: &Sandbox) {
    story::tell(s);
    story::documents(s);
    story::drift(s);
    story::monitor(s);
    story::rollouts(s);
    story::flags(s);
    story::ab(s);
    story::backups(s);
    ok(s, ["restore", "bot@1.0.2"]);
    s.write(
        "mlops.toml",
        s.read("mlops.toml") + "\n[judge]\nprovider = \"openai\"\nmodel = \"m\"\nbase-url = \"http://127.0.0.1:9/v1\"\n" + LIVE,
    );
    s.write("labels.jsonl", "{\"question\": \"Q\", \"response\": \"A\", \"retrieved_contexts\": [\"A\"], \"label\": \"pass\"}\n");
    s.kf(["eval", "bot@1.0.2", "--answers", "answers.jsonl", "--metric", "exact-match"]);
    s.write("bot/retrieval.yaml", "top-k: 77\nmode: hybrid\n");
    s.write("bot/large.bin", vec![3; 100_000]);
    ok(s, ["index", "export", "indexed", "--tenant", "acme"]);
    s.write("prompts/hello.txt", "Hello {name}\n");
    ok(s, ["prompt", "add", "prompts"]);
    s.write("prompts/hello.txt", "Hello {name}, {tone}\n");
    ok(s, ["prompt", "add", "prompts"]);
    s.write("prompts/hello.txt", "Good day {name}, {tone}\n");
    s.write("prompts.test.yaml", "prompts: [prompts/hello.txt]\nproviders: [echo]\ntests: [{vars: {name: Ada, tone: warm}}]\n");
    s.write(
        "review.json",
        "{\"schema\": \"kf.eval-changed/1\", \"verdict\": \"pass\", \"inconclusive_allowed\": false, \"models\": [], \"unchanged\": [\"bot\"], \
         \"removed\": [], \"since\": {\"reference\": \"main\", \"base\": \"0\", \"head\": \"1\", \"uncommitted\": []}}",
    );
    // What a search keeps in the cache is there before anybody looks.
    ok(s, ["search", "parcel", "--tenant", "acme"]);
    s.write("manual/new.md", story::RETURNS.replace("parcel", "newsletter"));
}

/// The words of an entry of the table, with what comes before the command.
pub(crate) fn typed(s: &Sandbox, before: &[&str], (command, args): (&str, &[&str])) -> Vec<String> {
    let word = |w: &str| match (w, s.engine()) {
        (ELSEWHERE, Engine::Servers) => "sqlite".to_owned(),
        (ELSEWHERE, Engine::Files) => pg::shared().map(|server| server.url(&server.database(), server.port())).expect("a server"),
        _ => w.to_owned(),
    };
    before.iter().copied().chain(command.split(' ')).chain(args.iter().copied()).map(word).collect()
}

/// Whether a command did what it is for, or said no.
pub(crate) fn ended(run: &Run) -> bool {
    !matches!(run.code, None | Some(1 | 2 | 10 | 11 | 101))
}

fn leaves(command: &Command, name: &str, found: &mut BTreeSet<String>) {
    let below: Vec<&Command> = command.get_subcommands().filter(|c| !c.is_hide_set()).collect();
    if below.is_empty() {
        found.insert(name.to_owned());
    }
    for c in below {
        leaves(c, format!("{name} {}", c.get_name()).trim(), found);
    }
}

#[test]
fn the_table_has_every_command() {
    let mut all = BTreeSet::new();
    leaves(&kf::cli::command(), "", &mut all);
    let there: BTreeSet<String> = EVERY.iter().map(|(name, _)| (*name).to_owned()).collect();
    let lacking: Vec<&String> = all.difference(&there).collect();
    assert!(lacking.is_empty(), "the table lacks {lacking:?}");
}

/// Texts that have one form; the formats that it is called by.
const TEXTS: &[(&str, &[&str], &[&str])] = &[
    ("card", &["bot@1.0.0"], &["table", "markdown"]),
    ("card", &["bot@1.0.0", "--yaml", "-o", "card.yaml"], &["table"]),
    ("ci comment", &["review.json", "-o", "comment.md"], &["table", "markdown"]),
    ("completions", &["bash"], &["table"]),
    ("config schema", &[], &["table", "json"]),
    ("audit show", &["1", "--raw"], &["table", "json"]),
    ("demo", &["--dir", "show"], &["table"]),
    ("flag export", &[], &["table", "json"]),
    ("help", &["promote"], &["table"]),
    ("ingest show", &["manual/returns.md", "--tenant", "acme", "--text"], &["table"]),
    ("monitor export grafana", &[], &["table", "json"]),
    ("monitor export probes", &[], &["table"]),
    ("monitor export prometheus-rules", &["-o", "kf.rules.yml"], &["table"]),
    ("monitor metrics", &["-o", "kf.prom"], &["table"]),
];

/// Whether a text is of the format that it is called by.
fn is_of_format(format: &str, text: &str) -> bool {
    let is_json = |text: &str| serde_json::from_str::<serde_json::Value>(text).is_ok();
    match format {
        "json" => is_json(text),
        "jsonl" => text.lines().all(is_json),
        "csv" => csv::ReaderBuilder::new().from_reader(text.as_bytes()).records().all(|r| r.is_ok()),
        _ => !text.trim_start().starts_with("{\""),
    }
}

#[test]
fn a_format_is_printed_or_refused() {
    let s = &Sandbox::on(Engine::Files).expect("a sandbox");
    prepare(s);
    let mut wrong = Vec::new();
    for entry in EVERY {
        let text = TEXTS.iter().find(|(command, args, _)| (*command, *args) == *entry);
        for format in ["table", "json", "jsonl", "csv", "markdown"] {
            let words = typed(s, &["--dry-run"], *entry);
            let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(&words).args(["--format", format]));
            let right = match text {
                Some((.., formats)) if !formats.contains(&format) => {
                    run.code == Some(2) && run.stdout.is_empty() && run.stderr.contains("is not printed as")
                }
                Some(_) if format != "json" => ended(&run),
                _ => ended(&run) && is_of_format(format, &run.stdout),
            };
            if !right {
                wrong.push(format!("{words:?} --format {format}\n{run}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the environment asks for in general keeps no shell from its completions.
#[test]
fn a_format_of_the_environment_is_for_reports() {
    on_both_engines(|s| {
        s.repository("");
        s.set("KF_FORMAT", "json");
        assert!(ok(s, ["completions", "bash"]).stdout.contains("complete"));
        assert!(ok(s, ["status"]).stdout.starts_with('{'));
    });
}
