//! `Debug` of the packets that carry secrets: it says whether a secret is there, not what it is.
//!
//! The macro names every field, so that one that is added is not forgotten here.

use std::fmt;

use crate::packet::{Auth, ConnAckProperties, Connect, ConnectProperties};

/// What is printed in place of a secret.
struct Secret;

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

macro_rules! debug_without_secret {
    ($type:ident without $secret:ident { $($field:ident,)* }) => {
        impl fmt::Debug for $type<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Self { $($field,)* $secret } = self;
                f.debug_struct(stringify!($type))
                    $(.field(stringify!($field), $field))*
                    .field(stringify!($secret), &$secret.map(|_| Secret))
                    .finish()
            }
        }
    };
}

debug_without_secret!(Connect without password {
    version,
    clean,
    keep_alive,
    properties,
    client_id,
    will,
    user_name,
});

debug_without_secret!(ConnectProperties without authentication_data {
    session_expiry_interval,
    receive_maximum,
    maximum_packet_size,
    topic_alias_maximum,
    request_response_information,
    request_problem_information,
    user_properties,
    authentication_method,
});

debug_without_secret!(ConnAckProperties without authentication_data {
    session_expiry_interval,
    receive_maximum,
    maximum_qos,
    retain_available,
    maximum_packet_size,
    assigned_client_identifier,
    topic_alias_maximum,
    reason_string,
    user_properties,
    wildcard_subscription_available,
    subscription_identifiers_available,
    shared_subscription_available,
    server_keep_alive,
    response_information,
    server_reference,
    authentication_method,
});

debug_without_secret!(Auth without authentication_data {
    reason,
    authentication_method,
    properties,
});
