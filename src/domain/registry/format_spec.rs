//! Format specs of Python ("Format Specification Mini-Language" of the Library Reference), as far as they can be checked
//! without the value: refused is what CPython refuses for every text, integer, float and truth value.

/// The largest index, width or precision that makes sense; Python refuses only what overflows a machine word.
pub(super) const NUMBER_MAX: usize = 1_000_000;

/// Checks `[[fill]align][sign][z][#][0][width][grouping][.precision][type]` for values that are text or numbers; `text` says
/// that a conversion made text of the value.
pub(super) fn check_spec(spec: &str, text: bool) -> Result<(), String> {
    let chars: Vec<char> = spec.chars().collect();
    let is_align = |i: usize| chars.get(i).is_some_and(|c| matches!(c, '<' | '>' | '=' | '^'));
    let mut at = if is_align(1) { 2 } else { usize::from(is_align(0)) };
    let pads_number = at > 0 && chars[at - 1] == '=';
    let take = |at: &mut usize, set: &[char]| {
        let found = chars.get(*at).copied().filter(|c| set.contains(c));
        *at += usize::from(found.is_some());
        found
    };
    let digits = |at: &mut usize| {
        let from = *at;
        *at += chars[from..].iter().take_while(|c| c.is_ascii_digit()).count();
        chars[from..*at].iter().collect::<String>()
    };
    let fits = |n: &str| n.is_empty() || n.parse::<usize>().is_ok_and(|n| n <= NUMBER_MAX);
    let sign = take(&mut at, &['+', '-', ' ']);
    let no_minus_zero = take(&mut at, &['z']);
    let alternate = take(&mut at, &['#']);
    let width = digits(&mut at);
    let grouping = take(&mut at, &[',', '_']);
    let mut precision = String::new();
    if take(&mut at, &['.']).is_some() {
        precision = digits(&mut at);
        if precision.is_empty() {
            return Err("`.` needs a number after it".to_owned());
        }
    }
    if !fits(&width) || !fits(&precision) {
        return Err("its number is too large".to_owned());
    }
    let kind = match chars.get(at..).unwrap_or_default() {
        [] => None,
        [c] if "bcdeEfFgGnosxX%".contains(*c) => Some(*c),
        _ => return Err("expected such as `>10`, `,`, `.2f`, `d`, `%`; a brace as text is written `{{` and `}}`".to_owned()),
    };
    let numeric = sign.is_some() || no_minus_zero.is_some() || alternate.is_some() || grouping.is_some() || pads_number;
    if numeric && (kind == Some('s') || text) {
        return Err("sign, `=`, `#`, `z` and grouping are for numbers, not for text".to_owned());
    }
    if text && kind.is_some_and(|k| k != 's') {
        return Err("the conversion made text of the value".to_owned());
    }
    if kind == Some('c') && (sign.is_some() || alternate.is_some()) {
        return Err("`c` writes a character, which has no sign and no `#`".to_owned());
    }
    check_number(kind, grouping, !precision.is_empty(), no_minus_zero.is_some())
}

/// What numeric types refuse whatever the number is.
fn check_number(kind: Option<char>, grouping: Option<char>, precision: bool, no_minus_zero: bool) -> Result<(), String> {
    let Some(kind) = kind else { return Ok(()) };
    if precision && "bcdoxX".contains(kind) {
        return Err(format!("`{kind}` is for whole numbers, which have no precision"));
    }
    if no_minus_zero && "bcdoxX".contains(kind) {
        return Err(format!("`{kind}` is for whole numbers, which have no negative zero"));
    }
    let refused = match grouping {
        Some(',') => "bcnoxX",
        Some(_) => "cn",
        None => "",
    };
    if refused.contains(kind) {
        return Err(format!("`{kind}` does not group digits"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mini-language of the Python Library Reference; refused are what CPython refuses for every str, int and float.
    #[test]
    fn specs_are_checked() {
        for good in [
            "", "s", "10", "<10", "^^10", "=+8.3f", "+,.2f", "08,", "_x", "#x", "z.1f", ".3", ".0%", "n", "e", "G", "010s",
            "é>5", "x<#b",
        ] {
            assert_eq!(check_spec(good, false), Ok(()), "{good}");
        }
        for bad in [
            "%Y-%m-%d",
            "y",
            ".f",
            "ss",
            ",s",
            "+s",
            "=5s",
            "#s",
            ".2d",
            ",x",
            ",n",
            "_c",
            "zd",
            "9999999999",
            "2.2.2",
            ",_",
            "+c",
            "#c",
        ] {
            assert!(check_spec(bad, false).is_err(), "{bad}");
        }
        assert!(check_spec(">5", true).is_ok() && check_spec(".2f", true).is_err() && check_spec("+", true).is_err());
    }
}
