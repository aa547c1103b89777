//! Where data is that is in no file: a database, and no secret; a collection of the index.
//!
//! Invariant: no text that is refused here, and no `Display`, shows a password.

use super::check::sounds_secret;
use super::diag::Diagnostic;
use super::secret::SecretRef;
use super::shape::{Leaf, Walk};
use crate::base::name::{BadName, Name};
use serde_json::{Value, json};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use toml::Spanned;
use toml::de::DeValue;

/// What a database can be, for messages.
const FORMS: &str = "`sqlite:PATH`, `postgres://USER@HOST/DATABASE`, or `env:NAME` where one of these is kept";

/// What stands before the name of a collection where files of data are named.
const INDEX: &str = "index:";

/// The collection of `index:NAME`, whose chunks are the data; `None` for everything else, which is the path of a file.
pub fn indexed(text: &str) -> Option<Result<Name, BadName>> {
    text.strip_prefix(INDEX).map(str::parse)
}

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataSource {
    /// An SQLite file; a relative path begins at the repository in `mlops.toml`, at the folder of the command on the command line.
    Sqlite(PathBuf),
    /// A PostgreSQL database: `postgres://…`, without a password.
    Postgres(String),
    /// Where one of these is kept that is a secret, because of the password in it.
    Kept(SecretRef),
}

/// Why a text is no database. It does not hold the text: that may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotASource {
    /// It is something else.
    Other,
    /// It holds a password.
    Secret,
}

impl fmt::Display for NotASource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other => write!(f, "this is no database: expected {FORMS}"),
            Self::Secret => f.write_str("this holds a secret: keep the whole address in a variable and write `env:NAME`"),
        }
    }
}

impl std::error::Error for NotASource {}

impl FromStr for DataSource {
    type Err = NotASource;
    fn from_str(text: &str) -> Result<Self, NotASource> {
        if let Ok(secret) = text.parse() {
            return Ok(Self::Kept(secret));
        }
        if let Some(path) = text.strip_prefix("sqlite:") {
            let fits = !path.is_empty() && !path.contains(char::is_control);
            return fits.then(|| Self::Sqlite(path.into())).ok_or(NotASource::Other);
        }
        let url = url::Url::parse(text).map_err(|_| NotASource::Other)?;
        if !matches!(url.scheme(), "postgres" | "postgresql") || url.host_str().is_none_or(str::is_empty) {
            return Err(NotASource::Other);
        }
        let secret = url.password().is_some() || url.query_pairs().any(|(key, _)| sounds_secret(&key));
        if secret { Err(NotASource::Secret) } else { Ok(Self::Postgres(text.to_owned())) }
    }
}

impl fmt::Display for DataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => f.write_str(url),
            Self::Kept(secret) => secret.fmt(f),
        }
    }
}

impl Leaf for DataSource {
    fn read(value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>) -> Option<Self> {
        let spot = walk.spot(value.span());
        let Some(text) = value.get_ref().as_str() else {
            walk.wrong_type(value, "the place of a database");
            return None;
        };
        let refused = match text.parse() {
            Ok(source) => return Some(source),
            Err(refused) => refused,
        };
        // Whatever is wrong with it, a password in it is not for the screen.
        walk.diags.hide(&spot);
        let key = walk.path.join(".");
        let (title, help) = match refused {
            NotASource::Other => (format!("`{key}` is no database"), format!("write {FORMS}")),
            NotASource::Secret => {
                (format!("`{key}` holds a secret"), "keep the whole address in a variable and write `env:NAME`".to_owned())
            }
        };
        walk.diags.add(Diagnostic::new(title).at(&spot).help(help));
        None
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^(sqlite:.+|postgres(ql)?://.+|env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$" })
    }

    fn json(&self) -> Value {
        json!(self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_named_without_its_password() {
        for text in ["sqlite:data/shop.db", "postgres://reader@db:5433/shop?sslmode=require", "env:WAREHOUSE", "file:/run/db"] {
            assert_eq!(text.parse::<DataSource>().map(|s| s.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "sqlite:", "shop.db", "mysql://db/shop", "postgres:///shop", "env:A B", "postgres://"] {
            assert_eq!(text.parse::<DataSource>(), Err(NotASource::Other), "{text}");
        }
        for text in ["postgres://reader:hunter2@db/shop", "postgresql://db/shop?password=hunter2"] {
            let refused = text.parse::<DataSource>().expect_err(text);
            assert!(refused == NotASource::Secret && !refused.to_string().contains("hunter2"));
        }
    }
}
