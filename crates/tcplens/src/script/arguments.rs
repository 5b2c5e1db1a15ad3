//! Which of `--arg` a script reads, by its text: `arg.NAME` and `arg["NAME"]`. A text that uses the table in any other way
//! may read all of it.

/// The names that the text reads; none if it may read any.
fn read(text: &str) -> Option<Vec<&str>> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut names = Vec::new();
    for (at, _) in text.match_indices("arg") {
        let (before, after) = (&text[..at], &text[at + "arg".len()..]);
        // A part of another word, a field of another table, or `--arg` in a comment.
        if before.ends_with(|c| is_word(c) || c == '.' || c == '-') || after.starts_with(is_word) {
            continue;
        }
        let after = after.trim_start();
        if is_number(after) {
            continue;
        }
        let name = match after.strip_prefix('.') {
            Some(name) => name.split(|c| !is_word(c)).next(),
            None => after.strip_prefix('[').and_then(|key| {
                let key = key.trim_start();
                let quote = key.chars().next().filter(|c| "\"'".contains(*c))?;
                key[1..].split(quote).next()
            }),
        };
        names.push(name.filter(|name| !name.is_empty())?);
    }
    names.sort_unstable();
    names.dedup();
    Some(names)
}

/// `[0]`: the script's name.
fn is_number(key: &str) -> bool {
    let key = key.strip_prefix('[').and_then(|key| key.split(']').next());
    key.is_some_and(|key| key.trim().parse::<u32>().is_ok())
}

/// What to say of those of `--arg` that the text does not read; one sentence each.
pub(super) fn unread(text: &str, script: &str, arguments: &[(String, String)]) -> Vec<String> {
    let Some(names) = read(text) else {
        return Vec::new();
    };
    let reads = match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    };
    arguments
        .iter()
        .filter(|(name, _)| !names.contains(&name.as_str()))
        .map(|(name, _)| format!("{script} does not read --arg {name}; it reads {reads}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(names: &[&str]) -> Vec<(String, String)> {
        let pair = |name: &&str| ((*name).to_owned(), "1".to_owned());
        names.iter().map(pair).collect()
    }

    #[test]
    fn what_is_not_read_is_told_with_what_is() {
        let text = "-- tcplens script mine --arg other=1\nlocal a = arg.ms or arg [ 'n' ] print(packet.arg, large, arg[0])";
        assert_eq!(
            unread(text, "mine", &given(&["ms", "n", "other"])),
            ["mine does not read --arg other; it reads ms, n"]
        );
        assert_eq!(
            unread("", "mine", &given(&["ms"])),
            ["mine does not read --arg ms; it reads none"]
        );
    }

    #[test]
    fn who_may_read_all_is_not_told_anything() {
        for text in ["for k in pairs(arg) do end", "local a = arg", "arg[name]"] {
            assert_eq!(unread(text, "mine", &given(&["ms"])), [""; 0], "{text}");
        }
    }
}
