//! tcpeek's totals of connection attempts as it tells them over its socket: `[{"RX":{"success":{..},"failure":{..}}},..,
//! {"pcap":{"stats":{..}}}]`; written here, read by whoever asks another instance, and shown as tcpeekstat does.

use std::fmt::Write;

use tcplens_core::view::TcpeekCounts;

use crate::json::Json;
use crate::read_json::Json as Reader;

/// What tcpeek knows of the capture itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PcapCounts {
    /// Packets received.
    pub recv: u64,
    /// Packets that the kernel dropped, if that is known.
    pub drop: Option<u64>,
    /// Packets that interfaces dropped, if that is known.
    pub ifdrop: Option<u64>,
}

impl PcapCounts {
    /// What came after `earlier`.
    #[must_use]
    pub fn since(self, earlier: PcapCounts) -> PcapCounts {
        let since = |now: Option<u64>, before: Option<u64>| {
            now.map(|now| now.saturating_sub(before.unwrap_or_default()))
        };
        PcapCounts {
            recv: self.recv.saturating_sub(earlier.recv),
            drop: since(self.drop, earlier.drop),
            ifdrop: since(self.ifdrop, earlier.ifdrop),
        }
    }
}

/// The document, without a newline at its end. What is not known is `null`.
#[must_use]
pub fn document(filters: &[(&str, TcpeekCounts)], pcap: PcapCounts) -> String {
    let mut json = Json::new();
    json.open('[');
    for (name, counts) in filters {
        json.open('{').name(name).open('{');
        json.name("success").open('{');
        json.name("total").number(counts.success);
        json.name("dupsyn").number(counts.dupsyn);
        json.name("dupsynack").number(counts.dupsynack).close('}');
        json.name("failure").open('{');
        json.name("total").number(counts.failure());
        json.name("timeout").number(counts.timeout);
        json.name("reject").number(counts.reject);
        json.name("unreach").number(counts.unreach).close('}');
        json.close('}').close('}');
    }
    json.open('{')
        .name("pcap")
        .open('{')
        .name("stats")
        .open('{');
    json.name("recv").number(pcap.recv);
    json.name("drop").or_null(pcap.drop);
    json.name("ifdrop").or_null(pcap.ifdrop);
    json.close('}').close('}').close('}').close(']');
    json.into_string()
}

/// One entry as it was read: a filter or `pcap`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// `success`, `failure`, `stats`, in the order in which they came.
    pub sections: Vec<Section>,
}

/// A section and its items, in the order in which they came.
pub type Section = (String, Vec<(String, Option<u64>)>);

/// tcpeekstat's text.
#[must_use]
pub fn text(entries: &[Entry]) -> String {
    let line = "----------------------------\n";
    let mut text = String::from("====== TCPEEK SUMMARY ======\n");
    for entry in entries {
        // A name is another program's: what would move the cursor stays away.
        let name: String = entry.name.chars().filter(|c| !c.is_control()).collect();
        text.push_str(line);
        // Writing to a String cannot fail.
        let _ = writeln!(text, " {name}\n{}", line.trim_end());
        for (section, items) in &entry.sections {
            let _ = writeln!(text, " {section}");
            for (item, value) in items {
                let value = value.map_or_else(|| "-".to_owned(), |value| value.to_string());
                let _ = writeln!(text, "     {item:<12}{value:>9}");
            }
        }
    }
    text.push_str("============================\n");
    text
}

/// Reads a document, of tcpeek's or of ours. `None` for anything else.
#[must_use]
pub fn read(document: &str) -> Option<Vec<Entry>> {
    let mut reader = Reader::new(document.as_bytes());
    let mut entries = Vec::new();
    reader.array(|reader| {
        reader.object(|reader, name| {
            let mut sections = Vec::new();
            reader.object(|reader, section| {
                let mut items = Vec::new();
                reader.object(|reader, item| {
                    let value = match reader.null() {
                        true => None,
                        false => Some(reader.number()?),
                    };
                    items.push((text_of(item)?, value));
                    Some(())
                })?;
                sections.push((text_of(section)?, items));
                Some(())
            })?;
            entries.push(Entry {
                name: text_of(name)?,
                sections,
            });
            Some(())
        })
    })?;
    reader.end().map(|()| entries)
}

fn text_of(name: &[u8]) -> Option<String> {
    String::from_utf8(name.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As tcpeek wrote it.
    const REAL: &str = r#"[{"RX":{"success":{"total":6,"dupsyn":1,"dupsynack":1},"failure":{"total":3,"timeout":0,"reject":3, "unreach":0}}},{"TX":{"success":{"total":1,"dupsyn":0,"dupsynack":0},"failure":{"total":1,"timeout":0,"reject":1, "unreach":0}}},{"pcap":{"stats":{"recv":66,"drop":0,"ifdrop":0}}}]"#;

    #[test]
    fn the_document_is_tcpeeks() {
        let rx = TcpeekCounts {
            success: 6,
            dupsyn: 1,
            dupsynack: 1,
            reject: 3,
            ..TcpeekCounts::default()
        };
        let tx = TcpeekCounts {
            success: 1,
            reject: 1,
            ..TcpeekCounts::default()
        };
        let pcap = PcapCounts {
            recv: 66,
            drop: Some(0),
            ifdrop: Some(0),
        };
        let ours = document(&[("RX", rx), ("TX", tx)], pcap);
        assert_eq!(ours, REAL.replace(' ', ""));
        assert_eq!(read(&ours), read(REAL));
    }

    #[test]
    fn names_come_back_as_they_were_and_what_is_unknown_is_null() {
        let name = "a\"b\\c{}[],:\té";
        let most = TcpeekCounts {
            success: u64::MAX,
            ..TcpeekCounts::default()
        };
        let text = document(&[(name, most)], PcapCounts::default());
        let entries = read(&text).expect("a document");
        assert_eq!(entries[0].name, name);
        assert_eq!(
            entries[0].sections[0].1[0],
            ("total".to_owned(), Some(u64::MAX))
        );
        let unknown = ("drop".to_owned(), None);
        assert_eq!(entries[1].sections[0].1[1], unknown);
    }

    #[test]
    fn nothing_else_is_read() {
        assert_eq!(read("[]"), Some(Vec::new()));
        for text in [
            "",
            "{}",
            "[",
            "[1]",
            "[{\"a\":1}]",
            "[{\"a\":{\"b\":{\"c\":-1}}}]",
            "[{\"a\":{\"b\":{\"c\":1}}}] x",
            "[{\"a\":{\"b\":{\"c\":99999999999999999999}}}]",
            "[{\"\\u12\":{}}]",
            "{\"error\":\"x\"}",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn the_text_is_tcpeekstats() {
        let entries = read(
            r#"[{"web":{"success":{"total":0,"dupsynack":0},"failure":{"total":3}}},{"pcap":{"stats":{"recv":12,"drop":null}}}]"#,
        );
        assert_eq!(
            text(&entries.expect("a document")),
            "\
====== TCPEEK SUMMARY ======
----------------------------
 web
----------------------------
 success
     total               0
     dupsynack           0
 failure
     total               3
----------------------------
 pcap
----------------------------
 stats
     recv               12
     drop                -
============================
"
        );
    }
}
