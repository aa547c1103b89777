use super::*;
use crate::domain::ingest::canon::Canon;
use proptest::prelude::*;

fn document(kind: BlockKind, texts: &[&str]) -> Document {
    let mut canon = Canon::new();
    for text in texts {
        canon.push(kind, None, text);
    }
    canon.finish()
}

fn found(text: &str, language: &str) -> Found {
    extract(&document(BlockKind::Paragraph, &[text]), "docs/a.md", Some(language), &Gazetteer::default())
}

fn nodes(found: &Found) -> Vec<String> {
    found.mentions.iter().map(|m| format!("{}={}", m.node.kind, m.node.key)).collect()
}

fn said(found: &Found) -> Vec<String> {
    found.relations.iter().map(|r| format!("{}|{}|{}", r.subject.key, r.relation, r.object.key)).collect()
}

#[test]
fn patterns_are_found_with_their_keys() {
    for (text, language, want) in [
        ("On March 3, 2024 and in March 2024.", "en", vec!["date=2024-03-03", "date=2024-03"]),
        ("Am 31.02.2024 nicht.", "de", vec![]),
        ("On 04/05/2024 or 15/09/2024.", "en", vec!["date=2024-09-15"]),
        ("It costs EUR 500 or 20 euros, not 20 apples.", "en", vec!["money=eur 500", "money=eur 20"]),
        ("Gemäß § 5 Abs. 1 UStG und Artikel 17 DSGVO.", "de", vec!["law=§ 5 ustg", "law=art. 17 dsgvo"]),
        ("Directive 95/46/EC was replaced.", "en", vec!["law=eu 95/46"]),
        (
            "Use RFC9110, ISO 8859-1 and NIST SP 800-53.",
            "en",
            vec!["standard=rfc 9110", "standard=iso 8859-1", "standard=nist sp 800-53"],
        ),
        ("See https://user@www.example.org:80/a and 10.0.0.1.", "en", vec!["domain=example.org"]),
        ("Error E1042 in UTF-8, SHA-256 and v2.1.", "en", vec!["identifier=e1042", "version=2.1"]),
    ] {
        assert_eq!(nodes(&found(text, language)), want, "{text}");
    }
}

#[test]
fn nothing_of_an_address_but_its_domain_is_kept() {
    let found = found("Write to ada.lovelace@example.org today.", "en");
    assert_eq!(nodes(&found), ["domain=example.org"]);
    assert!(!format!("{:?}", found.mentions.iter().map(|m| &m.node).collect::<Vec<_>>()).contains("ada"));
}

#[test]
fn acronyms_are_explained_once_and_found_everywhere() {
    let found = found("A Key-Value Store (KVS) is fast (see below). The KVS is small.", "en");
    assert_eq!(nodes(&found), ["term=key-value store", "term=kvs", "term=kvs"]);
    assert_eq!(said(&found), ["kvs|short-for|key-value store"]);
}

#[test]
fn german_nouns_are_no_names() {
    assert_eq!(nodes(&found("Die Pumpe der Anlage wird im Werk geprüft.", "de")), Vec::<String>::new());
    assert_eq!(nodes(&found("Die Pumpe kommt von der Huber Technik GmbH.", "de")), ["name=huber technik gmbh"]);
    assert_eq!(nodes(&found("Das prüft Frau Dr. Sommer.", "de")), ["name=sommer"]);
}

#[test]
fn verbs_are_found_wherever_german_puts_them() {
    for text in [
        "Die Huber GmbH übernahm die Falkner AG.",
        "Im Mai übernahm die Huber GmbH die Falkner AG.",
        "Die Huber GmbH hat die Falkner AG übernommen.",
        "Die Falkner AG wurde von der Huber GmbH übernommen.",
    ] {
        assert_eq!(said(&found(text, "de")), ["huber gmbh|acquired|falkner ag"], "{text}");
    }
    assert_eq!(said(&found("Die Huber GmbH, die Falkner AG.", "de")), Vec::<String>::new());
}

#[test]
fn listed_names_win_and_only_for_their_tenant() {
    let csv = b"name,kind,aliases,tenant\nKestrel Air Max,product,KAM,\nKestrel Air,product,,\nPlover,product,,other\n";
    let gazetteer = Gazetteer::read(csv, &"acme".parse().expect("a name")).expect("read");
    let doc = document(BlockKind::Paragraph, &["The kestrel air max, the KAM and the Plover."]);
    let found = extract(&doc, "a.md", Some("en"), &gazetteer);
    assert_eq!(nodes(&found), ["product=kestrel air max", "product=kestrel air max", "name=plover"]);
    assert_eq!(found.mentions[0].span, 4..19);
    for bad in ["a,b\n1,2\n", "name,kind\nX,\n", "name,kind\nX,document\n"] {
        assert!(Gazetteer::read(bad.as_bytes(), &"acme".parse().expect("a name")).is_err(), "{bad}");
    }
}

#[test]
fn lists_define_terms_and_links_point_to_documents() {
    let mut doc = document(BlockKind::ListItem, &["Lead time: how long an order takes", "Note: no"]);
    doc.links.push(crate::domain::ingest::document::Link { target: "b.md".into(), at: 0 });
    let found = extract(&doc, "docs/a.md", Some("en"), &Gazetteer::default());
    assert_eq!(said(&found), ["docs/a.md|defines|lead time", "docs/a.md|links-to|docs/b.md"]);
}

#[test]
fn what_one_document_may_hold_is_bounded() {
    let found = found(&"2024-01-31 ".repeat(MENTIONS_MAX + 7), "en");
    assert_eq!((found.mentions.len(), found.dropped), (MENTIONS_MAX, 7));
}

proptest! {
    #[test]
    fn any_text_gives_mentions_in_order_within_it(
        text in "([A-Zé§(]{0,3}[a-z0-9.,'’/@:%-]{0,6}[)€ ]{0,2}( von|GmbH|RFC|EUR|de|May|Art|Ley|loi|ISO| )?){0,30}",
        language in "en|es|fr|de|xx",
    ) {
        let doc = document(BlockKind::Paragraph, &[&text]);
        let found = extract(&doc, "a.md", Some(&language), &Gazetteer::default());
        let characters = doc.text.chars().count();
        let mut end = 0;
        for m in &found.mentions {
            prop_assert!(end <= m.span.start && m.span.start < m.span.end && m.span.end <= characters);
            prop_assert!(!m.node.key.is_empty() && !m.node.name.is_empty());
            end = m.span.end;
        }
        prop_assert!(found.relations.iter().all(|r| r.evidence.start <= r.evidence.end && r.evidence.end <= characters));
        prop_assert_eq!(&found, &extract(&doc, "a.md", Some(&language), &Gazetteer::default()));
    }
}

/// Precision and recall on sentences that were labelled before the extractor first ran. `docs/graph.md` states the figures.
#[test]
fn labelled_sentences_are_read_as_well_as_the_page_says() {
    let fixture = include_str!("../../../../tests/fixtures/graph/sentences.tsv");
    let (mut mentions, mut relations) = ([0_usize; 3], [0_usize; 3]);
    for line in fixture.lines().filter(|l| !l.starts_with('#')) {
        let mut cells = line.split('\t');
        let mut next = || cells.next().unwrap_or_default();
        let (language, text, wanted, wanted_relations) = (next(), next(), next(), next());
        let found = found(text, language);
        let set = |list: &str| list.split("; ").filter(|s| !s.is_empty()).map(str::to_lowercase).collect::<HashSet<_>>();
        let here: [(HashSet<String>, HashSet<String>, &mut [usize; 3]); 2] = [
            (set(wanted), nodes(&found).into_iter().collect(), &mut mentions),
            (set(wanted_relations), said(&found).into_iter().collect(), &mut relations),
        ];
        for (want, got, sums) in here {
            sums[0] += want.intersection(&got).count();
            sums[1] += got.len();
            sums[2] += want.len();
        }
    }
    // Right, found, wanted.
    assert_eq!((mentions, relations), ([93, 93, 95], [17, 17, 18]));
}
