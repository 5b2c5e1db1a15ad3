//! What tcpkit's Lua scripts printed.

use std::fs;
use std::process::Command;

use crate::golden;

/// tcpkit's scripts' output on its golden captures, line by line: but for its DNS types from 4 on (K18), its unpadded
/// microseconds (K18), payload that its printing cut at a zero byte, and a word of a heading.
#[test]
fn scripts_that_come_along_print_what_tcpkits_did() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    for (script, capture, expected) in [
        ("example", "redis.pcap", "head.redis.example.out"),
        ("tcp-connect", "redis.pcap", "head.redis.tcpconnect.out"),
        ("dns", "dns.pcap", "head.dns.lua.out"),
        ("dns", "dns-types.pcap", "head.dnstypes.lua.out"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_tcplens"))
            .args(["script", script])
            .arg(golden.join(capture))
            .env_clear()
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0));
        let ours = String::from_utf8_lossy(&output.stdout).into_owned();
        let theirs = fs::read(golden.join(expected)).unwrap();
        let theirs = String::from_utf8_lossy(&theirs).into_owned();
        let ours = ours
            .replace("Connect Cost", "Conenct Cost")
            .replace("b\0c\r\n", "b");
        let unpadded = |line: &str| -> String {
            let mut words: Vec<_> = line.trim_start().split(' ').map(str::to_owned).collect();
            if let Some((time, fraction)) = words.get(1).and_then(|word| word.split_once('.')) {
                words[1] = format!("{time}.{}", fraction.trim_start_matches('0'));
            }
            words.join(" ")
        };
        let is_type = script == "dns";
        let mut differences = Vec::new();
        for (our, their) in ours.lines().zip(theirs.lines()) {
            if unpadded(our) == unpadded(their)
                || is_type && without_type(our) == without_type(their)
            {
                continue;
            }
            differences.push(format!("{our}\n{their}"));
        }
        assert_eq!(ours.lines().count(), theirs.lines().count(), "{script}");
        assert!(
            differences.is_empty(),
            "{script}: {}",
            differences.join("\n")
        );
    }
}

/// A line of `dns` without the type of the query.
fn without_type(line: &str) -> Vec<&str> {
    let parts = line.split(" | ").enumerate();
    parts
        .filter(|(n, _)| *n != 3)
        .map(|(_, part)| part)
        .collect()
}
