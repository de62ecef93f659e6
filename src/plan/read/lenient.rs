//! JSON that may be damaged: cut off, with noise behind it, broken by a hard
//! wrap. What was read until then is kept.
//!
//! An explicit stack holds the open objects and lists, so that neither depth
//! nor damage can overflow the stack.

use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

use crate::plan::json;

/// What was read of a text.
#[derive(Debug)]
pub(super) struct Read {
    /// The value, with everything that was read before the damage.
    pub(super) value: Value,
    /// Where reading ended, in bytes.
    pub(super) end: usize,
    /// The damage that ended it.
    pub(super) damage: Option<Damage>,
}

/// Why reading ended within a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    /// The text ends.
    Cut,
    /// Something else stands where JSON should go on.
    Unexpected,
    /// Deeper than any server plans.
    TooDeep,
}

/// A container whose entries are being read.
enum Open {
    List(Vec<Value>),
    /// With the key whose value comes next.
    Object(Map<String, Value>, Option<String>),
}

impl Open {
    fn add(&mut self, value: Value) {
        match self {
            Self::List(entries) => entries.push(value),
            Self::Object(map, key) => {
                if let Some(key) = key.take() {
                    match map.entry(key) {
                        Entry::Vacant(entry) => {
                            entry.insert(value);
                        }
                        Entry::Occupied(mut entry) => json::merge(entry.get_mut(), value),
                    }
                }
            }
        }
    }

    fn close(self) -> Value {
        match self {
            Self::List(entries) => Value::Array(entries),
            Self::Object(map, _) => Value::Object(map),
        }
    }
}

/// Reads the value at the start of a text, which begins with a bracket or a
/// brace.
pub(super) fn read(text: &str) -> Read {
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        at: 0,
    };
    let mut open: Vec<Open> = Vec::new();
    let damage = match reader.value(&mut open) {
        Ok(value) => {
            return Read {
                value,
                end: reader.at,
                damage: None,
            };
        }
        Err(damage) => damage,
    };
    let mut value = Value::Null;
    while let Some(mut innermost) = open.pop() {
        if !value.is_null() {
            innermost.add(value);
        }
        value = innermost.close();
    }
    Read {
        value,
        end: reader.at,
        damage: Some(damage),
    }
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// Reads one value; on damage, what is open stays in `open`.
    fn value(&mut self, open: &mut Vec<Open>) -> Result<Value, Damage> {
        let mut after_entry = false;
        loop {
            let byte = self.peek().ok_or(Damage::Cut)?;
            if matches!(byte, b']' | b'}') {
                let fits = match open.last() {
                    Some(Open::List(_)) => byte == b']',
                    Some(Open::Object(_, key)) => byte == b'}' && key.is_none(),
                    None => false,
                };
                if !fits {
                    return Err(Damage::Unexpected);
                }
                self.at += 1;
                let done = open.pop().map_or(Value::Null, Open::close);
                match open.last_mut() {
                    Some(outer) => outer.add(done),
                    None => return Ok(done),
                }
                after_entry = true;
                continue;
            }
            if after_entry {
                if byte != b',' {
                    return Err(Damage::Unexpected);
                }
                self.at += 1;
                after_entry = false;
                continue;
            }
            if let Some(Open::Object(_, key @ None)) = open.last_mut() {
                if byte != b'"' {
                    return Err(Damage::Unexpected);
                }
                let name = self.string()?;
                if self.peek().ok_or(Damage::Cut)? != b':' {
                    return Err(Damage::Unexpected);
                }
                self.at += 1;
                *key = Some(name);
                continue;
            }
            if matches!(byte, b'[' | b'{') {
                if open.len() >= json::MAX_DEPTH {
                    return Err(Damage::TooDeep);
                }
                self.at += 1;
                open.push(if byte == b'[' {
                    Open::List(Vec::new())
                } else {
                    Open::Object(Map::new(), None)
                });
                continue;
            }
            let scalar = if byte == b'"' {
                Value::String(self.string()?)
            } else {
                self.bare()?
            };
            match open.last_mut() {
                Some(outer) => outer.add(scalar),
                None => return Ok(scalar),
            }
            after_entry = true;
        }
    }

    fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.bytes.get(self.at) {
            if !byte.is_ascii_whitespace() {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// A number, `true`, `false` or `null`.
    fn bare(&mut self) -> Result<Value, Damage> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
            .count();
        let word = self
            .text
            .get(self.at..self.at + length)
            .ok_or(Damage::Unexpected)?;
        let value = match word {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" => Value::Null,
            number => match serde_json::from_str::<Number>(number) {
                Ok(number) => Value::Number(number),
                Err(_) if self.at + length == self.bytes.len() => return Err(Damage::Cut),
                Err(_) => return Err(Damage::Unexpected),
            },
        };
        // A number at the very end may have lost digits.
        if self.at + length == self.bytes.len() {
            return Err(Damage::Cut);
        }
        self.at += length;
        Ok(value)
    }

    fn string(&mut self) -> Result<String, Damage> {
        let mut string = String::new();
        let mut at = self.at + 1;
        loop {
            let rest = self.bytes.get(at..).unwrap_or_default();
            let Some(length) = memchr::memchr3(b'"', b'\\', b'\n', rest) else {
                self.at = self.bytes.len();
                return Err(Damage::Cut);
            };
            string.push_str(self.text.get(at..at + length).ok_or(Damage::Unexpected)?);
            at += length;
            match self.bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(string);
                }
                // No server breaks a line within a string: it was wrapped.
                Some(b'\n') => {
                    at += 1;
                    let next = self.bytes.get(at).copied().unwrap_or(b' ');
                    if !string.ends_with(' ') && next != b' ' {
                        string.push(' ');
                    }
                }
                _ => at = self.escape(at, &mut string)?,
            }
        }
    }

    /// The escape whose backslash stands there; where it ends.
    fn escape(&self, at: usize, string: &mut String) -> Result<usize, Damage> {
        let Some(byte) = self.bytes.get(at + 1) else {
            return Err(Damage::Cut);
        };
        string.push(match byte {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => {
                let unit = self.hex(at + 2).ok_or(Damage::Unexpected)?;
                if (0xd800..0xdc00).contains(&unit)
                    && self.text.get(at + 6..at + 8) == Some("\\u")
                    && let Some(low @ 0xdc00..0xe000) = self.hex(at + 8)
                {
                    let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                    string.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    return Ok(at + 12);
                }
                string.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
                return Ok(at + 6);
            }
            b'"' | b'\\' | b'/' => char::from(*byte),
            _ => return Err(Damage::Unexpected),
        });
        Ok(at + 2)
    }

    fn hex(&self, at: usize) -> Option<u32> {
        let digits = self.text.get(at..at + 4)?;
        u32::from_str_radix(digits, 16).ok()
    }
}
