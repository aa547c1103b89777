//! A/B tests: how long an analysis takes, how often looking again and again misleads, how often a planned test finds what is there; and the
//! bootstrap of 10,000 rows.

use crate::line::{Bar, Line};
use crate::measure::{Of, kf, median, once, output};
use crate::scratch;
use kf::base::digest::Digest;
use kf::base::error::{Context as _, Error, Result};
use kf::base::weight::Weight;
use kf::domain::ab::analyse::{Decision, Seen, Values, analyse};
use kf::domain::ab::{Aim, Arm, Design, Metric, Rule, Setup, size};
use kf::stats::bootstrap::{self, Method};
use kf::stats::describe::Moments;
use kf::stats::interval::CONFIDENCE;
use kf::stats::rng::Rng;
use kf::stats::{posterior, sequential};

/// Simulated tests.
const TESTS: u64 = 20_000;
/// Looks at each.
const LOOKS: u64 = 100;
/// Units that come to each variant between two looks.
const BETWEEN: u64 = 20;
/// Evidence of 20.
const BAR: f64 = 2.995_732_273_553_991;

pub(crate) fn run() -> Result<Vec<Line>> {
    let mut lines = vec![resampled()?, analysed()?];
    lines.extend(commands()?);
    lines.push(same(Rate(0.2), "rate of 0.2")?);
    lines.push(same(Rate(0.02), "rate of 0.02")?);
    lines.push(same(Cost, "cost with a long tail")?);
    lines.push(planned()?);
    Ok(lines)
}

fn resampled() -> Result<Line> {
    let mut rng = Rng::new(1);
    let values: Vec<f64> = (0..10_000).map(|_| rng.unit()).collect();
    let how = (Method::Bca, bootstrap::DRAWS, CONFIDENCE);
    let sample = median(Of::Own, 1, || {
        bootstrap::of_mean(&values, None, how, 1).map(drop).ok_or_else(|| Error::new("there is no interval"))
    })?;
    Ok(Line::timed("ab: bootstrap, 10,000 rows", sample, Bar::CpuMs(1000.0)).noted("2,000 draws, BCa"))
}

fn setup() -> Result<Setup> {
    let arm = |version: &str| -> Result<Arm> {
        let model = "bot".parse().context(|| "a name")?;
        Ok(Arm { model, version: version.parse().context(|| "a version")?, digest: Digest::of(version.as_bytes()) })
    };
    let metric = |text: &str| text.parse::<Metric>().map_err(Error::new);
    let guardrails = ["latency:mean:lower=20", "errors:lower=0.01", "quality:score:higher=0.02"];
    Ok(Setup {
        name: "bench".parse().context(|| "a name")?,
        control: arm("1.0.0")?,
        treatment: arm("1.1.0")?,
        metric: metric("solved")?,
        guardrails: guardrails.iter().map(|g| g.parse().map_err(Error::new)).collect::<Result<_>>()?,
        split: Weight::from_percent(50.0).ok_or_else(|| Error::new("a half"))?,
        design: Design::Split,
        rule: Rule::Both,
        aim: None,
        salt: String::new(),
    })
}

/// Ten million units of each variant, three guardrails.
fn analysed() -> Result<Line> {
    let setup = setup()?;
    let n = 10_000_000;
    let of = |mean: f64, sd: f64| Moments { n, mean, sd };
    let values = |one: Moments, two: Moments, binary: bool| Values { control: one, treatment: two, binary, ..Values::default() };
    let seen = Seen {
        control: n,
        treatment: n,
        counted: false,
        values: vec![
            values(of(0.3, 0.458), of(0.3008, 0.458), true),
            values(of(400.0, 90.0), of(401.0, 90.0), false),
            values(of(0.01, 0.0995), of(0.0101, 0.1), true),
            values(of(0.8, 0.2), of(0.801, 0.2), false),
        ],
    };
    let sample = median(Of::Own, 20, || match analyse(&setup, &seen).decision {
        Decision::Promote => Ok(()),
        other => Err(Error::new(format!("it is {other}"))),
    })?;
    Ok(Line::timed("ab: analysis of 2 × 10⁷ units", sample, Bar::CpuMs(10.0)).noted("three guardrails"))
}

/// The commands on a test of 2 × 10,000 users.
fn commands() -> Result<Vec<Line>> {
    let dir = scratch::on_disk()?;
    scratch::init(dir.path())?;
    let write = |name: &str, text: String| std::fs::write(dir.path().join(name), text).context(|| format!("cannot write {name}"));
    let kf = |args: &[&str]| output(kf().arg("-C").arg(dir.path()).args(args));
    for text in ["one", "two"] {
        std::fs::create_dir_all(dir.path().join("bot")).context(|| "cannot make a folder")?;
        write("bot/a.txt", text.to_owned())?;
        kf(&["register", "bot", "bot"])?;
    }
    kf(&["ab", "create", "t", "--control", "bot@1.0.0", "--treatment", "bot@1.0.1", "--metric", "solved"])?;
    let row = |i: usize| format!("u{i},{},{}\n", ["control", "treatment"][i % 2], usize::from(i % 7 < 3 + i % 2 * (i % 5) / 4));
    write("feed.csv", "unit,variant,solved\n".to_owned() + &(0..20_000).map(row).collect::<String>())?;
    let record = once(Of::Children, 1, || kf(&["ab", "record", "t", "--from", "feed.csv"]).map(drop))?;
    let assign = median(Of::Children, 20, || kf(&["ab", "assign", "t", "--key", "user-17"]).map(drop))?;
    // `analyze` may end with 4: what it says is not what is measured.
    let stop = median(Of::Children, 20, || kf(&["ab", "stop", "t", "--dry-run"]).map(drop))?;
    Ok(vec![
        Line::timed("ab: kf ab assign", assign, Bar::CpuMs(20.0)),
        Line::timed("ab: kf ab record, 20,000 units", record, Bar::CpuMs(2000.0)),
        Line::timed("ab: kf ab stop --dry-run", stop, Bar::CpuMs(200.0)).noted("reads and judges 20,000 units"),
    ])
}

/// What units bring.
trait Draw {
    fn draw(&self, rng: &mut Rng) -> f64;
    /// (chance that the second is better, ln E)
    fn judged(&self, one: &Moments, two: &Moments) -> (f64, f64);
}

struct Rate(f64);
struct Cost;

fn hits(m: &Moments) -> (u64, u64) {
    ((m.mean * m.n as f64).round() as u64, m.n)
}

impl Draw for Rate {
    fn draw(&self, rng: &mut Rng) -> f64 {
        f64::from(u8::from(rng.unit() < self.0))
    }

    fn judged(&self, one: &Moments, two: &Moments) -> (f64, f64) {
        let chance = posterior::of_rates(hits(one), hits(two)).map_or(0.5, |p| p.higher);
        // Evidence of 20 comes with a chance that is far higher.
        (chance, if chance > 0.9 { sequential::of_rates(hits(one), hits(two), 0.5) } else { 0.0 })
    }
}

impl Draw for Cost {
    fn draw(&self, rng: &mut Rng) -> f64 {
        (1.5 * rng.normal()).exp()
    }

    fn judged(&self, one: &Moments, two: &Moments) -> (f64, f64) {
        (posterior::of_means(one, two).map_or(0.5, |p| p.higher), sequential::of_means(one, two, 0.5))
    }
}

fn more(sum: &Moments, rng: &mut Rng, of: &dyn Draw) -> Moments {
    let values: Vec<f64> = (0..BETWEEN).map(|_| of.draw(rng)).collect();
    Moments::of(&values).map_or(*sum, |m| sum.and(&m))
}

/// A version against itself: how often it is ever called better than itself.
fn same(of: impl Draw, what: &str) -> Result<Line> {
    let (mut bayes, mut both) = (0_u64, 0_u64);
    let sample = once(Of::Own, 1, || {
        for seed in 0..TESTS {
            let mut rng = Rng::new(seed);
            let (mut one, mut two) = (Moments::default(), Moments::default());
            let (mut by_bayes, mut by_both) = (false, false);
            for _ in 0..LOOKS {
                (one, two) = (more(&one, &mut rng, &of), more(&two, &mut rng, &of));
                let (chance, evidence) = of.judged(&one, &two);
                by_bayes |= chance >= 0.95;
                by_both |= chance >= 0.95 && evidence >= BAR;
            }
            bayes += u64::from(by_bayes);
            both += u64::from(by_both);
        }
        Ok(())
    })?;
    let share = |n: u64| 100.0 * n as f64 / TESTS as f64;
    let note = format!("{what}, {LOOKS} looks: {:.2} % promoted with both, {:.2} % by Bayes alone", share(both), share(bayes));
    let value = if share(both) <= 5.0 { 0.0 } else { share(both) };
    Ok(Line { name: format!("ab: {TESTS} tests of the same"), sample, bar: Bar::Exact, value, note })
}

/// Tests of the planned size with the planned effect: how often they promote, keep by mistake, and after how many units.
fn planned() -> Result<Line> {
    let aim = Aim { effect: 0.05, base: 0.2, power: 0.8 };
    let setup = Setup { aim: Some(aim), guardrails: Vec::new(), ..setup()? };
    let size = size::needed(&setup.metric, Design::Split, setup.split, aim).ok_or_else(|| Error::new("no size"))?;
    let wanted = size.looking.ok_or_else(|| Error::new("no size"))?;
    let (mut promoted, mut kept, mut units) = (0_u64, 0_u64, 0_u64);
    let sample = once(Of::Own, 1, || {
        for seed in 0..TESTS / 10 {
            let mut rng = Rng::new(seed);
            let (mut one, mut two) = (Moments::default(), Moments::default());
            while one.n + two.n < wanted {
                (one, two) = (more(&one, &mut rng, &Rate(0.2)), more(&two, &mut rng, &Rate(0.25)));
                let (chance, evidence) = Rate(0.0).judged(&one, &two);
                if chance >= 0.95 && evidence >= BAR {
                    promoted += 1;
                    break;
                }
                // A low chance is not enough to keep control.
                let values = Values { control: one, treatment: two, binary: true, ..Values::default() };
                let seen = Seen { control: one.n, treatment: two.n, counted: false, values: vec![values] };
                if chance <= 0.05 && analyse(&setup, &seen).decision == Decision::Keep {
                    kept += 1;
                    break;
                }
            }
            units += one.n + two.n;
        }
        Ok(())
    })?;
    let all = TESTS / 10;
    let share = |n: u64| 100.0 * n as f64 / all as f64;
    let note = format!(
        "0.2 against 0.25, {wanted} units planned ({} looking once): {:.1} % promoted, {:.1} % kept by mistake, {} units on average",
        size.once,
        share(promoted),
        share(kept),
        units / all
    );
    Ok(Line { name: format!("ab: {all} planned tests"), sample, bar: Bar::Ratio(75.0), value: share(promoted), note })
}
