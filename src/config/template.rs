//! The `mlops.toml` that `kf init` writes: the name, and every other table as a comment to learn from.
//!
//! `# ` begins prose, `#` directly before a key or a table begins an example; with all examples in force the file loads.

use crate::base::name::Name;

const TEMPLATE: &str = r##"# Configuration of kf. Only `[project] name` must be there; what is commented out shows what can be said.
# `kf config show --origin` tells every value in force and where it came from.

[project]
name = "@PROJECT@"
#description = "Answers questions about our handbook"
#owner = "team-search"

# Where models, versions, gates and the audit log are kept: the file .kf/state.db, unless you say otherwise.
#[state]
#url = "postgres://kf@db.example.org/kf"
#password = "env:PGPASSWORD"
#schema = "kf"
#lock-timeout = "30s"

# Where the bytes of versions are kept: the folder .kf/objects, unless you say otherwise.
# Secrets are always references: `env:NAME` for an environment variable, `file:PATH` for a file.
#[artifacts]
#url = "s3://our-models/kf"
#endpoint = "https://minio.example.org"
#region = "eu-central-1"
#access-key = "env:S3_ACCESS_KEY"
#secret-key = "env:S3_SECRET_KEY"
#allow-http = false
#timeout = "5m"
#encrypt = ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]
#identity = "file:kf.key"

# What you version. Types: config, prompt, embedding, reranker, classifier, llm, dataset, other.
#[model.faq]
#type = "dataset"
#path = "data/faq.jsonl"
#license = "CC-BY-4.0"
#language = ["en"]

#[model.answer-bot]
#type = "config"
#path = "bot"
#description = "Answers questions about the handbook"
#tags = ["support"]
#depends = ["retriever@1.0.0"]
#dataset = "faq"
#parts = { prompts = "prompts", routing = "routing.yaml", retrieval = "retrieval.yaml", agents = "agents" }

#[model.retriever]
#type = "embedding"
#paths = ["retriever/config.json", "retriever/weights"]

# The questions with reference answers that evaluations use; `map` says which column is which field, `k` how much of a ranking
# of retrieved ids counts. Gates take notice of evaluations that were made so.
#[golden]
#dataset = "faq@latest"
#k = 5
#map = { query = "question", gold = "answer" }

# How a version answers a question: `recorded` answers from a file, a `command`, an `http` service, or
# `builtin`: the documents that `kf ingest` took in.
#[system]
#kind = "http"
#url = "http://localhost:8000/ask"
#timeout = "60s"
#concurrency = 4
#headers = { authorization = "env:BOT_AUTHORIZATION" }

# How documents are taken in, and what is asked of them; `[tenants.NAME]` asks something else of one tenant's.
#[ingest]
#tenant = "default"
#collection = "default"
#chunk-tokens = 512
#chunk-overlap = 64
#max-file-mib = 256
#max-pages = 10000
#timeout = "60s"
#skeleton = false
#languages = ["en", "es", "fr", "de"]
#min-chars = 100
#min-readability = 30.0
#pii-limit = 3.0
#warn-below = 0.7
#reject = ["length"]

#[tenants.acme]
#languages = ["de"]
#min-chars = 200
#min-readability = 20.0
#pii-limit = 1.0
#warn-below = 0.8
#reject = ["length", "language", "pii"]

# The language model that answers for a version, with `[system] kind = "builtin"`: `anthropic`, or `openai` for every server that
# speaks its protocol. Prices are US dollars for a million tokens.
#[llm]
#provider = "anthropic"
#base-url = "https://api.anthropic.com"
#model = "claude-sonnet-4-5"
#api-key = "env:ANTHROPIC_API_KEY"
#timeout = "120s"
#concurrency = 8
#max-retries = 5
#rpm = 50
#max-tokens = 4096
#temperature = 0.0
#seed = 1
#price-input = 3
#price-output = 15

# Who judges answers, best of another family than the model that answers; `kf judge calibrate` compares it with people.
#[judge]
#provider = "openai"
#base-url = "https://api.openai.com/v1"
#model = "gpt-4.1-mini"
#api-key = "env:OPENAI_API_KEY"
#timeout = "120s"
#concurrency = 8
#max-retries = 5
#rpm = 500
#max-tokens = 4096
#temperature = 0.0
#seed = 1
#price-input = 0.4
#price-output = 1.6
#metrics = ["faithfulness"]
#rubric = "The answer is polite, and says what to do next."
#statements = "judge"
#questions = 3
#min-coverage = 0.9

#[[judge.panel]]
#provider = "anthropic"
#model = "claude-haiku-4-5"
#api-key = "env:ANTHROPIC_API_KEY"

# What makes vectors of texts: the table that is `builtin`, a model in a local `directory`, or an `endpoint`.
#[embedder]
#kind = "endpoint"
#url = "https://api.openai.com/v1"
#model = "text-embedding-3-small"
#api-key = "env:OPENAI_API_KEY"
#protocol = "openai"
#dimensions = 1536
#shorten = false
#batch = 128
#batch-tokens = 100000
#concurrency = 4
#timeout = "60s"
#query-prefix = ""
#document-prefix = ""

# What must hold before a stage. `absolute` compares with limits, `regression` with the version in production, `budget`
# limits cost-per-query (US dollars), latency-p95 (milliseconds), error-rate or coverage.
#[gates.faithful]
#stage = ["staging", "production"]
#kind = "absolute"
#metric = "token-f1"
#min = 0.90
#bound = "interval"

#[gates.no-worse]
#stage = "production"
#kind = "regression"
#metric = "token-f1"
#margin = 0.01
#against = "production"
#models = ["answer-bot"]
#dataset = "faq"
#allow-recorded = false
#allow-uncalibrated = false

#[gates.fast]
#stage = "production"
#kind = "budget"
#metric = "latency-p95"
#max = 1000

# What promotions need, and how long versions are kept.
#[policy]
#skip-staging = false
#require-ticket = ["production"]
#require-clean-git = true
#retention-days = 365
#rollback-window = 5
#inconclusive = "block"

# The private key that signs the audit log. A host without it appends and does not sign.
#[signing]
#log-key = "env:KF_LOG_KEY"

# What finds the nearest vectors of new collections: embedded, pgvector where `state.url` is PostgreSQL, or qdrant, a server
# at `url`. Without `url` no collection can be in Qdrant; `kf index move` moves one that is there.
#[vectors]
#engine = "embedded"
#url = "http://localhost:6333"
#api-key = "env:QDRANT_API_KEY"
#timeout = "30s"

# The graph of what documents speak of: names to find, and what answers `kf graph`: embedded, the state, or neo4j, a server at
# `url` that is told of every change.
#[graph]
#gazetteer = "names.csv"
#engine = "neo4j"
#url = "http://localhost:7474"
#database = "neo4j"
#user = "neo4j"
#password = "env:NEO4J_PASSWORD"
#timeout = "30s"

# What new data is compared with: the baseline that `kf drift baseline` took of a model. An index of `psi` is monitor, warning and
# critical, and so is a loss of `accuracy` where predictions and labels are named; actions are notify, open-ticket, command and
# freeze-promotions.
#[drift.answer-bot]
#model = "answer-bot"
#data = ["data/queries.csv"]
#columns = ["amount", "region", "query"]
#exclude = ["id"]
#kinds = { region = "category", query = "text" }
#keep-texts = true
#prediction = "answered"
#label = "solved"
#score = "confidence"
#slices = ["region"]
#stream = ["amount"]
#time = "at"
#rule = "calibrated"
#psi = [0.1, 0.2, 0.3]
#accuracy = [0.02, 0.05, 0.1]
#min-rows = 30
#fail-on = "warning"
#on-monitor = []
#on-warning = ["notify", "open-ticket"]
#on-critical = ["notify", "open-ticket", "command", "freeze-promotions"]
#command = ["./retrain.sh"]
#alerts = ["team"]
#deadline = "48h"
#accuracy-deadline = "24h"
#cool-down = "24h"
#windows = 2

# The same of rows that a query gives: `source` is sqlite:PATH, postgres://USER@HOST/DATABASE, or env:NAME that holds one.
#[drift.orders]
#model = "answer-bot"
#source = "env:WAREHOUSE"
#sql = "SELECT amount, region FROM orders ORDER BY id"

# Who is told: a webhook that takes kf's JSON, a channel of slack, a service of pagerduty, people by email; an issue on github or a
# file for each incident.
#[alerts.team]
#kind = "slack"
#url = "env:SLACK_WEBHOOK"
#timeout = "10s"
#[alerts.oncall]
#kind = "pagerduty"
#routing-key = "env:PAGERDUTY_ROUTING_KEY"
#[alerts.owners]
#kind = "email"
#smtp = "smtps://smtp.example.org:465"
#user = "kf"
#password = "env:SMTP_PASSWORD"
#from = "kf <kf@example.org>"
#to = ["owners@example.org"]
#[alerts.incident]
#kind = "github"
#repository = "OWNER/NAME"
#token = "env:GITHUB_TOKEN"
#labels = ["incident"]
#[alerts.logbook]
#kind = "file"
#path = "incidents"
#[alerts.system]
#url = "env:ALERT_WEBHOOK"
#secret = "env:ALERT_WEBHOOK_SECRET"

# Metrics that `kf monitor record` takes and `kf monitor check` watches. Methods are zscore, robust, seasonal and none; limits
# response-time, success-rate and resource.
#[monitor]
#keep = "35d"
#fail-on = "medium"
#alerts = ["team"]
#[monitor.prometheus]
#url = "http://localhost:9090"
#token = "env:PROMETHEUS_TOKEN"
#timeout = "10s"
#[monitor.metrics.latency-p95]
#query = "histogram_quantile(0.95, sum by (le) (rate(answer_seconds_bucket[1h])))"
#method = "seasonal"
#direction = "up"
#rule = "calibrated"
#min-samples = 7
#fresh = "3h"
#limit = "response-time"
#limit-at = 0.2
#window = "24h"
#[monitor.metrics.memory]
#method = "none"
#limit = "resource"
#scale = 16e9

# What `kf health` asks besides: an address (`http`, `https`, `tcp`) or a program.
#[health]
#timeout = "5s"
#[health.checks.cache]
#url = "tcp://localhost:6379"
#[health.checks.llm_api]
#url = "https://api.example.org/v1/models"
#token = "env:LLM_API_KEY"
#[health.checks.disk]
#command = ["./disk-is-not-full.sh"]

# Where users' requests come in. `kf gateway run` starts the versions of a model and splits the requests between two of them;
# docs/gateway.md. A version is started by `command`, or answers at `url`.
#[target.local]
#kind = "gateway"
#model = "answer-bot"
#command = ["python3", "serve.py"]
#ready = "/ready"
#timeout = "5s"
#listen = "127.0.0.1:8080"
#admin = "127.0.0.1:8081"
#admin-token = "env:KF_GATEWAY_TOKEN"
#sticky-header = "x-user-id"
#[target.local.proxy]
#tenant-header = "x-tenant"
#total = "1h"
#drain = "30s"
#fuse = 0.5
#[target.remote]
#model = "answer-bot"
#url = "http://bot-{version}.internal:8000"
#[target.web]
#kind = "nginx"
#model = "answer-bot"
#url = "http://bot-{version}.internal:8000"
#probe = "http://127.0.0.1:8080/ready"
#start = ["bot-up"]
#stop = ["bot-down"]
#session-cookie = "session"
#file = "/etc/nginx/kf/bot.conf"
#test = ["nginx", "-t"]
#reload = ["nginx", "-s", "reload"]
#mirror = false
#[target.edge]
#kind = "envoy"
#model = "answer-bot"
#url = "http://bot-{version}.internal:8000"
#probe = "http://127.0.0.1:10000/ready"
#dir = "/etc/envoy/kf"
#[target.cluster]
#kind = "kubernetes"
#model = "answer-bot"
#by = "httproute"
#context = "production"
#namespace = "rag"
#kubeconfig = "kubeconfig"
#kubectl = ["kubectl"]
#deployments = ["bot-blue", "bot-green"]
#services = ["bot-blue", "bot-green"]
#route = "bot"
#image = "registry.example.org/bot:{version}"
#container = "bot"
#replicas = 10
#[target.shop]
#kind = "kubernetes"
#model = "answer-bot"
#by = "service"
#context = "production"
#deployments = ["shop-blue", "shop-green"]
#service = "shop"
#label = "track"

# In which steps a version gets the traffic of a target, and what takes it back; docs/canary.md. Steps are written one by one, or
# as `initial`, `step` and `max` of percent with `window` for each, or as `preset`: four-hours, two-days, ramp.
#[rollout.careful]
#target = "local"
#steps = [{ weight = 5, hold = "1h" }, { weight = 50, hold = "3h", approval = true }, { weight = 100 }]
#max-duration = "8h"
#monitor = "10m"
#shadow = 10
#shadow-hold = "1h"
#on-inconclusive = "hold"
#on-drift = "hold"
#errors = 4
#mode = "evidence"
#min-requests = 200
#min-judged = 30
#limits = { error-rate = 0.05, latency-p95 = 1000, faithfulness = 0.9, accuracy = false }
#smoke = ["./smoke.sh"]
#load = ["k6", "run", "load.js"]
#load-requests = 100
#test-timeout = "10m"
#alerts = ["team"]
#[rollout.careful.source]
#kind = "target"
#[rollout.short]
#initial = 5
#step = 10
#max = 50
#window = "15m"
#[rollout.slow]
#preset = "two-days"

# A profile takes the place of the values above, key by key: `kf --profile laptop …`.
#[profile.laptop.state]
#url = "sqlite"
#[profile.laptop.artifacts]
#url = ".kf/objects"
#[profile.laptop.system]
#kind = "command"
#command = ["python", "bot/answer.py"]
# What the program reads beside the files of the version: a change of it changes what is answered.
#files = ["bot/answer.py", "bot/lib"]

# Where backups go, who can read them, what is in them and how long they are kept. The state, its artifacts and the Git repository are in
# every backup; `kf backup keygen` makes a key.
#[backup]
#recipients = ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]
#identity = "file:backup.key"
#smoke = ["./smoke-test.sh"]
#rto = "4h"
#rpo = "24h"

#[backup.place]
#url = "s3://our-backups/kf"
#endpoint = "https://minio.example.org"
#region = "eu-central-1"
#access-key = "env:S3_ACCESS_KEY"
#secret-key = "env:S3_SECRET_KEY"
#allow-http = false
#timeout = "5m"

#[backup.components.answers]
#kind = "postgres"
#url = "postgres://backup@db.example.org/answers"
#password = "env:PGPASSWORD"

#[backup.components.cache]
#kind = "redis"
#url = "redis://backup@redis.example.org:6379"
#password = "env:REDIS_PASSWORD"

#[backup.components.vectors]
#kind = "qdrant"
#url = "http://qdrant.example.org:6333"
#nodes = ["http://qdrant-0.example.org:6333", "http://qdrant-1.example.org:6333"]
#api-key = "env:QDRANT_KEY"

#[backup.components.knowledge]
#kind = "neo4j"
#url = "http://neo4j.example.org:7474"
#user = "neo4j"
#database = "neo4j"
#password = "env:NEO4J_PASSWORD"

#[backup.components.uploads]
#kind = "directory"
#path = "data/uploads"

#[backup.components.graph]
#kind = "command"
#command = ["./dump-graph.sh"]
#restore = ["./load-graph.sh"]

#[backup.plans.daily]
#every = "day"
#keep-days = 30

#[backup.plans.audit]
#every = "hour"
#components = ["audit"]
#keep-forever = true

#[backup.plans.evidence]
#every = "week"
#components = ["state", "git"]
#keep-last = 2
#keep-hourly = 0
#keep-daily = 7
#keep-weekly = 4
#keep-monthly = 12
#keep-yearly = 10
#keep-forever = false
#lock-days = 90
#lock-mode = "compliance"

# Where work goes on when this place is lost: `kf dr plan` writes runbooks that name it.
#[dr]
#secondary = "eu-west-1"
#terraform = "infra/secondary"
#dns = ["./failover.sh", "eu-west-1"]
#tenant-flag = "serving"
"##;

/// The `mlops.toml` of a new repository.
pub fn template(project: &Name) -> String {
    TEMPLATE.replacen("@PROJECT@", project.as_str(), 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Env, Loaded, System, Vocabulary, json_schema, parse};
    use std::path::Path;

    fn loaded(text: &str, profile: Option<&str>) -> Loaded {
        let vocabulary = Vocabulary { metrics: &[("token-f1", (0.0, 1.0))], judged: &["faithfulness"] };
        parse(text, Path::new("mlops.toml"), &Env::default(), profile, &vocabulary).unwrap_or_else(|e| panic!("{e}"))
    }

    fn uncommented() -> String {
        let text = template(&"bot".parse().expect("a name"));
        text.lines()
            .map(|l| if l.starts_with("# ") { l } else { l.strip_prefix('#').unwrap_or(l) })
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn it_loads_as_it_is_written() {
        let text = template(&"handbook-bot".parse().expect("a name"));
        assert_eq!(loaded(&text, None).project.project.name.as_str(), "handbook-bot");
        assert_eq!(text.matches("handbook-bot").count(), 1);
    }

    #[test]
    fn every_example_in_it_holds() {
        let all = loaded(&uncommented(), None);
        assert_eq!((all.project.models.len(), all.project.gates.len()), (3, 3));
        let system = loaded(&uncommented(), Some("laptop")).project.system;
        assert!(matches!(system, System::Command { .. }) && system.files().len() == 2, "{system:?}");
    }

    #[test]
    fn it_shows_every_key() {
        let schema = json_schema();
        let document: toml::Table = uncommented().parse().expect("TOML");
        for (table, below) in schema["properties"].as_object().expect("tables") {
            let here = document[table].as_table().expect(table);
            let (keys, found): (_, Vec<&toml::Table>) = match below["properties"].as_object() {
                Some(keys) => (keys, vec![here]),
                None if table == "profile" => continue,
                None => (
                    below["additionalProperties"]["properties"].as_object().expect("keys of named tables"),
                    here.values().filter_map(toml::Value::as_table).collect(),
                ),
            };
            // What goes with another kind stands in the profile.
            let elsewhere = [("system", "command"), ("system", "files"), ("embedder", "path")];
            for key in keys.keys().filter(|k| !elsewhere.contains(&(table.as_str(), k.as_str()))) {
                assert!(found.iter().any(|t| t.contains_key(key)), "[{table}] {key}");
            }
        }
    }
}
