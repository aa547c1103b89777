//! What every chunk keeps to, on made documents and on any.

use super::*;
use crate::domain::ingest::canon::Canon;
use crate::domain::ingest::tokens::tests::Fours;
use proptest::prelude::*;

/// Sentences are near when they hold the same letters.
struct Letters;

impl SentenceVectors for Letters {
    fn dimensions(&self) -> usize {
        26
    }

    fn sentence_vector(&self, sentence: &str, into: &mut [f32]) {
        into.fill(0.0);
        for byte in sentence.bytes().filter(u8::is_ascii_lowercase) {
            into[usize::from(byte - b'a')] += 1.0;
        }
        let norm = into.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-9);
        into.iter_mut().for_each(|v| *v /= norm);
    }
}

/// What is embedded of a chunk when the model takes so many tokens.
fn embedded(chunk: &Chunk, made: &Document, most: u32) -> String {
    embed_text(&context(chunk, made, &Fours, most), chunk.text(made))
}

const SMALL: Settings = Settings { limit: 40, overlap: 8, target: 24, min: 6 };

fn doc(blocks: &[(BlockKind, &str)]) -> Document {
    let mut canon = Canon::new();
    for (i, (kind, text)) in blocks.iter().enumerate() {
        canon.push(*kind, Some(1 + i as u32 / 2), text);
    }
    canon.finish()
}

fn cut<'a>(doc: &'a Document, settings: &Settings) -> Vec<&'a str> {
    chunk(doc, settings, &Fours, &Letters).iter().map(|c| &doc.text[c.span.clone()]).collect()
}

/// The first promise of the module that chunks break.
fn fault(doc: &Document, settings: &Settings, chunks: &[Chunk]) -> Option<String> {
    let mut end = 0;
    for chunk in chunks {
        let Some(slice) = doc.text.get(chunk.span.clone()).filter(|s| !s.is_empty() && s.trim() == *s) else {
            return Some(format!("{:?} is no clean slice", chunk.span));
        };
        if !(chunk.span.start <= chunk.overlap_end && chunk.overlap_end < chunk.span.end) {
            return Some(format!("{chunk:?} is all overlap"));
        }
        match doc.text.get(end..chunk.overlap_end) {
            Some(gap) if gap.trim().is_empty() => {}
            gap => return Some(format!("{gap:?} is in no chunk, or in two")),
        }
        if chunk.tokens > settings.limit || Fours.count(slice) > settings.limit {
            return Some(format!("{} tokens in {slice:?}", chunk.tokens));
        }
        if Fours.count(&doc.text[chunk.span.start..chunk.overlap_end]) > settings.overlap {
            return Some(format!("too much overlap in {slice:?}"));
        }
        let walls = |b: &&crate::domain::ingest::document::Block| matches!(b.kind, BlockKind::Heading(_));
        let overlaps = chunk.span.start < chunk.overlap_end;
        if overlaps && doc.blocks.iter().filter(walls).any(|b| chunk.span.start < b.span.end && b.span.start < chunk.overlap_end)
        {
            return Some(format!("the overlap of {slice:?} leaves its section"));
        }
        end = chunk.span.end;
    }
    let rest = doc.text[end..].trim();
    (!rest.is_empty()).then(|| format!("{rest:?} is in no chunk"))
}

#[test]
fn questions_and_answers_stay_together_and_apart() {
    let made = doc(&[
        (BlockKind::Heading(1), "Handbook"),
        (BlockKind::Heading(2), "How long?"),
        (BlockKind::Paragraph, "Thirty days."),
        (BlockKind::Heading(2), "How much?"),
        (BlockKind::Paragraph, "Nothing."),
        (BlockKind::Heading(2), "The end"),
    ]);
    assert_eq!(cut(&made, &Settings::default()), ["Handbook\n\nHow long?\n\nThirty days.", "How much?\n\nNothing.\n\nThe end"]);
    let chunks = chunk(&made, &Settings::default(), &Fours, &Letters);
    assert_eq!(chunks[0].heading_path(&made), "Handbook › How long?");
    assert_eq!(chunks[1].pages, Some((2, 3)));
    assert_eq!(embedded(&chunks[1], &made, 256), "Handbook\nHow much?\n\nNothing.\n\nThe end");
    assert_eq!(embedded(&chunks[1], &made, 8), "How much?\n\nNothing.\n\nThe end");
}

#[test]
fn small_subsections_are_merged_forward_and_the_last_backward() {
    let long = "word ".repeat(10);
    let made = doc(&[
        (BlockKind::Heading(2), "A"),
        (BlockKind::Paragraph, "tiny"),
        (BlockKind::Heading(3), "B"),
        (BlockKind::Paragraph, &long),
        (BlockKind::Heading(3), "C"),
        (BlockKind::Paragraph, "tiny"),
        (BlockKind::Heading(2), "D"),
        (BlockKind::Paragraph, "tiny"),
    ]);
    let found = cut(&made, &SMALL);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].starts_with("A\n\ntiny\n\nB\n\nword") && found[1] == "C\n\ntiny" && found[2] == "D\n\ntiny");
    let two = doc(&[(BlockKind::Paragraph, &long), (BlockKind::Heading(3), "C"), (BlockKind::Paragraph, "tiny")]);
    assert_eq!(cut(&two, &SMALL).len(), 1);
}

#[test]
fn a_long_section_is_cut_where_its_meaning_turns() {
    let text =
        "Aa bb aab abba baa aa bb aab abba baa bb aa ab. ".repeat(3) + &"Xy zz yyx xyx yz xy zz yxx zzyx xz yy xx zx. ".repeat(3);
    let made = doc(&[(BlockKind::Heading(1), "T"), (BlockKind::Paragraph, &text)]);
    let settings = Settings { limit: 60, overlap: 14, target: 30, min: 6 };
    let chunks = chunk(&made, &settings, &Fours, &Letters);
    let own: Vec<_> = chunks.iter().map(|c| &made.text[c.overlap_end..c.span.end]).collect();
    assert_eq!(own.len(), 2, "{own:?}");
    assert!(own[0].ends_with("ab.") && own[1].starts_with("Xy"), "{own:?}");
    assert!(chunks[1].span.start < chunks[1].overlap_end, "whole sentences fit in the overlap");
    assert!(made.text[chunks[1].span.start..].starts_with("Aa bb"), "an overlap begins with a sentence");
}

#[test]
fn a_table_repeats_its_header_beside_the_slice() {
    let rows: Vec<_> = (0..12).map(|i| format!("key{i} | value {i} of many")).collect();
    let mut blocks = vec![(BlockKind::Paragraph, "Before."), (BlockKind::TableRow(true), "Key | Value")];
    blocks.extend(rows.iter().map(|row| (BlockKind::TableRow(false), row.as_str())));
    blocks.push((BlockKind::Paragraph, "After."));
    let made = doc(&blocks);
    let chunks = chunk(&made, &SMALL, &Fours, &Letters);
    assert_eq!(chunks[0].context, None);
    let inside: Vec<_> = chunks[1..].iter().filter(|c| c.text(&made).starts_with("key")).collect();
    assert!(inside.len() > 1);
    for chunk in inside {
        assert_eq!(&made.text[chunk.context.clone().expect("a header")], "Key | Value");
        assert!(chunk.kinds.table && chunk.span.start == chunk.overlap_end);
        assert!(embedded(chunk, &made, 256).starts_with("Key | Value\nkey"));
    }
}

#[test]
fn code_is_cut_on_blank_lines() {
    let stanza = "fn a() {\n    work(1, 2, 3);\n    work(4, 5, 6);\n}";
    let made = doc(&[(BlockKind::Code, &[stanza; 6].join("\n\n"))]);
    let found = cut(&made, &SMALL);
    assert!(found.len() > 1);
    assert!(found.iter().all(|c| c.starts_with("fn a()") && c.ends_with('}')), "{found:?}");
}

#[test]
fn long_sections_and_texts_without_spaces_are_cut_too() {
    let sentences = "This is a sentence of some words, nothing more. ".repeat(5_000);
    let letters = "x".repeat(300_000);
    let ideographs = "漢字".repeat(20_000);
    for text in [sentences.as_str(), letters.as_str(), ideographs.as_str()] {
        let made = doc(&[(BlockKind::Paragraph, text)]);
        let settings = Settings::default();
        let chunks = chunk(&made, &settings, &Fours, &Letters);
        assert_eq!(fault(&made, &settings, &chunks), None);
        let full = chunks.iter().filter(|c| c.tokens >= settings.target / 2).count();
        assert!(full + 1 >= chunks.len(), "{} of {} are full", full, chunks.len());
    }
}

/// Reference: the names must not change while [`VERSION`] does not; tenant, content and place all count.
#[test]
fn names_are_made_of_tenant_content_and_place() {
    let made = doc(&[(BlockKind::Paragraph, "One."), (BlockKind::Heading(1), "Two"), (BlockKind::Paragraph, "Three.")]);
    let chunks = chunk(&made, &Settings::default(), &Fours, &Letters);
    let content = Digest::of(made.text.as_bytes());
    let name = chunks[0].id("default", &content).to_string();
    assert_eq!(name.len(), 64);
    for other in [chunks[1].id("default", &content), chunks[0].id("other", &content), chunks[0].id("default", &Digest::of(b""))] {
        assert_ne!(other.to_string(), name);
    }
    assert_eq!(chunks[0].id("default", &content).to_string(), name);
}

#[test]
fn an_empty_document_has_no_chunks() {
    assert_eq!(chunk(&Document::default(), &Settings::default(), &Fours, &Letters), []);
}

fn any_block() -> impl Strategy<Value = (BlockKind, String)> {
    let kind = prop_oneof![
        (1..=4_u8).prop_map(BlockKind::Heading),
        Just(BlockKind::Paragraph),
        Just(BlockKind::Paragraph),
        Just(BlockKind::ListItem),
        any::<bool>().prop_map(BlockKind::TableRow),
        Just(BlockKind::Code),
    ];
    let text = prop_oneof![
        "[a-e]{1,9}( [a-e]{1,9}){0,6}[.!?]( [A-E]([a-e]{0,6} ){0,9}[a-e]{1,4}\\.){0,6}",
        "[a é漢👩🏽\u{301}.,\n|-]{0,90}",
        ".{0,60}"
    ];
    (kind, text)
}

proptest! {
    #[test]
    fn chunks_keep_their_promises(
        blocks in prop::collection::vec(any_block(), 0..24),
        limit in 8_u32..80, overlap in 0_u32..30, target in 0_u32..90, min in 0_u32..40,
    ) {
        let blocks: Vec<_> = blocks.iter().map(|(kind, text)| (*kind, text.as_str())).collect();
        let made = doc(&blocks);
        let settings = Settings { limit, overlap, target, min }.sound();
        let chunks = chunk(&made, &settings, &Fours, &Letters);
        prop_assert_eq!(fault(&made, &settings, &chunks), None);
        prop_assert_eq!(&chunk(&made, &settings, &Fours, &Letters), &chunks);
        for chunk in &chunks {
            let inside = chunk.headings.iter().all(|b| made.blocks[*b].span.start < chunk.span.end);
            prop_assert!(inside && embedded(chunk, &made, 1_000).ends_with(chunk.text(&made)));
        }
    }
}
