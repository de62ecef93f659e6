//! Types whose values have stand-ins: as numbers on a line, where stand-ins
//! are rounder numbers, or as texts.

/// Digits after the point that are told apart.
const SCALE: u32 = 20;
/// Microseconds of a day.
const DAY: i128 = 86_400_000_000;

/// What a type's values are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    /// Whole numbers.
    Integer,
    /// Numbers with a point.
    Decimal,
    /// Days.
    Date,
    /// Points in time without a zone.
    Timestamp,
    /// Points in time.
    TimestampTz,
    /// UUIDs.
    Uuid,
    /// Texts.
    Text,
    /// Values that say nothing that the schema does not: truth and enums.
    Kept,
}

/// The family of a type, as `format_type` prints it.
pub(super) fn of(type_name: &str) -> Option<Family> {
    let bare: String = match (type_name.find('('), type_name.find(')')) {
        (Some(open), Some(close)) if open < close => type_name
            .get(..open)
            .into_iter()
            .chain(type_name.get(close + 1..))
            .collect(),
        _ => type_name.to_owned(),
    };
    let bare = bare.trim();
    Some(match bare.strip_prefix("pg_catalog.").unwrap_or(bare) {
        "smallint" | "integer" | "bigint" | "oid" | "int2" | "int4" | "int8" => Family::Integer,
        "numeric" | "real" | "double precision" | "float4" | "float8" => Family::Decimal,
        "date" => Family::Date,
        "timestamp without time zone" | "timestamp" => Family::Timestamp,
        "timestamp with time zone" | "timestamptz" => Family::TimestampTz,
        "uuid" => Family::Uuid,
        "text" | "character varying" | "varchar" | "character" | "bpchar" | "name" => Family::Text,
        "boolean" | "bool" => Family::Kept,
        other if other == "citext" || other.ends_with(".citext") => Family::Text,
        _ => return None,
    })
}

impl Family {
    /// A value's place on the line; `None` for what has none.
    pub(super) fn place(self, text: &str) -> Option<i128> {
        match self {
            Self::Integer => text.parse::<i64>().ok().map(i128::from),
            Self::Decimal => decimal(text),
            Self::Date => date(text).map(|days| days * DAY),
            Self::Timestamp | Self::TimestampTz => timestamp(text),
            Self::Uuid => {
                let digits: String = text.chars().filter(|c| *c != '-').collect();
                let bits = u128::from_str_radix(&digits, 16).ok()?;
                (digits.len() == 32).then_some((bits ^ (1 << 127)).cast_signed())
            }
            Self::Text | Self::Kept => None,
        }
    }

    /// The text of a place.
    pub(super) fn text(self, place: i128) -> String {
        match self {
            Self::Integer | Self::Text | Self::Kept => place.to_string(),
            Self::Decimal => {
                let unit = 10_u128.pow(SCALE);
                let size = place.unsigned_abs();
                let sign = if place < 0 { "-" } else { "" };
                let fraction = format!("{:020}", size % unit);
                let fraction = fraction.trim_end_matches('0');
                if fraction.is_empty() {
                    format!("{sign}{}", size / unit)
                } else {
                    format!("{sign}{}.{fraction}", size / unit)
                }
            }
            Self::Date => calendar(place).0,
            Self::Timestamp => {
                let (day, time) = calendar(place);
                format!("{day} {time}")
            }
            Self::TimestampTz => {
                let (day, time) = calendar(place);
                format!("{day} {time}+00")
            }
            Self::Uuid => {
                let digits = format!("{:032x}", place.cast_unsigned() ^ (1 << 127));
                let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
                format!(
                    "{}-{}-{}-{}-{}",
                    part(0, 8),
                    part(8, 12),
                    part(12, 16),
                    part(16, 20),
                    part(20, 32)
                )
            }
        }
    }

    /// The roundest place from `value` down to, and without, the middle
    /// between it and the value before it; numbers below nought are rounded up
    /// in the same way, so that no type's range is left.
    pub(super) fn stand_in(self, before: Option<i128>, value: i128, after: Option<i128>) -> i128 {
        match self {
            Self::Integer | Self::Decimal => {
                let toward = if value < 0 {
                    after.filter(|after| *after < 0)
                } else {
                    before.filter(|before| *before > 0)
                };
                let least = value.unsigned_abs()
                    - (value.unsigned_abs() - toward.unwrap_or(0).unsigned_abs()) / 2;
                let size = roundest(10, least, value.unsigned_abs()).cast_signed();
                if value < 0 { -size } else { size }
            }
            Self::Uuid => {
                let line = |place: i128| place.cast_unsigned() ^ (1 << 127);
                let size = line(value);
                let least = size - (size - before.map_or(0, line)) / 2;
                (roundest(16, least, size) ^ (1 << 127)).cast_signed()
            }
            Self::Date | Self::Timestamp | Self::TimestampTz => {
                // The first one moves away from the second by no more than half
                // of what is between them.
                let least = match (before, after) {
                    (Some(before), _) => value - (value - before) / 2,
                    (None, Some(after)) => value - (after - value) / 2,
                    (None, None) => i128::MIN,
                };
                round_times(value)
                    .into_iter()
                    .find(|place| *place >= least)
                    .unwrap_or(value)
            }
            Self::Text | Self::Kept => value,
        }
    }
}

/// The number with most noughts at its end from `least` to `most`.
fn roundest(base: u128, least: u128, most: u128) -> u128 {
    let mut unit = 1_u128;
    let mut found = most;
    while let Some(next) = unit.checked_mul(base) {
        let round = most / next * next;
        if round < least || round == 0 {
            break;
        }
        found = round;
        unit = next;
    }
    found
}

/// A number as a multiple of 10 to the power of minus [`SCALE`].
fn decimal(text: &str) -> Option<i128> {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, i32::from(exponent.parse::<i16>().ok()?)),
        None => (text, 0),
    };
    let (negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction = fraction.trim_end_matches('0');
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mantissa: i128 = digits.parse().ok()?;
    let power = i32::try_from(SCALE).ok()? + exponent - i32::try_from(fraction.len()).ok()?;
    let size = mantissa.checked_mul(10_i128.checked_pow(u32::try_from(power).ok()?)?)?;
    Some(if negative { -size } else { size })
}

/// Days since 1970-01-01 of `2024-03-05`.
fn date(text: &str) -> Option<i128> {
    let mut parts = text.split('-');
    let mut number = || Some(i128::from(parts.next()?.parse::<i32>().ok()?));
    let (year, month, day) = (number()?, number()?, number()?);
    let fits = parts.next().is_none() && (1..=12).contains(&month) && (1..=31).contains(&day);
    fits.then(|| days(year, month, day))
}

/// Microseconds since 1970 of `2024-03-05 12:34:56.789+02`.
fn timestamp(text: &str) -> Option<i128> {
    let (day, time) = text.split_once(' ')?;
    let (time, offset) = match time.find(['+', '-']) {
        Some(at) => (time.get(..at)?, time.get(at..)?),
        None => (time, ""),
    };
    let mut parts = time.split(':');
    let mut number = || Some(i128::from(parts.next()?.parse::<i32>().ok()?));
    let (hours, minutes) = (number()?, number()?);
    let seconds = decimal(parts.next()?)? / 10_i128.pow(SCALE - 6);
    let mut micros = date(day)? * DAY + (hours * 60 + minutes) * 60_000_000 + seconds;
    if !offset.is_empty() {
        let sign = if offset.starts_with('-') { -1 } else { 1 };
        let mut unit = 3_600_000_000;
        for part in offset.get(1..)?.split(':') {
            micros -= sign * unit * i128::from(part.parse::<i32>().ok()?);
            unit /= 60;
        }
    }
    Some(micros)
}

/// Days since 1970-01-01 in the Gregorian calendar.
fn days(year: i128, month: i128, day: i128) -> i128 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of days since 1970-01-01.
fn civil(days: i128) -> (i128, i128, i128) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i128::from(month <= 2);
    (year, month, day)
}

/// A place in time as day and time of day.
fn calendar(place: i128) -> (String, String) {
    let (year, month, day) = civil(place.div_euclid(DAY));
    let micros = place.rem_euclid(DAY);
    let seconds = micros / 1_000_000;
    (
        format!("{year:04}-{month:02}-{day:02}"),
        format!(
            "{:02}:{:02}:{:02}.{:06}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            micros % 1_000_000
        ),
    )
}

/// The beginnings of the year, month, day and so on that a place is in.
fn round_times(place: i128) -> Vec<i128> {
    let (year, month, _) = civil(place.div_euclid(DAY));
    let mut places = vec![days(year, 1, 1) * DAY, days(year, month, 1) * DAY];
    for unit in [DAY, 3_600_000_000, 60_000_000, 1_000_000, 1000] {
        places.push(place.div_euclid(unit) * unit);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back_as_their_texts() {
        for (family, text) in [
            (Family::Integer, "-42"),
            (Family::Decimal, "-0.05"),
            (Family::Decimal, "123456.789"),
            (Family::Date, "2024-02-29"),
            (Family::Date, "1899-12-31"),
            (Family::Timestamp, "2024-12-31 23:59:59.000001"),
            (Family::TimestampTz, "1969-12-31 23:59:59.500000+00"),
            (Family::Uuid, "00112233-4455-6677-8899-aabbccddeeff"),
            (Family::Uuid, "ff112233-4455-6677-8899-aabbccddeeff"),
        ] {
            let place = family.place(text).unwrap();
            assert_eq!(family.text(place), text, "{family:?}");
        }
        let zoned = |text| Family::TimestampTz.place(text).unwrap();
        assert_eq!(
            zoned("2024-01-01 02:30:00+02:30"),
            zoned("2024-01-01 00:00:00+00")
        );
        assert_eq!(
            Family::Decimal.place("1.5e+3"),
            Family::Decimal.place("1500.0")
        );
        for text in ["NaN", "Infinity", "", "-", "1e-30"] {
            assert_eq!(Family::Decimal.place(text), None, "{text}");
        }
        assert_eq!(Family::Date.place("infinity"), None);
        assert_eq!(Family::Date.place("0044-03-15 BC"), None);
    }

    #[test]
    fn stand_ins_are_round_and_stay_apart() {
        let integer = |before, value, after| Family::Integer.stand_in(before, value, after);
        assert_eq!(integer(Some(47_000), 48_213, Some(49_500)), 48_000);
        assert_eq!(integer(None, 48_213, None), 40_000);
        assert_eq!(integer(Some(6), 7, None), 7);
        assert_eq!(integer(None, -48_213, Some(5)), -40_000);
        assert_eq!(integer(Some(-3), 0, Some(9)), 0);
        let date = |before: &str, value: &str| {
            let place = |text| Family::Date.place(text).unwrap();
            Family::Date.text(Family::Date.stand_in(Some(place(before)), place(value), None))
        };
        assert_eq!(date("2020-05-05", "2024-03-17"), "2024-01-01");
        assert_eq!(date("2024-01-20", "2024-03-17"), "2024-03-01");
        assert_eq!(date("2024-03-16", "2024-03-17"), "2024-03-17");
    }
}
