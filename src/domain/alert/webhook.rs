//! `kf.alert/1`, the JSON that a webhook of kind `webhook` takes, and its signature.
//!
//! Shape, headers and signature are those of Standard Webhooks 1.0.0 (<https://www.standardwebhooks.com>): `type`, `timestamp` and
//! `data`; `webhook-id` is the same for every try, `webhook-timestamp` the second of this one, and `webhook-signature` is `v1,` with
//! the HMAC-SHA256 of `ID.TIMESTAMP.BODY`. `text` beside them is what chats with a webhook like Slack's first one show.

use crate::base::error::{Error, Result};
use crate::seams::notifier::{Act, Message};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use ring::hmac;
use serde_json::{Map, Value, json};

/// The shortest and the longest secret, in bytes.
const SECRET: std::ops::RangeInclusive<usize> = 24..=64;

/// The document.
pub fn document(message: &Message) -> Value {
    let facts: Map<String, Value> = message.facts.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let kind = match message.act {
        Act::Trigger => "alert.triggered",
        Act::Resolve => "alert.resolved",
    };
    json!({
        "schema": "kf.alert/1",
        "type": kind,
        "timestamp": message.at.to_string(),
        "data": {
            "id": message.id,
            "key": message.key,
            "about": message.about,
            "source": message.source,
            "severity": message.severity.word(),
            "title": message.title,
            "body": message.body,
            "facts": facts,
        },
        "text": format!("{}\n{}", message.title, message.body).trim_end(),
    })
}

/// The key in a secret: base64, with or without `whsec_`.
///
/// # Errors
/// When it is no base64, or not of 24 to 64 bytes; never says what it holds.
pub fn key(secret: &str) -> Result<hmac::Key> {
    let text = secret.trim();
    let text = text.strip_prefix("whsec_").unwrap_or(text);
    let key = BASE64_STANDARD.decode(text).ok().filter(|key| SECRET.contains(&key.len()));
    let key = key.ok_or_else(|| {
        Error::new("the secret of the webhook is not base64 of 24 to 64 bytes")
            .hint("`printf whsec_; head -c 32 /dev/urandom | base64` prints one")
    })?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &key))
}

/// The value of `webhook-signature`.
pub fn signature(key: &hmac::Key, id: &str, seconds: i64, body: &[u8]) -> String {
    let signed = [format!("{id}.{seconds}.").as_bytes(), body].concat();
    format!("v1,{}", BASE64_STANDARD.encode(hmac::sign(key, &signed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification ("Signature scheme") and of its libraries' tests.
    #[test]
    fn the_published_example_is_signed_as_published() {
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a key");
        let signed = signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_that_is_none_is_not_repeated() {
        for text in ["", "whsec_", "hunter2-hunter2", "whsec_c2hvcnQ=", &"A".repeat(120)] {
            let e = key(text).expect_err(text).to_string();
            assert_eq!(e, "the secret of the webhook is not base64 of 24 to 64 bytes");
        }
    }
}
