//! Vectors of texts, from those that were kept or from the embedder.
//!
//! Invariant: a costly vector is kept before anything else is done with it, so neither a service that fails at some batch nor
//! kill -9 makes one twice, beyond those that were on their way.

use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Result};
use crate::domain::ingest::table::{Tenant, keep, kept};
use crate::seams::embedder::{Embedder, Purpose};
use crate::store::{Store, View};
use std::collections::HashSet;

/// The vectors of a tenant's texts, in their order. An embedder that is not costly is simply asked.
///
/// # Errors
/// When the embedder fails, or the state cannot be read or written; vectors that were made before that are kept.
pub fn vectors(store: &Store, tenant: &Tenant, embedder: &dyn Embedder, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
    if !embedder.is_costly() {
        return embedder.embed(texts, Purpose::Document);
    }
    let model = embedder.model();
    let keys = keys(tenant, texts);
    let mut known = store.read(|view| kept(view, tenant, model, &keys))?;
    let mut met: HashSet<Digest> = known.keys().copied().collect();
    let missing: Vec<(Digest, &str)> =
        keys.iter().copied().zip(texts.iter().copied()).filter(|(key, _)| met.insert(*key)).collect();
    let wanted: Vec<&str> = missing.iter().map(|(_, text)| *text).collect();
    if !wanted.is_empty() {
        let made = embedder.embed_each(&wanted, Purpose::Document, &mut |some| {
            store.feed(|feed| {
                keep(feed, tenant, model, store.now(), some.iter().map(|(at, vector)| (missing[*at].0, vector.as_slice())))
            })?;
            known.extend(some.into_iter().map(|(at, vector)| (missing[at].0, vector)));
            Ok(())
        });
        let hint = "vectors that came before this are kept: the same command goes on behind them";
        made.map_err(|e| e.hint(hint)).context(|| format!("cannot embed with {}", model.name))?;
    }
    let lost = || Error::new(format!("{} gave no vector for a text", model.name));
    keys.iter().map(|key| known.get(key).cloned().ok_or_else(lost)).collect()
}

/// As [`vectors`] where nothing can be kept, within a transaction: those that were kept, and the others made for this once.
///
/// # Errors
/// When the embedder fails, or the state cannot be read.
pub fn kept_or_made(view: View<'_>, tenant: &Tenant, embedder: &dyn Embedder, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
    if !embedder.is_costly() {
        return embedder.embed(texts, Purpose::Document);
    }
    let keys = keys(tenant, texts);
    let mut known = kept(view, tenant, embedder.model(), &keys)?;
    let missing: Vec<&str> = keys.iter().zip(texts).filter(|(key, _)| !known.contains_key(*key)).map(|(_, text)| *text).collect();
    if !missing.is_empty() {
        let made = embedder.embed(&missing, Purpose::Document)?;
        known.extend(missing.iter().map(|text| tenant.digest(text.as_bytes())).zip(made));
    }
    let lost = || Error::new(format!("{} gave no vector for a text", embedder.model().name));
    keys.iter().map(|key| known.get(key).cloned().ok_or_else(lost)).collect()
}

fn keys(tenant: &Tenant, texts: &[&str]) -> Vec<Digest> {
    texts.iter().map(|text| tenant.digest(text.as_bytes())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ingest::table::{Scope, open};
    use crate::release::testing::Bench;
    use crate::seams::embedder::{Each, Model};
    use std::cell::RefCell;
    use std::sync::Mutex;

    /// Hands out vectors two at a time and fails before text `fails_at` of a call; knows what it was asked.
    struct Paid {
        model: Model,
        fails_at: usize,
        asked: Mutex<RefCell<Vec<String>>>,
    }

    impl Paid {
        fn new(name: &str, fails_at: usize) -> Self {
            let model = Model { name: name.into(), digest: Digest::of(name.as_bytes()), dimensions: 2, max_tokens: 512 };
            Self { model, fails_at, asked: Mutex::default() }
        }

        fn asked(&self) -> Vec<String> {
            self.asked.lock().expect("lock").take()
        }
    }

    impl Embedder for Paid {
        fn model(&self) -> &Model {
            &self.model
        }

        fn is_costly(&self) -> bool {
            true
        }

        fn embed_each(&self, texts: &[&str], _: Purpose, each: &mut Each<'_>) -> Result<()> {
            for (at, some) in texts.chunks(2).enumerate() {
                if at * 2 >= self.fails_at {
                    return Err(Error::new("the service is away"));
                }
                self.asked.lock().expect("lock").borrow_mut().extend(some.iter().map(|t| (*t).to_owned()));
                let vector = |t: &&str| vec![f32::from(u8::try_from(t.len()).expect("short")), 1.0];
                each((at * 2..).zip(some.iter().map(vector)).collect())?;
            }
            Ok(())
        }
    }

    fn scope(store: &Store, tenant: &str) -> Scope {
        let (tenant, name) = (tenant.parse().expect("a name"), "default".parse().expect("a name"));
        let salt = Digest::of(format!("{tenant}").as_bytes());
        store
            .write(|tx| open(tx, &tenant, &name, ("m", salt, 2), crate::config::VectorEngine::Embedded, *salt.as_bytes()))
            .expect("a collection")
    }

    #[test]
    fn nothing_is_made_twice_and_a_failure_loses_nothing() {
        let bench = Bench::new();
        let store = &bench.store;
        let tenant = scope(store, "acme").tenant;
        let texts = ["a", "bb", "a", "cccc", "ddd", "bb"];
        let failing = Paid::new("m", 2);
        let e = vectors(store, &tenant, &failing, &texts).expect_err("away");
        assert!(e.hints().iter().any(|h| h.contains("goes on behind them")), "{e:?}");
        assert_eq!(failing.asked(), ["a", "bb"]);
        let whole = Paid::new("m", usize::MAX);
        let lengths: Vec<f32> = vectors(store, &tenant, &whole, &texts).expect("made").iter().map(|v| v[0]).collect();
        assert_eq!((lengths.as_slice(), whole.asked()), (&[1.0, 2.0, 1.0, 4.0, 3.0, 2.0][..], vec!["cccc".into(), "ddd".into()]));
        vectors(store, &tenant, &whole, &texts).expect("kept");
        let inside = store.read(|view| kept_or_made(view, &tenant, &whole, &["ddd", "new"])).expect("made");
        assert_eq!((inside[0][0], inside[1][0], whole.asked()), (3.0, 3.0, vec!["new".to_owned()]));
    }

    #[test]
    fn another_model_and_another_tenant_have_nothing_in_common() {
        let bench = Bench::new();
        let store = &bench.store;
        let (one, other) = (scope(store, "acme").tenant, scope(store, "umbrella").tenant);
        let model = Paid::new("m", usize::MAX);
        vectors(store, &one, &model, &["text"]).expect("made");
        assert_eq!(model.asked(), ["text"]);
        vectors(store, &other, &model, &["text"]).expect("made");
        assert_eq!(model.asked(), ["text"]);
        let second = Paid::new("m2", usize::MAX);
        vectors(store, &one, &second, &["text"]).expect("made");
        assert_eq!(second.asked(), ["text"]);
    }
}
