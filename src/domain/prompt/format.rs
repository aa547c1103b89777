//! `format(value, spec)` of CPython 3.11 for the values that JSON has (`Python/formatter_unicode.c`).
//!
//! The order of the checks is CPython's, so the kind of the fault is: a map with a spec is a TypeError whatever the spec says,
//! `c` of a negative number an OverflowError, everything else a ValueError.

use super::fault::{PyKind, Wrong};
use super::float::{Style, is_zero, magnitude};
use super::show::{integer, str_of, type_name};
use crate::domain::registry::format_spec::Spec;
use serde_json::Value;
use std::borrow::Cow;

/// Formats a value by a spec that is not empty.
pub(super) fn format(value: &Value, spec: &Spec) -> Result<String, Wrong> {
    match value {
        Value::String(text) => format_text(text, spec),
        Value::Bool(b) => format_int(i128::from(*b), spec, "bool"),
        Value::Number(n) => match integer(n) {
            Some(i) => format_int(i, spec, "int"),
            None => format_float(n.as_f64().unwrap_or(f64::NAN), spec, "float"),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => {
            let name = type_name(value);
            Err(Wrong(PyKind::Type, format!("a value of type {name} takes no format; `!s` makes text of it first")))
        }
    }
}

/// The text that a value without spec becomes.
pub(super) fn plain(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(str_of(other)),
    }
}

/// Formats a text, which may be what a conversion made.
pub(super) fn format_text(text: &str, spec: &Spec) -> Result<String, Wrong> {
    if let Some(kind) = spec.kind.filter(|k| *k != 's') {
        return Err(Wrong::value(format!("`{kind}` is for numbers, and this value is text")));
    }
    if spec.is_numeric() {
        return Err(Wrong::value("sign, `=`, `#`, `z` and grouping are for numbers, and this value is text"));
    }
    let kept = match spec.precision.and_then(|most| text.char_indices().nth(most)) {
        Some((byte, _)) => &text[..byte],
        None => text,
    };
    let mut out = String::with_capacity(kept.len().max(spec.width));
    let (before, after) = padding(spec.align.unwrap_or('<'), spec.width.saturating_sub(kept.chars().count()));
    pad(&mut out, spec, before);
    out.push_str(kept);
    pad(&mut out, spec, after);
    Ok(out)
}

fn fill(spec: &Spec) -> char {
    spec.fill.unwrap_or(if spec.zero { '0' } else { ' ' })
}

fn pad(out: &mut String, spec: &Spec, n: usize) {
    out.extend(std::iter::repeat_n(fill(spec), n));
}

/// How much goes to the left and how much to the right.
fn padding(align: char, n: usize) -> (usize, usize) {
    match align {
        '<' => (0, n),
        '^' => (n / 2, n - n / 2),
        _ => (n, 0),
    }
}

fn format_int(value: i128, spec: &Spec, name: &str) -> Result<String, Wrong> {
    let kind = spec.kind.unwrap_or('d');
    if "eEfFgG%".contains(kind) {
        #[expect(clippy::cast_precision_loss, reason = "Python rounds to the nearest float too")]
        return format_float(value as f64, spec, name);
    }
    if kind == 's' {
        return Err(Wrong::value(format!("`s` is for text, and this value is of type {name}")));
    }
    check_grouping(spec, kind)?;
    if spec.precision.is_some() {
        return Err(Wrong::value("a whole number has no precision"));
    }
    if spec.no_minus_zero {
        return Err(Wrong::value("`z` is for floats: a whole number has no negative zero"));
    }
    if kind == 'c' {
        return character(value, spec);
    }
    let size = value.unsigned_abs();
    let (prefix, digits) = match kind {
        'b' => ("0b", format!("{size:b}")),
        'o' => ("0o", format!("{size:o}")),
        'x' => ("0x", format!("{size:x}")),
        'X' => ("0X", format!("{size:X}")),
        _ => ("", size.to_string()),
    };
    let prefix = if spec.alternate { prefix } else { "" };
    let every = if "boxX".contains(kind) { 4 } else { 3 };
    Ok(assemble(&Number { negative: value < 0, prefix, digits: &digits, rest: "", every }, spec))
}

/// `c`: the character of a code point.
fn character(value: i128, spec: &Spec) -> Result<String, Wrong> {
    if spec.sign.is_some() || spec.alternate {
        return Err(Wrong::value("`c` writes a character, which has no sign and no `#`"));
    }
    let code = u32::try_from(value).ok().filter(|code| *code <= 0x0010_ffff);
    let code = code.ok_or_else(|| Wrong(PyKind::Overflow, format!("{value} is no character: they go from 0 to 1114111")))?;
    // Python has half characters as texts; UTF-8 has none, and neither has any service that a prompt is sent to.
    let c = char::from_u32(code).ok_or_else(|| Wrong::value(format!("{value} is half of a character (a surrogate)")))?;
    Ok(assemble(&Number { negative: false, prefix: "", digits: "", rest: c.encode_utf8(&mut [0; 4]), every: 3 }, spec))
}

fn check_grouping(spec: &Spec, kind: char) -> Result<(), Wrong> {
    let refused = match spec.grouping {
        Some(',') => "bcnosxX",
        Some(_) => "cns",
        None => "",
    };
    if refused.contains(kind) {
        return Err(Wrong::value(format!("`{kind}` does not group digits")));
    }
    Ok(())
}

fn format_float(x: f64, spec: &Spec, name: &str) -> Result<String, Wrong> {
    let kind = spec.kind;
    if let Some(kind) = kind.filter(|k| !"eEfFgGn%".contains(*k)) {
        return Err(Wrong::value(format!("`{kind}` is not for values of type {name}")));
    }
    check_grouping(spec, kind.unwrap_or('g'))?;
    let precision = spec.precision.unwrap_or(6);
    let style = match (kind, spec.precision) {
        (None, None) => Style::Shortest,
        (None | Some('g' | 'G' | 'n'), _) => Style::General(precision),
        (Some('e' | 'E'), _) => Style::Exponent(precision),
        _ => Style::Fixed(precision),
    };
    let x = if kind == Some('%') { x * 100.0 } else { x };
    let mut text = if x.is_nan() {
        "nan".to_owned()
    } else if x.is_infinite() {
        "inf".to_owned()
    } else {
        magnitude(x, style, spec.alternate, kind.is_none())
    };
    let negative = x.is_sign_negative() && !x.is_nan() && !(spec.no_minus_zero && x.is_finite() && is_zero(&text));
    if matches!(kind, Some('E' | 'F' | 'G')) {
        text.make_ascii_uppercase();
    }
    if kind == Some('%') {
        text.push('%');
    }
    let (digits, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    Ok(assemble(&Number { negative, prefix: "", digits, rest, every: 3 }, spec))
}

/// The pieces of a number before they are padded.
struct Number<'a> {
    negative: bool,
    prefix: &'a str,
    /// The digits that may be grouped.
    digits: &'a str,
    /// The point and what follows it; `inf`; a character.
    rest: &'a str,
    /// Digits of one group.
    every: usize,
}

/// Sign, prefix, grouped digits and padding, as `calc_number_widths` and `fill_number` lay them out.
fn assemble(number: &Number<'_>, spec: &Spec) -> String {
    let sign = match (number.negative, spec.sign) {
        (true, _) => "-",
        (false, Some('+')) => "+",
        (false, Some(' ')) => " ",
        _ => "",
    };
    let align = spec.align.unwrap_or(if spec.zero { '=' } else { '>' });
    let around = sign.len() + number.prefix.len() + number.rest.chars().count();
    let least = if fill(spec) == '0' && align == '=' { spec.width.saturating_sub(around) } else { 0 };
    let digits = match number.digits {
        "" => String::new(),
        digits => grouped(digits, least, spec.grouping, number.every),
    };
    let missing = spec.width.saturating_sub(around + digits.len());
    let mut out = String::with_capacity(around + digits.len() + missing);
    let (before, after) = if align == '=' { (0, 0) } else { padding(align, missing) };
    pad(&mut out, spec, before);
    out.push_str(sign);
    out.push_str(number.prefix);
    pad(&mut out, spec, if align == '=' { missing } else { 0 });
    out.push_str(&digits);
    out.push_str(number.rest);
    pad(&mut out, spec, after);
    out
}

/// Digits in groups from the right, with zeros before them until there are `least` characters: a separator is never first, so that
/// there may be one more (`_PyUnicode_InsertThousandsGrouping`).
fn grouped(digits: &str, least: usize, separator: Option<char>, every: usize) -> String {
    let Some(separator) = separator else { return format!("{digits:0>least$}") };
    let mut reversed = String::with_capacity(least.max(digits.len() * 2));
    let mut from_right = digits.bytes().rev();
    let mut in_group = 0;
    loop {
        let next = from_right.next();
        if next.is_none() && reversed.len() >= least {
            break;
        }
        if in_group == every {
            reversed.push(separator);
            in_group = 0;
        }
        reversed.push(next.map_or('0', char::from));
        in_group += 1;
    }
    reversed.chars().rev().collect()
}
