//! The formats in which a report is written.

use super::name::words;

words! {
    /// How a report is written.
    Format, "format" {
        /// Aligned text for people.
        Table = "table",
        /// One JSON document.
        Json = "json",
        /// One JSON document a line.
        Jsonl = "jsonl",
        /// Comma-separated values with a header line.
        Csv = "csv",
        /// GitHub-flavoured Markdown.
        Markdown = "markdown",
    }
}
