//! What moved, in words: numbers, ranges, levels, shares and the cells that changed most.

use super::figures::{Cell, Figures, Kind, Sides};
use super::texts::Way;
use crate::base::text::{count, group, visible};

/// How the cell of all levels that are not compared on their own is called.
pub const OTHERS: &str = "all others";
/// Cells that a reason names.
const NAMED: usize = 3;
/// The longest level that is shown, in characters.
const SHOWN: usize = 60;

/// A number for people: whole as it is, others with six digits.
pub fn number(value: f64) -> String {
    const WHOLE: f64 = 1e15;
    if value == value.trunc() && value.abs() < WHOLE {
        // Plus 0, so that −0 has no sign.
        return format!("{:.0}", value + 0.0);
    }
    let rounded: f64 = format!("{value:.5e}").parse().unwrap_or(value);
    if (1e-4..WHOLE).contains(&rounded.abs()) { format!("{rounded}") } else { format!("{rounded:e}") }
}

/// A measured number for people: with four digits.
pub fn about(value: f64) -> String {
    number(format!("{value:.3e}").parse().unwrap_or(value))
}

/// A size with three decimals; one beyond a million by its power of ten.
pub fn decimals(value: f64) -> String {
    if value.abs() < 1e6 { format!("{value:.3}") } else { format!("{value:.3e}") }
}

/// A range, above the first up to and with the second: `≤ 3`, `3 … 12.5`, `> 12.5`, `= 3` of a single value.
pub fn range(low: Option<f64>, high: Option<f64>) -> String {
    match (low, high) {
        (None, None) => "all values".to_owned(),
        (Some(low), None) => format!("> {}", number(low)),
        (None, Some(high)) => match just_above(high) {
            Some(value) => format!("< {}", number(value)),
            None => format!("≤ {}", number(high)),
        },
        (Some(low), Some(high)) if low.next_up() == high => format!("= {}", number(high)),
        (Some(low), Some(high)) => match just_above(high) {
            Some(value) => format!("{} … < {}", number(low), number(value)),
            None => format!("{} … {}", number(low), number(high)),
        },
    }
}

/// The value that an edge was set just below, to leave it alone in the next cell: it has far fewer digits.
fn just_above(edge: f64) -> Option<f64> {
    // Plus 0, so that −0 has no sign.
    let above = edge.next_up() + 0.0;
    (above == 0.0 || format!("{above:e}").len() + 4 < format!("{edge:e}").len()).then_some(above)
}

/// A level as it is shown.
pub fn level(name: &str) -> String {
    if name.trim().is_empty() { format!("{name:?}") } else { visible(name, SHOWN) }
}

/// A share of rows as percent: `31.0 %`, `0.04 %`.
pub fn percent(share: f64) -> String {
    // Plus 0, so that −0 has no sign.
    let percent = share * 100.0 + 0.0;
    match percent.abs() {
        p if p >= 0.995 || p == 0.0 => format!("{percent:.1} %"),
        p if p >= 0.005 => format!("{percent:.2} %"),
        _ => "less than 0.01 %".to_owned(),
    }
}

/// `558 and 1,200 rows`.
pub fn rows_of(rows: Sides<u64>) -> String {
    let words = rows.map(|rows| group(usize::try_from(rows).unwrap_or(usize::MAX)));
    format!("{} and {} rows", words.reference, words.current)
}

/// The share of `rows` in `all`; 0 of none.
pub fn share(rows: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { rows as f64 / all as f64 }
}

/// What a cell adds to an index, with the sign of the change of its share.
pub fn signed(term: f64, rows: Sides<u64>, all: Sides<u64>) -> f64 {
    if share(rows.current, all.current) < share(rows.reference, all.reference) { -term } else { term }
}

/// The cells that changed most, the largest first: `amount > 120.5: 31.0 % instead of 10.0 %`.
pub fn most_moved(name: &str, figures: &Figures) -> Vec<String> {
    let mut cells: Vec<&Cell> = figures.cells.iter().filter(|cell| cell.term != 0.0).collect();
    let of = |cell: &Cell| Sides::new(share(cell.rows.reference, figures.n_ref), share(cell.rows.current, figures.n_cur));
    // The weight of a word says how surely it tells texts apart, not how many have it.
    let moved = |cell: &Cell| match figures.kind {
        Some(Kind::Text) => (of(cell).current - of(cell).reference).abs(),
        _ => cell.term.abs(),
    };
    cells.sort_by(|a, b| moved(b).total_cmp(&moved(a)));
    let words = |cell: &Cell| {
        let Sides { reference: before, current: now } = of(cell).map(percent);
        let between = match figures.kind {
            _ if cell.low.is_some() || cell.high.is_some() => " ",
            _ if cell.label == OTHERS => ", ",
            Some(Kind::Embedding) => " in ",
            Some(Kind::Text) => " with ",
            _ => " = ",
        };
        format!("{}{between}{}: {now} instead of {before}", visible(name, SHOWN), cell.label)
    };
    cells.into_iter().take(NAMED).map(words).collect()
}

/// Effects that passed their limits.
pub fn signs(figures: &Figures) -> Vec<&str> {
    figures.signs.iter().filter(|sign| sign.passed).map(|sign| sign.name.as_str()).collect()
}

/// `area under the curve passed its limit`, with the others as a number.
pub fn passed(signs: &[&str]) -> String {
    match signs {
        [] => "no effect passed its limit".to_owned(),
        [one] => format!("{one} passed its limit"),
        [one, rest @ ..] => format!("{one} and {} passed their limits", count(rest.len(), "more effect")),
    }
}

/// How far a column moved, in the measure that it is called by: its index, or its effect where it has none.
pub fn size(figures: &Figures) -> String {
    match (figures.psi, figures.effect) {
        (None, Some(effect)) => format!("{} {:.2}", effect.measure, effect.value),
        (psi, _) => format!("PSI {:.2}", psi.unwrap_or(0.0)),
    }
}

/// The first text that came and the first that went.
pub fn texts(figures: &Figures) -> Option<String> {
    let first = |way: Way| {
        let text = figures.texts.iter().filter(|moved| moved.way == way).find_map(|moved| moved.text.as_deref())?;
        Some(format!("{way} is “{}”", level(text)))
    };
    let both: Vec<String> = [Way::Came, Way::Went].into_iter().filter_map(first).collect();
    (!both.is_empty()).then(|| both.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_true() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (1200.0, "1200"),
            (-17.0, "-17"),
            (0.1 + 0.2, "0.3"),
            (120.504_999, "120.505"),
            (1.5e-7, "1.5e-7"),
            (2e300, "2e300"),
            (f64::MAX, "1.79769e308"),
            (f64::MIN_POSITIVE, "2.22507e-308"),
        ];
        for (value, want) in cases {
            assert_eq!(number(value), want);
        }
    }

    #[test]
    fn measured_numbers_have_four_digits() {
        let cases = [(0.007_502_6, "0.007503"), (279.727, "279.7"), (0.4, "0.4"), (123_456.0, "123500"), (-0.142_546, "-0.1425")];
        for (value, want) in cases {
            assert_eq!(about(value), want);
        }
    }

    #[test]
    fn ranges_say_what_is_in_them() {
        let of = |low: Option<f64>, high: Option<f64>| range(low, high);
        assert_eq!(of(None, Some(3.0)), "≤ 3");
        assert_eq!(of(None, Some(0f64.next_down())), "< 0");
        assert_eq!(of(None, Some(3f64.next_down())), "< 3");
        assert_eq!(of(Some(3f64.next_down()), Some(3.0)), "= 3");
        assert_eq!(of(Some(3.0), Some(0.7f64.next_down() + 10.0)), "3 … 10.7");
        assert_eq!(of(Some(-1.5), Some(0.1f64.next_down())), "-1.5 … < 0.1");
        assert_eq!((of(Some(12.5), None), of(None, None)), ("> 12.5".to_owned(), "all values".to_owned()));
    }

    #[test]
    fn shares_keep_what_is_small() {
        let words: Vec<String> = [0.31, -0.0, 0.0004, 0.00001, 1.0, -0.05].map(percent).to_vec();
        assert_eq!(words, ["31.0 %", "0.0 %", "0.04 %", "less than 0.01 %", "100.0 %", "-5.0 %"]);
    }

    #[test]
    fn what_cannot_be_seen_is_quoted() {
        assert_eq!((level(""), level("  "), level("DE")), ("\"\"".to_owned(), "\"  \"".to_owned(), "DE".to_owned()));
    }
}
