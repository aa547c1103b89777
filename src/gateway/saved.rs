//! What a gateway must know when it starts again: `.kf/gateway/TARGET.json`, written before a change is answered.
//!
//! Invariants: the file is there whole or not at all, the new one or the one before (`store::objects::atomic`); one that cannot be
//! read is set aside and told of, because users must be served; one of a newer kf is refused instead, because it means something.

use super::table::Table;
use crate::base::error::{Context, Error, Result};
use crate::base::name::Name;
use crate::seams::routes::Blown;
use crate::seams::traffic::Arm;
use crate::store::objects::atomic::write_file;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The form of the file.
const SCHEMA: &str = "kf.gateway-state/1";
/// What the name of the form begins with, whatever its number.
const FORM: &str = "kf.gateway-state/";

/// What a gateway routed by when it ended, and what answered there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saved {
    schema: String,
    /// What it routed by.
    pub(super) table: Table,
    /// The versions that it had answer.
    pub(super) versions: Vec<Arm>,
    /// What served before what serves now, whose files are kept, so that it can come back when the state cannot be asked for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<Arm>,
    /// Why the canary gets nothing, when the gateway took it out by itself; until the next order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fuse: Option<Blown>,
}

/// What was found at the place of the file.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// No file.
    Nothing,
    /// One that says what was.
    State(Box<Saved>),
    /// One that says nothing of use, and why; it lies beside its place now.
    SetAside(String),
}

impl Saved {
    /// What is to be kept.
    pub(super) fn new(table: Table, versions: Vec<Arm>) -> Self {
        Self { schema: SCHEMA.to_owned(), table, versions, previous: None, fuse: None }
    }

    /// Reads the file of a gateway for `model`.
    ///
    /// # Errors
    /// When it cannot be read, is one of a newer kf, or cannot be set aside.
    pub(super) fn read(path: &Path, model: &Name) -> Result<Found> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(e) => return Err(e).context(|| format!("cannot read {}", path.display())),
        };
        let why = match parsed(&bytes) {
            Ok(saved) if saved.table.model == *model => return Ok(Found::State(Box::new(saved))),
            Ok(saved) => format!("it is of the model {}, and this gateway serves {model}", saved.table.model),
            Err(Unfit::Newer(form)) => {
                return Err(Error::new(format!("{} has the form {form}, which this kf does not know", path.display()))
                    .hint("use the kf that wrote it, or move the file away to start from what is in production"));
            }
            Err(Unfit::Broken(why)) => why,
        };
        let aside = path.with_extension("json.broken");
        std::fs::rename(path, &aside).context(|| format!("cannot set {} aside", path.display()))?;
        Ok(Found::SetAside(format!("{} is of no use and now lies at {}: {why}", path.display(), aside.display())))
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When it cannot be written; the one before is then still there.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self).context(|| "cannot write what the gateway routes by")?;
        text.push('\n');
        write_file(path, text.as_bytes(), 0o600)
    }
}

enum Unfit {
    Newer(String),
    Broken(String),
}

fn parsed(bytes: &[u8]) -> Result<Saved, Unfit> {
    #[derive(Deserialize)]
    struct Form {
        schema: String,
    }
    let broken = |e: serde_json::Error| Unfit::Broken(e.to_string());
    let form: Form = serde_json::from_slice(bytes).map_err(broken)?;
    if form.schema != SCHEMA && form.schema.starts_with(FORM) {
        return Err(Unfit::Newer(form.schema));
    }
    let saved: Saved = serde_json::from_slice(bytes).map_err(broken)?;
    if saved.schema == SCHEMA { Ok(saved) } else { Err(Unfit::Broken(format!("its schema is not {SCHEMA}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Digest;
    use crate::base::version::Version;
    use crate::base::weight::Weight;

    fn model() -> Name {
        "bot".parse().expect("a name")
    }

    fn saved() -> Saved {
        let upstream = |minor| {
            Some(crate::gateway::table::Upstream {
                version: Version::new(1, minor, 0),
                endpoints: vec![format!("http://127.0.0.1:{}", 4000 + minor)],
            })
        };
        let table = Table {
            generation: 7,
            model: model(),
            stable: upstream(0),
            canary: upstream(1),
            weight: Weight::from_percent(12.5).expect("a weight"),
            shadow: Weight::NONE,
            salt: "salt".into(),
        };
        Saved::new(table, vec![Arm { version: Version::new(1, 0, 0), digest: Digest::of(b"one") }])
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("local.json");
        assert_eq!(Saved::read(&path, &model()).expect("read"), Found::Nothing);
        saved().write(&path).expect("written");
        assert_eq!(Saved::read(&path, &model()).expect("read"), Found::State(Box::new(saved())));
    }

    #[test]
    fn what_is_of_no_use_is_set_aside_and_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("local.json");
        let whole = serde_json::to_string(&saved()).expect("JSON");
        let other: Name = "other".parse().expect("a name");
        let cases = [
            (String::new(), model()),
            (whole[..whole.len() / 2].to_owned(), model()),
            ("[]".to_owned(), model()),
            (whole.replace("1250", "12500"), model()),
            (whole.replace("kf.gateway-state/1", "something/1"), model()),
            (whole, other),
        ];
        for (text, model) in cases {
            std::fs::write(&path, &text).expect("written");
            let found = Saved::read(&path, &model).expect("not an error");
            let Found::SetAside(why) = found else { panic!("{text}: {found:?}") };
            assert!(why.contains("local.json.broken"), "{why}");
            assert!(!path.exists() && std::fs::read_to_string(path.with_extension("json.broken")).expect("kept") == text);
        }
    }

    #[test]
    fn one_of_a_newer_kf_is_refused_and_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("local.json");
        std::fs::write(&path, r#"{"schema": "kf.gateway-state/2", "tables": []}"#).expect("written");
        let e = Saved::read(&path, &model()).expect_err("refused");
        assert!(e.to_string().contains("kf.gateway-state/2") && path.exists(), "{e}");
    }
}
