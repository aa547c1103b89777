//! What a runbook names of a repository: its own names, never made up ones.

use crate::base::name::Name;

/// What is known of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The project.
    pub project: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Where backups go, for people; `None` when nothing is said.
    pub place: Option<String>,
    /// How many can read them.
    pub recipients: usize,
    /// The reference to the key that reads them.
    pub identity: Option<String>,
    /// The program that a drill runs in what was restored.
    pub smoke: Option<Vec<String>>,
    /// What is in backups besides the state, its artifacts and Git.
    pub components: Vec<Component>,
    /// Where the state is, when it is in PostgreSQL.
    pub state: Option<Server>,
    /// Where artifacts are, when they are not on this machine.
    pub artifacts: Option<String>,
    /// Whether artifacts, names and reasons are encrypted where they lie.
    pub encrypted: bool,
    /// True when the repository is in Git, so that a set has its files.
    pub git: bool,
    /// The reference to the key that signs the log.
    pub log_key: Option<String>,
    /// Models.
    pub models: Vec<Name>,
    /// Where their traffic is.
    pub targets: Vec<Target>,
    /// Tenants.
    pub tenants: Vec<Name>,
    /// The name of a collection of one.
    pub collection: Option<String>,
    /// Where work goes on, in words.
    pub secondary: Option<String>,
    /// The folder whose Terraform makes it.
    pub terraform: Option<String>,
    /// The program that sends users there.
    pub dns: Option<Vec<String>>,
    /// The flag that the application asks before it serves a tenant.
    pub tenant_flag: Option<Name>,
}

/// A part of the system in backups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// Its name.
    pub name: Name,
    /// How its files get back to where they were.
    pub back: Back,
}

/// How the files of a component get back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Back {
    /// Into this folder.
    Folder(String),
    /// Into a database, by `pg_restore`; where it was.
    Postgres(String),
    /// Into a server, by kf; where it was.
    Server(String),
    /// By a program that reads them.
    Program(Vec<String>),
    /// In a way that only people know.
    Unknown,
}

/// A database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its URL, without a password.
    pub url: String,
    /// The schema.
    pub schema: String,
}

/// Where traffic is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub name: Name,
    /// The model whose versions answer there.
    pub model: Name,
    /// True for the gateway that kf is itself.
    pub gateway: bool,
}
