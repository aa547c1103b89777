//! What a backup keeps, each as files: a folder, the output of a program, a Git repository, a PostgreSQL database, a Redis server,
//! the collections of a Qdrant server, a Neo4j database.

pub mod command;
pub mod directory;
mod folder;
pub mod git;
pub mod neo4j;
pub mod postgres;
pub mod qdrant;
pub mod redis;

use super::process::Program;
use crate::base::error::{Context, Error, Result};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

/// Runs a program and writes what it prints to a new file; gives the number of bytes.
fn print_to(program: &Program, input: &[u8], file: &Path) -> Result<u64> {
    use super::process::Event;
    let failed = || format!("cannot write {}", file.display());
    let mut to = File::create_new(file).context(failed)?;
    let mut running = program.start()?;
    running.feed(input.to_vec());
    running.close_input();
    let mut size = 0;
    loop {
        match running.next_before(None)? {
            None => {}
            Some(Event::Stdout(bytes)) => {
                to.write_all(&bytes).context(failed)?;
                size += bytes.len() as u64;
            }
            Some(Event::Ended(ended)) if ended.success() => return Ok(size),
            Some(Event::Ended(ended)) => {
                return Err(Error::new(super::process::why(&program.name(), &ended, &running.stderr())));
            }
        }
    }
}

/// What a program says of its version, the first line.
fn version(program: &str) -> Option<String> {
    let out = Program::new(program).arg("--version").output(b"").ok()?;
    String::from_utf8_lossy(&out).lines().next().map(str::to_owned)
}
