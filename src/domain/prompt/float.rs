//! Floats as CPython writes them (`format_float_short` in `Python/pystrtod.c`), without sign: shortest digits that read back the
//! same, or the exact binary value rounded half to even.
//!
//! Rust's own formatting gives correctly rounded digits; what is Python's is when an exponent is used, how it is written, and
//! which zeros and points stay.

/// Digits of a double never go on beyond this many after the point, or as many significant ones; the rest are zeros.
const DIGITS_MAX: usize = 1100;

/// How a float is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// The shortest text that reads back the same, as `repr` does.
    Shortest,
    /// `e`: so many digits after the point, with exponent.
    Exponent(usize),
    /// `f`: so many digits after the point.
    Fixed(usize),
    /// `g`: so many significant digits, with exponent where the number is very large or small.
    General(usize),
}

/// The absolute value of a finite float. `alternate` is `#`; `point_zero` keeps one decimal as a format without type does.
pub(super) fn magnitude(x: f64, style: Style, alternate: bool, point_zero: bool) -> String {
    let x = x.abs();
    match style {
        Style::Fixed(precision) => {
            let known = precision.min(DIGITS_MAX);
            let mut text = format!("{x:.known$}");
            text.extend(std::iter::repeat_n('0', precision - known));
            if precision == 0 && alternate {
                text.push('.');
            }
            text
        }
        Style::Exponent(precision) => {
            let (digits, exponent) = significant(x, precision + 1);
            scientific(&digits, exponent, alternate)
        }
        Style::General(precision) => {
            let precision = precision.max(1);
            let (digits, exponent) = significant(x, precision);
            let digits = if alternate { digits.as_str() } else { without_zeros(&digits) };
            let most = i64::try_from(precision).unwrap_or(i64::MAX) - i64::from(point_zero);
            placed(digits, exponent, exponent < -4 || exponent >= most, alternate, point_zero)
        }
        Style::Shortest => {
            let (digits, exponent) = split(&format!("{x:e}"));
            placed(without_zeros(&digits), exponent, !(-4..16).contains(&exponent), alternate, point_zero)
        }
    }
}

/// True when all digits of a text are zero: the value or what it was rounded to.
pub(super) fn is_zero(magnitude: &str) -> bool {
    let mantissa = magnitude.split('e').next().unwrap_or_default();
    mantissa.chars().all(|c| matches!(c, '0' | '.'))
}

/// So many significant digits and the exponent of the first.
fn significant(x: f64, digits: usize) -> (String, i64) {
    let known = digits.min(DIGITS_MAX);
    let (mut text, exponent) = split(&format!("{x:.*e}", known - 1));
    text.extend(std::iter::repeat_n('0', digits - known));
    (text, exponent)
}

/// `1.25e-7` as `("125", -7)`.
fn split(text: &str) -> (String, i64) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    (mantissa.replace('.', ""), exponent.parse().unwrap_or(0))
}

fn without_zeros(digits: &str) -> &str {
    let kept = digits.trim_end_matches('0');
    if kept.is_empty() { &digits[..1] } else { kept }
}

fn placed(digits: &str, exponent: i64, exponential: bool, alternate: bool, point_zero: bool) -> String {
    if exponential {
        return scientific(digits, exponent, alternate);
    }
    let before = usize::try_from(exponent + 1).unwrap_or(0);
    let mut text = match digits.len() {
        _ if before == 0 => format!("0.{}{digits}", "0".repeat(usize::try_from(-exponent - 1).unwrap_or(0))),
        n if n > before => format!("{}.{}", &digits[..before], &digits[before..]),
        n => format!("{digits}{}", "0".repeat(before - n)),
    };
    if !text.contains('.') {
        text.push_str(if point_zero {
            ".0"
        } else if alternate {
            "."
        } else {
            ""
        });
    }
    text
}

fn scientific(digits: &str, exponent: i64, alternate: bool) -> String {
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() && !alternate { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{first}{point}{rest}e{sign}{:02}", exponent.unsigned_abs())
}
