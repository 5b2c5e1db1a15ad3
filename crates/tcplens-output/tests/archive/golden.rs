//! Against what the real tcp-info wrote and csvtool printed.

use std::fs;

use tcplens_output::archive::csvtool::Shape;
use tcplens_output::archive::{Reader, Rewriter};

use super::tools::{Scratch, csv_of, golden, lines_of};

#[test]
fn csv_is_csvtools_to_the_byte() {
    let Some(golden) = golden() else { return };
    let upstream = [
        (
            "csvtool-183.csv",
            "ndt-jdczh_1553815964_00000000000003E8.00183",
        ),
        (
            "csvtool-7hhhv.csv",
            "ndt-7hhhv_1559749627_0000000000062D84.00000",
        ),
        ("csvtool-archiveRecords.csv", "archiveRecords"),
        (
            "csvtool-finwait2.csv",
            "finwait2-sample_1554836592_unsafe_000000000135A272.00000",
        ),
    ];
    let mut pairs: Vec<_> = upstream
        .map(|(csv, archive)| {
            (
                format!("upstream/{csv}"),
                format!("upstream/{archive}.jsonl.zst"),
            )
        })
        .into();
    for file in fs::read_dir(golden.join("own")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if let Some(stem) = name.strip_suffix(".csv") {
            pairs.push((format!("own/{name}"), format!("own/{stem}.jsonl.zst")));
        }
    }
    assert!(pairs.len() >= 22);
    for (csv, archive) in pairs {
        let expected = fs::read_to_string(golden.join(&csv)).unwrap();
        let got = csv_of(Shape::Compat, &golden.join(&archive));
        for (got, expected) in got.lines().zip(expected.lines()) {
            assert_eq!(got, expected, "{csv}");
        }
        assert!(
            got == expected,
            "{csv}: {} and {} bytes",
            got.len(),
            expected.len()
        );
    }
}

#[test]
fn archives_are_written_as_they_were_read() {
    let Some(golden) = golden() else { return };
    for directory in ["own", "upstream"] {
        for file in fs::read_dir(golden.join(directory)).unwrap() {
            let path = file.unwrap().path();
            if !path.to_string_lossy().ends_with(".jsonl.zst") {
                continue;
            }
            let lines = zstd::decode_all(fs::File::open(&path).unwrap()).unwrap();
            let lines = String::from_utf8(lines).unwrap();
            assert!(lines_of(&path) == lines, "{}", path.display());
        }
    }
    for file in ["record-sample-2019.json", "record-sample-linux6.18.jsonl"] {
        let path = golden.join(file);
        assert_eq!(lines_of(&path), fs::read_to_string(&path).unwrap());
    }
}

#[test]
fn segments_are_laid_out_again_by_their_metadata() {
    let Some(golden) = golden() else { return };
    let scratch = Scratch::new("rewrite");
    let mut rewriter = Rewriter::new(scratch.0.clone()).unwrap();
    let files = [
        "own/rot-host_1795222357_unsafe_0000000000023F78.00007",
        "own/rot-host_1795222357_unsafe_0000000000023F78.00008",
        "upstream/finwait2-sample_1554836592_unsafe_000000000135A272.00000",
        "upstream/ndt-jdczh_1553815964_00000000000003E8.00183",
    ]
    .map(|name| golden.join(format!("{name}.jsonl.zst")));
    let mut rewrite = |path| {
        let mut reader = Reader::new(fs::File::open(path).unwrap()).unwrap();
        while let Some(entry) = reader.next().unwrap() {
            assert!(rewriter.take(&entry)?);
        }
        rewriter.end()
    };
    for file in &files {
        rewrite(file).unwrap();
    }
    let host = "2026/11/21/host_1795222357_unsafe_0000000000023F78";
    let names = scratch.files();
    let expected = [
        // Its file was renamed; by its metadata it has another name.
        "2019/04/02/ndt-jdczh_1553815964_00000000000003E8.00183.jsonl.zst",
        "2019/08/26/gfr14.nyc.corp.google.com_1554836592_unsafe_000000000135A272.00000.jsonl.zst",
        &format!("{host}.00007.jsonl.zst"),
        &format!("{host}.00008.jsonl.zst"),
    ];
    assert_eq!(names, expected);
    for (name, file) in names
        .iter()
        .zip([&files[3], &files[2], &files[0], &files[1]])
    {
        assert!(lines_of(&scratch.0.join(name)) == lines_of(file));
    }
    // What is there already stays, and only that.
    rewrite(&files[0]).unwrap();
    assert_eq!(rewriter.refused(), 1);
    assert!(rewriter.first_refused().unwrap().contains("File exists"));
}

#[test]
fn raw_netlink_is_read() {
    let Some(golden) = golden() else { return };
    let lines = lines_of(&golden.join("upstream/testdata.zst"));
    // The same sockets as lines, by the same test data's makers.
    let archived = lines_of(&golden.join("upstream/archiveRecords.jsonl.zst"));
    assert_eq!(lines, archived);
}
