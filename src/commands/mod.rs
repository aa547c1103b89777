//! One file a subcommand: its arguments (whose doc comments are the help), its report, and `run`.
//!
//! To add one: a file here, its `mod`, variant and match arm below, and a test file of its name in `tests/it/`.

mod ab;
mod alert;
mod alias;
mod archive;
mod audit;
mod backup;
mod canary;
mod card;
mod checkout;
mod ci;
mod completions;
mod config;
mod demo;
mod deploy;
mod diff;
mod doctor;
mod dr;
mod drift;
mod emergency;
mod eval;
mod extract_worker;
mod flag;
mod fsck;
mod gateway;
mod gc;
mod graph;
mod health;
mod help;
mod history;
mod index;
mod ingest;
mod init;
mod judge;
mod lineage;
mod list;
mod log;
mod monitor;
mod moved;
mod optimize;
mod promote;
mod prompt;
mod register;
mod rekey;
mod restore;
mod rollback;
mod search;
mod show;
mod state;
mod status;
mod tag;
mod tenant;
mod upstream_worker;
mod version_doc;

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::cli::cx::Cx;

/// The subcommands.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    #[command(subcommand)]
    Ab(ab::Command),
    #[command(subcommand)]
    Alert(alert::Command),
    Alias(alias::Args),
    Archive(archive::Args),
    #[command(subcommand)]
    Audit(audit::Command),
    #[command(subcommand)]
    Backup(backup::Command),
    #[command(subcommand)]
    Canary(canary::Command),
    Card(card::Args),
    Checkout(checkout::Args),
    #[command(subcommand)]
    Ci(ci::Command),
    Completions(completions::Args),
    #[command(subcommand)]
    Config(config::Command),
    Demo(demo::Args),
    Deploy(deploy::Args),
    Diff(diff::Args),
    Doctor(doctor::Args),
    #[command(subcommand)]
    Dr(dr::Command),
    #[command(subcommand)]
    Drift(drift::Command),
    Eval(eval::Args),
    #[command(name = "extract-worker")]
    ExtractWorker(extract_worker::Args),
    #[command(subcommand)]
    Flag(flag::Command),
    Fsck(fsck::Args),
    #[command(subcommand)]
    Gateway(gateway::Command),
    Gc(gc::Args),
    #[command(subcommand)]
    Graph(graph::Command),
    Health(health::Args),
    Help(help::Args),
    History(history::Args),
    #[command(subcommand)]
    Index(index::Command),
    Ingest(ingest::Args),
    Init(init::Args),
    #[command(subcommand)]
    Judge(judge::Command),
    Lineage(lineage::Args),
    List(list::Args),
    Log(log::Args),
    #[command(subcommand)]
    Monitor(monitor::Command),
    Optimize(optimize::Args),
    Promote(promote::Args),
    #[command(subcommand)]
    Prompt(prompt::Command),
    Register(register::Args),
    Rekey(rekey::Args),
    Restore(restore::Args),
    Rollback(rollback::Args),
    Search(search::Args),
    Show(show::Args),
    #[command(subcommand)]
    State(state::Command),
    Status(status::Args),
    Tag(tag::Args),
    #[command(subcommand)]
    Tenant(tenant::Command),
    #[command(name = "upstream-worker")]
    UpstreamWorker(upstream_worker::Args),
}

impl Command {
    /// Runs the subcommand.
    pub(crate) fn run(&self, cx: &Cx) -> Result<Exit> {
        if !matches!(self, Self::ExtractWorker(_) | Self::UpstreamWorker(_)) {
            emergency::take_in(cx);
            if !matches!(self, Self::Backup(_)) {
                backup::interrupted(cx);
            }
        }
        match self {
            Self::Ab(command) => command.run(cx),
            Self::Alert(command) => command.run(cx),
            Self::Alias(args) => alias::run(cx, args),
            Self::Archive(args) => archive::run(cx, args),
            Self::Audit(command) => command.run(cx),
            Self::Backup(command) => command.run(cx),
            Self::Canary(command) => command.run(cx),
            Self::Card(args) => card::run(cx, args),
            Self::Checkout(args) => checkout::run(cx, args),
            Self::Ci(command) => command.run(cx),
            Self::Completions(args) => completions::run(cx, args),
            Self::Config(command) => command.run(cx),
            Self::Demo(args) => demo::run(cx, args),
            Self::Deploy(args) => deploy::run(cx, args),
            Self::Diff(args) => diff::run(cx, args),
            Self::Doctor(args) => doctor::run(cx, args),
            Self::Dr(command) => command.run(cx),
            Self::Drift(command) => command.run(cx),
            Self::Eval(args) => eval::run(cx, args),
            Self::ExtractWorker(_) => extract_worker::run(),
            Self::Flag(command) => command.run(cx),
            Self::Fsck(args) => fsck::run(cx, args),
            Self::Gateway(command) => command.run(cx),
            Self::Gc(args) => gc::run(cx, args),
            Self::Graph(command) => command.run(cx),
            Self::Health(args) => health::run(cx, args),
            Self::Help(args) => help::run(cx, args),
            Self::History(args) => history::run(cx, args),
            Self::Index(command) => command.run(cx),
            Self::Ingest(args) => args.run(cx),
            Self::Init(args) => init::run(cx, args),
            Self::Judge(command) => command.run(cx),
            Self::Lineage(args) => lineage::run(cx, args),
            Self::List(args) => list::run(cx, args),
            Self::Log(args) => log::run(cx, args),
            Self::Monitor(command) => command.run(cx),
            Self::Optimize(args) => optimize::run(cx, args),
            Self::Promote(args) => promote::run(cx, args),
            Self::Prompt(command) => command.run(cx),
            Self::Register(args) => register::run(cx, args),
            Self::Rekey(args) => rekey::run(cx, args),
            Self::Restore(args) => restore::run(cx, args),
            Self::Rollback(args) => rollback::run(cx, args),
            Self::Search(args) => search::run(cx, args),
            Self::Show(args) => show::run(cx, args),
            Self::State(command) => command.run(cx),
            Self::Status(args) => status::run(cx, args),
            Self::Tag(args) => tag::run(cx, args),
            Self::Tenant(command) => command.run(cx),
            Self::UpstreamWorker(args) => upstream_worker::run(args),
        }
    }
}
