//! What speaks against a sentence although its words are found: numbers, units, limits, negations, opposites, names, roles,
//! shares. Each finding takes the score times its factor.
//!
//! The factors are set by what a finding means, not by a fit: what cannot be true together (another number, the opposite) leaves
//! a fifth to a third, what may be said in other words leaves more than half.

use super::lists::{self, Lang, Share};
use super::quantity::{self, Match, Quantity, Unit};
use super::roles;
use super::support::{Candidate, Evidence, FORM, Held};
use super::words::{Sentence, Token};

/// What speaks against a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Finding {
    /// A number that no context has, or that belongs to something else.
    Number,
    /// A number with another unit.
    Unit,
    /// "At least" for "at most".
    Limit,
    /// Denied here and stated there, or the opposite word.
    Negation,
    /// A name that no context has.
    Name,
    /// The same words in the reverse order.
    Role,
    /// "All" for "some" or "only".
    Share,
    /// Nearly the sentence of the context, with another word in one place.
    Replaced,
    /// A part that no context speaks of.
    Addition,
}

impl Finding {
    /// What is told of it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Unit => "unit",
            Self::Limit => "limit",
            Self::Negation => "negation",
            Self::Name => "name",
            Self::Role => "role",
            Self::Share => "share",
            Self::Replaced => "replaced",
            Self::Addition => "addition",
        }
    }

    /// What is left of the score.
    fn factor(self) -> f64 {
        match self {
            Self::Number | Self::Unit | Self::Limit => 0.12,
            Self::Negation | Self::Role => 0.15,
            Self::Share | Self::Name => 0.25,
            Self::Replaced => 0.4,
            Self::Addition => 0.55,
        }
    }

    /// Whether it says that a context states otherwise, rather than nothing.
    pub fn contradicts(self) -> bool {
        !matches!(self, Self::Name | Self::Replaced | Self::Addition)
    }
}

/// What is left of a score after these findings. `shared` is the share of words that the two sentences have in common: with few,
/// a denial or a reversal may be another way to say the same.
pub(super) fn left(findings: &[Finding], shared: f64) -> f64 {
    let sure = ((shared - SHARED[0]) / (SHARED[1] - SHARED[0])).clamp(0.0, 1.0);
    let of = |finding: &Finding| match finding {
        Finding::Negation | Finding::Role | Finding::Share => 1.0 - sure * (1.0 - finding.factor()),
        _ => finding.factor(),
    };
    findings.iter().map(of).product()
}

/// Below the first share of common words a denial means nothing, from the second on all.
const SHARED: [f64; 2] = [0.1, 0.6];

/// A claim with the candidate that it is held against.
pub(super) struct Case<'a> {
    /// The claim.
    pub claim: &'a Sentence,
    /// The best candidate.
    pub best: &'a Sentence,
    /// How the claim's words are held by it.
    pub held: &'a [Option<Held>],
    /// The other candidates.
    pub others: &'a [&'a Candidate],
    /// What all contexts have.
    pub evidence: &'a Evidence,
    /// How well each word of the claim is held by any candidate.
    pub anywhere: &'a [f64],
}

/// A word counts as held from here on.
pub(super) const HELD: f64 = 0.6;
/// Below this nothing in the contexts is near a word.
const FAR: f64 = 0.35;
/// The share of words that two sentences must have in common to be nearly one.
const NEARLY: f64 = 0.6;

/// Everything that speaks against a claim, each once.
pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let (mut mine, mut theirs) = (case.claim.quantities.clone(), case.best.quantities.clone());
    let spent = [limits(&mut mine, case.claim), limits(&mut theirs, case.best)];
    let mut found = numbers(case, &mine, &theirs);
    let turned = is_turned(case);
    let flips = denials(case.claim, &spent[0], &|_| true)
        + denials(case.best, &spent[1], &clauses_held(case))
        + opposites(case)
        + usize::from(turned);
    if flips % 2 == 1 {
        found.push(if turned && flips == 1 { Finding::Role } else { Finding::Negation });
    }
    found.extend(name(case));
    found.extend(share(case));
    found.extend(replaced(case, &found));
    found.sort_unstable();
    found.dedup();
    found
}

fn limits(found: &mut [Quantity], sentence: &Sentence) -> Vec<usize> {
    let words: Vec<&str> = sentence.tokens.iter().map(|t| t.folded.as_str()).collect();
    quantity::limits(found, &words, sentence.lang)
}

/// Holds every number of the claim against the best candidate, then against the others.
fn numbers(case: &Case<'_>, mine: &[Quantity], theirs: &[Quantity]) -> Vec<Finding> {
    let elsewhere: Vec<Quantity> = case.others.iter().flat_map(|c| c.sentence.quantities.clone()).collect();
    let is_often = |of: &[Quantity]| of.iter().any(|o| o.unit == Unit::Often);
    let best_of = |q: &Quantity, of: &[Quantity]| of.iter().map(|o| quantity::compare(q, o)).max().unwrap_or(Match::No);
    let mut found = Vec::new();
    for q in mine {
        let rival = theirs.iter().any(|o| o.unit == q.unit && (q.soft || !o.soft) && best_of(o, mine) != Match::Same);
        match (best_of(q, theirs), best_of(q, &elsewhere)) {
            (Match::Same, _) => {
                let same = theirs.iter().filter(|o| quantity::compare(q, o) == Match::Same);
                let against = |o: &Quantity| matches!((q.limit, o.limit), (Some(a), Some(b)) if a != b);
                if same.clone().count() > 0 && same.clone().all(against) {
                    found.push(Finding::Limit);
                } else if is_of_another(case, q, theirs) || roles::is_of_another(case, q, mine, theirs) {
                    found.push(Finding::Role);
                }
            }
            // How often needs another how often to be wrong: four times a year is every three months.
            (here, there)
                if q.unit == Unit::Often && here.max(there) != Match::Same && !is_often(theirs) && !is_often(&elsewhere) => {}
            // A rate needs another rate to be wrong: "a year" adds nothing to a price that has none.
            (_, _) if q.soft => {
                if rival && theirs.iter().any(|o| o.soft) {
                    found.push(Finding::Unit);
                }
            }
            // "Fell by 20 %" is −20 %, where the words are others.
            (Match::Sign, _) if q.unit != Unit::Degrees && !is_nearly(case) => {}
            (Match::OtherUnit, other) if other != Match::Same => found.push(Finding::Unit),
            (_, Match::Same) if !rival => {}
            (_, other) => found.push(if other == Match::OtherUnit { Finding::Unit } else { Finding::Number }),
        }
    }
    found
}

/// Whether the words around a number of the claim stand around another number of the candidate.
fn is_of_another(case: &Case<'_>, q: &Quantity, theirs: &[Quantity]) -> bool {
    let alike: Vec<&Quantity> = theirs.iter().filter(|o| o.unit == q.unit && !o.soft).collect();
    if alike.len() < 2 || q.unit == Unit::Plain {
        return false;
    }
    let clause = |sentence: &Sentence, at: usize| sentence.tokens[at].clause;
    let mine = clause(case.claim, q.at);
    let around = |o: &Quantity| {
        let words = case.claim.words.iter().zip(case.held).filter(|(w, _)| case.claim.tokens[w.at].clause == mine);
        let held = words.filter_map(|(_, h)| h.filter(|h| h.alike >= FORM && !h.opposite));
        held.filter(|h| clause(case.best, case.best.words[h.by].at) == clause(case.best, o.at)).count()
    };
    let (same, other): (Vec<&Quantity>, Vec<&Quantity>) = alike.into_iter().partition(|o| quantity::compare(q, o) == Match::Same);
    let most = |of: &[&Quantity]| of.iter().map(|o| around(o)).max().unwrap_or(0);
    most(&other) > most(&same)
}

/// The clauses of the best candidate that the claim speaks of.
fn clauses_held<'a>(case: &'a Case<'_>) -> impl Fn(usize) -> bool + 'a {
    let firmly = |at: &f64| {
        case.held.iter().flatten().filter(move |h| h.alike >= *at).map(|h| case.best.token(h.by).clause).collect::<Vec<_>>()
    };
    let held = firmly(&HELD);
    move |clause| held.contains(&clause)
}

/// How often a sentence denies: negations and words that deny in themselves, in the clauses that count.
fn denials(sentence: &Sentence, spent: &[usize], counts: &dyn Fn(usize) -> bool) -> usize {
    let tokens = &sentence.tokens;
    let near = |at: usize, words: &[&str]| tokens[at.saturating_sub(4)..at].iter().any(|t| words.contains(&t.folded.as_str()));
    let one = |at: &usize| {
        let word = tokens[*at].folded.as_str();
        let no_more = sentence.lang == Some(Lang::Fr) && word == "plus" && near(*at, &["ne", "n"]);
        !spent.contains(at) && (no_more || lists::is_negation(word, sentence.lang) || lists::denies(word, sentence.lang))
    };
    (0..tokens.len()).filter(|at| counts(tokens[*at].clause)).filter(one).count()
}

/// How many words of the claim stand against their opposite in the clauses it speaks of; in the clause that it shares most words
/// with also where the word itself stands in another one ("sales rose, while costs fell").
fn opposites(case: &Case<'_>) -> usize {
    let lang = case.claim.lang.filter(|lang| Some(*lang) == case.best.lang);
    let (held, main) = (clauses_held(case), main_clause(case));
    let against = |a: &str, b: &str| lists::are_opposites(a, b, lang) || lists::differ_by_denial(a, b, lang);
    let free = |s: &Sentence, word: &str| !lists::is_negation(word, s.lang) && !lists::denies(word, s.lang);
    let here = |clause: usize| Some(clause) == main;
    // Every word of the claim is held against all of them.
    let all: Vec<&Token> = case.best.tokens.iter().filter(|t| free(case.best, &t.folded)).collect();
    let stands = |word: &str, counts: &dyn Fn(usize) -> bool| {
        let theirs = || all.iter().filter(|t| counts(t.clause));
        let said = |b: &str| case.claim.tokens.iter().any(|t| t.folded == b);
        // A word that is there in this or another form is not stood against.
        let same = theirs().any(|b| b.folded == word || (super::words::related(word, &b.folded) && !against(word, &b.folded)));
        !same && theirs().any(|b| !said(&b.folded) && against(word, &b.folded))
    };
    let mine = case.claim.tokens.iter().filter(|t| free(case.claim, &t.folded));
    mine.filter(|t| stands(&t.folded, &held) || stands(&t.folded, &here)).count()
}

/// The clause of the best candidate that most of the claim's words stand in.
fn main_clause(case: &Case<'_>) -> Option<usize> {
    let firm = case.held.iter().flatten().filter(|h| h.alike >= FORM && !h.opposite);
    let mut counted = std::collections::BTreeMap::new();
    firm.for_each(|h| *counted.entry(case.best.token(h.by).clause).or_insert(0_usize) += 1);
    let most = counted.values().copied().max()?;
    counted.into_iter().find(|(_, n)| *n == most).map(|(clause, _)| clause)
}

/// Whether words that both have stand in reverse order: three of them ("A pays B", "B pays A"), or two that only articles
/// part ("buys A B"). Moving one part of a sentence does not do that; turning it into the passive does, and German may
/// put the object first where articles tell it.
fn is_turned(case: &Case<'_>) -> bool {
    let firm: Vec<(usize, usize)> = case
        .claim
        .words
        .iter()
        .zip(case.held)
        .filter_map(|(w, h)| Some((w.at, case.best.words[h.filter(|h| h.alike >= FORM)?.by].at)))
        .collect();
    let unique = firm.iter().map(|(_, at)| at).collect::<std::collections::BTreeSet<_>>().len();
    if firm.len() * 10 < case.claim.words.len() * 7 || unique < firm.len() {
        return false;
    }
    let passive = |s: &Sentence| s.tokens.iter().filter(|t| lists::marks_passive(&t.folded, s.lang)).count() % 2;
    let places: Vec<usize> = firm.iter().map(|(_, at)| *at).collect();
    if case.claim.lang == Some(Lang::De) {
        return (longest_fall(&places) >= 3 || swapped(case, &firm)) && !told_by_articles(case, &firm);
    }
    (longest_fall(&places) >= 3 || swapped(case, &firm)) && passive(case.claim) == passive(case.best)
}

/// Whether two neighbours have changed places with nothing but an article between them, in both sentences.
fn swapped(case: &Case<'_>, firm: &[(usize, usize)]) -> bool {
    let only_articles = |s: &Sentence, from: usize, to: usize| {
        to > from
            && s.tokens[from + 1..to].iter().all(|t| lists::is_article(&t.folded))
            && s.tokens[from].clause == s.tokens[to].clause
    };
    let Some(cut) = firm.windows(2).position(|w| w[0].1 > w[1].1) else { return false };
    let (before, after) = (firm[..=cut].iter(), firm[cut + 1..].iter());
    // The run that moved forward begins where the other run ends in the candidate.
    let (first, last) = (firm[cut + 1].1, firm[cut].1);
    let tail = after.map(|(_, at)| *at).take_while(|at| *at < last).max().unwrap_or(first);
    let head = before.map(|(_, at)| *at).filter(|at| *at > tail).min().unwrap_or(last);
    only_articles(case.claim, firm[cut].0, firm[cut + 1].0) && only_articles(case.best, tail, head)
}

/// Whether a German noun keeps an article that tells its case, so that it may stand anywhere.
fn told_by_articles(case: &Case<'_>, firm: &[(usize, usize)]) -> bool {
    let article =
        |s: &Sentence, at: usize| at.checked_sub(1).map(|b| s.tokens[b].folded.clone()).filter(|a| lists::tells_case(a));
    firm.iter().any(|(mine, theirs)| article(case.claim, *mine).is_some_and(|a| article(case.best, *theirs) == Some(a)))
}

/// The length of the longest strictly falling run of numbers, others between them left out.
fn longest_fall(numbers: &[usize]) -> usize {
    let mut longest = vec![1; numbers.len()];
    for i in 0..numbers.len() {
        let before = (0..i).filter(|j| numbers[*j] > numbers[i]).map(|j| longest[j] + 1).max();
        longest[i] = before.unwrap_or(1);
    }
    longest.into_iter().max().unwrap_or(0)
}

/// A name that no context has.
fn name(case: &Case<'_>) -> Option<Finding> {
    let german = case.claim.lang == Some(Lang::De);
    let missing = |(i, at): (usize, usize)| {
        let token = &case.claim.tokens[at];
        // Every German noun has a capital.
        let is_name = token.marked || (token.capital && !german);
        is_name && case.anywhere[i] < HELD && !case.evidence.has(&token.folded)
    };
    case.claim.words.iter().enumerate().any(|(i, w)| missing((i, w.at))).then_some(Finding::Name)
}

/// "All" where the candidate says "some" or "only", and the reverse.
fn share(case: &Case<'_>) -> Option<Finding> {
    let said = |s: &Sentence, counts: &dyn Fn(usize) -> bool| -> Vec<Share> {
        s.tokens.iter().filter(|t| counts(t.clause)).filter_map(|t| lists::share(&t.folded, s.lang)).collect()
    };
    let (mine, theirs) = (said(case.claim, &|_| true), said(case.best, &clauses_held(case)));
    let only = |a: &[Share], b: &[Share], x, y| a.contains(&x) && !a.contains(&y) && b.contains(&y) && !b.contains(&x);
    let turned = [(Share::All, Share::Some), (Share::All, Share::Only), (Share::Some, Share::All)];
    turned.into_iter().any(|(x, y)| only(&mine, &theirs, x, y)).then_some(Finding::Share)
}

/// Nearly the sentence of the candidate with another word in one place, or a part that nothing holds.
fn replaced(case: &Case<'_>, found: &[Finding]) -> Option<Finding> {
    if !found.is_empty() || case.claim.words.is_empty() {
        return None;
    }
    let firm = case.held.iter().flatten().filter(|h| h.alike >= FORM).count();
    let nearly = is_nearly(case);
    if nearly && (0..case.held.len()).any(|i| is_in_the_place_of_another(case, i)) {
        return Some(Finding::Replaced);
    }
    let far = case.anywhere.iter().filter(|a| **a < FAR).count();
    let added = nearly && far >= 1 || far >= 2 && firm * 2 >= case.claim.words.len();
    added.then_some(Finding::Addition)
}

/// Whether most words of the claim are those of the candidate.
fn is_nearly(case: &Case<'_>) -> bool {
    let firm = case.held.iter().flatten().filter(|h| h.alike >= FORM).count();
    firm as f64 >= NEARLY * case.claim.words.len() as f64
}

/// Whether a word that the candidate does not have stands where the candidate has another: between the same neighbours.
fn is_in_the_place_of_another(case: &Case<'_>, i: usize) -> bool {
    let firm = |h: &Option<Held>| h.filter(|h| h.alike >= FORM).map(|h| h.by);
    if firm(&case.held[i]).is_some() {
        return false;
    }
    let (before, after) = (case.held[..i].iter().rev().find_map(firm), case.held[i + 1..].iter().find_map(firm));
    let used = |j: &usize| case.held.iter().filter_map(firm).any(|by| by == *j);
    let (from, to) = match (before, after) {
        (Some(before), Some(after)) => (before + 1, after),
        (Some(before), None) => (before + 1, (before + 2).min(case.best.words.len())),
        (None, Some(after)) => (after.saturating_sub(1), after),
        (None, None) => return false,
    };
    (from..to).any(|j| !used(&j))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_a_part_is_no_reversal() {
        assert_eq!([longest_fall(&[3, 4, 5, 0, 1, 2]), longest_fall(&[2, 1, 0]), longest_fall(&[])], [2, 3, 0]);
    }
}
