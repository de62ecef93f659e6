//! The reader of any paste, with texts that lead to its part for "xml".
#![no_main]

mod check;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    check::check(&format!("<explain><Query><Plan><Node-Type>Limit</Node-Type>{text}"));
    check::check(text);
});
