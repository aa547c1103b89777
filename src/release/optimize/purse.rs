//! What may be spent, by everybody who asks a language model in one command.

use crate::base::error::Result;
use crate::base::quantity::{MicroUsd, PicoUsd};
use crate::seams::answerer::Tokens;
use crate::seams::model::{About, Done, Failure, FailureKind, Model, Request};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Money that several models draw on. What is under way when it is empty is still paid for.
#[derive(Clone, Debug)]
pub struct Purse {
    limit: Option<PicoUsd>,
    book: Arc<Mutex<Book>>,
}

#[derive(Debug, Default)]
struct Book {
    spent: PicoUsd,
    /// The dearest answer, which one of unknown cost is taken for.
    dearest: Option<PicoUsd>,
    /// True once nobody knows what was spent.
    unknown: bool,
    /// True once somebody was not asked because it was empty.
    refused: bool,
}

impl Purse {
    /// A purse with so much in it; without a limit it never gets empty.
    pub fn new(limit: Option<PicoUsd>) -> Self {
        Self { limit, book: Arc::default() }
    }

    /// Pays what a system says that an answer cost.
    pub fn pay(&self, usd: f64) {
        if let Some(cost) = MicroUsd::from_usd(usd) {
            self.take(Some(PicoUsd(cost.0.saturating_mul(1_000_000))));
        }
    }

    /// Pays for an answer. One of unknown cost is taken for the dearest so far; where there is none, nobody knows any more what is left.
    pub fn take(&self, cost: Option<PicoUsd>) {
        let mut book = self.book();
        match cost.or(book.dearest) {
            Some(cost) => {
                book.dearest = book.dearest.max(Some(cost));
                book.spent = book.spent.and(cost);
            }
            None => book.unknown = true,
        }
    }

    /// Pays for many answers together.
    pub fn settle(&self, sum: Option<PicoUsd>) {
        let mut book = self.book();
        match sum {
            Some(sum) => book.spent = book.spent.and(sum),
            None => book.unknown = true,
        }
    }

    /// What was paid, as far as it is known.
    pub fn spent(&self) -> PicoUsd {
        self.book().spent
    }

    /// What is left of the limit, nothing where nobody knows; `None` without a limit.
    pub fn left(&self) -> Option<PicoUsd> {
        let book = self.book();
        self.limit.map(|limit| if book.unknown { PicoUsd(0) } else { PicoUsd(limit.0.saturating_sub(book.spent.0).max(0)) })
    }

    /// True when nothing more may be asked.
    pub fn is_empty(&self) -> bool {
        self.left() == Some(PicoUsd(0))
    }

    /// True when somebody was not asked because it was empty.
    pub fn has_refused(&self) -> bool {
        self.book().refused
    }

    /// A model that pays from this purse and is not asked when it is empty.
    pub fn meter(&self, model: Box<dyn Model>) -> Box<dyn Model> {
        Box::new(Metered { model, purse: self.clone() })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Metered {
    model: Box<dyn Model>,
    purse: Purse,
}

impl Model for Metered {
    fn about(&self) -> &About {
        self.model.about()
    }

    fn cost(&self, tokens: Tokens) -> Option<PicoUsd> {
        self.model.cost(tokens)
    }

    fn begin(&self, request: Request, done: Done) -> Result<()> {
        if self.purse.is_empty() {
            self.purse.book().refused = true;
            done(Err(Failure::new(FailureKind::NotAsked, "nobody was asked: stopped at --max-cost")));
            return Ok(());
        }
        let purse = self.purse.clone();
        let paid: Done = Box::new(move |outcome| {
            purse.take(match &outcome {
                Ok(answer) => answer.cost,
                Err(failure) => failure.paid(),
            });
            done(outcome);
        });
        self.model.begin(request, paid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_knows_the_cost_of_is_never_free() {
        let purse = Purse::new(Some(PicoUsd(100)));
        assert!(!purse.is_empty());
        purse.take(Some(PicoUsd(30)));
        purse.take(Some(PicoUsd(0)));
        purse.take(None);
        assert_eq!((purse.spent(), purse.left()), (PicoUsd(60), Some(PicoUsd(40))));
        purse.settle(Some(PicoUsd(40)));
        assert!(purse.is_empty() && !purse.has_refused());
        let unknown = Purse::new(Some(PicoUsd(100)));
        unknown.take(None);
        assert!(unknown.is_empty());
        assert!(Purse::new(Some(PicoUsd(0))).is_empty() && !Purse::new(None).is_empty());
    }
}
