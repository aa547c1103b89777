//! Whole rollouts through nginx and Envoy, the real ones, with what users of them count by: a bad version is taken back by the judge, a good
//! one promoted, and the way back is there, step by step and blue-green; nobody loses a request.

use crate::support::front::{Front, Kind, LAST, NEW, NEXT, OLD, block, both};
use crate::support::prometheus::Server;
use crate::support::rollout::{Asked, Users, in_production, live, proof};
use crate::support::sandbox::Sandbox;
use crate::support::{program, say, skip};
use kf::base::weight::Weight;

/// A plan in short steps. Answers that take less than a millisecond are no measure of which version is slower.
const PLAN: &str = "[rollout.bot]\nsteps = [{ weight = 30, hold = \"1s\" }, { weight = 60, hold = \"1s\" }, { weight = 100 }]\n\
    window = \"1s\"\nmonitor = \"3s\"\nmin-requests = 20\nlimits = { latency-ratio = false, latency-degradation = false }\n\
    [policy]\nskip-staging = true\n";

/// Writes `mlops.toml`, with further keys of the target.
fn configure(s: &Sandbox, front: &Front, keys: &str, source: &str) {
    s.write("mlops.toml", format!("{}{PLAN}{source}", front.mlops(keys)));
}

/// A repository with a version in production, which runs behind a server that does not run yet.
fn repository(front: &mut Front, source: &str) -> Sandbox {
    let s = Sandbox::new();
    // Who does not answer is not waited for longer than that.
    configure(&s, front, "timeout = \"300ms\"\n", source);
    s.works(["init"]);
    register(&s, "1.0.0");
    front.up(OLD);
    s.works(["promote", "bot@1.0.0", "--to", "production"]);
    s
}

fn register(s: &Sandbox, version: &str) {
    s.write("bot/prompt.txt", format!("you are number {version}"));
    s.works(["register", "bot", "bot", "--version", version]);
}

/// With figures from this source.
fn story(mut front: Front, source: &str) {
    let s = &repository(&mut front, source);
    // The first rollout writes what the server cannot run without, and waits for it.
    front.up_failing(NEW, 3);
    register(s, "1.1.0");
    live(s, &["canary", "start", "bot@1.1.0", "--detach"]);
    let waits = live(s, &["canary", "tick", "bot"]);
    assert!(front.file().exists() && waits.code == Some(0), "{waits}");
    front.run();
    configure(s, &front, "", source);
    let users = Users::trying(front.port, if front.kind == Kind::Nginx { 5 } else { 1 });
    let back = live(s, &["canary", "run", "bot"]);
    assert_eq!(back.code, Some(3), "{back}{}", front.log());
    assert!(back.stdout.contains("was taken back: error-rate") || back.stdout.contains("was taken back: error-ratio"), "{back}");
    let found = proof(s);
    assert!(found["estimate"].as_f64() > Some(0.1), "a third of its answers failed: {found}");
    assert_eq!((front.ask(""), in_production(s)), ("1.0.0".to_owned(), "1.0.0".to_owned()));

    front.up(NEXT);
    register(s, "1.2.0");
    let done = live(s, &["canary", "start", "bot@1.2.0"]);
    assert_eq!(done.code, Some(0), "{done}{}", front.log());
    assert_eq!((front.ask(""), in_production(s)), ("1.2.0".to_owned(), "1.2.0".to_owned()));

    let rolled = live(s, &["rollback", "bot", "--reason", "a test"]);
    assert_eq!(rolled.code, Some(0), "{rolled}");
    assert_eq!((front.ask(""), in_production(s)), ("1.0.0".to_owned(), "1.0.0".to_owned()));
    let Asked { all, lost, .. } = users.end();
    assert!(all > 100 && lost == 0, "{lost} of {all} got no answer");
    s.works(["fsck"]);
}

/// With the log that nginx writes, which is not there before nginx is.
#[test]
fn nginx_by_its_log() {
    match Front::stopped(Kind::Nginx) {
        Ok(front) => {
            let log = front.dir.display().to_string();
            story(front, &block("toml", "answers.jsonl").replace("/var/log/nginx", &log));
        }
        Err(why) => skip(&why),
    }
}

/// With what a Prometheus server scrapes from Envoy.
#[test]
fn envoy_by_prometheus() {
    let front = match Front::stopped(Kind::Envoy) {
        Ok(front) => front,
        Err(why) => return skip(&why),
    };
    let every = "global: { scrape_interval: 200ms, scrape_timeout: 200ms }\n";
    let scrape = block("yaml", "scrape_configs").replace("9901", &front.admin.to_string());
    let server = match Server::scraping(&format!("{every}{scrape}")) {
        Ok(server) => server,
        Err(why) => return skip(&why),
    };
    let source = block("toml", "envoy_cluster_upstream").replace("http://127.0.0.1:9090", &server.url());
    story(front, &source);
}

/// Asks the version once, where nobody else does.
const SMOKE: &str = "import os, urllib.request; urllib.request.urlopen(os.environ['KF_PREVIEW_URL'] + '/v1/ask')";

/// Blue-green: a version that its smoke test refuses, one that all users get, and one whose faults only users meet, which goes back.
fn switches(mut front: Front, source: &str) {
    let s = &repository(&mut front, source);
    let python = program("python3", &[]).expect("python3 is on the PATH").display().to_string();
    let tested = format!("monitor = \"4s\"\nsmoke = {:?}\n", [&python, "-c", SMOKE]);
    let plan = s.read("mlops.toml").replace("monitor = \"3s\"\n", &tested).replace("timeout = \"300ms\"\n", "");
    s.write("mlops.toml", plan);
    front.target().scale(&both(), Weight::NONE).expect("the first file");
    front.run();
    let users = Users::trying(front.port, if front.kind == Kind::Nginx { 5 } else { 1 });
    let deploy = |version: &str| {
        register(s, version);
        live(s, &["deploy", &format!("bot@{version}"), "--strategy", "blue-green"])
    };
    front.up_failing(NEW, 1);
    let refused = deploy("1.1.0");
    assert!(refused.code == Some(3) && refused.stdout.contains("the smoke test says no"), "{refused}{}", front.log());
    assert_eq!((front.ask(""), in_production(s)), ("1.0.0".to_owned(), "1.0.0".to_owned()));

    front.up(NEXT);
    let good = deploy("1.2.0");
    assert_eq!((good.code, in_production(s)), (Some(0), "1.2.0".to_owned()), "{good}{}", front.log());
    assert_eq!(front.ask(""), "1.2.0");

    // Every third answer fails: the smoke test gets the first one.
    front.up_failing(LAST, 3);
    let bad = deploy("1.3.0");
    assert!(bad.code == Some(3) && bad.stdout.contains("was taken back: error-rate"), "{bad}{}", front.log());
    assert_eq!((front.ask(""), in_production(s)), ("1.2.0".to_owned(), "1.2.0".to_owned()));
    assert_eq!(proof(s)["check"], "error-rate");

    let Asked { all, lost, answers } = users.end();
    say(&format!("{:?}: {lost} lost of {all} during two switches and one back", front.kind));
    assert!(all > 100 && lost == 0, "{lost} of {all} got no answer");
    let answer = |status: u16, version: &str| (status, version.to_owned());
    let expected = [answer(200, "1.0.0"), answer(200, "1.2.0"), answer(200, "1.3.0"), answer(500, "1.3.0")];
    assert_eq!(answers.into_iter().collect::<Vec<_>>(), expected, "of versions that were switched to, and of nobody else");
    s.works(["fsck"]);
}

#[test]
fn blue_green_through_nginx() {
    match Front::stopped(Kind::Nginx) {
        Ok(front) => {
            let log = front.dir.display().to_string();
            switches(front, &block("toml", "answers.jsonl").replace("/var/log/nginx", &log));
        }
        Err(why) => skip(&why),
    }
}

/// By what Envoy itself counts.
#[test]
fn blue_green_through_envoy() {
    match Front::stopped(Kind::Envoy) {
        Ok(front) => switches(front, ""),
        Err(why) => skip(&why),
    }
}
