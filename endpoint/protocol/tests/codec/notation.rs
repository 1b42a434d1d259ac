//! The notation that the data files write packets in; `tests/data/codec/README.md` explains it.

use landfall_protocol::Version;

/// Turns notation into bytes for one version. `slot` is what `@` stands for.
pub(crate) fn bytes(notation: &str, version: Version, slot: &[u8]) -> Vec<u8> {
    let mut parser = Parser {
        rest: notation.trim(),
        version,
        slot,
    };
    let packet = parser.sequence(None);
    assert!(parser.rest.is_empty(), "left over: {}", parser.rest);
    packet
}

/// The length field in front of `content`, and `content`.
pub(crate) fn with_variable_length(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = content.len();
    loop {
        let low = u8::try_from(rest % 128).unwrap();
        rest /= 128;
        if rest == 0 {
            out.push(low);
            break;
        }
        out.push(low + 128);
    }
    out.extend_from_slice(content);
    out
}

/// A length of two bytes, and `content`.
pub(crate) fn with_length(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap();
    [&length.to_be_bytes(), content].concat()
}

struct Parser<'n> {
    rest: &'n str,
    version: Version,
    slot: &'n [u8],
}

impl Parser<'_> {
    /// Everything up to `end`.
    fn sequence(&mut self, end: Option<char>) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            self.rest = self.rest.trim_start();
            let Some(next) = self.rest.chars().next() else {
                assert_eq!(end, None, "unclosed group");
                return out;
            };
            if Some(next) == end {
                self.skip(1);
                return out;
            }
            match next {
                '#' => self.rest = self.rest.split_once('\n').map_or("", |(_, after)| after),
                '"' => out.extend(with_length(&self.quoted('"'))),
                '\'' => out.extend(self.quoted('\'')),
                '{' => {
                    self.skip(1);
                    out.extend(with_variable_length(&self.sequence(Some('}'))));
                }
                '*' => {
                    self.skip(1);
                    let body = self.sequence(end);
                    out.extend(with_variable_length(&body));
                    return out;
                }
                '@' => {
                    self.skip(1);
                    out.extend(with_length(self.slot));
                }
                _ => self.word(&mut out),
            }
        }
    }

    /// Hexadecimal bytes, one byte repeated (`61x300`), or a group for some versions (`5(...)`).
    fn word(&mut self, out: &mut Vec<u8>) {
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '.')
            .unwrap_or(self.rest.len());
        let word = &self.rest[..end];
        self.skip(end);
        if self.rest.starts_with('(') {
            self.skip(1);
            let group = self.sequence(Some(')'));
            if self.is_for(word) {
                out.extend(group);
            }
        } else if let Some((byte, count)) = word.split_once('x') {
            let count = count.parse().expect("a count");
            out.extend(std::iter::repeat_n(hex(byte)[0], count));
        } else {
            out.extend(hex(word));
        }
    }

    fn is_for(&self, version: &str) -> bool {
        match version {
            "3" => self.version != Version::V5,
            _ => self.version.as_str() == version,
        }
    }

    fn quoted(&mut self, quote: char) -> Vec<u8> {
        let (content, rest) = self.rest[1..].split_once(quote).expect("a closing quote");
        self.rest = rest;
        content.as_bytes().to_vec()
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }
}

/// Bytes written as pairs of hexadecimal digits.
pub(crate) fn hex(digits: &str) -> Vec<u8> {
    assert!(
        !digits.is_empty() && digits.len().is_multiple_of(2),
        "no whole bytes: {digits}"
    );
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits"))
        .collect()
}

/// The version of this name.
pub(crate) fn version(name: &str) -> Version {
    [Version::V31, Version::V311, Version::V5]
        .into_iter()
        .find(|version| version.as_str() == name)
        .unwrap_or_else(|| panic!("no such version: {name}"))
}
