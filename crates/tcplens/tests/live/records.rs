//! Fields of records in JSON Lines: compact, one object per line.

/// The value of a field as it is written, quotes included.
pub(crate) fn field<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let key = format!("\"{name}\":");
    let at = line.find(&key)? + key.len();
    let rest = &line[at..];
    let end = match rest.strip_prefix('"') {
        Some(text) => text.find('"')? + 2,
        None => rest.find([',', '}'])?,
    };
    Some(&rest[..end])
}

/// The number in a field.
#[track_caller]
pub(crate) fn number(line: &str, name: &str) -> u64 {
    let value = field(line, name);
    let parsed = value.and_then(|value| value.parse().ok());
    parsed.unwrap_or_else(|| panic!("no number {name} in {line}"))
}

/// Records of a kind.
pub(crate) fn of_kind<'o>(out: &'o str, kind: &str) -> Vec<&'o str> {
    let start = format!("{{\"kind\":\"{kind}\",");
    let lines = out.lines().filter(|line| line.ends_with('}'));
    lines.filter(|line| line.starts_with(&start)).collect()
}

/// Records of a kind whose client has this port.
pub(crate) fn of<'o>(out: &'o str, kind: &str, client_port: u16) -> Vec<&'o str> {
    let port = client_port.to_string();
    let mut lines = of_kind(out, kind);
    lines.retain(|line| field(line, "client_port") == Some(&port));
    lines
}

/// The one record of a kind, which has these fields and none of the `absent`.
#[track_caller]
pub(crate) fn only<'o>(
    out: &'o str,
    kind: &str,
    client_port: u16,
    fields: &[(&str, &str)],
    absent: &[&str],
) -> &'o str {
    let lines = of(out, kind, client_port);
    assert_eq!(lines.len(), 1, "{kind} of port {client_port}: {out}");
    for (name, value) in fields {
        assert_eq!(field(lines[0], name), Some(*value), "{name}: {}", lines[0]);
    }
    for name in absent {
        assert_eq!(field(lines[0], name), None, "{name}: {}", lines[0]);
    }
    lines[0]
}

/// All records but health, each without these fields, sorted.
pub(crate) fn without(out: &str, left_out: impl Fn(&str) -> bool) -> Vec<String> {
    let lines = out.lines().filter(|line| {
        let is_health = line.starts_with("{\"kind\":\"health\"");
        !is_health
    });
    let mut all: Vec<String> = lines
        .map(|line| {
            let inner = line.trim_start_matches('{').trim_end_matches('}');
            // No value of this traffic has a comma.
            let fields = inner.split(',').filter(|field| {
                let name = field.split(':').next().unwrap_or_default();
                !left_out(name.trim_matches('"'))
            });
            fields.collect::<Vec<_>>().join(",")
        })
        .collect();
    all.sort();
    all
}
