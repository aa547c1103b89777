//! Documents: tenants, collections, what was taken and refused, chunks, their vectors, and what duplicates are found by.
//!
//! Every row hangs on a collection and through it on one tenant. Rows below a document live and die with it, in the
//! transaction that records the document's event, so nothing is ever half there.

use super::Migration;
use crate::store::schema::Door::{Feed, Tx};
use crate::store::schema::Type::{Blob, Id, Int, Real, Text};
use crate::store::schema::{Index, Table, col, opt};

pub(super) const MIGRATION: Migration = Migration { number: 2, tables: TABLES, indexes: INDEXES };

const TABLES: &[Table] = &[
    // `salt` keys every digest of the tenant's content: equal documents of two tenants have nothing in common here.
    Table {
        name: "tenant",
        door: Tx,
        columns: &[col("id", Id), col("name", Text), col("salt", Blob), col("created", Int)],
        keys: &["UNIQUE (name)"],
    },
    Table {
        name: "collection",
        door: Tx,
        columns: &[
            col("id", Id),
            col("tenant", Int),
            col("name", Text),
            col("embedder", Text),
            col("embedder_digest", Blob),
            col("dimensions", Int),
            // What finds its nearest vectors, as its last event says.
            col("engine", Text),
            // Where its graph is shown beside the state: a word of `graph.engine`.
            col("graph", Text),
            // The highest number that a chunk of it ever had: numbers are never given twice, so that indexes can rely on them.
            col("last_chunk", Int),
            col("created", Int),
            col("event", Int),
        ],
        keys: &["UNIQUE (tenant, name)", "FOREIGN KEY (tenant) REFERENCES tenant (id)"],
    },
    // One row a source, taken or refused. `content` and `words` are keyed digests of the file and of its normalised words.
    Table {
        name: "document",
        door: Tx,
        columns: &[
            col("id", Id),
            col("uid", Text),
            col("collection", Int),
            // Keys the commitment of its event: once it is gone, nobody can guess what the entry was about.
            col("salt", Blob),
            col("source", Text),
            col("content", Blob),
            opt("words", Blob),
            col("pipeline", Blob),
            opt("format", Text),
            opt("language", Text),
            opt("title", Text),
            col("bytes", Int),
            col("characters", Int),
            opt("pages", Int),
            col("chunks", Int),
            opt("chunks_digest", Blob),
            // Of the vectors of its chunks, by which damage of one is found.
            opt("vectors", Blob),
            // Of what it speaks of; NULL where nobody asked.
            opt("graph_digest", Blob),
            opt("quality", Real),
            col("checks", Text),
            col("warnings", Text),
            opt("reason", Text),
            opt("detail", Text),
            // The source of the document that it was found to be a copy of: when that one goes, this one is judged anew.
            opt("copy_of", Text),
            // 1 when what it was compared with has changed since: work that is waiting, from which nothing is told.
            col("stale", Int),
            col("created", Int),
            col("event", Int),
        ],
        keys: &["UNIQUE (collection, source)", "UNIQUE (uid)", "FOREIGN KEY (collection) REFERENCES collection (id)"],
    },
    // What people noted of a document, for filters.
    Table {
        name: "document_meta",
        door: Tx,
        columns: &[col("document", Int), col("key", Text), col("value", Text)],
        keys: &["PRIMARY KEY (document, key)", "FOREIGN KEY (document) REFERENCES document (id)"],
    },
    // The canonical text, zlib-compressed; the only text that offsets point into.
    Table {
        name: "document_text",
        door: Tx,
        columns: &[col("document", Int), col("body", Blob)],
        keys: &["PRIMARY KEY (document)", "FOREIGN KEY (document) REFERENCES document (id)"],
    },
    // Offsets count characters (Unicode scalar values) of the canonical text; `fresh` is where text begins that the chunk
    // before does not hold.
    Table {
        name: "chunk",
        door: Tx,
        columns: &[
            col("collection", Int),
            col("number", Int),
            col("uid", Text),
            col("document", Int),
            col("pos", Int),
            col("start", Int),
            col("fresh", Int),
            col("stop", Int),
            col("tokens", Int),
            opt("page_first", Int),
            opt("page_last", Int),
            col("heading", Text),
            // What stands before its slice where it is embedded and searched by words, made when it was cut.
            col("context", Text),
            // 32-bit floats, little-endian, a unit vector of the collection's embedder.
            col("vector", Blob),
        ],
        keys: &[
            "PRIMARY KEY (collection, number)",
            "UNIQUE (document, pos)",
            "FOREIGN KEY (document) REFERENCES document (id)",
            "FOREIGN KEY (collection) REFERENCES collection (id)",
        ],
    },
    // MinHash signatures, and the bands by which near duplicates find each other within one collection.
    Table {
        name: "signature",
        door: Tx,
        columns: &[col("document", Int), col("minima", Blob)],
        keys: &["PRIMARY KEY (document)", "FOREIGN KEY (document) REFERENCES document (id)"],
    },
    Table {
        name: "band",
        door: Tx,
        columns: &[col("collection", Int), col("hash", Int), col("document", Int)],
        keys: &["PRIMARY KEY (collection, hash, document)", "FOREIGN KEY (document) REFERENCES document (id)"],
    },
    // Things that documents of a collection speak of. Documents are things too: their key is their source, and one that is only
    // linked to is there before, and without, its document.
    Table {
        name: "entity",
        door: Tx,
        columns: &[col("id", Id), col("collection", Int), col("kind", Text), col("key", Text), col("name", Text)],
        keys: &["UNIQUE (collection, kind, key)", "FOREIGN KEY (collection) REFERENCES collection (id)"],
    },
    // Where: characters of the document's text, and which of its chunks holds them first. `confidence` counts from 0 to 100.
    Table {
        name: "mention",
        door: Tx,
        columns: &[
            col("collection", Int),
            col("document", Int),
            col("start", Int),
            col("stop", Int),
            col("chunk_pos", Int),
            col("entity", Int),
            col("method", Text),
            col("confidence", Int),
        ],
        keys: &[
            "PRIMARY KEY (document, start)",
            "FOREIGN KEY (document) REFERENCES document (id)",
            "FOREIGN KEY (entity) REFERENCES entity (id)",
        ],
    },
    // What a document says of two things; from `start` to `stop` it says so.
    Table {
        name: "edge",
        door: Tx,
        columns: &[
            col("collection", Int),
            col("document", Int),
            col("subject", Int),
            col("relation", Text),
            col("object", Int),
            col("start", Int),
            col("stop", Int),
            col("method", Text),
            col("confidence", Int),
        ],
        keys: &[
            "PRIMARY KEY (document, relation, subject, object, start)",
            "FOREIGN KEY (document) REFERENCES document (id)",
            "FOREIGN KEY (subject) REFERENCES entity (id)",
            "FOREIGN KEY (object) REFERENCES entity (id)",
        ],
    },
    // Vectors that a model was paid for, kept the moment they arrive: nothing is embedded twice, until `kf gc`
    // finds them older than its grace. `text` is keyed per tenant.
    Table {
        name: "embedding",
        door: Feed,
        columns: &[col("tenant", Int), col("model", Blob), col("text", Blob), col("vector", Blob), col("created", Int)],
        keys: &["PRIMARY KEY (tenant, model, text)"],
    },
    // What engines outside the state still have to be told. It hangs on nothing: it outlives what it is about, so that this
    // is taken out there too. `item` is a public id, or empty where the act is about the whole place.
    Table {
        name: "outbox",
        door: Feed,
        columns: &[
            col("event", Int),
            col("engine", Text),
            col("place", Text),
            col("act", Text),
            col("item", Text),
            col("collection", Int),
        ],
        keys: &["PRIMARY KEY (event, engine, place, act, item)"],
    },
];

const INDEXES: &[Index] = &[
    Index { name: "document_content", table: "document", on: "(collection, content)" },
    Index { name: "document_words", table: "document", on: "(collection, words) WHERE words IS NOT NULL" },
    Index { name: "document_reason", table: "document", on: "(collection, reason) WHERE reason IS NOT NULL" },
    Index { name: "document_copy", table: "document", on: "(collection, copy_of) WHERE copy_of IS NOT NULL" },
    Index { name: "document_stale", table: "document", on: "(collection) WHERE stale <> 0" },
    Index { name: "document_meta_value", table: "document_meta", on: "(key, value, document)" },
    Index { name: "chunk_uid", table: "chunk", on: "(uid)" },
    Index { name: "mention_entity", table: "mention", on: "(collection, entity)" },
    Index { name: "edge_subject", table: "edge", on: "(collection, subject)" },
    Index { name: "edge_object", table: "edge", on: "(collection, object)" },
    Index { name: "outbox_collection", table: "outbox", on: "(collection)" },
    Index { name: "band_document", table: "band", on: "(document)" },
];
