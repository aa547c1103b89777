//! `kf dr plan`: runbooks from what `mlops.toml` says.

use super::known;
use crate::base::error::{Context, Result};
use crate::base::exit::Exit;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::dr::runbook::{Runbook, Scenario};
use crate::domain::dr::write::write;
use serde::Serialize;
use serde_json::Value;
use std::path::PathBuf;

/// Write runbooks from what mlops.toml says: who does what, in which order, by which command
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf dr plan                        all scenarios\n  kf dr plan data-corruption\n  kf dr plan -o docs/runbooks       a file of Markdown each: keep them where this machine is not\n\nScenarios: regional-outage, data-corruption, complete-failure, lost-key, bad-release, ransomware."
)]
pub(crate) struct Args {
    /// Only this scenario
    scenario: Option<Scenario>,
    /// Write a file for each into this folder
    #[arg(long, short, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

#[derive(Serialize)]
struct Plan {
    project: String,
    runbooks: Vec<Runbook>,
    files: Vec<PathBuf>,
}

impl Report for Plan {
    const SCHEMA: &'static str = "kf.dr-plan/1";

    fn blocks(&self) -> Vec<Block> {
        match self.files.is_empty() {
            true => self.runbooks.iter().map(|book| book.markdown(&self.project).into()).collect(),
            false => vec![self.summary().into()],
        }
    }

    fn summary(&self) -> String {
        let gaps: usize = self.runbooks.iter().map(|book| book.gaps.len()).sum();
        let said = if gaps == 0 { String::new() } else { format!(", with {} of mlops.toml named in them", count(gaps, "gap")) };
        match self.files.first().and_then(|file| file.parent()) {
            None => format!("{}{said}", count(self.runbooks.len(), "runbook")),
            Some(folder) => format!("{} in {}{said}", count(self.files.len(), "runbook"), folder.display()),
        }
    }

    fn items(&self) -> Option<Vec<Value>> {
        self.runbooks.iter().map(|book| serde_json::to_value(book).ok()).collect()
    }
}

pub(super) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let facts = known(cx)?;
    let scenarios = Scenario::ALL.iter().copied().filter(|of| args.scenario.is_none_or(|only| only == *of));
    let mut plan =
        Plan { project: facts.project.clone(), runbooks: scenarios.map(|of| write(&facts, of)).collect(), files: Vec::new() };
    if let Some(folder) = &args.output {
        if !cx.global.dry_run {
            let path = cx.output_path(folder)?;
            std::fs::create_dir_all(&path).context(|| format!("cannot make {}", path.display()))?;
        }
        for book in &plan.runbooks {
            let file = folder.join(format!("{}.md", book.scenario));
            cx.write_output(&file, &book.markdown(&plan.project))?;
            plan.files.push(file);
        }
    }
    cx.out.emit(&plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Env, Project, Vocabulary, parse, template};
    use crate::domain::dr::line::Word;
    use crate::release::dr::facts;
    use std::collections::BTreeMap;
    use std::path::Path;

    fn project(text: &str) -> Project {
        let vocabulary = Vocabulary { metrics: &[("token-f1", (0.0, 1.0))], judged: &["faithfulness"] };
        parse(text, Path::new("mlops.toml"), &Env::default(), None, &vocabulary).unwrap_or_else(|e| panic!("{e}")).project
    }

    /// Configurations of many kinds: nothing, everything that the template shows, servers, odd texts.
    fn configurations() -> Vec<String> {
        let everything = template(&"bot".parse().expect("a name"));
        let everything = everything
            .lines()
            .map(|l| if l.starts_with("# ") { l } else { l.strip_prefix('#').unwrap_or(l) })
            .collect::<Vec<_>>()
            .join("\n");
        let backup = "[backup]\nrecipients = [\"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p\", \"age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg\"]\nidentity = \"file:a b.key\"\nsmoke = [\"./smoke it.sh\", \"it's\"]\n\
                      [backup.place]\nurl = \"s3://b/p\"\n";
        let models = "[model.a]\ntype = \"config\"\npath = \"a\"\n[model.b]\ntype = \"prompt\"\npath = \"b\"\n";
        let components = "[backup.components.odd-one]\nkind = \"postgres\"\nurl = \"postgres://u@h/d\"\n[backup.components.r]\nkind = \"redis\"\n\
             url = \"redis://h\"\n[backup.components.c]\nkind = \"command\"\ncommand = [\"./d\"]\nrestore = [\"./l\", \"a b\"]\n\
             [backup.components.e]\nkind = \"command\"\ncommand = [\"./d\"]\n[backup.components.f]\nkind = \"directory\"\npath = \"x y\"\n";
        let dr = "[dr]\nsecondary = \"`eu` *2*\"\nterraform = \"infra/second\"\ndns = [\"./go.sh\", \"it's $HERE\", \"--\"]\ntenant-flag = \"serving\"\n";
        let state = "[state]\nurl = \"postgres://kf@db/kf\"\nschema = \"kf\"\n[artifacts]\nurl = \"s3://a/b\"\n[signing]\nlog-key = \"file:l.key\"\n";
        let tenants = "[tenants.acme]\n[tenants.globex]\n";
        let target = "[target.edge]\nmodel = \"a\"\nurl = \"http://a-{version}.internal:8000\"\n";
        let head = "[project]\nname = \"shop\"\nowner = \"the # team\"\n";
        let mut all = vec!["[project]\nname = \"x\"\n".to_owned(), everything];
        // Every part is there or not.
        let parts = [backup, models, components, dr, state, tenants];
        for mask in 0..1_u32 << parts.len() {
            let some: Vec<&str> =
                parts.iter().enumerate().filter(|(at, _)| mask & (1 << at) != 0).map(|(_, part)| *part).collect();
            let target = if mask & 2 != 0 { target } else { "" };
            all.push(format!("{head}{}{target}", some.concat()));
        }
        all
    }

    #[test]
    fn every_command_of_kf_in_a_runbook_is_one() {
        let (dir, mut lines) = (tempfile::tempdir().expect("a folder"), 0);
        for text in configurations() {
            let project = project(&text);
            let facts = facts(&project, dir.path(), None).expect("facts");
            for scenario in Scenario::ALL {
                let book = write(&facts, *scenario);
                let known: BTreeMap<String, String> = book.set.iter().map(|of| (of.name.clone(), of.example.clone())).collect();
                assert!(book.steps.len() >= 5, "{scenario} {text}");
                for step in &book.steps {
                    let argv =
                        step.line.filled(&known).unwrap_or_else(|| panic!("{scenario}: `{}` has an unknown variable", step.line));
                    if argv[0] == "kf" {
                        lines += 1;
                        let parsed = crate::cli::command().try_get_matches_from(&argv);
                        assert!(parsed.is_ok(), "{scenario}: {argv:?}: {}", parsed.expect_err("refused"));
                    }
                }
                for of in &book.set {
                    let used = book.steps.iter().any(|step| step.line.variables().any(|name| name == of.name));
                    assert!(used, "{scenario}: `{}` is used", of.name);
                }
            }
        }
        assert!(lines > 1000, "{lines}");
    }

    #[test]
    fn a_shell_reads_every_step_as_it_is_meant() {
        let (dir, mut script, mut expected) = (tempfile::tempdir().expect("a folder"), String::new(), Vec::new());
        for text in configurations().into_iter().rev().take(3) {
            let facts = facts(&project(&text), dir.path(), None).expect("facts");
            for scenario in Scenario::ALL {
                let book = write(&facts, *scenario);
                for of in &book.set {
                    script.push_str(&format!("export {}={}\n", of.name, Word::from(of.example.as_str())));
                }
                let known: BTreeMap<String, String> = book.set.iter().map(|of| (of.name.clone(), of.example.clone())).collect();
                for step in &book.steps {
                    let line = step.line.to_string();
                    let words = line.split(" < ").next().expect("words");
                    script.push_str(&format!("for word in {words}; do printf '%s\\0' \"$word\"; done; printf '\\n\\0'\n"));
                    let env = step.line.env.iter().map(|(name, value)| format!("{name}={value}"));
                    expected.push(env.chain(step.line.filled(&known).expect("words")).collect::<Vec<_>>());
                }
            }
        }
        let out = std::process::Command::new("sh").arg("-c").arg(&script).output().expect("a shell");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let text = String::from_utf8(out.stdout).expect("text");
        let read: Vec<Vec<String>> = text
            .split("\n\0")
            .filter(|line| !line.is_empty())
            .map(|line| line.trim_end_matches('\0').split('\0').map(str::to_owned).collect())
            .collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn what_mlops_toml_does_not_say_is_told_and_not_made_up() {
        let dir = tempfile::tempdir().expect("a folder");
        let bare =
            write(&facts(&project("[project]\nname = \"x\"\n"), dir.path(), None).expect("facts"), Scenario::RegionalOutage);
        let gaps = bare.gaps.join("; ");
        for key in ["`[backup.place]`", "`terraform` in `[dr]`", "`dns` in `[dr]`", "`secondary` in `[dr]`", "`owner`"] {
            assert!(gaps.contains(key), "{key}: {gaps}");
        }
        assert!(!bare.markdown("x").contains("terraform apply"));
        let full = configurations().pop().expect("the last has everything");
        let book = write(&facts(&project(&full), dir.path(), None).expect("facts"), Scenario::RegionalOutage);
        let text = book.markdown("shop");
        for part in [
            "terraform -chdir=infra/second apply",
            "./go.sh 'it'\\''s $HERE' --",
            "gateway run --target edge",
            "ODD_ONE_URL",
            "--schema kf",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let isolated = write(&facts(&project(&full), dir.path(), None).expect("facts"), Scenario::DataCorruption);
        assert!(
            isolated.markdown("shop").contains("kf flag set serving --off --tenant \"${TENANT}\""),
            "{}",
            isolated.markdown("shop")
        );
    }
}
