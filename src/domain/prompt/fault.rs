//! What goes wrong when a template is rendered, by the name that Python gives it.

use std::fmt;

/// The exception that CPython's `str.format` raises for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PyKind {
    /// A variable or a key of a map is not there.
    Key,
    /// An element of a list, a character of a text or a positional value is not there.
    Index,
    /// The value is of a type that this cannot be done with.
    Type,
    /// The template, a spec or a conversion is wrong.
    Value,
    /// An attribute of a value; Python reads it, kf refuses.
    Attribute,
    /// A number is out of range.
    Overflow,
    /// The text would be larger than allowed; Python stops only when memory ends.
    Memory,
}

impl PyKind {
    /// The name of the exception.
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "KeyError",
            Self::Index => "IndexError",
            Self::Type => "TypeError",
            Self::Value => "ValueError",
            Self::Attribute => "AttributeError",
            Self::Overflow => "OverflowError",
            Self::Memory => "MemoryError",
        }
    }
}

/// Why a template cannot be rendered, and the field that it is about. Prints as `line:column: KeyError: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderFault {
    /// Python's name for it.
    pub kind: PyKind,
    /// The line of the field in the template, from 1.
    pub line: usize,
    /// The column of its `{`, from 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for RenderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.line, self.column, self.kind.name(), self.message)
    }
}

/// A fault whose place the caller knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong(pub(super) PyKind, pub(super) String);

impl Wrong {
    pub(super) fn value(message: impl Into<String>) -> Self {
        Self(PyKind::Value, message.into())
    }
}
