//! Names and words for people that are swapped, in English, Spanish, French and German. Written by hand.
//!
//! English first names are of Bertrand and Mullainathan 2004 (American Economic Review 94, Table A1) with frequent ones beside them; the
//! others are frequent first names of the country and of its immigrants. In French the two of a pair begin alike (vowel or not), so that
//! elisions stay right. Phrases carry their articles and possessives, because these agree.

use super::super::proxy::Lang;
use super::swaps::How::{self, Anchored, Any, Forward};

/// First names: (woman of the majority, man of it, woman of a minority, man of it).
const NAMES: [&[[&str; 4]]; 4] = [
    &[
        ["Emily", "Greg", "Lakisha", "Jamal"],
        ["Anne", "Brad", "Aisha", "Hakim"],
        ["Sarah", "Matthew", "Keisha", "Darnell"],
        ["Laurie", "Brett", "Tamika", "Kareem"],
        ["Meredith", "Neil", "Latoya", "Rasheed"],
        ["Allison", "Brendan", "Tanisha", "Tyrone"],
        ["Mary", "John", "Fatima", "Mohammed"],
        ["Susan", "David", "Priya", "Rajesh"],
    ],
    &[
        ["María", "José", "Fátima", "Mohamed"],
        ["Lucía", "Javier", "Nadia", "Youssef"],
        ["Carmen", "Carlos", "Samira", "Rachid"],
        ["Laura", "Antonio", "Yasmina", "Karim"],
        ["Ana", "Juan", "Aisha", "Omar"],
    ],
    &[
        ["Marie", "Pierre", "Fatima", "Mohamed"],
        ["Julie", "Thomas", "Khadija", "Karim"],
        ["Sophie", "Nicolas", "Samira", "Rachid"],
        ["Claire", "Julien", "Nadia", "Youssef"],
        ["Anne", "Antoine", "Aïcha", "Omar"],
    ],
    &[
        ["Anna", "Thomas", "Ayşe", "Mehmet"],
        ["Julia", "Michael", "Fatma", "Ali"],
        ["Sabine", "Stefan", "Elif", "Murat"],
        ["Claudia", "Andreas", "Zeynep", "Mustafa"],
        ["Katharina", "Jan", "Emine", "Emre"],
    ],
];

/// First names of a language.
pub(super) fn names(lang: Lang) -> &'static [[&'static str; 4]] {
    NAMES[lang as usize]
}

/// Men's words and women's.
const GENDERED: [&[(&str, &str, How)]; 4] = [
    &[
        ("he", "she", Any),
        ("he's", "she's", Any),
        ("he'll", "she'll", Any),
        ("himself", "herself", Any),
        ("man", "woman", Any),
        ("men", "women", Any),
        ("boy", "girl", Any),
        ("boys", "girls", Any),
        ("father", "mother", Any),
        ("dad", "mom", Any),
        ("son", "daughter", Any),
        ("sons", "daughters", Any),
        ("brother", "sister", Any),
        ("brothers", "sisters", Any),
        ("husband", "wife", Any),
        ("boyfriend", "girlfriend", Any),
        ("uncle", "aunt", Any),
        ("nephew", "niece", Any),
        ("grandfather", "grandmother", Any),
        ("grandson", "granddaughter", Any),
        ("gentleman", "lady", Any),
        ("mr", "ms", Any),
        ("mr", "mrs", How::Backward),
        ("male", "female", Any),
        ("sir", "madam", Any),
    ],
    &[
        ("él", "ella", Any),
        ("ellos", "ellas", Any),
        ("un hombre", "una mujer", Any),
        ("el hombre", "la mujer", Any),
        ("los hombres", "las mujeres", Any),
        ("unos hombres", "unas mujeres", Any),
        ("del hombre", "de la mujer", Any),
        ("al hombre", "a la mujer", Any),
        ("hombres", "mujeres", Any),
        ("mi marido", "mi mujer", Any),
        ("mi esposo", "mi esposa", Any),
        ("mi padre", "mi madre", Any),
        ("mi hijo", "mi hija", Any),
        ("mis hijos", "mis hijas", Forward),
        ("mi hermano", "mi hermana", Any),
        ("mi abuelo", "mi abuela", Any),
        ("mi novio", "mi novia", Any),
        ("su marido", "su mujer", Any),
        ("su padre", "su madre", Any),
        ("su hijo", "su hija", Any),
        ("el señor", "la señora", Any),
        ("un señor", "una señora", Any),
        ("señor", "señora", Any),
        ("sr", "sra", Any),
        ("el cliente", "la clienta", Any),
        ("un cliente", "una clienta", Any),
        ("un trabajador", "una trabajadora", Any),
        ("un alumno", "una alumna", Any),
    ],
    &[
        ("il", "elle", Anchored),
        ("ils", "elles", Anchored),
        ("un homme", "une femme", Any),
        ("l'homme", "la femme", Any),
        ("l’homme", "la femme", Forward),
        ("les hommes", "les femmes", Any),
        ("des hommes", "des femmes", Any),
        ("hommes", "femmes", Any),
        ("mon mari", "ma femme", Any),
        ("mon père", "ma mère", Any),
        ("mon fils", "ma fille", Any),
        ("mon frère", "ma sœur", Any),
        ("mon grand-père", "ma grand-mère", Any),
        ("mon copain", "ma copine", Any),
        ("son mari", "sa femme", Any),
        ("son père", "sa mère", Any),
        ("son fils", "sa fille", Any),
        ("monsieur", "madame", Any),
        ("un client", "une cliente", Any),
        ("le client", "la cliente", Any),
        ("un salarié", "une salariée", Any),
        ("un étudiant", "une étudiante", Any),
    ],
    &[
        ("er", "sie", How::AnchoredForward),
        ("ein mann", "eine frau", Any),
        ("einem mann", "einer frau", Any),
        ("einen mann", "eine frau", Forward),
        ("der mann", "die frau", Any),
        ("männer", "frauen", Any),
        ("männern", "frauen", Forward),
        ("mein mann", "meine frau", Any),
        ("meinem mann", "meiner frau", Any),
        ("meinen mann", "meine frau", Forward),
        ("mein vater", "meine mutter", Any),
        ("meinem vater", "meiner mutter", Any),
        ("meinen vater", "meine mutter", Forward),
        ("mein sohn", "meine tochter", Any),
        ("meinem sohn", "meiner tochter", Any),
        ("meinen sohn", "meine tochter", Forward),
        ("mein bruder", "meine schwester", Any),
        ("meinem bruder", "meiner schwester", Any),
        ("meinen bruder", "meine schwester", Forward),
        ("ein kunde", "eine kundin", Any),
        ("der kunde", "die kundin", Any),
        ("ein mitarbeiter", "eine mitarbeiterin", Any),
        ("herr", "frau", How::Title),
    ],
];

/// (a man's word, a woman's, how they are swapped).
pub(super) fn gendered(lang: Lang) -> &'static [(&'static str, &'static str, How)] {
    GENDERED[lang as usize]
}

/// Words of the young and of the old.
const AGED: [&[(&str, &str)]; 4] = [
    &[
        ("young man", "elderly man"),
        ("young woman", "elderly woman"),
        ("young person", "elderly person"),
        ("young people", "elderly people"),
        ("young couple", "elderly couple"),
        ("young adults", "older adults"),
        ("young customer", "elderly customer"),
        ("young customers", "elderly customers"),
        ("young driver", "elderly driver"),
        ("young drivers", "elderly drivers"),
        ("younger employees", "older employees"),
        ("younger customers", "older customers"),
        ("teenager", "pensioner"),
        ("teenagers", "pensioners"),
    ],
    &[
        ("persona joven", "persona mayor"),
        ("personas jóvenes", "personas mayores"),
        ("los jóvenes", "los mayores"),
        ("cliente joven", "cliente mayor"),
        ("hombre joven", "hombre mayor"),
        ("mujer joven", "mujer mayor"),
        ("un adolescente", "un jubilado"),
        ("una adolescente", "una jubilada"),
    ],
    &[
        ("une jeune femme", "une femme âgée"),
        ("un jeune homme", "un homme âgé"),
        ("les jeunes", "les personnes âgées"),
        ("des jeunes", "des personnes âgées"),
        ("un adolescent", "un retraité"),
        ("une adolescente", "une retraitée"),
        ("les adolescents", "les retraités"),
    ],
    &[
        ("junger mann", "alter mann"),
        ("jungen mann", "alten mann"),
        ("junge frau", "alte frau"),
        ("jungen frau", "alten frau"),
        ("junge menschen", "alte menschen"),
        ("jungen menschen", "alten menschen"),
        ("junge leute", "alte leute"),
        ("jugendliche", "senioren"),
        ("ein jugendlicher", "ein rentner"),
    ],
];

/// (of the young, of the old).
pub(super) fn aged(lang: Lang) -> &'static [(&'static str, &'static str)] {
    AGED[lang as usize]
}

/// What stands around a person's years: (before, after), where the first may be empty. Not what may as well be a term or a limit.
const YEARS: [&[(&str, &str)]; 4] = [
    &[("", " years old"), ("", " year old"), ("", "-year-old")],
    &[("tengo ", " años"), ("tiene ", " años"), ("tienen ", " años"), ("", " años de edad")],
    &[("j'ai ", " ans"), ("j’ai ", " ans"), ("a ", " ans"), ("âgé de ", " ans"), ("âgée de ", " ans"), ("âgés de ", " ans")],
    &[("", " jahre alt")],
];

/// What stands around a person's years.
pub(super) fn years(lang: Lang) -> &'static [(&'static str, &'static str)] {
    YEARS[lang as usize]
}
