//! Statements that read and write rows.

use super::{Case, parts, t};
use crate::migration::locks::LockMode::{RowExclusive, RowShare};
use crate::migration::locks::Work::Rows;

pub(super) static CASES: &[Case] = &[
    Case::new(
        "select",
        "SELECT",
        t!(),
        "SELECT * FROM t",
        &[],
        &[],
    ),
    Case::new(
        "select-for-update",
        "SELECT … FOR UPDATE",
        t!(),
        "SELECT * FROM t FOR UPDATE",
        &[("t", RowShare)],
        &[],
    ),
    Case::new(
        "insert",
        "INSERT",
        t!(),
        "INSERT INTO t SELECT id + 100 FROM t",
        &[("t", RowExclusive)],
        &[("t", Rows)],
    ),
    Case::new(
        "update",
        "UPDATE",
        t!(),
        "UPDATE t SET a = a + 1",
        &[("t", RowExclusive)],
        &[("t", Rows)],
    ),
    Case::new(
        "delete",
        "DELETE",
        t!(),
        "DELETE FROM t WHERE a > 10",
        &[("t", RowExclusive)],
        &[("t", Rows)],
    ),
    Case::new(
        "merge",
        "MERGE",
        t!(),
        "MERGE INTO t USING (SELECT 1 AS id) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET a = 0",
        &[("t", RowExclusive)],
        &[("t", Rows)],
    )
    .since(15),
    Case::new(
        "update-partitioned",
        "UPDATE of a partitioned table",
        parts!(),
        "UPDATE p SET a = a + 1",
        &[
            ("p", RowExclusive),
            ("p1", RowExclusive),
            ("p2", RowExclusive),
        ],
        &[("p1", Rows), ("p2", Rows)],
    ),
];
