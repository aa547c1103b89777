//! What a test compares: metrics with their kind and direction, and guardrails.
//!
//! Of names of its own kf knows both, so that nobody who watches `error-rate` has to say that fewer errors are better, and nobody can say
//! the opposite of what kf counts under that name. What nobody knows is not guessed for a guardrail: one that points the wrong way holds
//! while users are harmed.

use crate::base::name::{Name, words};
use crate::base::text::visible;
use crate::domain::eval::known::known;
use crate::domain::eval::score::{COST_PER_QUERY, COVERAGE, ERROR_RATE, LATENCY_P95};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How long answers took, in milliseconds, as a gateway counts it.
pub const LATENCY_MS: &str = "latency-ms";

words! {
    /// What the values of a metric are, each kind within the next.
    Kind, "kind of metric" {
        /// Yes or no: 1 or 0.
        Rate = "rate",
        /// From 0 to 1.
        Score = "score",
        /// Any number.
        Mean = "mean",
    }
}

words! {
    /// Which values of a metric are better.
    Better, "direction" {
        /// Higher ones.
        Higher = "higher",
        /// Lower ones.
        Lower = "lower",
    }
}

impl Kind {
    /// What its values are, in words.
    fn values(self) -> &'static str {
        match self {
            Self::Rate => "0 or 1",
            Self::Score => "from 0 to 1",
            Self::Mean => "any number",
        }
    }
}

/// A metric: `NAME`, `NAME:KIND`, `NAME:DIRECTION` or `NAME:KIND:DIRECTION`. What is not said is what kf knows of the name, else a rate of
/// which higher is better.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metric {
    /// Its name, as feeds have it.
    pub name: Name,
    /// What its values are.
    pub kind: Kind,
    /// Which are better.
    pub better: Better,
}

/// What kf knows of a name.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Meant {
    kind: Kind,
    better: Better,
    /// True when kf itself gives values under this name: then nothing else can be meant by it.
    own: bool,
}

impl Meant {
    /// By the name of a metric.
    fn by(name: &str) -> Option<Self> {
        let own = |kind, better| Some(Self { kind, better, own: true });
        if let Some(known) = known(name) {
            let kind = match known.range {
                _ if known.right_or_wrong => Kind::Rate,
                (least, most) if least >= 0.0 && most <= 1.0 => Kind::Score,
                _ => Kind::Mean,
            };
            return own(kind, if known.higher_is_better() { Better::Higher } else { Better::Lower });
        }
        match name {
            ERROR_RATE => own(Kind::Rate, Better::Lower),
            COVERAGE => own(Kind::Rate, Better::Higher),
            LATENCY_MS | LATENCY_P95 | COST_PER_QUERY => own(Kind::Mean, Better::Lower),
            _ if ["latency", "cost"].contains(&name.split('-').next().unwrap_or(name)) => {
                Some(Self { kind: Kind::Mean, better: Better::Lower, own: false })
            }
            _ => None,
        }
    }

    /// Refuses what contradicts it: the other direction, or values that are not all there are.
    fn check(self, name: &Name, said: &Said) -> Result<(), String> {
        if !self.own {
            return Ok(());
        }
        if said.better.is_some_and(|better| better != self.better) {
            return Err(format!(
                "of `{name}`, as kf gives it, {} is better: write `{name}` alone, or give a metric of yours another name",
                self.better
            ));
        }
        match said.kind.filter(|kind| *kind < self.kind) {
            Some(kind) => Err(format!(
                "`{name}`, as kf gives it, is a {} ({}) and no {kind} ({}): write `{name}` alone, or give a metric of yours another name",
                self.kind,
                self.kind.values(),
                kind.values()
            )),
            None => Ok(()),
        }
    }
}

/// A metric as it is written.
struct Said {
    name: Name,
    kind: Option<Kind>,
    better: Option<Better>,
}

impl FromStr for Said {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default().parse().map_err(|e: crate::base::name::BadName| e.to_string())?;
        let mut said = Self { name, kind: None, better: None };
        for part in parts {
            let twice = if let Ok(kind) = part.parse() {
                said.kind.replace(kind).is_some()
            } else if let Ok(better) = part.parse() {
                said.better.replace(better).is_some()
            } else {
                let shown = visible(part, 40);
                return Err(format!("`{shown}` is neither a kind (rate, score, mean) nor a direction (higher, lower)"));
            };
            if twice {
                return Err("one kind and one direction are enough".to_owned());
            }
        }
        Ok(said)
    }
}

impl Said {
    /// The metric, and whether anybody knows which of its values are better.
    fn meant(self) -> Result<(Metric, bool), String> {
        let meant = Meant::by(self.name.as_str());
        if let Some(meant) = meant {
            meant.check(&self.name, &self)?;
        }
        let certain = meant.is_some() || self.better.is_some();
        let kind = self.kind.or(meant.map(|m| m.kind)).unwrap_or(Kind::Rate);
        let better = self.better.or(meant.map(|m| m.better)).unwrap_or(Better::Higher);
        Ok((Metric { name: self.name, kind, better }, certain))
    }
}

impl FromStr for Metric {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Ok(text.parse::<Said>()?.meant()?.0)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} ({}, {} is better)", self.name, self.kind, self.better))
    }
}

/// The largest value, and the least one below 0: of larger ones squares, and sums of many squares, are no numbers any more.
const VALUE_MAX: f64 = 1e140;

impl Metric {
    /// A value of it.
    ///
    /// # Errors
    /// In words, when it is none; `shown` is the value as its feed has it.
    pub fn value(&self, number: f64, shown: impl fmt::Display) -> Result<f64, String> {
        let name = &self.name;
        match self.kind {
            Kind::Rate if number != 0.0 && number != 1.0 => Err(format!("`{name}` is a rate: 0 or 1, not {shown}")),
            Kind::Score if !(0.0..=1.0).contains(&number) => Err(format!("`{name}` is a score: from 0 to 1, not {shown}")),
            Kind::Mean if number.abs() > VALUE_MAX => {
                Err(format!("`{name}` is {shown}: beyond {VALUE_MAX:e} nothing can be added up"))
            }
            // SQLite keeps no negative zero, and the digest of the rows must be that of what is read back.
            _ => Ok(number + 0.0),
        }
    }
}

/// A metric that must not be worse by more than a margin: `METRIC=MARGIN`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Guardrail {
    /// The metric.
    pub metric: Metric,
    /// How much worse it may be, in its unit; above 0.
    pub margin: f64,
}

impl FromStr for Guardrail {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (said, given) = text.rsplit_once('=').ok_or("a guardrail is METRIC=MARGIN: how much worse it may be")?;
        let (metric, certain) = said.parse::<Said>()?.meant()?;
        let margin = given.parse::<f64>().ok().filter(|m| m.is_finite() && *m > 0.0).ok_or("a margin is a number above 0")?;
        if metric.kind != Kind::Mean && margin >= 1.0 {
            return Err(format!("a {} is between 0 and 1, so a margin of {margin} guards nothing", metric.kind));
        }
        if !certain {
            let name = &metric.name;
            return Err(format!(
                "kf does not know which values of `{name}` are worse: write `{said}:higher={given}` when higher ones are better, else `{said}:lower={given}`"
            ));
        }
        Ok(Self { metric, margin })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<(String, Kind, Better), String> {
        text.parse::<Metric>().map(|m| (m.name.to_string(), m.kind, m.better))
    }

    #[test]
    fn metrics_are_a_name_with_kind_and_direction() {
        assert_eq!(of("converted"), Ok(("converted".into(), Kind::Rate, Better::Higher)));
        assert_eq!(of("latency-ms:lower:mean"), Ok(("latency-ms".into(), Kind::Mean, Better::Lower)));
        for (text, why) in
            [("a:fast", "neither a kind"), ("a:rate:mean", "one kind"), ("a:lower:lower", "one direction"), ("", "name")]
        {
            assert!(of(text).expect_err(text).contains(why), "{text}");
        }
        let guard = "latency-ms:mean:lower=20".parse::<Guardrail>().expect("one");
        assert_eq!((guard.margin, guard.metric.kind), (20.0, Kind::Mean));
        for text in ["latency", "latency=0", "latency=-1", "latency=x", "latency=inf", "errors=1"] {
            assert!(text.parse::<Guardrail>().is_err(), "{text}");
        }
    }

    #[test]
    fn names_of_kf_have_the_kind_and_direction_that_kf_gives_them() {
        for (text, kind, better) in [
            ("error-rate", Kind::Rate, Better::Lower),
            ("coverage", Kind::Rate, Better::Higher),
            ("latency-ms", Kind::Mean, Better::Lower),
            ("latency-p95", Kind::Mean, Better::Lower),
            ("latency-p50", Kind::Mean, Better::Lower),
            ("cost-per-query", Kind::Mean, Better::Lower),
            ("cost", Kind::Mean, Better::Lower),
            ("exact-match", Kind::Rate, Better::Higher),
            ("token-f1", Kind::Score, Better::Higher),
            ("faithfulness-offline-proxy", Kind::Score, Better::Higher),
            ("faithfulness", Kind::Score, Better::Higher),
            ("hallucination", Kind::Score, Better::Lower),
            ("noise-sensitivity", Kind::Score, Better::Lower),
            // What is written counts where it can be meant.
            ("exact-match:score", Kind::Score, Better::Higher),
            ("error-rate:mean:lower", Kind::Mean, Better::Lower),
            ("token-f1:mean", Kind::Mean, Better::Higher),
            ("cost-saved:higher", Kind::Mean, Better::Higher),
            ("latency-kept:rate:higher", Kind::Rate, Better::Higher),
            ("costly", Kind::Rate, Better::Higher),
        ] {
            let name = text.split(':').next().unwrap_or_default();
            assert_eq!(of(text), Ok((name.into(), kind, better)), "{text}");
            assert_eq!(format!("{text}=0.1").parse::<Guardrail>().is_ok(), name != "costly", "{text}");
        }
        for (text, why) in [
            ("error-rate:higher", "of `error-rate`, as kf gives it, lower is better: write `error-rate` alone"),
            ("hallucination:score:higher", "lower is better"),
            ("token-f1:lower", "higher is better"),
            (
                "token-f1:rate",
                "`token-f1`, as kf gives it, is a score (from 0 to 1) and no rate (0 or 1): write `token-f1` alone",
            ),
            ("latency-ms:score", "is a mean (any number) and no score"),
        ] {
            assert!(of(text).expect_err(text).contains(why), "{text}");
            assert!(format!("{text}=0.1").parse::<Guardrail>().expect_err(text).contains(why), "{text}");
        }
    }

    #[test]
    fn a_guardrail_of_an_unknown_name_says_which_way() {
        let told = "quality:score=0.1".parse::<Guardrail>().expect_err("no direction");
        assert!(told.contains("`quality:score:higher=0.1`") && told.contains("`quality:score:lower=0.1`"), "{told}");
        assert_eq!("quality:score:higher=0.1".parse::<Guardrail>().map(|g| g.metric.better), Ok(Better::Higher));
    }

    #[test]
    fn values_are_of_their_kind() {
        let value = |text: &str, number: f64| text.parse::<Metric>().and_then(|m| m.value(number, number));
        assert_eq!(value("solved", 0.25), Err("`solved` is a rate: 0 or 1, not 0.25".into()));
        assert_eq!(value("token-f1", 1.5), Err("`token-f1` is a score: from 0 to 1, not 1.5".into()));
        assert_eq!((value("token-f1", 0.25), value("cost", -3.0)), (Ok(0.25), Ok(-3.0)));
        assert!(value("cost", -0.0).is_ok_and(f64::is_sign_positive));
        assert!(value("cost", 1e140).is_ok() && value("cost", -1e141).is_err());
    }
}
