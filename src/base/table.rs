//! A table as a value: built once, rendered as aligned text, CSV or Markdown by whoever shows it.

/// How a column aligns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Align {
    /// Text.
    #[default]
    Left,
    /// Numbers.
    Right,
}

/// A titled grid of cells. Every row has as many cells as there are columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    title: Option<String>,
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with left-aligned columns; a name that starts with `>` makes a right-aligned one.
    pub fn new(columns: &[&str]) -> Self {
        let columns = columns.iter().map(|c| match c.strip_prefix('>') {
            Some(name) => (name.to_owned(), Align::Right),
            None => ((*c).to_owned(), Align::Left),
        });
        Self { columns: columns.collect(), ..Self::default() }
    }

    /// Adds a title, shown above the table.
    #[must_use]
    pub fn titled(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Adds a row; missing cells are empty, cells too many are dropped.
    pub fn row<I, S>(&mut self, cells: I) -> &mut Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        let mut cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        cells.resize(self.columns.len(), String::new());
        self.rows.push(cells);
        self
    }

    /// The title.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// Column names with their alignment.
    pub fn columns(&self) -> &[(String, Align)] {
        &self.columns
    }

    /// The rows.
    pub fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// As GitHub-flavoured Markdown; pipes and line breaks in cells are escaped.
    pub fn markdown(&self) -> String {
        let clean = |s: &str| s.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ").replace('<', "&lt;");
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut out = String::new();
        if let Some(title) = &self.title {
            out.push_str(&format!("**{}**\n\n", clean(title)));
        }
        out.push_str(&line(self.columns.iter().map(|(c, _)| clean(c)).collect()));
        let rule = |(_, a): &(String, Align)| if *a == Align::Right { "---:".to_owned() } else { "---".to_owned() };
        out.push_str(&line(self.columns.iter().map(rule).collect()));
        for row in &self.rows {
            out.push_str(&line(row.iter().map(|c| clean(c)).collect()));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_keeps_its_grid_whatever_is_in_the_cells() {
        let mut t = Table::new(&["name", ">n"]);
        t.row(["a|b\nc", "1"]).row(["<x>"]);
        assert_eq!(t.markdown(), "| name | n |\n| --- | ---: |\n| a\\|b c | 1 |\n| &lt;x> |  |\n");
    }
}
