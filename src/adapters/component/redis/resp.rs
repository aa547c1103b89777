//! One connection to a Redis server: RESP2 (<https://redis.io/docs/latest/develop/reference/protocol-spec/>).

use crate::base::error::{Context, Error, Result};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// How long a server may be silent: it makes the snapshot first.
const SILENT: Duration = Duration::from_secs(600);
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// The longest answer: Redis has none that is longer.
const BULK_MAX: u64 = 512 << 20;

/// An answer that is no error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Text(String),
    Number(i64),
    Bytes(Vec<u8>),
    Nothing,
    List(Vec<Reply>),
}

impl Reply {
    pub(super) fn list(self) -> Vec<Reply> {
        if let Self::List(all) = self { all } else { Vec::new() }
    }

    pub(super) fn bytes(self) -> Option<Vec<u8>> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }
}

/// A connection.
pub(super) struct Wire {
    pub(super) stream: BufReader<TcpStream>,
    address: String,
}

impl Wire {
    /// A connection to `HOST:PORT`.
    pub(super) fn to(address: &str) -> Result<Self> {
        use std::net::ToSocketAddrs as _;
        let connect = || {
            let all = address.to_socket_addrs()?;
            let mut last = std::io::Error::other("the name has no address");
            for one in all {
                match TcpStream::connect_timeout(&one, CONNECT) {
                    Ok(stream) => return Ok(stream),
                    Err(e) => last = e,
                }
            }
            Err(last)
        };
        let stream = connect().context(|| format!("no Redis server answers at {address}"));
        let stream = stream.hint(|| "start it, or check its address in mlops.toml".into())?;
        stream.set_read_timeout(Some(SILENT)).context(|| "cannot limit the waiting")?;
        Ok(Self { stream: BufReader::new(stream), address: address.to_owned() })
    }

    fn failed(&self) -> String {
        format!("the connection to the Redis server at {} broke", self.address)
    }

    /// Sends commands without waiting for their answers.
    pub(super) fn send(&mut self, commands: &[Vec<&[u8]>]) -> Result<()> {
        let mut bytes = Vec::new();
        for argv in commands {
            bytes.extend_from_slice(format!("*{}\r\n", argv.len()).as_bytes());
            for arg in argv {
                bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
                bytes.extend_from_slice(arg);
                bytes.extend_from_slice(b"\r\n");
            }
        }
        let failed = self.failed();
        self.stream.get_mut().write_all(&bytes).context(|| failed)
    }

    /// A line of an answer, without its end.
    pub(super) fn line(&mut self) -> Result<String> {
        let (failed, mut line) = (self.failed(), Vec::new());
        self.stream.read_until(b'\n', &mut line).context(|| failed.clone())?;
        match line.strip_suffix(b"\r\n").or_else(|| line.strip_suffix(b"\n")) {
            Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
            None => Err(Error::new(failed)),
        }
    }

    /// The next answer.
    pub(super) fn reply(&mut self) -> Result<Reply> {
        let line = self.line()?;
        let odd = || Error::new(format!("the server at {} does not speak the protocol of Redis", self.address));
        let (Some(kind), Some(rest)) = (line.chars().next(), line.get(1..)) else { return Err(odd()) };
        let number = rest.parse::<i64>();
        match (kind, number) {
            ('+', _) => Ok(Reply::Text(rest.to_owned())),
            ('-', _) => Err(self.refused(rest)),
            (':', Ok(n)) => Ok(Reply::Number(n)),
            ('$' | '*', Ok(n)) if n < 0 => Ok(Reply::Nothing),
            ('$', Ok(n)) if n.unsigned_abs() <= BULK_MAX => self.bytes(n.unsigned_abs()).map(Reply::Bytes),
            ('*', Ok(n)) => (0..n).map(|_| self.reply()).collect::<Result<_>>().map(Reply::List),
            _ => Err(odd()),
        }
    }

    /// What the server says against a command, as an error.
    pub(super) fn refused(&self, said: &str) -> Error {
        let e = Error::new(format!("the Redis server at {} says: {said}", self.address));
        match said.split(' ').next().unwrap_or_default() {
            "NOAUTH" | "WRONGPASS" => e.hint("check `password` of the component in mlops.toml, and the user in its `url`"),
            "NOPERM" => e.hint("its user may do too little: a backup needs `SYNC`"),
            _ => e,
        }
    }

    fn bytes(&mut self, n: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let failed = self.failed();
        let all = self.stream.by_ref().take(n + 2).read_to_end(&mut bytes).context(|| failed.clone())?;
        if all as u64 != n + 2 {
            return Err(Error::new(failed));
        }
        bytes.truncate(bytes.len() - 2);
        Ok(bytes)
    }

    /// One command and its answer.
    pub(super) fn ask(&mut self, argv: &[&str]) -> Result<Reply> {
        self.send(&[argv.iter().map(|arg| arg.as_bytes()).collect()])?;
        self.reply()
    }
}
