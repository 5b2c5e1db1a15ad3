//! What SQL may do here, and what is said where it may not, or makes no sense.

use crate::store::fill;
use crate::{Place, Run};

const READ_ONLY: &str =
    "a store is only read: SELECT, WITH, VALUES, EXPLAIN, DESCRIBE and SHOW are understood";

#[test]
fn statements_that_would_change_something_are_refused() {
    let place = Place::new("refused");
    fill(&place);
    for sql in [
        "INSERT INTO requests SELECT * FROM requests",
        "EXPLAIN INSERT INTO requests SELECT * FROM requests",
        "UPDATE requests SET host = 'x'",
        "DELETE FROM requests",
        "CREATE TABLE x AS SELECT 1",
        "CREATE VIEW x AS SELECT 1",
        "CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '/etc'",
        "COPY (SELECT 1) TO 'x.csv'",
        "DROP TABLE requests",
        "SET datafusion.execution.batch_size = 1",
    ] {
        let run = place.run(&[sql]);
        let word = sql
            .trim_start_matches("EXPLAIN ")
            .split(' ')
            .next()
            .unwrap();
        let said = format!("tcplens: {word} is refused: {READ_ONLY}\n");
        assert_eq!(
            (run.status, run.out.as_str(), run.err.as_str()),
            (Some(2), "", said.as_str()),
            "{sql}"
        );
    }
    for sql in [
        "SELECT 1 INTO x",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_csv('/etc/passwd')",
    ] {
        let run = place.run(&[sql]);
        assert_eq!(
            (run.status, run.out.as_str()),
            (Some(2), ""),
            "{sql}: {run:?}"
        );
    }
    assert!(!place.path("x.csv").exists());
}

#[test]
fn what_describes_tables_is_answered() {
    let place = Place::new("describe");
    fill(&place);
    let tables = place.csv(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1",
    );
    assert_eq!(
        tables,
        "table_name\nconnections\nfindings\nhandshakes\nhealth\nrequests\nrollups\nsockets\n"
    );
    assert!(
        place
            .csv("DESCRIBE requests")
            .contains("\ntotal_us,\"Decimal128(18, 3)\",YES\n")
    );
    assert!(place.csv("SHOW TABLES").contains("requests"));
}

#[test]
fn the_word_that_is_wrong_is_shown() {
    let place = Place::new("word");
    fill(&place);
    for (sql, sentence, line, mark) in [
        (
            "SELECT totl_us\nFROM requests",
            "totl_us",
            "  SELECT totl_us",
            "         ^^^^^^^",
        ),
        (
            "SELECT 1\nFROM requets",
            "requets",
            "  FROM requets",
            "       ^^^^^^^",
        ),
        ("SELECT FROM WHERE", "", "  SELECT FROM WHERE", ""),
        ("SELEC 1", "SELEC", "  SELEC 1", "  ^^^^^"),
    ] {
        let run = place.run(&[sql]);
        assert_eq!((run.status, run.out.as_str()), (Some(2), ""), "{run:?}");
        let mut lines = run.err.lines();
        let first = lines.next().unwrap();
        assert!(
            first.starts_with("tcplens: cannot understand the SQL: "),
            "{first}"
        );
        assert!(first.contains(sentence), "{first}");
        assert_eq!(lines.next(), Some(line), "{run:?}");
        let marks = lines.next().unwrap();
        assert!(mark.is_empty() || marks == mark, "{run:?}");
        assert_eq!(lines.next(), None, "{run:?}");
    }
}

#[test]
fn what_is_missing_or_makes_no_sense_is_said() {
    let place = Place::new("usage");
    let bare = |words: &[&str]| {
        let mut command = place.command::<&str>(&[]);
        let program = command.get_program().to_owned();
        command = std::process::Command::new(program);
        command
            .args(words)
            .current_dir(place.path(""))
            .env_clear()
            .stdin(std::process::Stdio::null());
        Run::of(command.output().unwrap())
    };
    for (words, status, said) in [
        (&["SELECT 1"][..], 2, "which store? write --store DIR"),
        (
            &["--store", "nowhere", "SELECT 1"],
            1,
            "cannot read the store nowhere: No such file or directory",
        ),
        (&["--store", "."], 2, "what to ask?"),
        (
            &["--store", ".", "--named", "nothing"],
            2,
            "no query is called \"nothing\" (have: top-servers, ",
        ),
        (
            &["--store", ".", "--named", "hosts", "--limit", "3"],
            2,
            "the query hosts has no --limit",
        ),
        (
            &["--store", ".", "--named", "errors", "--since", "2h"],
            2,
            "the store has no rollups",
        ),
        (
            &["--named", "errors", "--since", "2h", "--show-sql"],
            2,
            "write --store DIR",
        ),
    ] {
        let run = bare(words);
        assert_eq!(run.status, Some(status), "{run:?}");
        assert!(run.err.contains(said), "{said:?} is missing: {run:?}");
    }
    let run = bare(&["--named", "errors", "--server", "10.0.0.1:80", "--show-sql"]);
    assert_eq!((run.status, run.err.as_str()), (Some(0), ""));
    assert!(
        run.out
            .contains("AND server_ip = '10.0.0.1' AND server_port = 80\n"),
        "{run:?}"
    );
}

#[test]
fn memory_is_bounded() {
    let place = Place::new("memory");
    fill(&place);
    let sql = "SELECT count(p) AS n FROM (SELECT value, lag(value) OVER (ORDER BY value % 1000, value) AS p \
               FROM generate_series(1, 2000000))";
    let run = place.run(&[
        sql,
        "-f",
        "csv",
        "--limit-memory",
        "256KiB",
        "--threads",
        "1",
    ]);
    assert_eq!((run.status, run.out.as_str()), (Some(1), ""), "{run:?}");
    assert!(
        run.err
            .contains("the query needs more memory than it may have: "),
        "{run:?}"
    );
    assert!(run.err.contains("raise --limit-memory"), "{run:?}");
    assert_eq!(
        place.answer(&[sql, "-f", "csv", "--limit-memory", "64MiB"]),
        "n\n1999999\n"
    );
}

#[test]
fn who_expects_other_queries_is_told() {
    let place = Place::new("edition");
    fill(&place);
    let edition = tcplens_output::named::edition();
    for (expected, words, is_told) in [
        ("0123456789abcdef", &["--named", "hosts"][..], true),
        // The words are the asker's own.
        ("0123456789abcdef", &["SELECT 1"], false),
        (&edition, &["--named", "hosts"], false),
    ] {
        let mut command = place.command(words);
        command.env(tcplens_output::named::EDITION, expected);
        let run = Run::of(command.output().unwrap());
        assert_eq!(run.status, Some(0), "{run:?}");
        let said = run
            .err
            .contains("has other queries than the tcplens that asks it");
        assert_eq!(said, is_told, "{run:?}");
    }
}
