//! From a text to its statements: splitting, placeholders, limits, parsing.
//!
//! The parser underneath would end the process on some texts (a million
//! operators in a row exhaust the stack), so limits are checked on tokens
//! first, and what is deep is read on a thread with a large stack.

use std::thread;

use squawk_syntax::SourceFile;

use super::placeholder::prepare;
use super::precedence::{self, Grouped};
use super::scan::{Token, TokenKind};
use super::split::{MAX_STATEMENT, Piece, Splitter};
use super::{Query, Statement, StatementKind, Suppression, walk};
use crate::catalog::Catalog;
use crate::source::{Problem, SourceId, Span};

/// Tokens in one list or one chain of operators, nested parentheses counted
/// as one.
const MAX_RUN: usize = 20_000;
/// Parentheses, brackets and CASEs within each other.
const MAX_DEPTH: usize = 500;
/// Statements of one text that are read.
const MAX_STATEMENTS: usize = 10_000;
/// Up to here the caller's own stack suffices.
const SHALLOW_RUN: usize = 120;
const SHALLOW_DEPTH: usize = 12;
const STACK: usize = 64 * 1024 * 1024;

/// Commands that are SQL but no queries.
const OTHER_COMMANDS: &[&str] = &[
    "abort",
    "alter",
    "analyze",
    "analyse",
    "begin",
    "call",
    "checkpoint",
    "close",
    "cluster",
    "comment",
    "commit",
    "copy",
    "create",
    "deallocate",
    "declare",
    "discard",
    "do",
    "drop",
    "end",
    "execute",
    "explain",
    "fetch",
    "grant",
    "import",
    "listen",
    "load",
    "lock",
    "move",
    "notify",
    "prepare",
    "reassign",
    "refresh",
    "reindex",
    "release",
    "reset",
    "revoke",
    "rollback",
    "savepoint",
    "security",
    "set",
    "show",
    "start",
    "truncate",
    "unlisten",
    "vacuum",
];

/// Splits a text into statements and reads each.
///
/// The problems are those of the whole text; every statement's own
/// [`Statement::problems`] are among them.
pub fn read(source: SourceId, text: &str) -> (Vec<Statement>, Vec<Problem>) {
    let start = if text.starts_with('\u{feff}') { 3 } else { 0 };
    let mut statements = Vec::new();
    let mut problems = Vec::new();
    for piece in Splitter::new(text, start) {
        if statements.len() == MAX_STATEMENTS {
            problems.push(
                Problem::at(
                    Span::new(source, piece.start..piece.end),
                    format!("the text holds more than {MAX_STATEMENTS} statements"),
                )
                .with_hint("the statements from here on are not read; split the file"),
            );
            break;
        }
        if let Some(statement) = read_piece(source, text, &piece) {
            problems.extend(statement.problems.iter().cloned());
            statements.push(statement);
        }
    }
    (statements, problems)
}

/// The first statement from a byte of a text on: one that stands within
/// another.
pub(crate) fn read_from(source: SourceId, text: &str, start: usize) -> Option<Statement> {
    let piece = Splitter::new(text, start).next()?;
    read_piece(source, text, &piece)
}

/// How much stack reading a statement may need.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Measure {
    run: usize,
    depth: usize,
    /// Where the limit is first exceeded.
    run_at: Option<usize>,
    depth_at: Option<usize>,
}

impl Measure {
    pub(super) fn of(text: &str, tokens: &[Token]) -> Self {
        let mut result = Self::default();
        // Tokens since the group opened, per open group.
        let mut groups = vec![0_usize];
        let mut prefix = 0_usize;
        let mut row_ended = false;
        for token in tokens {
            let own = token.text(text);
            let opens = matches!(own, "(" | "[") || token.is_word(text, "case");
            let closes = matches!(own, ")" | "]") || token.is_word(text, "end");
            if closes && groups.len() > 1 {
                groups.pop();
            }
            // Rows of VALUES are a list that the parser reads in linear time.
            let top = groups.len() == 1;
            let between_rows = top && (matches!(own, "(" | ")") || row_ended && own == ",");
            if let Some(count) = groups.last_mut()
                && !between_rows
            {
                *count += 1;
                if *count > result.run {
                    result.run = *count;
                }
                if *count > MAX_RUN && result.run_at.is_none() {
                    result.run_at = Some(token.start);
                }
            }
            row_ended = own == ")" && top;
            if opens {
                groups.push(0);
            }
            // `NOT NOT NOT …` and `- - - …` nest without parentheses.
            if token.is_word(text, "not") || token.kind == TokenKind::Operator {
                prefix += 1;
            } else {
                prefix = 0;
            }
            let depth = groups.len() + prefix;
            if depth > result.depth {
                result.depth = depth;
            }
            if depth > MAX_DEPTH && result.depth_at.is_none() {
                result.depth_at = Some(token.start);
            }
        }
        result
    }

    /// A limit is passed: the parser must not see it.
    pub(super) fn exceeds(self) -> bool {
        self.run_at.is_some() || self.depth_at.is_some()
    }

    pub(super) fn is_shallow(self) -> bool {
        self.run <= SHALLOW_RUN && self.depth <= SHALLOW_DEPTH
    }
}

/// Runs `work` where the stack is large enough.
pub(super) fn with_stack<T: Send>(shallow: bool, work: impl FnOnce() -> T + Send) -> Option<T> {
    if shallow {
        return Some(work());
    }
    thread::scope(|scope| {
        thread::Builder::new()
            .name("sql".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, work)
            .ok()
            .and_then(|handle| handle.join().ok())
    })
}

/// Tokens after a leading `EXPLAIN …`.
fn without_explain<'a>(text: &str, tokens: &'a [Token]) -> &'a [Token] {
    let Some((first, mut rest)) = tokens.split_first() else {
        return tokens;
    };
    if !first.is_word(text, "explain") {
        return tokens;
    }
    if let [open, word, ..] = rest
        && open.is(text, "(")
        && word.kind == TokenKind::Word
        && kind_of_word(word.text(text)).is_none()
        && !word.is_word(text, "with")
    {
        let end = rest.iter().position(|token| token.is(text, ")"));
        rest = end.and_then(|end| rest.get(end + 1..)).unwrap_or(&[]);
    } else {
        while let Some((word, more)) = rest.split_first()
            && ["analyze", "analyse", "verbose"]
                .iter()
                .any(|option| word.is_word(text, option))
        {
            rest = more;
        }
    }
    if rest.is_empty() { tokens } else { rest }
}

/// Whether a word begins statements.
pub(crate) fn is_command(word: &str) -> bool {
    word.eq_ignore_ascii_case("with")
        || kind_of_word(word).is_some()
        || OTHER_COMMANDS
            .iter()
            .any(|command| command.eq_ignore_ascii_case(word))
}

fn kind_of_word(word: &str) -> Option<StatementKind> {
    let kind = match word.to_ascii_lowercase().as_str() {
        "select" | "values" | "table" => StatementKind::Select,
        "insert" => StatementKind::Insert,
        "update" => StatementKind::Update,
        "delete" => StatementKind::Delete,
        "merge" => StatementKind::Merge,
        _ => return None,
    };
    Some(kind)
}

/// The kind by the first keyword, or past a WITH by the first keyword outside
/// parentheses; `None` for what begins no statement at all.
pub(super) fn kind_of(text: &str, tokens: &[Token]) -> Option<StatementKind> {
    let first = tokens
        .iter()
        .find(|token| !token.is(text, "(") && token.kind != TokenKind::TemplateTag)?;
    if let Some(kind) = kind_of_word(first.text(text)) {
        return Some(kind);
    }
    if first.is_word(text, "with") {
        let parenthesised = tokens.first().is_some_and(|token| token.is(text, "("));
        let mut depth = 0_usize;
        for token in tokens {
            if token.is(text, "(") {
                depth += 1;
            } else if token.is(text, ")") {
                depth = depth.saturating_sub(1);
            } else if depth == 0
                && token.kind == TokenKind::Word
                && let Some(kind) = kind_of_word(token.text(text))
            {
                return Some(kind);
            }
        }
        return Some(if parenthesised || depth > 0 {
            StatementKind::Select
        } else {
            StatementKind::Other
        });
    }
    OTHER_COMMANDS
        .iter()
        .any(|command| first.is_word(text, command))
        .then_some(StatementKind::Other)
}

fn read_piece(source: SourceId, text: &str, piece: &Piece) -> Option<Statement> {
    let whole = Span::new(source, piece.start..piece.end);
    let suppressions = piece
        .comments
        .iter()
        .filter_map(|comment| suppression(source, text, *comment))
        .collect();
    if piece.too_long {
        let problem = Problem::at(
            whole,
            format!(
                "the statement has {} bytes; statements over {MAX_STATEMENT} bytes are not analysed",
                piece.end - piece.start
            ),
        )
        .with_hint("load data with COPY, or pass long lists as one array parameter");
        return Some(Statement {
            span: whole,
            text: String::new(),
            server_text: String::new(),
            offsets: super::OffsetMap::default(),
            kind: StatementKind::Other,
            placeholders: Vec::new(),
            query: None,
            suppressions,
            problems: vec![problem],
        });
    }
    let tokens = without_explain(text, &piece.tokens);
    let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else {
        return None;
    };
    let span = Span::new(source, first.start..last.end);
    let prepared = prepare(source, text, tokens);
    let kind = kind_of(text, tokens);
    let mut statement = Statement {
        span,
        text: text.get(span.range()).unwrap_or("").to_owned(),
        server_text: prepared.server_text,
        offsets: prepared.offsets,
        kind: kind.unwrap_or(StatementKind::Other),
        placeholders: prepared.placeholders,
        query: None,
        suppressions,
        problems: Vec::new(),
    };
    let problem = early_problem(source, text, piece, tokens, kind);
    if let Some(problem) = problem {
        statement.problems.push(problem);
        return Some(statement);
    }
    if statement.kind != StatementKind::Other {
        let measure = Measure::of(text, tokens);
        if let Some(problem) = limit_problem(source, text, measure) {
            statement.problems.push(problem);
        } else {
            let outcome = parse_on_stack(&statement, None, measure.is_shallow());
            finish(&mut statement, outcome);
        }
    }
    Some(statement)
}

/// Puts the outcome of parsing into the statement.
fn finish(statement: &mut Statement, outcome: Option<Outcome>) {
    match outcome {
        Some(Outcome { query, problems }) => {
            statement.query = query;
            statement.problems.extend(problems);
        }
        None => statement.problems.push(
            Problem::at(statement.span, "the statement could not be analysed")
                .with_hint("it is still planned as it stands"),
        ),
    }
}

/// Reads a statement again with a catalogue: relations and columns are found
/// along the search path, and what the catalogue lacks is a problem.
pub fn resolve(statement: &mut Statement, catalog: &Catalog) -> Vec<Problem> {
    if statement.query.is_none() {
        return Vec::new();
    }
    let tokens: Vec<Token> = super::scan::Scanner::new(&statement.server_text, 0).collect();
    let shallow = Measure::of(&statement.server_text, &tokens).is_shallow();
    let outcome = parse_on_stack(statement, Some(catalog), shallow);
    let Some(Outcome {
        query: Some(query),
        problems,
    }) = outcome
    else {
        return Vec::new();
    };
    statement.query = Some(query);
    problems
}

struct Outcome {
    query: Option<Query>,
    problems: Vec<Problem>,
}

fn parse_on_stack(
    statement: &Statement,
    catalog: Option<&Catalog>,
    shallow: bool,
) -> Option<Outcome> {
    let grouped = precedence::grouped(&statement.server_text, &statement.offsets);
    let Some(grouped) = grouped else {
        return with_stack(shallow, || parse(statement, None, catalog));
    };
    let tokens: Vec<Token> = super::scan::Scanner::new(&grouped.text, 0).collect();
    let measure = Measure::of(&grouped.text, &tokens);
    let grouped = (!measure.exceeds()).then_some(&grouped);
    with_stack(shallow && measure.is_shallow(), || {
        parse(statement, grouped, catalog)
    })
}

fn parse(statement: &Statement, grouped: Option<&Grouped>, catalog: Option<&Catalog>) -> Outcome {
    if let Some(grouped) = grouped {
        let parsed = SourceFile::parse(&grouped.text);
        if parsed.errors().is_empty() {
            let mapper = walk::Mapper::new(statement.span.source, &grouped.offsets);
            let (query, problems) = walk::statement(&parsed.syntax_node(), mapper, catalog);
            return Outcome { query, problems };
        }
        // Errors are told of the text without the added parentheses.
    }
    let parsed = SourceFile::parse(&statement.server_text);
    let mapper = walk::Mapper::new(statement.span.source, &statement.offsets);
    if let Some(error) = parsed.errors().first() {
        let range = error.range();
        let (start, end) = (usize::from(range.start()), usize::from(range.end()));
        let mut span = mapper.span(start, end);
        span.start = span.start.clamp(statement.span.start, statement.span.end);
        span.end = span.end.clamp(span.start, statement.span.end);
        if span.start == span.end {
            span = beside(statement, span);
        }
        let message = plain_message(error.message());
        return Outcome {
            query: None,
            problems: vec![
                Problem::at(span, format!("syntax error: {message}"))
                    .with_hint("the other statements are analysed; correct this one and run again"),
            ],
        };
    }
    let (query, problems) = walk::statement(&parsed.syntax_node(), mapper, catalog);
    Outcome { query, problems }
}

/// The word at or after an empty span, or the last one before it.
fn beside(statement: &Statement, span: Span) -> Span {
    let at = span.start - statement.span.start;
    let tokens: Vec<Token> = super::scan::Scanner::new(&statement.text, 0).collect();
    tokens
        .iter()
        .find(|token| token.end > at && token.kind != TokenKind::Comment)
        .or(tokens.last())
        .map_or(span, |token| Span {
            start: statement.span.start + token.start,
            end: statement.span.start + token.end,
            ..span
        })
}

/// The parser's message in the words of people: `WHERE_KW` is WHERE.
pub(super) fn plain_message(message: &str) -> String {
    let words: Vec<String> = message
        .trim_end_matches('.')
        .split(' ')
        .enumerate()
        .map(|(at, word)| {
            let kind = word.trim_end_matches(',');
            let plain = match kind {
                "L_PAREN" => "\"(\"",
                "R_PAREN" => "\")\"",
                "L_BRACK" => "\"[\"",
                "R_BRACK" => "\"]\"",
                "COMMA" => "\",\"",
                "DOT" => "\".\"",
                "SEMICOLON" => "\";\"",
                "STAR" => "\"*\"",
                "EQ" => "\"=\"",
                "EOF" => "the end",
                "IDENT" => "a name",
                "INT_NUMBER" | "NUMERIC_NUMBER" => "a number",
                "STRING" => "a string",
                _ => kind.strip_suffix("_KW").unwrap_or(kind),
            };
            let rest = word.get(kind.len()..).unwrap_or("");
            let capital = plain.chars().next().is_some_and(char::is_uppercase)
                && plain.chars().nth(1).is_some_and(char::is_lowercase);
            if at == 0 && capital {
                format!("{}{rest}", plain.to_lowercase())
            } else {
                format!("{plain}{rest}")
            }
        })
        .collect();
    words.join(" ")
}

pub(super) fn early_problem(
    source: SourceId,
    text: &str,
    piece: &Piece,
    tokens: &[Token],
    kind: Option<StatementKind>,
) -> Option<Problem> {
    if let Some(at) = piece.nul {
        return Some(
            Problem::at(
                Span::new(source, at..at + 1),
                "the statement holds a NUL byte, which PostgreSQL does not take",
            )
            .with_hint("save the file as UTF-8 without NUL bytes"),
        );
    }
    if let Some(open) = tokens
        .iter()
        .find(|token| token.kind == TokenKind::Unterminated)
    {
        let opener: String = open.text(text).chars().take(2).collect();
        let what = match opener.as_str() {
            "/*" => "comment",
            "{{" | "{%" | "{#" => "template piece",
            other if other.starts_with('"') => "quoted identifier",
            other if other.starts_with('$') => "dollar-quoted string",
            _ => "string",
        };
        return Some(
            Problem::at(
                Span::new(source, open.start..open.start + opener.len()),
                format!("a {what} is opened here and never closed"),
            )
            .with_hint("close it; everything after it was taken as part of it"),
        );
    }
    if kind.is_none() {
        let first = tokens.first()?;
        return Some(
            Problem::at(
                Span::new(source, first.start..first.end),
                format!(
                    "syntax error: no SQL statement begins with \"{}\"",
                    first.text(text).chars().take(40).collect::<String>()
                ),
            )
            .with_hint("the other statements are analysed; correct this one and run again"),
        );
    }
    None
}

fn limit_problem(source: SourceId, text: &str, measure: Measure) -> Option<Problem> {
    let at = |at: usize| {
        let width = text
            .get(at..)
            .and_then(|rest| rest.chars().next())
            .map_or(1, char::len_utf8);
        Span::new(source, at..at + width)
    };
    if let Some(depth) = measure.depth_at {
        return Some(
            Problem::at(
                at(depth),
                format!(
                    "nested deeper than {MAX_DEPTH} levels here; the statement is not analysed"
                ),
            )
            .with_hint("simplify the expression"),
        );
    }
    measure.run_at.map(|run| {
        Problem::at(
            at(run),
            format!(
                "a list or chain of more than {MAX_RUN} tokens reaches its limit here; the statement is not analysed"
            ),
        )
        .with_hint("pass a long list as one array: = ANY($1)")
    })
}

/// Reads `pgadvise: ignore a, b (reason)` out of a comment.
pub(super) fn suppression(source: SourceId, text: &str, comment: Token) -> Option<Suppression> {
    let own = comment.text(text);
    let inner = own
        .strip_prefix("--")
        .or_else(|| {
            own.strip_prefix("/*")
                .map(|rest| rest.trim_end_matches("*/"))
        })?
        .trim();
    let rest = inner
        .strip_prefix("pgadvise:")?
        .trim_start()
        .strip_prefix("ignore")?;
    if !rest.is_empty() && !rest.starts_with([' ', '\t', ':', '(']) {
        return None;
    }
    let (names, reason) = match rest.split_once('(') {
        Some((names, reason)) => {
            let reason = reason.trim().trim_end_matches(')').trim();
            (names, (!reason.is_empty()).then(|| reason.to_owned()))
        }
        None => (rest, None),
    };
    let rules = names
        .split([',', ' ', '\t', ':'])
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    Some(Suppression {
        span: Span::new(source, comment.start..comment.end),
        rules,
        reason,
    })
}
