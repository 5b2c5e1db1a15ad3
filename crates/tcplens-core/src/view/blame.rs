//! Whose mistake an error is, by what the server says: of a protocol's error classes those that mean that what was asked is
//! wrong, unknown or not allowed are the client's. What says nothing of the kind is the server's.

use crate::record::{Protocol, Request};

/// Whether the server says that the client is wrong.
pub(super) fn is_of_client(request: &Request<'_>) -> bool {
    let code = request.status_code;
    let text = request.status_text.unwrap_or_default();
    match request.protocol {
        // RFC 9110 section 15.5.
        Protocol::Http | Protocol::Http2 => matches!(code, Some(400..500)),
        // gRPC's status codes: CANCELLED, INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED,
        // FAILED_PRECONDITION, OUT_OF_RANGE, UNIMPLEMENTED, UNAUTHENTICATED.
        Protocol::Grpc => matches!(code, Some(1 | 3 | 5 | 6 | 7 | 9 | 11 | 12 | 16)),
        Protocol::Redis => redis(text),
        Protocol::Memcached => match code {
            // Too large, invalid arguments, not a number, authentication, unknown command.
            Some(code) => matches!(code, 3 | 4 | 6 | 0x20 | 0x81),
            None => text.starts_with("ERROR") || text.starts_with("CLIENT_ERROR"),
        },
        Protocol::Mysql | Protocol::Postgres => sqlstate(text),
        // BadValue, FailedToParse, Unauthorized, TypeMismatch, AuthenticationFailed, IllegalOperation, NamespaceNotFound,
        // IndexNotFound, NamespaceExists, CommandNotFound, InvalidNamespace, DuplicateKey.
        Protocol::Mongodb => matches!(
            code,
            Some(2 | 9 | 13 | 14 | 18 | 20 | 26 | 27 | 48 | 59 | 73 | 11000)
        ),
        // MESSAGE_TOO_LARGE, INVALID_TOPIC_EXCEPTION, the three of authorization, UNSUPPORTED_SASL_MECHANISM,
        // UNSUPPORTED_VERSION, INVALID_REQUEST, SASL_AUTHENTICATION_FAILED.
        Protocol::Kafka => matches!(code, Some(10 | 17 | 29 | 30 | 31 | 33 | 35 | 42 | 58)),
        // FORMERR.
        Protocol::Dns => code == Some(1),
        Protocol::Turn | Protocol::Websocket | Protocol::Tls => false,
    }
}

/// `-ERR unknown command`: of ERR all but that there are too many clients; what names a state of the server is its own.
fn redis(text: &str) -> bool {
    const SERVERS: [&str; 10] = [
        "BUSY",
        "CLUSTERDOWN",
        "IOERR",
        "LOADING",
        "MASTERDOWN",
        "MISCONF",
        "NOREPLICAS",
        "OOM",
        "TRYAGAIN",
        "UNKILLABLE",
    ];
    let text = text.trim_start_matches(['-', '!']);
    let word = text.split(' ').next().unwrap_or_default();
    !word.is_empty() && !SERVERS.contains(&word) && !text.starts_with("ERR max number of clients")
}

/// By the class of the SQLSTATE that the text begins with (ISO 9075-2 section 24.1): syntax, names and rights (42), access (28),
/// values (21, 22), constraints (23), states of statements and transactions (24, 25, 26, 34), what is not offered (0A), and
/// names of databases and schemas (3D, 3F, 44).
fn sqlstate(text: &str) -> bool {
    const CLIENTS: [&str; 14] = [
        "07", "0A", "21", "22", "23", "24", "25", "26", "28", "34", "3D", "3F", "42", "44",
    ];
    let state = text.split(' ').next().unwrap_or_default();
    state.len() == 5 && state.get(..2).is_some_and(|class| CLIENTS.contains(&class))
}
