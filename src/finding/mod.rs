//! What rules find, and what is suggested about it.

pub mod migration;

use std::collections::BTreeMap;

use crate::plan::NodeId;
use crate::source::Span;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Worth knowing; costs little now.
    Note,
    /// Slow, or will be.
    Warning,
    /// Most of the statement's time or cost, or a wrong result is likely.
    Critical,
}

impl Level {
    /// Its name in options, configuration and output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// A number or text that supports a finding.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// What it is: `rows removed by the filter`.
    pub label: String,
    /// How much.
    pub value: Value,
    /// Where it was read.
    pub from: Origin,
}

impl Evidence {
    /// A piece of evidence.
    pub fn new(label: impl Into<String>, value: Value, from: Origin) -> Self {
        Self {
            label: label.into(),
            value,
            from,
        }
    }
}

/// A value with its unit, so that renderers format units in one place.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number of rows.
    Rows(f64),
    /// A number of anything else.
    Count(f64),
    /// Milliseconds.
    Ms(f64),
    /// Bytes.
    Bytes(f64),
    /// Blocks of 8 KiB.
    Blocks(f64),
    /// A share, 0 to 1.
    Share(f64),
    /// A factor: 12 is "12×".
    Factor(f64),
    /// Planner cost units.
    Cost(f64),
    /// A name or a condition.
    Text(String),
}

/// Where a number was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A node of the plan.
    Plan(NodeId),
    /// The SQL.
    Sql(Span),
    /// The catalogue: the object's name.
    Catalog(String),
    /// Statistics: the table or column.
    Statistics(String),
    /// A formula, named.
    Formula(&'static str),
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The rule's name.
    pub rule: &'static str,
    /// How much it matters.
    pub level: Level,
    /// The place in the SQL, if it has one.
    pub span: Option<Span>,
    /// The plan node, if it has one.
    pub node: Option<NodeId>,
    /// The table concerned, as (schema, name): what indexes and statistics are
    /// matched by.
    pub relation: Option<(String, String)>,
    /// What is wrong: no capital at the start unless a name, no full stop.
    pub message: String,
    /// Why it matters here, in a sentence or two.
    pub why: String,
    /// What supports it; never empty.
    pub evidence: Vec<Evidence>,
    /// What to do.
    pub suggestions: Vec<Suggestion>,
    /// The share of the statement's time (with actuals) or cost (without)
    /// that the finding could save, 0 to 1: orders the findings.
    pub share: f64,
}

/// The author's claim about a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Applicability {
    /// Needs a person's hand or judgement.
    Manual,
    /// The query may answer differently.
    MayChangeResults,
    /// The query answers the same.
    SameResults,
}

/// What to change.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Build an index.
    CreateIndex(IndexSpec),
    /// Create an extended statistics object and analyse.
    CreateStatistics {
        /// The complete SQL, ANALYZE included.
        sql: String,
        /// The table.
        relation: (String, String),
    },
    /// Run ANALYZE, with a statistics target set before where `sql` says so.
    Analyze {
        /// The complete SQL.
        sql: String,
        /// The table.
        relation: (String, String),
    },
    /// Edit the statement.
    Rewrite {
        /// Edits on the statement's own text, ascending, not overlapping.
        edits: Vec<Edit>,
    },
    /// Change a setting, for the session or the role.
    Setting {
        /// `SET work_mem = '64MB'`.
        sql: String,
    },
    /// Tell the planner what no statistics say: the rows of a function, a
    /// foreign key, an option of a foreign table.
    Alter {
        /// The complete SQL.
        sql: String,
    },
    /// Something to do by hand, in words.
    Advice {
        /// What.
        text: String,
    },
}

/// One edit: replace a span by a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced, in the user's text.
    pub span: Span,
    /// By what.
    pub text: String,
}

/// An index to build.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexSpec {
    /// Schema of the table.
    pub schema: String,
    /// Table.
    pub table: String,
    /// Name of the index.
    pub name: String,
    /// Access method.
    pub method: String,
    /// Keys in order.
    pub keys: Vec<IndexSpecKey>,
    /// `INCLUDE` columns, unquoted.
    pub include: Vec<String>,
    /// `WHERE` predicate as SQL.
    pub predicate: Option<String>,
    /// Storage parameters as written between the parentheses of `WITH`.
    pub with: Option<String>,
    /// An extension that must be created first: `pg_trgm` for its operator
    /// classes.
    pub extension: Option<String>,
    /// All partitions, each behind its parent, when the table is partitioned:
    /// an index on it cannot be built concurrently in one statement.
    pub partitions: Vec<SpecPartition>,
}

/// A partition of the table that an index is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpecPartition {
    /// Schema.
    pub schema: String,
    /// Name.
    pub table: String,
    /// Schema and name of the partitioned table that it is a partition of.
    pub parent: (String, String),
    /// It has partitions itself.
    pub is_partitioned: bool,
}

/// One key of an index to build.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexSpecKey {
    /// Column name (unquoted) when `is_expression` is false, else SQL.
    pub text: String,
    /// An expression, put in parentheses.
    pub is_expression: bool,
    /// Operator class, unless the default.
    pub opclass: Option<String>,
    /// `DESC`.
    pub descending: bool,
    /// `NULLS FIRST` or `LAST`, unless the default of the direction.
    pub nulls_first: Option<bool>,
}

impl IndexSpecKey {
    /// A plain ascending column.
    pub fn column(name: impl Into<String>) -> Self {
        Self {
            text: name.into(),
            is_expression: false,
            opclass: None,
            descending: false,
            nulls_first: None,
        }
    }
}

impl IndexSpec {
    /// What stands between the method and the end: keys, INCLUDE, WITH, WHERE.
    fn body(&self) -> String {
        use crate::catalog::ident::quote;
        let keys: Vec<String> = self
            .keys
            .iter()
            .map(|key| {
                let mut text = if key.is_expression {
                    format!("({})", key.text)
                } else {
                    quote(&key.text)
                };
                if let Some(opclass) = &key.opclass {
                    text.push(' ');
                    text.push_str(opclass);
                }
                if key.descending {
                    text.push_str(" DESC");
                }
                match key.nulls_first {
                    Some(true) => text.push_str(" NULLS FIRST"),
                    Some(false) => text.push_str(" NULLS LAST"),
                    None => {}
                }
                text
            })
            .collect();
        let mut body = String::new();
        if self.method != "btree" {
            body.push_str(&format!(" USING {}", self.method));
        }
        body.push_str(&format!(" ({})", keys.join(", ")));
        if !self.include.is_empty() {
            let include: Vec<String> = self.include.iter().map(|name| quote(name)).collect();
            body.push_str(&format!(" INCLUDE ({})", include.join(", ")));
        }
        if let Some(with) = &self.with {
            body.push_str(&format!(" WITH ({with})"));
        }
        if let Some(predicate) = &self.predicate {
            body.push_str(&format!(" WHERE {predicate}"));
        }
        body
    }

    /// What to run in production, without blocking writes: the extension
    /// first where one is needed, and partition by partition where the table
    /// is partitioned (`CREATE INDEX CONCURRENTLY` refuses partitioned tables;
    /// the parent's index becomes valid when the last partition's is
    /// attached).
    pub fn concurrent_sql(&self) -> String {
        use crate::catalog::ident::quote;
        let mut statements = Vec::new();
        if let Some(extension) = &self.extension {
            statements.push(format!(
                "CREATE EXTENSION IF NOT EXISTS {}",
                quote(extension)
            ));
        }
        if self.partitions.is_empty() {
            statements.push(self.sql("CREATE INDEX CONCURRENTLY", "ON"));
        } else {
            self.push_partitioned(&mut statements);
        }
        statements.join(";\n")
    }

    /// The parents' indexes first, which are only definitions, each followed
    /// by its partitions' that are built and attached.
    fn push_partitioned(&self, statements: &mut Vec<String>) {
        use crate::catalog::ident::quote;
        statements.push(self.sql("CREATE INDEX", "ON ONLY"));
        let mut names = BTreeMap::from([((&self.schema, &self.table), self.name.clone())]);
        for (number, partition) in self.partitions.iter().enumerate() {
            let SpecPartition { schema, table, .. } = partition;
            let name = shorten(&format!("{table}_{}", self.name), number + 1);
            let part = Self {
                schema: schema.clone(),
                table: table.clone(),
                name: name.clone(),
                extension: None,
                partitions: Vec::new(),
                ..self.clone()
            };
            statements.push(if partition.is_partitioned {
                part.sql("CREATE INDEX", "ON ONLY")
            } else {
                part.sql("CREATE INDEX CONCURRENTLY", "ON")
            });
            let (parent_schema, parent_table) = &partition.parent;
            if let Some(parent) = names.get(&(parent_schema, parent_table)) {
                statements.push(format!(
                    "ALTER INDEX {}.{} ATTACH PARTITION {}.{}",
                    quote(parent_schema),
                    quote(parent),
                    quote(schema),
                    quote(&name)
                ));
            }
            names.insert((schema, table), name);
        }
    }

    /// The statement for a throw-away cluster.
    pub fn plain_sql(&self) -> String {
        self.sql("CREATE INDEX", "ON")
    }

    fn sql(&self, verb: &str, on: &str) -> String {
        use crate::catalog::ident::quote;
        // A plan without VERBOSE does not say the schema.
        let schema = if self.schema.is_empty() {
            String::new()
        } else {
            format!("{}.", quote(&self.schema))
        };
        format!(
            "{verb} {} {on} {schema}{}{}",
            quote(&self.name),
            quote(&self.table),
            self.body()
        )
    }
}

/// The name, cut to what PostgreSQL keeps; a cut name ends in the number, so
/// that it stays unlike its neighbours.
fn shorten(name: &str, number: usize) -> String {
    use crate::catalog::ident::MAX_LENGTH;
    if name.len() <= MAX_LENGTH {
        return name.to_owned();
    }
    let suffix = format!("_{number}");
    let mut end = MAX_LENGTH - suffix.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{suffix}", name.get(..end).unwrap_or(name))
}

/// What a change costs besides.
#[derive(Debug, Clone, PartialEq)]
pub enum SideEffect {
    /// Space on disk, bytes.
    Disk {
        /// Bytes.
        bytes: f64,
        /// How it is known.
        how: String,
    },
    /// Work added to writes.
    Writes(String),
    /// Locks taken or waited for.
    Lock(String),
    /// What callers must change or know.
    Caller(String),
}

/// A condition under which a rewrite gives the same results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Precondition {
    /// What must hold: `orders.customer_id is NOT NULL`.
    pub claim: String,
    /// Which fact of the catalogue or of the text proves it.
    pub proof: String,
}

/// What a planner said about a change.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The planner's cost falls.
    Better(Comparison),
    /// The planner's row estimate comes nearer to the truth, which is what
    /// statistics are for; the cost may rise with it, as it was wrong before.
    BetterEstimate(Comparison),
    /// The planner does not use it, or the cost stays.
    NoChange(Comparison),
    /// The cost rises.
    Worse(Comparison),
    /// No planner tried it.
    Untested {
        /// Why not.
        why: String,
    },
}

/// Before and after, from one planner.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Cost of the plan without the change.
    pub before_cost: f64,
    /// Cost of the plan with it.
    pub after_cost: f64,
    /// Which planner: `PostgreSQL 17.5 (embedded)`.
    pub engine: String,
    /// What changed in the plan, in words: `Seq Scan on orders became Index
    /// Scan using …`.
    pub plan_change: Option<String>,
    /// What was and was not checked besides the cost.
    pub checked: Vec<String>,
    /// Measured times where the statement was executed both ways.
    pub measured_ms: Option<(f64, f64)>,
}

/// A change with its price and its proof.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggestion {
    /// What to do, imperative: `create an index on orders (customer_id)`.
    pub title: String,
    /// The change.
    pub change: Change,
    /// The author's claim.
    pub applicability: Applicability,
    /// What it costs.
    pub side_effects: Vec<SideEffect>,
    /// Why a rewrite keeps the results.
    pub preconditions: Vec<Precondition>,
    /// What a planner said.
    pub verdict: Verdict,
}

impl Suggestion {
    /// A suggestion that nobody has tried yet.
    pub fn untested(
        title: impl Into<String>,
        change: Change,
        applicability: Applicability,
    ) -> Self {
        Self {
            title: title.into(),
            change,
            applicability,
            side_effects: Vec::new(),
            preconditions: Vec::new(),
            verdict: Verdict::Untested {
                why: "no planner was at hand".to_owned(),
            },
        }
    }
}
