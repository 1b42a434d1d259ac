//! Two independent implementations, asked about the same packets.
//!
//! What they encode must decode the same here. Of packets that were changed at random, every one
//! that they and this codec do not agree on falls into a class with the clause that decides.

mod classes;
mod mqttbytes;
mod rmqtt;

use std::collections::BTreeMap;

use landfall_protocol::{Packet, Version};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};

use crate::{
    arbitrary::{Sent, sent_in},
    case::{self, Sender},
    roundtrip::{encode, mutate, mutated_first, mutations},
};
use classes::Disagreement;

/// Another implementation.
trait Oracle {
    fn name(&self) -> &'static str;

    fn versions(&self) -> &'static [Version];

    /// Decodes one packet and describes it in the words of [`crate::describe`], or gives its error.
    fn decode(&self, bytes: &[u8], version: Version) -> Result<String, String>;

    /// Decodes one packet and encodes it again.
    fn encode_again(&self, bytes: &[u8], version: Version) -> Option<Vec<u8>>;

    /// Describes one of our packets by as much as the other implementation keeps of it.
    fn describe(&self, packet: &Packet<'_>) -> String;
}

/// How often a packet that was made is changed at random.
const CHANGES: usize = 9;

/// How many packets are made in each version; each is tried as it is, and in [`CHANGES`] ways that it
/// is changed. `PROPTEST_CASES` asks for more.
fn cases() -> usize {
    std::env::var("PROPTEST_CASES").map_or(4_000, |cases| cases.parse().unwrap())
}

/// What came of comparing many packets.
#[derive(Debug, Default)]
struct Tally {
    /// Both read the same packet, and we read what they write of it.
    agreed: usize,
    both_refused: usize,
    classes: BTreeMap<&'static str, usize>,
    unexplained: Vec<String>,
}

impl Tally {
    fn explain(&mut self, class: Option<&'static str>, what: impl FnOnce() -> String) {
        match class {
            Some(class) => *self.classes.entry(class).or_default() += 1,
            None => self.unexplained.push(what()),
        }
    }

    /// Compares the two on one packet.
    fn compare(&mut self, oracle: &dyn Oracle, bytes: &[u8], sender: Sender, version: Version) {
        let ours = case::decode(bytes, sender, version, u32::MAX);
        let theirs = oracle.decode(bytes, version);
        match (&ours, &theirs) {
            (Err(_), Err(_)) => self.both_refused += 1,
            (Ok(packet), Ok(description)) if oracle.describe(packet) == *description => {
                self.compare_their_bytes(oracle, bytes, sender, version, packet);
            }
            _ => {
                let disagreement = Disagreement {
                    bytes,
                    oracle: oracle.name(),
                    version,
                    ours: &ours,
                    theirs: theirs.as_deref().map_err(String::as_str),
                };
                self.explain(disagreement.class(), || {
                    format!("{bytes:02X?}\n  ours:   {ours:?}\n  theirs: {theirs:?}")
                });
            }
        }
    }

    /// Decodes what they encode of a packet that both read alike.
    fn compare_their_bytes(
        &mut self,
        oracle: &dyn Oracle,
        bytes: &[u8],
        sender: Sender,
        version: Version,
        packet: &Packet<'_>,
    ) {
        let description = oracle.describe(packet);
        let theirs = oracle.encode_again(bytes, version);
        let again = theirs
            .as_ref()
            .map(|bytes| case::decode(bytes, sender, version, u32::MAX));
        if let Some(Ok(again)) = &again
            && oracle.describe(again) == description
        {
            self.agreed += 1;
            return;
        }
        let class = classes::class_of_their_bytes(oracle.name(), version, packet);
        self.explain(class, || {
            format!("{description}\n  they write {theirs:02X?}\n  which we read {again:?}")
        });
    }
}

fn compare_random_packets(oracle: &dyn Oracle) -> Tally {
    let mut runner = TestRunner::deterministic();
    let mut tally = Tally::default();
    for &version in oracle.versions() {
        let changes = (mutations(), mutated_first());
        for _ in 0..cases() {
            let sent: Sent = sent_in(version).new_tree(&mut runner).unwrap().current();
            let bytes = encode(&sent.packet, version);
            tally.compare(oracle, &bytes, sent.sender, version);
            for _ in 0..CHANGES {
                let (changes, first) = changes.new_tree(&mut runner).unwrap().current();
                let changed = mutate(&bytes, &changes, first);
                tally.compare(oracle, &changed, sent.sender, version);
            }
        }
    }
    println!("{}: {tally:#?}", oracle.name());
    tally
}

#[test]
fn every_disagreement_with_rmqtt_codec_has_a_clause() {
    let tally = compare_random_packets(&rmqtt::Rmqtt);
    assert!(tally.unexplained.is_empty(), "{}", tally.unexplained[0]);
    assert!(tally.agreed > cases(), "{tally:#?}");
    assert!(tally.classes.len() >= 15, "{tally:#?}");
}

#[test]
fn every_disagreement_with_mqttbytes_has_a_clause() {
    let tally = compare_random_packets(&mqttbytes::Mqttbytes);
    assert!(tally.unexplained.is_empty(), "{}", tally.unexplained[0]);
    assert!(tally.agreed > cases() / 2, "{tally:#?}");
    assert!(tally.classes.len() >= 15, "{tally:#?}");
}
