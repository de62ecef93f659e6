//! Exact decimal numbers, as `numeric` constants are.

use std::cmp::Ordering;
use std::fmt;

/// `mantissa` × 10^-`scale`, without trailing zeros after the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal {
    mantissa: i128,
    scale: u32,
}

/// Digits beyond which arithmetic in `i128` could overflow.
const MAX_DIGITS: usize = 30;

impl Decimal {
    /// Reads `12`, `-1.50`, `.5`, `1e3`; `None` for anything else, and for
    /// numbers too long to reckon with exactly.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest.trim_start()),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (number, exponent) = match digits.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
            None => (digits, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let all: String = whole.chars().chain(fraction.chars()).collect();
        if all.is_empty()
            || all.len() > MAX_DIGITS
            || exponent.unsigned_abs() as usize > MAX_DIGITS
            || !all.bytes().all(|byte| byte.is_ascii_digit())
        {
            return None;
        }
        let mut mantissa: i128 = all.parse().ok()?;
        if negative {
            mantissa = -mantissa;
        }
        let scale = i32::try_from(fraction.len()).ok()? - exponent;
        if scale < 0 {
            mantissa = mantissa.checked_mul(10_i128.checked_pow(scale.unsigned_abs())?)?;
            return Some(Self { mantissa, scale: 0 }.reduced());
        }
        Some(
            Self {
                mantissa,
                scale: scale.unsigned_abs(),
            }
            .reduced(),
        )
    }

    fn reduced(mut self) -> Self {
        while self.scale > 0 && self.mantissa % 10 == 0 {
            self.mantissa /= 10;
            self.scale -= 1;
        }
        self
    }

    /// Both with the same scale.
    fn aligned(self, other: Self) -> Option<(i128, i128, u32)> {
        let scale = self.scale.max(other.scale);
        let left = self
            .mantissa
            .checked_mul(10_i128.checked_pow(scale - self.scale)?)?;
        let right = other
            .mantissa
            .checked_mul(10_i128.checked_pow(scale - other.scale)?)?;
        Some((left, right, scale))
    }

    /// The integer it is, if it is one.
    pub(super) fn integer(self) -> Option<i128> {
        (self.scale == 0).then_some(self.mantissa)
    }

    /// The largest integer not above it.
    pub(super) fn floor(self) -> i128 {
        let unit = 10_i128.checked_pow(self.scale).unwrap_or(i128::MAX);
        self.mantissa.div_euclid(unit)
    }

    /// The smallest integer not below it.
    pub(super) fn ceil(self) -> i128 {
        if self.scale == 0 {
            self.mantissa
        } else {
            self.floor() + 1
        }
    }

    /// The sum.
    pub(super) fn plus(self, other: Self) -> Option<Self> {
        let (left, right, scale) = self.aligned(other)?;
        Some(
            Self {
                mantissa: left.checked_add(right)?,
                scale,
            }
            .reduced(),
        )
    }

    /// The negative.
    pub(super) fn negated(self) -> Self {
        Self {
            mantissa: -self.mantissa,
            scale: self.scale,
        }
    }

    /// The difference.
    pub(super) fn minus(self, other: Self) -> Option<Self> {
        self.plus(other.negated())
    }

    /// The quotient, when it is a finite decimal and the divisor is not zero.
    pub(super) fn divided_by(self, other: Self) -> Option<Self> {
        if other.mantissa == 0 {
            return None;
        }
        let (mut left, right, _) = self.aligned(other)?;
        let mut scale = 0;
        while left % right != 0 {
            left = left.checked_mul(10)?;
            scale += 1;
            if scale > 20 {
                return None;
            }
        }
        Some(
            Self {
                mantissa: left / right,
                scale,
            }
            .reduced(),
        )
    }

    /// Less than, equal to or greater than zero.
    pub(super) fn sign(self) -> Ordering {
        self.mantissa.cmp(&0)
    }
}

impl From<i128> for Decimal {
    fn from(mantissa: i128) -> Self {
        Self { mantissa, scale: 0 }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mantissa < 0 {
            f.write_str("-")?;
        }
        let digits = self.mantissa.unsigned_abs().to_string();
        let scale = self.scale as usize;
        if scale == 0 {
            return f.write_str(&digits);
        }
        let padded = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        write!(f, "{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn reads_and_writes_what_numeric_constants_are() {
        for (text, shown) in [
            ("12345.0", "12345"),
            ("-1.50", "-1.5"),
            (".5", "0.5"),
            ("1e3", "1000"),
            ("1.5e-2", "0.015"),
            ("-0.05", "-0.05"),
        ] {
            assert_eq!(d(text).to_string(), shown);
        }
        assert_eq!(Decimal::parse("0x10"), None);
        assert_eq!(Decimal::parse(""), None);
        assert_eq!(Decimal::parse("1.2.3"), None);
        assert_eq!(Decimal::parse(&"9".repeat(40)), None);
    }

    #[test]
    fn floor_and_ceiling_go_the_right_way_below_zero() {
        assert_eq!((d("1.5").floor(), d("1.5").ceil()), (1, 2));
        assert_eq!((d("-1.5").floor(), d("-1.5").ceil()), (-2, -1));
        assert_eq!((d("3.0").floor(), d("3.0").ceil()), (3, 3));
    }

    #[test]
    fn division_is_exact_or_nothing() {
        assert_eq!(d("10").divided_by(d("4")).unwrap().to_string(), "2.5");
        assert_eq!(d("0.3").divided_by(d("-0.1")).unwrap().to_string(), "-3");
        assert_eq!(d("10").divided_by(d("3")), None);
        assert_eq!(d("10").divided_by(d("0")), None);
        assert_eq!(d("1.5").minus(d("0.5")).unwrap().integer(), Some(1));
    }
}
