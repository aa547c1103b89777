//! One error for the whole program: what failed on what, why, and what to type next.
//!
//! A foreign error becomes ours only through [`Context::context`], so somebody always words it. A *no* (a failed gate, a
//! broken chain) is never an error: see [`crate::base::exit::Exit`].

use std::fmt;

/// What kind of trouble an error is; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The operation failed: I/O, network, not found, conflict.
    Failed,
    /// The command line or the configuration is wrong.
    Usage,
    /// There is no repository or no state here.
    NoRepository,
    /// Another process holds the state.
    Locked,
    /// What is stored does not verify: it is not what the audit log recorded.
    Broken,
    /// A broken invariant of kf itself.
    Bug,
}

/// An error with its kind, its chain of causes and the hints that help out of it.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    source: anyhow::Error,
    hints: Vec<String>,
    rendered: bool,
}

/// The result of everything in kf that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failed operation. The message is a fragment in lower case: "cannot open `x`".
    pub fn new(message: impl fmt::Display) -> Self {
        Self::of(Kind::Failed, message)
    }

    /// A wrong command line or configuration.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self::of(Kind::Usage, message)
    }

    /// An error of a given kind.
    pub fn of(kind: Kind, message: impl fmt::Display) -> Self {
        Self { kind, source: anyhow::Error::msg(message.to_string()), hints: Vec::new(), rendered: false }
    }

    /// A usage error whose message is already laid out over several lines (a source snippet) and wants no prefix.
    pub fn rendered(message: impl fmt::Display) -> Self {
        Self { rendered: true, ..Self::usage(message) }
    }

    /// Adds a hint: an action, commands in backticks.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Takes the hints away, for who knows better.
    #[must_use]
    pub fn without_hints(mut self) -> Self {
        self.hints.clear();
        self
    }

    /// Changes the kind.
    #[must_use]
    pub fn kind_of(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// The kind of trouble.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The hints, in the order they were added.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// True when the message brings its own layout.
    pub fn is_rendered(&self) -> bool {
        self.rendered
    }

    /// The outermost message first, then what caused it.
    pub fn chain(&self) -> Vec<String> {
        self.source.chain().map(ToString::to_string).collect()
    }

    /// The first cause of type `T` in the chain, if any.
    pub fn cause<T: std::error::Error + Send + Sync + 'static>(&self) -> Option<&T> {
        self.source.chain().find_map(|e| e.downcast_ref::<T>())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.source)
    }
}

mod sealed {
    pub trait IntoKf {
        fn into_kf(self) -> super::Error;
    }
    impl IntoKf for super::Error {
        fn into_kf(self) -> super::Error {
            self
        }
    }
    impl<E: std::error::Error + Send + Sync + 'static> IntoKf for E {
        fn into_kf(self) -> super::Error {
            super::Error { kind: super::Kind::Failed, source: anyhow::Error::new(self), hints: Vec::new(), rendered: false }
        }
    }
}

/// Words an error: names the object and the action that failed.
pub trait Context<T> {
    /// Wraps the error in a message made only when it is needed.
    fn context<M: fmt::Display>(self, message: impl FnOnce() -> M) -> Result<T>;
    /// Adds a hint to the error.
    fn hint(self, hint: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: sealed::IntoKf> Context<T> for std::result::Result<T, E> {
    fn context<M: fmt::Display>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|e| {
            let mut e = e.into_kf();
            e.source = e.source.context(message().to_string());
            e
        })
    }

    fn hint(self, hint: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| e.into_kf().hint(hint()))
    }
}

/// Returns early with a failed operation.
#[macro_export]
macro_rules! fail {
    ($($arg:tt)*) => { return Err($crate::base::error::Error::new(format!($($arg)*))) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_error_is_worded_and_keeps_its_cause() {
        let io: std::io::Result<()> = Err(std::io::Error::other("disk on fire"));
        let e = io.context(|| "cannot read `a`").hint(|| "buy a disk".into()).unwrap_err();
        assert_eq!(e.chain(), ["cannot read `a`", "disk on fire"]);
        assert_eq!(e.hints(), ["buy a disk"]);
        assert_eq!(e.kind(), Kind::Failed);
        assert!(e.cause::<std::io::Error>().is_some());
    }
}
