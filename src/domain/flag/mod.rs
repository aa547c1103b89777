//! Flags: which variant of something each user of a tenant gets, the same one every time.
//!
//! * this file: a flag's rule, and the variant that it gives a key.
//! * [`bucket`]: the hash that OpenFeature's clients of flagd use, so that they give the same variant.
//! * [`document`]: the flags of a tenant as a flagd file; [`ofrep`]: as a service gives them.
//! * [`table`], [`record`], [`check`]: rows, changes with their events, the comparison of both.
//!
//! Tenants are walls: every query takes one. Raising the part of a variant that stands first moves keys only to it.

pub mod bucket;
pub mod check;
pub mod document;
pub mod ofrep;
pub mod record;
pub mod table;

use crate::base::name::Name;
use crate::base::weight::Weight;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The variant that is true.
pub const ON: &str = "on";
/// The variant that is false.
pub const OFF: &str = "off";
/// The most variants of a flag: its event has all of them.
const VARIANTS_MAX: usize = 100;

/// What a variant is: true or false, or its own word.
pub fn value(variant: &str) -> Value {
    match variant {
        ON => true.into(),
        OFF => false.into(),
        other => other.into(),
    }
}

/// The variants of a flag, each with its part; together all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(Name, Weight)>", into = "Vec<(Name, Weight)>")]
pub struct Rule {
    parts: Vec<(Name, Weight)>,
}

/// A flag of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// Its name.
    pub name: Name,
    /// What it gives.
    pub rule: Rule,
}

impl TryFrom<Vec<(Name, Weight)>> for Rule {
    type Error = String;
    fn try_from(parts: Vec<(Name, Weight)>) -> Result<Self, String> {
        Self::of(parts)
    }
}

impl From<Rule> for Vec<(Name, Weight)> {
    fn from(rule: Rule) -> Self {
        rule.parts
    }
}

impl Rule {
    /// On for this part of the keys, off for the rest.
    pub fn on(part: Weight) -> Self {
        let rest = Weight::FULL.hundredths() - part.hundredths();
        let named = |text: &str| text.parse::<Name>().expect("a fixed word is a name");
        let parts = [(named(ON), Some(part)), (named(OFF), Weight::from_hundredths(rest))];
        Self { parts: parts.into_iter().filter_map(|(name, part)| Some((name, part.filter(|p| *p > Weight::NONE)?))).collect() }
    }

    /// Variants by their parts, in this order.
    ///
    /// # Errors
    /// In words, when they are not all there is, one is there twice, or truth is mixed with other words.
    pub fn of(parts: Vec<(Name, Weight)>) -> Result<Self, String> {
        if parts.len() > VARIANTS_MAX {
            return Err(format!("a flag has at most {VARIANTS_MAX} variants"));
        }
        let sum: u32 = parts.iter().map(|(_, part)| u32::from(part.hundredths())).sum();
        if sum != u32::from(Weight::FULL.hundredths()) {
            return Err(format!("the parts of the variants come to {} %, not to 100 %", f64::from(sum) / 100.0));
        }
        if let Some((twice, _)) =
            parts.iter().enumerate().find(|(i, (name, _))| parts[..*i].iter().any(|(n, _)| n == name)).map(|p| p.1)
        {
            return Err(format!("the variant `{twice}` is there twice"));
        }
        let truths = parts.iter().filter(|(name, _)| [ON, OFF].contains(&name.as_str())).count();
        if truths > 0 && truths < parts.len() {
            return Err(format!("`{ON}` and `{OFF}` are true and false, which do not mix with other variants"));
        }
        Ok(Self { parts: parts.into_iter().filter(|(_, part)| *part > Weight::NONE).collect() })
    }

    /// The variants with their parts; none has no part.
    pub fn parts(&self) -> &[(Name, Weight)] {
        &self.parts
    }

    /// True when its variants are true and false.
    pub fn is_truth(&self) -> bool {
        self.parts.iter().all(|(name, _)| [ON, OFF].contains(&name.as_str()))
    }

    /// What whoever has no key gets: off, of other words the one with the largest part, of equal ones the first.
    pub fn fallback(&self) -> &str {
        if self.is_truth() && self.parts.len() > 1 {
            return OFF;
        }
        let largest = self.parts.iter().rev().max_by_key(|(_, part)| *part);
        largest.map_or(OFF, |(name, _)| name.as_str())
    }

    /// The variant of a key.
    pub fn variant(&self, flag: &Name, key: &str) -> &str {
        let bucket = bucket::of(flag.as_str(), key, u32::from(Weight::FULL.hundredths()));
        let mut end = 0;
        let found = self.parts.iter().find(|(_, part)| {
            end += u32::from(part.hundredths());
            bucket < end
        });
        found.map_or_else(|| self.fallback(), |(name, _)| name.as_str())
    }

    /// In a line: `on for 5 %, off for 95 %`.
    pub fn words(&self) -> String {
        match self.parts.as_slice() {
            [(only, _)] => only.to_string(),
            parts => parts.iter().map(|(name, part)| format!("{name} for {part}")).collect::<Vec<_>>().join(", "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> Name {
        text.parse().expect("a name")
    }

    fn part(hundredths: u16) -> Weight {
        Weight::from_hundredths(hundredths).expect("a part")
    }

    #[test]
    fn what_is_no_rule_says_why() {
        let of = |parts: &[(&str, u16)]| Rule::of(parts.iter().map(|(n, p)| (name(n), part(*p))).collect());
        assert_eq!(of(&[("a", 9000)]).expect_err("90 %"), "the parts of the variants come to 90 %, not to 100 %");
        assert_eq!(of(&[]).expect_err("nothing"), "the parts of the variants come to 0 %, not to 100 %");
        assert_eq!(of(&[("a", 5000), ("a", 5000)]).expect_err("twice"), "the variant `a` is there twice");
        assert!(of(&[("on", 5000), ("a", 5000)]).expect_err("mixed").contains("do not mix"));
        let split = of(&[("new", 1000), ("none", 0), ("old", 9000)]).expect("a rule");
        assert_eq!((split.words().as_str(), split.fallback(), split.is_truth()), ("new for 10 %, old for 90 %", "old", false));
        assert_eq!((Rule::on(Weight::FULL).words(), Rule::on(Weight::NONE).words()), ("on".to_owned(), "off".to_owned()));
        assert_eq!((Rule::on(Weight::FULL).fallback(), Rule::on(part(9900)).fallback()), (ON, OFF));
    }

    proptest! {
        /// More of a variant takes it from nobody who had it, and the same key has the same variant every time.
        #[test]
        fn more_is_never_less(low in 0..=10_000_u16, more in 0..=10_000_u16, key in ".{0,20}") {
            let flag = name("beta");
            let (low, high) = (low.min(more), low.max(more));
            let (before, after) = (Rule::on(part(low)), Rule::on(part(high)));
            prop_assert_eq!(before.variant(&flag, &key), before.variant(&flag, &key));
            prop_assert!(before.variant(&flag, &key) == OFF || after.variant(&flag, &key) == ON);
        }
    }

    #[test]
    fn parts_are_what_they_say() {
        let (flag, rule) = (name("beta"), Rule::on(part(500)));
        let on = (0..10_000).filter(|i| rule.variant(&flag, &format!("user-{i}")) == ON).count();
        // flagd's evaluator (openfeature-flagd-core 2.0.0) has the same 523 of the same keys.
        assert_eq!(on, 523);
    }
}
