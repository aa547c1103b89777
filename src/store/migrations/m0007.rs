//! Flags: which variant of something each user of a tenant gets.

use super::Migration;
use crate::store::schema::Door::Tx;
use crate::store::schema::Type::{Int, Text};
use crate::store::schema::{Table, col};

pub(super) const MIGRATION: Migration = Migration { number: 7, tables: TABLES, indexes: &[] };

const TABLES: &[Table] = &[Table {
    name: "flag",
    door: Tx,
    columns: &[
        col("tenant", Text),
        col("name", Text),
        // JSON: variants with their parts in hundredths of a percent.
        col("rule", Text),
        col("changed", Int),
        col("actor", Text),
        col("event", Int),
    ],
    keys: &["PRIMARY KEY (tenant, name)"],
}];
