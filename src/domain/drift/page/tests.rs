use super::*;
use crate::domain::drift::compare::tests::draws;
use crate::domain::drift::figures::{ColumnComparison, Compared, Role, Sign};
use crate::domain::drift::levels::Levels;
use crate::domain::drift::policy::Policy;
use crate::domain::drift::profile::Numeric;
use crate::domain::drift::verdict::judge;
use proptest::prelude::*;

fn numeric(reference: Vec<Option<f64>>, current: Vec<Option<f64>>) -> Compared {
    let reference = Numeric::of(reference, None).expect("own edges");
    let current = Numeric::of(current, Some(reference.histogram().edges())).expect("edges");
    Compared::Values(Box::new(Figures::of_numbers(&reference, &current).expect("the same cells")))
}

fn levels(rows: &[(&str, usize)]) -> Levels {
    Levels::of(rows.iter().flat_map(|(level, rows)| std::iter::repeat_n(Some(*level), *rows)))
}

fn column(name: &str, compared: Compared) -> ColumnComparison {
    ColumnComparison { name: name.to_owned(), role: Role::Feature, compared }
}

/// A check with something of everything: drift of numbers and levels, nulls, a column that is gone, one that cannot be decided.
pub(in crate::domain::drift) fn example() -> Judgement {
    let mut with_nulls = draws(4, 3000, 0.2);
    with_nulls[..900].fill(None);
    let countries = Compared::Values(Box::new(Figures::of_levels(
        &levels(&[("DE", 1500), ("FR", 900), ("<b>AT</b>", 600)]),
        &levels(&[("DE", 600), ("FR", 1500), ("<b>AT</b>", 500), ("IT | x", 400)]),
    )));
    let columns = vec![
        column("age_years", numeric(draws(1, 3000, 0.0), draws(2, 3000, 0.02))),
        column("amount", numeric(draws(1, 3000, 0.0), draws(3, 3000, 0.6))),
        column("income", numeric(draws(1, 3000, 0.0), with_nulls)),
        column("country", countries),
        column("clicks", numeric(draws(5, 150, 0.0), draws(6, 150, 0.1))),
        column("device", Compared::Missing),
        ColumnComparison { role: Role::Prediction, ..column("score", numeric(draws(7, 3000, 0.0), draws(8, 3000, 0.36))) },
    ];
    judge(columns, &Policy::default())
}

/// The page of a judgement, with an action and the history of one column.
fn page_of<T>(judgement: &Judgement, render: impl Fn(&Page<'_>) -> T) -> T {
    let facts = [("new data".to_owned(), "july.parquet, 3,000 rows".to_owned())];
    let history = BTreeMap::from([("amount".to_owned(), vec![0.01, 0.03, 0.12, 0.36])]);
    let due = Some(Timestamp::from_micros(1_795_420_800_000_000));
    let action = ActionView { what: "open-ticket".into(), state: "open".into(), band: "critical".into(), due };
    render(&Page {
        name: "faq",
        baseline: "faq@1.0.0",
        at: Timestamp::from_micros(1_795_248_000_000_000),
        facts: &facts,
        judgement,
        remarks: &["2 rows were too short".to_owned()],
        history: &history,
        actions: &[action],
    })
}

fn html_of(judgement: &Judgement) -> String {
    page_of(judgement, |page| html::render(page).expect("rendered"))
}

fn place(page: &str, part: &str) -> usize {
    page.find(part).unwrap_or_else(|| panic!("`{part}` is not in\n{page}"))
}

#[test]
fn everything_is_on_the_page_the_heaviest_first() {
    let page = html_of(&example());
    let parts = [
        "<title>Drift of faq against faq@1.0.0: critical</title>",
        "upstream <span class=\"critical\">critical</span> · data <span class=\"critical\">critical</span> · prediction <span class=\"monitor\">",
        "7 columns: 1 missing, ",
        "july.parquet, 3,000 rows",
        "2 rows were too short",
        "<h2>Actions</h2>",
        "open-ticket",
        "<h2>Upstream</h2>",
        "<td class=\"why\">device is missing",
        "<td class=\"why\">30.0 % of income are null instead of 0.0 %",
        "<h2>Columns</h2>",
        "PSI of the last 5 checks",
        "<h2>Column by column</h2>",
        "<details id=\"c0\" open>",
        "&lt;b&gt;AT&lt;&#x2f;b&gt;",
        "<span class=\"verdict ok\">ok</span> age_years",
    ];
    let places: Vec<usize> = parts.iter().map(|p| place(&page, p)).collect();
    assert!(places.is_sorted(), "{places:?}");
    let order: Vec<usize> =
        ["amount", "score", "clicks", "age_years"].iter().map(|n| place(&page, &format!("\">{n}</a>"))).collect();
    assert!(order.is_sorted(), "{order:?}");
    // Cells of both, and an undecided column says what would decide it.
    place(&page, "<dt>rows that could decide</dt>");
    place(&page, "<path class=\"c\" d=\"M5.2 100h4v-");
}

#[test]
fn further_effects_stand_beside_their_limits() {
    let Compared::Values(mut figures) = numeric(draws(1, 3000, 0.0), draws(2, 3000, 0.0)) else { panic!("values") };
    figures.signs = vec![Sign { name: "novelty".into(), value: 0.31, limit: 0.05, p: 1e-9, false_alarms: None, passed: true }];
    let page = html_of(&judge(vec![column("query", Compared::Values(figures))], &Policy::default()));
    let cells =
        "<td>novelty</td><td class=\"n\">0.31</td><td class=\"n\">0.05</td><td class=\"n\">1e-9</td><td class=\"n\">–</td>";
    assert!(place(&page, cells) < place(&page, "passed</span>"));
}

#[test]
fn nothing_is_loaded_from_elsewhere_and_text_is_no_markup() {
    let page = html_of(&example());
    for part in ["http:", "https:", "src=", "href=\"/", "@import", "url(", "<script", "<b>"] {
        assert!(!page.contains(part), "{part}");
    }
}

#[test]
fn nothing_at_all_is_a_page_too() {
    let page = html_of(&judge(vec![], &Policy::default()));
    place(&page, "There are no columns.");
    let failed = html_of(&judge(vec![column("x", Compared::Error("<torn>".into()))], &Policy::default()));
    place(&failed, "x could not be compared: &lt;torn&gt;");
}

#[test]
fn a_page_of_a_hundred_columns_of_many_levels_is_small() {
    let names: Vec<String> =
        (0..200).map(|i| format!("a rather long name of a level, as they happen to be, number {i:03}")).collect();
    let of = |rows: u64| {
        let mut all = Levels::default();
        names.iter().zip(1u64..).for_each(|(name, i)| all.add(Some(name), i * rows));
        all
    };
    let figures = Figures::of_levels(&of(5), &of(40));
    let columns = (0..100).map(|i| column(&format!("column {i}"), Compared::Values(Box::new(figures.clone())))).collect();
    let page = html_of(&judge(columns, &Policy::default()));
    assert!(page.len() < 2_000_000 && page.contains("more changed less."), "{}", page.len());
}

#[test]
fn markdown_says_the_same() {
    let text = page_of(&example(), markdown::render);
    let parts = [
        "## Drift of faq: critical\n\ndevice is missing; ",
        "| new data | july.parquet, 3,000 rows |",
        "- 2 rows were too short",
        "| open-ticket | open | critical | 2026-11-23T08:00:00Z |",
        "| critical | missing | device | device is missing | – |",
        "### Columns",
        "| country | critical | 1.274 | 0.011 |",
        "IT \\| x: 13.3 % instead of 0.0 % |",
        "| ▁▂▃▇▇ |",
        "| device | missing | – | – | – | – | – | 0 |",
        "| age&#95;years | ok | ",
    ];
    let places: Vec<usize> = parts.iter().map(|p| place(&text, p)).collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn a_ticket_is_no_archive() {
    let quiet = (0..90).map(|i| column(&format!("c{i:02}"), numeric(draws(1, 700, 0.0), draws(1, 700, 0.0)))).collect();
    let text = page_of(&judge(quiet, &Policy::default()), markdown::render);
    place(&text, "80 columns more, none heavier.");
}

#[test]
fn a_mark_for_each_value_on_one_scale() {
    let values = [Some(0.0), None, Some(0.1), Some(0.2), Some(0.4), Some(9.0), Some(-1.0), Some(f64::NAN)];
    assert_eq!(spark(values, INDEX), "▁·▃▅██▁·");
    assert_eq!(spark([Some(0.0), Some(1.0)], 0.0), "▁▁");
}

#[test]
fn chances_are_short_at_any_size() {
    let shown = [None, Some(0.0), Some(3.2e-40), Some(0.000_99), Some(0.0423), Some(1.0)].map(chance);
    assert_eq!(shown, ["–", "<1e-300", "3e-40", "1e-3", "0.042", "1.000"]);
}

proptest! {
    #[test]
    fn any_name_is_only_text(name in ".*") {
        let one = |name: &str| html_of(&judge(vec![column(name, Compared::Missing)], &Policy::default()));
        let tags = |page: &str| page.matches('<').count();
        prop_assert_eq!(tags(&one(&name)), tags(&one("plain")));
    }

    #[test]
    fn any_numbers_make_a_page(cells in proptest::collection::vec(proptest::option::of(any::<f64>()), 0..60), more in proptest::collection::vec(any::<f64>(), 0..40)) {
        let other = more.into_iter().map(Some).collect();
        let page = html_of(&judge(vec![column("x", numeric(cells, other))], &Policy::default()));
        prop_assert!(!page.contains("NaN") && !page.contains("inf\""));
    }
}
