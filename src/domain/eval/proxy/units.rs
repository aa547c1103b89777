//! The words that name units, rates, months and days of the week in four languages.

use super::lists::Lang;
use super::quantity::Unit;
use super::words::Token;
use std::collections::HashMap;
use std::sync::LazyLock;

const DAY: f64 = 86_400.0;
const MONTH: f64 = 30.4375 * DAY;
const YEAR: f64 = 12.0 * MONTH;

/// Units by the words that name them.
const UNITS: &[(&str, Unit, f64)] = &[
    ("s sec secs second seconds sekunde sekunden segundo segundos seconde secondes", Unit::Time, 1.0),
    ("min mins minute minutes minuten minuto minutos", Unit::Time, 60.0),
    ("h hr hrs hour hours stunde stunden std hora horas heure heures", Unit::Time, 3600.0),
    ("day days tag tage tagen dia dias jour jours journee", Unit::Time, DAY),
    ("week weeks woche wochen semana semanas semaine semaines", Unit::Time, 7.0 * DAY),
    ("fortnight fortnights quinzaine", Unit::Time, 14.0 * DAY),
    ("month months monat monate monaten monats mes meses mois", Unit::Time, MONTH),
    ("quarter quarters quartal quartale trimestre trimestres", Unit::Time, 3.0 * MONTH),
    ("year years jahr jahre jahren jahres ano anos an ans annee annees", Unit::Time, YEAR),
    ("uhr pm am", Unit::Clock, 60.0),
    ("% percent percentage prozent pct", Unit::Percent, 1.0),
    ("€ euro euros eur", Unit::Money(0), 1.0),
    ("$ dollar dollars usd dolar dolares", Unit::Money(1), 1.0),
    ("£ pound pounds gbp pfund libras livres", Unit::Money(2), 1.0),
    ("chf franken", Unit::Money(3), 1.0),
    ("¥ yen jpy", Unit::Money(4), 1.0),
    ("mcg µg ug", Unit::Mass, 1e-6),
    ("mg milligram milligrams milligramm miligramos milligrammes", Unit::Mass, 1e-3),
    ("g gram grams gramm gramo gramos gramme grammes", Unit::Mass, 1.0),
    ("kg kilo kilos kilogram kilograms kilogramm kilogramo kilogramos kilogramme kilogrammes", Unit::Mass, 1e3),
    ("t tonne tonnes tonnen tons toneladas", Unit::Mass, 1e6),
    ("mm millimetre millimetres millimeter milimetros millimetres", Unit::Length, 1e-3),
    ("cm centimetre centimetres centimeter zentimeter centimetros", Unit::Length, 1e-2),
    ("m metre metres meter meters metro metros metern", Unit::Length, 1.0),
    ("km kilometre kilometres kilometer kilometers kilometro kilometros", Unit::Length, 1e3),
    ("inch inches zoll pulgadas pouces", Unit::Length, 0.0254),
    ("foot feet ft", Unit::Length, 0.3048),
    ("mile miles meile meilen millas", Unit::Length, 1609.344),
    ("ml millilitre millilitres milliliter mililitros", Unit::Volume, 1e-3),
    ("cl centilitre centilitres", Unit::Volume, 1e-2),
    ("l litre litres liter liters litern litro litros", Unit::Volume, 1.0),
    ("kb kilobytes", Unit::Data, 1e3),
    ("mb megabyte megabytes", Unit::Data, 1e6),
    ("gb go gigabyte gigabytes", Unit::Data, 1e9),
    ("tb terabyte terabytes", Unit::Data, 1e12),
    ("° degree degrees grad grados degres celsius", Unit::Degrees, 1.0),
    ("w watt watts", Unit::Power, 1.0),
    ("kw kilowatt kilowatts kwh", Unit::Power, 1e3),
];

/// Words that say a rate alone.
const RATES: &[(&str, f64)] = &[
    ("hourly stundlich", 3600.0),
    ("daily taglich diario diaria diarios diariamente quotidien quotidienne quotidiennement", DAY),
    ("weekly wochentlich semanal semanales semanalmente hebdomadaire", 7.0 * DAY),
    ("monthly monatlich mensual mensuales mensualmente mensuel mensuelle mensuels mensuellement", MONTH),
    ("quarterly vierteljahrlich trimestral trimestrales trimestriel trimestrielle", 3.0 * MONTH),
    ("yearly annual annually jahrlich anual anuales anualmente annuel annuelle annuellement", YEAR),
];

/// Words before a unit that make a rate of it, or one of it.
const ONE: &[&str] = &[
    "a", "an", "per", "every", "each", "un", "una", "al", "por", "cada", "une", "par", "chaque", "ein", "eine", "einen", "einem",
    "einer", "eines", "pro", "jede", "jeden", "jedes", "one", "uno", "la", "le",
];

const MONTHS: &[&str] = &[
    "january januar janner enero janvier",
    "february februar febrero fevrier",
    "march marz marzo mars",
    "april abril avril",
    "may mai mayo",
    "june juni junio juin",
    "july juli julio juillet",
    "august agosto aout",
    "september septiembre septembre",
    "october oktober octubre octobre",
    "november noviembre novembre",
    "december dezember diciembre decembre",
];
const WEEKDAYS: &[&str] = &[
    "monday mondays montag montags lunes lundi lundis",
    "tuesday tuesdays dienstag dienstags martes mardi mardis",
    "wednesday wednesdays mittwoch mittwochs miercoles mercredi mercredis",
    "thursday thursdays donnerstag donnerstags jueves jeudi jeudis",
    "friday fridays freitag freitags viernes vendredi vendredis",
    "saturday saturdays samstag samstags sonnabend sabado sabados samedi samedis",
    "sunday sundays sonntag sonntags domingo domingos dimanche dimanches",
];

/// What words name, by the word; a word that names two things names the first.
type Named<T> = LazyLock<HashMap<&'static str, T>>;

fn named<T: Copy>(list: impl IntoIterator<Item = (&'static str, T)>) -> HashMap<&'static str, T> {
    let mut found = HashMap::new();
    for (names, what) in list {
        names.split_ascii_whitespace().for_each(|name| _ = found.entry(name).or_insert(what));
    }
    found
}

static UNIT_OF: Named<(Unit, f64)> =
    LazyLock::new(|| named(UNITS.iter().map(|(names, unit, factor)| (*names, (*unit, *factor)))));
static RATE_OF: Named<f64> = LazyLock::new(|| named(RATES.iter().copied()));
static MONTH_OF: Named<u8> = LazyLock::new(|| named(MONTHS.iter().copied().zip(1_u8..)));
static WEEKDAY_OF: Named<u8> = LazyLock::new(|| named(WEEKDAYS.iter().copied().zip(1_u8..)));

/// The seconds of the rate that a word says alone.
pub(super) fn rate(word: &str) -> Option<f64> {
    RATE_OF.get(word).copied()
}

/// Whether a word before a unit makes a rate of it, or one of it.
pub(super) fn is_one(word: &str) -> bool {
    ONE.contains(&word)
}

/// The unit that a word names, and how many basic units it is.
pub(super) fn unit(word: &str) -> Option<(Unit, f64)> {
    UNIT_OF.get(word).copied()
}

/// The month or day of the week that a token names.
pub(super) fn calendar(token: &Token, lang: Option<Lang>) -> Option<(Unit, f64)> {
    let place = |list: &Named<u8>| list.get(token.folded.as_str()).copied().map(f64::from);
    // "may" and "mars" are words of their own; only the language's own months are written without capital.
    let month =
        place(&MONTH_OF).filter(|_| token.capital || !matches!(lang, Some(Lang::En | Lang::De) | None) && token.folded != "may");
    month.map(|m| (Unit::Month, m)).or_else(|| place(&WEEKDAY_OF).map(|d| (Unit::Weekday, d)))
}
