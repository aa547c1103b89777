//! What the tasks of a gateway ask of the thread that has the state and the screen, neither of which they may use.
//!
//! That thread answers one after another, and may be busy fetching the files of a version: whoever cannot wait says for how long.

use super::run::Event;
use crate::base::error::{Context, Error, Result};
use crate::base::name::Name;
use crate::domain::flag::Flag;
use crate::release::health::Probe;
use crate::seams::traffic::Arm;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// What is said to it.
pub(super) enum Said {
    /// Something to tell people.
    Event(Event),
    /// The files of a version are wanted.
    Files(Arm, Sender<Result<PathBuf>>),
    /// The flags of a tenant are.
    Flags(Name, Sender<Result<Vec<Flag>>>),
    /// What can be asked whether it answers is.
    Probes(Sender<Vec<Probe>>),
    /// The gateway has ended.
    Over(Result<()>),
}

/// Asks it.
#[derive(Clone)]
pub(super) struct Asking(Sender<Said>);

impl Asking {
    pub(super) fn new(say: Sender<Said>) -> Self {
        Self(say)
    }

    /// The folder with the files of a version, however long it takes to fetch them.
    ///
    /// # Errors
    /// When they cannot be had.
    pub(super) fn files(&self, arm: &Arm) -> Result<PathBuf> {
        self.answered(|answer| Said::Files(arm.clone(), answer), None)?
    }

    /// The flags of a tenant.
    ///
    /// # Errors
    /// When the state cannot be read within this time.
    pub(super) fn flags(&self, tenant: &Name, wait: Duration) -> Result<Vec<Flag>> {
        self.answered(|answer| Said::Flags(tenant.clone(), answer), Some(wait))?
    }

    /// What can be asked whether it answers.
    ///
    /// # Errors
    /// When nobody says so within this time.
    pub(super) fn probes(&self, wait: Duration) -> Result<Vec<Probe>> {
        self.answered(Said::Probes, Some(wait))
    }

    fn answered<T>(&self, ask: impl FnOnce(Sender<T>) -> Said, wait: Option<Duration>) -> Result<T> {
        let (answer, answered) = channel();
        self.0.send(ask(answer)).map_err(|_| Error::new("the gateway is ending"))?;
        match wait {
            None => answered.recv().context(|| "the gateway is ending"),
            Some(wait) => {
                answered.recv_timeout(wait).context(|| "the gateway is busy fetching the files of a version, or is ending")
            }
        }
    }
}
