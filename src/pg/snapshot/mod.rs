//! Taking a snapshot of a live server: one read-only transaction.
/// stub
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotOptions {
    /// x
    pub index_ends: bool,
    /// x
    pub keep_time: bool,
}
impl super::session::Session {
    /// stub
    pub fn snapshot(
        &mut self,
        _options: &SnapshotOptions,
        _progress: &mut dyn FnMut(&str, usize, usize),
    ) -> Result<crate::snapshot::Snapshot, super::Error> {
        Ok(crate::snapshot::Snapshot::default())
    }
}
