//! Small text tools that every room needs: plurals, spans of time, the nearest of some words.

/// `1 row`, `2 rows`.
pub fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{} {noun}s", group(n)) }
}

/// Digits in groups of three: `12,345`.
pub fn group(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// The candidates most like `wanted`, best first, at most three; empty when nothing is near.
pub fn closest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut near: Vec<(f64, &str)> =
        candidates.into_iter().map(|c| (strsim::jaro_winkler(wanted, c), c)).filter(|(score, _)| *score > 0.75).collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    near.dedup_by_key(|n| n.1);
    near.into_iter().take(3).map(|(_, c)| c).collect()
}

/// A hint that names what is near, or lists what there is.
pub fn did_you_mean<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
    let near = closest(wanted, candidates.clone());
    if let Some(first) = near.first() {
        return Some(format!("did you mean `{first}`?"));
    }
    let all: Vec<&str> = candidates.into_iter().take(8).collect();
    (!all.is_empty()).then(|| format!("there is: {}", all.join(", ")))
}

/// The text cut to at most `max` characters, with `…` when something was cut, on one line.
pub fn ellipsis(text: &str, max: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().count() <= max {
        return line;
    }
    let mut cut: String = line.chars().take(max.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals_and_groups() {
        assert_eq!(count(1, "row"), "1 row");
        assert_eq!(count(12_345, "row"), "12,345 rows");
        assert_eq!(group(100), "100");
    }

    #[test]
    fn near_words_are_suggested() {
        assert_eq!(did_you_mean("suport-bot", ["support-bot", "x"]).as_deref(), Some("did you mean `support-bot`?"));
        assert_eq!(did_you_mean("zzz", ["support-bot", "x"]).as_deref(), Some("there is: support-bot, x"));
        assert_eq!(did_you_mean("zzz", []), None);
    }

    #[test]
    fn long_text_is_cut_on_one_line() {
        assert_eq!(ellipsis("a\nbcdef", 4), "a b…");
        assert_eq!(ellipsis("abc", 4), "abc");
    }
}
