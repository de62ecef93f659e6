//! Plain tables by comfy-table, as wide as they are told.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};

use super::prose;

/// Columns that the last column gets at least, if the others can spare them.
const NARROWEST_LAST: usize = 24;

/// The lines of a table without borders: columns apart by two blanks, wrapped
/// to the width. `numbers` are the columns set to the right.
pub(crate) fn plain(
    header: &[&str],
    rows: &[Vec<String>],
    numbers: &[usize],
    width: usize,
) -> Vec<String> {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX));
    if !header.is_empty() {
        table.set_header(header.to_vec());
    }
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .map(|cell| prose::visible(cell).replace('\t', " "))
            .collect();
        table.add_row(cells);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    // Every column but the last is as wide as its content, where that leaves
    // the last one enough.
    let widths = table.column_max_content_widths();
    let fixed: usize = widths
        .iter()
        .rev()
        .skip(1)
        .map(|width| usize::from(*width) + 2)
        .sum();
    if fixed + NARROWEST_LAST <= width {
        let last = widths.len().saturating_sub(1);
        for column in table.column_iter_mut().take(last) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    for &number in numbers {
        if let Some(column) = table.column_mut(number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_the_width_is_kept() {
        let rows = vec![
            vec![
                "rows".to_owned(),
                "1,000".to_owned(),
                "the plan, node 2: a scan of a table with a long name".to_owned(),
            ],
            vec!["a longer label".to_owned(), "7".to_owned(), "x".to_owned()],
        ];
        let lines = plain(&[], &rows, &[1], 40);
        assert!(lines.len() > 2, "the long cell is wrapped: {lines:#?}");
        assert!(
            lines.iter().all(|line| prose::width(line) <= 40),
            "{lines:#?}"
        );
        let first = lines.first().expect("a line");
        let end = |line: &str, text: &str| line.find(text).expect("a cell") + text.len();
        let last = lines.last().expect("a line");
        assert_eq!(end(first, "1,000"), end(last, "7"));
    }
}
