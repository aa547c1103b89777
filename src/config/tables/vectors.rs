//! `[vectors]`: what finds the nearest vectors.

use crate::base::name::words;
use crate::config::check::{CheckOne, Checker};
use crate::config::diag::Diagnostic;
use crate::config::leaf::word_leaf;
use crate::config::shape::{At, Layer, table};

words! {
    /// What finds the nearest vectors of a collection. The vectors themselves are in the state with either.
    VectorEngine, "engine of vectors" {
        /// Files in the cache of each machine, made from the state when they are missing.
        Embedded = "embedded",
        /// The extension pgvector of the PostgreSQL server that holds the state.
        Pgvector = "pgvector",
    }
}

word_leaf! { VectorEngine, "engine of vectors"; }

table! {
    /// As written.
    RawVectors {
        /// What finds the nearest vectors of new collections; `kf index move` moves those that are there.
        engine: At<VectorEngine> = "engine", or VectorEngine::Embedded;
    }
}

/// What finds the nearest vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vectors {
    /// The engine of new collections.
    pub engine: VectorEngine,
}

impl CheckOne for RawVectors {
    type Plain = Vectors;
    fn check(&self, cx: &mut Checker<'_>) -> Option<Vectors> {
        let url = &cx.raw.state.body.url;
        if self.engine.value == VectorEngine::Pgvector && url.value == "sqlite" {
            let problem =
                Diagnostic::new("`vectors.engine = \"pgvector\"` needs a state on PostgreSQL, and `state.url` is `sqlite`")
                    .at(&self.engine.spot)
                    .help("write `embedded`, which works everywhere, or set `state.url`");
            let decided = url.layer > Layer::BuiltIn;
            cx.diags.add(if decided { problem.at_with(&url.spot, "decided here") } else { problem });
        }
        Some(Vectors { engine: self.engine.value })
    }
}
