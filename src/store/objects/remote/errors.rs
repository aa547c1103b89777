//! Words for what object stores answer. The raw answer is never shown: those about signatures repeat the request.
//!
//! Codes are those of the Amazon S3 API Reference, "List of error codes"; `ContainerNotFound` is Azure's.

use crate::base::error::{Context as _, Error};
use crate::base::text::ellipsis;
use object_store::Error as StoreError;
use object_store::client::{HttpError, HttpErrorKind};
use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt::Display;

const CREDENTIALS: &str =
    "set `artifacts.access-key` and `artifacts.secret-key` in mlops.toml, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
/// The address of the service that gives credentials to machines in the cloud; asked when none are set.
const MACHINE_CREDENTIALS: &str = "169.254.169.254";

/// The chain of causes as text, outermost first.
fn chain(e: &StoreError) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(Some(e as &(dyn StdError + 'static)), |e| (*e).source())
}

fn between(text: &str, tag: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{tag}>"))?;
    let (inner, _) = rest.split_once(&format!("</{tag}>"))?;
    Some(ellipsis(inner, 200))
}

/// The error code in the server's answer, when it had one.
pub(super) fn code(e: &StoreError) -> Option<String> {
    chain(e).find_map(|e| between(&e.to_string(), "Code"))
}

/// What broke below HTTP, when something did.
fn transport(e: &StoreError) -> Option<&HttpError> {
    chain(e).find_map(|e| e.downcast_ref::<HttpError>())
}

/// True when "not found" is about the key and not about the bucket.
pub(super) fn is_only_the_object_missing(e: &StoreError) -> bool {
    !matches!(code(e).as_deref(), Some("NoSuchBucket" | "ContainerNotFound"))
}

/// True when the server may have done what was asked although the answer says or tells nothing of it.
pub(super) fn may_have_happened(e: &StoreError) -> bool {
    let lost = |kind| !matches!(kind, HttpErrorKind::Connect | HttpErrorKind::Request);
    code(e).as_deref() == Some("NoSuchUpload") || transport(e).is_some_and(|t| lost(t.kind()))
}

/// Words a failure of the store at `place`: what failed, why, and what helps.
pub(super) fn worded(e: &StoreError, what: impl Display, place: &str) -> Error {
    let code = code(e);
    let text: Vec<String> = chain(e).map(ToString::to_string).collect();
    let (why, hint) = match code.as_deref() {
        Some(c @ ("ExpiredToken" | "TokenRefreshRequired" | "RequestExpired")) => (
            format!("the credentials have expired ({c})"),
            "get new ones and set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or `artifacts.access-key` and `artifacts.secret-key`",
        ),
        Some(c @ ("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "AuthFailure")) => {
            (format!("the server does not accept the credentials ({c})"), CREDENTIALS)
        }
        Some("NoSuchBucket" | "ContainerNotFound") => {
            ("the bucket does not exist".to_owned(), "make the bucket, or correct `artifacts.url`")
        }
        Some("RequestTimeTooSkewed") => {
            ("this machine's clock differs from the server's by too much".to_owned(), "set the clock (`timedatectl`)")
        }
        Some(c @ ("AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException")) => {
            (format!("the bucket is in another region ({c})"), "set `artifacts.region` to the bucket's region")
        }
        Some(c @ ("SlowDown" | "ServiceUnavailable" | "InternalError" | "RequestTimeout")) => {
            (format!("the server is overloaded or failing ({c})"), "run the command again later: a retry is harmless")
        }
        Some("AccessDenied") => denied(),
        Some(c) => {
            let message = text.iter().find_map(|t| between(t, "Message")).unwrap_or_default();
            (format!("the server answered {c}: {message}"), "run `kf doctor`")
        }
        None if text.iter().any(|t| t.contains(MACHINE_CREDENTIALS)) => ("no credentials are set".to_owned(), CREDENTIALS),
        None => match (e, transport(e)) {
            (StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. }, _) => denied(),
            (_, Some(_)) => (
                format!("the connection failed: {}", text.last().map(|t| ellipsis(t, 200)).unwrap_or_default()),
                "check the network, `artifacts.endpoint` and the proxy settings, then run the command again: a retry is harmless",
            ),
            _ => (text.last().map(|t| ellipsis(t, 200)).unwrap_or_default(), "run the command again: a retry is harmless"),
        },
    };
    wrapped(why, format!("{what} in {place}")).hint(hint)
}

fn denied() -> (String, &'static str) {
    let hint = "allow s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket to these credentials, or set others";
    ("these credentials may not do that".to_owned(), hint)
}

/// An error with one worded cause.
fn wrapped(why: String, what: String) -> Error {
    let Err(e) = Err::<Infallible, _>(Error::new(why)).context(|| what);
    e
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: &str) -> StoreError {
        let body = format!(
            "Server returned non-2xx status code: 400: <Error><Code>{code}</Code><Message>No.</Message><AWSAccessKeyId>AKIASECRET</AWSAccessKeyId></Error>"
        );
        StoreError::Generic { store: "S3", source: body.into() }
    }

    fn check(e: &StoreError, why: &str, hint: &str) {
        let e = worded(e, "cannot store x", "s3://b");
        assert_eq!(e.chain()[0], "cannot store x in s3://b");
        assert!(e.chain()[1].contains(why), "{e}");
        assert!(e.hints()[0].contains(hint), "{:?}", e.hints());
        assert!(!format!("{e} {:?}", e.hints()).contains("AKIASECRET"), "{e}");
    }

    #[test]
    fn each_refusal_says_why_and_what_helps_and_shows_no_credentials() {
        check(&answer("ExpiredToken"), "expired", "AWS_SESSION_TOKEN");
        check(&answer("SignatureDoesNotMatch"), "does not accept", "artifacts.secret-key");
        check(&answer("NoSuchBucket"), "bucket does not exist", "artifacts.url");
        check(&answer("AccessDenied"), "may not", "s3:PutObject");
        check(&answer("PermanentRedirect"), "another region", "artifacts.region");
        check(&answer("SlowDown"), "overloaded", "later");
        check(&answer("Odd"), "the server answered Odd: No.", "kf doctor");
    }

    #[test]
    fn only_an_unknown_end_is_tried_again() {
        let broken =
            |kind| StoreError::Generic { store: "S3", source: Box::new(HttpError::new(kind, std::io::Error::other("reset"))) };
        assert!(may_have_happened(&broken(HttpErrorKind::Interrupted)));
        assert!(may_have_happened(&broken(HttpErrorKind::Timeout)));
        assert!(may_have_happened(&answer("NoSuchUpload")));
        assert!(!may_have_happened(&broken(HttpErrorKind::Connect)));
        assert!(!may_have_happened(&answer("AccessDenied")));
    }

    #[test]
    fn a_missing_bucket_is_no_missing_object() {
        assert!(!is_only_the_object_missing(&answer("NoSuchBucket")));
        assert!(is_only_the_object_missing(&answer("NoSuchKey")));
    }
}
