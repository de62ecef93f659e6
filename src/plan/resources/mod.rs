//! What one execution of a plan takes from a server, and how often a server
//! can carry it.
//!
//! Each number is a [`Figure`] that names its formula and what it takes for
//! granted; one that the plan does not support says why. Nothing is fitted to
//! a machine: all comes from what the server printed, its settings, and what
//! the caller says about the server.

mod capacity;
mod memory;
mod settings;

use super::metrics::Metrics;
use super::{NodeId, PlanGraph};
use settings::Settings;
pub use settings::bytes;

/// Bytes of a block; a server can be built with another size, hardly any is.
const BLOCK_BYTES: f64 = 8192.0;

/// What is known about the server that is to carry the statement.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Server {
    /// Processor cores.
    pub cores: Option<f64>,
    /// Executions per second.
    pub rate: Option<f64>,
    /// Bytes of memory for the work of statements.
    pub memory_bytes: Option<f64>,
    /// Bytes per second that its storage reads.
    pub read_bytes_per_second: Option<f64>,
}

/// The unit of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FigureUnit {
    /// Milliseconds.
    Ms,
    /// Bytes.
    Bytes,
    /// Bytes per second.
    BytesPerSecond,
    /// Something that is counted.
    Count,
    /// Executions per second.
    PerSecond,
    /// A share of what there is.
    Share,
}

/// How a figure is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// As it is.
    Exact,
    /// It may be less.
    AtMost,
    /// It may be more.
    AtLeast,
}

/// A number with how it was computed.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Its name for programs.
    pub id: &'static str,
    /// Its name for people.
    pub label: &'static str,
    /// The number, or why it cannot be said.
    pub value: Result<f64, &'static str>,
    /// Its unit.
    pub unit: FigureUnit,
    /// How it is to be taken.
    pub bound: Bound,
    /// How it is computed.
    pub formula: String,
    /// What it takes for granted.
    pub assumption: Option<&'static str>,
}

/// Memory of one node.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryUse {
    /// The node.
    pub node: NodeId,
    /// For what.
    pub what: &'static str,
    /// How many are held at once.
    pub copies: f64,
    /// Bytes that all copies held at most, where printed.
    pub measured_bytes: Option<f64>,
    /// Bytes that all copies may hold before they go to disk.
    pub allowed_bytes: Option<f64>,
    /// Bytes on disk, where printed.
    pub disk_bytes: Option<f64>,
    /// How the limit is computed.
    pub formula: String,
}

/// What one execution takes, and what follows for a server.
#[derive(Debug, Clone, PartialEq)]
pub struct Resources {
    /// What one execution takes.
    pub needs: Vec<Figure>,
    /// The nodes that hold memory.
    pub memory: Vec<MemoryUse>,
    /// How often a server can execute it.
    pub capacity: Vec<Figure>,
    /// What a given rate asks of the server; empty without.
    pub at_rate: Vec<Figure>,
    /// What holds for all of them.
    pub assumptions: Vec<String>,
}

const NOT_EXECUTED: &str = "the plan was not executed (ANALYZE)";
const NOT_TIMED: &str = "times were not measured (TIMING or SUMMARY is off)";
const NO_BUFFERS: &str = "blocks were not counted (BUFFERS)";
const NO_WAL: &str = "WAL was not counted (WAL)";

/// Computes them; linear in the number of nodes.
pub fn resources(plan: &PlanGraph, metrics: &Metrics, server: &Server) -> Resources {
    let settings = Settings::of(plan);
    let memory = memory::uses(plan, &settings);
    let needs = Needs::of(plan, metrics, &memory);
    let (capacity, at_rate) = capacity::capacity(&needs, &settings, server);
    let mut assumptions = settings.assumptions(!memory.is_empty());
    assumptions.push(
        "one execution is like the one that was measured: the same rows, the same share of blocks in the cache, no waiting for locks or for other statements"
            .to_owned(),
    );
    Resources {
        needs: needs.figures(),
        memory,
        capacity,
        at_rate,
        assumptions,
    }
}

/// What one execution takes, as numbers.
struct Needs {
    /// From the start of planning to the end of execution.
    wall_ms: Result<f64, &'static str>,
    processor_ms: Result<f64, &'static str>,
    /// The I/O waits that were subtracted from it, if they were measured.
    waits_ms: Option<f64>,
    memory_measured: Result<f64, &'static str>,
    /// Nodes that hold memory and do not say how much.
    memory_silent: bool,
    memory_allowed: f64,
    planning_memory: Option<f64>,
    temp_disk: Result<f64, &'static str>,
    temp_written: bool,
    touched: Result<f64, &'static str>,
    read: Result<f64, &'static str>,
    written: Result<f64, &'static str>,
    wal: Result<f64, &'static str>,
    workers: f64,
    workers_launched: bool,
    worker_ms: Result<f64, &'static str>,
}

impl Needs {
    fn of(plan: &PlanGraph, metrics: &Metrics, memory: &[MemoryUse]) -> Self {
        let root = plan.node(plan.root);
        let executed = plan.has_actuals();
        let unmeasured = if executed { NOT_TIMED } else { NOT_EXECUTED };
        let execution_ms = plan
            .run
            .execution_ms
            .filter(|_| executed)
            .or(metrics.total_ms);
        let planning_ms = plan.run.planning_ms;
        let wall_ms = execution_ms
            .map(|ms| ms + planning_ms.unwrap_or_default())
            .ok_or(unmeasured);
        let waits = io_waits(plan);
        let beyond_leader = work_of_workers(plan, metrics);
        let processor_ms = match (wall_ms, beyond_leader) {
            (Ok(wall), Some(workers)) => Ok((wall + workers - waits.unwrap_or_default()).max(0.0)),
            (Err(why), _) => Err(why),
            (Ok(_), None) => Err(NOT_TIMED),
        };
        let no_buffers = if executed { NO_BUFFERS } else { NOT_EXECUTED };
        let blocks = |count: fn(&super::Buffers) -> f64| {
            root.buffers
                .filter(|_| executed)
                .as_ref()
                .map(count)
                .map(|blocks| blocks * BLOCK_BYTES)
                .ok_or(no_buffers)
        };
        let temp_written = blocks(|buffers| buffers.temp_written_blocks);
        let sum = |sum: f64, bytes: f64| sum + bytes;
        let files = memory
            .iter()
            .filter_map(|used| used.disk_bytes)
            .fold(0.0, sum);
        let (workers, workers_launched, worker_ms) = workers(plan, metrics);
        let measured = memory.iter().filter_map(|used| used.measured_bytes);
        Self {
            wall_ms,
            processor_ms,
            waits_ms: waits,
            memory_measured: if executed {
                Ok(measured.fold(0.0, sum))
            } else {
                Err(NOT_EXECUTED)
            },
            memory_silent: memory.iter().any(|used| used.measured_bytes.is_none()),
            memory_allowed: memory
                .iter()
                .filter_map(|used| used.allowed_bytes)
                .fold(0.0, sum),
            planning_memory: plan
                .run
                .extra
                .get("Planning")
                .and_then(|planning| planning.get("Memory Allocated"))
                .and_then(serde_json::Value::as_f64)
                .map(|kilobytes| kilobytes * 1024.0),
            temp_disk: match temp_written {
                Ok(written) => Ok(written.max(files)),
                Err(_) if executed && files > 0.0 => Ok(files),
                Err(why) => Err(why),
            },
            temp_written: temp_written.is_ok(),
            touched: blocks(|buffers| {
                buffers.shared_hit_blocks
                    + buffers.shared_read_blocks
                    + buffers.local_hit_blocks
                    + buffers.local_read_blocks
            }),
            read: blocks(|buffers| {
                buffers.shared_read_blocks + buffers.local_read_blocks + buffers.temp_read_blocks
            }),
            written: blocks(|buffers| {
                buffers.shared_written_blocks
                    + buffers.local_written_blocks
                    + buffers.temp_written_blocks
            }),
            wal: root
                .wal
                .map(|wal| wal.bytes)
                .ok_or(if executed { NO_WAL } else { NOT_EXECUTED }),
            workers,
            workers_launched,
            worker_ms: worker_ms.ok_or(unmeasured),
        }
    }

    fn figures(&self) -> Vec<Figure> {
        let mut figures = vec![
            Figure {
                id: "wall_time",
                label: "time",
                value: self.wall_ms,
                unit: FigureUnit::Ms,
                bound: Bound::Exact,
                formula: "planning time + execution time".to_owned(),
                assumption: Some(
                    "without the way to the client and what the client does; EXPLAIN ANALYZE measures every row, which costs time too",
                ),
            },
            Figure {
                id: "processor_time",
                label: "processor time",
                value: self.processor_ms,
                unit: FigureUnit::Ms,
                bound: Bound::AtMost,
                formula: "planning time + execution time + the workers' time below each Gather − I/O times, over all processes"
                    .to_owned(),
                assumption: Some(if self.waits_ms.is_some() {
                    "waits other than for I/O count as work"
                } else {
                    "I/O was not timed (track_io_timing), so that waits for it count as work"
                }),
            },
            Figure {
                id: "memory_measured",
                label: "memory, measured",
                value: self.memory_measured,
                unit: FigureUnit::Bytes,
                bound: if self.memory_silent {
                    Bound::AtLeast
                } else {
                    Bound::Exact
                },
                formula: "sum of what the nodes print, over all processes".to_owned(),
                assumption: Some(
                    "nodes keep their memory until the statement ends, so that all of it is held at once; a process by itself takes some MB besides",
                ),
            },
            Figure {
                id: "memory_allowed",
                label: "memory, allowed",
                value: Ok(self.memory_allowed),
                unit: FigureUnit::Bytes,
                bound: Bound::AtMost,
                formula: "sum over the nodes of work_mem (× hash_mem_multiplier for hash tables) × processes"
                    .to_owned(),
                assumption: Some("every node fills what it may before it goes to disk"),
            },
            Figure {
                id: "temporary_disk",
                label: "temporary files",
                value: self.temp_disk,
                unit: FigureUnit::Bytes,
                bound: if self.temp_written {
                    Bound::AtMost
                } else {
                    Bound::AtLeast
                },
                formula: if self.temp_written {
                    "temporary blocks written × 8 KiB".to_owned()
                } else {
                    "sum of what the nodes print as disk used".to_owned()
                },
                assumption: self
                    .temp_written
                    .then_some("no file is removed before the last is written"),
            },
            figure_of_blocks("touched", "blocks touched", self.touched, "(hit + read) blocks × 8 KiB"),
            figure_of_blocks(
                "read",
                "read from outside of the cache",
                self.read,
                "(shared + local + temporary) blocks read × 8 KiB",
            ),
            figure_of_blocks(
                "written",
                "written by the statement itself",
                self.written,
                "(shared + local + temporary) blocks written × 8 KiB",
            ),
            Figure {
                id: "read_bandwidth",
                label: "read bandwidth while it runs",
                value: per_second(self.read, self.wall_ms),
                unit: FigureUnit::BytesPerSecond,
                bound: Bound::Exact,
                formula: "read ÷ time".to_owned(),
                assumption: Some("evenly over the time"),
            },
            Figure {
                id: "wal",
                label: "WAL",
                value: self.wal,
                unit: FigureUnit::Bytes,
                bound: Bound::Exact,
                formula: "WAL bytes of the root".to_owned(),
                assumption: Some(
                    "as many full-page images as when it was measured: there are more right after a checkpoint",
                ),
            },
            Figure {
                id: "parallel_workers",
                label: "parallel workers",
                value: Ok(self.workers),
                unit: FigureUnit::Count,
                bound: Bound::AtMost,
                formula: if self.workers_launched {
                    "sum of workers launched".to_owned()
                } else {
                    "sum of workers planned".to_owned()
                },
                assumption: Some("all Gathers run at once"),
            },
        ];
        if let Some(bytes) = self.planning_memory {
            figures.push(Figure {
                id: "planning_memory",
                label: "memory of the planner",
                value: Ok(bytes),
                unit: FigureUnit::Bytes,
                bound: Bound::Exact,
                formula: "Memory Allocated of Planning".to_owned(),
                assumption: None,
            });
        }
        figures
    }
}

fn figure_of_blocks(
    id: &'static str,
    label: &'static str,
    value: Result<f64, &'static str>,
    formula: &str,
) -> Figure {
    Figure {
        id,
        label,
        value,
        unit: FigureUnit::Bytes,
        bound: Bound::Exact,
        formula: formula.to_owned(),
        assumption: Some("a block has 8 KiB; a block that is touched twice counts twice"),
    }
}

fn per_second(
    amount: Result<f64, &'static str>,
    ms: Result<f64, &'static str>,
) -> Result<f64, &'static str> {
    match (amount?, ms?) {
        (amount, ms) if ms > 0.0 => Ok(amount * 1000.0 / ms),
        _ => Err("it took no time that could be measured"),
    }
}

/// Milliseconds that all processes waited for blocks; `None` where it was not
/// measured though blocks came from outside of the cache.
fn io_waits(plan: &PlanGraph) -> Option<f64> {
    let root = plan.node(plan.root);
    if let Some(io) = root.io {
        return Some(
            io.shared_read_ms
                + io.shared_write_ms
                + io.local_read_ms
                + io.local_write_ms
                + io.temp_read_ms
                + io.temp_write_ms,
        );
    }
    let buffers = root.buffers?;
    let outside = buffers.shared_read_blocks
        + buffers.shared_written_blocks
        + buffers.local_read_blocks
        + buffers.local_written_blocks
        + buffers.temp_read_blocks
        + buffers.temp_written_blocks;
    (outside <= 0.0).then_some(0.0)
}

/// Milliseconds that workers worked beside the leader: what all processes took
/// below each Gather, less the wall-clock time there. The nodes below print
/// time per process: of that the wall-clock time is one process's.
fn work_of_workers(plan: &PlanGraph, metrics: &Metrics) -> Option<f64> {
    if metrics.total_ms.is_none() {
        let alone = plan.nodes().all(|(_, node)| !node.kind.is_gather());
        return alone.then_some(0.0);
    }
    let mut beyond = 0.0;
    for (id, node) in plan.nodes() {
        let below_gather = plan.parent(id).is_some_and(|(edge, above)| {
            plan.node(above).kind.is_gather()
                && plan.gather_above(above).is_none()
                && !matches!(edge, super::PlanEdge::InitPlan | super::PlanEdge::SubPlan)
        });
        if !below_gather {
            continue;
        }
        let Some(actual) = node.actual else { continue };
        let all = actual.total_ms_per_loop.unwrap_or_default() * actual.loops;
        let wall = metrics.node(id).total_ms.unwrap_or_default();
        beyond += (all - wall).max(0.0);
    }
    Some(beyond)
}

/// Workers of all Gathers, whether they are those launched, and the
/// milliseconds that they were held.
fn workers(plan: &PlanGraph, metrics: &Metrics) -> (f64, bool, Option<f64>) {
    let mut count = 0.0;
    let mut launched = plan.has_actuals();
    let mut held = Some(0.0);
    for (id, node) in plan.nodes().filter(|(_, node)| node.kind.is_gather()) {
        let workers = node
            .workers_launched
            .or(node.workers_planned)
            .unwrap_or(0.0);
        launched &= node.workers_launched.is_some();
        count += workers;
        held = held
            .zip(metrics.node(id).total_ms)
            .map(|(held, ms): (f64, f64)| held + workers * ms);
    }
    (count, launched, held)
}

#[cfg(test)]
mod tests;
