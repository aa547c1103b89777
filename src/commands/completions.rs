//! `kf completions`: what a shell's start-up file needs for live completion.

use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::format::Format;
use crate::cli::complete::VARIABLE;
use crate::cli::cx::Cx;
use clap_complete::env::Shells;

/// Print the completion script of a shell
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  echo 'source <(kf completions bash)' >> ~/.bashrc\n  echo 'source <(kf completions zsh)' >> ~/.zshrc\n  kf completions fish > ~/.config/fish/completions/kf.fish\n  kf completions powershell >> $PROFILE"
)]
pub(crate) struct Args {
    /// bash, zsh, fish, powershell or elvish
    shell: String,
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    cx.only_formats("a completion script", &[Format::Table])?;
    let shells = Shells::builtins();
    let Some(shell) = shells.completer(&args.shell) else {
        let all: Vec<&str> = shells.names().collect();
        return Err(Error::usage(format!("there is no completion for `{}`", args.shell))
            .hint(format!("choose one of: {}", all.join(", "))));
    };
    let mut script = Vec::new();
    shell
        .write_registration(VARIABLE, "kf", "kf", "kf", &mut script)
        .map_err(|e| Error::new(format!("cannot write the completion script: {e}")))?;
    // Bash takes `@` for the end of a word, so that `NAME@1.` would never be completed.
    let prefix = if args.shell == "bash" { "COMP_WORDBREAKS=${COMP_WORDBREAKS//@}\n" } else { "" };
    cx.out.print(&format!("{prefix}{}", String::from_utf8_lossy(&script)))?;
    Ok(Exit::Ok)
}
