//! `[golden]`: the golden dataset that evaluations use when none is named, and how it is read.

use crate::config::check::{CheckOne, Checker};
use crate::config::path::Dataset;
use crate::config::shape::{At, Free, shown, table};
use std::collections::BTreeMap;
use std::num::NonZeroU32;

table! {
    /// As written.
    RawGolden {
        /// A file of the repository, or a model of type `dataset` such as `faq@1.2.0`.
        dataset: Option<At<String>> = "dataset";
        /// Which field of kf each column of the dataset is: `column = "field"`.
        map: Free<String> = "map";
        /// How much of a ranking counts, for metrics of rankings such as recall-at-k.
        k: At<NonZeroU32> = "k", or Golden::K;
    }
}

/// The golden dataset that evaluations use when none is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Golden {
    /// Where it is.
    pub dataset: Option<Dataset>,
    /// Column of the dataset → field of kf.
    pub map: BTreeMap<String, String>,
    /// How much of a ranking counts.
    pub k: NonZeroU32,
}

impl Golden {
    /// How much of a ranking counts when nothing else is said.
    pub const K: NonZeroU32 = NonZeroU32::new(5).expect("5 is not 0");
}

impl CheckOne for RawGolden {
    type Plain = Golden;
    fn check(&self, cx: &mut Checker<'_>) -> Option<Golden> {
        for (column, field) in &self.map.0 {
            if column.is_empty() || field.value.is_empty() {
                let title = format!("`golden.map.{}` has no name on one side", shown(column));
                cx.refuse(&field.key, title, "write `column = \"field\"`");
            }
        }
        let map = self.map.0.iter().map(|(column, field)| (column.clone(), field.value.clone())).collect();
        let dataset = match &self.dataset {
            Some(at) => Some(cx.dataset(at)?),
            None => None,
        };
        Some(Golden { dataset, map, k: self.k.value })
    }
}
