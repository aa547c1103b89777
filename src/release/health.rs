//! Whether what this system stands on answers: what the configuration names, all asked at the same time, each for as long as all may take.
//!
//! The names are those of the specification (`api`, `database`, `vector_db`, `graph_db`, `llm_api`, `cache`), then those of
//! `[health.checks.NAME]` in their order; one of the six that is named there is asked as it says there. [`targets`] is about what
//! splits traffic. Nothing is changed and no question is put to a model: asking every ten seconds must cost nothing.

mod targets;

pub use targets::targets;

use crate::adapters::neo4j::Neo4j;
use crate::adapters::probe;
use crate::adapters::qdrant::Qdrant;
use crate::base::error::{Error, Kind, Result};
use crate::base::random::Random;
use crate::config::{Asks, Embedder, Project, Secret, SecretRef, System, VectorEngine};
use crate::domain::monitor::health::{Found, Standing};
use crate::store::vectors::pgvector;
use crate::store::{Mode, Settings, Store};
use std::path::Path;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Something to ask, whose answer is a line for people.
type Ask = Box<dyn FnOnce() -> Result<String> + Send>;

/// What finds something to ask; `None` where nothing is configured.
type Find = fn(&Surroundings<'_>) -> Result<Option<Ask>>;

/// Something that may be asked, by name; without a question why there is none.
pub struct Probe {
    name: String,
    ask: std::result::Result<Ask, Found>,
}

/// What a question needs.
pub struct Surroundings<'a> {
    /// What `mlops.toml` says.
    pub project: &'a Project,
    /// The folder that programs run in.
    pub root: &'a Path,
    /// Opens the state, however often it is called.
    pub state: &'a dyn Fn() -> Result<Settings>,
    /// Fetches a secret.
    pub secret: &'a dyn Fn(&SecretRef) -> Result<Secret>,
}

/// Everything that can be asked here.
pub fn probes(around: &Surroundings<'_>) -> Vec<Probe> {
    let checks = &around.project.health.checks;
    let built_in: [(&str, Find); 6] = [
        ("api", api),
        ("database", database),
        ("vector_db", vector_db),
        ("graph_db", graph_db),
        ("llm_api", llm_api),
        ("cache", |_| Ok(None)),
    ];
    let known = |name: &str| checks.iter().find(|check| check.name.as_str() == name);
    let mut all: Vec<Probe> = built_in
        .into_iter()
        .map(|(name, find)| probe(name, known(name).map_or_else(|| find(around), |check| named(around, &check.asks).map(Some))))
        .collect();
    let own = checks.iter().filter(|check| built_in.iter().all(|(name, _)| check.name.as_str() != *name));
    all.extend(own.map(|check| probe(check.name.as_str(), named(around, &check.asks).map(Some))));
    all
}

fn probe(name: &str, ask: Result<Option<Ask>>) -> Probe {
    let unset = || Found {
        name: name.to_owned(),
        standing: Standing::Unset,
        told: "nothing is configured".to_owned(),
        hint: Some(format!("`[health.checks.{name}]` in mlops.toml says what to ask")),
    };
    let ask = ask.map_err(|e| failing(name, &e)).and_then(|ask| ask.ok_or_else(unset));
    Probe { name: name.to_owned(), ask }
}

/// What is not there yet is not broken.
fn failing(name: &str, e: &Error) -> Found {
    let standing = if e.kind() == Kind::NoRepository { Standing::Unset } else { Standing::Failing };
    Found { name: name.to_owned(), standing, told: e.chain().join(": "), hint: e.hints().first().cloned() }
}

/// Asks all at once; what has not answered in time is failing, and what it was doing is left to end by itself.
pub fn ask(probes: Vec<Probe>, timeout: Duration) -> Vec<Found> {
    let (sender, answers) = mpsc::channel();
    let mut found: Vec<Found> = Vec::new();
    let mut waiting = 0;
    for (place, probe) in probes.into_iter().enumerate() {
        let Probe { name, ask } = probe;
        let late = || Found {
            name: name.clone(),
            standing: Standing::Failing,
            told: format!("no answer within {timeout:?}"),
            hint: None,
        };
        match ask {
            Err(known) => found.push(known),
            Ok(ask) => {
                found.push(late());
                let sender = sender.clone();
                let answer = move || sender.send((place, ask())).is_ok();
                match thread::Builder::new().name("kf-health".to_owned()).spawn(answer) {
                    Ok(_) => waiting += 1,
                    Err(e) => found[place].told = format!("this machine gives no thread to ask it: {e}"),
                }
            }
        }
    }
    let until = Instant::now() + timeout;
    for _ in 0..waiting {
        let Ok((place, answer)) = answers.recv_timeout(until.saturating_duration_since(Instant::now())) else { break };
        let name = found[place].name.clone();
        found[place] = match answer {
            Ok(told) => Found { name, standing: Standing::Healthy, told, hint: None },
            Err(e) => failing(&name, &e),
        };
    }
    found
}

/// What `[health.checks.NAME]` says.
fn named(around: &Surroundings<'_>, asks: &Asks) -> Result<Ask> {
    let timeout = around.project.health.timeout;
    Ok(match asks {
        Asks::Url { url, token } => {
            let (url, token) = (url.clone(), token.as_ref().map(around.secret).transpose()?);
            Box::new(move || probe::address(&url, token.as_ref(), timeout))
        }
        Asks::Command(argv) => {
            let (argv, dir) = (argv.clone(), around.root.to_owned());
            Box::new(move || probe::program(&argv, &dir, timeout))
        }
    })
}

/// The service that answers questions.
fn api(around: &Surroundings<'_>) -> Result<Option<Ask>> {
    let System::Http { url, .. } = &around.project.system else { return Ok(None) };
    Ok(Some(reached(around, url)))
}

/// The service that makes vectors.
fn llm_api(around: &Surroundings<'_>) -> Result<Option<Ask>> {
    let Embedder::Endpoint(endpoint) = &around.project.embedder else { return Ok(None) };
    Ok(Some(reached(around, &endpoint.url)))
}

fn reached(around: &Surroundings<'_>, url: &str) -> Ask {
    let (url, timeout) = (url.to_owned(), around.project.health.timeout);
    Box::new(move || probe::reach(&url, timeout))
}

/// A state that opens and is read, with what else is asked of it.
fn in_state(around: &Surroundings<'_>, more: fn(&Store) -> Result<String>) -> Result<Option<Ask>> {
    // Of connections that close at the same time none is the last one, which takes SQLite's files beside the state away.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let settings = (around.state)()?;
    Ok(Some(Box::new(move || {
        let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        more(&Store::open(settings, Mode::Read)?)
    })))
}

fn database(around: &Surroundings<'_>) -> Result<Option<Ask>> {
    in_state(around, |store| Ok(format!("{}, {}", store.describe(), store.db().engine()?)))
}

fn vector_db(around: &Surroundings<'_>) -> Result<Option<Ask>> {
    let vectors = &around.project.vectors;
    match (&vectors.qdrant, vectors.engine) {
        (Some(settings), _) => {
            let key = settings.api_key.as_ref().map(around.secret).transpose()?;
            let qdrant = Qdrant::new(settings, key, Random::System)?;
            Ok(Some(Box::new(move || Ok(format!("{}, version {}", qdrant.describe(), qdrant.version()?)))))
        }
        (None, VectorEngine::Pgvector) => in_state(around, |store| {
            let version = store.read(pgvector::version)?.ok_or_else(pgvector::missing)?;
            Ok(format!("pgvector {version} in {}", store.describe()))
        }),
        (None, _) => in_state(around, |store| store.read(|_| Ok(format!("built in; vectors are in {}", store.describe())))),
    }
}

fn graph_db(around: &Surroundings<'_>) -> Result<Option<Ask>> {
    let Some(settings) = &around.project.graph.neo4j else {
        return in_state(around, |store| store.read(|_| Ok(format!("built in; the graph is in {}", store.describe()))));
    };
    let password = settings.password.as_ref().map(around.secret).transpose()?;
    let neo4j = Neo4j::new(settings, password.as_ref())?;
    Ok(Some(Box::new(move || neo4j.ping().map(|()| format!("Neo4j at {} answers", neo4j.describe())))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: &str, ask: impl FnOnce() -> Result<String> + Send + 'static) -> Probe {
        probe(name, Ok(Some(Box::new(ask))))
    }

    /// Each waits for the other: one after the other they would never be done.
    #[test]
    fn all_are_asked_at_the_same_time() {
        let (first, second) = (mpsc::channel(), mpsc::channel());
        let (to_second, from_first) = first;
        let (to_first, from_second) = second;
        let wait = |e: mpsc::RecvError| Error::new(e);
        let one = move || {
            let _ = to_second.send(());
            from_second.recv().map_err(wait).map(|()| "one".to_owned())
        };
        let two = move || {
            let _ = to_first.send(());
            from_first.recv().map_err(wait).map(|()| "two".to_owned())
        };
        let found = ask(vec![asked("a", one), asked("b", two)], Duration::from_secs(60));
        assert!(found.iter().all(|f| f.standing == Standing::Healthy), "{found:?}");
        assert_eq!(found.iter().map(|f| f.told.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    }

    #[test]
    fn what_hangs_holds_nobody_up_and_what_is_not_there_is_told() {
        let (keep, never) = mpsc::channel::<()>();
        let hangs = move || never.recv().map(|()| String::new()).map_err(Error::new);
        let none = || Err(Error::of(Kind::NoRepository, "no state here").hint("kf init"));
        let probes = vec![
            asked("slow", hangs),
            asked("down", || Err(Error::new("refused"))),
            asked("new", none),
            probe("cache", Ok(None)),
            asked("up", || Ok("yes".to_owned())),
            probe("key", Err(Error::new("`env:KEY` is not set"))),
        ];
        let found = ask(probes, Duration::from_millis(300));
        drop(keep);
        let words: Vec<(&str, Standing)> = found.iter().map(|f| (f.name.as_str(), f.standing)).collect();
        use Standing::{Failing, Healthy, Unset};
        let want = [("slow", Failing), ("down", Failing), ("new", Unset), ("cache", Unset), ("up", Healthy), ("key", Failing)];
        assert_eq!(words, want);
        assert_eq!((found[0].told.as_str(), found[2].hint.as_deref()), ("no answer within 300ms", Some("kf init")));
    }
}
