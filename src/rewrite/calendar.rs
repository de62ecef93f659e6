//! Dates and times of day without a zone, as constants in SQL write them.

/// Midnight-based units to which a timestamp can be truncated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unit {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week, from Monday.
    Week,
    /// A month.
    Month,
    /// Three months.
    Quarter,
    /// A year.
    Year,
}

impl Unit {
    /// Reads a field name of `date_trunc`.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "second" | "seconds" => Self::Second,
            "minute" | "minutes" => Self::Minute,
            "hour" | "hours" => Self::Hour,
            "day" | "days" => Self::Day,
            "week" | "weeks" => Self::Week,
            "month" | "months" => Self::Month,
            "quarter" | "quarters" => Self::Quarter,
            "year" | "years" => Self::Year,
            _ => return None,
        })
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }

    /// What to add to the start of one to get the next, as an interval.
    pub(super) fn interval(self) -> &'static str {
        match self {
            Self::Second => "1 second",
            Self::Minute => "1 minute",
            Self::Hour => "1 hour",
            Self::Day => "1 day",
            Self::Week => "7 days",
            Self::Month => "1 month",
            Self::Quarter => "3 months",
            Self::Year => "1 year",
        }
    }

    /// Truncating to `self` and then to `outer`, as one unit; `None` where
    /// the two do not nest.
    pub(super) fn then(self, outer: Self) -> Option<Self> {
        let nested = |fine: Self, coarse: Self| {
            fine <= Self::Day
                || fine == coarse
                || (fine == Self::Month && coarse > Self::Month)
                || (fine == Self::Quarter && coarse == Self::Year)
        };
        if self <= outer && nested(self, outer) {
            Some(outer)
        } else if outer < self && nested(outer, self) {
            Some(self)
        } else {
            None
        }
    }

    /// Every start of `other` is a start of this unit too.
    pub(super) fn divides(self, other: Self) -> bool {
        self.then(other) == Some(other)
    }
}

/// A moment without a zone: days since 1970-01-01 and microseconds of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    days: i64,
    micros: i64,
}

const DAY: i64 = 86_400_000_000;

impl Moment {
    /// Midnight of a date of the years 1 to 9999; `None` for what is no date.
    pub(super) fn date(year: i64, month: i64, day: i64) -> Option<Self> {
        if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || day < 1 {
            return None;
        }
        let days = days_from_civil(year, month, day);
        (civil_from_days(days) == (year, month, day)).then_some(Self { days, micros: 0 })
    }

    /// Reads `2024-03-01`, with a time after a space or `T`. Other spellings
    /// depend on `DateStyle`, and a zone would change the meaning: `None`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (date, time) = match text.split_once([' ', 'T']) {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        };
        let mut fields = date.split('-');
        let (year, month, day) = (fields.next()?, fields.next()?, fields.next()?);
        if fields.next().is_some() || year.len() != 4 || month.len() > 2 || day.len() > 2 {
            return None;
        }
        let mut moment = Self::date(number(year)?, number(month)?, number(day)?)?;
        if let Some(time) = time {
            moment.micros = micros_of_day(time)?;
        }
        Some(moment)
    }

    /// It is midnight.
    pub(super) fn is_midnight(self) -> bool {
        self.micros == 0
    }

    /// Where the unit that it lies in starts.
    pub(super) fn truncated(self, unit: Unit) -> Self {
        let (year, month, _) = civil_from_days(self.days);
        let at = |year, month| Self {
            days: days_from_civil(year, month, 1),
            micros: 0,
        };
        let within = |length: i64| Self {
            days: self.days,
            micros: self.micros - self.micros.rem_euclid(length),
        };
        match unit {
            Unit::Second => within(1_000_000),
            Unit::Minute => within(60_000_000),
            Unit::Hour => within(3_600_000_000),
            Unit::Day => within(DAY),
            // 1970-01-01 was a Thursday, three days after a Monday.
            Unit::Week => Self {
                days: self.days - (self.days + 3).rem_euclid(7),
                micros: 0,
            },
            Unit::Month => at(year, month),
            Unit::Quarter => at(year, (month - 1) / 3 * 3 + 1),
            Unit::Year => at(year, 1),
        }
    }

    /// It is where a unit starts.
    pub(super) fn starts(self, unit: Unit) -> bool {
        self.truncated(unit) == self
    }

    /// Where the next unit starts, for a moment where one does; `None` after
    /// the year 9999.
    pub(super) fn next(self, unit: Unit) -> Option<Self> {
        let (year, month, _) = civil_from_days(self.days);
        let later = |micros: i64| Self {
            days: self.days + (self.micros + micros) / DAY,
            micros: (self.micros + micros) % DAY,
        };
        let next = match unit {
            Unit::Second => later(1_000_000),
            Unit::Minute => later(60_000_000),
            Unit::Hour => later(3_600_000_000),
            Unit::Day => later(DAY),
            Unit::Week => later(7 * DAY),
            Unit::Month if month == 12 => Self::date(year + 1, 1, 1)?,
            Unit::Month => Self::date(year, month + 1, 1)?,
            Unit::Quarter if month >= 10 => Self::date(year + 1, 1, 1)?,
            Unit::Quarter => Self::date(year, month + 3, 1)?,
            Unit::Year => Self::date(year + 1, 1, 1)?,
        };
        (civil_from_days(next.days).0 <= 9999).then_some(next)
    }

    /// As a constant's text: a date at midnight, else with the time.
    pub(super) fn text(self) -> String {
        let (year, month, day) = civil_from_days(self.days);
        let date = format!("{year:04}-{month:02}-{day:02}");
        if self.is_midnight() {
            return date;
        }
        format!("{date} {}", self.time())
    }

    /// As a constant's text with the time always, in UTC.
    pub(super) fn utc_text(self) -> String {
        let (year, month, day) = civil_from_days(self.days);
        format!("{year:04}-{month:02}-{day:02} {}+00", self.time())
    }

    fn time(self) -> String {
        let seconds = self.micros / 1_000_000;
        let fraction = self.micros % 1_000_000;
        let mut time = format!(
            "{:02}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        );
        if fraction > 0 {
            time.push_str(format!(".{fraction:06}").trim_end_matches('0'));
        }
        time
    }
}

fn number(text: &str) -> Option<i64> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

/// `10:30`, `10:30:00.5`, as microseconds of the day.
pub(super) fn micros_of_day(text: &str) -> Option<i64> {
    let mut fields = text.trim().split(':');
    let (hour, minute) = (number(fields.next()?)?, number(fields.next()?)?);
    let (second, micros) = match fields.next() {
        None => (0, 0),
        Some(seconds) => {
            let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
            if fraction.len() > 6 {
                return None;
            }
            let micros = if fraction.is_empty() {
                0
            } else {
                number(&format!("{fraction:0<6}"))?
            };
            (number(whole)?, micros)
        }
    };
    if fields.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(((hour * 60 + minute) * 60 + second) * 1_000_000 + micros)
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar, which
/// is PostgreSQL's.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of days since 1970-01-01.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn m(text: &str) -> Moment {
        Moment::parse(text).unwrap()
    }

    #[test]
    fn every_day_of_four_centuries_comes_back() {
        for days in -146_097..146_097 {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
        assert_eq!(civil_from_days(0), (1970, 1, 1));
        assert_eq!(civil_from_days(19_782), (2024, 2, 29));
    }

    #[test]
    fn only_unambiguous_spellings_are_read() {
        assert_eq!(m("2024-03-01").text(), "2024-03-01");
        assert_eq!(m("2024-03-01 00:00:00").text(), "2024-03-01");
        assert_eq!(m("2024-03-01T10:30").text(), "2024-03-01 10:30:00");
        assert_eq!(m("2024-3-1 10:30:00.250").text(), "2024-03-01 10:30:00.25");
        for other in [
            "01/03/2024",
            "2024-02-30",
            "2024-03-01 00:00:00+02",
            "2024-03-01 24:00",
            "infinity",
            "today",
            "0044-03-15 BC",
            "2024",
        ] {
            assert_eq!(Moment::parse(other), None, "{other}");
        }
    }

    #[test]
    fn the_next_unit_starts_where_it_should() {
        for (from, unit, to) in [
            ("2024-02-29", Unit::Day, "2024-03-01"),
            ("2024-12-30", Unit::Week, "2025-01-06"),
            ("2024-12-01", Unit::Month, "2025-01-01"),
            ("2024-10-01", Unit::Quarter, "2025-01-01"),
            ("2024-01-01", Unit::Year, "2025-01-01"),
            ("2024-12-31 23:00", Unit::Hour, "2025-01-01"),
            ("2024-01-01 10:59", Unit::Minute, "2024-01-01 11:00:00"),
        ] {
            assert!(m(from).starts(unit), "{from}");
            assert_eq!(m(from).next(unit).unwrap().text(), to);
        }
        assert!(!m("2024-01-02").starts(Unit::Week));
        assert!(m("2024-01-01").starts(Unit::Week));
        assert!(!m("2024-01-02").starts(Unit::Month));
        assert_eq!(m("9999-12-31").next(Unit::Day), None);
    }

    #[test]
    fn units_nest_only_where_one_divides_the_other() {
        assert_eq!(Unit::Day.then(Unit::Month), Some(Unit::Month));
        assert_eq!(Unit::Month.then(Unit::Day), Some(Unit::Month));
        assert_eq!(Unit::Month.then(Unit::Year), Some(Unit::Year));
        assert_eq!(Unit::Week.then(Unit::Month), None);
        assert_eq!(Unit::Month.then(Unit::Week), None);
        assert!(Unit::Day.divides(Unit::Week));
        assert!(!Unit::Week.divides(Unit::Year));
    }
}
