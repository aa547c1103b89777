//! The first schema: the audit log, the registry, evaluations.

use super::Migration;
use crate::store::schema::Door::{Feed, Tx};
use crate::store::schema::Type::{Blob, Id, Int, Real, Text};
use crate::store::schema::{Index, Table, col, opt};

pub(super) const MIGRATION: Migration = Migration { number: 1, tables: TABLES, indexes: INDEXES };

const TABLES: &[Table] = &[
    Table { name: "meta", door: Tx, columns: &[col("key", Text), col("value", Text)], keys: &["PRIMARY KEY (key)"] },
    // The audit log: narrow rows for queries, bodies apart, sealed subtree hashes, one head.
    Table {
        name: "log_head",
        door: Tx,
        columns: &[col("id", Int), col("size", Int), col("frontier", Blob), col("origin", Text)],
        keys: &["PRIMARY KEY (id)"],
    },
    Table {
        name: "dict",
        door: Tx,
        columns: &[col("id", Id), col("kind", Text), col("text", Text)],
        keys: &["UNIQUE (kind, text)"],
    },
    Table {
        name: "ev",
        door: Tx,
        columns: &[
            col("seq", Int),
            col("id", Blob),
            col("ts", Int),
            col("actor", Int),
            col("action", Int),
            col("res", Int),
            col("outcome", Int),
            opt("ticket", Int),
        ],
        keys: &["PRIMARY KEY (seq)", "UNIQUE (id)"],
    },
    Table {
        name: "eb",
        door: Tx,
        columns: &[col("seq", Int), col("leaf", Blob), col("body", Text)],
        keys: &["PRIMARY KEY (seq)"],
    },
    Table {
        name: "tile",
        door: Tx,
        columns: &[col("level", Int), col("idx", Int), col("hash", Blob)],
        keys: &["PRIMARY KEY (level, idx)"],
    },
    Table { name: "checkpoint", door: Tx, columns: &[col("size", Int), col("note", Text)], keys: &["PRIMARY KEY (size)"] },
    // Facts too long for an entry, which has their digest.
    Table {
        name: "fact",
        door: Tx,
        columns: &[col("seq", Int), col("key", Text), col("value", Text)],
        keys: &["PRIMARY KEY (seq, key)"],
    },
    // What may have to be forgotten: names behind pseudonyms, openings of commitments.
    Table {
        name: "pseudonym",
        door: Tx,
        columns: &[col("id", Text), col("kind", Text), col("name", Text), col("salt", Blob)],
        keys: &["PRIMARY KEY (id)", "UNIQUE (kind, name)"],
    },
    Table {
        name: "opening",
        door: Tx,
        columns: &[col("seq", Int), col("field", Text), col("salt", Blob), col("value", Text)],
        keys: &["PRIMARY KEY (seq, field)"],
    },
    // The registry.
    Table {
        name: "model",
        door: Tx,
        columns: &[col("id", Id), col("name", Text), col("kind", Text), col("created", Int)],
        keys: &["UNIQUE (name)"],
    },
    Table {
        name: "version",
        door: Tx,
        columns: &[
            col("id", Id),
            col("model", Int),
            col("major", Int),
            col("minor", Int),
            col("patch", Int),
            col("digest", Blob),
            col("stage", Text),
            col("created", Int),
            col("author", Text),
            col("files", Int),
            col("bytes", Int),
            opt("git_commit", Text),
            opt("git_branch", Text),
            opt("git_dirty", Int),
            opt("retired", Int),
            opt("purged", Int),
            col("event", Int),
        ],
        keys: &["UNIQUE (model, major, minor, patch)", "UNIQUE (model, digest)", "FOREIGN KEY (model) REFERENCES model (id)"],
    },
    Table {
        name: "version_note",
        door: Tx,
        columns: &[col("version", Int), col("kind", Text), col("key", Text), col("value", Text)],
        keys: &["PRIMARY KEY (version, kind, key)", "FOREIGN KEY (version) REFERENCES version (id)"],
    },
    Table {
        name: "version_link",
        door: Tx,
        columns: &[col("version", Int), col("relation", Text), col("target", Int)],
        keys: &[
            "PRIMARY KEY (version, relation, target)",
            "FOREIGN KEY (version) REFERENCES version (id)",
            "FOREIGN KEY (target) REFERENCES version (id)",
        ],
    },
    Table {
        name: "alias",
        door: Tx,
        columns: &[col("model", Int), col("name", Text), col("version", Int)],
        keys: &["PRIMARY KEY (model, name)", "FOREIGN KEY (version) REFERENCES version (id)"],
    },
    Table {
        name: "stage_change",
        door: Tx,
        columns: &[
            col("event", Int),
            col("model", Int),
            col("version", Int),
            col("how", Text),
            opt("from_stage", Text),
            col("to_stage", Text),
            opt("replaced", Int),
            col("ts", Int),
            col("actor", Text),
            opt("ticket", Text),
        ],
        keys: &[
            "PRIMARY KEY (event, version)",
            "FOREIGN KEY (model) REFERENCES model (id)",
            "FOREIGN KEY (version) REFERENCES version (id)",
        ],
    },
    // Evaluations; their rows are working data, sealed by `rows_digest`.
    Table {
        name: "evaluation",
        door: Tx,
        columns: &[
            col("id", Text),
            col("version", Int),
            col("digest", Blob),
            col("dataset", Text),
            col("dataset_digest", Blob),
            col("judge", Text),
            col("system", Text),
            col("row_count", Int),
            col("rows_digest", Blob),
            col("ts", Int),
            col("actor", Text),
            col("event", Int),
        ],
        keys: &["PRIMARY KEY (id)", "FOREIGN KEY (version) REFERENCES version (id)"],
    },
    Table {
        name: "evaluation_metric",
        door: Tx,
        columns: &[
            col("evaluation", Text),
            col("metric", Text),
            opt("mean", Real),
            opt("low", Real),
            opt("high", Real),
            col("n", Int),
            col("total", Int),
        ],
        keys: &["PRIMARY KEY (evaluation, metric)", "FOREIGN KEY (evaluation) REFERENCES evaluation (id)"],
    },
    Table {
        name: "eval_row",
        door: Feed,
        columns: &[
            col("evaluation", Text),
            col("pos", Int),
            col("row_id", Text),
            col("metric", Text),
            opt("value", Real),
            opt("reason", Text),
        ],
        keys: &["PRIMARY KEY (evaluation, pos, metric)"],
    },
];

const INDEXES: &[Index] = &[
    Index { name: "ev_actor", table: "ev", on: "(actor, action, seq, outcome)" },
    Index { name: "ev_action", table: "ev", on: "(action, seq)" },
    Index { name: "ev_res", table: "ev", on: "(res, seq, actor, action, outcome)" },
    Index { name: "ev_ts", table: "ev", on: "(ts, seq)" },
    Index { name: "ev_ticket", table: "ev", on: "(ticket, seq) WHERE ticket IS NOT NULL" },
    Index { name: "ev_outcome", table: "ev", on: "(outcome, seq, actor, action) WHERE outcome <> 0" },
    Index { name: "version_stage", table: "version", on: "(model, stage)" },
    Index { name: "version_digest", table: "version", on: "(digest)" },
    Index { name: "version_link_target", table: "version_link", on: "(target)" },
    Index { name: "stage_change_model", table: "stage_change", on: "(model, event)" },
    Index { name: "evaluation_version", table: "evaluation", on: "(version, event)" },
];
