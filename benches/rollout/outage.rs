//! What an outage of both versions makes of the verdict on one: it says nothing of the canary, before it, in it and after it.

use crate::rules::policy;
use crate::traffic::Traffic;
use kf::domain::rollout::judge::{Decision, judge_on};
use kf::domain::rollout::policy::Mode;
use kf::stats::rng::Rng;

/// Where in the hour it begins.
const BEGINS: u64 = 30;

/// Both versions fail for a while.
pub(crate) struct Outage {
    /// The traffic before and after it; a bad canary is bad from `bad_from` on.
    pub(crate) traffic: Traffic,
    /// The part of the requests that both fail meanwhile.
    pub(crate) fails: f64,
    /// For how many windows.
    pub(crate) lasts: u64,
    /// The window in which the canary becomes what `traffic` says; before it fails as the stable version.
    pub(crate) bad_from: u64,
}

/// What the judge said.
pub(crate) struct Said {
    /// The window, from 1, in which it took the canary back.
    pub(crate) back: Option<usize>,
    /// True when it found the canary ready at the end.
    pub(crate) ready: bool,
}

impl Outage {
    /// Judged after each of `windows` windows.
    pub(crate) fn run(&self, seed: u64, windows: u64, share: f64) -> Said {
        let (mut rng, policy) = (Rng::new(seed), policy(Mode::Evidence));
        let outage = Traffic { stable: self.fails, canary: self.fails, ..self.traffic };
        let calm = Traffic { canary: self.traffic.stable, ..self.traffic };
        let (mut seen, mut ready) = (Vec::new(), false);
        for id in 0..windows {
            let traffic = match id {
                _ if (BEGINS..BEGINS + self.lasts).contains(&id) => &outage,
                _ if id < self.bad_from => &calm,
                _ => &self.traffic,
            };
            seen.push(traffic.window(&mut rng, id, 60.0, share));
            let decision = judge_on(&policy, &seen).decision;
            if decision == Decision::RollBack {
                return Said { back: Some(seen.len()), ready: false };
            }
            ready = decision == Decision::Ready;
        }
        Said { back: None, ready }
    }
}
