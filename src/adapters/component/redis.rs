//! A Redis server: the snapshot that it sends to a replica that asks for everything (`SYNC`, <https://redis.io/docs/latest/operate/oss_and_stack/management/replication/>),
//! which is the file that it starts from.
//!
//! It is loaded into another server by way of one of our own that starts from that file, key by key (`DUMP`, `RESTORE`).

mod own;
mod resp;

use crate::base::error::{Context, Error, Result};
use crate::config::secret::Secret;
use crate::seams::backup::{Component, Counted, Counts, Dumped, FEWER, Kind};
use own::Own;
use resp::{Reply, Wire};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

/// The file of the snapshot, by the name that a server looks for.
const SNAPSHOT: &str = "dump.rdb";
/// Keys that are on their way at a time.
const BATCH: usize = 64;

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

    fn connect(&self) -> Result<Wire> {
        let mut wire = Wire::to(&self.address)?;
        if let Some(password) = &self.password {
            let user = self.user.iter().map(String::as_str);
            let argv: Vec<&str> = ["AUTH"].into_iter().chain(user).chain([password.expose()]).collect();
            wire.ask(&argv)?;
        }
        Ok(wire)
    }

    /// How many keys it has, by database: those that stay, and those that expire.
    fn keys(&self) -> Result<Counts> {
        let text = self.connect()?.ask(&["INFO", "keyspace"])?.bytes().ok_or_else(|| Error::new("Redis gave no keyspace"))?;
        let mut counts = Counts::new();
        for line in String::from_utf8_lossy(&text).lines() {
            let Some((db, rest)) = line.split_once(':').filter(|(db, _)| db.starts_with("db")) else { continue };
            let of = |name: &str| rest.split(',').find_map(|part| part.strip_prefix(name)?.parse::<u64>().ok());
            let (Some(keys), expires) = (of("keys="), of("expires=").unwrap_or(0)) else { continue };
            if keys > expires {
                counts.insert(format!("keys of {db}"), keys - expires);
            }
            if expires > 0 {
                counts.insert(format!("keys of {db}{FEWER}"), expires);
            }
        }
        Ok(counts)
    }

    /// What is counted of it: keys, and libraries of functions, which servers before version 7 have not.
    fn counted(&self) -> Result<Counts> {
        let mut counts = self.keys()?;
        let libraries = self.connect()?.ask(&["FUNCTION", "LIST"]).map_or(0, |all| all.list().len());
        if libraries > 0 {
            counts.insert("libraries of functions".into(), libraries as u64);
        }
        Ok(counts)
    }

    fn snapshot(&self, file: &Path) -> Result<()> {
        let mut wire = self.connect()?;
        wire.send(&[vec![b"SYNC".as_slice()]])?;
        let failed = || format!("the snapshot of the Redis server at {} breaks off", self.address);
        // While it makes the snapshot it sends empty lines, so that nobody takes it for dead.
        let head = loop {
            let line = wire.line().context(failed)?;
            if let Some(no) = line.strip_prefix('-') {
                return Err(wire.refused(no));
            }
            if !line.is_empty() {
                break line;
            }
        };
        let mut to = File::create_new(file).context(|| "cannot write a snapshot")?;
        let announced = head.strip_prefix('$').ok_or_else(|| Error::new(failed()))?;
        match announced.strip_prefix("EOF:") {
            Some(mark) => until(&mut wire.stream, mark.as_bytes(), &mut to).context(failed)?,
            None => {
                let size: u64 = announced.parse().context(failed)?;
                let copied = std::io::copy(&mut wire.stream.by_ref().take(size), &mut to).context(failed)?;
                if copied < size {
                    return Err(Error::new(format!("{}: {copied} bytes came of {size}", failed())));
                }
            }
        }
        Ok(())
    }

    /// Carries all keys of a server over, with the instant at which each expires.
    fn fill(&self, from: &Self, sent: &mut u64) -> Result<()> {
        let (mut out, mut into) = (from.connect()?, self.connect()?);
        let functions = out.ask(&["FUNCTION", "LIST"])?.list();
        if !functions.is_empty() {
            let payload = out.ask(&["FUNCTION", "DUMP"])?.bytes().unwrap_or_default();
            into.send(&[vec![b"FUNCTION".as_slice(), b"RESTORE", &payload, b"FLUSH"]])?;
            into.reply()?;
        }
        for db in from.databases()? {
            out.ask(&["SELECT", &db])?;
            into.ask(&["SELECT", &db])?;
            let mut cursor = "0".to_owned();
            loop {
                let mut page = out.ask(&["SCAN", &cursor, "COUNT", &BATCH.to_string()])?.list();
                let keys: Vec<Vec<u8>> =
                    page.pop().map(Reply::list).unwrap_or_default().into_iter().filter_map(Reply::bytes).collect();
                let next = page.pop().and_then(Reply::bytes).ok_or_else(|| Error::new("Redis gave no keys"))?;
                for some in keys.chunks(BATCH) {
                    *sent += carry(&mut out, &mut into, some)?;
                }
                cursor = String::from_utf8_lossy(&next).into_owned();
                if cursor == "0" {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The numbers of the databases that have keys.
    fn databases(&self) -> Result<Vec<String>> {
        let number = |name: &String| name.strip_prefix("keys of db").map(|rest| rest.trim_end_matches(FEWER).to_owned());
        let mut all: Vec<String> = self.keys()?.keys().filter_map(number).collect();
        all.dedup();
        Ok(all)
    }

    /// Takes out what was loaded, unless somebody else has written there since.
    fn undo(&self, sent: u64) -> &'static str {
        let total = || self.keys().map(|all| all.values().sum::<u64>());
        let emptied = total().is_ok_and(|n| n <= sent) && self.connect().and_then(|mut wire| wire.ask(&["FLUSHALL"])).is_ok();
        match emptied {
            true => "what had been loaded of it was taken out again",
            false => "a part of it is there, and could not be taken out: `--force` loads it anew",
        }
    }
}

/// Carries some keys over; how many were still there.
fn carry(out: &mut Wire, into: &mut Wire, keys: &[Vec<u8>]) -> Result<u64> {
    let mut questions: Vec<Vec<&[u8]>> = Vec::new();
    for key in keys {
        questions.push(vec![b"DUMP".as_slice(), key]);
        questions.push(vec![b"PEXPIRETIME".as_slice(), key]);
    }
    out.send(&questions)?;
    let mut values = Vec::new();
    for key in keys {
        let (dump, expires) = (out.reply()?, out.reply()?);
        let Reply::Number(expires) = expires else { return Err(Error::new("Redis gave no expiry of a key")) };
        // One that has expired meanwhile is not there any more.
        values.extend(dump.bytes().map(|dump| (key, expires.max(0).to_string(), dump)));
    }
    let restore = |(key, expires, dump): &'_ (&Vec<u8>, String, Vec<u8>)| -> Vec<Vec<u8>> {
        [b"RESTORE".as_slice(), key, expires.as_bytes(), dump, b"REPLACE", b"ABSTTL"].map(<[u8]>::to_vec).to_vec()
    };
    let commands: Vec<Vec<Vec<u8>>> = values.iter().map(restore).collect();
    let commands: Vec<Vec<&[u8]>> = commands.iter().map(|argv| argv.iter().map(Vec::as_slice).collect()).collect();
    into.send(&commands)?;
    for _ in &values {
        into.reply()?;
    }
    Ok(values.len() as u64)
}

impl Component for Redis {
    fn kind(&self) -> Kind {
        Kind { kind: "redis".into(), place: self.url.clone() }
    }

    fn dump(&self, scratch: &Path) -> Result<Dumped> {
        self.snapshot(&scratch.join(SNAPSHOT))?;
        // What the snapshot holds is counted where a server can be started; what the server holds by now may be something else.
        let ours = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        let beside = tempfile::Builder::new().permissions(ours).tempdir_in(scratch.parent().unwrap_or(scratch));
        let beside = beside.context(|| "cannot make a folder")?;
        let counts = self.count(scratch, beside.path())?.map(|found| found.counts).unwrap_or_default();
        Ok(Dumped { root: scratch.to_owned(), counts, tool: super::version("redis-server") })
    }

    fn count(&self, files: &Path, scratch: &Path) -> Result<Option<Counted>> {
        let Some(own) = Own::start(&files.join(SNAPSHOT), scratch)? else { return Ok(None) };
        Ok(Some(Counted { counts: own.client.counted()?, by: "a server started from it".into() }))
    }

    fn occupied(&self) -> Result<Option<String>> {
        let counts = self.counted()?;
        Ok((!counts.is_empty()).then(|| counts.iter().map(|(name, n)| format!("{n} {name}")).collect::<Vec<_>>().join(", ")))
    }

    fn load(&self, files: &Path, scratch: &Path, over: bool) -> Result<Counts> {
        let own = Own::start(&files.join(SNAPSHOT), scratch)?.ok_or_else(|| {
            Error::new("`redis-server` is not on this machine, and a server of our own reads the snapshot")
                .hint("install it, or stop that server, put `dump.rdb` of `kf backup restore SET --to FOLDER` into its folder, and start it")
        })?;
        if over {
            self.connect()?.ask(&["FLUSHALL"])?;
        }
        let mut sent = 0;
        self.fill(&own.client, &mut sent).hint(|| self.undo(sent).to_owned())?;
        self.counted()
    }
}

/// Copies up to a mark of 40 bytes at the very end.
fn until(stream: &mut impl std::io::Read, mark: &[u8], to: &mut File) -> std::io::Result<()> {
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
