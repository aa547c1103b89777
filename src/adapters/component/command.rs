//! What a program prints: for whatever kf does not know itself.

use super::{folder, print_to};
use crate::adapters::process::Program;
use crate::base::error::{Context, Error, Result};
use crate::seams::backup::{Component, Counted, Counts, Dumped, Kind};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The file in which the output is.
const OUTPUT: &str = "output";

/// A program whose output is kept.
pub struct CommandComponent {
    dir: PathBuf,
    dump: Vec<String>,
    restore: Option<Vec<String>>,
    into: Option<PathBuf>,
}

impl CommandComponent {
    /// A program that runs in `dir`, and one that reads its output again in an empty folder.
    pub fn new(dir: &Path, dump: Vec<String>, restore: Option<Vec<String>>) -> Self {
        Self { dir: dir.to_owned(), dump, restore, into: None }
    }

    /// The same with a folder in which the second program puts what was kept.
    #[must_use]
    pub fn into(mut self, folder: PathBuf) -> Self {
        self.into = Some(folder);
        self
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

    fn count(&self, files: &Path, scratch: &Path) -> Result<Option<Counted>> {
        let counts = Counts::from([("bytes".into(), size(files)?)]);
        let Some(argv) = &self.restore else {
            return Ok(Some(Counted { counts, by: "nobody reads it again: the component has no `restore`".into() }));
        };
        read_again(&self.program(argv)?.dir(scratch).env("HOME", scratch).bare(), &files.join(OUTPUT))?;
        Ok(Some(Counted { counts, by: "read again by the program in `restore`".into() }))
    }

    fn occupied(&self) -> Result<Option<String>> {
        folder::occupied(self.folder()?)
    }

    // Its program prints what it always prints, not what is in that folder.
    fn can_be_replaced(&self) -> bool {
        false
    }

    fn load(&self, files: &Path, _: &Path, _: bool) -> Result<Counts> {
        let argv = self.restore.as_ref().ok_or_else(|| {
            Error::usage("the component has no program that reads its output again")
                .hint("add `restore = [\"./load.sh\"]` to it in mlops.toml")
        })?;
        let program = self.program(argv)?;
        folder::replaced(self.folder()?, |staged| read_again(&program.clone().dir(staged), &files.join(OUTPUT)))?;
        Ok(Counts::from([("bytes".into(), size(files)?)]))
    }
}

fn size(files: &Path) -> Result<u64> {
    let path = files.join(OUTPUT);
    Ok(std::fs::metadata(&path).context(|| format!("cannot read {}", path.display()))?.len())
}

impl CommandComponent {
    fn folder(&self) -> Result<&Path> {
        self.into
            .as_deref()
            .ok_or_else(|| Error::usage("no folder is named in which its program would work").hint("add `--into FOLDER`"))
    }

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
