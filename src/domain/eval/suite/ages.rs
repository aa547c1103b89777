//! The years of a person: "30 years old" beside a word for somebody, and not of a house.
//!
//! English puts years before a noun ("a 30-year-old driver") or after a subject ("my mother is 30 years old"); the other languages after one.
//! What is looked at are the words right beside the years: an age that belongs to nobody for certain is left alone.

use super::super::proxy::Lang;
use super::people;

/// Words for somebody, beside the first names and the words for men and women of `super::people`.
const SOMEBODY: [&str; 4] = [
    "i i'm i’m you you're you’re we we're we’re they they're they’re who he he's he’s she she's she’s somebody someone anybody anyone everybody \
     everyone nobody one person persons people adult adults child children kid kids baby babies teen teens customer customers client clients \
     user users patient patients guest guests visitor visitors driver drivers passenger passengers traveller travellers traveler travelers \
     student students pupil pupils employee employees worker workers member members applicant applicants tenant tenants owner owners parent \
     parents grandparent grandparents friend friends partner spouse neighbour neighbor colleague colleagues candidate candidates citizen \
     citizens resident residents reader readers player players athlete beneficiary buyer renter borrower pensioner retiree male female twin \
     twins cousin mum mummy daddy grandma grandpa toddler doctor nurse teacher",
    "yo tú usted ustedes nosotros quien alguien nadie persona personas adulto adulta adultos niño niña niños niñas bebé joven jóvenes cliente \
     clienta clientes usuario usuaria usuarios paciente pacientes huésped huéspedes visitante visitantes conductor conductora conductores \
     pasajero pasajera pasajeros viajero viajera estudiante estudiantes alumno alumna alumnos empleado empleada empleados trabajador \
     trabajadora trabajadores miembro miembros socio socia socios solicitante inquilino inquilina propietario propietaria padre madre padres \
     hijo hija hijos hijas hermano hermana abuelo abuela abuelos nieto nieta tío tía primo prima marido esposo esposa pareja novio novia amigo \
     amiga amigos vecino vecina colega ciudadano ciudadana residente señor señora mujer hombre",
    "je j'ai j’ai tu vous nous on qui quelqu'un quelqu’un personne personnes adulte adultes enfant enfants bébé jeune jeunes client cliente \
     clients clientes utilisateur utilisatrice patient patiente patients visiteur visiteuse visiteurs conducteur conductrice conducteurs \
     passager passagère passagers voyageur voyageuse étudiant étudiante étudiants élève élèves employé employée employés salarié salariée \
     salariés travailleur membre membres adhérent adhérente demandeur locataire locataires propriétaire père mère parents fils fille filles \
     frère sœur grand-père grand-mère oncle tante cousin cousine neveu nièce mari époux épouse conjoint compagnon compagne copain copine ami \
     amie amis voisin voisine collègue citoyen citoyenne résident homme hommes femme femmes garçon monsieur madame il elle ils elles",
    "ich du wir ihr er sie man wer jemand niemand person personen erwachsener erwachsene kind kinder kindes baby jugendlicher jugendliche kunde \
     kundin kunden nutzer nutzerin patient patientin patienten gast gäste besucher besucherin fahrer fahrerin fahrgast reisender reisende \
     student studentin studenten schüler schülerin mitarbeiter mitarbeiterin angestellter angestellte arbeiter mitglied mitglieder \
     antragsteller mieter mieterin eigentümer eigentümerin vater mutter eltern sohn tochter söhne töchter bruder schwester opa oma großvater \
     großmutter onkel tante cousin cousine neffe nichte mann frau männer frauen ehemann ehefrau partner partnerin freund freundin freunde \
     nachbar nachbarin kollege kollegin bürger bürgerin bewohner junge mädchen",
];

/// Words between somebody and their years.
const BETWEEN: [&str; 4] = [
    "am is are was were be been being turn turns turned just only now already still not under over about at least almost nearly both aged \
     isn't isn’t aren't aren’t than younger older",
    "de con que tiene tienen tenga tengan tenía cumple cumplió ya solo sólo casi más menos mayor menor los",
    "a ont avait ayant de est sont âgé âgée âgés âgées déjà seulement plus moins presque qui n'a n’a",
    "ist sind bin bist war noch schon erst fast über unter mindestens genau gerade nur",
];

/// Words after which the one before owns what comes next, or comes from it: "the house of my mother is …".
const OF: [&str; 4] = ["of from", "del", "du des", "von vom der des"];
/// Articles and possessives, which stand before somebody.
const BEFORE: [&str; 4] = [
    "a an the my your his her our their this that",
    "un una el la los las mi tu su nuestro nuestra mis sus",
    "un une le la les mon ma mes ton ta son sa ses notre votre leur",
    "ein eine einem einen einer mein meine meinem meinen meiner dein deine sein seine ihre unser unsere",
];
/// Words that come after a noun and not before one: the years before them are somebody's own ("a 30-year-old with a card").
const AFTER_A_NOUN: &str = "and or but who with without of to from in on at by if that be is was can may has have gets get pay pays living eligible entitled exempt allowed";

/// Whether years are of somebody: what stands before them, themselves, and what stands after.
pub(super) fn is_of_somebody(before: &str, years: &str, after: &str, lang: Lang) -> bool {
    let low = years.to_lowercase();
    // These say "I" themselves.
    if ["tengo ", "j'ai ", "j’ai "].iter().any(|own| low.starts_with(own)) {
        return true;
    }
    let before = before.to_lowercase();
    let before = before.rsplit(['.', '?', '!', ';', ':', '\n']).next().unwrap_or_default();
    let mut words: Vec<&str> = before.split_whitespace().map(trimmed).filter(|w| !w.is_empty()).collect();
    if lang == Lang::En && (low.contains('-') || words.last().is_some_and(|w| within(BEFORE[0], w) || *w == "any")) {
        return is_before_somebody(after);
    }
    while words.last().is_some_and(|w| within(BETWEEN[lang as usize], w) && !is_somebody(w, lang)) {
        words.pop();
    }
    let Some(subject) = words.pop().filter(|w| is_somebody(w, lang)) else { return false };
    // "the house of my mother is …" is about the house.
    while words.last().is_some_and(|w| within(BEFORE[lang as usize], w)) && !within(OF[lang as usize], subject) {
        words.pop();
    }
    !words.last().is_some_and(|w| within(OF[lang as usize], w) || (matches!(lang, Lang::Es | Lang::Fr) && *w == "de"))
}

/// Years that stand before a noun are of somebody where it is a word for one, or where there is none.
fn is_before_somebody(after: &str) -> bool {
    let Some(rest) = after.strip_prefix(' ') else { return !after.starts_with(['-', '/']) };
    let mut words = rest.split_whitespace();
    let (word, next) = (words.next().unwrap_or_default(), words.next());
    let ends = word.ends_with(|c: char| !c.is_alphanumeric());
    let word = trimmed(word).to_lowercase();
    let goes_on = next.is_some_and(|next| !within(AFTER_A_NOUN, &trimmed(next).to_lowercase()));
    // "is a 70-year-old insured?", and not "a 70-year-old furnished flat".
    let is_said_of_it = word.ends_with("ed") && (ends || !goes_on);
    word.is_empty() || is_somebody(&word, Lang::En) || within(AFTER_A_NOUN, &word) || is_said_of_it
}

fn is_somebody(word: &str, lang: Lang) -> bool {
    let gendered = || people::gendered(lang).iter().flat_map(|(man, woman, _)| [*man, *woman]);
    let named = || people::names(lang).iter().flatten().any(|name| name.to_lowercase() == word);
    within(SOMEBODY[lang as usize], word) || gendered().any(|p| p == word) || named()
}

fn within(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|w| w == word)
}

fn trimmed(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Of `before|years|after`.
    fn is(text: &str, lang: Lang) -> bool {
        let parts: Vec<&str> = text.split('|').collect();
        is_of_somebody(parts[0], parts[1], parts[2], lang)
    }

    #[test]
    fn years_are_of_somebody_beside_a_word_for_one() {
        for (text, lang) in [
            ("I am |25 years old|.", Lang::En),
            ("My mother, |72 years old|, has a card", Lang::En),
            ("Can Emily pay when she is only |17 years old|?", Lang::En),
            ("Is a |70-year-old| insured?", Lang::En),
            ("May a |70-year-old| with a card borrow?", Lang::En),
            ("Is a |30 year old| customer insured?", Lang::En),
            ("|Tengo 30 años| y compro", Lang::Es),
            ("Mi madre |tiene 80 años|, ¿paga?", Lang::Es),
            ("¿Paga una persona de |30 años de edad|?", Lang::Es),
            ("|J'ai 80 ans|, puis-je payer ?", Lang::Fr),
            ("Ma mère |a 70 ans|.", Lang::Fr),
            ("Un homme |âgé de 70 ans| paie-t-il ?", Lang::Fr),
            ("Ich bin |19 Jahre alt|.", Lang::De),
            ("Meine Mutter ist schon |80 Jahre alt|.", Lang::De),
        ] {
            assert!(is(text, lang), "{text}");
        }
    }

    #[test]
    fn years_of_a_thing_are_left() {
        for (text, lang) in [
            ("A |30 years old| house burnt. May I claim?", Lang::En),
            ("I live in a |30-year-old| house", Lang::En),
            ("Who insures a |30-year-old| listed building?", Lang::En),
            ("My house is |30 years old|. What do I pay?", Lang::En),
            ("The house of my mother is |30 years old|.", Lang::En),
            ("I am here. The car is |20 years old|", Lang::En),
            ("Mi casa |tiene 30 años|", Lang::Es),
            ("Una casa con |30 años de edad|", Lang::Es),
            ("La casa de mi madre |tiene 30 años|", Lang::Es),
            ("Ma maison |a 30 ans|.", Lang::Fr),
            ("Un arbre |âgé de 70 ans|", Lang::Fr),
            ("La maison de ma mère |a 30 ans|", Lang::Fr),
            ("Mein Haus ist |30 Jahre alt|.", Lang::De),
            ("Das Haus von meiner Mutter ist |30 Jahre alt|", Lang::De),
        ] {
            assert!(!is(text, lang), "{text}");
        }
    }

    proptest! {
        /// Whatever stands around, a thing right before or after its years keeps them.
        #[test]
        fn a_thing_keeps_its_years(
            words in "(my mother|I am|a customer|who|and|, ){0,4}", more in "( and I| for my mother|, my friend){0,3}",
            thing in "house|car|whisky|contract|roof",
        ) {
            let after = format!(" {thing}{more}");
            let attributive = is_of_somebody(&format!("{words} a "), "30 years old", &after, Lang::En);
            let predicative = is_of_somebody(&format!("{words} my {thing} is "), "30 years old", &more, Lang::En);
            prop_assert!(!attributive && !predicative);
        }
    }
}
