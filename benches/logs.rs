//! Reading logs beside counting their line breaks, which is the least that any
//! reader has to do: a ratio, whatever the machine.

#[path = "support/logs.rs"]
mod support;

use divan::Bencher;
use divan::counter::BytesCount;
use pgadvise::input::logs::{LogInput, LogOptions, read};
use support::{Kind, Plan};

/// Bytes of each log.
const BYTES: usize = 16 << 20;

fn main() {
    divan::main();
}

#[divan::bench(sample_count = 5)]
fn count_lines(bencher: Bencher<'_, '_>) {
    let log = support::log(Kind::Stderr, Plan::Text, BYTES);
    bencher
        .counter(BytesCount::of_str(&log))
        .bench(|| memchr::memchr_iter(b'\n', log.as_bytes()).count());
}

#[divan::bench(
    args = [
        (Kind::Stderr, Plan::Text), (Kind::Stderr, Plan::Json),
        (Kind::Csv, Plan::Text), (Kind::Csv, Plan::Json),
        (Kind::Json, Plan::Text), (Kind::Json, Plan::Json),
    ],
    consts = [1, 2],
    sample_count = 5
)]
fn group<const THREADS: usize>(bencher: Bencher<'_, '_>, (kind, plan): (Kind, Plan)) {
    let log = support::log(kind, plan, BYTES);
    bencher
        .counter(BytesCount::of_str(&log))
        .with_inputs(|| log.clone().into_bytes())
        .bench_values(|log| {
            let input = LogInput {
                name: "log".to_owned(),
                reader: Box::new(std::io::Cursor::new(log)),
            };
            let mut options = LogOptions::new(20);
            options.threads = THREADS;
            read(vec![input], &options).totals.records
        });
}
