//! `kf ingest check`: what the checks say of files, without taking them in.

use super::run::{extractor, rules_of};
use crate::base::error::{Context, Result};
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::table::Table;
use crate::base::verdict::Verdict;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::ingest::quality::{self, Check, Copies};
use crate::domain::ingest::reason::Refused;
use crate::release::ingest::open;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Run the checks of quality on files, without taking them in
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf ingest check docs/returns.md\n  kf ingest check docs/*.pdf --tenant acme --format json"
)]
pub(crate) struct Args {
    /// Files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The tenant whose rules apply (default: `ingest.tenant`)
    #[arg(long, value_name = "NAME")]
    tenant: Option<Name>,
}

#[derive(Serialize)]
struct CheckDoc {
    check: &'static str,
    verdict: Verdict,
    value: Option<f64>,
    limit: Option<f64>,
    reason: String,
}

#[derive(Serialize)]
struct FileDoc {
    file: String,
    format: Option<&'static str>,
    language: Option<&'static str>,
    score: Option<f64>,
    reason: Option<&'static str>,
    detail: Option<String>,
    checks: Vec<CheckDoc>,
    /// How often each kind of personal data was found.
    personal: BTreeMap<&'static str, usize>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Checked {
    verdict: Verdict,
    files: Vec<FileDoc>,
}

impl Report for Checked {
    const SCHEMA: &'static str = "kf.ingest-check/1";

    fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        for f in &self.files {
            let score = f.score.map(|s| format!(", score {s:.2}")).unwrap_or_default();
            let mut head = format!("{} ({}{score})", f.file, f.format.unwrap_or("not read"));
            if let (Some(reason), Some(detail)) = (f.reason, &f.detail) {
                head.push_str(&format!("\nrefused: {reason}: {detail}"));
            }
            f.warnings.iter().for_each(|w| head.push_str(&format!("\nwarning: {w}")));
            if f.checks.is_empty() {
                blocks.push(head.into());
                continue;
            }
            let mut t = Table::new(&["check", "verdict", "what was found"]).titled(head);
            for c in &f.checks {
                t.row([c.check.to_owned(), c.verdict.to_string(), c.reason.clone()]);
            }
            blocks.push(t.into());
        }
        blocks
    }

    fn summary(&self) -> String {
        let refused = self.files.iter().filter(|f| f.reason.is_some()).count();
        format!("{} of {} would be taken", self.files.len() - refused, crate::base::text::count(self.files.len(), "file"))
    }

    fn exit(&self) -> Exit {
        if self.files.iter().any(|f| f.reason.is_some()) { Exit::No } else { Exit::Ok }
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let project = &cx.project()?.project;
    let tenant = args.tenant.as_ref().unwrap_or(&project.ingest.tenant);
    let rules = rules_of(&project.quality_of(tenant.as_str()));
    let extractor = extractor(&project.ingest)?;
    let mut files = Vec::new();
    for file in &args.files {
        let name = file.display().to_string();
        let path = cx.cwd.join(file).canonicalize().context(|| format!("cannot find {name}"))?;
        let read = open::read(&path, project.ingest.max_file).and_then(|(bytes, _)| extractor.extract(&bytes, &name));
        files.push(match read {
            Err(refused) => unread(name, refused),
            Ok(extracted) => {
                let quality = quality::check(&extracted.document, &rules, Copies::NotCompared);
                let mut personal = BTreeMap::new();
                quality.findings.iter().for_each(|f| *personal.entry(f.kind.word()).or_default() += 1);
                FileDoc {
                    file: name,
                    format: Some(extracted.format.word()),
                    language: quality.language,
                    score: Some(quality.score),
                    reason: quality.refused.as_ref().map(|r| r.reason.word()),
                    detail: quality.refused.as_ref().map(|r| r.detail.clone()),
                    checks: quality.checks.iter().map(check_doc).collect(),
                    personal,
                    warnings: extracted.document.warnings,
                }
            }
        });
    }
    let verdict = if files.iter().any(|f| f.reason.is_some()) { Verdict::Fail } else { Verdict::Pass };
    cx.out.emit(&Checked { verdict, files })
}

fn unread(file: String, refused: Refused) -> FileDoc {
    FileDoc {
        file,
        format: None,
        language: None,
        score: None,
        reason: Some(refused.reason.word()),
        detail: Some(refused.detail),
        checks: Vec::new(),
        personal: BTreeMap::new(),
        warnings: Vec::new(),
    }
}

fn check_doc(check: &Check) -> CheckDoc {
    CheckDoc {
        check: check.id.word(),
        verdict: check.verdict,
        value: check.value,
        limit: check.limit,
        reason: check.reason.clone(),
    }
}
