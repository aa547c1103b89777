//! Secrets by reference: `env:NAME` or `file:PATH` in `mlops.toml`, the secret itself only in memory and only when needed.
//!
//! Invariant: no error, `Debug` or `Display` here contains a secret, nor a text that was meant to be one.

use super::env::Env;
use crate::base::error::{Context, Error, Result};
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::str::FromStr;

/// The largest file that is read as a secret, in bytes.
const FILE_MAX: u64 = 64 * 1024;

/// Where a secret is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// In the environment variable of this name.
    Env(String),
    /// In this file, relative to the repository; one line end at its end is not part of the secret.
    File(String),
}

/// A secret. It has no `Display` and no serialisation, and its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret that was fetched from elsewhere.
    pub fn new(secret: String) -> Self {
        Self(secret)
    }

    /// The secret itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The text is not a reference to a secret. It does not say which text: that may be the secret.
#[derive(Debug, PartialEq, Eq)]
pub struct NotASecretRef;

impl fmt::Display for NotASecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is not a reference to a secret: expected `env:NAME` or `file:PATH`")
    }
}

impl std::error::Error for NotASecretRef {}

impl FromStr for SecretRef {
    type Err = NotASecretRef;
    fn from_str(s: &str) -> Result<Self, NotASecretRef> {
        if let Some(name) = s.strip_prefix("env:") {
            let fits = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            return fits.then(|| Self::Env(name.to_owned())).ok_or(NotASecretRef);
        }
        let path = s.strip_prefix("file:").ok_or(NotASecretRef)?;
        let fits = !path.is_empty() && !path.contains(char::is_control);
        fits.then(|| Self::File(path.to_owned())).ok_or(NotASecretRef)
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{path}"),
        }
    }
}

impl SecretRef {
    /// True when the variable is set, or the file is there; what is in it is not looked at.
    pub fn is_there(&self, env: &Env, root: &Path) -> bool {
        match self {
            Self::Env(name) => env.is_set(name),
            Self::File(path) => root.join(path).symlink_metadata().is_ok(),
        }
    }

    /// Fetches the secret; `root` is the repository, which a relative file is looked for in.
    ///
    /// # Errors
    /// When the variable is not set, or the file cannot be read, is larger than 64 KiB or is not text, or the secret is empty.
    pub fn resolve(&self, env: &Env, root: &Path) -> Result<Secret> {
        let text = match self {
            Self::Env(name) => env.text(name).map(str::to_owned).ok_or_else(|| unset(env, name))?,
            Self::File(path) => read(&root.join(path)).context(|| format!("cannot read the secret `{self}`"))?,
        };
        if text.is_empty() {
            return Err(Error::new(format!("the secret `{self}` is empty")));
        }
        Ok(Secret(text))
    }
}

fn unset(env: &Env, name: &str) -> Error {
    if env.is_set(name) {
        return Error::new(format!("the secret `env:{name}` is not UTF-8"));
    }
    Error::new(format!("the secret `env:{name}` is not set")).hint(format!("set it: `export {name}=…`"))
}

fn read(path: &Path) -> Result<String> {
    let mut text = String::new();
    let file = File::open(path).context(|| format!("cannot open `{}`", path.display()))?;
    file.take(FILE_MAX + 1).read_to_string(&mut text).context(|| format!("cannot read `{}`", path.display()))?;
    if text.len() as u64 > FILE_MAX {
        return Err(Error::new(format!("`{}` is larger than {} KiB", path.display(), FILE_MAX / 1024)));
    }
    let end = text.strip_suffix('\n').map_or(text.len(), |t| t.strip_suffix('\r').unwrap_or(t).len());
    text.truncate(end);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_secret_that_is_nowhere_is_told_from_one_that_cannot_be_read() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("key"), "").expect("a file");
        let env = Env::new([("TOKEN", "hunter2"), ("EMPTY", "")]);
        let there = |r: &str| r.parse::<SecretRef>().expect(r).is_there(&env, dir.path());
        assert_eq!(["env:TOKEN", "env:EMPTY", "file:key", "file:."].map(there), [true, false, true, true]);
        assert_eq!(["env:NOPE", "file:nope"].map(there), [false, false]);
    }

    fn resolve(reference: &str, root: &Path) -> Result<Secret> {
        let env = Env::new([("TOKEN", "hunter2"), ("EMPTY", "")]);
        reference.parse::<SecretRef>().expect(reference).resolve(&env, root)
    }

    #[test]
    fn secrets_come_from_variables_and_files() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("key"), "hunter3\r\n").expect("written");
        let check = |reference: &str, secret: &str| {
            assert_eq!(resolve(reference, dir.path()).expect(reference).expose(), secret);
        };
        check("env:TOKEN", "hunter2");
        check("file:key", "hunter3");
        check(&format!("file:{}", dir.path().join("key").display()), "hunter3");
    }

    #[test]
    fn what_is_missing_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("empty"), "\n").expect("written");
        std::fs::write(dir.path().join("large"), "x".repeat(70_000)).expect("written");
        std::fs::write(dir.path().join("binary"), [0xff, 0xfe]).expect("written");
        let check = |reference: &str, why: &str| {
            let e = resolve(reference, dir.path()).expect_err(reference);
            assert!(e.to_string().contains(why), "{e}");
        };
        check("env:NOPE", "the secret `env:NOPE` is not set");
        check("env:EMPTY", "the secret `env:EMPTY` is not set");
        check("file:nope", "cannot read the secret `file:nope`: cannot open");
        check("file:empty", "the secret `file:empty` is empty");
        check("file:large", "larger than 64 KiB");
        check("file:binary", "cannot read");
    }

    #[test]
    fn debug_shows_nothing() {
        let secret = resolve("env:TOKEN", Path::new(".")).expect("a secret");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "*** Some(***)");
    }

    proptest! {
        #[test]
        fn a_refused_text_is_never_repeated(text in "[a-z0-9]{8,20}") {
            prop_assert!(!text.parse::<SecretRef>().expect_err("a literal").to_string().contains(&text));
        }

        #[test]
        fn a_reference_reads_back(text in "(env:[A-Za-z_][A-Za-z0-9_]{0,9}|file:[a-z/. é]{1,20})") {
            prop_assert_eq!(text.parse::<SecretRef>().expect("a reference").to_string(), text);
        }
    }
}
