//! Small documents of every format, made from nothing.

use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;

pub(in super::super) const RELATIONS: &str = "<Relationships><Relationship Id='r1' \
    Type='http://x/officeDocument' Target='word/document.xml'/></Relationships>";

/// A zip package.
pub(in super::super) fn zipped(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in parts {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A Word document whose body is `body`.
pub(in super::super) fn docx(body: &str) -> Vec<u8> {
    let document = format!("<?xml version='1.0'?><w:document><w:body>{body}</w:body></w:document>");
    zipped(&[("_rels/.rels", RELATIONS), ("word/document.xml", &document)])
}

/// A workbook of one sheet with one shared string.
pub(in super::super) fn xlsx(rows: &str, shared: &str) -> Vec<u8> {
    let sheet = format!("<worksheet><sheetData>{rows}</sheetData></worksheet>");
    let strings = format!("<sst><si><t>{shared}</t></si><si><r><t>wo</t></r><r><t>rds</t></r><rPh><t>no</t></rPh></si></sst>");
    let links = "<Relationships><Relationship Id='s1' Type='x/worksheet' Target='worksheets/sheet9.xml'/>\
                 <Relationship Id='s2' Type='x/sharedStrings' Target='/xl/strings.xml'/>\
                 <Relationship Id='s3' Type='x/styles' Target='styles.xml'/></Relationships>";
    zipped(&[
        ("_rels/.rels", &RELATIONS.replace("word/document.xml", "xl/workbook.xml")),
        ("xl/workbook.xml", "<workbook><sheets><sheet name='First' r:id='s1'/></sheets></workbook>"),
        ("xl/_rels/workbook.xml.rels", links),
        ("xl/styles.xml", "<styleSheet><cellXfs><xf numFmtId='0'/><xf numFmtId='14'/></cellXfs></styleSheet>"),
        ("xl/strings.xml", &strings),
        ("xl/worksheets/sheet9.xml", &sheet),
    ])
}

/// A presentation whose second part is shown first.
pub(in super::super) fn pptx() -> Vec<u8> {
    let slide = |title: &str, body: &str| {
        format!(
            "<p:sld><p:sp><p:ph type='body'/><a:p><a:r><a:t>{body}</a:t></a:r></a:p></p:sp><p:sp><p:ph type='title'/><a:p><a:r>\
             <a:t>{title}</a:t></a:r></a:p></p:sp><a:tbl><a:tblPr firstRow='1'/><a:tr><a:tc><a:p><a:t>k</a:t></a:p></a:tc><a:tc>\
             <a:p><a:t>v</a:t></a:p></a:tc></a:tr></a:tbl><p:sp><p:ph type='sldNum'/><a:p><a:t>7</a:t></a:p></p:sp></p:sld>"
        )
    };
    let links = "<Relationships><Relationship Id='a' Type='x/slide' Target='slides/slide1.xml'/>\
                 <Relationship Id='b' Type='x/slide' Target='slides/slide2.xml'/></Relationships>";
    let notes = "<Relationships><Relationship Id='n' Type='x/notesSlide' Target='../notes/n.xml'/></Relationships>";
    zipped(&[
        ("_rels/.rels", &RELATIONS.replace("word/document.xml", "ppt/presentation.xml")),
        (
            "ppt/presentation.xml",
            "<p:presentation><p:sldIdLst><p:sldId r:id='b'/><p:sldId r:id='a'/></p:sldIdLst></p:presentation>",
        ),
        ("ppt/_rels/presentation.xml.rels", links),
        ("ppt/slides/slide1.xml", &slide("Last", "more words")),
        ("ppt/slides/slide2.xml", &slide("First", "some words")),
        ("ppt/slides/_rels/slide2.xml.rels", notes),
        ("ppt/notes/n.xml", "<p:notes><p:sp><p:ph type='body'/><a:p><a:t>said aloud</a:t></a:p></p:sp></p:notes>"),
    ])
}

/// A spreadsheet with repetitions.
pub(in super::super) fn ods() -> Vec<u8> {
    let content = "<office:spreadsheet><table:table table:name='S'><table:table-row><table:table-cell><text:p>some words</text:p>\
        </table:table-cell><table:table-cell table:number-columns-repeated='2'><text:p>b</text:p></table:table-cell>\
        <table:table-cell table:number-columns-repeated='16000'/></table:table-row>\
        <table:table-row table:number-rows-repeated='1000000'><table:table-cell table:number-columns-repeated='16384'/></table:table-row>\
        <table:table-row><table:table-cell office:date-value='2024-01-31'><text:p>31.01.24</text:p></table:table-cell><table:table-cell>\
        <office:annotation><text:p>note</text:p></office:annotation><text:p>1,5</text:p></table:table-cell></table:table-row>\
        </table:table></office:spreadsheet>";
    zipped(&[("mimetype", "application/vnd.oasis.opendocument.spreadsheet"), ("content.xml", content)])
}

/// A book packed with its folder.
pub(in super::super) fn epub() -> Vec<u8> {
    let contents = "<package><metadata><dc:title>Book</dc:title><dc:creator>A</dc:creator></metadata><manifest>\
        <item id='a' href='a%20b.xhtml' media-type='application/xhtml+xml'/><item id='c' href='c.xhtml' media-type='application/xhtml+xml'/>\
        </manifest><spine><itemref idref='c'/><itemref idref='a'/></spine></package>";
    zipped(&[
        ("epub/META-INF/container.xml", "<container><rootfile full-path='O/x.opf'/></container>"),
        ("epub/O/x.opf", contents),
        ("epub/O/a b.xhtml", "<html><head><title>no</title></head><body><p>last words</p></body></html>"),
        ("epub/O/c.xhtml", "<?xml version='1.0'?><html><body><h1>One</h1><p>some words</p></body></html>"),
    ])
}

/// One document of every format, by its name.
pub(in super::super) fn all() -> Vec<(&'static str, Vec<u8>)> {
    let mut pdf = super::super::pdf::tests::made(&["BT /F1 10 Tf 50 700 Td (some words) Tj ET"]);
    vec![
        ("a.text", b"TITLE OF IT\n\nsome words\n- item\n\n    code();\n".to_vec()),
        ("a.markdown", b"# Title\n\nsome *words* [l](http://x)\n\n| a | b |\n|---|---|\n| 1 | 2 |\n".to_vec()),
        ("a.html", b"<html lang=en><body><h1>T</h1><p>some <a href=x>words</a><table><tr><td>1<td>2</table>&eacute;".to_vec()),
        ("a.pdf", super::super::pdf::tests::bytes(&mut pdf)),
        (
            "a.docx",
            docx("<w:p><w:r><w:t>some words</w:t></w:r></w:p><w:tbl><w:tr><w:tc><w:p><w:t>x</w:t></w:p></w:tc></w:tr></w:tbl>"),
        ),
        ("a.pptx", pptx()),
        ("a.xlsx", xlsx("<row><c t='s'><v>1</v></c><c s='1'><v>45322</v></c></row>", "x")),
        ("a.ods", ods()),
        ("a.csv", b"a;b;c\nsome words;2;3\n".to_vec()),
        ("a.json", b"{\"a\": [\"some words\", 1, {\"b\": null}]}".to_vec()),
        ("a.jsonl", b"{\"a\": \"some words\"}\n{\"a\": 2}\n".to_vec()),
        ("a.epub", epub()),
        ("a.eml", b"From: a@b.c\r\nTo: b@c.d\r\nSubject: s\r\n\r\nsome words\r\n".to_vec()),
    ]
}

mod office;
