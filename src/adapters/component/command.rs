//! What a program prints: for whatever kf does not know itself.

use super::print_to;
use crate::adapters::process::Program;
use crate::base::error::{Context, Error, Result};
use crate::seams::backup::{Component, Counts, Dumped, Kind};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The file in which the output is.
const OUTPUT: &str = "output";

/// A program whose output is kept.
pub struct CommandComponent {
    dir: PathBuf,
    dump: Vec<String>,
    restore: Option<Vec<String>>,
}

impl CommandComponent {
    /// A program that runs in `dir`, and one that reads its output again in an empty folder.
    pub fn new(dir: &Path, dump: Vec<String>, restore: Option<Vec<String>>) -> Self {
        Self { dir: dir.to_owned(), dump, restore }
    }
}

impl Component for CommandComponent {
    fn kind(&self) -> Kind {
        Kind { kind: "command".into(), place: self.dump.join(" ") }
    }

    fn dump(&self, scratch: &Path) -> Result<Dumped> {
        let size = print_to(&Program::from_argv(&self.dump)?.dir(&self.dir), b"", &scratch.join(OUTPUT))?;
        Ok(Dumped { root: scratch.to_owned(), counts: Counts::from([("bytes".into(), size)]), tool: None })
    }

    fn count(&self, files: &Path, scratch: &Path) -> Result<Option<Counts>> {
        let path = files.join(OUTPUT);
        let size = std::fs::metadata(&path).context(|| format!("cannot read {}", path.display()))?.len();
        if let Some(argv) = &self.restore {
            read_again(&self.program(argv)?.dir(scratch).env("HOME", scratch).bare(), &path)?;
        }
        Ok(Some(Counts::from([("bytes".into(), size)])))
    }
}

impl CommandComponent {
    /// A program by its path from where the other one runs.
    fn program(&self, argv: &[String]) -> Result<Program> {
        let mut argv = argv.to_vec();
        if let Some(first) = argv.first_mut().filter(|first| first.contains('/')) {
            *first = self.dir.join(&*first).display().to_string();
        }
        Program::from_argv(&argv)
    }
}

/// Gives a program a file to read.
fn read_again(program: &Program, file: &Path) -> Result<()> {
    use crate::adapters::process::Event;
    let failed = || format!("cannot read {}", file.display());
    let mut from = std::fs::File::open(file).context(failed)?;
    let mut running = program.start()?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = from.read(&mut buffer).context(failed)?;
        if n == 0 {
            break;
        }
        running.feed(buffer[..n].to_vec());
    }
    running.close_input();
    loop {
        match running.next_before(None)? {
            Some(Event::Ended(ended)) if ended.success() => return Ok(()),
            Some(Event::Ended(ended)) => {
                return Err(Error::new(crate::adapters::process::why(&program.name(), &ended, &running.stderr())));
            }
            _ => {}
        }
    }
}
