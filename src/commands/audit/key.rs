//! `kf audit key`: the public key of the log, and a new private one.

use crate::adapters::git;
use crate::base::error::{Context, Error, Result};
use crate::base::event::{Event, Resource};
use crate::base::exit::Exit;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::config::env;
use crate::domain::audit::key::SignerKey;
use crate::store::signing::KEY_GENERATED;
use crate::store::{Mode, log};
use serde::Serialize;
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Print the public key that checks the signatures of the log, or make a new key
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf audit key                  the public key, to be given to whoever checks the log\n  kf audit key --generate       a new key in ~/.config/kf/keys\n\nThe private key belongs outside the state and outside Git: one that is written into a work tree is added to .gitignore. Hosts without it append, a host with it signs."
)]
pub(crate) struct Args {
    /// Make a new key for this log
    #[arg(long)]
    generate: bool,
    /// Write the new private key to this file
    #[arg(long, value_name = "FILE", requires = "generate")]
    out: Option<PathBuf>,
}

#[derive(Serialize)]
struct Key {
    origin: String,
    key: String,
    /// Where the new private key is.
    file: Option<PathBuf>,
    /// The `.gitignore` that keeps it out of Git since now.
    gitignore: Option<PathBuf>,
}

impl Report for Key {
    const SCHEMA: &'static str = "kf.audit-key/1";

    fn blocks(&self) -> Vec<Block> {
        let Some(file) = &self.file else { return vec![Block::Verbatim(self.key.clone())] };
        let ignored = self.gitignore.as_ref().map(|g| format!(" {} keeps it out of Git.", g.display())).unwrap_or_default();
        vec![
            format!(
                "The private key is in {}; only you can read it. Keep a copy where the state is not.{ignored}",
                file.display()
            )
            .into(),
            "This host signs the log when mlops.toml says:".into(),
            Block::Verbatim(format!("[signing]\nlog-key = {:?}", format!("file:{}", file.display()))),
            "Give the public key to whoever checks the log:".into(),
            Block::Verbatim(self.key.clone()),
        ]
    }

    fn summary(&self) -> String {
        format!("the public key of {} is {}", self.origin, self.key)
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        vec![("key", self.key.clone())]
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    if args.generate {
        return cx.out.emit(&generate(cx, args.out.as_deref())?);
    }
    let signer = cx.log_signer()?.ok_or_else(|| {
        Error::new("this host has no key for the audit log").hint(
            "put it where `signing.log-key` in mlops.toml says, or set KF_LOG_KEY, or make a key with `kf audit key --generate`",
        )
    })?;
    let key = signer.key().public();
    cx.out.emit(&Key { origin: key.name().to_owned(), key: key.to_string(), file: None, gitignore: None })
}

fn generate(cx: &Cx, out: Option<&Path>) -> Result<Key> {
    // A configured key of another log must not stand in the way of making the right one.
    let store = cx.store_unsigned(Mode::Write)?;
    let origin = store.read(|view| Ok(log::head(view.db())?.origin))?;
    let path = match out {
        Some(path) => cx.cwd.join(path),
        None => default_path(cx, &origin)?,
    };
    let key = SignerKey::generate(&origin)?;
    let public = key.public().to_string();
    let mut gitignore = None;
    if !cx.global.dry_run {
        // Before the key is there, so that no `git add .` ever sees it.
        gitignore = git::ignore_file(&path, &cx.project()?.root)?;
        write(&path, &key.secret_text())?;
    }
    let event = Event::new(KEY_GENERATED, Resource::new("log-key", &origin)).with("key", public.clone());
    let recorded = store.write(|tx| Ok(tx.record(event)));
    if recorded.is_err() && !cx.global.dry_run {
        // A key that nobody was told of must not lie around; if it does, the error is still the first one.
        let _ = std::fs::remove_file(&path);
    }
    recorded?;
    let root = &cx.project()?.root;
    let (file, gitignore) = (Some(within(root, &path)), gitignore.map(|g| within(root, &g)));
    Ok(Key { origin, key: public, file, gitignore })
}

/// The path as `mlops.toml` may name it: relative to the repository when it is inside, as the repository may be moved.
fn within(root: &Path, path: &Path) -> PathBuf {
    let real = |p: &Path| p.canonicalize().or_else(|_| std::path::absolute(p)).unwrap_or_else(|_| p.to_owned());
    let path = real(path);
    path.strip_prefix(real(root)).map(Path::to_owned).unwrap_or(path)
}

/// `~/.config/kf/keys/ORIGIN.key`, with `-` for `/`.
fn default_path(cx: &Cx, origin: &str) -> Result<PathBuf> {
    let home = cx.env.os(env::HOME).ok_or_else(|| {
        Error::new("there is no home directory to put the key in: HOME is not set").hint("name a file with `--out FILE`")
    })?;
    Ok(Path::new(home).join(".config/kf/keys").join(format!("{}.key", origin.replace('/', "-"))))
}

/// Writes a file that only its owner can read; one that is there is never overwritten.
fn write(path: &Path, secret: &str) -> Result<()> {
    let what = || format!("cannot write the key to {}", path.display());
    if let Some(dir) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).context(what)?;
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .context(what)
        .hint(|| "choose another file with `--out FILE`; a key that is there is never overwritten".into())?;
    writeln!(file, "{secret}").and_then(|()| file.sync_all()).context(what)
}
