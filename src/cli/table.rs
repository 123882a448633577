//! Tables without borders that fit the terminal.

use comfy_table::{Cell, ContentArrangement, Table, presets};

use super::output::{DIM, styled};
use crate::principal::printable;

/// A table with these column heads; a cell may hold what came over the wire.
pub struct Rows(Table);

impl Rows {
    /// An empty table.
    pub fn new(head: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(head.iter().map(Cell::new));
        Self(table)
    }

    /// Adds a row.
    pub fn row(&mut self, cells: &[&str]) {
        self.0.add_row(cells.iter().map(|text| Cell::new(printable(text))));
    }

    /// The text; `nothing` for a table without rows.
    pub fn render(mut self, nothing: &str) -> String {
        if self.0.is_empty() {
            return nothing.to_owned();
        }
        for column in self.0.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let lines = self.0.lines().map(|line| line.trim_end().to_owned()).enumerate();
        lines.map(|(i, line)| if i == 0 { styled(DIM, &line) } else { line }).collect::<Vec<_>>().join("\n")
    }
}

/// `name   value` lines, the names aligned; values may have come over the wire.
pub fn facts(lines: &[(&str, String)]) -> String {
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let shown = lines.iter().filter(|(_, value)| !value.is_empty());
    shown
        .map(|(name, value)| format!("{}  {}", styled(DIM, &format!("{name:width$}")), printable(value)))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn columns_line_up_and_nothing_has_words() {
        let mut rows = Rows::new(&["name", "kind"]);
        rows.row(&["a", "x\u{1b}[1m"]);
        rows.row(&["longer", "y"]);
        assert_eq!(plain(&rows.render("none")), "name    kind\na       x\u{fffd}[1m\nlonger  y");
        assert_eq!(Rows::new(&["name"]).render("no such thing"), "no such thing");
    }

    #[test]
    fn facts_line_up_and_leave_out_what_is_not_known() {
        let text = facts(&[("id", "1".into()), ("owner", String::new()), ("longest", "2".into())]);
        assert_eq!(plain(&text), "id       1\nlongest  2");
    }
}
