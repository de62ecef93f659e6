//! The transaction in which things are supposed.
//!
//! It stays open from one what-if to the next: an index that was made once is
//! hidden (`indisvalid`) while another set is tried. Nothing of it is ever
//! committed, so that whatever happens, a rollback brings the twin back as it
//! was. Creating an index writes the table's size in `pg_class` in place,
//! which a rollback does not undo; so each table's row is written anew first,
//! and it is that new version that is changed and then thrown away.

use std::collections::{BTreeMap, BTreeSet};

use super::changes::{self, Reads, Step};
use super::estimate;
use super::heaps::{self, Emptied};
use super::outcome::{self, Dropped};
use super::relations::{COLUMNS, FROM, Known, Relations, known, sizes};
use crate::catalog::Catalog;
use crate::catalog::ident::{literal, quote};
use crate::finding::IndexSpec;
use crate::pg::catalog::get;
use crate::pg::cluster::Cluster;
use crate::pg::twin::{PRIVILEGED_SCHEMA, TwinError, lay};
use crate::pg::{Error, Session};
use crate::snapshot::Snapshot;
use crate::verify::{ChangeOutcome, PlanError, SupposedChange, SupposedIndex, Supposition};

/// Where the sizes of supposed indexes come from.
pub(super) const HOW: &str = "estimated from statistics";
/// With more indexes than this the transaction is begun anew: each is opened
/// for every plan, hidden or not.
const MOST_BUILT: usize = 48;

/// Hides indexes from the planner, and shows them.
pub(super) fn set_valid_function() -> String {
    format!(
        "CREATE OR REPLACE FUNCTION {PRIVILEGED_SCHEMA}.set_valid(indexes oid[], valid bool) \
         RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS \
         'UPDATE pg_catalog.pg_index SET indisvalid = valid \
          WHERE indexrelid = ANY (indexes) AND indexrelid >= 16384'"
    )
}

/// What a part of the work needs.
pub(super) struct Twin<'a> {
    pub(super) cluster: &'a mut dyn Cluster,
    pub(super) relations: &'a Relations,
    pub(super) snapshot: &'a Snapshot,
    pub(super) catalog: &'a Catalog,
}

/// An index that was made in the transaction.
#[derive(Debug)]
struct Built {
    supposed: SupposedIndex,
    /// It and its parts.
    oids: Vec<u32>,
    shown: bool,
}

/// An open transaction.
#[derive(Debug, Default)]
pub(super) struct Open {
    /// What was supposed besides indexes.
    others: Vec<Supposition>,
    /// What became of the changes among them.
    changes: Vec<SupposedChange>,
    built: BTreeMap<IndexSpec, Built>,
    /// Tables whose `pg_class` rows were written anew.
    shielded: BTreeSet<u32>,
}

/// Why something could not be supposed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SupposeError {
    #[error(transparent)]
    Session(#[from] Error),
    #[error(transparent)]
    Twin(#[from] TwinError),
    #[error(transparent)]
    Cluster(#[from] crate::pg::cluster::ClusterError),
    #[error("{0}")]
    Unsupported(&'static str),
}

impl From<SupposeError> for PlanError {
    fn from(error: SupposeError) -> Self {
        match error {
            SupposeError::Session(error) => error.into(),
            SupposeError::Unsupported(what) => Self::Unsupported {
                what: what.to_owned(),
            },
            SupposeError::Twin(error) => Self::Unsupported {
                what: error.to_string(),
            },
            SupposeError::Cluster(error) => Self::Lost {
                message: error.to_string(),
            },
        }
    }
}

/// The suppositions that are no indexes.
fn others(suppositions: &[Supposition]) -> Vec<Supposition> {
    suppositions
        .iter()
        .filter(|supposition| !matches!(supposition, Supposition::Index(_)))
        .cloned()
        .collect()
}

impl Open {
    /// Whether these can be supposed within this transaction.
    pub(super) fn fits(&self, suppositions: &[Supposition]) -> bool {
        if self.others != others(suppositions) {
            return false;
        }
        let specs = Supposition::indexes(suppositions);
        let new: Vec<&&IndexSpec> = specs
            .iter()
            .filter(|spec| !self.built.contains_key(**spec))
            .collect();
        // Another index of that name would be in the way.
        let clash = new.iter().any(|spec| {
            self.built
                .keys()
                .any(|other| other.schema == spec.schema && other.name == spec.name)
        });
        !clash && self.built.len() + new.len() <= MOST_BUILT.max(specs.len())
    }

    /// Begins a transaction with everything supposed that is no index.
    pub(super) fn begin(
        twin: &mut Twin<'_>,
        suppositions: &[Supposition],
    ) -> Result<Self, SupposeError> {
        let others = others(suppositions);
        let session = twin.cluster.session()?;
        let limit = session
            .limits()
            .statement
            .as_millis()
            .clamp(1, 2_147_483_647);
        session.execute_script(&format!(
            "BEGIN; SET LOCAL statement_timeout = {limit}; \
             SET LOCAL idle_in_transaction_session_timeout = 0"
        ))?;
        let mut open = Self::default();
        if !others.is_empty() {
            open.change(twin, &others)?;
        }
        open.others = others;
        Ok(open)
    }

    /// Makes what was not made yet, and shows exactly these indexes.
    pub(super) fn show(
        &mut self,
        twin: &mut Twin<'_>,
        specs: &[&IndexSpec],
    ) -> Result<Vec<SupposedIndex>, SupposeError> {
        let mut missing: Vec<&IndexSpec> = Vec::new();
        for spec in specs {
            if !self.built.contains_key(*spec) && !missing.contains(spec) {
                missing.push(spec);
            }
        }
        if !missing.is_empty() {
            self.build(twin, &missing)?;
        }
        let mut show = Vec::new();
        let mut hide = Vec::new();
        for (spec, built) in &mut self.built {
            let wanted = specs.contains(&spec);
            if built.shown != wanted {
                built.shown = wanted;
                if wanted { &mut show } else { &mut hide }.extend(built.oids.iter().copied());
            }
        }
        let mut script = Vec::new();
        for (oids, valid) in [(show, true), (hide, false)] {
            if !oids.is_empty() {
                let list: Vec<String> = oids.iter().map(u32::to_string).collect();
                script.push(format!(
                    "SELECT {PRIVILEGED_SCHEMA}.set_valid('{{{}}}', {valid})",
                    list.join(",")
                ));
            }
        }
        if !script.is_empty() {
            twin.cluster.session()?.execute_script(&script.join("; "))?;
        }
        Ok(specs
            .iter()
            .filter_map(|spec| self.built.get(*spec))
            .map(|built| built.supposed.clone())
            .collect())
    }

    /// What became of the changes.
    pub(super) fn changes(&self) -> &[SupposedChange] {
        &self.changes
    }

    /// Writes the rows of these tables in `pg_class` anew, in this
    /// transaction; that also makes the server close their files.
    fn shield(&mut self, twin: &mut Twin<'_>, tables: &BTreeSet<u32>) -> Result<(), SupposeError> {
        let rows: Vec<String> = tables
            .iter()
            .filter(|oid| self.shielded.insert(**oid))
            .filter_map(|oid| twin.relations.by_oid.get(oid))
            .map(Known::sizes)
            .collect();
        set_sizes(twin.cluster.session()?, &rows)?;
        Ok(())
    }

    /// Makes indexes and gives them their sizes.
    fn build(&mut self, twin: &mut Twin<'_>, specs: &[&IndexSpec]) -> Result<(), SupposeError> {
        let mut tables = BTreeSet::new();
        for spec in specs {
            if let Some(table) = twin.relations.table(&spec.schema, &spec.table) {
                twin.relations.with_children(table.oid, &mut tables);
            }
        }
        self.shield(twin, &tables)?;
        let mut refused: BTreeMap<&IndexSpec, String> = BTreeMap::new();
        with_empty_tables(twin, &tables, &mut Vec::new(), |twin| {
            let session = twin.cluster.session()?;
            for spec in specs {
                let made = part(session, |session| {
                    if let Some(extension) = &spec.extension {
                        session.execute_script(&format!(
                            "CREATE EXTENSION IF NOT EXISTS {}",
                            quote(extension)
                        ))?;
                    }
                    session.execute_script(&spec.plain_sql())
                })?;
                if let Err(error) = made {
                    refused.insert(spec, error.to_string());
                }
            }
            Ok(())
        })?;
        let names: Vec<String> = specs
            .iter()
            .filter(|spec| !refused.contains_key(**spec))
            .map(|spec| literal(&format!("{}.{}", quote(&spec.schema), quote(&spec.name))))
            .collect();
        let mut made: Vec<(String, Known)> = Vec::new();
        if !names.is_empty() {
            let session = twin.cluster.session()?;
            for row in session.query(
                &format!(
                    "SELECT {COLUMNS}, w.name {} ",
                    FROM.replacen(
                        "FROM pg_catalog.pg_class AS c",
                        &format!(
                            "FROM (SELECT s.name, o.oid FROM pg_catalog.unnest(ARRAY[{}]::text[]) \
                             AS s (name), LATERAL (SELECT s.name::regclass::oid UNION \
                             SELECT relid::oid FROM pg_catalog.pg_partition_tree(s.name::regclass)) \
                             AS o (oid)) AS w JOIN pg_catalog.pg_class AS c ON c.oid = w.oid",
                            names.join(", ")
                        ),
                        1
                    )
                ),
                &[],
            )? {
                made.push((get(&row, 10)?, known(&row)?));
            }
        }
        let rows: Vec<String> = tables
            .iter()
            .filter_map(|oid| twin.relations.by_oid.get(oid))
            .map(Known::sizes)
            .collect();
        // The tables first: the planner is asked how many rows a partial index
        // would hold.
        set_sizes(twin.cluster.session()?, &rows)?;
        let of_spec = |name: &str| {
            specs
                .iter()
                .find(|spec| format!("{}.{}", quote(&spec.schema), quote(&spec.name)) == name)
        };
        let pairs: Vec<(&Known, &IndexSpec)> = made
            .iter()
            .filter_map(|(name, known)| Some((known, *of_spec(name)?)))
            .collect();
        let estimates = estimate::of_specs(twin, &pairs)?;
        let only: Vec<&Known> = made.iter().map(|(_, known)| known).collect();
        let mut rows = Vec::new();
        let laid = lay_indexes(twin, &only, &estimates, &mut rows)?;
        set_sizes(twin.cluster.session()?, &rows)?;
        for spec in specs {
            let name = format!("{}.{}", quote(&spec.schema), quote(&spec.name));
            let mut supposed = SupposedIndex {
                name: spec.name.clone(),
                parts: Vec::new(),
                bytes: None,
                how: HOW,
                refused: refused.get(*spec).cloned(),
            };
            let mut oids = Vec::new();
            for (_, index) in made.iter().filter(|(of, _)| *of == name) {
                oids.push(index.oid);
                if index.name != spec.name {
                    supposed.parts.push(index.name.clone());
                }
                if let Some(bytes) = laid.get(&index.oid) {
                    supposed.bytes = Some(supposed.bytes.unwrap_or(0.0) + bytes);
                }
            }
            supposed.parts.sort();
            self.built.insert(
                (*spec).clone(),
                Built {
                    supposed,
                    oids,
                    shown: true,
                },
            );
        }
        Ok(())
    }

    /// Makes the changes that a user gave, and sets everything to size again.
    fn change(
        &mut self,
        twin: &mut Twin<'_>,
        suppositions: &[Supposition],
    ) -> Result<(), SupposeError> {
        let session = twin.cluster.session()?;
        let rows = session.query("SELECT pg_catalog.pg_current_xact_id()::xid::text", &[])?;
        let start: String = match rows.first() {
            Some(row) => get(row, 0)?,
            None => "0".to_owned(),
        };
        let mut emptied = Vec::new();
        let result = self.steps(twin, suppositions, &start, &mut emptied);
        restore(&emptied)?;
        let made = result?;
        self.settle(twin, &start, made)
    }

    /// Executes the changes one by one; gives the new indexes of each.
    fn steps(
        &mut self,
        twin: &mut Twin<'_>,
        suppositions: &[Supposition],
        start: &str,
        emptied: &mut Vec<Emptied>,
    ) -> Result<Vec<Made>, SupposeError> {
        let mut made = Vec::new();
        let mut seen = BTreeSet::new();
        let mut gone = BTreeSet::new();
        let resets = suppositions.iter().any(|supposition| {
            matches!(supposition, Supposition::Sql(sql)
                if matches!(changes::step(sql), Step::Reset { .. }))
        });
        let settings = if resets {
            outcome::settings(twin.cluster.session()?)?
        } else {
            BTreeMap::new()
        };
        for supposition in suppositions {
            let (sql, is_change) = match supposition {
                Supposition::Sql(sql) => (vec![sql.as_str()], true),
                Supposition::Statistics { statements, .. } => {
                    (statements.iter().map(String::as_str).collect(), false)
                }
                Supposition::Index(_) => continue,
            };
            for sql in sql {
                let step = changes::step(sql);
                if !is_change {
                    statistics_step(twin, sql, &step)?;
                    continue;
                }
                let (outcome, notes) = match step {
                    Step::LeftOut { why } => (
                        ChangeOutcome::LeftOut {
                            why: why.to_owned(),
                        },
                        Vec::new(),
                    ),
                    Step::Reset { name } => {
                        let session = twin.cluster.session()?;
                        let outcome = match part(session, |session| {
                            outcome::reset(session, &settings, name.as_deref())
                        })? {
                            Ok(()) => ChangeOutcome::Applied,
                            Err(error) => outcome::refused(sql.trim(), sql.trim(), &error),
                        };
                        (outcome, Vec::new())
                    }
                    Step::Run {
                        sql: sent,
                        reads,
                        notes,
                    } => {
                        let tables = match reads {
                            Reads::Nothing => BTreeSet::new(),
                            Reads::Named(words) => twin.relations.of_words(&words),
                            Reads::Any => twin.relations.tables(),
                        };
                        self.shield(twin, &tables)?;
                        empty(twin, &tables, emptied)?;
                        let session = twin.cluster.session()?;
                        // One statement a message, so that none can slip a
                        // COMMIT in behind it.
                        match part(session, |session| session.query(&sent, &[]).map(drop))? {
                            Ok(()) => (ChangeOutcome::Applied, notes),
                            Err(error) => (outcome::refused(sql.trim(), &sent, &error), Vec::new()),
                        }
                    }
                };
                let mut new = Vec::new();
                let mut dropped = Vec::new();
                if outcome == ChangeOutcome::Applied {
                    dropped = outcome::dropped(twin.cluster.session()?, twin.relations, &mut gone)?;
                    for known in touched(twin.cluster.session()?, start, true)? {
                        if !twin.relations.by_oid.contains_key(&known.oid) && seen.insert(known.oid)
                        {
                            new.push(known.oid);
                        }
                    }
                }
                made.push(Made { new, dropped });
                self.changes.push(SupposedChange {
                    sql: sql.trim().to_owned(),
                    outcome,
                    indexes: Vec::new(),
                    tables: Vec::new(),
                    notes,
                });
            }
        }
        Ok(made)
    }

    /// Sets to size whatever the changes touched.
    fn settle(
        &mut self,
        twin: &mut Twin<'_>,
        start: &str,
        made: Vec<Made>,
    ) -> Result<(), SupposeError> {
        let now = touched(twin.cluster.session()?, start, false)?;
        let mut rows = Vec::new();
        let mut new_indexes = Vec::new();
        for relation in &now {
            let before = twin.relations.by_oid.get(&relation.oid);
            match before {
                Some(before) if before.path == relation.path => rows.push(before.sizes()),
                Some(before) if relation.is_heap() => {
                    let factor = super::carry::growth(twin, before, relation)?;
                    rows.push(lay_again(twin, before, relation, factor)?);
                }
                Some(before) if relation.is_index() => {
                    rows.push(lay_again(twin, before, relation, 1.0)?);
                }
                Some(before) => rows.push(before.sizes()),
                None if relation.is_index() => {
                    let path = relation.path.as_deref().unwrap_or_default();
                    match twin.relations.of_file(path) {
                        // An index that ALTER TYPE made again on its old file.
                        Some(before) => rows.push(sizes(
                            relation.oid,
                            before.pages,
                            before.tuples,
                            before.all_visible,
                        )),
                        None => new_indexes.push(relation),
                    }
                }
                None => {}
            }
        }
        // Tables first: the sizes of indexes are reckoned from them.
        set_sizes(twin.cluster.session()?, &rows)?;
        super::carry::statistics(twin, &now)?;
        let mut rows = Vec::new();
        let estimates = estimate::of_new(twin, &new_indexes)?;
        let laid = lay_indexes(twin, &new_indexes, &estimates, &mut rows)?;
        set_sizes(twin.cluster.session()?, &rows)?;
        let names: BTreeMap<u32, &Known> = now.iter().map(|known| (known.oid, known)).collect();
        for (change, made) in self.changes.iter_mut().zip(made) {
            let mut others = Vec::new();
            for oid in made.new {
                // What a later statement dropped again is not there any more.
                let Some(index) = names.get(&oid).filter(|known| known.is_index()) else {
                    continue;
                };
                let again = index
                    .path
                    .as_deref()
                    .is_some_and(|path| twin.relations.of_file(path).is_some());
                others.push(*index);
                if !again {
                    change.indexes.push(SupposedIndex {
                        name: index.name.clone(),
                        parts: Vec::new(),
                        bytes: laid.get(&oid).copied(),
                        how: HOW,
                        refused: None,
                    });
                }
            }
            if outcome::has_expression(twin.cluster.session()?, &others)? {
                change.notes.push(outcome::EXPRESSION.to_owned());
            }
            change.tables = outcome::tables(
                twin.cluster.session()?,
                twin.relations,
                &names,
                &others,
                made.dropped,
            )?;
        }
        Ok(())
    }
}

/// What a change did to the indexes that are there.
struct Made {
    /// Those that it made.
    new: Vec<u32>,
    /// Those that it dropped, of tables that stayed.
    dropped: Vec<Dropped>,
}

/// A statement of supposed statistics. ANALYZE has nothing to gather from
/// here; statistics that were gathered elsewhere come as calls of the
/// privileged functions.
fn statistics_step(twin: &mut Twin<'_>, sql: &str, step: &Step) -> Result<(), SupposeError> {
    if sql.contains(PRIVILEGED_SCHEMA) {
        twin.cluster.session()?.query(sql, &[])?;
        return Ok(());
    }
    match step {
        Step::LeftOut { .. } | Step::Reset { .. } => Err(SupposeError::Unsupported(
            "a snapshot holds no rows to gather statistics from; with -d a sample of the database's \
             is taken",
        )),
        Step::Run { sql, .. } => {
            twin.cluster.session()?.query(sql, &[])?;
            Ok(())
        }
    }
}

/// Relations whose rows in `pg_class` are of this transaction.
fn touched(session: &mut Session, start: &str, only_new: bool) -> Result<Vec<Known>, Error> {
    let kinds = if only_new { " AND c.relkind = 'i'" } else { "" };
    session
        .query(
            &format!(
                "SELECT {COLUMNS} {FROM}{kinds} \
                 AND pg_catalog.age(c.xmin) <= pg_catalog.age('{start}'::xid) ORDER BY c.oid"
            ),
            &[],
        )?
        .iter()
        .map(known)
        .collect()
}

/// Does a part of the work that the server may refuse without harm to the
/// rest; the inner result is what it said.
fn part(
    session: &mut Session,
    work: impl FnOnce(&mut Session) -> Result<(), Error>,
) -> Result<Result<(), Error>, Error> {
    session.execute_script("SAVEPOINT pgadvise_supposed")?;
    match work(session) {
        Ok(()) => {
            session.execute_script("RELEASE SAVEPOINT pgadvise_supposed")?;
            Ok(Ok(()))
        }
        Err(error @ (Error::Lost { .. } | Error::TimedOut { .. })) => Err(error),
        Err(error) => {
            session.execute_script(
                "ROLLBACK TO SAVEPOINT pgadvise_supposed; RELEASE SAVEPOINT pgadvise_supposed",
            )?;
            Ok(Err(error))
        }
    }
}

/// Writes sizes into `pg_class`.
fn set_sizes(session: &mut Session, rows: &[String]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    session.execute_script(&format!(
        "SELECT {PRIVILEGED_SCHEMA}.set_size(v.rel, v.pages, v.tuples, v.visible) \
         FROM (VALUES {}) AS v (rel, pages, tuples, visible)",
        rows.join(", ")
    ))
}

/// Empties these tables' files, beside those that are empty already.
fn empty(
    twin: &mut Twin<'_>,
    tables: &BTreeSet<u32>,
    emptied: &mut Vec<Emptied>,
) -> Result<(), SupposeError> {
    for oid in tables {
        let Some(table) = twin.relations.by_oid.get(oid) else {
            continue;
        };
        if let (true, Some(path)) = (table.is_heap(), &table.path) {
            let file = twin.cluster.file(path);
            let done = heaps::empty(&file).map_err(|source| TwinError::File {
                object: format!("{}.{}", table.schema, table.name),
                reason: source.to_string(),
                source,
            })?;
            emptied.extend(done);
        }
    }
    Ok(())
}

fn restore(emptied: &[Emptied]) -> Result<(), TwinError> {
    for file in emptied {
        file.restore().map_err(|source| TwinError::File {
            object: "a table".to_owned(),
            reason: source.to_string(),
            source,
        })?;
    }
    Ok(())
}

/// Does the work with these tables' files empty.
fn with_empty_tables<T>(
    twin: &mut Twin<'_>,
    tables: &BTreeSet<u32>,
    emptied: &mut Vec<Emptied>,
    work: impl FnOnce(&mut Twin<'_>) -> Result<T, SupposeError>,
) -> Result<T, SupposeError> {
    let result = match empty(twin, tables, emptied) {
        Ok(()) => work(twin),
        Err(error) => Err(error),
    };
    restore(emptied)?;
    result
}

/// Gives new indexes their estimated sizes, adds their rows for `pg_class`,
/// and says how many bytes each has.
fn lay_indexes(
    twin: &mut Twin<'_>,
    indexes: &[&Known],
    estimates: &[estimate::Estimated],
    rows: &mut Vec<String>,
) -> Result<BTreeMap<u32, f64>, SupposeError> {
    let mut bytes = BTreeMap::new();
    for estimated in estimates {
        let Some(index) = indexes.iter().find(|index| index.oid == estimated.oid) else {
            continue;
        };
        let Some(path) = &index.path else { continue };
        let file = twin.cluster.file(path);
        if index.method.as_deref() == Some("btree") {
            lay::btree::lay(&file, estimated.blocks, estimated.height, None)?;
        } else {
            lay::set_blocks(&file, estimated.blocks.max(lay::blocks_of(&file)?))?;
        }
        let pages = i32::try_from(estimated.blocks).unwrap_or(i32::MAX);
        rows.push(sizes(index.oid, pages, estimated.tuples, 0));
        bytes.insert(index.oid, estimated.blocks as f64 * 8192.0);
    }
    Ok(bytes)
}

/// Gives a relation that was written anew the size that it had, times a
/// factor; gives its row for `pg_class`.
fn lay_again(
    twin: &mut Twin<'_>,
    before: &Known,
    now: &Known,
    factor: f64,
) -> Result<String, SupposeError> {
    let pages = (f64::from(before.pages) * factor).round() as i32;
    if let (Some(old), Some(new)) = (&before.path, &now.path) {
        let (old, new) = (twin.cluster.file(old), twin.cluster.file(new));
        let blocks = (lay::blocks_of(&old)? as f64 * factor).round() as u64;
        if now.method.as_deref() == Some("btree") && now.is_index() {
            lay::btree::lay(&new, blocks, lay::btree::height_of(&old)?, None)?;
        } else {
            lay::set_blocks(&new, blocks.max(lay::blocks_of(&new)?))?;
        }
    }
    let visible = (f64::from(before.all_visible) * factor).round() as i32;
    Ok(sizes(now.oid, pages, before.tuples, visible))
}
