//! `kf tenant erase`: what must be forgotten goes, and the log says so without repeating it.

use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::text::count;
use crate::cli::arg;
use crate::cli::cx::Cx;
use crate::cli::out::sentences;
use crate::cli::report::{Block, Report};
use crate::commands::index::tell;
use crate::domain::ingest::table::Whom;
use crate::release::tenant;
use crate::store::Mode;
use serde::Serialize;

/// Erase everything of a tenant, or every document that mentions a person
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf tenant erase acme --subject \"Ada Lovelace\" --reason \"GDPR Art. 17, request 12\" --dry-run\n  kf tenant erase acme --reason \"contract ended\" --yes\n\nTexts, chunks, vectors, words of indexes and caches of this host go in one transaction with the event `privacy.erased`, which tells how much and not what. The files that documents came from, backups and caches of other hosts are not kf's to erase."
)]
pub(crate) struct Args {
    /// The tenant
    tenant: Name,
    /// Only documents in whose text, title, path or notes this stands, whatever the case
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
    /// The ticket that asks for it
    #[arg(long, value_name = "ID", value_parser = arg::ticket())]
    ticket: Option<String>,
    /// On what ground: the article of the law, the contract that ended
    #[arg(long, value_name = "TEXT", value_parser = arg::reason())]
    reason: Option<String>,
}

#[derive(Serialize)]
struct Erased {
    tenant: Name,
    scope: &'static str,
    /// Where what goes came from; named beforehand only.
    sources: Vec<String>,
    documents: usize,
    chunks: i64,
    embeddings: u64,
    event: Option<i64>,
    #[serde(skip)]
    dry: bool,
}

impl Report for Erased {
    const SCHEMA: &'static str = "kf.tenant-erase/1";

    fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        if !self.sources.is_empty() {
            blocks.push(self.sources.join("\n").into());
        }
        blocks.extend(sentences([self.summary()]));
        blocks
    }

    fn summary(&self) -> String {
        let what = format!(
            "{} with {} of {}",
            count(self.documents, "document"),
            count(usize::try_from(self.chunks).unwrap_or(0), "chunk"),
            self.tenant
        );
        match self.event {
            None => format!("nothing of {} is to be erased", self.tenant),
            Some(_) if self.dry => format!("{what} would be erased for good"),
            Some(event) => format!("{what} erased, recorded as event {event}"),
        }
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let whom = match args.subject.as_deref().map(str::trim) {
        None => Whom::Tenant,
        Some("") => return Err(Error::usage("`--subject` is empty").hint("leave it out to erase everything of the tenant")),
        Some(subject) => Whom::Subject(subject),
    };
    let dry = cx.global.dry_run;
    let store = cx.store(Mode::Write)?;
    let goes = store.read(|view| tenant::would_go(view, &args.tenant, whom))?;
    if !dry && !cx.global.yes {
        let of = if matches!(whom, Whom::Tenant) { "everything of" } else { "documents of" };
        return Err(Error::usage(format!("{of} {} would be erased for good: {}", args.tenant, count(goes.len(), "document")))
            .hint("--dry-run lists them; --yes erases them"));
    }
    let Some(reason) = args.reason.as_deref().filter(|r| !r.trim().is_empty()) else {
        return Err(Error::usage("erasing needs a reason").hint("say on what ground: --reason \"GDPR Art. 17, request 12\""));
    };
    let why = (args.ticket.as_deref(), reason);
    let erased = tenant::erase(&store, &args.tenant, whom, why, &cx.kf_dir()?.join("cache"))?;
    let sources =
        if dry { goes.into_iter().map(|(collection, source)| format!("{collection}/{source}")).collect() } else { Vec::new() };
    let told = tell(cx, &store)?;
    let report = cx.out.emit(&Erased {
        tenant: args.tenant.clone(),
        scope: if matches!(whom, Whom::Tenant) { "tenant" } else { "subject" },
        sources,
        documents: erased.documents.len(),
        chunks: erased.chunks,
        embeddings: erased.embeddings,
        event: erased.event,
        dry,
    })?;
    Ok(report.and(told))
}
