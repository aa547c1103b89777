use super::*;
use hyper::Request;
use proptest::prelude::*;

fn parts(target: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).expect("a request").into_parts().0
}

fn checked(target: &str, headers: &[(&str, &str)]) -> Result<Parts, Refused> {
    let mut parts = parts(target, headers);
    check(&mut parts).map(|()| parts)
}

fn forwarded_of(headers: &[(&str, &str)], trust: bool) -> HeaderMap {
    let mut parts = parts("/", headers);
    forward(&mut parts, &From::new([10, 0, 0, 7].into(), false), trust, || [0xab; 24]);
    parts.headers
}

#[test]
fn targets_become_paths() {
    assert_eq!(checked("http://bot.example/a?b=c", &[("host", "BOT.example:80")]).expect("the same host").uri, "/a?b=c");
    assert_eq!(checked("http://bot.example", &[("host", "bot.example")]).expect("fine").uri, "/");
    assert_eq!(checked("http://bot.example/", &[]).expect("fine").headers[HOST], "bot.example");
    assert_eq!(checked("/a", &[("host", "")]).expect("an empty host is one").uri, "/a");
}

#[test]
fn ambiguous_requests_are_refused() {
    for (target, headers) in [
        ("/", &[] as &[(&str, &str)]),
        ("/", &[("host", "a"), ("host", "a")]),
        ("/", &[("host", "a, b")]),
        ("/", &[("host", "u@a")]),
        ("/", &[("host", "a/b")]),
        ("/", &[("host", "a:99999")]),
        ("http://a:99999/", &[("host", "a")]),
        ("http://a/", &[("host", "b")]),
        ("http://a/", &[("host", "a:81")]),
        ("http://u@a/", &[("host", "a")]),
        ("/", &[("host", "a"), ("content-length", "1"), ("transfer-encoding", "chunked")]),
    ] {
        assert!(matches!(checked(target, headers), Err(Refused::Bad(_))), "{target} {headers:?}");
    }
}

#[test]
fn what_belongs_to_one_connection_goes() {
    let headers = forwarded_of(
        &[
            ("host", "a"),
            ("connection", "close, X-Own, host, x-forwarded-for"),
            ("x-own", "1"),
            ("keep-alive", "5"),
            ("proxy-authorization", "Basic x"),
            ("te", "gzip, trailers"),
            ("upgrade", "h2c"),
            ("expect", "100-continue"),
            ("x-kf-shadow", "1"),
            ("x-stays", "1"),
        ],
        false,
    );
    let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    let kept = ["connection", "host", "te", "traceparent", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-stays"];
    assert_eq!(names, kept);
    assert_eq!(
        (&headers[TE], &headers[CONNECTION], &headers[X_FORWARDED_FOR]),
        (&HeaderValue::from_static("trailers"), &HeaderValue::from_static("te"), &HeaderValue::from_static("10.0.0.7"))
    );
}

#[test]
fn forwarded_headers_are_believed_only_when_told_to() {
    let sent = [("host", "a"), ("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "b")];
    let of = |trust| {
        let h = forwarded_of(&sent, trust);
        [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST].map(|name| h[name].to_str().expect("text").to_owned())
    };
    assert_eq!(of(false), ["10.0.0.7", "http", "a"]);
    assert_eq!(of(true), ["1.2.3.4, 10.0.0.7", "https", "b"]);
}

/// The examples of W3C Trace Context, section 3.2.
#[test]
fn traces_are_passed_on_or_begun() {
    let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let traced = forwarded_of(&[("host", "a"), ("traceparent", good), ("tracestate", "a=b")], false);
    assert_eq!((&traced[TRACEPARENT], traced.contains_key(TRACESTATE)), (&HeaderValue::from_static(good), true));
    let longer = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more";
    assert!(is_traceparent(longer.as_bytes()));
    for bad in [
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
        "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
    ] {
        let made = forwarded_of(&[("host", "a"), ("traceparent", bad), ("tracestate", "a=b")], false);
        assert!(is_traceparent(made[TRACEPARENT].as_bytes()) && made[TRACEPARENT] != bad, "{bad}");
        assert!(!made.contains_key(TRACESTATE), "{bad}");
    }
    assert!(!is_traced(&parts("/", &[("traceparent", good), ("traceparent", good)]).headers), "two are none");
}

#[test]
fn cookies_are_found_and_joined() {
    let headers = forwarded_of(&[("host", "a"), ("cookie", "a=1; kf-version=\"canary\""), ("cookie", "kf-session=x=y")], false);
    assert_eq!(headers.get_all(COOKIE).iter().count(), 1);
    assert_eq!((cookie(&headers, "kf-version"), cookie(&headers, "kf-session")), (Some("canary"), Some("x=y")));
    assert_eq!(cookie(&headers, "version"), None);
}

proptest! {
    /// Whatever `Connection` names, a request keeps its host and loses what is one connection's own, and cleaning twice is cleaning once.
    #[test]
    fn cleaning_leaves_nothing_of_one_connection(names in prop::collection::vec("[a-z-]{1,12}|host|te|upgrade|[ -~]{0,8}", 0..6)) {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("a"));
        for name in &names {
            if let Ok(name) = name.parse::<HeaderName>() {
                headers.entry(name).or_insert(HeaderValue::from_static("x"));
            }
        }
        headers.insert(CONNECTION, HeaderValue::from_str(&names.join(",")).expect("printable"));
        clean(&mut headers);
        prop_assert!(headers.contains_key(HOST));
        prop_assert_eq!(headers.len(), 1);
    }

    #[test]
    fn any_traceparent_is_judged(value in prop::collection::vec(any::<u8>(), 0..70)) {
        let _ = is_traceparent(&value);
    }
}
