//! Numbers with their units, as people read them. The only place that decides
//! how many digits are shown; it knows nothing of colours or layout.

use crate::finding::Value;
use crate::report::model::Unit;

/// A count: `1,234,567`, `12.5`, `0.25`.
pub fn count(number: f64) -> String {
    if !number.is_finite() {
        return "?".to_owned();
    }
    let digits = if number.abs() >= 100.0 || (number - number.round()).abs() < 1e-9 {
        0
    } else if number.abs() >= 10.0 {
        1
    } else {
        2
    };
    if number.abs() >= 1e15 {
        return format!("{number:.2e}");
    }
    grouped(&format!("{number:.digits$}"))
}

/// Milliseconds, as `0.04 ms`, `12.3 ms`, `1,234 ms`, `12.3 s` or `4 min 5 s`.
pub fn ms(number: f64) -> String {
    if !number.is_finite() {
        return "?".to_owned();
    }
    if number >= 120_000.0 {
        let seconds = (number / 1000.0).round();
        format!(
            "{} min {} s",
            count((seconds / 60.0).floor()),
            count(seconds % 60.0)
        )
    } else if number >= 10_000.0 {
        format!("{:.1} s", number / 1000.0)
    } else if number >= 100.0 {
        format!("{} ms", grouped(&format!("{number:.0}")))
    } else if number >= 10.0 {
        format!("{number:.1} ms")
    } else if number >= 0.01 || number == 0.0 {
        format!("{number:.2} ms")
    } else {
        format!("{number:.3} ms")
    }
}

/// Bytes, in binary units.
pub fn bytes(number: f64) -> String {
    if !number.is_finite() {
        return "?".to_owned();
    }
    let mut left = number;
    for unit in ["bytes", "KiB", "MiB", "GiB", "TiB"] {
        if left < 1024.0 || unit == "TiB" {
            return if unit == "bytes" {
                format!("{left:.0} bytes")
            } else if left >= 100.0 {
                format!("{} {unit}", grouped(&format!("{left:.0}")))
            } else {
                format!("{left:.1} {unit}")
            };
        }
        left /= 1024.0;
    }
    String::new()
}

/// A share as a percentage: `97 %`, `0.4 %`, `< 0.1 %`.
pub fn share(number: f64) -> String {
    let percent = number * 100.0;
    if !percent.is_finite() {
        "?".to_owned()
    } else if percent == 0.0 {
        "0 %".to_owned()
    } else if percent < 0.1 {
        "< 0.1 %".to_owned()
    } else if (percent < 10.0 && (percent - percent.round()).abs() >= 0.05)
        || (percent > 99.0 && percent < 99.95)
    {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.0} %")
    }
}

/// A factor: `12×`, `1.8×`.
pub fn factor(number: f64) -> String {
    if !number.is_finite() {
        "?".to_owned()
    } else if number >= 10.0 {
        format!("{}×", grouped(&format!("{number:.0}")))
    } else {
        format!("{number:.1}×")
    }
}

/// Planner cost units, two digits when small.
pub fn cost(number: f64) -> String {
    if !number.is_finite() {
        "?".to_owned()
    } else if number >= 1000.0 {
        grouped(&format!("{number:.0}"))
    } else {
        format!("{number:.2}")
    }
}

/// `1 finding`, `2 findings`.
pub fn plural(number: usize, one: &str, many: &str) -> String {
    if number == 1 {
        format!("1 {one}")
    } else {
        format!("{} {many}", count(number as f64))
    }
}

/// The number, its unit, and how both are shown.
pub(super) fn value(value: &Value) -> (Option<f64>, Unit, String) {
    match value {
        Value::Rows(rows) => {
            let number = count(*rows);
            let unit = if number == "1" { "row" } else { "rows" };
            (finite(*rows), Unit::Rows, format!("{number} {unit}"))
        }
        Value::Count(number) => (finite(*number), Unit::Count, count(*number)),
        Value::Ms(time) => (finite(*time), Unit::Ms, ms(*time)),
        Value::Bytes(size) => (finite(*size), Unit::Bytes, bytes(*size)),
        Value::Blocks(blocks) => (
            finite(*blocks),
            Unit::Blocks,
            format!("{} blocks ({})", count(*blocks), bytes(*blocks * 8192.0)),
        ),
        Value::Share(part) => (finite(*part), Unit::Share, share(*part)),
        Value::Factor(by) => (finite(*by), Unit::Factor, factor(*by)),
        Value::Cost(units) => (finite(*units), Unit::Cost, cost(*units)),
        Value::Text(text) => (None, Unit::Text, text.clone()),
    }
}

/// JSON has no infinity: such a number is absent.
pub(super) fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}

fn grouped(number: &str) -> String {
    let (sign, rest) = match number.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", number),
    };
    let (whole, fraction) = match rest.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (rest, None),
    };
    let mut text = String::with_capacity(number.len() + number.len() / 3);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    match fraction {
        Some(fraction) => format!("{sign}{text}.{fraction}"),
        None => format!("{sign}{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(0.0), "0");
        assert_eq!(count(999.0), "999");
        assert_eq!(count(1000.0), "1,000");
        assert_eq!(count(1_234_567.4), "1,234,567");
        assert_eq!(count(12.34), "12.3");
        assert_eq!(count(0.256), "0.26");
        assert_eq!(count(-1234.0), "-1,234");
        assert_eq!(count(f64::NAN), "?");
    }

    #[test]
    fn units_grow_with_the_number() {
        assert_eq!(ms(0.004), "0.004 ms");
        assert_eq!(ms(0.04), "0.04 ms");
        assert_eq!(ms(1234.0), "1,234 ms");
        assert_eq!(ms(12_345.0), "12.3 s");
        assert_eq!(ms(245_000.0), "4 min 5 s");
        assert_eq!(bytes(512.0), "512 bytes");
        assert_eq!(bytes(21.5 * 1024.0 * 1024.0), "21.5 MiB");
    }

    #[test]
    fn shares_never_round_to_all_or_nothing() {
        assert_eq!(share(0.0), "0 %");
        assert_eq!(share(0.0004), "< 0.1 %");
        assert_eq!(share(0.056), "5.6 %");
        assert_eq!(share(0.5), "50 %");
        assert_eq!(share(0.998), "99.8 %");
        assert_eq!(share(1.0), "100 %");
    }
}
