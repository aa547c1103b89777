//! Who may ask a gateway: whoever has the token where there is one; else programs of this machine, but no page in a browser.
//!
//! A page of a stranger can have a browser send requests to this machine, and by giving its own name an address of this machine
//! (DNS rebinding) also read the answers. Both show: the first sends `Origin` or `Sec-Fetch-Site`, the second a `Host` that is a
//! name of the stranger's. So without a token only addresses and `localhost` are answered to, and nothing that a page sends.

use crate::base::digest::Digest;
use crate::config::Secret;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use std::net::IpAddr;

/// Whether a request may be answered.
///
/// # Errors
/// With what status it is refused, and why.
pub(super) fn admit(headers: &HeaderMap, token: Option<&Secret>) -> Result<(), (StatusCode, &'static str)> {
    let from_a_page = headers.contains_key(ORIGIN)
        || headers.get("sec-fetch-site").is_some_and(|site| !matches!(site.as_bytes(), b"none" | b"same-origin"));
    if from_a_page {
        return Err((StatusCode::FORBIDDEN, "pages in a browser may not steer a gateway"));
    }
    let Some(token) = token else {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        return match host {
            Some(host) if is_ours(host) => Ok(()),
            _ => Err((StatusCode::MISDIRECTED_REQUEST, "ask by an address or as `localhost`, or set `admin-token`")),
        };
    };
    let given = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok());
    let given = given.and_then(|v| v.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    // Digests are compared, so that how long it takes says nothing about the token.
    match given {
        Some((_, given)) if Digest::of(given.trim().as_bytes()) == Digest::of(token.expose().as_bytes()) => Ok(()),
        _ => Err((StatusCode::UNAUTHORIZED, "this gateway asks for its token: `Authorization: Bearer TOKEN`")),
    }
}

/// True for an address and for `localhost`, with a port or without.
fn is_ours(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inside, _)) => inside,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn status(lines: &[(&str, &str)], token: Option<&str>) -> u16 {
        let line = |(name, value): &(&str, &str)| {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            (name, HeaderValue::from_str(value).expect("a value"))
        };
        let token = token.map(|t| Secret::new(t.to_owned()));
        match admit(&lines.iter().map(line).collect(), token.as_ref()) {
            Ok(()) => 200,
            Err((status, _)) => status.as_u16(),
        }
    }

    #[test]
    fn without_a_token_programs_of_this_machine_are_answered() {
        for host in ["127.0.0.1:8081", "127.0.0.1", "[::1]:8081", "localhost:8081", "LOCALHOST"] {
            assert_eq!(status(&[("host", host)], None), 200, "{host}");
        }
        for host in ["evil.example:8081", "localhost.evil.example", "127.0.0.1.evil.example:8081", "", "[evil]:1"] {
            assert_eq!(status(&[("host", host)], None), 421, "{host}");
        }
        assert_eq!(status(&[], None), 421);
    }

    #[test]
    fn pages_are_not_answered() {
        let host = ("host", "127.0.0.1:8081");
        for page in [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
            assert_eq!(status(&[host, page], None), 403);
            assert_eq!(status(&[host, page, ("authorization", "Bearer s3cret")], Some("s3cret")), 403);
        }
        assert_eq!(status(&[host, ("sec-fetch-site", "none")], None), 200);
    }

    #[test]
    fn the_token_is_asked_for_where_there_is_one() {
        let with = |value: &str| status(&[("host", "kf.internal"), ("authorization", value)], Some("s3cret"));
        assert_eq!([with("Bearer s3cret"), with("bearer  s3cret")], [200, 200]);
        assert_eq!([with("Bearer s3cre"), with("Bearer"), with("s3cret"), with("Basic s3cret"), with("Bearer ")], [401; 5]);
        assert_eq!(status(&[("host", "127.0.0.1")], Some("s3cret")), 401);
    }
}
