//! The reader of any paste, with texts that lead to its part for "text".
#![no_main]

mod check;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    // A top that is known to be one, so that what follows is read as its lines.
    check::check(&format!("Limit  (cost=0.00..1.00 rows=1 width=4)\n{text}"));
    check::check(text);
});
