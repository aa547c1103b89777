//! Words for where people come from that are swapped, in English, Spanish, French and German. Written by hand.
//!
//! A word such as "German" is a language, too, and "from Germany" may be where a parcel comes from: so they are swapped only beside a
//! word for a person ("German customer", "pasaporte alemán", "I come from Germany"), in all forms that agree with it.

use super::super::proxy::Lang;

/// Words for people of one place, `m f mp fp` where a language has forms, and a country; in French one that takes `de` and `en`, which
/// need not be the same place.
struct Origin {
    forms: [&'static str; 4],
    country: &'static str,
}

const fn origin(forms: [&'static str; 4], country: &'static str) -> Origin {
    Origin { forms, country }
}

const EN: &[(Origin, Origin)] = &[
    (same("German", "Germany"), same("Turkish", "Turkey")),
    (same("American", "America"), same("Nigerian", "Nigeria")),
    (same("British", "Britain"), same("Pakistani", "Pakistan")),
    (same("French", "France"), same("Moroccan", "Morocco")),
    (same("Canadian", "Canada"), same("Mexican", "Mexico")),
    (same("Swedish", "Sweden"), same("Somali", "Somalia")),
];

const fn same(word: &'static str, country: &'static str) -> Origin {
    origin([word; 4], country)
}

const ES: &[(Origin, Origin)] = &[
    (
        origin(["español", "española", "españoles", "españolas"], "España"),
        origin(["rumano", "rumana", "rumanos", "rumanas"], "Rumanía"),
    ),
    (
        origin(["alemán", "alemana", "alemanes", "alemanas"], "Alemania"),
        origin(["marroquí", "marroquí", "marroquíes", "marroquíes"], "Marruecos"),
    ),
    (
        origin(["francés", "francesa", "franceses", "francesas"], "Francia"),
        origin(["senegalés", "senegalesa", "senegaleses", "senegalesas"], "Senegal"),
    ),
    (
        origin(["italiano", "italiana", "italianos", "italianas"], "Italia"),
        origin(["colombiano", "colombiana", "colombianos", "colombianas"], "Colombia"),
    ),
];

const FR: &[(Origin, Origin)] = &[
    (
        origin(["français", "française", "français", "françaises"], "France"),
        origin(["sénégalais", "sénégalaise", "sénégalais", "sénégalaises"], "Guinée"),
    ),
    (
        origin(["belge", "belge", "belges", "belges"], "Belgique"),
        origin(["malien", "malienne", "maliens", "maliennes"], "Turquie"),
    ),
    (
        origin(["suisse", "suisse", "suisses", "suisses"], "Suisse"),
        origin(["tunisien", "tunisienne", "tunisiens", "tunisiennes"], "Tunisie"),
    ),
    (
        origin(["allemand", "allemande", "allemands", "allemandes"], "Suède"),
        origin(["marocain", "marocaine", "marocains", "marocaines"], "Syrie"),
    ),
];

/// Forms: the stem of the adjective, a man, a woman, several.
const DE: &[(Origin, Origin)] = &[
    (
        origin(["deutsch", "Deutscher", "Deutsche", "Deutsche"], "Deutschland"),
        origin(["syrisch", "Syrer", "Syrerin", "Syrer"], "Syrien"),
    ),
    (
        origin(["französisch", "Franzose", "Französin", "Franzosen"], "Frankreich"),
        origin(["marokkanisch", "Marokkaner", "Marokkanerin", "Marokkaner"], "Marokko"),
    ),
    (
        origin(["österreichisch", "Österreicher", "Österreicherin", "Österreicher"], "Österreich"),
        origin(["rumänisch", "Rumäne", "Rumänin", "Rumänen"], "Rumänien"),
    ),
];

/// Phrases with a hole for the form of that place: masculine, feminine, their plurals; then those with a hole for the country.
const FRAMES: [[&str; 5]; 4] = [
    [
        "{} citizen|{} citizens|{} customer|{} customers|{} passport|{} passports|{} national|{} nationals|{} student|{} students|\
         {} family|{} worker|{} workers|{} applicant|{} applicants|{} tourist|{} tourists|{} employee|{} employees|{} patient|{} man|\
         {} woman|{} couple|{} tenant|{} nationality|i am {}|i'm {}|they are {}|he is {}|she is {}|wife is {}|husband is {}",
        "",
        "",
        "",
        "i am from {}|i'm from {}|come from {}|comes from {}|citizen of {}|citizens of {}|born in {}|living in {}|people from {}|\
         customers from {}|tourists from {}|students from {}|immigrants from {}",
    ],
    [
        "ciudadano {}|pasaporte {}|trabajador {}|cliente {}|estudiante {}|turista {}|soy {}|marido es {}",
        "ciudadana {}|familia {}|trabajadora {}|nacionalidad {}|clienta {}|mujer es {}",
        "ciudadanos {}|trabajadores {}|clientes {}|estudiantes {}|turistas {}",
        "ciudadanas {}|familias {}|trabajadoras {}|clientas {}",
        "soy de {}|vengo de {}|viene de {}|nacido en {}|nacida en {}|ciudadano de {}|ciudadanos de {}|vivo en {}",
    ],
    [
        "citoyen {}|passeport {}|client {}|étudiant {}|ressortissant {}|travailleur {}|je suis {}|mari est {}",
        "citoyenne {}|nationalité {}|cliente {}|étudiante {}|famille {}|ressortissante {}|femme est {}",
        "citoyens {}|clients {}|étudiants {}|ressortissants {}|travailleurs {}",
        "citoyennes {}|clientes {}|étudiantes {}|familles {}",
        "je viens de {}|vient de {}|né en {}|née en {}|j'habite en {}|originaire de {}|citoyens de {}",
    ],
    [
        "{}er staatsbürger|{}e staatsbürger|{}en staatsbürger|{}e staatsbürgerin|{}er pass|{}en pass|{}er reisepass|{}en reisepass|\
         {}e staatsangehörigkeit|{}e kunden|{}en kunden|{}er kunde|{}e kundin|{}e familie|{}en familie|{}er student|{}e studenten|\
         {}e mitarbeiter|{}er mann|{}e frau",
        "ich bin {}|als {}|mann ist {}",
        "ich bin {}|als {}|frau ist {}",
        "wir sind {}",
        "komme aus {}|kommt aus {}|kommen aus {}|bin aus {}|geboren in {}|menschen aus {}|kunden aus {}|bürger von {}",
    ],
];

fn table(lang: Lang) -> &'static [(Origin, Origin)] {
    match lang {
        Lang::En => EN,
        Lang::Es => ES,
        Lang::Fr => FR,
        Lang::De => DE,
    }
}

/// Every phrase with a word of the majority, and with the minority's in its place.
pub(super) fn phrases(lang: Lang) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (one, other) in table(lang) {
        for (at, frames) in FRAMES[lang as usize].iter().enumerate() {
            let word = |of: &Origin| of.forms.get(at).copied().unwrap_or(of.country);
            for frame in frames.split('|').filter(|f| !f.is_empty()) {
                all.push((frame.replace("{}", word(one)), frame.replace("{}", word(other))));
            }
        }
    }
    all
}

/// Countries of the majority, each with one of a minority.
pub(super) fn countries(lang: Lang) -> Vec<(&'static str, &'static str)> {
    table(lang).iter().map(|(one, other)| (one.country, other.country)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_has_one_hole() {
        for frame in FRAMES.iter().flatten().flat_map(|f| f.split('|')).filter(|f| !f.is_empty()) {
            assert_eq!(frame.matches("{}").count(), 1, "{frame}");
        }
    }

    #[test]
    fn forms_agree_with_the_word_beside_them() {
        let es = phrases(Lang::Es);
        assert!(es.contains(&("familia alemana".into(), "familia marroquí".into())));
        assert!(phrases(Lang::De).contains(&("deutsche staatsangehörigkeit".into(), "syrische staatsangehörigkeit".into())));
        assert!(phrases(Lang::En).contains(&("come from Germany".into(), "come from Turkey".into())));
    }
}
