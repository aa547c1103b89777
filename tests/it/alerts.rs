//! Alerts: what each kind of channel is sent, and what becomes of messages that nobody takes.

use crate::drift::prepare;
use crate::repo::{ends, events, json, ok};
use crate::schemas::{complaints, validator};
use crate::support::receiver::{self, Answer, Heard, Receiver};
use crate::support::sandbox::{Run, Sandbox, on_both_engines};
use crate::support::skip;
use crate::support::smtp::{Mail, Security, Server};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use kf::domain::alert::{Alert, pagerduty, slack};
use kf::release::alert::message_of;
use kf::seams::notifier::{Act, Severity};
use mail_parser::MessageParser;
use serde_json::Value;

const ROUTING_KEY: &str = "hunter2hunter2hunter2hunter2hunt";
const SIGNING_KEY: [u8; 32] = *b"hunter2-signs-what-a-webhook-has";

/// A bot with a baseline that tells these channels of critical drift; `channels` are tables of `mlops.toml`.
fn telling(s: &mut Sandbox, receiver: &Receiver, names: &str, channels: &str) {
    for (name, path) in [("SLACK", "/slack"), ("HOOK", "/hook?token=hunter2-query"), ("PAGERDUTY", "/v2/enqueue")] {
        s.set(name, &receiver.url(path));
    }
    s.set("ROUTING_KEY", ROUTING_KEY);
    s.set("SIGNING_KEY", &format!("whsec_{}", BASE64_STANDARD.encode(SIGNING_KEY)));
    s.set("SMTP_PASSWORD", "hunter2-password");
    prepare(s, &format!("on-critical = [\"notify\"]\nalerts = {names}\n{channels}"));
}

const SLACK: &str = "[alerts.team]\nkind = \"slack\"\nurl = \"env:SLACK\"\n";
const PAGERDUTY: &str = "[alerts.oncall]\nkind = \"pagerduty\"\nrouting-key = \"env:ROUTING_KEY\"\nurl = \"env:PAGERDUTY\"\n";
const HOOK: &str = "[alerts.system]\nurl = \"env:HOOK\"\nsecret = \"env:SIGNING_KEY\"\ntimeout = \"2s\"\n";

fn mail_to(smtp: &str, more: &str) -> String {
    format!(
        "[alerts.owners]\nkind = \"email\"\nsmtp = \"{smtp}\"\nfrom = \"kf at shop <kf@shop.example>\"\n\
         to = [\"ada@example.org\", \"Grace Hopper <grace@example.org>\"]\n{more}"
    )
}

fn moved(s: &Sandbox) -> Run {
    ends(s, 3, ["drift", "check", "bot", "--data", "moved.csv"])
}

fn quiet(s: &Sandbox) -> Run {
    ok(s, ["drift", "check", "bot", "--data", "quiet.csv"])
}

/// Channel, state and tries of the deliveries that `kf alert list` shows.
fn listed<const N: usize>(s: &Sandbox, args: [&str; N]) -> Vec<(String, String, i64)> {
    let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(["alert", "list", "--format", "json"]).args(args));
    let text = |d: &Value, key: &str| d[key].as_str().expect("a word").to_owned();
    let all = json(&run)["deliveries"].as_array().expect("deliveries").clone();
    all.iter().map(|d| (text(d, "channel"), text(d, "state"), d["attempts"].as_i64().expect("a number"))).collect()
}

fn is(channel: &str, state: &str, attempts: i64) -> (String, String, i64) {
    (channel.to_owned(), state.to_owned(), attempts)
}

fn of<'h>(heard: &'h [Heard], path: &str) -> Vec<&'h Heard> {
    heard.iter().filter(|h| h.path == path).collect()
}

/// As a receiver verifies it by Standard Webhooks.
fn verified(heard: &Heard) -> bool {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &SIGNING_KEY);
    let header = |name: &str| heard.headers.get(name).cloned().unwrap_or_default();
    let signed = format!("{}.{}.{}", header("webhook-id"), header("webhook-timestamp"), heard.text);
    let signature = header("webhook-signature");
    let signature = signature.strip_prefix("v1,").and_then(|text| BASE64_STANDARD.decode(text).ok()).unwrap_or_default();
    ring::hmac::verify(&key, signed.as_bytes(), &signature).is_ok()
}

fn header(mail: &Mail, name: &str) -> String {
    let parsed = MessageParser::default().parse(mail.text.as_bytes()).expect("a mail");
    parsed.header_raw(name).unwrap_or_default().trim().to_owned()
}

/// Drift begins and ends: each channel is told of both in its published format, once, and can tell that they belong together.
#[test]
fn each_channel_is_told_when_drift_begins_and_when_it_is_over() {
    on_both_engines(|s| {
        let (receiver, mail) = (Receiver::start(), Server::start(Security::None, &[]).expect("a server"));
        let owners = mail_to(&format!("smtp://{}", mail.address), "user = \"kf\"\npassword = \"env:SMTP_PASSWORD\"\n");
        let channels = format!("{SLACK}{PAGERDUTY}{HOOK}{owners}");
        telling(s, &receiver, "[\"team\", \"oncall\", \"system\", \"owners\"]", &channels);
        let run = moved(s);
        assert!(run.stderr.is_empty() && run.stdout.contains("action: notify ("), "{run}");
        moved(s);
        assert_eq!((receiver.refused(), receiver.heard().len(), mail.mails().len()), (vec![], 3, 1), "told once");
        quiet(s);
        quiet(s);
        let (heard, mails) = (receiver.heard(), mail.mails());
        assert_eq!((receiver.refused(), heard.len(), mails.len()), (vec![], 6, 2), "and once that it is over");
        let [begun, over] = of(&heard, "/v2/enqueue")[..] else { panic!("{heard:?}") };
        assert_eq!((&begun.body["event_action"], &over.body["event_action"]), (&"trigger".into(), &"resolve".into()));
        assert_eq!(begun.body["dedup_key"], over.body["dedup_key"]);
        assert_eq!((&begun.body["payload"]["severity"], &begun.body["routing_key"]), (&"critical".into(), &ROUTING_KEY.into()));
        let [begun, over] = of(&heard, "/hook")[..] else { panic!("{heard:?}") };
        assert!(verified(begun) && verified(over), "{begun:?}");
        assert_eq!(begun.headers["webhook-id"], begun.body["data"]["id"].as_str().expect("an id"));
        assert_ne!(begun.headers["webhook-id"], over.headers["webhook-id"]);
        assert_eq!((&begun.body["type"], &over.body["type"]), (&"alert.triggered".into(), &"alert.resolved".into()));
        assert_eq!(begun.body["data"]["facts"]["columns"], "amount");
        match validator() {
            Some(validator) => assert_eq!(complaints(&validator, "alert", &[begun.body.clone(), over.body.clone()]), ""),
            None => return skip("`jsonschema` is not installed"),
        }
        let [begun, over] = of(&heard, "/slack")[..] else { panic!("{heard:?}") };
        assert!(
            begun.body["text"].as_str().is_some_and(|t| t.ends_with("1 of 2 columns drifted: amount (PSI 4.33)")),
            "{begun:?}"
        );
        assert!(over.body["text"].as_str().is_some_and(|t| t.contains("drift of bot is over: ok")), "{over:?}");
        let [begun, over] = &mails[..] else { panic!("{mails:?}") };
        assert_eq!(
            (begun.from.as_str(), &begun.to[..]),
            ("kf@shop.example", &["ada@example.org".to_owned(), "grace@example.org".to_owned()][..])
        );
        assert_eq!(begun.login, Some(("kf".to_owned(), "hunter2-password".to_owned())));
        assert_ne!(header(begun, "Message-ID"), header(over, "Message-ID"));
        assert_eq!(header(begun, "References"), header(over, "References"));
        assert_eq!(header(begun, "Auto-Submitted"), "auto-generated");
        ok(s, ["fsck"]);
        ok(s, ["audit", "verify"]);
        let told =
            ok(s, ["audit", "log", "--format", "jsonl"]).stdout + &ok(s, ["alert", "list", "--all", "--format", "json"]).stdout;
        assert!(told.contains("alert.raised") && !told.contains("hunter2"), "{told}");
        assert_eq!(listed(s, []), []);
    });
}

/// Back within the cool-down, after it was over: that is news.
#[test]
fn drift_that_comes_back_is_told_again() {
    let (s, receiver) = (&mut Sandbox::new(), Receiver::start());
    telling(s, &receiver, "[\"oncall\"]", PAGERDUTY);
    for (check, actions) in [(moved as fn(&Sandbox) -> Run, 1), (quiet, 2), (moved, 3), (moved, 3), (quiet, 4)] {
        check(s);
        assert_eq!(receiver.heard().len(), actions);
    }
    let heard = receiver.heard();
    let acts: Vec<&str> = heard.iter().filter_map(|h| h.body["event_action"].as_str()).collect();
    assert_eq!(acts, ["trigger", "resolve", "trigger", "resolve"]);
}

/// What is refused for now is sent later, not before the receiver asked for it, and is no failure of the check.
#[test]
fn a_receiver_that_asks_to_wait_is_waited_for() {
    on_both_engines(|s| {
        let receiver = Receiver::start();
        telling(s, &receiver, "[\"team\", \"oncall\"]", &format!("{SLACK}{PAGERDUTY}"));
        receiver.answer([Answer::Status(429, Some(600)), Answer::Status(429, Some(600))]);
        let run = moved(s);
        assert!(
            run.stderr.contains("warning: `alerts.team` was not told of “drift of bot: ") && run.stderr.contains("status 429"),
            "{run}"
        );
        assert!(run.stderr.contains("`kf alert send` tries again from "), "{run}");
        assert_eq!((receiver.requests(), receiver.heard().len()), (2, 0));
        assert_eq!(listed(s, []), [is("oncall", "waiting", 1), is("team", "waiting", 1)]);
        assert!(ok(s, ["status"]).stdout.contains("alerts  2 waiting, 0 failed: `kf alert list` tells why"));
        assert!(ok(s, ["alert", "send"]).stdout.contains("nothing is due, 2 waiting"));
        assert_eq!(receiver.requests(), 2, "too early");
        s.skip_runs(15);
        let sent = ok(s, ["alert", "send"]);
        assert!(sent.stdout.contains("2 messages sent"), "{sent}");
        assert_eq!((receiver.heard().len(), listed(s, ["--all"])), (2, vec![is("oncall", "sent", 2), is("team", "sent", 2)]));
        assert!(ok(s, ["alert", "send", "--quiet"]).stdout.is_empty());
        assert!(!ok(s, ["status"]).stdout.contains("alerts"), "nothing is left");
        ok(s, ["fsck"]);
    });
}

/// What a receiver calls wrong is wrong the next time too.
#[test]
fn what_is_refused_is_not_sent_again_until_somebody_asks() {
    on_both_engines(|s| {
        let receiver = Receiver::start();
        telling(s, &receiver, "[\"oncall\"]", PAGERDUTY);
        receiver.answer([Answer::Echo(400)]);
        let run = moved(s);
        assert!(
            run.stderr.contains("it is not tried again: `kf alert list` tells more") && !run.stderr.contains("hunter2"),
            "{run}"
        );
        s.skip_runs(600);
        ok(s, ["alert", "send"]);
        moved(s);
        assert_eq!((receiver.requests(), listed(s, [])), (1, vec![is("oncall", "failed", 1)]));
        let list = ok(s, ["alert", "list"]);
        assert!(list.stdout.contains("status 400") && list.stdout.contains("hint: `kf alert test CHANNEL`"), "{list}");
        assert!(!list.stdout.contains("hunter2"), "{list}");
        assert!(ok(s, ["status"]).stdout.contains("alerts  0 waiting, 1 failed"));
        ok(s, ["alert", "send", "--all"]);
        assert_eq!((receiver.heard().len(), listed(s, [])), (1, vec![]));
        ok(s, ["fsck"]);
    });
}

/// Five tries by as many commands, and then it is told that nobody was told.
#[test]
fn a_receiver_that_is_away_is_tried_five_times() {
    let (s, receiver) = (&mut Sandbox::new(), Receiver::start());
    telling(s, &receiver, "[\"team\", \"system\"]", &format!("{SLACK}{HOOK}"));
    s.set("SLACK", "http://127.0.0.1:1/hunter2-path");
    let first = moved(s);
    assert!(first.stderr.contains("cannot connect") && !first.to_string().contains("hunter2"), "{first}");
    assert_eq!(of(&receiver.heard(), "/hook").len(), 1, "another channel is told all the same");
    for tries in 2..=5 {
        assert_eq!(listed(s, []), [is("team", "waiting", tries - 1)]);
        s.skip_runs(60);
        moved(s);
    }
    assert_eq!(listed(s, []), [is("team", "failed", 5)]);
    s.skip_runs(60);
    assert!(moved(s).stderr.is_empty(), "it is not tried a sixth time");
    // When it is over nobody has to hear any more that it began.
    quiet(s);
    assert_eq!(listed(s, []), [is("team", "waiting", 1)]);
    s.set("SLACK", &receiver.url("/slack"));
    s.skip_runs(60);
    ok(s, ["alert", "send", "--all"]);
    let texts: Vec<Heard> = of(&receiver.heard(), "/slack").into_iter().cloned().collect();
    assert!(texts.len() == 1 && texts[0].text.contains("is over"), "{texts:?}");
    ok(s, ["fsck"]);
}

/// The end of a condition never overtakes its beginning.
#[test]
fn of_one_condition_all_is_told_in_order() {
    let (s, receiver) = (&mut Sandbox::new(), Receiver::start());
    telling(s, &receiver, "[\"oncall\"]", PAGERDUTY);
    receiver.answer([Answer::Status(429, Some(3600))]);
    moved(s);
    let over = quiet(s);
    assert!(over.stderr.is_empty() && receiver.requests() == 1, "{over}");
    assert_eq!(listed(s, []), [is("oncall", "waiting", 1), is("oncall", "waiting", 0)]);
    s.skip_runs(90);
    ok(s, ["alert", "send"]);
    let heard = receiver.heard();
    let acts: Vec<&str> = heard.iter().filter_map(|h| h.body["event_action"].as_str()).collect();
    assert_eq!(acts, ["trigger", "resolve"]);
}

/// The answer is lost: the message comes twice, and can be told by its id.
#[test]
fn who_is_told_twice_can_tell() {
    let (s, receiver) = (&mut Sandbox::new(), Receiver::start());
    telling(s, &receiver, "[\"system\"]", HOOK);
    receiver.answer([Answer::Lose]);
    let run = moved(s);
    assert!(run.stderr.contains("no answer within 2 s") || run.stderr.contains("not taken within 2 s"), "{run}");
    s.skip_runs(10);
    ok(s, ["alert", "send"]);
    let [first, second] = &receiver.heard()[..] else { panic!("{:?}", receiver.heard()) };
    assert_eq!((&first.headers["webhook-id"], &first.body), (&second.headers["webhook-id"], &second.body));
    assert_ne!(first.headers["webhook-timestamp"], second.headers["webhook-timestamp"]);
    assert!(verified(first) && verified(second));
}

/// A server that never answers costs its own time-out and nobody else's message.
#[test]
fn a_hanging_receiver_stops_nobody() {
    let (s, receiver) = (&mut Sandbox::new(), Receiver::start());
    telling(s, &receiver, "[\"system\", \"team\"]", &format!("{HOOK}{SLACK}"));
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    s.set("HOOK", &format!("http://{}/hunter2", silent.local_addr().expect("bound")));
    let run = moved(s);
    assert!(run.stderr.contains("`alerts.system` was not told") && !run.stderr.contains("hunter2"), "{run}");
    assert_eq!((of(&receiver.heard(), "/slack").len(), listed(s, [])), (1, vec![is("system", "waiting", 1)]));
}

/// Whatever an alert says, what is sent is of the published format; the fakes that say so share nothing with kf.
#[test]
fn nasty_texts_fit_every_format() {
    let words =
        ["a", "&<>", "<!channel> & <@U1>", "*a*_b_`c`", "line\nline\n\nline", "\u{1f6a8}é\u{200b}\t\r\n\u{7}", "\n\n\n", ""];
    let long = ["&", "é\u{1f6a8}", "<word> ", "a line of a report\n", "\n"].map(|text| text.repeat(20_000 / text.len()));
    let texts: Vec<&str> = words.into_iter().chain(long.iter().map(String::as_str)).collect();
    let at = "2026-11-21T08:00:00Z".parse().expect("a time");
    for (title, body) in texts.iter().flat_map(|title| texts.iter().map(move |body| (*title, *body))) {
        for act in Act::ALL {
            let alert = Alert {
                about: format!("drift/{title}"),
                act: *act,
                severity: Severity::Critical,
                title: title.to_owned(),
                body: body.to_owned(),
                facts: vec![("columns".to_owned(), body.to_owned())],
            };
            let message = message_of("kf/shop/5f0a3c1be2d49786", "01a1fedd-1d99-7252-a3a7-ddd3d9e395fc", &alert, at);
            let shown = (title.chars().take(20).collect::<String>(), body.chars().take(20).collect::<String>());
            assert_eq!(receiver::slack(&slack::payload(&message)), Ok(()), "{shown:?}");
            assert_eq!(receiver::pagerduty(&pagerduty::event(&message, ROUTING_KEY)), Ok(()), "{shown:?}");
        }
    }
}

/// Two at once: one of them sends, the other leaves it to it.
#[test]
fn two_commands_at_once_send_a_message_once() {
    on_both_engines(|s| {
        let receiver = Receiver::start();
        telling(s, &receiver, "[\"oncall\"]", PAGERDUTY);
        receiver.answer([Answer::Status(429, Some(10))]);
        moved(s);
        s.skip_runs(10);
        receiver.answer([Answer::Slow]);
        let s: &Sandbox = s;
        std::thread::scope(|scope| {
            let both = [(); 2].map(|()| scope.spawn(|| ok(s, ["alert", "send"])));
            both.into_iter().for_each(|one| assert_eq!(one.join().expect("no panic").code, Some(0)));
        });
        assert_eq!((receiver.requests(), listed(s, ["--all"])), (2, vec![is("oncall", "sent", 2)]));
        ok(s, ["fsck"]);
    });
}

/// What is missing on this host, or was taken out of `mlops.toml`, is told like any other failure.
#[test]
fn a_channel_that_cannot_be_used_keeps_its_messages() {
    let (s, receiver) = (&mut Sandbox::new(), Receiver::start());
    telling(s, &receiver, "[\"team\"]", "[alerts.team]\nkind = \"slack\"\nurl = \"env:NOT_HERE\"\n");
    let doctor = ends(s, 3, ["doctor"]);
    assert!(doctor.stdout.contains("alerts.team") && doctor.stdout.contains("`env:NOT_HERE` is not set"), "{doctor}");
    assert!(moved(s).stderr.contains("the secret `env:NOT_HERE` is not set (set it: `export NOT_HERE=…`)"));
    s.set("NOT_HERE", &receiver.url("/slack"));
    ok(s, ["doctor"]);
    s.skip_runs(1);
    ok(s, ["alert", "send"]);
    assert_eq!(receiver.heard().len(), 1);
}

/// One message now: what was answered, 3 for a no, 1 for nobody there, and nothing is recorded.
#[test]
fn a_channel_is_tried() {
    let (s, receiver) = (&mut Sandbox::new(), Receiver::start());
    telling(s, &receiver, "[\"team\"]", &format!("{SLACK}{PAGERDUTY}{HOOK}"));
    let before = events(s);
    for (name, answer) in
        [("team", "status 200 ok"), ("oncall", "status 202 {\"status\":\"success\""), ("system", "status 200 ok")]
    {
        let run = ok(s, ["alert", "test", name]);
        assert!(run.stdout.contains("took the message ") && run.stdout.contains(answer), "{run}");
    }
    assert_eq!((receiver.refused(), receiver.heard().len()), (vec![], 3));
    assert!(receiver.heard().iter().all(|h| h.text.contains("nothing is wrong")));
    for path in ["/slack", "/v2/enqueue", "/hook"] {
        receiver.answer([Answer::Echo(403)]);
        let name = ["team", "oncall", "system"][["/slack", "/v2/enqueue", "/hook"].iter().position(|p| *p == path).expect("one")];
        let no = ends(s, 3, ["alert", "test", name]);
        assert!(no.stdout.contains("refused the message ") && no.stdout.contains("status 403 Forbidden"), "{no}");
        assert!(!no.to_string().contains("hunter2"), "{no}");
    }
    s.set("SLACK", "http://127.0.0.1:1/hunter2");
    let away = ends(s, 1, ["alert", "test", "team"]);
    assert!(away.stderr.contains("cannot connect") && !away.stderr.contains("hunter2"), "{away}");
    let unknown = ends(s, 2, ["alert", "test", "taem"]);
    assert!(
        unknown.stderr.contains("mlops.toml has no `[alerts.taem]`") && unknown.stderr.contains("did you mean `team`?"),
        "{unknown}"
    );
    s.set("ROUTING_KEY", "hunter2");
    let short = ends(s, 1, ["alert", "test", "oncall"]);
    assert!(short.stderr.contains("has 7 characters, not 32") && !short.stderr.contains("hunter2"), "{short}");
    assert_eq!(events(s), before);
}

/// What was taken is not sent again for the sake of the answer's words; what is wrong on the receiver's side may be right later.
#[test]
fn what_is_taken_is_taken_and_trouble_of_the_receiver_is_for_now() {
    let (s, receiver) = (&mut Sandbox::new(), Receiver::start());
    s.set("HOOK", &receiver.url("/hook"));
    s.repository("[alerts.system]\nurl = \"env:HOOK\"\ntimeout = \"4s\"\n");
    for answer in [Answer::Long, Answer::Endless] {
        receiver.answer([answer]);
        let run = ok(s, ["alert", "test", "system"]);
        assert!(run.stdout.contains("took the message"), "{run}");
    }
    assert_eq!(receiver.requests(), 2);
    for status in [408, 425, 520, 599] {
        receiver.answer([Answer::Status(status, None)]);
        let run = ends(s, 1, ["alert", "test", "system"]);
        assert!(run.stderr.contains(&format!("status {status}")), "{run}");
    }
}

/// The name of this machine, which is not `localhost`: mail to it needs TLS.
fn own_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?.trim().to_owned();
    use std::net::ToSocketAddrs as _;
    let resolves = (name.as_str(), 25).to_socket_addrs().is_ok_and(|mut all| all.any(|a| a.ip().is_loopback() && a.is_ipv4()));
    resolves.then_some(name)
}

/// Mail goes over TLS whose certificate is checked, or not at all.
#[test]
fn mail_is_encrypted_or_not_sent() {
    let Some(host) = own_name() else { return skip("the name of this machine does not lead to it (`/etc/hosts`)") };
    let login = "user = \"kf\"\npassword = \"env:SMTP_PASSWORD\"\n";
    for (security, scheme, name) in [(Security::Implicit, "smtps", "localhost"), (Security::StartTls, "smtp", host.as_str())] {
        let mail = match Server::start(security, &["localhost", host.as_str()]) {
            Ok(mail) => mail,
            Err(why) => return skip(why),
        };
        let s = &mut Sandbox::new();
        s.set("SMTP_PASSWORD", "hunter2-password");
        s.repository(&mail_to(&format!("{scheme}://{name}:{}", mail.address.port()), login));
        let stranger = ends(s, 1, ["alert", "test", "owners"]);
        assert!(stranger.stderr.contains("certificate") && stranger.stderr.contains("SSL_CERT_FILE"), "{stranger}");
        assert_eq!(mail.mails().len(), 0);
        s.set("SSL_CERT_FILE", &mail.authority());
        let run = ok(s, ["alert", "test", "owners"]);
        assert!(run.stdout.contains("250 queued as 42 by kf ***"), "{run}");
        let [taken] = &mail.mails()[..] else { panic!("{:?}", mail.mails()) };
        assert!(taken.encrypted && taken.login.as_ref().is_some_and(|(user, _)| user == "kf"), "{taken:?}");
        s.set("SMTP_PASSWORD", "wrong-password");
        let wrong = ends(s, 3, ["alert", "test", "owners"]);
        assert!(
            wrong.stdout.contains("bad credentials *** (PLAIN ***)") && !wrong.to_string().contains("wrong-password"),
            "{wrong}"
        );
    }
    let plain = Server::start(Security::None, &[]).expect("a server");
    let s = &mut Sandbox::new();
    s.set("SMTP_PASSWORD", "hunter2-password");
    s.repository(&mail_to(&format!("smtp://{host}:{}", plain.address.port()), login));
    let refused = ends(s, 3, ["alert", "test", "owners"]);
    assert!(refused.stdout.contains("STARTTLS"), "{refused}");
    assert_eq!((plain.connections(), plain.mails().len()), (1, 0));
}

/// 5xx is for good, 4xx for now.
#[test]
fn mail_that_is_refused_for_now_is_sent_later() {
    let mail = Server::start(Security::None, &[]).expect("a server");
    let (s, receiver) = (&mut Sandbox::new(), Receiver::start());
    telling(s, &receiver, "[\"owners\"]", &mail_to(&format!("smtp://{}", mail.address), ""));
    mail.refuse(Some("451 greylisted, come back later"));
    assert!(moved(s).stderr.contains("451") && listed(s, []) == [is("owners", "waiting", 1)]);
    mail.refuse(Some("550 no such user"));
    s.skip_runs(10);
    let lost = ends(s, 1, ["alert", "send"]);
    assert!(lost.stdout.contains("no such user") && listed(s, []) == [is("owners", "failed", 2)], "{lost}");
    mail.refuse(None);
    ok(s, ["alert", "send", "--all"]);
    let [taken] = &mail.mails()[..] else { panic!("{:?}", mail.mails()) };
    let parsed = MessageParser::default().parse(taken.text.as_bytes()).expect("a mail");
    assert!(
        parsed
            .subject()
            .is_some_and(|s| s.starts_with("[kf] critical: drift of bot: critical: 60.0 % of amount are outside of 0 … 49.5")),
        "{taken:?}"
    );
    assert!(parsed.body_text(0).is_some_and(|t| t.contains("instead of 10.0 %") && t.contains("columns: amount")), "{taken:?}");
    assert_eq!(parsed.date().map(mail_parser::DateTime::to_rfc3339), Some("2026-11-21T08:03:00Z".to_owned()));
    ok(s, ["fsck"]);
}

/// Of several people each is told whom the server takes; who is refused for good is told as such, and who is refused for now gets it later.
#[test]
fn one_refused_address_stands_in_nobody_else_s_way() {
    let mail = Server::start(Security::None, &[]).expect("a server");
    let (s, receiver) = (&mut Sandbox::new(), Receiver::start());
    telling(s, &receiver, "[\"owners\"]", &mail_to(&format!("smtp://{}", mail.address), ""));
    mail.refuse_one("ada@example.org", Some("550 5.1.1 ada moved"));
    let check = moved(s);
    assert!(
        check.stderr.contains("`alerts.owners` was told in part of") && check.stderr.contains("the others were told"),
        "{check}"
    );
    assert!(check.stderr.contains("1 of 2 were taken, not ada@example.org (") && check.stderr.contains("ada moved"), "{check}");
    assert!(listed(s, []).is_empty() && listed(s, ["--all"]) == [is("owners", "sent", 1)], "nothing waits");
    assert!(ok(s, ["alert", "list", "--all"]).stdout.contains("ada moved") && !ok(s, ["status"]).stdout.contains("alerts"));
    let test = ends(s, 5, ["alert", "test", "owners"]);
    assert!(test.stdout.contains("took the message") && test.stdout.contains("not ada@example.org"), "{test}");
    let to = |mails: &[Mail]| mails.iter().map(|mail| mail.to.clone()).collect::<Vec<_>>();
    let (ada, grace) = ("ada@example.org".to_owned(), "grace@example.org".to_owned());
    assert_eq!(to(&mail.mails()), [[grace.clone()], [grace.clone()]]);
    // For now: everybody gets it later, who has it already by the same Message-ID.
    mail.refuse_one("ada@example.org", Some("452 4.2.2 mailbox full"));
    quiet(s);
    assert_eq!(listed(s, []), [is("owners", "waiting", 1)]);
    mail.refuse_one("ada@example.org", None);
    s.skip_runs(10);
    ok(s, ["alert", "send"]);
    let mails = mail.mails();
    assert_eq!(to(&mails[2..]), [vec![grace.clone()], vec![ada, grace.clone()]]);
    let id = |mail: &Mail| MessageParser::default().parse(mail.text.as_bytes()).and_then(|m| m.message_id().map(str::to_owned));
    assert!(id(&mails[2]).is_some() && id(&mails[2]) == id(&mails[3]));
    // A sender who is refused, and all recipients: nobody was told.
    mail.refuse(Some("550 relaying denied"));
    let nobody = ends(s, 3, ["alert", "test", "owners"]);
    assert!(nobody.stdout.contains("nobody was taken, not ada@example.org (") && nobody.stdout.contains("grace@"), "{nobody}");
    ok(s, ["fsck"]);
    ok(s, ["audit", "verify"]);
}
