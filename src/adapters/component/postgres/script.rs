//! What `psql` is given of an archive: SQL and nothing else, because a backslash begins a command of its own there (`\!` runs a program).
//!
//! `psql` takes such a command anywhere outside of quotes, so text that `pg_dumpall` wrote is read as it would be, and whatever could be read
//! in two ways is refused: a backslash is let through in a comment to the end of a line, in a quoted name that began on the same line, and
//! twice in a row in a quoted text, as `pg_dumpall` writes it. (Twice, so that the text ends at the same place whatever
//! `standard_conforming_strings` is; on the same line, so that it cannot end the data of a `COPY`; not after a byte beyond ASCII, of which
//! it would be the second half in some encodings.)

use crate::base::error::{Error, Kind, Result};

/// How the text of `pg_restore` begins where `psql` takes no command of its own until it hears a word that only the two know; since 13.22,
/// 14.19, 15.14, 16.10 and 17.6 (CVE-2025-8714).
const RESTRICT: &[u8] = b"\\restrict ";
/// How it ends.
const UNRESTRICT: &[u8] = b"\\unrestrict ";

/// Where the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum In {
    Sql,
    Comment,
    Text,
    Name { since: usize },
}

/// The SQL of an archive, without what takes commands away from `psql` and gives them back; refused when it would make `psql` do
/// something itself.
///
/// # Errors
/// With the line of the first command.
pub(super) fn only_sql(file: &str, text: &[u8]) -> Result<Vec<u8>> {
    let lines: Vec<&[u8]> =
        text.split(|byte| *byte == b'\n').map(|line| if is_restriction(line) { &line[..0] } else { line }).collect();
    let text = lines.join(&b'\n');
    checked(file, &text).map(|()| text)
}

/// Whether a line is one that the newer `pg_dumpall` writes first or last. A `psql` that knows them would believe whoever wrote the archive.
fn is_restriction(line: &[u8]) -> bool {
    let word = line.strip_prefix(RESTRICT).or_else(|| line.strip_prefix(UNRESTRICT));
    word.is_some_and(|word| word.iter().all(u8::is_ascii_alphanumeric))
}

fn checked(file: &str, text: &[u8]) -> Result<()> {
    let (mut at, mut line, mut within) = (0, 1, In::Sql);
    // Without a backslash nothing of this matters, and all other text may look as it likes.
    let has = text.contains(&b'\\');
    while let Some(byte) = text.get(at).copied().filter(|_| has) {
        let (next, before) = (text.get(at + 1).copied(), at.checked_sub(1).and_then(|at| text.get(at)).copied());
        let refused = || {
            let what =
                format!("{file} of the archive is not only SQL: line {line} has a command of psql, which could run any program");
            Err(Error::of(Kind::Broken, what)
                .hint("nothing of it was run; no `pg_dumpall` writes that: find out who wrote this set"))
        };
        let mut step = 1;
        within = match (within, byte) {
            (In::Sql, b'\'') => In::Text,
            (In::Sql, b'"') => In::Name { since: line },
            (In::Sql, b'-') if next == Some(b'-') => In::Comment,
            // Comments and quotes that `pg_dumpall` does not write.
            (In::Sql, b'$') => return refused(),
            (In::Sql, b'/') if next == Some(b'*') => return refused(),
            (In::Comment, b'\n' | b'\r') | (In::Text, b'\'') | (In::Name { .. }, b'"') => In::Sql,
            (In::Comment, b'\\') => In::Comment,
            (In::Sql, b'\\') => return refused(),
            (_, b'\\') if before.is_some_and(|byte| !byte.is_ascii()) => return refused(),
            (In::Text, b'\\') if next == Some(b'\\') => {
                step = 2;
                In::Text
            }
            (In::Name { since }, b'\\') if since == line => within,
            (_, b'\\') => return refused(),
            (within, _) => within,
        };
        line += usize::from(byte == b'\n');
        at += step;
    }
    Ok(())
}

/// Refuses a text of `pg_restore` that does not begin by taking commands away from `psql`.
///
/// # Errors
/// When the programs here are too old for that.
pub(super) fn restricted(beginning: &[u8]) -> Result<()> {
    let first = beginning.split(|byte| *byte == b'\n').find(|line| !line.is_empty() && !line.starts_with(b"--"));
    if first.is_some_and(|line| line.starts_with(RESTRICT)) {
        return Ok(());
    }
    Err(Error::new("this `pg_restore` does not keep an archive from giving psql commands, which could run any program").hint(
        "take the programs of PostgreSQL 13.22, 14.19, 15.14, 16.10, 17.6 or newer; `PATH` decides which ones are taken. Nothing was changed",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pg_dumpall_writes_is_taken() {
        for text in [
            "--\n-- it's \\ a cluster\n--\n\nSET standard_conforming_strings = on;\nCREATE ROLE ada;\nALTER ROLE ada WITH LOGIN;\n",
            "COMMENT ON ROLE ada IS E'it''s C:\\\\dir \\\\ and \"so\"\n\\\\! on';\nCREATE ROLE bob;\n",
            "CREATE ROLE \"CORP\\ada\";\nALTER ROLE \"CORP\\ada\" SET search_path TO 'a', '$user';\n",
            "ALTER ROLE ada SET x TO '$1/*';\n",
            "CREATE ROLE \"zoë\";\n",
            "--\n\n\\restrict aB3\n\nCREATE ROLE ada;\n\n\\unrestrict aB3\n",
        ] {
            assert!(only_sql("globals.sql", text.as_bytes()).is_ok(), "{text}");
        }
        let without = only_sql("globals.sql", b"\\restrict aB3\nCREATE ROLE ada;\n\\unrestrict aB3\n").expect("SQL");
        assert_eq!(without, b"\nCREATE ROLE ada;\n\n");
    }

    #[test]
    fn a_command_of_psql_is_refused_wherever_it_hides() {
        for (text, line) in [
            (&b"\\! id"[..], 1),
            (b"CREATE ROLE a;\n \t\\! id\n", 2),
            (b"CREATE ROLE a; \\! id\n", 1),
            (b"VALUES 1 \\g |id\n", 1),
            (b"VALUES 'a\\'' \\! id '\n", 1),
            (b"SET standard_conforming_strings = off;\nVALUES 'a\\'' \\! id';\n", 2),
            (b"COPY t FROM STDIN;\n'\n\\.\n\\! id\n'\n", 3),
            (b"COPY t FROM STDIN;\n\"\n\\.\n\\! id\n\"\n", 3),
            (b"\\restrict a\n\\unrestrict a\n\\! id\n", 3),
            (b"\\restrict a \\! id\n", 1),
            (b"-- a comment\r\\! id\n", 1),
            (b"DO $$ ' $$; \\! id '\n", 1),
            (b"/* ' */ \\! id '\n", 1),
            (b"VALUES E'\x83\\\\' \\! id '\n", 1),
            (b"VALUES 'a' -- '\n\\! id\n", 2),
        ] {
            let e = only_sql("globals.sql", text).expect_err(&String::from_utf8_lossy(text));
            assert_eq!(e.kind(), Kind::Broken);
            assert!(e.to_string().contains(&format!("line {line} has")), "{e}: {}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn only_a_text_that_takes_commands_away_first_is_given_to_psql() {
        assert!(restricted(b"--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\nSET x = 1;\n").is_ok());
        for text in [&b"--\n-- PostgreSQL database dump\n--\n\nSET x = 1;\n\\restrict abc\n"[..], b"\\! id\n", b""] {
            assert!(restricted(text).is_err());
        }
    }
}
