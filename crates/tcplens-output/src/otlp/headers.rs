//! What a collector wants to see of who sends, such as a key. From a file, or from the variable that all programs with
//! OpenTelemetry read; never from the command line, which every user of the machine can read.
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/#specifying-headers-via-environment-variables>

/// A header: its name, and its value.
pub type Header = (String, String);

/// Reads a file: a header on each line, `name: value` or `name=value`. Empty lines and those that begin with `#` say nothing.
///
/// # Errors
/// The number of a line that is none, and what is wrong with it. The line itself is not told: it may be a secret.
pub fn of_file(text: &str) -> Result<Vec<Header>, String> {
    let lines = text.lines().map(str::trim).zip(1..);
    let lines = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
    let header = |(line, number): (&str, u32)| {
        let wrong = |why: &str| format!("line {number} {why}; write NAME: VALUE");
        // Whichever comes first: values have colons and equal signs of their own.
        let at = line.find([':', '=']);
        let (name, value) = at
            .and_then(|at| line.split_at_checked(at))
            .ok_or_else(|| wrong("is no header"))?;
        checked(name.trim(), value.get(1..).unwrap_or_default().trim()).map_err(|why| wrong(&why))
    };
    lines.map(header).collect()
}

/// Reads the value of `OTEL_EXPORTER_OTLP_HEADERS`: `name=value,name=value`, values with `%20` for what may not stand there.
///
/// # Errors
/// Which of them is none, by its number, and what is wrong with it.
pub fn of_variable(text: &str) -> Result<Vec<Header>, String> {
    let pairs = text.split(',').map(str::trim).zip(1..);
    let pairs = pairs.filter(|(pair, _)| !pair.is_empty());
    let header = |(pair, number): (&str, u32)| {
        let wrong = |why: &str| format!("header {number} {why}; write NAME=VALUE,NAME=VALUE");
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| wrong("has no equal sign"))?;
        let value =
            decoded(value.trim()).ok_or_else(|| wrong("has a % that is none of its two digits"))?;
        checked(name.trim(), &value).map_err(|why| wrong(&why))
    };
    pairs.map(header).collect()
}

/// A token and visible characters (RFC 9110 section 5).
fn checked(name: &str, value: &str) -> Result<Header, String> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(is_token) {
        return Err("has a name that no header can have".into());
    }
    let is_visible = |c: char| c == ' ' || c == '\t' || c.is_ascii_graphic();
    if !value.chars().all(is_visible) {
        return Err("has a value that no header can have".into());
    }
    Ok((name.to_ascii_lowercase(), value.to_owned()))
}

/// `%XX` for a byte.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high << 4 | low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(of: &[(&str, &str)]) -> Vec<Header> {
        let pairs = of.iter();
        pairs
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    }

    #[test]
    fn a_file_has_a_header_on_each_line() {
        let text = "# the key\nAuthorization: Bearer a=b:c\n\n x-scope-orgid = 7 \n";
        let expected = pairs(&[("authorization", "Bearer a=b:c"), ("x-scope-orgid", "7")]);
        assert_eq!(of_file(text), Ok(expected));
        assert_eq!(
            of_file("a: b\nsecret\n"),
            Err("line 2 is no header; write NAME: VALUE".into())
        );
        assert_eq!(
            of_file("a b: c"),
            Err("line 1 has a name that no header can have; write NAME: VALUE".into())
        );
        assert_eq!(
            of_file("a: \u{7}"),
            Err("line 1 has a value that no header can have; write NAME: VALUE".into())
        );
    }

    #[test]
    fn the_variable_has_pairs_with_percent_signs() {
        let text = "authorization=Bearer%20x%3D, api-key=s%2Ct,";
        let expected = pairs(&[("authorization", "Bearer x="), ("api-key", "s,t")]);
        assert_eq!(of_variable(text), Ok(expected));
        for (text, why) in [
            ("a", "header 1 has no equal sign"),
            (
                "a=b,c=%4",
                "header 2 has a % that is none of its two digits",
            ),
        ] {
            let why = format!("{why}; write NAME=VALUE,NAME=VALUE");
            assert_eq!(of_variable(text), Err(why));
        }
    }
}
