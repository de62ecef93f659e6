//! The bytes of extended statistics. The server takes them as they are, so
//! that they are read here first: counts and lengths must fit each other and
//! the columns.

use std::collections::BTreeMap;

use super::resolve::Names;

/// A column of a list of most common values.
#[derive(Debug, Clone)]
pub(super) struct Dimension {
    pub type_oid: u32,
    pub length: i16,
    pub by_value: bool,
    /// Of an enum, its values' numbers by their labels.
    pub labels: BTreeMap<String, u32>,
}

const N_DISTINCT_MAGIC: u32 = 0xA352_BFA4;
const DEPENDENCIES_MAGIC: u32 = 0xB454_9A2C;
const MOST_COMMON_MAGIC: u32 = 0xE1A6_51C2;

/// A `bytea` as text: `\x0a0b` or `0a0b`.
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let text = text.strip_prefix("\\x").unwrap_or(text).as_bytes();
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    text.chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
            _ => None,
        })
        .collect()
}

/// Reads from the front, as a little-endian server wrote it.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn i16(&mut self) -> Option<i16> {
        Some(i16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.u32()?).ok()
    }

    /// Magic number and type, which has been 1 for all three ever since.
    fn head(&mut self, magic: u32) -> Option<()> {
        (self.u32()? == magic && self.u32()? == 1).then_some(())
    }

    fn attributes(&mut self, count: usize, columns: &[i16], expressions: usize) -> Option<()> {
        for _ in 0..count {
            let number = self.i16()?;
            let known = columns.contains(&number)
                || (number < 0 && usize::from(number.unsigned_abs()) <= expressions);
            if !known {
                return None;
            }
        }
        Some(())
    }
}

/// `pg_ndistinct`: how many combinations of columns have how many values.
pub(super) fn n_distinct(raw: &[u8], columns: &[i16], expressions: usize) -> Option<Vec<u8>> {
    let mut cursor = Cursor(raw);
    cursor.head(N_DISTINCT_MAGIC)?;
    let items = cursor.count()?;
    for _ in 0..items {
        cursor.take(8)?;
        let count = cursor.count().filter(|count| (2..=8).contains(count))?;
        cursor.attributes(count, columns, expressions)?;
    }
    (items > 0 && cursor.0.is_empty()).then(|| raw.to_vec())
}

/// `pg_dependencies`: how far columns determine others.
pub(super) fn dependencies(raw: &[u8], columns: &[i16], expressions: usize) -> Option<Vec<u8>> {
    let mut cursor = Cursor(raw);
    cursor.head(DEPENDENCIES_MAGIC)?;
    let items = cursor.count()?;
    for _ in 0..items {
        cursor.take(8)?;
        let count = usize::try_from(cursor.i16()?)
            .ok()
            .filter(|count| (2..=8).contains(count))?;
        cursor.attributes(count, columns, expressions)?;
    }
    (items > 0 && cursor.0.is_empty()).then(|| raw.to_vec())
}

/// `pg_mcv_list`: the types of its columns and the values of enums are numbers
/// of the origin (`labels` are those of the values), and how values are passed
/// depends on the machine; all that is put right. Types whose bytes hold such
/// numbers further inside (arrays, ranges, rows), or whose bytes cannot be
/// checked, give `None`.
pub(super) fn most_common(
    raw: &[u8],
    columns: &[Dimension],
    labels: &BTreeMap<u32, String>,
    names: &Names,
) -> Option<Vec<u8>> {
    let mut cursor = Cursor(raw);
    cursor.head(MOST_COMMON_MAGIC)?;
    let items = cursor.count()?;
    let dimensions = usize::try_from(cursor.i16()?).ok()?;
    if items == 0 || items > 10_000 || !(2..=8).contains(&dimensions) || dimensions != columns.len()
    {
        return None;
    }
    let types_at = raw.len() - cursor.0.len();
    cursor.take(dimensions.checked_mul(4)?)?;
    if !columns.iter().all(|dimension| is_flat(names, dimension)) {
        return None;
    }
    let infos_at = raw.len() - cursor.0.len();
    let mut infos = Vec::new();
    for dimension in columns {
        let values = cursor.count().filter(|&values| values <= items)?;
        let bytes = cursor.count()?;
        let _aligned = cursor.u32()?;
        let length = cursor.u32()?.cast_signed();
        let by_value = cursor.take(4)?;
        if i32::from(dimension.length) != length || by_value.first()? > &1 {
            return None;
        }
        infos.push((values, bytes, length));
    }
    let mut enums: Vec<(usize, u32)> = Vec::new();
    for (dimension, &(values, bytes, length)) in columns.iter().zip(&infos) {
        let mut part = Cursor(cursor.take(bytes)?);
        for _ in 0..values {
            match length {
                4 if !dimension.labels.is_empty() => {
                    let at = raw.len() - cursor.0.len() - part.0.len();
                    let label = labels.get(&part.u32()?)?;
                    enums.push((at, *dimension.labels.get(label)?));
                }
                1.. => {
                    part.take(usize::try_from(length).ok()?)?;
                }
                -1 => {
                    let size = part.count()?;
                    part.take(size)?;
                }
                _ => return None,
            }
        }
        if !part.0.is_empty() {
            return None;
        }
    }
    for _ in 0..items {
        let nulls = cursor.take(dimensions)?;
        cursor.take(16)?;
        for (&(values, ..), null) in infos.iter().zip(nulls) {
            let index = usize::from(cursor.i16()?.cast_unsigned());
            if *null > 1 || (*null == 0 && index >= values) {
                return None;
            }
        }
    }
    if !cursor.0.is_empty() {
        return None;
    }
    let mut fixed = raw.to_vec();
    for (at, oid) in enums {
        fixed
            .get_mut(at..at + 4)?
            .copy_from_slice(&oid.to_le_bytes());
    }
    for (at, dimension) in columns.iter().enumerate() {
        fixed
            .get_mut(types_at + at * 4..types_at + at * 4 + 4)?
            .copy_from_slice(&dimension.type_oid.to_le_bytes());
        *fixed.get_mut(infos_at + at * 20 + 16)? = u8::from(dimension.by_value);
    }
    Some(fixed)
}

/// Whether the type's bytes hold no numbers of the origin's catalogue but
/// enums' values.
fn is_flat(names: &Names, dimension: &Dimension) -> bool {
    /// `json`, `jsonb`, `tsvector`, `tsquery`, `name[]` and the like have
    /// structures inside that would have to be checked too.
    const STRUCTURED: [u32; 5] = [114, 3802, 3614, 3615, 4072];
    let oid = names.base(dimension.type_oid);
    names.type_facts.get(&oid).is_some_and(|facts| {
        (facts.kind == 'e' && !dimension.labels.is_empty())
            || (facts.kind == 'b'
                && facts.element == 0
                && !STRUCTURED.contains(&oid)
                && (oid < 16_384 || facts.name.ends_with("citext")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n_distinct_bytes(columns: &[i16]) -> Vec<u8> {
        let mut raw = Vec::new();
        for number in [N_DISTINCT_MAGIC, 1, 1] {
            raw.extend(number.to_le_bytes());
        }
        raw.extend(42.0_f64.to_le_bytes());
        raw.extend(u32::try_from(columns.len()).unwrap().to_le_bytes());
        for column in columns {
            raw.extend(column.to_le_bytes());
        }
        raw
    }

    #[test]
    fn only_whole_bytes_of_known_columns_are_taken() {
        let raw = n_distinct_bytes(&[1, 3]);
        assert_eq!(n_distinct(&raw, &[1, 3], 0).as_deref(), Some(&*raw));
        assert_eq!(n_distinct(&raw, &[1, 2], 0), None);
        assert_eq!(n_distinct(&raw[..raw.len() - 1], &[1, 3], 0), None);
        let mut longer = raw.clone();
        longer.push(0);
        assert_eq!(n_distinct(&longer, &[1, 3], 0), None);
        let mut many = raw;
        many[8] = 255;
        assert_eq!(n_distinct(&many, &[1, 3], 0), None);
        assert_eq!(
            n_distinct(&n_distinct_bytes(&[1, -1]), &[1], 1).map(|b| b.len()),
            Some(28)
        );
    }

    #[test]
    fn hexadecimal_text_is_read() {
        assert_eq!(from_hex("\\x0aFF"), Some(vec![10, 255]));
        assert_eq!(from_hex("0a0"), None);
        assert_eq!(from_hex("zz"), None);
    }
}
