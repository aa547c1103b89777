//! Keys that names and reasons are encrypted with, themselves encrypted for the recipients of `artifacts.encrypt`.

use super::Migration;
use crate::store::schema::Door::Tx;
use crate::store::schema::Type::{Blob, Int, Text};
use crate::store::schema::{Table, col};

pub(super) const MIGRATION: Migration = Migration { number: 8, tables: TABLES, indexes: &[] };

const TABLES: &[Table] = &[Table {
    name: "data_key",
    door: Tx,
    // An id of the recipients; the key as an age stream.
    columns: &[col("id", Text), col("recipients", Text), col("wrapped", Blob), col("created", Int)],
    keys: &["PRIMARY KEY (id)"],
}];
