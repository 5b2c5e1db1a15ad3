//! The head of a request (RFC 9112 sections 2, 3 and 5): which page, and whether all of it. Three header fields are looked at, and
//! only where the page for browsers is served. By hand: a parser of header fields would be more than this file is.
//!
//! A browser shows pages of strangers, too, and these may ask it to fetch from here. They cannot read the answer, unless they come
//! under a name that leads here all of a sudden (DNS rebinding): so `Host` has to be an address or `localhost`. And what another
//! site asks for gets no answer at all (`Sec-Fetch-Site`), so that it cannot make work.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Longest head, in bytes. Chosen: what web servers commonly take.
const LONGEST: usize = 8 * 1024;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// What page.
    pub(super) page: Page,
    /// `HEAD`: without its body.
    pub(super) is_head: bool,
}

/// What there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Welcome,
    Metrics,
    /// The page for browsers.
    Browser,
    /// What it shows.
    Data,
    /// What changes of that, from what the browser knows on.
    Events(Known),
    /// Of the page over a store: a path with its parameters, as they came.
    Asked(String),
}

/// Until when a browser knows everything: a run, by when it began in ns since 1970, and a revision of its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// 0: none.
    pub run: i64,
    /// 0: nothing.
    pub revision: u64,
}

impl Known {
    /// `1763784000000000000.17`.
    pub(super) fn read(text: &str) -> Option<Known> {
        let (run, revision) = text.split_once('.')?;
        Some(Known {
            run: run.parse().ok()?,
            revision: revision.parse().ok()?,
        })
    }
}

/// Who is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Site {
    /// Monitoring systems.
    Metrics,
    /// Browsers.
    Page,
    /// Browsers that look at a store.
    #[cfg_attr(
        not(any(feature = "parquet", test)),
        expect(dead_code, reason = "nothing reads stores then")
    )]
    Fleet,
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
    /// It was asked for under a name, or by another site.
    Strange,
}

/// Reads what came so far; nothing while its end has not come. Lines may end without carriage return.
pub(super) fn read(got: &[u8], site: Site) -> Option<Result<Request, Refused>> {
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
    let mut lines = head.split(|&byte| byte == b'\n').map(|line| {
        let line = std::str::from_utf8(line).unwrap_or_default();
        line.strip_suffix('\r').unwrap_or(line)
    });
    let line = lines.next().unwrap_or_default();
    let mut fields = Fields::default();
    for line in lines.take_while(|line| !line.is_empty()) {
        fields.add(line);
    }
    Some(request(line, &fields, site))
}

/// The header fields that matter.
#[derive(Default)]
struct Fields<'h> {
    host: Option<&'h str>,
    /// What an `EventSource` that lost its connection had last (HTML section 9.2).
    last_event: Option<Known>,
    is_of_other_site: bool,
}

impl<'h> Fields<'h> {
    fn add(&mut self, line: &'h str) {
        let Some((name, value)) = line.split_once(':') else {
            return;
        };
        let value = value.trim();
        if name.eq_ignore_ascii_case("host") {
            self.host = Some(value);
        } else if name.eq_ignore_ascii_case("last-event-id") {
            self.last_event = Known::read(value);
        } else if name.eq_ignore_ascii_case("sec-fetch-site") {
            // `none`: the reader typed the address; `same-origin`: the page itself.
            self.is_of_other_site = !matches!(value, "same-origin" | "none");
        }
    }

    /// Whether the page is asked for by its address, as who means it does.
    fn is_plain(&self) -> bool {
        self.host.is_some_and(is_address)
    }
}

/// `127.0.0.1:9317`, `[::1]`, `localhost:9317`.
fn is_address(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((ip, port)) => {
                let is_port = port.is_empty() || port.starts_with(':');
                return is_port && ip.parse::<Ipv6Addr>().is_ok();
            }
            None => return false,
        },
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<Ipv4Addr>().is_ok()
}

fn request(line: &str, fields: &Fields<'_>, site: Site) -> Result<Request, Refused> {
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
    let (path, query) = path(target).ok_or(Refused::Malformed)?;
    let page = match (site, path) {
        (Site::Metrics, "/") => Page::Welcome,
        (Site::Metrics, "/metrics") => Page::Metrics,
        (Site::Page | Site::Fleet, _) if !fields.is_plain() => return Err(Refused::Strange),
        (Site::Page | Site::Fleet, "/") => Page::Browser,
        // Whoever is asked knows which ones there are.
        (Site::Fleet, _) if fields.is_of_other_site => return Err(Refused::Strange),
        (Site::Fleet, _) => Page::Asked(format!("{path}?{query}")),
        (Site::Page, "/data" | "/events") if fields.is_of_other_site => {
            return Err(Refused::Strange);
        }
        (Site::Page, "/data") => Page::Data,
        (Site::Page, "/events") => {
            let since = query.strip_prefix("since=").and_then(Known::read);
            Page::Events(fields.last_event.or(since).unwrap_or_default())
        }
        (Site::Metrics | Site::Page, _) => return Err(Refused::Unknown),
    };
    match method {
        "GET" | "HEAD" => Ok(Request {
            page,
            is_head: method == "HEAD",
        }),
        _ => Err(Refused::Method),
    }
}

/// Of `/metrics?x=y`, and of `http://127.0.0.1:9100/metrics`, as a proxy is asked; and what stands behind the question mark.
fn path(target: &str) -> Option<(&str, &str)> {
    let target = match target.strip_prefix("http://") {
        Some(rest) => &rest[rest.find('/')?..],
        None => target,
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    path.starts_with('/').then_some((path, query))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_when_it_is_whole_and_not_before() {
        let whole = b"\r\nGET /metrics?a=b HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n";
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length], Site::Metrics), None, "{length}");
        }
        let metrics = |is_head| Request {
            page: Page::Metrics,
            is_head,
        };
        assert_eq!(read(whole, Site::Metrics), Some(Ok(metrics(false))));
        assert_eq!(
            read(b"HEAD http://a:1/metrics HTTP/1.0\n\n", Site::Metrics),
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
            assert_eq!(
                read(head.as_bytes(), Site::Metrics),
                Some(Err(expected)),
                "{head:?}"
            );
        }
        assert_eq!(read(&[b'\xff'; LONGEST], Site::Metrics), None);
        assert_eq!(
            read(&[b'\n'; LONGEST + 1], Site::Metrics),
            Some(Err(Refused::TooLong))
        );
        assert_eq!(
            read(&[b'x'; LONGEST + 1], Site::Metrics),
            Some(Err(Refused::TooLong))
        );
    }

    #[test]
    fn what_a_store_is_asked_goes_on_as_it_came_but_not_for_strangers() {
        let ask = |method: &str, fields: &str| {
            let head = format!("{method} /fleet.json?last=6h&host=a%20b HTTP/1.1\r\n{fields}\r\n");
            read(head.as_bytes(), Site::Fleet).map(|read| read.map(|request| request.page))
        };
        let here = "Host: 127.0.0.1:9318\r\n";
        let asked = Page::Asked("/fleet.json?last=6h&host=a%20b".into());
        assert_eq!(ask("GET", here), Some(Ok(asked)));
        assert_eq!(ask("POST", here), Some(Err(Refused::Method)));
        assert_eq!(
            ask("GET", "Host: evil.example\r\n"),
            Some(Err(Refused::Strange))
        );
        let fields = format!("{here}Sec-Fetch-Site: cross-site\r\n");
        assert_eq!(ask("GET", &fields), Some(Err(Refused::Strange)));
    }

    #[test]
    fn browsers_are_served_by_address_only_and_not_for_other_sites() {
        let ask = |target: &str, fields: &str| {
            let head = format!("GET {target} HTTP/1.1\r\n{fields}\r\n");
            read(head.as_bytes(), Site::Page).map(|read| read.map(|request| request.page))
        };
        for host in [
            "127.0.0.1",
            "127.0.0.1:9317",
            "[::1]:9317",
            "[::1]",
            "LocalHost:1",
            "10.0.0.7:9317",
        ] {
            let fields = format!("hOST:  {host}\r\nSec-Fetch-Site: none\r\n");
            assert_eq!(ask("/", &fields), Some(Ok(Page::Browser)), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9317",
            "127.0.0.1.evil.example",
            "[::1",
            "[evil]",
            "[::1]x",
            "",
        ] {
            let fields = format!("Host: {host}\r\n");
            assert_eq!(ask("/data", &fields), Some(Err(Refused::Strange)), "{host}");
        }
        assert_eq!(ask("/", ""), Some(Err(Refused::Strange)));
        let here = "Host: 127.0.0.1:9317\r\n";
        for (site, expected) in [
            ("same-origin", Ok(Page::Data)),
            ("cross-site", Err(Refused::Strange)),
            ("same-site", Err(Refused::Strange)),
        ] {
            let fields = format!("{here}Sec-Fetch-Site: {site}\r\n");
            assert_eq!(ask("/data", &fields), Some(expected), "{site}");
        }
        let known = Known {
            run: 17,
            revision: 4,
        };
        assert_eq!(
            ask("/events?since=17.4", here),
            Some(Ok(Page::Events(known)))
        );
        let fields = format!("{here}Last-Event-ID: 17.4\r\n");
        assert_eq!(
            ask("/events?since=17.2", &fields),
            Some(Ok(Page::Events(known)))
        );
        let nothing = Known::default();
        assert_eq!(
            ask("/events?since=x", here),
            Some(Ok(Page::Events(nothing)))
        );
        assert_eq!(ask("/metrics", here), Some(Err(Refused::Unknown)));
    }
}
