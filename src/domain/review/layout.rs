//! A page of at most so many characters: what weighs most gets its room first, and everything stands where it belongs.

/// A part of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// What gets room first: less is earlier.
    pub(super) weight: usize,
    /// The part as it may be shown, the fullest way first.
    pub(super) ways: Vec<String>,
}

impl Part {
    /// A part that is shown so or not at all.
    pub(super) fn whole(weight: usize, text: String) -> Self {
        Self { weight, ways: vec![text] }
    }
}

/// What GitHub counts in a text: units of UTF-16, which are never fewer than characters.
pub(super) fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Lays parts out in their order within `max`; says `left_out(n)` at the end when `n` parts are shorter than they would be or missing.
pub(super) fn lay_out(parts: &[Part], max: usize, left_out: &dyn Fn(usize) -> String) -> String {
    let mut shown: Vec<Option<usize>> = vec![None; parts.len()];
    let mut room = max.saturating_sub(length(&left_out(parts.len())));
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|at| parts[*at].weight);
    for at in order {
        let fits = parts[at].ways.iter().position(|text| length(text) <= room);
        if let Some(way) = fits {
            room -= length(&parts[at].ways[way]);
            shown[at] = Some(way);
        }
    }
    let mut page: String = parts.iter().zip(&shown).filter_map(|(part, way)| way.map(|w| part.ways[w].as_str())).collect();
    let short = shown.iter().filter(|way| **way != Some(0)).count();
    if short > 0 {
        page.push_str(&left_out(short));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_weighs_most_gets_its_room_first() {
        let part = |weight, ways: &[&str]| Part { weight, ways: ways.iter().map(|w| (*w).to_owned()).collect() };
        let parts = [part(2, &["details\n"]), part(0, &["head\n"]), part(1, &["a long table\n", "short\n"])];
        let left = |n: usize| format!("({n} left)\n");
        assert_eq!(lay_out(&parts, 100, &left), "details\nhead\na long table\n");
        assert_eq!(lay_out(&parts, 30, &left), "head\na long table\n(1 left)\n");
        assert_eq!(lay_out(&parts, 21, &left), "head\nshort\n(2 left)\n");
        assert_eq!(length("🚀é"), 3);
    }
}
