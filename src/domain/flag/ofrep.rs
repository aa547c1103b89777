//! Flags as OpenFeature's clients ask a service for them: the Remote Evaluation Protocol (OFREP) 0.3.0,
//! <https://github.com/open-feature/protocol/blob/main/service/openapi.yaml>.
//!
//! This is what is in requests and answers; how they travel is the gateway's matter. A flag with one variant is `STATIC`; one with parts
//! is a `SPLIT` by the targeting key, and without a key a failure: the client then uses what is written in its code.

use super::{Flag, value};
use crate::base::name::Name;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Why a flag has no value, in the words of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// `FLAG_NOT_FOUND`, `PARSE_ERROR`, `INVALID_CONTEXT`, `TARGETING_KEY_MISSING` or `GENERAL`.
    pub code: &'static str,
    /// For people.
    pub details: String,
}

impl Failed {
    /// Of a flag that the tenant does not have.
    pub fn not_found(tenant: &Name, flag: &str) -> Self {
        Self { code: "FLAG_NOT_FOUND", details: format!("the tenant {tenant} has no flag {flag}") }
    }

    /// Of a request that no code is for.
    pub fn general(details: String) -> Self {
        Self { code: "GENERAL", details }
    }

    /// The answer: about one flag, or about the whole request.
    pub fn answer(&self, flag: Option<&str>) -> Value {
        let key = flag.map(|flag| ("key".to_owned(), flag.into()));
        let rest = [("errorCode".to_owned(), self.code.into()), ("errorDetails".to_owned(), self.details.clone().into())];
        Value::Object(key.into_iter().chain(rest).collect())
    }
}

/// What is read of a request; a context may have more, which no flag asks for.
#[derive(Deserialize)]
struct Request {
    context: Option<Map<String, Value>>,
}

/// The targeting key of a request; `None` when its context has none.
///
/// # Errors
/// When the request is no JSON, or has no context.
pub fn targeting_key(body: &[u8]) -> Result<Option<String>, Failed> {
    let no_json = |e: serde_json::Error| Failed { code: "PARSE_ERROR", details: format!("the request is no JSON: {e}") };
    let request: Value = serde_json::from_slice(body).map_err(no_json)?;
    let invalid = |why: &str| Failed { code: "INVALID_CONTEXT", details: why.to_owned() };
    let request = serde_json::from_value::<Request>(request).ok().and_then(|request| request.context);
    match request.ok_or_else(|| invalid("send `{\"context\": {\"targetingKey\": \"…\"}}`"))?.remove("targetingKey") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(key)) => Ok(Some(key)),
        Some(_) => Err(invalid("`targetingKey` is a text")),
    }
}

/// What a flag gives a targeting key.
///
/// # Errors
/// When it is different for each key and there is none.
pub fn evaluated(flag: &Flag, key: Option<&str>) -> Result<Value, Failed> {
    let (variant, reason) = match (flag.rule.parts(), key) {
        ([_], _) => (flag.rule.fallback(), "STATIC"),
        (_, Some(key)) => (flag.rule.variant(&flag.name, key), "SPLIT"),
        (_, None) => {
            let details = format!("the flag {} is {}: the context needs a `targetingKey`", flag.name, flag.rule.words());
            return Err(Failed { code: "TARGETING_KEY_MISSING", details });
        }
    };
    Ok(json!({"key": flag.name, "value": value(variant), "reason": reason, "variant": variant}))
}

/// What all flags of a tenant give a targeting key; those that need one and have none are failures among the others.
pub fn all(tenant: &Name, flags: &[Flag], key: Option<&str>) -> Value {
    let one = |flag: &Flag| evaluated(flag, key).unwrap_or_else(|failed| failed.answer(Some(flag.name.as_str())));
    json!({"flags": flags.iter().map(one).collect::<Vec<_>>(), "metadata": {"flagSetId": tenant}})
}

#[cfg(test)]
mod tests {
    use super::super::Rule;
    use super::*;
    use crate::base::weight::Weight;

    fn flag(name: &str, hundredths: u16) -> Flag {
        Flag { name: name.parse().expect("a name"), rule: Rule::on(Weight::from_hundredths(hundredths).expect("a part")) }
    }

    #[test]
    fn requests_are_read_as_the_protocol_has_them() {
        let key = |body: &str| targeting_key(body.as_bytes()).map_err(|failed| failed.code);
        assert_eq!(key(r#"{"context": {"targetingKey": "u", "plan": "free"}, "more": 1}"#), Ok(Some("u".to_owned())));
        assert_eq!(key(r#"{"context": {}}"#), Ok(None));
        assert_eq!(key(r#"{"context": {"targetingKey": null}}"#), Ok(None));
        for wrong in ["", "{", "\u{0}"] {
            assert_eq!(key(wrong), Err("PARSE_ERROR"), "{wrong}");
        }
        let deep = format!("{{\"context\": {}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(key(&deep), Err("PARSE_ERROR"));
        for wrong in ["{}", "[]", "1", r#"{"context": null}"#, r#"{"context": "u"}"#, r#"{"context": {"targetingKey": 7}}"#] {
            assert_eq!(key(wrong), Err("INVALID_CONTEXT"), "{wrong}");
        }
    }

    #[test]
    fn flags_are_given_with_their_reason() {
        let live = json!({"key": "live", "value": true, "reason": "STATIC", "variant": "on"});
        assert_eq!(evaluated(&flag("live", 10_000), None), Ok(live.clone()));
        let beta = flag("beta", 9999);
        let given = evaluated(&beta, Some("u")).expect("a value");
        assert_eq!(given, json!({"key": "beta", "value": true, "reason": "SPLIT", "variant": "on"}));
        let failed = evaluated(&beta, None).expect_err("no key");
        assert_eq!(failed.code, "TARGETING_KEY_MISSING");
        let tenant = "acme".parse().expect("a name");
        let together = all(&tenant, &[flag("live", 10_000), beta], None);
        let missing = json!({"key": "beta", "errorCode": "TARGETING_KEY_MISSING", "errorDetails": failed.details});
        assert_eq!(together, json!({"flags": [live, missing], "metadata": {"flagSetId": "acme"}}));
    }
}
