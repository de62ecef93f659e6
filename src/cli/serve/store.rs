//! Reports that are kept until the process ends, or until newer ones need
//! their place.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// A report as it was made.
#[derive(Debug)]
pub(super) struct Kept {
    /// The page.
    pub(super) html: Vec<u8>,
    /// For a pull request.
    pub(super) markdown: Vec<u8>,
    /// For programs.
    pub(super) json: Vec<u8>,
    /// For a terminal.
    pub(super) text: Vec<u8>,
}

impl Kept {
    fn bytes(&self) -> usize {
        self.html.len() + self.markdown.len() + self.json.len() + self.text.len()
    }
}

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Reports.
    pub(super) reports: usize,
    /// Bytes of all of them.
    pub(super) bytes: usize,
}

/// How much is kept now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    /// Reports.
    pub(super) reports: usize,
    /// Bytes of all of them.
    pub(super) bytes: usize,
}

#[derive(Debug, Default)]
struct Shelf {
    by_id: HashMap<String, Arc<Kept>>,
    oldest_first: VecDeque<String>,
    bytes: usize,
}

/// The reports by their unguessable names.
#[derive(Debug)]
pub(super) struct Store {
    limits: Limits,
    shelf: Mutex<Shelf>,
}

impl Store {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            shelf: Mutex::default(),
        }
    }

    /// Keeps a report, and forgets the oldest where there are too many. The
    /// newest is kept whatever its size.
    pub(super) fn keep(&self, id: String, kept: Kept) -> Held {
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.bytes += kept.bytes();
        shelf.by_id.insert(id.clone(), Arc::new(kept));
        shelf.oldest_first.push_back(id);
        while shelf.oldest_first.len() > 1
            && (shelf.oldest_first.len() > self.limits.reports || shelf.bytes > self.limits.bytes)
        {
            let gone = shelf
                .oldest_first
                .pop_front()
                .and_then(|oldest| shelf.by_id.remove(&oldest));
            shelf.bytes -= gone.map_or(0, |gone| gone.bytes());
        }
        Held {
            reports: shelf.oldest_first.len(),
            bytes: shelf.bytes,
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<Kept>> {
        let shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.by_id.get(id).map(Arc::clone)
    }
}

/// A name that cannot be guessed: 128 bits of the operating system's
/// randomness.
pub(super) fn unguessable() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(hex(&bytes))
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(bytes: usize) -> Kept {
        Kept {
            html: vec![0; bytes],
            markdown: Vec::new(),
            json: Vec::new(),
            text: Vec::new(),
        }
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let store = Store::new(Limits {
            reports: 2,
            bytes: 100,
        });
        for name in ["a", "b", "c"] {
            store.keep(name.to_owned(), kept(10));
        }
        assert!(store.get("a").is_none());
        assert!(store.get("b").is_some() && store.get("c").is_some());
    }

    #[test]
    fn the_oldest_go_when_they_are_too_large_but_never_the_newest() {
        let store = Store::new(Limits {
            reports: 10,
            bytes: 100,
        });
        store.keep("a".to_owned(), kept(60));
        store.keep("b".to_owned(), kept(30));
        let held = store.keep("c".to_owned(), kept(200));
        assert_eq!(
            held,
            Held {
                reports: 1,
                bytes: 200
            }
        );
        assert!(store.get("b").is_none() && store.get("c").is_some());
    }

    #[test]
    fn names_differ() {
        let (a, b) = (unguessable().unwrap(), unguessable().unwrap());
        assert_eq!(a.len(), 32);
        assert_ne!(a, b);
    }
}
