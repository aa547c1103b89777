//! How a version answers, as `[system]` in mlops.toml says: a program or an HTTP service.

use crate::adapters::http::{Http, Policy, Request};
use crate::adapters::system_command::CommandSystem;
use crate::adapters::system_http::HttpSystem;
use crate::base::error::{Context, Result};
use crate::base::random::Random;
use crate::config::{HeaderValue, Secret, SecretRef, System};
use crate::domain::registry::table::VersionRow;
use crate::seams::answerer::Answerer;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

/// The system that answers for a version; `None` when answers are recorded. `files` is where the version is unpacked.
///
/// # Errors
/// When a secret is missing or an address cannot be used.
pub fn answerer(
    system: &System,
    version: &VersionRow,
    root: &Path,
    files: &Path,
    secret: &dyn Fn(&SecretRef) -> Result<Secret>,
) -> Result<Option<Box<dyn Answerer>>> {
    answerer_as(system, (version.name.as_ref(), &version.version.to_string()), root, files, secret)
}

/// The same for what is called `model` and `number`, registered or not.
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
        System::Command { command, timeout, concurrency } => Ok(Some(Box::new(CommandSystem {
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
