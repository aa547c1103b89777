//! A shell in a real terminal: keys go in, the screen comes out. tmux is the terminal.
//!
//! Each has its own tmux server (its own socket), so tests do not meet, and none outlives its test.

use super::sandbox::Sandbox;
use super::{program, wait_until};
use std::fmt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The shells that kf completes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shell {
    /// GNU bash.
    Bash,
    /// The Z shell.
    Zsh,
    /// fish.
    Fish,
}

impl Shell {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Bash, Self::Zsh, Self::Fish];

    /// The name of the program, which is also what `kf completions` calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
        }
    }

    /// How it is started without anybody's settings.
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Bash => &["--noprofile", "--norc", "-i"],
            Self::Zsh => &["-f", "-i"],
            Self::Fish => &["--no-config", "-i"],
        }
    }

    /// Makes the prompt short and known.
    fn prompt(self) -> &'static str {
        match self {
            Self::Bash => "PS1='ready> '",
            Self::Zsh => "unsetopt zle_bracketed_paste; PS1='ready> '; autoload -Uz compinit; compinit -u -D",
            Self::Fish => {
                "function fish_prompt; echo -n 'ready> '; end; set -g fish_greeting; set -g fish_autosuggestion_enabled 0"
            }
        }
    }
}

impl fmt::Display for Shell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A terminal of 120 columns and 40 lines with a shell in it.
pub(crate) struct Tty {
    tmux: PathBuf,
    socket: PathBuf,
}

impl Tty {
    /// Starts a shell in the sandbox's working directory with its environment; the error says which program is missing.
    pub(crate) fn start(sandbox: &Sandbox, shell: Shell) -> Result<Self, String> {
        let tmux = program("tmux", &[]).ok_or("tmux is not installed")?;
        let shell_file = program(shell.name(), &[]).ok_or_else(|| format!("{shell} is not installed"))?;
        let tty = Self { tmux, socket: sandbox.root().join(format!("{shell}.tmux")) };
        let mut start = tty.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "40"]);
        start.env_clear().envs(sandbox.environment()).env("SHELL", &shell_file).current_dir(sandbox.work());
        let out = start.arg(&shell_file).args(shell.arguments()).output().map_err(|e| format!("tmux: {e}"))?;
        if !out.status.success() {
            return Err(format!("tmux: {}", String::from_utf8_lossy(&out.stderr)));
        }
        if !wait_until(20, || !tty.screen().is_empty()) {
            return Err(format!("{shell} shows no prompt"));
        }
        tty.line(shell.prompt());
        tty.key("C-l");
        if wait_until(20, || tty.screen() == "ready>") {
            Ok(tty)
        } else {
            Err(format!("{shell} is not ready:\n{}", tty.screen()))
        }
    }

    /// Types text, as it is.
    pub(crate) fn text(&self, text: &str) {
        self.send(&["-l", text]);
    }

    /// Presses a key by tmux's name for it, such as `Tab` or `C-c`.
    pub(crate) fn key(&self, key: &str) {
        self.send(&[key]);
    }

    /// Types a line and ends it.
    pub(crate) fn line(&self, text: &str) {
        self.text(text);
        self.key("Enter");
    }

    /// What the terminal shows, without trailing space.
    pub(crate) fn screen(&self) -> String {
        let out = self.tmux(&["capture-pane", "-p"]).output();
        out.map(|o| String::from_utf8_lossy(&o.stdout).trim_end().to_owned()).unwrap_or_default()
    }

    /// Waits until the screen contains a text; the screen.
    ///
    /// # Panics
    /// When it never does.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        assert!(wait_until(60, || self.screen().contains(text)), "never showed {text:?}:\n{}", self.screen());
        self.screen()
    }

    fn send(&self, what: &[&str]) {
        let done = self.tmux(&["send-keys"]).args(what).status();
        assert!(done.is_ok_and(|s| s.success()), "tmux takes the keys {what:?}");
    }

    fn tmux(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.tmux);
        command.arg("-S").arg(&self.socket).args(args).stdin(Stdio::null()).stderr(Stdio::piped());
        command
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        let _ = self.tmux(&["kill-server"]).output();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::skip;

    /// How each shell is told what may follow `greet`.
    fn completion(shell: Shell) -> &'static str {
        match shell {
            Shell::Bash => "complete -W 'alpha beta' greet",
            Shell::Zsh => "compdef '_values word alpha beta' greet",
            Shell::Fish => "complete -c greet -f -a 'alpha beta'",
        }
    }

    #[test]
    fn tab_completes_in_every_shell() {
        for shell in Shell::ALL {
            let sandbox = Sandbox::new();
            let tty = match Tty::start(&sandbox, shell) {
                Ok(tty) => tty,
                Err(why) => {
                    skip(&why);
                    continue;
                }
            };
            tty.line(completion(shell));
            tty.text("greet al");
            assert!(!tty.wait_for("greet al").contains("alpha\n"), "nothing is completed before Tab");
            tty.key("Tab");
            tty.wait_for("greet alpha");
        }
    }
}
