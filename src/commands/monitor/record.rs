//! `kf monitor record`: metrics in.

use crate::adapters::prometheus::Prometheus;
use crate::base::error::{Context, Error, Result};
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::random::Random;
use crate::base::text::{count, group};
use crate::base::time::Timestamp;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::config::Monitor;
use crate::domain::monitor::record::Recorded;
use crate::domain::monitor::sample::{self, Labels, Sample};
use crate::release::monitor::Recorder;
use crate::store::Mode;
use serde::Serialize;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Record values of metrics: from the command line, from JSON lines, from Prometheus
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf monitor record latency-p95=0.82 errors=0.004\n  kf monitor record queue=17 --label host=a --at 2026-11-21T08:00:00Z\n  kf monitor record --data samples.jsonl\n  kf monitor record                     every query of mlops.toml, from cron\n\nA line of a file is {\"name\": \"latency\", \"value\": 0.8, \"at\": \"2026-11-21T08:00:00Z\", \"labels\": {\"host\": \"a\"}}.\nA value that is there already is passed over. Exits 5 when a query failed and others did not."
)]
pub(crate) struct Args {
    /// A metric and its value (default: what the queries of mlops.toml give)
    #[arg(value_name = "NAME=VALUE", value_parser = sample::assignment)]
    values: Vec<(Name, f64)>,
    /// When these values were measured (default: now)
    #[arg(long, value_name = "TIME", requires = "values")]
    at: Option<Timestamp>,
    /// A label of these values; again for more
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = sample::label, requires = "values")]
    labels: Vec<(String, String)>,
    /// A file of JSON lines, or `-`; again for more
    #[arg(long, value_name = "FILE")]
    data: Vec<PathBuf>,
    /// Also ask Prometheus the queries of mlops.toml
    #[arg(long)]
    prometheus: bool,
}

/// What a query gave.
#[derive(Serialize)]
struct Asked {
    name: Name,
    samples: usize,
    left_out: Vec<String>,
    error: Option<String>,
}

#[derive(Serialize)]
struct Done {
    #[serde(flatten)]
    recorded: Recorded,
    queries: Vec<Asked>,
}

impl Report for Done {
    const SCHEMA: &'static str = "kf.monitor-record/1";

    fn blocks(&self) -> Vec<Block> {
        vec![self.summary().into()]
    }

    fn summary(&self) -> String {
        let r = &self.recorded;
        let samples = |n: u64| count(usize::try_from(n).unwrap_or(usize::MAX), "sample");
        let mut said = vec![format!("recorded {}", samples(r.new))];
        let parts = [
            (r.known, "there already"),
            (r.differing, "there with another value, which stays"),
            (r.old, "older than what is kept"),
            (r.pruned, "given up for their age"),
        ];
        said.extend(parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", group_of(*n))));
        said.join(", ")
    }

    fn exit(&self) -> Exit {
        if self.queries.iter().any(|q| q.error.is_some()) { Exit::Partial } else { Exit::Ok }
    }
}

fn group_of(n: u64) -> String {
    group(usize::try_from(n).unwrap_or(usize::MAX))
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let config = &cx.project()?.project.monitor;
    let labels = Labels::of(&args.labels.iter().cloned().collect())?;
    let asks = args.prometheus || (args.values.is_empty() && args.data.is_empty());
    let asked = config.metrics.iter().any(|watch| watch.query.is_some());
    if asks && !asked {
        return Err(Error::usage("nothing to record: mlops.toml has no `[monitor.metrics.NAME]` with a `query`")
            .hint("name values, `kf monitor record NAME=VALUE`, or a file, `--data FILE`"));
    }
    if args.data.iter().filter(|path| is_stdin(path)).count() > 1 {
        return Err(Error::usage("the standard input is named twice").hint("it can be read once"));
    }
    let store = cx.store(Mode::Write)?;
    // Asked before anything is recorded: a server may take long, and nothing waits for it.
    let (answers, queries) = if asks { ask(cx, config)? } else { (Vec::new(), Vec::new()) };
    let mut recorder = Recorder::new(&store, config.keep);
    let now = store.now();
    for (name, value) in &args.values {
        recorder.take(Sample { name: name.clone(), labels: labels.clone(), at: args.at.unwrap_or(now), value: *value })?;
    }
    answers.into_iter().try_for_each(|sample| recorder.take(sample))?;
    for path in &args.data {
        read(cx, path, now, &mut recorder)?;
    }
    let done = Done { recorded: recorder.finish()?, queries };
    for query in &done.queries {
        for why in query.left_out.iter().chain(&query.error) {
            cx.warn(&format!("{}: {why}", query.name));
        }
    }
    cx.out.emit(&done)
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// Records the lines of a file.
fn read(cx: &Cx, path: &Path, now: Timestamp, recorder: &mut Recorder<'_>) -> Result<()> {
    let (what, mut source): (String, Box<dyn BufRead>) = match is_stdin(path) {
        true => ("the standard input".to_owned(), Box::new(std::io::stdin().lock())),
        false => {
            let shown = path.display().to_string();
            let file = File::open(cx.cwd.join(path)).context(|| format!("cannot open {shown}"))?;
            (shown, Box::new(BufReader::new(file)))
        }
    };
    sample::read(&what, source.as_mut(), now, &mut |sample| recorder.take(sample)).map_err(|e| match recorder.done().new {
        0 => e,
        n => e.hint(format!("{} samples before it are recorded: mend it and record the file again", group_of(n))),
    })
}

/// Asks every query; one that fails keeps no other from its values.
///
/// # Errors
/// When the token cannot be fetched, or every query failed.
fn ask(cx: &Cx, config: &Monitor) -> Result<(Vec<Sample>, Vec<Asked>)> {
    let Some(settings) = &config.prometheus else { return Ok((Vec::new(), Vec::new())) };
    let token = settings.token.as_ref().map(|token| cx.secret(token)).transpose()?;
    let server = Prometheus::new(settings, token, Random::System)?;
    let (mut samples, mut queries, mut failed) = (Vec::new(), Vec::new(), None);
    for watch in &config.metrics {
        let Some(query) = &watch.query else { continue };
        let mut asked = Asked { name: watch.name.clone(), samples: 0, left_out: Vec::new(), error: None };
        match server.query(query) {
            Ok(answered) => {
                asked.left_out = answered.left_out;
                for value in answered.values {
                    match Labels::of(&value.labels) {
                        Ok(labels) => samples.push(Sample { name: watch.name.clone(), labels, at: value.at, value: value.value }),
                        Err(e) => asked.left_out.push(e.to_string()),
                    }
                    asked.samples += 1;
                }
            }
            Err(e) => {
                asked.error = Some(e.to_string());
                failed = Some(e);
            }
        }
        queries.push(asked);
    }
    match failed {
        Some(e) if queries.iter().all(|q| q.error.is_some()) => Err(e).context(|| "no query could be answered"),
        _ => Ok((samples, queries)),
    }
}
