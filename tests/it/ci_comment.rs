//! `kf eval --changed` and `kf ci comment`, in a Git repository as a runner of pull requests has it: a clone, and no state.

use crate::repo::{ends, json, ok};
use crate::schemas::fit;
use crate::support::sandbox::{Run, Sandbox};
use insta::assert_snapshot;
use serde_json::{Value, json as doc};

/// Answers by the prompt of the version that is asked: the exact one leaves half of every seventh answer out, `Say little` nearly all of
/// every answer; `Be careful` mends two of those and spoils another.
pub(crate) const PROGRAM: &str = r#"import json, os, pathlib, sys
prompt = pathlib.Path(os.environ["KF_VERSION_DIR"], "prompts/answer.txt").read_text()
right = {r["id"]: r["reference"] for r in map(json.loads, open("golden.jsonl"))}
for line in sys.stdin:
    asked = json.loads(line)
    i, said = int(asked["id"][1:]), right[asked["id"]].split()
    bad = {0, 7, 14, 21, 28}
    if "Be careful" in prompt:
        bad = (bad - {0, 7}) | {3}
    if "Say little" in prompt:
        said = said[:1]
    elif i in bad:
        said = said[: len(said) // 2]
    print(json.dumps({"id": asked["id"], "answer": " ".join(said), "latency_ms": 100 + len(said), "cost_usd": 0.001}), flush=True)
"#;

const MODEL: &str =
    "[project]\nname = \"shop\"\n[model.bot]\ntype = \"config\"\npath = \"bot\"\n[golden]\ndataset = \"golden.jsonl\"\n";
const GATE: &str = "[gates.words]\nstage = [\"staging\", \"production\"]\nkind = \"absolute\"\nmetric = \"token-f1\"\nmin = 0.6\n\
    bound = \"mean\"\nallow-recorded = true\n";

/// A configuration whose versions are asked by the program.
pub(crate) fn config() -> String {
    format!("{MODEL}[system]\nkind = \"command\"\ncommand = [\"python3\", \"answer.py\"]\n{GATE}")
}

pub(crate) fn rows(n: usize) -> String {
    let row = |i: usize| {
        let language = if i.is_multiple_of(2) { "de" } else { "en" };
        let reference = format!("parcel {i} arrives within seven working days");
        format!(
            "{}\n",
            doc!({"id": format!("q{i}"), "question": format!("When does parcel {i} arrive?"), "reference": reference, "language": language})
        )
    };
    (0..n).map(row).collect()
}

pub(crate) fn commit(s: &Sandbox, what: &str) {
    s.git(["add", "."]);
    s.git(["commit", "-qm", what]);
}

/// A clone on a branch of its own, with nothing changed yet.
pub(crate) fn branch() -> Sandbox {
    let s = Sandbox::new();
    s.write("mlops.toml", config());
    s.write("answer.py", PROGRAM);
    s.write("golden.jsonl", rows(30));
    s.write("bot/prompts/answer.txt", "Answer {question} from {context}.\n");
    s.write("bot/retrieval.yaml", "top-k: 5\nmode: hybrid\n");
    s.write(".gitignore", "*.json\n*.md\n");
    s.git(["init", "-q", "-b", "main"]);
    commit(&s, "first");
    s.git(["checkout", "-qb", "topic"]);
    s
}

pub(crate) fn prompt(s: &Sandbox, text: &str) {
    s.write("bot/prompts/answer.txt", format!("{text} Answer {{question}} from {{context}}.\n"));
    commit(s, text);
}

/// What a branch changes, held to its schema, and the comment that is made of it.
#[track_caller]
pub(crate) fn judged(s: &Sandbox, code: i32) -> (Value, String) {
    let run = ends(s, code, ["eval", "--changed=main", "--metric", "token-f1", "--format", "json"]);
    let found = json(&run);
    fit("eval-changed", std::slice::from_ref(&found));
    s.write("eval.json", &run.stdout);
    (found, ok(s, ["ci", "comment", "eval.json"]).stdout)
}

#[test]
fn a_prompt_that_got_worse_fails_with_a_comment() {
    let s = &branch();
    prompt(s, "Say little.");
    let (found, comment) = judged(s, 3);
    let (head, rest) = comment.split_once("**q2**").expect("several rows");
    assert_snapshot!(head, @r##"
    <!-- kf-ci-comment:prompts -->
    ## Prompt evaluation: ❌ fail

    Compared with main at 49425ffeb9f9, where this branch parted from it.

    ### bot: ❌ fail

    - token-f1 is worse: 0.9333 → 0.2500 &#40;-0.6833, 95 % interval -0.7399 … -0.6267, n = 30&#41;
    - gate words fails: token-f1 0.2500, wanted ≥ 0.6; it misses the limit

    30 rows of golden.jsonl, answers: command.

    | metric | base | this | difference | 95 % interval | n | verdict |
    | --- | ---: | ---: | ---: | --- | ---: | --- |
    | token-f1 | 0.9333 | 0.2500 | -0.6833 | -0.7399 … -0.6267 | 30 | **worse** |

    | gate | stage | metric | measured | threshold | verdict | why |
    | --- | --- | --- | ---: | --- | --- | --- |
    | words | production | token-f1 | 0.2500 | ≥ 0.6 | ❌ fail | it misses the limit |

    <details open><summary>The 10 rows that lost most</summary>

    **q1**: token-f1 1.000 → 0.250

    ```diff
      question  When does parcel 1 arrive?
      expected  parcel 1 arrives within seven working days
    - base      parcel 1 arrives within seven working days
    + this      parcel
    ```

    "##);
    assert_snapshot!(rest.split_once("</details>\n").expect("an end").1, @r##"

    <details><summary>2 slices got worse</summary>

    | slice | metric | difference | n | q |
    | --- | --- | ---: | ---: | ---: |
    | language en | token-f1 | -0.6967 | 15 | 0.0001 |
    | language de | token-f1 | -0.6700 | 15 | 0.0001 |

    </details>

    <details><summary>Cost and latency</summary>

    | figure | base | this | change |
    | --- | ---: | ---: | ---: |
    | cost-per-query (USD) | 0.001000 | 0.001000 | +0.0 % |
    | coverage | 1.0000 | 1.0000 | +0.0 % |
    | error-rate | 0.0000 | 0.0000 |  |
    | latency-p95 (ms) | 107.0 | 101.0 | -5.6 % |

    </details>

    <details><summary>What changed: 1 prompt</summary>

    - bot/prompts/answer.txt: changed

    | prompt | is | variables | tokens before | now |
    | --- | --- | --- | ---: | ---: |
    | prompts/answer.txt | changed |  | 9 | 12 |

    ```diff
    changed prompts/answer.txt
    --- a/prompts/answer.txt
    +++ b/prompts/answer.txt
    @@ -1 +1 @@
    -Answer {question} from {context}.
    +Say little. Answer {question} from {context}.
    ```

    </details>
    "##);
    assert_eq!(found["models"][0]["worst"].as_array().map(Vec::len), Some(20));
    let said = ends(s, 3, ["eval", "--changed=main", "--metric", "token-f1"]);
    assert_snapshot!(said, @r##"
    bot on golden.jsonl (30 rows), answers: command
    changed: bot/prompts/answer.txt (changed)
    bot fails
      token-f1 is worse: 0.9333 → 0.2500 (-0.6833, 95 % interval -0.7399 … -0.6267, n = 30)
      gate words fails: token-f1 0.2500, wanted ≥ 0.6; it misses the limit

    METRIC      BASE    THIS  DIFFERENCE  95 % INTERVAL       N  VERDICT
    token-f1  0.9333  0.2500     -0.6833  -0.7399 … -0.6267  30  worse

    GATE   OF          METRIC    MEASURED  THRESHOLD  VERDICT  WHY
    words  production  token-f1    0.2500  ≥ 0.6      fail     it misses the limit

    1 model changed since main (49425ffeb9f9): bot fails
    -- exit status: 3 --
    "##);
    assert!(!s.work().join(".kf").exists(), "nothing is recorded, and nothing has to be there");
}

#[test]
fn one_that_improves_within_noise_is_inconclusive_and_says_how_many_rows_it_takes() {
    let s = &branch();
    prompt(s, "Be careful.");
    let (found, comment) = judged(s, 4);
    let needed = found["models"][0]["needed"].as_u64().expect("a number of rows");
    assert!(needed > 30 && found["models"][0]["same_answers"] == 27, "{found}");
    let line = format!("## Prompt evaluation: ❔ inconclusive, needs n = {needed}\n");
    assert!(
        comment.contains(&line) && comment.contains(&format!("inconclusive, needs n = {needed} &#40;has 30&#41;")),
        "{comment}"
    );
    // A gate that shows that no more is lost than it allows is an answer, and so is a policy that lets it through.
    let gate = "[gates.no-worse]\nstage = \"production\"\nkind = \"regression\"\nmetric = \"token-f1\"\nmargin = 0.3\n";
    s.write("mlops.toml", format!("{}{gate}", config()));
    let (found, comment) = judged(s, 0);
    assert!(comment.contains("✅ pass") && found["since"]["uncommitted"] == doc!(["mlops.toml"]), "{comment}");
    s.write("mlops.toml", format!("{}[policy]\ninconclusive = \"allow\"\n", config()));
    let (_, comment) = judged(s, 0);
    assert!(comment.contains("❔ inconclusive") && comment.contains("`policy.inconclusive` lets"), "{comment}");
}

#[test]
fn what_touches_no_model_passes_and_what_is_not_committed_counts() {
    let mut s = branch();
    s.write("README.txt", "Hello\n");
    commit(&s, "words");
    let (found, comment) = judged(&s, 0);
    assert_eq!((&found["models"], &found["unchanged"]), (&doc!([]), &doc!(["bot"])));
    assert!(comment.contains("## Prompt evaluation: no model changed\n") && comment.contains("Not changed: bot."), "{comment}");
    let quiet = ok(&s, ["eval", "--changed=main"]);
    assert!(quiet.stdout.starts_with("no model changed since main ("), "{quiet}");
    s.write("bot/prompts/answer.txt", "Say little. {question} {context}\n");
    let (found, comment) = judged(&s, 3);
    assert_eq!(found["since"]["uncommitted"], doc!(["bot/prompts/answer.txt"]));
    assert!(comment.contains("1 file not committed"), "{comment}");
    // What others merged meanwhile is nobody's change here; what GitHub says of a pull request is what it goes into.
    s.git(["checkout", "-q", "bot/prompts/answer.txt"]);
    s.git(["checkout", "-q", "main"]);
    prompt(&s, "Say little.");
    s.git(["checkout", "-q", "topic"]);
    s.git(["update-ref", "refs/remotes/origin/release", "main"]);
    s.set("GITHUB_ACTIONS", "true");
    s.set("GITHUB_BASE_REF", "release");
    let run = ok(&s, ["eval", "--changed"]);
    assert!(run.stdout.starts_with("no model changed since origin/release ("), "{run}");
    s.set("GITHUB_BASE_REF", "gone");
    let run = ends(&s, 2, ["eval", "--changed"]);
    assert!(run.stderr.contains("there is none of origin/gone"), "{run}");
    let run = ends(&s, 2, ["eval", "--changed=origin/relaese"]);
    assert!(run.stderr.contains("did you mean `origin/release`?"), "{run}");
}

#[test]
fn hostile_rows_stay_text_and_a_huge_answer_is_cut() {
    let s = &branch();
    let evil = "@everyone | table <img src=x> ```\n``` </details> [x](https://evil.example) #1";
    let big = "x".repeat(1_000_000);
    let row = |i: usize| {
        let question = if i == 0 { evil.to_owned() } else { format!("Q{i}") };
        format!(
            "{}\n",
            doc!({"id": format!("q{i}"), "question": question, "reference": "seven days", "answer": "seven days", "tags": [evil]})
        )
    };
    s.write("mlops.toml", MODEL);
    s.write("golden.jsonl", (0..12).map(row).collect::<String>());
    commit(s, "recorded");
    s.git(["branch", "-f", "main"]);
    s.write("golden.jsonl", s.read("golden.jsonl").replace("\"answer\":\"seven days\"", &format!("\"answer\":\"{big}\"")));
    prompt(s, "Say more.");
    let (found, comment) = judged(s, 3);
    assert!(found.to_string().len() < 200_000 && comment.encode_utf16().count() < 65_536, "{}", comment.len());
    let outside: Vec<&str> = comment.split("```").step_by(2).collect();
    assert!(outside.iter().all(|t| !t.contains("<img") && !t.contains("https://") && !t.contains("@everyone")), "{outside:?}");
    assert!(comment.contains("more characters"), "{comment}");
    let tagged = comment.lines().find(|l| l.contains("&#64;\u{200b}everyone"));
    assert!(tagged.is_none_or(|l| !l.contains("| table")), "{tagged:?}");
}

/// Answers that were recorded before the change say nothing of it.
#[test]
fn recorded_answers_must_be_of_the_change() {
    let s = &branch();
    s.write("mlops.toml", format!("{MODEL}{GATE}"));
    let answers = |good: usize| {
        let text =
            |i: usize| if i < good { format!("parcel {i} arrives within seven working days") } else { "no idea".to_owned() };
        (0..30).map(|i| format!("{}\n", doc!({"id": format!("q{i}"), "answer": text(i)}))).collect::<String>()
    };
    s.write("answers.jsonl", answers(25));
    commit(s, "recorded");
    s.git(["branch", "-f", "main"]);
    prompt(s, "Say little.");
    let run = |code| ends(s, code, ["eval", "--changed=main", "--answers", "answers.jsonl", "--metric", "token-f1"]);
    assert!(run(4).stdout.contains("the answers in answers.jsonl are those of before"), "{}", run(4));
    s.write("answers.jsonl", answers(5));
    let said: Run = run(3);
    assert!(said.stdout.contains("token-f1 is worse") && said.stdout.contains("answers: recorded"), "{said}");
    s.git(["rm", "-q", "--cached", "answers.jsonl"]);
    s.git(["commit", "-qm", "none"]);
    s.git(["branch", "-f", "main"]);
    s.write("bot/retrieval.yaml", "top-k: 6\nmode: hybrid\n");
    assert!(run(3).stdout.contains("there was no answers.jsonl"), "{}", run(3));
}

/// The golden dataset, the program and `mlops.toml` change every model; a model that is new has nothing before it, one that is gone is said.
#[test]
fn what_all_models_rest_on_changes_all() {
    let s = &branch();
    let why = |found: &Value| found["models"][0]["why"].clone();
    s.write("golden.jsonl", rows(31));
    let (found, comment) = judged(s, 0);
    assert_eq!(why(&found), doc!(["golden.jsonl: the golden dataset"]));
    assert!(comment.contains("the model is what it was; what it is measured by changed"), "{comment}");
    s.git(["checkout", "-q", "golden.jsonl"]);
    s.write("answer.py", PROGRAM.replace("bad = {0, 7, 14, 21, 28}", "bad = set(range(30))"));
    let (found, _) = judged(s, 3);
    assert_eq!(why(&found), doc!(["answer.py: the program that answers"]));
    s.git(["checkout", "-q", "answer.py"]);
    s.write(
        "mlops.toml",
        config().replace("[golden]", "[model.bot.parts]\nprompts = \"prompts\"\n[golden]").replace("0.6", "0.99"),
    );
    let (found, _) = judged(s, 3);
    assert_eq!(why(&found), doc!(["mlops.toml: `model.bot.parts`", "mlops.toml: `[gates]`"]));
    s.write("mlops.toml", config().replace("model.bot", "model.desk"));
    let (found, comment) = judged(s, 0);
    assert_eq!((&found["removed"], &found["models"][0]["is_new"]), (&doc!(["bot"]), &doc!(true)));
    assert!(comment.contains("Removed: bot.") && comment.contains("it is new, so its gates alone decide"), "{comment}");
    // A file that several models are made of changes each of them.
    let second = "[model.desk]\ntype = \"prompt\"\npath = \"bot/prompts\"\n[golden]";
    s.write("mlops.toml", config().replace("[golden]", second));
    commit(s, "two");
    s.git(["branch", "-f", "main"]);
    s.write(
        "answer.py",
        PROGRAM.replace(
            "\"prompts/answer.txt\"",
            "\"prompts/answer.txt\" if os.environ[\"KF_MODEL\"] == \"bot\" else \"answer.txt\"",
        ),
    );
    commit(s, "both");
    s.git(["branch", "-f", "main"]);
    prompt(s, "Say little.");
    let (found, comment) = judged(s, 3);
    let names: Vec<&str> = found["models"].as_array().expect("a list").iter().filter_map(|m| m["name"].as_str()).collect();
    assert_eq!(names, ["bot", "desk"]);
    assert!(comment.contains("| bot | ❌ fail |") && comment.contains("| desk | ❌ fail |"), "{comment}");
    // What was wrong before cannot be compared with.
    s.write("mlops.toml", "[project]\nname = 7\n");
    commit(s, "broken");
    s.git(["branch", "-f", "main"]);
    s.write("mlops.toml", config());
    let (found, comment) = judged(s, 3);
    assert_eq!(found["models"][0]["is_new"], doc!(false));
    assert!(comment.contains("mlops.toml of then cannot be read"), "{comment}");
}

/// A link leads to a file that is changed elsewhere; weights that Git does not know are what they were, as far as anybody can say.
#[test]
fn files_are_found_behind_links_and_beside_git() {
    let s = &branch();
    s.write(".gitignore", "*.json\n*.md\nweights.bin\n");
    s.write("bot/weights.bin", "1");
    s.write("shared/tone.txt", "Be kind.\n");
    std::os::unix::fs::symlink("../../shared/tone.txt", s.work().join("bot/prompts/tone.txt")).expect("a link");
    commit(s, "more");
    s.git(["branch", "-f", "main"]);
    s.write("bot/weights.bin", "2");
    s.write("notes.txt", "Hello\n");
    let (found, _) = judged(s, 0);
    assert_eq!(found["models"], doc!([]));
    s.write("shared/tone.txt", "Be kind and brief.\n");
    let (found, _) = judged(s, 4);
    assert_eq!(found["models"][0]["files"], doc!([{"path": "shared/tone.txt", "status": "changed", "from": null}]));
    assert_eq!(found["since"]["uncommitted"], doc!(["shared/tone.txt"]));
    s.git(["mv", "bot/prompts/answer.txt", "bot/prompts/reply.txt"]);
    s.write("answer.py", PROGRAM.replace("\"prompts/answer.txt\"", "\"prompts/reply.txt\""));
    let (found, _) = judged(s, 4);
    let renamed = doc!({"path": "bot/prompts/reply.txt", "status": "renamed", "from": "bot/prompts/answer.txt"});
    assert_eq!(found["models"][0]["files"][0], renamed, "{found}");
}

/// A project in a folder of its repository, with a registered dataset, which the state alone has.
#[test]
fn a_registered_dataset_is_asked_and_its_gates_are_judged() {
    let s = &branch();
    let below = |code, args: &[&str]| {
        let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(["-C", "below"]).args(args));
        assert_eq!(run.code, Some(code), "{args:?}\n{run}");
        run
    };
    for file in ["answer.py", "golden.jsonl", "bot/prompts/answer.txt", "bot/retrieval.yaml"] {
        s.write(format!("below/{file}"), s.read(file));
    }
    let dataset = "[model.golden]\ntype = \"dataset\"\npath = \"golden.jsonl\"\n";
    s.write("below/mlops.toml", config().replace("\"golden.jsonl\"", "\"golden@1.0.0\"") + dataset);
    commit(s, "below");
    s.git(["branch", "-f", "main"]);
    below(0, &["init"]);
    below(0, &["register", "golden"]);
    s.write("bot/prompts/answer.txt", "elsewhere {question}\n");
    assert!(below(0, &["eval", "--changed=main"]).stdout.contains("no model changed"));
    s.write("below/bot/prompts/answer.txt", "Say little. {question} {context}\n");
    let before = below(0, &["status", "--format", "json"]).stdout;
    let found = json(&below(3, &["eval", "--changed=main", "--metric", "token-f1", "--format", "json"]));
    let model = &found["models"][0];
    assert_eq!((&model["dataset"], &model["gates"][0]["verdict"]), (&doc!("golden@1.0.0"), &doc!("fail")), "{model}");
    assert_eq!(model["files"][0]["path"], "bot/prompts/answer.txt");
    assert_eq!(below(0, &["status", "--format", "json"]).stdout, before, "nothing is recorded");
}

#[test]
fn a_comment_is_made_of_reports_and_nothing_else() {
    let s = &branch();
    s.write("prompts.test.yaml", "prompts: [bot/prompts/answer.txt]\nproviders: [echo]\ntests: [{vars: {question: Why, context: C}, assert: [{type: contains, value: Because}]}]\n");
    s.write("suite.json", ends(s, 3, ["prompt", "test", "--format", "json"]).stdout);
    s.write("eval.json", ok(s, ["eval", "--changed=main", "--format", "json"]).stdout);
    let comment = ok(s, ["ci", "comment", "eval.json", "suite.json", "--id", "desk", "--title", "Library desk", "-o", "c.md"]);
    assert_eq!(comment.stdout, "");
    assert_snapshot!(s.read("c.md"), @r##"
    <!-- kf-ci-comment:desk -->
    ## Library desk: ❌ fail

    Compared with main at 49425ffeb9f9, where this branch parted from it.

    Not changed: bot.

    1 changed file belongs to no model.

    ### Suite prompts.test.yaml: ❌ fail

    0 of 1 answer passed, 1 failed.

    <details><summary>1 answer did not pass</summary>

    **case 1**, prompt bot/prompts/answer.txt, by echo: fail

    ```diff
    - why       contains: expected to contain "Because", got "Answer Why from C. "
      answer    Answer Why from C.
    ```

    </details>
    "##);
    let refused = |text: &str, why: &str| {
        s.write("bad.json", text);
        let run = ends(s, 2, ["ci", "comment", "bad.json"]);
        assert!(run.stderr.contains(why) && run.stderr.contains("hint: "), "{run}");
    };
    refused("", "bad.json is empty");
    refused("{", "bad.json is no JSON");
    refused("{\"schema\": \"kf.eval/1\"}", "bad.json is `kf.eval/1`");
    refused("[]", "bad.json is not a report of kf");
    refused("{\"schema\": \"kf.eval-changed/1\"}", "does not have what a report has");
    ends(s, 1, ["ci", "comment", "gone.json"]);
    let run = ends(s, 2, ["eval", "--changed=main", "--report", "junit=x.xml"]);
    assert!(run.stderr.contains("is not written as junit"), "{run}");
    ends(s, 2, ["eval", "bot", "--changed"]);
    ends(s, 2, ["eval"]);
}
