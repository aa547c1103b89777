//! Format specs of Python ("Format Specification Mini-Language" of the Library Reference; CPython 3.11's
//! `formatter_unicode.c`): read into their parts, and checked as far as that goes without the value. Refused is what CPython
//! refuses for every text, integer, float and truth value.

use crate::base::unicode::decimal;

/// The largest index, width or precision that makes sense; Python refuses only what overflows a machine word.
pub(super) const NUMBER_MAX: usize = 1_000_000;

/// `[[fill]align][sign][z][#][0][width][grouping][.precision][type]`, as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spec {
    /// What fills the width; a blank where nothing says otherwise, `0` where only the flag does.
    pub fill: Option<char>,
    /// `<`, `>`, `=` or `^`.
    pub align: Option<char>,
    /// `+`, `-` or a blank.
    pub sign: Option<char>,
    /// `z`: what rounds to zero has no minus.
    pub no_minus_zero: bool,
    /// `#`.
    pub alternate: bool,
    /// `0` before the width.
    pub zero: bool,
    /// The least number of characters.
    pub width: usize,
    /// `,` or `_`.
    pub grouping: Option<char>,
    /// After the point.
    pub precision: Option<usize>,
    /// The last letter.
    pub kind: Option<char>,
}

impl Spec {
    /// Reads a spec.
    ///
    /// # Errors
    /// Why it is none; a number above 1,000,000 is refused too.
    pub fn parse(text: &str) -> Result<Self, String> {
        let chars: Vec<char> = text.chars().collect();
        let mut rest = Reader { chars: &chars, at: 0 };
        let mut spec = Self::default();
        let is_align = |i: usize| chars.get(i).copied().filter(|c| matches!(c, '<' | '>' | '=' | '^'));
        if let Some(align) = is_align(1) {
            (spec.fill, spec.align, rest.at) = (chars.first().copied(), Some(align), 2);
        } else if let Some(align) = is_align(0) {
            (spec.align, rest.at) = (Some(align), 1);
        }
        spec.sign = rest.take(&['+', '-', ' ']);
        spec.no_minus_zero = rest.take(&['z']).is_some();
        spec.alternate = rest.take(&['#']).is_some();
        spec.zero = spec.fill.is_none() && rest.take(&['0']).is_some();
        spec.width = rest.number()?.unwrap_or(0);
        spec.grouping = rest.take(&[',', '_']);
        if rest.take(&['.']).is_some() {
            spec.precision = Some(rest.number()?.ok_or("`.` needs a number after it")?);
        }
        spec.kind = match chars.get(rest.at..).unwrap_or_default() {
            [] => None,
            [c] if "bcdeEfFgGnosxX%".contains(*c) => Some(*c),
            _ => return Err("expected such as `>10`, `,`, `.2f`, `d`, `%`; a brace as text is written `{{` and `}}`".to_owned()),
        };
        Ok(spec)
    }

    /// Whether something in it is for numbers only.
    pub fn is_numeric(&self) -> bool {
        self.sign.is_some() || self.no_minus_zero || self.alternate || self.grouping.is_some() || self.align == Some('=')
    }
}

struct Reader<'a> {
    chars: &'a [char],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, set: &[char]) -> Option<char> {
        let found = self.chars.get(self.at).copied().filter(|c| set.contains(c));
        self.at += usize::from(found.is_some());
        found
    }

    /// A number in the digits of any script, if one stands here.
    fn number(&mut self) -> Result<Option<usize>, String> {
        let mut number = None::<usize>;
        while let Some(digit) = self.chars.get(self.at).copied().and_then(decimal) {
            let next = number.unwrap_or(0) * 10 + digit as usize;
            if next > NUMBER_MAX {
                return Err("its number is too large".to_owned());
            }
            number = Some(next);
            self.at += 1;
        }
        Ok(number)
    }
}

/// Checks a spec for values that are text or numbers; `text` says that a conversion made text of the value.
pub(super) fn check_spec(spec: &str, text: bool) -> Result<(), String> {
    let spec = Spec::parse(spec)?;
    if spec.is_numeric() && (spec.kind == Some('s') || text) {
        return Err("sign, `=`, `#`, `z` and grouping are for numbers, not for text".to_owned());
    }
    if text && spec.kind.is_some_and(|k| k != 's') {
        return Err("the conversion made text of the value".to_owned());
    }
    if spec.kind == Some('c') && (spec.sign.is_some() || spec.alternate) {
        return Err("`c` writes a character, which has no sign and no `#`".to_owned());
    }
    check_number(&spec)
}

/// What numeric types refuse whatever the number is.
fn check_number(spec: &Spec) -> Result<(), String> {
    let Some(kind) = spec.kind else { return Ok(()) };
    if spec.precision.is_some() && "bcdoxX".contains(kind) {
        return Err(format!("`{kind}` is for whole numbers, which have no precision"));
    }
    if spec.no_minus_zero && "bcdoxX".contains(kind) {
        return Err(format!("`{kind}` is for whole numbers, which have no negative zero"));
    }
    let refused = match spec.grouping {
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
