//! A place where the traffic of a model is split between two versions: a gateway, a web server, a cluster.
//!
//! Invariants that every implementation keeps:
//! * each call may be made twice; what is done already is left as it is;
//! * a [`Target::write`] changes both shares in one step or none, and only while the target is still as [`Target::read`] showed it
//!   (its guard): who changed it meanwhile wins, and the answer is [`Fault::Conflict`];
//! * no call waits longer than its deadline, whatever the other side does;
//! * a version without ready endpoints never gets traffic, and nothing that kf writes can leave a model without any.

use crate::base::digest::Digest;
use crate::base::error::Error;
use crate::base::name::Name;
use crate::base::version::Version;
use crate::base::weight::Weight;
use serde::{Deserialize, Serialize};

/// One version of a model, as a target runs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// The version.
    pub version: Version,
    /// The digest of its manifest.
    pub digest: Digest,
}

impl Arm {
    /// A version of which nobody can tell the digest: it bears that of no bytes, which no manifest has.
    pub fn untold(version: Version) -> Self {
        Self { version, digest: Digest::of(b"") }
    }

    /// Whether its digest is known: only by that a version can be started.
    pub fn is_told(&self) -> bool {
        self.digest != Digest::of(b"")
    }
}

/// The two versions of a rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arms {
    /// The model.
    pub model: Name,
    /// What serves now; `None` when nothing does yet.
    pub stable: Option<Arm>,
    /// What is to serve.
    pub canary: Arm,
    /// True on a way back: the canary served before and is to have all of it again, and what only makes a release risky does not
    /// stop that.
    pub back: bool,
}

/// What a target knows of versions by itself, for who cannot ask the state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Those that run, or need no more than to be started again, with the digests of their manifests. That one runs says nothing of
    /// whether users ever had it: a version that was refused may run, too.
    pub arms: Vec<Arm>,
    /// What served users before another version did.
    pub before: Vec<Before>,
    /// True when nothing else can answer there as long as nobody tells of its files.
    pub all: bool,
}

/// A version that served users, and what came after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Before {
    /// What served.
    pub arm: Arm,
    /// What took its place; `None` for whatever serves now.
    pub then: Option<Version>,
}

impl Known {
    /// A version with its digest.
    pub fn arm(&self, version: Version) -> Option<&Arm> {
        self.each().find(|arm| arm.version == version)
    }

    /// Every version, some of them twice; those first whose digest is told in any case.
    pub fn each(&self) -> impl Iterator<Item = &Arm> {
        self.before.iter().map(|before| &before.arm).chain(&self.arms)
    }

    /// What served users before this version did.
    pub fn before(&self, serves: Option<Version>) -> Option<&Arm> {
        self.before.iter().find(|before| before.then.is_none() || before.then == serves).map(|before| &before.arm)
    }
}

impl Arms {
    /// What to type where a target serves another version than the one that the canary is held against, which need not be in production
    /// any more: only the registry knows, and nobody is to be taken back to an older version by following advice.
    pub fn begin_anew(&self, target: &str) -> String {
        let Self { model, stable, canary, .. } = self;
        if self.back {
            return format!("`kf rollback {model} --to {} --target {target}` goes back from what is there now", canary.version);
        }
        let anew = format!("begin anew: `kf canary start {model}@{} --target {target}`", canary.version);
        match stable {
            Some(Arm { version, .. }) => format!(
                "`kf list {model}` shows what is in production: when that is {version}, bring it there first: \
                 `kf canary start {model}@{version} --target {target}`; when it is another, {anew}"
            ),
            None => anew,
        }
    }
}

/// What a target shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The canary's part as it is set; of replicas what was asked for while they are what that comes to, otherwise the nearest.
    /// Never none, or all, while a part of the requests goes elsewhere; while it cannot be told that what is set is in force, the
    /// nearest other weight.
    pub weight: Weight,
    /// The canary's part as it really is, 0 to 1: of replicas 0.25 for one of four.
    pub share: f64,
    /// The version that the target itself names as serving the rest; `None` when it names none.
    pub stable: Option<Version>,
    /// The version that it names as the canary; `None` when it names none.
    pub canary: Option<Version>,
    /// Why the target itself takes the canary's requests away, as with a blown fuse; until the next write.
    pub taken: Option<String>,
    /// By what a later write knows that nobody else wrote meanwhile: a generation, a resource version.
    pub guard: String,
}

/// Whether a version may get traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ready {
    /// It answers at the scale that was asked for.
    Yes,
    /// Not yet; on what it waits.
    NotYet(String),
    /// It will not be by waiting; why.
    Never(String),
}

/// Which version stays when a rollout is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The canary: it is the stable one from now on, the old one is stopped.
    Canary,
    /// The stable one: the canary is stopped.
    Stable,
}

/// Why a target did not do what it was asked.
#[derive(Debug)]
pub enum Fault {
    /// It said no: no right, no such thing, a wrong configuration. Asking again will not help.
    Refused(Error),
    /// Somebody else changed it meanwhile: read again.
    Conflict(Error),
    /// Nobody knows whether it was done: a time-out, a broken connection. Read again.
    Unclear(Error),
}

impl Fault {
    /// What is told of it.
    pub fn into_error(self) -> Error {
        match self {
            Self::Refused(e) | Self::Conflict(e) | Self::Unclear(e) => e,
        }
    }
}

/// What came of asking a target.
pub type Asked<T> = Result<T, Fault>;

/// A place where traffic is split.
pub trait Target: Send + Sync {
    /// What it is, for people: `gateway at 127.0.0.1:8081`.
    fn describe(&self) -> String;

    /// Whether it can set this part at all; asks nobody. A Service of Kubernetes has no halves.
    ///
    /// # Errors
    /// [`Fault::Refused`], with what can be had.
    fn allows(&self, _weight: Weight) -> Asked<()> {
        Ok(())
    }

    /// Whether it can send copies of requests at all; asks nobody.
    ///
    /// # Errors
    /// [`Fault::Refused`], with what can.
    fn can_copy(&self) -> Asked<()> {
        Ok(())
    }

    /// Whether rights, configuration and the stable version are as a rollout needs them; changes nothing. On a way back only whether
    /// it is the right place at all: users wait for it, and each step of it says itself what is in its way.
    fn preflight(&self, arms: &Arms) -> Asked<()>;

    /// What else a release should not begin with, as an error, and what this target cannot tell of itself, for people: that what is
    /// written is in force. Not asked on a way back, which nothing of it may stop.
    fn doubt(&self, _arms: &Arms) -> Asked<Option<String>> {
        Ok(None)
    }

    /// Starts the canary, or brings it (and for replicas the stable version) to the scale that `weight` needs.
    fn scale(&self, arms: &Arms, weight: Weight) -> Asked<()>;

    /// Whether both versions can take their part of `weight`.
    fn ready(&self, arms: &Arms, weight: Weight) -> Asked<Ready>;

    /// An address where only the canary answers; `None` when the target has none.
    fn preview(&self, arms: &Arms) -> Asked<Option<String>>;

    /// What the target shows now: what answers, not what was written.
    fn read(&self, arms: &Arms) -> Asked<Seen>;

    /// Sets the canary's part, if the target still is what `guard` saw. Whether it took effect [`Self::read`] tells.
    fn write(&self, arms: &Arms, weight: Weight, guard: &str) -> Asked<()>;

    /// Sets the canary's part, whatever it was, and gives what the target shows then. What the target took away itself is only
    /// left to it while nothing is to go there.
    ///
    /// # Errors
    /// Those of [`Self::read`] and [`Self::write`]; [`Fault::Conflict`] when somebody changed it between the look and the change.
    fn shift(&self, arms: &Arms, weight: Weight) -> Asked<Seen> {
        let seen = self.read(arms)?;
        let there = seen.weight == weight && seen.taken.is_none();
        if there || (seen.taken.is_some() && weight > Weight::NONE) {
            return Ok(seen);
        }
        self.write(arms, weight, &seen.guard)?;
        self.read(arms)
    }

    /// What may yet undo a way back that has arrived, for people; asked after it, when nobody waits any more.
    fn undone_by(&self, _arms: &Arms) -> Asked<Option<String>> {
        Ok(None)
    }

    /// Sends copies of this part of the requests to the canary, whose answers nobody gets; [`Weight::NONE`] ends it.
    fn shadow(&self, arms: &Arms, part: Weight) -> Asked<()>;

    /// Whether it shows that copies of just this part of the requests go to the canary; with [`Weight::NONE`], that none do.
    fn copies(&self, arms: &Arms, part: Weight) -> Asked<bool>;

    /// What it knows of versions itself, for who cannot ask the state. As served before it names only what users had.
    fn knows(&self, _model: &Name) -> Asked<Known> {
        Ok(Known::default())
    }

    /// Ends a rollout: stops the version that is not kept, once it has no traffic left.
    fn settle(&self, arms: &Arms, keep: Keep) -> Asked<()>;
}
