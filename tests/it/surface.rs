//! The surface of kf: each command says what it is for and shows an example that parses; the reference pages are what the
//! program says of itself. `KF_UPDATE=1 cargo test surface` writes the pages anew.

use crate::support::sandbox::Sandbox;
use crate::support::{page_part, project, variable};
use clap::{Arg, ArgAction, Command};
use kf::base::error::Kind;
use kf::base::exit::{Exit, code_of};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Every command below `root`, `root` included, with its full name (`kf audit log`).
fn walk(root: &Command) -> Vec<(String, Command)> {
    let mut built = root.clone();
    built.build();
    let mut found = Vec::new();
    let mut next = vec![(built.get_name().to_owned(), built)];
    while let Some((name, command)) = next.pop() {
        let mut below: Vec<_> = command.get_subcommands().filter(|c| !c.is_hide_set()).cloned().collect();
        below.reverse();
        next.extend(below.into_iter().map(|c| (format!("{name} {}", c.get_name()), c)));
        found.push((name, command));
    }
    found
}

fn is_leaf(command: &Command) -> bool {
    command.get_subcommands().next().is_none()
}

/// The lines of the examples that run kf, up to what the shell does with the output.
fn examples(command: &Command) -> Vec<String> {
    let help = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let section = help.split("Examples:").nth(1).unwrap_or_default().split("\n\n").next().unwrap_or_default().to_owned();
    let parts = section.lines().flat_map(|l| l.split("&&")).flat_map(|l| l.split('|'));
    let commands = parts.filter_map(|p| p.trim().split("  ").next().map(str::trim).map(str::to_owned));
    commands.filter(|c| c.starts_with("kf ")).collect()
}

/// The words of a command line as a shell splits them, without redirections.
fn words(line: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut quote = None;
    for c in line.chars() {
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(q)) if c == q => quote = None,
            (' ', None) => found.push(String::new()),
            ('>' | '<', None) => break,
            (c, _) => found.last_mut().expect("never empty").push(c),
        }
    }
    found.retain(|w| !w.is_empty());
    found
}

/// What one command lacks.
fn lacks(root: &Command, name: &str, command: &Command) -> Vec<String> {
    let mut found = Vec::new();
    let mut no = |what: String| found.push(format!("`{name}` {what}"));
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    if about.is_empty() || about.ends_with('.') || !about.starts_with(char::is_uppercase) {
        no(format!("says what it does in a line without full stop, not {about:?}"));
    }
    let own: Vec<_> = examples(command).into_iter().filter(|e| e.starts_with(name) || name == "kf").collect();
    if is_leaf(command) && own.is_empty() {
        no("shows no example of itself in its long help".into());
    }
    for example in examples(command) {
        if let Err(e) = root.clone().try_get_matches_from(words(&example)) {
            no(format!("shows `{example}`, which does not parse: {}", e.to_string().lines().next().unwrap_or_default()));
        }
    }
    // A global argument is looked at once, at the root.
    for arg in command.get_arguments().filter(|a| !a.is_hide_set() && (name == "kf" || !a.is_global_set())) {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        if help.is_empty() || help.ends_with('.') {
            no(format!("says of `{}` what it is, without full stop, not {help:?}", arg.get_id()));
        }
        if arg.get_env().is_some() && !arg.is_hide_env_values_set() {
            no(format!("shows the value of {} in its help", arg.get_env().unwrap_or_default().display()));
        }
    }
    let globals: Vec<_> = root.get_arguments().filter(|a| a.is_global_set()).collect();
    for global in globals {
        let same = command.get_arguments().find(|a| a.get_id() == global.get_id());
        if same.is_none_or(|a| a.get_long() != global.get_long() || a.get_short() != global.get_short()) {
            no(format!("has an argument that hides the global `{}`: both have one id", global.get_id()));
        }
    }
    found
}

fn all_lacks(root: &Command) -> Vec<String> {
    walk(root).iter().flat_map(|(name, command)| lacks(root, name, command)).collect()
}

#[test]
fn every_command_explains_itself() {
    let found = all_lacks(&kf::cli::command());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn what_a_command_lacks_is_found() {
    let check = |leaf: Command, lack: &str| {
        let dir = Arg::new("dir").short('C').global(true).help("Run there");
        let root = Command::new("kf").about("Does things").disable_help_subcommand(true).arg(dir).subcommand(leaf);
        let found = all_lacks(&root).join("\n");
        assert!(if lack.is_empty() { found.is_empty() } else { found.contains(lack) }, "{lack}: {found}");
    };
    let good =
        || Command::new("a").about("Do a").arg(Arg::new("x").help("The x")).after_long_help("Examples:\n  kf a 'x y' > file");
    check(good(), "");
    check(good().about("Do a."), "without full stop");
    check(good().after_long_help("Examples:\n  kf"), "no example of itself");
    check(good().after_long_help("Examples:\n  kf a x && kf a --wrong"), "`kf a --wrong`, which does not parse");
    check(good().mut_arg("x", |a| a.help("")), "says of `x`");
    check(good().mut_arg("x", |a| a.long("x").env("X")), "shows the value of X");
    check(good().arg(Arg::new("dir").help("The directory")), "hides the global `dir`");
}

/// Compares a page with what the program says, or writes it when `KF_UPDATE` is set.
fn page(path: &str, text: &str) {
    let file = project().join(path);
    if variable("KF_UPDATE").is_some() {
        std::fs::create_dir_all(file.parent().expect("a page in a directory")).expect("the directory of a page");
        std::fs::write(&file, text).expect("a page");
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    let line = found.lines().zip(text.lines()).position(|(a, b)| a != b).map_or(found.lines().count(), |n| n) + 1;
    assert!(found == text, "{path} is not what kf says (from line {line}): `KF_UPDATE=1 cargo test surface` writes it anew");
}

const GENERATED: &str = "<!-- Written by `KF_UPDATE=1 cargo test surface`: change the source, not this page. -->";

#[test]
fn the_command_reference_is_true() {
    let root = kf::cli::command();
    let mut text = format!("# Command line\n\n{GENERATED}\n\n");
    let globals: BTreeSet<_> = root.get_arguments().filter(|a| a.is_global_set()).map(|a| a.get_id().clone()).collect();
    for (name, command) in walk(&root) {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = write!(text, "{} `{name}`\n\n{about}.\n\n", if name == "kf" { "##" } else { "###" });
        if is_leaf(&command) {
            let usage = command.clone().render_usage().to_string();
            let _ = write!(text, "```\n{}\n```\n\n", usage.trim_start_matches("Usage: "));
        }
        let shown = |a: &&Arg| !a.is_hide_set() && !["help", "version"].contains(&a.get_id().as_str());
        let own = command.get_arguments().filter(shown).filter(|a| name == "kf" || !globals.contains(a.get_id()));
        text.push_str(&arguments(own));
        let examples = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
        if let Some((_, examples)) = examples.split_once("Examples:\n") {
            let _ = write!(text, "```console\n{}\n```\n\n", unindented(examples.split("\n\n").next().unwrap_or_default()));
        }
    }
    page("docs/cli.md", &format!("{}\n", text.trim_end()));
}

fn unindented(text: &str) -> String {
    text.lines().map(|l| l.strip_prefix("  ").unwrap_or(l)).collect::<Vec<_>>().join("\n")
}

/// A table of arguments; nothing when there are none.
fn arguments<'a>(all: impl Iterator<Item = &'a Arg>) -> String {
    let mut rows = String::new();
    for arg in all {
        let value = arg.get_value_names().and_then(|v| v.first()).map_or("VALUE", |v| v.as_str());
        let takes = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
        let flags: Vec<_> =
            arg.get_short().map(|s| format!("-{s}")).into_iter().chain(arg.get_long().map(|l| format!("--{l}"))).collect();
        let written = match (flags.is_empty(), takes) {
            (true, _) => value.to_owned(),
            (false, true) => format!("{} {value}", flags.join(", ")),
            (false, false) => flags.join(", "),
        };
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
        let env = arg.get_env().map(|e| format!(" (`{}`)", e.display())).unwrap_or_default();
        let _ = writeln!(rows, "| `{written}` | {help}{env} |");
    }
    if rows.is_empty() { rows } else { format!("| argument | meaning |\n|---|---|\n{rows}\n") }
}

#[test]
fn the_exit_codes_are_true() {
    let exits = [
        (Exit::Ok, "done, or the verdict is pass, or there was nothing to do"),
        (Exit::No, "kf says no: a gate failed, drift was detected, a verification is broken, a release was rolled back"),
        (Exit::Inconclusive, "too little data, no evaluation yet, or an approval is waited for"),
        (Exit::Partial, "some items of a batch failed, the rest is done"),
    ];
    let kinds = [
        (Kind::Failed, "the operation failed: not found, conflict, disk, network"),
        (Kind::Usage, "the command line or `mlops.toml` is wrong"),
        (Kind::NoRepository, "there is no repository or no state here"),
        (Kind::Locked, "another process holds the state; try again"),
        (Kind::Bug, "a bug of kf; please report it"),
    ];
    let mut codes: Vec<_> =
        exits.map(|(e, what)| (e.code(), what)).into_iter().chain(kinds.map(|(k, what)| (code_of(k), what))).collect();
    assert_eq!(Exit::Failed.code(), code_of(Kind::Failed));
    assert_eq!(Exit::No.code(), code_of(Kind::Broken), "a verification that is broken");
    codes.extend([(130, "interrupted (Ctrl-C)"), (143, "terminated (SIGTERM)")]);
    codes.sort_unstable();
    let mut text = format!("# Exit codes\n\n{GENERATED}\n\n| code | meaning |\n|---|---|\n");
    for (code, what) in codes {
        let _ = writeln!(text, "| {code} | {what} |");
    }
    text.push_str("\nOf several outcomes in one run the strongest counts: 1, then 3, then 5, then 4. A \"no\" is an answer, not an error: it is\nprinted on standard output like any other report. A rollback that was asked for is 0; one that kf decided is 3.\n");
    page("docs/exit-codes.md", &text);
}

#[test]
fn the_variables_are_true() {
    let mut text = format!(
        "# Environment variables\n\n{GENERATED}\n\nPrecedence: flag, then `KF_*`, then `[profile.NAME]`, then `mlops.toml`, then what is built in. A variable\nthat is set to nothing counts as not set.\n\n| variable | meaning |\n|---|---|\n"
    );
    for variable in kf::config::env::VARIABLES {
        let _ = writeln!(text, "| `{}` | {} |", variable.name, variable.doc.replace('|', "\\|"));
    }
    page("docs/env.md", &text);
}

#[test]
fn the_schema_of_the_configuration_is_true() {
    let text = serde_json::to_string_pretty(&kf::config::json_schema()).expect("a schema is JSON");
    page("docs/schemas/mlops.json", &format!("{text}\n"));
}

/// The page of the configuration has every table and key of the schema. What a profile holds is said above them.
#[test]
fn the_keys_of_the_configuration_are_true() {
    let schema = kf::config::json_schema();
    let mut text = String::new();
    for (name, table) in schema["properties"].as_object().expect("tables").iter().filter(|(name, _)| *name != "profile") {
        let (title, body) = match table.get("additionalProperties").filter(|v| v.is_object()) {
            Some(one) => (format!("{name}.NAME"), one),
            None => (name.clone(), table),
        };
        let about = table["description"].as_str().expect("what the table is for");
        let _ = write!(text, "\n### `[{title}]`\n\n{about}\n\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n");
        keys(&mut text, "", body);
    }
    page_part("docs/configuration.md", "keys", &format!("{text}\n"), "surface");
}

/// A row for each key of a table, `a.b` for those of tables in it.
fn keys(text: &mut String, above: &str, table: &Value) {
    for (key, value) in table["properties"].as_object().expect("keys") {
        let key = format!("{above}{key}");
        if value["properties"].is_object() {
            keys(text, &format!("{key}."), value);
            continue;
        }
        if value["additionalProperties"]["properties"].is_object() {
            keys(text, &format!("{key}.NAME."), &value["additionalProperties"]);
            continue;
        }
        let required = table["required"].as_array().is_some_and(|all| all.iter().any(|k| *k == key));
        let default = match value.get("default") {
            _ if required => "**must be there**".to_owned(),
            Some(default) => format!("`{default}`"),
            None => String::new(),
        };
        let about = value["description"].as_str().expect("what the key is for").replace('|', "\\|");
        let _ = writeln!(text, "| `{key}` | {} | {default} | {about} |", kind(value));
    }
}

/// What may be written for a key, in words.
fn kind(value: &Value) -> String {
    if let Some(ways) = value["anyOf"].as_array() {
        return ways.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    if let Some(words) = value["enum"].as_array() {
        return words.iter().map(|w| format!("`{}`", w.as_str().expect("a word"))).collect::<Vec<_>>().join(", ");
    }
    match (value["type"].as_str().expect("a type"), value["minimum"].as_u64()) {
        ("boolean", _) => "true or false".into(),
        ("integer", Some(min @ 1..)) => format!("whole number from {min}"),
        ("integer", _) => "whole number".into(),
        ("number", _) => "number".into(),
        ("array", _) => format!("list of {}", kind(&value["items"])),
        ("object", _) => "table".into(),
        ("string", _) => "text".into(),
        (other, _) => panic!("no word for {other}"),
    }
}

#[test]
fn the_completion_scripts_are_true() {
    let sandbox = Sandbox::new();
    for (shell, file) in
        [("bash", "kf.bash"), ("zsh", "_kf"), ("fish", "kf.fish"), ("powershell", "kf.ps1"), ("elvish", "kf.elv")]
    {
        let run = sandbox.kf(["completions", shell]);
        assert_eq!(run.code, Some(0), "{run}");
        page(&format!("completions/{file}"), &run.stdout);
    }
}
