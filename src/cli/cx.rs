//! The context of a command: what it was given, and what it may open. Nothing is opened before it is asked for.

use super::Global;
use super::out::Out;
use super::report::clean;
use crate::adapters::git;
use crate::base::digest::hex;
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::format::Format;
use crate::base::random::Random;
use crate::base::time::Clock;
use crate::config::env::{self, Env};
use crate::config::secret::{Secret, SecretRef};
use crate::config::{self, Artifacts, DataSource, Loaded, S3, StatePlace, Vocabulary};
use crate::data::Input;
use crate::domain::audit::key::{SignerKey, VerifierKey};
use crate::domain::audit::seal::LogSigner;
use crate::domain::eval::{judged, metrics, suite};
use crate::release::evaluate::ReportFile;
use crate::store::db::Foreign;
use crate::store::objects::{Fetch, Keys, Objects, RemoteOptions, atomic};
use crate::store::{DbTarget, Identity, Mode, PostgresTarget, Seal, Settings, Store, emptied};
use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What a command is given.
pub(crate) struct Cx {
    /// The global flags.
    pub(crate) global: Global,
    /// The environment as it was when the program started.
    pub(crate) env: Env,
    /// Where the program was started, or what `-C` says.
    pub(crate) cwd: PathBuf,
    /// The streams.
    pub(crate) out: Out,
    /// The clock.
    pub(crate) clock: Arc<Clock>,
    /// The source of ids and salts.
    pub(crate) random: Arc<Random>,
    loaded: OnceCell<Loaded>,
}

/// The folder beside `mlops.toml` that holds local state.
pub(crate) const KF_DIR: &str = ".kf";

impl Cx {
    /// The context of this process.
    ///
    /// # Errors
    /// With a way to say it, when the current directory or the clock for tests cannot be used.
    pub(crate) fn new(global: Global, env: Env) -> std::result::Result<Self, Box<(Out, Error)>> {
        let random = Arc::new(match env.text(env::KF_SEED).and_then(|s| s.parse().ok()) {
            Some(seed) => Random::seeded(seed),
            None => Random::System,
        });
        let delimiter = format!("kf-{}", hex(&random.bytes::<8>()));
        let out = Out::new(&env, global.format.unwrap_or(Format::Table), global.quiet, global.dry_run, delimiter);
        match start(&global, &env) {
            Ok((cwd, clock)) => Ok(Self { global, env, cwd, out, clock: Arc::new(clock), random, loaded: OnceCell::new() }),
            Err(e) => Err(Box::new((out, e))),
        }
    }

    /// The configuration of the repository.
    ///
    /// # Errors
    /// When there is no `mlops.toml` here or above, or it says something wrong.
    pub(crate) fn project(&self) -> Result<&Loaded> {
        if let Some(loaded) = self.loaded.get() {
            return Ok(loaded);
        }
        let loaded = self.project_at(&self.cwd)?;
        Ok(self.loaded.get_or_init(|| loaded))
    }

    /// The configuration of the repository that another folder is in, such as this one as it was.
    ///
    /// # Errors
    /// As [`Self::project`].
    pub(crate) fn project_at(&self, dir: &Path) -> Result<Loaded> {
        let known = metrics::all().iter().map(|m| (m.name, m.range));
        let suites = suite::metrics();
        let of_suites = suites.iter().map(|name| (name.as_str(), (0.0, 1.0)));
        let names: Vec<(&str, (f64, f64))> =
            known.chain(judged::all().iter().map(|m| (m.name, judged::registry::RANGE))).chain(of_suites).collect();
        let judged: Vec<&str> = judged::all().iter().map(|m| m.name).collect();
        let vocabulary = Vocabulary { metrics: &names, judged: &judged };
        config::load(dir, &self.env, self.global.profile.as_deref(), &vocabulary)
    }

    /// The local folder `.kf`.
    pub(crate) fn kf_dir(&self) -> Result<PathBuf> {
        Ok(self.project()?.root.join(KF_DIR))
    }

    /// Where the files of vectors are kept; it may be deleted at any time.
    pub(crate) fn vectors_dir(&self) -> Result<PathBuf> {
        Ok(self.kf_dir()?.join("cache").join("vectors"))
    }

    /// Where a program may keep what it could learn again; nowhere when nothing may be written.
    pub(crate) fn program_cache(&self, program: &str) -> Result<Option<PathBuf>> {
        let dir = self.kf_dir()?.join("cache").join(program);
        Ok(Some(dir).filter(|_| !self.global.dry_run))
    }

    /// Opens the state.
    pub(crate) fn store(&self, mode: Mode) -> Result<Store> {
        if matches!(mode, Mode::Read) {
            // A log key that may not be read must not stand in the way of who only reads.
            return self.store_unsigned(mode);
        }
        let store = Store::open(self.settings_to_write()?, mode)?;
        store.set_dry_run(self.global.dry_run);
        if mode == Mode::Write && !store.signs_on()? {
            self.out.warn(
                "warning: the signatures that this log should have are gone or do not fit it, so what this command appends is not \
                 signed: run `kf audit verify`, then `kf audit checkpoint`",
            );
        }
        Ok(store)
    }

    /// Opens the state to write it, waiting no longer for another writer than `patience`, in the name of `who`, or else of whoever runs
    /// this.
    pub(crate) fn store_within(&self, patience: Duration, who: Option<Identity>) -> Result<Store> {
        let settings = self.settings_to_write()?;
        let identity = who.unwrap_or_else(|| settings.identity.clone());
        Store::open(Settings { lock_timeout: patience.min(settings.lock_timeout), identity, ..settings }, Mode::Write)
    }

    /// All that opening the state to write it needs.
    pub(crate) fn settings_to_write(&self) -> Result<Settings> {
        self.settings_for(self.own_state()?)
    }

    /// All that opening the state to read it needs.
    pub(crate) fn settings_to_read(&self) -> Result<Settings> {
        self.unsigned_for(self.own_state()?)
    }

    /// Opens the state without the log key: what is appended is signed later.
    pub(crate) fn store_unsigned(&self, mode: Mode) -> Result<Store> {
        let store = Store::open(self.settings_to_read()?, mode)?;
        store.set_dry_run(self.global.dry_run);
        Ok(store)
    }

    /// Where a report or proof that was asked for may be written: anywhere but over kf's own files.
    ///
    /// # Errors
    /// When the path is `mlops.toml`, lies in `.kf`, or is the log key.
    pub(crate) fn output_path(&self, path: &Path) -> Result<PathBuf> {
        let path = self.cwd.join(path);
        let loaded = self.project()?;
        let real = |p: &Path| p.canonicalize().or_else(|_| std::path::absolute(p)).unwrap_or_else(|_| p.to_owned());
        let (wanted, parent) = (real(&path), path.parent().map(real).unwrap_or_default());
        let key = match &loaded.project.signing.log_key {
            Some(SecretRef::File(file)) => Some(real(&loaded.root.join(file))),
            _ => None,
        };
        let own = real(&loaded.root.join(KF_DIR));
        if wanted == real(&loaded.path) || wanted.starts_with(&own) || parent.starts_with(&own) || Some(&wanted) == key.as_ref() {
            return Err(Error::usage(format!("{} is one of kf's own files and is not overwritten", path.display()))
                .hint("name another file for the output"));
        }
        Ok(path)
    }

    /// Writes a file that was asked for, where [`Cx::output_path`] allows it; a dry run only says that it would.
    ///
    /// # Errors
    /// Those of [`Cx::output_path`], and when the file cannot be written.
    pub(crate) fn write_output(&self, path: &Path, text: &str) -> Result<()> {
        let path = self.output_path(path)?;
        if self.global.dry_run {
            self.out.note(&format!("would write {}", path.display()));
            return Ok(());
        }
        atomic::write_file(&path, text.as_bytes(), 0o644)
    }

    /// Where reports go, made sure of before anything is recorded, which cannot be taken back.
    ///
    /// # Errors
    /// When one of them cannot be written.
    pub(crate) fn report_paths(&self, files: &[ReportFile]) -> Result<Vec<PathBuf>> {
        let writable = |file: &ReportFile| {
            let path = self.output_path(&file.path)?;
            atomic::probe(&path).context(|| format!("cannot write the report {}", path.display())).map(|()| path)
        };
        files.iter().map(writable).collect()
    }

    /// Refuses a format that a text of one form, `what`, cannot be printed in. What KF_FORMAT says is meant for reports, and a
    /// text has none.
    ///
    /// # Errors
    /// When another format than those is asked for.
    pub(crate) fn only_formats(&self, what: &str, formats: &[Format]) -> Result<()> {
        let Some(asked) = self.global.format.filter(|f| !formats.contains(f)) else { return Ok(()) };
        if self.env.text(env::KF_FORMAT).is_some_and(|text| text.parse() == Ok(asked)) {
            return Ok(());
        }
        Err(Error::usage(format!("{what} is not printed as {asked}")).hint("leave `--format` out"))
    }

    /// Warns of something in words that others may have chosen.
    pub(crate) fn warn(&self, text: &str) {
        self.out.warn(&clean(&format!("warning: {text}")));
    }

    /// Warns that an engine was not asked, because of what its note says.
    pub(crate) fn tell_of_engine(&self, note: Option<&str>) {
        if let Some(note) = note {
            self.warn(&format!("answered from the state: {note}"));
        }
    }

    /// Opens the state, making it when it is not there; true when it was made now.
    pub(crate) fn init_store(&self) -> Result<(Store, bool)> {
        let dir = self.kf_dir()?;
        std::fs::create_dir_all(&dir).context(|| format!("cannot make {}", dir.display()))?;
        // A new state has an origin of its own, for which no key can exist yet: its first entry is signed later.
        Store::init(self.unsigned_for(self.own_state()?)?)
    }

    /// How many threads to use.
    pub(crate) fn jobs(&self) -> usize {
        self.global.jobs.or_else(|| std::thread::available_parallelism().ok()).map_or(1, usize::from)
    }

    /// How long to wait for another writer.
    pub(crate) fn lock_timeout(&self) -> Result<Duration> {
        Ok(match self.global.lock_timeout {
            Some(given) => given,
            None => self.project()?.project.state.lock_timeout,
        })
    }

    /// Where the state is.
    pub(crate) fn db_target(&self) -> Result<DbTarget> {
        let loaded = self.project()?;
        self.target_of(&loaded.project.state.place)
    }

    /// Where the state is, when it can be the one that the objects belong to: a file without a byte is no new state where objects
    /// are, wherever that is.
    fn own_state(&self) -> Result<DbTarget> {
        let target = self.db_target()?;
        let DbTarget::Sqlite(path) = &target else { return Ok(target) };
        if !std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() == 0) {
            return Ok(target);
        }
        let (objects, mut any) = (self.objects()?, false);
        // One is enough to know.
        let listed = objects.list(&mut |_, _, _| {
            any = true;
            Err(Error::new("one was found"))
        });
        match listed {
            Err(_) if any => Err(emptied(path, &format!("objects of a state lie in {}", objects.describe()))),
            Err(e) => Err(e),
            Ok(()) => Ok(target),
        }
    }

    /// What a place of `state.url` means here.
    pub(crate) fn target_of(&self, place: &StatePlace) -> Result<DbTarget> {
        let root = &self.project()?.root;
        Ok(match place {
            StatePlace::Sqlite(path) => DbTarget::Sqlite(root.join(path)),
            StatePlace::Postgres { url, password, schema } => DbTarget::Postgres(PostgresTarget {
                url: url.clone(),
                password: password.as_ref().map(|p| self.secret(p)).transpose()?,
                schema: schema.clone(),
            }),
        })
    }

    /// Fetches a secret.
    pub(crate) fn secret(&self, reference: &SecretRef) -> Result<Secret> {
        reference.resolve(&self.env, &self.project()?.root)
    }

    /// Whether a secret can be had on this host.
    pub(crate) fn is_there(&self, reference: &SecretRef) -> Result<bool> {
        Ok(reference.is_there(&self.env, &self.project()?.root))
    }

    /// All that opening a state in some place needs, the log key too.
    pub(crate) fn settings_for(&self, target: DbTarget) -> Result<Settings> {
        Ok(Settings { seal: self.seal()?, ..self.unsigned_for(target)? })
    }

    /// The same without the log key.
    fn unsigned_for(&self, target: DbTarget) -> Result<Settings> {
        let loaded = self.project()?;
        Ok(Settings {
            target,
            lock_timeout: self.lock_timeout()?,
            identity: self.identity(&loaded.root),
            clock: Arc::clone(&self.clock),
            random: Arc::clone(&self.random),
            seal: None,
            project: loaded.project.project.name.to_string(),
            copies: loaded.root.join(KF_DIR),
            keys: self.artifact_keys()?,
        })
    }

    /// All that a state in a file needs that is thrown away: it is encrypted for nobody and signed by nobody.
    pub(crate) fn settings_of_scratch(&self, file: &Path) -> Result<Settings> {
        let copies = file.parent().unwrap_or(file).to_owned();
        Ok(Settings { copies, keys: Keys::default(), ..self.unsigned_for(DbTarget::Sqlite(file.to_owned()))? })
    }

    fn seal(&self) -> Result<Option<Box<dyn Seal>>> {
        Ok(self.log_signer()?.map(|s| Box::new(s) as Box<dyn Seal>))
    }

    /// Signs the audit log, when this host has the key. `mlops.toml` is shared, the key is not: a reference to a variable that
    /// is not set or a file that is not there means that this host only appends. A key that cannot be read is an error.
    pub(crate) fn log_signer(&self) -> Result<Option<LogSigner>> {
        if let Some(text) = self.env.text(env::KF_LOG_KEY) {
            return match signer(text).context(|| "KF_LOG_KEY holds no key") {
                Ok(signer) => Ok(Some(signer)),
                Err(e) => {
                    Err(e.kind_of(Kind::Usage).hint("`kf audit key --generate` makes one; its file holds what belongs there"))
                }
            };
        }
        let Some(reference) = &self.project()?.project.signing.log_key else { return Ok(None) };
        if !reference.is_there(&self.env, &self.project()?.root) {
            return Ok(None);
        }
        let secret = self.secret(reference).hint(|| {
            "let this user read the key, or set KF_LOG_KEY; a host where the key is not there at all appends without signing"
                .into()
        })?;
        signer(secret.expose()).context(|| format!("`signing.log-key` ({reference}) holds no key")).map(Some)
    }

    /// The public key of this host, for who only reads: a key that cannot be had is as good as none, and a warning says so.
    ///
    /// # Errors
    /// When KF_LOG_KEY is set to something that is no key.
    pub(crate) fn log_verifier(&self) -> Result<Option<VerifierKey>> {
        match self.log_signer() {
            Ok(signer) => Ok(signer.map(|s| s.key().public().clone())),
            Err(e) if e.kind() == Kind::Usage => Err(e),
            Err(e) => {
                self.out.note(&clean(&format!("warning: the log key of this host is left aside: {e}")));
                Ok(None)
            }
        }
    }

    /// Who runs this.
    pub(crate) fn who(&self) -> Result<Identity> {
        Ok(self.identity(&self.project()?.root))
    }

    /// Who acts: `--as`, then the job of a CI system, then Git's e-mail, then the user of the machine.
    fn identity(&self, root: &Path) -> Identity {
        let text = |name: &str| self.env.text(name).map(str::to_owned);
        let host = text("HOSTNAME").or_else(hostname).unwrap_or_else(|| "unknown".into());
        if let Some(name) = &self.global.actor {
            return Identity { kind: "user".into(), name: name.clone(), host };
        }
        if text(env::GITHUB_ACTIONS).as_deref() == Some("true") {
            let workflow = text("GITHUB_WORKFLOW").unwrap_or_else(|| "workflow".into());
            let actor = text("GITHUB_ACTOR").unwrap_or_else(|| "github".into());
            return Identity { kind: "ci".into(), name: format!("{actor} ({workflow})"), host };
        }
        let email = git::user_email(root).ok().flatten();
        let name = email.or_else(|| text(env::USER)).or_else(|| text("LOGNAME")).unwrap_or_else(|| "unknown".into());
        Identity { kind: "user".into(), name, host }
    }

    /// The certificates of a private CA, as the AWS tools are told them.
    fn ca_bundle(&self) -> Result<Option<Vec<u8>>> {
        let Some(path) = self.env.text("AWS_CA_BUNDLE") else { return Ok(None) };
        std::fs::read(path).context(|| format!("cannot read AWS_CA_BUNDLE {path}")).map(Some)
    }

    /// The object store.
    pub(crate) fn objects(&self) -> Result<Objects> {
        let loaded = self.project()?;
        self.objects_at(&loaded.project.artifacts.place)
    }

    /// An object store for the same objects in another place, encrypted as `artifacts.encrypt` says.
    pub(crate) fn objects_at(&self, place: &Artifacts) -> Result<Objects> {
        Ok(self.objects_of(place)?.encrypted(self.artifact_keys()?))
    }

    /// Whom objects, names and reasons are encrypted for, and what reads them.
    fn artifact_keys(&self) -> Result<Keys> {
        let loaded = self.project()?;
        let kept = &loaded.project.artifacts;
        let identity = kept.identity.clone().map(|reference| -> Fetch {
            let (env, root) = (self.env.clone(), loaded.root.clone());
            Box::new(move || reference.resolve(&env, &root))
        });
        Keys::new(&kept.encrypt, identity)
    }

    /// An object store in a place such as `artifacts.url` names, which encrypts nothing itself.
    pub(crate) fn objects_of(&self, place: &Artifacts) -> Result<Objects> {
        let root = &self.project()?.root;
        match place {
            Artifacts::Local(path) => Objects::files(&root.join(path)),
            Artifacts::S3(s3) => Objects::open(&format!("s3://{}/{}", s3.bucket, s3.prefix), &self.remote_options(Some(s3))?),
            Artifacts::Gcs { bucket, prefix } => Objects::open(&format!("gs://{bucket}/{prefix}"), &RemoteOptions::default()),
            Artifacts::Azure { container, prefix } => {
                Objects::open(&format!("az://{container}/{prefix}"), &RemoteOptions::default())
            }
        }
    }

    /// The same where objects are locked.
    pub(crate) fn locked_objects_of(&self, place: &Artifacts) -> Result<Objects> {
        let Artifacts::S3(s3) = place else { return self.objects_of(place) };
        let options = RemoteOptions { locks: true, ..self.remote_options(Some(s3))? };
        Objects::open(&format!("s3://{}/{}", s3.bucket, s3.prefix), &options)
    }

    /// How objects outside of this machine are reached: what `[artifacts]` says of S3, and the `AWS_*` variables for what it does
    /// not say.
    fn remote_options(&self, s3: Option<&S3>) -> Result<RemoteOptions> {
        let named = |key: &str| self.env.text(key).map(str::to_owned);
        let keys = match s3.and_then(|s3| s3.keys.as_ref()) {
            Some((access, secret)) => Some((self.secret(access)?, self.secret(secret)?)),
            None => None,
        };
        let endpoint = s3.and_then(|s3| s3.endpoint.clone());
        let from_env = named("AWS_ENDPOINT_URL_S3").or_else(|| named("AWS_ENDPOINT_URL"));
        // Whoever sets an endpoint without TLS in the environment means it, as with the AWS tools.
        let plain = endpoint.is_none() && from_env.as_ref().is_some_and(|e| e.starts_with("http://"));
        let region = s3.and_then(|s3| s3.region.clone());
        Ok(RemoteOptions {
            endpoint: endpoint.or(from_env),
            region: region.or_else(|| named("AWS_REGION")).or_else(|| named("AWS_DEFAULT_REGION")),
            access_key: keys.as_ref().map(|(a, _)| a.clone()).or_else(|| self.env.secret("AWS_ACCESS_KEY_ID")),
            secret_key: keys.as_ref().map(|(_, s)| s.clone()).or_else(|| self.env.secret("AWS_SECRET_ACCESS_KEY")),
            session_token: if keys.is_some() { None } else { self.env.secret("AWS_SESSION_TOKEN") },
            allow_http: s3.is_some_and(|s3| s3.allow_http) || plain,
            ca_pem: self.ca_bundle()?,
            locks: false,
            timeout: s3.map(|s3| s3.timeout),
        })
    }

    /// A table of data: a file below `root`, or an object by its address, such as `s3://bucket/key`.
    ///
    /// # Errors
    /// When an object cannot be read.
    pub(crate) fn data_input(&self, root: &Path, named: &Path) -> Result<Input> {
        let Some(url) = named.to_str().filter(|text| text.contains("://")) else { return Ok(Input::file(&root.join(named))) };
        let s3 = match &self.project()?.project.artifacts.place {
            Artifacts::S3(s3) => Some(s3),
            _ => None,
        };
        Input::object(url, &self.remote_options(s3)?)
    }

    /// The rows of a query; the path of a file begins at `root`.
    ///
    /// # Errors
    /// When the address of the database is a secret that cannot be fetched, or is no address.
    pub(crate) fn data_query(&self, root: &Path, source: &DataSource, sql: &str) -> Result<Input> {
        let place = match source {
            DataSource::Sqlite(path) => Foreign::Sqlite(root.join(path)),
            DataSource::Postgres(url) => Foreign::Postgres(Secret::new(url.clone())),
            DataSource::Kept(reference) => Foreign::of_address(self.secret(reference)?, root).ok_or_else(|| {
                Error::new(format!("the secret `{reference}` is no address of a database"))
                    .hint("put `postgres://USER:PASSWORD@HOST/DATABASE` or `sqlite:PATH` into it")
            })?,
        };
        Ok(Input::query(place, sql))
    }
}

fn start(global: &Global, env: &Env) -> Result<(PathBuf, Clock)> {
    let here = std::env::current_dir().context(|| "cannot find the current directory")?;
    let cwd = config::start(global.dir.as_deref(), env, &here);
    if !cwd.is_dir() {
        return Err(Error::usage(format!("there is no folder {}", cwd.display())).hint("check `-C` and KF_DIR"));
    }
    let clock = match env.text(env::KF_CLOCK) {
        Some(text) => Clock::stepping(text.parse().context(|| "KF_CLOCK is not a time").map_err(|e| e.kind_of(Kind::Usage))?),
        None => Clock::System,
    };
    Ok((cwd, clock))
}

fn signer(text: &str) -> Result<LogSigner> {
    SignerKey::parse(text.trim()).map(LogSigner::new).context(|| "this is not a log key")
}

fn hostname() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|n| !n.is_empty())
}
