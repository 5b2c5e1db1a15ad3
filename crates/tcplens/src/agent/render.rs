//! A tree as YAML again: the effective configuration. What it prints is read as the same.

use super::yaml::{Node, What};

/// A tree as YAML.
pub(crate) fn render(node: &Node) -> String {
    let mut text = String::new();
    write(node, 0, &mut text);
    text
}

fn write(node: &Node, indent: usize, out: &mut String) {
    let What::Map(entries) = &node.what else {
        return;
    };
    for (n, (word, value)) in entries.iter().enumerate() {
        if n > 0 || indent == 0 {
            out.push_str(&" ".repeat(indent));
        }
        out.push_str(&word.text);
        out.push(':');
        match &value.what {
            What::Nothing => out.push('\n'),
            What::Text(text) => {
                out.push(' ');
                out.push_str(&quoted(text));
                out.push('\n');
            }
            What::Map(entries) if entries.is_empty() => out.push_str(" {}\n"),
            What::Map(_) => {
                out.push('\n');
                out.push_str(&" ".repeat(indent + 2));
                write(value, indent + 2, out);
            }
            What::List(items) => {
                let words: Option<Vec<_>> = items
                    .iter()
                    .map(|item| match &item.what {
                        What::Text(text) => Some(quoted(text)),
                        What::Nothing | What::List(_) | What::Map(_) => None,
                    })
                    .collect();
                if let Some(words) = words {
                    out.push_str(&format!(" [{}]\n", words.join(", ")));
                    continue;
                }
                out.push('\n');
                for item in items {
                    out.push_str(&" ".repeat(indent + 2));
                    out.push_str("- ");
                    write(item, indent + 4, out);
                }
            }
        }
    }
}

/// A text as YAML takes it for the same text.
fn quoted(text: &str) -> String {
    let is_plain = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "._/-+".contains(c) || c == ':')
        && !text.ends_with(':')
        && !text.starts_with(['-', ':'])
        && !text.is_empty();
    match is_plain {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read_again() {
        let text = "a: 1\nb:\n  c: 'it''s: x'\n  d: [1, '%', 2]\ne:\n  - f: x\n    g:\n      h: 1\n  - f: ''\n";
        let Ok(node) = super::super::yaml::parse(text) else {
            panic!("YAML");
        };
        assert_eq!(render(&node), text);
    }
}
