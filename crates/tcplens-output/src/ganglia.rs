//! Ganglia's metrics as gmond takes them over UDP: two packets each, what the metric is and what its value is, in XDR
//! (RFC 4506) as of Ganglia 3.1 (lib/gm_protocol.x). Not the sending.

/// `gmetadata_full` and `gmetric_string` of Ganglia's enumeration; gmetric, too, sends every value as text.
const METADATA: u32 = 128;
const STRING: u32 = 133;
/// The slope `both`: the value may rise and fall.
const BOTH: u32 = 3;
/// gmetric's own default: seconds within which the next value should come.
const TMAX: u32 = 60;
/// Kept for ever, as by gmetric.
const DMAX: u32 = 0;

/// The packets for one value of type `uint32`: what it is, and what it is worth. A larger value is the largest there is.
#[must_use]
pub fn uint32(host: &str, name: &str, value: u64) -> [Vec<u8>; 2] {
    let value = u32::try_from(value).unwrap_or(u32::MAX).to_string();
    let mut metadata = Xdr::of(METADATA, host, name);
    metadata.text("uint32").text(name).text("");
    metadata.number(BOTH).number(TMAX).number(DMAX);
    // No further elements.
    metadata.number(0);
    let mut sample = Xdr::of(STRING, host, name);
    sample.text("%s").text(&value);
    [metadata.0, sample.0]
}

struct Xdr(Vec<u8>);

impl Xdr {
    /// What every message begins with: its kind, and whose metric it is (not spoofed).
    fn of(kind: u32, host: &str, name: &str) -> Xdr {
        let mut xdr = Xdr(Vec::with_capacity(128));
        xdr.number(kind).text(host).text(name).number(0);
        xdr
    }

    fn number(&mut self, number: u32) -> &mut Xdr {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// Its length, its bytes, and zeros up to a multiple of four.
    fn text(&mut self, text: &str) -> &mut Xdr {
        // A name of 4 GiB fits no packet either.
        self.number(u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.0.extend_from_slice(text.as_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_two_packets() {
        let [metadata, sample] = uint32("h1", "tcpeek_a", 7);
        let head = |kind| {
            [
                b"\0\0\0",
                &[kind][..],
                b"\0\0\0\x02h1\0\0\0\0\0\x08tcpeek_a\0\0\0\0",
            ]
            .concat()
        };
        assert_eq!(
            metadata,
            [
                &head(128)[..],
                b"\0\0\0\x06uint32\0\0\0\0\0\x08tcpeek_a\0\0\0\0",
                b"\0\0\0\x03\0\0\0\x3c\0\0\0\0\0\0\0\0"
            ]
            .concat()
        );
        assert_eq!(
            sample,
            [&head(133)[..], b"\0\0\0\x02%s\0\0\0\0\0\x017\0\0\0"].concat()
        );
        let [_, most] = uint32("h1", "a", u64::MAX);
        assert!(most.ends_with(b"\0\0\0\x0a4294967295\0\0"));
    }
}
