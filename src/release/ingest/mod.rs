//! Taking documents in: from the paths that a person names to what can be searched, cited and audited.

mod flow;
pub mod open;
pub mod seen;
pub mod walk;
