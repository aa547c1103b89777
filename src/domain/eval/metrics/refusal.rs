//! Whether an answer declines to answer, and whether that is right.
//!
//! An offline proxy: phrases by which assistants decline in English, Spanish, French and German, looked for in the opening of
//! the answer, where a refusal stands; an answer that helps first and ends on what it does not know is no refusal. Text is
//! compared without case, accents and punctuation.

use super::Score;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A refusal begins within this many words.
const OPENING: usize = 25;

/// In the form that [`opening`] gives.
const PHRASES: &[&str] = &[
    // English
    "i don t know",
    "i do not know",
    "i m not sure",
    "i am not sure",
    "i can t answer",
    "i cannot answer",
    "i can not answer",
    "i can t help",
    "i cannot help",
    "i m unable to",
    "i am unable to",
    "i m not able to",
    "i am not able to",
    "i can t provide",
    "i cannot provide",
    "i can t find",
    "i cannot find",
    "i couldn t find",
    "i could not find",
    "i don t have information",
    "i do not have information",
    "i don t have enough information",
    "i do not have enough information",
    "i don t have any information",
    "i do not have any information",
    "i have no information",
    "cannot be answered",
    "can t be answered",
    "can not be answered",
    "cannot be determined",
    "can t be determined",
    "not enough information",
    "insufficient information",
    "no information about",
    "no information on",
    "no information is",
    "there is no information",
    "no answer is available",
    "does not provide information",
    "doesn t provide information",
    "does not contain information",
    "doesn t contain information",
    "do not contain information",
    "don t contain information",
    "do not contain any information",
    "does not contain any information",
    "does not contain the answer",
    "does not mention",
    "doesn t mention",
    "do not mention",
    "don t mention",
    "does not specify",
    "doesn t specify",
    "is not mentioned in",
    "is not specified in",
    "is not stated in",
    "is not covered in",
    "not in the provided",
    // Spanish
    "no lo se",
    "no se la respuesta",
    "no puedo responder",
    "no puedo contestar",
    "no puedo ayudar",
    "no puedo proporcionar",
    "no se puede responder",
    "no es posible responder",
    "no es posible determinar",
    "no se puede determinar",
    "no tengo informacion",
    "no tengo suficiente informacion",
    "no dispongo de informacion",
    "no cuento con informacion",
    "no hay informacion",
    "no hay suficiente informacion",
    "no existe informacion",
    "no encuentro informacion",
    "no he encontrado informacion",
    "no encontre informacion",
    "no se menciona",
    "no menciona",
    "no mencionan",
    "no contiene informacion",
    "no contienen informacion",
    "no se especifica",
    "informacion insuficiente",
    "lo desconozco",
    // French
    "je ne sais pas",
    "je l ignore",
    "je ne peux pas repondre",
    "je ne peux repondre",
    "je ne suis pas en mesure de",
    "je ne peux pas vous aider",
    "je ne peux pas fournir",
    "je n ai pas d information",
    "je n ai pas d informations",
    "je n ai aucune information",
    "je n ai pas assez d informations",
    "je n ai pas suffisamment d informations",
    "je ne dispose pas",
    "je ne dispose d aucune",
    "je ne trouve pas",
    "je n ai pas trouve",
    "il n est pas possible de repondre",
    "impossible de repondre",
    "impossible de determiner",
    "aucune information",
    "informations insuffisantes",
    "pas assez d informations",
    "ne contient pas d information",
    "ne contient pas d informations",
    "ne contiennent pas d informations",
    "ne contient pas la reponse",
    "ne mentionne pas",
    "ne mentionnent pas",
    "n est pas mentionne",
    "n est pas mentionnee",
    "ne precise pas",
    // German
    "ich weiss es nicht",
    "ich weiss nicht",
    "das weiss ich nicht",
    "weiss ich leider nicht",
    "ich kann diese frage nicht",
    "ich kann die frage nicht",
    "ich kann das nicht beantworten",
    "ich kann dazu keine",
    "ich kann leider nicht",
    "ich kann leider keine",
    "kann ich nicht beantworten",
    "kann ich leider nicht",
    "nicht beantwortet werden",
    "lasst sich nicht beantworten",
    "ich habe keine information",
    "ich habe keine informationen",
    "ich habe dazu keine",
    "ich habe nicht genug informationen",
    "ich habe nicht genugend informationen",
    "mir liegen keine",
    "liegen mir keine",
    "keine informationen",
    "keine angaben",
    "nicht genugend informationen",
    "nicht genug informationen",
    "keine ausreichenden informationen",
    "wird nicht erwahnt",
    "nicht erwahnt",
    "geht nicht hervor",
    "ist mir nicht bekannt",
];

/// True when the answer declines to answer; an answer without a word claims nothing and so declines too.
pub fn is_refusal(answer: &str) -> bool {
    let opening = opening(answer);
    opening.trim().is_empty() || PHRASES.iter().any(|phrase| holds(&opening, phrase))
}

/// 1 when the answer declines a question that cannot be answered or answers one that can, else 0.
pub fn refusal_correct(answer: &str, answerable: bool) -> Score {
    Score::Scored(f64::from(is_refusal(answer) != answerable))
}

/// Whether a phrase stands in the text between spaces.
fn holds(text: &str, phrase: &str) -> bool {
    text.match_indices(phrase).any(|(i, _)| text[..i].ends_with(' ') && text[i + phrase.len()..].starts_with(' '))
}

/// The first words in lower case without accents and punctuation, a space before and after each.
fn opening(answer: &str) -> String {
    let mut out = String::from(" ");
    let mut words = 0;
    for c in answer.nfd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase) {
        if c == 'ß' {
            out.push_str("ss");
        } else if c.is_alphanumeric() {
            out.push(c);
        } else if !out.ends_with(' ') {
            out.push(' ');
            words += 1;
            if words == OPENING {
                return out;
            }
        }
    }
    if !out.ends_with(' ') {
        out.push(' ');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_in_the_form_they_are_looked_for() {
        for phrase in PHRASES {
            assert_eq!(opening(phrase), format!(" {phrase} "));
        }
    }

    #[test]
    fn refusals_in_four_languages() {
        for answer in [
            "I don’t know.",
            "Sorry, but I'm unable to answer that from the documents.",
            "The provided context does not mention a refund fee.",
            "Unfortunately, there is NO information about this in the sources.",
            "Lo siento, no tengo información sobre ese producto.",
            "El documento no menciona el plazo.",
            "No se puede determinar con los datos disponibles.",
            "Désolé, je n’ai pas trouvé cela dans les documents.",
            "Je ne suis pas en mesure de répondre à cette question.",
            "Le contexte ne précise pas la durée.",
            "Das weiß ich leider nicht: dazu liegen mir keine Angaben vor.",
            "Diese Frage kann anhand der Dokumente nicht beantwortet werden.",
            "Die Gebühr wird im Text nicht erwähnt.",
            "",
            "  …  ",
        ] {
            assert!(is_refusal(answer), "{answer:?}");
        }
    }

    #[test]
    fn answers_in_four_languages() {
        for answer in [
            "You can return it within 30 days.",
            "If you do not know your password, reset it in the settings.",
            "No. Express orders cannot be cancelled.",
            "Information about fees is on page 3.",
            "Puede devolverlo en un plazo de 30 días; no hay gastos.",
            "Non, le retour est gratuit.",
            "Sie können das Produkt nicht umtauschen, aber zurückgeben.",
            "東京です。",
            "The fee is 5 EUR for parcels up to two kilograms, and 9 EUR for heavier ones, in all countries of the union \
             that we serve from Lyon; for other countries I do not have any information.",
        ] {
            assert!(!is_refusal(answer), "{answer:?}");
        }
    }

    #[test]
    fn declining_is_right_only_when_there_is_no_answer() {
        let (refusal, answer) = ("I don't know.", "30 days.");
        assert_eq!([refusal_correct(refusal, false), refusal_correct(answer, true)], [Score::Scored(1.0), Score::Scored(1.0)]);
        assert_eq!([refusal_correct(refusal, true), refusal_correct(answer, false)], [Score::Scored(0.0), Score::Scored(0.0)]);
    }
}
