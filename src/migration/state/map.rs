//! A map by qualified name that can take its changes back.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use super::Qualified;

/// A qualified name, owned or not, so that looking up needs no new strings.
pub(super) trait Named {
    /// Schema and name.
    fn pair(&self) -> (&str, &str);
}

impl Named for Qualified {
    fn pair(&self) -> (&str, &str) {
        (&self.schema, &self.name)
    }
}

impl Named for (&str, &str) {
    fn pair(&self) -> (&str, &str) {
        *self
    }
}

impl Hash for dyn Named + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As the derived hash of the two strings of a `Qualified`.
        let (schema, name) = self.pair();
        schema.hash(state);
        name.hash(state);
    }
}

impl PartialEq for dyn Named + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.pair() == other.pair()
    }
}

impl Eq for dyn Named + '_ {}

impl<'a> Borrow<dyn Named + 'a> for Qualified {
    fn borrow(&self) -> &(dyn Named + 'a) {
        self
    }
}

/// A quick hash of short strings. The keys are names of a project's own
/// schema, and a bad distribution would only cost time.
#[derive(Debug, Clone, Default)]
pub(super) struct Quick(u64);

const FACTOR: u64 = 0x517c_c1b7_2722_0a95;

impl Quick {
    fn word(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(FACTOR);
    }
}

impl Hasher for Quick {
    fn finish(&self) -> u64 {
        // The upper bits are the mixed ones; the table uses both ends.
        self.0 ^ (self.0 >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        let mut last = [0u8; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        self.word(u64::from_le_bytes(last));
    }

    fn write_u8(&mut self, byte: u8) {
        self.word(u64::from(byte));
    }
}

/// The map.
#[derive(Debug, Clone)]
pub(super) struct Map<V> {
    live: HashMap<Qualified, V, BuildHasherDefault<Quick>>,
    /// What was there before each change, while changes are recorded.
    undo: Vec<(Qualified, Option<V>)>,
    recording: bool,
}

impl<V> Default for Map<V> {
    fn default() -> Self {
        Self {
            live: HashMap::default(),
            undo: Vec::new(),
            recording: false,
        }
    }
}

impl<V: Clone> Map<V> {
    pub(super) fn get(&self, key: &Qualified) -> Option<&V> {
        self.live.get(key)
    }

    pub(super) fn find(&self, schema: &str, name: &str) -> Option<&V> {
        self.live.get(&(schema, name) as &dyn Named)
    }

    pub(super) fn contains(&self, key: &Qualified) -> bool {
        self.live.contains_key(key)
    }

    pub(super) fn has(&self, schema: &str, name: &str) -> bool {
        self.live.contains_key(&(schema, name) as &dyn Named)
    }

    pub(super) fn insert(&mut self, key: Qualified, value: V) {
        if self.recording {
            let before = self.live.insert(key.clone(), value);
            self.undo.push((key, before));
        } else {
            self.live.insert(key, value);
        }
    }

    pub(super) fn remove(&mut self, key: &Qualified) -> Option<V> {
        let gone = self.live.remove(key)?;
        if self.recording {
            self.undo.push((key.clone(), Some(gone.clone())));
        }
        Some(gone)
    }

    pub(super) fn edit(&mut self, key: &Qualified) -> Option<&mut V> {
        let found = self.live.get_mut(key)?;
        if self.recording {
            self.undo.push((key.clone(), Some(found.clone())));
        }
        Some(found)
    }

    /// All values, in no order.
    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.live.values()
    }

    /// All keys, sorted.
    pub(super) fn sorted_keys(&self) -> Vec<&Qualified> {
        let mut keys: Vec<&Qualified> = self.live.keys().collect();
        keys.sort();
        keys
    }

    /// All keys for which something holds, sorted.
    pub(super) fn keys_where(&self, wanted: impl Fn(&Qualified, &V) -> bool) -> Vec<Qualified> {
        let mut keys: Vec<Qualified> = self
            .live
            .iter()
            .filter(|(key, value)| wanted(key, value))
            .map(|(key, _)| key.clone())
            .collect();
        keys.sort();
        keys
    }

    /// From now on changes can be taken back to this point.
    pub(super) fn mark(&mut self) -> usize {
        self.recording = true;
        self.undo.len()
    }

    /// Takes changes back to that point.
    pub(super) fn back_to(&mut self, mark: usize) {
        while self.undo.len() > mark {
            let Some((key, before)) = self.undo.pop() else {
                return;
            };
            match before {
                Some(value) => {
                    self.live.insert(key, value);
                }
                None => {
                    self.live.remove(&key);
                }
            }
        }
    }

    /// Changes need not be taken back any more.
    pub(super) fn forget(&mut self) {
        self.recording = false;
        self.undo = Vec::new();
    }
}
