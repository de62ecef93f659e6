//! Intervals, as constants in SQL write them.

use super::calendar::micros_of_day;
use super::words::code;

/// An interval in PostgreSQL's three fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Interval {
    /// Months; a year is twelve.
    pub(super) months: i64,
    /// Days; a week is seven.
    pub(super) days: i64,
    /// Microseconds.
    pub(super) micros: i64,
}

impl Interval {
    /// Reads `7 days`, `1 day 02:30`, `2 hours 30 minutes`, `-3 days`; `None`
    /// for other spellings, fractions and `ago`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut found = Self::default();
        let mut fields = text.split_whitespace();
        let mut any = false;
        while let Some(field) = fields.next() {
            any = true;
            if field.contains(':') {
                let (sign, time) = match field.strip_prefix('-') {
                    Some(rest) => (-1, rest),
                    None => (1, field),
                };
                found.micros = found.micros.checked_add(sign * micros_of_day(time)?)?;
                continue;
            }
            let digits = field.trim_start_matches(['-', '+']);
            let split = digits
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(digits.len());
            let count: i64 = digits.get(..split)?.parse().ok()?;
            let count = if field.starts_with('-') {
                -count
            } else {
                count
            };
            let unit = match digits.get(split..)? {
                "" => fields.next()?,
                unit => unit,
            };
            found.add(count, unit)?;
        }
        // What a leading minus covers depends on `IntervalStyle`.
        let mixed = text.contains('-') && text.split_whitespace().count() > 2;
        (any && !mixed).then_some(found)
    }

    fn add(&mut self, count: i64, unit: &str) -> Option<()> {
        let (field, factor) = match unit.to_ascii_lowercase().as_str() {
            "year" | "years" => (&mut self.months, 12),
            "month" | "months" | "mon" | "mons" => (&mut self.months, 1),
            "week" | "weeks" => (&mut self.days, 7),
            "day" | "days" => (&mut self.days, 1),
            "hour" | "hours" => (&mut self.micros, 3_600_000_000),
            "minute" | "minutes" | "min" | "mins" => (&mut self.micros, 60_000_000),
            "second" | "seconds" | "sec" | "secs" => (&mut self.micros, 1_000_000),
            _ => return None,
        };
        *field = field.checked_add(count.checked_mul(factor)?)?;
        Some(())
    }

    /// Reads an expression that is an interval constant: `interval '7 days'`,
    /// `'7 days'::interval`, `CAST('7 days' AS interval)`, `interval '7' day`.
    pub(super) fn expression(text: &str) -> Option<Self> {
        let words = code(text);
        let texts: Vec<String> = words.iter().map(|word| word.text.to_lowercase()).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        match texts.as_slice() {
            ["interval", value]
            | [value, ":", ":", "interval"]
            | ["cast", "(", value, "as", "interval", ")"]
            | ["(", "interval", value, ")"] => Self::parse(unquoted(value)?),
            ["interval", value, unit] => Self::parse(&format!("{} {unit}", unquoted(value)?)),
            _ => None,
        }
    }

    /// Whole days and months only, so that midnight stays midnight.
    pub(super) fn is_whole_days(self) -> bool {
        self.micros == 0
    }

    /// Its length when a month counts 30 days, as comparisons of intervals
    /// count, written with hours as the largest unit (`unit_days` false) or
    /// with days.
    pub(super) fn linear_text(self, unit_days: bool) -> Option<String> {
        let days = self.months.checked_mul(30)?.checked_add(self.days)?;
        let mut parts = Vec::new();
        let mut micros = self.micros;
        if unit_days {
            if days != 0 {
                parts.push(counted(days, "day"));
            }
        } else {
            micros = micros.checked_add(days.checked_mul(86_400_000_000)?)?;
        }
        let mut rest = micros;
        for (unit, length) in [("hour", 3_600_000_000), ("minute", 60_000_000)] {
            if rest / length != 0 {
                parts.push(counted(rest / length, unit));
                rest %= length;
            }
        }
        if rest % 1_000_000 != 0 {
            return None;
        }
        if rest != 0 {
            parts.push(counted(rest / 1_000_000, "second"));
        }
        if parts.is_empty() {
            parts.push("0 seconds".to_owned());
        }
        Some(parts.join(" "))
    }
}

fn counted(count: i64, unit: &str) -> String {
    if count == 1 {
        format!("1 {unit}")
    } else {
        format!("{count} {unit}s")
    }
}

fn unquoted(literal: &str) -> Option<&str> {
    literal.strip_prefix('\'')?.strip_suffix('\'')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_fields_are_kept_apart() {
        let read = |text| Interval::parse(text).unwrap();
        assert_eq!(read("7 days").days, 7);
        assert_eq!(read("1 week").days, 7);
        assert_eq!(read("1 year 2 months").months, 14);
        assert_eq!(read("1 day 02:30").micros, 9_000_000_000);
        assert_eq!(read("90min").micros, 5_400_000_000);
        assert_eq!(read("-3 days").days, -3);
        assert_eq!(Interval::parse("1.5 days"), None);
        assert_eq!(Interval::parse("P7D"), None);
        assert_eq!(Interval::parse("3 days ago"), None);
        assert_eq!(Interval::parse(""), None);
    }

    #[test]
    fn expressions_in_every_spelling() {
        for text in [
            "interval '7 days'",
            "INTERVAL '7' DAY",
            "'7 days'::interval",
            "CAST('7 days' AS interval)",
            "(interval '1 week')",
        ] {
            assert_eq!(Interval::expression(text).unwrap().days, 7, "{text}");
        }
        assert_eq!(Interval::expression("now()"), None);
    }

    #[test]
    fn lengths_compare_with_months_of_thirty_days() {
        let text = |text, days| Interval::parse(text).unwrap().linear_text(days).unwrap();
        assert_eq!(text("1 month", true), "30 days");
        assert_eq!(text("30 days", false), "720 hours");
        assert_eq!(text("1 day 30 minutes", false), "24 hours 30 minutes");
        assert_eq!(text("90 minutes", true), "1 hour 30 minutes");
        assert_eq!(text("0 days", true), "0 seconds");
    }
}
