//! Simulated tests at which somebody looks again and again, until they are decided or as large as was planned: what docs/ab.md says of them.

use super::analyse::{Decision, Seen, Values, analyse};
use super::tests::setup;
use super::{Aim, Setup, size};
use crate::stats::describe::Moments;
use crate::stats::rng::Rng;

/// Simulated tests.
const TESTS: u64 = 200;
/// Units that come to each variant between two looks.
const BETWEEN: u64 = 20;

/// How tests ended.
#[derive(Debug, Default)]
struct Ends {
    promoted: u32,
    kept: u32,
    /// Units of both variants.
    units: u64,
}

fn rate(hits: u64, n: u64) -> Moments {
    let mean = hits as f64 / n as f64;
    Moments { n, mean, sd: (mean * (1.0 - mean) * n as f64 / (n as f64 - 1.0)).sqrt() }
}

/// Tests of two rates, of at most so many units a variant.
fn run(setup: &Setup, rates: [f64; 2], most: u64) -> Ends {
    let mut ends = Ends::default();
    for seed in 0..TESTS {
        let (mut rng, mut hits, mut n) = (Rng::new(seed), [0_u64; 2], 0);
        while n < most {
            n += BETWEEN;
            for (hits, rate) in hits.iter_mut().zip(rates) {
                *hits += (0..BETWEEN).filter(|_| rng.unit() < rate).count() as u64;
            }
            let values = Values { control: rate(hits[0], n), treatment: rate(hits[1], n), binary: true, ..Values::default() };
            let seen = Seen { control: n, treatment: n, counted: false, values: vec![values] };
            match analyse(setup, &seen).decision {
                Decision::Promote => ends.promoted += 1,
                Decision::Keep => ends.kept += 1,
                _ => continue,
            }
            break;
        }
        ends.units += 2 * n;
    }
    ends
}

const AIM: Aim = Aim { effect: 0.08, base: 0.2, power: 0.8 };

/// The setup of a planned test, and its units a variant.
fn planned() -> (Setup, u64) {
    let setup = Setup { aim: Some(AIM), ..setup("converted", &[]) };
    let units = size::needed(&setup.metric, setup.design, setup.split, AIM).and_then(|s| s.looking).expect("a number");
    (setup, units / 2)
}

/// A treatment that is as much better as was planned is promoted about as often as was planned, and hardly ever given up.
#[test]
fn a_better_treatment_is_promoted_as_planned_and_hardly_ever_given_up() {
    let (setup, units) = planned();
    let ends = run(&setup, [0.2, 0.28], units);
    assert!(ends.promoted >= 150 && ends.kept <= 2, "{ends:?} of {units}");
    // Most tests are shorter than planned.
    assert!(ends.units < TESTS * 2 * units * 8 / 10, "{ends:?} of {units}");
}

/// A treatment that is the same is promoted in at most one test of twenty; without a plan it is called worse as rarely.
#[test]
fn a_treatment_that_is_no_better_is_hardly_ever_promoted_nor_called_worse() {
    let (setup, units) = planned();
    let ends = run(&setup, [0.2, 0.2], units);
    assert!(ends.promoted <= 10, "{ends:?}");
    let ends = run(&Setup { aim: None, ..setup }, [0.2, 0.2], 600);
    assert!(ends.promoted + ends.kept <= 20, "{ends:?}");
    assert!(ends.kept <= 10, "{ends:?}");
}
