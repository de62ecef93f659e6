//! Code within statements: functions, procedures and `DO`.

use super::code::{self, Code};
use super::reader::{Mapping, Reader};
use super::text::{self, Decoded};
use super::tree::{self, Grammar, Node, SyntaxKind};
use super::{Body, CreateFunction, Statement, action, expression, setting};
use crate::sql::read::suppression;
use crate::sql::{OffsetMap, Suppression};

/// `DO` in `DO`, and texts that EXECUTE runs in them.
const MAX_BODIES: u8 = 4;
/// Blocks, loops, conditions and parentheses within each other.
const MAX_NESTING: usize = 200;

/// Whether a child starts a statement, and not a clause or a word.
fn is_statement(node: Node<'_>) -> bool {
    !node.is_token() && node.kind() != SyntaxKind::ERROR
}

impl Reader<'_> {
    /// The statement of a node, with its place.
    pub(super) fn statement(&self, node: Node<'_>) -> Statement {
        // The semicolon behind it is no part of it.
        let end = node
            .children()
            .take_while(|child| child.kind() != SyntaxKind::SEMICOLON)
            .last()
            .map_or(node.end(), Node::end);
        Statement {
            span: self.bytes(node.start(), end),
            verb: action::verb(node),
            action: self.action(node),
            suppressions: Vec::new(),
            templated: false,
        }
    }

    /// `CREATE FUNCTION`, `CREATE PROCEDURE`.
    pub(super) fn create_function(&self, node: Node<'_>) -> Option<CreateFunction> {
        let name = node.child_of(&[SyntaxKind::FUNCTION_NAME, SyntaxKind::PROCEDURE_NAME])?;
        let mut function = CreateFunction {
            name: text::path(name),
            or_replace: node.has(SyntaxKind::OR_REPLACE),
            procedure: node.kind() == SyntaxKind::CREATE_PROCEDURE,
            volatility: 'v',
            trigger: node.child(SyntaxKind::RET_TYPE).is_some_and(|returns| {
                returns
                    .nodes()
                    .last()
                    .is_some_and(|name| name.text().eq_ignore_ascii_case("trigger"))
            }),
            strict: false,
            security_definer: false,
            sets_search_path: false,
            sets: false,
            body: Body::default(),
        };
        let mut language = String::from("sql");
        let mut code = None;
        for option in node
            .child(SyntaxKind::FUNC_OPTION_LIST)
            .into_iter()
            .flat_map(Node::nodes)
        {
            match option.kind() {
                SyntaxKind::IMMUTABLE => function.volatility = 'i',
                SyntaxKind::STABLE => function.volatility = 's',
                SyntaxKind::SECURITY_DEFINER_FUNC_OPTION => function.security_definer = true,
                SyntaxKind::LANGUAGE_FUNC_OPTION => language = language_of(option),
                SyntaxKind::SET_FUNC_OPTION => {
                    function.sets = true;
                    function.sets_search_path |= option
                        .child(SyntaxKind::SET_CONFIG_PARAM)
                        .and_then(setting::assignment)
                        .is_some_and(|(name, _)| name == "search_path");
                }
                SyntaxKind::AS_FUNC_OPTION => {
                    code = option
                        .child(SyntaxKind::AS_DEFINITION)
                        .and_then(|definition| definition.child(SyntaxKind::LITERAL));
                }
                _ => {
                    let words = option.text();
                    function.strict |= words.eq_ignore_ascii_case("strict")
                        || words
                            .get(..12)
                            .is_some_and(|head| head.eq_ignore_ascii_case("returns null"));
                }
            }
        }
        function.body = match (code, node.child(SyntaxKind::ATOMIC_BODY)) {
            (Some(code), _) => self.body(code, language),
            (None, Some(atomic)) => Body {
                language,
                span: Some(self.span(atomic)),
                statements: atomic
                    .nodes()
                    .filter(|node| is_statement(*node))
                    .map(|node| self.statement(node))
                    .collect(),
                dynamic: Vec::new(),
                unread: false,
                value: None,
            },
            (None, None) => Body {
                unread: !node.has(SyntaxKind::RETURN_STMT),
                language,
                ..Body::default()
            },
        };
        Some(function)
    }

    /// The code of `DO`.
    pub(super) fn do_body(&self, node: Node<'_>) -> Body {
        let language = node
            .child(SyntaxKind::DO_LANGUAGE)
            .map_or_else(|| "plpgsql".to_owned(), language_of);
        match node.child(SyntaxKind::LITERAL) {
            Some(code) => self.body(code, language),
            None => Body {
                language,
                unread: true,
                ..Body::default()
            },
        }
    }

    fn body(&self, literal: Node<'_>, language: String) -> Body {
        let mut body = Body {
            language,
            unread: true,
            ..Body::default()
        };
        let grammar = match body.language.as_str() {
            "plpgsql" => Grammar::Plpgsql,
            "sql" => Grammar::Sql,
            _ => {
                body.span = Some(self.span(literal));
                return body;
            }
        };
        let Some((code, offsets)) = constant_text(literal) else {
            return body;
        };
        let start = offsets.pieces.first().map_or(0, |piece| piece.1);
        let end = offsets.pieces.last().map_or(start, |piece| piece.1);
        body.span = Some(self.bytes(start, end));
        if self.depth >= MAX_BODIES {
            return body;
        }
        let code = code::without_templates(code, false);
        let Code {
            text: code,
            nesting,
            comments,
        } = code::prepare(code, grammar == Grammar::Plpgsql);
        if nesting > MAX_NESTING {
            return body;
        }
        let inner = Mapping::Within(self.mapping, &offsets);
        let reader = Reader {
            mapping: &inner,
            depth: self.depth + 1,
            ..*self
        };
        let read = || {
            let mut body = Body::default();
            let (tree, fault) = tree::parse(&code, grammar);
            match grammar {
                Grammar::Plpgsql => reader.plpgsql(tree.root(), &mut body),
                Grammar::Sql => {
                    body.statements.extend(
                        tree.root()
                            .nodes()
                            .filter(|node| is_statement(*node))
                            .map(|node| reader.statement(node)),
                    );
                    body.value = selected(tree.root())
                        .map(|value| Box::new(reader.expression(value)))
                        .filter(|_| fault.is_none());
                }
            }
            body.unread = fault.is_some();
            body
        };
        if let Some(read) = super::piece::on_stack(nesting, read) {
            body.statements = read.statements;
            let comments = comments.iter().filter_map(|comment| {
                let mut found = suppression(self.source, &code, *comment)?;
                found.span = reader.bytes(comment.start, comment.end);
                Some(found)
            });
            self.suppress(&mut body.statements, comments);
            body.dynamic = read.dynamic;
            body.value = read.value;
            body.unread = read.unread;
        }
        body
    }

    /// Gives each comment to the statement that it stands before, or behind on
    /// the same line.
    fn suppress(&self, statements: &mut [Statement], comments: impl Iterator<Item = Suppression>) {
        for comment in comments {
            let next = statements.partition_point(|other| other.span.end <= comment.span.start);
            let same_line = next.checked_sub(1).filter(|before| {
                statements
                    .get(*before)
                    .and_then(|before| self.user.get(before.span.end..comment.span.start))
                    .is_some_and(|between| !between.contains('\n'))
            });
            if let Some(statement) = statements.get_mut(same_line.unwrap_or(next)) {
                statement.suppressions.push(comment);
            }
        }
    }

    /// All statements of a PL/pgSQL body, whichever branch they stand in.
    fn plpgsql(&self, root: Node<'_>, body: &mut Body) {
        let mut done = 0_usize;
        for node in root.descendants() {
            if node.index() < done || node.is_token() {
                continue;
            }
            match node.kind() {
                SyntaxKind::PLPGSQL_EXEC_SQL_STMT
                | SyntaxKind::PLPGSQL_PERFORM_STMT
                | SyntaxKind::PLPGSQL_RETURN_QUERY_STMT
                | SyntaxKind::PLPGSQL_OPEN_QUERY
                | SyntaxKind::PLPGSQL_CALL_STMT
                | SyntaxKind::PLPGSQL_DO_STMT => {
                    if let Some(statement) = node.nodes().next() {
                        body.statements.push(self.statement(statement));
                    }
                    done = node.after();
                }
                // The loop's own body follows among the descendants.
                SyntaxKind::PLPGSQL_FOR_QUERY_STMT | SyntaxKind::PLPGSQL_CURSOR_DECL => {
                    let query = node.nodes().find(|child| {
                        matches!(
                            child.kind(),
                            SyntaxKind::SELECT
                                | SyntaxKind::COMPOUND_SELECT
                                | SyntaxKind::PAREN_SELECT
                                | SyntaxKind::VALUES
                                | SyntaxKind::TABLE
                                | SyntaxKind::INSERT
                                | SyntaxKind::UPDATE
                                | SyntaxKind::DELETE
                                | SyntaxKind::MERGE
                        )
                    });
                    if let Some(query) = query {
                        body.statements.push(self.statement(query));
                        done = query.after();
                    }
                }
                SyntaxKind::PLPGSQL_DYN_EXECUTE_STMT
                | SyntaxKind::PLPGSQL_FOR_DYN_STMT
                | SyntaxKind::PLPGSQL_RETURN_QUERY_EXECUTE_STMT
                | SyntaxKind::PLPGSQL_OPEN_EXECUTE => {
                    if let Some(text) = node.child(SyntaxKind::PLPGSQL_EXPR) {
                        self.execute(text, body);
                        done = text.after();
                    }
                }
                _ => {}
            }
        }
    }

    /// `EXECUTE text`: its statements where the text is known.
    fn execute(&self, node: Node<'_>, body: &mut Body) {
        let value = node
            .child(SyntaxKind::TARGET_LIST)
            .and_then(|list| list.child(SyntaxKind::TARGET))
            .and_then(expression::first)
            .map(expression::bare);
        let mut guessed = false;
        let known = value.and_then(|value| {
            if value.kind() == SyntaxKind::LITERAL {
                return constant_text(value);
            }
            let text = put_together(value, 0, &mut guessed)?;
            let offsets = OffsetMap {
                pieces: vec![(0, value.start(), false), (text.len(), value.end(), true)],
            };
            Some((text, offsets))
        });
        let Some((text, offsets)) = known else {
            body.dynamic.push(self.span(node));
            return;
        };
        let Code { text, nesting, .. } = code::prepare(text, false);
        if self.depth >= MAX_BODIES || nesting > MAX_NESTING {
            body.dynamic.push(self.span(node));
            return;
        }
        let inner = Mapping::Within(self.mapping, &offsets);
        let reader = Reader {
            mapping: &inner,
            depth: self.depth + 1,
            ..*self
        };
        let read = super::piece::on_stack(nesting, || {
            let (tree, fault) = tree::parse(&text, Grammar::Sql);
            if fault.is_some() {
                return None;
            }
            let statements: Vec<Statement> = tree
                .root()
                .nodes()
                .filter(|node| is_statement(*node))
                .map(|node| reader.statement(node))
                .collect();
            Some(statements)
        });
        match read.flatten() {
            Some(mut statements) => {
                for statement in &mut statements {
                    statement.templated |= guessed;
                }
                body.statements.extend(statements);
            }
            None => body.dynamic.push(self.span(node)),
        }
    }
}

/// The language named, lower case.
fn language_of(node: Node<'_>) -> String {
    node.nodes()
        .next()
        .map(|name| text::string(name).unwrap_or_else(|| text::simple(name)))
        .unwrap_or_default()
        .to_ascii_lowercase()
}

/// A string constant's value, with the way back to where it stands.
fn constant_text(literal: Node<'_>) -> Option<(String, OffsetMap)> {
    let mut value = String::new();
    let mut pieces: Vec<(usize, usize, bool)> = Vec::new();
    let mut end = literal.end();
    for token in literal
        .children()
        .filter(|token| text::is_string(token.kind()))
    {
        let Decoded { value: own, runs } = text::decode(token.text())?;
        let base = value.len();
        pieces.extend(
            runs.into_iter()
                .map(|(at, from)| (base + at, token.start() + from, true)),
        );
        value.push_str(&own);
        end = token.end();
        if let Some(&(at, from, _)) = pieces.last() {
            end = from + (value.len() - at);
        }
    }
    if pieces.is_empty() {
        return None;
    }
    pieces.push((value.len(), end, true));
    Some((value, OffsetMap { pieces }))
}

/// The text of `'…' || quote_ident('…')` and `format('…', …)` of constants.
///
/// What is quoted as a literal is one whatever its value, so that the text is
/// known all the same but for it; `guessed` says so.
fn put_together(node: Node<'_>, depth: usize, guessed: &mut bool) -> Option<String> {
    if depth > 50 {
        return None;
    }
    let node = expression::bare(node);
    match node.kind() {
        SyntaxKind::LITERAL => text::string(node),
        SyntaxKind::CAST_EXPR => put_together(expression::first(node)?, depth + 1, guessed),
        SyntaxKind::BIN_EXPR => {
            let is_concatenation = node
                .nodes()
                .any(|child| child.kind() == SyntaxKind::CUSTOM_OP && child.text() == "||");
            if !is_concatenation {
                return None;
            }
            let mut sides = node
                .nodes()
                .filter(|child| expression::is_expression(child.kind()));
            let mut text = put_together(sides.next()?, depth + 1, guessed)?;
            text.push_str(&put_together(sides.next()?, depth + 1, guessed)?);
            Some(text)
        }
        SyntaxKind::CALL_EXPR => {
            let name = expression::dotted(node.nodes().next()?)?;
            let mut arguments: Vec<Option<String>> = Vec::new();
            for argument in node.child(SyntaxKind::ARG_LIST)?.nodes() {
                let value = expression::first(argument)?;
                arguments.push(put_together(value, depth + 1, guessed));
            }
            match (name.name.as_str(), arguments.as_slice()) {
                ("format", [Some(pattern), values @ ..]) => format(pattern, values, guessed),
                ("quote_ident", [Some(name)]) => Some(crate::catalog::ident::quote(name)),
                ("quote_literal" | "quote_nullable", [Some(value)]) => Some(quote_literal(value)),
                ("quote_literal" | "quote_nullable", [None]) => {
                    *guessed = true;
                    Some("''".to_owned())
                }
                ("concat", parts) => parts.iter().cloned().collect(),
                _ => None,
            }
        }
        _ => None,
    }
}

fn quote_literal(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// PostgreSQL's `format` with `%I`, `%L`, `%s` and `%n$I`; nothing for widths.
fn format(pattern: &str, values: &[Option<String>], guessed: &mut bool) -> Option<String> {
    let mut result = String::with_capacity(pattern.len());
    let mut next = 0_usize;
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            result.push(c);
            continue;
        }
        let mut number = 0_usize;
        while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
            chars.next();
            number = number.saturating_mul(10).saturating_add(digit as usize);
        }
        if number > 0 {
            if chars.next() != Some('$') {
                return None;
            }
            next = number - 1;
        }
        let kind = chars.next()?;
        if kind == '%' {
            result.push('%');
            continue;
        }
        let value = values.get(next)?;
        next += 1;
        match (kind, value) {
            ('I', Some(value)) => result.push_str(&crate::catalog::ident::quote(value)),
            ('L', Some(value)) => result.push_str(&quote_literal(value)),
            ('s', Some(value)) => result.push_str(value),
            ('L', None) => {
                *guessed = true;
                result.push_str("''");
            }
            _ => return None,
        }
    }
    Some(result)
}

/// The expression of a body that is `SELECT expression` and nothing else.
fn selected(root: Node<'_>) -> Option<Node<'_>> {
    let select = only(root).filter(|node| node.kind() == SyntaxKind::SELECT)?;
    let clause = only(select).filter(|node| node.kind() == SyntaxKind::SELECT_CLAUSE)?;
    let targets = only(clause).filter(|node| node.kind() == SyntaxKind::TARGET_LIST)?;
    let target = only(targets)?;
    let value = target
        .nodes()
        .next()
        .filter(|value| value.kind() != SyntaxKind::AS_NAME)?;
    let nested = value
        .descendants()
        .any(|node| node.kind() == SyntaxKind::SELECT);
    (!nested).then_some(value)
}

/// The only node below it.
fn only(node: Node<'_>) -> Option<Node<'_>> {
    let mut nodes = node.nodes();
    let first = nodes.next()?;
    nodes.next().is_none().then_some(first)
}
