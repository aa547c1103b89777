//! The tokens of content streams and CMaps (ISO 32000-1, 7.2 and 7.8.2), without recursion and without errors: what cannot
//! be read is passed over.

use std::borrow::Cow;

/// A token.
#[derive(Debug, PartialEq)]
pub(super) enum Token<'a> {
    Number(f32),
    Text(Cow<'a, [u8]>),
    Name(Cow<'a, [u8]>),
    Open,
    Close,
    /// `<<` or `>>`.
    Dictionary,
    Operator(&'a [u8]),
}

/// Reads tokens one by one.
pub(super) struct Lexer<'a> {
    data: &'a [u8],
    at: usize,
}

fn is_space(b: u8) -> bool {
    matches!(b, 0 | 9 | 10 | 12 | 13 | 32)
}

fn is_regular(b: u8) -> bool {
    !is_space(b) && !matches!(b, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%')
}

fn digit(b: u8) -> Option<u8> {
    char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

impl<'a> Lexer<'a> {
    /// Reads from the start of `data`.
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    /// Passes over the data of an inline image, which stands after `ID`.
    pub(super) fn skip_image(&mut self) {
        let from = (self.at + 1).min(self.data.len());
        let rest = &self.data[from..];
        let ends = memchr::memmem::find_iter(rest, b"EI").find(|at| {
            let before = at.checked_sub(1).is_none_or(|b| is_space(rest[b]));
            before && rest.get(at + 2).is_none_or(|b| is_space(*b))
        });
        self.at = ends.map_or(self.data.len(), |at| from + at + 2);
    }

    fn regular(&mut self) -> &'a [u8] {
        let start = self.at;
        while self.data.get(self.at).copied().is_some_and(is_regular) {
            self.at += 1;
        }
        &self.data[start..self.at]
    }

    fn name(&mut self) -> Cow<'a, [u8]> {
        let raw = self.regular();
        if !raw.contains(&b'#') {
            return raw.into();
        }
        let mut made = Vec::with_capacity(raw.len());
        let mut at = 0;
        while at < raw.len() {
            let code = raw.get(at + 1).copied().and_then(digit).zip(raw.get(at + 2).copied().and_then(digit));
            match code.filter(|_| raw[at] == b'#') {
                Some((high, low)) => {
                    made.push(high * 16 + low);
                    at += 3;
                }
                None => {
                    made.push(raw[at]);
                    at += 1;
                }
            }
        }
        made.into()
    }

    /// A string in parentheses, which may be balanced inside it.
    fn literal(&mut self) -> Cow<'a, [u8]> {
        let start = self.at;
        let plain = self.data[start..].iter().position(|b| matches!(b, b'(' | b')' | b'\\' | b'\r'));
        if let Some(end) = plain.filter(|end| self.data[start + end] == b')') {
            self.at = start + end + 1;
            return self.data[start..start + end].into();
        }
        let (mut made, mut depth) = (Vec::new(), 0_usize);
        while let Some(b) = self.data.get(self.at).copied() {
            self.at += 1;
            match b {
                b'(' => depth += 1,
                b')' if depth == 0 => break,
                b')' => depth -= 1,
                b'\\' => {
                    self.escape(&mut made);
                    continue;
                }
                _ => {}
            }
            made.push(b);
        }
        made.into()
    }

    fn escape(&mut self, made: &mut Vec<u8>) {
        let Some(b) = self.data.get(self.at).copied() else { return };
        self.at += 1;
        match b {
            b'n' => made.push(b'\n'),
            b'r' => made.push(b'\r'),
            b't' => made.push(b'\t'),
            b'b' => made.push(8),
            b'f' => made.push(12),
            b'\r' => self.at += usize::from(self.data.get(self.at) == Some(&b'\n')),
            b'\n' => {}
            b'0'..=b'7' => {
                let mut code = u32::from(b - b'0');
                for _ in 0..2 {
                    let Some(next @ b'0'..=b'7') = self.data.get(self.at).copied() else { break };
                    code = code * 8 + u32::from(next - b'0');
                    self.at += 1;
                }
                made.push((code & 0xFF) as u8);
            }
            other => made.push(other),
        }
    }

    fn hexadecimal(&mut self) -> Cow<'a, [u8]> {
        let end = memchr::memchr(b'>', &self.data[self.at..]).map_or(self.data.len(), |e| self.at + e);
        let digits: Vec<u8> = self.data[self.at..end].iter().copied().filter_map(digit).collect();
        self.at = (end + 1).min(self.data.len());
        digits.chunks(2).map(|pair| pair[0] * 16 + pair.get(1).copied().unwrap_or(0)).collect::<Vec<_>>().into()
    }

    fn number(raw: &[u8]) -> Option<f32> {
        let mut digits = raw.iter().copied().peekable();
        let negative = digits.next_if(|b| matches!(b, b'-' | b'+')) == Some(b'-');
        let (mut value, mut scale, mut any) = (0_f64, 0_f64, false);
        for b in digits {
            match b {
                b'0'..=b'9' if scale == 0.0 => value = value * 10.0 + f64::from(b - b'0'),
                b'0'..=b'9' => {
                    value += f64::from(b - b'0') * scale;
                    scale /= 10.0;
                }
                b'.' if scale == 0.0 => scale = 0.1,
                // Some writers leave a second sign behind: `12-3` reads as 12.
                b'-' if any => break,
                b'-' => {}
                _ => return None,
            }
            any |= b.is_ascii_digit();
        }
        (any || scale > 0.0).then(|| if negative { -value as f32 } else { value as f32 })
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let b = *self.data.get(self.at)?;
            self.at += 1;
            return Some(match b {
                _ if is_space(b) => continue,
                b'%' => {
                    let rest = &self.data[self.at..];
                    self.at += memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
                    continue;
                }
                b'(' => Token::Text(self.literal()),
                b'<' if self.data.get(self.at) == Some(&b'<') => {
                    self.at += 1;
                    Token::Dictionary
                }
                b'<' => Token::Text(self.hexadecimal()),
                b'>' => {
                    self.at += usize::from(self.data.get(self.at) == Some(&b'>'));
                    Token::Dictionary
                }
                b'[' => Token::Open,
                b']' => Token::Close,
                b'/' => Token::Name(self.name()),
                b'{' | b'}' | b')' => continue,
                _ => {
                    self.at -= 1;
                    let raw = self.regular();
                    match Self::number(raw) {
                        Some(number) => Token::Number(number),
                        None => Token::Operator(raw),
                    }
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tokens_are_read() {
        let tokens: Vec<_> = Lexer::new(b"/F#41 -1.5 Tf[(a\\(b\\051(c)\\101)<4 142>-.25]TJ % x\n(plain)'").collect();
        let text = |t: &'static [u8]| Token::Text(t.into());
        assert_eq!(
            tokens,
            [
                Token::Name(b"FA"[..].into()),
                Token::Number(-1.5),
                Token::Operator(b"Tf"),
                Token::Open,
                text(b"a(b)(c)A"),
                text(b"AB"),
                Token::Number(-0.25),
                Token::Close,
                Token::Operator(b"TJ"),
                text(b"plain"),
                Token::Operator(b"'"),
            ]
        );
    }

    #[test]
    fn images_are_passed_over() {
        let mut lexer = Lexer::new(b"ID \x00(EIx\n EI Q");
        assert_eq!(lexer.next(), Some(Token::Operator(b"ID")));
        lexer.skip_image();
        assert_eq!(lexer.next(), Some(Token::Operator(b"Q")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut lexer = Lexer::new(&bytes);
            while lexer.next().is_some() {}
            prop_assert_eq!(lexer.at, bytes.len());
        }
    }
}
