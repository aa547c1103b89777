//! How a version answers, as `[system]` in mlops.toml says: a program or an HTTP service; and what has to be the same for two of its answers
//! to be answers of the same system.

use crate::adapters::http::{Http, Policy, Request};
use crate::adapters::system_command::CommandSystem;
use crate::adapters::system_http::HttpSystem;
use crate::base::digest::{Digest, Hasher};
use crate::base::error::{Context, Result};
use crate::base::random::Random;
use crate::config::{HeaderValue, Secret, SecretRef, System};
use crate::release::reads;
use crate::seams::answerer::Answerer;
use serde_json::{Map, Value, json};
use std::io::Read as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The system that answers for what is called `model` and `number`, registered or not; `None` when answers are recorded. `files` is where
/// its files are unpacked.
///
/// # Errors
/// When a secret is missing or an address cannot be used.
pub fn answerer_as(
    system: &System,
    (model, number): (&str, &str),
    root: &Path,
    files: &Path,
    secret: &dyn Fn(&SecretRef) -> Result<Secret>,
) -> Result<Option<Box<dyn Answerer>>> {
    let (model, number) = (model.to_owned(), number.to_owned());
    let at_once = |n: u32| NonZeroUsize::new(usize::try_from(n).unwrap_or(usize::MAX)).unwrap_or(NonZeroUsize::MIN);
    match system {
        // What the documents answer needs the state: `release::answer` makes it.
        System::Recorded | System::Builtin => Ok(None),
        System::Command { command, timeout, concurrency, .. } => Ok(Some(Box::new(CommandSystem {
            argv: command.clone(),
            env: Vec::new(),
            dir: root.to_owned(),
            version_dir: files.to_owned(),
            model,
            version: number,
            concurrency: at_once(*concurrency),
            timeout: *timeout,
        }))),
        System::Http { url, timeout, concurrency, headers } => {
            let mut request = Request::post(url).context(|| "`system.url` cannot be used")?.timeout(*timeout);
            for (name, value) in headers {
                request = match value {
                    HeaderValue::Plain(text) => request.header(name, text)?,
                    HeaderValue::Secret(reference) => request.secret_header(name, &secret(reference)?)?,
                };
            }
            let http = Arc::new(Http::new(Policy::default(), Random::System)?);
            Ok(Some(Box::new(HttpSystem { http, request, model, version: number, concurrency: at_once(*concurrency) })))
        }
    }
}

/// What answers for these files: where it is asked or which program it is, what it is told of itself, and the digest of the files it has.
/// Two answers with the same identity to the same question are answers of the same system, as far as kf can see: what a service does
/// behind its address, and what a program reads beside the files that its command line and `system.files` name, it cannot. `None` when
/// nobody is asked, or when the index of this state answers.
///
/// # Errors
/// When a file of the command line or of `system.files` cannot be read.
pub fn identity(system: &System, (model, number): (&str, &str), files: &Digest, root: &Path) -> Result<Option<Digest>> {
    let who = match system {
        System::Recorded | System::Builtin => return Ok(None),
        System::Command { command, .. } => {
            let words = command.iter().map(|word| (word.clone(), root.join(word))).filter(|(_, path)| path.is_file());
            let mut who = vec![json!("command"), json!(command), json!(digests(words, "system.command")?)];
            // Without such files the answers of before there were any stay what they are.
            if !system.files().is_empty() {
                let read = reads::files(system, root)?.into_iter().map(|file| (file.name, file.source));
                who.push(json!(digests(read, "system.files")?));
            }
            Value::Array(who)
        }
        System::Http { url, headers, .. } => {
            // The reference of a secret stands for it: a key that was renewed is the same customer's.
            let header = |value: &HeaderValue| match value {
                HeaderValue::Plain(text) => json!(text),
                HeaderValue::Secret(reference) => json!([reference.to_string()]),
            };
            let headers: Map<String, Value> = headers.iter().map(|(name, value)| (name.clone(), header(value))).collect();
            json!(["http", url, headers])
        }
    };
    Ok(Some(Digest::of(json!([who, model, number, files.hex()]).to_string().as_bytes())))
}

/// The digests of files that a key of the configuration names.
fn digests(files: impl Iterator<Item = (String, PathBuf)>, key: &str) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for (name, path) in files {
        let failed = || format!("cannot read {name}, which `{key}` names");
        let mut file = std::fs::File::open(&path).context(failed)?;
        let (mut hasher, mut buffer) = (Hasher::new(), vec![0; 1 << 16]);
        loop {
            match file.read(&mut buffer).context(failed)? {
                0 => break,
                n => hasher.update(&buffer[..n]),
            }
        }
        found.push((name, hasher.finish().hex()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::time::Duration;

    #[test]
    fn another_program_address_or_version_is_another_system() {
        let dir = tempfile::tempdir().expect("a folder");
        let of = |system: &System, model: &str, files: &[u8]| {
            identity(system, (model, "1.0.0"), &Digest::of(files), dir.path()).expect("read").expect("somebody is asked")
        };
        let command = |last: &str, concurrency| {
            let command = vec!["sh".to_owned(), "answer.sh".to_owned(), last.to_owned()];
            System::Command { command, files: Vec::new(), timeout: Duration::from_secs(1), concurrency }
        };
        let reading = |path: &str| {
            let System::Command { command, timeout, concurrency, .. } = command("-v", 1) else { unreachable!("a program") };
            System::Command { command, files: vec![path.parse().expect("a path")], timeout, concurrency }
        };
        let http = |url: &str, team: HeaderValue| {
            let headers = BTreeMap::from([("x-team".to_owned(), team)]);
            System::Http { url: url.to_owned(), timeout: Duration::from_secs(1), concurrency: 1, headers }
        };
        std::fs::write(dir.path().join("answer.sh"), "one").expect("written");
        let plain = |text: &str| HeaderValue::Plain(text.to_owned());
        let first = of(&command("-v", 1), "bot", b"files");
        assert_eq!(first, of(&command("-v", 9), "bot", b"files"), "how fast it is asked is not what it says");
        let mut all = vec![
            first,
            of(&command("-q", 1), "bot", b"files"),
            of(&command("-v", 1), "other", b"files"),
            of(&command("-v", 1), "bot", b"other"),
            of(&http("http://here/", plain("a")), "bot", b"files"),
            of(&http("http://there/", plain("a")), "bot", b"files"),
            of(&http("http://here/", plain("b")), "bot", b"files"),
        ];
        std::fs::write(dir.path().join("answer.sh"), "two").expect("written");
        all.push(of(&command("-v", 1), "bot", b"files"));
        std::fs::create_dir(dir.path().join("lib")).expect("made");
        for text in ["one", "two"] {
            std::fs::write(dir.path().join("lib/a.txt"), text).expect("written");
            all.push(of(&reading("lib"), "bot", b"files"));
        }
        assert!(identity(&reading("gone"), ("bot", "1.0.0"), &first, dir.path()).is_err(), "what is named is there");
        let distinct: std::collections::BTreeSet<String> = all.iter().map(Digest::hex).collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(identity(&System::Recorded, ("bot", "1.0.0"), &first, dir.path()).expect("read"), None);
    }
}
