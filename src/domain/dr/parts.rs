//! Steps that several scenarios share: looking, getting a set back, checking the copy, making it what is in use.

use super::facts::{Back, Component, Facts};
use super::line::{Line, Word, var};
use super::runbook::{Role, Runbook, Scenario, Step, Variable};
use crate::base::name::Name;
use crate::base::text::markdown;

/// The variable of the folder for what is restored.
pub const BACK: &str = "BACK";
/// The variable of the file of the key that reads backups.
pub const KEY: &str = "KEY";
/// The variable of a time at which everything was right.
pub const GOOD: &str = "GOOD";
/// The variable of a set.
pub const SET: &str = "SET";

/// What a restored repository is opened with: its mlops.toml names the places that are in use.
pub const OWN: [(&str, &str); 2] = [("KF_STATE_URL", "sqlite"), ("KF_ARTIFACTS_URL", ".kf/objects")];

/// Writes a runbook.
pub(super) struct Writer<'f> {
    pub(super) facts: &'f Facts,
    pub(super) book: Runbook,
    /// What names the set that is restored.
    which: Vec<Word>,
}

/// A command of kf.
pub(super) fn kf<W: Into<Word>>(words: impl IntoIterator<Item = W>) -> Line {
    let words = std::iter::once(Word::from("kf")).chain(words.into_iter().map(Into::into));
    Line::of(words)
}

/// A command of kf in what was restored, and nowhere else.
pub(super) fn copy<W: Into<Word>>(words: impl IntoIterator<Item = W>) -> Line {
    let mut line = there(words);
    line.env = OWN.to_vec();
    line
}

/// A command of kf in what was restored, once that is what is in use.
pub(super) fn there<W: Into<Word>>(words: impl IntoIterator<Item = W>) -> Line {
    let start = [Word::from("kf"), Word::from("-C"), var(BACK)];
    Line::of(start.into_iter().chain(words.into_iter().map(Into::into)))
}

impl<'f> Writer<'f> {
    pub(super) fn new(facts: &'f Facts, scenario: Scenario) -> Self {
        let book = Runbook {
            scenario,
            what: scenario.what(),
            target_minutes: scenario.target_minutes(),
            needs: Vec::new(),
            gaps: Vec::new(),
            set: Vec::new(),
            steps: Vec::new(),
        };
        let mut writer = Self { facts, book, which: Vec::new() };
        match &facts.owner {
            Some(owner) => writer.need(format!("commander: {}, or whoever stands in", markdown(owner))),
            None => writer.gap("who answers for the project: `owner` in `[project]`"),
        }
        writer
    }

    pub(super) fn need(&mut self, what: impl Into<String>) {
        self.book.needs.push(what.into());
    }

    pub(super) fn gap(&mut self, what: impl Into<String>) {
        self.book.gaps.push(what.into());
    }

    /// A variable, once.
    pub(super) fn set(&mut self, name: &str, means: impl Into<String>, example: impl Into<String>) -> Word {
        if !self.book.set.iter().any(|of| of.name == name) {
            self.book.set.push(Variable { name: name.to_owned(), means: means.into(), example: example.into() });
        }
        var(name)
    }

    /// A step that changes something.
    pub(super) fn act(&mut self, who: Role, minutes: u32, what: impl Into<String>, line: Line) {
        self.book.steps.push(Step { what: what.into(), who, minutes, line, harmless: false });
    }

    /// A step that changes nothing that is in use.
    pub(super) fn look(&mut self, who: Role, minutes: u32, what: impl Into<String>, line: Line) {
        self.book.steps.push(Step { what: what.into(), who, minutes, line, harmless: true });
    }

    /// The only one of some names, or a variable for one of them.
    pub(super) fn one_of(&mut self, name: &str, what: &str, all: &[Name]) -> Word {
        match all {
            [one] => Word::from(one.as_str()),
            [] => self.set(name, format!("the {what}; mlops.toml names none"), "NAME"),
            [first, ..] => {
                let names: Vec<&str> = all.iter().map(Name::as_str).collect();
                self.set(name, format!("the {what}, one of {}", names.join(", ")), first.as_str())
            }
        }
    }

    pub(super) fn key(&mut self) -> Word {
        let means = match &self.facts.identity {
            Some(reference) => format!("the file of the key that reads backups; mlops.toml says `{reference}`"),
            None => "the file of the key that reads backups, from where it is kept".to_owned(),
        };
        self.need("the key that reads backups, and who has it");
        self.set(KEY, means, "backup.key")
    }

    pub(super) fn good(&mut self) -> Word {
        self.set(GOOD, "a time at which everything was right, by RFC 3339", "2026-11-20T08:00:00Z")
    }

    /// What every scenario that restores needs.
    fn back(&mut self) -> Word {
        match &self.facts.place {
            Some(place) => self.need(format!("the backups in {}, and credentials that read them", markdown(place))),
            None => self.gap("where backups go: `[backup.place]`"),
        }
        let room = "a folder that is not there yet, on a disk with room for everything";
        self.set(BACK, room, "/srv/kf-restored")
    }

    /// Brings a set back beside what is in use. `which` names it.
    pub(super) fn restore(&mut self, which: impl IntoIterator<Item = Word>) {
        let (key, back) = (self.key(), self.back());
        let line = kf(["backup", "restore"]);
        self.which = which.into_iter().collect();
        let line = self.which.iter().cloned().fold(line, Line::and).and("--to").and(back).and("--identity").and(key);
        self.look(Role::Operator, 30, "Restore the set into a new folder; erasures that are newer are done again there", line);
        if !self.facts.git {
            self.gap("the repository is not in Git, so a set does not have its files: keep mlops.toml elsewhere, too");
            let to = Word::Of(BACK.to_owned(), "/mlops.toml".to_owned());
            self.look(Role::Operator, 1, "Put mlops.toml there", Line::of(["cp", "mlops.toml"]).and(to));
        }
    }

    /// Checks what was restored.
    pub(super) fn check(&mut self) {
        self.look(Role::Operator, 10, "Read all of it again: rows, objects and the audit log agree", copy(["fsck"]));
        self.look(Role::Operator, 5, "See that nobody altered the audit log", copy(["audit", "verify"]));
        let collection = self.facts.collection.clone();
        for tenant in self.facts.tenants.iter().take(TENANTS) {
            let line = copy(["index", "verify", "--tenant", tenant.as_str()]);
            let line = collection.iter().fold(line, |line, name| line.and("--collection").and(name.as_str()));
            self.look(Role::Operator, 2, format!("See that what {tenant} searches is whole"), line);
        }
        if let Some(smoke) = &self.facts.smoke {
            let start = ["sh", "-c", "cd \"$0\" && exec \"$@\""].map(Word::from);
            let line = Line::of(start).and(var(BACK));
            let line = smoke.iter().fold(line, |line, word| line.and(word.as_str()));
            self.look(Role::Operator, 5, "Run the smoke test in it", line);
        }
    }

    /// Makes the machines of the other place.
    pub(super) fn build(&mut self) {
        let place = self.facts.secondary.as_deref().map_or_else(|| "the other place".to_owned(), markdown);
        match &self.facts.terraform {
            Some(folder) => {
                self.need("terraform, and credentials that may make machines");
                let at = format!("-chdir={folder}");
                self.act(
                    Role::Operator,
                    20,
                    "Get what terraform needs",
                    Line::of(["terraform", at.as_str(), "init", "-input=false"]),
                );
                let line = Line::of(["terraform", at.as_str(), "apply"]);
                self.act(Role::Operator, 30, format!("Make {place}: read the plan, then say yes"), line);
            }
            None => self.gap("what makes the machines of the other place: `terraform` in `[dr]`"),
        }
        if self.facts.secondary.is_none() {
            self.gap("where work goes on: `secondary` in `[dr]`");
        }
    }

    /// Makes what was restored what is in use.
    pub(super) fn bring_in(&mut self) {
        for component in &self.facts.components {
            self.load(component);
        }
        let artifacts = self.facts.artifacts.clone();
        match &self.facts.state {
            Some(server) => {
                let to = self.set("STATE_URL", "where the state goes, an empty database", server.url.clone());
                let line = copy(["state", "move", "--schema", server.schema.as_str(), "--to"]).and(to);
                let line = match artifacts {
                    Some(url) => {
                        let to = self.set("ARTIFACTS_URL", "where the artifacts go, an empty place", url);
                        line.and("--artifacts").and(to)
                    }
                    None => line,
                };
                self.act(Role::Operator, 30, "Move the state into the database, proven there", line);
                let what = "Write both places into mlops.toml of that folder, and see that they are right";
                self.look(Role::Operator, 5, what, there(["config", "check"]));
            }
            None if artifacts.is_some() => {
                let what = "Write `url = \".kf/objects\"` into `[artifacts]` of that folder's mlops.toml: there they are now";
                self.look(Role::Operator, 5, what, there(["config", "check"]));
            }
            None => {}
        }
    }

    fn load(&mut self, component: &Component) {
        let name = &component.name;
        let files = |below: &str| Word::Of(BACK.to_owned(), format!("/restored/{name}{below}"));
        let upper = name.as_str().to_uppercase().replace(['-', '.'], "_");
        match &component.back {
            Back::Folder(path) => {
                let line = Line::of(["cp", "-a"]).and(files("/.")).and(path.as_str());
                self.act(Role::Operator, 10, format!("Put the files of {name} where they belong"), line);
            }
            Back::Postgres(url) => {
                let to = self.set(&format!("{upper}_URL"), format!("where {name} goes, an empty database"), url.clone());
                let line = Line::of(["psql", "--no-psqlrc", "--dbname"]).and(to.clone()).and("--file").and(files("/globals.sql"));
                self.act(
                    Role::Operator,
                    2,
                    format!("Make the roles of {name}; those that are there already may be told of"),
                    line,
                );
                let line = Line::of(["pg_restore", "--exit-on-error", "--dbname"]).and(to).and(files("/database"));
                self.act(Role::Operator, 20, format!("Load {name}"), line);
            }
            Back::Server(url) => {
                let to = self.set(&format!("{upper}_URL"), format!("where {name} goes, an empty server"), url.clone());
                let key = self.key();
                let line = self.which.iter().cloned().fold(kf(["backup", "restore"]), Line::and);
                let line = line.and("--component").and(name.as_str()).and("--into").and(to).and("--identity").and(key);
                self.act(Role::Operator, 20, format!("Load {name}; it is counted there"), line);
            }
            Back::Program(argv) => {
                let line = Line { input: Some(files("/output")), ..Line::of(argv.iter().map(String::as_str)) };
                self.act(Role::Operator, 10, format!("Load {name}"), line);
            }
            Back::Unknown => self.gap(format!("how {name} gets back: `restore` in `[backup.components.{name}]`")),
        }
    }

    /// Serves users from what was restored.
    pub(super) fn serve(&mut self) {
        for target in self.facts.targets.iter().filter(|target| target.gateway) {
            let line = there(["gateway", "run", "--target", target.name.as_str()]);
            self.act(Role::Operator, 5, format!("Serve {}; leave it running", target.model), line);
        }
        self.look(Role::Operator, 2, "See that everything answers", there(["health"]));
        match self.facts.dns.clone() {
            Some(argv) => self.act(Role::Commander, 10, "Send users there", Line::of(argv)),
            None => self.gap("what sends users elsewhere: `dns` in `[dr]`"),
        }
    }

    /// What is done when all is well again.
    pub(super) fn protect(&mut self) {
        self.act(Role::Operator, 15, "Back up what is in use now", there(["backup", "run"]));
        let line = there(["backup", "drill", "latest", "--identity"]).and(var(KEY));
        self.act(Role::KeyHolder, 15, "Prove that it comes back", line);
    }
}

/// So many tenants are named; an operator looks at the others by the same command.
const TENANTS: usize = 20;
