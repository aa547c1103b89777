//! Mail: the subject as title and heading, the text (or the HTML) of the message, addresses and dates as what it states.
//!
//! Attachments are named in a warning, not read: they are documents of their own, with sizes and dangers of their own.

use super::decode::decode;
use super::limits::{Out, malformed, too_large};
use super::{html, text};
use crate::domain::ingest::document::BlockKind;
use crate::domain::ingest::reason::Refused;
use mail_parser::{Address, Encoding, Message, MessageParser, MimeHeaders, PartType};

/// Attachments that are named; more are counted.
const NAMED_MAX: usize = 20;

/// Messages within messages that are followed: the parser goes into them by recursion. Those hidden in Base64 grow by a third
/// with each level, which bounds their depth.
const NESTED_MAX: usize = 50;

/// How often a message announces another one, in either case.
fn nested(bytes: &[u8]) -> usize {
    const NAME: &[u8] = b"message/";
    memchr::memchr_iter(b'/', bytes)
        .filter(|at| at.checked_sub(NAME.len() - 1).is_some_and(|start| bytes[start..=*at].eq_ignore_ascii_case(NAME)))
        .count()
}

/// Reads one message.
///
/// # Errors
/// `Malformed` when it is no message; `TooLarge`, `TooSlow`.
pub(super) fn extract(bytes: &[u8], out: &mut Out) -> Result<(), Refused> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    // The first line of a mailbox file belongs to no message.
    let bytes = match bytes.starts_with(b"From ") {
        true => memchr::memchr(b'\n', bytes).map_or(bytes, |at| &bytes[at + 1..]),
        false => bytes,
    };
    if nested(bytes) > NESTED_MAX {
        return Err(too_large(format!("more than {NESTED_MAX} messages within messages")));
    }
    let message = MessageParser::default().parse(bytes).ok_or_else(|| malformed("a mail that cannot be read"))?;
    headers(&message, out)?;
    body(&message, out)?;
    attachments(&message, out);
    Ok(())
}

fn headers(message: &Message, out: &mut Out) -> Result<(), Refused> {
    if let Some(subject) = message.subject() {
        out.canon.title(subject);
        out.push(BlockKind::Heading(1), None, subject)?;
    }
    for (key, address) in [("author", message.from()), ("to", message.to()), ("cc", message.cc())] {
        if let Some(address) = address {
            out.canon.meta(key, &people(address));
        }
    }
    if let Some(date) = message.date() {
        out.canon.meta("created", &date.to_rfc3339());
    }
    if let Some(id) = message.message_id() {
        out.canon.meta("message-id", id);
    }
    Ok(())
}

/// `Name <address>`, separated by commas.
fn people(address: &Address) -> String {
    let shown = address.iter().map(|a| match (a.name(), a.address()) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (name, address) => name.or(address).unwrap_or_default().to_owned(),
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// The text parts, or where there is none the HTML parts.
fn body(message: &Message, out: &mut Out) -> Result<(), Refused> {
    // Text of a kind that nobody knows is in neither list, but it is text still.
    let lone = [0];
    let lists = [&message.text_body[..], &message.html_body, &lone];
    for id in lists.into_iter().find(|l| !l.is_empty()).unwrap_or_default() {
        let Some(part) = message.parts.get(*id as usize) else { continue };
        let raw = message.raw_message.get(part.offset_body as usize..part.offset_end as usize).unwrap_or_default();
        let own = |body: &str| part.encoding == Encoding::None && body.contains('\u{fffd}');
        match &part.body {
            // Eight bits without a charset: the encoding is found as in a file.
            PartType::Text(body) if own(body) => text::extract(&decode(raw)?.text, out)?,
            PartType::Html(body) if own(body) => html::extract(&decode(raw)?.text, None, out)?,
            PartType::Text(body) => text::extract(body, out)?,
            PartType::Html(body) => html::extract(body, None, out)?,
            _ => {}
        }
    }
    Ok(())
}

fn attachments(message: &Message, out: &mut Out) {
    let all: Vec<&str> = message.attachments().map(|a| a.attachment_name().unwrap_or("without a name")).collect();
    if all.is_empty() {
        return;
    }
    let named = all[..all.len().min(NAMED_MAX)].join(", ");
    let more = all.len().saturating_sub(NAMED_MAX);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    out.canon.meta("attachments", &named);
    out.canon.warn(format!("attachments are not read: {named}{rest}"));
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, read};

    const MAIL: &str = "From: =?utf-8?q?J=C3=B6rg?= <j@x.de>\r\nTo: a@b.c, D <d@e.f>\r\nSubject: =?iso-8859-1?Q?=DCber?= alles\r\n\
        Date: Mon, 1 Jan 2024 10:00:00 +0100\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
        Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=DFe\r\n\
        --b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=x.pdf\r\n\r\n%PDF-\r\n--b--\r\n";

    #[test]
    fn a_message_is_read() {
        check("a.eml", MAIL, "# Über alles\nGrüße");
        let made = read("a.eml", MAIL.as_bytes()).unwrap().document;
        assert_eq!(made.title.as_deref(), Some("Über alles"));
        assert_eq!(made.meta["author"], "Jörg <j@x.de>");
        assert_eq!(made.meta["to"], "a@b.c, D <d@e.f>");
        assert_eq!(made.meta["created"], "2024-01-01T10:00:00+01:00");
        assert_eq!(made.warnings, ["attachments are not read: x.pdf"]);
    }

    #[test]
    fn a_message_of_html_alone_is_read() {
        let mail = "From: a@b.c\r\nSubject: s\r\nDate: x\r\nContent-Type: text/html\r\n\r\n<p>one<p>two";
        check("a.eml", mail, "# s\none\ntwo");
    }

    #[test]
    fn eight_bits_without_a_charset_are_decoded() {
        let mail = b"From: a@b.c\r\nSubject: s\r\nTo: c@d.e\r\n\r\nViele Gr\xFC\xDFe aus K\xF6ln und M\xFCnchen\r\n";
        let made = read("a.eml", mail).unwrap();
        assert!(made.document.text.ends_with("Viele Grüße aus Köln und München"), "{}", made.document.text);
    }

    #[test]
    fn a_message_of_unknown_text_is_read() {
        check("a.eml", "From: a@b.c\r\nSubject: s\r\nContent-Type: text\r\n\r\nwords\r\n", "# s\nwords");
    }

    #[test]
    fn depth_is_no_matter() {
        let mut deep = "From: a@b.c\r\nSubject: s\r\nTo: x@y.z\r\n".to_owned();
        for level in 0..5_000 {
            deep += &format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n");
        }
        assert_eq!(read("a.eml", deep.as_bytes()).unwrap().document.title.as_deref(), Some("s"));
        let nested = "From: a@b.c\r\nSubject: s\r\nTo: x@y.z\r\nContent-Type: message/rfc822\r\n\r\n".repeat(20_000);
        assert_eq!(read("a.eml", nested.as_bytes()).unwrap_err().reason, crate::domain::ingest::reason::Refusal::TooLarge);
        let some = "From: a@b.c\r\nSubject: s\r\nTo: x@y.z\r\nContent-Type: message/rfc822\r\n\r\n".repeat(50);
        assert_eq!(read("a.eml", some.as_bytes()).unwrap().document.title.as_deref(), Some("s"));
    }
}
