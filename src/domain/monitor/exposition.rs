//! Figures as text that Prometheus reads: version 0.0.4 of its format, and OpenMetrics 1.0 at the same time, of which gauges are
//! alike. node_exporter's textfile collector takes the former only, and takes no times of samples: there are none.
//!
//! Sources: <https://prometheus.io/docs/instrumenting/exposition_formats/> and
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

use super::metric::{ALL, Metric};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Values by metric and labels.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    samples: BTreeMap<&'static str, BTreeMap<Vec<String>, f64>>,
}

impl Figures {
    /// Notes the value of a metric for labels in its order; the last one noted for the same labels counts. A value that is not
    /// finite is unknown, and unknown is not printed.
    pub fn put<const N: usize>(&mut self, metric: &Metric, labels: [&str; N], value: f64) {
        debug_assert_eq!(metric.labels.len(), N, "{}", metric.name);
        if value.is_finite() {
            let of = self.samples.entry(metric.name).or_default();
            of.insert(labels.map(str::to_owned).to_vec(), value);
        }
    }

    /// The text, each metric under its help and type, labels bytewise in order.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for metric in ALL {
            let Some(samples) = self.samples.get(metric.name) else { continue };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# HELP {} {}", metric.name, metric.help);
            let _ = writeln!(text, "# TYPE {} gauge", metric.name);
            for (values, value) in samples {
                let labels: Vec<String> =
                    metric.labels.iter().zip(values).map(|(k, v)| format!("{k}=\"{}\"", escaped(v))).collect();
                let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
                let _ = writeln!(text, "{}{labels} {value}", metric.name);
            }
        }
        text.push_str("# EOF\n");
        text
    }
}

/// A label's value between quotes.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::super::metric::{BUILD, EVENTS, VERSIONS};
    use super::*;

    #[test]
    fn figures_stand_under_their_metric_in_order() {
        let mut figures = Figures::default();
        figures.put(&VERSIONS, ["shop", "staging"], 1.0);
        figures.put(&VERSIONS, ["bot", "staging"], 2.0);
        figures.put(&EVENTS, [], 1e6);
        figures.put(&BUILD, ["a\\b\"c\nd"], 1.0);
        assert_eq!(
            figures.text(),
            "# HELP kf_build_info 1, with the version of kf that read the figures\n\
             # TYPE kf_build_info gauge\n\
             kf_build_info{version=\"a\\\\b\\\"c\\nd\"} 1\n\
             # HELP kf_audit_events Entries of the audit log; never shrinks\n\
             # TYPE kf_audit_events gauge\n\
             kf_audit_events 1000000\n\
             # HELP kf_model_versions Versions of a model that stand in a stage\n\
             # TYPE kf_model_versions gauge\n\
             kf_model_versions{model=\"bot\",stage=\"staging\"} 2\n\
             kf_model_versions{model=\"shop\",stage=\"staging\"} 1\n\
             # EOF\n"
        );
    }

    #[test]
    fn what_is_unknown_is_not_printed() {
        let mut figures = Figures::default();
        figures.put(&EVENTS, [], f64::NAN);
        figures.put(&EVENTS, [], f64::INFINITY);
        assert_eq!(figures.text(), "# EOF\n");
    }
}
