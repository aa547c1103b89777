//! `[ingest]` and `[tenants.<name>]`: how documents are taken in, and what each tenant asks of them.

use crate::base::name::{Name, words};
use crate::config::check::{CheckNamed, CheckOne, Checker};
use crate::config::diag::Spot;
use crate::config::leaf::word_leaf;
use crate::config::shape::{At, Item, table};
use std::num::NonZeroU32;
use std::time::Duration;

words! {
    /// A check of a document's quality.
    QualityCheck, "check of quality" {
        /// It is long enough.
        Length = "length",
        /// It is in a language that is wanted.
        Language = "language",
        /// Its bytes are text.
        Encoding = "encoding",
        /// People can read it.
        Readability = "readability",
        /// No other document says the same.
        Unique = "unique",
        /// It does not give people away.
        Pii = "pii",
    }
}

word_leaf! { QualityCheck, "check of quality"; }

table! {
    /// As written.
    RawIngest {
        /// The tenant that documents belong to when `--tenant` does not say.
        tenant: Option<At<Name>> = "tenant";
        /// The collection that documents go to when `--collection` does not say.
        collection: Option<At<Name>> = "collection";
        /// The most tokens that a chunk may have.
        chunk_tokens: At<NonZeroU32> = "chunk-tokens", or NonZeroU32::new(512).unwrap_or(NonZeroU32::MIN);
        /// Tokens that a chunk repeats of the one before it in the same section.
        chunk_overlap: At<u32> = "chunk-overlap", or 64;
        /// The largest file that is read, in MiB; also the most that a packed file may unpack to.
        max_file_mib: At<NonZeroU32> = "max-file-mib", or NonZeroU32::new(256).unwrap_or(NonZeroU32::MIN);
        /// The most pages that a document may have.
        max_pages: At<NonZeroU32> = "max-pages", or NonZeroU32::new(10_000).unwrap_or(NonZeroU32::MIN);
        /// How long reading one file may take.
        timeout: At<Duration> = "timeout", or Duration::from_secs(60);
        /// Find what documents speak of and how it hangs together, for `kf graph`.
        skeleton: At<bool> = "skeleton", or false;
        /// Languages that are wanted, ISO 639-1.
        languages: At<Vec<Item<String>>> = "languages", or ["en", "es", "fr", "de"].iter().map(|l| Item::built_in((*l).to_owned())).collect();
        /// The fewest characters that a document may have.
        min_chars: At<u32> = "min-chars", or 100;
        /// The least Flesch reading ease, 0 to 100, more is easier.
        min_readability: At<f64> = "min-readability", or 30.0;
        /// The most weighed findings of personal data in a document, and in each 1,000 words of it.
        pii_limit: At<f64> = "pii-limit", or 3.0;
        /// A document whose score is below this is warned of, 0 to 1.
        warn_below: At<f64> = "warn-below", or 0.7;
        /// Checks that reject a document, as lost bytes and exact copies always do; the others lower its score.
        reject: At<Vec<Item<QualityCheck>>> = "reject", or vec![Item::built_in(QualityCheck::Length)];
    }
}

table! {
    /// As written.
    RawTenant {
        /// Languages that are wanted, ISO 639-1.
        languages: Option<At<Vec<Item<String>>>> = "languages";
        /// The fewest characters that a document may have.
        min_chars: Option<At<u32>> = "min-chars";
        /// The least Flesch reading ease, 0 to 100, more is easier.
        min_readability: Option<At<f64>> = "min-readability";
        /// The most weighed findings of personal data in a document, and in each 1,000 words of it.
        pii_limit: Option<At<f64>> = "pii-limit";
        /// A document whose score is below this is warned of, 0 to 1.
        warn_below: Option<At<f64>> = "warn-below";
        /// Checks that reject a document, as lost bytes and exact copies always do; the others lower its score.
        reject: Option<At<Vec<Item<QualityCheck>>>> = "reject";
    }
}

/// How documents are taken in.
#[derive(Clone, Debug, PartialEq)]
pub struct Ingest {
    /// The tenant that documents belong to.
    pub tenant: Name,
    /// The collection that documents go to.
    pub collection: Name,
    /// The most tokens that a chunk may have.
    pub chunk_tokens: u32,
    /// Tokens that a chunk repeats of the one before it; at most half of `chunk_tokens`.
    pub chunk_overlap: u32,
    /// The largest file in bytes.
    pub max_file: u64,
    /// The most pages.
    pub max_pages: u32,
    /// How long reading one file may take; not zero.
    pub timeout: Duration,
    /// Whether what documents speak of is found.
    pub skeleton: bool,
    /// What is asked of documents where a tenant asks nothing else.
    pub quality: QualityRules,
}

/// What is asked of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct QualityRules {
    /// Languages that are wanted, ISO 639-1; at least one.
    pub languages: Vec<String>,
    /// The fewest characters.
    pub min_chars: u32,
    /// The least Flesch reading ease.
    pub min_readability: f64,
    /// The most weighed findings of personal data.
    pub pii_limit: f64,
    /// A score below this is warned of.
    pub warn_below: f64,
    /// Checks that reject.
    pub reject: Vec<QualityCheck>,
}

/// What a tenant asks of documents in the place of `[ingest]`.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantRules {
    /// The tenant.
    pub name: Name,
    languages: Option<Vec<String>>,
    min_chars: Option<u32>,
    min_readability: Option<f64>,
    pii_limit: Option<f64>,
    warn_below: Option<f64>,
    reject: Option<Vec<QualityCheck>>,
}

impl TenantRules {
    /// These rules, and those of `base` where this tenant has none.
    pub fn over(&self, base: &QualityRules) -> QualityRules {
        QualityRules {
            languages: self.languages.clone().unwrap_or_else(|| base.languages.clone()),
            min_chars: self.min_chars.unwrap_or(base.min_chars),
            min_readability: self.min_readability.unwrap_or(base.min_readability),
            pii_limit: self.pii_limit.unwrap_or(base.pii_limit),
            warn_below: self.warn_below.unwrap_or(base.warn_below),
            reject: self.reject.clone().unwrap_or_else(|| base.reject.clone()),
        }
    }
}

/// The word for "nobody else was named".
fn default_name() -> Name {
    "default".parse().expect("`default` is a name")
}

impl CheckOne for RawIngest {
    type Plain = Ingest;
    fn check(&self, cx: &mut Checker<'_>) -> Option<Ingest> {
        let (limit, overlap) = (self.chunk_tokens.value.get(), self.chunk_overlap.value);
        if !(32..=8_192).contains(&limit) {
            cx.refuse(&self.chunk_tokens.spot, "`ingest.chunk-tokens` must be between 32 and 8192", "512 is the usual size");
        }
        if overlap > limit / 2 {
            let title = format!("`ingest.chunk-overlap` is more than half of the {limit} tokens of a chunk");
            cx.refuse(&self.chunk_overlap.spot, title, "an eighth is the usual overlap: 64 of 512");
        }
        if self.timeout.value.is_zero() {
            cx.refuse(&self.timeout.spot, "`ingest.timeout` must not be zero", "write how long one file may take: `60s`");
        }
        languages(&self.languages, cx);
        share(&self.warn_below, "ingest.warn-below", cx);
        positive(&self.pii_limit, "ingest.pii-limit", cx);
        Some(Ingest {
            tenant: self.tenant.as_ref().map_or_else(default_name, |at| at.value.clone()),
            collection: self.collection.as_ref().map_or_else(default_name, |at| at.value.clone()),
            chunk_tokens: limit,
            chunk_overlap: overlap,
            max_file: u64::from(self.max_file_mib.value.get()) << 20,
            max_pages: self.max_pages.value.get(),
            timeout: self.timeout.value,
            skeleton: self.skeleton.value,
            quality: QualityRules {
                languages: texts(&self.languages),
                min_chars: self.min_chars.value,
                min_readability: self.min_readability.value,
                pii_limit: self.pii_limit.value,
                warn_below: self.warn_below.value,
                reject: checks(&self.reject),
            },
        })
    }
}

impl CheckNamed for RawTenant {
    type Plain = TenantRules;
    fn check(&self, name: &Name, _: &Spot, cx: &mut Checker<'_>) -> Option<TenantRules> {
        if let Some(at) = &self.languages {
            languages(at, cx);
        }
        if let Some(at) = &self.warn_below {
            share(at, &format!("tenants.{name}.warn-below"), cx);
        }
        if let Some(at) = &self.pii_limit {
            positive(at, &format!("tenants.{name}.pii-limit"), cx);
        }
        Some(TenantRules {
            name: name.clone(),
            languages: self.languages.as_ref().map(texts),
            min_chars: self.min_chars.as_ref().map(|at| at.value),
            min_readability: self.min_readability.as_ref().map(|at| at.value),
            pii_limit: self.pii_limit.as_ref().map(|at| at.value),
            warn_below: self.warn_below.as_ref().map(|at| at.value),
            reject: self.reject.as_ref().map(checks),
        })
    }
}

fn texts(at: &At<Vec<Item<String>>>) -> Vec<String> {
    at.value.iter().map(|i| i.value.clone()).collect()
}

fn checks(at: &At<Vec<Item<QualityCheck>>>) -> Vec<QualityCheck> {
    at.value.iter().map(|i| i.value).collect()
}

fn languages(at: &At<Vec<Item<String>>>, cx: &mut Checker<'_>) {
    if at.value.is_empty() {
        cx.refuse(
            &at.spot,
            "no language is wanted, so no document would pass",
            "write those of your documents: `[\"en\", \"de\"]`",
        );
    }
    for item in &at.value {
        if item.value.len() != 2 || !item.value.bytes().all(|b| b.is_ascii_lowercase()) {
            let title = format!("`{}` is not a language code", crate::config::shape::shown(&item.value));
            cx.refuse(&item.spot, title, "write two letters of ISO 639-1, such as `en`");
        }
    }
}

fn share(at: &At<f64>, key: &str, cx: &mut Checker<'_>) {
    if !(0.0..=1.0).contains(&at.value) {
        cx.refuse(&at.spot, format!("`{key}` must be between 0 and 1"), "0.7 is the usual limit");
    }
}

fn positive(at: &At<f64>, key: &str, cx: &mut Checker<'_>) {
    if !at.value.is_finite() || at.value < 0.0 {
        cx.refuse(&at.spot, format!("`{key}` must be a number that is not below 0"), "3 is the usual limit");
    }
}
