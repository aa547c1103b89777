//! What one written cell is, and what it reads as.
//!
//! Numbers are those of Rust's `f64` (RFC 8259 and more: `+5`, `.5`, `5.`, `inf`, `nan`), after a semicolon also with a decimal
//! comma; times are RFC 3339 or `YYYY-MM-DD[ hh:mm:ss[.f]]` in UTC; vectors are `[…]` of numbers between commas or blanks, as
//! JSON and `numpy` write them. Words for what is not there are those that pandas reads so (`na_values` of its `read_csv`).

use super::Kind;

/// How cells are written in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dialect {
    /// `1.234,5` is a number.
    pub(super) decimal_comma: bool,
    /// Texts are bare, so that a word can mean that nothing is there.
    pub(super) bare: bool,
}

/// What one cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Whole,
    Fraction,
    Nan,
    Time,
    Boolean,
    /// Of this width; 0 stands for all widths beyond those that are told apart.
    Vector(usize),
    Text,
}

/// Words that mean that nothing is there, beside the empty one.
const ABSENT: &[&str] = &["NA", "N/A", "n/a", "null", "NULL", "None", "NaT", "<NA>", "#N/A", "#NA", "#N/A N/A", "\\N"];

/// True for a bare cell in which nothing is.
pub(super) fn is_absent(cell: &str) -> bool {
    let cell = cell.trim_ascii();
    // Most cells are numbers, and are not compared with every word.
    cell.is_empty() || (matches!(cell.as_bytes()[0], b'N' | b'n' | b'<' | b'#' | b'\\') && ABSENT.contains(&cell))
}

impl Dialect {
    /// What a cell is that is there.
    pub(super) fn class(self, cell: &str) -> Class {
        let cell = cell.trim_ascii();
        match cell.as_bytes().first() {
            Some(b'0'..=b'9' | b'+' | b'-' | b'.' | b'i' | b'I' | b'n' | b'N') => match self.number(cell) {
                Some(value) if value.is_nan() => Class::Nan,
                Some(value) if value.is_finite() && value.fract() == 0.0 => Class::Whole,
                Some(_) => Class::Fraction,
                None if time(cell).is_some() => Class::Time,
                None => Class::Text,
            },
            Some(b't' | b'T' | b'f' | b'F') if boolean(cell).is_some() => Class::Boolean,
            Some(b'[') => {
                let mut width = 0;
                if vector(cell, &mut |_| width += 1) && width > 0 { Class::Vector(width) } else { Class::Text }
            }
            _ => Class::Text,
        }
    }

    /// The number that a cell is.
    pub(super) fn number(self, cell: &str) -> Option<f64> {
        let cell = cell.trim_ascii();
        if self.decimal_comma && cell.contains(',') {
            return without_comma(cell)?.parse().ok();
        }
        cell.parse().ok()
    }

    /// What a cell reads as in a column of numbers or times.
    pub(super) fn value(self, kind: Kind, cell: &str) -> Option<f64> {
        if kind == Kind::Time { time(cell.trim_ascii()) } else { self.number(cell) }
    }

    /// What a cell reads as in a column of texts or booleans.
    pub(super) fn text(self, kind: Kind, cell: &str) -> Option<&str> {
        match kind {
            Kind::Boolean => boolean(cell.trim_ascii()),
            _ if self.bare && matches!(cell.as_bytes(), [b'n' | b'N' | b'+' | b'-', ..]) && self.class(cell) == Class::Nan => {
                None
            }
            _ => Some(cell),
        }
    }
}

/// A number with a decimal comma, and perhaps dots between thousands, as one with a decimal point.
fn without_comma(cell: &str) -> Option<String> {
    let (whole, fraction) = cell.split_once(',')?;
    let mut groups = whole.split('.');
    let first = groups.next()?;
    let digits = first.trim_start_matches(['+', '-']).len();
    let grouped = whole.contains('.');
    if fraction.contains([',', '.']) || (grouped && (digits == 0 || digits > 3 || groups.any(|g| g.len() != 3))) {
        return None;
    }
    Some(format!("{}.{fraction}", whole.replace('.', "")))
}

/// `true` or `false`, as they are written at the least of trouble.
fn boolean(cell: &str) -> Option<&'static str> {
    match cell {
        "true" | "True" | "TRUE" => Some("true"),
        "false" | "False" | "FALSE" => Some("false"),
        _ => None,
    }
}

/// Seconds since 1970-01-01T00:00:00Z.
fn time(cell: &str) -> Option<f64> {
    let bytes = cell.as_bytes();
    if bytes.len() < 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let seconds = |time: jiff::Timestamp| Some(time.as_second() as f64 + f64::from(time.subsec_nanosecond()) / 1e9);
    if bytes.len() == 10 {
        return seconds(cell.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp());
    }
    if !matches!(bytes[10], b'T' | b't' | b' ') {
        return None;
    }
    // What names a zone (`+01:00`, `Z`) is a timestamp; the rest is taken as UTC.
    if bytes[11..].iter().any(|b| matches!(b, b'Z' | b'z' | b'+' | b'-')) {
        return seconds(cell.parse().ok()?);
    }
    if bytes.contains(&b'[') {
        return None;
    }
    seconds(cell.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

/// Gives the numbers of a vector to `each`; false when the cell is none, which may show late.
pub(super) fn vector(cell: &str, each: &mut dyn FnMut(f32)) -> bool {
    let Some(inside) = cell.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else { return false };
    let mut add = |word: &str| {
        let number = match word {
            "\"NaN\"" => Ok(f32::NAN),
            "\"Infinity\"" => Ok(f32::INFINITY),
            "\"-Infinity\"" => Ok(f32::NEG_INFINITY),
            word => word.parse(),
        };
        number.map(&mut *each).is_ok()
    };
    if inside.contains(',') {
        return inside.split(',').all(|word| add(word.trim_ascii()));
    }
    inside.split_ascii_whitespace().all(add)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: Dialect = Dialect { decimal_comma: false, bare: true };
    const COMMA: Dialect = Dialect { decimal_comma: true, bare: true };

    #[test]
    fn cells_are_told_apart() {
        for (cell, class) in [
            ("0", Class::Whole),
            ("-12", Class::Whole),
            (" +5 ", Class::Whole),
            ("1.0", Class::Whole),
            ("1e3", Class::Whole),
            ("1.5", Class::Fraction),
            (".5", Class::Fraction),
            ("-inf", Class::Fraction),
            ("Infinity", Class::Fraction),
            ("nan", Class::Nan),
            ("NaN", Class::Nan),
            ("2026-11-21", Class::Time),
            ("2026-11-21 08:00:00", Class::Time),
            ("2026-11-21T08:00:00.25+01:00", Class::Time),
            ("True", Class::Boolean),
            ("false", Class::Boolean),
            ("[1, 2.5]", Class::Vector(2)),
            ("[ 1.  2.5\n 3 ]", Class::Vector(3)),
            ("[NaN,1]", Class::Vector(2)),
            ("[\"NaN\",1]", Class::Vector(2)),
            ("[]", Class::Text),
            ("[1,]", Class::Text),
            ("[,1 2]", Class::Text),
            ("[1,\"a\"]", Class::Text),
            ("[", Class::Text),
            ("1,5", Class::Text),
            ("1_000", Class::Text),
            ("0x10", Class::Text),
            ("5%", Class::Text),
            ("2026-13-01", Class::Text),
            ("2026-11-21x", Class::Text),
            ("2026-11-2é", Class::Text),
            ("2026-11-21é", Class::Text),
            ("2026-11-21 é", Class::Text),
            ("2026-11-21T08:00:00[Europe/Berlin]", Class::Text),
            ("2026-11-21 08:00:00-", Class::Text),
            ("in", Class::Text),
            ("yes", Class::Text),
            ("tRUE", Class::Text),
        ] {
            assert_eq!(BARE.class(cell), class, "{cell}");
        }
    }

    #[test]
    fn a_decimal_comma_is_read_where_it_is_one() {
        for (cell, value) in [
            ("1,5", Some(1.5)),
            ("-1.234.567,25", Some(-1_234_567.25)),
            ("12,5e3", Some(12_500.0)),
            (",5", Some(0.5)),
            ("1.5", Some(1.5)),
            ("1.23,5", None),
            ("1234.567,5", None),
            ("1,5,5", None),
            ("1,234.5", None),
            ("a,b", None),
            (",", None),
        ] {
            assert_eq!(COMMA.number(cell), value, "{cell}");
        }
    }

    #[test]
    fn times_are_seconds_in_utc() {
        for (cell, seconds) in [
            ("1970-01-01", 0.0),
            ("1970-01-02 00:00:01", 86_401.0),
            ("1970-01-01T01:00:00.5+01:00", 0.5),
            ("1969-12-31T23:59:59.5Z", -0.5),
            ("1970-01-01T00:01", 60.0),
        ] {
            assert_eq!(BARE.value(Kind::Time, cell), Some(seconds), "{cell}");
        }
    }

    #[test]
    fn words_for_nothing_are_absent() {
        for cell in ["", "  ", "NA", "null", "None", "NaT", "#N/A", "\\N"] {
            assert!(is_absent(cell), "{cell}");
        }
        for cell in ["Na", "nothing", "0", "-", "nan"] {
            assert!(!is_absent(cell), "{cell}");
        }
        assert_eq!(BARE.text(Kind::Text, "nan"), None);
        assert_eq!(BARE.text(Kind::Text, "nano"), Some("nano"));
        assert_eq!(Dialect::default().text(Kind::Text, "nan"), Some("nan"));
        assert_eq!(BARE.text(Kind::Boolean, "TRUE"), Some("true"));
        assert_eq!(BARE.text(Kind::Boolean, "1"), None);
    }
}
