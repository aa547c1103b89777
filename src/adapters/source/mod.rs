//! Who counts what two versions of a model did: a Prometheus server, a program, a file. (What splits traffic may count too: that
//! is its target's; recorded evaluations are read in `release`.)

mod command;
mod file;
mod prometheus;
mod since;
mod tally;

use crate::adapters::prometheus::Prometheus;
use crate::base::error::Result;
use crate::base::random::Random;
use crate::config::{Counter, Secret, SecretRef};
use crate::seams::metrics::MetricSource;
use std::collections::BTreeMap;
use std::path::Path;

/// The lowest and the highest cost that counts, in the unit of the cost, by metric ([`crate::domain::rollout::measure::ranges`]).
pub type Ranges = BTreeMap<String, (f64, f64)>;

/// What a source needs besides its settings.
pub struct Surroundings<'a> {
    /// The folder that paths begin in and programs run in.
    pub dir: &'a Path,
    /// Fetches a secret.
    pub secret: &'a dyn Fn(&SecretRef) -> Result<Secret>,
    /// Spreads the waits between attempts.
    pub random: Random,
    /// Where costs are cut off; empty before a rollout has begun, when no typical cost is known.
    pub ranges: Ranges,
}

/// The source that a rollout names; `None` when it is the target.
///
/// # Errors
/// When an address or a command cannot be used, or a secret cannot be fetched.
pub fn open(counter: &Counter, around: Surroundings<'_>) -> Result<Option<Box<dyn MetricSource>>> {
    Ok(match counter {
        Counter::Target => None,
        Counter::Prometheus(queries) => {
            let token = queries.server.token.as_ref().map(around.secret).transpose()?;
            let server = Prometheus::new(&queries.server, token, around.random)?;
            Some(Box::new(prometheus::Source::new(server, queries.clone())))
        }
        Counter::Command { argv, timeout } => Some(Box::new(command::Source::new(argv, around.dir, *timeout, around.ranges)?)),
        Counter::File(path) => Some(Box::new(file::Source::new(around.dir.join(path), around.ranges))),
    })
}
