//! Work that several threads do side by side, the calling one among them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Items that one thread takes at a time.
const AT_A_TIME: usize = 16;

/// Does each job on a thread of its own, the first on the calling one; results
/// keep the order of the jobs. A panic goes on in the calling thread.
pub(crate) fn each<J: Send, R: Send>(
    jobs: impl IntoIterator<Item = J>,
    work: impl Fn(J) -> R + Sync,
) -> Vec<R> {
    let mut jobs = jobs.into_iter();
    let Some(first) = jobs.next() else {
        return Vec::new();
    };
    let work = &work;
    std::thread::scope(|scope| {
        let others: Vec<_> = jobs.map(|job| scope.spawn(move || work(job))).collect();
        let mut results = Vec::with_capacity(others.len() + 1);
        results.push(work(first));
        for other in others {
            match other.join() {
                Ok(result) => results.push(result),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    })
}

/// Does the same with every item, on that many threads, each of which takes
/// some when it has none left; results keep the order of the items.
pub(crate) fn map<'a, T: Sync, R: Send>(
    items: &'a [T],
    threads: usize,
    work: impl Fn(&'a T) -> R + Sync,
) -> Vec<R> {
    if threads < 2 || items.len() <= AT_A_TIME {
        return items.iter().map(work).collect();
    }
    let chunks: Vec<&[T]> = items.chunks(AT_A_TIME).collect();
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Vec<R>)>> = Mutex::new(Vec::with_capacity(chunks.len()));
    each(0..threads, |_| {
        let mut own = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(chunk) = chunks.get(number) else {
                break;
            };
            own.push((number, chunk.iter().map(&work).collect()));
        }
        if let Ok(mut done) = done.lock() {
            done.append(&mut own);
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().flat_map(|(_, results)| results).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..1_000).collect();
        for threads in [0, 1, 2, 5] {
            let doubled = map(&items, threads, |item| item * 2);
            assert!(doubled.iter().copied().eq((0..1_000).map(|item| item * 2)));
        }
        assert_eq!(each([3, 1, 2], |item| item + 1), [4, 2, 3]);
        assert!(each(Vec::<u8>::new(), |item| item).is_empty());
    }

    #[test]
    fn a_panic_of_any_thread_goes_on() {
        for bad in [0, 1, 2] {
            let ended = std::panic::catch_unwind(|| {
                each(0..3, |item| assert!(item != bad, "job {item}"));
            });
            assert!(ended.is_err(), "{bad}");
        }
    }
}
