//! Variants that need nobody: other settings of retrieval, the prompt in another order or with other marks, examples in the prompt.
//!
//! Only what somebody reads is varied: [`Reads`] says what that is.

use super::edit::{set, set_prompt};
use super::{Files, Operator, Variant};
use crate::base::error::Result;
use crate::domain::golden::Row;
use crate::domain::registry::answering::{CONTEXT, QUESTION};
use crate::domain::registry::parts::{Part, Parts, Prompt};
use crate::domain::registry::template::Template;
use crate::domain::registry::tree::{KeyPath, Step};
use serde_json::{Value, json};

/// What of a version whoever answers goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reads {
    /// The prompt.
    pub prompt: bool,
    /// True when settings of retrieval that are not written down have the values of the built-in system.
    pub builtin: bool,
}

/// Numbers of passages that are tried.
const PASSAGES: [u64; 8] = [1, 2, 3, 5, 8, 12, 20, 30];
/// How many of them below and above what there is.
const NEAR: usize = 3;
/// Weights of words beside meaning.
const WEIGHTS: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];
/// The same as words.
const MODES: [&str; 3] = ["meaning", "hybrid", "words"];
/// The number of passages of the built-in system where nothing is said.
const BUILTIN_K: u64 = 5;
/// How many examples are tried.
pub const EXAMPLES: [usize; 2] = [2, 4];
/// An example whose answer is longer than this many characters is none.
const EXAMPLE_MAX: usize = 600;

/// Where a setting stands.
struct Setting<'a> {
    path: String,
    key: KeyPath,
    value: Option<&'a Value>,
}

/// Other settings of retrieval.
///
/// # Errors
/// When a file cannot be written anew.
pub fn retrieval(files: &Files, parts: &Parts, reads: Reads) -> Result<Vec<Variant>> {
    let mut found = Vec::new();
    let mut add = |operator, name: String, at: &Setting<'_>, value: &Value| {
        let bytes = files.get(&at.path).map_or(&[] as &[u8], Vec::as_slice);
        let bytes = set(&at.path, bytes, &at.key, value)?;
        found.push(Variant::with(files, operator, name, (&at.path, bytes)));
        Ok::<(), crate::base::error::Error>(())
    };
    if let Some(at) = setting(parts, &["top-k", "k"], reads) {
        let now = at.value.map_or(Some(BUILTIN_K), Value::as_u64);
        for k in now.map(near).unwrap_or_default() {
            add(Operator::Passages, format!("{} = {k}", name_of(&at.key)), &at, &json!(k))?;
        }
    }
    let mode = setting(parts, &["mode"], Reads { builtin: false, ..reads });
    if let Some(at) = &mode {
        let now = at.value.and_then(Value::as_str);
        for mode in MODES.iter().filter(|m| now.is_some_and(|now| now != **m)) {
            add(Operator::Words, format!("mode = {mode}"), at, &json!(mode))?;
        }
    } else if let Some(at) = setting(parts, &["hybrid-weight"], reads) {
        let now = at.value.map_or(Some(0.0), Value::as_f64);
        for weight in WEIGHTS.iter().filter(|w| now.is_some_and(|now| now != **w)) {
            add(Operator::Words, format!("{} = {weight}", name_of(&at.key)), &at, &json!(weight))?;
        }
    }
    Ok(found)
}

fn name_of(key: &KeyPath) -> &str {
    key.last_key().unwrap_or_default()
}

/// The nearest numbers below and above.
fn near(now: u64) -> Vec<u64> {
    let below = PASSAGES.iter().rev().filter(|k| **k < now).take(NEAR);
    let above = PASSAGES.iter().filter(|k| **k > now).take(NEAR);
    // Upwards first: too few passages are the more frequent fault.
    above.chain(below).copied().collect()
}

/// The setting of the last file that has it, which is the one that counts; where none has it and the built-in system answers, the place
/// for it.
fn setting<'a>(parts: &'a Parts, names: &[&str], reads: Reads) -> Option<Setting<'a>> {
    let documents = || parts.documents.iter().filter(|(_, d)| d.part == Some(Part::Retrieval)).rev();
    let within = |value: &'a Value| match value.get("retrieval").filter(|v| v.is_object()) {
        Some(inner) => (inner, vec![Step::Key("retrieval".to_owned())]),
        None => (value, Vec::new()),
    };
    let there = documents().find_map(|(path, document)| {
        let (value, mut way) = within(&document.value);
        let (key, value) = value.as_object()?.iter().rev().find(|(key, _)| names.contains(&key.replace('_', "-").as_str()))?;
        way.push(Step::Key(key.clone()));
        Some(Setting { path: path.clone(), key: KeyPath(way), value: Some(value) })
    });
    let place = || {
        let (path, mut way) = documents().next().map_or_else(
            || ("retrieval.yaml".to_owned(), Vec::new()),
            |(path, document)| (path.clone(), within(&document.value).1),
        );
        way.push(Step::Key((*names.first()?).to_owned()));
        Some(Setting { path, key: KeyPath(way), value: None })
    };
    there.or_else(|| if reads.builtin { place() } else { None })
}

/// The message of the answering prompt in which the question stands; `None` where nobody reads prompts or there is none.
pub fn asked(parts: &Parts, reads: Reads) -> Option<&Prompt> {
    let group = parts.answering().ok().filter(|_| reads.prompt)?;
    group.into_iter().find(|p| p.has_field(&QUESTION))
}

/// A part of a prompt between blank lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Holds {
    Instructions,
    Passages,
    Question,
}

/// The blocks of a text; `None` where one of them holds both question and passages, or a field is in none.
fn blocks(text: &str) -> Option<Vec<(Holds, &str)>> {
    let holds = |block: &str| {
        let template = Template::parse(block).ok()?;
        let has = |names: &[&str]| template.fields().iter().any(|f| names.contains(&f.name.as_str()));
        match (has(&QUESTION), has(&CONTEXT)) {
            (true, true) => None,
            (true, false) => Some(Holds::Question),
            (false, true) => Some(Holds::Passages),
            (false, false) => Some(Holds::Instructions),
        }
    };
    text.trim_end().split("\n\n").map(|block| Some((holds(block)?, block))).collect()
}

/// The prompt with its parts in another order, and with marks around the passages.
///
/// # Errors
/// When its file cannot be written anew.
pub fn prompts(files: &Files, prompt: &Prompt) -> Result<Vec<Variant>> {
    use Holds::{Instructions, Passages, Question};
    let mut texts: Vec<(Operator, String, String)> = Vec::new();
    let orders = [
        ("instructions, passages, question", [Instructions, Passages, Question]),
        ("passages, question, instructions", [Passages, Question, Instructions]),
        ("passages, instructions, question", [Passages, Instructions, Question]),
        ("instructions, question, passages", [Instructions, Question, Passages]),
    ];
    if let Some(blocks) = blocks(&prompt.text).filter(|blocks| blocks.len() > 1) {
        for (name, order) in orders {
            let of = |wanted: Holds| blocks.iter().filter(move |(holds, _)| *holds == wanted).map(|(_, block)| *block);
            let parts: Vec<&str> = order.into_iter().flat_map(of).collect();
            texts.push((Operator::Order, format!("order: {name}"), parts.join("\n\n") + "\n"));
        }
    }
    for (name, before, after) in [("tags", "<passages>\n", "\n</passages>"), ("quotes", "\"\"\"\n", "\n\"\"\"")] {
        let field = CONTEXT.iter().map(|name| format!("{{{name}}}")).find(|field| prompt.text.contains(field));
        if let Some(field) = field.filter(|_| !prompt.text.contains(before)) {
            let text = prompt.text.replacen(&field, &format!("{before}{field}{after}"), 1);
            texts.push((Operator::Format, format!("format: passages in {name}"), text));
        }
    }
    let bytes = files.get(&prompt.path).map_or(&[] as &[u8], Vec::as_slice);
    let mut found: Vec<Variant> = Vec::new();
    for (operator, name, text) in texts.into_iter().filter(|(.., text)| text.trim_end() != prompt.text.trim_end()) {
        let variant = Variant::with(files, operator, name, (&prompt.path, set_prompt(prompt, bytes, &text)?));
        if found.iter().all(|v| v.files != variant.files) {
            found.push(variant);
        }
    }
    Ok(found)
}

/// Whether a row can be an example: it has an answer that is short enough.
pub fn is_example(row: &Row) -> bool {
    let short = |text: &String| !text.trim().is_empty() && text.chars().count() <= EXAMPLE_MAX;
    row.answerable != Some(false) && row.references.first().is_some_and(short)
}

/// The prompt with examples before what it asks.
///
/// # Errors
/// When its file cannot be written anew.
pub fn demonstrations(files: &Files, prompt: &Prompt, rows: &[&Row]) -> Result<Variant> {
    let braces = |text: &str| text.trim().replace('{', "{{").replace('}', "}}");
    let example = |row: &&Row| {
        let answer = row.references.first().map(|r| braces(r)).unwrap_or_default();
        format!("Question: {}\nAnswer: {answer}", braces(&row.question))
    };
    let examples: Vec<String> = rows.iter().map(example).collect();
    let shown = format!("Examples of right answers:\n\n{}", examples.join("\n\n"));
    let mut parts: Vec<&str> = prompt.text.split("\n\n").collect();
    let fields = |block: &&str| Template::parse(block).is_ok_and(|t| !t.fields().is_empty());
    let at = parts.iter().position(fields).unwrap_or(0);
    parts.insert(at, &shown);
    let bytes = files.get(&prompt.path).map_or(&[] as &[u8], Vec::as_slice);
    let bytes = set_prompt(prompt, bytes, &parts.join("\n\n"))?;
    let name = format!("demonstrations: {}", rows.len());
    let variant = Variant::with(files, Operator::Demonstrations, name, (&prompt.path, bytes));
    Ok(Variant { shows: rows.iter().map(|r| r.id.clone()).collect(), ..variant })
}

/// So many of these vectors, of unit length, that each is near to one of them: the one that adds most first (facility location; the greedy
/// choice is within 1 − 1/e of the best, Nemhauser, Wolsey and Fisher 1978).
pub fn central(vectors: &[Vec<f32>], n: usize) -> Vec<usize> {
    let near = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>().max(0.0);
    let mut best = vec![0.0_f32; vectors.len()];
    let mut chosen: Vec<usize> = Vec::new();
    while chosen.len() < n.min(vectors.len()) {
        let gain = |at: usize| vectors.iter().zip(&best).map(|(v, b)| (near(v, &vectors[at]) - b).max(0.0)).sum::<f32>();
        let left = (0..vectors.len()).filter(|at| !chosen.contains(at));
        let Some(next) = left.map(|at| (at, gain(at))).max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))) else { break };
        chosen.push(next.0);
        best.iter_mut().zip(vectors).for_each(|(b, v)| *b = b.max(near(v, &vectors[next.0])));
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::name::ModelType;
    use crate::domain::registry::parts::{Layout, parse_parts};

    const READS: Reads = Reads { prompt: true, builtin: true };

    fn read(files: &[(&str, &str)]) -> (Files, Parts) {
        let files: Files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
        let parts = parts_of(&files);
        (files, parts)
    }

    fn parts_of(files: &Files) -> Parts {
        let borrowed: Vec<(&str, &[u8])> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
        parse_parts(ModelType::Config, &Layout::default(), &borrowed).expect("parts")
    }

    fn names(variants: &[Variant]) -> Vec<&str> {
        variants.iter().map(|v| v.name.as_str()).collect()
    }

    #[test]
    fn settings_are_varied_around_what_they_are() {
        let (files, parts) = read(&[("retrieval.yaml", "# found\ntop_k: 2\nhybrid_weight: 0.5\n"), ("answer.md", "x")]);
        let found = retrieval(&files, &parts, READS).expect("variants");
        assert_eq!(
            names(&found),
            [
                "top_k = 3",
                "top_k = 5",
                "top_k = 8",
                "top_k = 1",
                "hybrid_weight = 0",
                "hybrid_weight = 0.25",
                "hybrid_weight = 0.75",
                "hybrid_weight = 1"
            ]
        );
        assert_eq!(found[1].files["retrieval.yaml"], b"# found\ntop_k: 5\nhybrid_weight: 0.5\n");
        assert!(found.iter().all(|v| v.files.len() == 2 && v.files["answer.md"] == b"x"), "nothing else changes");
    }

    #[test]
    fn what_is_not_written_is_varied_only_where_it_is_known() {
        let (files, parts) = read(&[("retrieval.yaml", "collection: a\nmode: hybrid\n")]);
        let found = retrieval(&files, &parts, READS).expect("variants");
        assert_eq!(
            names(&found),
            ["top-k = 8", "top-k = 12", "top-k = 20", "top-k = 3", "top-k = 2", "top-k = 1", "mode = meaning", "mode = words"]
        );
        let other = retrieval(&files, &parts, Reads { builtin: false, ..READS }).expect("variants");
        assert_eq!(names(&other), ["mode = meaning", "mode = words"]);
        let (files, parts) = read(&[("prompts/a.txt", "{question}")]);
        assert!(retrieval(&files, &parts, READS).expect("variants").iter().all(|v| parts_of(&v.files).documents.len() == 1));
    }

    #[test]
    fn a_prompt_is_put_in_other_orders_and_none_twice() {
        let text = "Answer briefly.\n\nPassages:\n{context}\n\nQuestion: {question}\n";
        let (files, parts) = read(&[("prompts/answer.txt", text)]);
        let prompt = asked(&parts, READS).expect("a prompt");
        let found = prompts(&files, prompt).expect("variants");
        assert_eq!(
            names(&found),
            [
                "order: passages, question, instructions",
                "order: passages, instructions, question",
                "order: instructions, question, passages",
                "format: passages in tags",
                "format: passages in quotes"
            ]
        );
        let said = |v: &Variant| String::from_utf8(v.files["prompts/answer.txt"].clone()).expect("text");
        assert_eq!(said(&found[0]), "Passages:\n{context}\n\nQuestion: {question}\n\nAnswer briefly.\n");
        assert_eq!(said(&found[3]), text.replace("{context}", "<passages>\n{context}\n</passages>"));
        assert_eq!(asked(&parts, Reads { prompt: false, ..READS }), None);
        let (files, parts) = read(&[("prompts/answer.txt", "{question} from {context}")]);
        let found = prompts(&files, asked(&parts, READS).expect("a prompt")).expect("variants");
        assert_eq!(names(&found), ["format: passages in tags", "format: passages in quotes"], "one line has no order");
    }

    #[test]
    fn examples_are_text_and_told() {
        let (files, parts) = read(&[("prompts/answer.txt", "Be brief.\n\n{context}\n\n{question}\n")]);
        let row = |id: &str, question: &str, reference: &str| Row {
            id: id.into(),
            question: question.into(),
            references: vec![reference.into()],
            ..Row::default()
        };
        let (one, two) = (row("a", "What is {x}?", "A brace."), row("b", "Why?", "Because."));
        assert!(is_example(&one) && !is_example(&Row { answerable: Some(false), ..one.clone() }) && !is_example(&Row::default()));
        let found = demonstrations(&files, asked(&parts, READS).expect("a prompt"), &[&one, &two]).expect("a variant");
        let said = String::from_utf8(found.files["prompts/answer.txt"].clone()).expect("text");
        assert_eq!(
            said,
            "Be brief.\n\nExamples of right answers:\n\nQuestion: What is {{x}}?\nAnswer: A brace.\n\nQuestion: Why?\nAnswer: Because.\n\n\
             {context}\n\n{question}\n"
        );
        assert_eq!(found.shows.iter().map(String::as_str).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(parts_of(&found.files).prompts[0].template.variables().len(), 2, "the braces are no fields");
    }

    #[test]
    fn examples_are_those_that_others_are_near_to() {
        let unit = |x: f32, y: f32| vec![x / x.hypot(y), y / x.hypot(y)];
        let vectors = [unit(1.0, 0.1), unit(1.0, 0.0), unit(1.0, -0.1), unit(-1.0, 0.0)];
        assert_eq!(central(&vectors, 2), [1, 3], "the middle of the cloud, then what is far from it");
        assert_eq!(central(&vectors, 9).len(), 4);
        assert!(central(&[], 2).is_empty());
    }
}
