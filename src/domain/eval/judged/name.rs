//! The name of a judge: its models, and a hash of everything else that makes it give the scores that it gives.
//!
//! Gates compare evaluations of one name only, and a calibration holds for one name only. In the hash are the prompts, the forms,
//! the services and models with how they draw, how statements are found, the rubric, and what makes vectors. Prices, limits of speed
//! and keys are not, nor is how often each row is judged: that makes a score surer and measures nothing else.

use super::{Settings, prompts};
use crate::base::canonical;
use crate::base::digest::Digest;
use crate::base::error::{Context, Result};
use crate::seams::model::About;
use serde_json::json;

/// Hexadecimal digits of the hash.
const DIGITS: usize = 12;
/// What stands between the models and the hash.
const MARK: &str = ";judge=";

/// The name of judges that are asked so, with vectors of `embedder`.
///
/// # Errors
/// Never for settings that were checked; kept as an error rather than a panic.
pub fn name(models: &[&About], settings: &Settings, embedder: &Digest) -> Result<String> {
    let drawn = |(about, how): (&&About, &super::Drawing)| {
        json!([about.provider, about.endpoint, about.model, how.max_tokens, how.temperature.to_string(), how.seed])
    };
    let all = json!({
        "prompts": prompts::digest(),
        "judges": models.iter().zip(&settings.judges).map(drawn).collect::<Vec<_>>(),
        "sentences": settings.sentences,
        "questions": settings.questions,
        "rubric": settings.rubric,
        "vectors": embedder,
    });
    let text = canonical::to_string(&all).context(|| "the settings of a judge have no canonical form")?;
    let hash: String = Digest::of(text.as_bytes()).hex().chars().take(DIGITS).collect();
    let names: Vec<String> = models.iter().map(|m| m.model.replace(';', ",")).collect();
    Ok(format!("{}{MARK}{hash}", names.join("+")))
}

/// The judge of an evaluation without what its dataset was read by; `None` when no model judged it.
pub fn of_evaluation(judge: &str) -> Option<&str> {
    let hash = judge.find(MARK)? + MARK.len();
    let end = judge[hash..].find(';').map_or(judge.len(), |i| hash + i);
    Some(&judge[..end])
}

#[cfg(test)]
mod tests {
    use super::super::Drawing;
    use super::*;

    #[test]
    fn everything_that_changes_scores_changes_the_name() {
        let about = |model: &str, endpoint: &str| About {
            provider: "openai".into(),
            endpoint: endpoint.into(),
            model: model.into(),
            concurrency: 1,
        };
        let drawing = Drawing { max_tokens: 100, temperature: 0.0, seed: None };
        let plain = Settings { judges: vec![drawing], sentences: false, questions: 3, rubric: None };
        let (m, vectors) = (about("m", "http://a"), Digest::of(b"v"));
        let of = |settings: &Settings| name(&[&m], settings, &vectors).expect("a name");
        let with = |change: &dyn Fn(&mut Settings)| {
            let mut other = plain.clone();
            change(&mut other);
            of(&other)
        };
        let mut all = vec![
            of(&plain),
            with(&|s| s.sentences = true),
            with(&|s| s.questions = 4),
            with(&|s| s.rubric = Some("polite".into())),
            with(&|s| s.judges[0].temperature = 0.3),
            with(&|s| s.judges[0].max_tokens = 101),
            with(&|s| s.judges[0].seed = Some(0)),
            name(&[&about("m", "http://b")], &plain, &vectors).expect("a name"),
            name(&[&m], &plain, &Digest::of(b"w")).expect("a name"),
        ];
        assert!(all.iter().all(|name| name.starts_with("m;judge=")), "{all:?}");
        let n = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), n);
        let faster = About { concurrency: 64, ..m.clone() };
        assert_eq!(name(&[&faster], &plain, &vectors).expect("a name"), of(&plain));
    }

    #[test]
    fn the_judge_of_an_evaluation_is_found_in_its_name() {
        assert_eq!(of_evaluation("deterministic;k=3"), None);
        assert_eq!(of_evaluation("m+n;judge=0123456789ab"), Some("m+n;judge=0123456789ab"));
        assert_eq!(of_evaluation("m;judge=0123456789ab;map=1234;rows=5"), Some("m;judge=0123456789ab"));
    }
}
