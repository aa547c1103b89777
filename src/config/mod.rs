//! `mlops.toml` and the environment: what was written, by which layer, and what it means.
//!
//! Precedence: flag > `KF_*` > `[profile.NAME]` > `mlops.toml` > built-in. [`load()`] finds the repository, reads the file,
//! merges the layers and gives a [`Project`] with every default filled in, or one error with all problems underlined. This
//! room knows no domain: names that only a domain knows come in as [`Vocabulary`], problems that only a domain sees come
//! back through [`Loaded::report`]. It never prints, and asks for the environment only through [`Env`].

mod check;
mod diag;
pub mod env;
mod files;
mod joined;
mod leaf;
mod load;
pub mod path;
mod schema;
pub mod secret;
mod shape;
mod source;
mod tables;
mod template;

pub use check::Vocabulary;
pub use env::Env;
pub use leaf::duration;
pub use load::{FILE_NAME, Loaded, Origin, Problem, Setting, discover, load, parse, start};
pub use path::{Dataset, RepoPath};
pub use schema::{Project, json_schema};
pub use secret::{Secret, SecretRef};
pub use source::{DataSource, NotASource, indexed};
pub use tables::alerts::{AlertKind, Alerts, Channel, Email, EventsUrl, GitHub, Relay, Tls};
pub use tables::artifacts::{Artifacts, Kept, S3};
pub use tables::backup::{
    BUILT_IN, Backup, Component as BackupComponent, ComponentKind, Every, Lock as BackupLock, LockMode, Plan as BackupPlan,
    Source as BackupSource,
};
pub use tables::dr::Dr;
pub use tables::drift::{ActionKind, Actions, ColumnKind, Drift, DriftRule, FailOn};
pub use tables::embedder::{Embedder, EmbedderKind, EmbedderProtocol, Endpoint, Prefixes};
pub use tables::gates::{Against, Bound, Budget, Gate, GateKind, MARGIN, Rule};
pub use tables::golden::Golden;
pub use tables::graph::{Graph, GraphEngine, Neo4jSettings};
pub use tables::health::{Asks, Health, HealthCheck};
pub use tables::ingest::{Ingest, QualityCheck, QualityRules, TenantRules};
pub use tables::judge::{Judge, Statements};
pub use tables::llm::{Llm, LlmProvider};
pub use tables::metrics::{Counter, CounterKind, LatencyUnit, Metrics, Queries, ScoreQueries};
pub use tables::model::{Model, Parts};
pub use tables::monitor::{Direction, FailFrom, Limit, LimitKind, Method, Monitor, Prometheus, Watch};
pub use tables::policy::{OnInconclusive, Policy};
pub use tables::project::About;
pub use tables::rollout::{CanaryLimit, Judging, PlanPreset, Rollout, RolloutStep, Schedule, Undecided, WeightMoved};
pub use tables::signing::Signing;
pub use tables::state::{State, StatePlace};
pub use tables::system::{HeaderValue, System, SystemKind};
pub use tables::target::{
    Address, Behind, EnvoyTarget, GatewayTarget, KubernetesTarget, NginxTarget, ProxyRules, Serves, SplitBy, Splits, Splitter,
    Target, TargetKind,
};
pub use tables::vectors::{Qdrant, VectorEngine, Vectors};
pub use template::template;

#[cfg(test)]
mod tests;
