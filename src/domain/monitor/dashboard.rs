//! The dashboard for Grafana: five groups of panels, as the file that it imports.
//!
//! The classic model of dashboards, which every Grafana from 10 on takes and brings to its own by itself
//! (<https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/>). The data source is a variable,
//! so that the file fits anywhere.

use super::expr::{cost, disks, latency, memory, of_kf, processors, score, success, week};
use serde_json::{Value, json};

/// The version of the model of dashboards: that of Grafana 10.
const SCHEMA_VERSION: u32 = 39;
/// Columns of Grafana's grid.
const COLUMNS: u32 = 24;

/// Only the models that the reader chose.
macro_rules! shown {
    () => {
        "{model=~\"$model\"}"
    };
}

/// How a panel shows its queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The newest value, large.
    Stat,
    /// Lines over time.
    Lines,
    /// The newest values with their labels.
    Table,
    /// Alerts that Grafana knows of, by itself or by its data sources.
    Alerts,
}

/// A panel.
#[derive(Clone, Copy, Debug)]
struct Panel {
    title: &'static str,
    kind: Kind,
    /// Grafana's word for the unit.
    unit: &'static str,
    /// Expressions with what their lines are called.
    queries: &'static [(&'static str, &'static str)],
    /// From which value on which colour; below the first, green.
    limits: &'static [(f64, &'static str)],
    /// Columns and rows of the grid.
    size: (u32, u32),
}

const fn panel(title: &'static str, kind: Kind, unit: &'static str, size: (u32, u32)) -> Panel {
    Panel { title, kind, unit, queries: &[], limits: &[], size }
}

/// The five groups with their panels.
const GROUPS: &[(&str, &[Panel])] =
    &[("System health", HEALTH), ("Performance", PERFORMANCE), ("Quality", QUALITY), ("Cost", COST), ("Alerts", ALERTS)];

const HEALTH: &[Panel] = &[
    Panel {
        queries: &[("time() - max(kf_figures_timestamp_seconds)", "")],
        limits: &[(5400.0, "orange"), (7200.0, "red")],
        ..panel("Age of the figures", Kind::Stat, "s", (6, 4))
    },
    Panel { queries: &[("max(kf_audit_events)", "")], ..panel("Entries of the audit log", Kind::Stat, "short", (6, 4)) },
    Panel {
        queries: &[("max(kf_audit_unsigned_events)", "")],
        limits: &[(1.0, "orange")],
        ..panel("Entries not signed", Kind::Stat, "short", (6, 4))
    },
    Panel {
        queries: &[("sum(kf_engine_waiting_changes)", "")],
        limits: &[(1.0, "orange")],
        ..panel("Changes that engines did not confirm", Kind::Stat, "short", (6, 4))
    },
    Panel {
        queries: &[("max by (model, stage, version) (kf_model_stage_info{model=~\"$model\"})", "")],
        ..panel("What stands where", Kind::Table, "short", (8, 8))
    },
    Panel {
        queries: &[
            ("sum by (tenant, collection) (kf_chunks)", "{{tenant}} {{collection}}: chunks"),
            ("sum by (tenant, collection) (kf_documents_refused)", "{{tenant}} {{collection}}: documents refused"),
        ],
        ..panel("What can be searched", Kind::Lines, "short", (8, 8))
    },
    Panel {
        queries: &[
            (of_kf!(processors!()), "{{instance}} processors"),
            (of_kf!(memory!()), "{{instance}} memory"),
            (of_kf!(concat!("max by (instance) (", disks!(), ")")), "{{instance}} fullest disk"),
        ],
        limits: &[(0.8, "orange")],
        ..panel("The machine", Kind::Lines, "percentunit", (8, 8))
    },
    Panel {
        queries: &[("time() - max by (plan) (kf_backup_proven_timestamp_seconds)", "{{plan}}")],
        // Four weeks, and the 35 days after which a plan counts as not proven.
        limits: &[(2_419_200.0, "orange"), (3_024_000.0, "red")],
        ..panel("Since a backup was last proven to come back", Kind::Stat, "s", (12, 6))
    },
    Panel {
        queries: &[("max by (plan, what) (kf_backup_recovery_ratio)", "{{plan}}: {{what}}")],
        limits: &[(0.8, "orange"), (1.0, "red")],
        ..panel("Recovery time and point of drills, of what is allowed", Kind::Lines, "percentunit", (12, 6))
    },
];

const PERFORMANCE: &[Panel] = &[
    Panel {
        queries: &[(latency!(shown!()), "{{model}} on {{dataset}}")],
        ..panel("Time to answer, 95th percentile", Kind::Lines, "s", (8, 8))
    },
    Panel {
        queries: &[(concat!(latency!(shown!()), " / ", week!(latency!(shown!()))), "{{model}} on {{dataset}}")],
        limits: &[(1.2, "red")],
        ..panel("Time to answer against its week", Kind::Lines, "percentunit", (8, 8))
    },
    Panel {
        queries: &[
            (success!(shown!()), "{{model}} on {{dataset}}: succeeded"),
            ("min by (model, dataset) (kf_evaluation_coverage_ratio{model=~\"$model\"})", "{{model}} on {{dataset}}: answered"),
        ],
        ..panel("Questions answered", Kind::Lines, "percentunit", (8, 8))
    },
];

const QUALITY: &[Panel] = &[
    Panel {
        queries: &[(score!(shown!()), "{{model}} on {{dataset}}: {{metric}}")],
        ..panel("Scores of the version in production", Kind::Lines, "short", (16, 8))
    },
    Panel {
        queries: &[("sum by (verdict) (kf_gate_verdict{model=~\"$model\"})", "{{verdict}}")],
        ..panel("Gates by verdict", Kind::Stat, "short", (8, 4))
    },
    Panel {
        queries: &[("time() - min by (model) (kf_evaluation_timestamp_seconds{model=~\"$model\"})", "{{model}}")],
        ..panel("Age of the oldest evaluation", Kind::Stat, "s", (8, 4))
    },
    Panel {
        queries: &[("max by (name, column) (kf_drift_index{model=~\"$model\"})", "{{name}}: {{column}}")],
        limits: &[(0.1, "yellow"), (0.2, "orange"), (0.3, "red")],
        ..panel("Population stability index of columns", Kind::Lines, "short", (16, 8))
    },
    Panel {
        queries: &[("max by (name, verdict) (kf_drift_verdict{model=~\"$model\"} == 1)", "")],
        ..panel("Newest drift checks", Kind::Table, "short", (8, 8))
    },
    Panel {
        queries: &[("max by (model, version, gate) (kf_gate_verdict{model=~\"$model\",verdict=\"fail\"} == 1)", "")],
        ..panel("Gates that production fails", Kind::Table, "short", (12, 6))
    },
    Panel {
        queries: &[("max by (model, version, gate) (kf_gate_verdict{model=~\"$model\",verdict=\"inconclusive\"} == 1)", "")],
        ..panel("Gates that cannot be judged", Kind::Table, "short", (12, 6))
    },
];

const COST: &[Panel] = &[
    Panel {
        queries: &[(cost!(shown!()), "{{model}} on {{dataset}}")],
        ..panel("Cost of a question", Kind::Lines, "currencyUSD", (12, 8))
    },
    Panel {
        queries: &[(concat!(cost!(shown!()), " / ", week!(cost!(shown!()))), "{{model}} on {{dataset}}")],
        limits: &[(1.5, "red")],
        ..panel("Cost against its week", Kind::Lines, "percentunit", (12, 8))
    },
];

const ALERTS: &[Panel] = &[
    Panel {
        queries: &[("max by (name, model, action) (kf_drift_pending_actions{model=~\"$model\"} > 0)", "")],
        ..panel("To be done about drift", Kind::Table, "short", (16, 4))
    },
    Panel {
        queries: &[("sum(kf_drift_overdue_actions{model=~\"$model\"})", "")],
        limits: &[(1.0, "red")],
        ..panel("Overdue", Kind::Stat, "short", (8, 4))
    },
    panel("Alerts now", Kind::Alerts, "short", (12, 8)),
    Panel {
        queries: &[(
            "count by (alertname, severity) (ALERTS{alertname=~\"Kf.*\",alertstate=\"firing\"})",
            "{{alertname}} ({{severity}})",
        )],
        ..panel("Alerts that fired", Kind::Lines, "short", (12, 8))
    },
];

/// The expressions of all panels.
pub fn expressions() -> impl Iterator<Item = &'static str> {
    GROUPS.iter().flat_map(|(_, panels)| *panels).flat_map(|p| p.queries).map(|(expr, _)| *expr)
}

/// The dashboard.
pub fn file() -> Value {
    let (mut panels, mut top) = (Vec::new(), 0);
    for (title, group) in GROUPS {
        let id = panels.len() + 1;
        let place = json!({"h": 1, "w": COLUMNS, "x": 0, "y": top});
        panels.push(json!({"id": id, "type": "row", "title": title, "collapsed": false, "gridPos": place, "panels": []}));
        let mut grid = Grid::below(top + 1);
        for panel in *group {
            let place = grid.take(panel.size);
            panels.push(written(panel, panels.len() + 1, place));
        }
        top = grid.bottom();
    }
    json!({
        "uid": "kf-overview",
        "title": "kf: health, performance, quality, cost, alerts",
        "description": "Made by `kf monitor export grafana` from what `kf monitor metrics` prints",
        "tags": ["kf"],
        "schemaVersion": SCHEMA_VERSION,
        "timezone": "browser",
        "editable": true,
        "graphTooltip": 1,
        "time": {"from": "now-7d", "to": "now"},
        "refresh": "5m",
        "templating": {"list": variables()},
        "annotations": {"list": []},
        "panels": panels,
    })
}

/// The data source, and which models are shown.
fn variables() -> Value {
    json!([
        {"type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus"},
        {
            "type": "query", "name": "model", "label": "Model", "datasource": source(),
            "query": "label_values(kf_model_versions, model)", "refresh": 2, "sort": 1,
            "multi": true, "includeAll": true, "allValue": ".*",
            "current": {"selected": true, "text": "All", "value": "$__all"},
        },
    ])
}

fn source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

/// Where the next panel goes: from left to right, each below what is there already.
struct Grid {
    heights: [u32; COLUMNS as usize],
}

impl Grid {
    fn below(top: u32) -> Self {
        Self { heights: [top; COLUMNS as usize] }
    }

    fn bottom(&self) -> u32 {
        self.heights.iter().copied().max().unwrap_or_default()
    }

    /// The highest place that is wide enough, the leftmost of several.
    fn take(&mut self, (width, height): (u32, u32)) -> Value {
        let columns = width as usize;
        let top = |x: usize| self.heights[x..x + columns].iter().copied().max().unwrap_or_default();
        let x = (0..=self.heights.len() - columns).min_by_key(|x| top(*x)).unwrap_or_default();
        let y = top(x);
        self.heights[x..x + columns].fill(y + height);
        json!({"h": height, "w": width, "x": x, "y": y})
    }
}

fn written(panel: &Panel, id: usize, place: Value) -> Value {
    let instant = matches!(panel.kind, Kind::Stat | Kind::Table);
    let target = |(at, (expr, legend)): (usize, &(&str, &str))| {
        let letter = char::from(b'A' + u8::try_from(at).unwrap_or_default());
        let format = if panel.kind == Kind::Table { "table" } else { "time_series" };
        json!({
            "refId": letter, "datasource": source(), "expr": expr, "legendFormat": legend,
            "instant": instant, "range": !instant, "format": format,
        })
    };
    let kind = match panel.kind {
        Kind::Stat => "stat",
        Kind::Lines => "timeseries",
        Kind::Table => "table",
        Kind::Alerts => "alertlist",
    };
    let mut written = json!({
        "id": id, "type": kind, "title": panel.title, "gridPos": place, "datasource": source(),
        "targets": panel.queries.iter().enumerate().map(target).collect::<Vec<_>>(),
        "fieldConfig": {"defaults": defaults(panel), "overrides": []},
        "options": options(panel.kind),
    });
    if panel.kind == Kind::Table {
        // The time of the query and the 1 that stands for "so it is" tell a reader nothing.
        let hidden = json!({"Time": true, "Value": true, "Value #A": true});
        written["transformations"] = json!([{"id": "organize", "options": {"excludeByName": hidden}}]);
    }
    written
}

fn defaults(panel: &Panel) -> Value {
    let steps = panel.limits.iter().map(|(from, colour)| json!({"value": from, "color": colour}));
    let steps: Vec<Value> = std::iter::once(json!({"value": null, "color": "green"})).chain(steps).collect();
    let style = if panel.limits.is_empty() { "off" } else { "dashed" };
    json!({
        "unit": panel.unit,
        "color": {"mode": if panel.kind == Kind::Stat { "thresholds" } else { "palette-classic" }},
        "thresholds": {"mode": "absolute", "steps": steps},
        "custom": if panel.kind == Kind::Lines { json!({"thresholdsStyle": {"mode": style}, "spanNulls": true}) } else { json!({}) },
    })
}

fn options(kind: Kind) -> Value {
    match kind {
        Kind::Stat => json!({
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
            "colorMode": "value", "graphMode": "none", "textMode": "auto",
        }),
        Kind::Lines => {
            json!({"legend": {"displayMode": "list", "placement": "bottom", "showLegend": true}, "tooltip": {"mode": "multi"}})
        }
        Kind::Table => json!({"showHeader": true}),
        Kind::Alerts => json!({
            "alertName": "Kf", "viewMode": "list", "groupMode": "default", "maxItems": 20, "sortOrder": 1,
            "stateFilter": {"firing": true, "pending": true, "noData": false, "normal": false, "error": true},
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn five_groups_stand_below_one_another_and_no_panel_on_another() {
        let dashboard = file();
        let panels = dashboard["panels"].as_array().expect("panels");
        let rows: Vec<&str> = panels.iter().filter(|p| p["type"] == "row").filter_map(|p| p["title"].as_str()).collect();
        assert_eq!(rows, ["System health", "Performance", "Quality", "Cost", "Alerts"]);
        let mut taken = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for p in panels {
            let of = |key: &str| p["gridPos"][key].as_u64().expect("a place");
            for cell in (of("x")..of("x") + of("w")).flat_map(|x| (of("y")..of("y") + of("h")).map(move |y| (x, y))) {
                assert!(cell.0 < u64::from(COLUMNS) && taken.insert(cell), "{}: {cell:?}", p["title"]);
            }
            assert!(ids.insert(p["id"].as_u64()), "{}", p["title"]);
        }
    }

    #[test]
    fn every_panel_but_that_of_alerts_asks_something() {
        for (_, panels) in GROUPS {
            for p in *panels {
                assert_eq!(p.queries.is_empty(), p.kind == Kind::Alerts, "{}", p.title);
            }
        }
    }
}
