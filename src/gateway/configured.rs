//! What `[target.<name>.proxy]` means for how a gateway answers requests.

use super::settings::{FuseRule, Health, Identity, Limits, Names, Policy, Settings, Shadowing, Waits};
use crate::base::name::Name;
use crate::config::{ProxyRules, Secret};

/// What the rules only name: files and secrets, read.
#[derive(Debug, Default)]
pub struct Given {
    /// The certificate of users' connections and its key, both in PEM.
    pub tls: Option<(Vec<u8>, Secret)>,
    /// Authorities of versions, in PEM.
    pub authorities: Option<Vec<u8>>,
}

/// How a gateway with these rules answers, whose versions say on the path `ready` that they can.
pub fn settings(rules: &ProxyRules, ready: &str, given: Given) -> Settings {
    let tenants = |names: &[Name], policy: Policy| names.iter().map(move |name| (name.to_string(), policy)).collect::<Vec<_>>();
    let certified = |(certificates, key): (Vec<u8>, Secret)| Identity { certificates, key: key.expose().as_bytes().to_vec() };
    Settings {
        names: Names {
            session_cookie: rules.session_cookie.clone().or(Names::default().session_cookie).filter(|_| rules.sessions),
            session_age: rules.session_age,
            sticky_header: rules.sticky_header.clone(),
            tenant_header: rules.tenant_header.clone(),
            trust_forwarded: rules.trust_forwarded,
            ..Names::default()
        },
        waits: Waits {
            first_byte: rules.first_byte,
            idle: rules.idle,
            total: rules.total,
            drain: rules.drain,
            ..Waits::default()
        },
        limits: Limits { body: rules.max_body, ..Limits::default() },
        health: Health { path: Some(ready.to_owned()), ..Health::default() },
        fuse: FuseRule { share: rules.fuse, least: u64::from(rules.fuse_min), seconds: rules.fuse_window.as_secs() },
        shadow: Shadowing { paths: rules.shadow_paths.clone(), ..Shadowing::default() },
        tenants: tenants(&rules.stable_tenants, Policy::StableOnly)
            .into_iter()
            .chain(tenants(&rules.canary_tenants, Policy::Canary))
            .collect(),
        tls: given.tls.map(certified),
        authorities: given.authorities,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Env, Vocabulary, parse};
    use std::path::Path;

    fn rules(proxy: &str) -> ProxyRules {
        let text = format!(
            "[project]\nname = \"shop\"\n[model.bot]\ntype = \"config\"\npath = \"bot\"\n[target.local]\ncommand = [\"serve\"]\n{proxy}"
        );
        let loaded = parse(&text, Path::new("mlops.toml"), &Env::default(), None, &Vocabulary::default());
        let target = loaded.unwrap_or_else(|e| panic!("{e}")).project.target.remove(0);
        target.gateway().expect("a gateway").proxy.clone()
    }

    /// What `mlops.toml` documents as its default is what the gateway does without it.
    #[test]
    fn the_defaults_of_both_are_the_same() {
        let found = settings(&rules(""), "/ready", Given::default());
        assert_eq!(format!("{found:?}"), format!("{:?}", Settings::default()));
    }

    #[test]
    fn each_key_is_obeyed() {
        let rules = rules(
            "sticky-header = \"X-User\"\n[target.local.proxy]\nsessions = false\ntenant-header = \"X-Tenant\"\n\
             stable-tenants = [\"bank\"]\ncanary-tenants = [\"own\"]\ntrust-forwarded = true\nfirst-byte = \"1s\"\nidle = \"2s\"\n\
             total = \"3s\"\ndrain = \"4s\"\nmax-body-mib = 1\nfuse = 0.2\nfuse-min = 5\nfuse-window = \"6s\"\nshadow-paths = [\"/ask\"]\n",
        );
        let given = Given { tls: Some((b"pem".to_vec(), Secret::new("key".into()))), authorities: Some(b"ca".to_vec()) };
        let found = settings(&rules, "/up", given);
        assert_eq!((found.names.sticky_header.as_deref(), found.names.session_cookie), (Some("x-user"), None));
        assert_eq!((found.names.tenant_header.as_deref(), found.names.trust_forwarded), (Some("x-tenant"), true));
        let waits = [found.waits.first_byte, found.waits.idle, found.waits.total, found.waits.drain];
        assert_eq!(waits.map(|d| d.as_secs()), [1, 2, 3, 4]);
        assert_eq!((found.limits.body, found.fuse.least, found.fuse.seconds), (1 << 20, 5, 6));
        assert!((found.fuse.share - 0.2).abs() < f64::EPSILON);
        assert_eq!((found.tenants["bank"], found.tenants["own"]), (Policy::StableOnly, Policy::Canary));
        assert_eq!((found.shadow.paths, found.health.path.as_deref()), (vec!["/ask".to_owned()], Some("/up")));
        assert_eq!(found.tls.map(|tls| tls.key).as_deref(), Some(b"key".as_slice()));
        assert_eq!(found.authorities.as_deref(), Some(b"ca".as_slice()));
    }
}
