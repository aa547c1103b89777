//! A Redis server: the snapshot that it sends to a replica that asks for everything (`SYNC`, <https://redis.io/docs/latest/operate/oss_and_stack/management/replication/>),
//! which is the file that it starts from.

use crate::adapters::process::{Event, Program, why};
use crate::base::error::{Context, Error, Result};
use crate::config::secret::Secret;
use crate::seams::backup::{Component, Counts, Dumped, Kind};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// The file of the snapshot, by the name that a server looks for.
const SNAPSHOT: &str = "dump.rdb";
/// How long a server may be silent: it makes the snapshot first.
const SILENT: Duration = Duration::from_secs(600);
/// How long a server of our own may take to start.
const START: Duration = Duration::from_secs(60);

/// A Redis server.
pub struct Redis {
    url: String,
    address: String,
    user: Option<String>,
    password: Option<Secret>,
}

impl Redis {
    /// The server of an address `redis://[USER@]HOST[:PORT]`.
    ///
    /// # Errors
    /// When it is none.
    pub fn new(url: &str, password: Option<Secret>) -> Result<Self> {
        let parsed = url::Url::parse(url).context(|| format!("`{url}` is no address"))?;
        let host = parsed.host_str().unwrap_or("127.0.0.1");
        let user = Some(parsed.username().to_owned()).filter(|user| !user.is_empty());
        Ok(Self { url: url.to_owned(), address: format!("{host}:{}", parsed.port().unwrap_or(6379)), user, password })
    }

    fn connect(&self) -> Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect(&self.address).context(|| format!("no Redis server answers at {}", self.address));
        let stream = stream.hint(|| "start it, or check `url` of the component in mlops.toml".into())?;
        stream.set_read_timeout(Some(SILENT)).context(|| "cannot limit the waiting")?;
        let mut stream = BufReader::new(stream);
        if let Some(password) = &self.password {
            let user = self.user.iter().map(String::as_str);
            let argv: Vec<&str> = ["AUTH"].into_iter().chain(user).chain([password.expose()]).collect();
            self.ask(&mut stream, &argv)?;
        }
        Ok(stream)
    }

    /// Sends a command and reads the first line of the answer, which is no error.
    fn ask(&self, stream: &mut BufReader<TcpStream>, argv: &[&str]) -> Result<String> {
        let failed = || format!("the Redis server at {} does not answer", self.address);
        let mut text = format!("*{}\r\n", argv.len());
        argv.iter().for_each(|arg| text.push_str(&format!("${}\r\n{arg}\r\n", arg.len())));
        stream.get_mut().write_all(text.as_bytes()).context(failed)?;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).context(failed)? == 0 {
                return Err(Error::new(failed()));
            }
            let line = line.trim_end();
            match line.strip_prefix('-') {
                Some(no) => {
                    let e = Error::new(format!("the Redis server at {} says: {no}", self.address));
                    return Err(
                        e.hint("check `password` of the component in mlops.toml, and what its user may do (`SYNC`, `DBSIZE`)")
                    );
                }
                // While it makes the snapshot it sends empty lines, so that nobody takes it for dead.
                None if line.is_empty() => {}
                None => return Ok(line.to_owned()),
            }
        }
    }

    /// How many keys it has, by database.
    fn keys(&self) -> Result<Counts> {
        let mut stream = self.connect()?;
        let head = self.ask(&mut stream, &["INFO", "keyspace"])?;
        let size: u64 =
            head.strip_prefix('$').and_then(|n| n.parse().ok()).ok_or_else(|| Error::new("Redis gave no keyspace"))?;
        let mut text = String::new();
        stream.take(size).read_to_string(&mut text).context(|| "Redis gave no keyspace")?;
        let of = |line: &str| {
            let (db, rest) = line.split_once(":keys=")?;
            Some((format!("keys of {db}"), rest.split(',').next()?.parse().ok()?))
        };
        Ok(text.lines().filter_map(of).collect())
    }
}

impl Component for Redis {
    fn kind(&self) -> Kind {
        Kind { kind: "redis".into(), place: self.url.clone() }
    }

    fn dump(&self, scratch: &Path) -> Result<Dumped> {
        let mut stream = self.connect()?;
        let head = self.ask(&mut stream, &["SYNC"])?;
        let failed = || format!("the snapshot of the Redis server at {} breaks off", self.address);
        let mut to = File::create_new(scratch.join(SNAPSHOT)).context(|| "cannot write a snapshot")?;
        let announced = head.strip_prefix('$').ok_or_else(|| Error::new(failed()))?;
        match announced.strip_prefix("EOF:") {
            Some(mark) => until(&mut stream, mark.as_bytes(), &mut to).context(failed)?,
            None => {
                let size: u64 = announced.parse().context(failed)?;
                let copied = std::io::copy(&mut stream.by_ref().take(size), &mut to).context(failed)?;
                if copied < size {
                    return Err(Error::new(failed()));
                }
            }
        }
        drop(stream);
        // What the snapshot holds is counted where a server can be started; what the server holds by now may be something else.
        let counted = tempfile::tempdir_in(scratch.parent().unwrap_or(scratch)).context(|| "cannot make a folder")?;
        let counts = self.count(scratch, counted.path())?.unwrap_or_default();
        Ok(Dumped { root: scratch.to_owned(), counts, tool: super::version("redis-server") })
    }

    fn count(&self, files: &Path, scratch: &Path) -> Result<Option<Counts>> {
        if super::version("redis-server").is_none() {
            return Ok(None);
        }
        std::fs::copy(files.join(SNAPSHOT), scratch.join(SNAPSHOT)).context(|| "cannot copy the snapshot")?;
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).context(|| "there is no free port")?.port();
        let argv = ["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no", "--daemonize", "no"];
        let mut server = Program::new("redis-server").args(argv).arg("--dir").arg(scratch).start()?;
        let own = Self::new(&format!("redis://127.0.0.1:{port}"), None)?;
        let until = Instant::now() + START;
        let counted = loop {
            match own.keys() {
                Ok(keys) => break keys,
                Err(e) if Instant::now() > until => {
                    let said = server.stderr();
                    return Err(e).context(|| format!("a server of our own does not start from the snapshot: {said}"));
                }
                Err(_) => {
                    let next = server.next_before(Some(Instant::now() + Duration::from_millis(50)))?;
                    if let Some(Event::Ended(ended)) = next {
                        let why = why("redis-server", &ended, &server.stderr());
                        return Err(Error::new(format!("the snapshot of Redis cannot be read: {why}")));
                    }
                }
            }
        };
        Ok(Some(counted))
    }
}

/// Copies up to a mark of 40 bytes at the very end.
fn until(stream: &mut BufReader<TcpStream>, mark: &[u8], to: &mut File) -> std::io::Result<()> {
    let mut tail: Vec<u8> = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    while !tail.ends_with(mark) {
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        tail.extend_from_slice(&buffer[..n]);
        let sure = tail.len().saturating_sub(mark.len());
        to.write_all(&tail[..sure])?;
        tail.drain(..sure);
    }
    Ok(())
}
