//! A rewrite as text: the whole new statement, and a unified diff that `patch`
//! takes. Edits come from the rewrites; nothing here judges them.

use similar::{Algorithm, ChangeTag, TextDiff};

use crate::finding::Edit;
use crate::source::{Sources, Span};

/// Lines of context around a change, as `diff -u` has them.
const CONTEXT: usize = 3;

/// The statement with the edits made; `None` when they do not fit it.
pub(super) fn rewritten_sql(statement: Span, edits: &[Edit], sources: &Sources) -> Option<String> {
    let text = sources.get(statement.source)?.text();
    let mut rewritten = String::new();
    let mut at = statement.start;
    for edit in edits {
        if !statement.contains(edit.span) || edit.span.start < at {
            return None;
        }
        rewritten.push_str(text.get(at..edit.span.start)?);
        rewritten.push_str(&edit.text);
        at = edit.span.end;
    }
    rewritten.push_str(text.get(at..statement.end)?);
    Some(rewritten)
}

/// The edits as a unified diff of the file that the statement stands in.
pub(super) fn unified_diff(statement: Span, edits: &[Edit], sources: &Sources) -> Option<String> {
    let source = sources.get(statement.source)?;
    let text = source.text();
    let rewritten = rewritten_sql(statement, edits, sources)?;

    // The statement's lines with some around it, so that a file of many
    // statements is not compared as a whole.
    let start = line_start(text, statement.start, CONTEXT);
    let end = line_end(text, statement.end, CONTEXT);
    let before = text.get(start..end)?;
    let after = format!(
        "{}{rewritten}{}",
        text.get(start..statement.start)?,
        text.get(statement.end..end)?
    );
    let lines_above = source.line_column(start).line.saturating_sub(1);

    let diff = TextDiff::configure()
        .algorithm(Algorithm::Myers)
        .diff_lines(before, after.as_str());
    let mut out = format!("--- {0}\n+++ {0}\n", source.name());
    for group in diff.grouped_ops(CONTEXT) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            continue;
        };
        out.push_str(&format!(
            "@@ -{} +{} @@\n",
            hunk(first.old_range().start..last.old_range().end, lines_above),
            hunk(first.new_range().start..last.new_range().end, lines_above),
        ));
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            out.push(match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
            });
            let line = change.value();
            out.push_str(line);
            if !line.ends_with('\n') {
                out.push_str("\n\\ No newline at end of file\n");
            }
        }
    }
    Some(out)
}

/// `start,length` of a hunk; an empty one names the line before it.
fn hunk(lines: std::ops::Range<usize>, above: usize) -> String {
    let start = lines.start + above + usize::from(!lines.is_empty());
    format!("{start},{}", lines.len())
}

/// Where the line stands that is `lines` above that of the offset.
fn line_start(text: &str, offset: usize, lines: usize) -> usize {
    let mut at = offset;
    for _ in 0..=lines {
        match text.get(..at).and_then(|head| head.rfind('\n')) {
            Some(newline) => at = newline,
            None => return 0,
        }
    }
    at + 1
}

/// One past the line that is `lines` below that of the offset.
fn line_end(text: &str, offset: usize, lines: usize) -> usize {
    let mut at = offset;
    for _ in 0..=lines {
        match text.get(at..).and_then(|tail| tail.find('\n')) {
            Some(newline) => at += newline + 1,
            None => return text.len(),
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Text;

    fn file(text: &str) -> (Sources, Span) {
        let mut sources = Sources::default();
        let start = text.find("select").expect("a statement");
        let end = text.rfind(';').unwrap_or(text.len());
        let id = sources.add(Text::new("q.sql", text));
        (sources, Span::new(id, start..end))
    }

    fn edit(sources: &Sources, statement: Span, find: &str, text: &str) -> Edit {
        let whole = sources.get(statement.source).expect("the text").text();
        let at = whole.find(find).expect("what is replaced");
        Edit {
            span: Span::new(statement.source, at..at + find.len()),
            text: text.to_owned(),
        }
    }

    #[test]
    fn the_diff_has_the_line_numbers_of_the_file() {
        let (sources, span) =
            file("-- 1\n-- 2\n-- 3\n-- 4\n-- 5\nselect *\nfrom t\nwhere a + 1 = 2;\n-- 9\n");
        let edits = [edit(&sources, span, "a + 1 = 2", "a = 1")];
        let diff = unified_diff(span, &edits, &sources).expect("a diff");
        assert_eq!(
            diff,
            "--- q.sql\n+++ q.sql\n@@ -5,5 +5,5 @@\n -- 5\n select *\n from t\n-where a + 1 = 2;\n+where a = 1;\n -- 9\n"
        );
        assert_eq!(
            rewritten_sql(span, &edits, &sources).as_deref(),
            Some("select *\nfrom t\nwhere a = 1")
        );
    }

    #[test]
    fn a_file_without_a_last_newline_says_so() {
        let (sources, span) = file("select a");
        let edits = [edit(&sources, span, "a", "b")];
        let diff = unified_diff(span, &edits, &sources).expect("a diff");
        assert_eq!(
            diff,
            "--- q.sql\n+++ q.sql\n@@ -1,1 +1,1 @@\n-select a\n\\ No newline at end of file\n+select b\n\\ No newline at end of file\n"
        );
    }

    #[test]
    fn edits_that_overlap_or_lie_outside_give_nothing() {
        let (sources, span) = file("select a, b; select c");
        let first = edit(&sources, span, "a, b", "x");
        let second = edit(&sources, span, "b", "y");
        assert_eq!(rewritten_sql(span, &[first, second], &sources), None);
        let short = Span::new(span.source, 0..8);
        let outside = edit(&sources, span, "select c", "z");
        assert_eq!(rewritten_sql(short, &[outside], &sources), None);
    }
}
