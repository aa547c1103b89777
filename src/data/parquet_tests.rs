use super::*;
use crate::data::table::tests::{input, numbers, remarked, shown};
use crate::data::{Table, open};
use ::parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use std::collections::BTreeMap;
use std::path::Path;

fn fixture(name: &str) -> Box<dyn Table> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data").join(name);
    open(&[Input::file(&path)], &BTreeMap::new()).unwrap()
}

/// A file of three columns in row groups of `group` rows.
fn written(rows: usize, group: usize) -> Vec<u8> {
    let schema = "message m { optional double x; required int64 n; optional byte_array w (STRING); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(WriterProperties::default())).unwrap();
    let rows: Vec<usize> = (0..rows).collect();
    for part in rows.chunks(group) {
        let mut to = writer.next_row_group().unwrap();
        let there: Vec<i16> = part.iter().map(|row| i16::from(row % 3 > 0)).collect();
        let present = || part.iter().filter(|row| **row % 3 > 0);
        let numbers: Vec<f64> = present().map(|row| *row as f64 / 2.0).collect();
        let mut column = to.next_column().unwrap().unwrap();
        column.typed::<DoubleType>().write_batch(&numbers, Some(&there), None).unwrap();
        column.close().unwrap();
        let whole: Vec<i64> = part.iter().map(|row| *row as i64).collect();
        let mut column = to.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&whole, None, None).unwrap();
        column.close().unwrap();
        let words: Vec<ByteArray> = present().map(|row| ByteArray::from(format!("{}", row % 7).as_str())).collect();
        let mut column = to.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&words, Some(&there), None).unwrap();
        column.close().unwrap();
        to.close().unwrap();
    }
    writer.into_inner().unwrap()
}

#[test]
fn every_type_of_another_program_is_read() {
    let table = fixture("pyarrow.parquet");
    assert_eq!(
        shown(&*table),
        [
            "i8: Integer: 1 - -3",
            "u64: Integer: 0 9223372036854776000 -",
            "f16: Number: 0.5 - -2",
            "f64: Number: 1.5 NaN -inf",
            "d: Number: 1.25 - -0.01",
            "small: Number: -7.5 - 7.5",
            "day: Time: 1795219200 - -86400",
            "ms: Time: 1795248000.5 - 1795248000.5",
            "ns: Time: 1795248000.5 - 1795248000.5",
            "at: Number: 90 - 0.00025",
            "b: Boolean: true - false",
            "s: Text: é - ",
            "level: Text: x y x",
            "bytes: Text: ab - c",
            "fixed: Text: 00ff - 6162",
            "v: Vector { width: 2 }: [1.0,2.0] - [3.0,4.5]",
            "v16: Vector { width: 2 }: [1.0,2.0] [0.5,0.25] -",
            "ragged: Text: - - -",
            "in.a: Integer: 1 - 2",
            "in.b.c: Text: x - -",
            "none: Text: - - -",
        ]
    );
    assert_eq!(remarked(&*table), [(Trouble::Unread, 2, 0)]);
    assert_eq!(table.remarks()[0].example.1, "`words` holds lists of what is no number");
}

#[test]
fn every_codec_and_the_old_types_are_read() {
    for codec in ["snappy", "gzip", "lz4"] {
        assert_eq!(shown(&*fixture(&format!("{codec}.parquet"))), ["i8: Integer: 1 - -3", "s: Text: é - "], "{codec}");
    }
    assert_eq!(
        shown(&*fixture("old.parquet")),
        [
            "i8: Integer: 1 - -3",
            "f64: Number: 1.5 NaN -inf",
            "ms: Time: 1795248000.5 - 1795248000.5",
            "s: Text: é - ",
            "v: Vector { width: 2 }: [1.0,2.0] - [3.0,4.5]",
        ]
    );
}

#[test]
fn row_groups_are_one_table() {
    let bytes = written(20_000, 9_000);
    let table = open(&[input("data", &bytes)], &BTreeMap::new()).unwrap();
    assert_eq!(table.rows(), 20_000);
    let expected: Vec<Option<f64>> = (0..20_000).map(|row| (row % 3 > 0).then_some(f64::from(row) / 2.0)).collect();
    assert!(numbers(&*table, 0) == expected);
    assert_eq!(table.sources()[0].digest, crate::base::digest::Digest::of(&bytes));
}

#[test]
fn columns_are_read_by_several_threads_at_once() {
    let table = open(&[input("data", &written(30_000, 3_000))], &BTreeMap::new()).unwrap();
    let alone: Vec<String> = shown(&*table);
    let (alone, table) = (&alone, &*table);
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(move || assert!(shown(table) == *alone));
        }
    });
}

#[test]
fn what_a_column_was_before_is_kept_where_it_can_be() {
    let read = |column: &str, kind: Kind| {
        let expected = BTreeMap::from([(column.to_owned(), kind)]);
        let table = open(&[input("data", &written(4, 2))], &expected).unwrap();
        let at = table.columns().iter().position(|c| c.name == column).unwrap();
        (shown(&*table)[at].clone(), table.columns()[at].own)
    };
    assert_eq!(read("w", Kind::Number), ("w: Number: - 1 2 -".into(), Kind::Text));
    assert_eq!(read("w", Kind::Boolean), ("w: Text: - 1 2 -".into(), Kind::Text));
    assert_eq!(read("n", Kind::Text), ("n: Text: 0 1 2 3".into(), Kind::Integer));
    assert_eq!(read("n", Kind::Time), ("n: Integer: 0 1 2 3".into(), Kind::Integer));
    assert_eq!(read("x", Kind::Integer), ("x: Number: - 0.5 1 -".into(), Kind::Number));
    assert_eq!(read("n", Kind::Number), ("n: Number: 0 1 2 3".into(), Kind::Integer));
}

#[test]
fn a_file_without_rows_keeps_its_kinds() {
    let table = open(&[input("data", &written(0, 1))], &BTreeMap::new()).unwrap();
    assert_eq!((table.rows(), shown(&*table)), (0, vec!["x: Number: ".into(), "n: Integer: ".into(), "w: Text: ".into()]));
}

#[test]
fn parquet_and_csv_are_one_table() {
    let inputs = [input("one", &written(2, 2)), input("two", b"n,w\n7,z\n")];
    let table = open(&inputs, &BTreeMap::new()).unwrap();
    assert_eq!(shown(&*table), ["x: Number: - 0.5 -", "n: Integer: 0 1 7", "w: Text: - 1 z"]);
}

#[test]
fn a_file_that_changes_after_it_was_hashed_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), written(4, 2)).unwrap();
    let table = open(&[Input::file(file.path())], &BTreeMap::new()).unwrap();
    std::fs::write(file.path(), written(5, 2)).unwrap();
    let e = table.read(0, &mut |_| Ok(())).unwrap_err().to_string();
    assert!(e.contains("changed while being read"), "{e}");
}

#[test]
fn a_codec_that_is_not_known_is_named() {
    let e = fixture("brotli.parquet").read(0, &mut |_| Ok(())).unwrap_err();
    assert!(e.chain().iter().any(|c| c.contains("brotli")), "{e}");
    assert!(e.chain()[0].contains("brotli.parquet"), "{e}");
}

/// Reads everything of a file, if it can be opened.
fn read_all(bytes: &[u8]) -> Result<()> {
    let table = open(&[input("cut.parquet", bytes)], &BTreeMap::new())?;
    (0..table.columns().len()).try_for_each(|column| table.read(column, &mut |_| Ok(())))
}

#[test]
fn a_file_that_is_cut_short_is_refused_by_name() {
    let whole = written(300, 100);
    for len in (4..whole.len()).step_by(17) {
        let e = read_all(&whole[..len]).unwrap_err();
        assert!(e.to_string().contains("cut.parquet: it is cut short") && !e.hints().is_empty(), "{len}: {e}");
    }
    for missing in (4..whole.len() / 2).step_by(97) {
        let hole = [&whole[..missing], &whole[missing + 1..]].concat();
        assert!(read_all(&hole).is_err_and(|e| e.to_string().contains("cut.parquet")), "{missing}");
    }
}

#[test]
fn damaged_bytes_are_an_error_or_other_values() {
    let whole = written(300, 100);
    for at in (4..whole.len() - 4).step_by(3) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        // What counts is that there is an answer.
        let _ = read_all(&bytes);
    }
}
