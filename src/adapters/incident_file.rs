//! Incidents as files in a folder of the repository: one Markdown file for each, which people go on writing in.
//!
//! Invariants: a message is in a file once, however often it is told; what people wrote is kept; a file is replaced as a whole, so a
//! kill leaves the old one or the new one.

use crate::base::digest::Digest;
use crate::base::error::{Context as _, Error, Result};
use crate::base::time::Timestamp;
use crate::domain::alert::incident::{OVER, added, mark_of_id, mark_of_key, opened, title};
use crate::seams::notifier::{Act, Message, Notifier, Told};
use crate::store::objects::atomic::{shown, sync_dir};
use std::fs::Permissions;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Larger files are nobody's incident.
const FILE_MAX: u64 = 4 << 20;

/// A folder of incidents.
#[derive(Debug)]
pub struct IncidentFiles {
    root: PathBuf,
    dir: PathBuf,
}

impl IncidentFiles {
    /// The folder `dir` inside the repository at `root`.
    pub fn new(root: &Path, dir: PathBuf) -> Self {
        Self { root: root.to_owned(), dir }
    }

    /// Makes the folder, and sees that no link leads out of the repository.
    fn ready(&self) -> Result<()> {
        std::fs::create_dir_all(&self.dir).context(|| format!("cannot make the folder {}", shown(&self.dir)))?;
        let real = |path: &Path| path.canonicalize().context(|| format!("cannot find {}", shown(path)));
        match real(&self.dir)?.starts_with(real(&self.root)?) {
            true => Ok(()),
            false => Err(Error::new(format!("{} leads out of the repository", shown(&self.dir)))
                .hint("name a folder that is in it: `path = \"incidents\"`")),
        }
    }

    /// The files that are incidents, in the order of their names.
    fn files(&self) -> Result<Vec<(PathBuf, String)>> {
        let trouble = || format!("cannot read the folder {}", shown(&self.dir));
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.dir).context(trouble)? {
            let path = entry.context(trouble)?.path();
            if path.extension().is_some_and(|e| e == "md")
                && let Some(text) = read(&path)?
            {
                found.push((path, text));
            }
        }
        found.sort();
        Ok(found)
    }

    fn write(&self, message: &Message) -> Result<String> {
        self.ready()?;
        let files = self.files()?;
        let (key, id) = (mark_of_key(&message.key), mark_of_id(&message.id));
        if let Some((path, _)) = files.iter().find(|(_, text)| text.contains(&id)) {
            return Ok(format!("{} has it already", shown(path)));
        }
        let open = files.into_iter().rev().find(|(_, text)| text.contains(&key) && !text.contains(OVER));
        let (path, text) = match (open, message.act) {
            (Some((path, text)), act) => {
                let over = if act == Act::Resolve { format!("\n{OVER}\n") } else { String::new() };
                (path, format!("{}\n\n{}{over}", text.trim_end(), added(message)))
            }
            (None, Act::Trigger) => (self.dir.join(name(message)), format!("# {}\n\n{}", title(message), opened(message))),
            (None, Act::Resolve) => return Ok("no incident is open".to_owned()),
        };
        self.replace(&path, &text)?;
        Ok(shown(&path))
    }

    fn replace(&self, path: &Path, text: &str) -> Result<()> {
        let written = || -> std::io::Result<()> {
            let mut builder = tempfile::Builder::new();
            let mut file = builder.prefix(".kf-").permissions(Permissions::from_mode(0o644)).tempfile_in(&self.dir)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(path).map(drop).map_err(|e| e.error)
        };
        written().context(|| format!("cannot write {}", shown(path)))?;
        sync_dir(&self.dir)
    }
}

/// A file's text; `None` when it is gone, too large, or no text.
fn read(path: &Path) -> Result<Option<String>> {
    let trouble = || format!("cannot read {}", shown(path));
    let file = match std::fs::File::open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.context(trouble)?,
    };
    if !file.metadata().context(trouble)?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut bytes).context(trouble)?;
    Ok(String::from_utf8(bytes).ok().filter(|text| text.len() as u64 <= FILE_MAX))
}

/// `2026-11-21-rollout-bot-1f2e3d4c.md`
fn name(message: &Message) -> String {
    let words: Vec<&str> = message.about.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
    let mut about = words.join("-").to_ascii_lowercase();
    about.truncate(60);
    let day: String = message.at.to_string().chars().take(10).collect();
    format!("{day}-{about}-{}.md", &Digest::of(message.id.as_bytes()).hex()[..8])
}

impl Notifier for IncidentFiles {
    fn tell(&self, message: &Message, _: Timestamp) -> Told {
        match self.write(message) {
            Ok(path) => Told::Taken(path),
            Err(e) => Told::Missed(e, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seams::notifier::Severity;

    fn message(id: &str, act: Act) -> Message {
        Message {
            id: id.to_owned(),
            key: "kf/shop/ab12/rollout/bot".to_owned(),
            about: "rollout/bot".to_owned(),
            source: "kf/shop".to_owned(),
            act,
            severity: Severity::Critical,
            title: "bot@1.1.0 was taken back".to_owned(),
            body: format!("message {id}"),
            facts: Vec::new(),
            at: "2026-11-21T08:00:00Z".parse().expect("a time"),
        }
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).expect("a folder");
        let mut names: Vec<_> = entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn an_incident_has_one_file_until_it_is_over() {
        let root = tempfile::tempdir().expect("a folder");
        let dir = root.path().join("ops/incidents");
        let files = IncidentFiles::new(root.path(), dir.clone());
        let told = |id, act| files.write(&message(id, act)).expect("written");
        assert_eq!(told("0", Act::Resolve), "no incident is open");
        for id in ["1", "1", "2"] {
            told(id, Act::Trigger);
        }
        let [first] = &names(&dir)[..] else { panic!("{:?}", names(&dir)) };
        assert!(first.starts_with("2026-11-21-rollout-bot-") && first.ends_with(".md"), "{first}");
        let path = dir.join(first);
        std::fs::write(&path, std::fs::read_to_string(&path).expect("text") + "\nwhat people found\n").expect("written");
        files.write(&Message { title: "bot@1.1.1 is in production".into(), ..message("3", Act::Resolve) }).expect("written");
        let text = std::fs::read_to_string(&path).expect("text");
        let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what} in {text}"));
        assert!(at("# bot@1.1.0 was taken back") < at("message 1") && at("message 2") < at("what people found"));
        assert!(at("what people found") < at("message 3") && at("message 3") < at(OVER));
        assert!(at("what people found") < at("\nbot@1.1.1 is in production\nmessage 3"), "each says what it is about: {text}");
        assert_eq!(text.matches("message 1").count(), 1, "told twice, written once");
        told("4", Act::Trigger);
        assert_eq!(names(&dir).len(), 2, "what is over begins anew");
    }

    #[test]
    fn a_link_out_of_the_repository_is_refused() {
        let (root, outside) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        std::os::unix::fs::symlink(outside.path(), root.path().join("incidents")).expect("a link");
        let files = IncidentFiles::new(root.path(), root.path().join("incidents"));
        let told = files.tell(&message("1", Act::Trigger), Timestamp::from_micros(0));
        assert!(matches!(&told, Told::Missed(e, _) if e.to_string().contains("leads out of the repository")), "{told:?}");
        assert_eq!(names(outside.path()), Vec::<String>::new());
    }
}
