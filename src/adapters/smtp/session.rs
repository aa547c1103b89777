//! One mail to several people in one conversation (RFC 5321 §3.3). Whom the server does not take stands in nobody else's way: the
//! others are told, and who was not is answered.

use crate::base::error::Error;
use lettre::Address;
use lettre::message::Mailbox;
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Tls, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use lettre::transport::smtp::response::Response;
use std::time::Duration;

/// How a server is reached.
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Tls,
    pub(super) login: Option<Credentials>,
    /// How long an answer may take.
    pub(super) limit: Duration,
}

/// Somebody whom the server did not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) to: String,
    pub(super) why: Why,
}

/// Why somebody was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// In these words, for good.
    ForGood(String),
    /// In these words, for now.
    ForNow(String),
}

impl Lost {
    pub(super) fn is_for_good(&self) -> bool {
        matches!(self.why, Why::ForGood(_))
    }
}

/// What came of a mail.
pub(super) struct Came {
    /// What the server answered to the mail; `None` when it took nobody, and so no mail.
    pub(super) answer: Option<Response>,
    pub(super) lost: Vec<Lost>,
}

/// Sends a mail, which is ASCII, to all whom the server takes. `words` tells what a server said.
///
/// # Errors
/// When the server cannot be reached, or refuses the login, the sender or the mail: then nobody got it.
pub(super) async fn send(
    server: &Server,
    (from, to): (&Mailbox, &[Mailbox]),
    mail: &[u8],
    words: &(dyn Fn(&smtp::Error) -> String + Sync),
) -> Result<Came, smtp::Error> {
    let mut connection = connect(server).await?;
    let came = converse(&mut connection, (&from.email, to), mail, words).await;
    // Says QUIT where that is still possible; what was taken stays taken.
    connection.abort().await;
    came
}

async fn connect(server: &Server) -> Result<AsyncSmtpConnection, smtp::Error> {
    let (name, place) = (ClientId::default(), (server.host.as_str(), server.port));
    let wrapped: Option<TlsParameters> = match &server.tls {
        Tls::Wrapper(parameters) => Some(parameters.clone()),
        _ => None,
    };
    let mut connection = AsyncSmtpConnection::connect_tokio1(place, Some(server.limit), &name, wrapped, None).await?;
    if let Tls::Required(parameters) = &server.tls {
        connection.starttls(parameters.clone(), &name).await?;
    }
    if let Some(login) = &server.login {
        connection.auth(DEFAULT_MECHANISMS, login).await?;
    }
    Ok(connection)
}

async fn converse(
    connection: &mut AsyncSmtpConnection,
    (from, to): (&Address, &[Mailbox]),
    mail: &[u8],
    words: &(dyn Fn(&smtp::Error) -> String + Sync),
) -> Result<Came, smtp::Error> {
    let is_ascii = |address: &Address| AsRef::<str>::as_ref(address).is_ascii();
    let wide = connection.server_info().supports_feature(Extension::SmtpUtfEight);
    let asked = !is_ascii(from) || to.iter().any(|to| !is_ascii(&to.email));
    let parameters = if wide && asked { vec![MailParameter::SmtpUtfEight] } else { Vec::new() };
    connection.command(Mail::new(Some(from.clone()), parameters)).await?;
    let mut lost = Vec::new();
    for Mailbox { email, .. } in to {
        let why = if is_ascii(email) || wide {
            match connection.command(Rcpt::new(email.clone(), Vec::new())).await {
                Ok(_) => continue,
                Err(e) if e.is_permanent() => Why::ForGood(words(&e)),
                Err(e) if e.is_transient() => Why::ForNow(words(&e)),
                Err(e) => return Err(e),
            }
        } else {
            Why::ForGood("the server takes no addresses beyond ASCII (SMTPUTF8)".to_owned())
        };
        lost.push(Lost { to: email.to_string(), why });
    }
    if lost.len() == to.len() {
        return Ok(Came { answer: None, lost });
    }
    connection.command(Data).await?;
    let answer = connection.message(mail).await?;
    Ok(Came { answer: Some(answer), lost })
}

/// Who of `all` was not taken and what the server said of each, as an error; `None` without anybody.
pub(super) fn told(server: &str, all: usize, lost: &[Lost]) -> Option<Error> {
    let of = |lost: &Lost| {
        let (Why::ForGood(why) | Why::ForNow(why)) = &lost.why;
        format!("{} ({why})", lost.to)
    };
    let said: Vec<String> = lost.iter().map(of).collect();
    let others = match all - lost.len() {
        0 => "nobody was taken".to_owned(),
        taken => format!("{taken} of {all} were taken"),
    };
    let error = Error::new(format!("mail through {server}: {others}, not {}", said.join(", ")));
    let error = if lost.iter().any(Lost::is_for_good) { error.hint("check `from` and `to` in mlops.toml") } else { error };
    (!lost.is_empty()).then_some(error)
}
