use super::*;
use crate::config::secret::Secret;
use crate::store::runtime::{block_on, runtime};
use axum::Router;
use axum::extract::Request as Incoming;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response as Outgoing};
use axum::routing::any;
use reqwest::Method;
use std::sync::Mutex;
use url::Url;

/// A client that no proxy of this machine is between, with short waits.
pub(in crate::adapters) fn client(policy: Policy) -> Http {
    let policy = Policy { first_wait: Duration::from_millis(2), ..policy };
    Http::from_builder(builder().expect("TLS").no_proxy(), policy, Random::seeded(7)).expect("a client")
}

/// Serves on a free port until the test process ends; gives the address.
pub(in crate::adapters) fn serve(app: Router) -> Url {
    let listener = block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("runtime").expect("a port");
    let address = listener.local_addr().expect("an address");
    runtime().expect("runtime").spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}/").parse().expect("a URL")
}

/// A port that nobody listens on.
pub(in crate::adapters) fn nowhere() -> Url {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    format!("http://{}/", listener.local_addr().expect("an address")).parse().expect("a URL")
}

/// Answers one after the other with these, and then with the last for ever; counts.
fn scripted(answers: Vec<fn() -> Outgoing>) -> (Url, Arc<AtomicU32>) {
    let seen = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&seen);
    let app = Router::new().fallback(any(move || {
        let n = counter.fetch_add(1, Ordering::Relaxed) as usize;
        let answer = answers[n.min(answers.len() - 1)];
        async move { answer() }
    }));
    (serve(app), seen)
}

fn send(http: &Http, request: &Request) -> Result<Response> {
    block_on(http.send(request)).expect("runtime")
}

fn get(url: &Url) -> Request {
    Request::new(Method::GET, url.clone())
}

fn ok() -> Outgoing {
    "fine".into_response()
}

fn busy() -> Outgoing {
    (StatusCode::SERVICE_UNAVAILABLE, "later").into_response()
}

#[test]
fn temporary_trouble_is_retried() {
    let overloaded = || StatusCode::from_u16(529).expect("a status").into_response();
    let (url, seen) = scripted(vec![busy, || StatusCode::TOO_MANY_REQUESTS.into_response(), overloaded, ok]);
    let response = send(&client(Policy::default()), &get(&url)).expect("in the end");
    assert_eq!((response.body.as_slice(), seen.load(Ordering::Relaxed)), (b"fine".as_slice(), 4));
}

#[test]
fn attempts_end_and_the_last_answer_is_told() {
    let (url, seen) = scripted(vec![busy]);
    let e = send(&client(Policy { attempts: 3, ..Policy::default() }), &get(&url)).expect_err("busy");
    assert_eq!(seen.load(Ordering::Relaxed), 3);
    assert_eq!(
        e.chain(),
        ["gave up after 3 attempts".to_owned(), format!("GET {url}"), "status 503 Service Unavailable: later".into()]
    );
    assert_eq!(e.cause::<Refused>().map(|r| r.status), Some(503));
}

#[test]
fn a_no_is_not_retried() {
    let (url, seen) = scripted(vec![|| (StatusCode::UNAUTHORIZED, "bad key").into_response(), ok]);
    let e = send(&client(Policy::default()), &get(&url)).expect_err("unauthorized");
    assert_eq!(seen.load(Ordering::Relaxed), 1);
    assert_eq!(e.chain(), [format!("GET {url}"), "status 401 Unauthorized: bad key".into()]);
    assert!(e.hints().iter().any(|h| h.contains("key or token")));
}

#[test]
fn the_service_says_how_long_to_wait() {
    let (url, _) = scripted(vec![|| (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")]).into_response(), ok]);
    let started = Instant::now();
    send(&client(Policy::default()), &get(&url)).expect("in the end");
    assert!(started.elapsed() >= Duration::from_secs(1));

    let (url, seen) = scripted(vec![|| (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "3600")]).into_response(), ok]);
    let e = send(&client(Policy::default()), &get(&url)).expect_err("too long");
    assert!(e.to_string().ends_with("status 429 Too Many Requests (it asks to wait 3600 s)"), "{e}");
    assert_eq!(seen.load(Ordering::Relaxed), 1);
}

#[test]
fn a_wait_that_is_too_long_is_everybodys_and_nothing_is_sent_meanwhile() {
    let (url, seen) = scripted(vec![|| (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "61")]).into_response(), ok]);
    let (http, pace) = (client(Policy::default()), Pace::default());
    let send = || block_on(http.send_at(&pace, &get(&url))).expect("runtime").expect_err("too long").to_string();
    assert!(send().ends_with("(it asks to wait 61 s)"));
    let second = send();
    assert!(second.contains("not sent: the service asks everybody to wait, 6"), "{second}");
    assert_eq!(seen.load(Ordering::Relaxed), 1);
}

#[test]
fn secrets_are_found_however_they_are_written() {
    let key = "sk-0123456789abcdef/\"é\"";
    let request = get(&nowhere()).header("x-team", "quality").expect("fits");
    let request = request.hidden_header("x-word", "customer").expect("fits").hide(&Secret::new(key.to_owned()));
    let body = serde_json::json!({key: [format!("for {key}"), 1, null, "a customer"]});
    assert_eq!(request.redacted(&body.to_string()), "{\"***\":[\"for ***\",1,null,\"a ***\"]}");
    assert_eq!(request.redacted_json(body.clone()), serde_json::json!({"***": ["for ***", 1, null, "a ***"]}));
    // An answer is data: an ordinary word stays in it, a key does not.
    assert_eq!(request.without_keys(body), serde_json::json!({"***": ["for ***", 1, null, "a customer"]}));
}

#[test]
fn a_service_that_is_away_is_given_up_for_good() {
    let http = client(Policy { attempts: 3, ..Policy::default() });
    let (url, messages) = (nowhere(), Mutex::new(Vec::new()));
    for _ in 0..6 {
        let e = send(&http, &get(&url)).expect_err("nobody there");
        assert!(e.to_string().contains("cannot connect: ") && !e.hints().is_empty(), "{e}");
        messages.lock().expect("fine").push(e.to_string().starts_with("gave up after 3 attempts: "));
    }
    // Nine attempts in a row, and then one each.
    assert_eq!(*messages.lock().expect("fine"), [true, true, true, false, false, false]);
    let (up, _) = scripted(vec![ok]);
    send(&http, &get(&up)).expect("another service");
    assert!(send(&http, &get(&url)).expect_err("nobody there").to_string().starts_with("gave up after 3"));
}

#[test]
fn a_connection_that_breaks_is_retried() {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url: Url = format!("http://{}/", listener.local_addr().expect("an address")).parse().expect("a URL");
    let server = std::thread::spawn(move || {
        for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"]
        {
            let (mut stream, _) = listener.accept().expect("a connection");
            let _ = stream.read(&mut [0; 4096]).expect("a request");
            stream.write_all(answer.as_bytes()).expect("written");
        }
    });
    assert_eq!(send(&client(Policy::default()), &get(&url)).expect("at the third").body, b"ok");
    server.join().expect("no panic");
}

#[test]
fn time_and_size_are_bounded() {
    let slow = Router::new().fallback(any(|| async {
        tokio::time::sleep(Duration::from_secs(30)).await;
    }));
    let started = Instant::now();
    let e = send(&client(Policy::default()), &get(&serve(slow)).timeout(Duration::from_millis(200))).expect_err("slow");
    assert!(e.to_string().ends_with(": no answer within 0.2 s"), "{e}");
    assert!(started.elapsed() < Duration::from_secs(10));

    let http = client(Policy { body_max: Bytes(1000), ..Policy::default() });
    let (url, _) = scripted(vec![|| vec![b'x'; 1000].into_response(), || vec![b'x'; 1001].into_response()]);
    send(&http, &get(&url)).expect("fits");
    assert!(send(&http, &get(&url)).expect_err("too much").to_string().ends_with("larger than 1000 B"));
    let (url, _) = scripted(vec![|| {
        let pieces = futures_util::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 100])));
        axum::body::Body::from_stream(pieces).into_response()
    }]);
    assert!(send(&http, &get(&url)).expect_err("no length is given").to_string().ends_with("larger than 1000 B"));
}

#[test]
fn no_secret_comes_up_in_an_error() {
    let app = Router::new().fallback(any(|incoming: Incoming| async move {
        let all =
            format!("{} {:?} {:?}", incoming.uri(), incoming.headers().get("x-key"), incoming.headers().get("authorization"));
        (StatusCode::BAD_REQUEST, all)
    }));
    let mut url = serve(app);
    url.set_path("/hook/T0123456");
    url.set_query(Some("token=hunter22"));
    let http = client(Policy::default());
    let request = get(&url).hidden_header("authorization", "Bearer sk-0123456789").expect("fits");
    let request = request.hidden_header("x-key", "key-abcdef").expect("fits");
    let e = send(&http, &request).expect_err("refused").to_string();
    assert!(e.contains("/hook/T0123456") && e.contains("***"), "{e}");
    assert!(!e.contains("sk-0123456789") && !e.contains("key-abcdef"), "{e}");
    assert!(!format!("{request:?}").contains("hunter22"));

    let e = send(&http, &request.clone().secret_path()).expect_err("refused").to_string();
    assert!(e.contains("/…: status 400") && !e.contains("T0123456"), "{e}");
    let mut away = nowhere();
    away.set_path("/T0123456");
    away.set_password(Some("hunter22")).expect("a password");
    let e = send(&http, &get(&away).secret_path()).expect_err("nobody there").to_string();
    assert!(!e.contains("T0123456") && !e.contains("hunter22"), "{e}");
    let e = get(&away).hidden_header("x-key", "a\nhunter22").expect_err("two lines").to_string();
    assert!(e.contains("`x-key`") && !e.contains("hunter22"), "{e}");
}

#[test]
fn what_is_sent_arrives() {
    let app = Router::new().fallback(any(|headers: HeaderMap, body: String| async move {
        let of = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("-").to_owned();
        format!("{}|{}|{}|{body}", of("user-agent"), of("content-type"), of("x-a"))
    }));
    let request = Request::new(Method::POST, serve(app)).json(&serde_json::json!({"a": 1})).header("X-A", "1").expect("fits");
    let response = send(&client(Policy::default()), &request).expect("sent");
    assert_eq!(
        String::from_utf8_lossy(&response.body),
        format!("kf/{}|application/json|1|{{\"a\":1}}", env!("CARGO_PKG_VERSION"))
    );
    assert!(response.json().expect_err("not JSON").to_string().starts_with("the answer is not JSON"));
}

#[test]
fn redirects_stay_at_home_and_keep_the_method() {
    let (elsewhere, seen) = scripted(vec![ok]);
    let to = elsewhere.to_string();
    let app = Router::new()
        .route("/home", any(|| async { (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, "/end")]) }))
        .route("/end", any(|method: axum::http::Method, body: String| async move { format!("{method} {body}") }))
        .route("/away", any(move || async move { (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]) }))
        .route("/get", any(|| async { (StatusCode::FOUND, [(header::LOCATION, "/end")]) }))
        .route("/loop", any(|| async { (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/loop")]) }));
    let base = serve(app);
    let http = client(Policy::default());
    let post = |path: &str| {
        let url = base.join(path).expect("a URL");
        send(&http, &Request::new(Method::POST, url).body(b"x".to_vec()))
    };
    assert_eq!(post("/home").expect("followed").body, b"POST x");
    for (path, status) in [("/away", 307), ("/get", 302), ("/loop", 307)] {
        let e = post(path).expect_err(path);
        assert_eq!(e.cause::<Refused>().map(|r| r.status), Some(status), "{path}: {e}");
        assert!(e.hints().iter().any(|h| h.contains("redirects")), "{path}");
    }
    assert_eq!(seen.load(Ordering::Relaxed), 0);
}

#[test]
fn an_untrusted_certificate_is_found_however_deep_it_is_wrapped() {
    let certificate = || rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
    assert!(is_certificate(&std::io::Error::other(std::io::Error::other(certificate()))));
    assert!(!is_certificate(&std::io::Error::other(rustls::Error::DecryptError)));
    assert!(!is_certificate(&std::io::Error::other("invalid peer certificate")));
}
