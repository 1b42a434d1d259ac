//! Reads the conformance cases; `tests/data/codec/README.md` explains the files.

use landfall_protocol::{
    Packet, PeerError, Version,
    codec::{self, RawPacket},
};

use crate::notation;

/// Which decoder a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    /// A client whose first packet this is.
    Connecting,
    Client,
    Server,
}

impl Sender {
    pub(crate) fn parse(name: &str) -> Self {
        match name {
            "connecting" => Self::Connecting,
            "client" => Self::Client,
            "server" => Self::Server,
            _ => panic!("no such sender: {name}"),
        }
    }

    pub(crate) fn decode<'a>(
        self,
        raw: &RawPacket<'a>,
        version: Version,
    ) -> Result<Packet<'a>, PeerError> {
        match self {
            Self::Connecting => codec::decode_connect(raw).map(Packet::Connect),
            Self::Client => codec::decode_from_client(raw, version),
            Self::Server => codec::decode_from_server(raw, version),
        }
    }
}

/// Frames and decodes bytes that hold one whole packet at their start.
pub(crate) fn decode(
    bytes: &[u8],
    sender: Sender,
    version: Version,
    maximum: u32,
) -> Result<Packet<'_>, PeerError> {
    let raw = codec::split(bytes, maximum)?.expect("a whole packet");
    sender.decode(&raw, version)
}

/// What has to come of a case's bytes.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    /// The packet's description, and its canonical bytes.
    Decoded(String, Vec<u8>),
    /// The `Debug` text of the error, numbers in hexadecimal.
    Refused(String),
}

/// One case in one version.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) version: Version,
    pub(crate) sender: Sender,
    pub(crate) bytes: Vec<u8>,
    pub(crate) maximum: u32,
    pub(crate) expected: Expected,
}

/// All files of cases, by name and content.
pub(crate) const FILES: [(&str, &str); 9] = [
    ("frame", include_str!("../data/codec/frame.txt")),
    ("connect", include_str!("../data/codec/connect.txt")),
    ("connack", include_str!("../data/codec/connack.txt")),
    ("publish", include_str!("../data/codec/publish.txt")),
    ("ack", include_str!("../data/codec/ack.txt")),
    ("subscribe", include_str!("../data/codec/subscribe.txt")),
    ("suback", include_str!("../data/codec/suback.txt")),
    ("disconnect", include_str!("../data/codec/disconnect.txt")),
    ("auth", include_str!("../data/codec/auth.txt")),
];

/// Every case of every file, once for each of its versions.
pub(crate) fn all() -> Vec<Case> {
    FILES
        .iter()
        .flat_map(|(_, text)| parse(text))
        .collect::<Vec<_>>()
}

pub(crate) fn parse(text: &str) -> Vec<Case> {
    paragraphs(text).iter().flat_map(parse_paragraph).collect()
}

/// The first line of each paragraph, and its fields with their continuation lines.
#[derive(Debug)]
pub(crate) struct Paragraph {
    pub(crate) name: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Paragraph {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(field, _)| field == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{}: {name} twice", self.name);
        value
    }

    pub(crate) fn versions(&self) -> Vec<Version> {
        let versions = self.field("versions").expect("versions");
        versions.split_whitespace().map(notation::version).collect()
    }
}

pub(crate) fn paragraphs(text: &str) -> Vec<Paragraph> {
    let mut paragraphs: Vec<Paragraph> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            open = false;
        } else if !open {
            open = true;
            paragraphs.push(Paragraph {
                name: line.to_owned(),
                fields: Vec::new(),
            });
        } else {
            let fields = &mut paragraphs.last_mut().unwrap().fields;
            if line.starts_with(' ') {
                let (_, value) = fields.last_mut().expect("a field before its continuation");
                value.push('\n');
                value.push_str(line);
            } else {
                let (name, value) = line.split_once(':').expect("name: value");
                fields.push((name.to_owned(), value.trim().to_owned()));
            }
        }
    }
    paragraphs
}

fn parse_paragraph(paragraph: &Paragraph) -> Vec<Case> {
    const KNOWN: [&str; 7] = [
        "versions", "sender", "bytes", "maximum", "decoded", "again", "refused",
    ];
    for (field, _) in &paragraph.fields {
        assert!(
            KNOWN.contains(&field.as_str()),
            "{}: {field}",
            paragraph.name
        );
    }
    let field = |name| {
        let value = paragraph.field(name);
        value.unwrap_or_else(|| panic!("{}: {name} is missing", paragraph.name))
    };
    paragraph
        .versions()
        .into_iter()
        .map(|version| {
            let bytes = notation::bytes(field("bytes"), version, &[]);
            let expected = match paragraph.field("refused") {
                Some(error) => Expected::Refused(error.to_owned()),
                None => Expected::Decoded(
                    expand(field("decoded"), version),
                    paragraph.field("again").map_or_else(
                        || bytes.clone(),
                        |again| notation::bytes(again, version, &[]),
                    ),
                ),
            };
            Case {
                name: format!("{} ({})", paragraph.name, version.as_str()),
                version,
                sender: Sender::parse(field("sender")),
                bytes,
                maximum: paragraph
                    .field("maximum")
                    .map_or(u32::MAX, |maximum| maximum.parse().unwrap()),
                expected,
            }
        })
        .collect()
}

/// Joins lines, and writes out `VERSION` and repeated characters (`[78x124]`).
fn expand(description: &str, version: Version) -> String {
    let words: Vec<_> = description.lines().map(str::trim).collect();
    let joined = words.join(" ").replace("VERSION", version.as_str());
    let Some((before, rest)) = joined.split_once("\"[") else {
        return joined;
    };
    let (repeated, after) = rest.split_once("]\"").expect("a closing bracket");
    let text = notation::bytes(repeated, version, &[]);
    format!("{before}\"{}\"{after}", text.escape_ascii())
}
