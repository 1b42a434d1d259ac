//! AUTH (MQTT 5, 3.15).

use crate::{
    Malformed, PeerError, ProtocolError, ReasonCode, Version,
    packet::{Auth, ReasonProperties},
};

use super::{
    EncodeError, Sender,
    output::Output,
    property::{PropertyBlock, PropertyOutput, WriteProperties, id},
    reader::Reader,
    reasons,
};

pub(super) fn decode(body: &[u8], sender: Sender) -> Result<Auth<'_>, PeerError> {
    let mut reader = Reader::new(body);
    // 3.15.2.1: an empty packet means success without properties.
    let code = if reader.any_left() { reader.u8()? } else { 0 };
    // [MQTT-3.15.2-1]
    let reason = reasons::parse(code, |code| reasons::of_auth(sender, code))?;
    if body.is_empty() {
        return Ok(Auth::default());
    }
    let auth = decode_properties(&mut reader, reason)?;
    reader.finish()?;
    Ok(auth)
}

fn decode_properties<'a>(
    reader: &mut Reader<'a>,
    reason: ReasonCode,
) -> Result<Auth<'a>, PeerError> {
    let mut block = PropertyBlock::take(reader)?;
    let mut auth = Auth {
        reason,
        ..Auth::default()
    };
    let mut reason_string = None;
    while let Some(id) = block.next_id()? {
        match id {
            id::AUTHENTICATION_METHOD => auth.authentication_method = Some(block.string()?),
            id::AUTHENTICATION_DATA => auth.authentication_data = Some(block.binary()?),
            id::REASON_STRING => reason_string = Some(block.string()?),
            id::USER_PROPERTY => block.user_property()?,
            _ => return Err(Malformed::Property(id).into()),
        }
    }
    // 3.15.2.2.2
    if auth.authentication_method.is_none() {
        return Err(ProtocolError::AuthenticationMethodMissing.into());
    }
    auth.properties = ReasonProperties {
        reason_string,
        user_properties: block.user_properties(),
    };
    Ok(auth)
}

pub(super) fn write<O: Output>(
    auth: &Auth<'_>,
    version: Version,
    out: &mut O,
) -> Result<(), EncodeError> {
    if version != Version::V5 {
        return Err(EncodeError::NotInVersion("AUTH"));
    }
    if auth.reason != ReasonCode::SUCCESS || auth.length()? > 0 {
        out.u8(auth.reason.0);
        auth.write_block(out)?;
    }
    Ok(())
}

impl WriteProperties for Auth<'_> {
    fn write<O: Output>(&self, out: &mut O) -> Result<(), EncodeError> {
        out.string_property(id::AUTHENTICATION_METHOD, self.authentication_method)?;
        out.binary_property(id::AUTHENTICATION_DATA, self.authentication_data)?;
        self.properties.write(out)
    }
}
