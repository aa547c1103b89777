//! How rollouts end that do not come to anything: what was started is stopped, a way back is not given up, and whoever waits is told why.

use crate::canary::{Driver, PLAN, phase};
use crate::kubernetes_rollouts::figures;
use crate::repo::ok;
use crate::support::front::{Front, Kind, NEW, NEXT, OLD, both, with_each};
use crate::support::gateway::{Gateway, configure, register, repository};
use crate::support::rollout::live as kf;
use crate::support::sandbox::Sandbox;
use crate::support::{skip, wait_until};
use kf::seams::traffic::Keep;
use serde_json::json as value;
use std::process::Stdio;

/// A plan whose smoke test passes while there is no file `no`.
fn smoky(plan: &str) -> String {
    plan.replace("window = ", "smoke = [\"sh\", \"-c\", \"test ! -e no\"]\nwindow = ")
}

/// Neither later rollouts nor a gateway that is started again have it run.
#[test]
fn a_version_that_the_gateway_could_not_release_is_stopped() {
    let s = &Sandbox::new();
    let place = repository(s);
    configure(s, &place, &smoky(PLAN));
    let gateway = Gateway::serving(s);
    s.write("no", "");
    for (n, (behaviour, why)) in [
        (value!({"better": true}), "could not be released: refused: the smoke test says no"),
        (value!({"crash": true}), "could not be released: refused: version 1.0.2"),
    ]
    .into_iter()
    .enumerate()
    {
        register(s, &behaviour);
        let version = format!("1.0.{}", n + 1);
        let failed = kf(s, &["canary", "start", &format!("bot@{version}")]);
        assert!(failed.code == Some(3) && failed.stdout.contains(why), "{failed}");
        assert_eq!(failed.stderr.matches("refused: ").count(), 1, "it is told once: {failed}");
        assert!(wait_until(60, || place.version(&version).is_null()), "{}", place.version(&version));
    }
    drop(gateway);
    let _gateway = Gateway::serving(s);
    let standing = ["1.0.0", "1.0.1", "1.0.2"].map(|version| place.version(version)["standing"].clone());
    assert_eq!(standing, [value!("ready"), value!(null), value!(null)]);
    assert_eq!(phase(s)["left"], value!([]));
    ok(s, ["fsck"]);
}

/// A repository with 1.0.0 in production and 1.1.0 registered behind a server that runs; `keys` are of its target.
fn behind(front: &Front, keys: &str, steps: &str) -> Sandbox {
    let s = Sandbox::new();
    let plan = format!("[rollout.bot]\n{steps}window = \"1s\"\nmonitor = \"3s\"\nmin-requests = 20\n");
    let counts = "[rollout.bot.source]\nkind = \"command\"\ncommand = [\"cat\", \"counted\"]\n[policy]\nskip-staging = true\n";
    s.write("mlops.toml", format!("{}{}{counts}", front.mlops(keys), smoky(&plan)));
    s.write("counted", figures("1.1.0", 300));
    s.works(["init"]);
    for version in ["1.0.0", "1.1.0"] {
        s.write("bot/prompt.txt", format!("you are number {version}"));
        s.works(["register", "bot", "bot", "--version", version]);
        if version == "1.0.0" {
            s.works(["promote", "bot@1.0.0", "--to", "production", "--no-traffic"]);
        }
    }
    s
}

#[test]
fn a_version_that_a_server_could_not_release_is_stopped() {
    with_each(|front| {
        let s = &behind(&front, "stop = [\"sh\", \"-c\", \"echo $KF_VERSION >> stopped\"]\n", "steps = [{ weight = 100 }]\n");
        s.write("no", "");
        let failed = kf(s, &["canary", "start", "bot@1.1.0"]);
        assert!(failed.code == Some(3) && failed.stdout.contains("the smoke test says no"), "{failed}");
        assert_eq!((s.read("stopped").as_str(), front.ask("")), ("1.1.0\n", OLD.to_string()));
        ok(s, ["fsck"]);
    });
}

/// What does not stop is told, and left to the next rollout.
#[test]
fn what_does_not_stop_is_told_and_not_forgotten() {
    with_each(|mut front| {
        front.up(NEXT);
        let stop = "stop = [\"sh\", \"-c\", \"test -e able && echo $KF_VERSION >> stopped\"]\n";
        let s = &behind(&front, stop, "steps = [{ weight = 100 }]\n");
        s.write("no", "");
        let failed = kf(s, &["canary", "start", "bot@1.1.0"]);
        assert!(failed.code == Some(3) && failed.stdout.contains("the smoke test says no"), "{failed}");
        let target = if front.kind == Kind::Nginx { "web" } else { "edge" };
        let told = format!("bot@1.1.0 is not stopped, the next rollout on {target} tries again: cannot stop bot@1.1.0");
        assert!(failed.stderr.contains(&told), "{failed}");
        assert!(failed.stdout.contains(&format!("not stopped: bot@1.1.0; the next rollout on {target} tries again")), "{failed}");
        assert_eq!(phase(s)["left"], value!(["1.1.0"]));
        s.write("able", "");
        s.write("bot/prompt.txt", "you are number 1.2.0");
        s.works(["register", "bot", "bot", "--version", "1.2.0"]);
        let failed = kf(s, &["canary", "start", "bot@1.2.0"]);
        assert_eq!((failed.code, s.read("stopped").as_str()), (Some(3), "1.2.0\n1.1.0\n"), "{failed}");
        assert_eq!((phase(s)["left"].clone(), front.ask("")), (value!([]), OLD.to_string()));
        ok(s, ["fsck"]);
    });
}

/// Users are on the version that is left: a server that refuses is asked for as long as one waits, and the order stays.
#[test]
fn a_way_back_that_nginx_refuses_is_not_given_up() {
    let front = match Front::start(Kind::Nginx) {
        Ok(front) => front,
        Err(why) => return skip(&why),
    };
    let s = &behind(&front, "", "steps = [{ weight = 100 }]\n");
    front.set(100.0).expect("written");
    front.target().settle(&both(), Keep::Canary).expect("settled");
    ok(s, ["promote", "bot@1.1.0", "--to", "production", "--no-traffic"]);
    let conf = front.configuration();
    std::fs::write(front.conf(), conf.clone() + "\nnonsense on;\n").expect("written");
    let began = std::time::Instant::now();
    for _ in 0..2 {
        let refused = kf(s, &["rollback", "bot", "--to", "1.0.0", "--target", "web", "--max-wait", "3s"]);
        assert_eq!((refused.code, front.ask("")), (Some(1), NEW.to_string()), "{refused}");
        for words in [
            "did not give the traffic to bot@1.0.0 within 3 s",
            "unknown directive",
            "the order is recorded",
            "`kf rollback bot`",
        ] {
            assert!(refused.stderr.contains(words), "{words}: {refused}");
        }
    }
    assert!(began.elapsed().as_secs() >= 6, "it is tried for as long as one waits");
    let status = kf(s, &["status"]);
    assert!(status.stdout.contains("the way back from bot@1.1.0 to bot@1.0.0 did not arrive yet"), "{status}");
    assert!(status.stdout.contains("nginx does not take its configuration"), "{status}");
    std::fs::write(front.conf(), conf).expect("mended");
    let back = kf(s, &["canary", "run", "bot"]);
    assert_eq!((back.code, front.ask("")), (Some(0), OLD.to_string()), "{back}");
    ok(s, ["fsck"]);
}

/// Whoever watches the rollout is told what is in its way, once, also when it came with the last thing that went well.
#[test]
fn what_is_in_the_way_is_told_when_it_changes() {
    with_each(|front| {
        let s = &behind(&front, "", "steps = [{ weight = 5, hold = \"1h\" }, { weight = 100 }]\nerrors = 20\n");
        front.edited_by_hand();
        ok(s, ["canary", "start", "bot@1.1.0", "--detach"]);
        let log = std::fs::File::create(s.work().join("told")).expect("a file");
        let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
        command.env_remove("KF_CLOCK").args(["canary", "run", "bot"]).stdout(Stdio::null()).stderr(log);
        let driver = Driver::of(command);
        assert!(wait_until(60, || phase(s)["errors"].as_u64() >= Some(3)), "{}", phase(s));
        let told = s.read("told");
        assert_eq!(told.matches("was edited since kf wrote it").count(), 1, "{told}");
        assert!(told.contains("`mv ") && told.contains("the canary is ready"), "{told}");
        drop(driver);
    });
}
