//! Small documents of many formats, made where they are needed.

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};
use zip::write::SimpleFileOptions;

/// A text of some length about a subject, different for each number, in plain English.
pub(crate) fn prose(subject: &str, number: usize) -> String {
    const WAYS: [&str; 7] = [
        "We look at it every morning and write down what we see.",
        "Most people ask about it when the shop has just opened.",
        "A short note is better than a long one, and a date helps.",
        "Nobody has to wait for more than a day to get an answer.",
        "The box is blue, the paper in it is white and quite thin.",
        "When it rains we keep the door shut and the lamp on.",
        "Please ask at the desk if any of this is not clear to you.",
    ];
    let mut text = format!("This page is about the {subject}, which has the number {number}.");
    for i in 0..4 {
        write!(text, " {} The {subject} {} comes first here.", WAYS[(number + i * 3) % WAYS.len()], number * 7 + i)
            .expect("text");
    }
    text
}

/// An archive of named parts.
pub(crate) fn zip(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        archive.start_file(*name, SimpleFileOptions::default()).expect("a part");
        archive.write_all(bytes).expect("a part");
    }
    archive.finish().expect("an archive").into_inner()
}

/// A Word document whose body is this XML.
pub(crate) fn docx_of(prolog: &str, body: &str) -> Vec<u8> {
    let types = r#"<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>"#;
    let document = format!(
        r#"<?xml version="1.0"?>{prolog}<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>{body}</w:body></w:document>"#
    );
    zip(&[("[Content_Types].xml", types.as_bytes()), ("word/document.xml", document.as_bytes())])
}

/// A Word document of one paragraph.
pub(crate) fn docx(text: &str) -> Vec<u8> {
    docx_of("", &format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"))
}

/// A PDF of one page whose content is this stream, with more entries in its trailer.
pub(crate) fn pdf_of(content: &[u8], filter: &str, trailer: &str) -> Vec<u8> {
    let mut pdf = b"%PDF-1.4\n".to_vec();
    let mut offsets = Vec::new();
    let stream = [format!("<< /Length {}{filter} >>\nstream\n", content.len()).as_bytes(), content, b"\nendstream"].concat();
    let objects: [&[u8]; 5] = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        &stream,
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ];
    for (i, object) in objects.iter().enumerate() {
        offsets.push(pdf.len());
        pdf.extend(format!("{} 0 obj\n", i + 1).bytes().chain(object.iter().copied()).chain(*b"\nendobj\n"));
    }
    let xref = pdf.len();
    pdf.extend(b"xref\n0 6\n0000000000 65535 f \n");
    offsets.iter().for_each(|at| pdf.extend(format!("{at:010} 00000 n \n").bytes()));
    pdf.extend(format!("trailer\n<< /Size 6 /Root 1 0 R{trailer} >>\nstartxref\n{xref}\n%%EOF\n").bytes());
    pdf
}

/// A PDF of one page with a text, a sentence a line.
pub(crate) fn pdf(text: &str) -> Vec<u8> {
    let lines: String = text.split_inclusive(". ").map(|line| format!("({}) Tj T*\n", line.trim())).collect();
    pdf_of(format!("BT /F1 11 Tf 14 TL 50 740 Td\n{lines}ET").as_bytes(), "", "")
}

/// A page of the web with a heading.
pub(crate) fn html(heading: &str, text: &str) -> String {
    format!("<html><head><title>{heading}</title></head><body><nav>Home</nav><h1>{heading}</h1><p>{text}</p></body></html>")
}

/// A letter as mail programs keep it.
pub(crate) fn eml(subject: &str, text: &str) -> String {
    format!(
        "From: ada@example.com\r\nTo: bob@example.com\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    )
}
