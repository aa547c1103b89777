//! `kf monitor export`: files for Grafana, Prometheus and Kubernetes.

use super::Output;
use crate::base::error::{Context, Result};
use crate::base::exit::Exit;
use crate::base::format::Format;
use crate::cli::cx::Cx;
use crate::domain::monitor::probes::Port;
use crate::domain::monitor::{dashboard, probes, rules};

/// Print a dashboard for Grafana, alert rules for Prometheus, or probes for Kubernetes
#[derive(clap::Subcommand, Debug)]
#[command(
    after_long_help = "Examples:\n  kf monitor export grafana -o kf.json\n  kf monitor export prometheus-rules -o kf.rules.yml\n  kf monitor export probes --port 8080"
)]
pub(crate) enum Command {
    Grafana(Grafana),
    Probes(Probes),
    PrometheusRules(PrometheusRules),
}

/// Print a dashboard for Grafana on what `kf monitor metrics` prints
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf monitor export grafana -o kf.json     then import it in Grafana")]
pub(crate) struct Grafana {
    #[command(flatten)]
    output: Output,
}

/// Print alert rules for Prometheus on what `kf monitor metrics` prints
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf monitor export prometheus-rules -o kf.rules.yml && promtool check rules kf.rules.yml"
)]
pub(crate) struct PrometheusRules {
    #[command(flatten)]
    output: Output,
}

/// Print liveness, readiness and startup probes of a container for Kubernetes
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf monitor export probes\n  kf monitor export probes --port 8080 -o probes.yaml\n\nThe three keys belong below a container of the pod's template."
)]
pub(crate) struct Probes {
    /// The port that answers `/health` and `/ready`: its number, or its name in the container
    #[arg(long, default_value = "http")]
    port: Port,
    #[command(flatten)]
    output: Output,
}

impl Command {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        match self {
            Self::Grafana(args) => {
                let text = serde_json::to_string_pretty(&dashboard::file()).context(|| "cannot write the dashboard")?;
                args.output.write(cx, ("a dashboard", &[Format::Table, Format::Json]), &format!("{text}\n"))
            }
            Self::Probes(args) => args.output.write(cx, ("a file of probes", &[Format::Table]), &probes::file(&args.port)?),
            Self::PrometheusRules(args) => args.output.write(cx, ("the file of alert rules", &[Format::Table]), &rules::file()?),
        }
    }
}
