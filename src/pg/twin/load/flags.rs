//! Flags in catalogues that only doing the work would set: that foreign keys
//! have been checked, that an index is not valid, that a materialised view
//! has rows, that a table is unlogged.

use tokio_postgres::types::Type;

use super::super::TwinError;
use super::Loader;
use super::resolve::Names;
use crate::snapshot::RelationKind;

impl Loader<'_> {
    pub(super) fn write_flags(&mut self, names: &Names) -> Result<(), TwinError> {
        let mut keys: (Vec<u32>, Vec<&str>) = (Vec::new(), Vec::new());
        let mut indexes: (Vec<u32>, Vec<bool>) = (Vec::new(), Vec::new());
        let mut populated: Vec<u32> = Vec::new();
        let mut unlogged: Vec<u32> = Vec::new();
        for relation in &self.snapshot.relations {
            let Some(oid) = names.relation(&relation.schema, &relation.name) else {
                continue;
            };
            if relation.kind == RelationKind::MaterializedView {
                populated.push(oid);
            }
            if relation.unlogged {
                unlogged.push(oid);
            }
            for constraint in &relation.constraints {
                if constraint.kind == "f" && constraint.validated && constraint.name.len() < 64 {
                    keys.0.push(oid);
                    keys.1.push(&constraint.name);
                }
            }
            for index in &relation.indexes {
                if let Some(oid) = names.relation(&relation.schema, &index.name) {
                    indexes.0.push(oid);
                    indexes.1.push(index.valid);
                    if relation.unlogged {
                        unlogged.push(oid);
                    }
                }
            }
        }
        let admin = self.cluster.admin()?;
        // The clones of a key for partitions have names of their own.
        admin.query(
            "WITH RECURSIVE valid (oid) AS ( \
               SELECT c.oid FROM unnest($1::oid[], $2::text[]) AS k (rel, name) \
               JOIN pg_catalog.pg_constraint AS c ON c.conrelid = k.rel AND c.conname = k.name::name \
               WHERE c.contype = 'f' \
               UNION SELECT c.oid FROM valid \
               JOIN pg_catalog.pg_constraint AS c ON c.conparentid = valid.oid) \
             UPDATE pg_catalog.pg_constraint AS c SET convalidated = true FROM valid \
             WHERE c.oid = valid.oid AND NOT c.convalidated",
            &[(&keys.0, Type::OID_ARRAY), (&keys.1, Type::TEXT_ARRAY)],
        )?;
        admin.query(
            "UPDATE pg_catalog.pg_index AS i SET indisvalid = s.valid \
             FROM unnest($1::oid[], $2::bool[]) AS s (oid, valid) \
             WHERE i.indexrelid = s.oid AND i.indisvalid <> s.valid",
            &[
                (&indexes.0, Type::OID_ARRAY),
                (&indexes.1, Type::BOOL_ARRAY),
            ],
        )?;
        admin.query(
            "UPDATE pg_catalog.pg_class SET relispopulated = true WHERE oid = ANY ($1)",
            &[(&populated, Type::OID_ARRAY)],
        )?;
        // Not made with UNLOGGED: the files of such tables are emptied when a
        // server starts after a crash.
        admin.query(
            "UPDATE pg_catalog.pg_class SET relpersistence = 'u' WHERE oid = ANY ($1)",
            &[(&unlogged, Type::OID_ARRAY)],
        )?;
        Ok(())
    }
}
