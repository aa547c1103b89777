//! Whether what an answer cites was there to be cited.
//!
//! A citation stands in square brackets, several divided by commas or semicolons: `[1]`, `[^2]`, `[doc-1; doc-7]`. A number
//! means the place of a retrieved context, counted from 1, unless it is itself a retrieved id. Other text counts when it is a
//! retrieved id or looks like one (no white space, a digit in it), so that `[sic]` is no citation and an invented `[doc-9]` is
//! one. `[text](address)` is a link.

use super::Score;

/// The share of citations in the answer that are among the retrieved ids or within the `contexts` retrieved places. Unscored
/// when the answer cites nothing.
pub fn citation_validity(answer: &str, contexts: usize, ids: &[String]) -> Score {
    let places = contexts.max(ids.len());
    let (mut cited, mut valid) = (0usize, 0usize);
    for group in brackets(answer) {
        // A whole group may be an id that holds a comma.
        let parts = if known(group, ids) { vec![group] } else { group.split([',', ';']).collect() };
        for part in parts {
            if let Some(is_valid) = judge(part, places, ids) {
                cited += 1;
                valid += usize::from(is_valid);
            }
        }
    }
    if cited == 0 {
        return Score::Unscored("the answer cites nothing".into());
    }
    Score::Scored(valid as f64 / cited as f64)
}

/// Whether one part of a group is a valid citation; `None` when it is no citation.
fn judge(part: &str, places: usize, ids: &[String]) -> Option<bool> {
    let part = part.trim();
    let part = part.strip_prefix('^').unwrap_or(part);
    if known(part, ids) {
        return Some(true);
    }
    if !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) {
        return Some(part.parse().is_ok_and(|n: usize| (1..=places).contains(&n)));
    }
    let like_an_id = !part.contains(char::is_whitespace) && part.bytes().any(|b| b.is_ascii_digit());
    like_an_id.then_some(false)
}

fn known(text: &str, ids: &[String]) -> bool {
    ids.iter().any(|id| id == text.trim())
}

/// The insides of innermost square brackets that are not the text of a link.
fn brackets(answer: &str) -> impl Iterator<Item = &str> {
    answer.match_indices(']').filter_map(|(end, _)| {
        let start = answer[..end].rfind(['[', ']']).filter(|i| answer[*i..].starts_with('['))?;
        (!answer[end + 1..].starts_with('(')).then(|| &answer[start + 1..end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(answer: &str, contexts: usize, want: Option<f64>) {
        let ids = ["doc-1", "doc-2", "guide, part 3"].map(str::to_owned);
        assert_eq!(citation_validity(answer, contexts, &ids).value(), want, "{answer:?}");
    }

    #[test]
    fn citations_are_looked_up_among_what_was_retrieved() {
        check("Returns take 30 days [doc-1].", 0, Some(1.0));
        check("Returns [doc-1] take 30 days [doc-9].", 0, Some(0.5));
        check("Both say so [doc-1; doc-2], and more [guide, part 3].", 0, Some(1.0));
        check("By place [1][3] and a footnote [^2], but not [4] or [0].", 3, Some(0.6));
        check("Five were retrieved [5].", 5, Some(1.0));
        check("Nothing is this long: [99999999999999999999999].", 5, Some(0.0));
    }

    #[test]
    fn what_is_no_citation_is_not_counted() {
        for answer in ["", "None.", "They wrote [sic] and [ ] [x].", "See [the guide 2](https://x.org/1).", "a ] b [ c", "[]"] {
            check(answer, 3, None);
        }
        check("[outer [doc-1] text 7]", 3, Some(1.0));
    }

    proptest! {
        #[test]
        fn any_text_is_judged(answer in "[\\[\\](^,;0-9a-dé -]{0,40}", contexts in 0usize..4) {
            let score = citation_validity(&answer, contexts, &["d1".to_owned()]);
            prop_assert!(score.value().is_none_or(|s| (0.0..=1.0).contains(&s)));
        }
    }
}
