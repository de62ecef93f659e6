//! The reader of any paste, with texts that lead to its part for "paste".
#![no_main]

mod check;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    // Frames, quotation and several plans.
    check::check(text);
    check::check(&format!(" QUERY PLAN\n------------\n{text}"));
});
