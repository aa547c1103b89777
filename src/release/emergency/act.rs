//! What a target shows, where that goes back to, and moving the traffic there: without the state.

use crate::base::error::{Error, Result};
use crate::base::name::Name;
use crate::base::version::Version;
use crate::base::weight::Weight;
use crate::seams::traffic::{Arm, Arms, Asked, Fault, Keep, Ready, Target};

/// What a target shows of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// What serves what the canary does not.
    pub stable: Option<Version>,
    /// What is on trial.
    pub canary: Option<Version>,
    /// The canary's part.
    pub weight: Weight,
    /// The versions that it knows with their digests.
    pub known: Vec<Arm>,
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

    /// A version as the target is told of it: one that it does not know itself must be running.
    fn arm(&self, version: Version) -> Arm {
        self.known(version).cloned().unwrap_or_else(|| Arm::untold(version))
    }

    fn known(&self, version: Version) -> Option<&Arm> {
        self.known.iter().find(|arm| arm.version == version)
    }

    fn arms(&self, model: &Name, stable: Option<Version>, canary: Version) -> Arms {
        let stable = stable.filter(|stable| *stable != canary).map(|stable| self.arm(stable));
        Arms { model: model.clone(), stable, canary: self.arm(canary), back: false }
    }

    /// The commands with which a person goes to one of the versions that are shown; with none of them, what such a command is like.
    fn commands(&self, model: &Name) -> String {
        let mut shown: Vec<Version> = self.known.iter().map(|arm| arm.version).chain(self.stable).chain(self.canary).collect();
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
    let mut found = Found { stable: None, canary: None, weight: Weight::NONE, known };
    let seen = target.read(&found.arms(model, None, Version::new(0, 0, 0))).map_err(Fault::into_error)?;
    (found.stable, found.canary) = (seen.stable, seen.canary);
    if let Some(canary) = seen.canary {
        found.weight = target.read(&found.arms(model, found.stable, canary)).map_err(Fault::into_error)?.weight;
    }
    Ok(found)
}

/// Where it goes back to: the version that is asked for; else the one beside the canary, whatever that still has; else the highest that the target knows below
/// the one that serves, since what is above it was taken back from.
///
/// # Errors
/// When there is none, or it is the one on trial; when what is on trial is the older of the two, which may be a way back or a new
/// version of an older line.
pub fn way(found: &Found, model: &Name, to: Option<Version>) -> Result<Way> {
    let serves = found.serves();
    let beside = found.stable.filter(|_| found.canary.is_some());
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
    let below = || found.known.iter().map(|arm| arm.version).filter(|v| serves.is_none_or(|serves| *v < serves)).max();
    let Some(to) = to.or(beside).or_else(below) else {
        let serves = serves.map_or_else(|| "nothing".to_owned(), |v| format!("{model}@{v}"));
        return Err(Error::new(format!("the target shows {serves}, and no version of {model} that served before"))
            .hint(format!("name it: {}", found.commands(model))));
    };
    let on_trial = found.canary.filter(|_| found.weight > Weight::NONE);
    match on_trial {
        Some(canary) if canary == to && found.weight < Weight::FULL && beside.is_some_and(|stable| stable < canary) => {
            Err(Error::new(format!("{model}@{to} is the version on trial, with {} of the traffic", found.weight)).hint(format!(
                "`kf rollback {model} --emergency` gives all of it to {model}@{}",
                beside.map(|v| v.to_string()).unwrap_or_default()
            )))
        }
        Some(from) if found.stable == Some(to) => Ok(Way::Back { from, to }),
        _ if serves == Some(to) => Ok(Way::There(to)),
        _ => Ok(Way::Over { from: serves, to }),
    }
}

/// Moves the traffic; `rest` waits a moment and tells whether to try on. Doing it twice does no harm.
///
/// # Errors
/// When the target says no, or does not do it in time.
pub fn go(target: &dyn Target, model: &Name, (found, way): (&Found, &Way), rest: &mut dyn FnMut() -> bool) -> Result<()> {
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
            if found.known(to).is_some() {
                again(rest, || target.scale(&arms, Weight::FULL).map(Ok))?;
            }
            again(rest, || match target.ready(&arms, Weight::FULL)? {
                Ready::Yes => Ok(Ok(())),
                Ready::NotYet(why) => Ok(Err(why)),
                Ready::Never(why) => Err(Fault::Refused(Error::new(why))),
            })?;
            set(target, &arms, Weight::FULL, rest)?;
            let _ = target.settle(&arms, Keep::Canary);
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

    fn v(minor: u32) -> Version {
        Version::new(1, minor, 0)
    }

    fn found(stable: Option<u32>, canary: Option<u32>, percent: f64, known: &[u32]) -> Found {
        let arm = |minor: &u32| Arm { version: v(*minor), digest: Digest::of(&minor.to_be_bytes()) };
        Found {
            stable: stable.map(v),
            canary: canary.map(v),
            weight: Weight::from_percent(percent).expect("a weight"),
            known: known.iter().map(arm).collect(),
        }
    }

    fn way_of(found: &Found, to: Option<u32>) -> Result<Way> {
        way(found, &"bot".parse().expect("a name"), to.map(v))
    }

    #[test]
    fn a_canary_goes_back_to_what_serves_beside_it() {
        for percent in [0.01, 30.0, 100.0] {
            let back = way_of(&found(Some(1), Some(2), percent, &[0, 1, 2]), None).expect("a way");
            assert_eq!(back, Way::Back { from: v(2), to: v(1) });
        }
        let over = way_of(&found(Some(1), Some(2), 30.0, &[0, 1, 2]), Some(0)).expect("a way");
        assert_eq!(over, Way::Over { from: Some(v(1)), to: v(0) });
        assert!(way_of(&found(Some(1), Some(2), 30.0, &[1, 2]), Some(2)).is_err(), "a trial is no way back");
    }

    /// A way back that is under way looks like a new version of an older line.
    #[test]
    fn what_is_on_trial_below_what_serves_is_left_to_a_person() {
        for percent in [0.0, 40.0, 100.0] {
            let seen = found(Some(2), Some(1), percent, &[1, 2]);
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
        let seen = told(&found(Some(2), None, 0.0, &[2, 4, 3]));
        assert_eq!(seen, "name it: `kf rollback bot --emergency --to 1.3.0` or `kf rollback bot --emergency --to 1.4.0`");
        let none = told(&found(Some(2), None, 0.0, &[2]));
        assert_eq!(none, "name it: `kf rollback bot --emergency --to VERSION`, with a version that runs there");
    }

    #[test]
    fn without_a_canary_it_goes_to_what_served_before_and_never_up() {
        let before = way_of(&found(Some(2), None, 0.0, &[0, 1, 2, 3]), None).expect("a way");
        assert_eq!(before, Way::Over { from: Some(v(2)), to: v(1) });
        assert!(way_of(&found(Some(2), None, 0.0, &[2, 3]), None).is_err(), "3 was taken back from");
        let taken = way_of(&found(Some(2), Some(3), 0.0, &[1, 2, 3]), None).expect("a way");
        assert_eq!(taken, Way::There(v(2)), "what a fuse took is no reason to go back further");
        assert!(way_of(&found(Some(2), None, 0.0, &[]), None).is_err());
        let named = way_of(&found(Some(2), None, 0.0, &[]), Some(1)).expect("a way");
        assert_eq!(named, Way::Over { from: Some(v(2)), to: v(1) });
        assert_eq!(way_of(&found(Some(2), None, 0.0, &[]), Some(2)).expect("a way"), Way::There(v(2)));
        assert_eq!(way_of(&found(Some(1), Some(2), 100.0, &[]), Some(2)).expect("a way"), Way::There(v(2)));
        assert_eq!(way_of(&found(Some(1), Some(2), 0.0, &[]), Some(1)).expect("a way"), Way::There(v(1)));
    }
}
