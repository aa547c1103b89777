//! Monitoring: samples of metrics, and the episodes in which they were unusual.
//!
//! What is recorded together is a batch: one entry of the audit log with one digest over its samples, kept and given up as a whole.

use super::Migration;
use crate::store::schema::Door::Tx;
use crate::store::schema::Type::{Blob, Id, Int, Real, Text};
use crate::store::schema::{Index, Table, col, opt};

pub(super) const MIGRATION: Migration = Migration { number: 4, tables: TABLES, indexes: INDEXES };

const TABLES: &[Table] = &[
    // A metric with its labels, so that a sample names them by a number.
    Table {
        name: "monitor_series",
        door: Tx,
        columns: &[
            col("id", Id),
            col("name", Text),
            // Canonical JSON; empty for none.
            col("labels", Text),
        ],
        keys: &["UNIQUE (name, labels)"],
    },
    Table {
        name: "monitor_batch",
        door: Tx,
        columns: &[
            col("event", Int),
            col("samples", Int),
            // The newest time of a sample of it.
            col("last", Int),
            col("digest", Blob),
        ],
        keys: &["PRIMARY KEY (event)"],
    },
    Table {
        name: "monitor_sample",
        door: Tx,
        columns: &[col("series", Int), col("at", Int), col("value", Real), col("event", Int)],
        // No key to the batch: without an index on `event`, as large as the table, giving up a batch would read all samples.
        keys: &["PRIMARY KEY (series, at)", "FOREIGN KEY (series) REFERENCES monitor_series (id)"],
    },
    Table {
        name: "monitor_episode",
        door: Tx,
        columns: &[
            col("uid", Text),
            col("name", Text),
            col("labels", Text),
            col("kind", Text),
            col("severity", Text),
            // The time of the sample that opened it.
            col("since", Int),
            // The value farthest from what is usual when it last changed.
            col("peak", Real),
            col("opened", Int),
            // The time of the sample from which on it was usual again.
            opt("ended", Int),
            opt("closed", Int),
            // The event of its last change.
            col("event", Int),
        ],
        keys: &["PRIMARY KEY (uid)"],
    },
];

const INDEXES: &[Index] = &[
    Index { name: "monitor_batch_last", table: "monitor_batch", on: "(last)" },
    Index { name: "monitor_episode_name", table: "monitor_episode", on: "(name, labels, kind, event)" },
    Index { name: "monitor_episode_open", table: "monitor_episode", on: "(opened) WHERE closed IS NULL" },
];
