//! `kf audit`: the log of everything that was done, and the proof that nobody changed it since.

mod anchor;
mod checkpoint;
mod consistency;
mod export;
mod key;
mod log;
mod prove;
mod show;
mod verify;

use crate::base::error::{Context, Result};
use crate::base::exit::Exit;
use crate::base::text::group;
use crate::cli::cx::Cx;
use crate::domain::audit::key::VerifierKey;
use crate::store::Store;
use std::path::Path;

/// Read, verify, prove and export the log of everything that was done
#[derive(clap::Subcommand, Debug)]
#[command(after_long_help = "Examples:\n  kf audit log --resource support-bot@1.2.0\n  kf audit verify\n  kf audit prove 12")]
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
        let own = cx.log_signer()?.map(|signer| signer.key().public().clone());
        Ok(self.keys.iter().cloned().chain(own).collect())
    }
}

/// Signs what is not signed yet, when this host has the key.
fn sign_tail(cx: &Cx, store: &Store) -> Result<Option<u64>> {
    cx.log_signer()?.map_or(Ok(None), |signer| store.sign_head(&signer))
}

/// `1 entry`, `2,000 entries`.
fn entries(n: u64) -> String {
    if n == 1 { "1 entry".into() } else { format!("{} entries", group(usize::try_from(n).unwrap_or(usize::MAX))) }
}

/// Writes a file that was asked for; not in a dry run.
fn save(cx: &Cx, path: &Path, text: &str) -> Result<()> {
    if cx.global.dry_run {
        return Ok(());
    }
    std::fs::write(cx.output_path(path)?, text).context(|| format!("cannot write `{}`", path.display()))
}
