//! Whoever is told by mail, through one server (RFC 5321). A connection for each message, TLS as `[alerts.<name>]` says, certificates
//! of the system (`SSL_CERT_FILE`).
//!
//! What the server refuses for good (5xx) is not sent again, what it refuses for now (4xx) is, to everybody and with the same
//! `Message-ID`. Whom it refuses for good stands in nobody else's way. The password is in no error.

mod session;

use crate::adapters::redact::{Hidden, Redactor};
use crate::base::error::{Context, Error, Result};
use crate::base::text::ellipsis;
use crate::base::time::Timestamp;
use crate::config::secret::Secret;
use crate::config::{Email, Tls};
use crate::domain::alert::mail::mail;
use crate::seams::notifier::{Message, Notifier, Told};
use crate::store::runtime::block_on;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message as Letter};
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls as Security, TlsParameters};
use session::{Came, Lost, Server};
use std::error::Error as _;
use std::time::{Duration, SystemTime};

/// Somebody who is told by mail.
pub struct Mailer {
    server: Server,
    /// The same for errors.
    place: String,
    from: Mailbox,
    to: Vec<Mailbox>,
    /// The password, as it is and as AUTH sends it.
    hidden: Vec<Secret>,
}

/// How much of an answer is told, in characters.
const ANSWER_MAX: usize = 200;

impl Mailer {
    /// Mail from and to whom the settings say; `password` is that of their user.
    ///
    /// # Errors
    /// When an address is none, or TLS cannot be set up.
    pub fn new(settings: &Email, password: Option<Secret>, limit: Duration) -> Result<Self> {
        let mailbox = |text: &String| -> Result<Mailbox> {
            let read = text.parse().context(|| format!("`{}` is no address of mail", ellipsis(text, 100)));
            read.hint(|| "write `team@example.org` or `Team <team@example.org>`".to_owned())
        };
        let relay = &settings.relay;
        let parameters = || TlsParameters::new(relay.host.clone()).context(|| "cannot set up TLS");
        let tls = match relay.tls {
            Tls::Implicit => Security::Wrapper(parameters()?),
            Tls::StartTls => Security::Required(parameters()?),
            Tls::Local => Security::None,
        };
        let login = settings.login.as_ref().zip(password.as_ref());
        let login = login.map(|((user, _), password)| Credentials::new(user.clone(), password.expose().to_owned()));
        Ok(Self {
            place: format!("{}:{}", relay.host, relay.port),
            server: Server { host: relay.host.clone(), port: relay.port, tls, login, limit },
            from: mailbox(&settings.from)?,
            to: settings.to.iter().map(mailbox).collect::<Result<_>>()?,
            hidden: hidden(settings, password.as_ref()),
        })
    }

    fn letter(&self, message: &Message) -> Result<Letter> {
        let mail = mail(message, self.from.email.domain());
        let since = Duration::from_micros(u64::try_from(message.at.micros()).unwrap_or(0));
        let header = |name: &'static str, value: &str| HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned());
        let builder = Letter::builder()
            .from(self.from.clone())
            .subject(mail.subject)
            .date(SystemTime::UNIX_EPOCH + since)
            .message_id(Some(mail.message_id))
            .references(mail.thread.clone())
            .in_reply_to(mail.thread)
            // No robot shall answer (RFC 3834 §5).
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .header(ContentType::TEXT_PLAIN);
        let builder = self.to.iter().fold(builder, |builder, to| builder.to(to.clone()));
        builder.body(mail.text).context(|| "cannot write the mail")
    }

    /// What the server says, without the password.
    fn redacted(&self, said: &str) -> String {
        Redactor::of(&self.hidden.iter().map(|secret| Hidden::key(secret.expose())).collect::<Vec<_>>()).text(said)
    }

    /// What a server said, or what went wrong, from the outside in, without the password.
    fn words(&self, e: &smtp::Error) -> String {
        let mut said = e.to_string();
        let mut cause = e.source();
        while let Some(inner) = cause {
            let text = inner.to_string();
            if !said.contains(&text) {
                said = format!("{said}: {text}");
            }
            cause = inner.source();
        }
        ellipsis(&self.redacted(&said), 300)
    }

    fn failure(&self, e: &smtp::Error) -> Error {
        let said = self.words(e);
        let error = Error::new(format!("mail through {}: {said}", self.place));
        match e {
            e if e.is_tls() || said.contains("certificate") => {
                error.hint("name the file with your authority's certificate: `export SSL_CERT_FILE=/path/ca.pem`")
            }
            e if e.is_client() => error.hint("`smtps://HOST:465` is TLS from the start; check `user` and `password`"),
            e if e.is_permanent() => error.hint("check `from`, `to`, `user` and `password`"),
            _ => error,
        }
    }

    /// What came of a mail that the server answered.
    fn told(&self, came: &Came) -> Told {
        let lost = session::told(&self.place, self.to.len(), &came.lost);
        let answer = came.answer.as_ref().map(|answer| {
            let said: Vec<&str> = answer.message().collect();
            ellipsis(&self.redacted(&format!("{} {}", answer.code(), said.join(" "))), ANSWER_MAX)
        });
        let for_good = came.lost.iter().all(Lost::is_for_good);
        match (answer, lost) {
            (Some(said), None) => Told::Taken(said),
            (Some(said), Some(e)) if for_good => Told::Partly(said, e),
            (None, Some(e)) if for_good => Told::Refused(e),
            (_, Some(e)) => Told::Missed(e, None),
            (None, None) => Told::Refused(Error::new(format!("mail through {}: there is nobody to tell", self.place))),
        }
    }
}

/// What of a login must not be repeated: the password, and the base64 of it (AUTH LOGIN) and of the whole (AUTH PLAIN, RFC 4616).
fn hidden(settings: &Email, password: Option<&Secret>) -> Vec<Secret> {
    let Some((user, password)) = settings.login.as_ref().map(|(user, _)| user).zip(password) else { return Vec::new() };
    let password = password.expose();
    let plain = BASE64_STANDARD.encode(format!("\0{user}\0{password}"));
    [plain, BASE64_STANDARD.encode(password), password.to_owned()]
        .into_iter()
        .filter(|s| !s.is_empty())
        .map(Secret::new)
        .collect()
}

impl Notifier for Mailer {
    fn tell(&self, message: &Message, _: Timestamp) -> Told {
        let letter = match self.letter(message) {
            Ok(letter) => letter,
            Err(e) => return Told::Refused(e),
        };
        let limit = self.server.limit;
        let late = || Error::new(format!("mail through {}: it was not taken within {} s", self.place, limit.as_secs_f64()));
        let mail = letter.formatted();
        let words = |e: &smtp::Error| self.words(e);
        let sent = session::send(&self.server, (&self.from, &self.to), &mail, &words);
        match block_on(async { tokio::time::timeout(limit, sent).await }) {
            Err(e) => Told::Missed(e, None),
            Ok(Err(_)) => Told::Missed(late(), None),
            Ok(Ok(Ok(came))) => self.told(&came),
            Ok(Ok(Err(e))) if e.is_permanent() || e.is_client() => Told::Refused(self.failure(&e)),
            Ok(Ok(Err(e))) => Told::Missed(self.failure(&e), None),
        }
    }
}
