//! ClientHello and ServerHello (RFC 8446 4.1, RFC 5246 7.4.1): what of them is shown, and what the record layer needs.

/// Extensions that are read.
mod extension {
    pub(super) const SERVER_NAME: u16 = 0;
    pub(super) const ALPN: u16 = 16;
    pub(super) const PRE_SHARED_KEY: u16 = 41;
    pub(super) const EARLY_DATA: u16 = 42;
    pub(super) const SUPPORTED_VERSIONS: u16 = 43;
    pub(super) const PSK_MODES: u16 = 45;
}

/// TLS 1.3, whatever the hello's own version field says.
pub(super) const TLS13: u16 = 0x0304;

/// The random of a HelloRetryRequest (RFC 8446 4.1.3): SHA-256 of that word.
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

#[derive(Debug, Default)]
pub(super) struct ClientHello<'a> {
    /// The highest offered.
    pub(super) version: u16,
    pub(super) server_name: &'a [u8],
    /// Names, each with its length before it.
    pub(super) alpn: &'a [u8],
    pub(super) has_early_data: bool,
    /// It can use session tickets of TLS 1.3: without, a server must not send any.
    pub(super) takes_tickets: bool,
}

impl<'a> ClientHello<'a> {
    /// Reads the body, after type and length. What is broken is left out.
    pub(super) fn read(body: &'a [u8]) -> ClientHello<'a> {
        let mut hello = ClientHello::default();
        let mut cursor = Cursor(body);
        hello.fill(&mut cursor);
        hello
    }

    fn fill(&mut self, cursor: &mut Cursor<'a>) -> Option<()> {
        self.version = cursor.u16()?;
        cursor.take(32)?;
        cursor.take_u8()?;
        cursor.take_u16()?;
        cursor.take_u8()?;
        let mut extensions = Cursor(cursor.take_u16()?);
        while let Some((kind, data)) = extensions.extension() {
            let mut data = Cursor(data);
            match kind {
                extension::SERVER_NAME => self.server_name = server_name(data).unwrap_or_default(),
                extension::ALPN => self.alpn = data.take_u16().unwrap_or_default(),
                extension::EARLY_DATA => self.has_early_data = true,
                extension::PSK_MODES => self.takes_tickets = true,
                extension::SUPPORTED_VERSIONS => {
                    let mut versions = Cursor(data.take_u8().unwrap_or_default());
                    while let Some(version) = versions.u16() {
                        self.version = self.version.max(known_version(version));
                    }
                }
                _ => {}
            }
        }
        Some(())
    }

    /// Protocols offered by ALPN, without reserved ones (RFC 8701).
    pub(super) fn protocols(&self) -> impl Iterator<Item = &'a [u8]> {
        let mut names = Cursor(self.alpn);
        std::iter::from_fn(move || names.take_u8()).filter(|name| !is_reserved(name))
    }
}

#[derive(Debug, Default)]
pub(super) struct ServerHello<'a> {
    /// The negotiated one.
    pub(super) version: u16,
    pub(super) cipher: u16,
    /// The chosen protocol (up to TLS 1.2; later it is encrypted).
    pub(super) alpn: &'a [u8],
    pub(super) is_retry: bool,
    /// A session is resumed (TLS 1.3).
    pub(super) is_resumption: bool,
}

impl<'a> ServerHello<'a> {
    /// Reads the body, after type and length. What is broken is left out.
    pub(super) fn read(body: &'a [u8]) -> ServerHello<'a> {
        let mut hello = ServerHello::default();
        let mut cursor = Cursor(body);
        hello.fill(&mut cursor);
        hello
    }

    fn fill(&mut self, cursor: &mut Cursor<'a>) -> Option<()> {
        self.version = known_version(cursor.u16()?);
        self.is_retry = cursor.take(32)? == RETRY;
        if self.version != TLS13 {
            cursor.take_u8()?;
        }
        self.cipher = cursor.u16()?;
        // Drafts of TLS 1.3 have no session id and compression, and say so in the version.
        if self.version != TLS13 {
            cursor.take(1)?;
        }
        let mut extensions = Cursor(cursor.take_u16()?);
        while let Some((kind, data)) = extensions.extension() {
            let mut data = Cursor(data);
            match kind {
                extension::SUPPORTED_VERSIONS => {
                    self.version = known_version(data.u16().unwrap_or_default());
                }
                extension::ALPN => {
                    let mut names = Cursor(data.take_u16().unwrap_or_default());
                    self.alpn = names.take_u8().unwrap_or_default();
                }
                extension::PRE_SHARED_KEY => self.is_resumption = true,
                _ => {}
            }
        }
        Some(())
    }
}

/// Drafts of TLS 1.3 (0x7fNN, Facebook's 0xfbNN) are TLS 1.3; reserved numbers (RFC 8701) are nothing.
fn known_version(version: u16) -> u16 {
    match version {
        0x7f00..=0x7fff | 0xfb00..=0xfbff => TLS13,
        0x0002 | 0x0300..=0x0304 => version,
        _ => 0,
    }
}

/// The first host name (RFC 6066 3).
fn server_name(mut data: Cursor<'_>) -> Option<&[u8]> {
    let mut list = Cursor(data.take_u16()?);
    let kind = list.take(1)?;
    let name = list.take_u16()?;
    (kind == [0]).then_some(name)
}

fn is_reserved(name: &[u8]) -> bool {
    matches!(name, [a, b] if a == b && a & 15 == 10)
}

/// Reads from the front.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    fn u16(&mut self) -> Option<u16> {
        let (front, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*front))
    }

    /// Bytes with one byte of length before them.
    fn take_u8(&mut self) -> Option<&'a [u8]> {
        let count = *self.take(1)?.first()?;
        self.take(usize::from(count))
    }

    /// Bytes with two bytes of length before them; what there is of them.
    fn take_u16(&mut self) -> Option<&'a [u8]> {
        let count = usize::from(self.u16()?);
        self.take(count.min(self.0.len()))
    }

    fn extension(&mut self) -> Option<(u16, &'a [u8])> {
        let kind = self.u16()?;
        Some((kind, self.take_u16()?))
    }
}
