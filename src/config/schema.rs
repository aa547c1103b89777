//! The tables of `mlops.toml`. A table is added here, in one line, and declared with its checks in a file of `tables`.

use super::check::{Check, Checker, Vocabulary};
use super::diag::Diags;
use super::leaf::name_schema;
use super::shape::{Sub, Table as _, Tables, table};
use super::tables::{
    alerts, artifacts, backup, dr, drift, embedder, gates, golden, graph, health, ingest, judge, llm, model, monitor, policy,
    project, rollout, signing, state, system, target, vectors,
};
use serde_json::{Value, json};

macro_rules! tables {
    ($($(#[doc = $doc:literal])+ $field:ident: $raw:ty => $plain:ty = $key:literal $([$required:ident])?;)+) => {
        table! {
            /// Everything that `mlops.toml` says, but the profiles.
            Raw { $($(#[doc = $doc])+ $field: $raw = $key $([$required])?;)+ }
        }

        /// What `mlops.toml` means: all layers merged, all defaults filled, every reference checked.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Project { $($(#[doc = $doc])+ pub $field: $plain),+ }

        /// The meaning of the merged layers; problems are in `diags`, and when there is none there is a project.
        pub(super) fn check(raw: &Raw, vocabulary: &Vocabulary<'_>, diags: &mut Diags) -> Option<Project> {
            let mut cx = Checker::new(raw, vocabulary, diags);
            $(let $field = raw.$field.check($key, &mut cx);)+
            Some(Project { $($field: $field?),+ })
        }
    };
}

tables! {
    /// What this repository is.
    project: Sub<project::RawAbout> => project::About = "project" [required];
    /// Where the state is kept.
    state: Sub<state::RawState> => state::State = "state";
    /// Where artifacts are kept, and who can read them there.
    artifacts: Sub<artifacts::RawArtifacts> => artifacts::Kept = "artifacts";
    /// The models, by name.
    models: Tables<model::RawModel> => Vec<model::Model> = "model";
    /// The conditions that must hold before a stage, by name.
    gates: Tables<gates::RawGate> => Vec<gates::Gate> = "gates";
    /// What promotions need, and how long versions are kept.
    policy: Sub<policy::RawPolicy> => policy::Policy = "policy";
    /// How the audit log is signed.
    signing: Sub<signing::RawSigning> => signing::Signing = "signing";
    /// The golden dataset that evaluations use when none is named.
    golden: Sub<golden::RawGolden> => golden::Golden = "golden";
    /// How a version answers a question.
    system: Sub<system::RawSystem> => system::System = "system";
    /// The language model that answers for a version.
    llm: Sub<llm::RawLlm> => Option<llm::Llm> = "llm";
    /// Who judges answers, by which metrics, and how; better a model of another family than that of `[llm]`.
    judge: Sub<judge::RawJudge> => Option<judge::Judge> = "judge";
    /// What makes vectors of texts.
    embedder: Sub<embedder::RawEmbedder> => embedder::Embedder = "embedder";
    /// How documents are taken in.
    ingest: Sub<ingest::RawIngest> => ingest::Ingest = "ingest";
    /// Where the graph of documents is asked, and what is known beforehand of the things that they speak of.
    graph: Sub<graph::RawGraph> => graph::Graph = "graph";
    /// What each tenant asks of documents, by name.
    tenants: Tables<ingest::RawTenant> => Vec<ingest::TenantRules> = "tenants";
    /// What finds the nearest vectors.
    vectors: Sub<vectors::RawVectors> => vectors::Vectors = "vectors";
    /// What new data is compared with, and what is done about drift, by name.
    drift: Tables<drift::RawDrift> => Vec<drift::Drift> = "drift";
    /// Who is told, by name.
    alerts: Tables<alerts::RawAlerts> => Vec<alerts::Alerts> = "alerts";
    /// Which metrics are watched, and where their values come from.
    monitor: Sub<monitor::RawMonitor> => monitor::Monitor = "monitor";
    /// What is asked whether it answers.
    health: Sub<health::RawHealth> => health::Health = "health";
    /// Where the traffic of a model is, by name.
    target: Tables<target::RawTarget> => Vec<target::Target> = "target";
    /// In which steps versions reach users, by name.
    rollout: Tables<rollout::RawRollout> => Vec<rollout::Rollout> = "rollout";
    /// Where backups go, what is in them and how long they are kept.
    backup: Sub<backup::RawBackup> => backup::Backup = "backup";
    /// Where work goes on when this place is lost.
    dr: Sub<dr::RawDr> => dr::Dr = "dr";
}

impl Project {
    /// The model of this name.
    pub fn model(&self, name: &str) -> Option<&model::Model> {
        self.models.iter().find(|m| m.name.as_str() == name)
    }

    /// What is asked of documents of this tenant.
    pub fn quality_of(&self, tenant: &str) -> ingest::QualityRules {
        let own = self.tenants.iter().find(|t| t.name.as_str() == tenant);
        own.map_or_else(|| self.ingest.quality.clone(), |t| t.over(&self.ingest.quality))
    }

    /// What is said of drift under this name.
    pub fn drift(&self, name: &str) -> Option<&drift::Drift> {
        self.drift.iter().find(|d| d.name.as_str() == name)
    }

    /// Who is told under this name.
    pub fn channel(&self, name: &str) -> Option<&alerts::Alerts> {
        self.alerts.iter().find(|a| a.name.as_str() == name)
    }

    /// Where traffic is under this name.
    pub fn target(&self, name: &str) -> Option<&target::Target> {
        self.target.iter().find(|t| t.name.as_str() == name)
    }

    /// How versions reach users under this name.
    pub fn rollout(&self, name: &str) -> Option<&rollout::Rollout> {
        self.rollout.iter().find(|r| r.name.as_str() == name)
    }

    /// The gate of this name.
    pub fn gate(&self, name: &str) -> Option<&gates::Gate> {
        self.gates.iter().find(|g| g.name.as_str() == name)
    }
}

/// The JSON Schema (draft 2020-12) of `mlops.toml`, for editors.
pub fn json_schema() -> Value {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mlops.toml",
        "description": "Configuration of a kf repository",
    });
    let tables = Raw::schema(true);
    for key in ["type", "additionalProperties", "required", "properties"] {
        schema[key] = tables[key].clone();
    }
    schema["properties"]["profile"] = json!({
        "type": "object",
        "description": "Values that take the place of those above when the profile is chosen, key by key.",
        "propertyNames": name_schema(),
        "additionalProperties": Raw::schema(false),
    });
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every key below a schema, as `table.key`; `*` stands for a name that people choose.
    fn keys(schema: &Value, prefix: &str, out: &mut Vec<String>) {
        for (key, below) in schema["properties"].as_object().into_iter().flatten() {
            assert!(below["description"].as_str().is_some_and(|d| d.ends_with('.')), "{prefix}{key} is described");
            out.push(format!("{prefix}{key}"));
            keys(below, &format!("{prefix}{key}."), out);
            keys(&below["additionalProperties"], &format!("{prefix}{key}.*."), out);
        }
    }

    #[test]
    fn the_schema_lists_every_key() {
        let schema = json_schema();
        let mut all = Vec::new();
        keys(&schema, "", &mut all);
        for (table, known) in [
            ("", Raw::keys()),
            ("project.", project::RawAbout::keys()),
            ("gates.*.", gates::RawGate::keys()),
            ("model.*.", model::RawModel::keys()),
            ("profile.*.system.", system::RawSystem::keys()),
        ] {
            for key in known {
                assert!(all.contains(&format!("{table}{key}")), "{table}{key} in {all:?}");
            }
        }
        assert_eq!(all.iter().filter(|k| !k.starts_with("profile")).count() * 2 + 1, all.len(), "a profile has every key");
    }

    #[test]
    fn the_schema_says_what_is_required_and_what_is_the_default() {
        let schema = json_schema();
        assert_eq!(schema["required"], json!(["project"]));
        assert_eq!(schema["additionalProperties"], json!(false));
        let gate = &schema["properties"]["gates"]["additionalProperties"];
        assert_eq!(gate["required"], json!(["stage", "kind", "metric"]));
        assert_eq!(gate["properties"]["bound"]["default"], json!("interval"));
        assert_eq!(gate["properties"]["kind"]["enum"], json!(["absolute", "regression", "budget"]));
        let profile = &schema["properties"]["profile"]["additionalProperties"];
        assert_eq!(profile["properties"]["gates"]["additionalProperties"]["required"], Value::Null);
    }
}
