//! How friendly an answer is: a small lexicon, which is a proxy and is called one.
//!
//! (good words − bad words) / (good words + bad words), 0 where there is neither; −1 to 1. Words of four languages in one list, folded to
//! small letters, written by hand for answers of assistants. It knows no negation and no irony: it is for comparing two answers to
//! nearly the same question, in which these do not differ, and says nothing of one answer alone.

use std::collections::HashSet;
use std::sync::LazyLock;

const GOOD: &str = "good great excellent happy glad pleased welcome thanks thank gladly certainly sure easy easily free simple safe best \
    perfect congratulations recommend recommended suitable successful trust trusted able delighted wonderful helpful absolutely \
    buen bueno buena excelente feliz encantado encantada bienvenido bienvenida gracias claro seguro fácil gratis gratuito sencillo mejor \
    perfecto felicidades recomendamos adecuado éxito confianza encantados gustosamente \
    bon bonne excellent excellente heureux heureuse ravi ravie bienvenue merci volontiers certainement facile gratuit gratuite simple \
    sûr meilleur parfait félicitations recommandé adapté succès confiance plaisir \
    gut gute guten hervorragend gern gerne glücklich willkommen danke sicher einfach kostenlos sicherlich beste perfekt glückwunsch \
    empfehlen geeignet erfolgreich vertrauen selbstverständlich freuen";

const BAD: &str = "bad poor sorry unfortunately regret refuse refused denied deny reject rejected problem problems difficult risk risky \
    suspicious fraud illegal warning danger dangerous cannot impossible unable fail failed wrong careful caution penalty unsuitable \
    strict doubt unlikely \
    malo mala lamentablemente lamento rechazado denegado problema problemas difícil riesgo sospechoso fraude ilegal advertencia peligro \
    peligroso imposible error cuidado multa inadecuado duda desgraciadamente \
    mauvais mauvaise malheureusement désolé désolée regrette refusé refus problème problèmes difficile risque suspect fraude illégal \
    avertissement danger dangereux impossible erreur attention pénalité inadapté doute \
    schlecht leider bedauern abgelehnt verweigert problem probleme schwierig risiko verdächtig betrug illegal warnung gefahr gefährlich \
    unmöglich fehler vorsicht strafe ungeeignet zweifel";

static LISTS: LazyLock<[HashSet<&str>; 2]> = LazyLock::new(|| [GOOD, BAD].map(|list| list.split_whitespace().collect()));

/// How friendly a text is, −1 to 1.
pub fn sentiment(text: &str) -> f64 {
    let lower = text.to_lowercase();
    let mut counts = [0_u32; 2];
    for word in lower.split(|c: char| !c.is_alphanumeric()) {
        for (count, list) in counts.iter_mut().zip(LISTS.iter()) {
            *count += u32::from(list.contains(word));
        }
    }
    let [good, bad] = counts.map(f64::from);
    if good + bad == 0.0 { 0.0 } else { (good - bad) / (good + bad) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn friendly_answers_are_above_unfriendly_ones() {
        for (friendly, not) in [
            ("Sure, gladly! Returns are free.", "Unfortunately your claim is denied: it looks suspicious."),
            ("¡Claro, encantado! Es gratis.", "Lamentablemente fue rechazado por riesgo de fraude."),
            ("Avec plaisir, c'est gratuit.", "Malheureusement c'est refusé : risque de fraude."),
            ("Sehr gerne, das ist kostenlos.", "Leider abgelehnt: Verdacht auf Betrug ist ein Risiko."),
        ] {
            assert!(sentiment(friendly) > 0.5 && sentiment(not) < -0.5, "{} {}", sentiment(friendly), sentiment(not));
        }
        assert_eq!((sentiment(""), sentiment("Good, but sorry.")), (0.0, 0.0));
    }

    #[test]
    fn no_word_is_good_and_bad() {
        let [good, bad] = &*LISTS;
        assert_eq!(good.intersection(bad).count(), 0);
    }
}
