//! What separates the values of rows of text.

/// Separators, the likeliest first.
pub const SEPARATORS: &[u8] = b",;\t|";
/// The rows that the separator is found on.
pub const SAMPLE_ROWS: usize = 50;
/// The bytes that they are found in.
const SAMPLE: usize = 1 << 16;

/// The values in each of the first rows; the last is left out when the text may be cut within it.
pub fn widths(text: &str, separator: u8) -> Vec<usize> {
    let cut = &text[..text.floor_char_boundary(SAMPLE)];
    let mut widths: Vec<_> = reader(cut.as_bytes(), separator).records().take(SAMPLE_ROWS).flatten().map(|r| r.len()).collect();
    if cut.len() < text.len() || !cut.ends_with('\n') {
        widths.pop();
    }
    widths
}

/// The separator under which the rows agree best.
pub fn separator(text: &str) -> u8 {
    let score = |separator: u8| {
        let widths = widths(text, separator);
        let most = widths.iter().copied().max().unwrap_or(0);
        let agree = widths.iter().filter(|w| **w == widths[0] && **w > 1).count();
        (agree * 1_000).checked_div(widths.len()).unwrap_or(0) * 16 + most.saturating_sub(1).min(15)
    };
    let first_line = |s: &u8| text.lines().next().is_some_and(|l| l.bytes().any(|b| b == *s));
    let best = SEPARATORS.iter().copied().max_by_key(|s| (score(*s), u8::from(first_line(s)), u8::MAX - *s));
    best.unwrap_or(b',')
}

/// The separator that the text says it has in a first line for a spreadsheet program (`sep=;`), and what follows that line.
pub fn stated(text: &str) -> Option<(u8, &str)> {
    let (given, rest) = text.strip_prefix("sep=")?.split_once(['\n', '\r'])?;
    (given.len() == 1).then(|| (given.as_bytes()[0], rest))
}

/// A reader of rows of any width, the first like the others.
pub fn reader<R: std::io::Read>(from: R, separator: u8) -> csv::Reader<R> {
    csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(separator).from_reader(from)
}
