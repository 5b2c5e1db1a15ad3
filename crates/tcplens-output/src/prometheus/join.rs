//! Two pages as one. A metric has one header on a page, so samples of metrics that both have go to the first's; where both have
//! the same series (what is said of the program itself) the first one's stands.

const HEAD: &str = "# HELP ";

/// `second` behind `first`.
#[must_use]
pub fn join(first: &str, second: &str) -> String {
    let mut blocks: Vec<(&str, String)> = blocks(first)
        .map(|(name, block)| (name, block.to_owned()))
        .collect();
    for (name, block) in self::blocks(second) {
        let Some((_, known)) = blocks.iter_mut().find(|(known, _)| *known == name) else {
            blocks.push((name, block.to_owned()));
            continue;
        };
        for sample in block
            .split_inclusive('\n')
            .filter(|line| !line.starts_with('#'))
        {
            let is_known = known.lines().any(|line| series(line) == series(sample));
            if !is_known {
                known.push_str(sample);
            }
        }
    }
    blocks.into_iter().map(|(_, block)| block).collect()
}

/// Each metric's lines, its header first, and its name.
fn blocks(page: &str) -> impl Iterator<Item = (&str, &str)> {
    let begins = page.match_indices(HEAD).map(|(at, _)| at);
    let begins: Vec<usize> = begins
        .filter(|&at| at == 0 || page.as_bytes().get(at - 1) == Some(&b'\n'))
        .collect();
    let ends = begins.iter().skip(1).copied().chain([page.len()]);
    let ranges: Vec<_> = begins.iter().copied().zip(ends).collect();
    ranges.into_iter().filter_map(|(begin, end)| {
        let block = page.get(begin..end)?;
        let name = block.strip_prefix(HEAD)?.split(' ').next()?;
        Some((name, block))
    })
}

/// A sample without its value.
fn series(line: &str) -> &str {
    line.trim_end()
        .rsplit_once(' ')
        .map_or(line, |(series, _)| series)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_of_both_pages_has_one_header_and_what_is_the_same_stands_once() {
        let first = "\
# HELP a_total A.
# TYPE a_total counter
a_total{kind=\"x\"} 1
# HELP info Of the program.
# TYPE info gauge
info 1
";
        let second = "\
# HELP b B.
# TYPE b gauge
b{server=\"[::1]:80\",note=\"# HELP x\"} 2
# HELP info Of the program, too.
# TYPE info gauge
info 7
# HELP a_total A.
# TYPE a_total counter
a_total{kind=\"y\"} 5
a_total{kind=\"x\"} 9
";
        assert_eq!(
            join(first, second),
            "\
# HELP a_total A.
# TYPE a_total counter
a_total{kind=\"x\"} 1
a_total{kind=\"y\"} 5
# HELP info Of the program.
# TYPE info gauge
info 1
# HELP b B.
# TYPE b gauge
b{server=\"[::1]:80\",note=\"# HELP x\"} 2
"
        );
        assert_eq!(join("", second), second);
        assert_eq!(join(first, ""), first);
        assert_eq!(join(first, "\n"), first);
    }
}
