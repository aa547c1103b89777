//! Whether the entries of the journal are as they were signed, and which of them the state does not know of.

use super::journal::{self, Kept, Outcome, Proof};
use super::take_in::is_in;
use crate::base::error::{Error, Result};
use crate::domain::audit::key::VerifierKey;
use crate::store::View;
use crate::store::check::Finding;
use std::path::Path;

/// Looks at every entry in the folder; one of the keys may have signed it.
///
/// # Errors
/// When folder or audit log cannot be read.
pub fn check(view: View<'_>, dir: &Path, keys: &[VerifierKey]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for path in journal::files(dir)? {
        let subject = format!("emergency rollback {}", path.file_name().unwrap_or_default().to_string_lossy());
        match journal::read(&path, keys.first()) {
            Ok(kept) if is_in(view, &kept.entry)? => {}
            Ok(kept) => findings.push(pending(subject, &kept)),
            // Taken in since the folder was read.
            Err(_) if !path.exists() => {}
            Err(e) => findings.push(damaged(subject, &e)),
        }
    }
    Ok(findings)
}

fn pending(subject: String, kept: &Kept) -> Finding {
    let entry = &kept.entry;
    let signed = match &kept.proof {
        Proof::Signed(by) => format!("signed by {by}"),
        Proof::Claimed => "not signed by a key that is known here".to_owned(),
    };
    let (model, to, target, at, name) = (&entry.model, entry.to, &entry.target, entry.at, &entry.name);
    let did = match entry.outcome {
        Outcome::Done => "gave",
        Outcome::Begun => "began to give",
        Outcome::Failed(_) => "tried in vain to give",
    };
    let problem =
        format!("{name} {did} the traffic of {target} to {model}@{to} at {at}, and the state does not know of it ({signed})");
    Finding::new(subject, problem, "`kf status` takes it in, or says why it cannot")
}

fn damaged(subject: String, e: &Error) -> Finding {
    Finding::new(subject, e.to_string(), e.hints().join("; "))
}
