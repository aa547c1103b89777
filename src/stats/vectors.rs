//! Reference values of the tests: `tests/fixtures/drift/vectors.json`, made by `make.py` beside it, and `cloud.json` by
//! `make_cloud.py`; `tests/fixtures/ab/vectors.json` by `make.py` there.

use serde_json::Value;

/// One case of a table.
pub(crate) struct Row(Value);

/// The cases of one table; a table that is missing or empty fails the test that asked for it.
pub(crate) fn rows(table: &str) -> Vec<Row> {
    of(include_str!("../../tests/fixtures/drift/vectors.json"), table)
}

/// The same of what is told of vectors and texts.
pub(crate) fn cloud_rows(table: &str) -> Vec<Row> {
    of(include_str!("../../tests/fixtures/drift/cloud.json"), table)
}

/// The same of comparisons and A/B tests.
pub(crate) fn ab_rows(table: &str) -> Vec<Row> {
    of(include_str!("../../tests/fixtures/ab/vectors.json"), table)
}

fn of(file: &str, table: &str) -> Vec<Row> {
    let all: Value = serde_json::from_str(file).expect("JSON");
    let rows: Vec<Row> = all[table].as_array().expect("a table").iter().cloned().map(Row).collect();
    assert!(!rows.is_empty(), "{table} has no cases");
    rows
}

/// Fails unless `got` is `want` to the relative error given; the smallest numbers may differ by 1e-300.
pub(crate) fn near(got: Option<f64>, want: f64, relative: f64, what: &str) {
    let close = got.is_some_and(|g| (g - want).abs() <= relative * want.abs() + 1e-300);
    assert!(close, "{what}: {got:?} is not {want}");
}

impl Row {
    pub(crate) fn f64(&self, key: &str) -> f64 {
        self.0[key].as_f64().unwrap_or_else(|| panic!("{key} is no number in {}", self.0))
    }

    pub(crate) fn f64s<const N: usize>(&self, keys: [&str; N]) -> [f64; N] {
        keys.map(|key| self.f64(key))
    }

    pub(crate) fn u64(&self, key: &str) -> u64 {
        self.0[key].as_u64().unwrap_or_else(|| panic!("{key} is no count in {}", self.0))
    }

    pub(crate) fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_else(|| panic!("{key} is no text in {}", self.0))
    }

    pub(crate) fn list(&self, key: &str) -> Vec<f64> {
        let list = self.0[key].as_array().unwrap_or_else(|| panic!("{key} is no list in {}", self.0));
        list.iter().map(|v| v.as_f64().expect("a number")).collect()
    }

    pub(crate) fn counts(&self, key: &str) -> Vec<u64> {
        self.list(key).into_iter().map(|v| v as u64).collect()
    }
}
