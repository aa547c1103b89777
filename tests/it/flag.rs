//! `kf flag`; what is exported read by an OpenFeature client's own evaluator (`openfeature-flagd-core`, Python).

use crate::repo::{json, ok, on_both, refused};
use crate::story;
use crate::support::sandbox::Sandbox;
use crate::support::{packages_with, skip};
use serde_json::{Value, json};
use std::process::Command;

fn list(s: &Sandbox, tenant: &str) -> Value {
    json(&ok(s, ["flag", "list", "--tenant", tenant, "--format", "json"]))["flags"].clone()
}

fn variant(s: &Sandbox, flag: &str, key: &str) -> String {
    ok(s, ["flag", "eval", flag, "--key", key]).stdout.trim().to_owned()
}

#[test]
fn flags_are_set_shown_and_taken_away() {
    on_both(|s| {
        s.repository("");
        assert_eq!(ok(s, ["flag", "list"]).stdout, "0 flags of default\n");
        assert_eq!(ok(s, ["flag", "set", "beta", "--percent", "5"]).stdout, "default/beta is on for 5 %, off for 95 %\n");
        let again = ok(s, ["flag", "set", "beta", "--percent", "5"]);
        assert_eq!(again.stdout, "default/beta is on for 5 %, off for 95 % already\n");
        assert_eq!(ok(s, ["flag", "set", "beta", "--on"]).stdout, "default/beta is on, before on for 5 %, off for 95 %\n");
        ok(s, ["flag", "set", "prompt", "--variant", "v2=12.5", "--variant", "v1=87.5"]);
        let beta = json!({"name": "beta", "variants": [{"variant": "on", "value": true, "percent": 100.0}], "fallback": "on"});
        let part = |variant: &str, percent: f64| json!({"variant": variant, "value": variant, "percent": percent});
        let prompt = json!({"name": "prompt", "variants": [part("v2", 12.5), part("v1", 87.5)], "fallback": "v1"});
        assert_eq!(list(s, "default"), json!([beta, prompt]));
        assert!(ok(s, ["flag", "get", "prompt"]).stdout.contains("prompt  v2       12.5"));
        // Set twice, and once to what it was: two entries of the log.
        let log = ok(s, ["audit", "log", "--format", "json"]).stdout;
        assert_eq!(log.matches("flag.set").count(), 3, "{log}");
        ok(s, ["flag", "set", "beta", "--off", "--dry-run"]);
        ok(s, ["flag", "remove", "beta", "--dry-run"]);
        assert_eq!(variant(s, "beta", "anybody"), "on");
        assert_eq!(ok(s, ["flag", "remove", "beta"]).stdout, "default/beta is no flag any more, before on\n");
        let run = refused(s, 1, ["flag", "eval", "promt", "--key", "x"]);
        assert!(run.stderr.contains("the tenant default has no flag promt") && run.stderr.contains("`prompt`"), "{run}");
        ok(s, ["fsck"]);
    });
}

#[test]
fn a_tenants_flags_are_its_own_and_go_with_it() {
    on_both(|s| {
        s.repository("");
        ok(s, ["flag", "set", "zarquon", "--on", "--tenant", "acme"]);
        ok(s, ["flag", "set", "beta", "--off", "--tenant", "acme"]);
        ok(s, ["flag", "set", "beta", "--on"]);
        assert_eq!((variant(s, "beta", "u"), list(s, "other")), ("on".to_owned(), json!([])));
        let run = refused(s, 1, ["flag", "get", "zarquo"]);
        assert!(!run.stderr.contains("zarquon"), "{run}");
        assert!(!ok(s, ["flag", "export"]).stdout.contains("zarquon"));
        s.write("docs/a.md", format!("# Returns\n\n{}\n", story::RETURNS));
        ok(s, ["ingest", "docs", "--skeleton", "--tenant", "acme"]);
        ok(s, ["tenant", "erase", "acme", "--reason", "contract ended", "--yes"]);
        assert_eq!((list(s, "acme"), variant(s, "beta", "u")), (json!([]), "on".to_owned()));
        ok(s, ["fsck"]);
    });
}

#[test]
fn what_is_no_rule_is_refused() {
    let s = Sandbox::new();
    s.repository("");
    for (args, why) in [
        (&["--percent", "101"] as &[&str], "a part is a percentage from 0 to 100"),
        (&["--percent", "1.234"], "a part is a percentage from 0 to 100"),
        (&["--percent", "NaN"], "a part is a percentage from 0 to 100"),
        (&["--on", "--off"], "cannot be used with"),
        (&[], "required"),
        (&["--variant", "a=90"], "come to 90 %, not to 100 %"),
        (&["--variant", "a=50", "--variant", "a=50"], "the variant `a` is there twice"),
        (&["--variant", "on=50", "--variant", "a=50"], "do not mix"),
        (&["--variant", "a b"], "cannot be a name"),
        (&["--variant", "=50"], "cannot be a name"),
        (&["--on", "--tenant", "a/b"], "cannot be a name"),
    ] {
        let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(["flag", "set", "beta"]).args(args));
        assert!(run.code == Some(2) && run.stderr.contains(why), "{why}: {run}");
    }
    assert_eq!(list(&s, "default"), json!([]));
}

/// A real evaluator reads the file and gives every key the variant that kf gives.
#[test]
fn an_openfeature_client_gives_the_same_variants() {
    let Some(packages) = packages_with("openfeature/contrib/tools/flagd/core/__init__.py") else {
        return skip("openfeature-flagd-core is not installed");
    };
    let s = Sandbox::new();
    s.repository("");
    ok(&s, ["flag", "set", "beta", "--percent", "12.34"]);
    ok(&s, ["flag", "set", "live", "--on"]);
    ok(&s, ["flag", "set", "prompt", "--variant", "v3=20", "--variant", "v2=30.5", "--variant", "v1=49.5"]);
    ok(&s, ["flag", "export", "--flagd", "flags.json"]);
    let script = "import json, sys\nfrom openfeature.contrib.tools.flagd.core import FlagdCore\nfrom openfeature.evaluation_context import EvaluationContext\n\
        core = FlagdCore()\ncore.set_flags(open(sys.argv[1]).read())\n\
        of = lambda flag, key: (core.resolve_string_value(flag, '?', EvaluationContext(key)) if flag == 'prompt' else core.resolve_boolean_value(flag, False, EvaluationContext(key))).variant\n\
        print(json.dumps([[of(flag, key) for key in json.loads(sys.argv[2])] for flag in ['beta', 'live', 'prompt']]))\n";
    let long = "k".repeat(300);
    let keys = ["user-3", "user-29", "user-1", "ross@faas.com", "ünï ☂", "x", &long];
    let environment = packages.ancestors().nth(3).expect("an environment");
    let run = Command::new(environment.join("bin/python"))
        .args(["-c", script])
        .arg(s.work().join("flags.json"))
        .arg(json!(keys).to_string())
        .output()
        .expect("python runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let theirs: Vec<Vec<String>> = serde_json::from_slice(&run.stdout).expect("JSON");
    let ours = ["beta", "live", "prompt"].map(|flag| keys.iter().map(|key| variant(&s, flag, key)).collect::<Vec<_>>());
    assert_eq!(theirs, ours);
    assert!(ours[0].contains(&"on".to_owned()) && ours[2].iter().any(|v| v != &ours[2][0]), "{ours:?}");
}
