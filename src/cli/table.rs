//! Tables as text.

/// Formats a table as lines: headings, then rows. Numbers are aligned to the right.
pub fn table(headings: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize, heading: &str| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([heading.chars().count()]).max().unwrap_or(0)
    };
    let is_number = |column: usize| {
        let mut cells = rows.iter().filter_map(|row| row.get(column)).peekable();
        cells.peek().is_some() && cells.all(|cell| cell == "-" || cell.parse::<f64>().is_ok())
    };
    let columns: Vec<_> =
        headings.iter().enumerate().map(|(column, heading)| (width(column, heading), is_number(column))).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&columns).map(|(cell, (width, is_number))| {
            let gap = " ".repeat(width.saturating_sub(cell.chars().count()));
            if *is_number { format!("{gap}{cell}") } else { format!("{cell}{gap}") }
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let rows = rows.iter().map(|row| line(row.iter().map(String::as_str).collect()));
    std::iter::once(line(headings.to_vec())).chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_padded_and_numbers_are_right_aligned() {
        let rows =
            [("a", "1"), ("longer", "200"), ("ä", "-")].map(|(name, count)| vec![name.to_owned(), count.to_owned()]);
        assert_eq!(table(&["NAME", "N"], &rows), ["NAME      N", "a         1", "longer  200", "ä         -"]);
        assert_eq!(table(&["NAME", "N"], &[]), ["NAME  N"]);
    }
}
