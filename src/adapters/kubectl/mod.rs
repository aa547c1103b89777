//! Traffic in a Kubernetes cluster, through `kubectl`: credentials, contexts and proxies are those that people have already.
//!
//! Two Deployments take turns: one serves, the other gets the next version, and the next time it is the other way round. Which
//! is whose is told by the version that each runs (`track`), never remembered elsewhere. How the traffic is split between them
//! is a `Way`, one file each, which does no I/O: it looks at objects and says what is the next change.
//!
//! Invariants: nothing is written that was not read in the same call; every change is guarded by what was read (resource version,
//! generation, the names that stand at an index), so who changed it meanwhile wins; after every error the objects are read again,
//! because the change may be done; the pods of a Deployment that has traffic never get another version; a Deployment without
//! ready pods never gets traffic. Errors of one command are told apart in `failure`.

mod deployment;
mod failure;
mod httproute;
mod ingress;
mod object;
mod pods;
mod rights;
mod run;
mod service;
mod target;
mod track;
mod virtualservice;
mod way;
mod weights;

pub use target::Kubernetes;
