//! PDF files made byte by byte: what is read, what is refused, and what must not hurt.

use crate::domain::ingest::extract::tests::{read, show};
use crate::domain::ingest::reason::Refusal;
use lopdf::content::{Content, Operation};
use lopdf::{Document, EncryptionState, EncryptionVersion, Object, Permissions, Stream, StringFormat, dictionary};
use proptest::prelude::*;

/// A file with one page for each content stream, in Helvetica (`F1`), Helvetica bold (`F2`) and Courier (`F3`).
pub(in crate::domain::ingest::extract) fn made(pages: &[&str]) -> Document {
    let mut doc = Document::with_version("1.5");
    let tree = doc.new_object_id();
    let mut font = |name: &str| {
        doc.add_object(
            dictionary! { "Type" => "Font", "Subtype" => "Type1", "BaseFont" => name, "Encoding" => "WinAnsiEncoding" },
        )
    };
    let fonts = dictionary! { "F1" => font("Helvetica"), "F2" => font("Helvetica-Bold"), "F3" => font("Courier") };
    let resources = doc.add_object(dictionary! { "Font" => fonts });
    let kids: Vec<Object> = pages
        .iter()
        .map(|content| {
            let content = doc.add_object(Stream::new(dictionary! {}, content.as_bytes().to_vec()));
            doc.add_object(dictionary! { "Type" => "Page", "Parent" => tree, "Contents" => content, "Resources" => resources })
                .into()
        })
        .collect();
    let count = kids.len() as i64;
    doc.objects.insert(tree, dictionary! { "Type" => "Pages", "Kids" => kids, "Count" => count }.into());
    let catalog = doc.add_object(dictionary! { "Type" => "Catalog", "Pages" => tree });
    doc.trailer.set("Root", catalog);
    doc
}

pub(in crate::domain::ingest::extract) fn bytes(doc: &mut Document) -> Vec<u8> {
    let mut bytes = Vec::new();
    doc.save_to(&mut bytes).unwrap();
    bytes
}

/// Lines of Helvetica, 14 units apart.
fn page(size: u32, lines: &[&str]) -> String {
    let shown: Vec<String> = lines.iter().map(|l| format!("({l}) Tj T*")).collect();
    format!("BT /F1 {size} Tf 14 TL 50 700 Td {} ET", shown.join(" "))
}

fn check(pages: &[&str], expected: &str) {
    let read = read("a.pdf", &bytes(&mut made(pages))).unwrap();
    assert_eq!(show(&read.document), expected);
}

#[test]
fn paragraphs_headings_and_hyphens() {
    let text = "BT /F1 20 Tf 50 750 Td (A title) Tj /F1 10 Tf 0 -40 Td (The first line of a paragraph is long, with algu-) Tj \
                0 -12 Td (nas palabras and a well-known word that ends it, well-) Tj 0 -12 Td (known to all.) Tj \
                0 -30 Td [(Ano)20(ther)-300(paragraph)] TJ /F2 10 Tf 0 -30 Td (A bold heading) Tj /F3 10 Tf 0 -20 Td (if x:) Tj \
                12 -12 Td (return) Tj ET";
    check(
        &[text],
        "# A title\nThe first line of a paragraph is long, with algunas palabras and a well-known word that ends it, well-known to \
         all.\nAnother paragraph\n## A bold heading\n``` if x:\n  return",
    );
}

#[test]
fn words_are_parted_by_place() {
    check(&["BT /F1 10 Tf 50 700 Td (inde) Tj 2.9 Tc 20 0 Td (xi) Tj 0 Tc 10.1 0 Td (nto) Tj ET"], "index into");
    check(&["BT /F1 10 Tf 50 700 Td [(gap) -300] TJ (after) Tj [-300 (and before)] TJ ET"], "gap after and before");
    check(
        &["BT /F1 10 Tf 50 700 Td (two) Tj 20 0 Td (words) Tj ET BT /F1 10 Tf 1 0 0 1 50 650 Tm (b) Tj 5.0 0 Td (c) Tj ET"],
        "two words\nbc",
    );
}

#[test]
fn running_heads_are_read_once() {
    let pages: Vec<String> = (1..=5)
        .map(|n| format!("BT /F1 9 Tf 50 780 Td (The Manual) Tj 0 -80 Td (A) Tj 0 -90 Td (Text number of page {n} is this.) Tj 0 -90 Td (Z) Tj 0 -500 Td ({n}) Tj ET"))
        .collect();
    let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
    let read = read("a.pdf", &bytes(&mut made(&pages))).unwrap().document;
    assert_eq!(read.text.matches("The Manual").count(), 1);
    assert_eq!(read.text.matches("Text number").count(), 5);
    assert_eq!(read.pages, Some(5));
    assert_eq!(read.blocks.last().unwrap().page, Some(5));
}

#[test]
fn what_cannot_be_read_has_its_reason() {
    let reason = |bytes: &[u8]| read("a.pdf", bytes).unwrap_err().reason;
    assert_eq!(reason(&bytes(&mut made(&["0 0 100 100 re f", ""]))), Refusal::NoText);
    assert_eq!(reason(b"%PDF-1.4\n%%EOF"), Refusal::Malformed);
    assert_eq!(reason(&bytes(&mut made(&[]))), Refusal::Malformed);
    let whole = bytes(&mut made(&[&page(10, &["words"])]));
    assert!(matches!(reason(&whole[..whole.len() / 4]), Refusal::Malformed | Refusal::NoText));
}

#[test]
fn encrypted_files_open_only_without_a_password() {
    let sealed = |user: &str| {
        let mut doc = made(&[&page(10, &["secret words"])]);
        doc.trailer.set("ID", Object::Array(vec![Object::String(vec![1; 16], StringFormat::Literal); 2]));
        let version = EncryptionVersion::V2 {
            document: &doc,
            owner_password: "owner",
            user_password: user,
            key_length: 128,
            permissions: Permissions::all(),
        };
        let state = EncryptionState::try_from(version).unwrap();
        doc.encrypt(&state).unwrap();
        bytes(&mut doc)
    };
    assert_eq!(read("a.pdf", &sealed("")).unwrap().document.text, "secret words");
    assert_eq!(read("a.pdf", &sealed("user")).unwrap_err().reason, Refusal::Encrypted);
}

#[test]
fn a_broken_cross_reference_table_is_made_again() {
    let mut whole = bytes(&mut made(&[&page(10, &["words of a page"])]));
    let at = whole.windows(9).rposition(|w| w == b"startxref").unwrap();
    whole[at + 10] = b'9';
    assert_eq!(read("a.pdf", &whole).unwrap().document.text, "words of a page");
}

#[test]
fn loops_end() {
    let mut doc = made(&[&page(10, &["words"])]);
    let tree = doc.catalog().unwrap().get(b"Pages").unwrap().as_reference().unwrap();
    let kids = doc.get_dictionary(tree).unwrap().get(b"Kids").unwrap().as_array().unwrap().clone();
    let looped = Object::Array([vec![tree.into(); 3], kids].concat());
    doc.get_dictionary_mut(tree).unwrap().set("Kids", looped);
    assert!(read("a.pdf", &bytes(&mut doc)).is_err_and(|r| r.reason != Refusal::Crashed) || doc.page_iter().count() > 0);

    // A form that shows itself twice would double with every level.
    let mut doc = made(&["/X Do"]);
    let form = doc.new_object_id();
    let own = dictionary! { "XObject" => dictionary! { "X" => form } };
    let stream = Stream::new(dictionary! { "Subtype" => "Form", "Resources" => own.clone() }, b"/X Do /X Do".to_vec());
    doc.objects.insert(form, stream.into());
    let page = doc.page_iter().next().unwrap();
    doc.get_dictionary_mut(page).unwrap().set("Resources", own);
    assert_eq!(read("a.pdf", &bytes(&mut doc)).unwrap_err().reason, Refusal::NoText);
}

#[test]
fn bombs_are_refused() {
    let mut doc = made(&[""]);
    let content = vec![b' '; 80 << 20];
    let mut stream = Stream::new(dictionary! {}, content);
    stream.compress().unwrap();
    let id = doc.add_object(stream);
    let page = doc.page_iter().next().unwrap();
    doc.get_dictionary_mut(page).unwrap().set("Contents", id);
    assert_eq!(read("a.pdf", &bytes(&mut doc)).unwrap_err().reason, Refusal::TooLarge);
}

#[test]
fn depth_is_no_matter() {
    let deep = format!("{}{}", "[".repeat(100_000), page(10, &["words"]));
    check(&[&deep], "words");
    let states = format!("{} {}", "q ".repeat(100_000), page(10, &["words"]));
    check(&[&states], "words");
    let content = Content { operations: vec![Operation::new("Tj", vec![Object::string_literal("x")])] };
    assert!(read("a.pdf", &content.encode().unwrap()).is_ok(), "operators alone are a text");
    let arrays = format!("%PDF-1.4\n1 0 obj\n{}\nendobj\ntrailer<</Root 1 0 R>>", "[".repeat(100_000));
    assert_eq!(read("a.pdf", arrays.as_bytes()).unwrap_err().reason, Refusal::Malformed);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn mutations_do_not_hurt(at in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12), cut in any::<prop::sample::Index>()) {
        let mut whole = bytes(&mut made(&[&page(10, &["Some words of a page.", "And more of them."]), &page(12, &["x"])]));
        for (at, byte) in at {
            let at = at.index(whole.len());
            whole[at] = byte;
        }
        let _ = read("a.pdf", &whole);
        let _ = read("a.pdf", &whole[..cut.index(whole.len())]);
    }
}
