//! Registering a version: gather the files, check their parts, publish the objects, then one transaction for the row.
//!
//! Objects first, row after: a kill in between leaves objects that nothing names, which a repeated registration uses and garbage
//! collection removes after its grace period. From the first object to the row the lock of the objects is shared, so that none of
//! them is collected in between. A dry run reads the files and stores nothing.

use super::checkout::manifest_of;
use super::dataset::FILE_DIGEST;
use super::gather::{Gathered, gather};
use super::gc::give_back_found;
use crate::adapters::git;
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::name::{ModelType, Name};
use crate::base::reference::Reference;
use crate::base::version::{Bump, Version};
use crate::config::{Model, Project};
use crate::domain::registry::bump::advise;
use crate::domain::registry::change::{self, NewVersion, Number, PARENT};
use crate::domain::registry::diff::{Dependency, Difference, Side, compare};
use crate::domain::registry::manifest::{FileEntry, Manifest, media_type};
use crate::domain::registry::parts::{Layout, Part, has_parts, parse_parts};
use crate::domain::registry::table::{self, GitFacts, VersionRow};

use crate::store::lock::{Hold, Matter};
use crate::store::objects::{self, Objects};
use crate::store::{Store, View};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The largest file whose syntax is checked, in bytes; larger ones are no hand-written parts.
const PART_MAX: u64 = 16 * 1024 * 1024;

/// How many bytes of a file tell its media type.
const HEAD: u64 = 512;

/// Where a version is registered.
pub struct Place {
    /// The state.
    pub store: Store,
    /// The objects.
    pub objects: Objects,
    /// The repository.
    pub root: PathBuf,
    /// How many threads to use.
    pub jobs: usize,
}

/// Which number the version gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// This one.
    Exactly(Version),
    /// The highest one raised by this part.
    Bumped(Bump),
    /// The highest one raised by what the difference advises.
    Advised,
}

/// What is to be registered.
#[derive(Clone, Debug)]
pub struct Request {
    /// The model.
    pub name: Name,
    /// What it is; guessed when nothing says so.
    pub kind: Option<ModelType>,
    /// Files and folders, absolute.
    pub paths: Vec<PathBuf>,
    /// Which number it gets.
    pub number: Wanted,
    /// Metrics, finite.
    pub metrics: Vec<(String, f64)>,
    /// Metadata.
    pub meta: Vec<(String, String)>,
    /// Tags.
    pub tags: Vec<String>,
    /// What it needs.
    pub depends: Vec<Reference>,
    /// The dataset it was made from.
    pub dataset: Option<Reference>,
    /// The version that it is a variant of.
    pub parent: Option<Reference>,
    /// Which files are which part, where names do not say it.
    pub layout: Layout,
    /// The ticket.
    pub ticket: Option<String>,
    /// The reason.
    pub reason: Option<String>,
    /// True when uncommitted changes are a reason to refuse.
    pub clean_git: bool,
}

/// What registering did.
pub struct Outcome {
    /// The version, new or found.
    pub version: VersionRow,
    /// False when the same bytes were registered before.
    pub changed: bool,
    /// Which part of the number rose, when advice or a wish raised it.
    pub bump: Option<Bump>,
    /// Why.
    pub advice: Vec<String>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

impl Request {
    /// What `mlops.toml` says of a model; nothing but its name when it says nothing.
    pub fn of_model(project: &Project, root: &Path, name: &Name) -> Result<Self> {
        let model = project.models.iter().find(|m| m.name == *name);
        Ok(Self {
            name: name.clone(),
            kind: model.map(|m| m.kind),
            paths: model.map(|m| m.paths.iter().map(|p| p.under(root)).collect()).unwrap_or_default(),
            number: Wanted::Advised,
            metrics: Vec::new(),
            meta: model.map(meta_of).unwrap_or_default(),
            tags: model.map(|m| m.tags.clone()).unwrap_or_default(),
            depends: model.map(|m| m.depends.clone()).unwrap_or_default(),
            dataset: model.and_then(|m| m.dataset.clone()),
            parent: None,
            layout: model.map_or_else(|| Ok(Layout::default()), layout_of)?,
            ticket: None,
            reason: None,
            clean_git: project.policy.require_clean_git,
        })
    }
}

fn meta_of(model: &Model) -> Vec<(String, String)> {
    let text = |key: &str, value: &Option<String>| value.clone().map(|v| (key.to_owned(), v));
    let language = (!model.language.is_empty()).then(|| ("language".to_owned(), model.language.join(",")));
    [text("description", &model.description), text("license", &model.license), language].into_iter().flatten().collect()
}

pub(super) fn layout_of(model: &Model) -> Result<Layout> {
    let parts = &model.parts;
    let rules = [
        (&parts.prompts, Part::Prompts),
        (&parts.routing, Part::Routing),
        (&parts.retrieval, Part::Retrieval),
        (&parts.agents, Part::Agents),
    ];
    Layout::new(rules.into_iter().filter_map(|(path, part)| Some((path.as_ref()?.as_str().to_owned(), part))))
        .context(|| format!("`model.{}.parts` cannot be used", model.name))
}

/// Registers a version. `progress` is told the bytes in all and the bytes just done, `waiting` who holds a lock.
///
/// # Errors
/// When a file cannot be read or is no part, a reference names nothing, the registry refuses the number, or garbage is being
/// collected for too long ([`Locked`](crate::base::error::Kind::Locked)). Nothing is changed then,
/// except that objects may have been published, which no version names.
pub fn register(place: &Place, request: &Request, progress: &dyn Fn(u64, u64), waiting: &mut dyn FnMut(&str)) -> Result<Outcome> {
    let files = gather(&place.root, &request.paths)?;
    let (existing, links) = place.store.read(|view| look_up(view, request))?;
    let kind = request.kind.or(existing).unwrap_or_else(|| guess(&request.layout, &files));
    check_parts(kind, &request.layout, &files)?;
    let git = git_facts(place, request)?;
    let total = files.iter().map(|f| f.size).sum();
    let dry = place.store.is_dry_run();
    let _uncollected = (!dry).then(|| place.store.lock(Matter::Objects, Hold::Shared, "register", waiting)).transpose()?;
    let published = publish(place, kind, &files, &links, &|done| progress(total, done))?;
    let manifest = &published.manifest;
    let mut warnings = warnings_of(git.as_ref());
    let mut meta = request.meta.clone();
    if let (ModelType::Dataset, [file]) = (kind, manifest.files()) {
        meta.push((FILE_DIGEST.to_owned(), file.digest.to_string()));
    }
    let mut new = NewVersion {
        name: request.name.clone(),
        kind,
        number: Number::Bumped(Bump::Major),
        digest: manifest.digest(),
        files: i64::try_from(manifest.files().len()).unwrap_or(i64::MAX),
        bytes: i64::try_from(manifest.total_size()).unwrap_or(i64::MAX),
        git,
        metrics: request.metrics.clone(),
        meta,
        tags: request.tags.clone(),
        links,
        advised_from: None,
        ticket: request.ticket.clone(),
        reason: request.reason.clone(),
    };
    let (done, bump, advice) = enter(place, request, &published, &mut new)?;
    // Garbage collection may have decided about them before the row was there.
    give_back_found(&place.objects, &published.found, place.jobs)?;
    let (bump, advice) = if done.changed { (bump, advice) } else { (None, Vec::new()) };
    if !done.changed {
        warnings.extend(place.store.read(|view| not_added(view, &done.version, &new))?);
    }
    Ok(Outcome { version: done.version, changed: done.changed, bump, advice, warnings })
}

/// Enters the version under the number that is wanted. Advice is made against the highest version outside the writer's lock, so that
/// reading files holds up nobody; when somebody was faster it is made again. Each turn means that somebody else got on.
fn enter(
    place: &Place,
    request: &Request,
    published: &Published,
    new: &mut NewVersion,
) -> Result<(change::Registered, Option<Bump>, Vec<String>)> {
    loop {
        let (number, advised_from, bump, advice) = number(place, request, published, &new.links)?;
        new.number = number;
        new.advised_from = advised_from;
        match place.store.write(|tx| change::register(tx, new)) {
            Err(e) if e.kind() == Kind::Failed && overtaken(place, request, number, advised_from)? => {}
            done => return Ok((done?, bump, advice)),
        }
    }
}

/// True when the highest version is no longer the one that the advice was made against.
fn overtaken(place: &Place, request: &Request, number: Number, from: Option<Digest>) -> Result<bool> {
    Ok(matches!(number, Number::Bumped(_)) && highest(place, request)?.map(|v| v.digest) != from)
}

fn highest(place: &Place, request: &Request) -> Result<Option<VersionRow>> {
    place.store.read(|view| {
        let Some(model) = table::find_model(view, &request.name)? else { return Ok(None) };
        Ok(table::versions(view, model.id, 1)?.into_iter().next())
    })
}

type Links = Vec<(String, VersionRow)>;

fn look_up(view: View<'_>, request: &Request) -> Result<(Option<ModelType>, Links)> {
    let existing = table::find_model(view, &request.name)?.map(|m| m.kind);
    let mut links = Vec::new();
    for reference in &request.depends {
        links.push(("depends".to_owned(), table::resolve(view, reference).context(|| format!("cannot depend on {reference}"))?));
    }
    if let Some(reference) = &request.dataset {
        let dataset = table::resolve(view, reference).context(|| format!("cannot use {reference} as the dataset"))?;
        if dataset.kind != ModelType::Dataset {
            return Err(Error::new(format!("{} is a model of type {}, not a dataset", dataset.reference(), dataset.kind))
                .hint("name a version that was registered with `--type dataset`"));
        }
        links.push(("dataset".to_owned(), dataset));
    }
    if let Some(reference) = &request.parent {
        let parent = table::resolve(view, reference).context(|| format!("cannot descend from {reference}"))?;
        links.push((PARENT.to_owned(), parent));
    }
    Ok((existing, links))
}

/// Files that look like parts of a configuration make one; anything else is `other`.
fn guess(layout: &Layout, files: &[Gathered]) -> ModelType {
    let part = |f: &Gathered| layout.part_of(ModelType::Config, &f.name);
    if files.iter().any(|f| part(f).is_some()) { ModelType::Config } else { ModelType::Other }
}

fn check_parts(kind: ModelType, layout: &Layout, files: &[Gathered]) -> Result<()> {
    if !has_parts(kind) {
        return Ok(());
    }
    let mut read = Vec::new();
    for file in files.iter().filter(|f| f.size <= PART_MAX) {
        let bytes = std::fs::read(&file.source).context(|| format!("cannot read {}", file.source.display()))?;
        read.push((file.name.as_str(), bytes));
    }
    let files: Vec<(&str, &[u8])> = read.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
    parse_parts(kind, layout, &files).map(|_| ()).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Error::new(format!(
            "{} of this {kind} cannot be read:\n{}",
            crate::base::text::count(problems.len(), "part"),
            lines.join("\n")
        ))
        .hint("mend these files, or register them with `--type other` if they are no parts")
    })
}

fn git_facts(place: &Place, request: &Request) -> Result<Option<GitFacts>> {
    let found = git::facts(&place.root, &request.paths)?;
    let found = found.map(|f| GitFacts { commit: f.commit, branch: f.branch, dirty: f.dirty });
    if request.clean_git && found.as_ref().is_none_or(|f| f.dirty) {
        return Err(Error::new("policy asks for a clean Git commit, and these files have changes that are not committed")
            .hint("commit them first, or set `policy.require-clean-git = false`"));
    }
    Ok(found)
}

fn warnings_of(git: Option<&GitFacts>) -> Vec<String> {
    let dirty = git.is_some_and(|g| g.dirty).then(|| "these files have changes that are not committed to Git".to_owned());
    dirty.into_iter().collect()
}

/// What a version consists of.
struct Published {
    manifest: Manifest,
    /// Objects that were there before.
    found: Vec<Digest>,
    /// Where the bytes are that a dry run did not store.
    unstored: BTreeMap<Digest, PathBuf>,
}

impl Published {
    /// The bytes of a part, wherever they are.
    fn read(&self, objects: &Objects, digest: &Digest) -> Result<Vec<u8>> {
        let Some(path) = self.unstored.get(digest) else { return objects.read(digest, PART_MAX) };
        let mut bytes = Vec::new();
        let file = File::open(path).context(|| format!("cannot read {}", path.display()))?;
        file.take(PART_MAX + 1).read_to_end(&mut bytes).context(|| format!("cannot read {}", path.display()))?;
        if Digest::of(&bytes) == *digest {
            return Ok(bytes);
        }
        Err(Error::new(format!("{} changed meanwhile, or is larger than {PART_MAX} bytes", path.display())))
    }
}

/// What was asked for and the version, registered before, does not have: a version keeps what it was registered with.
fn not_added(view: View<'_>, version: &VersionRow, new: &NewVersion) -> Result<Vec<String>> {
    let reference = version.reference();
    let has = table::notes(view, version.id)?;
    let mut missing = Vec::new();
    let metric = |(key, value): &&(String, f64)| !has.metrics.iter().any(|(k, v)| k == key && v.to_bits() == value.to_bits());
    missing.extend(new.metrics.iter().filter(metric).map(|(k, v)| format!("metric {k}={v}")));
    missing.extend(new.meta.iter().filter(|m| !has.meta.contains(m)).map(|(k, v)| format!("meta {k}={v}")));
    let links: Vec<_> = table::links_from(view, version.id)?.into_iter().map(|(relation, v)| (relation, v.id)).collect();
    let other = |(relation, v): &&(String, VersionRow)| !links.contains(&(relation.clone(), v.id));
    missing.extend(new.links.iter().filter(other).map(|(relation, v)| format!("{relation} {}", v.reference())));
    let mut warnings = Vec::new();
    if !missing.is_empty() {
        warnings.push(format!(
            "{reference} is registered already, and these were not added: {}: a version keeps what it was registered with, \
             a changed one takes them",
            missing.join(", ")
        ));
    }
    let tags: Vec<&String> = new.tags.iter().filter(|t| !has.tags.contains(t)).collect();
    if !tags.is_empty() {
        let commands: Vec<String> = tags.iter().map(|tag| format!("`kf tag {reference} {tag}`")).collect();
        let all: Vec<&str> = tags.iter().map(|t| t.as_str()).collect();
        warnings.push(format!(
            "{reference} is registered already, and these tags were not added: {}: {} does",
            all.join(", "),
            commands.join(", ")
        ));
    }
    Ok(warnings)
}

/// Stores the files and the manifest; a dry run only finds out their digests.
fn publish(place: &Place, kind: ModelType, files: &[Gathered], links: &Links, progress: &dyn Fn(u64)) -> Result<Published> {
    let paths: Vec<PathBuf> = files.iter().map(|f| f.source.clone()).collect();
    let dry = place.store.is_dry_run();
    let stored = match dry {
        true => objects::digest_files(&paths, place.jobs, progress)?,
        false => place.objects.put_files(&paths, place.jobs, progress)?,
    };
    let mut found: Vec<Digest> = stored.iter().filter(|s| !dry && !s.new).map(|s| s.digest).collect();
    let unstored = stored.iter().zip(&paths).filter(|_| dry).map(|(s, path)| (s.digest, path.clone())).collect();
    let mut entries = Vec::with_capacity(files.len());
    for (file, stored) in files.iter().zip(stored) {
        let media = media_type(&file.name, &head(&file.source)?).to_owned();
        entries.push(FileEntry { path: file.name.clone(), digest: stored.digest, size: stored.size, media });
    }
    let depends = links.iter().filter(|(relation, _)| relation == "depends").map(|(_, v)| v.digest).collect();
    let manifest = Manifest::new(kind, entries, depends)?;
    if !dry {
        let stored = place.objects.put_bytes(&manifest.to_bytes())?;
        found.extend((!stored.new).then_some(stored.digest));
    }
    Ok(Published { manifest, found, unstored })
}

fn head(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).context(|| format!("cannot read {}", path.display()))?;
    file.take(HEAD).read_to_end(&mut bytes).context(|| format!("cannot read {}", path.display()))?;
    Ok(bytes)
}

type Numbered = (Number, Option<Digest>, Option<Bump>, Vec<String>);

fn number(place: &Place, request: &Request, published: &Published, links: &Links) -> Result<Numbered> {
    let highest = highest(place, request)?;
    let from = highest.as_ref().map(|v| v.digest);
    match (request.number, highest) {
        (Wanted::Exactly(version), _) => Ok((Number::Exactly(version), None, None, Vec::new())),
        (Wanted::Bumped(bump), highest) => Ok((Number::Bumped(bump), from, highest.map(|_| bump), Vec::new())),
        (Wanted::Advised, None) => Ok((Number::Bumped(Bump::Major), None, None, Vec::new())),
        (Wanted::Advised, Some(old)) if old.purged.is_some() => Ok((
            Number::Bumped(Bump::Minor),
            from,
            Some(Bump::Minor),
            vec![format!("the files of {} were removed, so nothing is known of the difference", old.reference())],
        )),
        (Wanted::Advised, Some(old)) => {
            let new_side = Contents {
                manifest: published.manifest.clone(),
                depends: dependencies(links),
                metrics: request.metrics.iter().cloned().collect(),
            };
            let old_side = place.store.read(|view| contents(view, &place.objects, &old))?;
            let difference =
                differ_by(&old_side, &new_side, &request.layout, &mut |digest| published.read(&place.objects, digest))?;
            let advice = advise(&difference);
            let bump = advice.as_ref().map_or(Bump::Patch, |a| a.bump);
            Ok((
                Number::Bumped(bump),
                from,
                Some(bump),
                advice.map(|a| a.reasons.into_iter().map(|r| r.why).collect()).unwrap_or_default(),
            ))
        }
    }
}

/// What a version is compared by.
pub struct Contents {
    /// Its files.
    pub manifest: Manifest,
    /// What it needs.
    pub depends: Vec<Dependency>,
    /// Its metrics.
    pub metrics: BTreeMap<String, f64>,
}

/// The contents of a registered version.
///
/// # Errors
/// When its manifest is missing, damaged or removed.
pub fn contents(view: View<'_>, objects: &Objects, version: &VersionRow) -> Result<Contents> {
    Ok(Contents {
        manifest: manifest_of(objects, version)?,
        depends: dependencies(&table::links_from(view, version.id)?),
        metrics: table::notes(view, version.id)?.metrics.into_iter().collect(),
    })
}

fn dependencies(links: &Links) -> Vec<Dependency> {
    let depends = links.iter().filter(|(relation, _)| relation == "depends");
    depends.map(|(_, v)| Dependency { name: v.name.clone(), version: v.version, digest: v.digest }).collect()
}

/// Compares two versions.
///
/// # Errors
/// When a file cannot be read.
pub fn differ(objects: &Objects, old: &Contents, new: &Contents, layout: &Layout) -> Result<Difference> {
    differ_by(old, new, layout, &mut |digest| objects.read(digest, PART_MAX))
}

fn differ_by(
    old: &Contents,
    new: &Contents,
    layout: &Layout,
    read: &mut dyn FnMut(&Digest) -> Result<Vec<u8>>,
) -> Result<Difference> {
    let old = Side { manifest: &old.manifest, depends: &old.depends, metrics: &old.metrics };
    let new = Side { manifest: &new.manifest, depends: &new.depends, metrics: &new.metrics };
    compare(old, new, layout, read)
}
