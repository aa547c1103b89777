//! Drift: what models were accepted on, what was compared with it, and what was done about it.
//!
//! Profiles and reports are objects; a row names one by its digest.

use super::Migration;
use crate::store::schema::Door::Tx;
use crate::store::schema::Type::{Blob, Int, Real, Text};
use crate::store::schema::{Index, Table, col, opt};

pub(super) const MIGRATION: Migration = Migration { number: 3, tables: TABLES, indexes: INDEXES };

const TABLES: &[Table] = &[
    Table {
        name: "baseline",
        door: Tx,
        columns: &[
            col("uid", Text),
            // Of `drift.NAME`.
            col("name", Text),
            col("version", Int),
            // The object that holds the profile of each column.
            col("profile", Blob),
            col("profile_bytes", Int),
            // Over the digests of the files that it was taken of.
            col("data", Blob),
            col("row_count", Int),
            col("column_count", Int),
            col("created", Int),
            col("actor", Text),
            col("event", Int),
        ],
        keys: &["PRIMARY KEY (uid)", "FOREIGN KEY (version) REFERENCES version (id)"],
    },
    Table {
        name: "drift_check",
        door: Tx,
        columns: &[
            col("uid", Text),
            col("name", Text),
            col("baseline", Text),
            col("data", Blob),
            col("row_count", Int),
            col("verdict", Text),
            // The object that holds what was found.
            col("report", Blob),
            col("report_bytes", Int),
            col("created", Int),
            col("actor", Text),
            col("event", Int),
        ],
        keys: &["PRIMARY KEY (uid)", "FOREIGN KEY (baseline) REFERENCES baseline (uid)"],
    },
    // One row a column of a check: what its history shows.
    Table {
        name: "drift_figure",
        door: Tx,
        columns: &[
            col("drift_check", Text),
            col("pos", Int),
            col("column_name", Text),
            col("status", Text),
            opt("psi", Real),
            col("n", Int),
        ],
        keys: &["PRIMARY KEY (drift_check, pos)", "FOREIGN KEY (drift_check) REFERENCES drift_check (uid)"],
    },
    // What is to be done, and was.
    Table {
        name: "drift_action",
        door: Tx,
        columns: &[
            col("uid", Text),
            col("name", Text),
            col("model", Int),
            // The check that asked for it first.
            col("drift_check", Text),
            col("kind", Text),
            col("band", Text),
            col("state", Text),
            opt("due", Int),
            // How often it was tried.
            col("attempts", Int),
            col("opened", Int),
            col("changed", Int),
            // The event of its last change.
            col("event", Int),
        ],
        keys: &[
            "PRIMARY KEY (uid)",
            "FOREIGN KEY (model) REFERENCES model (id)",
            "FOREIGN KEY (drift_check) REFERENCES drift_check (uid)",
        ],
    },
];

const INDEXES: &[Index] = &[
    Index { name: "baseline_name", table: "baseline", on: "(name, event)" },
    Index { name: "baseline_version", table: "baseline", on: "(version)" },
    Index { name: "drift_check_name", table: "drift_check", on: "(name, event)" },
    Index { name: "drift_check_baseline", table: "drift_check", on: "(baseline)" },
    Index { name: "drift_action_name", table: "drift_action", on: "(name, kind, event)" },
    Index { name: "drift_action_model", table: "drift_action", on: "(model, kind, event)" },
    Index { name: "drift_action_open", table: "drift_action", on: "(due) WHERE state = 'open'" },
];
