//! `kf audit`: the log of everything that was done, and the proof that nobody changed it since.

pub(super) mod anchor;
mod checkpoint;
mod consistency;
mod export;
mod key;
mod log;
mod prove;
mod show;
mod verify;

use crate::base::error::{Error, Kind, Result};
use crate::base::exit::Exit;
use crate::base::text::group;
use crate::cli::cx::Cx;
use crate::cli::report::Block;
use crate::domain::audit::key::VerifierKey;
use crate::store::Store;
use std::path::PathBuf;

/// Read, verify, prove and export the log of everything that was done
#[derive(clap::Subcommand, Debug)]
#[command(
    after_long_help = "Examples:\n  kf audit log --resource bot@1.2.0     who did what to it, and why\n  kf audit verify                       that nobody changed the log\n  kf audit anchor && git push           put its head where an attacker cannot reach it"
)]
pub(crate) enum Command {
    Anchor(anchor::Args),
    Checkpoint(checkpoint::Args),
    Consistency(consistency::Args),
    Export(export::Args),
    Key(key::Args),
    Log(log::Args),
    Prove(prove::Args),
    Show(show::Args),
    Verify(verify::Args),
}

impl Command {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        match self {
            Self::Anchor(args) => anchor::run(cx, args),
            Self::Checkpoint(args) => checkpoint::run(cx, args),
            Self::Consistency(args) => consistency::run(cx, args),
            Self::Export(args) => export::run(cx, args),
            Self::Key(args) => key::run(cx, args),
            Self::Log(args) => log::run(cx, args),
            Self::Prove(args) => prove::run(cx, args),
            Self::Show(args) => show::run(cx, args),
            Self::Verify(args) => verify::run(cx, args),
        }
    }
}

/// Whose signatures are believed.
#[derive(clap::Args, Debug)]
struct Trust {
    /// A public key that may have signed the log, beside the key of this host; may be given several times
    #[arg(long = "key", value_name = "VKEY")]
    keys: Vec<VerifierKey>,
}

impl Trust {
    fn keys(&self, cx: &Cx) -> Result<Vec<VerifierKey>> {
        let own = cx.log_verifier()?;
        Ok(self.keys.iter().cloned().chain(own).collect())
    }
}

/// Signs what is not signed yet, when this host has the key and its newest signature is still there.
fn sign_tail(cx: &Cx, store: &Store) -> Result<Option<u64>> {
    let Some(signer) = cx.log_signer()? else { return Ok(None) };
    if !store.goes_on(&signer)? {
        return Err(Error::of(Kind::Broken, "the audit log is not signed: the signatures that it should have are gone or do not fit it")
            .hint("run `kf audit verify` and compare with an anchor or a backup; `kf audit checkpoint --yes` checks all of it and signs it as it is"));
    }
    store.sign_head(&signer)
}

/// `1 entry`, `2,000 entries`.
fn entries(n: u64) -> String {
    if n == 1 { "1 entry".into() } else { format!("{} entries", group(usize::try_from(n).unwrap_or(usize::MAX))) }
}

/// Where a text that others read (a proof, a checkpoint) goes: to standard output, or to a file.
#[derive(clap::Args, Clone, Debug, Default)]
struct Output {
    /// Write it to this file
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Output {
    /// Writes the file that was asked for.
    fn save(&self, cx: &Cx, text: &str) -> Result<()> {
        match &self.file {
            Some(path) => cx.write_output(path, text),
            None => Ok(()),
        }
    }

    /// What is shown: the text itself, or the sentence that says what is in the file.
    fn blocks(&self, text: &str, summary: String) -> Vec<Block> {
        if self.file.is_some() { vec![summary.into()] } else { vec![Block::Verbatim(text.to_owned())] }
    }

    /// ` is in FILE`, the end of that sentence.
    fn place(&self) -> String {
        self.file.as_ref().map(|f| format!(" is in `{}`", f.display())).unwrap_or_default()
    }
}
