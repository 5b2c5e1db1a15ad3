//! Wraps sentences at a width. Columns are counted as characters: nothing we print is wider than one.

/// Columns a line takes, escape sequences of colour left out.
pub(crate) fn columns(line: &str) -> usize {
    let mut columns = 0;
    let mut in_escape = false;
    for c in line.chars() {
        match (in_escape, c) {
            (false, '\x1b') => in_escape = true,
            (true, 'm') => in_escape = false,
            (true, _) => {}
            (false, _) => columns += 1,
        }
    }
    columns
}

/// Appends `text` and a newline; every line begins with `indent`, but for a line that has `begun` columns already.
pub(crate) fn wrap(out: &mut String, begun: usize, indent: &str, text: &str, width: usize) {
    let mut column = begun;
    let mut is_first = true;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let length = word.chars().count();
        if column == 0 {
            out.push_str(indent);
            column = indent.len();
        } else if column + usize::from(!is_first) + length > width {
            out.push('\n');
            out.push_str(indent);
            column = indent.len();
        } else if !is_first {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
        is_first = false;
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_never_within_one() {
        let mut out = "head: ".to_owned();
        wrap(&mut out, 6, "  ", "one two averyverylongword three", 12);
        assert_eq!(out, "head: one\n  two\n  averyverylongword\n  three\n");
    }

    #[test]
    fn colour_takes_no_columns() {
        assert_eq!(columns("\x1b[1mab\x1b[0m: "), 4);
    }
}
