//! The house rules that no compiler holds: which room may use which, who may name which crate, sizes, and what is not written.
//!
//! The tables below are `docs/architecture.md` made checkable; a new room or a new edge is a line here, with a reason to give.

use crate::support::project;
use crate::support::source::{Source, walk};
use std::collections::{BTreeMap, BTreeSet};

/// Each room and the rooms it may use, in layers.
const ROOMS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("stats", &["base"]),
    ("config", &["base", "stats"]),
    ("store", &["base", "stats", "config"]),
    ("data", &["base", "stats", "config", "store"]),
    ("seams", &["base", "stats", "config", "store", "data"]),
    ("domain", &["base", "stats", "config", "store", "data", "seams"]),
    ("adapters", &["base", "stats", "config", "store", "data", "seams", "domain"]),
    ("release", &["base", "stats", "config", "store", "data", "seams", "domain", "adapters"]),
    ("gateway", &["base", "stats", "config", "store", "data", "seams", "domain", "adapters", "release"]),
    ("cli", &["base", "stats", "config", "store", "data", "seams", "domain", "adapters", "release", "gateway"]),
    ("commands", &["base", "stats", "config", "store", "data", "seams", "domain", "adapters", "release", "gateway", "cli"]),
];

/// Rooms of the domain and the siblings each may use.
const SIBLINGS: &[(&str, &[&str])] = &[
    // Who gets which version is what a flag says, and which values of a metric are better what evaluations know.
    ("ab", &["flag", "eval"]),
    ("audit", &[]),
    ("alert", &[]),
    ("backup", &["audit"]),
    ("dr", &["audit"]),
    // The language of a text is told in one place.
    ("drift", &["registry", "ingest"]),
    // Where a sentence ends is told in one place.
    ("eval", &["registry", "golden", "ingest"]),
    ("flag", &[]),
    ("golden", &[]),
    ("ingest", &[]),
    ("monitor", &["drift"]),
    // Versions are taken apart in one place, and what is better is what evaluations compare.
    ("optimize", &["registry", "golden", "eval"]),
    // Templates are read in one place, answers are scored in one place.
    ("prompt", &["registry", "eval"]),
    ("registry", &[]),
    ("review", &[]),
    ("rollout", &[]),
];

/// Single files that may look down: file, room, why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[("cli/mod.rs", "commands", "the parsed command line is handed to its command")];

/// Crates that only some rooms may name.
const CRATES: &[(&str, &[&str])] = &[
    ("clap", &["cli", "commands"]),
    ("clap_complete", &["cli", "commands"]),
    ("clap_mangen", &["cli", "commands"]),
    ("indicatif", &["cli", "commands"]),
    ("tokio", &["store", "adapters", "gateway"]),
    ("hyper", &["gateway"]),
    ("hyper_util", &["gateway"]),
    ("tokio_rustls", &["gateway"]),
    ("reqwest", &["store", "adapters"]),
    ("axum", &["adapters", "gateway"]),
    ("object_store", &["store", "adapters"]),
    ("rusqlite", &["store"]),
    ("tokio_postgres", &["store"]),
    ("git2", &["adapters"]),
    ("lettre", &["adapters"]),
];

/// How literals of SQL begin; only the store and the domain write any.
const SQL: &[&str] =
    &["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ", "CREATE TABLE ", "CREATE INDEX ", "PRAGMA ", "BEGIN ", "COMMIT"];

/// The most lines a file may have.
const LINES_MAX: usize = 600;

/// The room of a file (`domain::eval` inside the domain); `None` for `lib.rs` and `main.rs`.
fn room_of(source: &Source) -> Option<String> {
    let parts: Vec<_> = source.path.iter().map(|p| p.to_string_lossy().replace(".rs", "")).collect();
    match parts.as_slice() {
        [one] if ["lib", "main"].contains(&one.as_str()) => None,
        [first, second, ..] if first == "domain" && second != "mod" => Some(format!("domain::{second}")),
        [first, ..] => Some(first.clone()),
        [] => None,
    }
}

/// Macros that live at the crate's root, by the room that defines them.
fn exported_macros(sources: &[Source]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for source in sources {
        for (at, _) in source.code.match_indices("#[macro_export]") {
            let name = source.code[at..].split_once("macro_rules!").map(|(_, rest)| word(rest.trim_start()));
            found.extend(name.zip(room_of(source)).map(|(name, room)| (name.to_owned(), room)));
        }
    }
    found
}

/// The identifier that a text begins with.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// The first segments of what follows `crate::` or `super::`: one, or those of a group in braces, with `domain::x` kept whole.
fn targets(rest: &str) -> Vec<String> {
    let rest = rest.trim_start();
    let Some(group) = rest.strip_prefix('{') else {
        let first = word(rest);
        let after = rest[first.len()..].strip_prefix("::");
        return match after {
            Some(after) if first == "domain" => targets(after).into_iter().map(|s| format!("domain::{s}")).collect(),
            _ => vec![first.to_owned()],
        };
    };
    let (mut depth, mut start, mut found) = (0_usize, 0, Vec::new());
    for (at, c) in group.char_indices() {
        let closes = c == '}' && depth == 0;
        if closes || (c == ',' && depth == 0) {
            found.extend(targets(&group[start..at]).into_iter().filter(|t| !t.is_empty()));
            start = at + 1;
        }
        match c {
            _ if closes => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    found
}

/// Where each path of the code leads: (byte, room or root item).
fn paths(source: &Source) -> Vec<(usize, String)> {
    let code = &source.code;
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let part_of_word = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if !part_of_word && !code[..at].ends_with("pub(in ") {
            found.extend(targets(&code[at + "crate::".len()..]).into_iter().map(|t| (at, t)));
        }
    }
    found.extend(climbs(source));
    found
}

/// Paths that leave their room by `super::super::…`.
fn climbs(source: &Source) -> Vec<(usize, String)> {
    let parts: Vec<_> = source.path.iter().map(|p| p.to_string_lossy().replace(".rs", "")).filter(|p| p != "mod").collect();
    let code = &source.code;
    let mut found = Vec::new();
    for (at, _) in code.match_indices("super::") {
        if code[..at].ends_with("super::") {
            continue;
        }
        let chain = code[at..].split("super::").take_while(|between| between.is_empty()).count().max(1);
        // `split` yields the empty text before the first `super::` and one more between each two.
        let inside = usize::from(at > source.tests_begin());
        let Some(depth) = (parts.len() + inside).checked_sub(chain) else { continue };
        let rest = &code[at + chain * "super::".len()..];
        match depth {
            0 => found.extend(targets(rest).into_iter().map(|t| (at, t))),
            1 if parts[0] == "domain" && parts.len() > 1 => {
                found.extend(targets(rest).into_iter().map(|t| (at, format!("domain::{t}"))));
            }
            _ => {}
        }
    }
    found
}

/// Why a room may not use another; `None` when it may.
fn refusal(from: &str, to: &str) -> Option<String> {
    let (from_room, from_part) = from.split_once("::").unwrap_or((from, ""));
    let (to_room, to_part) = to.split_once("::").unwrap_or((to, ""));
    let Some((_, allowed)) = ROOMS.iter().find(|(room, _)| *room == from_room) else {
        return Some(format!("`{from_room}` is not in the table of rooms"));
    };
    if from_room != to_room {
        return (!allowed.contains(&to_room)).then(|| format!("`{from_room}` may not use `{to_room}`"));
    }
    if from_room != "domain" || from_part == to_part || from_part.is_empty() || to_part.is_empty() {
        return None;
    }
    let Some((_, siblings)) = SIBLINGS.iter().find(|(room, _)| *room == from_part) else {
        return Some(format!("`domain::{from_part}` is not in the table of siblings"));
    };
    (!siblings.contains(&to_part)).then(|| format!("`{from}` may not use `{to}`"))
}

/// Every breach of the order of rooms.
fn wrong_edges(sources: &[Source]) -> Vec<String> {
    let macros = exported_macros(sources);
    let mut found = Vec::new();
    for source in sources {
        let Some(from) = room_of(source) else { continue };
        for (at, target) in paths(source) {
            let to = macros.get(&target).unwrap_or(&target);
            let file = source.path.display().to_string();
            let excepted = EXCEPTIONS.iter().any(|(f, room, _)| *f == file && room == to);
            if let (Some(why), false) = (refusal(&from, to), excepted) {
                found.push(format!("src/{file}:{}: {why}", source.line(at)));
            }
        }
    }
    found
}

/// Every crate named in a room that may not.
fn wrong_crates(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let Some(room) = room_of(source) else { continue };
        let room = room.split("::").next().unwrap_or_default().to_owned();
        for (name, rooms) in CRATES.iter().filter(|(_, rooms)| !rooms.contains(&room.as_str())) {
            for (at, _) in source.code.match_indices(&format!("{name}::")) {
                let own = source.code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
                if !own {
                    let (file, line) = (source.path.display(), source.line(at));
                    found.push(format!("src/{file}:{line}: only {} may name `{name}`", rooms.join(" and ")));
                }
            }
        }
    }
    found
}

/// Every SQL text outside the rooms that write SQL. Unit tests may damage a state, which no door of the store does.
fn wrong_sql(sources: &[Source]) -> Vec<String> {
    let allowed = |s: &Source| room_of(s).is_none_or(|r| r == "store" || r.starts_with("domain"));
    let mut found = Vec::new();
    for source in sources.iter().filter(|s| !allowed(s) && !s.path.to_string_lossy().ends_with("tests.rs")) {
        for (line, _) in source.literals.iter().filter(|(_, l)| SQL.iter().any(|sql| l.trim_start().starts_with(sql))) {
            found.push(format!("src/{}:{line}: only store and domain write SQL", source.path.display()));
        }
    }
    found
}

/// What must not be written anywhere, and what every file must have.
fn wrong_style(sources: &[Source]) -> Vec<String> {
    let banned = ["println!", "#[allow(", "#![allow(", "todo!(", "dbg!("];
    let mut found = Vec::new();
    for source in sources {
        let file = source.path.display();
        for (at, what) in banned.iter().flat_map(|b| source.code.match_indices(b)) {
            found.push(format!("src/{file}:{}: `{what}` is not written here", source.line(at)));
        }
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            found.push(format!("src/{file}: {lines} lines, at most {LINES_MAX}: name the second thing it does and move that"));
        }
        // A `tests.rs` or `x_tests.rs` belongs to the module beside it, which says what it is for.
        let needs_a_word = !source.path.to_string_lossy().ends_with("tests.rs");
        if needs_a_word && !source.text.starts_with("//! ") {
            found.push(format!("src/{file}: says at its top what it is for (`//! …`)"));
        }
    }
    found
}

fn sources() -> Vec<Source> {
    walk(&project().join("src"))
}

fn none(found: &[String]) {
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn rooms_use_only_rooms_above_them() {
    none(&wrong_edges(&sources()));
}

#[test]
fn crates_stay_in_their_rooms() {
    none(&wrong_crates(&sources()));
}

#[test]
fn sql_stays_in_store_and_domain() {
    none(&wrong_sql(&sources()));
}

#[test]
fn files_are_short_and_clean() {
    none(&wrong_style(&sources()));
}

#[test]
fn every_room_of_the_library_is_in_the_table() {
    let lib = std::fs::read_to_string(project().join("src/lib.rs")).expect("the library");
    let modules: BTreeSet<_> =
        lib.lines().filter_map(|l| l.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';')).collect();
    assert_eq!(modules, ROOMS.iter().map(|(room, _)| *room).collect());
}

/// Folders below `dir`, down to `levels`, as paths from `src`.
fn folders(dir: &str, levels: usize) -> Vec<String> {
    let Some(levels) = levels.checked_sub(1) else { return Vec::new() };
    let here = std::fs::read_dir(project().join("src").join(dir)).expect("a folder").map(|e| e.expect("an entry"));
    let here = here.filter(|e| e.file_type().expect("a type").is_dir()).map(|e| e.file_name().to_string_lossy().into_owned());
    here.map(|name| if dir.is_empty() { name } else { format!("{dir}/{name}") })
        .flat_map(|name| folders(&name, levels).into_iter().chain([name]))
        .collect()
}

/// What `page` does not say of the folders, and what it names that is not there. The groups of `commands` are those of the command
/// line, and tests are no room.
fn wrong_map(page: &str, folders: &[String]) -> Vec<String> {
    let named: BTreeSet<&str> = page.split('`').skip(1).step_by(2).collect();
    let room = |name: &&&str| ROOMS.iter().any(|(room, _)| name.strip_prefix(room).is_some_and(|rest| rest.starts_with('/')));
    let there = |name: &&str| ["", ".rs"].iter().any(|end| project().join(format!("src/{name}{end}")).exists());
    let shown = |f: &&String| !f.starts_with("commands/") && !f.ends_with("/tests");
    let missing = folders.iter().filter(shown).filter(|f| !named.contains(f.as_str()) && *f != "domain");
    let gone = named.iter().filter(room).filter(|name| !there(name));
    missing.map(|f| format!("src/{f} is not on the page")).chain(gone.map(|n| format!("`{n}` is not there"))).collect()
}

#[test]
fn the_page_is_a_map_of_the_rooms() {
    let page = std::fs::read_to_string(project().join("docs/architecture.md")).expect("the page");
    let all: Vec<String> = folders("", 2).into_iter().chain(folders("domain/ingest", 1)).collect();
    none(&wrong_map(&page, &all));
    assert_eq!(
        wrong_map("`store/db` in `store/nowhere`", &["store/db".into(), "store/objects".into()]),
        ["src/store/objects is not on the page", "`store/nowhere` is not there"]
    );
    let rows: Vec<&str> = page.lines().filter(|l| l.starts_with("| ")).filter_map(|l| l.split(" | ").next()).collect();
    let twice = rows.iter().enumerate().find(|(i, row)| !row.contains("---") && rows[..*i].contains(row)).map(|(_, row)| row);
    assert_eq!(twice, None, "one row for each thing");
}

#[test]
fn siblings_have_no_circle() {
    let mut done = BTreeSet::new();
    while let Some((room, _)) = SIBLINGS.iter().find(|(r, uses)| !done.contains(r) && uses.iter().all(|u| done.contains(u))) {
        done.insert(room);
    }
    assert_eq!(done.len(), SIBLINGS.len(), "only {done:?} can be put in an order");
}

#[test]
fn every_test_file_runs() {
    let dir = project().join("tests/it");
    for source in walk(&dir).iter().filter(|s| s.path != std::path::Path::new("main.rs")) {
        let stem = source.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let folder = source.path.parent().unwrap_or(std::path::Path::new(""));
        let (listed_in, name) = match (stem.as_str(), folder.parent(), folder.file_name()) {
            ("mod", Some(above), Some(own)) => (above.to_owned(), own.to_string_lossy().into_owned()),
            _ => (folder.to_owned(), stem),
        };
        let list = if listed_in.as_os_str().is_empty() { dir.join("main.rs") } else { dir.join(listed_in).join("mod.rs") };
        let text = std::fs::read_to_string(&list).expect("a list of modules");
        let listed = text.lines().any(|l| l.trim_end().ends_with(&format!("mod {name};")));
        assert!(listed, "tests/it/{}: not listed in {}", source.path.display(), list.display());
    }
}

/// The rules find what they are for.
mod planted {
    use super::*;

    fn check(rule: fn(&[Source]) -> Vec<String>, path: &str, text: &str, found: &[&str]) {
        assert_eq!(rule(&[Source::parse(path, text)]), found);
    }

    #[test]
    fn edges() {
        let no = |line: usize, why: &str| format!("src/base/a.rs:{line}: {why}");
        check(wrong_edges, "base/a.rs", "use crate::store::Tx;", &[&no(1, "`base` may not use `store`")]);
        check(wrong_edges, "base/a.rs", "//\nfn f() { crate::stats::x() }", &[&no(2, "`base` may not use `stats`")]);
        check(wrong_edges, "base/a.rs", "use crate::{base::x, cli::{y, z}};", &[&no(1, "`base` may not use `cli`")]);
        check(wrong_edges, "base/a.rs", "use super::super::cli;", &[&no(1, "`base` may not use `cli`")]);
        check(wrong_edges, "base/a.rs", "use super::b; // crate::cli::x", &[]);
        check(wrong_edges, "store/a.rs", "use crate::base::x; f(\"crate::cli::y\")", &[]);
        check(wrong_edges, "nowhere.rs", "use crate::base::x;", &["src/nowhere.rs:1: `nowhere` is not in the table of rooms"]);
        check(wrong_edges, "cli/mod.rs", "crate::commands::run()", &[]);
        check(wrong_edges, "cli/b.rs", "crate::commands::run()", &["src/cli/b.rs:1: `cli` may not use `commands`"]);
    }

    #[test]
    fn siblings() {
        let no = "src/domain/golden/a.rs:1: `domain::golden` may not use `domain::eval`";
        check(wrong_edges, "domain/golden/a.rs", "use crate::domain::eval::x;", &[no]);
        check(wrong_edges, "domain/golden/a.rs", "use crate::domain::{eval, golden};", &[no]);
        check(wrong_edges, "domain/golden/a.rs", "use super::super::eval::x;", &[no]);
        check(wrong_edges, "domain/eval/a.rs", "use crate::domain::golden::x; use super::b;", &[]);
        let tests = "#[cfg(test)]\nmod tests { use super::super::b; }";
        check(wrong_edges, "domain/eval/a.rs", tests, &[]);
    }

    #[test]
    fn macros_belong_to_their_room() {
        let store = Source::parse("store/a.rs", "#[macro_export]\nmacro_rules! values { () => {} }");
        let user = Source::parse("base/b.rs", "use crate::values;");
        assert_eq!(wrong_edges(&[store, user]), ["src/base/b.rs:1: `base` may not use `store`"]);
    }

    #[test]
    fn crates_sql_and_style() {
        check(
            wrong_crates,
            "domain/eval/a.rs",
            "use clap::Parser;",
            &["src/domain/eval/a.rs:1: only cli and commands may name `clap`"],
        );
        check(wrong_crates, "store/a.rs", "use tokio::net; mod my_clap { } my_clap::x()", &[]);
        check(wrong_sql, "cli/a.rs", "f(\"SELECT 1\")", &["src/cli/a.rs:1: only store and domain write SQL"]);
        check(wrong_sql, "domain/eval/a.rs", "f(\"SELECT 1\")", &[]);
        check(wrong_sql, "release/fsck/tests.rs", "f(\"DELETE FROM x\")", &[]);
        check(wrong_style, "cli/a.rs", "//! a\n#[allow(x)]\n", &["src/cli/a.rs:2: `#[allow(` is not written here"]);
        check(wrong_style, "cli/tests.rs", "fn f() {}", &[]);
        check(wrong_style, "cli/a.rs", "fn f() {}", &["src/cli/a.rs: says at its top what it is for (`//! …`)"]);
        let long = format!("//! a\n{}", "\n".repeat(LINES_MAX));
        assert_eq!(wrong_style(&[Source::parse("cli/a.rs", &long)]).len(), 1);
    }
}
