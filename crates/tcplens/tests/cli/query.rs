//! `query`: its engine is another program. What is printed without it, how it is found and run, and (where it is built) that it
//! answers; what it answers is for its own tests (query/tests).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::{Place, Run};

/// The engine, if it is built.
fn engine() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let named = std::env::var_os("TCPLENS_QUERY").map(PathBuf::from);
    let built = root.join("query/target/release/tcplens-query");
    [named, Some(built)]
        .into_iter()
        .flatten()
        .find(|path| path.is_file())
}

/// The program alone in a directory: no checkout around it.
fn alone(place: &Place) -> PathBuf {
    let copy = place.path("tcplens");
    let program = env!("CARGO_BIN_EXE_tcplens");
    if fs::hard_link(program, &copy).is_err() {
        fs::copy(program, &copy).unwrap();
    }
    copy
}

#[test]
fn without_its_engine_query_says_how_to_build_it() {
    let place = Place::new("query-missing");
    let program = alone(&place);
    let mut command = std::process::Command::new(&program);
    command
        .args(["query", "--store", ".", "SELECT 1"])
        .current_dir(place.path(""))
        .env_clear()
        .env("PATH", "/nowhere");
    let run = Run::of(command.output().unwrap());
    assert_eq!((run.status, run.out.as_str()), (Some(1), ""), "{run:?}");
    for words in [
        "tcplens: SQL over a directory needs the program tcplens-query, which is neither in ",
        "on PATH",
        "25 minutes",
        "`cargo build --release --manifest-path query/Cargo.toml`",
        "TCPLENS_QUERY=FILE",
    ] {
        assert!(run.err.contains(words), "{words:?} is missing: {run:?}");
    }
    assert_eq!(run.err.lines().count(), 1, "{run:?}");
    // A name that is none would be none with the engine, too.
    let mut command = std::process::Command::new(&program);
    command
        .args(["query", "--store", ".", "--named", "nosuch"])
        .current_dir(place.path(""))
        .env_clear()
        .env("PATH", "/nowhere");
    let run = Run::of(command.output().unwrap());
    run.ends(
        2,
        &["no query is called \"nosuch\" (have: top-servers, slow-operations, "],
    );
    assert!(!run.err.contains("cargo build"), "{run:?}");
}

#[test]
fn queries_that_come_along_are_listed_without_an_engine() {
    let place = Place::new("query-list");
    let run = place.run(&["query", "--named"]);
    run.is_quiet_success();
    for named in tcplens_output::named::ALL {
        let line = run.out.lines().find(|line| line.starts_with(named.name));
        assert!(
            line.is_some_and(|line| line.ends_with(named.title)),
            "{}",
            named.name
        );
    }
}

#[test]
fn the_engine_gets_the_words_as_they_came_and_its_status_is_ours() {
    let place = Place::new("query-words");
    let engine = place.write(
        "engine",
        b"#!/bin/sh\nprintf '<%s>' \"$@\"\necho \"told $TCPLENS_QUERY_EDITION\" >&2\nexit 3\n",
    );
    fs::set_permissions(&engine, fs::Permissions::from_mode(0o755)).unwrap();
    let words = [
        "query",
        "--store",
        "some where",
        "SELECT 'a b'",
        "-f",
        "csv",
        "--explain",
    ];
    let mut command = place.tcplens(&words);
    command
        .env("TCPLENS_QUERY", &engine)
        .env("PATH", "/usr/bin:/bin");
    let run = Run::of(command.output().unwrap());
    assert_eq!(
        (run.status, run.out.as_str(), run.err.as_str()),
        (
            Some(3),
            "<--store><some where><SELECT 'a b'><-f><csv><--explain>",
            format!("told {}\n", tcplens_output::named::edition()).as_str(),
        )
    );
}

#[test]
fn options_that_make_no_sense_are_refused_before_the_engine_is_looked_for() {
    let place = Place::new("query-usage");
    for (words, said) in [
        (
            &["query", "--since", "2h", "SELECT 1"][..],
            "cannot be used with",
        ),
        (&["query", "--since", "2h"], "--named"),
        (
            &["query", "-F", "a.sql", "--limit", "3"],
            "cannot be used with",
        ),
        (
            &["query", "--named", "errors", "--since", "yesterday"],
            "cannot read \"yesterday\" as a time",
        ),
        (
            &["query", "--named", "errors", "--server", "web"],
            "cannot read \"web\" as a server",
        ),
        (&["query", "-f", "xml"], "xml"),
    ] {
        let run = place.run(words);
        run.ends(2, &[said]);
    }
}

#[test]
fn the_engine_answers_where_it_is_built() {
    let Some(engine) = engine() else {
        println!(
            "SKIPPED: tcplens-query is not built (25 minutes): query/target/release, or TCPLENS_QUERY"
        );
        return;
    };
    let place = Place::new("query-engine");
    fs::create_dir(place.path("store")).unwrap();
    let words = [
        "query",
        "--store",
        "store",
        "SELECT count(*) AS n FROM requests",
        "-f",
        "csv",
    ];
    let mut command = place.tcplens(&words);
    command.env("TCPLENS_QUERY", engine);
    let run = Run::of(command.output().unwrap());
    assert_eq!(
        (run.status, run.out.as_str()),
        (Some(0), "n\n0\n"),
        "{run:?}"
    );
    assert!(run.err.contains("has no files of a store"), "{run:?}");
}
