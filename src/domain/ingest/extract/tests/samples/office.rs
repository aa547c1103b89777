//! What is read out of the packages of office programs and books.

use super::super::{read, show};
use super::{RELATIONS, docx, epub, ods, pptx, xlsx, zipped};

fn check(name: &str, bytes: &[u8], expected: &str) {
    assert_eq!(show(&read(name, bytes).unwrap().document), expected);
}

/// A paragraph of a style.
fn p(style: &str, text: &str) -> String {
    format!("<w:p><w:pPr><w:pStyle w:val='{style}'/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>")
}

#[test]
fn word_documents_are_read_with_changes_accepted() {
    let body = format!(
        "{}{}<w:p><w:r><w:t>a </w:t></w:r><w:ins><w:r><w:t>new</w:t></w:r></w:ins><w:del><w:r><w:delText>old</w:delText><w:t>old</w:t>\
         </w:r></w:del><w:r><w:tab/><w:t>word</w:t></w:r></w:p><w:p><w:pPr><w:numPr><w:numId w:val='3'/></w:numPr></w:pPr><w:r>\
         <w:t>item &amp; more</w:t></w:r></w:p>",
        p("Titre1", "One"),
        p("Heading2", "Two")
    );
    check("a.docx", &docx(&body), "# One\n## Two\na new word\n- item & more");
}

#[test]
fn tables_nest_and_boxes_follow_their_paragraph() {
    let cell = |inner: &str| format!("<w:tc>{inner}</w:tc>");
    let text = |t: &str| format!("<w:p><w:r><w:t>{t}</w:t></w:r></w:p>");
    let inner = format!("<w:tbl><w:tr>{}{}</w:tr></w:tbl>", cell(&text("i")), cell(&text("j")));
    let body = format!(
        "<w:tbl><w:tblPr><w:tblLook w:firstRow='1'/></w:tblPr><w:tr>{}{}</w:tr><w:tr>{}{}</w:tr></w:tbl>\
         <w:p><w:r><w:t>outer </w:t></w:r><mc:AlternateContent><mc:Choice><w:txbxContent>{}</w:txbxContent></mc:Choice><mc:Fallback>\
         <w:txbxContent>{}</w:txbxContent></mc:Fallback></mc:AlternateContent><w:r><w:t>text</w:t></w:r></w:p>",
        cell(&text("k")),
        cell(&(text("v") + &text("w"))),
        cell(&text("1")),
        cell(&(text("2") + &inner)),
        text("boxed"),
        text("boxed")
    );
    check("a.docx", &docx(&body), "|# k | v w\n| 1\n2\n| i | j\nboxed\nouter text");
}

#[test]
fn the_main_part_is_found_by_reference_with_its_notes_and_links() {
    let body = "<w:document><w:p><w:hyperlink r:id='h'><w:r><w:t>there</w:t></w:r></w:hyperlink></w:p></w:document>";
    let links = "<Relationships><Relationship Id='h' Type='x/hyperlink' Target='http://x/' TargetMode='External'/>\
                 <Relationship Id='f' Type='x/footnotes' Target='notes.xml'/></Relationships>";
    let core = "<c><dc:title>T</dc:title><dc:creator>Me</dc:creator><dcterms:created>2024-01-01T00:00:00Z</dcterms:created></c>";
    let bytes = zipped(&[
        ("_rels/.rels", &RELATIONS.replace("word/document.xml", "other/main.xml")),
        ("other/main.xml", body),
        ("other/_rels/main.xml.rels", links),
        ("other/notes.xml", "<w:footnotes><w:footnote><w:p><w:r><w:t>a note</w:t></w:r></w:p></w:footnote></w:footnotes>"),
        ("docProps/core.xml", core),
        ("word/vbaProject.bin", "macros"),
        ("[Content_Types].xml", "<Types>application/vnd.ms-word.document.macroEnabled.main+xml</Types>"),
    ]);
    let made = read("a.docm", &bytes).unwrap().document;
    assert_eq!(show(&made), "there\na note");
    assert_eq!((made.title.as_deref(), made.meta["author"].as_str()), (Some("T"), "Me"));
    assert_eq!((made.links[0].target.as_str(), made.links[0].at), ("http://x/", 0));
    assert_eq!(made.warnings, ["it holds macros, which are not read"]);
}

#[test]
fn entities_of_a_document_are_not_followed() {
    let bomb = "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;'><!ENTITY f SYSTEM 'file:///etc/passwd'>]>\
                <w:document><w:p><w:r><w:t>x &b; &f; y</w:t></w:r></w:p></w:document>";
    check("a.docx", &zipped(&[("_rels/.rels", RELATIONS), ("word/document.xml", bomb)]), "x &b; &f; y");
}

#[test]
fn depth_is_no_matter() {
    let deep = format!("{}<w:p><w:r><w:t>x</w:t></w:r></w:p>", "<w:sdt><w:p><w:txbxContent>".repeat(30_000));
    check("a.docx", &docx(&deep), "x");
    let tables = format!("{}<w:p><w:r><w:t>x</w:t></w:r></w:p>", "<w:tbl><w:tr><w:tc>".repeat(30_000));
    check("a.docx", &docx(&tables), "| x");
}

#[test]
fn slides_come_in_their_order() {
    let made = read("a.pptx", &pptx()).unwrap().document;
    assert_eq!(show(&made), "# First\n- some words\n|# k | v\nsaid aloud\n# Last\n- more words\n|# k | v");
    assert_eq!((made.pages, made.blocks[3].page, made.blocks[4].page), (Some(2), Some(1), Some(2)));
}

#[test]
fn sheets_are_rows_under_their_name() {
    let rows = "<row><c r='A1' t='s'><v>1</v></c><c r='C1' t='inlineStr'><is><t>c</t></is></c></row><row/>\
                <row><c r='A3' s='1'><v>45322</v></c><c r='B3' t='str'><f>A1</f><v>sum</v></c><c r='C3'><v>0.30000000000000004</v></c>\
                <c r='D3' t='b'><v>1</v></c></row>";
    let made = read("a.xlsx", &xlsx(rows, "x")).unwrap().document;
    assert_eq!(show(&made), "# First\n|# words | | c\n| 2024-01-31 | sum | 0.3 | TRUE");
    assert_eq!(made.blocks[2].page, Some(1));
    check("a.ods", &ods(), "# S\n|# some words | b | b\n| 2024-01-31 | 1,5");
}

#[test]
fn books_are_read_in_the_order_of_their_spine() {
    let made = read("a.epub", &epub()).unwrap().document;
    assert_eq!(show(&made), "# One\nsome words\nlast words");
    assert_eq!((made.title.as_deref(), made.meta["author"].as_str()), (Some("Book"), "A"));
}
