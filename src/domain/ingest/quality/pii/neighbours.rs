//! National ids of the neighbours: Italy, Austria, Switzerland, Belgium, Portugal.

use super::bank::mod_97;
use super::ids::{Rule, apply, digits, number, weighted};
use super::runs::{Candidate, Match};

const RULES: &[Rule] = &[
    Rule {
        name: "it-codice-fiscale",
        shapes: &[&[16], &[6, 5, 5], &[3, 3, 5, 5], &[6, 5, 4, 1], &[3, 3, 5, 4, 1]],
        check: codice_fiscale,
        proves: true,
        words: &[],
    },
    Rule { name: "at-svnr", shapes: &[&[4, 6]], check: svnr, proves: true, words: &[] },
    Rule {
        name: "at-svnr",
        shapes: &[&[10]],
        check: svnr,
        proves: true,
        words: &["sozialversicherung", "svnr", "sv-nr", "vsnr"],
    },
    Rule { name: "ch-ahv", shapes: &[&[3, 4, 4, 2], &[13]], check: ahv, proves: true, words: &[] },
    Rule { name: "be-national-number", shapes: &[&[11], &[2, 2, 2, 3, 2], &[6, 3, 2]], check: belgian, proves: true, words: &[] },
    Rule {
        name: "pt-nif",
        shapes: &[&[9], &[3, 3, 3]],
        check: nif,
        proves: true,
        words: &["nif", "contribuinte", "número fiscal"],
    },
];

pub(super) fn judge(c: &Candidate) -> Option<Match> {
    apply(RULES, c)
}

/// Values of letters and digits in odd places of a codice fiscale, 0 to 9 and A to Z (D.M. 23/12/1976).
const ODD: [u32; 26] = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];

/// Codice fiscale: six letters of the name, birth date, place and a letter that is the sum of all modulo 26. Digits may be
/// letters when two people would have the same.
fn codice_fiscale(id: &[u8]) -> bool {
    let replaced = |c: &u8| c.is_ascii_digit() || b"LMNPQRSTUV".contains(c);
    let form = id.len() == 16
        && id[..6].iter().all(u8::is_ascii_uppercase)
        && [6, 7, 9, 10, 12, 13, 14].iter().all(|i| replaced(&id[*i]))
        && b"ABCDEHLMPRST".contains(&id[8])
        && id[11].is_ascii_uppercase()
        && id[15].is_ascii_uppercase();
    if !form {
        return false;
    }
    let value = |c: u8| usize::from(if c.is_ascii_digit() { c - b'0' } else { c - b'A' });
    let sum: u32 = (0..15).map(|i| if i % 2 == 0 { ODD[value(id[i])] } else { value(id[i]) as u32 }).sum();
    sum % 26 == u32::from(id[15] - b'A')
}

/// Sozialversicherungsnummer: serial, check digit in fourth place, birth date (months up to 15 when days ran out).
fn svnr(id: &[u8]) -> bool {
    if id.len() != 10 || !digits(id) || id[0] == b'0' {
        return false;
    }
    let date = (1..=31).contains(&number(&id[4..6])) && (1..=15).contains(&number(&id[6..8]));
    date && weighted(id, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]) % 11 == u32::from(id[3] - b'0')
}

/// AHV number: 756 and an EAN-13 check digit.
fn ahv(id: &[u8]) -> bool {
    id.len() == 13
        && id.starts_with(b"756")
        && digits(id)
        && weighted(id, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_multiple_of(10)
}

/// National register number: birth date, serial, 97 minus the remainder of the rest, with a 2 before it from 2000 on.
fn belgian(id: &[u8]) -> bool {
    if id.len() != 11 || !digits(id) || number(&id[6..9]) == 0 {
        return false;
    }
    let (month, day) = (number(&id[2..4]), number(&id[4..6]));
    let check = |rest: u32| u64::from(97 - rest) == number(&id[9..]);
    (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (check(mod_97(&id[..9])) || check(mod_97(b"2".iter().chain(&id[..9]))))
}

/// Número de identificação fiscal of a person: weights 9 to 2, modulo 11.
fn nif(id: &[u8]) -> bool {
    if id.len() != 9 || !digits(id) || !matches!(id[0], b'1' | b'2' | b'3') {
        return false;
    }
    let rest = weighted(&id[..8], &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    u32::from(id[8] - b'0') == if rest < 2 { 0 } else { 11 - rest }
}
