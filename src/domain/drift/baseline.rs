//! What a model was accepted on: the profile of each column of a table, as one object.
//!
//! Invariants: every `f64` is stored as its bits ([`super::profile`]); the order of the columns is that of the file; a check needs
//! nothing else of the reference. A baseline of a format that this kf does not know is refused by its number.

use super::cloud::CloudProfile;
use super::figures::{ColumnComparison, Compared, Figures, Role, Sides};
use super::levels::Levels;
use super::outcome::{self, Together};
use super::policy::Rule;
use super::profile::Numeric;
use super::read;
use super::texts::{self, Embedding, Texts};
use crate::base::error::{Context, Error, Kind as Trouble, Result};
use crate::base::name::words;
use crate::base::text::visible;
use crate::data::{Column, Kind, Table};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The format that this kf writes.
const FORMAT: u32 = 1;

words! {
    /// What the cells of a column are, whatever their width.
    Family, "kind of cells" {
        /// Numbers.
        Numbers = "numbers",
        /// Points in time.
        Times = "times",
        /// Words or texts.
        Texts = "texts",
        /// Vectors.
        Vectors = "vectors",
    }
}

impl Family {
    /// That of a kind.
    pub(super) fn of(kind: Kind) -> Self {
        match kind {
            Kind::Integer | Kind::Number => Self::Numbers,
            Kind::Time => Self::Times,
            Kind::Boolean | Kind::Text => Self::Texts,
            Kind::Vector { .. } => Self::Vectors,
        }
    }

    /// What a reader is to expect of the column, apart from vectors, whose width the profile knows.
    fn expected(self) -> Option<Kind> {
        match self {
            Self::Numbers => Some(Kind::Number),
            Self::Times => Some(Kind::Time),
            Self::Texts => Some(Kind::Text),
            Self::Vectors => None,
        }
    }
}

/// What is kept of a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Of numbers.
    Numbers(Box<Numeric>),
    /// Of words.
    Levels(Levels),
    /// Of vectors.
    Vectors(Box<CloudProfile>),
    /// Of texts.
    Texts(Box<Texts>),
    /// Nothing, and why: the column is not compared.
    LeftOut(String),
}

/// A column of a reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// Its name.
    pub name: String,
    /// What its cells are read as.
    pub family: Family,
    /// What they are by themselves; absent in baselines of older kf.
    #[serde(default)]
    pub own: Option<Family>,
    /// Cells that were there and could not be read as that.
    pub bad: u64,
    /// What is kept of it.
    pub profile: Profile,
}

/// A reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    format: u32,
    /// The kf that took it.
    pub kf: String,
    /// Rows of the table.
    pub rows: u64,
    /// Its columns, in their order.
    pub columns: Vec<Kept>,
    /// What they say together.
    #[serde(default)]
    pub together: Together,
}

/// How the columns of a table are to be taken: what `[drift.NAME]` says of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    /// Columns that are compared; all without.
    pub columns: Option<Vec<String>>,
    /// Columns that are not.
    pub exclude: Vec<String>,
    /// Kinds of columns that are said: `number`, `category`, `text`, `embedding`.
    pub kinds: BTreeMap<String, String>,
    /// The column that the model says.
    pub prediction: Option<String>,
    /// The column of what would have been right.
    pub label: Option<String>,
    /// The column of the chance that the prediction gives itself.
    #[serde(default)]
    pub score: Option<String>,
    /// Columns by whose values rows are told apart; `None` for those of few levels.
    #[serde(default)]
    pub slices: Option<Vec<String>>,
    /// Columns in which a change is looked for row by row.
    #[serde(default)]
    pub stream: Vec<String>,
    /// The column that says in which order rows came.
    #[serde(default)]
    pub time: Option<String>,
    /// Texts are told and kept by their digests.
    pub digests: bool,
}

impl Selection {
    /// Whether a column is compared.
    pub fn takes(&self, column: &str) -> bool {
        let named = |of: &[String]| of.iter().any(|name| name == column);
        self.columns.as_deref().is_none_or(named) && !named(&self.exclude)
    }

    /// Columns that are asked for by name and that a table does not have.
    pub fn unknown<'a>(&'a self, there: &[Column]) -> Vec<&'a str> {
        let answers = [&self.prediction, &self.label, &self.score, &self.time].into_iter().flatten();
        let lists = self.columns.iter().chain(&self.slices).flatten().chain(&self.stream);
        let named = lists.chain(self.kinds.keys()).chain(answers);
        let mut unknown: Vec<&str> = named.map(String::as_str).filter(|n| !there.iter().any(|c| c.name == *n)).collect();
        unknown.sort_unstable();
        unknown.dedup();
        unknown
    }

    fn said(&self, column: &str) -> Option<&str> {
        self.kinds.get(column).map(String::as_str)
    }

    /// What a column is to the model.
    pub(super) fn role(&self, column: &str) -> Role {
        let predicted = [&self.prediction, &self.score];
        match column {
            _ if predicted.into_iter().any(|name| name.as_deref() == Some(column)) => Role::Prediction,
            _ if self.label.as_deref() == Some(column) => Role::Label,
            _ => Role::Feature,
        }
    }

    /// What a reader is to expect of the columns of a reference.
    pub fn expected(&self) -> BTreeMap<String, Kind> {
        let kind = |said: &str| match said {
            "number" => Some(Kind::Number),
            "category" | "text" => Some(Kind::Text),
            _ => None,
        };
        self.kinds.iter().filter_map(|(column, said)| Some((column.clone(), kind(said)?))).collect()
    }
}

/// Reads a table as a reference; `each` does the work on all columns, in any order, by as many threads as it wants.
///
/// # Errors
/// When the table has no rows or a column cannot be read: a reference is whole or is none.
pub fn take(table: &dyn Table, selection: &Selection, each: Columns<'_, Result<Kept>>) -> Result<Baseline> {
    if table.rows() == 0 {
        return Err(Error::new("the data has no rows, so there is nothing to compare with")
            .hint("take the baseline of rows that the model was accepted on"));
    }
    let taken: Vec<usize> = (0..table.columns().len()).filter(|i| selection.takes(&table.columns()[*i].name)).collect();
    if taken.is_empty() {
        return Err(Error::new("no column of the data is compared")
            .hint("`drift.NAME.columns` and `exclude` in mlops.toml say which are"));
    }
    let read = |at: usize| {
        let name = || visible(&table.columns()[at].name, 60);
        kept(table, at, selection)
            .context(|| format!("cannot read the column `{}`", name()))
            .hint(|| format!("or leave it out: `exclude = [\"{}\"]` in `[drift.NAME]`", name()))
    };
    let columns = each(&taken, &read).into_iter().collect::<Result<Vec<Kept>>>()?;
    let together = outcome::reference(table, &columns, selection)?;
    Ok(Baseline { format: FORMAT, kf: env!("CARGO_PKG_VERSION").to_owned(), rows: table.rows(), columns, together })
}

/// Does the same work on columns, given by their numbers, and gives the answers in their order.
pub type Columns<'a, T> = &'a dyn Fn(&[usize], &(dyn Fn(usize) -> T + Sync)) -> Vec<T>;

fn kept(table: &dyn Table, at: usize, selection: &Selection) -> Result<Kept> {
    let column = &table.columns()[at];
    let (family, said) = (Family::of(column.kind), selection.said(&column.name));
    let profile = match (family, said) {
        _ if selection.time.as_deref() == Some(&column.name) => Profile::LeftOut("it says in which order rows came".to_owned()),
        (Family::Vectors, _) => vectors_of(table, at, selection)?,
        (Family::Numbers, Some("category")) | (Family::Texts, _) => words_of(table, at, said, selection.digests)?,
        (Family::Numbers, _) => numbers_of(table, at, selection)?,
        (Family::Times, Some("number")) => Profile::Numbers(Box::new(read::numbers(table, at, None)?.stored())),
        (Family::Times, _) => Profile::LeftOut("times always move: say `number` in `kinds` to compare them".to_owned()),
    };
    Ok(Kept { name: told(&column.name), family, own: Some(Family::of(column.own)), bad: column.bad, profile })
}

/// Numbers. Whole ones of which each is above, or each is below, that of the row before number rows or tell times: new data always have
/// others. A column alone, or one that is asked for, is compared whatever it is.
fn numbers_of(table: &dyn Table, at: usize, selection: &Selection) -> Result<Profile> {
    let column = &table.columns()[at];
    let alone = table.columns().iter().filter(|column| selection.takes(&column.name)).count() == 1;
    let asked = selection.said(&column.name).is_some()
        || selection.columns.is_some()
        || selection.role(&column.name) != Role::Feature
        || selection.slices.iter().flatten().chain(&selection.stream).any(|name| *name == column.name);
    let (numbers, one_way) = read::numbers_one_way(table, at)?;
    if one_way && column.kind == Kind::Integer && table.rows() > FEW && !alone && !asked {
        let why = "its numbers go one way, as those of rows and times do: say `number` in `kinds` to compare them";
        return Ok(Profile::LeftOut(why.to_owned()));
    }
    Ok(Profile::Numbers(Box::new(numbers.stored())))
}

/// Vectors; the one column that is said to be text tells what they stand for.
fn vectors_of(table: &dyn Table, at: usize, selection: &Selection) -> Result<Profile> {
    let Kind::Vector { width } = table.columns()[at].kind else { return Ok(Profile::LeftOut("no vectors".to_owned())) };
    let is_text = |c: &Column| selection.said(&c.name) == Some("text") && Family::of(c.kind) == Family::Texts;
    let texts: Vec<usize> = (0..table.columns().len()).filter(|i| is_text(&table.columns()[*i])).collect();
    let text = if let [only] = texts[..] { Some(only) } else { None };
    let text = text.map(|text| (text, selection.digests));
    Ok(match read::reference(table, at, width, text)? {
        Ok(profile) => Profile::Vectors(Box::new(profile)),
        Err(refused) => Profile::LeftOut(refused.to_string()),
    })
}

/// A name as it is kept: no state takes U+0000.
pub(super) fn told(name: &str) -> String {
    name.replace('\0', "\u{fffd}")
}

/// Words are levels when they repeat: a column of which many rows differ is written language, or it names things and tells nothing as
/// levels.
fn words_of(table: &dyn Table, at: usize, said: Option<&str>, digests: bool) -> Result<Profile> {
    let is_text = match said {
        Some(said) => said == "text",
        None => (digests || table.rows() > FEW) && texts::are_language(table, at, digests)?,
    };
    if is_text {
        return Texts::of(table, at, digests).map(|texts| Profile::Texts(Box::new(texts)));
    }
    let levels = read::levels(table, at)?;
    let many = levels.slack() > 0 || levels.counts().len() as u64 > levels.rows() / 2;
    if said.is_none() && levels.rows() > FEW && many {
        let why = "nearly every value differs: say `category` or `text` in `kinds` to compare them";
        return Ok(Profile::LeftOut(why.to_owned()));
    }
    Ok(Profile::Levels(levels))
}

/// Up to so many rows words are levels even when each differs.
const FEW: u64 = 20;

impl Baseline {
    /// What to know where `kinds` says of a column something else than the baseline took it for: what it is was decided then.
    pub fn said_otherwise(&self, selection: &Selection) -> Vec<String> {
        let note = |kept: &Kept| {
            let said = selection.said(&kept.name)?;
            let other = match (said, kept.family, &kept.profile) {
                (_, Family::Vectors, _) => false,
                ("text", _, profile) => !matches!(profile, Profile::Texts(_)),
                ("category", _, profile) => !matches!(profile, Profile::Levels(_)),
                ("number", Family::Numbers | Family::Times, profile) => !matches!(profile, Profile::Numbers(_)),
                _ => false,
            };
            let other = other && selection.time.as_deref() != Some(&kept.name);
            other.then(|| {
                format!("mlops.toml calls {} {said}, and the baseline took it for something else: take it again", kept.name)
            })
        };
        self.columns.iter().filter_map(note).collect()
    }

    /// The object.
    ///
    /// # Errors
    /// Never for a baseline that was taken; kept as an error rather than a panic.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).context(|| "cannot write the baseline")
    }

    /// What an object holds.
    ///
    /// # Errors
    /// When it is of a newer format, or no baseline.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
            kf: String,
        }
        let head: Head = serde_json::from_slice(bytes).context(|| "the object is no baseline")?;
        if head.format != FORMAT {
            return Err(Error::new(format!(
                "the baseline has format {}, written by kf {}; this kf knows {FORMAT}",
                head.format, head.kf
            ))
            .hint(format!("install kf {} or newer, or take the baseline again", head.kf)));
        }
        serde_json::from_slice(bytes).context(|| "the object is no baseline")
    }

    /// What a reader is to expect of new data.
    pub fn expected(&self) -> BTreeMap<String, Kind> {
        let kind = |kept: &Kept| match &kept.profile {
            Profile::Vectors(profile) => Some(Kind::Vector { width: profile.frame().width() }),
            _ => kept.family.expected(),
        };
        self.columns.iter().filter_map(|kept| Some((kept.name.clone(), kind(kept)?))).collect()
    }

    /// The columns that a check compares, by their numbers here.
    fn compared(&self, selection: &Selection) -> Vec<usize> {
        let taken = |kept: &Kept| selection.takes(&kept.name) && !matches!(kept.profile, Profile::LeftOut(_));
        (0..self.columns.len()).filter(|i| taken(&self.columns[*i])).collect()
    }

    /// The columns of texts that are compared, each with what is kept of it.
    fn texts<'a>(&'a self, selection: &'a Selection) -> impl Iterator<Item = (&'a Kept, &'a Texts)> {
        self.columns.iter().filter(|kept| selection.takes(&kept.name)).filter_map(|kept| match &kept.profile {
            Profile::Texts(texts) => Some((kept, texts.as_ref())),
            _ => None,
        })
    }

    /// Whether a check, or the baseline itself, asks an embedder.
    pub fn has_texts(&self, selection: &Selection) -> bool {
        self.texts(selection).next().is_some()
    }

    /// Learns what the texts of the table mean that it was taken of.
    ///
    /// # Errors
    /// When the table cannot be read again, or the embedder fails.
    pub fn learn(&mut self, table: &dyn Table, embedding: &Embedding<'_>) -> Result<()> {
        for kept in &mut self.columns {
            if let (Profile::Texts(texts), Some(at)) = (&mut kept.profile, position(table, &kept.name)) {
                texts.learn(table, at, embedding).context(|| format!("cannot tell what the texts of `{}` mean", kept.name))?;
            }
        }
        Ok(())
    }

    /// What the texts of a table mean beside those of the reference, by column; one that cannot be told says why. Works on the
    /// calling thread only.
    pub fn meant(
        &self,
        table: &dyn Table,
        (selection, rule): (&Selection, Rule),
        embedding: Result<&Embedding<'_>, &Error>,
    ) -> Meant {
        let of_texts = |at: usize| Family::of(table.columns()[at].kind) == Family::Texts;
        let there = self.texts(selection).filter_map(|(kept, texts)| {
            let at = position(table, &kept.name).filter(|at| of_texts(*at))?;
            let meant = match embedding {
                Ok(embedding) => texts.meant((table, at), embedding, selection.digests, rule).map_err(|e| e.to_string()),
                Err(e) => Err(e.to_string()),
            };
            Some((kept.name.clone(), meant.unwrap_or_else(Compared::Error)))
        });
        there.collect()
    }

    /// Columns that are not compared, with the reason.
    pub fn left_out(&self) -> impl Iterator<Item = (&str, &str)> {
        self.columns.iter().filter_map(|kept| match &kept.profile {
            Profile::LeftOut(why) => Some((kept.name.as_str(), why.as_str())),
            Profile::Numbers(_) | Profile::Levels(_) | Profile::Vectors(_) | Profile::Texts(_) => None,
        })
    }

    /// Lays a table over the reference, column by column; over its data in place of their profile where they are given. A column
    /// that cannot be read is told as such; the others go on.
    pub fn compare(
        &self,
        (table, raw): (&dyn Table, Option<&dyn Table>),
        how: (&Selection, Rule),
        meant: &Meant,
        each: Columns<'_, Vec<ColumnComparison>>,
    ) -> Vec<ColumnComparison> {
        let (selection, _) = how;
        let of = |at: usize| self.column(&self.columns[at], (table, raw, meant), how);
        let mut all: Vec<ColumnComparison> = each(&self.compared(selection), &of).into_iter().flatten().collect();
        let known = |name: &str| self.columns.iter().any(|kept| kept.name == name);
        let new = table.columns().iter().map(|c| told(&c.name)).filter(|name| selection.takes(name) && !known(name));
        all.extend(new.map(|name| ColumnComparison { role: selection.role(&name), name, compared: Compared::New }));
        all
    }

    fn column(
        &self,
        kept: &Kept,
        (table, raw, meant): (&dyn Table, Option<&dyn Table>, &Meant),
        (selection, rule): (&Selection, Rule),
    ) -> Vec<ColumnComparison> {
        let (name, role) = (kept.name.as_str(), selection.role(&kept.name));
        let one = |compared| ColumnComparison { name: name.to_owned(), role, compared };
        let compared = match position(table, name) {
            None if role == Role::Label => Ok(Compared::Error("its values are not there yet".to_owned())),
            None => Ok(Compared::Missing),
            Some(at) => match (&kept.profile, meant.get(name)) {
                (Profile::Texts(texts), Some(meant)) => {
                    let reads = texts.beside((name, role), (table, at), selection.digests);
                    return match reads {
                        Ok(reads) => std::iter::once(one(meant.clone())).chain(reads).collect(),
                        Err(e) => vec![one(Compared::Error(e.to_string()))],
                    };
                }
                _ => self.laid(kept, (table, at), raw, rule),
            },
        };
        vec![one(compared.unwrap_or_else(|e| Compared::Error(e.to_string())))]
    }

    fn laid(&self, kept: &Kept, (table, at): (&dyn Table, usize), raw: Option<&dyn Table>, rule: Rule) -> Result<Compared> {
        let column = &table.columns()[at];
        if let Some(why) = &column.unread {
            return Ok(Compared::Error(why.clone()));
        }
        let family = Family::of(column.kind);
        if family != kept.family {
            return Ok(Compared::Retyped(Sides::new(kept.family.word().to_owned(), family.word().to_owned())));
        }
        let figures = match &kept.profile {
            Profile::Numbers(reference) => {
                let current = read::numbers(table, at, Some(reference.histogram().edges()))?;
                match raw {
                    Some(raw) => Figures::of_numbers(&whole(kept, reference, raw)?, &current),
                    None => Figures::of_numbers(reference, &current),
                }
            }
            Profile::Levels(reference) => Some(Figures::of_levels(reference, &read::levels(table, at)?)),
            Profile::Vectors(reference) => return vectors_beside((kept, reference), (table, at), rule),
            // What texts mean comes with them; those that come without were retyped.
            Profile::Texts(_) | Profile::LeftOut(_) => None,
        };
        let figures = figures.ok_or_else(|| Error::of(Trouble::Bug, "two profiles with other cells"))?;
        Ok(kept.retyped(column, figures.with_bad(Sides::new(kept.bad, column.bad))))
    }
}

/// What texts mean beside those of a reference, by column.
pub type Meant = BTreeMap<String, Compared>;

/// Where a table has the column of a reference.
pub(super) fn position(table: &dyn Table, name: &str) -> Option<usize> {
    table.columns().iter().position(|column| told(&column.name) == name)
}

/// The numbers of a reference in whole, of its data.
fn whole(kept: &Kept, profile: &Numeric, raw: &dyn Table) -> Result<Numeric> {
    let other = || Error::new("the data of the reference are read otherwise than when its profile was taken");
    let at = position(raw, &kept.name).ok_or_else(other)?;
    let whole = read::numbers(raw, at, Some(profile.histogram().edges()))?;
    if whole.histogram() == profile.histogram() { Ok(whole) } else { Err(other()) }
}

/// New vectors beside those of a reference; others when their width is another.
fn vectors_beside((kept, reference): (&Kept, &CloudProfile), (table, at): (&dyn Table, usize), rule: Rule) -> Result<Compared> {
    let (before, column) = (reference.frame().width(), &table.columns()[at]);
    match column.kind {
        Kind::Vector { width } if width != before => {
            Ok(Compared::Retyped(Sides::new(before, width).map(|n| format!("vectors of {n}"))))
        }
        _ => {
            let figures = read::beside(reference, table, at, rule)?.with_bad(Sides::new(kept.bad, column.bad));
            Ok(Compared::Values(Box::new(figures)))
        }
    }
}
