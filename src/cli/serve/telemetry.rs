//! What the server counts of itself, for Prometheus.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::store::Held;

/// The media type of [`Telemetry::page`].
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// By which requests are counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: &'static str,
    status: u16,
}

/// How a report ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(super) enum Ending {
    /// It was made.
    Made,
    /// It was made, with parts that could not be read.
    Incomplete,
    /// It took too long.
    TimedOut,
    /// Too many were being made.
    Refused,
    /// The program failed.
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    result: Ending,
}

/// The counters.
#[derive(Debug)]
pub(super) struct Telemetry {
    registry: Registry,
    requests: Family<Answered, Counter>,
    reports: Family<Ended, Counter>,
    seconds: Histogram,
    working: Gauge,
    connections: Gauge,
    kept: Gauge,
    kept_bytes: Gauge,
    received: Counter<u64, AtomicU64>,
}

impl Telemetry {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("pgadvise");
        let requests = Family::default();
        let reports = Family::default();
        // From 1 ms to 65 s.
        let seconds = Histogram::new(exponential_buckets(0.001, 4.0, 9));
        let working = Gauge::default();
        let connections = Gauge::default();
        let kept = Gauge::default();
        let kept_bytes = Gauge::default();
        let received = Counter::default();
        registry.register("requests", "Requests that were answered", requests.clone());
        registry.register("reports", "Reports by how they ended", reports.clone());
        registry.register_with_unit(
            "report_duration",
            "Time from a plan to its report",
            Unit::Seconds,
            seconds.clone(),
        );
        registry.register("reports_in_progress", "Reports being made", working.clone());
        registry.register(
            "connections",
            "Connections that are open",
            connections.clone(),
        );
        registry.register("reports_kept", "Reports that are kept", kept.clone());
        registry.register_with_unit(
            "reports_kept",
            "Size of the reports that are kept",
            Unit::Bytes,
            kept_bytes.clone(),
        );
        registry.register_with_unit(
            "received",
            "Size of the plans and statements that were sent",
            Unit::Bytes,
            received.clone(),
        );
        Self {
            registry,
            requests,
            reports,
            seconds,
            working,
            connections,
            kept,
            kept_bytes,
            received,
        }
    }

    pub(super) fn answered(&self, route: &'static str, status: u16) {
        self.requests
            .get_or_create(&Answered { route, status })
            .inc();
    }

    pub(super) fn ended(&self, result: Ending, took: Option<Duration>) {
        self.reports.get_or_create(&Ended { result }).inc();
        if let Some(took) = took {
            self.seconds.observe(took.as_secs_f64());
        }
    }

    pub(super) fn received(&self, bytes: usize) {
        self.received.inc_by(bytes as u64);
    }

    pub(super) fn held(&self, held: Held) {
        self.kept
            .set(i64::try_from(held.reports).unwrap_or(i64::MAX));
        self.kept_bytes
            .set(i64::try_from(held.bytes).unwrap_or(i64::MAX));
    }

    /// Counts a report as being made until the value is dropped.
    pub(super) fn working(&self) -> Counted {
        Counted::up(&self.working)
    }

    /// Counts a connection as open until the value is dropped.
    pub(super) fn connection(&self) -> Counted {
        Counted::up(&self.connections)
    }

    /// All of it in the text format.
    pub(super) fn page(&self) -> Option<String> {
        let mut page = String::new();
        encode(&mut page, &self.registry).ok()?;
        Some(page)
    }
}

/// One in a gauge, while it lives.
#[derive(Debug)]
pub(super) struct Counted(Gauge);

impl Counted {
    fn up(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
