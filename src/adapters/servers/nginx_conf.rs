//! The file that nginx includes, as text.
//!
//! It stands in `http { … }` and gives the `location` of users variables, all of which begin with `kf_` and the target's name:
//! `$kf_web` where a request goes (with the scheme), `$kf_web_host` that version's name for TLS, `$kf_web_version`,
//! `$kf_web_generation` (empty unless kf asks), `$kf_web_counted` 0 then and otherwise 1,
//! `$kf_web_shadow` where a copy goes (empty: nowhere).
//!
//! From the documentation of `ngx_http_split_clients_module`, `ngx_http_map_module` and `ngx_http_upstream_module`. The canary's
//! buckets come first, so that a higher weight only moves sessions to it and a lower one only back. `split_clients` refuses 0 %,
//! so a line without a part is left out.

use super::IDLE_SECONDS;
use super::split::{PROBE, Split, VERSION_COOKIE, VERSION_HEADER};
use crate::base::digest::Digest;
use crate::base::error::{Error, Result};
use crate::base::name::Name;
use crate::base::version::Version;
use crate::base::weight::Weight;
use std::fmt::Write as _;
use url::Url;

/// How the first line begins; the split and the digest of what follows come after it.
const MARK: &str = "# kf ";
/// Connections to each version that are kept open by each worker.
const KEEPALIVE: u32 = 32;

/// What of a target is in the file.
pub(super) struct Conf {
    pub(super) target: Name,
    pub(super) sticky_header: Option<String>,
    pub(super) session_cookie: Option<String>,
}

/// A version and where it answers.
pub(super) type Place = (Version, Url);

impl Conf {
    /// What the names of this target begin with.
    pub(super) fn prefix(&self) -> String {
        let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        format!("kf_{}", self.target.as_str().chars().map(word).collect::<String>())
    }

    /// The whole file for a split whose versions answer at `places`.
    pub(super) fn render(&self, split: &Split, places: &[Place]) -> String {
        let mut body = format!(
            "# What goes where for the target `{}` of kf, which writes this file anew: changes belong beside it.\n",
            self.target
        );
        let place = |version: Option<Version>| places.iter().find(|(v, _)| Some(*v) == version);
        let (stable, canary) = (place(split.rest()), place(split.canary));
        self.upstreams(&mut body, stable, canary);
        self.session(&mut body, split);
        self.choice(&mut body, stable, place(split.named()));
        self.facts(&mut body, split, stable, canary);
        format!("{MARK}{} {}\n{body}", split.line(), Digest::of(body.as_bytes()))
    }

    fn upstreams(&self, out: &mut String, stable: Option<&Place>, canary: Option<&Place>) {
        let p = self.prefix();
        for (role, place) in [("stable", Some(stable)), ("canary", canary.map(Some))] {
            let Some(place) = place else { continue };
            // Before the first version there is nobody to ask: nginx answers 502.
            let server = place.map_or("127.0.0.1:1 down".to_owned(), |(_, url)| authority(url));
            out.push_str(&format!(
                "upstream {p}_{role} {{ server {server}; keepalive {KEEPALIVE}; keepalive_timeout {IDLE_SECONDS}s; }}\n"
            ));
        }
    }

    /// What keeps a session where it is, and the split.
    fn session(&self, out: &mut String, split: &Split) {
        let p = self.prefix();
        let by_cookie = match &self.session_cookie {
            Some(cookie) => {
                let key = cookie_pattern(cookie, &format!("(?<{p}_sid>[^;]+)"));
                out.push_str(&format!("map $http_cookie ${p}_by_cookie {{ {key} ${p}_sid; default $request_id; }}\n"));
                format!("${p}_by_cookie")
            }
            None => "$request_id".to_owned(),
        };
        let key = match &self.sticky_header {
            Some(header) => {
                let header = variable(header);
                out.push_str(&format!("map {header} ${p}_session {{ \"\" {by_cookie}; default {header}; }}\n"));
                format!("${p}_session")
            }
            None => by_cookie,
        };
        let part = if split.stable.is_none() && split.weight > Weight::NONE { Weight::FULL } else { split.weight };
        let lines = parts(part, "canary", "stable");
        out.push_str(&format!("split_clients \"{}:{key}\" ${p}_split {{ {lines} }}\n", split.salt()));
    }

    /// Header before cookie before split.
    fn choice(&self, out: &mut String, stable: Option<&Place>, canary: Option<&Place>) {
        let p = self.prefix();
        // Before the first version is stable, the canary is both.
        let stable = stable.filter(|(version, _)| canary.is_none_or(|(other, _)| other != version));
        let named: Vec<_> = [("canary", canary), ("stable", stable)].into_iter().filter_map(|(r, p)| Some((r, p?))).collect();
        let (mut by_cookie, mut by_header) = (String::new(), String::new());
        for (role, (version, _)) in named {
            let value = format!("(?:{role}|{})", version.to_string().replace('.', "\\."));
            let _ = write!(by_cookie, "{} {role}; ", cookie_pattern(VERSION_COOKIE, &format!("{value}\\s*")));
            let _ = write!(by_header, "{role} {role}; \"{version}\" {role}; ");
        }
        out.push_str(&format!("map $http_cookie ${p}_named {{ {by_cookie}default ${p}_split; }}\n"));
        out.push_str(&format!("map {} ${p}_arm {{ {by_header}default ${p}_named; }}\n", variable(VERSION_HEADER)));
    }

    /// What `location`s use.
    fn facts(&self, out: &mut String, split: &Split, stable: Option<&Place>, canary: Option<&Place>) {
        let p = self.prefix();
        let scheme = |place: Option<&Place>| place.map_or("http".to_owned(), |(_, url)| url.scheme().to_owned());
        let mut both = |name: &str, of: &dyn Fn(&str, Option<&Place>) -> String| {
            let line = canary.map_or(String::new(), |place| format!("canary \"{}\"; ", of("canary", Some(place))));
            out.push_str(&format!("map ${p}_arm ${p}{name} {{ {line}default \"{}\"; }}\n", of("stable", stable)));
        };
        both("", &|role, place| format!("{}://{p}_{role}", scheme(place)));
        both("_host", &|_, place| place.and_then(|(_, url)| url.host_str().map(str::to_owned)).unwrap_or_default());
        both("_version", &|_, place| place.map_or("none".to_owned(), |(version, _)| version.to_string()));
        // As a pattern, since a target may be called `default`, which is a word of `map`.
        let (probe, target) = (variable(PROBE), self.target.as_str().replace('.', "\\."));
        out.push_str(&format!("map {probe} ${p}_generation {{ \"~^{target}$\" '{}'; default \"\"; }}\n", split.line()));
        out.push_str(&format!("map {probe} ${p}_counted {{ \"\" 1; default 0; }}\n"));
        let lines = parts(split.shadow, "yes", "no");
        out.push_str(&format!("split_clients \"shadow:$request_id\" ${p}_copied {{ {lines} }}\n"));
        let copy = canary.map_or(String::new(), |place| format!("\"yes:stable\" \"{}://{p}_canary\"; ", scheme(Some(place))));
        out.push_str(&format!("map \"${p}_copied:${p}_arm\" ${p}_shadow {{ {copy}default \"\"; }}\n"));
    }

    /// What a file says, and whether it is as [`Conf::render`] made it. Of one that was edited the weight is read where nginx
    /// reads it.
    ///
    /// # Errors
    /// When it does not begin as one of kf.
    pub(super) fn parse(&self, text: &str) -> Result<(Split, bool)> {
        let (mut split, digest, body) = Self::told(text)?;
        let as_written = digest == Digest::of(body.as_bytes()).to_string();
        if !as_written {
            split.weight = self.weight_in(body).unwrap_or(split.weight);
        }
        Ok((split, as_written))
    }

    /// The split as it was written, the digest of what followed it then, and what follows it now.
    ///
    /// # Errors
    /// When it does not begin as one of kf.
    pub(super) fn told(text: &str) -> Result<(Split, &str, &str)> {
        let foreign = || Error::new(format!("its first line does not begin with `{}{{`", MARK));
        let (first, body) = text.strip_prefix(MARK).and_then(|rest| rest.split_once('\n')).ok_or_else(foreign)?;
        let (line, digest) = first.rsplit_once(' ').ok_or_else(foreign)?;
        Ok((Split::from_line(line)?, digest, body))
    }

    fn weight_in(&self, body: &str) -> Option<Weight> {
        let block = body.split_once(&format!(" ${}_split {{", self.prefix()))?.1.split_once('}')?.0;
        if block.trim_start().starts_with("* canary") {
            return Some(Weight::FULL);
        }
        match block.split_once('%') {
            Some((percent, rest)) if rest.trim_start().starts_with("canary") => {
                Weight::from_percent(percent.trim().parse().ok()?)
            }
            _ => Some(Weight::NONE),
        }
    }
}

/// The lines of `split_clients` for two values of which the first has `part`.
fn parts(part: Weight, first: &str, rest: &str) -> String {
    match part {
        Weight::NONE => format!("* {rest};"),
        Weight::FULL => format!("* {first};"),
        part => {
            let hundredths = part.hundredths();
            format!("{}.{:02}% {first}; * {rest};", hundredths / 100, hundredths % 100)
        }
    }
}

/// The variable of a header.
fn variable(header: &str) -> String {
    format!("$http_{}", header.replace('-', "_"))
}

/// A key of `map` that finds a cookie with such a value.
fn cookie_pattern(name: &str, value: &str) -> String {
    format!("\"~(?:^|;\\s*){name}={value}(?:;|$)\"")
}

/// Host and port.
fn authority(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or(80);
    format!("{}:{port}", url.host_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn conf() -> Conf {
        let sticky_header = Some("x-session".to_owned());
        Conf { target: "web-1.eu".parse().expect("a name"), sticky_header, session_cookie: Some("sid".to_owned()) }
    }

    fn places() -> Vec<Place> {
        ["http://127.1.0.0:8000", "https://bot.example:8443"]
            .iter()
            .zip([Version::new(1, 0, 0), Version::new(1, 1, 0)])
            .map(|(url, version)| (version, url.parse().expect("a URL")))
            .collect()
    }

    fn split(weight: u16) -> Split {
        let weight = Weight::from_hundredths(weight).expect("a weight");
        let (stable, canary) = (Some(Version::new(1, 0, 0)), Some(Version::new(1, 1, 0)));
        Split { generation: 7, stable, canary, weight, shadow: Weight::NONE, replaced: None }
    }

    #[test]
    fn no_part_is_written_as_none_and_all_as_the_rest() {
        for (weight, line) in [(0, "{ * stable; }"), (10_000, "{ * canary; }"), (5, "{ 0.05% canary; * stable; }")] {
            let text = conf().render(&split(weight), &places());
            assert!(text.contains(&format!("$kf_web_1_eu_split {line}")), "{text}");
        }
    }

    /// The first version of all gets all, whatever part of it was asked for.
    #[test]
    fn nobody_is_sent_to_a_version_that_is_not_there() {
        let first = Split { stable: None, ..split(500) };
        let text = conf().render(&first, &places());
        assert!(text.contains("$kf_web_1_eu_split { * canary; }") && !text.contains(" down"), "{text}");
        let nothing = Split { canary: None, ..Split::of(None) };
        assert!(conf().render(&nothing, &places()).contains("server 127.0.0.1:1 down;"));
    }

    #[test]
    fn an_edit_is_seen_and_its_weight_read() {
        let text = conf().render(&split(500), &places());
        assert_eq!(conf().parse(&text).expect("ours"), (split(500), true));
        assert_eq!(conf().parse(&text.replace("5.00%", "50%")).expect("ours"), (split(5_000), false));
        assert_eq!(conf().parse(&text.replace("5.00% canary; * stable", "* canary")).expect("ours"), (split(10_000), false));
        assert_eq!(conf().parse(&text.replace("5.00% canary; ", "")).expect("ours"), (split(0), false));
        assert_eq!(conf().parse(&text.replace("keepalive 32", "keepalive 8")).expect("ours"), (split(500), false));
        for foreign in ["", "# kf", "# kf {}", "# kf {} x\n", "upstream a {}\n", "# kf {\"generation\":-1} y\n"] {
            assert!(conf().parse(foreign).is_err(), "{foreign}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_garbage_is_no_panic(weight in 0_u16..=10_000, garbage in any::<String>(), at in any::<prop::sample::Index>()) {
            let text = conf().render(&split(weight), &places());
            prop_assert_eq!(conf().parse(&text).expect("ours"), (split(weight), true));
            let at = at.index(text.len());
            let _ = conf().parse(&format!("{}{garbage}{}", &text[..at], &text[at..]));
            let _ = conf().parse(&garbage);
        }
    }
}
