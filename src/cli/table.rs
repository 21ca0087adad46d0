//! Tables for people to read.

/// Lines of a table: the heads of its columns, and rows; as wide as what is in them. Numbers stand to the right.
pub fn table(heads: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize, head: &str| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([head.chars().count()]).max().unwrap_or(0)
    };
    let is_number = |column: usize| {
        let mut cells = rows.iter().filter_map(|row| row.get(column)).peekable();
        cells.peek().is_some() && cells.all(|cell| cell == "-" || cell.parse::<f64>().is_ok())
    };
    let columns: Vec<_> =
        heads.iter().enumerate().map(|(column, head)| (width(column, head), is_number(column))).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&columns).map(|(cell, (width, is_number))| {
            let gap = " ".repeat(width.saturating_sub(cell.chars().count()));
            if *is_number { format!("{gap}{cell}") } else { format!("{cell}{gap}") }
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let rows = rows.iter().map(|row| line(row.iter().map(String::as_str).collect()));
    std::iter::once(line(heads.to_vec())).chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns() {
        let rows =
            [("a", "1"), ("longer", "200"), ("ä", "-")].map(|(name, count)| vec![name.to_owned(), count.to_owned()]);
        assert_eq!(table(&["NAME", "N"], &rows), ["NAME      N", "a         1", "longer  200", "ä         -"]);
        assert_eq!(table(&["NAME", "N"], &[]), ["NAME  N"]);
    }
}
