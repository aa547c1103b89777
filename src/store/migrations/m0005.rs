//! What people are told: alerts, and which channel was told of each.

use super::Migration;
use crate::store::schema::Door::Tx;
use crate::store::schema::Type::{Int, Text};
use crate::store::schema::{Index, Table, col, opt};

pub(super) const MIGRATION: Migration = Migration { number: 5, tables: TABLES, indexes: INDEXES };

const TABLES: &[Table] = &[
    Table {
        name: "alert",
        door: Tx,
        columns: &[
            col("uid", Text),
            // The condition, the same when it begins and when it ends: `drift/bot`.
            col("about", Text),
            col("act", Text),
            col("severity", Text),
            // JSON of title, body and facts; its event has the digest.
            col("message", Text),
            col("created", Int),
            col("actor", Text),
            col("event", Int),
        ],
        keys: &["PRIMARY KEY (uid)"],
    },
    Table {
        name: "alert_delivery",
        door: Tx,
        columns: &[
            col("alert", Text),
            // Of `alerts.NAME`.
            col("channel", Text),
            col("state", Text),
            // How often it was tried.
            col("attempts", Int),
            // When it is to be tried; NULL when it is over.
            opt("due", Int),
            // Why the last try did not succeed.
            opt("error", Text),
            col("changed", Int),
            // The event of its last change.
            col("event", Int),
        ],
        keys: &["PRIMARY KEY (alert, channel)", "FOREIGN KEY (alert) REFERENCES alert (uid)"],
    },
];

const INDEXES: &[Index] = &[
    Index { name: "alert_about", table: "alert", on: "(about, event)" },
    Index { name: "alert_delivery_state", table: "alert_delivery", on: "(state)" },
];
