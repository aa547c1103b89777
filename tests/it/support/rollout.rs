//! What stories of rollouts share: users who ask, kf by the time of the machine, the numbers of a decision.

use super::http;
use super::sandbox::{Run, Sandbox};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Users who ask while it lives.
pub(crate) struct Users {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<Asked>>,
}

/// What users got.
#[derive(Default)]
pub(crate) struct Asked {
    /// How many asked.
    pub(crate) all: u64,
    /// How many got no answer at all.
    pub(crate) lost: u64,
    /// The answers that there were.
    pub(crate) answers: BTreeSet<(u16, String)>,
}

impl Users {
    /// They ask at a port, each on a connection of its own.
    pub(crate) fn of(port: u16) -> Self {
        Self::trying(port, 1)
    }

    /// The same; who gets no answer asks again, so many times in all.
    pub(crate) fn trying(port: u16, times: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let ask = move || {
            let mut asked = Asked::default();
            while !seen.load(Ordering::Relaxed) {
                asked.all += 1;
                match (0..times).find_map(|_| http(port, ("GET", "/"), "", "").ok()) {
                    Some(answer) => asked.answers.extend([answer]),
                    None => asked.lost += 1,
                }
                std::thread::sleep(Duration::from_millis(3));
            }
            asked
        };
        Self { stop, thread: Some(std::thread::spawn(ask)) }
    }

    /// What they got.
    pub(crate) fn end(mut self) -> Asked {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("a thread").join().expect("it ends")
    }
}

impl Drop for Users {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Runs kf by the time of the machine, which whoever splits traffic goes by too.
pub(crate) fn live(s: &Sandbox, args: &[&str]) -> Run {
    s.finish(s.command(env!("CARGO_BIN_EXE_kf")).env_remove("KF_CLOCK").args(args))
}

/// What the judge found first when it took a rollout of the bot back, as `kf canary explain` tells it.
pub(crate) fn proof(s: &Sandbox) -> Value {
    let explained = s.works(["canary", "explain", "bot", "--format", "json"]);
    let explained: Value = serde_json::from_str(&explained.stdout).expect("JSON");
    let decisions = explained["decisions"].as_array().expect("decisions");
    let judged = decisions.iter().rev().find(|d| !d["judgement"].is_null()).expect("a judgement");
    let found = judged["judgement"]["findings"].as_array().expect("findings").iter().find(|f| f["standing"] == "broken");
    let found = found.expect("a limit that is broken").clone();
    assert!(found["evidence"].as_f64() >= found["needed"].as_f64() && found["n"].as_u64() > Some(0), "{found}");
    found
}

/// The version in production, as the registry says.
pub(crate) fn in_production(s: &Sandbox) -> String {
    let shown: Value = serde_json::from_str(&s.works(["show", "bot@production", "--format", "json"]).stdout).expect("JSON");
    shown["version"].as_str().expect("a version").to_owned()
}
