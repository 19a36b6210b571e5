//! Why a side disconnects, by number: RFC 4253 section 11.1.

/// The name of a reason, as RFC 4250 section 4.2.2 has it. None of one without a name.
pub fn reason_name(code: u32) -> Option<&'static str> {
    Some(match code {
        1 => "host_not_allowed_to_connect",
        2 => "protocol_error",
        3 => "key_exchange_failed",
        4 => "reserved",
        5 => "mac_error",
        6 => "compression_error",
        7 => "service_not_available",
        8 => "protocol_version_not_supported",
        9 => "host_key_not_verifiable",
        10 => "connection_lost",
        11 => "by_application",
        12 => "too_many_connections",
        13 => "auth_cancelled_by_user",
        14 => "no_more_auth_methods_available",
        15 => "illegal_user_name",
        _ => return None,
    })
}
