use super::*;
use crate::seams::answerer::Answer;

fn system(script: &str) -> CommandSystem {
    CommandSystem {
        argv: vec!["sh".into(), "-c".into(), script.into()],
        env: Vec::new(),
        dir: ".".into(),
        version_dir: "/tmp/version".into(),
        model: "support-bot".into(),
        version: "1.2.0".into(),
        concurrency: NonZeroUsize::MAX,
        timeout: Duration::from_secs(20),
    }
}

fn questions(n: usize) -> Vec<Question> {
    (0..n).map(|i| Question { id: format!("q{i}"), question: format!("What is {i}?"), ..Question::default() }).collect()
}

fn ask(system: &CommandSystem, questions: &[Question]) -> (Vec<Answered>, Result<()>) {
    let mut all = Vec::new();
    let result = system.answer(questions, &mut |a| {
        all.push(a);
        Ok(())
    });
    (all, result)
}

fn answers(system: &CommandSystem, questions: &[Question]) -> Vec<Answered> {
    let (all, result) = ask(system, questions);
    result.expect("answers");
    all
}

fn text(a: &Answered) -> &str {
    a.outcome.as_ref().map_or_else(String::as_str, |a| &a.text)
}

/// Reads everything, then answers backwards: what a batch program does.
const BACKWARDS: &str =
    r#"awk '{l[NR]=$0} END{for(i=NR;i>0;i--)print l[i]}' | sed 's/.*"id":"\([^"]*\)".*/{"id":"\1","answer":"A of \1"}/'"#;
/// Answers line by line.
const STREAMING: &str =
    r#"while read -r line; do id=${line#*'"id":"'}; id=${id%%'"'*}; printf '{"id":"%s","answer":"ok"}\n' "$id"; done"#;

#[test]
fn answers_come_in_any_order() {
    let all = answers(&system(BACKWARDS), &questions(2000));
    assert_eq!(all.len(), 2000);
    assert_eq!((all[0].id.as_str(), text(&all[0])), ("q1999", "A of q1999"));
    assert!(all.iter().all(|a| text(a) == format!("A of {}", a.id)));
}

#[test]
fn at_most_so_many_are_in_flight_and_latency_is_measured() {
    // Takes whatever is there: a second line that came while the first is unanswered would be counted.
    let script = r#"
import json, os, time
ahead = 0
while True:
    data = os.read(0, 65536)
    if not data: break
    lines = data.decode().splitlines()
    ahead = max(ahead, len(lines))
    time.sleep(0.05)
    for line in lines:
        print(json.dumps({"id": json.loads(line)["id"], "answer": str(ahead)}), flush=True)
"#;
    let mut s = system("");
    s.argv = vec!["python3".into(), "-c".into(), script.into()];
    s.concurrency = NonZeroUsize::MIN;
    let began = Instant::now();
    let all = answers(&s, &questions(5));
    let whole_ms = began.elapsed().as_secs_f64() * 1e3;
    let latencies: Vec<f64> = all.iter().filter_map(|a| a.outcome.as_ref().ok()?.latency_ms).collect();
    assert!(all.iter().all(|a| text(a) == "1"), "{all:?}");
    assert!(latencies.len() == 5 && latencies.iter().all(|ms| *ms >= 50.0), "{latencies:?}");
    assert!(latencies.iter().sum::<f64>() <= whole_ms, "one after another: {latencies:?} in {whole_ms}");
}

#[test]
fn with_room_enough_all_are_handed_over_before_the_first_answer() {
    // Answers nothing before it has five lines, and does not wait for the end of its input.
    let script = r#"
import json, sys
lines = [sys.stdin.readline() for _ in range(5)]
for line in lines:
    print(json.dumps({"id": json.loads(line)["id"], "answer": "ok"}), flush=True)
"#;
    let mut s = system("");
    s.argv = vec!["python3".into(), "-c".into(), script.into()];
    s.concurrency = NonZeroUsize::MIN.saturating_add(4);
    let all = answers(&s, &questions(5));
    // No patience ran out: from then on nothing would be measured.
    assert!(all.len() == 5 && all.iter().all(|a| a.outcome.as_ref().is_ok_and(|a| a.latency_ms.is_some())), "{all:?}");
}

#[test]
fn a_stated_latency_is_kept() {
    let s = system(r#"echo '{"id":"q0","answer":"x","latency_ms":7,"cost_usd":0.5}'; cat >/dev/null"#);
    let all = answers(&s, &questions(1));
    let expected = Answer {
        text: "x".into(),
        latency_ms: Some(7.0),
        cost: Some(crate::base::quantity::MicroUsd(500_000)),
        ..Answer::default()
    };
    assert_eq!(all[0].outcome, Ok(expected));
}

#[test]
fn the_program_is_told_which_version() {
    let script =
        r#"cat >/dev/null; printf '{"id":"q0","answer":"%s %s %s %s"}' "$KF_VERSION_DIR" "$KF_MODEL" "$KF_VERSION" "$EXTRA""#;
    let mut s = system(script);
    s.env = vec![("EXTRA".into(), "1".into()), ("KF_VERSION".into(), "9.9.9".into())];
    assert_eq!(text(&answers(&s, &questions(1))[0]), "/tmp/version support-bot 1.2.0 1");
    let echo = r#"sed 's/.*"model":"\([^"]*\)","version":"\([^"]*\)".*/{"id":"q0","answer":"\1@\2"}/'"#;
    assert_eq!(text(&answers(&system(echo), &questions(1))[0]), "support-bot@1.2.0");
}

#[test]
fn what_is_unanswered_has_the_reason() {
    let check = |script: &str, reason: &str| {
        let mut s = system(script);
        s.timeout = Duration::from_millis(700);
        let all = answers(&s, &questions(3));
        assert_eq!(all.len(), 3, "{script}");
        assert_eq!((all[0].id.as_str(), text(&all[0])), ("q0", "ok"), "{script}");
        for a in &all[1..] {
            let found = a.outcome.as_ref().expect_err(script);
            assert!(found.starts_with(reason), "{script}: {found}");
        }
    };
    let one = r#"echo '{"id":"q0","answer":"ok"}';"#;
    check(one, "no answer: `sh` ended with exit status 0");
    check(&format!("{one} echo 'out of memory' >&2; exit 9"), "no answer: `sh` ended with exit status 9: out of memory");
    check(&format!("{one} printf '{{\"id\":\"q1\",\"ans'; kill -KILL $$"), "no answer: `sh` was ended by SIGKILL (signal 9)");
    check(&format!("{one} sleep 600"), "no answer: `sh` was stopped: it wrote nothing for 0.7 s");
    check(&format!("{one} echo '{{\"id\":\"q1\",\"error\":\"no answer: busy\"}}'; exit 1"), "no answer: ");
}

#[test]
fn a_program_that_reads_to_the_end_first_gets_everything() {
    let mut s = system(BACKWARDS);
    (s.timeout, s.concurrency) = (Duration::from_secs(4), NonZeroUsize::MIN);
    let all = answers(&s, &questions(20));
    assert_eq!((all.len(), all[0].id.as_str()), (20, "q19"));
    assert!(all.iter().all(|a| a.outcome.as_ref().is_ok_and(|a| a.latency_ms.is_none())), "waiting is no latency");
}

#[test]
fn a_program_that_does_not_end_after_its_last_answer_is_stopped() {
    let started = Instant::now();
    let all = answers(&system(r#"echo '{"id":"q0","answer":"ok"}'; sleep 600"#), &questions(1));
    assert_eq!(text(&all[0]), "ok");
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[test]
fn output_that_breaks_the_protocol_names_its_line() {
    let check = |output: &str, message: &str| {
        let (_, result) = ask(&system(&format!("printf '%s\\n' '' {output}; cat >/dev/null")), &questions(2));
        let e = result.expect_err(message);
        assert!(e.to_string().contains(message), "{e}");
        assert!(e.hints().iter().any(|h| h.contains("logs to standard error")), "{:?}", e.hints());
    };
    check("'Loading model…'", "line 2 of the output of `sh` is not a JSON object");
    check("'Loading model…'", ": Loading model…");
    check("'[1]'", "line 2 of the output of `sh` is not a JSON object");
    check(r#"'{"answer":"x"}'"#, "line 2 of the output of `sh` has no `id`");
    check(r#"'{"id":"zz","answer":"x"}'"#, "answers a question that was not asked: {\"id\":\"zz\"");
    check(r#"'{"id":"q0","answer":"x"}' '{"id":"q0","answer":"y"}'"#, "line 3 of the output of `sh` answers `q0` a second time");
    let (_, result) = ask(&system("head -c 20000000 /dev/zero | tr '\\0' x; sleep 600"), &questions(1));
    assert!(result.expect_err("too long").to_string().contains("line 1 of the output of `sh` is longer than 16.0 MiB"));
}

#[test]
fn the_callers_error_ends_it() {
    let mut seen = 0;
    let result = system(STREAMING).answer(&questions(50), &mut |_| {
        seen += 1;
        if seen == 3 { Err(Error::new("disk full")) } else { Ok(()) }
    });
    assert_eq!((seen, result.expect_err("refused").to_string().as_str()), (3, "disk full"));
}

#[test]
fn nothing_to_ask_starts_nothing_and_a_missing_program_is_an_error() {
    let mut s = system("");
    s.argv = vec!["kf-no-such-program".into()];
    assert!(answers(&s, &[]).is_empty());
    assert!(ask(&s, &questions(1)).1.expect_err("missing").to_string().contains("cannot run `kf-no-such-program`"));
    assert_eq!(s.kind(), "command");
}
