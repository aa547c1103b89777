use super::*;
use crate::base::digest::Digest;
use proptest::prelude::*;
use std::io::Write as _;

/// A file with these bytes.
pub(in crate::data) fn input(name: &str, bytes: &[u8]) -> Input {
    Input::spooled(name, &mut &*bytes).unwrap()
}

fn opened(bytes: impl AsRef<[u8]>) -> Box<dyn Table> {
    open(&[input("data", bytes.as_ref())], &BTreeMap::new()).unwrap()
}

fn refused(bytes: impl AsRef<[u8]>) -> String {
    let e = open(&[input("data", bytes.as_ref())], &BTreeMap::new()).map(|_| ()).unwrap_err();
    assert!(!e.hints().is_empty(), "{e}");
    e.to_string()
}

/// The cells of a column between blanks; an absent one is `-`.
fn cells(table: &dyn Table, column: usize) -> String {
    let mut all = Vec::new();
    let mut add = |cell: Option<String>| all.push(cell.unwrap_or_else(|| "-".to_owned()));
    let each = &mut |cells: Cells<'_>| {
        match cells {
            Cells::Numbers(run) => run.iter().for_each(|c| add(c.map(|c| c.to_string()))),
            Cells::Texts(run) => run.iter().for_each(|c| add(c.map(ToOwned::to_owned))),
            Cells::Vectors { width, values, present } => {
                let there = values.chunks(width).zip(present);
                there.for_each(|(v, there)| add(there.then(|| format!("{v:?}").replace(' ', ""))));
            }
        }
        Ok(())
    };
    table.read(column, each).unwrap();
    assert_eq!(all.len() as u64, table.rows());
    all.join(" ")
}

/// Every column as `name: kind, bad, cells`.
pub(in crate::data) fn shown(table: &dyn Table) -> Vec<String> {
    let column = |(at, c): (usize, &Column)| {
        let bad = if c.bad > 0 { format!(" bad {}", c.bad) } else { String::new() };
        format!("{}: {:?}{bad}: {}", c.name, c.kind, cells(table, at))
    };
    table.columns().iter().enumerate().map(column).collect()
}

pub(in crate::data) fn remarked(table: &dyn Table) -> Vec<(Trouble, u64, u64)> {
    table.remarks().iter().map(|r| (r.what, r.count, r.example.0)).collect()
}

fn check(bytes: impl AsRef<[u8]>, columns: &[&str]) {
    assert_eq!(shown(&*opened(bytes)), columns);
}

#[test]
fn columns_are_what_all_their_cells_are() {
    check(
        "n,x,w,b,t,v\n1,1.5,red,True,2026-11-21,\"[1, 2]\"\n2,,blue,false,2026-11-21 00:00:01,\"[3, 4.5]\"\n",
        &[
            "n: Integer: 1 2",
            "x: Number: 1.5 -",
            "w: Text: red blue",
            "b: Boolean: true false",
            "t: Time: 1795219200 1795219201",
            "v: Vector { width: 2 }: [1.0,2.0] [3.0,4.5]",
        ],
    );
    check("a,b\n1,x\n2,3\n", &["a: Integer: 1 2", "b: Text: x 3"]);
}

#[test]
fn numbers_are_read_as_tools_write_them() {
    check("x\nnan\n1\ninf\n-Infinity\n NA\n1e-3\nNULL\n", &["x: Number: NaN 1 inf -inf - 0.001 -"]);
    check("x;y\n1,5;a\n1.000,25;b\n-2;c\n", &["x: Number: 1.5 1000.25 -2", "y: Text: a b c"]);
    check("id\n007\n008\n", &["id: Integer: 7 8"]);
    check("x\nNaN\nnan\n", &["x: Number: NaN NaN"]);
}

#[test]
fn words_for_nothing_are_absent_in_every_column() {
    check("a,b\nNA,1\nnan,null\nx,None\n", &["a: Text: - - x", "b: Integer: 1 - -"]);
    check("a,b\n,\n,\n", &["a: Text: - -", "b: Text: - -"]);
}

#[test]
fn separators_are_found() {
    for between in [",", ";", "\t", "|"] {
        let text = format!("a{between}b\n1{between}x y\n\"2\"{between}\"p{between}q\nr\"\n");
        check(text, &["a: Integer: 1 2", &format!("b: Text: x y p{between}q\nr")]);
    }
    check("sep=|\na|b\n1|2,5\n", &["a: Integer: 1", "b: Text: 2,5"]);
    check("text\nhello, world; and | more\nfoo\n", &["text: Text: hello, world; and | more foo"]);
    check("a,b\r\n1,2\r\n\r\n3,4", &["a: Integer: 1 3", "b: Integer: 2 4"]);
}

#[test]
fn encodings_are_found() {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    check("\u{feff}a,b\n1,é\n", &["a: Integer: 1", "b: Text: é"]);
    check(utf16("\u{feff}a,b\n1,é\n"), &["a: Integer: 1", "b: Text: é"]);
    check(b"name,n\nK\xf6nigsallee 12,1\nM\xfchlenweg,2\n", &["name: Text: Königsallee 12 Mühlenweg", "n: Integer: 1 2"]);
    let broken = [b"w,n\n".as_slice(), "äöüäöüäöüäöü,1\n".as_bytes(), b"a\xff,2\nb,3\n"].concat();
    let table = opened(broken);
    assert_eq!(cells(&*table, 0), "äöüäöüäöüäöü a\u{fffd} b");
    assert_eq!(remarked(&*table), [(Trouble::Undecodable, 1, 2)]);
}

#[test]
fn ragged_rows_are_left_out_and_told() {
    let table = opened("a,b,c\n1,2,3\n4,5\n6,7,8,9\n10,11,12,\n  \n13,14,15\n");
    assert_eq!(shown(&*table), ["a: Integer: 1 10 13", "b: Integer: 2 11 14", "c: Integer: 3 12 15"]);
    assert_eq!(remarked(&*table), [(Trouble::RaggedRow, 2, 2)]);
    assert_eq!(table.remarks()[0].example.1, "2 cells instead of 3: 4 | 5");
    assert!(refused("a,b\n1,2,3\n4,5,6\n7,8\n").contains("2 of its 3 rows do not have the 2 columns of its header"));
}

#[test]
fn a_quote_that_is_never_closed_is_told() {
    let open = |text: &str| remarked(&*opened(text));
    assert_eq!(open("a,b\n1,x\n2,\"y\n3,z\n4,w\n"), [(Trouble::OpenQuote, 1, 2)]);
    assert_eq!(open("a,b\n1,x\n2,y\n3,\"z\n4,w"), [(Trouble::OpenQuote, 1, 3)]);
    assert_eq!(open("a,b\n1,x\n2,\"y\n3\"\n"), []);
    assert_eq!(open("a,b\n1,5\" pipe\n2,y\n"), []);
}

#[test]
fn a_format_is_not_taken_from_the_name_of_a_column() {
    check("PAR1,PAR2\n1,2\n", &["PAR1: Integer: 1", "PAR2: Integer: 2"]);
    check("[id],[name]\n1,x\n", &["[id]: Integer: 1", "[name]: Text: x"]);
    check("ORC,ARROW1\n1,x\n", &["ORC: Integer: 1", "ARROW1: Text: x"]);
}

#[test]
fn names_are_made_unique_and_told() {
    let table = opened("a,,a, b ,a.1,\nx,1,2,3,4,5\n");
    let names: Vec<&str> = table.columns().iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["a", "column 2", "a.2", "b", "a.1", "column 6"]);
    assert_eq!(remarked(&*table), [(Trouble::Renamed, 3, 0)]);
    assert_eq!(table.remarks()[0].example.1, "a column without a name is read as `column 2`");
}

#[test]
fn a_file_without_a_header_is_read_and_told() {
    let table = opened("1,2.5\n3,4\n");
    assert_eq!(shown(&*table), ["column 1: Integer: 1 3", "column 2: Number: 2.5 4"]);
    assert_eq!(remarked(&*table), [(Trouble::NoHeader, 1, 0)]);
}

#[test]
fn what_is_no_table_is_refused_with_a_reason() {
    assert!(refused("").contains("it is empty"));
    assert!(refused("\u{feff}\n\n").contains("it is empty"));
    assert!(refused(b"\x1f\x8b\x08").contains("cannot read data"));
    assert!(refused(b"[{\"a\": 1}, 2, 3]").contains("2 of its 3 elements are no objects"));
    let nothing = open(&[], &BTreeMap::new()).map(|_| ()).unwrap_err();
    assert_eq!(nothing.kind(), crate::base::error::Kind::Usage);
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path(), &dir.path().join("nothing")] {
        let e = open(&[Input::file(path)], &BTreeMap::new()).map(|_| ()).unwrap_err().to_string();
        assert!(e.contains(&path.display().to_string()), "{e}");
    }
}

#[test]
fn a_header_alone_is_a_table_without_rows() {
    let table = opened("a,b\n");
    assert_eq!((table.rows(), shown(&*table)), (0, vec!["a: Text: ".to_owned(), "b: Text: ".to_owned()]));
}

#[test]
fn a_quote_that_is_never_closed_does_not_fill_the_memory() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"a,b\n1,\"x\n").unwrap();
    file.as_file().set_len(csv::ROW_MAX + (2 << 20)).unwrap();
    let e = open(&[Input::file(file.path())], &BTreeMap::new()).map(|_| ()).unwrap_err().to_string();
    assert!(e.contains("perhaps a quote is never closed"), "{e}");
}

#[test]
fn a_few_bad_cells_are_counted_and_many_change_the_kind() {
    let column = |bad: usize, expected: Option<Kind>| {
        let rows: String = (0..200).map(|i| if i < bad { format!("bad {i}\n") } else { format!("{i}\n") }).collect();
        let expected = expected.map(|kind| ("x".to_owned(), kind)).into_iter().collect();
        let table = open(&[input("data", format!("x\n{rows}").as_bytes())], &expected).unwrap();
        let column = table.columns()[0].clone();
        (column.kind, column.own, column.bad, column.example)
    };
    let first = |bad| (bad > 0).then(|| (1, "bad 0".to_owned()));
    assert_eq!(column(2, None), (Kind::Integer, Kind::Integer, 2, first(2)));
    assert_eq!(column(3, None), (Kind::Text, Kind::Text, 0, None));
    assert_eq!(column(100, Some(Kind::Number)), (Kind::Number, Kind::Text, 100, first(100)));
    assert_eq!(column(101, Some(Kind::Number)), (Kind::Text, Kind::Text, 0, None));
    assert_eq!(column(0, Some(Kind::Text)), (Kind::Text, Kind::Integer, 0, None));
    assert_eq!(column(0, Some(Kind::Time)), (Kind::Integer, Kind::Integer, 0, None));
}

#[test]
fn what_was_expected_is_kept_where_nothing_is() {
    let expected = BTreeMap::from([("a".to_owned(), Kind::Number), ("b".to_owned(), Kind::Vector { width: 3 })]);
    let table = open(&[input("data", b"a,b,c\n,,\n")], &expected).unwrap();
    assert_eq!(shown(&*table), ["a: Number: -", "b: Vector { width: 3 }: -", "c: Text: -"]);
}

#[test]
fn an_integer_column_with_a_fraction_is_a_number() {
    let expected = BTreeMap::from([("a".to_owned(), Kind::Integer), ("b".to_owned(), Kind::Number)]);
    let table = open(&[input("data", b"a,b\n1,1\n1.5,2\n")], &expected).unwrap();
    assert_eq!(shown(&*table), ["a: Number: 1 1.5", "b: Number: 1 2"]);
}

#[test]
fn vectors_have_the_width_that_most_have() {
    let table = opened("v\n\"[1,2]\"\n\"[1,2,3]\"\n[4 5]\n\n".to_owned() + &"\"[6,7]\"\n".repeat(98));
    let column = &table.columns()[0];
    assert_eq!((column.kind, column.bad, &column.example), (Kind::Vector { width: 2 }, 1, &Some((2, "[1,2,3]".to_owned()))));
}

#[test]
fn files_are_one_table_by_the_names_of_their_columns() {
    let inputs = [input("one", b"a,b\n1,x\n"), input("two", b"c;b;a\n9;y;2,5\n"), input("three", b"a\nz\n")];
    let table = open(&inputs, &BTreeMap::new()).unwrap();
    assert_eq!(shown(&*table), ["a: Text: 1 2,5 z", "b: Text: x y -", "c: Integer: - 9 -"]);
    let remarks: Vec<_> = table.remarks().iter().map(|r| (r.source.as_str(), r.what, r.count, r.example.1.as_str())).collect();
    let missing = Trouble::MissingColumn;
    assert_eq!(remarks, [("one", missing, 1, "`c` is not there"), ("three", missing, 2, "`b` is not there")]);
    assert_eq!(table.sources()[1].rows, 1);
    assert_eq!(table.sources()[1].format, "CSV, UTF-8, separated by ;");
    let expected = BTreeMap::from([("a".to_owned(), Kind::Number)]);
    let table = open(&inputs, &expected).unwrap();
    assert_eq!((cells(&*table, 0).as_str(), table.columns()[0].example.clone()), ("1 2.5 -", Some((3, "z".to_owned()))));
}

#[test]
fn a_source_is_known_by_all_its_bytes() {
    let bytes = "\u{feff}sep=;\na;b\n1;2\n".as_bytes();
    let table = opened(bytes);
    let source = &table.sources()[0];
    assert_eq!((source.digest, source.bytes, source.name.as_str()), (Digest::of(bytes), bytes.len() as u64, "data"));
}

/// The cells of a column of numbers.
pub(in crate::data) fn numbers(table: &dyn Table, column: usize) -> Vec<Option<f64>> {
    let mut all = Vec::new();
    let each = &mut |cells: Cells<'_>| {
        let Cells::Numbers(run) = cells else { panic!("a column of numbers") };
        all.extend_from_slice(run);
        Ok(())
    };
    table.read(column, each).unwrap();
    all
}

/// The cells of a column of texts; an absent one is empty.
pub(in crate::data) fn texts(table: &dyn Table, column: usize) -> Vec<String> {
    let mut all = Vec::new();
    let each = &mut |cells: Cells<'_>| {
        let Cells::Texts(run) = cells else { panic!("a column of texts") };
        all.extend(run.iter().map(|cell| cell.unwrap_or_default().to_owned()));
        Ok(())
    };
    table.read(column, each).unwrap();
    all
}

fn written(cell: &Option<f64>) -> String {
    cell.map_or_else(String::new, |cell| cell.to_string())
}

proptest! {
    #[test]
    fn what_a_writer_wrote_is_read_back(
        rows in prop::collection::vec((prop::option::of(any::<f64>()), "[a-zé,;\"\n| ]{0,12}"), 1..40),
        between in prop::sample::select(vec![b',', b';', b'\t', b'|']),
    ) {
        let mut writer = ::csv::WriterBuilder::new().delimiter(between).from_writer(Vec::new());
        writer.write_record(["number", "text"]).unwrap();
        for (number, text) in &rows {
            writer.write_record([written(number), format!("t{text}")]).unwrap();
        }
        let table = opened(writer.into_inner().unwrap());
        if rows.iter().any(|(number, _)| number.is_some()) {
            let numbers: Vec<Option<u64>> = numbers(&*table, 0).iter().map(|n| n.map(f64::to_bits)).collect();
            let bits = |n: f64| if n.is_nan() { f64::NAN.to_bits() } else { n.to_bits() };
            prop_assert_eq!(numbers, rows.iter().map(|(n, _)| n.map(bits)).collect::<Vec<_>>());
        }
        prop_assert_eq!(texts(&*table, 1), rows.iter().map(|(_, t)| format!("t{t}")).collect::<Vec<_>>());
        prop_assert!(table.remarks().is_empty());
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(table) = open(&[input("data", &bytes)], &BTreeMap::new()) {
            shown(&*table);
        }
    }

    #[test]
    fn no_text_panics(text in "([-a-c0-9nN,;:\n\r\"\\[\\]{}. é]|null|true|NaN|2026-11-21){0,40}") {
        if let Ok(table) = open(&[input("data", text.as_bytes())], &BTreeMap::new()) {
            shown(&*table);
        }
    }
}
