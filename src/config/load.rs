//! Finds the repository, reads `mlops.toml`, lays the layers over each other, and remembers where each value came from.

use super::check::Vocabulary;
use super::diag::{Diagnostic, Diags, Source, Spot};
use super::env::{self, Env};
use super::schema::{Project, Raw, check};
use super::secret::SecretRef;
use super::shape::{At, Entry, Layer, Leaf, Part as _, Table as _, Tables, Walk, shown, walk_table};
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::name::Name;
use crate::base::text::{did_you_mean, ellipsis};
use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The name of the file that makes a directory a repository.
pub const FILE_NAME: &str = "mlops.toml";

/// The largest `mlops.toml` that is read, in bytes.
const FILE_MAX: usize = 1024 * 1024;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Kf's own default.
    BuiltIn,
    /// `mlops.toml`.
    File {
        /// The line of the value, from 1.
        line: usize,
    },
    /// The chosen profile of `mlops.toml`.
    Profile {
        /// The profile.
        name: Name,
        /// The line of the value, from 1.
        line: usize,
    },
    /// An environment variable.
    Env(&'static str),
    /// An option of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.pad("built-in"),
            Self::File { line } => f.pad(&format!("{FILE_NAME}:{line}")),
            Self::Profile { name, line } => f.pad(&format!("{FILE_NAME}:{line} [profile.{name}]")),
            Self::Env(name) => f.pad(&format!("${name}")),
            Self::Flag(name) => f.pad(name),
        }
    }
}

/// One value in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its key with the tables before it, such as `gates.faithful.min`.
    pub key: String,
    /// The value as text; a secret only as its reference.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// A problem that a domain finds in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key that it is about, such as `gates.faithful.metric`, or a table.
    pub key: String,
    /// The word within the value that it is about, when the value is a list of several.
    pub word: Option<String>,
    /// What is wrong: a fragment in lower case.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A configuration that holds, and where it came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it means.
    pub project: Project,
    /// Every value in force, in the order of the schema; what has neither a value nor a default is not in it.
    pub origins: Vec<Setting>,
    /// The repository: the directory of `mlops.toml`.
    pub root: PathBuf,
    /// `mlops.toml`.
    pub path: PathBuf,
    /// Its text, without a byte order mark.
    pub text: String,
    /// The chosen profile and who chose it.
    pub profile: Option<(Name, Origin)>,
    /// The profiles that the file has.
    pub profiles: Vec<Name>,
    entries: Vec<Entry>,
    diags: Diags,
}

impl Loaded {
    /// Shows problems that a domain found, all at once, each with the words in question underlined.
    ///
    /// # Errors
    /// When there is at least one problem.
    pub fn report(&self, problems: &[Problem]) -> Result<()> {
        let mut diags = self.diags.clone();
        for problem in problems {
            let below = format!("{}.", problem.key);
            let exact = self.entries.iter().find(|e| e.key == problem.key);
            let entry = exact.or_else(|| self.entries.iter().find(|e| e.key.starts_with(&below) && e.layer > Layer::BuiltIn));
            let shown = Diagnostic::new(format!("`{}`: {}", problem.key, problem.message)).help_if(problem.hint.clone());
            diags.add(match entry {
                Some(entry) => shown.at(&self.diags.word(&entry.spot, problem.word.as_deref())),
                None => shown,
            });
        }
        diags.finish()
    }
}

/// The directory to look for a repository from: `-C DIR`, else `KF_DIR`, else where we are; relative ones from where we are.
pub fn start(flag: Option<&Path>, env: &Env, here: &Path) -> PathBuf {
    let named = flag.or_else(|| env.os(env::KF_DIR).map(Path::new));
    named.map_or_else(|| here.to_path_buf(), |dir| here.join(dir))
}

/// The repository that a directory is in: the nearest one at or above it with an `mlops.toml`. Where no such file is, one that is
/// something else counts, so that loading says what it is.
pub fn discover(start: &Path) -> Option<PathBuf> {
    let start = start.canonicalize().ok()?;
    let nearest = |is: &dyn Fn(&Path) -> bool| start.ancestors().find(|dir| is(&dir.join(FILE_NAME))).map(Path::to_path_buf);
    nearest(&Path::is_file).or_else(|| nearest(&|path| path.symlink_metadata().is_ok()))
}

/// Finds the repository that `dir` is in and loads its configuration. `profile` is that of `--profile`.
///
/// # Errors
/// When there is no repository, or `mlops.toml` cannot be read, is larger than 1 MiB or not UTF-8, or says something wrong.
pub fn load(dir: &Path, env: &Env, profile: Option<&str>, vocabulary: &Vocabulary<'_>) -> Result<Loaded> {
    let root = discover(dir).ok_or_else(|| no_repository(dir))?;
    let path = root.join(FILE_NAME);
    let text = read(&path)?;
    parse(&text, &path, env, profile, vocabulary)
}

fn no_repository(dir: &Path) -> Error {
    if !dir.is_dir() {
        return Error::of(Kind::NoRepository, format!("there is no directory `{}`", dir.display()));
    }
    let message = format!("no `{FILE_NAME}` in `{}` or in a directory above it", dir.display());
    Error::of(Kind::NoRepository, message).hint("`kf init` makes one here, `-C DIR` looks elsewhere")
}

fn read(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    // Asked before it is opened: opening a pipe would wait for its writer.
    let what = match path.metadata() {
        Ok(found) if found.is_file() => None,
        Ok(found) => Some(if found.is_dir() { "is a directory".to_owned() } else { "is not a regular file".to_owned() }),
        Err(e) if path.is_symlink() => Some(format!("is a link that leads nowhere: {e}")),
        Err(_) => None,
    };
    if let Some(what) = what {
        return Err(Error::usage(format!("`{}` {what}", path.display())).hint("move it away; `kf init` writes a new one"));
    }
    let file = File::open(path)
        .context(|| format!("cannot open `{}`", path.display()))
        .hint(|| "check who may read it with `ls -l`".to_owned())?;
    file.take(FILE_MAX as u64 + 1).read_to_end(&mut bytes).context(|| format!("cannot read `{}`", path.display()))?;
    if bytes.len() > FILE_MAX {
        let error = Error::usage(format!("`{}` is larger than 1 MiB", path.display()));
        return Err(error.hint("keep data in files of their own and name their paths"));
    }
    String::from_utf8(bytes).map_err(|e| {
        let valid = e.utf8_error().valid_up_to();
        let line = e.as_bytes()[..valid].iter().filter(|b| **b == b'\n').count() + 1;
        let message = format!("`{}` is not UTF-8: line {line}, byte {valid} of the file", path.display());
        Error::usage(message).hint("save it as UTF-8")
    })
}

/// Loads a configuration from its text; `path` is where it is said to stand.
///
/// # Errors
/// When the text or a variable says something wrong; the error shows every problem.
pub fn parse(text: &str, path: &Path, env: &Env, profile: Option<&str>, vocabulary: &Vocabulary<'_>) -> Result<Loaded> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut diags = Diags::new(&path.display().to_string(), text);
    let (base, profiles) = walk(text, &mut diags)?;
    let names: Vec<Name> = profiles.0.iter().map(|p| p.name.clone()).collect();
    let chosen = choose(&profiles, env, profile, &mut diags);
    let mut raw = match &chosen {
        Some((name, _)) => {
            let profile = profiles.0.into_iter().find(|p| p.name == *name).map(|p| p.body);
            profile.unwrap_or_default().over(base)
        }
        None => base,
    };
    apply(env, &mut raw, &mut diags);
    let project = check(&raw, vocabulary, &mut diags);
    diags.finish()?;
    let project = project.ok_or_else(|| Error::of(Kind::Bug, "a configuration without problems has no meaning"))?;
    let mut entries = Vec::new();
    raw.list("", &mut entries);
    let origins = entries.iter().map(|entry| setting(entry, chosen.as_ref().map(|c| &c.0), &diags)).collect();
    let root = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let (path, text) = (path.to_path_buf(), text.to_owned());
    Ok(Loaded { project, origins, root, path, text, profile: chosen, profiles: names, entries, diags })
}

/// Reads the text into the layers of the file. What is no TOML at all ends here, with every syntax error on its line.
fn walk(text: &str, diags: &mut Diags) -> Result<(Raw, Tables<Raw>)> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut last = None;
    for error in &errors {
        let spot = Spot { source: Source::File, span: error.span().unwrap_or(0..0) };
        let line = diags.line(&spot);
        // What follows an error on the same line is mostly its echo.
        if last != Some(line) {
            diags.add(Diagnostic::new(format!("not TOML: {}", ellipsis(error.message(), 200))).at(&spot));
        }
        last = Some(line);
    }
    diags.finish()?;
    let mut base = Raw::default();
    let mut walk = Walk { diags, layer: Layer::File, source: Source::File, path: Vec::new() };
    walk_table(&mut base, document.get_ref(), &["profile"], &mut walk);
    let mut profiles = Tables::default();
    walk.layer = Layer::Profile;
    walk.path.push("profile".to_owned());
    if let Some((key, value)) = document.get_ref().iter().find(|(key, _)| key.get_ref() == "profile") {
        profiles.accept(walk.spot(key.span()), value, &mut walk);
    }
    Ok((base, profiles))
}

/// The profile that the command line or the environment asks for.
fn choose(profiles: &Tables<Raw>, env: &Env, flag: Option<&str>, diags: &mut Diags) -> Option<(Name, Origin)> {
    let (wanted, origin, spot) = match flag {
        Some(flag) => (flag, Origin::Flag("--profile"), None),
        None => {
            let (text, spot) = text_of(env, env::KF_PROFILE, diags)?;
            (text, Origin::Env(env::KF_PROFILE), Some(spot))
        }
    };
    if let Some(profile) = profiles.get(wanted) {
        return Some((profile.name.clone(), origin));
    }
    let hint = did_you_mean(wanted, profiles.names()).unwrap_or_else(|| format!("`{FILE_NAME}` has no `[profile.NAME]`"));
    let problem = Diagnostic::new(format!("there is no profile `{}`", shown(wanted))).help(hint);
    diags.add(match spot {
        Some(spot) => problem.at(&spot),
        None => problem,
    });
    None
}

/// A variable that is set, and its place; what is not UTF-8 is reported.
fn text_of<'e>(env: &'e Env, name: &'static str, diags: &mut Diags) -> Option<(&'e str, Spot)> {
    let set = env.os(name)?;
    let Some(text) = set.to_str() else {
        diags.add(Diagnostic::new(format!("the environment variable `{name}` is not UTF-8")));
        return None;
    };
    Some((text, diags.env_source(name, text)))
}

/// Lays the environment over the file.
fn apply(env: &Env, raw: &mut Raw, diags: &mut Diags) {
    over(&mut raw.state.body.url, env, env::KF_STATE_URL, "state.url", diags);
    over(&mut raw.state.body.lock_timeout, env, env::KF_LOCK_TIMEOUT, "state.lock-timeout", diags);
    over(&mut raw.artifacts.body.url, env, env::KF_ARTIFACTS_URL, "artifacts.url", diags);
    if env.is_set(env::KF_LOG_KEY) {
        // The variable holds the key itself, so its text goes nowhere: what stands in the settings is a reference to it.
        let value = SecretRef::Env(env::KF_LOG_KEY.to_owned());
        let spot = Spot { source: Source::Env(env::KF_LOG_KEY), span: 0..0 };
        raw.signing.body.log_key = Some(At { value, key: spot.clone(), spot, layer: Layer::Env });
    }
}

fn over<T: Leaf>(slot: &mut At<T>, env: &Env, name: &'static str, key: &str, diags: &mut Diags) {
    let Some((text, spot)) = text_of(env, name, diags) else { return };
    let value = Spanned::new(spot.span.clone(), DeValue::String(Cow::Borrowed(text)));
    let mut walk = Walk { diags, layer: Layer::Env, source: spot.source, path: vec![key.to_owned()] };
    slot.accept(spot, &value, &mut walk);
}

fn setting(entry: &Entry, profile: Option<&Name>, diags: &Diags) -> Setting {
    let line = diags.line(&entry.spot).unwrap_or(1);
    let origin = match (entry.layer, entry.spot.source, profile) {
        (_, Source::Env(name), _) => Origin::Env(name),
        (Layer::BuiltIn, ..) => Origin::BuiltIn,
        (Layer::Profile, _, Some(name)) => Origin::Profile { name: name.clone(), line },
        _ => Origin::File { line },
    };
    Setting { key: entry.key.clone(), value: entry.value.clone(), origin }
}
