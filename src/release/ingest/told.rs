//! What a run tells: what became of each file, and the sum of it, in which each file counts once.

use crate::domain::ingest::reason::Refusal;
use std::collections::{BTreeMap, HashMap};

/// What became of one file.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The file.
    pub source: String,
    /// What was done.
    pub fate: Fate,
    /// Its bytes.
    pub bytes: u64,
    /// Chunks made of it.
    pub chunks: usize,
    /// Its quality.
    pub quality: Option<f64>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// What was done with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is new.
    Added,
    /// It takes the place of what it was before.
    Replaced,
    /// It is as it was.
    Unchanged,
    /// It was refused, now or before, and what was found.
    Refused(Refusal, String),
    /// Its file is gone, so it was taken out.
    Removed,
}

/// A step of a run, for progress and for streams.
pub enum Step<'s> {
    /// So many files with so many bytes were met.
    Met(usize, u64),
    /// One is done.
    Done(&'s Told),
    /// One that was told of before, or was not met at all, was judged anew: this holds now.
    Again(&'s Told),
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// New documents.
    pub added: usize,
    /// Documents that took the place of earlier ones.
    pub replaced: usize,
    /// Documents that were as they had been.
    pub unchanged: usize,
    /// Documents whose files were gone.
    pub removed: usize,
    /// Documents that were refused, by reason, those of earlier runs included.
    pub refused: BTreeMap<Refusal, usize>,
    /// Chunks made.
    pub chunks: usize,
    /// Bytes of the files that were taken.
    pub bytes: u64,
}

impl Sum {
    /// Adds what another run did.
    pub fn add(&mut self, other: &Self) {
        self.added += other.added;
        self.replaced += other.replaced;
        self.unchanged += other.unchanged;
        self.removed += other.removed;
        self.chunks += other.chunks;
        self.bytes += other.bytes;
        for (reason, n) in &other.refused {
            *self.refused.entry(*reason).or_default() += n;
        }
    }
}

/// The sum while it grows: a file that is judged again counts as what it is in the end.
#[derive(Default)]
pub(super) struct Tally {
    sum: Sum,
    told: HashMap<String, Counted>,
}

/// What is remembered of a file that was counted.
struct Counted {
    fate: Fate,
    bytes: u64,
    chunks: usize,
}

impl Tally {
    /// Counts a file, in the place of what was counted of it before: what is new stays new when it is judged again.
    pub(super) fn count(&mut self, told: &mut Told) {
        let before = self.told.remove(&told.source);
        if let Some(before) = &before {
            self.add(before, false);
            if before.fate == Fate::Added && told.fate == Fate::Replaced {
                told.fate = Fate::Added;
            }
        }
        let fate = match &told.fate {
            Fate::Refused(reason, _) => Fate::Refused(*reason, String::new()),
            fate => fate.clone(),
        };
        let counted = Counted { fate, bytes: told.bytes, chunks: told.chunks };
        self.add(&counted, true);
        self.told.insert(told.source.clone(), counted);
    }

    /// The sum.
    pub(super) fn sum(self) -> Sum {
        self.sum
    }

    fn add(&mut self, counted: &Counted, more: bool) {
        let step = |n: &mut usize, by: usize| *n = if more { n.saturating_add(by) } else { n.saturating_sub(by) };
        let sum = &mut self.sum;
        match &counted.fate {
            Fate::Added => step(&mut sum.added, 1),
            Fate::Replaced => step(&mut sum.replaced, 1),
            Fate::Unchanged => step(&mut sum.unchanged, 1),
            Fate::Removed => step(&mut sum.removed, 1),
            Fate::Refused(reason, _) => {
                step(sum.refused.entry(*reason).or_default(), 1);
                sum.refused.retain(|_, n| *n > 0);
            }
        }
        if matches!(counted.fate, Fate::Added | Fate::Replaced) {
            step(&mut sum.chunks, counted.chunks);
            sum.bytes = if more { sum.bytes.saturating_add(counted.bytes) } else { sum.bytes.saturating_sub(counted.bytes) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(source: &str, fate: Fate) -> Told {
        Told { source: source.to_owned(), fate, bytes: 10, chunks: 2, quality: None, warnings: Vec::new() }
    }

    #[test]
    fn a_file_counts_once_as_what_it_is_in_the_end() {
        let mut tally = Tally::default();
        let refused = || Fate::Refused(Refusal::Duplicate, "of a".to_owned());
        for (source, fate, counts) in [
            ("a", Fate::Added, Fate::Added),
            ("b", refused(), refused()),
            ("c", Fate::Unchanged, Fate::Unchanged),
            ("a", Fate::Replaced, Fate::Added),
            ("b", Fate::Replaced, Fate::Replaced),
            ("c", refused(), refused()),
        ] {
            let mut told = told(source, fate);
            tally.count(&mut told);
            assert_eq!(told.fate, counts, "{source}");
        }
        let refused = [(Refusal::Duplicate, 1)].into();
        assert_eq!(tally.sum(), Sum { added: 1, replaced: 1, refused, chunks: 4, bytes: 20, ..Sum::default() });
    }
}
