//! Judging anew what was compared with documents that have changed since, until nothing is left to judge.
//!
//! A document is judged by those whose sources come before its own. Judging one again can make only later ones stale, so the
//! first stale source grows with each pass and the work comes to an end; where it ends is a function of the files alone. A run
//! that is killed before leaves the marks behind, and the next one goes on.
//!
//! Files that this run did not meet are read where they are, each with what was noted of it. What cannot be read stays as it
//! is and stays marked.

use super::run::{Job, Noted, Round, pipeline};
use super::told::{Step, Tally, Told};
use super::walk::{Met, again};
use crate::base::error::Result;
use crate::domain::ingest::table::{self, Known, Scope};
use crate::store::View;
use std::collections::{BTreeMap, HashMap};

/// What was noted of documents, and those that share it.
type Groups = BTreeMap<BTreeMap<String, String>, Vec<Met>>;

/// Judges stale documents until none is left that can be judged. `files` are those that were met, by source.
pub(super) fn settle(
    round: &Round<'_>,
    files: &[Met],
    tally: &mut Tally,
    noted: &mut Vec<Noted>,
    step: &mut dyn FnMut(Step<'_>),
) -> Result<()> {
    let job = round.job;
    let mut tell = |mut told: Told| {
        tally.count(&mut told);
        step(Step::Again(&told));
    };
    let mut before = Vec::new();
    while !job.store.is_dry_run() {
        let known = job.store.read(|view| table::stale(view, round.scope))?;
        let mut stale: Vec<&String> = known.keys().collect();
        stale.sort_unstable();
        // What is left could not be read.
        if stale.iter().copied().eq(&before) {
            break;
        }
        let groups = job.store.read(|view| groups(view, round, files, &stale, &known))?;
        for (meta, files) in &groups {
            let job = &Job { meta, ..*job };
            let round = Round { job, pipeline: pipeline(job)?, ..*round };
            round.run(files, &known, (None, false), noted, &mut tell)?;
        }
        before = stale.into_iter().cloned().collect();
    }
    Ok(())
}

/// The files of stale documents, by what is noted of them: of those that were met what this run says, else what is kept.
fn groups(view: View<'_>, round: &Round<'_>, files: &[Met], stale: &[&String], known: &HashMap<String, Known>) -> Result<Groups> {
    let mut groups = Groups::new();
    for source in stale {
        let (meta, met) = match files.binary_search_by(|met| met.source.cmp(source)) {
            Ok(at) => (round.job.meta.clone(), files.get(at).cloned()),
            Err(_) => (noted_of(view, round.scope, known.get(*source))?, elsewhere(round.job, source)?),
        };
        if let Some(met) = met {
            groups.entry(meta).or_default().push(met);
        }
    }
    Ok(groups)
}

fn noted_of(view: View<'_>, scope: &Scope, known: Option<&Known>) -> Result<BTreeMap<String, String>> {
    known.map_or(Ok(BTreeMap::new()), |known| scope.meta(view, known.id))
}

/// The file of a document that this run did not meet, when it is still one.
fn elsewhere(job: &Job<'_>, source: &String) -> Result<Option<Met>> {
    let met = again(job.root, std::slice::from_ref(source))?.files;
    Ok(met.into_iter().find(|met| met.source == *source && met.found.is_ok()))
}
