//! A small SMTP server (RFC 5321, 3207, 4954) that keeps what it takes and refuses what a client may not do: commands out of order,
//! mail before TLS where it must be, bare line ends, lines beyond 998 characters (RFC 5322 §2.1.1).

use super::{packages_with, project};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

/// Whether a connection may be read on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    /// No TLS at all.
    None,
    /// TLS after STARTTLS, and no mail before.
    StartTls,
    /// TLS from the start.
    Implicit,
}

/// A mail that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) text: String,
    /// User and password, as AUTH PLAIN gave them.
    pub(crate) login: Option<(String, String)>,
    pub(crate) encrypted: bool,
}

#[derive(Debug, Default)]
struct Shared {
    mails: Vec<Mail>,
    /// What RCPT is answered, in place of a yes.
    refuse: Option<String>,
    /// The same for one address.
    refused: BTreeMap<String, String>,
    /// Connections that were made.
    connections: usize,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    certificates: Option<tempfile::TempDir>,
}

impl Server {
    /// Starts one whose certificate is for these names; the error says which program is missing.
    pub(crate) fn start(security: Security, names: &[&str]) -> Result<Self, &'static str> {
        let certificates = match security {
            Security::None => None,
            _ => Some(certificates(names)?),
        };
        let tls = certificates.as_ref().map(|dir| Arc::new(configuration(dir)));
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let server = Self { address: listener.local_addr().expect("bound"), shared: Arc::default(), certificates };
        let shared = Arc::clone(&server.shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (shared, tls) = (Arc::clone(&shared), tls.clone());
                std::thread::spawn(move || {
                    // A client that goes away in the middle is nothing to fail for.
                    let _ = connection(stream, security, tls.as_ref(), &shared);
                });
            }
        });
        Ok(server)
    }

    /// The file with the authority of its certificate.
    pub(crate) fn authority(&self) -> String {
        let dir = self.certificates.as_ref().expect("a server with TLS");
        dir.path().join("ca.pem").display().to_string()
    }

    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.shared.lock().expect("nobody panicked").mails.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.lock().expect("nobody panicked").connections
    }

    /// What one recipient is answered from now on; `None` for a yes.
    pub(crate) fn refuse_one(&self, address: &str, answer: Option<&str>) {
        let refused = &mut self.shared.lock().expect("nobody panicked").refused;
        match answer {
            Some(answer) => _ = refused.insert(address.to_owned(), answer.to_owned()),
            None => _ = refused.remove(address),
        }
    }

    /// What recipients are answered from now on; `None` for a yes.
    pub(crate) fn refuse(&self, answer: Option<&str>) {
        self.shared.lock().expect("nobody panicked").refuse = answer.map(str::to_owned);
    }
}

/// A folder with an authority, and a certificate for these names that it signed.
pub(crate) fn certificates(names: &[&str]) -> Result<tempfile::TempDir, &'static str> {
    let lacking = "the Python package `cryptography` is not installed (`.ci/run install`)";
    let packages = packages_with("cryptography/__init__.py").ok_or(lacking)?;
    let python: PathBuf = packages.ancestors().nth(3).ok_or(lacking)?.join("bin/python");
    let dir = tempfile::Builder::new().prefix("kf-tls-").tempdir().expect("a folder");
    let script = project().join("tests/tools/certificate.py");
    let done = Command::new(python).arg(script).arg(dir.path()).args(names).output().expect("Python runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Ok(dir)
}

pub(crate) fn configuration(dir: &tempfile::TempDir) -> ServerConfig {
    let certificate = CertificateDer::from_pem_file(dir.path().join("cert.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(dir.path().join("key.pem")).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS");
    builder.with_no_client_auth().with_single_cert(vec![certificate], key).expect("a pair")
}

/// A stream with or without TLS.
trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

fn connection(
    stream: TcpStream,
    security: Security,
    tls: Option<&Arc<ServerConfig>>,
    shared: &Mutex<Shared>,
) -> std::io::Result<()> {
    shared.lock().expect("nobody panicked").connections += 1;
    let wrap = |stream: TcpStream| -> StreamOwned<ServerConnection, TcpStream> {
        let config = tls.expect("a server with TLS");
        StreamOwned::new(ServerConnection::new(Arc::clone(config)).expect("a connection"), stream)
    };
    if security == Security::Implicit {
        return Session::new(shared, security, true).talk(&mut wrap(stream), true).map(|_| ());
    }
    let mut plain = stream;
    if Session::new(shared, security, false).talk(&mut plain, true)? {
        return Session::new(shared, security, true).talk(&mut wrap(plain), false).map(|_| ());
    }
    Ok(())
}

struct Session<'a> {
    shared: &'a Mutex<Shared>,
    security: Security,
    encrypted: bool,
    greeted: bool,
    login: Option<(String, String)>,
    from: Option<String>,
    to: Vec<String>,
}

impl<'a> Session<'a> {
    fn new(shared: &'a Mutex<Shared>, security: Security, encrypted: bool) -> Self {
        Self { shared, security, encrypted, greeted: false, login: None, from: None, to: Vec::new() }
    }

    /// Talks until the client goes, or true when TLS is to begin.
    fn talk(mut self, stream: &mut dyn Stream, greet: bool) -> std::io::Result<bool> {
        // One byte at a time, so that nothing of what follows STARTTLS is read.
        let mut stream = BufReader::with_capacity(1, stream);
        if greet {
            stream.get_mut().write_all(b"220 mail.test ESMTP\r\n")?;
        }
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Ok(false);
            }
            let answer = match line.strip_suffix("\r\n") {
                None => "500 bare line end".to_owned(),
                Some("DATA") if self.to.is_empty() => "503 no recipients".to_owned(),
                Some("DATA") => {
                    stream.get_mut().write_all(b"354 go on\r\n")?;
                    self.data(&mut stream)?
                }
                Some(line) => self.answer(line),
            };
            stream.get_mut().write_all(format!("{answer}\r\n").as_bytes())?;
            match answer.get(..3) {
                Some("221") => return Ok(false),
                Some("220") => return Ok(true),
                _ => {}
            }
        }
    }

    fn answer(&mut self, line: &str) -> String {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let clear = self.security == Security::StartTls && !self.encrypted;
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => {
                self.greeted = true;
                let starttls = if clear { "250-STARTTLS\r\n" } else { "" };
                format!("250-mail.test\r\n{starttls}250-8BITMIME\r\n250 AUTH PLAIN")
            }
            "QUIT" => "221 bye".to_owned(),
            "STARTTLS" if clear => "220 go on".to_owned(),
            "RSET" | "NOOP" => "250 ok".to_owned(),
            _ if !self.greeted => "503 say EHLO first".to_owned(),
            _ if clear => "530 Must issue a STARTTLS command first".to_owned(),
            "AUTH" => self.authenticate(rest),
            "MAIL" if rest.starts_with("FROM:<") => {
                self.from = path(rest);
                "250 ok".to_owned()
            }
            "RCPT" if self.from.is_some() && rest.starts_with("TO:<") => {
                let to = path(rest).unwrap_or_default();
                let shared = self.shared.lock().expect("nobody panicked");
                if let Some(answer) = shared.refuse.as_ref().or_else(|| shared.refused.get(&to)) {
                    return answer.clone();
                }
                self.to.push(to);
                "250 ok".to_owned()
            }
            _ => format!("500 what is {verb}?"),
        }
    }

    fn authenticate(&mut self, rest: &str) -> String {
        use base64::prelude::{BASE64_STANDARD, Engine as _};
        let decoded = rest.strip_prefix("PLAIN ").and_then(|text| BASE64_STANDARD.decode(text).ok());
        let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let mut parts = decoded.split('\0').skip(1);
        let login = parts.next().zip(parts.next()).map(|(user, password)| (user.to_owned(), password.to_owned()));
        if login.as_ref().is_none_or(|(_, password)| password == "wrong-password") {
            // Some servers repeat what they were given.
            return format!("535 bad credentials {} ({rest})", login.map(|(_, password)| password).unwrap_or_default());
        }
        self.login = login;
        "235 welcome".to_owned()
    }

    fn data(&mut self, stream: &mut BufReader<&mut dyn Stream>) -> std::io::Result<String> {
        let (mut text, mut wrong) = (String::new(), None);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let Some(line) = line.strip_suffix("\r\n") else {
                wrong = Some("bare line end");
                continue;
            };
            if line == "." {
                break;
            }
            if line.len() > 998 {
                wrong = Some("a line is too long");
            }
            text.push_str(line.strip_prefix('.').unwrap_or(line));
            text.push('\n');
        }
        if let Some(why) = wrong {
            return Ok(format!("554 {why}"));
        }
        let (from, to) = (self.from.take().unwrap_or_default(), std::mem::take(&mut self.to));
        let said = self.login.as_ref().map(|(user, password)| format!(" by {user} {password}")).unwrap_or_default();
        let mail = Mail { from, to, text, login: self.login.clone(), encrypted: self.encrypted };
        self.shared.lock().expect("nobody panicked").mails.push(mail);
        Ok(format!("250 queued as 42{said}"))
    }
}

/// The address in `FROM:<a@b> …`.
fn path(text: &str) -> Option<String> {
    Some(text.split_once('<')?.1.split_once('>')?.0.to_owned())
}
