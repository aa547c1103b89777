//! A/B tests: what is compared, and what was seen of each variant.

use super::Migration;
use crate::store::schema::Door::Tx;
use crate::store::schema::Type::{Int, Real, Text};
use crate::store::schema::{Table, col, opt};

pub(super) const MIGRATION: Migration = Migration { number: 9, tables: TABLES, indexes: &[] };

const TABLES: &[Table] = &[
    Table {
        name: "ab_test",
        door: Tx,
        columns: &[
            col("name", Text),
            // JSON of all that was decided at the start; its event has the digest.
            col("setup", Text),
            // 1 until it was stopped.
            col("open", Int),
            // The number of batches.
            col("batches", Int),
            // What was decided when it was stopped, and JSON of what it rests on; the event has the digest.
            opt("decision", Text),
            opt("analysis", Text),
            col("created", Int),
            col("changed", Int),
            col("actor", Text),
            // The event of the last change.
            col("event", Int),
        ],
        keys: &["PRIMARY KEY (name)"],
    },
    // What was recorded together.
    Table {
        name: "ab_batch",
        door: Tx,
        columns: &[
            col("test", Text),
            col("seq", Int),
            // Where it came from: a file's name, evaluations, a gateway.
            col("source", Text),
            // From where the source is read on.
            opt("cursor", Text),
            col("row_count", Int),
            // The digest of its rows.
            col("digest", Text),
            col("at", Int),
            col("actor", Text),
            col("event", Int),
        ],
        keys: &["PRIMARY KEY (test, seq)", "FOREIGN KEY (test) REFERENCES ab_test (name)"],
    },
    // A value of a metric of a unit, or, of what somebody else counted, count, mean and spread of many.
    Table {
        name: "ab_value",
        door: Tx,
        columns: &[
            col("test", Text),
            col("batch", Int),
            col("variant", Text),
            // Digests of the ids, with the salt of the test.
            col("id", Text),
            col("unit", Text),
            col("metric", Text),
            col("n", Int),
            col("mean", Real),
            col("sd", Real),
        ],
        keys: &["PRIMARY KEY (test, variant, id, metric)", "FOREIGN KEY (test, batch) REFERENCES ab_batch (test, seq)"],
    },
];
