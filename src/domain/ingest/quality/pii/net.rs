//! E-mail addresses and the addresses of machines.

use super::runs::{Candidate, Match, Sep};
use super::{Finding, Kind, MOST};
use std::net::Ipv6Addr;

/// Longest local part and longest domain (RFC 5321, 4.5.3.1).
const LOCAL: usize = 64;
const DOMAIN: usize = 255;

/// Endings of files and units, which follow an `@` in programs and systems but are no domain.
const NO_DOMAIN: &[&str] = &[
    "png",
    "jpg",
    "jpeg",
    "gif",
    "svg",
    "webp",
    "css",
    "js",
    "ts",
    "html",
    "json",
    "yaml",
    "yml",
    "toml",
    "conf",
    "txt",
    "service",
    "socket",
    "target",
    "timer",
    "mount",
    "slice",
    "path",
    "device",
    "local",
    "localdomain",
];

/// Finds e-mail addresses.
pub(super) fn emails(text: &str, out: &mut Vec<Finding>) {
    let room = out.len() + MOST;
    let mut free = 0;
    for (at, _) in text.match_indices('@') {
        if out.len() >= room {
            return;
        }
        if let Some(span) = email(text, at).filter(|span| span.start >= free) {
            free = span.end;
            out.push(Finding { kind: Kind::Email, rule: "email", span, validated: false });
        }
    }
}

fn email(text: &str, at: usize) -> Option<std::ops::Range<usize>> {
    let local_char = |c: &char| c.is_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-' | '\'' | '&' | '=' | '~');
    let before: usize = text[..at].chars().rev().take(LOCAL + 1).take_while(local_char).map(char::len_utf8).sum();
    let local = text[at - before..at].trim_start_matches(['.', '\'', '-', '=', '&', '%', '~']);
    if local.is_empty() || local.ends_with('.') || local.chars().count() > LOCAL {
        return None;
    }
    let domain_char = |c: &char| c.is_alphanumeric() || matches!(c, '.' | '-');
    let after: usize = text[at + 1..].chars().take(DOMAIN + 1).take_while(domain_char).map(char::len_utf8).sum();
    let domain = text[at + 1..at + 1 + after].trim_end_matches(['.', '-']);
    let (_, top) = domain.rsplit_once('.')?;
    let labels = domain.split('.').all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'));
    let named = top.chars().count() >= 2 && (top.chars().all(char::is_alphabetic) || top.starts_with("xn--"));
    let file = NO_DOMAIN.contains(&top.to_lowercase().as_str());
    // `git@host.org:project` is where a program goes.
    let remote = local == "git" && text[at + 1 + domain.len()..].starts_with([':', '/']);
    (labels && named && !file && !remote).then(|| at - local.len()..at + 1 + domain.len())
}

/// Four numbers up to 255 with dots between that are no version, no section and no address that belongs to nobody.
pub(super) fn ipv4(c: &Candidate) -> Option<Match> {
    if c.groups.len() != 4 || !c.all_digits() || c.seps().any(|sep| sep != Sep::Dot) {
        return None;
    }
    let mut parts = [0; 4];
    for (part, group) in parts.iter_mut().zip(c.groups) {
        let digits = &c.text[group.start..group.end];
        // A leading zero is an octal number to some and a version or a date to most.
        *part = digits.parse().ok().filter(|_| digits.len() == 1 || !digits.starts_with('0'))?;
    }
    let nobody = matches!(parts, [0 | 127 | 255, ..]) || parts[1..] == [0, 0, 0];
    (!nobody && !is_glued(c) && !is_section(c, &parts) && !c.named(16, &["version", "versión", "release", "ver.", "rev.", "§"]))
        .then_some((Kind::Ip, "ipv4", false))
}

/// True when an address would be part of a longer number or of a name with a version: `1.2.3.4.5`, `tool-1.2.3.4`, `v1.2.3.4`.
fn is_glued(c: &Candidate) -> bool {
    let left = c.before.is_some_and(|_| matches!(c.groups[0].sep, Sep::Dot | Sep::Hyphen | Sep::Slash));
    let right = c.after.is_some_and(|a| a.sep == Sep::Dot || (a.sep == Sep::Hyphen && !a.is_number()));
    let before = c.text[..c.start()].chars().next_back();
    let after = c.text[c.groups[3].end..].chars().next();
    let path = c.text[..c.start()].ends_with('/') && !c.text[..c.start()].ends_with("//");
    let bound = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    left || right
        || path
        || before.is_some_and(|b| bound(b) || b == '-')
        || after.is_some_and(|a| a == '_' || a.is_alphanumeric())
}

/// True for the number of a section: small parts at the beginning of a line with a title after them.
fn is_section(c: &Candidate, parts: &[u8; 4]) -> bool {
    let begins = c.start() == 0 || c.text[..c.start()].ends_with('\n');
    begins && parts.iter().all(|part| (1..=30).contains(part))
}

/// Finds IPv6 addresses of networks and hosts: global, unique local and link-local ones.
pub(super) fn ipv6(text: &str, out: &mut Vec<Finding>) {
    let room = out.len() + MOST;
    let mut free = 0;
    for (at, _) in text.match_indices(':') {
        if at < free || out.len() >= room {
            continue;
        }
        let inside = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
        let bytes = text.as_bytes();
        let before = bytes[..at].iter().rev().take(5).take_while(|b| b.is_ascii_hexdigit()).count();
        let start = at - before;
        let length = bytes[start..].iter().take(46).take_while(|b| inside(b)).count();
        free = start + length;
        let word = text[start..free].trim_end_matches(['.', ':']);
        // `fe80::` ends in a colon that belongs to it.
        let word = if text[start..free].ends_with("::") { &text[start..free] } else { word };
        let glued = text[..start].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '.'))
            || text[free..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
        if !glued && word.parse().is_ok_and(is_host) {
            out.push(Finding { kind: Kind::Ip, rule: "ipv6", span: start..start + word.len(), validated: false });
        }
    }
}

fn is_host(address: Ipv6Addr) -> bool {
    let first = address.segments()[0];
    let host = address.segments()[1..].iter().any(|part| *part != 0);
    host && (first & 0xe000 == 0x2000 || first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80)
}
