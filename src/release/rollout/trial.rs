//! A test of a step beside what goes on meanwhile: the lease is renewed, orders are heard, and of a canary that has traffic already
//! the windows are judged. Whatever takes it back, and every order, ends the test with all that it started.
//!
//! Invariant: after a test that lasted longer than a window no weight is raised before one was judged.

use super::control::{Controller, GLANCE, watched};
use super::tests::{self, Failed};
use super::traffic::{Did, failed};
use crate::base::error::Result;
use crate::base::time::Timestamp;
use crate::domain::rollout::machine::Event;
use crate::domain::rollout::table::{self, Rollout};
use std::time::Duration;

/// How often somebody looks around who waits for the window that follows a test.
const LOOK: Duration = Duration::from_millis(100);

/// What happens beside a test.
struct Beside<'c, 'a> {
    controller: &'c mut Controller<'a>,
    of: &'c Rollout,
    told: &'c mut Vec<String>,
    /// When the window is looked at next.
    next: Timestamp,
    /// Why nothing can go on.
    fault: Option<crate::base::error::Error>,
}

impl Beside<'_, '_> {
    /// Looks around; false when the test is to end.
    fn goes_on(&mut self) -> bool {
        self.look().unwrap_or_else(|e| {
            self.fault = Some(e);
            false
        })
    }

    fn look(&mut self) -> Result<bool> {
        if !self.controller.undisturbed(self.of) {
            return Ok(false);
        }
        self.controller.renew()?;
        let now = self.controller.parts().store.now();
        if !watched(self.of) || now < self.next {
            return Ok(true);
        }
        let of = self.controller.rollout()?;
        let wait = self.controller.watch(&of, self.told)?.unwrap_or_default().min(GLANCE);
        self.next = now.plus_micros(i64::try_from(wait.as_micros()).unwrap_or(0));
        Ok(true)
    }
}

impl Controller<'_> {
    /// Runs the tests of a step; `None` when something else came first.
    pub(super) fn test(&mut self, of: &Rollout, asked: (bool, bool), told: &mut Vec<String>) -> Result<Option<Did>> {
        // Blue-green asks for tests whether there are any; without them nobody needs an address.
        let tests = &of.setup.tests;
        let any = (asked.0 && tests.smoke.is_some()) || (asked.1 && tests.load.is_some());
        if !any {
            return Ok(Some(Did::Happened(Event::Done)));
        }
        let parts = self.parts();
        let preview = match parts.target.preview(&of.setup.arms()) {
            Ok(Some(preview)) => preview,
            Ok(None) => {
                let (target, place) = (parts.target.describe(), &of.setup.target);
                let why =
                    format!("{target} has no address where only the canary answers: set `url` in `[target.{place}]` to one");
                return Ok(Some(Did::Happened(Event::Refused(why))));
            }
            Err(fault) => return Ok(Some(failed(fault))),
        };
        let began = parts.store.now();
        let mut beside = Beside { controller: self, of, told, next: began, fault: None };
        let mut came = tests::run(&of.setup, asked, (&preview, parts.root), &mut || beside.goes_on());
        while came.is_ok() && beside.controller.is_unjudged(of, began)? {
            std::thread::sleep(LOOK);
            if !beside.goes_on() {
                came = Err(Failed::Stopped);
            }
        }
        let fault = beside.fault;
        match came {
            Ok(_) => Ok(Some(Did::Happened(Event::Done))),
            Err(Failed::No(why)) => Ok(Some(Did::Happened(Event::Refused(why)))),
            Err(Failed::Unclear(why)) => Ok(Some(Did::Happened(Event::Error(why)))),
            Err(Failed::Stopped) => fault.map_or(Ok(None), Err),
        }
    }

    /// True when a window would have been over since then, and none was judged.
    fn is_unjudged(&self, of: &Rollout, began: Timestamp) -> Result<bool> {
        let store = self.parts().store;
        let seconds = u64::try_from((store.now().micros() - began.micros()) / 1_000_000).unwrap_or(0);
        if !watched(of) || seconds < of.setup.plan.window {
            return Ok(false);
        }
        let mark = store.read(|view| table::last_mark(view, &of.uid, of.moves))?;
        Ok(mark.is_none_or(|mark| mark.judgement.is_none()))
    }
}
