//! Words for how often: "three times", and "once" where it counts.
//!
//! "Once", "einmal", "una vez" and "une fois" mean much beside a number ("once you have paid", "nicht einmal", "una vez que"): they
//! count where a rate follows ("once a day"), where their clause ends ("may be renewed once"), or after a word for a limit.

use super::lists::Lang;
use super::quantity::Unit;
use super::units::{rate, unit};
use super::words::Token;

/// Words for how often, which tell the language of the number before them: a short sentence may not ("tres" is "très" as well).
const OFTEN: &[(&str, Lang)] =
    &[("mal", Lang::De), ("male", Lang::De), ("times", Lang::En), ("veces", Lang::Es), ("fois", Lang::Fr)];

/// Ways to say a single time.
const SINGLE: &[&[&str]] = &[
    &["once"],
    &["one", "time"],
    &["1", "time"],
    &["einmal"],
    &["ein", "mal"],
    &["una", "vez"],
    &["1", "vez"],
    &["une", "fois"],
    &["une", "seule", "fois"],
    &["una", "sola", "vez"],
];

/// What a rate begins with after one of them.
const OPENERS: &[&str] = &[
    "a", "an", "per", "every", "each", "in", "pro", "am", "im", "je", "jede", "jeden", "jedes", "alle", "die", "al", "por",
    "cada", "en", "par", "tous", "toutes", "chaque", "l", "le", "la",
];

/// Words before one of them after which it counts; "only once" may begin "only once you have paid".
const LIMITS: &[&str] = &["than", "least", "most", "exactly", "nur", "hochstens", "mindestens", "maximal", "genau", "lediglich"];

/// The tokens from an opener on among which its time stands: "alle zwei Wochen", "a la semana".
const NEAR: usize = 4;

/// The language of the number before a word for how often.
pub(super) fn often(word: Option<&&str>) -> Option<Lang> {
    OFTEN.iter().find(|(often, _)| word == Some(often)).map(|(_, lang)| *lang)
}

/// How many tokens a single time takes that begins at a token and counts. In Spanish "once" is eleven.
pub(super) fn once(tokens: &[Token], words: &[&str], at: usize, lang: Option<Lang>) -> Option<usize> {
    if lang == Some(Lang::Es) && words[at] == "once" {
        return None;
    }
    let used = SINGLE.iter().find(|s| words[at..].starts_with(s)).map(|s| s.len())?;
    let clause = tokens[at].clause;
    let rest = tokens[at + used..].iter().take_while(|t| t.clause == clause).count();
    let rest = &words[at + used..at + used + rest];
    let after_limit = at > 0 && tokens[at - 1].clause == clause && LIMITS.contains(&words[at - 1]);
    (rest.is_empty() && at > 0 || after_limit || begins_rate(rest)).then_some(used)
}

fn begins_rate(rest: &[&str]) -> bool {
    let is_time = |word: &&str| unit(word).is_some_and(|(unit, _)| unit == Unit::Time) && word.len() > 2;
    let Some((first, more)) = rest.split_first() else { return false };
    rate(first).is_some() || OPENERS.contains(first) && more.iter().take(NEAR - 1).any(is_time)
}

#[cfg(test)]
mod tests {
    use super::super::words::tokens;
    use super::*;

    fn counts(text: &str) -> bool {
        let tokens = tokens(text);
        let words: Vec<&str> = tokens.iter().map(|t| t.folded.as_str()).collect();
        (0..words.len()).any(|at| once(&tokens, &words, at, None).is_some())
    }

    #[test]
    fn a_single_time_counts_where_it_is_one() {
        for text in [
            "Take it once a day",
            "Take it once daily with water",
            "Backups run once every two weeks",
            "The lease may be renewed once.",
            "It may not fail more than once in a row",
            "Nehmen Sie es einmal täglich",
            "Der Müll wird einmal die Woche geholt",
            "Einmal pro Monat wird geprüft",
            "Das darf höchstens einmal verlängert werden",
            "Tómelo una vez al día",
            "Se paga una vez a la semana",
            "Une fois par jour, le soir",
            "une fois tous les deux ans",
            "one time per year",
        ] {
            assert!(counts(text), "{text}");
        }
    }

    #[test]
    fn a_single_time_is_mostly_something_else() {
        for text in [
            "Once you have paid, we ship within two days",
            "Once, there was a king",
            "Refunds start once a customer asks for one",
            "Nicht einmal die Polizei wusste es",
            "Una vez que haya pagado, se envía en dos días",
            "Une fois la commande reçue, elle part",
            "Only once the form is signed do we begin",
        ] {
            assert!(!counts(text), "{text}");
        }
        let eleven = tokens("once al día");
        let words: Vec<&str> = eleven.iter().map(|t| t.folded.as_str()).collect();
        assert_eq!(once(&eleven, &words, 0, Some(Lang::Es)), None);
    }
}
