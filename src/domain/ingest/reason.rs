//! Why a document was not taken: one closed list, because people filter and count by it.

use std::fmt;

/// Why a document was not taken. The words are stable: scripts, reports and filters use them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refusal {
    /// Nothing in it, or only white space.
    Empty,
    /// Fewer characters than `ingest.min-chars`.
    TooShort,
    /// Pages but no text: scanned pictures, which would need OCR.
    NoText,
    /// It asks for a password.
    Encrypted,
    /// Its bytes are no text in any encoding that kf knows.
    BadEncoding,
    /// Programs, pictures, sound: nothing that kf reads.
    Unsupported,
    /// It claims to be a format whose rules it breaks.
    Malformed,
    /// Larger than a limit: its file, what it unpacks to, its pages or its depth.
    TooLarge,
    /// It took longer than the seconds that a file may take.
    TooSlow,
    /// The parser died on it; the parser's process was started again.
    Crashed,
    /// The file may not be read, or reading it failed.
    Unreadable,
    /// A pipe, a socket, a device, or a link that leaves the folder.
    NotAFile,
    /// It changed or vanished while it was read.
    Changed,
    /// Word for word the same as another document of the tenant.
    Duplicate,
    /// A quality rule that rejects: the score or a check that the tenant made strict.
    Quality,
}

impl Refusal {
    /// Every reason, in the order of reports.
    pub const ALL: &'static [Self] = &[
        Self::Empty,
        Self::TooShort,
        Self::NoText,
        Self::Encrypted,
        Self::BadEncoding,
        Self::Unsupported,
        Self::Malformed,
        Self::TooLarge,
        Self::TooSlow,
        Self::Crashed,
        Self::Unreadable,
        Self::NotAFile,
        Self::Changed,
        Self::Duplicate,
        Self::Quality,
    ];

    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooShort => "too-short",
            Self::NoText => "no-text",
            Self::Encrypted => "encrypted",
            Self::BadEncoding => "bad-encoding",
            Self::Unsupported => "unsupported",
            Self::Malformed => "malformed",
            Self::TooLarge => "too-large",
            Self::TooSlow => "too-slow",
            Self::Crashed => "crashed",
            Self::Unreadable => "unreadable",
            Self::NotAFile => "not-a-file",
            Self::Changed => "changed",
            Self::Duplicate => "duplicate",
            Self::Quality => "quality",
        }
    }

    /// The reason of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|r| r.word() == word)
    }

    /// True when the document was read and the rules decided against it; else reading it failed.
    pub fn is_by_rule(self) -> bool {
        matches!(self, Self::TooShort | Self::Duplicate | Self::Quality)
    }

    /// True when trying again may end otherwise though the file is the same: the machine was at fault, not the document.
    pub fn may_pass_later(self) -> bool {
        matches!(self, Self::TooSlow | Self::Crashed | Self::Unreadable | Self::Changed)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A document that was not taken: the reason and what exactly was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The reason.
    pub reason: Refusal,
    /// What was found, for a person: `37 characters, the limit is 100`. Never text of the document.
    pub detail: String,
}

impl Refused {
    /// A refusal with what was found.
    pub fn new(reason: Refusal, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lead_back() {
        for reason in Refusal::ALL {
            assert_eq!(Refusal::of(reason.word()), Some(*reason));
        }
        assert_eq!(Refusal::of("Empty"), None);
    }
}
