//! Collections in Qdrant: what a server that is away, forgets, refuses or lies does to answers, and how it is told again.

use crate::builtin::{CONFIG, handbook, mean, registered};
use crate::repo::{ends, events, json, ok, refused};
use crate::search::{QUESTIONS, answers, asked, begin_with, engine, same};
use crate::support::daemon::kill;
use crate::support::documents::prose;
use crate::support::proxy::{Fault, Proxy};
use crate::support::qdrant::{Server, shared};
use crate::support::sandbox::{Engine, Run, Sandbox, on_both_engines};
use crate::support::{free_port, skip, wait_until};
use serde_json::{Value, json as value};
use std::io::Read as _;
use std::net::TcpListener;

/// A sandbox on files and the shared server.
fn with_server(test: impl Fn(&mut Sandbox, &Server)) {
    let server = match shared() {
        Ok(server) => server,
        Err(why) => return skip(why),
    };
    let mut sandbox = Sandbox::new();
    server.join(&mut sandbox);
    test(&mut sandbox, server);
}

/// A sandbox on each engine and the shared server.
fn on_both_with_server(test: impl Fn(&Sandbox, &Server)) {
    on_both_engines(|s| {
        let server = match shared() {
            Ok(server) => server,
            Err(why) => return skip(why),
        };
        server.join(s);
        test(s, server);
    });
}

/// A sandbox on files and a server of its own, which may be killed.
fn with_own_server(test: impl Fn(&Sandbox, &mut Server)) {
    let mut server = match Server::start(free_port()) {
        Ok(server) => server,
        Err(why) => return skip(&why),
    };
    let mut sandbox = Sandbox::new();
    server.join(&mut sandbox);
    test(&sandbox, &mut server);
}

/// What the server calls the only collection of a state.
fn collection(s: &Sandbox, server: &Server) -> String {
    let names = server.collections(&format!("kf-{}-", state_id(s)));
    assert_eq!(names.len(), 1, "{names:?}");
    names[0].clone()
}

fn state_id(s: &Sandbox) -> String {
    let origin = json(&ok(s, ["status", "--format", "json"]))["audit"]["origin"].as_str().expect("an origin").to_owned();
    origin.rsplit('/').next().expect("an id").to_owned()
}

fn search(s: &Sandbox, question: &str) -> Run {
    ok(s, ["search", question, "--format", "json"])
}

fn waiting(s: &Sandbox) -> u64 {
    let status = json(&ok(s, ["ingest", "status", "--format", "json"]));
    status["collections"].as_array().expect("collections").iter().map(|c| c["waiting"].as_u64().expect("a count")).sum()
}

fn write_new(s: &Sandbox) {
    s.write("docs/new.txt", "To send a parcel back, go to the counter in the station, show the letter that came with it and hand the parcel over before noon.\n");
}

/// A document of another tenant, the only one that it has.
fn ingest_secret(s: &Sandbox) {
    s.write("other/secret.md", "# Returns\n\nThe secret of the other tenant: return the parcel within thirty days to the house beside the harbour, and tell nobody.\n");
    ok(s, ["ingest", "other", "--tenant", "umbrella"]);
}

#[test]
fn an_index_moves_to_the_server_and_back() {
    on_both_with_server(|s, server| {
        let config = server.config(server.port()).replace("engine = \"qdrant\"", "engine = \"embedded\"");
        begin_with(s, &config);
        let before = answers(s);
        ok(s, ["--dry-run", "index", "move", "--to", "qdrant"]);
        assert_eq!(engine(s), "embedded", "a dry run moves nothing");
        assert_eq!(server.collections(&format!("kf-{}-", state_id(s))), [""; 0]);
        ok(s, ["index", "move", "--to", "qdrant"]);
        assert_eq!(engine(s), "qdrant");
        let run = search(s, QUESTIONS[0][0]);
        assert_eq!(run.stderr, "", "the server is asked: {run}");
        same(&before, &answers(s), "moved");
        let there = server.points(&collection(s, server));
        assert!(there.len() > 200, "{} points", there.len());
        let size = events(s);
        assert!(ok(s, ["index", "move", "--to", "qdrant"]).stdout.contains("already"));
        assert_eq!(events(s), size, "nothing was done");
        ok(s, ["index", "move", "--to", "embedded"]);
        assert_eq!(engine(s), "embedded");
        same(&before, &answers(s), "moved back");
        assert_eq!(server.collections(&format!("kf-{}-", state_id(s))), [""; 0], "nothing is left there");
        ok(s, ["audit", "verify"]);
        ok(s, ["fsck"]);
    });
}

#[test]
fn a_server_that_cannot_be_had_is_refused_and_nothing_moves() {
    with_server(|s, server| {
        begin_with(s, "");
        let run = refused(s, 2, ["index", "move", "--to", "qdrant"]);
        assert!(run.stderr.contains("url = \"http://localhost:6333\""), "{run}");
        let nobody = format!("[project]\nname = \"shop\"\n{}", server.config(free_port()));
        s.write("mlops.toml", &nobody);
        let run = refused(s, 1, ["index", "move", "--to", "qdrant"]);
        assert!(run.stderr.contains("cannot connect"), "{run}");
        let run = ends(s, 3, ["doctor"]);
        assert!(run.stdout.contains("vectors") && run.stdout.contains("cannot connect"), "{run}");
        s.write("mlops.toml", format!("[project]\nname = \"shop\"\n{}", server.config(server.port())));
        s.set("QDRANT_KEY", "another-key");
        let run = refused(s, 1, ["index", "move", "--to", "qdrant"]);
        assert!(run.stderr.contains("401") && run.stderr.contains("check the key"), "{run}");
        assert!(!run.stderr.contains("another-key"), "{run}");
        server.join(s);
        let run = ok(s, ["doctor"]);
        assert!(run.stdout.contains("Qdrant at http://127.0.0.1"), "{run}");
    });
}

/// What the server lost or was given by others is found, answers stay right all the while, and a rebuild mends it.
#[test]
fn what_the_server_lost_is_said_verified_and_brought_back() {
    with_server(|s, server| {
        begin_with(s, &server.config(server.port()));
        let before = answers(s);
        let name = collection(s, server);
        let points = server.points(&name);
        let (lost, altered, other) = (&points[0], &points[1], &points[2]);
        let path = format!("/collections/{name}/points");
        let put = |point: Value| server.ask("PUT", &format!("{path}?wait=true"), &value!({"points": [point]}));
        server.ask("POST", &format!("{path}/delete?wait=true"), &value!({"points": [lost["id"]]}));
        put(value!({"id": altered["id"], "vector": other["vector"], "payload": altered["payload"]}));
        put(value!({"id": 5, "vector": other["vector"], "payload": {}}));
        let run = search(s, QUESTIONS[0][0]);
        let held = format!("holds {} of {} vectors", points.len() - 1, points.len());
        assert!(run.stderr.contains(&held) && run.stderr.contains("kf index rebuild"), "{run}");
        same(&before, &answers(s), "while it lacks something");
        let run = ends(s, 3, ["index", "verify"]);
        for problem in
            ["1 vectors are not in it", "1 vectors of it are not those of their chunks", "1 vectors of it have no chunk"]
        {
            assert!(run.stdout.contains(problem), "{problem}\n{run}");
        }
        ok(s, ["index", "rebuild"]);
        ok(s, ["index", "verify"]);
        server.ask("DELETE", &format!("/collections/{name}"), &Value::Null);
        let run = search(s, QUESTIONS[0][0]);
        assert!(run.stderr.contains("holds 0 of") && run.stderr.contains("kf index rebuild"), "{run}");
        same(&before, &answers(s), "while it lacks all");
        assert!(ends(s, 3, ["index", "verify"]).stdout.contains("has no collection"));
        write_new(s);
        let run = ends(s, 5, ["ingest", "docs"]);
        assert!(run.stderr.contains("has not confirmed") && run.stderr.contains("kf index rebuild"), "{run}");
        assert_eq!(waiting(s), 1);
        ok(s, ["index", "rebuild"]);
        assert_eq!(waiting(s), 0);
        ok(s, ["index", "verify"]);
        assert_eq!(asked(s, QUESTIONS[0])[0].0, "docs/new.txt");
        assert_eq!(search(s, QUESTIONS[0][0]).stderr, "");
    });
}

/// Documents come, change and go while the server is away: answers are right, and it learns of all of it afterwards.
#[test]
fn a_server_that_is_away_is_told_when_it_is_back() {
    with_own_server(|s, server| {
        begin_with(s, &server.config(server.port()));
        server.kill();
        write_new(s);
        s.write("docs/bread.txt", "Rye bread needs sour dough, a day of rest and an oven that is hot at first and cooler later, or its crust will burn before it is done.\n");
        std::fs::remove_file(s.work().join("docs/bees.txt")).expect("a file");
        let run = ends(s, 5, ["ingest", "docs"]);
        assert!(run.stderr.contains("cannot connect") && run.stderr.contains("the next `kf ingest`"), "{run}");
        assert_eq!(waiting(s), 4, "one new, one replaced by two notes, one gone");
        let run = ok(s, ["ingest", "status"]);
        assert!(run.stdout.contains("4 changes not confirmed"), "{run}");
        let run = search(s, QUESTIONS[0][0]);
        assert!(run.stderr.contains("answered from the state") && run.stderr.contains("kf doctor"), "{run}");
        assert_eq!(asked(s, QUESTIONS[0])[0].0, "docs/new.txt");
        let run = ends(s, 3, ["index", "verify"]);
        assert!(run.stdout.contains("it cannot be read") && run.stdout.contains("4 changes not confirmed"), "{run}");
        let away = answers(s);
        server.start_again();
        // What waits is scored from the state, so answers do not depend on how far the server has come.
        same(&away, &answers(s), "back, and not told yet");
        assert_eq!(search(s, QUESTIONS[0][0]).stderr, "", "the server is asked");
        ok(s, ["ingest", "docs"]);
        assert_eq!(waiting(s), 0);
        same(&away, &answers(s), "told");
        ok(s, ["index", "verify"]);
        ok(s, ["fsck"]);
    });
}

#[test]
fn whatever_goes_wrong_on_the_way_is_told_again() {
    with_server(|s, server| {
        let proxy = Proxy::to(server.port());
        begin_with(s, &server.config(proxy.port()));
        let before = answers(s);
        let broken = |text: &str| Fault::http("500 Internal Server Error", text);
        // Once is retried; as often as kf tries is not.
        for (times, fault, code, said) in [
            (1, broken("{}"), 0, ""),
            (9, broken("{\"status\":{\"error\":\"disk full\"}}"), 5, "disk full"),
            (1, Fault::Drop, 0, ""),
            (1, Fault::CutReply(0), 0, ""),
            (9, Fault::CutReply(20), 5, "gave up"),
            (1, Fault::http("401 Unauthorized", "no"), 5, "401"),
            (
                1,
                Fault::http(
                    "200 OK",
                    "{\"result\":{\"operation_id\":1,\"status\":\"acknowledged\"},\"status\":\"ok\",\"time\":0}",
                ),
                5,
                "acknowledged",
            ),
            (1, Fault::http("200 OK", "<html>"), 5, "not Qdrant's"),
            (1, Fault::http("429 Too Many Requests", ""), 0, ""),
        ] {
            s.write(
                "docs/new.txt",
                format!("{} {code} {times} {fault:?}\n", "This text differs each time and says what shall happen.".repeat(3)),
            );
            (0..times).for_each(|_| proxy.arm("points?wait=true", fault.clone()));
            let run = s.kf(["ingest", "docs"]);
            assert_eq!(run.code, Some(code), "{fault:?}\n{run}");
            assert!(run.stderr.contains(said), "{fault:?}\n{run}");
            assert_eq!(waiting(s) > 0, code == 5, "{fault:?}");
            proxy.disarm();
            ok(s, ["ingest", "docs"]);
            assert_eq!(waiting(s), 0, "{fault:?}");
            ok(s, ["index", "verify"]);
        }
        ok(s, ["ingest", "rm", "docs/new.txt"]);
        same(&before, &answers(s), "after all");
    });
}

/// A server that takes connections and never answers is given up after the time that is configured.
#[test]
fn a_server_that_never_answers_is_given_up() {
    with_server(|s, server| {
        let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = silent.local_addr().expect("an address").port();
        begin_with(s, &server.config(server.port()));
        let before = answers(s);
        s.write("mlops.toml", format!("[project]\nname = \"shop\"\n{}timeout = \"1s\"\n", server.config(port)));
        write_new(s);
        let run = ends(s, 5, ["ingest", "docs"]);
        assert!(run.stderr.contains("no answer within 1 s"), "{run}");
        let run = search(s, QUESTIONS[2][0]);
        assert!(run.stderr.contains("no answer within 1 s"), "{run}");
        ok(s, ["ingest", "rm", "docs/returns.md", "--dry-run"]);
        s.write("mlops.toml", format!("[project]\nname = \"shop\"\n{}", server.config(server.port())));
        std::fs::remove_file(s.work().join("docs/new.txt")).expect("a file");
        ok(s, ["ingest", "docs"]);
        same(&before, &answers(s), "told");
        ok(s, ["index", "verify"]);
    });
}

/// The commit is made, the server has the request and has not answered: kill -9. The next command tells it again.
#[test]
fn what_was_committed_before_a_kill_is_told_by_the_next_command() {
    let port = free_port();
    let stuck = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    let mut sandbox = Sandbox::new();
    sandbox.set("QDRANT_KEY", "hunter22-qdrant");
    let s = &sandbox;
    let config = format!("[vectors]\nengine = \"qdrant\"\nurl = \"http://127.0.0.1:{port}\"\napi-key = \"env:QDRANT_KEY\"\n");
    s.repository(&config);
    write_new(s);
    let mut child = s.command(env!("CARGO_BIN_EXE_kf")).args(["ingest", "docs"]).spawn().expect("kf runs");
    let (mut asking, _) = stuck.accept().expect("kf tells the server");
    let mut first = [0; 16];
    asking.read_exact(&mut first).expect("a request");
    assert_eq!(&first, b"DELETE /collecti");
    kill(child.id());
    child.wait().expect("killed");
    drop((asking, stuck));
    assert!(waiting(s) > 0, "the document is there and the server does not know");
    let server = match Server::start(port) {
        Ok(server) => server,
        Err(why) => return skip(&why),
    };
    assert!(ends(s, 3, ["index", "verify"]).stdout.contains("has no collection"));
    ok(s, ["ingest", "docs"]);
    assert_eq!((waiting(s), server.points(&collection(s, &server)).len()), (0, 1));
    ok(s, ["index", "verify"]);
    assert_eq!(asked(s, QUESTIONS[0])[0].0, "docs/new.txt");
}

/// No tenant sees, counts or loses what is another's, and the server is told no name, path or text of anybody.
#[test]
fn tenants_are_walls_on_the_server_too() {
    with_server(|s, server| {
        begin_with(s, &server.config(server.port()));
        ingest_secret(s);
        let found = |tenant: &str| asked(s, &["return the parcel within thirty days", "-k", "1000", "--tenant", tenant]);
        assert!(found("default").iter().all(|hit| hit.0 != "other/secret.md"), "the wall holds");
        assert_eq!(found("umbrella").iter().map(|hit| hit.0.as_str()).collect::<Vec<_>>(), ["other/secret.md"]);
        let names = server.collections(&format!("kf-{}-", state_id(s)));
        let (theirs, ours): (Vec<_>, Vec<_>) = names.iter().partition(|name| server.points(name).len() == 1);
        let (theirs, ours) = (theirs[0].as_str(), ours[0].as_str());
        let all = names.iter().map(|n| format!("{n} {:?}", server.points(n))).collect::<String>();
        for word in ["umbrella", "default", "secret", "returns.md", "shop"] {
            assert!(!all.contains(word), "the server knows `{word}`");
        }
        // A point of the other tenant in this collection is not answered with, and is told apart.
        let point = server.points(theirs).remove(0);
        let path = format!("/collections/{ours}/points?wait=true");
        server.ask(
            "PUT",
            &path,
            &value!({"points": [{"id": point["id"], "vector": point["vector"], "payload": point["payload"]}]}),
        );
        let before = found("default");
        assert!(before.iter().all(|hit| hit.0 != "other/secret.md"));
        let run = ends(s, 3, ["index", "verify"]);
        assert!(run.stdout.contains("1 vectors of it belong to another tenant") && !run.stdout.contains("umbrella"), "{run}");
        ok(s, ["index", "verify", "--tenant", "umbrella"]);
        ok(s, ["index", "rebuild"]);
        ok(s, ["index", "verify"]);
        let run = ok(s, ["ingest", "status", "--tenant", "umbrella", "--format", "json"]);
        assert_eq!(json(&run)["collections"][0]["waiting"], 0);
        // Erasing takes the points of one, and leaves those of the other.
        ok(s, ["tenant", "erase", "default", "--subject", "mildew", "--reason", "asked for", "--yes"]);
        let left = server.points(ours);
        let gone = |hits: &[crate::search::Answer]| hits.iter().all(|hit| hit.0 != "docs/garden/roses.md");
        assert!(gone(&found("default")) && left.len() < before.len() + 1, "{} points are left", left.len());
        ok(s, ["index", "verify"]);
        ok(s, ["tenant", "erase", "umbrella", "--reason", "the contract ended", "--yes"]);
        assert_eq!(server.collections(&format!("kf-{}-", state_id(s))), [ours]);
        ok(s, ["audit", "verify"]);
        ok(s, ["fsck"]);
    });
}

/// An erased tenant is taken out of a server that was away when it was erased.
#[test]
fn what_was_erased_while_the_server_was_away_goes_from_it_too() {
    with_own_server(|s, server| {
        begin_with(s, &server.config(server.port()));
        ingest_secret(s);
        assert_eq!(server.collections("kf-").len(), 2);
        server.kill();
        let run = ends(s, 5, ["tenant", "erase", "umbrella", "--reason", "the contract ended", "--yes"]);
        assert!(run.stderr.contains("has not confirmed"), "{run}");
        server.start_again();
        assert_eq!(server.collections("kf-").len(), 2, "it does not know yet");
        assert!(ok(s, ["doctor"]).stdout.contains("1 change not confirmed"));
        ok(s, ["ingest", "docs"]);
        assert_eq!(server.collections("kf-").len(), 1);
        ok(s, ["index", "verify"]);
    });
}

/// A server that was given up for good is left behind without a failure in every command.
#[test]
fn a_server_can_be_given_up() {
    with_own_server(|s, server| {
        begin_with(s, &server.config(server.port()));
        let before = answers(s);
        server.kill();
        s.write("mlops.toml", "[project]\nname = \"shop\"\n");
        let run = search(s, QUESTIONS[0][0]);
        assert!(run.stderr.contains("`vectors.url` is not set"), "{run}");
        write_new(s);
        let run = ends(s, 5, ["ingest", "docs"]);
        assert!(run.stderr.contains("kf index move --to embedded"), "{run}");
        let run = ok(s, ["index", "move", "--to", "embedded"]);
        assert!(run.stderr.contains("not taken out there"), "{run}");
        ok(s, ["ingest", "rm", "docs/new.txt"]);
        assert_eq!(search(s, QUESTIONS[0][0]).stderr, "");
        same(&before, &answers(s), "without a server");
        ok(s, ["index", "verify"]);
        server.start_again();
        assert_eq!(server.collections("kf-").len(), 1);
        s.write("mlops.toml", format!("[project]\nname = \"shop\"\n{}", server.config(server.port())));
        ok(s, ["ingest", "docs"]);
        assert_eq!(server.collections("kf-"), [""; 0], "it was dropped as soon as it could be");
    });
}

/// Scores of what the documents answer are the same with the server, and without it, which is said once.
#[test]
fn retrieval_is_scored_alike_whether_the_server_answers_or_not() {
    with_own_server(|s, server| {
        handbook(s);
        registered(s, "collection: handbook\ntop_k: 1\n");
        let evaluated = || ends(s, 0, ["eval", "bot", "--metric", "mrr", "--format", "json"]);
        let score = |run: &Run| mean(&json(run), "mrr").expect("a score");
        let embedded = evaluated();
        let config = format!("[project]\nname = \"shop\"\n{CONFIG}{}", server.config(server.port()));
        s.write("mlops.toml", config);
        ok(s, ["index", "move", "--to", "qdrant", "--collection", "handbook"]);
        let there = evaluated();
        assert!(!there.stderr.contains("answered from the state"), "{there}");
        server.kill();
        let away = evaluated();
        assert_eq!(away.stderr.matches("answered from the state").count(), 1, "{away}");
        assert_eq!((score(&there), score(&away)), (score(&embedded), score(&embedded)));
    });
}

/// Several commands at once tell the server everything, each change once confirmed.
#[test]
fn writers_at_once_leave_nothing_untold() {
    on_both_with_server(|s, server| {
        s.repository(&server.config(server.port()));
        for folder in 0..4 {
            for file in 0..5 {
                s.write(format!("docs{folder}/{file}.txt"), prose(["boat", "lamp", "shelf", "stove"][folder], file));
            }
        }
        let args = |n: usize| ["ingest".to_owned(), format!("docs{n}"), "--keep-missing".to_owned()].to_vec();
        for run in s.kf_at_once(4, args) {
            assert_eq!(run.code, Some(0), "{run}");
        }
        assert_eq!(waiting(s), 0);
        ok(s, ["index", "verify"]);
    });
}

/// A state that moves keeps its place and what waits for it.
#[test]
fn what_waits_moves_along_with_the_state() {
    let servers = Sandbox::on(Engine::Servers);
    with_own_server(|s, server| {
        let Ok(servers) = &servers else { return skip("no PostgreSQL") };
        begin_with(s, &server.config(server.port()));
        let before = answers(s);
        server.kill();
        write_new(s);
        ends(s, 5, ["ingest", "docs"]);
        let url = servers.environment()["KF_STATE_URL"].clone();
        ok(s, ["state", "move", "--to", &url]);
        let config = s.read("mlops.toml");
        s.write("mlops.toml", format!("{config}\n[state]\nurl = \"{url}\"\n"));
        assert_eq!(waiting(s), 1, "it came along");
        server.start_again();
        ok(s, ["ingest", "docs"]);
        assert_eq!(waiting(s), 0);
        ok(s, ["index", "verify"]);
        assert_eq!(engine(s), "qdrant");
        ok(s, ["ingest", "rm", "docs/new.txt"]);
        same(&before, &answers(s), "on the other state");
        assert!(wait_until(1, || server.collections("kf-").len() == 1), "one place, the same");
    });
}
