//! What may be spent, by everybody who asks a language model in one command.

use crate::base::error::Result;
use crate::base::quantity::{MicroUsd, PicoUsd};
use crate::seams::answerer::Tokens;
use crate::seams::model::{About, Done, Failure, FailureKind, Model, Request};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Money that several models draw on. What is under way when it is empty is still paid for.
#[derive(Clone, Debug)]
pub struct Purse {
    limit: Option<PicoUsd>,
    spent: Arc<AtomicI64>,
}

impl Purse {
    /// A purse with so much in it; without a limit it never gets empty.
    pub fn new(limit: Option<PicoUsd>) -> Self {
        Self { limit, spent: Arc::default() }
    }

    /// Pays what a system says that an answer cost.
    pub fn pay(&self, usd: f64) {
        if let Some(cost) = MicroUsd::from_usd(usd) {
            self.take(PicoUsd(cost.0.saturating_mul(1_000_000)));
        }
    }

    fn take(&self, cost: PicoUsd) {
        // Nobody reads it to order anything else by.
        let _ = self.spent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |spent| Some(spent.saturating_add(cost.0)));
    }

    /// What was paid.
    pub fn spent(&self) -> PicoUsd {
        PicoUsd(self.spent.load(Ordering::Relaxed))
    }

    /// True when nothing more may be asked.
    pub fn is_empty(&self) -> bool {
        self.limit.is_some_and(|limit| self.spent() >= limit)
    }

    /// A model that pays from this purse and is not asked when it is empty.
    pub fn meter(&self, model: Box<dyn Model>) -> Box<dyn Model> {
        Box::new(Metered { model, purse: self.clone() })
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
            done(Err(Failure::new(FailureKind::NotAsked, "nobody was asked: --max-cost is spent")));
            return Ok(());
        }
        let purse = self.purse.clone();
        let paid: Done = Box::new(move |outcome| {
            let cost = match &outcome {
                Ok(answer) => answer.cost,
                Err(failure) => failure.cost,
            };
            if let Some(cost) = cost {
                purse.take(cost);
            }
            done(outcome);
        });
        self.model.begin(request, paid)
    }
}
