//! How many rows a PostgreSQL database has, table by table: what is asked of one that was restored.

/// The tables of a database, one name a line as SQL writes it.
pub const TABLES: &str = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables \
                          WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";

/// Counts the rows of one of [`TABLES`], without those of tables that inherit from it.
pub fn rows_of(table: &str) -> String {
    format!("SELECT count(*) FROM ONLY {table}")
}
