//! `kf help`: the help of any command, and the man pages.

use crate::base::error::{Context, Error, Result};
use crate::base::exit::Exit;
use crate::base::format::Format;
use crate::base::text::{did_you_mean, visible};
use crate::cli::cx::Cx;
use crate::cli::{
    command,
    out::sentences,
    report::{Block, Report},
};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Show the help of a command, or write the man pages
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf help promote\n  kf help audit verify\n  kf help --man /usr/local/share/man/man1")]
pub(crate) struct Args {
    /// The command
    words: Vec<String>,
    /// Write a man page for each command into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "words")]
    man: Option<PathBuf>,
}

#[derive(Serialize)]
struct Pages {
    dir: PathBuf,
    pages: usize,
    #[serde(skip)]
    written: bool,
}

impl Report for Pages {
    const SCHEMA: &'static str = "kf.man/1";

    fn blocks(&self) -> Vec<Block> {
        sentences([self.summary()])
    }

    fn summary(&self) -> String {
        let would = if self.written { "" } else { "would write " };
        format!("{would}{} man pages in {}", self.pages, self.dir.display())
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    if let Some(dir) = &args.man {
        let mut root = command();
        root.build();
        let pages = man_pages(&root, "kf")?;
        let written = !cx.global.dry_run;
        if written {
            write_pages(&cx.cwd.join(dir), &pages)?;
        }
        return cx.out.emit(&Pages { dir: dir.clone(), pages: pages.len(), written });
    }
    cx.only_formats("help", &[Format::Table])?;
    let mut found = command();
    found.build();
    for word in &args.words {
        found = match found.find_subcommand(word) {
            Some(next) => next.clone(),
            None => {
                let names: Vec<&str> = found.get_subcommands().map(clap::Command::get_name).collect();
                let e = Error::usage(format!("there is no command `{}`", visible(&args.words.join(" "), 80)));
                return Err(match did_you_mean(word, names) {
                    Some(hint) => e.hint(hint),
                    None => e.hint(format!("`{} --help` tells all about it", found.get_bin_name().unwrap_or("kf"))),
                });
            }
        };
    }
    // What `--help` shows there, by the same way.
    let words = ["kf"].into_iter().chain(args.words.iter().map(String::as_str)).chain(["--help"]);
    if let Err(shown) = command().try_get_matches_from(words) {
        cx.out.print(&shown.to_string())?;
    }
    Ok(Exit::Ok)
}

fn write_pages(dir: &Path, pages: &[(String, Vec<u8>)]) -> Result<()> {
    std::fs::create_dir_all(dir).context(|| format!("cannot make {}", dir.display()))?;
    pages.iter().try_for_each(|(name, page)| {
        let path = dir.join(format!("{name}.1"));
        std::fs::write(&path, page).context(|| format!("cannot write {}", path.display()))
    })
}

/// The man pages of a command and all below it, by name.
fn man_pages(cmd: &clap::Command, name: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(cmd.clone().name(name.to_owned()))
        .render(&mut page)
        .context(|| format!("cannot write the man page of {name}"))?;
    let mut pages = vec![(name.to_owned(), page)];
    for sub in cmd.get_subcommands() {
        pages.extend(man_pages(sub, &format!("{name}-{}", sub.get_name()))?);
    }
    Ok(pages)
}
