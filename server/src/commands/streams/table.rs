//! Tables of plain text: columns as wide as their longest entry.

use std::fmt;

/// Width of the names of facts.
const FACT_NAME_CHARS: usize = 12;

/// A table with headings.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With headings only.
    pub(super) fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|heading| (*heading).to_owned()).collect()] }
    }

    /// Adds a row with an entry for each heading.
    pub(super) fn add(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.first().map_or(0, Vec::len);
        let widths: Vec<_> = (0..columns)
            .map(|column| self.rows.iter().filter_map(|row| row.get(column)).map(String::len).max())
            .map(Option::unwrap_or_default)
            .collect();
        for row in &self.rows {
            let entries = row.iter().zip(&widths).map(|(entry, width)| format!("{entry:width$}"));
            let line = entries.collect::<Vec<_>>().join("  ");
            writeln!(formatter, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A line that tells one thing.
pub(super) fn fact(name: &str, value: &str) -> String {
    format!("{name:FACT_NAME_CHARS$}{value}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_longest_entry() {
        let mut table = Table::new(&["NAME", "N"]);
        table.add(vec!["a".to_owned(), "10".to_owned()]);
        table.add(vec!["longer".to_owned(), String::new()]);
        assert_eq!(table.to_string(), "NAME    N\na       10\nlonger\n");
        assert_eq!(fact("Name", "a"), "Name        a\n");
    }
}
