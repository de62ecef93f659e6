//! Numbers in messages, as people write them.

/// `1,234,567`; small numbers with fractions keep one digit of them.
pub(crate) fn count(number: f64) -> String {
    if number.abs() < 10.0 && number.fract().abs() > 0.05 {
        return format!("{number:.1}");
    }
    let digits = format!("{:.0}", number.abs());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number <= -0.5 {
        format!("-{text}")
    } else {
        text
    }
}

/// `1 row`, `2,000 rows`.
pub(crate) fn rows(number: f64) -> String {
    plural(number, "row", "rows")
}

/// A number with its noun.
pub(crate) fn plural(number: f64, one: &str, many: &str) -> String {
    let text = count(number);
    let noun = if text == "1" { one } else { many };
    format!("{text} {noun}")
}

/// `25 MB`.
pub(crate) fn bytes(number: f64) -> String {
    const UNITS: [&str; 5] = ["bytes", "kB", "MB", "GB", "TB"];
    let mut value = number;
    let mut unit = "bytes";
    for name in UNITS {
        unit = name;
        if value < 1024.0 || name == "TB" {
            break;
        }
        value /= 1024.0;
    }
    if value < 10.0 && unit != "bytes" {
        format!("{value:.1} {unit}")
    } else {
        format!("{value:.0} {unit}")
    }
}

/// `0.3 %`, `99.8 %`, `100 %` only for all.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent >= 99.95 && share < 1.0 {
        "over 99.9 %".to_owned()
    } else if percent > 0.0 && percent < 0.05 {
        "less than 0.1 %".to_owned()
    } else if percent < 10.0 || percent > 90.0 && share < 1.0 {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.0} %")
    }
}

/// `0.15 ms`, `2.5 ms`, `1,200 ms`.
pub(crate) fn ms(number: f64) -> String {
    if number < 1.0 {
        format!("{number:.2} ms")
    } else if number < 10.0 {
        format!("{number:.1} ms")
    } else {
        format!("{} ms", count(number))
    }
}

/// `12×`, `3.5×`.
pub(crate) fn factor(number: f64) -> String {
    format!("{}×", count(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_not_rounded_to_what_they_are_not() {
        assert_eq!(count(1_234_567.0), "1,234,567");
        assert_eq!(count(999.0), "999");
        assert_eq!(count(2.46), "2.5");
        assert_eq!(count(0.0), "0");
        assert_eq!(rows(1.0), "1 row");
        assert_eq!(bytes(2_621_440.0), "2.5 MB");
        assert_eq!(bytes(67_108_864.0), "64 MB");
        assert_eq!(percent(0.999_99), "over 99.9 %");
        assert_eq!(percent(0.000_01), "less than 0.1 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.25), "25 %");
    }
}
