//! What nginx needs.

use super::RawTarget;
use super::servers::{Behind, argv};
use crate::base::name::Name;
use crate::config::check::Checker;

/// nginx, which includes a file that kf writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NginxTarget {
    /// How versions run behind it.
    pub behind: Behind,
    /// The file that kf writes, relative to the repository.
    pub file: String,
    /// The program that says whether nginx takes its configuration, and its arguments.
    pub test: Vec<String>,
    /// The program that has nginx read its configuration again, and its arguments.
    pub reload: Vec<String>,
    /// True when the configuration that includes the file has a location for copies.
    pub mirror: bool,
}

impl RawTarget {
    pub(super) fn nginx(&self, name: &Name, cx: &mut Checker<'_>) -> Option<NginxTarget> {
        let behind = self.behind(name, &["http", "https"], cx);
        let file = self.needed(name, "file", self.file.as_ref(), "/etc/nginx/kf/bot.conf", cx).map(|at| at.value.clone());
        let test = argv(name, "test", self.test.as_ref(), cx);
        let reload = argv(name, "reload", self.reload.as_ref(), cx);
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        Some(NginxTarget {
            behind: behind?,
            file: file?,
            test: test?.unwrap_or_else(|| words(&["nginx", "-t"])),
            reload: reload?.unwrap_or_else(|| words(&["nginx", "-s", "reload"])),
            mirror: self.mirror.value,
        })
    }
}
