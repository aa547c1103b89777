//! What a failed `kubectl` means. It always ends with status 1, so its text has to tell; the texts are those of
//! `k8s.io/kubectl/pkg/cmd/util` (`checkErr`) and `k8s.io/apimachinery/pkg/api/errors`, tried from 1.20 to 1.36.

use crate::adapters::process::{Ended, why};
use crate::base::error::Error;
use crate::base::text::ellipsis;
use crate::seams::traffic::Fault;

/// Why a command failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) kind: Kind,
    pub(super) error: Error,
}

/// What a failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Somebody else changed the object, or it is no more what a `test` of the patch said.
    Conflict,
    /// There is no such object.
    NotFound,
    /// No right.
    Forbidden,
    /// The cluster has no such kind of object.
    Unserved,
    /// Said no, for another reason that does not go away.
    Refused,
    /// Nobody knows whether it was done.
    Unclear,
}

/// Words in the text, what they mean, and what to type. The first that fits counts.
const TEXTS: &[(&[&str], Kind, &str)] = &[
    (&["(Conflict)", "(AlreadyExists)"], Kind::Conflict, ""),
    // All that is told of a JSON patch whose `test` failed, or whose path is not there.
    (&["The request is invalid"], Kind::Conflict, ""),
    // Before the reasons: a webhook or a policy says no with one of its choice, often that of a missing right.
    (
        &["denied the request", "denied request"],
        Kind::Refused,
        "a policy of the cluster does not take it: what it says there must be met",
    ),
    (&["(NotFound)"], Kind::NotFound, "`kubectl get` it in this namespace; `namespace` and names are in `[target.NAME]`"),
    (&["(Forbidden)"], Kind::Forbidden, "docs/kubernetes.md has the role that kf needs; apply it and bind it to this user"),
    (
        &["(Unauthorized)", "must be logged in to the server", "provide credentials", "getting credentials:"],
        Kind::Refused,
        "log in to the cluster again, then try `kubectl get deployments` with this context",
    ),
    (
        &["does not exist", "was not found for specified context"],
        Kind::Refused,
        "`kubectl config get-contexts` shows the contexts",
    ),
    (&["error loading config file", "unable to read client-cert"], Kind::Refused, "try `kubectl config view`"),
    (
        &["unknown flag", "unknown shorthand flag", "unknown command"],
        Kind::Refused,
        "this kubectl is too old: kf needs 1.20 or newer",
    ),
    (
        &["the server doesn't have a resource type", "no matches for kind"],
        Kind::Unserved,
        "the cluster does not have this kind of object; `kubectl api-resources` shows what it has",
    ),
    (&["is invalid:", "(BadRequest)", "(MethodNotAllowed)", "(UnsupportedMediaType)"], Kind::Refused, ""),
];

/// What the text of a command that ended by itself means. Whatever is not known (a time-out, a broken connection, an
/// overloaded server) may have been done.
pub(super) fn classify(what: &str, stderr: &str) -> Failure {
    let known = TEXTS.iter().find(|(texts, _, _)| texts.iter().any(|text| stderr.contains(text)));
    let (kind, hint) = known.map_or((Kind::Unclear, ""), |(_, kind, hint)| (*kind, *hint));
    let tells = |line: &&str| !line.is_empty() && !line.starts_with("Warning:") && !is_log(line);
    let said: Vec<&str> = stderr.lines().map(str::trim).filter(tells).collect();
    let last = said.get(said.len().saturating_sub(3)..).unwrap_or_default().join(" / ");
    let last = if last.is_empty() { "it failed and did not say why".to_owned() } else { ellipsis(&last, 500) };
    let error = Error::new(format!("`kubectl {what}`: {last}"));
    Failure { kind, error: if hint.is_empty() { error } else { error.hint(hint) } }
}

/// True for a line of the log of kubectl's libraries (`klog`: severity, month and day, time), which come before what it says itself.
fn is_log(line: &str) -> bool {
    let (severity, rest) = line.split_at_checked(1).unwrap_or_default();
    let date = rest.split(' ').next().unwrap_or_default();
    ["I", "W", "E", "F"].contains(&severity) && date.len() == 4 && date.bytes().all(|b| b.is_ascii_digit())
}

/// A command that was stopped, by kf or by somebody else.
pub(super) fn too_late(what: &str, ended: &Ended, stderr: &str) -> Failure {
    let hint =
        "check that the API server answers: `kubectl get --raw /readyz`; `timeout` in `[target.NAME]` is how long kf waits";
    Failure::unclear(Error::new(why(&format!("kubectl {what}"), ended, stderr)).hint(hint))
}

impl Failure {
    pub(super) fn refused(error: Error) -> Self {
        Self { kind: Kind::Refused, error }
    }

    pub(super) fn unclear(error: Error) -> Self {
        Self { kind: Kind::Unclear, error }
    }

    /// True for what a server says, too, that has started and does not know rights and kinds yet.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self.kind, Kind::Forbidden | Kind::Unserved)
    }

    /// The same failure of a server that is not ready: asking again may help.
    pub(super) fn of_starting(self) -> Self {
        Self::unclear(self.error.hint("the API server is not ready yet: `kubectl get --raw '/readyz?verbose'`"))
    }

    /// The failure again, when reading after it failed, too.
    pub(super) fn again(&self) -> Fault {
        let error = Error::new(format!("{}; and reading it again failed, too", self.error));
        // A refusal stays one; of everything else nobody knows now.
        let kind = if self.kind == Kind::Conflict { Kind::Unclear } else { self.kind };
        Self { kind, error }.into_fault()
    }

    pub(super) fn into_fault(self) -> Fault {
        match self.kind {
            Kind::Conflict => Fault::Conflict(self.error),
            Kind::NotFound | Kind::Forbidden | Kind::Unserved | Kind::Refused => Fault::Refused(self.error),
            Kind::Unclear => Fault::Unclear(self.error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts as kubectl 1.20, 1.32 and 1.36 print them.
    #[test]
    fn failures_are_told_apart_by_their_texts() {
        let kind = |text: &str| classify("patch services/bot", text).kind;
        for (text, want) in [
            (
                "Error from server (Conflict): Operation cannot be fulfilled on services \"bot\": the object has been modified; \
                 please apply your changes to the latest version and try again",
                Kind::Conflict,
            ),
            ("The request is invalid: the server rejected our request due to an error in our request", Kind::Conflict),
            ("The request is invalid", Kind::Conflict),
            ("Error from server (AlreadyExists): ingresses.networking.k8s.io \"bot-canary\" already exists", Kind::Conflict),
            ("Error from server (NotFound): services \"bot\" not found", Kind::NotFound),
            (
                "Error from server (Forbidden): services \"bot\" is forbidden: User \"kf\" cannot patch resource \"services\" in \
                 API group \"\" in the namespace \"rag\"",
                Kind::Forbidden,
            ),
            ("error: You must be logged in to the server (Unauthorized)", Kind::Refused),
            ("error: context \"prod\" does not exist", Kind::Refused),
            ("Error in configuration: context was not found for specified context: prod", Kind::Refused),
            ("The HTTPRoute \"bot\" is invalid: spec.rules[0].backendRefs[1].weight: Invalid value: -1", Kind::Refused),
            ("Error: unknown flag: --field-manager\nSee 'kubectl patch --help' for usage.", Kind::Refused),
            ("error: the server doesn't have a resource type \"httproutes\"", Kind::Unserved),
            ("Error from server: admission webhook \"policy.example.org\" denied the request: no", Kind::Refused),
            // A webhook chooses the code of its no; 403 is what most take.
            ("Error from server (Forbidden): admission webhook \"policy.example.org\" denied the request: no", Kind::Refused),
            (
                "The deployments \"bot\" is invalid: : ValidatingAdmissionPolicy 'replicas' with binding 'all' denied request: too many",
                Kind::Refused,
            ),
            (
                "Unable to connect to the server: net/http: request canceled (Client.Timeout exceeded while awaiting headers)",
                Kind::Unclear,
            ),
            ("The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?", Kind::Unclear),
            (
                "Error from server (InternalError): an error on the server (\"\") has prevented the request from succeeding",
                Kind::Unclear,
            ),
            ("Error from server (ServiceUnavailable): the server is currently unable to handle the request", Kind::Unclear),
            ("Error from server (TooManyRequests): the server has received too many requests", Kind::Unclear),
            ("Error from server (Timeout): the server was unable to return a response in the time allotted", Kind::Unclear),
            ("", Kind::Unclear),
        ] {
            assert_eq!(kind(text), want, "{text}");
        }
    }

    #[test]
    fn warnings_are_not_the_reason() {
        let said =
            classify("get pods", "Warning: deprecated\nError from server (NotFound): pods \"a\" not found\n").error.to_string();
        assert_eq!(said, "`kubectl get pods`: Error from server (NotFound): pods \"a\" not found");
    }

    /// A server that is down: kubectl's libraries log each try before kubectl says so.
    #[test]
    fn the_log_of_libraries_is_not_the_reason() {
        let try_of = "E1121 08:00:00.000000    4711 memcache.go:265] couldn't get current server API group list: Get \
                      \"https://127.0.0.1:6443/api?timeout=5s\": dial tcp 127.0.0.1:6443: connect: connection refused\n";
        let refused = "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?";
        let said = classify("get pods", &format!("{}{refused}\n", try_of.repeat(5)));
        assert_eq!((said.kind, said.error.to_string()), (Kind::Unclear, format!("`kubectl get pods`: {refused}")));
        assert!(!is_log("Error from server") && !is_log("E12 x") && !is_log("é1121 x") && !is_log(""));
    }
}
