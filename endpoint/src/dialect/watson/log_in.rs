//! Log-ins: client id `g:{organization}:{type}:{device}` or `d:…`, user name `use-token-auth`, the
//! token as password ("MQTT client identifier", "MQTT authentication").

use super::super::{Claimed, ClaimedProof, LogInForm, NotAClaim, Own};
use super::name;

/// "there is only one valid user name for gateways today".
const USER_NAME: &str = "use-token-auth";

/// A client id taken apart.
struct ClientId<'c> {
    /// `g` and not `d`.
    gateway: bool,
    organization: &'c str,
    kind: &'c str,
    device: &'c str,
}

impl<'c> ClientId<'c> {
    /// `None`: not of this form at all. Names are not looked at.
    fn split(text: &'c str) -> Option<Self> {
        let mut parts = text.split(':');
        let gateway = match parts.next()? {
            "g" => true,
            "d" => false,
            _ => return None,
        };
        let (organization, kind, device) = (parts.next()?, parts.next()?, parts.next()?);
        parts.next().is_none().then_some(Self {
            gateway,
            organization,
            kind,
            device,
        })
    }
}

/// The form is recognized by client id and user name together.
pub(super) fn claimed(form: &LogInForm<'_>) -> Option<Result<Claimed, NotAClaim>> {
    if form.user_name != USER_NAME {
        return None;
    }
    let id = ClientId::split(form.client_id)?;
    if id.organization.is_empty() || !name::is_valid(id.kind) || !name::is_valid(id.device) {
        return Some(Err(NotAClaim("the client id names no possible device")));
    }
    Some(Ok(Claimed {
        application: id.organization.to_owned(),
        device: name::join(id.kind, id.device),
        proof: ClaimedProof::Password,
    }))
}

/// Whether a client of this id is a gateway: `g:`, and it names the device that is connected.
pub(in crate::dialect) fn is_gateway(client_id: &str, own: Own<'_>) -> bool {
    ClientId::split(client_id).is_some_and(|id| {
        id.gateway
            && id.organization == own.application
            && name::split(own.device) == Some((id.kind, id.device))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(client_id: &str, user_name: &str) -> Option<Result<(String, String), NotAClaim>> {
        let form = LogInForm {
            client_id,
            user_name,
            password: Some(b"token"),
        };
        claimed(&form).map(|claimed| claimed.map(|c| (c.application, c.device)))
    }

    #[test]
    fn gateways_and_devices_are_named_by_their_client_id() {
        for role in ["g", "d"] {
            let expected = Some(Ok(("org1".into(), "pump:p-7".into())));
            assert_eq!(claim(&format!("{role}:org1:pump:p-7"), USER_NAME), expected);
        }
    }

    #[test]
    fn the_form_is_recognized_by_client_id_and_user_name_together() {
        assert_eq!(claim("g:org1:pump:p-7", "p-7@org1"), None);
        for id in [
            "a:org1:app",
            "g:org1:pump",
            "g:org1:pump:p:7",
            "G:o:t:d",
            "p-7@org1",
            "",
        ] {
            assert_eq!(claim(id, USER_NAME), None, "{id}");
        }
    }

    #[test]
    fn refuses_names_that_no_device_can_have() {
        let long = "x".repeat(37);
        for id in [
            "g::t:d",
            "g:o::d",
            "g:o:t:",
            "g:o:t:a b",
            &format!("d:o:t:{long}"),
        ] {
            assert!(matches!(claim(id, USER_NAME), Some(Err(_))), "{id}");
        }
    }

    #[test]
    fn a_gateway_is_who_says_so_and_is_it() {
        let own = Own {
            application: "org1",
            device: "pump:p-7",
        };
        assert!(is_gateway("g:org1:pump:p-7", own));
        for other in ["d:org1:pump:p-7", "g:org2:pump:p-7", "g:org1:pump:p-8", "g"] {
            assert!(!is_gateway(other, own), "{other}");
        }
    }
}
