//! How often a server can execute a statement, and what a rate asks of it.
//!
//! Each resource carries what there is of it divided by what one execution
//! takes; the scarcest decides. How many executions are under way at a rate is
//! Little's law: rate × time.

use super::settings::Settings;
use super::{Bound, Figure, FigureUnit, Needs, Server};

const NO_CORES: &str = "say how many processor cores the server has (--cores)";
const NO_MEMORY: &str = "say how much memory statements may take (--memory)";
const NO_BANDWIDTH: &str = "say what the storage reads per second (--read-bandwidth)";
const NOTHING_TAKEN: &str = "it takes none of it";

/// The highest rates, and what the given rate asks.
pub(super) fn capacity(
    needs: &Needs,
    settings: &Settings,
    server: &Server,
) -> (Vec<Figure>, Vec<Figure>) {
    let memory = needs.memory_measured.map(|measured| {
        if needs.memory_silent {
            needs.memory_allowed.max(measured)
        } else {
            measured
        }
    });
    let seconds = |ms: Result<f64, &'static str>| ms.map(|ms| ms / 1000.0);
    let held = product(memory, seconds(needs.wall_ms));
    let by_processor = rate(server.cores.ok_or(NO_CORES), seconds(needs.processor_ms));
    let by_workers = rate(Ok(settings.max_parallel_workers), seconds(needs.worker_ms));
    let by_memory = rate(server.memory_bytes.ok_or(NO_MEMORY), held);
    let by_reading = rate(server.read_bytes_per_second.ok_or(NO_BANDWIDTH), needs.read);
    let rates = [by_processor, by_workers, by_memory, by_reading];
    let highest = rates
        .iter()
        .filter_map(|rate| rate.ok())
        .min_by(f64::total_cmp);
    let per_core = rate(Ok(1.0), seconds(needs.processor_ms));
    let mut capacity = vec![
        estimate(
            "rate_per_core",
            "executions per second and core",
            per_core,
            "1 ÷ processor time",
            "the core does nothing else",
        ),
        estimate(
            "rate_by_processor",
            "limit by processor",
            by_processor,
            "cores ÷ processor time",
            "all cores are used to the full, which no server does for long: response times rise well before",
        ),
        estimate(
            "rate_by_workers",
            "limit by parallel workers",
            by_workers,
            "max_parallel_workers ÷ (workers × time of their Gather)",
            "as many workers each time; beyond it the statement goes on with fewer, and slower",
        ),
        estimate(
            "rate_by_memory",
            "limit by memory",
            by_memory,
            "memory ÷ (memory of one execution × time)",
            "memory of caches and of idle connections is not in it",
        ),
        estimate(
            "rate_by_reading",
            "limit by reading",
            by_reading,
            "read bandwidth ÷ bytes read",
            "blocks that the operating system caches count as read",
        ),
    ];
    // Without what the caller knows, only the pool of workers is known.
    let told = server
        .cores
        .or(server.memory_bytes)
        .or(server.read_bytes_per_second);
    let highest = match (told, highest) {
        (Some(_), Some(rate)) => Ok(rate),
        (Some(_), None) => Err(needs.wall_ms.err().unwrap_or(NOTHING_TAKEN)),
        (None, _) => Err(NO_CORES),
    };
    capacity.push(estimate(
        "highest_rate",
        "highest rate of one server",
        highest,
        "the least of the limits above",
        "nothing else runs there",
    ));
    capacity.push(estimate(
        "connections_at_highest_rate",
        "connections busy at that rate",
        product(highest, seconds(needs.wall_ms)),
        "rate × time (Little's law)",
        "time stays as measured; a connection waits for nothing else",
    ));
    let Some(per_second) = server.rate else {
        return (capacity, Vec::new());
    };
    let per_second = Ok(per_second);
    let share = |asked: Result<f64, &'static str>, there: Option<f64>, why: &'static str| {
        rate(asked, there.ok_or(why))
    };
    let processor = product(per_second, seconds(needs.processor_ms));
    let workers = product(per_second, seconds(needs.worker_ms));
    let memory_asked = product(per_second, held);
    let read = product(per_second, needs.read);
    let at_rate = vec![
        asked(
            "connections_busy",
            "connections busy",
            product(per_second, seconds(needs.wall_ms)),
            FigureUnit::Count,
            "rate × time (Little's law)",
        ),
        asked(
            "cores_busy",
            "cores busy",
            processor,
            FigureUnit::Count,
            "rate × processor time",
        ),
        asked(
            "core_utilisation",
            "core utilisation",
            share(processor, server.cores, NO_CORES),
            FigureUnit::Share,
            "rate × processor time ÷ cores",
        ),
        asked(
            "workers_busy",
            "parallel workers busy",
            workers,
            FigureUnit::Count,
            "rate × workers × time of their Gather",
        ),
        asked(
            "memory_held",
            "memory held",
            memory_asked,
            FigureUnit::Bytes,
            "rate × time × memory of one execution",
        ),
        asked(
            "memory_share",
            "share of the memory",
            share(memory_asked, server.memory_bytes, NO_MEMORY),
            FigureUnit::Share,
            "memory held ÷ memory",
        ),
        asked(
            "read_rate",
            "read per second",
            read,
            FigureUnit::BytesPerSecond,
            "rate × bytes read",
        ),
        asked(
            "read_share",
            "share of the read bandwidth",
            share(read, server.read_bytes_per_second, NO_BANDWIDTH),
            FigureUnit::Share,
            "read per second ÷ read bandwidth",
        ),
        asked(
            "wal_rate",
            "WAL per second",
            product(per_second, needs.wal),
            FigureUnit::BytesPerSecond,
            "rate × WAL",
        ),
    ];
    (capacity, at_rate)
}

fn product(
    a: Result<f64, &'static str>,
    b: Result<f64, &'static str>,
) -> Result<f64, &'static str> {
    Ok(a? * b?)
}

/// What there is over what one takes.
fn rate(
    there: Result<f64, &'static str>,
    takes: Result<f64, &'static str>,
) -> Result<f64, &'static str> {
    match (takes?, there) {
        (takes, _) if takes <= 0.0 => Err(NOTHING_TAKEN),
        (takes, there) => Ok(there? / takes),
    }
}

fn estimate(
    id: &'static str,
    label: &'static str,
    value: Result<f64, &'static str>,
    formula: &str,
    assumption: &'static str,
) -> Figure {
    Figure {
        id,
        label,
        value,
        unit: if id.starts_with("connections") {
            FigureUnit::Count
        } else {
            FigureUnit::PerSecond
        },
        bound: Bound::Exact,
        formula: formula.to_owned(),
        assumption: Some(assumption),
    }
}

fn asked(
    id: &'static str,
    label: &'static str,
    value: Result<f64, &'static str>,
    unit: FigureUnit,
    formula: &str,
) -> Figure {
    Figure {
        id,
        label,
        value,
        unit,
        bound: Bound::Exact,
        formula: formula.to_owned(),
        assumption: Some("executions come evenly, and each takes what this one took"),
    }
}
