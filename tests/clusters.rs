//! Throw-away clusters: they start, stop, are killed and started again, keep
//! sessions without rights away from the machine, and leave nothing behind.
#![expect(
    clippy::disallowed_methods,
    reason = "tests set up folders and look for an installed server"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pgadvise::pg::Error;
use pgadvise::pg::cluster::native::{Locale, Native, NativeOptions};
use pgadvise::pg::cluster::programs::{Installed, Search, installed};
use pgadvise::pg::cluster::{Cluster, ClusterKind, private};
use pgadvise::pg::twin::cache::{self, EngineWish, OpenOptions};
use pgadvise::pg::twin::{Loaded, TwinError};
use pgadvise::snapshot::Snapshot;

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_pgadvise"))
}

/// The installed server to test with; without one nothing is tested, which is
/// a failure under `CI`.
fn server() -> Option<Installed> {
    let search = Search {
        pg_bin: std::env::var_os("PGADVISE_TEST_PG_BIN").map(PathBuf::from),
        path: std::env::var_os("PATH")
            .map(|path| std::env::split_paths(&path).collect())
            .unwrap_or_default(),
    };
    let found = installed(&search).into_iter().next();
    if found.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "no PostgreSQL server for the tests"
        );
        println!("did nothing: no PostgreSQL server for the tests");
    }
    found
}

fn options(temp: &Path, cache: Option<&Path>) -> Option<NativeOptions> {
    Some(NativeOptions {
        program: program(),
        installed: server()?,
        locale: Locale::default(),
        temp: temp.to_owned(),
        cache: cache.map(Path::to_owned),
        statement_limit: Duration::from_secs(20),
        settings: Vec::new(),
    })
}

/// A folder for temporary files that the server's user may enter.
fn temp() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::Builder::new()
        .prefix("pgadvise-test-")
        .tempdir()
        .unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn refused(result: Result<(), Error>) -> String {
    match result.unwrap_err() {
        Error::PermissionDenied { message } => message,
        Error::Refused(refusal) => refusal.message,
        other => panic!("{other}"),
    }
}

/// What survives a clean stop, and what a kill.
fn starts_stops_and_is_killed(cluster: &mut dyn Cluster) {
    cluster
        .session()
        .unwrap()
        .execute_script("CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, 1000)")
        .unwrap();
    let path = value(cluster, "SELECT pg_relation_filepath('t')");
    cluster.admin().unwrap().execute_script("SELECT 1").unwrap();
    cluster.stop().unwrap();
    let file = cluster.file(&path);
    assert!(
        std::fs::metadata(&file).unwrap().len() >= 8192,
        "rows are in the file after a clean stop"
    );
    // The planner takes the size from the file.
    std::fs::File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(100 * 8192)
        .unwrap();
    cluster.start().unwrap();
    assert_eq!(
        value(cluster, "SELECT pg_relation_size('t')::text"),
        (100 * 8192).to_string()
    );
    cluster
        .session()
        .unwrap()
        .execute_script("CREATE TABLE kept (a int); CHECKPOINT")
        .or_else(|_| {
            cluster
                .session()
                .unwrap()
                .execute_script("CREATE TABLE kept (a int)")
        })
        .unwrap();
    cluster.kill_and_restart().unwrap();
    assert_eq!(value(cluster, "SELECT count(*)::text FROM kept"), "0");
}

/// The one text that a query gives.
fn value(cluster: &mut dyn Cluster, query: &str) -> String {
    let session = cluster.session().unwrap();
    let error = session
        .execute_script(&format!(
            "DO $do$ BEGIN RAISE EXCEPTION USING ERRCODE = '22000', MESSAGE = '=' || ({query}); END $do$"
        ))
        .unwrap_err();
    match error {
        Error::Refused(refusal) => refusal.message.trim_start_matches('=').to_owned(),
        other => panic!("{other}"),
    }
}

#[test]
fn a_native_cluster_starts_stops_and_is_killed() {
    let (temp, cache) = (temp(), temp_cache());
    let Some(options) = options(temp.path(), Some(cache.path())) else {
        return;
    };
    let mut cluster = Native::start(&options).unwrap();
    assert_eq!(cluster.kind(), ClusterKind::Native);
    assert_eq!(cluster.version_num() / 10_000, options.installed.major);
    starts_stops_and_is_killed(&mut cluster);
    assert!(cluster.has_extension("plpgsql") && !cluster.has_extension("no such extension"));
    let folder = cluster.folder().to_owned();
    drop(cluster);
    assert!(!folder.exists());
    // The second comes from the template.
    let mut cluster = Native::start(&options).unwrap();
    assert_eq!(value(&mut cluster, "SELECT current_user::text"), "twin");
}

#[cfg(feature = "embedded")]
#[test]
fn an_embedded_cluster_starts_stops_and_is_killed() {
    use pgadvise::pg::cluster::embedded::{Embedded, ServerOptions};
    let temp = temp();
    let mut cluster = Embedded::start(ServerOptions {
        program: program(),
        temp: temp.path().to_owned(),
        extensions: vec!["pg_trgm".to_owned(), "citext".to_owned()],
        created: Vec::new(),
        settings: ServerOptions::twin_settings(),
        statement_limit: Duration::from_secs(20),
    })
    .unwrap();
    assert_eq!(cluster.kind(), ClusterKind::Embedded);
    let extensions = "SELECT string_agg(extname::text, ',' ORDER BY extname) FROM pg_extension";
    cluster
        .session()
        .unwrap()
        .execute_script("CREATE SCHEMA other; CREATE EXTENSION citext SCHEMA other")
        .unwrap();
    starts_stops_and_is_killed(&mut cluster);
    assert_eq!(value(&mut cluster, extensions), "citext,plpgsql");
    let folder = cluster.folder().to_owned();
    drop(cluster);
    assert!(!folder.exists());
}

fn temp_cache() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_session_of_a_native_cluster_reaches_neither_files_nor_programs() {
    let temp = temp();
    let Some(options) = options(temp.path(), None) else {
        return;
    };
    let mut cluster = Native::start(&options).unwrap();
    let session = cluster.session().unwrap();
    for hostile in [
        "SELECT pg_read_file('PG_VERSION')",
        "SELECT pg_read_binary_file('/etc/passwd')",
        "SELECT pg_ls_dir('.')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT lo_export(1, '/tmp/x')",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "COPY (SELECT 1) TO '/tmp/pgadvise-hostile'",
        "CREATE TABLE x (a text); COPY x FROM '/etc/passwd'",
        "CREATE FUNCTION f() RETURNS int LANGUAGE c AS '/bin/sh', 'main'",
        "CREATE FUNCTION f() RETURNS int LANGUAGE internal AS 'pg_read_file'",
        "CREATE EXTENSION file_fdw",
        "CREATE EXTENSION pageinspect",
        "ALTER ROLE twin SUPERUSER",
        "SET ROLE pgadvise",
        "SET SESSION AUTHORIZATION pgadvise",
        "GRANT pgadvise TO twin",
        "CREATE ROLE other SUPERUSER",
        "ALTER ROLE pgadvise LOGIN PASSWORD 'x'",
        "CREATE DATABASE other",
        "ALTER SYSTEM SET archive_command = 'true'",
        "UPDATE pg_catalog.pg_authid SET rolsuper = true",
        "SET session_preload_libraries = 'x'",
        "LOAD '/tmp/x.so'",
        "CREATE TABLESPACE x LOCATION '/tmp'",
        "SELECT pg_reload_conf()",
    ] {
        let message = refused(session.execute_script(hostile));
        assert!(
            message.contains("permission denied")
                || message.contains("must be")
                || message.contains("cannot set parameter")
                || message.contains("superuser")
                || message.contains("access to")
                || message.contains("not available")
                || message.contains("is not trusted"),
            "{hostile}: {message}"
        );
    }
}

#[test]
fn two_native_clusters_do_not_meet() {
    let (temp, cache) = (temp(), temp_cache());
    let Some(options) = options(temp.path(), Some(cache.path())) else {
        return;
    };
    let other = options.clone();
    let starting = std::thread::spawn(move || Native::start(&other).unwrap());
    let mut one = Native::start(&options).unwrap();
    let mut two = starting.join().unwrap();
    one.session()
        .unwrap()
        .execute_script("CREATE TABLE only_one (a int)")
        .unwrap();
    assert_ne!(one.folder(), two.folder());
    assert!(
        two.session()
            .unwrap()
            .execute_script("SELECT * FROM only_one")
            .is_err()
    );
    let folder = one.folder().to_owned();
    drop(one);
    assert!(!folder.exists());
    two.session().unwrap().execute_script("SELECT 1").unwrap();
}

#[test]
fn folders_without_a_living_owner_are_removed_and_others_stay() {
    let temp = temp();
    let living = private::PrivateFolder::create(temp.path(), None).unwrap();
    let dead = temp.path().join("pgadvise-dead");
    std::fs::create_dir(&dead).unwrap();
    std::fs::write(dead.join(private::LOCK), "").unwrap();
    std::fs::create_dir(dead.join("data")).unwrap();
    let unlocked = temp.path().join("pgadvise-other");
    std::fs::create_dir(&unlocked).unwrap();
    let elsewhere = temp.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(elsewhere.join(private::LOCK), "").unwrap();
    std::os::unix::fs::symlink(&elsewhere, temp.path().join("pgadvise-link")).unwrap();
    private::sweep(temp.path());
    assert!(!dead.exists(), "nobody owns it any more");
    assert!(living.path().exists(), "its owner lives");
    assert!(unlocked.exists(), "it is not one of ours");
    assert!(elsewhere.exists(), "links are not followed");
}

/// A snapshot of a server of that version; its content is up to the test.
fn open_options(temp: &Path, cache: &Path, version_num: u32) -> OpenOptions {
    let mut snapshot = Snapshot::default();
    snapshot.origin.version_num = version_num;
    snapshot.origin.encoding = "UTF8".to_owned();
    snapshot.origin.locale_provider = "c".to_owned();
    snapshot.origin.collate = "de_XX.utf8".to_owned();
    snapshot.origin.ctype = "de_XX.utf8".to_owned();
    OpenOptions {
        snapshot: Arc::new(snapshot),
        hash: "0123456789abcdef".to_owned(),
        engine: EngineWish::Auto,
        search: Search {
            pg_bin: None,
            path: Vec::new(),
        },
        cache: Some(cache.to_owned()),
        temp: temp.to_owned(),
        program: program(),
        load_limit: Duration::from_secs(30),
        statement_limit: Duration::from_secs(20),
    }
}

/// A table whose file is a terabyte of nothing.
fn build(
    cluster: &mut dyn Cluster,
    _: &Snapshot,
    _: &mut dyn FnMut(&str, usize, usize),
) -> Result<Loaded, TwinError> {
    cluster
        .session()?
        .execute_script("CREATE TABLE big (a int)")?;
    let path = value(cluster, "SELECT pg_relation_filepath('big')");
    cluster.stop()?;
    let file = cluster.file(&path);
    for segment in 0..20 {
        let part = match segment {
            0 => file.clone(),
            _ => PathBuf::from(format!("{}.{segment}", file.display())),
        };
        std::fs::File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(part)
            .unwrap()
            .set_len(1 << 30)
            .unwrap();
    }
    Ok(Loaded {
        notes: vec!["made".to_owned()],
        ..Loaded::default()
    })
}

/// The first twin is made, the second copied; a damaged one is made again.
fn is_kept(options: &OpenOptions) -> ClusterKind {
    let mut builds = 0;
    let mut open = || {
        let mut twin = cache::open(
            options,
            &mut |cluster, snapshot, progress| {
                builds += 1;
                build(cluster, snapshot, progress)
            },
            &mut |_, _, _| (),
        )
        .unwrap();
        assert!(twin.loaded.notes.contains(&"made".to_owned()));
        assert_eq!(
            value(
                twin.cluster.as_mut(),
                "SELECT (pg_relation_size('big') / 1073741824)::text"
            ),
            "20"
        );
        (twin.warm, twin.cluster.kind(), twin.loaded.notes)
    };
    let (cold, warm) = (open(), open());
    assert!(!cold.0 && warm.0);
    assert_eq!(cold.2, warm.2);
    let twins = options.cache.as_ref().unwrap().join("twins");
    let kept: Vec<PathBuf> = std::fs::read_dir(&twins)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let on_disk = disk(&kept[0]);
    assert!(on_disk < 100 << 20, "{on_disk} bytes for a file of holes");
    // The end of it is lost.
    let packed = kept[0].join("data.tar");
    let length = std::fs::metadata(&packed).unwrap().len();
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(&packed)
        .unwrap();
    file.set_len(length / 2).unwrap();
    assert!(!open().0, "the damaged one is not used");
    assert!(open().0);
    assert_eq!(builds, 2);
    cold.1
}

/// What a folder takes on disk.
fn disk(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                disk(&entry.path())
            } else {
                entry.metadata().unwrap().blocks() * 512
            }
        })
        .sum()
}

#[test]
fn a_twin_on_an_installed_server_is_kept_for_the_next_run() {
    let (temp, cache) = (temp(), temp_cache());
    let Some(server) = server() else {
        return;
    };
    let mut options = open_options(temp.path(), cache.path(), server.major * 10_000 + 1);
    options.search.pg_bin = Some(server.bin);
    assert_eq!(is_kept(&options), ClusterKind::Native);
    let left: Vec<_> = std::fs::read_dir(temp.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[cfg(feature = "embedded")]
#[test]
fn a_twin_on_the_embedded_server_is_kept_for_the_next_run() {
    let (temp, cache) = (temp(), temp_cache());
    let mut options = open_options(temp.path(), cache.path(), 170_005);
    options.engine = EngineWish::Embedded;
    assert_eq!(is_kept(&options), ClusterKind::Embedded);
    let left: Vec<_> = std::fs::read_dir(temp.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_folder_without_programs_is_said_to_hold_none() {
    let (temp, cache) = (temp(), temp_cache());
    let mut options = open_options(temp.path(), cache.path(), 170_005);
    options.search.pg_bin = Some(temp.path().to_owned());
    let error = cache::open(&options, &mut build, &mut |_, _, _| ()).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("PostgreSQL 17") && message.contains(temp.path().to_str().unwrap()),
        "{message}"
    );
}

/// Not a test of its own: a run that is killed, for the one below.
#[test]
#[ignore = "started by another test"]
fn a_run_that_waits_to_be_killed() {
    let temp = PathBuf::from(std::env::var_os("PGADVISE_TEST_TEMP").unwrap());
    let options = options(&temp, None).unwrap();
    let mut cluster = Native::start(&options).unwrap();
    cluster
        .session()
        .unwrap()
        .execute_script("SELECT 1")
        .unwrap();
    println!("up");
    std::thread::sleep(Duration::from_mins(1));
}

#[test]
fn a_killed_run_leaves_neither_processes_nor_files() {
    use std::io::BufRead as _;
    if server().is_none() {
        return;
    }
    for signal in ["-KILL", "-TERM", "-INT"] {
        let temp = temp();
        let mut run = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "clusters::a_run_that_waits_to_be_killed"])
            .args(["--ignored", "--nocapture"])
            .env("PGADVISE_TEST_TEMP", temp.path())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let out = std::io::BufReader::new(run.stdout.take().unwrap());
        assert!(
            out.lines()
                .map_while(Result::ok)
                .any(|line| line.ends_with("up")),
            "it came up"
        );
        let folder = std::fs::read_dir(temp.path())
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let pid_file = std::fs::read_to_string(folder.join("data/postmaster.pid")).unwrap();
        let server = PathBuf::from(format!("/proc/{}", pid_file.lines().next().unwrap()));
        let killed = std::process::Command::new("kill")
            .args([signal, &run.id().to_string()])
            .status()
            .unwrap();
        assert!(killed.success());
        run.wait().unwrap();
        // Its keeper needs a moment to see that it is gone.
        for _ in 0..500 {
            if !folder.exists() && !server.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(!folder.exists(), "{signal}: {} is left", folder.display());
        assert!(!server.exists(), "{signal}: the server runs on");
    }
}
