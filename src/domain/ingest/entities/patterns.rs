//! Things that look alike in every text: identifiers of standards, laws, articles and weaknesses, dates, sums, domains, versions.
//!
//! Sources: RFC 3339 and the usual ways of writing days in the four languages; the DOI Handbook (§ 2.2, `10.` and a registrant);
//! the CVE numbering rules (`CVE-YYYY-NNNN…`); the citation rules for acts of the European Union (Interinstitutional Style
//! Guide, 2.1: `(EU) 2016/679`, earlier `95/46/EC`).

use super::money;
use super::words::{Word, month};
use super::{Node, Taken};

/// Finds them in a sentence.
pub(super) fn find(words: &[Word<'_>], language: Option<&str>, taken: &mut Taken) {
    let mut at = 0;
    while at < words.len() {
        let rest = &words[at..];
        let free = taken.used[at..].iter().take_while(|used| !**used).count();
        let rest = &rest[..free];
        match first(rest, language) {
            Some((n, node)) if n > 0 => {
                taken.take(words, at..at + n, node, "pattern", 95);
                at += n;
            }
            _ => at += 1,
        }
    }
}

/// What begins with the first of these words, and how many words it has.
fn first(words: &[Word<'_>], language: Option<&str>) -> Option<(usize, Node)> {
    words.first()?;
    one(words[0].text)
        .map(|node| (1, node))
        .or_else(|| standard(words))
        .or_else(|| law(words))
        .or_else(|| date(words, language))
        .or_else(|| money::sum(words))
        .or_else(|| money::sum_after(words))
        .or_else(|| version(words))
        .or_else(|| identifier(words[0].text).map(|node| (1, node)))
}

fn named(kind: &'static str, words: &[Word<'_>], n: usize, key: String) -> (usize, Node) {
    let name: Vec<&str> = words[..n].iter().map(|w| w.text).collect();
    (n, Node::new(kind, key, &name.join(" ")))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Things of one word that cannot be anything else.
fn one(word: &str) -> Option<Node> {
    let lower = word.to_ascii_lowercase();
    if let Some(at) =
        lower.find("10.").filter(|at| *at == 0 || lower[..*at].ends_with("doi:") || lower[..*at].ends_with("doi.org/"))
    {
        let doi = &lower[at..];
        let registrant = doi[3..].split('/').next().unwrap_or_default();
        let rest = doi[3..].split_once('/').map_or("", |(_, rest)| rest);
        return (registrant.len() >= 4 && registrant.bytes().all(|b| b.is_ascii_digit() || b == b'.') && !rest.is_empty())
            .then(|| Node::new("doi", doi, &word[at..]));
    }
    if let Some((year, number)) = lower.strip_prefix("cve-").and_then(|rest| rest.split_once('-')) {
        return (year.len() == 4 && is_digits(year) && number.len() >= 4 && is_digits(number))
            .then(|| Node::new("cve", lower.clone(), &word.to_ascii_uppercase()));
    }
    domain(&lower).map(|host| Node::new("domain", host, host))
}

/// The host of an address, or the domain of an e-mail address; nothing else of it is kept.
fn domain(lower: &str) -> Option<&str> {
    let host = if let Some((_, rest)) = lower.split_once("://") {
        let host = rest.split(['/', '?', '#']).next()?;
        host.rsplit_once('@').map_or(host, |(_, host)| host).split(':').next()?
    } else if let Some((user, host)) = lower.rsplit_once('@') {
        Some(host).filter(|_| !user.is_empty())?
    } else {
        Some(lower).filter(|host| host.starts_with("www."))?.split('/').next()?
    };
    let host = host.strip_prefix("www.").unwrap_or(host);
    let sound = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
    };
    let top = host.rsplit('.').next().unwrap_or_default();
    let named =
        host.contains('.') && host.split('.').all(sound) && top.len() >= 2 && top.bytes().all(|b| b.is_ascii_alphabetic());
    (named && host.len() <= 253).then_some(host)
}

/// Bodies whose documents have numbers.
const BODIES: &[&str] = &[
    "RFC", "ISO", "IEC", "ISO/IEC", "DIN", "EN", "IEEE", "NIST", "ANSI", "ITU-T", "ECMA", "UNE", "NF", "BS", "VDE", "VDI",
    "FIPS", "SP",
];

fn standard(words: &[Word<'_>]) -> Option<(usize, Node)> {
    let bodies = words.iter().take(4).take_while(|w| BODIES.contains(&w.text)).count();
    let (n, number, body) = if bodies > 0 && !words[bodies - 1].closes {
        let body: Vec<String> = words[..bodies].iter().map(Word::lower).collect();
        (bodies + 1, words.get(bodies)?.text, body.join(" "))
    } else {
        let split = words[0].text.find(|c: char| c.is_ascii_digit())?;
        let (body, number) = words[0].text.split_at(split);
        let body = body.trim_end_matches('-');
        (1, number, Some(body).filter(|b| BODIES.contains(b) && *b != "SP" && *b != "EN")?.to_lowercase())
    };
    let number = number.split(':').next().unwrap_or_default();
    let year = number.len() == 4
        && (number.starts_with("19") || number.starts_with("20"))
        && ["en", "sp", "bs", "nf"].contains(&body.as_str());
    let fits = number.starts_with(|c: char| c.is_ascii_digit())
        && number.len() <= 12
        && number.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
        && (body != "rfc" || is_digits(number))
        && number.chars().filter(char::is_ascii_digit).count() >= 2;
    (fits && !year).then(|| named("standard", words, n, format!("{body} {}", number.to_lowercase())))
}

/// Marks of the European Union and its forerunners in the four languages.
const UNION: &[&str] = &["EU", "UE", "EC", "CE", "EG", "EEC", "CEE", "EWG", "Euratom"];
/// What its acts are called.
const ACTS: &[&str] =
    &["regulation", "directive", "decision", "reglamento", "directiva", "règlement", "reglement", "verordnung", "richtlinie"];

fn law(words: &[Word<'_>]) -> Option<(usize, Node)> {
    paragraph(words).or_else(|| article(words)).or_else(|| union(words)).or_else(|| act(words))
}

/// A code such as `BGB`, `StGB`, `GDPR`: two capitals or more.
fn is_code(word: &str) -> bool {
    (2..=8).contains(&word.len())
        && word.chars().all(char::is_alphabetic)
        && word.chars().filter(|c| c.is_uppercase()).count() >= 2
}

fn is_section(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
        && word.len() <= 6
        && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
}

/// `§ 312g Abs. 1 BGB`; the paragraph counts, not its parts.
fn paragraph(words: &[Word<'_>]) -> Option<(usize, Node)> {
    let glued = words[0].text.strip_prefix('§').map(|rest| rest.trim_start_matches('§'))?;
    let (number, mut n) = if glued.is_empty() { (words.get(1)?.text, 2) } else { (glued, 1) };
    while let (Some(part), Some(value)) = (words.get(n), words.get(n + 1)) {
        if !matches!(part.text, "Abs" | "Satz" | "S" | "Nr" | "lit") || value.text.len() > 3 {
            break;
        }
        n += 2;
    }
    let code = words.get(n).filter(|w| is_section(number) && is_code(w.text))?;
    Some(named("law", words, n + 1, format!("§ {} {}", number.to_lowercase(), code.lower())))
}

/// `Article 6 of the GDPR`, `Art. 6 DSGVO`, `artículo 6 del RGPD`.
fn article(words: &[Word<'_>]) -> Option<(usize, Node)> {
    if !matches!(words[0].lower().as_str(), "article" | "art" | "artículo" | "artikel") {
        return None;
    }
    let number = words.get(1).filter(|w| is_section(w.text) && !w.closes)?;
    let joined =
        words[2..].iter().take_while(|w| matches!(w.text, "of" | "the" | "de" | "del" | "la" | "du" | "der" | "des")).count();
    let code = words.get(2 + joined).filter(|w| joined <= 2 && is_code(w.text))?;
    Some(named("law", words, 3 + joined, format!("art. {} {}", number.lower(), code.lower())))
}

fn is_numbered(text: &str, mark: char) -> bool {
    text.split_once(mark).is_some_and(|(a, b)| is_digits(a) && is_digits(b) && a.len() <= 4 && b.len() <= 5)
}

/// `Regulation (EU) 2016/679`, `Directive 95/46/EC`.
fn union(words: &[Word<'_>]) -> Option<(usize, Node)> {
    let named_first = usize::from(ACTS.contains(&words[0].lower().as_str()));
    let next = words.get(named_first)?;
    if UNION.contains(&next.text) && next.opens {
        let skip = usize::from(
            words.get(named_first + 1).is_some_and(|w| matches!(w.lower().as_str(), "nr" | "no" | "n" | "nº" | "n°")),
        );
        let number = words.get(named_first + 1 + skip).filter(|w| is_numbered(w.text, '/'))?;
        return Some(named("law", words, named_first + skip + 2, format!("eu {}", number.text)));
    }
    let (number, mark) = next.text.rsplit_once('/')?;
    (UNION.contains(&mark) && is_numbered(number, '/')).then(|| named("law", words, named_first + 1, format!("eu {number}")))
}

/// `Ley Orgánica 3/2018`, `loi n° 78-17`.
fn act(words: &[Word<'_>]) -> Option<(usize, Node)> {
    let first = words[0].lower();
    let mark = match first.as_str() {
        "ley" | "decreto" => '/',
        "loi" | "décret" | "ordonnance" => '-',
        _ => return None,
    };
    let organic = usize::from(words.get(1).is_some_and(|w| w.lower() == "orgánica"));
    let skip = usize::from(words.get(1 + organic).is_some_and(|w| matches!(w.lower().as_str(), "n°" | "nº" | "no" | "n")));
    let number = words.get(1 + organic + skip).filter(|w| is_numbered(w.text, mark))?;
    let kind = if organic == 1 { format!("{first} orgánica") } else { first };
    Some(named("law", words, 2 + organic + skip, format!("{kind} {}", number.text)))
}

fn day(text: &str) -> Option<u32> {
    let text = ["st", "nd", "rd", "th", "er"].iter().find_map(|s| text.strip_suffix(s)).unwrap_or(text);
    text.parse().ok().filter(|d| (1..=31).contains(d) && is_digits(text) && text.len() <= 2)
}

fn year(text: &str) -> Option<u32> {
    text.parse().ok().filter(|y| text.len() == 4 && is_digits(text) && (1500..=2200).contains(y))
}

/// A day that the calendar has.
fn iso(year: u32, month: u32, day: u32) -> Option<String> {
    let (y, m, d) = (i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    jiff::civil::Date::new(y, m, d).ok().map(|date| date.to_string())
}

fn date(words: &[Word<'_>], language: Option<&str>) -> Option<(usize, Node)> {
    if let Some(key) = digits_date(words[0].text, language) {
        return Some(named("date", words, 1, key));
    }
    let of = |at: usize| usize::from(words.get(at).is_some_and(|w| matches!(w.text, "de" | "del" | "of")));
    // 3 March 2024, 14. Februar 2025, 7 de octubre de 2022.
    if let Some(day) = day(words[0].text) {
        let at = 1 + of(1);
        let month = month(words.get(at)?.text)?;
        let at = at + 1 + of(at + 1);
        return Some(named("date", words, at + 1, iso(year(words.get(at)?.text)?, month, day)?));
    }
    let month = month(words[0].text)?;
    // March 3, 2024.
    if let (Some(day), Some(year)) = (words.get(1).and_then(|w| day(w.text)), words.get(2).and_then(|w| year(w.text))) {
        return Some(named("date", words, 3, iso(year, month, day)?));
    }
    let at = 1 + of(1);
    let year = year(words.get(at).filter(|_| !words[at - 1].closes)?.text)?;
    Some(named("date", words, at + 1, format!("{year:04}-{month:02}")))
}

/// `2025-11-30`, `25.05.2018`, `15/09/2024`. With strokes English puts the month first or the day: only what is certain counts.
fn digits_date(text: &str, language: Option<&str>) -> Option<String> {
    let mark = text.chars().find(|c| !c.is_ascii_digit()).filter(|c| matches!(c, '-' | '.' | '/'))?;
    let parts: Vec<&str> = text.split(mark).collect();
    let [a, b, c] = parts[..] else { return None };
    if let (Some(year), '-', 2, 2) = (year(a), mark, b.len(), c.len()) {
        return iso(year, b.parse().ok()?, c.parse().ok()?);
    }
    let (first, second, year) = (day(a)?, day(b)?, year(c)?);
    match mark {
        '/' if first > 12 || (language.is_some_and(|l| l != "en") && second <= 12) => iso(year, second, first),
        '/' if second > 12 => iso(year, first, second),
        '.' => iso(year, second, first),
        _ => None,
    }
}

fn version(words: &[Word<'_>]) -> Option<(usize, Node)> {
    let said = matches!(words[0].lower().as_str(), "version" | "versión" | "versione" | "release" | "v") && !words[0].closes;
    let (n, text) = if said { (2, words.get(1)?.text) } else { (1, words[0].text) };
    let bare = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let (numbers, suffix) = bare.split_at(bare.find(['-', '+']).unwrap_or(bare.len()));
    let parts: Vec<&str> = numbers.split('.').collect();
    // A day that the calendar does not have is no version either.
    let day_like = parts.len() == 3 && parts[2].len() == 4 && parts[..2].iter().all(|p| p.len() <= 2);
    let sound = !day_like && parts.len() <= 4 && parts.iter().all(|p| is_digits(p) && p.len() <= 5) && suffix.len() <= 20;
    let enough = match (said, bare.len() < text.len()) {
        (true, _) => parts.len() >= 2 || parts[0].len() <= 3,
        (false, true) => parts.len() >= 2,
        (false, false) => parts.len() == 3,
    };
    (sound && enough).then(|| (n, Node::new("version", bare.to_lowercase(), bare)))
}

/// Names of methods and encodings that look like identifiers.
const METHODS: &[&str] =
    &["UTF", "SHA", "AES", "RSA", "MD", "ISO", "TLS", "SSL", "HTTP", "USB", "COVID", "CP", "ASCII", "UCS", "ED", "GPT"];

/// `INC-20417`, `SKU-2041-B`, `E1042`: capitals, then at least three digits.
fn identifier(text: &str) -> Option<Node> {
    let letters = text.find(|c: char| !c.is_ascii_uppercase()).filter(|n| (1..=6).contains(n))?;
    let (prefix, rest) = text.split_at(letters);
    let hyphen = rest.starts_with('-');
    let digits = rest.chars().filter(char::is_ascii_digit).count();
    let plain = rest.chars().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase() || c == '-');
    let enough = if hyphen { digits >= 3 } else { digits >= 4 && rest.chars().all(|c| c.is_ascii_digit()) };
    (plain && enough && text.len() <= 40 && !METHODS.contains(&prefix))
        .then(|| Node::new("identifier", text.to_lowercase(), text))
}
