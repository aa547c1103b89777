//! `examples/run-all.sh`, with the kf under test; what README.md says that an example runs is run by it.

use crate::support::sandbox::{Run, Sandbox};
use crate::support::{free_port, http, program, project, wait_until};
use std::path::Path;

/// Stands above the blocks of README.md whose commands `examples/canary/run.sh` shows as it runs them.
const BY_EXAMPLE: &str = "<!-- not run: it needs traffic; `examples/canary/run.sh` runs these commands -->\n```console\n";

/// The commands of kf in those blocks that end by themselves, as a script that shows its words without quotes has them.
fn typed() -> Vec<String> {
    let page = std::fs::read_to_string(project().join("README.md")).expect("README.md");
    let blocks = page.split(BY_EXAMPLE).skip(1).map(|rest| rest.split("\n```").next().expect("a block ends"));
    let commands = blocks.flat_map(str::lines).filter(|l| l.starts_with("$ kf ") && !l.ends_with('&'));
    commands.map(|l| format!("{}\n", l.replace('"', ""))).collect()
}

#[test]
fn every_example_runs() {
    let s = Sandbox::new();
    let script = project().join("examples/run-all.sh");
    let run = s.finish(s.command("sh").arg(script).arg(env!("CARGO_BIN_EXE_kf")).env_remove("KF_CLOCK").env_remove("KF_SEED"));
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.stdout.ends_with("All examples ran.\n"), "{run}");
    let (typed, mut rest) = (typed(), run.stdout.as_str());
    assert!(typed.len() > 10, "{typed:?}");
    for command in typed {
        let (_, after) =
            rest.split_once(&command).unwrap_or_else(|| panic!("README.md has `{}`, and no example then", command.trim()));
        rest = after;
    }
}

/// Starts version 1.0.0 of the bot as `examples/servers` does; `kf` checks its files out.
fn started(s: &Sandbox, kf: &Path, port: u16) -> Run {
    let python = program("python3", &[]).expect("python3 is on the PATH");
    let path =
        std::env::join_paths([python.parent().expect("a folder"), Path::new("/usr/bin"), Path::new("/bin")]).expect("a path");
    let mut command = s.command("sh");
    command.arg(project().join("examples/servers/start.sh")).env("PATH", path).env("KF", kf).env("KF_MODEL", "bot");
    command.env("KF_VERSION", "1.0.0").env("KF_URL", format!("http://127.0.0.1:{port}"));
    let digest = s.works(["show", "bot@1.0.0", "--format", "json"]).stdout;
    let digest: serde_json::Value = serde_json::from_str(&digest).expect("JSON");
    s.finish(command.env("KF_DIGEST", digest["digest"].as_str().expect("a digest")))
}

/// Files that were checked out are used again, since the way back may be needed when the state is lost; half a checkout never is.
#[test]
fn a_version_is_started_again_without_the_state() {
    let s = &Sandbox::new();
    s.write("serve.py", std::fs::read(project().join("examples/canary/serve.py")).expect("the example"));
    s.repository("[model.bot]\ntype = \"config\"\npath = \"bot\"\n");
    for file in std::fs::read_dir(project().join("examples/canary/bot")).expect("the example").flatten() {
        s.write(Path::new("bot").join(file.file_name()), std::fs::read(file.path()).expect("a file"));
    }
    s.works(["register", "bot"]);
    let port = free_port();
    let half = s.work().join("half");
    s.write("half", "#!/bin/sh\nfor dir; do :; done\nmkdir -p \"$dir\"\necho {} > \"$dir/retrieval.json\"\nexit 1\n");
    let refused = Path::new("/bin/false");
    assert!(std::process::Command::new("chmod").arg("+x").arg(&half).status().expect("chmod").success());
    let answers = || http(port, ("GET", "/ready"), "", "").is_ok();
    let stop = || {
        let stopped = s.finish(s.command("sh").arg(project().join("examples/servers/stop.sh")).env("KF_VERSION", "1.0.0"));
        assert!(stopped.code == Some(0) && wait_until(20, || !answers()), "{stopped}");
    };
    assert_ne!(started(s, &half, port).code, Some(0));
    assert_ne!(started(s, refused, port).code, Some(0), "half a checkout is none");
    let kf = Path::new(env!("CARGO_BIN_EXE_kf"));
    for checks_out in [kf, kf, refused] {
        let run = started(s, checks_out, port);
        assert!(run.code == Some(0) && wait_until(20, answers), "{run}");
        let again = started(s, refused, port);
        assert_eq!(again.code, Some(0), "what runs is left: {again}");
        stop();
    }
}
