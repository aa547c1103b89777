//! A/B tests: two versions side by side, and when it may be said which is better. Pure but for its own rows.
//!
//! * this file: what a test compares, and how ([`Setup`]); which version a user gets.
//! * [`metric`]: what is compared, and what kf knows of names of its own.
//! * [`feed`]: lines of results with their places.
//! * [`analyse`]: numbers in, a decision with its reasons out (`compare` the figures, `decide` what follows); [`size`]: how many units that takes.
//! * [`table`], [`record`], [`check`]: rows, changes with their events, the comparison of both.
//!
//! Invariants: a unit (a user, a session, a question) counts once, whatever it sent; no state says who got which version, the hash of
//! the name does; ids of units are kept as digests with a salt of the test, so that a state holds nobody's name.

pub mod analyse;
pub mod check;
mod compare;
mod decide;
pub mod feed;
#[cfg(test)]
mod looks;
pub mod metric;
pub mod record;
pub mod size;
pub mod table;

pub use metric::{Better, Guardrail, Kind, Metric};

use crate::base::digest::Digest;
use crate::base::name::{Name, words};
use crate::base::version::Version;
use crate::base::weight::Weight;
use crate::domain::flag;
use serde::{Deserialize, Serialize};

words! {
    /// One of the two that are compared.
    Variant, "variant" {
        /// The version that is there.
        Control = "control",
        /// The version on trial.
        Treatment = "treatment",
    }
}

words! {
    /// What a promotion takes.
    Rule, "rule" {
        /// The chance of being better, and evidence that holds however often one looks.
        Both = "both",
        /// The chance alone, which errs more often the more one looks.
        Bayes = "bayes",
    }
}

words! {
    /// Who gets what.
    Design, "design" {
        /// Each unit one of the two versions.
        Split = "split",
        /// Each unit both of them, as questions of a dataset do.
        Paired = "paired",
    }
}

/// A version that takes part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arm {
    /// Its model.
    pub model: Name,
    /// Its version.
    pub version: Version,
    /// Its digest.
    pub digest: Digest,
}

impl Arm {
    /// As people write it: `bot@1.2.0`.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.model, self.version)
    }
}

/// What is looked for, and how surely.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Aim {
    /// The difference worth finding, in the unit of the metric; above 0.
    pub effect: f64,
    /// The rate of control, or the standard deviation of what is compared.
    pub base: f64,
    /// The chance of finding it when it is there; above one half.
    pub power: f64,
}

/// All that is decided when a test begins; it never changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// Its name.
    pub name: Name,
    /// The version that is there.
    pub control: Arm,
    /// The version on trial.
    pub treatment: Arm,
    /// What decides.
    pub metric: Metric,
    /// What must not get worse.
    pub guardrails: Vec<Guardrail>,
    /// The part of the units that gets the treatment.
    pub split: Weight,
    /// Who gets what.
    pub design: Design,
    /// What a promotion takes.
    pub rule: Rule,
    /// What was planned; `None` when nothing was.
    pub aim: Option<Aim>,
    /// What the ids of units are hashed with, in hexadecimal.
    pub salt: String,
}

impl Setup {
    /// The version of a variant.
    pub fn arm(&self, variant: Variant) -> &Arm {
        match variant {
            Variant::Control => &self.control,
            Variant::Treatment => &self.treatment,
        }
    }

    /// The variant of a unit, the same one every time: the bucket of `kf flag` for a flag of the test's name whose first variant is the
    /// treatment.
    pub fn assigned(&self, key: &str) -> Variant {
        let bucket = flag::bucket::of(self.name.as_str(), key, u32::from(Weight::FULL.hundredths()));
        if bucket < u32::from(self.split.hundredths()) { Variant::Treatment } else { Variant::Control }
    }

    /// Every metric, that which decides first.
    pub fn metrics(&self) -> impl Iterator<Item = &Metric> {
        std::iter::once(&self.metric).chain(self.guardrails.iter().map(|g| &g.metric))
    }

    /// Whether this can be a test.
    ///
    /// # Errors
    /// In words, when it cannot.
    pub fn check(&self) -> Result<(), String> {
        if self.control == self.treatment {
            return Err(format!("both variants are {}", self.control.reference()));
        }
        if self.split == Weight::NONE || self.split == Weight::FULL {
            return Err(format!("a split of {} leaves one variant without units", self.split));
        }
        let mut seen: Vec<&Name> = Vec::new();
        for metric in self.metrics() {
            if RESERVED.contains(&metric.name.as_str()) {
                return Err(format!("`{}` is a field of every line, not a metric", metric.name));
            }
            if seen.contains(&&metric.name) {
                return Err(format!("the metric `{}` is there twice", metric.name));
            }
            seen.push(&metric.name);
        }
        Ok(())
    }

    /// An id as the state keeps it: 32 hexadecimal digits of SHA-256 over the salt, the length of the id, and the id.
    pub fn pseudonym(&self, id: &str) -> String {
        self.digits(&[id])
    }

    /// The id of a record of a unit as the state keeps it: ids tell records of one unit apart, so another unit may have the same.
    pub fn record_pseudonym(&self, unit: &str, id: &str) -> String {
        self.digits(&[unit, id])
    }

    fn digits(&self, parts: &[&str]) -> String {
        let mut hasher = crate::base::digest::Hasher::new();
        hasher.update(self.salt.as_bytes());
        for part in parts {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finish().hex().chars().take(32).collect()
    }
}

/// Fields of a line that are no metric.
pub const RESERVED: [&str; 4] = ["unit", "variant", "id", "metrics"];

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn setup(metric: &str, guardrails: &[&str]) -> Setup {
        let arm = |version: &str| Arm {
            model: "bot".parse().expect("a name"),
            version: version.parse().expect("a version"),
            digest: Digest::of(version.as_bytes()),
        };
        Setup {
            name: "greeting".parse().expect("a name"),
            control: arm("1.0.0"),
            treatment: arm("1.1.0"),
            metric: metric.parse().expect("a metric"),
            guardrails: guardrails.iter().map(|g| g.parse().expect("a guardrail")).collect(),
            split: Weight::from_hundredths(5000).expect("a part"),
            design: Design::Split,
            rule: Rule::Both,
            aim: None,
            salt: "00ff".into(),
        }
    }

    #[test]
    fn what_is_no_test_says_why() {
        let said = |change: &dyn Fn(&mut Setup)| {
            let mut s = setup("converted", &["errors:lower=0.01"]);
            change(&mut s);
            s.check().expect_err("no test")
        };
        assert_eq!(setup("converted", &["errors:lower=0.01"]).check(), Ok(()));
        assert!(said(&|s| s.treatment = s.control.clone()).contains("both variants are bot@1.0.0"));
        assert!(said(&|s| s.split = Weight::FULL).contains("leaves one variant without units"));
        assert!(said(&|s| s.guardrails[0].metric.name = s.metric.name.clone()).contains("twice"));
        assert!(said(&|s| s.metric.name = "unit".parse().expect("a name")).contains("field of every line"));
    }

    /// As `kf flag eval` of a flag with these variants says.
    #[test]
    fn a_unit_gets_the_variant_of_a_flag_of_that_name() {
        let mut s = setup("converted", &[]);
        s.split = Weight::from_hundredths(2000).expect("a part");
        let parts = [("treatment", 2000), ("control", 8000)];
        let parts = parts.map(|(n, p)| (n.parse().expect("a name"), Weight::from_hundredths(p).expect("a part")));
        let rule = flag::Rule::of(parts.to_vec()).expect("a rule");
        let mut treated = 0;
        for i in 0..2_000 {
            let key = format!("user-{i}");
            assert_eq!(s.assigned(&key).word(), rule.variant(&s.name, &key));
            treated += u32::from(s.assigned(&key) == Variant::Treatment);
        }
        // 400 expected, standard deviation 17.9.
        assert!(treated.abs_diff(400) < 72, "{treated}");
    }

    proptest! {
        #[test]
        fn ids_are_told_apart_and_kept_by_nobody(a in "\\PC{1,20}", b in "\\PC{1,20}") {
            let s = setup("converted", &[]);
            prop_assert_eq!(s.pseudonym(&a) == s.pseudonym(&b), a == b);
            prop_assert_eq!(s.record_pseudonym(&a, &b) == s.record_pseudonym(&b, &a), a == b);
            prop_assert!(a.len() < 3 || !s.pseudonym(&a).contains(&a) || a.chars().all(|c| c.is_ascii_hexdigit()));
        }
    }
}
