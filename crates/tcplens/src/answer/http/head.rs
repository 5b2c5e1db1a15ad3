//! The head of a request (RFC 9112 sections 2 and 3): which page, and whether all of it. Header fields change nothing here,
//! so they are only passed over. By hand: a parser of header fields would be more than this file is.

/// Longest head, in bytes. Chosen: what web servers commonly take.
const LONGEST: usize = 8 * 1024;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// What page.
    pub(super) page: Page,
    /// `HEAD`: without its body.
    pub(super) is_head: bool,
}

/// What there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Welcome,
    Metrics,
}

/// Why there is no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is no request of HTTP/1.
    Malformed,
    /// It is longer than [`LONGEST`].
    TooLong,
    /// There is no such page.
    Unknown,
    /// There is one, to be fetched only.
    Method,
}

/// Reads what came so far; nothing while its end has not come. Lines may end without carriage return.
pub(super) fn read(got: &[u8]) -> Option<Result<Request, Refused>> {
    // Empty lines before a request are passed over (RFC 9112 section 2.2).
    let start = got.iter().position(|byte| !b"\r\n".contains(byte));
    let head = start.map_or(&[][..], |start| &got[start..]);
    let is_whole = head.windows(2).any(|two| two == b"\n\n")
        || head.windows(4).any(|four| four == b"\r\n\r\n");
    if !is_whole {
        return (got.len() > LONGEST).then_some(Err(Refused::TooLong));
    }
    if got.len() > LONGEST {
        return Some(Err(Refused::TooLong));
    }
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = std::str::from_utf8(line).unwrap_or_default();
    Some(request(line.strip_suffix('\r').unwrap_or(line)))
}

fn request(line: &str) -> Result<Request, Refused> {
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Refused::Malformed);
    };
    let is_token =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphabetic());
    if !is_token(method) || !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
        return Err(Refused::Malformed);
    }
    let path = path(target).ok_or(Refused::Malformed)?;
    let page = match path {
        "/" => Page::Welcome,
        "/metrics" => Page::Metrics,
        _ => return Err(Refused::Unknown),
    };
    match method {
        "GET" | "HEAD" => Ok(Request {
            page,
            is_head: method == "HEAD",
        }),
        _ => Err(Refused::Method),
    }
}

/// Of `/metrics?x=y`, and of `http://127.0.0.1:9100/metrics`, as a proxy is asked.
fn path(target: &str) -> Option<&str> {
    let target = match target.strip_prefix("http://") {
        Some(rest) => &rest[rest.find('/')?..],
        None => target,
    };
    let path = target.split('?').next()?;
    path.starts_with('/').then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_when_it_is_whole_and_not_before() {
        let whole = b"\r\nGET /metrics?a=b HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n";
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length]), None, "{length}");
        }
        let metrics = |is_head| Request {
            page: Page::Metrics,
            is_head,
        };
        assert_eq!(read(whole), Some(Ok(metrics(false))));
        assert_eq!(
            read(b"HEAD http://a:1/metrics HTTP/1.0\n\n"),
            Some(Ok(metrics(true)))
        );
    }

    #[test]
    fn what_is_no_request_for_a_page_is_refused() {
        for (head, expected) in [
            ("GET /metric HTTP/1.1\r\n\r\n", Refused::Unknown),
            ("POST / HTTP/1.1\r\n\r\n", Refused::Method),
            ("GET /metrics\r\n\r\n", Refused::Malformed),
            ("GET /metrics HTTP/2\r\n\r\n", Refused::Malformed),
            ("GET  /metrics HTTP/1.1\r\n\r\n", Refused::Malformed),
            ("GET metrics HTTP/1.1\r\n\r\n", Refused::Malformed),
            ("GET http://a HTTP/1.1\r\n\r\n", Refused::Malformed),
            ("G\u{e9}T / HTTP/1.1\r\n\r\n", Refused::Malformed),
            ("\x16\x03\x01\x02\n\n", Refused::Malformed),
        ] {
            assert_eq!(read(head.as_bytes()), Some(Err(expected)), "{head:?}");
        }
        assert_eq!(read(&[b'\xff'; LONGEST]), None);
        assert_eq!(read(&[b'\n'; LONGEST + 1]), Some(Err(Refused::TooLong)));
        assert_eq!(read(&[b'x'; LONGEST + 1]), Some(Err(Refused::TooLong)));
    }
}
