//! The statement at which rewrites look, and the facts that prove what they
//! need: types, NOT NULL, the time zone, volatility, sizes.

use crate::catalog::{Catalog, Column, Relation, RelationKind, expression};
use crate::finding::Precondition;
use crate::source::Span;
use crate::sql::{Clause, ColumnRef, Predicate, Query, RelationRef, Select, SelectId, Statement};
use crate::subject::Subject;

use super::words;

/// Rows below which a table is read in no time whatever the query looks like.
const SMALL_TABLE_ROWS: f64 = 1_000.0;

/// A statement with its meaning and a catalogue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) subject: Subject<'a>,
    pub(super) statement: &'a Statement,
    pub(super) query: &'a Query,
    pub(super) catalog: &'a Catalog,
}

impl<'a> Site<'a> {
    /// The site, when the subject has all three parts.
    pub(super) fn new(subject: &Subject<'a>) -> Option<Self> {
        let statement = subject.statement?;
        Some(Self {
            subject: *subject,
            statement,
            query: statement.query.as_ref()?,
            catalog: subject.catalog?,
        })
    }

    /// The user's text of a span of the statement.
    pub(super) fn text(&self, span: Span) -> &'a str {
        let base = self.statement.span.start;
        let range = span.start.checked_sub(base).zip(span.end.checked_sub(base));
        range
            .and_then(|(start, end)| self.statement.text.get(start..end))
            .unwrap_or("")
    }

    /// A span of the source between two offsets.
    pub(super) fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.statement.span.source, start..end)
    }

    /// A level's text, from its first keyword to its last token, and where
    /// it starts.
    pub(super) fn level_text(&self, select: &Select) -> (&'a str, usize) {
        (self.text(select.span), select.span.start)
    }

    /// A keyword in the case that the statement is written in.
    pub(super) fn keyword(&self, upper: &str) -> String {
        let writes_upper = words::code(&self.statement.text)
            .first()
            .is_some_and(|word| word.text.chars().all(|c| c.is_ascii_uppercase()));
        if writes_upper {
            upper.to_owned()
        } else {
            upper.to_lowercase()
        }
    }

    /// The table and column that a reference means.
    pub(super) fn column(&self, column: &ColumnRef) -> Option<(&'a Relation, &'a Column)> {
        self.subject.column(column)
    }

    /// The predicates that decide which rows are read: those of WHERE and ON,
    /// with the wrapped or bare column of a table that is worth an index.
    pub(super) fn filters(
        &self,
    ) -> impl Iterator<Item = (SelectId, &'a Predicate, &'a Relation, &'a Column)> {
        let site = *self;
        self.query
            .predicates()
            .filter(|(_, predicate)| predicate.clause != Clause::Having)
            .filter_map(move |(level, predicate)| {
                let (relation, column) = site.column(predicate.left.column()?)?;
                (has_storage(relation) && is_worthwhile(relation))
                    .then_some((level, predicate, relation, column))
            })
    }

    /// An index on the expression as it is written makes a rewrite pointless.
    pub(super) fn expression_is_indexed(&self, relation: &Relation, operand: Span) -> bool {
        let written = expression::normalized(self.text(operand));
        relation.indexes.iter().any(|index| {
            index
                .keys
                .iter()
                .any(|key| key.column.is_none() && expression::normalized(&key.text) == written)
        })
    }

    /// `orders.created_at`, for messages.
    pub(super) fn name(relation: &Relation, column: &Column) -> String {
        format!("{}.{}", relation.name, column.name)
    }

    /// What the type of a column is, as a precondition.
    pub(super) fn type_fact(relation: &Relation, column: &Column) -> Precondition {
        Precondition {
            claim: format!("{} is {}", Self::name(relation, column), column.type_name),
            proof: "the column's type in the catalogue".to_owned(),
        }
    }

    /// Every local day, hour and month starts once, whatever the date: the
    /// session's time zone has a fixed offset. Otherwise the reason why that
    /// is not known.
    pub(super) fn fixed_zone(&self) -> Result<Precondition, String> {
        let zone = self
            .catalog
            .settings
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("timezone"))
            .map(|(_, zone)| zone.as_str());
        match zone {
            Some(zone) if is_fixed_zone(zone) => Ok(Precondition {
                claim: "local time has a fixed offset from UTC".to_owned(),
                proof: format!("the setting TimeZone is {zone}; sessions must not set another"),
            }),
            Some(zone) => Err(format!(
                "the setting TimeZone is {zone}, where an hour can come twice when clocks change, \
                 so that a range would lose or gain rows"
            )),
            None => Err("the setting TimeZone is not known".to_owned()),
        }
    }

    /// The placeholder of that number cannot be written twice: `?` and `%s`
    /// stand for the next value each time.
    pub(super) fn is_positional(&self, span: Span) -> bool {
        self.statement.placeholders.iter().any(|placeholder| {
            span.contains(placeholder.span) && (placeholder.text == "?" || placeholder.text == "%s")
        })
    }

    /// A placeholder and nothing else, no cast around it.
    pub(super) fn is_bare_placeholder(&self, span: Span) -> bool {
        self.statement
            .placeholders
            .iter()
            .any(|placeholder| placeholder.span == span)
    }

    /// Whether a call that gives another value each time stands in a level or
    /// below it; the name of the first.
    pub(super) fn volatile_call(&self, level: SelectId) -> Option<&'a str> {
        self.query
            .functions
            .iter()
            .filter(|call| self.is_within(call.select, level))
            .map(|call| call.name.as_str())
            .find(|name| self.is_volatile(name))
    }

    /// Whether a function is volatile, by the catalogue or by the list of the
    /// built-in ones.
    pub(super) fn is_volatile(&self, name: &str) -> bool {
        match self.catalog.functions.get(name) {
            Some(volatility) => *volatility == 'v',
            None => VOLATILE.contains(&name),
        }
    }

    /// Whether a level is another one or inside it.
    pub(super) fn is_within(&self, level: SelectId, outer: SelectId) -> bool {
        let mut at = Some(level);
        while let Some(id) = at {
            if id == outer {
                return true;
            }
            at = self.query.selects.get(id).and_then(|select| select.parent);
        }
        false
    }

    /// The FROM item that a column reference means.
    pub(super) fn relation_ref(&self, column: &ColumnRef) -> Option<&'a RelationRef> {
        self.query.relation_of(column)
    }

    /// Proves that a column is never null; see [`Subject::never_null`].
    pub(super) fn never_null(
        &self,
        column: &ColumnRef,
        except: Option<Span>,
    ) -> Result<Precondition, String> {
        self.subject
            .never_null(column, except)
            .map(|(claim, proof)| Precondition { claim, proof })
    }
}

/// A table whose rows PostgreSQL keeps itself, so that an index can help.
fn has_storage(relation: &Relation) -> bool {
    matches!(
        relation.kind,
        RelationKind::Table | RelationKind::PartitionedTable | RelationKind::MaterializedView
    )
}

/// Large enough (or of unknown size) for the way it is read to matter.
pub(super) fn is_worthwhile(relation: &Relation) -> bool {
    relation.tuples.is_none_or(|rows| rows >= SMALL_TABLE_ROWS)
}

/// Zones without daylight saving and without any change of offset in history.
pub(super) fn is_fixed_zone(zone: &str) -> bool {
    let zone = zone.trim().trim_matches('\'');
    let name = zone
        .strip_prefix("Etc/")
        .or_else(|| zone.strip_prefix("etc/"))
        .unwrap_or(zone)
        .to_ascii_lowercase();
    matches!(
        name.as_str(),
        "utc" | "gmt" | "uct" | "zulu" | "universal" | "gmt0" | "gmt+0" | "gmt-0"
    ) || zone.starts_with("Etc/GMT")
}

/// Built-in volatile functions that queries call.
const VOLATILE: &[&str] = &[
    "clock_timestamp",
    "currval",
    "dblink",
    "gen_random_uuid",
    "lastval",
    "lo_create",
    "lo_unlink",
    "nextval",
    "pg_advisory_lock",
    "pg_advisory_unlock",
    "pg_advisory_xact_lock",
    "pg_cancel_backend",
    "pg_notify",
    "pg_sleep",
    "pg_terminate_backend",
    "pg_try_advisory_lock",
    "pg_try_advisory_xact_lock",
    "random",
    "random_normal",
    "set_config",
    "setseed",
    "setval",
    "timeofday",
    "uuid_generate_v1",
    "uuid_generate_v4",
    "uuidv4",
    "uuidv7",
];
