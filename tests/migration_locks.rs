//! Every claim about locks, rewrites, scans and index builds is what servers
//! of every version do, and what `effects` says of the same statement.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use pgadvise::migration::locks::{
    CASES, Case, LockMode, NEWEST, OLDEST, Work, effects, refuses_transaction,
};
use pgadvise::migration::state::State;
use pgadvise::migration::{self, At};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::support::server::{Server, every_version};

/// A connection on which any number of statements is sent as one message.
struct Connection {
    runtime: tokio::runtime::Runtime,
    client: Client,
    pid: String,
}

impl Connection {
    fn new(folder: &Path, port: u16) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let text = format!(
            "host={} port={port} user=postgres dbname=postgres",
            folder.display()
        );
        let client = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&text, NoTls).await.unwrap();
            drop(tokio::spawn(connection));
            client
        });
        let mut connection = Self {
            runtime,
            client,
            pid: String::new(),
        };
        connection.pid = connection.rows("SELECT pg_backend_pid()").unwrap()[0][0].clone();
        connection
    }

    fn rows(&self, sql: &str) -> Result<Vec<Vec<String>>, tokio_postgres::Error> {
        let messages = self.runtime.block_on(self.client.simple_query(sql))?;
        Ok(messages
            .into_iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(
                    (0..row.len())
                        .map(|at| row.get(at).unwrap_or_default().to_owned())
                        .collect(),
                ),
                _ => None,
            })
            .collect())
    }

    fn run(&self, sql: &str) -> Result<(), String> {
        self.rows(sql).map(drop).map_err(|error| {
            error.as_db_error().map_or_else(
                || error.to_string(),
                |db| format!("{}: {}", db.code().code(), db.message()),
            )
        })
    }
}

/// What is known of one relation at one moment.
#[derive(Debug, Clone)]
struct Relation {
    name: String,
    /// The table, of an index or an owned sequence.
    owner: Option<String>,
    index: bool,
    sequence: bool,
    file: String,
    scans: i64,
    written: i64,
}

const RELATIONS: &str = "SELECT c.oid::text, CASE WHEN n.nspname = 'public' THEN c.relname \
    ELSE n.nspname || '.' || c.relname END, \
    coalesce(i.indrelid, d.refobjid)::text, c.relkind::text, \
    coalesce(pg_relation_filenode(c.oid), 0)::text, \
    coalesce(pg_stat_get_xact_numscans(c.oid), 0)::text, \
    (coalesce(pg_stat_get_xact_tuples_inserted(c.oid), 0) \
     + coalesce(pg_stat_get_xact_tuples_updated(c.oid), 0) \
     + coalesce(pg_stat_get_xact_tuples_deleted(c.oid), 0))::text \
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
    LEFT JOIN pg_index AS i ON i.indexrelid = c.oid \
    LEFT JOIN pg_depend AS d ON c.relkind = 'S' AND d.classid = 'pg_class'::regclass \
    AND d.objid = c.oid AND d.deptype IN ('a', 'i') AND d.refclassid = 'pg_class'::regclass \
    WHERE c.oid >= 16384 AND c.relkind <> 'c' AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'";

fn relations(connection: &Connection) -> BTreeMap<String, Relation> {
    connection
        .rows(RELATIONS)
        .unwrap()
        .into_iter()
        .map(|row| {
            let relation = Relation {
                name: row[1].clone(),
                owner: Some(row[2].clone()).filter(|owner| !owner.is_empty()),
                index: row[3] == "i" || row[3] == "I",
                sequence: row[3] == "S",
                file: row[4].clone(),
                scans: row[5].parse().unwrap(),
                written: row[6].parse().unwrap(),
            };
            (row[0].clone(), relation)
        })
        .collect()
}

/// The strongest lock of a backend on each relation that was there before.
fn locks(
    connection: &Connection,
    pid: &str,
    before: &BTreeMap<String, Relation>,
) -> BTreeMap<String, LockMode> {
    let mut strongest: BTreeMap<String, LockMode> = BTreeMap::new();
    for row in connection
        .rows(&format!(
            "SELECT relation::text, mode FROM pg_locks WHERE pid = {pid} \
             AND locktype = 'relation' AND relation >= 16384"
        ))
        .unwrap()
    {
        if !before.contains_key(&row[0]) {
            continue;
        }
        let mode = LockMode::named(&row[1]).unwrap();
        let held = strongest.entry(row[0].clone()).or_insert(mode);
        *held = (*held).max(mode);
    }
    strongest
}

#[derive(Debug, Default, PartialEq)]
struct Measured {
    locks: BTreeMap<String, LockMode>,
    work: BTreeMap<String, Work>,
}

/// Leaves out what follows from the lock on the table, and reading.
fn told(
    strongest: &BTreeMap<String, LockMode>,
    before: &BTreeMap<String, Relation>,
) -> BTreeMap<String, LockMode> {
    strongest
        .iter()
        .filter(|(oid, mode)| {
            **mode > LockMode::AccessShare
                && (!before[*oid].sequence || **mode >= LockMode::ShareUpdateExclusive)
                && before[*oid]
                    .owner
                    .as_ref()
                    .and_then(|owner| strongest.get(owner))
                    .is_none_or(|table| *mode > table)
        })
        .map(|(oid, mode)| (before[oid].name.clone(), *mode))
        .collect()
}

fn work(
    before: &BTreeMap<String, Relation>,
    after: &BTreeMap<String, Relation>,
    held: &BTreeMap<String, LockMode>,
    empties: bool,
) -> BTreeMap<String, Work> {
    let mut work: BTreeMap<String, Work> = BTreeMap::new();
    for (oid, then) in before {
        let Some(now) = after.get(oid).filter(|_| !then.index && !then.sequence) else {
            continue;
        };
        let indexes = |all: &BTreeMap<String, Relation>| -> Vec<Relation> {
            all.values()
                .filter(|one| one.index && one.owner.as_ref() == Some(oid) && one.file != "0")
                .cloned()
                .collect()
        };
        let (old, new) = (indexes(before), indexes(after));
        let made: Vec<&Relation> = new
            .iter()
            .filter(|one| old.iter().all(|other| other.file != one.file))
            .collect();
        let done = if then.owner.is_some() || empties {
            Work::None
        } else if then.file != now.file {
            Work::Rewrite
        } else if now.written > then.written {
            Work::Rows
        } else if made
            .iter()
            .any(|one| old.iter().any(|other| other.name == one.name))
        {
            Work::IndexRebuild
        } else if !made.is_empty() {
            Work::IndexBuild
        } else if now.scans > then.scans
            && held
                .get(oid)
                .is_some_and(|mode| *mode >= LockMode::ShareUpdateExclusive)
        {
            Work::Scan
        } else {
            Work::None
        };
        if done != Work::None {
            work.insert(then.name.clone(), done);
        }
    }
    // An index that is written anew by itself, its table left alone.
    for (oid, then) in before {
        let alone = then.index
            && then
                .owner
                .as_ref()
                .is_some_and(|owner| !held.contains_key(owner));
        if alone && after.get(oid).is_some_and(|now| now.file != then.file) {
            work.remove(&before[then.owner.as_ref().unwrap()].name);
            work.insert(then.name.clone(), Work::Rewrite);
        }
    }
    work
}

const CLEAN: &str = "RESET ALL; SET client_min_messages = error; \
    DROP SCHEMA IF EXISTS public, s CASCADE; CREATE SCHEMA public; \
    DROP ACCESS METHOD IF EXISTS heap2 CASCADE; DROP PUBLICATION IF EXISTS s;";

/// Does a statement in a transaction, looks, and rolls back.
fn inside(connection: &Connection, case: &Case) -> Result<Measured, String> {
    let before = relations(connection);
    // What a foreign key references is looked up row by row, so that only the
    // table whose rows are checked counts as scanned.
    connection.run("BEGIN; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;")?;
    let before = {
        let mut then = before;
        for (oid, now) in relations(connection) {
            if let Some(one) = then.get_mut(&oid) {
                (one.scans, one.written) = (now.scans, now.written);
            }
        }
        then
    };
    let outcome = connection.run(case.statement);
    let held = if outcome.is_ok() {
        locks(connection, &connection.pid, &before)
    } else {
        BTreeMap::new()
    };
    let after = if outcome.is_ok() {
        relations(connection)
    } else {
        BTreeMap::new()
    };
    connection.run("ROLLBACK")?;
    outcome?;
    Ok(Measured {
        locks: told(&held, &before),
        work: work(
            &before,
            &after,
            &held,
            case.statement.starts_with("TRUNCATE") || case.statement.ends_with("WITH NO DATA"),
        ),
    })
}

/// Does a statement that refuses transactions, while another session makes it
/// wait, and looks.
fn outside(
    server: &Server,
    port: u16,
    connection: &Connection,
    case: &Case,
) -> Result<Measured, String> {
    let refused = connection.run(&format!("BEGIN; {}", case.statement));
    connection.run("ROLLBACK")?;
    match refused {
        Err(why) if why.starts_with("25001") => {}
        other => return Err(format!("in a transaction: {other:?}")),
    }
    let before = relations(connection);
    let blocker = Connection::new(server.folder(), port);
    blocker.run(&format!("BEGIN; {}", case.blocker.unwrap()))?;
    let (statement, pid) = (case.statement, connection.pid.clone());
    let held = std::thread::scope(|scope| {
        let running = scope.spawn(move || connection.run(statement));
        let until = Instant::now() + Duration::from_secs(10);
        let look = Connection::new(server.folder(), port);
        while Instant::now() < until {
            let waits = look
                .rows(&format!(
                    "SELECT 1 FROM pg_locks WHERE pid = {pid} AND NOT granted"
                ))
                .unwrap();
            if !waits.is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let held = locks(&look, &pid, &before);
        blocker.run("ROLLBACK").unwrap();
        running.join().unwrap().map(|()| held)
    })?;
    let after = relations(connection);
    Ok(Measured {
        locks: told(&held, &before),
        work: work(&before, &after, &held, false),
    })
}

fn claimed(case: &Case) -> Measured {
    Measured {
        locks: case
            .locks
            .iter()
            .map(|(name, mode)| ((*name).to_owned(), *mode))
            .collect(),
        work: case
            .work
            .iter()
            .map(|(name, work)| ((*name).to_owned(), *work))
            .collect(),
    }
}

/// What differs between the claims and one server.
fn differences(major: u32, server: &Server, port: u16) -> String {
    let connection = Connection::new(server.folder(), port);
    let mut wrong = String::new();
    connection
        .run("SET allow_in_place_tablespaces = on")
        .and_then(|()| connection.run("CREATE TABLESPACE other LOCATION ''"))
        .expect("a tablespace");
    for case in CASES.iter().flat_map(|family| family.cases) {
        if !case.holds(u16::try_from(major).unwrap()) {
            continue;
        }
        let measured = connection
            .run(CLEAN)
            .and_then(|()| connection.run(case.setup))
            .and_then(|()| {
                if case.no_transaction {
                    outside(server, port, &connection, case)
                } else {
                    inside(&connection, case)
                }
            });
        let mut claim = claimed(case);
        match measured {
            Ok(measured) => {
                if case.no_transaction {
                    // What a statement of its own read is not counted.
                    claim.work.retain(|_, work| *work != Work::Scan);
                }
                if measured != claim {
                    writeln!(
                        wrong,
                        "{major} {}: {}\n   server {measured:?}\n   claim  {claim:?}",
                        case.id, case.statement
                    )
                    .unwrap();
                }
            }
            Err(why) => writeln!(wrong, "{major} {}: {why}", case.id).unwrap(),
        }
    }
    wrong
}

#[test]
fn servers_of_every_version_do_what_is_claimed() {
    let mut wrong = String::new();
    for (major, bin) in every_version() {
        let port = 5432;
        let server = Server::of_version(&bin, &[], port).unwrap();
        wrong.push_str(&differences(major, &server, port));
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_claim_has_a_name_of_its_own() {
    let mut ids: Vec<&str> = CASES
        .iter()
        .flat_map(|family| family.cases)
        .map(|case| case.id)
        .collect();
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

/// What `effects` says of a case's statement, after its setup was replayed.
fn said(case: &Case, major: u16) -> Result<Measured, String> {
    let mut sources = pgadvise::source::Sources::default();
    let text = format!(
        "{};\n{}",
        case.setup.trim_end_matches([' ', ';']),
        case.statement
    );
    let source = sources.add(pgadvise::source::Text::new("case.sql", text.clone()));
    let (statements, problems) = pgadvise::sql::ddl::read(source, &text);
    if !problems.is_empty() {
        return Err(format!("not read: {problems:?}"));
    }
    let (last, setup) = statements.split_last().ok_or("no statement")?;
    let mut state = State::empty();
    for (number, statement) in setup.iter().enumerate() {
        state.apply(
            statement,
            At {
                file: 0,
                part: 0,
                statement: number,
                inner: 0,
            },
        );
    }
    let server = migration::Server {
        major,
        ..migration::Server::default()
    };
    let mut said = Measured::default();
    for effect in effects(last, &state, &server) {
        let name = effect.relation.to_string();
        let mode = said.locks.entry(name.clone()).or_insert(effect.mode);
        *mode = (*mode).max(effect.mode);
        if effect.work != Work::None {
            let work = said.work.entry(name).or_insert(effect.work);
            *work = (*work).max(effect.work);
        }
    }
    if refuses_transaction(last, &server).is_some() != case.no_transaction {
        return Err("refuses_transaction is wrong".to_owned());
    }
    Ok(said)
}

#[test]
fn what_is_said_of_a_statement_is_what_is_claimed() {
    let mut wrong = String::new();
    for case in CASES.iter().flat_map(|family| family.cases) {
        for major in OLDEST..=NEWEST {
            if !case.holds(major) {
                continue;
            }
            let mut claim = claimed(case);
            // The state knows no sequences, so nothing is said of them.
            if case.statement.contains("SEQUENCE") {
                claim.locks.remove("s");
            }
            let said = said(case, major);
            if said.as_ref() != Ok(&claim) {
                writeln!(
                    wrong,
                    "{major} {}: {}\n   said  {said:?}\n   claim {claim:?}",
                    case.id, case.statement
                )
                .unwrap();
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
