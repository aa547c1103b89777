//! Personal data on single lines; `tests/fixtures/quality/` holds whole documents.

use super::*;
use proptest::prelude::*;

/// Checks the rules that find something in a text, and that each finding is what stands in `[ ]`.
#[track_caller]
fn check(marked: &str, rules: &[&str]) {
    let text = marked.replace(['⟦', '⟧'], "");
    let found = find(&text);
    assert_eq!(found.iter().map(|f| f.rule).collect::<Vec<_>>(), rules, "{text}");
    let spans: Vec<&str> = found.iter().map(|f| &text[f.span.clone()]).collect();
    let wanted: Vec<&str> = marked.split('⟦').skip(1).filter_map(|part| part.split('⟧').next()).collect();
    assert_eq!(spans, wanted);
}

/// The example of each country's own documents, and the ways it is written.
#[test]
fn numbers_with_check_digits_are_found_in_groups() {
    check("IBAN ⟦DE89 3704 0044 0532 0130 00⟧ BIC COBADEFF", &["iban"]);
    check("Konto ⟦de89370400440532013000⟧, danke", &["iban"]);
    check("⟦GB29-NWBK-6016-1331-9268-19⟧", &["iban"]);
    check("⟦FR14\u{a0}2004\u{a0}1010\u{a0}0505\u{a0}0001\u{a0}3M02\u{a0}606⟧ et la suite", &["iban"]);
    check("card ⟦4111-1111-1111-1111⟧, ⟦378282246310005⟧ or ⟦3782 822463 10005⟧.", &["card", "card", "card"]);
    check("paid by ⟦4111 1111 1111 1111⟧ 12/26 123", &["card"]);
    check("SSN: ⟦536 22 1234⟧", &["us-ssn"]);
    check("DNI ⟦12345678Z⟧, ⟦12.345.678-Z⟧ y ⟦X1234567L⟧ o ⟦X-1234567-L⟧", &["es-dni", "es-dni", "es-nie", "es-nie"]);
    check("NIR ⟦2 55 08 14 168 025 38⟧ ou ⟦255081416802538⟧", &["fr-nir", "fr-nir"]);
    check("Steuer-ID ⟦86 095 742 719⟧, ⟦86095742719⟧", &["de-steuer-id", "de-steuer-id"]);
    check("Versicherung ⟦15 070649 C 103⟧ und ⟦65 170839 J 003⟧", &["de-rentenversicherung", "de-rentenversicherung"]);
    check("Personalausweis ⟦T220001293⟧", &["de-ausweis"]);
    check("SSN ⟦536-22-1234⟧; social security ⟦536221234⟧", &["us-ssn", "us-ssn"]);
    check("NHS number ⟦943 476 5919⟧, NINO ⟦AB 12 34 56 C⟧, NI number ⟦AB123456C⟧", &["uk-nhs", "uk-nino", "uk-nino"]);
    check("CF ⟦RSSMRA85T10A562S⟧, ⟦RSS MRA 85T10 A562S⟧", &["it-codice-fiscale", "it-codice-fiscale"]);
    check("AHV ⟦756.9217.0769.85⟧, SVNR ⟦1237 010180⟧", &["ch-ahv", "at-svnr"]);
    check("Rijksregister ⟦85.07.30-033.28⟧ of ⟦17 07 30 033 84⟧", &["be-national-number", "be-national-number"]);
    check("NIF ⟦123456789⟧", &["pt-nif"]);
    check("fullwidth ⟦４１１１ １１１１ １１１１ １１１１⟧", &["card"]);
}

#[test]
fn wrong_check_digits_are_nothing() {
    for text in [
        "DE88 3704 0044 0532 0130 00",
        "DE89 3704 0044 0532 0130 0",
        "4111 1111 1111 1112",
        "9111111111111111",
        "12345678A",
        "X1234567A",
        "2 55 08 14 168 025 39",
        "86095742718",
        "15070649C102",
        "000-22-1234",
        "666-22-1234",
        "900-22-1234",
        "078-05-1120",
        "QQ 12 34 56 C",
        "RSSMRA85T10A562T",
        "756.9217.0769.84",
        "1237 010181",
        "NHS 943 476 5918",
    ] {
        check(text, &[]);
    }
}

#[test]
fn telephone_numbers_are_found() {
    check("⟦+34 612 345 678⟧, ⟦+49 (0)30 901820⟧, ⟦0033 1 42 68 53 00⟧", &["phone-international"; 3]);
    check("⟦+1-202-555-0143⟧ ⟦+442079460958⟧.", &["phone-international"; 2]);
    check("call ⟦(202) 555-0143⟧ or ⟦202-555-0143⟧ or ⟦202.555.0143⟧", &["phone-us"; 3]);
    check("au ⟦06 12 34 56 78⟧, ⟦01.42.68.53.00⟧; tél. ⟦0142685300⟧", &["phone-fr"; 3]);
    check("móvil ⟦612 345 678⟧ o ⟦91 123 45 67⟧ o ⟦612 34 56 78⟧", &["phone-es"; 3]);
    check("⟦030 901820⟧; ⟦089/1234567⟧; ⟦(0171) 1234567⟧; ⟦020 7946 0958⟧", &["phone-de-uk"; 4]);
}

#[test]
fn addresses_are_found() {
    check("⟦ana.lopez+x@mail.example.es⟧, <⟦müller@example.de⟧>.", &["email", "email"]);
    check("mailto:⟦a@b.co⟧?subject=x", &["email"]);
    check("host ⟦192.168.1.10⟧, http://⟦8.8.8.8⟧/x, ⟦10.1.2.3⟧:80 and 10.0.0.0/8", &["ipv4"; 3]);
    check("version 2 runs on the host ⟦10.1.2.3⟧", &["ipv4"]);
    check("⟦2001:db8::8a2e:370:7334⟧, [⟦fe80::1⟧]:80 ⟦fd00:1:2:3:4:5:6:7⟧", &["ipv6"; 3]);
}

/// Order numbers, versions, book numbers, dates, sums, amounts and programs.
#[test]
fn other_numbers_are_nothing() {
    for text in [
        "order 2024-000123-7",
        "version 1.2.3.4",
        "tool-1.2.3.4.tar.gz",
        "v1.2.3.4",
        "1.2.3.4.5",
        "1.2.3.4 Scope",
        "256.1.2.3",
        "ISBN 978-3-16-148410-0",
        "ISBN 0-306-40615-2",
        "ISSN 0378-5955",
        "2024-11-21 10:30:00",
        "21.11.2024",
        "01/12/2020",
        "a1b2c3d4e5f60718293a4b5c6d7e8f90",
        "0x4111111111111111f",
        "3.14159265358979",
        "0.4111111111111111",
        "612 345 678 euros",
        "1 234 567 890",
        "12:34:56",
        "std::vector<a::b>",
        "dead::beef",
        "00:1a:2b:3c:4d:5e",
        "icon@2x.png",
        "getty@tty1.service",
        "git@github.com:owner/name.git",
        "@media",
        "a@b",
        "RFC 2822 3501 5321 5322",
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
        "100 200 300 400",
        "127.0.0.1",
        "0.0.0.0",
        "255.255.255.0",
        "GPL-2.0-or-later",
        "CVE-2021-44228",
        "ISO 8601-1:2019",
        "EAN 4006381333931",
        "1999-2004 2010-2024",
        "page 123-45-67",
        "0069 0307 0301",
        "call/issue#comment-2352654806",
        "/status/4111111111111111",
        "0.06086 0.7664348",
        "0.094070.605952 0.33",
        "DFARS 252.227-7013",
        "0399 0308 0342",
        "2462.310547",
        "010/8068/17183",
        "Standards-Version from 3.6.2.0",
        "12 536 22 1234 7",
        "0000 4111 1111 1111 1111",
        "4111 1111 1111 1111 2222",
        "Boston, MA 02110-1301",
        "disk ST380021A",
        "theoretically 4294967295",
        "sha256 12345678901234567890123456789012",
    ] {
        check(text, &[]);
    }
}

#[test]
fn excess_counts_different_values() {
    let excess_of = |text: &str| excess(text, &find(text));
    assert_eq!(excess_of("nothing here"), 0.0);
    assert_eq!(excess_of("a@b.org and A@B.ORG"), 0.05);
    assert_eq!(excess_of("DE89 3704 0044 0532 0130 00 is DE89370400440532013000"), 1.0);
    let long = format!("{} 4111 1111 1111 1111 and 5555 5555 5555 4444", "word ".repeat(1_991));
    assert_eq!(excess_of(&long), 1.0);
    let many: String = (1..=40).map(|n| format!("{n:03}-22-1234 {}", "word ".repeat(2_000))).collect();
    assert_eq!(excess_of(&many), 4.0);
}

/// RFC 2104 over `iban`, a zero byte and the normal form; computed with Python's `hmac`.
#[test]
fn hashes_are_the_same_for_every_way_to_write() {
    let hash = |kind, value| keyed_hash(b"key", kind, value);
    assert_eq!(hash(Kind::Iban, "DE89 3704 0044 0532 0130 00"), hash(Kind::Iban, "de89370400440532013000"));
    assert_eq!(hash(Kind::Phone, "+49 (0)30 901820"), hash(Kind::Phone, "0049 30 901820"));
    assert_eq!(hash(Kind::Ip, "2001:db8:0::1"), hash(Kind::Ip, "2001:DB8::1"));
    assert_eq!(hash(Kind::Email, "A@B.org"), hash(Kind::Email, "a@b.org"));
    assert_ne!(hash(Kind::Iban, "1"), hash(Kind::Card, "1"));
    assert_ne!(keyed_hash(b"key", Kind::Card, "1"), keyed_hash(b"kez", Kind::Card, "1"));
    assert_eq!(
        hash(Kind::Iban, "DE89 3704 0044 0532 0130 00").hex(),
        "0bfd98b34dcb7326da24d13d2069acdb79cb397f2c5c3285afbe34e656307411"
    );
}

/// A run of groups longer than the window still gives every number once.
#[test]
fn long_runs_lose_nothing() {
    for pad in 0..140 {
        let text = format!("{}536-22-1234 {}X1234567L", "AB 7 ".repeat(pad), "AB 7 ".repeat(3 * pad));
        assert_eq!(find(&text).len(), 2, "{pad}");
    }
}

proptest! {
    #[test]
    fn any_text_is_searched(text in r"[0-9A-Zé@:.\-/() +\u{a0}x٣]{0,400}") {
        let found = find(&text);
        prop_assert!(found.windows(2).all(|w| w[0].span.end <= w[1].span.start));
        prop_assert!(found.iter().all(|f| text.get(f.span.clone()).is_some_and(|t| !t.is_empty())));
        prop_assert!(excess(&text, &found) >= 0.0);
    }

    #[test]
    fn any_characters_are_searched(text in any::<String>()) {
        find(&text);
    }
}
