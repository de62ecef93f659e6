//! Write-ahead log that consists of images of whole pages.

use super::support::{memory, show, suggest};
use crate::declare_rule;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

const MB: f64 = 1024.0 * 1024.0;
/// Less log is written in a moment.
const LEAST_BYTES: f64 = 16.0 * MB;
/// From here replicas and archives feel it.
const MUCH_BYTES: f64 = 1024.0 * MB;
/// The mean of all records, from which on most of the log must be images:
/// records without one are rarely longer than a row.
const LEAST_MEAN: f64 = 1024.0;
/// Images per record that are worth a word.
const LEAST_IMAGES: f64 = 0.1;
const BLOCK: f64 = 8192.0;

declare_rule! {
    /// ## What it does
    ///
    /// Finds statements that wrote at least 16 MB of write-ahead log (EXPLAIN's
    /// option WAL), of which most are images of whole pages: at least one
    /// record in ten has an image, and the records are longer than 1 kB in the
    /// mean. How long the log took is not measured, so its share is 0.
    ///
    /// ## Why it matters
    ///
    /// The first change of a page after a checkpoint writes the whole page, up
    /// to 8 kB for a row of 100 bytes. The log is written, synced, archived
    /// and sent to every replica.
    ///
    /// ## When it is wrong
    ///
    /// Right after a checkpoint, and for changes that touch each page once.
    /// Building an index writes its pages as images by design.
    ///
    /// ## References
    ///
    /// - [full_page_writes](https://www.postgresql.org/docs/current/runtime-config-wal.html#GUC-FULL-PAGE-WRITES)
    /// - [wal_compression](https://www.postgresql.org/docs/current/runtime-config-wal.html#GUC-WAL-COMPRESSION)
    /// - [WAL configuration](https://www.postgresql.org/docs/current/wal-configuration.html)
    pub struct WalMostlyFullPages = {
        id: "wal-mostly-full-pages",
        summary: "most of the write-ahead log written is images of whole pages",
        level: Note,
        needs: [Actuals],
        since: "0.1.0",
    }
}

impl Rule for WalMostlyFullPages {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        // The figures of the top node have those of all nodes in them.
        let top = plan.node(plan.root);
        let (Some(records), Some(images), Some(bytes)) = (
            top.number("WAL Records"),
            top.number("WAL FPI"),
            top.number("WAL Bytes"),
        ) else {
            return;
        };
        if bytes < LEAST_BYTES
            || images < records * LEAST_IMAGES
            || bytes / records.max(1.0) < LEAST_MEAN
        {
            return;
        }
        let compressed =
            memory::setting(subject, "wal_compression").is_some_and(|set| set != "off");
        let mut text = "let checkpoints come less often, so that a page is changed many times \
                        between two of them (max_wal_size, checkpoint_timeout)"
            .to_owned();
        if !compressed {
            text.push_str(
                "; compress the images (wal_compression = lz4 or zstd since version 15, on before)",
            );
        }
        text.push_str(
            "; for keys in random order, such as random UUIDs, use ones that grow, so that \
             neighbouring rows share pages",
        );
        sink.report(
            format!(
                "wrote {} of write-ahead log, mostly images of {}",
                show::bytes(bytes),
                show::plural(images, "whole page", "whole pages")
            ),
            "the first change of each page after a checkpoint writes the whole page to the log, \
             not just the change",
            Evidence::new(
                "write-ahead log",
                Value::Bytes(bytes),
                Origin::Plan(plan.root),
            ),
        )
        .node(plan.root)
        .level(if bytes >= MUCH_BYTES {
            Level::Warning
        } else {
            Level::Note
        })
        .share(0.0)
        .evidence(Evidence::new(
            "records",
            Value::Count(records),
            Origin::Plan(plan.root),
        ))
        .evidence(Evidence::new(
            "images of whole pages",
            Value::Count(images),
            Origin::Plan(plan.root),
        ))
        .evidence(Evidence::new(
            "share of the images at most",
            Value::Share((images * BLOCK / bytes).min(1.0)),
            Origin::Formula("images × 8 kB ÷ bytes of log; holes and compression make it less"),
        ))
        .suggest(suggest::judgement("write fewer page images", text));
    }
}
