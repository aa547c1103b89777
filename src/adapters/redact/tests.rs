//! Every encoding that a key may come back in, and texts that hold none.

use super::*;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;

const KEY: &str = "sk-live-0123456789abcdef/\"+é";
const PLAIN: &str = "sk-ant-api03-Zx81_kQ0pLw7-vB29tRm";

fn redactor(keys: &[&str]) -> Redactor {
    Redactor::of(&keys.iter().map(|key| Hidden::key(*key)).collect::<Vec<_>>())
}

fn percent(text: &str, upper: bool, all: bool) -> String {
    let one = |b: u8| match (all || !b.is_ascii_alphanumeric(), upper) {
        (false, _) => char::from(b).to_string(),
        (true, true) => format!("%{b:02X}"),
        (true, false) => format!("%{b:02x}"),
    };
    text.bytes().map(one).collect()
}

fn escaped(text: &str) -> String {
    text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()
}

fn hex(text: &str) -> String {
    text.bytes().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn every_encoding_of_a_whole_key_is_found() {
    for key in [KEY, PLAIN, "hunter22", "correct horse battery staple"] {
        let redactor = redactor(&[key]);
        let quoted = serde_json::to_string(key).expect("a text");
        let quoted = &quoted[1..quoted.len() - 1];
        let mut all = vec![key.to_owned(), quoted.to_owned(), quoted.replace('/', "\\/"), escaped(key)];
        all.extend([percent(key, true, false), percent(key, false, false), percent(key, true, true), percent(key, false, true)]);
        all.extend([percent(quoted, true, false), percent(&percent(key, true, false), false, false)]);
        for written in all {
            assert_eq!(redactor.text(&format!("for <{written}>.")), "for <***>.", "{written}");
        }
        // What is encoded of a beginning that everybody knows may stay.
        for written in [hex(key), hex(key).to_uppercase()] {
            let said = redactor.text(&format!("for {written}."));
            assert!(said.ends_with("***.") && said.len() <= "for ***.".len() + 2 * known(key), "{said}");
        }
    }
}

#[test]
fn base64_is_found_wherever_the_key_stands_in_it() {
    for key in [KEY, PLAIN, "hunter22"] {
        for around in ["", "Bearer ", "user:", "a:", "ab:", "{\"key\": \""] {
            let text = format!("{around}{key}");
            let all =
                [STANDARD.encode(&text), STANDARD_NO_PAD.encode(&text), URL_SAFE.encode(&text), URL_SAFE_NO_PAD.encode(&text)];
            for written in all {
                let said = redactor(&[key]).text(&format!("got {written} and no more"));
                assert!(said.contains("***") && said.starts_with("got ") && said.ends_with(" and no more"), "{said}");
                // Two groups may have a part in what is around, and the beginning of a key may be known to everybody.
                let left = said.len() - "got *** and no more".len();
                assert!(left <= (around.len() + known(key)) * 4 / 3 + 5, "{said} of {written}");
                let escaped = format!("got {} and no more", percent(&written, true, false));
                assert!(redactor(&[key]).text(&escaped).contains("***"), "{escaped}");
            }
        }
    }
}

#[test]
fn a_key_that_was_cut_is_found_and_what_everybody_knows_of_it_is_not() {
    let redactor = redactor(&[PLAIN]);
    assert_eq!(redactor.text("the key sk-ant-api03-Zx81_kQ0…"), "the key sk-ant-ap***…");
    assert_eq!(redactor.text("…pLw7-vB29tRm is unknown"), "…*** is unknown");
    assert_eq!(redactor.text("…Lw7-vB29tRm is unknown"), "…Lw7-vB29tRm is unknown", "eleven characters");
    for same in ["keys start with sk-ant-api03-", "sk-ant-api03-Zx81", "sk-ant-api03-AAAAAAAAAAAAAAAAAAAA", ""] {
        assert_eq!(redactor.text(same), same);
    }
    let token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N";
    let jwt = super::tests::redactor(&[token]);
    assert_eq!(jwt.text(token), "***");
    let header = "a header is eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
    assert_eq!(jwt.text(header), header);
    // Of words only the whole is looked for, and of a short key.
    let words = Redactor::of(&[Hidden::key("customer-support-of-europe").unless_words(), Hidden::key("hunter22-hunter22")]);
    let same = "customer-support-of-asia, hunter22-hunter";
    assert_eq!(words.text(same), same);
    assert_eq!(words.text("customer-support-of-europe hunter22-hunter22"), "*** ***");
}

#[test]
fn escapes_are_read_as_they_are_meant() {
    let read = |text: &str| {
        let view = View { bytes: Cow::Borrowed(text.as_bytes()), at: None };
        view.decoded().map(|v| String::from_utf8_lossy(&v.bytes).into_owned())
    };
    assert_eq!(read(r#"a\"\\\/\n%41%c3%a9 \u0041\ud83d\ude00"#).as_deref(), Some("a\"\\/\nAé A😀"));
    assert_eq!(read(r"\ud83d\u0041").as_deref(), Some(r"\ud83dA"), "half a character is left");
    for none in ["", "100 %", "%4", "%zz", r"\x41", r"\u12", r"\ud83d", "\\"] {
        assert_eq!(read(none), None, "{none}");
    }
}

/// Megabytes in which nearly every place looks like a beginning.
#[test]
fn large_texts_without_a_key_stay_as_they_are() {
    let redactor = redactor(&[PLAIN, "0123456789abcdef0123456789abcdef"]);
    for unit in ["0123456789a ", "an ordinary sentence. ", "%2", r"\u00e9", "AAAA"] {
        let text = unit.repeat(4_000_000 / unit.len());
        assert!(redactor.text(&text) == text, "{unit}");
    }
}

proptest! {
    #[test]
    fn what_holds_no_run_stays_byte_by_byte(
        key in "[A-Za-z0-9_-]{20,60}",
        pieces in proptest::collection::vec((0usize..60, 1usize..12, "[ .,;:!?é%\\\\\"/{}\n=+]{1,4}", "\\PC{0,12}"), 0..20),
    ) {
        let piece = |(from, length, between, more): (usize, usize, String, String)| {
            let from = from % key.len();
            format!("{}{between}{more}{between}", &key[from..(from + length).min(key.len())])
        };
        let text: String = pieces.into_iter().map(piece).collect();
        prop_assume!(!key.as_bytes().windows(RUN).any(|run| text.contains(std::str::from_utf8(run).expect("ASCII"))));
        prop_assert_eq!(redactor(&[&key]).text(&text), text);
    }

    #[test]
    fn no_run_is_left_in_any_encoding(
        key in "[A-Z][A-Za-z0-9_/+-]{19,60}",
        (from, length) in (0usize..40, 12usize..60),
        around in ("[ -~]{0,7}", "[ -~]{0,7}"),
        how in 0usize..7,
    ) {
        let from = from.min(key.len() - RUN);
        let run = &key[from..(from + length).min(key.len())];
        let text = format!("{}{run}{}", around.0, around.1);
        let written = match how {
            0 => text.clone(),
            1 => percent(&text, true, true),
            2 => escaped(&text),
            3 => hex(&text).to_uppercase(),
            4 => STANDARD.encode(&text),
            5 => URL_SAFE_NO_PAD.encode(&text),
            _ => percent(&STANDARD.encode(&text), false, false),
        };
        let said = redactor(&[&key]).text(&written);
        prop_assert!(said.contains("***"), "{said} of {written}");
        let decoded = match how {
            0 => said.len() - "***".len(),
            1 => (said.len() - "***".len()) / 3,
            2 => (said.len() - "***".len()) / 6,
            3 => (said.len() - "***".len()) / 2,
            _ => 0,
        };
        // Nothing is left but what was around it, of which a little may look like the key.
        prop_assert!(decoded <= around.0.len() + around.1.len(), "{said} of {written}");
        prop_assert!(how < 4 || said.len() <= written.len() - RUN, "{said} of {written}");
    }
}
