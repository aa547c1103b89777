//! What users get when the gateway answers itself: `application/problem+json` (RFC 9457), which says what to do and nothing of what is
//! behind the gateway.

use super::body::Answer;
use super::headers::Refused;
use super::inbound::Turn;
use bytes::Bytes;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};

/// Why the gateway answers itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// The request is none that is passed on.
    Refused(Refused),
    /// The version that it names is not here.
    NoSuchVersion,
    /// Its body is longer than allowed.
    TooLong,
    /// Its body stopped coming.
    Stalled,
    /// Its body is none, or its sender went away.
    Broken,
    /// Nothing can answer now.
    Unavailable,
    /// The upstream did not take the request or broke off before it answered.
    BadGateway,
    /// The upstream did not answer in time.
    Late,
}

impl Problem {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Refused(Refused::Bad(_)) | Self::Broken => StatusCode::BAD_REQUEST,
            Self::Refused(Refused::Method) => StatusCode::NOT_IMPLEMENTED,
            Self::NoSuchVersion => StatusCode::NOT_FOUND,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Stalled => StatusCode::REQUEST_TIMEOUT,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::BadGateway => StatusCode::BAD_GATEWAY,
            Self::Late => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    fn detail(self) -> &'static str {
        match self {
            Self::Refused(Refused::Bad(why)) => why,
            Self::Refused(Refused::Method) => "this method is not passed on",
            Self::NoSuchVersion => "the version that the request asks for is not served here: ask for `stable`, or for none",
            Self::TooLong => "the body of the request is longer than allowed",
            Self::Stalled => "the body of the request stopped coming",
            Self::Broken => "the body of the request broke off",
            Self::Unavailable => "nothing can answer now: try again shortly",
            Self::BadGateway => "the service did not answer",
            Self::Late => "the service did not answer in time",
        }
    }

    /// Whether the rest of the connection cannot be trusted or is not worth waiting for.
    fn closes(self) -> bool {
        matches!(self, Self::Refused(_) | Self::TooLong | Self::Stalled | Self::Broken)
    }

    /// The answer.
    pub(super) fn answer(self, turn: Option<Turn>) -> Response<Answer> {
        let status = self.status();
        let title = status.canonical_reason().unwrap_or_default();
        let body =
            serde_json::json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": self.detail() });
        let mut response = Response::new(Answer::held(Bytes::from(body.to_string()), turn));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self == Self::Unavailable {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.closes() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
