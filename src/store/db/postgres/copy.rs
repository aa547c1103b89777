//! Rows of a query on a server that is not the state's, by `COPY … TO STDOUT` within a transaction that reads only.
//!
//! The server writes every type as text, so none is unknown; the types of the columns come from preparing the query, which also
//! makes sure that it is one statement (PostgreSQL, "COPY", "File Formats: Text Format"; "Message Flow: Extended Query").

use super::{Postgres, connect, limit_waits};
use crate::base::error::{Context, Error, Result};
use crate::config::secret::Secret;
use crate::store::db::foreign::{EachPiece, ForeignCell, Piece};
use crate::store::runtime::block_on;
use futures_util::TryStreamExt as _;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{Kind, Type};

/// One moment, read only, and everything written in one way whatever the server's settings are.
const SESSION: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO'; \
    SET LOCAL intervalstyle = 'iso_8601'; SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'; \
    SET LOCAL client_min_messages = warning; SET LOCAL lock_timeout = '30s'";
/// Types of pgvector that are vectors as written.
const VECTORS: [&str; 2] = ["vector", "halfvec"];

/// Hands out the names and rows of a query.
pub(in crate::store::db) fn rows(url: &Secret, sql: &str, each: EachPiece<'_>) -> Result<()> {
    // What the parser says of an address may quote it.
    let config = url.expose().parse::<tokio_postgres::Config>().ok();
    let mut config = config.ok_or_else(|| {
        Error::new("its address is no URL of PostgreSQL")
            .hint("write `postgres://USER:PASSWORD@HOST:PORT/DATABASE` into the secret")
    })?;
    limit_waits(&mut config);
    let (client, carrier) = block_on(connect(config))?
        .context(|| "cannot connect")
        .hint(|| "is the server running, and does `source` name it, its database and its user?".into())?;
    let db = Postgres::new(client, carrier);
    block_on(copied(&db, sql, each))?
}

async fn copied(db: &Postgres, sql: &str, each: EachPiece<'_>) -> Result<()> {
    db.patient(db.client.batch_execute(SESSION)).await?.map_err(refused)?;
    let statement = db.patient(db.client.prepare(sql)).await?.map_err(refused)?;
    if statement.columns().is_empty() {
        return Err(Error::new("the query gives no rows by its kind").hint("write one `SELECT …`"));
    }
    let names: Vec<String> = statement.columns().iter().map(|column| column.name().to_owned()).collect();
    let forms: Vec<Form> = statement.columns().iter().map(|column| form(column.type_())).collect();
    each(Piece::Names(&names))?;
    // On lines of their own: the query may end with a comment.
    let copy = format!("COPY (\n{}\n) TO STDOUT", sql.trim().trim_end_matches(';'));
    let stream = db.patient(db.client.copy_out(&copy)).await?.map_err(refused)?;
    let mut stream = std::pin::pin!(stream);
    let (mut bytes, mut row) = (Vec::new(), Row::new(forms));
    while let Some(more) = db.patient(stream.try_next()).await?.map_err(refused)? {
        bytes.extend_from_slice(&more);
        let mut from = 0;
        // A line end within a value is escaped.
        while let Some(length) = memchr::memchr(b'\n', &bytes[from..]) {
            row.hand_out(&bytes[from..from + length], each)?;
            from += length + 1;
        }
        bytes.drain(..from);
    }
    Ok(())
}

/// How the text of a type is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As it is written.
    Bare,
    /// `t` and `f`.
    Flag,
    /// `{1,2}`.
    List,
    /// As a text.
    Quoted,
}

fn form(of: &Type) -> Form {
    match of.kind() {
        Kind::Domain(inner) => return form(inner),
        Kind::Array(inner) if is_number(inner) => return Form::List,
        _ => {}
    }
    match *of {
        Type::BOOL => Form::Flag,
        Type::DATE | Type::TIMESTAMP | Type::TIMESTAMPTZ => Form::Bare,
        ref number if is_number(number) || VECTORS.contains(&number.name()) => Form::Bare,
        _ => Form::Quoted,
    }
}

fn is_number(of: &Type) -> bool {
    [Type::INT2, Type::INT4, Type::INT8, Type::OID, Type::FLOAT4, Type::FLOAT8, Type::NUMERIC].contains(of)
}

/// The row that is being read.
struct Row {
    forms: Vec<Form>,
    texts: Vec<Option<String>>,
}

impl Row {
    fn new(forms: Vec<Form>) -> Self {
        Self { texts: forms.iter().map(|_| None).collect(), forms }
    }

    /// Reads a line of the text format and hands it out.
    fn hand_out(&mut self, line: &[u8], each: EachPiece<'_>) -> Result<()> {
        let mut fields = line.split(|byte| *byte == b'\t');
        for (form, text) in self.forms.iter().zip(&mut self.texts) {
            *text = fields.next().and_then(unescaped).map(|text| read(*form, text));
        }
        let cells: Vec<ForeignCell<'_>> =
            self.forms.iter().zip(&self.texts).map(|(form, text)| cell(*form, text.as_deref())).collect();
        each(Piece::Row(&cells))
    }
}

fn read(form: Form, text: String) -> String {
    match form {
        Form::Flag => if text == "t" { "true" } else { "false" }.to_owned(),
        Form::List if !text[1..].contains('{') => text.replacen('{', "[", 1).replacen('}', "]", 1),
        Form::Bare | Form::List | Form::Quoted => text,
    }
}

fn cell(form: Form, text: Option<&str>) -> ForeignCell<'_> {
    match (form, text) {
        (_, None) => ForeignCell::Absent,
        (Form::Quoted, Some(text)) => ForeignCell::Quoted(text),
        (_, Some(text)) => ForeignCell::Bare(text),
    }
}

/// The text of a field; `None` for NULL.
fn unescaped(field: &[u8]) -> Option<String> {
    if field == b"\\N" {
        return None;
    }
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.iter().copied();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next() {
                Some(b'b') => 0x08,
                Some(b'f') => 0x0C,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'v') => 0x0B,
                Some(other) => other,
                None => b'\\',
            },
            byte => byte,
        });
    }
    Some(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

/// What the server says of a query that it does not run, with what to do.
fn refused(e: tokio_postgres::Error) -> Error {
    let Some(said) = e.as_db_error() else {
        let broken = Err::<(), _>(e).context(|| "the connection to the server broke");
        return broken.expect_err("made from an error").hint("run the command again: a retry is harmless");
    };
    let hint = match said.code() {
        c if *c == SqlState::INSUFFICIENT_PRIVILEGE => {
            "grant SELECT on it to the user of `source`, or name another user".to_owned()
        }
        c if *c == SqlState::READ_ONLY_SQL_TRANSACTION => "write a query that only reads: `SELECT …`".to_owned(),
        c if *c == SqlState::UNDEFINED_TABLE => "is it in another schema? write `SCHEMA.TABLE`".to_owned(),
        c if *c == SqlState::LOCK_NOT_AVAILABLE => "somebody holds the table: run the command again".to_owned(),
        _ => said.hint().map_or_else(|| "try the query with `psql`".to_owned(), str::to_owned),
    };
    Error::new(format!("PostgreSQL refused the query: {}", said.message())).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_the_server_escapes_them() {
        let text = |field: &str| unescaped(field.as_bytes());
        assert_eq!(text("\\N"), None);
        assert_eq!(text(""), Some(String::new()));
        assert_eq!(text("a\\tb\\nc\\\\N\\rd"), Some("a\tb\nc\\N\rd".to_owned()));
        assert_eq!(text("café \\"), Some("café \\".to_owned()));
    }

    #[test]
    fn types_are_read_as_what_they_are() {
        for (of, text, read_as) in [
            (Type::BOOL, "t", ForeignCell::Bare("true")),
            (Type::NUMERIC, "12.50", ForeignCell::Bare("12.50")),
            (Type::TEXT, "1", ForeignCell::Quoted("1")),
            (Type::UUID, "1-2", ForeignCell::Quoted("1-2")),
            (Type::FLOAT4_ARRAY, "{1,2.5}", ForeignCell::Bare("[1,2.5]")),
            (Type::INT4_ARRAY, "{{1},{2}}", ForeignCell::Bare("{{1},{2}}")),
            (Type::TEXT_ARRAY, "{a}", ForeignCell::Quoted("{a}")),
        ] {
            let form = form(&of);
            let text = read(form, text.to_owned());
            assert_eq!(cell(form, Some(&text)), read_as, "{of}");
        }
        assert_eq!(cell(Form::Bare, None), ForeignCell::Absent);
    }
}
