//! What a target shows, where that goes back to, and moving the traffic there: without the state.

use crate::base::error::{Error, Result};
use crate::base::name::Name;
use crate::base::version::Version;
use crate::base::weight::Weight;
use crate::seams::traffic::{Arm, Arms, Asked, Fault, Keep, Known, Ready, Target};

/// What a target shows of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// What serves what the canary does not.
    pub stable: Option<Version>,
    /// What is on trial.
    pub canary: Option<Version>,
    /// The canary's part.
    pub weight: Weight,
    /// Whether the canary gets copies of requests, whose answers nobody gets.
    pub copies: bool,
    /// What the target knows of versions itself.
    pub known: Known,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Way {
    /// Nothing: this version has all of the traffic.
    There(Version),
    /// The canary gets nothing any more, all of it goes to the version that served beside it.
    Back {
        /// What was on trial.
        from: Version,
        /// What gets all of it.
        to: Version,
    },
    /// Another version gets all of it.
    Over {
        /// What served.
        from: Option<Version>,
        /// What is to.
        to: Version,
    },
}

impl Found {
    /// The version that most users get: the canary only when it has all of them.
    pub fn serves(&self) -> Option<Version> {
        if self.weight == Weight::FULL { self.canary } else { self.stable }
    }

    /// The version that going back takes users from: what is on trial with a part of them, or else what serves.
    pub fn leaves(&self) -> Option<Version> {
        self.canary.filter(|_| self.weight > Weight::NONE).or(self.serves())
    }

    /// What serves beside a version that users may get.
    fn beside(&self) -> Option<Version> {
        self.stable.filter(|_| self.canary.is_some() && !self.copies)
    }

    /// A version as the target is told of it: one that it does not know itself must be running.
    fn arm(&self, version: Version) -> Arm {
        self.known.arm(version).cloned().unwrap_or_else(|| Arm::untold(version))
    }

    /// The version that users had before the one that serves. A newer one may be what somebody went back from.
    fn before(&self, model: &Name) -> Result<Version> {
        let serves = self.serves();
        let before = self.known.before(serves).map(|arm| arm.version).filter(|before| Some(*before) != serves);
        let shows = serves.map_or_else(|| "nothing".to_owned(), |v| format!("{model}@{v}"));
        let why = match before {
            Some(before) if serves.is_none_or(|serves| before < serves) => return Ok(before),
            Some(newer) => format!("the target shows {shows}, and {newer} before it, which may be what was gone back from"),
            None => format!("the target shows {shows}, and tells of no version of {model} that users had before"),
        };
        Err(Error::new(why).hint(format!("name it: {}", self.commands(model))))
    }

    /// Whether a version could have all of the traffic at all.
    fn can_be(&self, model: &Name, version: Version) -> Result<()> {
        let shown = [self.stable, self.canary].contains(&Some(version));
        if shown || !self.known.all || self.known.arm(version).is_some() {
            return Ok(());
        }
        Err(Error::new(format!("the target has no {model}@{version}, and only the state could tell it of another version"))
            .hint(format!("name one that it has: {}", self.commands(model))))
    }

    fn arms(&self, model: &Name, stable: Option<Version>, canary: Version) -> Arms {
        let stable = stable.filter(|stable| *stable != canary).map(|stable| self.arm(stable));
        Arms { model: model.clone(), stable, canary: self.arm(canary), back: false }
    }

    /// The commands with which a person goes to one of the versions that are shown; with none of them, what such a command is like.
    fn commands(&self, model: &Name) -> String {
        let mut shown: Vec<Version> = self.known.each().map(|arm| arm.version).chain(self.stable).chain(self.canary).collect();
        shown.sort_unstable();
        shown.dedup();
        let serves = self.serves();
        let all: Vec<String> = shown
            .into_iter()
            .filter(|version| Some(*version) != serves)
            .map(|version| format!("`kf rollback {model} --emergency --to {version}`"))
            .collect();
        match all.is_empty() {
            true => format!("`kf rollback {model} --emergency --to VERSION`, with a version that runs there"),
            false => all.join(" or "),
        }
    }
}

/// Asks a target what it shows.
///
/// # Errors
/// When it does not answer.
pub fn look(target: &dyn Target, model: &Name) -> Result<Found> {
    let known = target.knows(model).map_err(Fault::into_error)?;
    // Of both versions nothing is known: a target names them itself.
    let mut found = Found { stable: None, canary: None, weight: Weight::NONE, copies: false, known };
    let seen = target.read(&found.arms(model, None, Version::new(0, 0, 0))).map_err(Fault::into_error)?;
    (found.stable, found.canary) = (seen.stable, seen.canary);
    if let Some(canary) = seen.canary {
        found.weight = target.read(&found.arms(model, found.stable, canary)).map_err(Fault::into_error)?.weight;
    }
    Ok(found)
}

/// The same, and whether what is on trial gets copies.
///
/// # Errors
/// When it does not answer.
pub fn look_closely(target: &dyn Target, model: &Name) -> Result<Found> {
    let mut found = look(target, model)?;
    if let Some(canary) = found.canary.filter(|_| found.weight == Weight::NONE && target.can_copy().is_ok()) {
        found.copies = !target.copies(&found.arms(model, found.stable, canary), Weight::NONE).map_err(Fault::into_error)?;
    }
    Ok(found)
}

/// Where it goes back to: the version that is asked for; else the one beside the canary, whatever that still has; else the one of which
/// the target says that users had it before. That a version runs there is no reason: it may be one that was refused.
///
/// # Errors
/// When there is none, or it is the one on trial; when what is on trial is the older of the two, which may be a way back or a new
/// version of an older line.
pub fn way(found: &Found, model: &Name, to: Option<Version>) -> Result<Way> {
    let serves = found.serves();
    let beside = found.beside();
    if let (None, Some(stable), Some(canary)) = (to, beside, found.canary)
        && canary < stable
    {
        let what = format!("the target shows {model}@{canary} beside {model}@{stable}: only who began that knows where back is");
        let to = |version| format!("`kf rollback {model} --emergency --to {version}`");
        return Err(Error::new(what).hint(format!(
            "name the one that is to have all of the traffic: {} or {}",
            to(canary),
            to(stable)
        )));
    }
    let to = match to.or(beside) {
        Some(to) => to,
        None => found.before(model)?,
    };
    found.can_be(model, to)?;
    let on_trial = found.canary.filter(|_| found.weight > Weight::NONE || found.copies);
    match (on_trial, found.stable) {
        (Some(canary), Some(stable)) if canary == to && found.weight < Weight::FULL && stable < canary => {
            Err(Error::new(format!("{model}@{to} is the version on trial, with {} of the traffic", found.weight))
                .hint(format!("`kf rollback {model} --emergency --to {stable}` gives all of it to {model}@{stable}")))
        }
        (Some(from), Some(stable)) if stable == to => Ok(Way::Back { from, to }),
        _ if serves == Some(to) => Ok(Way::There(to)),
        _ => Ok(Way::Over { from: serves, to }),
    }
}

/// Moves the traffic; `rest` waits a moment and tells whether to try on. Doing it twice does no harm.
///
/// # Errors
/// When the target says no, or does not do it in time.
pub fn go(target: &dyn Target, model: &Name, (found, way): (&Found, &Way), rest: &mut dyn FnMut() -> bool) -> Result<()> {
    let shadow = found.canary.filter(|_| found.copies);
    if let Some(shadow) = shadow {
        let arms = found.arms(model, found.stable, shadow);
        again(rest, || target.shadow(&arms, Weight::NONE).map(Ok))?;
    }
    match *way {
        Way::There(_) => Ok(()),
        Way::Back { from, .. } => {
            let arms = found.arms(model, found.stable, from);
            set(target, &arms, Weight::NONE, rest)?;
            // Users are served by now; what is left running is stopped by the next rollout, if not now.
            let _ = target.settle(&arms, Keep::Stable);
            Ok(())
        }
        Way::Over { from, to } => {
            let arms = Arms { back: true, ..found.arms(model, from, to) };
            if found.known.arm(to).is_some() {
                again(rest, || target.scale(&arms, Weight::FULL).map(Ok))?;
            }
            again(rest, || match target.ready(&arms, Weight::FULL)? {
                Ready::Yes => Ok(Ok(())),
                Ready::NotYet(why) => Ok(Err(why)),
                Ready::Never(why) => Err(Fault::Refused(Error::new(why))),
            })?;
            set(target, &arms, Weight::FULL, rest)?;
            let _ = target.settle(&arms, Keep::Canary);
            if let Some(shadow) = shadow.filter(|shadow| *shadow != to) {
                let _ = target.settle(&found.arms(model, Some(to), shadow), Keep::Stable);
            }
            Ok(())
        }
    }
}

/// Sets a weight, until the target shows it.
fn set(target: &dyn Target, arms: &Arms, weight: Weight, rest: &mut dyn FnMut() -> bool) -> Result<()> {
    again(rest, || {
        let seen = target.shift(arms, weight)?;
        if seen.weight == weight && seen.taken.is_none() {
            return Ok(Ok(()));
        }
        let (model, canary) = (&arms.model, arms.canary.version);
        Ok(Err(format!("{} shows {} for {model}@{canary}, not {weight}", target.describe(), seen.weight)))
    })
}

/// Tries until something comes of it, the target says no, or there is no more time; then why nothing did is the error.
fn again<T>(rest: &mut dyn FnMut() -> bool, mut attempt: impl FnMut() -> Asked<std::result::Result<T, String>>) -> Result<T> {
    loop {
        let why = match attempt() {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(why)) => Error::new(format!("it waits for the target: {why}"))
                .hint("ask again when that is mended, for longer with `--max-wait`, or name another version with `--to`"),
            Err(Fault::Refused(e)) => return Err(e),
            Err(fault) => fault.into_error(),
        };
        if !rest() {
            return Err(why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Digest;
    use crate::seams::traffic::Before;

    fn v(minor: u32) -> Version {
        Version::new(1, minor, 0)
    }

    fn arm(minor: u32) -> Arm {
        Arm { version: v(minor), digest: Digest::of(&minor.to_be_bytes()) }
    }

    /// A target that shows this, with these versions running, of which users had one before.
    fn found(shows: (Option<u32>, Option<u32>, f64), run: &[u32], before: Option<u32>) -> Found {
        let (stable, canary, percent) = shows;
        Found {
            stable: stable.map(v),
            canary: canary.map(v),
            weight: Weight::from_percent(percent).expect("a weight"),
            copies: false,
            known: Known {
                arms: run.iter().map(|minor| arm(*minor)).collect(),
                before: before.into_iter().map(|minor| Before { arm: arm(minor), then: None }).collect(),
                all: false,
            },
        }
    }

    fn way_of(found: &Found, to: Option<u32>) -> Result<Way> {
        way(found, &"bot".parse().expect("a name"), to.map(v))
    }

    #[test]
    fn a_canary_goes_back_to_what_serves_beside_it() {
        for percent in [0.01, 30.0, 100.0] {
            let back = way_of(&found((Some(1), Some(2), percent), &[1, 2], Some(0)), None).expect("a way");
            assert_eq!(back, Way::Back { from: v(2), to: v(1) });
        }
        let over = way_of(&found((Some(1), Some(2), 30.0), &[1, 2], Some(0)), Some(0)).expect("a way");
        assert_eq!(over, Way::Over { from: Some(v(1)), to: v(0) });
        assert!(way_of(&found((Some(1), Some(2), 30.0), &[1, 2], None), Some(2)).is_err(), "a trial is no way back");
    }

    /// A way back that is under way looks like a new version of an older line.
    #[test]
    fn what_is_on_trial_below_what_serves_is_left_to_a_person() {
        for percent in [0.0, 40.0, 100.0] {
            let seen = found((Some(2), Some(1), percent), &[1, 2], None);
            let e = way_of(&seen, None).expect_err("nobody knows");
            let hints = e.hints().concat();
            assert!(hints.contains("--emergency --to 1.1.0` or `kf rollback bot --emergency --to 1.2.0`"), "{hints}");
            let (old, new) = (way_of(&seen, Some(1)).expect("a way"), way_of(&seen, Some(2)).expect("a way"));
            let (down, up) = (Way::Over { from: Some(v(2)), to: v(1) }, Way::Back { from: v(1), to: v(2) });
            let wanted = match percent {
                100.0 => (Way::There(v(1)), up),
                0.0 => (down, Way::There(v(2))),
                _ => (down, up),
            };
            assert_eq!((old, new), wanted, "{percent}");
        }
    }

    #[test]
    fn who_has_to_name_a_version_is_told_the_command() {
        let told = |found: &Found| way_of(found, None).expect_err("nothing below").hints().concat();
        let seen = told(&found((Some(2), None, 0.0), &[2, 4], Some(3)));
        assert_eq!(seen, "name it: `kf rollback bot --emergency --to 1.3.0` or `kf rollback bot --emergency --to 1.4.0`");
        let none = told(&found((Some(2), None, 0.0), &[2], None));
        assert_eq!(none, "name it: `kf rollback bot --emergency --to VERSION`, with a version that runs there");
    }

    /// Of 0 users are said to have had it; 1 and 3 only run.
    #[test]
    fn without_a_canary_it_goes_to_what_users_had_before_and_never_up() {
        let alone = (Some(2), None, 0.0);
        let before = way_of(&found(alone, &[1, 2, 3], Some(0)), None).expect("a way");
        assert_eq!(before, Way::Over { from: Some(v(2)), to: v(0) });
        let up = way_of(&found(alone, &[2], Some(3)), None).expect_err("3 was taken back from");
        assert!(up.to_string().contains("bot@1.2.0, and 1.3.0 before it"), "{up}");
        let taken = way_of(&found((Some(2), Some(3), 0.0), &[2, 3], Some(1)), None).expect("a way");
        assert_eq!(taken, Way::There(v(2)), "what a fuse took is no reason to go back further");
        let named = way_of(&found(alone, &[], None), Some(1)).expect("a way");
        assert_eq!(named, Way::Over { from: Some(v(2)), to: v(1) });
        assert_eq!(way_of(&found(alone, &[], None), Some(2)).expect("a way"), Way::There(v(2)));
        assert_eq!(way_of(&found((Some(1), Some(2), 100.0), &[], None), Some(2)).expect("a way"), Way::There(v(2)));
        assert_eq!(way_of(&found((Some(1), Some(2), 0.0), &[], None), Some(1)).expect("a way"), Way::There(v(1)));
    }

    /// It may have been refused before anybody had it.
    #[test]
    fn a_version_that_merely_runs_is_no_way_back_by_itself() {
        for run in [&[][..], &[1], &[1, 2, 3]] {
            let e = way_of(&found((Some(2), None, 0.0), run, None), None).expect_err("nobody had them");
            assert!(e.to_string().contains("no version of bot that users had before"), "{e}");
            let hints = e.hints().concat();
            assert!(!run.contains(&1) || hints.contains("`kf rollback bot --emergency --to 1.1.0`"), "{hints}");
        }
        // What one Deployment replaced says nothing of the version on the other.
        let mut seen = found((Some(2), None, 0.0), &[2, 3], None);
        let then = |minor: u32, then: u32| Before { arm: arm(minor), then: Some(v(then)) };
        seen.known.before = vec![then(1, 3), then(0, 2)];
        assert_eq!(way_of(&seen, None).expect("a way"), Way::Over { from: Some(v(2)), to: v(0) });
        seen.known.before = vec![then(1, 3)];
        assert!(way_of(&seen, None).is_err());
    }

    #[test]
    fn a_target_that_knows_all_it_can_have_answer_refuses_the_rest_at_once() {
        let mut seen = found((Some(2), None, 0.0), &[1, 2], Some(0));
        assert!(way_of(&seen, Some(9)).is_ok(), "it may run there");
        seen.known.all = true;
        let e = way_of(&seen, Some(9)).expect_err("there is none");
        assert!(e.to_string().contains("has no bot@1.9.0"), "{e}");
        assert!(e.hints().concat().contains("--to 1.0.0` or `kf rollback bot --emergency --to 1.1.0`"), "{:?}", e.hints());
        for minor in [0, 1, 2] {
            assert!(way_of(&seen, Some(minor)).is_ok(), "{minor}");
        }
    }

    /// Nobody has the answers to copies: whoever wants to go back wants it of what serves.
    #[test]
    fn a_shadow_is_left_out_and_its_copies_end() {
        let mut seen = found((Some(1), Some(2), 0.0), &[1, 2], Some(0));
        seen.copies = true;
        assert_eq!(way_of(&seen, None).expect("a way"), Way::Over { from: Some(v(1)), to: v(0) });
        assert_eq!(way_of(&seen, Some(1)).expect("a way"), Way::Back { from: v(2), to: v(1) });
        assert!(way_of(&seen, Some(2)).is_err(), "nobody has had it");
        seen.known.before.clear();
        assert!(way_of(&seen, None).is_err(), "nothing is known that users had");
    }
}
