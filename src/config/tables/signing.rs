//! `[signing]`: how the audit log is signed.

use crate::config::check::{CheckOne, Checker};
use crate::config::secret::SecretRef;
use crate::config::shape::{At, table};

table! {
    /// As written.
    RawSigning {
        /// Private key that signs the audit log, as `env:NAME` or `file:PATH`; a host without it appends and does not sign.
        log_key: Option<At<SecretRef>> = "log-key";
    }
}

/// How the audit log is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signing {
    /// Where the private key is kept; without one this host appends to the log and does not sign it.
    pub log_key: Option<SecretRef>,
}

impl CheckOne for RawSigning {
    type Plain = Signing;
    fn check(&self, _: &mut Checker<'_>) -> Option<Signing> {
        Some(Signing { log_key: self.log_key.as_ref().map(|k| k.value.clone()) })
    }
}
