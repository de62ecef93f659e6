//! Moving a catalogue forward by a supposed change.

use super::{Catalog, Index};

impl Catalog {
    /// The catalogue as it would be with that index on the table. A table that
    /// is not there changes nothing.
    pub fn with_index(&self, schema: &str, table: &str, index: Index) -> Self {
        let mut next = self.clone();
        if let Some(relation) = next
            .relations
            .iter_mut()
            .find(|relation| relation.schema == schema && relation.name == table)
        {
            relation.indexes.push(index);
            relation.indexes.sort_by(|a, b| a.name.cmp(&b.name));
        }
        next
    }
}
