//! Reading commands on states with 10,000 versions: all of one model, and ten of each of 1,000 models.

use crate::line::{Bar, Line};
use crate::measure::{Of, kf, median, output};
use crate::scratch;
use kf::base::digest::Digest;
use kf::base::error::{Context as _, Result};
use kf::base::name::ModelType;
use kf::base::version::Version;
use kf::domain::registry::change::{self, NewVersion, Number};
use kf::domain::registry::manifest::{FileEntry, Manifest};
use kf::store::objects::Objects;
use std::path::Path;

/// Runs in a batch.
const RUNS: usize = 20;

/// Versions that one transaction registers.
const CHUNK: usize = 1000;

/// Versions in a state.
const VERSIONS: usize = 10_000;

const BAR: Bar = Bar::CpuMs(20.0);

pub(crate) fn run() -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for models in [1, 1000] {
        let dir = scratch::kept(&format!("versions-{VERSIONS}-of-{models}"), |dir| seed(dir, models))?;
        let newest = VERSIONS / models - 1;
        let digest = digest_in(&dir, &format!("m0@1.0.{newest}"))?;
        let commands: [&[&str]; 12] = [
            &["list"],
            &["list", "m0", "--limit", "50"],
            &["list", "--stage", "production"],
            &["show", "m0"],
            &["show", "m0@production"],
            &["show", &format!("m0@sha256:{}", &digest[..12])],
            &["log", "m0"],
            &["history", "m0"],
            &["lineage", "m0"],
            &["card", "m0"],
            &["audit", "log"],
            &["status"],
        ];
        for args in commands {
            let sample = median(Of::Children, RUNS, || output(kf().arg("-C").arg(&dir).args(args)).map(drop))?;
            let words = args.iter().map(|a| if a.contains("sha256:") { "m0@sha256:…" } else { a }).collect::<Vec<_>>().join(" ");
            lines.push(Line::timed(format!("read: kf {words}"), sample, BAR).noted(format!("10,000 versions of {models}")));
        }
    }
    Ok(lines)
}

/// The digest of a version, as hexadecimal digits.
fn digest_in(dir: &Path, reference: &str) -> Result<String> {
    let json = output(kf().arg("-C").arg(dir).args(["show", reference, "--format", "json"]))?;
    let shown: serde_json::Value = serde_json::from_slice(&json).context(|| "`kf show` wrote no JSON")?;
    Ok(shown["digest"].as_str().unwrap_or_default().trim_start_matches("sha256:").to_owned())
}

/// Fills a state with versions 1.0.0, 1.0.1 … of `models` models; each of one file, with a metric, a note and a tag. The newest of
/// each model goes to staging and its predecessor to production.
fn seed(dir: &Path, models: usize) -> Result<()> {
    let objects = Objects::files(&dir.join(".kf/objects"))?;
    let store = scratch::open(dir, "bench@example.com")?;
    let each = VERSIONS / models;
    let all: Vec<(usize, usize)> = (0..models).flat_map(|m| (0..each).map(move |v| (m, v))).collect();
    for chunk in all.chunks(CHUNK) {
        store.write(|tx| {
            for (m, v) in chunk {
                let manifest = manifest(*m, *v)?;
                // Only what is shown is opened.
                if *m == 0 && *v + 2 >= each {
                    objects.put_bytes(&manifest.to_bytes())?;
                }
                let registered = change::register(tx, &version(*m, *v, &manifest)?)?;
                let stage = match each - v {
                    1 => Some(kf::base::name::Stage::Staging),
                    2 => Some(kf::base::name::Stage::Production),
                    _ => None,
                };
                if let Some(to) = stage {
                    let way = change::Way::Promote;
                    let moved = change::Move { way, to, ticket: None, reason: None, detail: Default::default() };
                    change::move_to(tx, &registered.version, &moved)?;
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn manifest(model: usize, version: usize) -> Result<Manifest> {
    let digest = Digest::of(format!("{model} {version}").as_bytes());
    let file = FileEntry { path: "weights.bin".into(), digest, size: 4096, media: "application/octet-stream".into() };
    Manifest::new(ModelType::Other, vec![file], Vec::new())
}

fn version(model: usize, version: usize, manifest: &Manifest) -> Result<NewVersion> {
    let patch = u32::try_from(version).context(|| "too many versions")?;
    Ok(NewVersion {
        name: format!("m{model}").parse().context(|| "a model's name")?,
        kind: ModelType::Other,
        number: Number::Exactly(Version::new(1, 0, patch)),
        digest: manifest.digest(),
        files: 1,
        bytes: 4096,
        git: None,
        metrics: vec![("f1".into(), 0.8)],
        meta: vec![("author".into(), "bench".into())],
        tags: vec!["nightly".into()],
        links: Vec::new(),
        advised_from: None,
        ticket: None,
        reason: None,
    })
}
