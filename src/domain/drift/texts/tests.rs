//! Columns of texts from cells to what is said of them, with a small embedder.

use super::*;
use crate::base::digest::Digest;
use crate::data::{Cells, Column, Each, Kind};
use crate::domain::drift::cloud::{NUMBERS_MOST, ROWS_MOST};
use crate::domain::drift::figures::Kind as Compares;
use crate::domain::drift::policy::{Policy, Status};
use crate::domain::drift::text::tests::texts as made;
use crate::domain::drift::verdict::judge;
use crate::stats::rng::Rng;
use std::cell::Cell;

/// A table of one column of texts.
struct One(Column, Vec<Option<String>>);

impl One {
    fn of(cells: Vec<Option<String>>) -> Self {
        let column = Column { name: "q".into(), kind: Kind::Text, own: Kind::Text, bad: 0, example: None, unread: None };
        Self(column, cells)
    }

    fn all(cells: &[String]) -> Self {
        Self::of(cells.iter().cloned().map(Some).collect())
    }
}

impl Table for One {
    fn columns(&self) -> &[Column] {
        std::slice::from_ref(&self.0)
    }

    fn rows(&self) -> u64 {
        self.1.len() as u64
    }

    fn read(&self, _: usize, each: Each<'_>) -> Result<()> {
        let cells: Vec<Option<&str>> = self.1.iter().map(Option::as_deref).collect();
        cells.chunks(700).try_for_each(|run| each(Cells::Texts(run)))
    }
}

/// The words of a text, each counted at one of `width` places.
fn vector(text: &str, width: usize) -> Vec<f32> {
    let mut vector = vec![0.0; width];
    text.split(' ').for_each(|word| vector[crate::domain::drift::text::hash(word) as usize % width] += 1.0);
    vector
}

/// Runs `work` with an embedder of that name whose vectors are `width` long.
fn with<T>(name: &str, width: usize, work: impl FnOnce(&Embedding<'_>) -> T) -> T {
    let made_by = MadeBy { name: name.to_owned(), digest: Digest::of(name.as_bytes()), dimensions: width };
    work(&Embedding { made_by, embed: &|texts| Ok(texts.iter().map(|text| vector(text, width)).collect()) })
}

fn learnt(table: &One, digests: bool) -> Texts {
    let mut texts = Texts::of(table, 0, digests).expect("read");
    with("a", 24, |embedding| texts.learn(table, 0, embedding)).expect("embedded");
    texts
}

fn meant(texts: &Texts, table: &One, digests: bool) -> Figures {
    match with("a", 24, |embedding| texts.meant((table, 0), embedding, digests, Rule::Calibrated)).expect("embedded") {
        Compared::Values(figures) => *figures,
        other => panic!("{other:?}"),
    }
}

/// A third of the new texts are about parcels and customs.
fn before_and_now() -> (One, One) {
    let mut rng = Rng::new(11);
    (One::all(&made(&mut rng, 1200, 0)), One::all(&made(&mut rng, 900, 300)))
}

const TOPIC: [&str; 6] = ["refund", "shipping", "parcel", "customs", "delayed", "courier"];

#[test]
fn the_texts_that_came_are_those_of_the_new_topic() {
    let (before, now) = before_and_now();
    let figures = meant(&learnt(&before, false), &now, false);
    assert_eq!((figures.kind, figures.rows), (Some(Compares::Embedding), Sides::new(1200, 900)));
    let came: Vec<&Moved> = figures.texts.iter().filter(|moved| moved.way == Way::Came).collect();
    assert!(came.len() >= 3, "{:?}", figures.texts);
    for moved in came {
        let text = now.1[moved.row as usize - 1].as_deref().expect("a text");
        assert_eq!(moved.text.as_deref(), Some(text), "the row is that of the text");
        assert!(TOPIC.iter().any(|word| text.contains(word)), "{moved:?}");
    }
    for moved in figures.texts.iter().filter(|moved| moved.way == Way::Went) {
        assert_eq!(moved.text, before.1[moved.row as usize - 1], "the row is that of the reference");
    }
}

#[test]
fn without_drift_no_text_leaves_the_data() {
    let mut rng = Rng::new(12);
    let (before, now) = (One::all(&made(&mut rng, 1200, 0)), One::all(&made(&mut rng, 900, 0)));
    let texts = learnt(&before, false);
    assert_eq!(meant(&texts, &now, false).texts, []);
    let reads = texts.beside(("q", Role::Feature), (&now, 0), false).expect("read");
    let names: Vec<&str> = reads.iter().map(|column| column.name.as_str()).collect();
    let want = ["q, wording", "q, language", "q, length", "q, words", "q, non-letters", "q, unknown-words"];
    // Unknown words are told where there are more of them, which comes by chance every other time.
    assert!(names == want || names == want[..5], "{names:?}");
    let told = reads.iter().any(|column| matches!(&column.compared, Compared::Values(f) if !f.texts.is_empty()));
    assert!(!told, "{reads:?}");
}

/// Also where every text has a word of its own, half of which the baseline has learnt.
#[test]
fn data_are_like_themselves() {
    let made = made(&mut Rng::new(13), 1200, 0).into_iter().enumerate();
    let table = One::all(&made.map(|(i, text)| format!("{text} {i}")).collect::<Vec<String>>());
    let texts = learnt(&table, false);
    let compared = Compared::Values(Box::new(meant(&texts, &table, false)));
    let column = ColumnComparison { name: "q".to_owned(), role: Role::Feature, compared };
    let reads = texts.beside(("q", Role::Feature), (&table, 0), false).expect("read");
    let judged = judge(std::iter::once(column).chain(reads).collect(), &Policy::default());
    assert_eq!(judged.status, Status::Ok, "{}", judged.reason);
}

/// Neither what is kept nor what is found has a text in it, and a digest leads to the text.
#[test]
fn digests_take_the_place_of_texts() {
    let (before, now) = before_and_now();
    let shows = |json: &str| json.contains("password") || json.contains("parcel") || json.contains("courier");
    let (kept, hidden) = (learnt(&before, false), learnt(&before, true));
    let json = |texts: &Texts| serde_json::to_string(texts).expect("JSON");
    assert!(shows(&json(&kept)) && !shows(&json(&hidden)));
    let found = meant(&hidden, &now, true);
    let first = found.texts.first().expect("texts moved");
    let text = now.1[first.row as usize - 1].as_deref().expect("a text");
    assert_eq!(first.text, Some(format!("sha256:{}", Digest::of(text.as_bytes()).short())));
    let reads = hidden.beside(("q", Role::Feature), (&now, 0), true).expect("read");
    assert!(reads.iter().all(|column| column.name != "q, wording") && !shows(&format!("{reads:?}")));
    // What an older baseline keeps is not told either once texts are not to be.
    let found = format!("{:?}", meant(&kept, &now, true));
    assert!(found.contains("Went") && !shows(&found), "{found}");
    assert!(kept.beside(("q", Role::Feature), (&now, 0), true).expect("read").iter().all(|column| column.name != "q, wording"));
}

#[test]
fn another_embedder_is_told_by_name_and_odd_vectors_are_refused() {
    let (before, now) = before_and_now();
    let mut texts = learnt(&before, false);
    let other = with("b", 24, |embedding| texts.meant((&now, 0), embedding, false, Rule::Calibrated)).expect("told");
    assert!(matches!(&other, Compared::Error(why) if why.contains("another embedder, a (") && why.contains("names b (")));
    let short = |_: &[&str]| Ok(vec![vec![1.0]]);
    let made_by = MadeBy { name: "c".into(), digest: Digest::of(b"c"), dimensions: 1 };
    let e = texts.learn(&now, 0, &Embedding { made_by, embed: &short }).expect_err("one vector for many texts");
    assert!(e.to_string().contains("c gave other vectors than one of 1 numbers"), "{e}");
}

/// However many and however long the texts are.
#[test]
fn what_is_embedded_at_once_and_in_all_is_bounded() {
    const WIDTH: usize = 1_000;
    let cells: Vec<Option<String>> =
        (0..40_000).map(|i| Some(format!("text {i}"))).chain([Some("long ".repeat(50_000))]).collect();
    let (table, most, longest) = (One::of(cells), Cell::new(0), Cell::new(0));
    let embed = |texts: &[&str]| {
        most.set(most.get().max(texts.len()));
        longest.set(texts.iter().map(|text| text.len()).fold(longest.get(), usize::max));
        Ok(vec![vec![1.0; WIDTH]; texts.len()])
    };
    let made_by = MadeBy { name: "w".into(), digest: Digest::of(b"w"), dimensions: WIDTH };
    let sample = super::sample::Sample::of((&table, 0), &Embedding { made_by, embed: &embed }, false).expect("embedded");
    // 8,388 on average, with a standard deviation of 81.
    let (numbers, rows) = (sample.vectors.len() as u64, sample.places.len() as u64);
    assert!(rows <= ROWS_MOST && numbers < NUMBERS_MOST + NUMBERS_MOST / 20 && numbers > NUMBERS_MOST / 2, "{numbers}");
    assert!(most.get() <= 256 && longest.get() <= 8_000, "{} {}", most.get(), longest.get());
    assert_eq!(sample.rows.all, 40_001);
}

/// Too few texts, none, spaces: a status and never a NaN.
#[test]
fn little_or_nothing_to_read_is_said() {
    let of = |n: usize, cell: Option<&str>| One::of((0..n).map(|_| cell.map(str::to_owned)).collect());
    let some = One::all(&made(&mut Rng::new(3), 400, 0));
    let sides = [of(5, Some("a few words")), of(60, None), of(60, Some("  ")), of(60, Some("always this one")), some];
    for before in &sides {
        let texts = learnt(before, false);
        let stored: Texts = serde_json::from_str(&serde_json::to_string(&texts).expect("JSON")).expect("read back");
        assert_eq!(stored, texts);
        for now in &sides {
            let told = format!("{:?} {:?}", meant(&texts, now, false), texts.beside(("q", Role::Feature), (now, 0), false));
            assert!(!told.contains("NaN") && !told.contains("inf"), "{told}");
        }
    }
    let spaces = meant(&learnt(&sides[4], false), &sides[2], false);
    assert_eq!((spaces.n_cur, spaces.bad, spaces.p), (0, Sides::new(0, 60), None));
}

#[test]
fn language_is_told_from_names_and_codes() {
    let is = |cell: &dyn Fn(usize) -> String| {
        let cells: Vec<String> = (0..50).map(cell).collect();
        are_language(&One::all(&cells), 0, false).expect("read")
    };
    assert!(is(&|i| format!("Where is parcel {i}?")));
    let han = |i: usize| char::from_u32(0x4e00 + i as u32).expect("a character");
    assert!(is(&|i| format!("荷物{}はどこですか", han(i))));
    assert!(is(&|i| format!("Order {i} is late, please help")));
    assert!(!is(&|i| format!("red-box-large-{}", (b'a' + i as u8 % 26) as char)));
    assert!(!is(&|i| format!("Ann{i} Smith")));
    assert!(!is(&|i| format!("7f3a{i:04x}-11ee-8c99-0242ac120002")));
    assert!(!is(&|i| format!("https://example.com/orders/{i}")));
    assert!(!is(&|i| format!("the same few words {}", i % 5)));
    assert!(!is(&|_| "  ".to_owned()));
}

/// People ask the same again: texts that repeat are texts as long as they are many.
#[test]
fn texts_that_repeat_are_language_unless_they_are_few() {
    let is = |different: usize, repeated: bool| {
        let cells: Vec<String> = (0..1000).map(|i| format!("where is my parcel {}", i % different)).collect();
        are_language(&One::all(&cells), 0, repeated).expect("read")
    };
    assert!(is(300, false) && is(101, false));
    assert!(!is(100, false) && !is(5, false));
    assert!(is(5, true), "where no text may be kept, none is a level");
}
