//! `examples/run-all.sh`, with the kf under test; what README.md says that an example runs is run by it.

use crate::support::project;
use crate::support::sandbox::Sandbox;

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
