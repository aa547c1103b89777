//! Bank accounts and payment cards.

use super::Kind;
use super::runs::{Candidate, Match, Sep};

pub(super) fn judge(c: &Candidate) -> Option<Match> {
    if is_iban(c) {
        return Some((Kind::Iban, "iban", true));
    }
    is_card(c).then_some((Kind::Card, "card", true))
}

/// Characters of an IBAN by country (ISO 13616, SWIFT's registry); the tests compare every country with schwifty 2026.10.1.
const IBANS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 \
                     EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 \
                     KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 \
                     PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 \
                     UA29 VA22 VG24 XK20 YE30";

fn is_iban(c: &Candidate) -> bool {
    let iban = c.joined;
    let head = iban.len() >= 15
        && iban[..2].iter().all(u8::is_ascii_uppercase)
        && iban[2..4].iter().all(u8::is_ascii_digit)
        && c.groups[0].digits > 0;
    head && iban_length(&iban[..2]) == Some(iban.len())
        && c.seps().all(|sep| matches!(sep, Sep::Space | Sep::Hyphen | Sep::Dot))
        && mod_97(iban[4..].iter().chain(&iban[..4])) == 1
}

fn iban_length(country: &[u8]) -> Option<usize> {
    let row = IBANS.split(' ').find(|row| row.as_bytes().starts_with(country))?;
    row.get(2..)?.parse().ok()
}

/// The remainder by 97 with letters as 10 to 35 (ISO/IEC 7064).
pub(super) fn mod_97<'a>(characters: impl IntoIterator<Item = &'a u8>) -> u32 {
    characters.into_iter().fold(0, |rest, c| match c {
        b'0'..=b'9' => (rest * 10 + u32::from(c - b'0')) % 97,
        b'A'..=b'Z' => (rest * 100 + u32::from(c - b'A') + 10) % 97,
        _ => rest,
    })
}

/// How cards are printed; 13 digits are left out, because they are the article numbers of half of Europe.
const CARDS: &[&[u8]] =
    &[&[16], &[4, 4, 4, 4], &[15], &[4, 6, 5], &[14], &[4, 6, 4], &[19], &[4, 4, 4, 4, 3], &[18], &[17], &[6, 13]];

fn is_card(c: &Candidate) -> bool {
    let same_seps = || c.seps().all(|sep| Some(sep) == c.groups.get(1).map(|g| g.sep));
    c.all_digits() && c.has_shape(CARDS) && same_seps() && c.stands_alone() && is_issued(c.joined) && luhn(c.joined)
}

/// The ranges of the issuers (ISO/IEC 7812-1 and the networks' own publications): first digits from, to, and the lengths.
const ISSUERS: &[(u32, u32, &[usize])] = &[
    (400_000, 499_999, &[16, 19]),
    (510_000, 559_999, &[16]),
    (222_100, 272_099, &[16]),
    (340_000, 349_999, &[15]),
    (370_000, 379_999, &[15]),
    (601_100, 601_199, &[16, 19]),
    (644_000, 659_999, &[16, 19]),
    (620_000, 629_999, &[16, 17, 18, 19]),
    (300_000, 305_999, &[14]),
    (309_500, 309_599, &[14]),
    (360_000, 369_999, &[14]),
    (380_000, 399_999, &[14]),
    (352_800, 358_999, &[16]),
    (501_800, 501_899, &[16, 18, 19]),
    (502_000, 502_099, &[16, 18, 19]),
    (503_800, 503_899, &[16, 18, 19]),
    (589_300, 589_399, &[16, 18, 19]),
    (630_400, 630_499, &[16, 18, 19]),
    (675_900, 676_399, &[16, 18, 19]),
];

fn is_issued(digits: &[u8]) -> bool {
    let first = digits.iter().take(6).fold(0, |n, d| n * 10 + u32::from(d - b'0'));
    ISSUERS.iter().any(|(from, to, lengths)| (*from..=*to).contains(&first) && lengths.contains(&digits.len()))
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| {
            let d = u32::from(d - b'0');
            if i % 2 == 0 { d } else { d * 2 / 10 + d * 2 % 10 }
        })
        .sum();
    sum.is_multiple_of(10)
}
