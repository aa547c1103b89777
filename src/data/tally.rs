//! What the cells of a column are, counted over all rows, and the kind that follows.

use super::cell::Class;
use super::{Column, EXAMPLE, Kind};
use crate::base::text::visible;

/// A column is of a kind when at most one of so many of its cells is bad as that.
const NEARLY_ALL: u64 = 100;
/// Widths of vectors that are told apart.
const WIDTHS_MAX: usize = 64;

/// Counts of classes with the first cell of each.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    groups: Vec<Group>,
}

/// Cells of one class.
#[derive(Clone, Debug)]
struct Group {
    class: Class,
    /// The file says that they are texts.
    quoted: bool,
    count: u64,
    first: (u64, String),
}

impl Group {
    /// True when these cells can be read as this kind.
    fn reads_as(&self, kind: Kind) -> bool {
        match kind {
            Kind::Integer | Kind::Number => matches!(self.class, Class::Whole | Class::Fraction | Class::Nan),
            Kind::Time => self.class == Class::Time,
            Kind::Boolean => self.class == Class::Boolean,
            Kind::Vector { width } => self.class == Class::Vector(width),
            Kind::Text => true,
        }
    }

    /// True when these cells are of this kind by themselves: a number between quotes of JSON is a text.
    fn is(&self, kind: Kind) -> bool {
        self.reads_as(kind) && (!self.quoted || matches!(self.class, Class::Time | Class::Nan))
    }
}

impl Tally {
    /// The group of a class, made with `first` (row from 1, cell as it is written) when it is new.
    pub(super) fn group(&mut self, class: Class, quoted: bool, first: impl FnOnce() -> (u64, String)) -> usize {
        let class = match class {
            Class::Vector(_) if self.groups.len() >= WIDTHS_MAX && !self.has(class) => Class::Vector(0),
            class => class,
        };
        if let Some(found) = self.groups.iter().position(|g| g.class == class && g.quoted == quoted) {
            return found;
        }
        let (row, cell) = first();
        self.groups.push(Group { class, quoted, count: 0, first: (row, visible(&cell, EXAMPLE)) });
        self.groups.len() - 1
    }

    fn has(&self, class: Class) -> bool {
        self.groups.iter().any(|g| g.class == class)
    }

    /// Counts cells of a group.
    pub(super) fn count(&mut self, group: usize, cells: u64) {
        self.groups[group].count += cells;
    }

    /// Takes over what another part of the column has, whose rows come after `rows` others.
    pub(super) fn merge(&mut self, other: &Self, rows: u64) {
        for theirs in &other.groups {
            let at = self.group(theirs.class, theirs.quoted, || (theirs.first.0 + rows, theirs.first.1.clone()));
            self.groups[at].count += theirs.count;
        }
    }

    /// Cells that are there. NaN counts as there only among numbers.
    fn present(&self) -> u64 {
        self.groups.iter().filter(|g| g.class != Class::Nan).map(|g| g.count).sum()
    }

    /// Cells that cannot be read as this kind, and the first of them.
    fn bad(&self, kind: Kind) -> (u64, Option<(u64, String)>) {
        let bad = || self.groups.iter().filter(|g| g.class != Class::Nan && !g.reads_as(kind));
        (bad().map(|g| g.count).sum(), bad().min_by_key(|g| g.first.0).map(|g| g.first.clone()))
    }

    /// The numeric kind: whole only when all numbers are.
    fn numeric(&self) -> Kind {
        let broken = self.has(Class::Fraction) || self.has(Class::Nan);
        if broken { Kind::Number } else { Kind::Integer }
    }

    /// The width that most vectors have; of several the one that came first.
    fn width(&self) -> Option<Kind> {
        let vectors = self.groups.iter().filter_map(|g| match g.class {
            Class::Vector(width) if width > 0 => Some((g.count, std::cmp::Reverse(g.first.0), width)),
            _ => None,
        });
        vectors.max().map(|(_, _, width)| Kind::Vector { width })
    }

    /// What cells would be of which there is none: what the file says, or numbers when all are NaN.
    fn declared(&self) -> Option<Kind> {
        self.groups.first().map(|group| match group.class {
            Class::Whole => Kind::Integer,
            Class::Fraction | Class::Nan => Kind::Number,
            Class::Time => Kind::Time,
            Class::Boolean => Kind::Boolean,
            Class::Vector(width) => Kind::Vector { width },
            Class::Text => Kind::Text,
        })
    }

    /// What the cells are by themselves; `None` when nothing is there.
    pub(super) fn own(&self) -> Option<Kind> {
        let present = self.present();
        if present == 0 {
            return self.declared();
        }
        let kinds = [Some(self.numeric()), Some(Kind::Time), Some(Kind::Boolean), self.width()];
        let fits = |kind: &Kind| {
            let not = self.groups.iter().filter(|g| g.class != Class::Nan && !g.is(*kind)).map(|g| g.count).sum::<u64>();
            not * NEARLY_ALL <= present
        };
        Some(kinds.into_iter().flatten().find(fits).unwrap_or(Kind::Text))
    }

    /// The column of these cells: of the kind that is expected while at most half of them are bad as that, else of their own.
    pub(super) fn column(&self, name: &str, expected: Option<Kind>) -> Column {
        let own = self.own().or(expected).unwrap_or(Kind::Text);
        let present = self.present();
        let fitting = expected.filter(|kind| self.bad(*kind).0 * 2 <= present);
        let kind = match fitting.unwrap_or(own) {
            Kind::Integer if present > 0 => self.numeric(),
            kind => kind,
        };
        let (bad, example) = self.bad(kind);
        Column { name: name.to_owned(), kind, own, bad, example, unread: None }
    }
}
