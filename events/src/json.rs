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
    let mut scan = Scan { text, at: 0 };
    scan.skip_whitespace();
    // Most payloads that are no JSON are known by their first byte.
    let starts_a_value = matches!(
        scan.peek(),
        b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n'
    );
    starts_a_value && simdutf8::basic::from_utf8(text).is_ok() && scan.document().is_some()
}

/// Walks over a text. Each step gives `None` where the text is not JSON.
///
/// Faster than `serde_json` skipping the same text (64 bytes: 72 against 85 ns), which also lets lone
/// surrogates and too large numbers pass; building a value costs ten times as much.
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    /// A value, and nothing but white space around it.
    fn document(&mut self) -> Option<()> {
        let mut nesting = Nesting::default();
        let mut within = Within::Text;
        loop {
            // Here a value is due.
            self.skip_whitespace();
            let start = self.at;
            match self.next() {
                b'"' => self.string()?,
                first @ (b'-' | b'0'..=b'9') => self.number(first, start)?,
                b'{' => {
                    within = nesting.enter(within, Within::Object)?;
                    self.skip_whitespace();
                    if self.peek() != b'}' {
                        self.key()?;
                        continue;
                    }
                }
                b'[' => {
                    within = nesting.enter(within, Within::Array)?;
                    self.skip_whitespace();
                    if self.peek() != b']' {
                        continue;
                    }
                }
                b't' => self.literal(b"rue")?,
                b'f' => self.literal(b"alse")?,
                b'n' => self.literal(b"ull")?,
                _ => return None,
            }
            // Here a value has ended: leave what it ends, up to the next comma.
            loop {
                self.skip_whitespace();
                match (within, self.peek()) {
                    (Within::Object, b',') => {
                        self.at += 1;
                        self.skip_whitespace();
                        self.key()?;
                        break;
                    }
                    (Within::Array, b',') => {
                        self.at += 1;
                        break;
                    }
                    (Within::Object, b'}') | (Within::Array, b']') => {
                        self.at += 1;
                        within = nesting.leave();
                    }
                    (Within::Text, _) => return (self.at == self.text.len()).then_some(()),
                    _ => return None,
                }
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
            self.skip_ordinary();
            match self.next() {
                b'"' => return Some(()),
                b'\\' => self.escape()?,
                _ => return None,
            }
        }
    }

    /// Everything up to a quote, backslash or control character, eight bytes at a time.
    fn skip_ordinary(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let (words, tail) = rest.as_chunks::<8>();
        for word in words {
            let special = special_bytes(u64::from_le_bytes(*word));
            if special != 0 {
                self.at += special.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
        let is_ordinary = |byte: &&u8| !matches!(byte, b'"' | b'\\' | 0..=0x1f);
        self.at += tail.iter().take_while(is_ordinary).count();
    }

    /// The rest of an escape whose backslash is read.
    #[inline(never)]
    fn escape(&mut self) -> Option<()> {
        match self.next() {
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
        (0..4).try_fold(0, |value, _| {
            Some(value << 4 | char::from(self.next()).to_digit(16)?)
        })
    }

    /// The rest of a number that starts at `start` and whose first byte is read.
    fn number(&mut self, first: u8, start: usize) -> Option<()> {
        match if first == b'-' { self.next() } else { first } {
            b'0' => (),
            b'1'..=b'9' => self.skip_digits(),
            _ => return None,
        }
        if self.peek() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        let has_exponent = matches!(self.peek(), b'e' | b'E');
        if has_exponent {
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        if has_exponent || self.at - start >= HARMLESS_NUMBER {
            return is_finite(self.text.get(start..self.at)?).then_some(());
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        self.next().is_ascii_digit().then(|| self.skip_digits())
    }

    fn skip_digits(&mut self) {
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
    }

    fn literal(&mut self, expected: &[u8]) -> Option<()> {
        let end = self.at + expected.len();
        let is_expected = self.text.get(self.at..end)? == expected;
        self.at = end;
        is_expected.then_some(())
    }

    #[inline]
    fn skip_whitespace(&mut self) {
        if self.peek() > b' ' {
            return;
        }
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }

    fn take(&mut self, byte: u8) -> bool {
        if self.peek() != byte {
            return false;
        }
        self.at += 1;
        true
    }

    fn next(&mut self) -> u8 {
        let byte = self.peek();
        self.at += 1;
        byte
    }

    /// The next byte. The end reads as U+0000, which JSON allows nowhere.
    fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }
}

/// What the next value is part of.
#[derive(Clone, Copy, Default)]
enum Within {
    #[default]
    Text,
    Object,
    Array,
}

/// What the innermost container is part of, and so on outwards.
#[derive(Default)]
struct Nesting {
    /// Innermost in the lowest bit: 1 is an object.
    outer: u128,
    depth: u32,
}

impl Nesting {
    #[inline(never)]
    fn enter(&mut self, outer: Within, inner: Within) -> Option<Within> {
        self.outer = self.outer << 1 | u128::from(matches!(outer, Within::Object));
        self.depth += 1;
        (self.depth <= MAX_DEPTH).then_some(inner)
    }

    #[inline(never)]
    fn leave(&mut self) -> Within {
        let is_object = self.outer & 1 == 1;
        self.outer >>= 1;
        self.depth -= 1;
        match self.depth {
            0 => Within::Text,
            _ if is_object => Within::Object,
            _ => Within::Array,
        }
    }
}

/// The high bit of each byte that is a quote, a backslash or below 0x20. The lowest such bit is
/// right; bits above it may be wrong, as subtraction borrows.
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * ONES;
    let equal = |byte: u8| {
        let difference = word ^ (u64::from(byte) * ONES);
        difference.wrapping_sub(ONES) & !difference
    };
    let below_0x20 = word.wrapping_sub(0x20 * ONES) & !word;
    (equal(b'"') | equal(b'\\') | below_0x20) & HIGH
}

/// Whether a number is within binary64.
#[cold]
fn is_finite(number: &[u8]) -> bool {
    str::from_utf8(number).is_ok_and(|number| number.parse().is_ok_and(f64::is_finite))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_bytes_are_found_wherever_they_stand() {
        for byte in 0..=u8::MAX {
            for place in 0..8 {
                let mut word = *b"\x80\xffabz~\x20\x21";
                word[place] = byte;
                let found = special_bytes(u64::from_le_bytes(word)).trailing_zeros() as usize / 8;
                let is_special = matches!(byte, b'"' | b'\\' | 0..=0x1f);
                let expected = if is_special { place } else { 8 };
                assert_eq!(found, expected, "{byte:#x} at {place}");
            }
        }
    }
}
