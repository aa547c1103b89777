//! `kf ab record`: results in.

use crate::base::error::{Context, Error, Result};
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::text::{count, group};
use crate::cli::cx::Cx;
use crate::cli::out::sentences;
use crate::cli::report::{Block, Report};
use crate::domain::ab::feed::{self, Problems, Records};
use crate::domain::ab::record::{self, EVALUATIONS, GATEWAY, Recorded, Source, Value};
use crate::domain::ab::{Setup, table};
use crate::release::ab::{Fed, from_counts, from_evaluations};
use crate::release::rollout::start::place;
use crate::stats::describe::Moments;
use crate::store::{Mode, Store, View};
use serde::Serialize;
use std::io::Read as _;
use std::path::Path;

/// Record results of a test: from a file, from recorded evaluations, from a gateway
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf ab record greeting --from results.csv\n  kf ab record greeting --from - < results.jsonl\n  kf ab record prompts --from evaluations\n  kf ab record speed --from gateway          now and then, from cron\n\nA line of a file is {\"unit\": \"user-17\", \"variant\": \"treatment\", \"solved\": 1, \"latency-ms\": 812}, or a row of CSV with these columns.\n`variant` may be left out where `kf ab assign` decided; `id` is needed where a unit has several lines. What was recorded counts once."
)]
pub(crate) struct Args {
    /// The test
    name: Name,
    /// A file of CSV or JSON lines, `-` for standard input, `evaluations`, or `gateway`
    #[arg(long, value_name = "FEED")]
    from: String,
    /// The target whose gateway counts, where the model has several
    #[arg(long, value_name = "NAME")]
    target: Option<Name>,
}

#[derive(Serialize)]
struct Done {
    test: Name,
    from: String,
    #[serde(flatten)]
    recorded: Recorded,
    /// Fields of the feed that are nothing of the test.
    unused: Vec<String>,
    /// Metrics that only one of the two versions has scores of, with what to do.
    lacking: Vec<String>,
}

impl Report for Done {
    const SCHEMA: &'static str = "kf.ab-record/1";

    fn blocks(&self) -> Vec<Block> {
        let unused = (!self.unused.is_empty()).then(|| format!("not used: {}", self.unused.join(", ")));
        sentences(std::iter::once(self.summary()).chain(unused))
    }

    fn summary(&self) -> String {
        let r = &self.recorded;
        let n = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let mut said = vec![format!("{}: recorded {}", self.test, count(n(r.new), "value"))];
        let parts = [(r.known, "there already"), (r.differing, "there with another number, which stays")];
        said.extend(parts.iter().filter(|(k, _)| *k > 0).map(|(k, what)| format!("{} {what}", group(n(*k)))));
        said.join(", ")
    }
}

pub(super) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let store = cx.store(Mode::Write)?;
    let setup = store.read(|view| table::get(view, &args.name))?.setup;
    let mut lines = Lines::default();
    let fed = match args.from.as_str() {
        EVALUATIONS => store.read(|view| from_evaluations(view, &setup))?,
        GATEWAY => from_gateway(cx, &store, &setup, args.target.as_ref())?,
        file => {
            lines = Lines::of(cx, &setup, file)?;
            Fed { values: lines.values(&setup), ..Fed::default() }
        }
    };
    let source = Source { name: &args.from, cursor: fed.cursor.as_deref() };
    let recorded = store.write(|tx| {
        lines.check(tx.view(), &setup)?;
        record::batch(tx, &args.name, source, &fed.values)
    })?;
    fed.lacking.iter().for_each(|lacking| cx.out.warn(&format!("warning: {lacking}")));
    let unused = lines.read.unused.into_iter().collect();
    cx.out.emit(&Done { test: args.name.clone(), from: args.from.clone(), recorded, unused, lacking: fed.lacking })
}

fn from_gateway(cx: &Cx, store: &Store, setup: &Setup, target: Option<&Name>) -> Result<Fed> {
    let place = place(&cx.project()?.project, &setup.control.model, target.map(Name::as_str))?;
    let source = cx.counter(place)?;
    let cursor = store.read(|view| table::cursor(view, &setup.name, GATEWAY))?;
    from_counts(setup, source.as_ref(), store.now(), cursor.as_deref())
}

/// The lines of a file.
#[derive(Default)]
struct Lines {
    file: String,
    read: Records,
}

impl Lines {
    fn of(cx: &Cx, setup: &Setup, from: &str) -> Result<Self> {
        let mut bytes = Vec::new();
        let file = if from == "-" { "standard input" } else { from }.to_owned();
        let cannot = || format!("cannot read {file}");
        if from == "-" {
            std::io::stdin().lock().read_to_end(&mut bytes).context(cannot)?;
        } else {
            bytes = std::fs::read(cx.cwd.join(Path::new(from))).context(cannot)?;
        }
        let read = feed::read(setup, &bytes).map_err(|problems| refused(&file, &problems))?;
        Ok(Self { file, read })
    }

    /// Refuses units that got another version before.
    fn check(&self, view: View<'_>, setup: &Setup) -> Result<()> {
        let units: Vec<_> = self.read.records.iter().map(|r| (r.unit.as_str(), r.variant)).collect();
        let mut problems = Problems::default();
        for (record, had) in self.read.records.iter().zip(record::elsewhere(view, setup, &units)?) {
            if let Some(had) = had {
                problems.add(record.line, 1, format!("this unit was recorded with {had}, and has {} here", record.variant));
            }
        }
        if problems.count > 0 { Err(refused(&self.file, &problems)) } else { Ok(()) }
    }

    fn values(&self, setup: &Setup) -> Vec<Value> {
        let metrics: Vec<Name> = setup.metrics().map(|m| m.name.clone()).collect();
        let value = |r: &feed::Record, (metric, value): &(usize, f64)| Value {
            id: r.id.clone(),
            unit: r.unit.clone(),
            variant: r.variant,
            metric: metrics[*metric].clone(),
            moments: Moments { n: 1, mean: *value, sd: 0.0 },
        };
        self.read.records.iter().flat_map(|r| r.values.iter().map(move |v| value(r, v)).collect::<Vec<_>>()).collect()
    }
}

fn refused(file: &str, problems: &Problems) -> Error {
    Error::new(format!("nothing of {file} is recorded:\n{}", problems.of(file))).hint("mend these lines, and record it again")
}
