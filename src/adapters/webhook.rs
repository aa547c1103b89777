//! A webhook that takes `{"text": …}`, as Slack's incoming webhooks do (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>)
//! and Mattermost's and Rocket.Chat's after them. Its address is a secret: whoever has it may write there.

use super::http::{Http, Policy, Request};
use crate::base::error::{Error, Result};
use crate::base::random::Random;
use crate::config::secret::Secret;
use crate::seams::notifier::{Message, Notifier};
use crate::store::runtime::block_on;
use reqwest::Method;
use serde_json::json;
use std::time::Duration;

/// A webhook.
#[derive(Debug)]
pub struct Webhook {
    name: String,
    http: Http,
    request: Request,
}

impl Webhook {
    /// The webhook of `[alerts.<name>]`.
    ///
    /// # Errors
    /// When the secret holds no address, or TLS cannot be set up.
    pub fn new(name: &str, address: &Secret, timeout: Duration, random: Random) -> Result<Self> {
        // The address is in no message, not even when it is none.
        let url: url::Url = address.expose().trim().parse().map_err(|e| {
            Error::new(format!("the address of `alerts.{name}` is none: {e}")).hint("write the whole address, with `https://`")
        })?;
        let http = Http::new(Policy { attempts: 3, timeout, ..Policy::default() }, random)?;
        Ok(Self { name: name.to_owned(), http, request: Request::new(Method::POST, url).secret_path() })
    }
}

impl Notifier for Webhook {
    fn name(&self) -> &str {
        &self.name
    }

    fn tell(&self, message: &Message) -> Result<()> {
        let request = self.request.clone().json(&json!({"text": format!("{}\n{}", message.title, message.body)}));
        block_on(self.http.send(&request))?.map(|_| ())
    }
}
