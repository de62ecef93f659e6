//! Sizes in `pg_class`, written last: whatever creates an index resets its
//! table's.

use tokio_postgres::types::Type;

use super::super::TwinError;
use super::Loader;
use super::resolve::Names;
use crate::snapshot::Size;

impl Loader<'_> {
    pub(super) fn write_sizes(&mut self, names: &Names) -> Result<(), TwinError> {
        let mut oids: Vec<u32> = Vec::new();
        let mut pages: Vec<i32> = Vec::new();
        let mut tuples: Vec<f32> = Vec::new();
        let mut visible: Vec<i32> = Vec::new();
        let mut frozen: Vec<i32> = Vec::new();
        let mut add = |oid: Option<u32>, size: &Size| {
            let Some(oid) = oid else { return };
            oids.push(oid);
            pages.push(clamp(size.pages));
            tuples.push(self.tuples(size));
            visible.push(clamp(size.all_visible));
            frozen.push(clamp(size.all_frozen.unwrap_or(0)));
        };
        for relation in &self.snapshot.relations {
            if let Some(size) = &relation.size {
                add(names.relation(&relation.schema, &relation.name), size);
            }
            for index in &relation.indexes {
                if let Some(size) = &index.size {
                    add(names.relation(&relation.schema, &index.name), size);
                }
            }
        }
        let more = if self.major >= 18 {
            ", relallfrozen = s.frozen"
        } else {
            ""
        };
        self.cluster.admin()?.query(
            &format!(
                "UPDATE pg_catalog.pg_class AS c \
                 SET relpages = s.pages, reltuples = s.tuples, relallvisible = s.visible{more} \
                 FROM unnest($1::oid[], $2::int4[], $3::float4[], $4::int4[], \
                   $5::int4[]) AS s (oid, pages, tuples, visible, frozen) \
                 WHERE c.oid = s.oid"
            ),
            &[
                (&oids, Type::OID_ARRAY),
                (&pages, Type::INT4_ARRAY),
                (&tuples, Type::FLOAT4_ARRAY),
                (&visible, Type::INT4_ARRAY),
                (&frozen, Type::INT4_ARRAY),
            ],
        )?;
        Ok(())
    }

    /// `reltuples`: what was never counted is -1 since version 14, and 0 with
    /// no page before.
    fn tuples(&self, size: &Size) -> f32 {
        if self.major < 14 {
            size.tuples.max(0.0)
        } else if self.snapshot.major() < 14 && size.pages == 0 && size.tuples == 0.0 {
            -1.0
        } else {
            size.tuples
        }
    }
}

/// `int4` of the catalogue; pages above 2³¹ are kept as negative numbers there.
fn clamp(number: i64) -> i32 {
    u32::try_from(number).map_or_else(|_| i32::try_from(number).unwrap_or(0), u32::cast_signed)
}
