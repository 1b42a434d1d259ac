//! From bytes to the bytes that answer them.

use super::count::Counts;

/// A packet that the floor server has no answer for; the connection is closed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unanswerable;

/// What a read asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answered {
    /// Bytes of whole packets; those of a cut one follow them.
    pub taken: usize,
    /// DISCONNECT came.
    pub leave: bool,
}

/// What must be known of a connection between two packets: how its answers are encoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Dialogue {
    mqtt5: bool,
}

/// Answers every whole packet in `bytes` into `answers`, in order, and counts it.
pub(super) fn answer(
    dialogue: &mut Dialogue,
    bytes: &[u8],
    answers: &mut Vec<u8>,
    counts: &mut Counts,
) -> Result<Answered, Unanswerable> {
    let mut rest = bytes;
    while let Some((first, body, after)) = split(rest)? {
        rest = after;
        match first >> 4 {
            1 => {
                counts.connects += 1;
                // Protocol level: behind the name [MQTT 3.1.1, 3.1.2.2].
                let level = body
                    .get(1)
                    .and_then(|length| body.get(2 + usize::from(*length)));
                dialogue.mqtt5 = level == Some(&5);
                let connack: &[u8] = if dialogue.mqtt5 {
                    &[0x20, 3, 0, 0, 0]
                } else {
                    &[0x20, 2, 0, 0]
                };
                answers.extend_from_slice(connack);
            }
            3 => publish(first, body, answers, counts)?,
            6 => {
                counts.qos2 += 1;
                acknowledge(0x70, body, answers)?;
            }
            8 => {
                counts.subscribes += 1;
                let (Some(id), Some(options)) = (body.get(..2), body.last()) else {
                    return Err(Unanswerable);
                };
                answers.extend_from_slice(if dialogue.mqtt5 {
                    &[0x90, 4]
                } else {
                    &[0x90, 3]
                });
                answers.extend_from_slice(id);
                answers.extend_from_slice(if dialogue.mqtt5 { &[0] } else { &[] });
                answers.push(options & 3);
            }
            12 => {
                counts.pings += 1;
                answers.extend_from_slice(&[0xD0, 0]);
            }
            14 => {
                return Ok(Answered {
                    taken: bytes.len() - rest.len(),
                    leave: true,
                });
            }
            _ => return Err(Unanswerable),
        }
    }
    Ok(Answered {
        taken: bytes.len() - rest.len(),
        leave: false,
    })
}

fn publish(
    first: u8,
    body: &[u8],
    answers: &mut Vec<u8>,
    counts: &mut Counts,
) -> Result<(), Unanswerable> {
    let qos = (first >> 1) & 3;
    if qos == 0 {
        counts.qos0 += 1;
        return Ok(());
    }
    let (length, rest) = body.split_first_chunk().ok_or(Unanswerable)?;
    let behind_topic = rest
        .get(usize::from(u16::from_be_bytes(*length))..)
        .ok_or(Unanswerable)?;
    if qos == 1 {
        counts.qos1 += 1;
        return acknowledge(0x40, behind_topic, answers);
    }
    acknowledge(0x50, behind_topic, answers)
}

/// An acknowledgement of the packet id that `bytes` starts with.
fn acknowledge(first: u8, bytes: &[u8], answers: &mut Vec<u8>) -> Result<(), Unanswerable> {
    let [high, low, ..] = bytes else {
        return Err(Unanswerable);
    };
    answers.extend_from_slice(&[first, 2, *high, *low]);
    Ok(())
}

/// Header byte and body of a packet, and what follows it.
type Split<'a> = (u8, &'a [u8], &'a [u8]);

/// Takes the first packet off, or `None` if it is cut.
fn split(bytes: &[u8]) -> Result<Option<Split<'_>>, Unanswerable> {
    let [first, rest @ ..] = bytes else {
        return Ok(None);
    };
    let mut length = 0;
    for (index, byte) in rest.iter().enumerate().take(4) {
        length |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            let body = rest.get(index + 1..).unwrap_or_default();
            return Ok(body
                .split_at_checked(length)
                .map(|(body, after)| (*first, body, after)));
        }
    }
    if rest.len() < 4 {
        Ok(None)
    } else {
        Err(Unanswerable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> (Vec<u8>, Counts, Answered) {
        let (mut answers, mut counts) = (Vec::new(), Counts::default());
        let answered = answer(&mut Dialogue::default(), bytes, &mut answers, &mut counts).unwrap();
        (answers, counts, answered)
    }

    #[test]
    fn a_session_of_mqtt_3_1_1_is_answered_in_order() {
        let (answers, counts, answered) = all(b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x3C\x00\x01c\
            \x30\x03\x00\x01t\x32\x05\x00\x01t\x00\x07\x34\x05\x00\x01t\x00\x08\x62\x02\x00\x08\
            \x82\x06\x00\x01\x00\x01a\x01\xC0\x00\xE0\x00");
        assert_eq!(
            answers,
            b"\x20\x02\x00\x00\x40\x02\x00\x07\x50\x02\x00\x08\x70\x02\x00\x08\x90\x03\x00\x01\x01\xD0\x00"
        );
        assert_eq!(
            counts,
            Counts {
                connects: 1,
                qos0: 1,
                qos1: 1,
                qos2: 1,
                subscribes: 1,
                pings: 1
            }
        );
        assert!(answered.leave);
    }

    #[test]
    fn mqtt_5_answers_carry_empty_properties() {
        let (answers, ..) = all(
            b"\x10\x0E\x00\x04MQTT\x05\x02\x00\x3C\x00\x00\x01c\x82\x07\x00\x01\x00\x00\x01a\x05",
        );
        assert_eq!(answers, b"\x20\x03\x00\x00\x00\x90\x04\x00\x01\x00\x01");
    }

    #[test]
    fn a_cut_packet_is_left_for_the_next_read() {
        let bytes = b"\xC0\x00\x32\x05\x00\x01t\x00";
        let (answers, _, answered) = all(bytes);
        assert_eq!(answers, b"\xD0\x00");
        assert_eq!(
            answered,
            Answered {
                taken: 2,
                leave: false
            }
        );
    }

    #[test]
    fn what_no_client_may_send_closes_the_connection() {
        for bytes in [
            &b"\xF0\x00"[..],
            b"\x32\x01\x00",
            b"\x62\x00",
            b"\x30\xFF\xFF\xFF\xFF",
        ] {
            let result = answer(
                &mut Dialogue::default(),
                bytes,
                &mut Vec::new(),
                &mut Counts::default(),
            );
            assert_eq!(result, Err(Unanswerable), "{bytes:02x?}");
        }
    }
}
