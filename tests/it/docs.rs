//! The console blocks of README.md and of the pages in docs/ are run, in order, and must print what they show.
//!
//! Each page has a sandbox and a shell of its own, in a copy of `examples/support-bot` that calls itself `/tmp/support-bot`
//! (README.md makes it itself). A block begins with ` ```console `; its lines with `$ ` are run one by one, and what stands below
//! such a line is what it prints, standard error included. A line `…` stands for any lines, `(exit code 3)` for how it ends; a
//! command that shows nothing must only succeed. Digests, keys, ids and times are compared as such, blanks as one blank.
//!
//! What is invisible to a reader steers: `<!-- before: … -->` above a block is run first, with the words of [`STORY`];
//! `<!-- not run: why -->` leaves the block out.

use crate::support::project;
use crate::support::sandbox::Sandbox;
use std::path::{Path, PathBuf};

/// The words for `<!-- before: … -->` and for the set-up that a page shows: `start`, then `version N`, `staging`, `production`, or all of the
/// tour at once; the variable `PROJECT` is the root of the project.
const STORY: &str = include_str!("../../examples/support-bot/steps.sh");

/// One command of a page with what is to be seen.
#[derive(Debug)]
struct Step {
    line: usize,
    command: String,
    shown: Vec<String>,
    code: i32,
    /// Not shown to a reader: its output is nobody's business.
    before: bool,
}

/// The steps of a page, and how many of its blocks are left out.
fn steps(page: &str) -> (Vec<Step>, usize) {
    let (mut found, mut left_out, mut pending) = (Vec::new(), 0, None::<String>);
    let mut lines = page.lines().enumerate().map(|(i, l)| (i + 1, l));
    while let Some((number, line)) = lines.next() {
        if let Some(comment) = line.strip_prefix("<!-- ").filter(|c| c.starts_with("before:") || c.starts_with("not run:")) {
            let mut text = comment.to_owned();
            while !text.contains("-->") {
                text = text + "\n" + lines.next().expect("a comment ends").1;
            }
            pending = Some(text.replace("-->", "").trim().to_owned());
        } else if line == "```console" {
            let block: Vec<_> = lines.by_ref().take_while(|(_, l)| *l != "```").collect();
            match pending.take() {
                Some(why) if why.starts_with("not run:") => {
                    assert!(why.len() > 15, "line {number}: say why it is not run");
                    left_out += 1;
                    continue;
                }
                Some(before) => {
                    let command = before.trim_start_matches("before:").trim().to_owned();
                    found.push(Step { line: number, command, shown: Vec::new(), code: 0, before: true });
                }
                None => {}
            }
            found.extend(block_steps(&block));
        } else if line.starts_with("```") {
            lines.by_ref().find(|(_, l)| l.starts_with("```"));
        }
    }
    (found, left_out)
}

fn block_steps(block: &[(usize, &str)]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (line, text) in block {
        if let Some(command) = text.strip_prefix("$ ") {
            steps.push(Step { line: *line, command: command.to_owned(), shown: Vec::new(), code: 0, before: false });
        } else {
            let step = steps.last_mut().unwrap_or_else(|| panic!("line {line}: a block begins with a command"));
            match text.strip_prefix("(exit code ").and_then(|t| t.strip_suffix(')')).and_then(|t| t.parse().ok()) {
                Some(code) => step.code = code,
                None => step.shown.push((*text).to_owned()),
            }
        }
    }
    steps
}

/// A line without what differs from run to run.
fn plain(line: &str) -> String {
    let mut out = Vec::new();
    for word in line.split_whitespace() {
        out.push(plain_word(word));
    }
    out.join(" ")
}

/// Runs of eight or more hexadecimal digits (digests, ids), keys and times, each under its name.
fn plain_word(word: &str) -> String {
    let base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    if word.len() >= 44 && word.ends_with('=') && word.chars().all(base64) {
        return "[BASE64]".into();
    }
    // NAME+ID+KEY, of which the key may hold a `+` too.
    if let [name, id, key] = word.splitn(3, '+').collect::<Vec<_>>()[..]
        && key.len() >= 40
        && key.chars().all(base64)
    {
        return format!("{}+{}+[KEY]", plain_part(name), plain_part(id));
    }
    plain_part(word)
}

fn plain_part(part: &str) -> String {
    let (mut out, mut rest) = (String::new(), part);
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c: char| !matches!(c, '0'..='9' | 'a'..='f')).unwrap_or(rest.len());
        if let Some(after) = time(rest) {
            out.push_str("[TIME]");
            rest = after;
        } else if end >= 8 {
            // One in forty ids of eight hexadecimal digits has no letter.
            out.push_str("[HEX]");
            // What follows the first part of a UUID.
            rest = rest[end..].trim_start_matches(|c: char| c == '-' || c.is_ascii_hexdigit());
        } else {
            let here = end.max(first.len_utf8());
            out.push_str(&rest[..here]);
            rest = &rest[here..];
        }
    }
    out
}

/// What follows a date, or a date with its time, at the start of a text.
fn time(text: &str) -> Option<&str> {
    let day: jiff::civil::Date = text.get(..10)?.parse().ok()?;
    let after = &text[10..];
    let clock = after.strip_prefix('T').and_then(|t| t.find('Z').map(|z| &t[z + 1..]));
    (day.year() >= 2000).then_some(clock.unwrap_or(after))
}

/// Whether what was printed is what is shown; `…` stands for any lines.
fn fits(shown: &[String], printed: &[String]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((gap, rest)) if gap == "…" => (0..=printed.len()).any(|skipped| fits(rest, &printed[skipped..])),
        Some((line, rest)) => printed.first() == Some(line) && fits(rest, &printed[1..]),
    }
}

fn lines_of(text: &[String]) -> Vec<String> {
    text.iter().map(|l| plain(l)).filter(|l| !l.is_empty()).collect()
}

/// A shell that keeps its folder from command to command.
struct Shell {
    sandbox: Sandbox,
    folder: PathBuf,
}

impl Shell {
    fn new() -> Self {
        let mut sandbox = Sandbox::new();
        sandbox.set("HOSTNAME", "host1");
        sandbox.set("PROJECT", &project().display().to_string());
        sandbox.git(["config", "--global", "user.email", "ada@example.com"]);
        sandbox.git(["config", "--global", "user.name", "Ada Example"]);
        std::fs::write(sandbox.root().join("story.sh"), STORY).expect("a file in the sandbox");
        Self { folder: project().to_owned(), sandbox }
    }

    /// Runs a command; its output as a reader of the page would see it, and its exit code.
    fn run(&mut self, command: &str) -> (String, i32) {
        let root = self.sandbox.root();
        let told = root.join("folder");
        let script = format!(
            ". \"{}\"\n{}\ncode=$?; pwd > \"{}\"; exit $code",
            root.join("story.sh").display(),
            command.replace("/tmp/", &format!("{}/", root.display())),
            told.display()
        );
        let mut shell = self.sandbox.command("bash");
        // Several kf of one line would have one time and one seed.
        shell.env_remove("KF_CLOCK").env_remove("KF_SEED").current_dir(&self.folder);
        let run = self.sandbox.finish(shell.args(["-c", &format!("exec 2>&1\n{script}")]));
        if let Ok(folder) = std::fs::read_to_string(&told) {
            self.folder = PathBuf::from(folder.trim_end());
        }
        (run.stdout.replace("[ROOT]/", "/tmp/"), run.code.unwrap_or(-1))
    }
}

/// What is wrong with a page, if anything; and how many commands were run.
fn check(name: &str, page: &str) -> (Vec<String>, usize) {
    let (steps, _) = steps(page);
    let mut wrong = Vec::new();
    if steps.is_empty() {
        return (wrong, 0);
    }
    let mut shell = Shell::new();
    if name != "README.md" {
        shell.run("cp -R examples/support-bot /tmp/support-bot && cd /tmp/support-bot");
    }
    for step in &steps {
        let (printed, code) = shell.run(&step.command);
        let (shown, lines) = (lines_of(&step.shown), lines_of(&printed.lines().map(str::to_owned).collect::<Vec<_>>()));
        let said = if step.before || shown.is_empty() { true } else { fits(&shown, &lines) };
        if !said || code != step.code {
            wrong.push(format!("{name}:{}: $ {}\n{printed}(exit code {code})", step.line, step.command));
        }
    }
    (wrong, steps.len())
}

/// The pages whose blocks are run; docs/cli.md is written by the program itself (see `surface`).
fn pages() -> Vec<PathBuf> {
    let docs = std::fs::read_dir(project().join("docs")).expect("docs").flatten().map(|e| e.path());
    let mut all: Vec<PathBuf> = docs.filter(|p| p.extension().is_some_and(|e| e == "md")).collect();
    all.retain(|p| !p.ends_with("cli.md"));
    all.push(project().join("README.md"));
    all.sort();
    all
}

#[test]
fn the_pages_print_what_they_show() {
    let (mut wrong, mut ran) = (Vec::new(), 0);
    for page in pages() {
        let name = page.strip_prefix(project()).unwrap_or(Path::new("?")).display().to_string();
        let text = std::fs::read_to_string(&page).expect("a page");
        let (bad, steps) = check(&name, &text);
        wrong.extend(bad);
        ran += steps;
    }
    assert!(ran > 40, "only {ran} commands were run");
    assert!(wrong.is_empty(), "{} of {ran} commands print otherwise than shown:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn a_page_that_is_wrong_is_found() {
    let page = |shown: &str| format!("text\n\n```console\n$ printf 'a  b\\nc 2026-11-21T08:00:00Z\\nd\\n'\n{shown}```\n");
    let wrong = |shown: &str| check("x.md", &page(shown)).0.len();
    assert_eq!(wrong("a b\nc 2025-01-01T00:00:00.5Z\nd\n"), 0, "times are times");
    assert_eq!(wrong("a b\n…\n"), 0);
    assert_eq!(wrong("…\nd\n"), 0);
    assert_eq!(wrong(""), 0, "nothing shown, nothing compared");
    assert_eq!(wrong("a b\n"), 1, "less than all without `…`");
    assert_eq!(wrong("a b\nc 2025-01-01\ne\n"), 1);
    assert_eq!(wrong("(exit code 3)\n"), 1);
    let (all, left_out) = steps("<!-- not run: it needs a cluster -->\n```console\n$ x\n```\n```sh\n$ y\n```\n");
    assert_eq!((all.len(), left_out), (0, 1));
    let (all, _) = steps("<!-- before: one\ntwo -->\n```console\n$ x\nshown\n(exit code 3)\n```\n");
    assert_eq!((all[0].command.as_str(), all[0].before), ("one\ntwo", true));
    assert_eq!((all[1].code, all[1].shown.as_slice()), (3, ["shown".to_owned()].as_slice()));
}

#[test]
fn what_differs_from_run_to_run_is_named() {
    let check = |line: &str, named: &str| assert_eq!(plain(line), named, "{line}");
    check("bot@1.0.0 (c9112fb52dc6, 4 files, 342 B)", "bot@1.0.0 ([HEX], 4 files, 342 B)");
    check("at   2026-11-21T09:13:00.001000Z  ok", "at [TIME] ok");
    check("until 2027-11-21, 0.7241  44", "until [TIME], 0.7241 44");
    check("id 01a1fd64-2080-7b64-85c9-ca115a147446", "id [HEX]");
    check("sha256:5c754de85d51189ffadf617b18980d59", "sha256:[HEX]");
    check("kf/x/67ec8e65a18debbe+230e02da+AULiMINes4f5kuQ286YGBFX+U91cEUtviRcoOk85klj5", "kf/x/[HEX]+[HEX]+[KEY]");
    check("decade facade 1234567", "decade facade 1234567");
    check("rollout 27091341, rollout beefcafe", "rollout [HEX], rollout [HEX]");
    check("7csMxuAG0JO+39bbpggvN/q+CKdN+85Uu9xBQykoA1w=", "[BASE64]");
}
