//! `kf demo`: a release from end to end in a scratch folder, with the real commands on the files of `examples/support-bot`.
//!
//! Every step runs this binary. A step that ends otherwise than the story says ends the demo with exit code 1, so changed
//! sample data changes what is seen. Live traffic is real too: [`live`] starts the gateway, which starts [`bot`] for each version.

mod bot;
mod live;

use crate::adapters::process::{Ended, Program};
use crate::base::error::{Context, Error, Result};
use crate::base::exit::Exit;
use crate::base::format::Format;
use crate::cli::cx::Cx;
use live::Live;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// See a release from end to end: register, test, evaluate, promote, refuse, try on users, take back, watch, roll back, optimize, verify
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf demo\n  kf demo --dir /tmp/kf-demo     keep the folder and look around")]
pub(crate) struct Args {
    /// Use this folder, which must not exist yet, and keep it
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Be the bot that the demo's gateway starts; not for people
    #[arg(long, hide = true)]
    serve: bool,
}

macro_rules! files {
    ($($path:literal),+ $(,)?) => { &[$(($path, include_str!(concat!("../../examples/support-bot/", $path)))),+] };
}

const FILES: &[(&str, &str)] = files![
    "mlops.toml",
    "prompts.test.yaml",
    "quotes/retrieval.yaml",
    "golden/support.jsonl",
    "answers/1.jsonl",
    "answers/2.jsonl",
    "answers/3.jsonl",
    "config/1/agents.yaml",
    "config/1/prompts/answer.txt",
    "config/1/retrieval.yaml",
    "config/1/routing.yaml",
    "config/2/agents.yaml",
    "config/2/prompts/answer.txt",
    "config/2/retrieval.yaml",
    "config/2/routing.yaml",
    "config/3/agents.yaml",
    "config/3/prompts/answer.txt",
    "config/3/retrieval.yaml",
    "config/3/routing.yaml",
    "documents/handbook.de.md",
    "documents/handbook.en.md",
    "documents/handbook.es.md",
    "documents/handbook.fr.md",
    "traffic/accepted.csv",
    "traffic/friday.csv",
    "traffic/monday.csv",
];

enum Step {
    /// Words between the commands.
    Say(&'static str),
    /// The configuration of a version takes the place of the current one.
    Use(&'static str),
    /// A line is appended to a file.
    Append(&'static str, &'static str),
    /// A kf command and the exit code that the story expects.
    Kf(&'static [&'static str], u8),
    /// A gateway serves from here on, and users ask.
    Serve,
    /// Who answers a user now.
    Ask,
    /// The public key of the key for backups goes into mlops.toml.
    Recipient,
}

use Step::{Append, Ask, Kf, Recipient, Say, Serve, Use};

const STORY: &[Step] = &[
    Say(
        "A support bot answers customers in four languages. Its configuration (prompts, routing, retrieval, agents) is one model.",
    ),
    Kf(&["init"], 0),
    Say("A key signs the audit log from the start."),
    Kf(&["audit", "key", "--generate", "--out", "log.key"], 0),
    Append("mlops.toml", "\n[signing]\nlog-key = \"file:log.key\"\n"),
    Say("What the bot answers from: a handbook in four languages, taken in, cut into chunks and made searchable, all offline."),
    Kf(&["ingest", "documents", "--collection", "handbook"], 0),
    Kf(&["search", "How long can I return an item?", "--collection", "handbook", "-k", "1"], 0),
    Say("The first version: register it, score its answers on 44 reviewed questions, release it."),
    Use("1"),
    Kf(&["register", "bot"], 0),
    Kf(&["eval", "bot", "--answers", "answers/1.jsonl"], 0),
    Kf(&["promote", "bot", "--to", "staging"], 0),
    Kf(&["promote", "bot", "--to", "production", "--first-release", "--ticket", "OPS-1", "--reason", "first release"], 0),
    Say("Somebody makes it cheaper: a smaller model, one passage, a terse prompt. Its gates say no, so it goes nowhere."),
    Use("3"),
    Kf(&["register", "bot"], 0),
    Kf(&["prompt", "test"], 3),
    Kf(&["eval", "bot", "--answers", "answers/3.jsonl"], 3),
    Kf(&["promote", "bot", "--to", "staging"], 3),
    Say("A better one: complete answers with citations. It is compared with production row by row, and passes."),
    Use("2"),
    Kf(&["prompt", "test"], 0),
    Append("config/current/retrieval.yaml", "timeout_ms: 4\n"),
    Kf(&["register", "bot"], 0),
    Kf(&["diff", "bot@production", "bot"], 0),
    Kf(&["eval", "bot", "--answers", "answers/2.jsonl"], 0),
    Say("Better, or lucky? Both versions on the same questions, as evidence that holds however often one looks at it."),
    Kf(
        &["ab", "create", "cited", "--control", "bot@production", "--treatment", "bot", "--metric", "token-f1:score", "--paired"],
        0,
    ),
    Kf(&["ab", "record", "cited", "--from", "evaluations"], 0),
    Kf(&["ab", "analyze", "cited"], 0),
    Kf(&["promote", "bot", "--to", "staging"], 0),
    Say("Users come in: a gateway splits their requests between versions, and starts what answers them."),
    Serve,
    Ask,
    Say(
        "Recorded answers have no time-outs. Under real requests one in five is too late, and the version is taken back by itself.",
    ),
    Kf(&["canary", "start", "bot", "--plan", "quick", "--watch"], 3),
    Kf(&["canary", "explain", "bot"], 0),
    Say("Without that time-out it gets a fifth of the users, then half, then all, as long as it does no worse."),
    Use("2"),
    Kf(&["register", "bot"], 0),
    Kf(&["eval", "bot", "--answers", "answers/2.jsonl"], 0),
    Kf(&["promote", "bot", "--to", "staging"], 0),
    Kf(&["canary", "start", "bot", "--plan", "quick", "--watch", "--ticket", "OPS-2", "--reason", "complete, cited answers"], 0),
    Ask,
    Say("The questions it was accepted on are its baseline. Monday is like them; on Friday customers ask about something new."),
    Kf(&["drift", "baseline", "bot@production", "--data", "traffic/accepted.csv"], 0),
    Kf(&["drift", "check", "bot", "--data", "traffic/monday.csv"], 0),
    Kf(&["drift", "check", "bot", "--data", "traffic/friday.csv"], 3),
    Say("That opened one ticket, due at once."),
    Kf(&["drift", "due"], 3),
    Say("A complaint comes in. The last good version is back in one command, for users and in the registry."),
    Kf(&["rollback", "bot", "--ticket", "INC-7", "--reason", "a customer complains about long answers"], 0),
    Ask,
    Kf(&["history", "bot"], 0),
    Say(
        "A second bot needs no model: it quotes the handbook. Once a month variants of it are tried on some of the questions, and judged on the others.",
    ),
    Append("mlops.toml", QUOTES),
    Kf(&["register", "quotes"], 0),
    Kf(&["optimize", "quotes", "--metric", "token-f1", "--profile", "live"], 0),
    Kf(&["diff", "quotes@1.0.0", "quotes@staging"], 0),
    Say(
        "All of it is backed up, encrypted for a key that is kept elsewhere, and a drill proves that it comes back, and how fast.",
    ),
    Kf(&["backup", "keygen", "-o", "backup.key"], 0),
    Recipient,
    Kf(&["backup", "run"], 0),
    Kf(&["backup", "drill"], 0),
    Kf(&["backup", "status"], 0),
    Say("Every step is in the audit log, the signed report of the drill too, which anybody can verify."),
    Kf(&["audit", "log"], 0),
    Kf(&["audit", "verify"], 0),
    Kf(&["status"], 0),
];

/// The tables of the bot that quotes, and of a profile in which versions answer live; what it may lack is less than of one that writes.
const QUOTES: &str = "
[model.quotes]
type = \"config\"
path = \"quotes\"

[profile.live.system]
kind = \"builtin\"

[profile.live.gates.words]
min = 0.5
";

/// How long one step may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(120);

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    if args.serve {
        bot::serve(cx)?;
        return Ok(Exit::Ok);
    }
    cx.only_formats("the demo", &[Format::Table])?;
    if cx.global.dry_run {
        return tell(cx);
    }
    let (dir, _scratch) = place(cx, args)?;
    write_files(&dir)?;
    let kf = std::env::current_exe().context(|| "cannot find the program that runs")?;
    cx.out.print(&format!("kf demo, in {}\n", dir.display()))?;
    let mut demo = Demo { cx, dir: &dir, kf, ports: live::free_ports()?, live: None };
    STORY.iter().try_for_each(|step| demo.take(step))?;
    demo.live.map_or(Ok(()), Live::stop)?;
    let kept = if args.dir.is_some() { format!("\nThe folder stays: cd {}\n", dir.display()) } else { String::new() };
    cx.out.print(&format!(
        "\nDone: a worse version was refused, a better one tried on users, released and rolled back, a broken one taken back by itself, drift was \
         found, better settings were, and the log verified.\n{kept}"
    ))?;
    Ok(Exit::Ok)
}

/// A story that is being told.
struct Demo<'a> {
    cx: &'a Cx,
    dir: &'a Path,
    kf: PathBuf,
    /// Of the gateway: where users come in, where it is asked.
    ports: [u16; 2],
    live: Option<Live>,
}

impl Demo<'_> {
    /// Shows a step and takes it.
    fn take(&mut self, step: &Step) -> Result<()> {
        self.cx.out.print(&shown(step))?;
        match step {
            Say(_) => Ok(()),
            Use(version) => use_version(self.dir, version),
            Append(file, text) => append(&self.dir.join(file), text),
            Kf(words, expected) => self.kf_step(words, *expected),
            Serve => self.serve(),
            Ask => self.ask(),
            Recipient => self.recipient(),
        }
    }

    fn serve(&mut self) -> Result<()> {
        let tables = live::tables(&self.kf, self.ports);
        append(&self.dir.join("mlops.toml"), &tables)?;
        self.cx.out.print(&format!("{}\n$ kf gateway run &\n", tables.trim_start()))?;
        let gateway = self.program(&["gateway", "run"]);
        let (live, said) = Live::start(&gateway, self.ports[0])?;
        self.live = Some(live);
        self.cx.out.print(&said)
    }

    fn recipient(&self) -> Result<()> {
        let path = self.dir.join("backup.key");
        let key = std::fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))?;
        let public = key.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap_or_default();
        let table = format!(
            "\n[backup]\nrecipients = [\"{public}\"]\nidentity = \"file:backup.key\"\n\n[backup.place]\nurl = \"backups\"\n"
        );
        append(&self.dir.join("mlops.toml"), &table)?;
        self.cx.out.print(&table)
    }

    fn ask(&self) -> Result<()> {
        let at = SocketAddr::from(([127, 0, 0, 1], self.ports[0]));
        self.cx.out.print(&format!("\n$ curl http://{at}/answer?q=returns\n"))?;
        let answer = live::ask(at).context(|| format!("nobody answers at {at}"))?;
        self.cx.out.print(answer.rsplit("\r\n\r\n").next().unwrap_or_default())
    }

    /// A kf command in the demo's folder.
    fn program(&self, words: &[&str]) -> Program {
        let program = Program::new(&self.kf).args(words).dir(self.dir);
        unwanted(self.cx).into_iter().fold(program, Program::unset)
    }

    fn kf_step(&self, words: &[&str], expected: u8) -> Result<()> {
        let done = self.program(words).timeout(STEP_TIMEOUT).run(&[])?;
        self.cx.out.print(&String::from_utf8_lossy(&done.stdout))?;
        if !done.stderr.is_empty() {
            self.cx.out.print(&done.stderr)?;
        }
        match done.ended {
            Ended::Status(code) if code == i32::from(expected) => {
                if expected != 0 {
                    self.cx.out.print(&format!("(exit code {expected})\n"))?;
                }
                Ok(())
            }
            ended => {
                let told = format!("`kf {}` ended otherwise than the story says: {ended:?} instead of {expected}", typed(words));
                Err(Error::new(told).hint("look around with `kf demo --dir DIR`"))
            }
        }
    }
}

/// The steps, without taking any of them.
fn tell(cx: &Cx) -> Result<Exit> {
    cx.out.print("kf demo would do this in a new folder:\n")?;
    STORY.iter().try_for_each(|step| cx.out.print(&shown(step)))?;
    Ok(Exit::Ok)
}

/// A step as it is shown before it is taken.
fn shown(step: &Step) -> String {
    match step {
        Say(words) => format!("\n# {words}\n"),
        Use(version) => format!("\n$ cp -r config/{version}/. config/current/\n"),
        Append(file, text) => {
            format!("\n$ printf '{}' >> {file}\n", text.escape_default().to_string().replace("\\\"", "\""))
        }
        Kf(words, _) => format!("\n$ kf {}\n", typed(words)),
        Serve | Recipient => "\n$ cat >> mlops.toml\n".to_owned(),
        Ask => String::new(),
    }
}

/// Words as a shell takes them.
fn typed(words: &[&str]) -> String {
    let quoted = words.iter().map(|w| if w.contains(' ') { format!("\"{w}\"") } else { (*w).to_owned() });
    quoted.collect::<Vec<_>>().join(" ")
}

fn place(cx: &Cx, args: &Args) -> Result<(PathBuf, Option<tempfile::TempDir>)> {
    match &args.dir {
        Some(dir) => {
            let dir = cx.cwd.join(dir);
            std::fs::create_dir(&dir)
                .context(|| format!("cannot make {}", dir.display()))
                .hint(|| "name a folder that does not exist yet, in one that does".into())?;
            Ok((dir, None))
        }
        None => {
            let scratch = tempfile::Builder::new().prefix("kf-demo-").tempdir().context(|| "cannot make a scratch folder")?;
            Ok((scratch.path().to_owned(), Some(scratch)))
        }
    }
}

fn write_files(dir: &Path) -> Result<()> {
    FILES.iter().try_for_each(|(path, text)| write(&dir.join(path), text))
}

fn write(path: &Path, text: &str) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    std::fs::create_dir_all(parent)
        .and_then(|()| std::fs::write(path, text))
        .context(|| format!("cannot write {}", path.display()))
}

fn use_version(dir: &Path, version: &str) -> Result<()> {
    let prefix = format!("config/{version}/");
    let current = dir.join("config/current");
    FILES
        .iter()
        .filter_map(|(path, text)| Some((path.strip_prefix(&prefix)?, text)))
        .try_for_each(|(p, text)| write(&current.join(p), text))
}

fn append(path: &Path, text: &str) -> Result<()> {
    let old = std::fs::read_to_string(path).context(|| format!("cannot read {}", path.display()))?;
    write(path, &(old + text))
}

/// What of the caller's environment would change the story: other states, CI reports, another actor.
fn unwanted(cx: &Cx) -> Vec<OsString> {
    ["KF_", "GITHUB_"].iter().flat_map(|p| cx.env.with_prefix(p)).map(|(name, _)| name.into()).collect()
}
