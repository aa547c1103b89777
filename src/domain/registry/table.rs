//! The registry's own tables: reading models, versions, their notes, links and stage history. Nobody else queries them.

use super::select;
use crate::base::digest::Digest;
use crate::base::error::{Error, Result};
use crate::base::name::{ModelType, Name, Stage};
use crate::base::reference::{Reference, Selector};
use crate::base::text::did_you_mean;
use crate::base::time::Timestamp;
use crate::base::version::Version;
use crate::store::{Row, Value, View, values};

/// A registered model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its number in the state.
    pub id: i64,
    /// Its name.
    pub name: Name,
    /// What it is.
    pub kind: ModelType,
    /// When it was first registered.
    pub created: Timestamp,
}

/// Where in Git a version came from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct GitFacts {
    /// The commit, in hexadecimal digits.
    pub commit: String,
    /// The branch, when on one.
    pub branch: Option<String>,
    /// True when the work tree had changes that were not committed.
    pub dirty: bool,
}

/// A registered version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRow {
    /// Its number in the state.
    pub id: i64,
    /// Its model's number.
    pub model: i64,
    /// Its model's name.
    pub name: Name,
    /// What the model is.
    pub kind: ModelType,
    /// Its version.
    pub version: Version,
    /// The digest of its manifest.
    pub digest: Digest,
    /// Where it stands.
    pub stage: Stage,
    /// When it was registered.
    pub created: Timestamp,
    /// Who registered it.
    pub author: String,
    /// How many files it has.
    pub files: i64,
    /// How many bytes they have.
    pub bytes: i64,
    /// Where in Git it came from.
    pub git: Option<GitFacts>,
    /// Since when it is archived.
    pub retired: Option<Timestamp>,
    /// When garbage collection removed its files.
    pub purged: Option<Timestamp>,
    /// The audit event of its registration.
    pub event: i64,
}

impl VersionRow {
    /// `name@1.2.0`.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

/// What is noted about a version beside its files: never part of its digest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notes {
    /// Metrics given at registration.
    pub metrics: Vec<(String, f64)>,
    /// Metadata.
    pub meta: Vec<(String, String)>,
    /// Tags.
    pub tags: Vec<String>,
}

/// One change of a version's stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageChange {
    /// The version that moved.
    pub version: Version,
    /// Its number in the state.
    pub version_id: i64,
    /// `promote`, `rollback`, `archive`, `restore`, `refill` or `replaced`.
    pub how: String,
    /// Where it stood.
    pub from: Option<Stage>,
    /// Where it went.
    pub to: Stage,
    /// The version it took the place of.
    pub replaced: Option<Version>,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// The ticket that asked for it.
    pub ticket: Option<String>,
    /// Why, unless it was erased.
    pub reason: Option<String>,
    /// The audit event.
    pub event: i64,
}

/// How many versions an ambiguous digest names.
const FITTING_MAX: usize = 10;

const VERSION: &str = "SELECT v.id, v.model, m.name, m.kind, v.major, v.minor, v.patch, v.digest, v.stage, v.created, COALESCE(p.name, v.author), \
     v.files, v.bytes, v.git_commit, v.git_branch, v.git_dirty, v.retired, v.purged, v.event \
     FROM version v JOIN model m ON m.id = v.model LEFT JOIN pseudonym p ON p.id = v.author";

fn version_row(row: &Row<'_>) -> Result<VersionRow> {
    let part = |i: usize| row.int(i).map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    let git = row.opt_text(13)?.map(str::to_owned);
    let git = git
        .map(|commit| {
            Ok::<_, Error>(GitFacts { commit, branch: row.opt_text(14)?.map(str::to_owned), dirty: row.opt_int(15)? == Some(1) })
        })
        .transpose()?;
    Ok(VersionRow {
        id: row.int(0)?,
        model: row.int(1)?,
        name: row.parsed(2)?,
        kind: row.parsed(3)?,
        version: Version::new(part(4)?, part(5)?, part(6)?),
        digest: row.digest(7)?,
        stage: row.parsed(8)?,
        created: row.time(9)?,
        author: row.name(10)?,
        files: row.int(11)?,
        bytes: row.int(12)?,
        git,
        retired: row.opt_int(16)?.map(Timestamp::from_micros),
        purged: row.opt_int(17)?.map(Timestamp::from_micros),
        event: row.int(18)?,
    })
}

/// The model of this name, if it is registered.
pub fn find_model(view: View<'_>, name: &Name) -> Result<Option<Model>> {
    let sql = "SELECT id, name, kind, created FROM model WHERE name = ?1";
    view.first(sql, values![name.as_str()], |r| {
        Ok(Model { id: r.int(0)?, name: r.parsed(1)?, kind: r.parsed(2)?, created: r.time(3)? })
    })
}

/// The model of this name.
///
/// # Errors
/// When it is not registered; names the nearest.
pub fn model(view: View<'_>, name: &Name) -> Result<Model> {
    if let Some(model) = find_model(view, name)? {
        return Ok(model);
    }
    let names: Vec<String> = models(view)?.into_iter().map(|m| m.name.to_string()).collect();
    let e = Error::new(format!("there is no model `{name}`"));
    Err(match did_you_mean(name.as_str(), names.iter().map(String::as_str)) {
        Some(hint) => e.hint(hint),
        None => e.hint("no model is registered yet: `kf register NAME PATH` registers one"),
    })
}

/// Every model, by name.
pub fn models(view: View<'_>) -> Result<Vec<Model>> {
    view.all("SELECT id, name, kind, created FROM model ORDER BY name", &[], |r| {
        Ok(Model { id: r.int(0)?, name: r.parsed(1)?, kind: r.parsed(2)?, created: r.time(3)? })
    })
}

/// Every version of a model, the highest first, at most `limit`.
pub fn versions(view: View<'_>, model: i64, limit: u32) -> Result<Vec<VersionRow>> {
    let sql = format!("{VERSION} WHERE v.model = ?1 ORDER BY v.major DESC, v.minor DESC, v.patch DESC LIMIT ?2");
    view.all(&sql, values![model, limit], version_row)
}

/// The highest version of each model and every version in staging or production, by name.
pub fn overview(view: View<'_>) -> Result<Vec<VersionRow>> {
    // Each branch is one run through an index; asked with OR, both engines would look at every version.
    let sql = format!(
        "{VERSION} WHERE v.id IN (SELECT (SELECT w.id FROM version w WHERE w.model = n.id \
         ORDER BY w.major DESC, w.minor DESC, w.patch DESC LIMIT 1) FROM model n \
         UNION SELECT s.id FROM version s WHERE s.stage IN ('staging', 'production')) \
         ORDER BY m.name, v.major DESC, v.minor DESC, v.patch DESC"
    );
    view.all(&sql, &[], version_row)
}

/// Which versions are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter<'a> {
    /// Those of this model; of all without.
    pub model: Option<i64>,
    /// Those in this stage.
    pub stage: Option<Stage>,
    /// Those with this tag.
    pub tag: Option<&'a str>,
}

impl Filter<'_> {
    /// Only what is asked for is a condition, so that an index can serve it.
    fn conditions(&self) -> (String, Vec<Value>) {
        let mut values: Vec<Value> = Vec::new();
        let mut conditions = String::from("TRUE");
        let mut only = |condition: &str, value: Value| {
            values.push(value);
            conditions += &format!(" AND {}", condition.replace('?', &format!("?{}", values.len())));
        };
        self.model.into_iter().for_each(|id| only("v.model = ?", id.into()));
        self.stage.into_iter().for_each(|s| only("v.stage = ?", s.word().into()));
        let tagged = "v.id IN (SELECT n.version FROM version_note n WHERE n.kind = 'tag' AND n.key = ?)";
        self.tag.into_iter().for_each(|t| only(tagged, t.into()));
        (conditions, values)
    }
}

/// Every version that a filter lets through, by name and descending version, at most `limit`.
pub fn all_versions(view: View<'_>, filter: Filter<'_>, limit: u32) -> Result<Vec<VersionRow>> {
    let (conditions, values) = filter.conditions();
    let sql = format!("{VERSION} WHERE {conditions} ORDER BY m.name, v.major DESC, v.minor DESC, v.patch DESC LIMIT {limit}");
    view.all(&sql, &values, version_row)
}

/// How many versions a filter lets through.
pub fn count_versions(view: View<'_>, filter: Filter<'_>) -> Result<usize> {
    let (conditions, values) = filter.conditions();
    let count = view.first(&format!("SELECT COUNT(*) FROM version v WHERE {conditions}"), &values, |r| r.int(0))?;
    Ok(count.and_then(|n| usize::try_from(n).ok()).unwrap_or_default())
}

/// The tags that versions of a model (of all without) have, each once.
pub fn tags(view: View<'_>, model: Option<i64>) -> Result<Vec<String>> {
    let (only, values) = match model {
        Some(id) => ("AND v.model = ?1", values![id].to_vec()),
        None => ("", Vec::new()),
    };
    let sql = format!(
        "SELECT DISTINCT n.key FROM version_note n JOIN version v ON v.id = n.version WHERE n.kind = 'tag' {only} ORDER BY n.key"
    );
    view.all(&sql, &values, |r| Ok(r.text(0)?.to_owned()))
}

/// The version with this number.
pub fn version_by_id(view: View<'_>, id: i64) -> Result<Option<VersionRow>> {
    view.first(&format!("{VERSION} WHERE v.id = ?1"), values![id], version_row)
}

/// The version of a model with exactly this number or digest, if any.
pub fn find_version(view: View<'_>, model: i64, version: Version) -> Result<Option<VersionRow>> {
    let sql = format!("{VERSION} WHERE v.model = ?1 AND v.major = ?2 AND v.minor = ?3 AND v.patch = ?4");
    view.first(&sql, values![model, version.major, version.minor, version.patch], version_row)
}

/// The highest version of a model's MAJOR.MINOR line, if it has any.
pub fn highest_of_line(view: View<'_>, model: i64, line: Version) -> Result<Option<VersionRow>> {
    let sql = format!("{VERSION} WHERE v.model = ?1 AND v.major = ?2 AND v.minor = ?3 ORDER BY v.patch DESC LIMIT 1");
    view.first(&sql, values![model, line.major, line.minor], version_row)
}

/// The version of a model with this digest, if any.
pub fn find_digest(view: View<'_>, model: i64, digest: &Digest) -> Result<Option<VersionRow>> {
    view.first(&format!("{VERSION} WHERE v.model = ?1 AND v.digest = ?2"), values![model, *digest], version_row)
}

/// The version of a model in production, if any.
pub fn in_production(view: View<'_>, model: i64) -> Result<Option<VersionRow>> {
    view.first(&format!("{VERSION} WHERE v.model = ?1 AND v.stage = 'production'"), values![model], version_row)
}

/// The version that a reference names.
///
/// # Errors
/// When there is none, or a digest's first digits fit several.
pub fn resolve(view: View<'_>, reference: &Reference) -> Result<VersionRow> {
    let model = model(view, &reference.name)?;
    let found = match &reference.selector {
        Selector::Latest => versions(view, model.id, 1)?.into_iter().next(),
        Selector::Version(v) => find_version(view, model.id, *v)?,
        Selector::Stage(stage) => by_stage(view, &model, *stage)?,
        Selector::Alias(alias) => {
            let sql = format!("{VERSION} JOIN alias a ON a.version = v.id WHERE a.model = ?1 AND a.name = ?2");
            view.first(&sql, values![model.id, alias.as_str()], version_row)?
        }
        Selector::Digest(prefix) => by_digest(view, &model, prefix)?,
    };
    match found {
        Some(version) => Ok(version),
        None => Err(select::not_found(view, &model, reference)?),
    }
}

/// The version of a model that came to a stage last, else the last registered of those that were never moved.
fn by_stage(view: View<'_>, model: &Model, stage: Stage) -> Result<Option<VersionRow>> {
    // CROSS JOIN keeps SQLite to this order: backwards through the model's changes, until one fits.
    let moved = format!(
        "{VERSION} WHERE v.id = (SELECT c.version FROM stage_change c CROSS JOIN version w WHERE c.model = ?1 AND w.id = c.version \
         AND w.stage = ?2 ORDER BY c.event DESC LIMIT 1)"
    );
    if let Some(found) = view.first(&moved, values![model.id, stage.word()], version_row)? {
        return Ok(Some(found));
    }
    let registered = format!("{VERSION} WHERE v.model = ?1 AND v.stage = ?2 ORDER BY v.event DESC LIMIT 1");
    view.first(&registered, values![model.id, stage.word()], version_row)
}

/// The version whose digest begins with these hexadecimal digits: between the lowest and the highest digest that do.
fn by_digest(view: View<'_>, model: &Model, prefix: &str) -> Result<Option<VersionRow>> {
    let (Ok(low), Ok(high)) = (format!("{prefix:0<64}").parse::<Digest>(), format!("{prefix:f<64}").parse::<Digest>()) else {
        return Ok(None);
    };
    let sql = format!("{VERSION} WHERE v.model = ?1 AND v.digest >= ?2 AND v.digest <= ?3 ORDER BY v.digest LIMIT {FITTING_MAX}");
    let mut fitting = view.all(&sql, values![model.id, low, high], version_row)?;
    if fitting.len() > 1 {
        let all: Vec<String> = fitting.iter().map(|v| format!("{} ({})", v.version, v.digest.short())).collect();
        let more = if fitting.len() == FITTING_MAX { ", …" } else { "" };
        return Err(Error::new(format!("`sha256:{prefix}` fits several versions of {}: {}{more}", model.name, all.join(", ")))
            .hint("give more digits of the digest"));
    }
    Ok(fitting.pop())
}

/// What is noted about a version.
pub fn notes(view: View<'_>, version: i64) -> Result<Notes> {
    let mut notes = Notes::default();
    let sql = "SELECT kind, key, value FROM version_note WHERE version = ?1 ORDER BY kind, key";
    view.each(sql, values![version], |row| {
        let (key, value) = (row.text(1)?.to_owned(), row.text(2)?.to_owned());
        match row.text(0)? {
            "metric" => notes.metrics.push((key, value.parse().unwrap_or(f64::NAN))),
            "tag" => notes.tags.push(key),
            _ => notes.meta.push((key, value)),
        }
        Ok(())
    })?;
    Ok(notes)
}

/// The versions that a version names (`depends`, `dataset`), with the relation.
pub fn links_from(view: View<'_>, version: i64) -> Result<Vec<(String, VersionRow)>> {
    linked(view, "SELECT relation, target FROM version_link WHERE version = ?1 ORDER BY relation, target", version)
}

/// The versions that name a version, with the relation.
pub fn links_to(view: View<'_>, version: i64) -> Result<Vec<(String, VersionRow)>> {
    linked(view, "SELECT relation, version FROM version_link WHERE target = ?1 ORDER BY relation, version", version)
}

fn linked(view: View<'_>, sql: &str, version: i64) -> Result<Vec<(String, VersionRow)>> {
    let links = view.all(sql, values![version], |r| Ok((r.text(0)?.to_owned(), r.int(1)?)))?;
    let mut out = Vec::new();
    for (relation, id) in links {
        if let Some(version) = version_by_id(view, id)? {
            out.push((relation, version));
        }
    }
    Ok(out)
}

/// The aliases of a model with the version each names.
pub fn aliases(view: View<'_>, model: i64) -> Result<Vec<(Name, Version, i64)>> {
    let sql = "SELECT a.name, v.major, v.minor, v.patch, v.id FROM alias a JOIN version v ON v.id = a.version WHERE a.model = ?1 ORDER BY a.name";
    view.all(sql, values![model], |r| Ok((r.parsed(0)?, three(r, 1)?, r.int(4)?)))
}

fn three(row: &Row<'_>, from: usize) -> Result<Version> {
    let part = |i: usize| row.int(i).map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    Ok(Version::new(part(from)?, part(from + 1)?, part(from + 2)?))
}

/// The audit event of the last move of a version, if it was ever moved.
pub fn last_change(view: View<'_>, version: i64) -> Result<Option<i64>> {
    let sql = "SELECT c.event FROM version v JOIN stage_change c ON c.model = v.model AND c.version = v.id \
         WHERE v.id = ?1 ORDER BY c.event DESC LIMIT 1";
    view.first(sql, values![version], |r| r.int(0))
}

/// The stage history of a model, newest first, at most `limit`.
pub fn history(view: View<'_>, model: i64, limit: u32) -> Result<Vec<StageChange>> {
    let sql = "SELECT v.major, v.minor, v.patch, c.version, c.how, c.from_stage, c.to_stage, c.ts, COALESCE(p.name, c.actor), c.ticket, c.event, o.value, \
         r.major, r.minor, r.patch FROM stage_change c JOIN version v ON v.id = c.version LEFT JOIN version r ON r.id = c.replaced \
         LEFT JOIN opening o ON o.seq = c.event AND o.field = 'reason' \
         LEFT JOIN pseudonym p ON p.id = c.actor WHERE c.model = ?1 ORDER BY c.event DESC, c.how = 'replaced' LIMIT ?2";
    view.all(sql, values![model, limit], |r| {
        Ok(StageChange {
            version: three(r, 0)?,
            version_id: r.int(3)?,
            how: r.text(4)?.to_owned(),
            from: r.opt_text(5)?.map(str::parse).transpose().map_err(Error::new)?,
            to: r.parsed(6)?,
            at: r.time(7)?,
            actor: r.name(8)?,
            ticket: r.opt_text(9)?.map(str::to_owned),
            event: r.int(10)?,
            reason: r.opened(11)?,
            replaced: r.opt_int(12)?.map(|_| three(r, 12)).transpose()?,
        })
    })
}
