//! The seal of a document: one commitment to all that is kept of it, which its event carries and `kf fsck` computes again.
//!
//! HMAC-SHA-256 under the 32 random bytes of `document.salt`, over every row that hangs on the document: its own, what was
//! noted of it, its text, its chunks, what it speaks of, and what duplicates are found by. The things that it speaks of are
//! shared by documents, but a row of one never changes while a document speaks of it. Left out are numbers that only the database knows
//! (`id`, `chunk.number`, `collection`; which thing a mention is of is in `graph_digest`) and vectors, which another embedder replaces and `kf index verify` checks.

use crate::base::digest::hex;
use crate::base::error::Result;
use crate::store::check::rows::feed;
use crate::store::{View, values};
use ring::hmac;

/// Tables below a document with the columns that are sealed, and which rows in which order.
pub const SEALED: &[(&str, &[&str], &str)] = &[
    (
        "document",
        &[
            "uid",
            "source",
            "content",
            "words",
            "pipeline",
            "format",
            "language",
            "title",
            "bytes",
            "characters",
            "pages",
            "chunks",
            "chunks_digest",
            "graph_digest",
            "quality",
            "checks",
            "warnings",
            "reason",
            "detail",
            "copy_of",
            "created",
            "event",
        ],
        "WHERE id = ?1",
    ),
    ("document_meta", &["key", "value"], "WHERE document = ?1 ORDER BY key"),
    ("document_text", &["body"], "WHERE document = ?1"),
    (
        "chunk",
        &["pos", "uid", "start", "fresh", "stop", "tokens", "page_first", "page_last", "heading", "context"],
        "WHERE document = ?1 ORDER BY pos",
    ),
    ("mention", &["start", "stop", "chunk_pos", "method", "confidence"], "WHERE document = ?1 ORDER BY start"),
    (
        "edge",
        &["relation", "start", "stop", "method", "confidence"],
        "WHERE document = ?1 ORDER BY relation, start, stop, method, confidence",
    ),
    // The document itself is a thing too, from the moment on that its graph is made.
    (
        "entity",
        &["kind", "key", "name"],
        "WHERE id IN (SELECT entity FROM mention WHERE document = ?1 UNION SELECT subject FROM edge WHERE document = ?1 \
         UNION SELECT object FROM edge WHERE document = ?1 UNION SELECT e.id FROM entity e JOIN document d \
         ON d.collection = e.collection AND d.source = e.key \
         WHERE d.id = ?1 AND e.kind = 'document' AND d.graph_digest IS NOT NULL) ORDER BY kind, key",
    ),
    ("signature", &["minima"], "WHERE document = ?1"),
    ("band", &["hash"], "WHERE document = ?1 ORDER BY hash"),
];

/// The seal of a document as it stands in the state now.
///
/// # Errors
/// Only those of the state.
pub fn seal(view: View<'_>, salt: &[u8], document: i64) -> Result<String> {
    let mut seal = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, salt));
    for (table, columns, rows) in SEALED {
        feed(view, (table, columns), rows, values![document], &mut |bytes| seal.update(bytes))?;
    }
    Ok(hex(seal.sign().as_ref()))
}
