//! The judged metrics as formulas over verdicts. Each says whose definition it follows and where kf differs.

use super::JudgedId;
use super::session::{Claims, Halt, Session, Step, share};
use crate::domain::eval::metrics::Direction;
use std::collections::BTreeSet;
use unicode_normalization::UnicodeNormalization as _;

/// The weights of statements and of nearness in answer correctness (ragas 0.4.3).
const WEIGHTS: (f64, f64) = (0.75, 0.25);
/// The highest mark of a rubric.
const MARKS: f64 = 10.0;

/// The score of the session's row.
pub(super) fn score(metric: JudgedId, session: &mut Session<'_>) -> Step<f64> {
    match metric {
        JudgedId::Faithfulness => faithfulness(session, metric),
        // The other end of the same verdicts, a refusal included.
        JudgedId::Hallucination => Ok(1.0 - faithfulness(session, JudgedId::Faithfulness)?),
        JudgedId::AnswerRelevancy => answer_relevancy(session),
        JudgedId::ContextPrecision => context_precision(session),
        JudgedId::ContextRecall => context_recall(session),
        JudgedId::AnswerCorrectness => answer_correctness(session),
        JudgedId::FactualCorrectness => factual_correctness(session),
        JudgedId::NoiseSensitivity => noise_sensitivity(session, metric, true),
        JudgedId::NoiseSensitivityIrrelevant => noise_sensitivity(session, metric, false),
        JudgedId::ContextEntityRecall => context_entity_recall(session),
        JudgedId::Rubric => rubric(session),
    }
}

/// What a refusal scores: right when the row cannot be answered, wrong otherwise.
fn refusal(session: &Session<'_>, metric: JudgedId) -> f64 {
    let right = session.case.answerable == Some(false);
    let higher = super::info(metric).direction == Direction::HigherIsBetter;
    f64::from(right == higher)
}

/// Verdicts in favour / verdicts. ragas joins the contexts and cites none, and does not count its verdicts.
fn faithfulness(session: &mut Session<'_>, metric: JudgedId) -> Step<f64> {
    let (answer, contexts) = (session.answer()?, session.contexts()?);
    let statements = match session.claims(answer)? {
        Claims::Declines => return Ok(refusal(session, metric)),
        Claims::Statements(statements) => statements,
    };
    let verdicts = session.support(&statements, &contexts)?;
    Ok(share(&verdicts.iter().map(|v| v.supported).collect::<Vec<_>>()))
}

/// The mean cosine between the question and those made of the answer. Negative ones count as 0, so that the range is 0 to 1.
fn answer_relevancy(session: &mut Session<'_>) -> Step<f64> {
    let answer = session.answer()?;
    if answer.trim().is_empty() {
        return Ok(refusal(session, JudgedId::AnswerRelevancy));
    }
    let Some(questions) = session.questions(answer)? else { return Ok(refusal(session, JudgedId::AnswerRelevancy)) };
    let asked = session.case.question;
    // All are noted before the first is waited for.
    let near: Vec<Step<f64>> = questions.iter().map(|made| session.cosine(asked, made)).collect();
    let near = near.into_iter().collect::<Step<Vec<f64>>>()?;
    Ok(mean(&near.iter().map(|c| c.max(0.0)).collect::<Vec<_>>()))
}

/// Average precision over the ranks of useful contexts: the sum of P@i × v_i / the sum of v; 0 when none is useful. Exactly so: ragas
/// adds 1e-10 below, which makes 0.9999999999 of a perfect ranking.
fn context_precision(session: &mut Session<'_>) -> Step<f64> {
    if session.case.answerable == Some(false) {
        return Err(Halt::Unscored("the row cannot be answered, so no context is right".to_owned()));
    }
    let contexts = session.contexts()?;
    let Ok(references) = session.references() else {
        let answer = session.answer()?;
        return Ok(average_precision(&session.useful(answer, &contexts)?));
    };
    best(references, |reference| Ok(average_precision(&session.useful(reference, &contexts)?)))
}

/// Attributed statements / statements of the reference, which the judge takes apart and judges in one request.
fn context_recall(session: &mut Session<'_>) -> Step<f64> {
    if session.case.answerable == Some(false) {
        return Err(Halt::Unscored("the row cannot be answered, so nothing is to be found".to_owned()));
    }
    let (references, contexts) = (session.references()?, session.contexts()?);
    best(references, |reference| session.recall(reference, &contexts))
}

/// An answer that is to be held against right ones.
enum Start<'s> {
    /// It declines to answer, which is right or wrong by the row alone.
    Declined,
    /// What it claims, maybe not known yet, and what is right.
    Go(Step<Claims>, Vec<&'s str>),
}

/// What an answer that is held against references begins with. Whether a row without one is unscored must not hang on what happens
/// to be known already: one that says whether it can be answered is asked about all the same, any other is not.
fn start<'s>(session: &mut Session<'s>, answer: &str) -> Step<Start<'s>> {
    let references = session.references();
    if session.case.answerable.is_none() {
        references.clone()?;
    }
    match (session.claims(answer), references) {
        (Ok(Claims::Declines), _) => Ok(Start::Declined),
        (claims, Ok(references)) => Ok(Start::Go(claims, references)),
        (claims, Err(why)) => Err(claims.err().unwrap_or(why)),
    }
}

/// The statements of an answer that does not decline.
fn statements(claims: &Step<Claims>) -> Step<Vec<String>> {
    match claims {
        Ok(Claims::Statements(all)) => Ok(all.clone()),
        Ok(Claims::Declines) => Ok(Vec::new()),
        Err(halt) => Err(halt.clone()),
    }
}

/// 0.75 × F1 + 0.25 × cosine of the texts, negative ones as 0. An answer without a right statement has F1 0; in ragas v2 an empty
/// one has 1.
fn answer_correctness(session: &mut Session<'_>) -> Step<f64> {
    let answer = session.answer()?;
    let Start::Go(claims, references) = start(session, answer)? else {
        return Ok(refusal(session, JudgedId::AnswerCorrectness));
    };
    best(references, |reference| {
        // What does not depend on one another is asked for at a time.
        let right = session.reference_statements(reference);
        let near = session.cosine(answer, reference);
        let (said, right) = (statements(&claims)?, right?);
        let (correct, covered) = session.classify(&said, &right)?;
        let found = correct.iter().filter(|c| **c).count();
        let f1 = f1(found, correct.len() - found, covered.iter().filter(|c| !**c).count());
        Ok(WEIGHTS.0 * f1 + WEIGHTS.1 * near?.max(0.0))
    })
}

/// F1 of precision (claims of the answer that the reference supports) and recall (claims of the reference that the answer
/// supports). ragas rounds it to two decimals; kf does not.
fn factual_correctness(session: &mut Session<'_>) -> Step<f64> {
    let answer = session.answer()?;
    let Start::Go(claims, references) = start(session, answer)? else {
        return Ok(refusal(session, JudgedId::FactualCorrectness));
    };
    best(references, |reference| {
        let missed = match session.reference_statements(reference) {
            Ok(right) => session.support(&right, &[answer]).map(|all| all.iter().filter(|v| !v.supported).count()),
            Err(halt) => Err(halt),
        };
        let said = statements(&claims)?;
        let found = session.support(&said, &[reference])?.iter().filter(|v| v.supported).count();
        Ok(f1(found, said.len() - found, missed?))
    })
}

/// Wrong statements of the answer that follow from a relevant context / all of them; or that follow from irrelevant contexts only.
/// A context is relevant when a statement of the reference follows from it. Of several references the first counts.
fn noise_sensitivity(session: &mut Session<'_>, metric: JudgedId, relevant: bool) -> Step<f64> {
    let (answer, contexts) = (session.answer()?, session.contexts()?);
    let Start::Go(claims, references) = start(session, answer)? else { return Ok(refusal(session, metric)) };
    let reference = references[0];
    let right = match session.reference_statements(reference) {
        Ok(right) => session.support(&right, &contexts),
        Err(halt) => Err(halt),
    };
    let said = statements(&claims)?;
    let (from, correct) = (session.support(&said, &contexts), session.support(&said, &[reference]));
    let (right, from, correct) = (right?, from?, correct?);
    let is_relevant: BTreeSet<usize> = right.iter().flat_map(|v| v.contexts.iter().copied()).collect();
    let wrong: Vec<bool> = from
        .iter()
        .zip(&correct)
        .map(|(from, correct)| {
            let of_relevant = from.contexts.iter().any(|c| is_relevant.contains(c));
            !correct.supported && if relevant { of_relevant } else { from.supported && !of_relevant }
        })
        .collect();
    Ok(share(&wrong))
}

/// Entities of the reference that are among those of the contexts / entities of the reference. Compared letter by letter after
/// Unicode's normal form C and with white space squeezed; case and accents count.
fn context_entity_recall(session: &mut Session<'_>) -> Step<f64> {
    let (references, contexts) = (session.references()?, session.contexts()?);
    let found = session.entities(&contexts);
    best(references, |reference| {
        let wanted = set(&session.entities(&[reference])?);
        if wanted.is_empty() {
            return Err(Halt::Unscored("the judge found no entity in the reference answer".to_owned()));
        }
        let found = set(&found.clone()?);
        Ok(share(&wanted.iter().map(|e| found.contains(e)).collect::<Vec<_>>()))
    })
}

/// The mark for criteria in words, of ten.
fn rubric(session: &mut Session<'_>) -> Step<f64> {
    let answer = session.answer()?;
    let criteria = session.case.rubric.or(session.settings.rubric.as_deref()).filter(|c| !c.trim().is_empty());
    let criteria =
        criteria.ok_or_else(|| Halt::Unscored("no criteria: set `judge.rubric` in mlops.toml, or `rubric` in the row".into()))?;
    Ok(session.rubric(answer, criteria)? / MARKS)
}

/// The highest score against a reference, as any of them will do; what is open or failed for one is so for all.
fn best<'r>(references: Vec<&'r str>, mut score: impl FnMut(&'r str) -> Step<f64>) -> Step<f64> {
    let all: Vec<Step<f64>> = references.into_iter().map(&mut score).collect();
    let all = all.into_iter().collect::<Step<Vec<f64>>>()?;
    Ok(all.into_iter().fold(0.0, f64::max))
}

fn set(entities: &[String]) -> BTreeSet<String> {
    let plain = |text: &String| text.nfc().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ");
    entities.iter().map(plain).filter(|e| !e.is_empty()).collect()
}

/// P@i at every useful rank, averaged over those.
#[expect(clippy::cast_precision_loss, reason = "counts of contexts")]
pub(super) fn average_precision(useful: &[bool]) -> f64 {
    let (mut found, mut sum) = (0_usize, 0.0);
    for (i, _) in useful.iter().enumerate().filter(|(_, useful)| **useful) {
        found += 1;
        sum += found as f64 / (i + 1) as f64;
    }
    if found == 0 { 0.0 } else { sum / found as f64 }
}

/// 2 TP / (2 TP + FP + FN); 0 when nothing is right.
#[expect(clippy::cast_precision_loss, reason = "counts of statements")]
pub(super) fn f1(right: usize, wrong: usize, missed: usize) -> f64 {
    if right == 0 { 0.0 } else { 2.0 * right as f64 / (2 * right + wrong + missed) as f64 }
}

#[expect(clippy::cast_precision_loss, reason = "counts of questions")]
fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}
