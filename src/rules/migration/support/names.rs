//! Names of objects that a remedy creates.

use crate::catalog::ident::MAX_LENGTH;

/// `table_column_suffix`, as PostgreSQL would name it: the longer of the first
/// two parts is cut until all fit.
pub(crate) fn object(table: &str, columns: &[String], suffix: &str) -> String {
    let mut first = table.to_owned();
    let mut second = columns.join("_");
    let fixed = suffix.len() + 1 + usize::from(!second.is_empty());
    while first.len() + second.len() + fixed > MAX_LENGTH {
        let longer = if first.len() > second.len() {
            &mut first
        } else {
            &mut second
        };
        if longer.pop().is_none() {
            break;
        }
    }
    if second.is_empty() {
        format!("{first}_{suffix}")
    } else {
        format!("{first}_{second}_{suffix}")
    }
}
