//! Whether the files that `mlops.toml` names are there.
//!
//! Only `kf config check` asks: a command that needs a file says so itself, and one that does not works without it.

use super::load::{Loaded, Problem};
use super::path::{Dataset, RepoPath};
use crate::base::text::nearest;
use std::io::ErrorKind;
use std::path::Path;

impl Loaded {
    /// What is wrong with the paths of models, datasets and the system: nothing there, or not readable. Data whose pointer `PATH.dvc` is
    /// there counts as there, because `dvc pull` brings it.
    pub fn missing_files(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        for model in &self.project.models {
            let one = format!("model.{}.path", model.name);
            let key = if self.is_set(&one) && model.paths.len() == 1 { one } else { format!("model.{}.paths", model.name) };
            found.extend(model.paths.iter().filter_map(|path| self.missing(&key, Path::new(""), path)));
            let Some(folder) = model.paths.first().filter(|path| path.under(&self.root).is_dir()) else { continue };
            let parts = &model.parts;
            let parts = [
                ("prompts", &parts.prompts),
                ("routing", &parts.routing),
                ("retrieval", &parts.retrieval),
                ("agents", &parts.agents),
            ];
            for (part, path) in parts {
                let key = format!("model.{}.parts.{part}", model.name);
                found.extend(path.as_ref().and_then(|path| self.missing(&key, Path::new(folder.as_str()), path)));
            }
        }
        let system = self.project.system.files().iter();
        found.extend(system.filter_map(|path| self.missing("system.files", Path::new(""), path)));
        let gates = self.project.gates.iter().map(|gate| (format!("gates.{}.dataset", gate.name), gate.dataset.as_ref()));
        let golden = ("golden.dataset".to_owned(), self.project.golden.dataset.as_ref());
        for (key, dataset) in gates.chain([golden]) {
            // A gate without a dataset of its own asks for the golden one, which is reported once.
            if let Some(Dataset::Path(path)) = dataset.filter(|_| self.is_set(&key)) {
                found.extend(self.missing(&key, Path::new(""), path));
            }
        }
        found
    }

    fn is_set(&self, key: &str) -> bool {
        self.origins.iter().any(|o| o.key == key)
    }

    /// The problem with a path below a folder of the repository, if there is one.
    fn missing(&self, key: &str, below: &Path, path: &RepoPath) -> Option<Problem> {
        let folder = if below.as_os_str().is_empty() { self.root.clone() } else { self.root.join(below) };
        let full = path.under(&folder);
        let why = match full.metadata() {
            Ok(_) => return None,
            Err(e) if e.kind() == ErrorKind::NotFound && !full.is_symlink() => {
                format!("there is no `{path}` in `{}`", folder.display())
            }
            Err(e) => {
                let hint =
                    if full.is_symlink() { "it is a link: `ls -l` shows where it leads" } else { "`ls -ld` shows who may" };
                let message = format!("`{path}` cannot be read: {e}");
                return Some(Problem { key: key.to_owned(), word: Some(path.to_string()), message, hint: Some(hint.to_owned()) });
            }
        };
        let pointer = format!("{path}.dvc");
        if folder.join(pointer).is_file() {
            return None;
        }
        let relative = if below.as_os_str().is_empty() { "the repository" } else { "the model's path" };
        let near = neighbour(&folder, path).map(|near| format!("did you mean `{near}`?"));
        let hint = near.unwrap_or_else(|| format!("paths here are relative to {relative}"));
        Some(Problem { key: key.to_owned(), word: Some(path.to_string()), message: why, hint: Some(hint) })
    }
}

/// How many files of a folder are looked at for a suggestion.
const NEIGHBOURS_MAX: usize = 1000;

/// The path with its last part replaced by the most alike file or folder beside it.
fn neighbour(folder: &Path, path: &RepoPath) -> Option<String> {
    let relative = Path::new(path.as_str());
    let (parent, name) = (relative.parent()?, relative.file_name()?.to_str()?);
    let beside = std::fs::read_dir(folder.join(parent)).ok()?.take(NEIGHBOURS_MAX).flatten();
    let names: Vec<String> = beside.filter_map(|e| e.file_name().into_string().ok()).filter(|n| !n.starts_with('.')).collect();
    let near = nearest(name, names.iter().map(String::as_str))?;
    Some(parent.join(near).display().to_string())
}
