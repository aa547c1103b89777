//! What kf must be allowed to do, asked of the API server itself in one call: what `kubectl auth can-i` asks one by one.

use super::track::refused;
use crate::seams::traffic::Asked;
use serde_json::{Value, json};

/// One right in the namespace of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Right {
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    name: Option<String>,
}

impl Right {
    /// On one object.
    pub(super) fn named(verb: &'static str, group: &'static str, resource: &'static str, name: &str) -> Self {
        Self { verb, group, resource, name: Some(name.to_owned()) }
    }

    /// On all objects of a kind.
    pub(super) fn all(verb: &'static str, group: &'static str, resource: &'static str) -> Self {
        Self { verb, group, resource, name: None }
    }

    /// As a person types it to ask.
    fn typed(&self) -> String {
        let kind = if self.group.is_empty() { self.resource.to_owned() } else { format!("{}.{}", self.resource, self.group) };
        format!("{} {kind}{}", self.verb, self.name.as_ref().map(|n| format!("/{n}")).unwrap_or_default())
    }

    fn review(&self, namespace: &str) -> Value {
        let mut attributes = json!({"namespace": namespace, "verb": self.verb, "group": self.group, "resource": self.resource});
        if let Some(name) = &self.name {
            attributes["name"] = json!(name);
        }
        json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}})
    }
}

/// What every way to split needs: the two Deployments, their pods, the endpoints of Services.
pub(super) fn always(deployments: &[String; 2]) -> Vec<Right> {
    let on = |name: &String| ["get", "patch"].map(|verb| Right::named(verb, "apps", "deployments", name));
    let mut rights: Vec<Right> = deployments.iter().flat_map(on).collect();
    rights.push(Right::all("list", "", "pods"));
    rights.push(Right::all("list", "discovery.k8s.io", "endpointslices"));
    rights
}

/// The question, for all of them at once.
pub(super) fn question(rights: &[Right], namespace: &str) -> Value {
    let items: Vec<Value> = rights.iter().map(|r| r.review(namespace)).collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

/// The answers, in the order of the question.
pub(super) fn judged(rights: &[Right], namespace: &str, answers: &[Value]) -> Asked<()> {
    let denied = |i: usize| answers.get(i).is_none_or(|a| a["status"]["allowed"] != true);
    let lacking: Vec<String> = rights.iter().enumerate().filter(|(i, _)| denied(*i)).map(|(_, r)| r.typed()).collect();
    let Some(first) = lacking.first() else { return Ok(()) };
    let message = format!("no right in namespace `{namespace}` to: {}", lacking.join(", "));
    refused(
        message,
        format!(
            "docs/kubernetes.md has the role that kf needs; `kubectl auth can-i {first} -n {namespace}` tells when it is there"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_told_as_it_is_typed() {
        let mut rights = always(&["bot-blue".to_owned(), "bot-green".to_owned()]);
        rights.push(Right::named("patch", "", "services", "bot"));
        let allowed = |yes: bool| json!({"status": {"allowed": yes}});
        let mut answers: Vec<Value> = rights.iter().map(|_| allowed(true)).collect();
        assert!(judged(&rights, "rag", &answers).is_ok());
        answers[1] = allowed(false);
        answers.pop();
        let told = judged(&rights, "rag", &answers).expect_err("two are lacking").into_error().to_string();
        assert_eq!(told, "no right in namespace `rag` to: patch deployments.apps/bot-blue, patch services/bot");
    }
}
