//! The flags of a tenant as a flagd file (<https://flagd.dev/schema/v0/flags.json>), which OpenFeature's clients of flagd read.

use super::{Flag, OFF, ON};
use crate::base::name::Name;
use serde_json::{Map, Value, json};

/// The document. A flag with one variant has it as its default; another one its parts as a rule, and its fallback as the default of
/// whoever has no targeting key.
pub fn flagd(tenant: &Name, flags: &[Flag]) -> Value {
    json!({
        "$schema": "https://flagd.dev/schema/v0/flags.json",
        "metadata": {"flagSetId": tenant},
        "flags": flags.iter().map(|flag| (flag.name.to_string(), one(flag))).collect::<Map<String, Value>>(),
    })
}

fn one(flag: &Flag) -> Value {
    let parts = flag.rule.parts();
    let variants: Map<String, Value> = match flag.rule.is_truth() {
        true => [(ON.to_owned(), true.into()), (OFF.to_owned(), false.into())].into_iter().collect(),
        false => parts.iter().map(|(name, _)| (name.to_string(), json!(name))).collect(),
    };
    let mut described = json!({"state": "ENABLED", "variants": variants, "defaultVariant": flag.rule.fallback()});
    if parts.len() > 1 {
        let split: Vec<Value> = parts.iter().map(|(name, part)| json!([name, part.hundredths()])).collect();
        described["targeting"] = json!({"fractional": split});
    }
    described
}

#[cfg(test)]
mod tests {
    use super::super::Rule;
    use super::*;
    use crate::base::weight::Weight;

    #[test]
    fn flags_are_described_as_flagd_has_them() {
        let name = |text: &str| text.parse::<Name>().expect("a name");
        let part = |hundredths| Weight::from_hundredths(hundredths).expect("a part");
        let split = Rule::of(vec![(name("v2"), part(1250)), (name("v1"), part(8750))]).expect("a rule");
        let flags = [("beta", Rule::on(part(500))), ("live", Rule::on(Weight::FULL)), ("prompt", split)];
        let flags = flags.map(|(flag, rule)| Flag { name: name(flag), rule });
        let truth = json!({"on": true, "off": false});
        assert_eq!(
            flagd(&name("acme"), &flags),
            json!({
                "$schema": "https://flagd.dev/schema/v0/flags.json",
                "metadata": {"flagSetId": "acme"},
                "flags": {
                    "beta": {
                        "state": "ENABLED", "variants": truth, "defaultVariant": "off",
                        "targeting": {"fractional": [["on", 500], ["off", 9500]]}
                    },
                    "live": {"state": "ENABLED", "variants": truth, "defaultVariant": "on"},
                    "prompt": {
                        "state": "ENABLED", "variants": {"v2": "v2", "v1": "v1"}, "defaultVariant": "v1",
                        "targeting": {"fractional": [["v2", 1250], ["v1", 8750]]}
                    }
                }
            })
        );
    }
}
