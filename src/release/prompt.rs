//! The prompts of registered versions and of the repository's own files.

use super::checkout::manifest_of;
use super::gather::gather;
use super::register::layout_of;
use crate::base::error::{Context, Error, Result};
use crate::base::name::{ModelType, Name};
use crate::config::Project;
use crate::domain::prompt::book::{Book, Prompt};
use crate::domain::registry::document::Fault;
use crate::domain::registry::parts::{Layout, Part};
use crate::domain::registry::table::VersionRow;
use crate::store::objects::Objects;
use std::path::{Path, PathBuf};

/// The largest file of prompts that is read, in bytes.
const FILE_MAX: u64 = 16 * 1024 * 1024;

/// A file of prompts that was read, or what is wrong with it.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its path: within the version, or within the repository.
    pub path: String,
    /// Its prompts.
    pub book: Result<Book, Vec<Fault>>,
}

/// Which files are prompts of a model, as `mlops.toml` says.
///
/// # Errors
/// When its `parts` cannot be used.
pub fn layout(project: &Project, name: &Name) -> Result<Layout> {
    project.models.iter().find(|m| m.name == *name).map_or_else(|| Ok(Layout::default()), layout_of)
}

/// The files of prompts of a registered version.
///
/// # Errors
/// When an object is missing or damaged.
pub fn of_version(objects: &Objects, version: &VersionRow, layout: &Layout) -> Result<Vec<Page>> {
    let manifest = manifest_of(objects, version)?;
    let files = manifest.files().iter().filter(|f| layout.part_of(version.kind, &f.path) == Some(Part::Prompts));
    let page = |f: &crate::domain::registry::manifest::FileEntry| {
        let bytes =
            objects.read(&f.digest, FILE_MAX).context(|| format!("cannot read `{}` of {}", f.path, version.reference()))?;
        Ok(Page { path: f.path.clone(), book: Book::read(&f.path, &bytes) })
    };
    files.map(page).collect()
}

/// The files of prompts below paths of the repository, with their paths from its root. A file that was named itself is one of prompts,
/// whatever it is called.
///
/// # Errors
/// When something cannot be read or is outside of the repository.
pub fn of_paths(root: &Path, paths: &[PathBuf], kind: ModelType, layout: &Layout) -> Result<Vec<Page>> {
    let mut pages = Vec::new();
    for path in paths {
        let named = path.is_file();
        for file in gather(root, std::slice::from_ref(path))? {
            if named || layout.part_of(kind, &file.name) == Some(Part::Prompts) {
                pages.push(page(root, &file.source)?);
            }
        }
    }
    pages.sort_by(|a, b| a.path.cmp(&b.path));
    pages.dedup_by(|a, b| a.path == b.path);
    Ok(pages)
}

/// One file of the repository.
///
/// # Errors
/// When it cannot be read or is too large.
pub fn page(root: &Path, file: &Path) -> Result<Page> {
    let real = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let shown = file.strip_prefix(&real).or_else(|_| file.strip_prefix(root)).unwrap_or(file).to_string_lossy().into_owned();
    let size = std::fs::metadata(file).context(|| format!("cannot read {}", file.display()))?.len();
    if size > FILE_MAX {
        return Err(
            Error::new(format!("{} is larger than a prompt can be", file.display())).hint("a file of prompts has at most 16 MiB")
        );
    }
    let bytes = std::fs::read(file).context(|| format!("cannot read {}", file.display()))?;
    Ok(Page { book: Book::read(&shown, &bytes), path: shown })
}

/// The prompts of every model of `mlops.toml` that has some, read from the repository.
///
/// # Errors
/// When something cannot be read.
pub fn of_project(project: &Project, root: &Path) -> Result<Vec<Page>> {
    let mut pages: Vec<Page> = Vec::new();
    for model in project.models.iter().filter(|m| matches!(m.kind, ModelType::Prompt | ModelType::Config)) {
        let paths: Vec<PathBuf> = model.paths.iter().map(|p| p.under(root)).collect();
        let layout = layout_of(model)?;
        for file in gather(root, &paths)? {
            if layout.part_of(model.kind, &file.name) == Some(Part::Prompts) {
                pages.push(page(root, &file.source)?);
            }
        }
    }
    pages.sort_by(|a, b| a.path.cmp(&b.path));
    pages.dedup_by(|a, b| a.path == b.path);
    Ok(pages)
}

/// Everything that is wrong with a file before there are values.
pub fn faults(page: &Page) -> Vec<Fault> {
    match &page.book {
        Ok(book) => book.faults(),
        Err(faults) => faults.clone(),
    }
}

/// The files, none of which may be broken.
///
/// # Errors
/// What is wrong with them.
pub fn readable(pages: Vec<Page>, of: &str) -> Result<Vec<Book>> {
    let (mut books, mut wrong) = (Vec::new(), Vec::new());
    for page in pages {
        match page.book {
            Ok(book) => books.push(book),
            Err(faults) => wrong.extend(faults.iter().map(|f| format!("{}:{}:{}: {}", page.path, f.line, f.column, f.message))),
        }
    }
    if wrong.is_empty() {
        return Ok(books);
    }
    Err(Error::usage(format!("the prompts of {of} cannot be read:\n{}", wrong.join("\n"))).hint("mend these lines"))
}

/// The prompt that is meant: the only one, or the one of this name, file, key or file without its extension.
///
/// # Errors
/// When none or several are meant; names them.
pub fn select<'b>(books: &'b [Book], wanted: Option<&str>, of: &str) -> Result<(&'b Book, &'b Prompt)> {
    let all: Vec<(&Book, &Prompt)> = books.iter().flat_map(|b| b.prompts.iter().map(move |p| (b, p))).collect();
    let stem = |p: &Prompt| Path::new(&p.path).file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    // The closer a name fits the less of it is left to guess: 0 is the whole name.
    let nearness = |p: &Prompt, wanted: &str| match wanted {
        w if p.name() == w => Some(0),
        w if p.path == w || p.key.as_deref() == Some(w) => Some(1),
        w if stem(p) == w || p.path.rsplit('/').next() == Some(w) => Some(2),
        _ => None,
    };
    let fitting: Vec<(&Book, &Prompt)> = match wanted {
        None => all.clone(),
        Some(wanted) => {
            let best = all.iter().filter_map(|(_, p)| nearness(p, wanted)).min();
            all.iter().copied().filter(|(_, p)| best.is_some() && nearness(p, wanted) == best).collect()
        }
    };
    let names = || all.iter().map(|(_, p)| format!("`{}`", p.name())).collect::<Vec<_>>().join(", ");
    match (&fitting[..], wanted) {
        ([one], _) => Ok(*one),
        _ if all.is_empty() => Err(Error::new(format!("{of} has no prompt")).hint(
            "prompts are text files and structured files of a model of type `prompt`, or those below `prompts` of a config",
        )),
        ([], Some(wanted)) => Err(Error::usage(format!("{of} has no prompt `{}`", crate::base::text::visible(wanted, 80)))
            .hint(format!("there is: {}", names()))),
        (_, _) => {
            Err(Error::usage(format!("{of} has {} prompts", all.len())).hint(format!("name one with `--prompt`: {}", names())))
        }
    }
}
