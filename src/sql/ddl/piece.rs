//! From a piece of text between semicolons to its statement.

use super::code;
use super::dml::MAX_STRINGS;
use super::reader::{Mapping, Reader};
use super::text;
use super::tree::{self, Fault, Grammar, Node, SyntaxKind};
use super::{Action, Dml, DmlKind, Name, Place, Statement};
use crate::source::{Problem, SourceId, Span};
use crate::sql::placeholder::prepare;
use crate::sql::read::{early_problem, kind_of, plain_message, suppression, with_stack};
use crate::sql::scan::{Token, TokenKind};
use crate::sql::split::{MAX_STATEMENT, Piece};
use crate::sql::{StatementKind, Suppression};

/// Parentheses, CASEs and such within each other.
const MAX_NESTING: usize = 500;
/// Up to here the caller's own stack suffices.
const SHALLOW: usize = 24;
/// From so many tokens on, an INSERT is not parsed for its rows.
const LONG_INSERT: usize = 60;

/// Runs `work` where the stack is large enough for that nesting.
pub(super) fn on_stack<T: Send>(nesting: usize, work: impl FnOnce() -> T + Send) -> Option<T> {
    with_stack(nesting <= SHALLOW, work)
}

/// Reads one piece: a statement, or several of `CREATE SCHEMA`.
pub(super) fn read(
    source: SourceId,
    text: &str,
    piece: &Piece,
    statements: &mut Vec<Statement>,
    problems: &mut Vec<Problem>,
) {
    let suppressions: Vec<Suppression> = piece
        .comments
        .iter()
        .filter_map(|comment| suppression(source, text, *comment))
        .collect();
    let templated = piece.tokens.iter().any(|token| is_template(text, token));
    let first = statements.len();
    match read_piece(source, text, piece, statements) {
        Ok(()) => {}
        Err(problem) => {
            statements.truncate(first);
            statements.push(Statement {
                span: Span::new(source, piece.start..piece.end),
                verb: first_words(text, &piece.tokens),
                action: Action::Unreadable,
                suppressions: Vec::new(),
                templated: false,
            });
            problems.push(problem);
        }
    }
    let last = statements.len();
    for (at, statement) in statements.iter_mut().enumerate().skip(first) {
        statement.templated = templated;
        if at + 1 == last {
            statement.suppressions = suppressions;
            break;
        }
        statement.suppressions.clone_from(&suppressions);
    }
}

/// A token that no server takes as it stands, or that a template fills.
fn is_template(text: &str, token: &Token) -> bool {
    match token.kind {
        TokenKind::Text | TokenKind::Quoted => {
            let own = token.text(text);
            own.contains("${")
                || own.contains("{{") && (token.kind == TokenKind::Quoted || has_template(own))
        }
        kind => is_replaced(kind),
    }
}

/// Whether a string holds a piece of a template, `{{ index .Options "x" }}`,
/// and not just an array of arrays, `{{1,2},{3,4}}`: a piece has no braces in
/// it, does not begin with a number, nor with one word and a comma.
fn has_template(string: &str) -> bool {
    string.split("{{").skip(1).any(|rest| {
        let Some((own, _)) = rest.split_once("}}") else {
            return false;
        };
        let begins = own.trim_start_matches(['-', '~', '#', '/', '>']);
        let is_word = begins
            .trim_start()
            .starts_with(|first: char| first.is_alphabetic() || matches!(first, '.' | '$' | '_'));
        let list = own
            .split_once(',')
            .is_some_and(|(first, _)| !first.trim().contains(' '));
        is_word && !list && !own.contains(['{', '}'])
    })
}

/// Tokens that are replaced before the text is parsed.
fn is_replaced(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::Question
            | TokenKind::DoubledQuestion
            | TokenKind::Named
            | TokenKind::PercentS
            | TokenKind::PsqlIdentifier
            | TokenKind::Template
            | TokenKind::TemplateTag
            | TokenKind::Backslash
    )
}

fn read_piece(
    source: SourceId,
    text: &str,
    piece: &Piece,
    statements: &mut Vec<Statement>,
) -> Result<(), Problem> {
    let tokens = piece.tokens.as_slice();
    let whole = Span::new(source, piece.start..piece.end);
    if let Some(problem) = early_problem(source, text, piece, tokens, Some(StatementKind::Other)) {
        return Err(problem);
    }
    if (piece.too_long || tokens.len() > LONG_INSERT)
        && let Some(insert) = long_insert(source, text, piece)
    {
        statements.push(Statement {
            span: whole,
            verb: "INSERT".to_owned(),
            action: Action::Dml(Box::new(insert)),
            suppressions: Vec::new(),
            templated: false,
        });
        return Ok(());
    }
    if piece.too_long {
        return Err(Problem::at(
            whole,
            format!(
                "the statement has {} bytes; statements over {MAX_STATEMENT} bytes are not read",
                piece.end - piece.start
            ),
        )
        .with_hint("what it does is not checked; split it"));
    }
    if tokens
        .iter()
        .all(|token| is_replaced(token.kind) || token.kind == TokenKind::Punctuation)
    {
        return Err(
            Problem::at(whole, "a placeholder stands here for whole statements").with_hint(
                "what it holds is not checked; check the text with the placeholder filled in",
            ),
        );
    }
    let nesting = nesting(text, tokens);
    if nesting > MAX_NESTING {
        return Err(Problem::at(
            whole,
            format!("nested deeper than {MAX_NESTING} levels; the statement is not read"),
        )
        .with_hint("simplify its expressions"));
    }
    let own = text.get(piece.start..piece.end).unwrap_or("");
    let mapping = Mapping::Direct(piece.start);
    let direct = Reader {
        source,
        user: text,
        mapping: &mapping,
        depth: 0,
    };
    let outcome = if tokens.iter().any(|token| is_replaced(token.kind)) {
        let prepared = prepare(source, text, tokens);
        let mapping = Mapping::Offsets(&prepared.offsets);
        let reader = Reader {
            mapping: &mapping,
            ..direct
        };
        // What looked like a placeholder may be an operator: `a ? 'b'`.
        on_stack(nesting, || {
            parse(reader, &prepared.server_text)
                .or_else(|problem| parse(direct, own).map_err(|_| problem))
        })
    } else {
        on_stack(nesting, || parse(direct, own))
    };
    // `"{{ .Schema "main" }}"`: template pieces with quotes within quotes.
    let outcome = match outcome {
        Some(Err(problem)) if own.contains("{{") => {
            let filled = code::without_templates(own.to_owned(), true);
            on_stack(nesting, || parse(direct, &filled).map_err(|_| problem))
        }
        other => other,
    };
    match outcome {
        Some(Ok(read)) => {
            statements.extend(read);
            Ok(())
        }
        Some(Err((at, message))) => Err(fault(source, text, piece, at, &message)),
        None => Err(Problem::at(whole, "the statement could not be read")
            .with_hint("what it does is not checked")),
    }
}

/// Where in the user's text, and what.
type At = (usize, String);

fn parse(reader: Reader<'_>, text: &str) -> Result<Vec<Statement>, At> {
    let (tree, fault) = tree::parse(text, Grammar::Sql);
    if let Some(Fault { at, message }) = fault {
        return Err((reader.bytes(at, at).start, plain_message(&message)));
    }
    let mut read: Vec<Statement> = Vec::with_capacity(1);
    let mut in_schema = false;
    for node in tree.root().nodes() {
        if !read.is_empty() && !in_schema {
            let at = reader.span(node).start;
            return Err((at, "expected \";\" before this statement".to_owned()));
        }
        if node.kind() == SyntaxKind::CREATE_SCHEMA {
            in_schema = true;
            schema(&reader, node, &mut read);
            continue;
        }
        let statement = reader.statement(node);
        if let Some((name, span)) = untyped(node, &statement) {
            return Err((span.end, format!("expected a type for the column {name}")));
        }
        read.push(statement);
    }
    if read.is_empty() {
        return Err((reader.bytes(0, 0).start, "expected a statement".to_owned()));
    }
    Ok(read)
}

/// `CREATE SCHEMA s CREATE TABLE t …`: what stands in it is made in it.
fn schema(reader: &Reader<'_>, node: Node<'_>, read: &mut Vec<Statement>) {
    let head = [
        SyntaxKind::IF_NOT_EXISTS,
        SyntaxKind::NAMED_SCHEMA,
        SyntaxKind::AUTHORIZATION_SCHEMA,
    ];
    let mut own = reader.statement(node);
    if let Some(name) = node.child_of(&[SyntaxKind::NAMED_SCHEMA, SyntaxKind::AUTHORIZATION_SCHEMA])
    {
        own.span = reader.bytes(node.start(), name.end());
    }
    let name = match &own.action {
        Action::CreateSchema { name, .. } => name.clone(),
        _ => String::new(),
    };
    read.push(own);
    for element in node.nodes().filter(|child| !head.contains(&child.kind())) {
        let mut statement = reader.statement(element);
        let made = match &mut statement.action {
            Action::CreateTable(table) => Some(&mut table.table.name),
            Action::CreateView(view) => Some(&mut view.name.name),
            Action::CreateIndex(index) => Some(&mut index.table.name),
            Action::CreateTrigger(trigger) => Some(&mut trigger.table.name),
            Action::CreateSequence { name, .. } => Some(name),
            Action::CreateType(made) => Some(&mut made.name),
            Action::CreateDomain(made) => Some(&mut made.name),
            Action::CreateFunction(made) => Some(&mut made.name),
            _ => None,
        };
        if let Some(made) = made {
            made.schema.get_or_insert_with(|| name.clone());
        }
        read.push(statement);
    }
}

/// A column without a type, which `SQLite` takes and PostgreSQL does not.
fn untyped(node: Node<'_>, statement: &Statement) -> Option<(String, Span)> {
    match &statement.action {
        Action::CreateTable(table) if !node.has(SyntaxKind::OF_TYPE) => {
            super::table::untyped(table)
        }
        _ => None,
    }
}

/// A syntax error as a problem.
fn fault(source: SourceId, text: &str, piece: &Piece, at: usize, message: &str) -> Problem {
    let tokens = piece.tokens.as_slice();
    if kind_of(text, tokens).is_none()
        && let Some(problem) = early_problem(source, text, piece, tokens, None)
    {
        return with_dialect(problem, text, piece);
    }
    let token = tokens.iter().find(|token| token.end > at).or(tokens.last());
    let span = token.map_or_else(
        || Span::new(source, piece.start..piece.end),
        |token| Span::new(source, token.start..token.end),
    );
    let beyond = tokens.last().is_some_and(|last| at >= last.end);
    let place = match token {
        Some(token) if !beyond => {
            let word: String = token.text(text).chars().take(30).collect();
            format!(" at \"{}\"", word.lines().next().unwrap_or(""))
        }
        _ => " at the end".to_owned(),
    };
    let problem = Problem::at(span, format!("syntax error{place}: {message}"))
        .with_hint("this statement is not checked, the others are; correct it and run again");
    with_dialect(problem, text, piece)
}

/// Says so when the text looks like another database's.
fn with_dialect(problem: Problem, text: &str, piece: &Piece) -> Problem {
    let own = text
        .get(piece.start..piece.end.min(piece.start + 20_000))
        .or_else(|| text.get(piece.start..piece.end))
        .unwrap_or("");
    let word = |word: &str| piece.tokens.iter().any(|token| token.is_word(text, word));
    let first = |word: &str| {
        piece
            .tokens
            .first()
            .is_some_and(|token| token.is_word(text, word))
    };
    let dialect = if word("autoincrement") || first("pragma") {
        "SQLite"
    } else if word("auto_increment") || word("engine") || own.contains('`') || first("delimiter") {
        "MySQL"
    } else if word("nvarchar") || word("varchar2") || first("go") {
        "another database"
    } else {
        return problem;
    };
    problem.with_hint(format!(
        "it looks like the SQL of {dialect}; only PostgreSQL's is checked: leave such files out"
    ))
}

/// The first keywords of what could not be read.
fn first_words(text: &str, tokens: &[Token]) -> String {
    let words: Vec<String> = tokens
        .iter()
        .take(2)
        .take_while(|token| token.kind == TokenKind::Word)
        .map(|token| token.text(text).to_ascii_uppercase())
        .collect();
    match words.as_slice() {
        [first, second]
            if matches!(
                first.as_str(),
                "CREATE" | "ALTER" | "DROP" | "COMMENT" | "LOCK" | "REFRESH"
            ) =>
        {
            format!("{first} {second}")
        }
        [first, ..] => first.clone(),
        [] => String::new(),
    }
}

/// How deep the parser may have to go: what nests, and what chains to the
/// right.
fn nesting(text: &str, tokens: &[Token]) -> usize {
    let mut depth = 0_usize;
    let mut most = 0_usize;
    let mut prefix = 0_usize;
    let mut chained = 0_usize;
    for token in tokens {
        match token.kind {
            TokenKind::Punctuation => {
                prefix = 0;
                match token.text(text) {
                    "(" | "[" => depth += 1,
                    ")" | "]" => depth = depth.saturating_sub(1),
                    _ => {}
                }
            }
            TokenKind::Operator => prefix += 1,
            TokenKind::Word => {
                let own = token.text(text);
                match own.len() {
                    3 if own.eq_ignore_ascii_case("not") => prefix += 1,
                    3 if own.eq_ignore_ascii_case("end") => depth = depth.saturating_sub(1),
                    4 if own.eq_ignore_ascii_case("case") => depth += 1,
                    5 if own.eq_ignore_ascii_case("union") => chained += 1,
                    6 if own.eq_ignore_ascii_case("except") => chained += 1,
                    9 if own.eq_ignore_ascii_case("intersect") => chained += 1,
                    _ => prefix = 0,
                }
            }
            _ => prefix = 0,
        }
        most = most.max(depth + prefix);
    }
    most + chained
}

/// `INSERT INTO t (…) VALUES …` of many rows, by its tokens alone.
fn long_insert(source: SourceId, text: &str, piece: &Piece) -> Option<Dml> {
    let mut tokens = piece.tokens.iter().peekable();
    let word = |token: Option<&Token>, word: &str| token.is_some_and(|t| t.is_word(text, word));
    if !word(tokens.next(), "insert") || !word(tokens.next(), "into") {
        return None;
    }
    let is_name = |token: &&Token| matches!(token.kind, TokenKind::Word | TokenKind::Quoted);
    let first = tokens.next().filter(is_name)?;
    let mut last = first;
    let mut name = Name::bare(text::fold(first.text(text)));
    while tokens.peek().is_some_and(|token| token.is(text, ".")) {
        tokens.next();
        last = tokens.next().filter(is_name)?;
        name = Name::qualified(name.name, text::fold(last.text(text)));
    }
    let mut columns = Vec::new();
    if tokens.peek().is_some_and(|token| token.is(text, "(")) {
        tokens.next();
        loop {
            let column = tokens.next().filter(is_name)?;
            columns.push(text::fold(column.text(text)));
            let next = tokens.next()?;
            if next.is(text, ")") {
                break;
            }
            if !next.is(text, ",") {
                return None;
            }
        }
    }
    if !word(tokens.next(), "values") {
        return None;
    }
    let mut strings = Vec::new();
    let mut on_conflict = false;
    while let Some(token) = tokens.next() {
        match token.kind {
            TokenKind::Text if strings.len() < MAX_STRINGS => {
                strings.extend(text::decode(token.text(text)).map(|decoded| decoded.value));
            }
            // What is asked within is read by the parser.
            TokenKind::Word if token.is_word(text, "select") => return None,
            TokenKind::Word if token.is_word(text, "on") => {
                on_conflict |= tokens
                    .peek()
                    .is_some_and(|next| next.is_word(text, "conflict"));
            }
            _ => {}
        }
    }
    Some(Dml {
        kind: DmlKind::Insert,
        target: Some(Place {
            name,
            span: Span::new(source, first.start..last.end),
        }),
        reads: Vec::new(),
        locks: Vec::new(),
        filtered: false,
        values: true,
        limited: false,
        on_conflict,
        strings,
        columns,
        also_writes: Vec::new(),
    })
}
