//! Which number belongs to what: "adults pay 10 euros and children 5" has both numbers and all words of "adults pay 5", and not the fact.
//!
//! Numbers of one kind share a sentence out between them: at a comma, a clause or an "and" between two of them ends what is said of the
//! first. What stands before the first number and has no match before the others is said of all. A number of the claim belongs to
//! something else when a word beside it is told of another number only, and no word beside it of its own: what is put in other words has
//! neither, and is left to the other findings.

use super::lists;
use super::quantity::{self, Match, Quantity};
use super::support::FORM;
use super::veto::{Case, HELD};
use super::words::Sentence;

/// The words of a sentence that stand by one of its numbers, as places in [`Sentence::words`].
struct Share {
    before: Vec<usize>,
    after: Vec<usize>,
}

impl Share {
    fn all(&self) -> impl Iterator<Item = usize> {
        self.before.iter().chain(&self.after).copied()
    }
}

/// Whether the words beside a number of the claim are told of another number of the candidate.
pub(super) fn is_of_another(case: &Case<'_>, q: &Quantity, mine: &[Quantity], theirs: &[Quantity]) -> bool {
    let Some(same) = theirs.iter().find(|o| !o.soft && quantity::compare(q, o) == Match::Same) else { return false };
    let alike: Vec<&Quantity> = theirs.iter().filter(|o| !o.soft && o.unit == same.unit).collect();
    if q.soft || alike.len() < 2 {
        return false;
    }
    let said: Vec<&Quantity> = mine.iter().filter(|o| !o.soft && o.unit == q.unit).collect();
    let (said_by, told_by) = (shares(case.claim, &said), shares(case.best, &alike));
    let Some(at) = said.iter().position(|o| o.at == q.at) else { return false };
    let told = Told { sentence: case.best, shares: &told_by };
    // The form of the candidate's word that holds a word of the claim at least so well.
    let held = |word: usize, least: f64| {
        let held = case.held[word].filter(|h| h.alike >= least && !h.opposite)?;
        Some(case.best.token(held.by).folded.as_str())
    };
    let (own, others): (Vec<usize>, Vec<usize>) = (0..alike.len()).partition(|i| quantity::compare(q, alike[*i]) == Match::Same);
    others.iter().any(|other| {
        let of_other = |word| held(word, FORM).is_some_and(|form| own.iter().all(|own| told.is_of_first(form, *other, *own)));
        let of_own = |word| held(word, HELD).is_some_and(|form| own.iter().any(|own| told.is_only_of(form, *own, *other)));
        // What the claim says first may be said of all its numbers.
        let mut around = said_by[at].all().chain(said_by[0].before.iter().copied());
        said_by[at].all().any(of_other) && !around.any(of_own)
    })
}

/// What a candidate tells of each of its numbers.
struct Told<'a> {
    sentence: &'a Sentence,
    shares: &'a [Share],
}

impl Told<'_> {
    /// How many words before and after the two numbers match each other.
    fn matched(&self, one: usize, other: usize) -> (usize, usize) {
        let (one, other) = (&self.shares[one], &self.shares[other]);
        (one.before.len().min(other.before.len()), one.after.len().min(other.after.len()))
    }

    /// Whether a word may be told of a number: it stands by it, or before all of them.
    fn may_be_of(&self, form: &str, one: usize, other: usize) -> bool {
        let lead = &self.shares[0].before;
        let lead = &lead[..lead.len() - self.matched(one, other).0.min(lead.len())];
        self.shares[one].all().chain(lead.iter().copied()).any(|w| self.sentence.token(w).folded == form)
    }

    /// Whether a word may be told of the one, and not of the other.
    fn is_only_of(&self, form: &str, one: usize, other: usize) -> bool {
        self.may_be_of(form, one, other) && !self.may_be_of(form, other, one)
    }

    /// Whether a word is told of the first for certain: it stands by it where the second has another word.
    fn is_of_first(&self, form: &str, one: usize, other: usize) -> bool {
        let (before, after) = self.matched(one, other);
        let share = &self.shares[one];
        let near = share.before[share.before.len() - before..].iter().chain(&share.after[..after]);
        near.copied().any(|w| self.sentence.token(w).folded == form) && !self.may_be_of(form, other, one)
    }
}

/// The words by each of these numbers, which are in order.
fn shares(sentence: &Sentence, numbers: &[&Quantity]) -> Vec<Share> {
    let words = |from: usize, to: usize| {
        (0..sentence.words.len()).filter(|w| (from..to).contains(&sentence.words[*w].at)).collect::<Vec<_>>()
    };
    // Where what is said of each ends, and where that of the next begins; what stands between belongs to neither.
    let cuts: Vec<(usize, usize)> = numbers.windows(2).map(|two| cut(sentence, two[0], two[1])).collect();
    let one = |(i, q): (usize, &&Quantity)| Share {
        before: words(i.checked_sub(1).map_or(0, |b| cuts[b].1), q.at),
        after: words(q.end, cuts.get(i).map_or(sentence.tokens.len(), |c| c.0)),
    };
    numbers.iter().enumerate().map(one).collect()
}

fn cut(sentence: &Sentence, one: &Quantity, next: &Quantity) -> (usize, usize) {
    let tokens = &sentence.tokens;
    let ends = |at: &usize| {
        let word = tokens[*at].folded.as_str();
        tokens[*at].clause > tokens[*at - 1].clause || lists::joins(word) || matches!(word, "or" | "o" | "ou" | "oder")
    };
    let found: Vec<usize> = (one.end..=next.at).filter(|at| *at > 0 && *at < tokens.len()).filter(ends).collect();
    match (found.first(), found.last()) {
        (Some(first), Some(last)) => (*first, *last),
        _ => (one.end, next.at),
    }
}
