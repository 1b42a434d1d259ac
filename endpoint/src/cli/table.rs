//! Tables for terminals.

/// Lays rows out in columns as wide as their widest cell; the first row is the heading.
pub(super) fn render(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut table = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{:<width$}   ", printable(cell)));
        }
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}

/// Names may hold anything but control characters; other text must not steer the terminal either.
fn printable(cell: &str) -> String {
    cell.chars()
        .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let table = render(&[row(["NAME", "A"]), row(["größe", "b"]), row(["x", ""])]);
        assert_eq!(table, "NAME    A\ngröße   b\nx\n");
    }

    #[test]
    fn a_cell_cannot_steer_the_terminal() {
        let table = render(&[vec!["a\u{1b}[2Jb".to_owned()]]);
        assert_eq!(table, "a\u{FFFD}[2Jb\n");
    }
}
