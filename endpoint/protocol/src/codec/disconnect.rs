//! DISCONNECT (MQTT 5, 3.14).

use crate::{
    Malformed, PeerError, ProtocolError, ReasonCode, Version,
    packet::{Disconnect, ReasonProperties},
};

use super::{
    EncodeError, Sender,
    output::Output,
    property::{PropertyBlock, PropertyOutput, WriteProperties, id},
    reader::Reader,
    reasons,
};

pub(super) fn decode(
    body: &[u8],
    version: Version,
    sender: Sender,
) -> Result<Disconnect<'_>, PeerError> {
    let mut reader = Reader::new(body);
    let mut disconnect = Disconnect::default();
    // 3.14.2.1: reason code and properties may be left out from the end.
    if version == Version::V5 && reader.any_left() {
        // [MQTT-3.14.2-1]
        disconnect.reason =
            reasons::parse(reader.u8()?, |code| reasons::of_disconnect(sender, code))?;
        if reader.any_left() {
            decode_properties(&mut reader, sender, &mut disconnect)?;
        }
    }
    reader.finish()?;
    Ok(disconnect)
}

fn decode_properties<'a>(
    reader: &mut Reader<'a>,
    sender: Sender,
    disconnect: &mut Disconnect<'a>,
) -> Result<(), PeerError> {
    let mut block = PropertyBlock::take(reader)?;
    let mut reason_string = None;
    while let Some(id) = block.next_id()? {
        match (id, sender) {
            (id::SESSION_EXPIRY_INTERVAL, Sender::Client) => {
                disconnect.session_expiry_interval = Some(block.u32()?);
            }
            (id::SERVER_REFERENCE, Sender::Server) => {
                disconnect.server_reference = Some(block.string()?);
            }
            // [MQTT-3.14.2-2]; 3.14.2.2.5: the server is the one to name another.
            (id::SESSION_EXPIRY_INTERVAL, Sender::Server)
            | (id::SERVER_REFERENCE, Sender::Client) => {
                return Err(ProtocolError::PropertyDirection(id).into());
            }
            (id::REASON_STRING, _) => reason_string = Some(block.string()?),
            (id::USER_PROPERTY, _) => block.user_property()?,
            _ => return Err(Malformed::Property(id).into()),
        }
    }
    disconnect.properties = ReasonProperties {
        reason_string,
        user_properties: block.user_properties(),
    };
    Ok(())
}

pub(super) fn write<O: Output>(
    disconnect: &Disconnect<'_>,
    version: Version,
    out: &mut O,
) -> Result<(), EncodeError> {
    if version != Version::V5 {
        return Ok(());
    }
    let has_properties = disconnect.length()? > 0;
    if has_properties || disconnect.reason != ReasonCode::SUCCESS {
        out.u8(disconnect.reason.0);
    }
    if has_properties {
        disconnect.write_block(out)?;
    }
    Ok(())
}

impl WriteProperties for Disconnect<'_> {
    fn write<O: Output>(&self, out: &mut O) -> Result<(), EncodeError> {
        out.u32_property(id::SESSION_EXPIRY_INTERVAL, self.session_expiry_interval);
        self.properties.write(out)?;
        out.string_property(id::SERVER_REFERENCE, self.server_reference)
    }
}
