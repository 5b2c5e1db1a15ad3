//! TCP-RT's tags of a task on a port in mode http or https, from the first bytes of its request and of the next one, and
//! from numbers of bytes. Certain where a record's type is seen; C and a few of A are told by sizes.
//!
//! Reference: TLS records (RFC 8446 s5.1, RFC 5246 s6.2.1). Sizes measured with OpenSSL 3.0 and nginx.

use super::event::{Mode, Task, TaskEnd};
use crate::record::TagsFrom;
use crate::time::Span;

/// `HTTP/1.1 100 Continue` and two line ends.
const CONTINUE: u64 = 25;
/// A record's header (RFC 8446 s5.1).
const HEADER: u64 = 5;
/// A change_cipher_spec record.
const CHANGE_CIPHER: u64 = 6;
/// A close_notify of TLS 1.3: header, alert, content type, authentication tag.
const ALERT_13: u64 = 24;
/// A response that is an encrypted alert: TLS 1.2 with AES-GCM, with ChaCha20-Poly1305, TLS 1.3.
const ALERTS: [u64; 3] = [31, 23, ALERT_13];

/// Record types.
mod content {
    pub(super) const CHANGE_CIPHER_SPEC: u8 = 0x14;
    pub(super) const ALERT: u8 = 0x15;
    pub(super) const HANDSHAKE: u8 = 0x16;
    pub(super) const DATA: u8 = 0x17;
}

const CLIENT_HELLO: u8 = 0x01;
const CERTIFICATE: u8 = 0x0b;
const CLIENT_KEY_EXCHANGE: u8 = 0x10;

/// What a task was found to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tagged {
    /// Of `ACHZ`, in this order.
    pub letters: String,
    /// What they were told from; `None` without letters.
    pub from: Option<TagsFrom>,
    /// From the (last) ClientHello of a full TLS 1.3 handshake to the client's Finished, which comes with what is next.
    pub handshake: Option<Span>,
}

/// What TLS a ClientHello led to, by the client's next flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Tls12,
    Tls12Resumed,
    Tls13,
}

/// The tags of a task.
#[must_use]
pub fn tags(task: &Task) -> Tagged {
    let first = task.head.first().copied();
    match task.mode {
        Mode::Default => Tagged::default(),
        Mode::Http if is_continue(task) => tagged("C", TagsFrom::Size),
        Mode::Http => Tagged::default(),
        Mode::Https if first == Some(content::HANDSHAKE) => handshake(task, &task.head),
        // A second ClientHello, which a HelloRetryRequest asked for (RFC 8446 s4.1.4).
        Mode::Https if is_hello_again(&task.head) => handshake(
            task,
            task.head.get(CHANGE_CIPHER as usize..).unwrap_or_default(),
        ),
        Mode::Https if is_close_notify(task) => tagged("A", TagsFrom::Payload),
        Mode::Https if is_answered_by_alert(task) => tagged("A", TagsFrom::Size),
        Mode::Https if is_continue(task) => tagged("C", TagsFrom::Size),
        Mode::Https => Tagged::default(),
    }
}

fn tagged(letters: &str, from: TagsFrom) -> Tagged {
    Tagged {
        letters: letters.to_owned(),
        from: Some(from),
        handshake: None,
    }
}

/// Expect: 100-continue: a request whose answer is exactly that, and more of the request behind it.
fn is_continue(task: &Task) -> bool {
    task.response_bytes == CONTINUE && task.next.is_some() && begins_with_method(&task.head)
}

/// Whether these bytes begin an HTTP request: letters of a method, and a blank behind them as far as they reach.
pub(super) fn begins_with_method(head: &[u8]) -> bool {
    const METHODS: [&str; 9] = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
    ];
    METHODS.iter().any(|method| {
        let rest = head.strip_prefix(method.as_bytes());
        rest.is_some_and(|rest| rest.first() == Some(&b' '))
    })
}

/// `head` begins with the handshake's record.
fn handshake(task: &Task, head: &[u8]) -> Tagged {
    let length = record_length(head);
    let is_hello = head.get(HEADER as usize) == Some(&CLIENT_HELLO);
    // More than the ClientHello and a change of ciphers, which some send already here: data.
    let has_early = is_hello
        && length.is_some_and(|length| task.request_bytes > HEADER + length + CHANGE_CIPHER);
    let is_full_13 = is_hello && !has_early && version(&task.next_head) == Some(Version::Tls13);
    Tagged {
        handshake: match (is_full_13, task.next) {
            (true, Some(next)) => next.since(task.first_request),
            _ => None,
        },
        ..tagged(if has_early { "HZ" } else { "H" }, TagsFrom::Payload)
    }
}

/// A change of ciphers and a ClientHello behind it, whose type is in the clear: else it is a Finished of TLS 1.2.
fn is_hello_again(head: &[u8]) -> bool {
    let byte = |n: u64| head.get(n as usize).copied();
    byte(0) == Some(content::CHANGE_CIPHER_SPEC)
        && byte(CHANGE_CIPHER) == Some(content::HANDSHAKE)
        && byte(CHANGE_CIPHER + HEADER) == Some(CLIENT_HELLO)
}

fn version(next: &[u8]) -> Option<Version> {
    let byte = |n: usize| next.get(n).copied();
    match byte(0)? {
        content::HANDSHAKE => match byte(HEADER as usize)? {
            CLIENT_KEY_EXCHANGE | CERTIFICATE => Some(Version::Tls12),
            _ => None,
        },
        content::CHANGE_CIPHER_SPEC => match byte(CHANGE_CIPHER as usize)? {
            content::DATA => Some(Version::Tls13),
            content::HANDSHAKE => match is_hello_again(next) {
                true => None,
                // As far as it reaches: too little to tell.
                false if byte((CHANGE_CIPHER + HEADER) as usize).is_none() => None,
                false => Some(Version::Tls12Resumed),
            },
            _ => None,
        },
        content::DATA => Some(Version::Tls13),
        _ => None,
    }
}

/// A request that is an alert, in the clear or by its length.
fn is_close_notify(task: &Task) -> bool {
    match task.head.first() {
        Some(&content::ALERT) => true,
        Some(&content::DATA) => {
            task.request_bytes == ALERT_13
                && record_length(&task.head).is_none_or(|length| HEADER + length == ALERT_13)
        }
        _ => false,
    }
}

/// A response that is as long as an alert, and the last one.
fn is_answered_by_alert(task: &Task) -> bool {
    let is_last =
        task.next.is_none() && matches!(task.end, TaskEnd::Answered | TaskEnd::ClosedSending);
    is_last && ALERTS.contains(&task.response_bytes)
}

fn record_length(head: &[u8]) -> Option<u64> {
    let &[high, low] = head.get(3..5)?.first_chunk()?;
    Some(u64::from(u16::from_be_bytes([high, low])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::mapper::testing::task;
    use crate::time::Timestamp;

    /// A server's task on an https port.
    fn https(head: &[u8], request: u64, response: u64, next_head: &[u8]) -> Task {
        let plain = task(1, 1_000_000);
        Task {
            mode: Mode::Https,
            head: head.to_vec(),
            next_head: next_head.to_vec(),
            request_bytes: request,
            response_bytes: response,
            next: (!next_head.is_empty()).then(|| plain.first_request.plus(1_258_000)),
            ..plain
        }
    }

    fn says(task: &Task) -> (String, Option<TagsFrom>, Option<u64>) {
        let tagged = tags(task);
        (
            tagged.letters,
            tagged.from,
            tagged.handshake.map(|span| span.ns() / 1000),
        )
    }

    const HELLO_202: [u8; 16] = *b"\x16\x03\x01\x00\xc5\x01\0\0\xc1\x03\x03abcde";
    const HELLO_243: [u8; 16] = *b"\x16\x03\x01\x00\xee\x01\0\0\xea\x03\x03abcde";
    const KEY_EXCHANGE: [u8; 16] = *b"\x16\x03\x03\x00\x25\x10\0\0\x21\x20abcdef";
    const FINISHED_13: [u8; 16] = *b"\x14\x03\x03\x00\x01\x01\x17\x03\x03\x00\x35abcde";
    const FINISHED_12: [u8; 16] = *b"\x14\x03\x03\x00\x01\x01\x16\x03\x03\x00\x28abcde";
    const DATA: [u8; 16] = *b"\x17\x03\x03\x00\x60abcdefghijk";
    const PAYLOAD: Option<TagsFrom> = Some(TagsFrom::Payload);

    #[test]
    fn tls_1_2_has_two_handshake_tasks_without_a_duration() {
        let hello = https(&HELLO_202, 202, 1192, &KEY_EXCHANGE);
        assert_eq!(says(&hello), ("H".into(), PAYLOAD, None));
        let exchange = https(&KEY_EXCHANGE, 93, 51, &DATA);
        assert_eq!(says(&exchange), ("H".into(), PAYLOAD, None));
        assert_eq!(
            says(&https(&DATA, 101, 300, &DATA)),
            (String::new(), None, None)
        );
        let resumed = https(&HELLO_202, 202, 137, &FINISHED_12);
        assert_eq!(says(&resumed), ("H".into(), PAYLOAD, None));
        let with_certificate = *b"\x16\x03\x03\x04\x00\x0b\0\x03\xfcabcdefg";
        let asked = https(&HELLO_202, 202, 1300, &with_certificate);
        assert_eq!(says(&asked), ("H".into(), PAYLOAD, None));
    }

    #[test]
    fn tls_1_3_has_one_handshake_task_that_lasts_until_the_next() {
        for next in [&FINISHED_13, &DATA] {
            let hello = https(&HELLO_243, 243, 1321, next);
            assert_eq!(says(&hello), ("H".into(), PAYLOAD, Some(1258)));
        }
        // The client's Finished and its first request are one task, and no handshake's.
        let request = https(&FINISHED_13, 195, 400, &DATA);
        assert_eq!(says(&request), (String::new(), None, None));
        // Nothing came behind it: the handshake never ended.
        let alone = https(&HELLO_243, 243, 1321, b"");
        assert_eq!(says(&alone), ("H".into(), PAYLOAD, None));
        // A HelloRetryRequest asks for a second ClientHello.
        let again = *b"\x14\x03\x03\x00\x01\x01\x16\x03\x03\x01\x0f\x01\0\x01\x0b\x03";
        let retried = https(&HELLO_243, 243, 99, &again);
        assert_eq!(says(&retried), ("H".into(), PAYLOAD, None));
        // Which lasts from there.
        let second = https(&again, 6 + 276, 1321, &FINISHED_13);
        assert_eq!(says(&second), ("H".into(), PAYLOAD, Some(1258)));
    }

    #[test]
    fn early_data_is_what_a_client_hello_s_record_and_a_change_of_ciphers_do_not_hold() {
        let early = https(&HELLO_243, 243 + 6 + 120, 400, &DATA);
        assert_eq!(says(&early), ("HZ".into(), PAYLOAD, None));
        let changes_cipher = https(&HELLO_243, 243 + 6, 1321, &DATA);
        assert_eq!(says(&changes_cipher), ("H".into(), PAYLOAD, Some(1258)));
    }

    #[test]
    fn close_notify_is_told_by_its_type_or_its_length() {
        let alert_12 = *b"\x15\x03\x03\x00\x1aabcdefghijk";
        assert_eq!(
            says(&https(&alert_12, 31, 0, b"")),
            ("A".into(), PAYLOAD, None)
        );
        let alert_13 = *b"\x17\x03\x03\x00\x13abcdefghijk";
        let unanswered = Task {
            end: TaskEnd::ClosedReceiving,
            ..https(&alert_13, 24, 0, b"")
        };
        assert_eq!(says(&unanswered), ("A".into(), PAYLOAD, None));
        let two_records = https(&DATA, 24, 0, b"");
        assert_eq!(says(&two_records), (String::new(), None, None));
        for bytes in [31, 23, 24] {
            let by_size = https(&DATA, 101, bytes, b"");
            assert_eq!(says(&by_size), ("A".into(), Some(TagsFrom::Size), None));
            // Not the last: an answer of that length.
            assert_eq!(
                says(&https(&DATA, 101, bytes, &DATA)),
                (String::new(), None, None)
            );
        }
    }

    #[test]
    fn expect_100_continue_is_an_answer_of_25_bytes_with_more_behind_it() {
        let asks = |head: &[u8], response, next| Task {
            mode: Mode::Http,
            head: head.to_vec(),
            response_bytes: response,
            next,
            ..task(1, 1_000_000)
        };
        let next = Some(Timestamp(5));
        let size = Some(TagsFrom::Size);
        assert_eq!(
            says(&asks(b"PUT /x HTTP/1.1\r", 25, next)),
            ("C".into(), size, None)
        );
        for other in [
            asks(b"PUT /x HTTP/1.1\r", 25, None),
            asks(b"PUT /x HTTP/1.1\r", 26, next),
            asks(b"PUTTY", 25, next),
            asks(b"*1\r\n$4\r\nPING\r\n", 25, next),
            asks(b"", 25, next),
        ] {
            assert_eq!(says(&other), (String::new(), None, None), "{other:?}");
        }
    }

    #[test]
    fn payload_of_default_ports_is_not_looked_at() {
        let mut hello = https(&HELLO_243, 243, 1321, &FINISHED_13);
        hello.mode = Mode::Default;
        assert_eq!(tags(&hello), Tagged::default());
        hello.mode = Mode::Http;
        assert_eq!(tags(&hello), Tagged::default());
    }
}
