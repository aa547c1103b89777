//! Headers on their way through: what is refused, what belongs to one connection only and goes, what the upstream is told.
//!
//! From RFC 9110 (section 7.6.1: `Connection` and what it names), RFC 9112 (section 3.2: `Host`; 6.3: lengths), RFC 9113 (section
//! 8.2.3: cookies) and W3C Trace Context (`traceparent`). What hyper refuses by itself (lengths that differ, folded lines, spaces
//! before a colon, transfer codings that it does not know) never comes here.

use super::endpoint::port_of;
use crate::base::digest::hex;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};
use hyper::http::request::Parts;
use hyper::http::uri::{Authority, PathAndQuery};
use hyper::{Method, Uri, Version};
use std::net::IpAddr;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// No header of HTTP: programs that get headers as variables take it for the proxy that they are to use (CVE-2016-5385).
const PROXY: HeaderName = HeaderName::from_static("proxy");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Marks a copy for a shadow; nobody outside can set it.
pub(super) const SHADOW: HeaderName = HeaderName::from_static("x-kf-shadow");

/// Why a request is not passed on: for its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// 400.
    Bad(&'static str),
    /// 501.
    Method,
}

/// Makes the request one to an origin (its target a path), or says why it is none.
pub(super) fn check(parts: &mut Parts) -> Result<(), Refused> {
    if parts.method == Method::CONNECT || parts.method == Method::TRACE {
        return Err(Refused::Method);
    }
    if parts.headers.contains_key(TRANSFER_ENCODING) && parts.headers.contains_key(CONTENT_LENGTH) {
        return Err(Refused::Bad("a request has one of Content-Length and Transfer-Encoding"));
    }
    if parts.headers.contains_key(TRANSFER_ENCODING) && !is_chunked(&parts.headers) {
        return Err(Refused::Bad("a request has no Transfer-Encoding but chunked, once"));
    }
    let host = host(&parts.headers)?;
    match (parts.uri.authority(), &host) {
        (Some(target), Some(host)) if !same(target, host, &parts.uri) => {
            return Err(Refused::Bad("the target and the Host header name different hosts"));
        }
        (None, None) if parts.version == Version::HTTP_11 && !parts.headers.contains_key(HOST) => {
            return Err(Refused::Bad("a request has a Host header"));
        }
        (Some(target), None) => {
            let value = HeaderValue::from_str(target.as_str()).map_err(|_| Refused::Bad("the target is no host"))?;
            parts.headers.insert(HOST, value);
        }
        _ => {}
    }
    if parts.uri.authority().is_some_and(|a| a.as_str().contains('@')) {
        return Err(Refused::Bad("a target has no user"));
    }
    if parts.uri.authority().is_some() || parts.uri.path().is_empty() {
        let path = parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        parts.uri = Uri::from(path);
    }
    if !parts.uri.path().starts_with('/') && parts.uri.path() != "*" {
        return Err(Refused::Bad("a target begins with a slash"));
    }
    Ok(())
}

/// True when the body is in chunks and coded in no other way, which whoever comes next would not be told.
fn is_chunked(headers: &HeaderMap) -> bool {
    let mut all = headers.get_all(TRANSFER_ENCODING).iter();
    let first = all.next().and_then(|v| v.to_str().ok());
    first.is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked")) && all.next().is_none()
}

/// The one host that the headers name; an empty one is none.
fn host(headers: &HeaderMap) -> Result<Option<Authority>, Refused> {
    let mut all = headers.get_all(HOST).iter();
    let (first, second) = (all.next(), all.next());
    if second.is_some() {
        return Err(Refused::Bad("a request has one Host header"));
    }
    let Some(first) = first.filter(|v| !v.is_empty()) else { return Ok(None) };
    let host = first.to_str().ok().filter(|h| !h.contains('@')).and_then(|h| h.parse::<Authority>().ok());
    host.filter(|h| port_of(h, 80).is_some()).map(Some).ok_or(Refused::Bad("the Host header is no host"))
}

fn same(target: &Authority, host: &Authority, uri: &Uri) -> bool {
    let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let port = |a: &Authority| port_of(a, usual);
    target.host().eq_ignore_ascii_case(host.host()) && port(target).is_some() && port(target) == port(host)
}

/// Whether a list of tokens in a header has this one.
pub(super) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|t| t.eq_ignore_ascii_case(token))
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')).map(str::trim)
}

/// Takes out what belongs to one connection: the known ones, and those that `Connection` names.
pub(super) fn clean(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = tokens(headers, &CONNECTION).filter_map(|t| t.parse().ok()).collect();
        // A `Host` is never one connection's own: who names it wants it to go missing.
        for name in named.iter().filter(|name| **name != HOST) {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for name in [KEEP_ALIVE, PROXY, PROXY_CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
}

/// Who asked, and how.
#[derive(Clone, Debug)]
pub(super) struct From {
    ip: HeaderValue,
    tls: bool,
}

impl From {
    /// Once for each connection.
    pub(super) fn new(ip: IpAddr, tls: bool) -> Self {
        let ip = HeaderValue::try_from(ip.to_canonical().to_string()).expect("an address is a header's value");
        Self { ip, tls }
    }
}

/// Makes the head of a user's request that of one to an upstream; `trace` makes the ids of a trace that begins here.
pub(super) fn forward(parts: &mut Parts, from: &From, trusted: bool, trace: impl FnOnce() -> [u8; 24]) {
    let trailers = has_token(&parts.headers, &TE, "trailers");
    clean(&mut parts.headers);
    if trailers {
        parts.headers.insert(TE, HeaderValue::from_static("trailers"));
        parts.headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    parts.version = Version::HTTP_11;
    // hyper has answered `100 Continue`, or does when the body is asked for.
    parts.headers.remove(EXPECT);
    parts.headers.remove(SHADOW);
    one_cookie(&mut parts.headers);
    forwarded(&mut parts.headers, from, trusted);
    if !is_traced(&parts.headers) {
        parts.headers.remove(TRACESTATE);
        parts.headers.insert(TRACEPARENT, traceparent(trace()));
    }
}

/// HTTP/2 may send cookies one by one; HTTP/1.1 has one header.
fn one_cookie(headers: &mut HeaderMap) {
    let mut all = headers.get_all(COOKIE).iter();
    if all.next().is_some() && all.next().is_some() {
        let joined: Vec<u8> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b"; "[..]);
        if let Ok(value) = HeaderValue::from_bytes(&joined) {
            headers.insert(COOKIE, value);
        }
    }
}

fn forwarded(headers: &mut HeaderMap, from: &From, trusted: bool) {
    if trusted {
        let before = tokens(headers, &X_FORWARDED_FOR).collect::<Vec<_>>().join(", ");
        let chain = [before.as_bytes(), b", ", from.ip.as_bytes()].concat();
        let chain = HeaderValue::from_bytes(if before.is_empty() { from.ip.as_bytes() } else { &chain });
        headers.insert(X_FORWARDED_FOR, chain.unwrap_or_else(|_| from.ip.clone()));
    } else {
        headers.insert(X_FORWARDED_FOR, from.ip.clone());
        [FORWARDED, X_FORWARDED_PROTO, X_FORWARDED_HOST].into_iter().for_each(|name| drop(headers.remove(name)));
    }
    headers.entry(X_FORWARDED_PROTO).or_insert(HeaderValue::from_static(if from.tls { "https" } else { "http" }));
    if let Some(host) = headers.get(HOST).cloned() {
        headers.entry(X_FORWARDED_HOST).or_insert(host);
    }
}

/// Whether there is exactly one `traceparent`, and it is valid.
fn is_traced(headers: &HeaderMap) -> bool {
    let mut all = headers.get_all(TRACEPARENT).iter();
    matches!((all.next(), all.next()), (Some(one), None) if is_traceparent(one.as_bytes()))
}

/// `00-<32 hex>-<16 hex>-<2 hex>`, lower case, no id all zero; later versions may go on after a dash.
fn is_traceparent(value: &[u8]) -> bool {
    let hex = |from: usize, to: usize| {
        value.get(from..to).is_some_and(|part| part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
    };
    let zero = |from: usize, to: usize| value[from..to].iter().all(|b| *b == b'0');
    let dashes = [2, 35, 52].into_iter().all(|at| value.get(at) == Some(&b'-'));
    let parts = hex(0, 2) && hex(3, 35) && hex(36, 52) && hex(53, 55);
    let long = value.len() > 55;
    let ends = !long || (value[..2] != *b"00" && value[55] == b'-');
    dashes && parts && ends && value[..2] != *b"ff" && !zero(3, 35) && !zero(36, 52)
}

/// A trace that begins here, sampled: who has no other trace would otherwise lose this one.
fn traceparent(ids: [u8; 24]) -> HeaderValue {
    let (trace, span) = ids.split_at(16);
    let value = ["00-", &hex(trace), "-", &hex(span), "-01"].concat();
    HeaderValue::try_from(value).expect("hex and dashes are a header's value")
}

/// The value of a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(n, _)| *n == name).map(|(_, value)| value.trim_matches('"'))
}

#[cfg(test)]
#[path = "headers_tests.rs"]
mod tests;
