//! The model in a folder against vectors that `fixture/make.py` computes apart from kf, and against folders that are wrong.

use super::*;
use serde::Deserialize;
use std::fs;
use std::path::PathBuf;

#[derive(Deserialize)]
struct Reference {
    text: String,
    tokens: usize,
    vector: Vec<f32>,
}

const NAMES: [&str; 6] =
    ["config.json", "modules.json", "1_Pooling/config.json", "sentence_bert_config.json", "tokenizer.json", "model.safetensors"];

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/adapters/embedder/directory/fixture")
}

fn opened() -> Directory {
    Directory::open(&fixture(), &Prefixes::default(), 2).expect("the fixture")
}

fn reference() -> Vec<Reference> {
    serde_json::from_slice(&fs::read(fixture().join("reference.json")).expect("a file")).expect("JSON")
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// A copy of the fixture in which one file is another; `None` leaves it out.
fn with(name: &str, text: Option<&[u8]>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    fs::create_dir(dir.path().join("1_Pooling")).expect("a folder");
    for each in NAMES.iter().filter(|n| **n != name) {
        fs::copy(fixture().join(each), dir.path().join(each)).expect("copied");
    }
    if let Some(text) = text {
        fs::write(dir.path().join(name), text).expect("written");
    }
    dir
}

fn changed(name: &str, from: &str, to: &str) -> tempfile::TempDir {
    let text = fs::read_to_string(fixture().join(name)).expect("a text");
    assert!(text.contains(from), "{name} has no {from}");
    with(name, Some(text.replacen(from, to, 1).as_bytes()))
}

#[test]
fn vectors_equal_the_reference() {
    let (model, reference) = (opened(), reference());
    assert!(reference.len() >= 50 && reference.iter().any(|r| r.tokens > 3 * model.window), "windows are in it");
    let texts: Vec<&str> = reference.iter().map(|r| r.text.as_str()).collect();
    let vectors = model.embed(&texts, Purpose::Document).expect("embedded");
    for (r, vector) in reference.iter().zip(&vectors) {
        assert_eq!(model.tokens(&r.text, Purpose::Document).len(), r.tokens, "{}", r.text);
        assert!(cosine(vector, &r.vector) > 0.999_99, "{}: {}", r.text, cosine(vector, &r.vector));
    }
}

#[test]
fn a_vector_does_not_depend_on_company_threads_or_order() {
    let reference = reference();
    let texts: Vec<&str> = reference.iter().map(|r| r.text.as_str()).collect();
    let together = opened().embed(&texts, Purpose::Document).expect("embedded");
    let one = Directory::open(&fixture(), &Prefixes::default(), 1).expect("the fixture");
    for (text, vector) in texts.iter().zip(&together) {
        assert_eq!(one.embed(&[text], Purpose::Query).expect("embedded"), std::slice::from_ref(vector), "{text}");
    }
    assert_eq!(one.embed(&[" \n", ""], Purpose::Document).expect("embedded"), [vec![0.0; 16], vec![0.0; 16]]);
}

#[test]
fn prefixes_are_part_of_text_and_model() {
    let prefixes = Prefixes { query: "return ".into(), document: String::new() };
    let (plain, prefixed) = (opened(), Directory::open(&fixture(), &prefixes, 2).expect("the fixture"));
    let expected = plain.embed(&["return the cat"], Purpose::Document).expect("embedded");
    assert_eq!(prefixed.embed(&["the cat"], Purpose::Query).expect("embedded"), expected);
    assert_ne!(prefixed.embed(&["the cat"], Purpose::Document).expect("embedded"), expected);
    assert_eq!(prefixed.embed(&[" "], Purpose::Query).expect("embedded"), [vec![0.0; 16]]);
    assert_ne!(plain.model().digest, prefixed.model().digest);
    assert_eq!((plain.model().name.as_str(), plain.model().dimensions, plain.model().max_tokens), ("fixture", 16, 22));
}

#[test]
fn the_first_token_can_stand_for_the_text() {
    let dir = with("1_Pooling/config.json", Some(br#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#));
    let first = Directory::open(dir.path(), &Prefixes::default(), 1).expect("a model");
    assert_ne!(first.model().digest, opened().model().digest);
    let of = |model: &Directory| model.embed(&["the cat"], Purpose::Document).expect("embedded");
    assert_ne!(of(&first), of(&opened()));
    // A bare BERT is pooled by the mean, and its files are what it is.
    let bare = with("modules.json", None);
    let bare = Directory::open(bare.path(), &Prefixes::default(), 1).expect("a model");
    assert_eq!(of(&bare), of(&opened()));
}

#[test]
fn another_model_is_refused_by_name() {
    let check = |dir: tempfile::TempDir, said: &str| {
        let e = Directory::open(dir.path(), &Prefixes::default(), 1).err().expect(said);
        let text = e.chain().join(": ");
        assert!(text.contains(said) && text.starts_with("cannot use the embedding model in "), "{said}: {text}");
    };
    check(changed("config.json", "\"bert\"", "\"mpnet\""), "the model's architecture is `mpnet`, and kf computes only `bert`");
    check(changed("config.json", "\"gelu\"", "\"relu\""), "the model's activation is `relu`");
    check(changed("config.json", "absolute", "relative_key"), "the model's kind of positions is `relative_key`");
    check(changed("config.json", "\"num_attention_heads\": 4", "\"num_attention_heads\": 3"), "do not make a model");
    check(
        changed("config.json", "\"intermediate_size\": 32", "\"intermediate_size\": 64"),
        "has the shape [32, 16], config.json says [64, 16]",
    );
    check(
        changed("config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3"),
        "no `encoder.layer.2.attention.self.query.weight`",
    );
    check(changed("modules.json", "models.Normalize", "models.Dense"), "a module `Dense`");
    check(changed("modules.json", "1_Pooling", "../1_Pooling"), "a module `Pooling` in `../1_Pooling`");
    check(
        changed("1_Pooling/config.json", "pooling_mode_mean_tokens", "pooling_mode_max_tokens"),
        "pools its tokens by [\"max\"]",
    );
    check(changed("tokenizer.json", "\"lowercase\": true", "\"lowercase\": false"), "not the tokenizer of uncased BERT");
    check(changed("tokenizer.json", "\"WordPiece\"", "\"BPE\""), "not the tokenizer of uncased BERT");
    check(changed("tokenizer.json", "\"[CLS]\"", "\"[BOS]\""), "no `[CLS]`");
    check(changed("tokenizer.json", "\"[PAD]\": 0", "\"[PAD]\": 1"), "has gaps");
    check(changed("sentence_bert_config.json", "24", "2"), "reads only 2 tokens");
    check(with("model.safetensors", None), "cannot read model.safetensors");
    let weights = fs::read(fixture().join("model.safetensors")).expect("weights");
    check(with("model.safetensors", Some(&weights[..weights.len() - 1])), "cut or damaged");
    check(with("config.json", Some(b"[]")), "config.json is not that of a BERT model");
}

#[test]
fn the_callers_error_ends_the_work() {
    let texts = vec!["the cat returns"; 1_000];
    let failed = opened().embed_each(&texts, Purpose::Document, &mut |_| Err(Error::new("disk full")));
    assert_eq!(failed.expect_err("refused").to_string(), "disk full");
}
