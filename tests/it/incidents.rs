//! Incidents that alerts open: issues on GitHub, files in the repository.

use crate::drift::prepare;
use crate::repo::{ends, ok};
use crate::support::github::GitHub;
use crate::support::sandbox::{Run, Sandbox};

fn telling(s: &mut Sandbox, github: &GitHub) {
    s.set("GITHUB_API", &github.url());
    s.set("GITHUB_TOKEN", "hunter2-token");
    prepare(
        s,
        "on-critical = [\"notify\"]\nalerts = [\"issues\", \"files\"]\n\
         [alerts.issues]\nkind = \"github\"\nurl = \"env:GITHUB_API\"\nrepository = \"acme/shop\"\ntoken = \"env:GITHUB_TOKEN\"\n\
         timeout = \"2s\"\n[alerts.files]\nkind = \"file\"\npath = \"ops/incidents\"\n",
    );
}

fn moved(s: &Sandbox) -> Run {
    ends(s, 3, ["drift", "check", "bot", "--data", "moved.csv"])
}

fn files(s: &Sandbox) -> Vec<String> {
    let dir = s.work().join("ops/incidents");
    let entries = std::fs::read_dir(dir).expect("a folder").map(|e| e.expect("an entry").path());
    entries.map(|path| std::fs::read_to_string(path).expect("text")).collect()
}

/// What began is opened once, and closed when it is over; what people wrote stays.
#[test]
fn an_incident_is_opened_once_and_closed_when_it_is_over() {
    let (s, github) = (&mut Sandbox::new(), GitHub::start());
    telling(s, &github);
    // More than a page of other people's.
    github.crowd(130);
    moved(s);
    moved(s);
    let issue = github.issues()[130].clone();
    assert!(issue.open && issue.labels == ["incident"] && issue.title.starts_with("drift of bot: critical"), "{issue:?}");
    assert!(issue.body.contains("```text\n") && issue.comments.is_empty(), "{issue:?}");
    let [file] = &files(s)[..] else { panic!("{:?}", files(s)) };
    assert!(file.starts_with("# drift of bot: critical") && file.contains("instead of 10.0 %"), "{file}");
    for _ in 0..2 {
        ok(s, ["drift", "check", "bot", "--data", "quiet.csv"]);
    }
    let issue = github.issues()[130].clone();
    assert!(!issue.open && issue.comments.len() == 1 && issue.comments[0].contains("**Over** since"), "{issue:?}");
    assert!(files(s)[0].contains("**Over** since"));
    // It comes back: another incident.
    s.skip_runs(120);
    moved(s);
    assert_eq!((github.issues().len(), files(s).len()), (132, 2));
}

/// The issue is there and its answer was lost: it is found, not opened again.
#[test]
fn an_issue_whose_answer_was_lost_is_found_again() {
    let (s, github) = (&mut Sandbox::new(), GitHub::start());
    telling(s, &github);
    github.answer(&[0]);
    let run = moved(s);
    assert!(run.stderr.contains("`alerts.issues` was not told") && !run.to_string().contains("hunter2"), "{run}");
    s.skip_runs(10);
    ok(s, ["alert", "send"]);
    assert_eq!(github.issues().len(), 1);
}

/// A limit of rate is for now, a wrong token for good, and neither shows the token.
#[test]
fn refusals_are_told_without_the_token() {
    let (s, github) = (&mut Sandbox::new(), GitHub::start());
    telling(s, &github);
    github.answer(&[403, 502]);
    for why in ["rate limit", "502"] {
        let run = ends(s, 1, ["alert", "test", "issues"]);
        assert!(run.stderr.contains(why) && !run.to_string().contains("hunter2"), "{run}");
    }
    s.set("GITHUB_TOKEN", "hunter2-wrong");
    let run = ends(s, 3, ["alert", "test", "issues"]);
    assert!(run.stdout.contains("Bad credentials") && run.stdout.contains("hint: the token needs the right"), "{run}");
    assert!(!run.to_string().contains("hunter2"), "{run}");
    s.set("GITHUB_TOKEN", "hunter2-token");
    let run = ok(s, ["alert", "test", "issues"]);
    assert!(run.stdout.contains("#1 https://github.example/acme/shop/issues/1"), "{run}");
}
