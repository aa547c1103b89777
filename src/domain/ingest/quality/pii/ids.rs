//! National ids of Spain, France, Germany, the United States and the United Kingdom.

use super::runs::{Candidate, Match, Sep};
use super::{Kind, LABEL};

/// One number of one state.
pub(super) struct Rule {
    /// Its name in reports.
    pub(super) name: &'static str,
    /// Letters and digits of its groups, as it is written.
    pub(super) shapes: &'static [&'static [u8]],
    /// The characters and the check digit.
    pub(super) check: fn(&[u8]) -> bool,
    /// True when `check` proves it by a check digit.
    pub(super) proves: bool,
    /// Words of which one must stand before it, when the number alone could be anything.
    pub(super) words: &'static [&'static str],
}

const RULES: &[Rule] = &[
    Rule { name: "es-dni", shapes: &[&[9], &[8, 1], &[2, 3, 3, 1], &[2, 3, 4]], check: dni, proves: true, words: &[] },
    Rule { name: "es-nie", shapes: &[&[9], &[1, 7, 1], &[1, 8], &[8, 1]], check: nie, proves: true, words: &[] },
    Rule { name: "fr-nir", shapes: NIR, check: nir, proves: true, words: &[] },
    Rule { name: "de-steuer-id", shapes: &[&[11], &[2, 3, 3, 3], &[2, 9]], check: steuer_id, proves: true, words: &[] },
    Rule {
        name: "de-rentenversicherung",
        shapes: &[&[12], &[2, 6, 1, 3], &[8, 1, 3], &[2, 6, 4], &[2, 6, 1, 2, 1], &[2, 2, 2, 2, 1, 3]],
        check: rentenversicherung,
        proves: true,
        words: &[],
    },
    Rule {
        name: "de-ausweis",
        shapes: &[&[10], &[9, 1]],
        check: ausweis,
        proves: true,
        words: &["ausweis", "perso", "pass", "reisepass", "identity", "id card"],
    },
    Rule { name: "us-ssn", shapes: &[&[3, 2, 4]], check: ssn, proves: false, words: &[] },
    Rule {
        name: "us-ssn",
        shapes: &[&[3, 2, 4], &[9]],
        check: ssn,
        proves: false,
        words: &["ssn", "social security", "soc. sec"],
    },
    Rule { name: "uk-nhs", shapes: &[&[3, 3, 4], &[10]], check: nhs, proves: true, words: &["nhs", "patient"] },
    Rule { name: "uk-nino", shapes: &[&[2, 2, 2, 2, 1], &[2, 6, 1], &[2, 7], &[8, 1]], check: nino, proves: false, words: &[] },
    // Disks and screws have such names too.
    Rule { name: "uk-nino", shapes: &[&[9]], check: nino, proves: false, words: &["nino", "ni n", "national ins", "insurance"] },
];

const NIR: &[&[u8]] = &[&[15], &[13, 2], &[1, 2, 2, 2, 3, 3, 2], &[1, 2, 2, 2, 6, 2], &[1, 4, 2, 3, 3, 2], &[1, 4, 5, 3, 2]];

pub(super) fn judge(c: &Candidate) -> Option<Match> {
    apply(RULES, c)
}

/// The first rule that fits a candidate.
pub(super) fn apply(rules: &[Rule], c: &Candidate) -> Option<Match> {
    if !(9..=16).contains(&c.joined.len()) || !c.upper() || c.seps().any(|sep| matches!(sep, Sep::Bracket | Sep::Wide)) {
        return None;
    }
    // Two groups with a dot between are a number with decimals.
    let decimal = c.groups.len() == 2 && c.seps().any(|sep| sep == Sep::Dot);
    // Three columns of a table can look like a number without check digit; hyphens or a letter set it apart.
    let proven = |rule: &Rule| rule.proves || !rule.words.is_empty() || !c.all_digits();
    let fits = |rule: &&Rule| {
        !decimal
            && c.has_shape(rule.shapes)
            && (rule.check)(c.joined)
            && c.stands_alone()
            && (rule.words.is_empty() || c.named(LABEL, rule.words))
            && (proven(rule) || c.seps().all(|sep| sep == Sep::Hyphen))
    };
    rules.iter().find(fits).map(|rule| (Kind::NationalId, rule.name, rule.proves))
}

/// The digits as a number; 0 for what is no digit, which every caller excludes first.
pub(super) fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |n, d| n * 10 + u64::from(d.wrapping_sub(b'0')))
}

pub(super) fn digits(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_digit)
}

/// The sum of digits times weights.
pub(super) fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(d, w)| u32::from(d - b'0') * w).sum()
}

/// Documento Nacional de Identidad: the letter is the number modulo 23 (Real Decreto 1553/2005).
fn dni(id: &[u8]) -> bool {
    id.len() == 9 && digits(&id[..8]) && id[8] == b"TRWAGMYFPDXBNJZSQVHLCKE"[(number(&id[..8]) % 23) as usize]
}

/// Número de Identidad de Extranjero: X, Y, Z stand for 0, 1, 2.
fn nie(id: &[u8]) -> bool {
    if id.len() != 9 || !matches!(id[0], b'X'..=b'Z') {
        return false;
    }
    let mut plain = [0; 9];
    plain.copy_from_slice(id);
    plain[0] = id[0] - b'X' + b'0';
    dni(&plain)
}

/// Numéro d'inscription au répertoire: sex, year, month, place, order and a key of 97 minus the remainder; Corsica's 2A and
/// 2B count as 19 and 18.
fn nir(id: &[u8]) -> bool {
    if id.len() != 15 || !digits(&id[..5]) || !digits(&id[7..]) || !matches!(id[0], b'1' | b'2' | b'3' | b'4' | b'7' | b'8') {
        return false;
    }
    let mut plain = [0; 15];
    plain.copy_from_slice(id);
    match &id[5..7] {
        b"2A" => plain[5..7].copy_from_slice(b"19"),
        b"2B" => plain[5..7].copy_from_slice(b"18"),
        place if digits(place) => {}
        _ => return false,
    }
    let month = number(&plain[3..5]);
    let real = matches!(month, 1..=12 | 20..=42 | 50..=99) && number(&plain[7..10]) > 0 && number(&plain[5..7]) > 0;
    real && 97 - number(&plain[..13]) % 97 == number(&plain[13..])
}

/// Steuerliche Identifikationsnummer: one digit of the first ten occurs two or three times, the others at most once (one more
/// is missing then), and the last is an ISO/IEC 7064 MOD 11,10 check digit.
fn steuer_id(id: &[u8]) -> bool {
    if id.len() != 11 || !digits(id) || id[0] == b'0' {
        return false;
    }
    let mut times = [0; 10];
    id[..10].iter().for_each(|d| times[usize::from(d - b'0')] += 1);
    let repeated = times.iter().filter(|n| **n > 1).count();
    let in_a_row = id[..10].windows(3).any(|w| w[0] == w[1] && w[1] == w[2]);
    if repeated != 1 || times.iter().any(|n| *n > 3) || in_a_row {
        return false;
    }
    let rest = id[..10].iter().fold(10, |p, d| {
        let sum = (u32::from(d - b'0') + p) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - rest) % 10 == u32::from(id[10] - b'0')
}

/// Versicherungsnummer of the pension insurance: area, birth date, initial, serial, check digit (§ 147 SGB VI, § 2 VKVV).
fn rentenversicherung(id: &[u8]) -> bool {
    if id.len() != 12 || !digits(&id[..8]) || !id[8].is_ascii_uppercase() || !digits(&id[9..]) {
        return false;
    }
    let (day, month) = (number(&id[2..4]), number(&id[4..6]));
    if !matches!(day, 1..=31 | 51..=81) || !(1..=12).contains(&month) || number(&id[..2]) < 2 {
        return false;
    }
    let letter = id[8] - b'A' + 1;
    let mut plain = [0; 12];
    plain[..8].copy_from_slice(&id[..8]);
    (plain[8], plain[9]) = (b'0' + letter / 10, b'0' + letter % 10);
    plain[10..].copy_from_slice(&id[9..11]);
    let sum: u32 = plain
        .iter()
        .zip([2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1])
        .map(|(d, w)| u32::from(d - b'0') * w)
        .map(|n| n / 10 + n % 10)
        .sum();
    sum % 10 == u32::from(id[11] - b'0')
}

/// Serial number of an identity card or a passport with its check digit (ICAO Doc 9303: weights 7, 3, 1; letters 10 to 35).
fn ausweis(id: &[u8]) -> bool {
    let letters = b"CFGHJKLMNPRTVWXYZ";
    if id.len() != 10 || !letters.contains(&id[0]) || !id.iter().all(|c| c.is_ascii_digit() || letters.contains(c)) {
        return false;
    }
    let value = |c: u8| if c.is_ascii_digit() { u32::from(c - b'0') } else { u32::from(c - b'A') + 10 };
    let sum: u32 = id[..9].iter().zip([7, 3, 1].iter().cycle()).map(|(c, w)| value(*c) * w).sum();
    id[9].is_ascii_digit() && sum % 10 == value(id[9])
}

/// Social Security number: no check digit; area, group and serial must be ones that are given, two famous ones are not.
fn ssn(id: &[u8]) -> bool {
    if id.len() != 9 || !digits(id) {
        return false;
    }
    let (area, group, serial) = (number(&id[..3]), number(&id[3..5]), number(&id[5..]));
    (1..900).contains(&area) && area != 666 && group > 0 && serial > 0 && !matches!(id, b"078051120" | b"219099999")
}

/// NHS number: weights 10 to 2, modulo 11.
fn nhs(id: &[u8]) -> bool {
    if id.len() != 10 || !digits(id) {
        return false;
    }
    let check = 11 - weighted(&id[..9], &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    check != 10 && check % 11 == u32::from(id[9] - b'0')
}

/// National Insurance number: no check digit; prefixes that are never given are excluded (HMRC, NIM39110).
fn nino(id: &[u8]) -> bool {
    id.len() == 9
        && id[..2].iter().all(|c| c.is_ascii_uppercase() && !b"DFIQUV".contains(c))
        && id[1] != b'O'
        && !matches!(&id[..2], b"BG" | b"GB" | b"NK" | b"KN" | b"TN" | b"NT" | b"ZZ")
        && digits(&id[2..8])
        && matches!(id[8], b'A'..=b'D')
}
