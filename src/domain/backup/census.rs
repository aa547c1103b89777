//! What is asked of a PostgreSQL database that a dump is loaded into, or that was restored: how many rows it has, table by table, whether
//! it is empty, and how it is emptied.

/// The tables of a database that have rows of their own, one name a line as SQL writes it. Those of extensions come with the extension.
pub const TABLES: &str = "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                          WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
                          AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid \
                          AND d.deptype = 'e')";

/// How many tables, views, sequences, functions, schemas, large objects and extensions a database has that a new one has not.
pub const OCCUPIED: &str = "SELECT (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                            WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema') \
                            + (SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace \
                            WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema') \
                            + (SELECT count(*) FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public')) \
                            + (SELECT count(*) FROM pg_largeobject_metadata) \
                            + (SELECT count(*) FROM pg_extension WHERE extname <> 'plpgsql')";

/// The roles of a server, one a line.
pub const ROLES: &str = "SELECT rolname FROM pg_roles";

/// Takes out all of that, and makes the schema `public` as a new database has it: since version 15 it is the database owner's.
pub const CLEAR: &str = "DO $clear$ DECLARE one text; BEGIN \
FOR one IN SELECT extname FROM pg_extension WHERE extname <> 'plpgsql' LOOP EXECUTE format('DROP EXTENSION %I CASCADE', one); END LOOP; \
FOR one IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' \
LOOP EXECUTE format('DROP SCHEMA %I CASCADE', one); END LOOP; \
PERFORM lo_unlink(oid) FROM pg_largeobject_metadata; \
IF current_setting('server_version_num')::int >= 150000 THEN \
CREATE SCHEMA public AUTHORIZATION pg_database_owner; GRANT USAGE ON SCHEMA public TO PUBLIC; \
ELSE CREATE SCHEMA public; GRANT ALL ON SCHEMA public TO PUBLIC; END IF; \
COMMENT ON SCHEMA public IS 'standard public schema'; END $clear$;\n";

/// Counts the rows of one of [`TABLES`], without those of tables that inherit from it.
pub fn rows_of(table: &str) -> String {
    format!("SELECT count(*) FROM ONLY {table}")
}
