//! What kf says about web servers that split traffic.

use super::{loaded, refused};
use crate::base::version::Version;
use crate::config::{Splitter, Target};

const MODEL: &str = "[model.bot]\ntype = \"config\"\npath = \"bot\"\n";

fn target(text: &str) -> Target {
    loaded(&format!("{MODEL}[target.web]\n{text}"), &[], None).project.target[0].clone()
}

#[test]
fn a_server_needs_its_file_and_its_door() {
    let shared =
        "url = \"http://bot-{version}.eu:80{minor}{patch}\"\nprobe = \"http://127.0.0.1/ready\"\nsticky-header = \"X-User\"\n";
    let web = target(&format!("kind = \"nginx\"\nfile = \"/etc/nginx/kf.conf\"\n{shared}"));
    let Splitter::Nginx(nginx) = &web.splitter else { panic!("{web:?}") };
    assert_eq!((nginx.test.join(" "), nginx.reload.join(" ")), ("nginx -t".to_owned(), "nginx -s reload".to_owned()));
    assert_eq!(nginx.behind.url.at(&web.model, Version::new(1, 2, 3)), "http://bot-1.2.3.eu:8023");
    assert_eq!(nginx.behind.sticky_header.as_deref(), Some("x-user"), "as nginx names variables and Envoy headers");
    let edge = target(&format!("kind = \"envoy\"\ndir = \"kf\"\nadmin = \"[::1]:9901\"\nstart = [\"run\"]\n{shared}"));
    let Splitter::Envoy(envoy) = &edge.splitter else { panic!("{edge:?}") };
    assert_eq!((envoy.admin.to_string(), envoy.behind.start.clone()), ("[::1]:9901".to_owned(), Some(vec!["run".to_owned()])));
}

#[test]
fn what_could_never_split_is_refused_all_at_once() {
    let said = refused(
        r#"[project]
name = "shop"
[model.bot]
type = "config"
path = "bot"
[target.a]
kind = "nginx"
dir = "/etc/envoy"
start = []
sticky-header = "x y"
url = "http://bot/{version}"
[target.b]
kind = "envoy"
url = "https://bot-{version}.eu"
probe = "ftp://bot"
file = "a.conf"
admin = "localhost"
[target.c]
kind = "nginx"
url = "http://bot:8000"
probe = "http://ada:hunter2@bot"
file = "a.conf"
test = [""]
[target.d]
kind = "nginx"
url = "http://bot-{versoin}"
probe = "http://bot"
file = "a.conf"
[target.e]
kind = "nginx"
url = "http://bot-{version}:8000"
probe = "http://bot"
file = "a.conf"
"#,
    );
    for told in [
        "`target.a.dir` is for targets of kind `envoy`, this one is `nginx`",
        "`target.a.start` names no program",
        "`target.a.sticky-header` is not a name of letters, digits, `-` and `_`",
        "`target.a.url` must be an address without a path",
        "`target.a` of kind `nginx` needs `probe`",
        "`target.a` of kind `nginx` needs `file`",
        "`target.b.url` must be a URL with `http://` and a host",
        "`target.b.probe` must be a URL with `http://` or `https://` and a host",
        "`target.b.file` is for targets of kind `nginx`, this one is `envoy`",
        "`target.b.admin` must be an address and a port",
        "`target.b` of kind `envoy` needs `dir`",
        "`target.c.url` is the same for all versions",
        "`target.c.probe` holds a secret",
        "`target.c.test` names no program",
        "`target.e.url` has a host that is no name",
        "`target.d.url` has braces with something else than a name in them",
    ] {
        assert!(said.contains(told), "{told}\n{said}");
    }
}

#[test]
fn a_gateway_knows_its_addresses_and_how_versions_answer() {
    let plain = target(
        "command = [\"python3\", \"serve.py\"]\nsticky-header = \"X-User\"\n[target.web.proxy]\ntenant-header = \"X-Tenant\"\n",
    );
    let gateway = plain.gateway().expect("the kind that is meant when none is written");
    assert_eq!(
        (gateway.listen.to_string(), gateway.admin.to_string()),
        ("127.0.0.1:8080".to_owned(), "127.0.0.1:8081".to_owned())
    );
    let rules = &gateway.proxy;
    assert_eq!((rules.sticky_header.as_deref(), rules.tenant_header.as_deref()), (Some("x-user"), Some("x-tenant")));
    let remote = target("url = \"http://bot-{version}.internal:8000\"\nadmin = \"0.0.0.0:8081\"\nadmin-token = \"env:GATE\"\n");
    assert!(remote.gateway().is_some_and(|gateway| gateway.admin_token.is_some()));
}

#[test]
fn a_gateway_that_could_not_run_is_refused() {
    let said = refused(
        r#"[project]
name = "shop"
[model.bot]
type = "config"
path = "bot"
[target.a]
command = ["serve"]
url = "http://bot-{version}.eu"
[target.b]
command = []
[target.c]
admin = "0.0.0.0:8081"
command = ["serve"]
[target.d]
[target.e]
command = ["serve"]
listen = "127.0.0.1:8081"
[target.f]
command = ["serve"]
[target.f.proxy]
fuse = 1.5
fuse-window = "1500ms"
total = "0s"
shadow-paths = ["answer"]
tls-key = "env:KEY"
stable-tenants = ["bank"]
canary-tenants = ["bank"]
tenant-header = "x tenant"
[target.g]
kind = "nginx"
[target.g.proxy]
drain = "1s"
"#,
    );
    for told in [
        "`target.a` needs one of `command` and `url`",
        "`target.b` needs one of `command` and `url`",
        "`target.c.admin` is open to other machines and has no `admin-token`",
        "`target.d` needs `command` or `url`",
        "`target.e` has one address for users and for whoever steers it",
        "`target.f.proxy.fuse` must be above 0 and at most 1",
        "`target.f.proxy.fuse-window` must be whole seconds",
        "`target.f.proxy.total` must not be zero",
        "`target.f.proxy.shadow-paths` must be paths",
        "`target.f.proxy` has no `tls-certificate`",
        "`target.f.proxy` names the tenant `bank` twice",
        "`target.f.proxy.tenant-header` is not a name",
        "`target.g.proxy` is for targets of kind `gateway`, this one is `nginx`",
    ] {
        assert!(said.contains(told), "{told}\n{said}");
    }
}
