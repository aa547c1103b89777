use super::*;
use crate::data::Column;
use crate::data::cell::is_absent;
use proptest::prelude::*;

const BARE: Dialect = Dialect { decimal_comma: false, bare: true };

fn spooled(cells: &[String], room: usize) -> (Spool, Column) {
    let (mut spool, mut spill) = (Spool::new(BARE, 1_000_000), Spill::with_room(room));
    for (row, cell) in cells.iter().enumerate() {
        if !is_absent(cell) {
            spool.pad(row as u64, &mut spill).unwrap();
            spool.push(cell, false, &mut spill).unwrap();
        }
    }
    spool.finish(cells.len() as u64, &mut spill).unwrap();
    let column = spool.tally().column("c", None);
    (spool, column)
}

/// The cells as a kind, each as debug text.
fn read(spool: &Spool, kind: Kind) -> Vec<String> {
    let mut all = Vec::new();
    spool
        .read(kind, &mut |cells| {
            match cells {
                Cells::Numbers(run) => all.extend(run.iter().map(|c| format!("{c:?}"))),
                Cells::Texts(run) => all.extend(run.iter().map(|c| format!("{c:?}"))),
                Cells::Vectors { width, values, present } => {
                    all.extend(values.chunks(width).zip(present).map(|(v, there)| format!("{v:?} {there}")));
                }
            }
            Ok(())
        })
        .unwrap();
    all
}

#[test]
fn levels_beyond_counting_are_kept_as_they_are() {
    let cells: Vec<String> = (0..3 * LEVELS).map(|i| format!("level {}", i * i % (2 * LEVELS + 1))).collect();
    let (spool, column) = spooled(&cells, 1 << 20);
    assert_eq!((column.kind, column.bad), (Kind::Text, 0));
    let expected: Vec<String> = cells.iter().map(|c| format!("{:?}", Some(c))).collect();
    assert!(read(&spool, Kind::Text) == expected);
    assert!(!spool.coding && spool.blocks.iter().any(|b| b.coded) && spool.blocks.iter().any(|b| !b.coded));
}

#[test]
fn a_cell_of_any_length_comes_back() {
    let cells: Vec<String> = [1, 253, 254, 255, 256, 70_000, 300_000].iter().map(|n| "x".repeat(*n)).collect();
    let (spool, _) = spooled(&cells, 0);
    assert!(read(&spool, Kind::Text) == cells.iter().map(|c| format!("{:?}", Some(c))).collect::<Vec<_>>());
}

fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => any::<f64>().prop_map(|n| n.to_string()),
        3 => any::<i32>().prop_map(|n| n.to_string()),
        1 => Just(String::new()),
        1 => "\\PC{0,20}",
        1 => prop::collection::vec(any::<f32>(), 1..4).prop_map(|v| format!("{v:?}")),
        1 => Just("2026-11-21T08:00:00Z".to_owned()),
        1 => Just("True".to_owned()),
    ]
}

proptest! {
    /// What is in the temporary file reads as what is in memory does.
    #[test]
    fn the_file_and_the_memory_give_the_same(cells in prop::collection::vec(cell(), 1..200), times in 1_usize..60) {
        let cells: Vec<String> = (0..times).flat_map(|_| cells.clone()).collect();
        let (memory, column) = spooled(&cells, usize::MAX);
        let (file, same) = spooled(&cells, 0);
        prop_assert_eq!(&column, &same);
        let in_memory = file.blocks.iter().filter(|b| matches!(b.place, Place::Memory(_))).count();
        prop_assert_eq!(in_memory, 0);
        for kind in [Kind::Number, Kind::Time, Kind::Boolean, Kind::Text, Kind::Vector { width: 2 }] {
            let there = read(&memory, kind);
            prop_assert_eq!(there.len(), cells.len());
            prop_assert_eq!(there, read(&file, kind));
        }
    }

    /// Every cell that is there and absent when it is read was counted as bad.
    #[test]
    fn bad_cells_are_those_that_do_not_read(cells in prop::collection::vec(cell(), 1..60)) {
        let (spool, column) = spooled(&cells, usize::MAX);
        let there = cells.iter().filter(|c| !is_absent(c) && BARE.class(c) != crate::data::cell::Class::Nan).count();
        let read = read(&spool, column.kind);
        let read = read.iter().filter(|c| !matches!(c.as_str(), "None" | "Some(NaN)") && !c.ends_with(" false"));
        prop_assert_eq!(there - read.count(), usize::try_from(column.bad).unwrap());
    }
}
