//! Is a payload JSON?

/// Containers that may stand in each other. Reading the event, or a batch of events, adds two
/// levels around the payload, and `serde_json`, which reads CloudEvents in Rust, stops at 127.
pub const MAX_DEPTH: u32 = 125;

/// A number without exponent and with fewer characters than this is within binary64.
const HARMLESS_NUMBER: usize = 300;

/// Whether `text` is one JSON text (RFC 8259) that every consumer can read.
///
/// Checks grammar and UTF-8 without building a value or allocating. Beyond the grammar it refuses
/// what RFC 8259 lets implementations refuse and common ones do, as one such payload would make the
/// event around it unreadable:
/// - nesting deeper than [`MAX_DEPTH`] (section 9);
/// - numbers too large for binary64 (section 6);
/// - escapes of lone surrogates, which stand for no character (section 8.2);
/// - a byte order mark (section 8.1).
///
/// These are the texts that Drogue Cloud takes for JSON, up to the depth.
#[must_use]
pub fn is_json(text: &[u8]) -> bool {
    // Most payloads that are no JSON are known by their first byte.
    let mut scan = Scan { rest: text };
    scan.skip_whitespace();
    let starts_a_value = matches!(
        scan.rest,
        [
            b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n',
            ..
        ]
    );
    starts_a_value && simdutf8::basic::from_utf8(text).is_ok() && scan.document().is_some()
}

/// What is left to read of a text. Each step gives `None` where the text is not JSON.
struct Scan<'a> {
    rest: &'a [u8],
}

impl Scan<'_> {
    /// A value, and nothing but white space around it.
    fn document(&mut self) -> Option<()> {
        // Which containers are open, innermost in the lowest bit: 1 is an object.
        let mut open: u128 = 0;
        let mut depth: u32 = 0;
        loop {
            // Here a value is due.
            self.skip_whitespace();
            let value = self.rest;
            match self.next()? {
                bracket @ (b'{' | b'[') => {
                    let is_object = bracket == b'{';
                    (open, depth) = (open << 1 | u128::from(is_object), depth + 1);
                    if depth > MAX_DEPTH {
                        return None;
                    }
                    self.skip_whitespace();
                    if !self.take(if is_object { b'}' } else { b']' }) {
                        if is_object {
                            self.key()?;
                        }
                        continue;
                    }
                    (open, depth) = (open >> 1, depth - 1);
                }
                b'"' => self.string()?,
                b't' => self.literal(b"rue")?,
                b'f' => self.literal(b"alse")?,
                b'n' => self.literal(b"ull")?,
                first => self.number(first, value)?,
            }
            // Here a value has ended: close what it closes, up to the next comma.
            loop {
                self.skip_whitespace();
                if depth == 0 {
                    return self.rest.is_empty().then_some(());
                }
                let in_object = open & 1 == 1;
                match self.next()? {
                    b',' if in_object => {
                        self.skip_whitespace();
                        self.key()?;
                        break;
                    }
                    b',' => break,
                    b'}' if in_object => (),
                    b']' if !in_object => (),
                    _ => return None,
                }
                (open, depth) = (open >> 1, depth - 1);
            }
        }
    }

    /// A member's name and the colon.
    fn key(&mut self) -> Option<()> {
        self.expect(b'"')?;
        self.string()?;
        self.skip_whitespace();
        self.expect(b':')
    }

    /// The rest of a string whose opening quote is read.
    fn string(&mut self) -> Option<()> {
        loop {
            let special = self
                .rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))?;
            let (_, rest) = self.rest.split_at_checked(special)?;
            self.rest = rest;
            match self.next()? {
                b'"' => return Some(()),
                b'\\' => self.escape()?,
                _ => return None,
            }
        }
    }

    /// The rest of an escape whose backslash is read.
    fn escape(&mut self) -> Option<()> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => match self.hex4()? {
                0xd800..=0xdbff => {
                    self.expect(b'\\')?;
                    self.expect(b'u')?;
                    matches!(self.hex4()?, 0xdc00..=0xdfff).then_some(())
                }
                0xdc00..=0xdfff => None,
                _ => Some(()),
            },
            _ => None,
        }
    }

    fn hex4(&mut self) -> Option<u32> {
        let (digits, rest) = self.rest.split_first_chunk::<4>()?;
        self.rest = rest;
        digits.iter().try_fold(0, |value, digit| {
            Some(value << 4 | char::from(*digit).to_digit(16)?)
        })
    }

    /// The rest of a number that stands at the start of `value` and whose first byte is read.
    fn number(&mut self, first: u8, value: &[u8]) -> Option<()> {
        match if first == b'-' { self.next()? } else { first } {
            b'0' => (),
            b'1'..=b'9' => self.skip_digits(),
            _ => return None,
        }
        if self.take(b'.') {
            self.digits()?;
        }
        let has_exponent = self.take(b'e') || self.take(b'E');
        if has_exponent {
            let _sign = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        let number = value.get(..value.len() - self.rest.len())?;
        (!has_exponent && number.len() < HARMLESS_NUMBER || is_finite(number)).then_some(())
    }

    fn digits(&mut self) -> Option<()> {
        self.next()?.is_ascii_digit().then(|| self.skip_digits())
    }

    fn skip_digits(&mut self) {
        while let [b'0'..=b'9', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    fn literal(&mut self, expected: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(expected)?;
        Some(())
    }

    fn skip_whitespace(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }

    fn take(&mut self, byte: u8) -> bool {
        match self.rest {
            [first, rest @ ..] if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }
}

/// Whether a number is within binary64.
#[cold]
fn is_finite(number: &[u8]) -> bool {
    str::from_utf8(number).is_ok_and(|number| number.parse().is_ok_and(f64::is_finite))
}
