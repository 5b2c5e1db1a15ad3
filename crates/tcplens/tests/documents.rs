//! What is written about the program is what the program does. `dev/bless` rewrites what is generated.

use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn the_record_reference_is_what_the_records_declare() {
    let path = root().join("docs/records.md");
    let declared = tcplens_output::docs::record_reference();
    if std::env::var_os("TCPLENS_BLESS").is_some() {
        std::fs::write(&path, &declared).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let first = declared.lines().zip(written.lines()).find(|(a, b)| a != b);
    assert!(
        declared == written,
        "docs/records.md is not what the records declare; dev/bless rewrites it. First difference: {first:?}"
    );
}

#[test]
fn the_page_about_findings_has_every_code_and_no_other() {
    let page = std::fs::read_to_string(root().join("docs/findings.md")).unwrap();
    let mut written: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|row| row.split(" | ").next())
        .flat_map(|codes| codes.split('`'))
        .filter(|code| !code.trim().is_empty())
        .collect();
    written.sort_unstable();
    let mut known: Vec<_> = tcplens_core::view::ADVICE
        .iter()
        .map(|(code, _)| *code)
        .collect();
    known.sort_unstable();
    assert_eq!(written, known);
    // What is drafted somewhere is in that table.
    let rules = root().join("crates/tcplens-core/src/view/findings");
    for entry in std::fs::read_dir(rules).unwrap() {
        let source = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for draft in source.split("Draft::new(").skip(1) {
            let code = draft.split(',').nth(1).unwrap().trim().trim_matches('"');
            let is_word =
                code.contains('_') && code.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            assert!(!is_word || known.contains(&code), "{code}");
        }
    }
}

#[test]
fn the_page_about_the_agent_has_the_keys_that_it_reads() {
    let output = Command::new(env!("CARGO_BIN_EXE_tcplens"))
        .args(["agent", "--keys"])
        .env_clear()
        .output()
        .unwrap();
    let declared = String::from_utf8(output.stdout).unwrap();
    let path = root().join("docs/agent.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (text, written) = page.split_once("\n## Keys\n").unwrap();
    if std::env::var_os("TCPLENS_BLESS").is_some() {
        std::fs::write(&path, format!("{text}\n## Keys\n{declared}")).unwrap();
    } else {
        assert!(
            written == declared,
            "docs/agent.md is not what the keys declare; dev/bless rewrites it"
        );
    }
}

#[test]
fn the_configuration_that_comes_along_is_right_and_names_every_key() {
    let run = |words: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_tcplens"))
            .args(words)
            .current_dir(root())
            .env_clear()
            .output()
            .unwrap()
    };
    let file = "packaging/tcplens.yaml";
    let check = run(&["agent", "--check", "--config", file]);
    let said = String::from_utf8_lossy(&check.stderr);
    assert_eq!(check.status.code(), Some(0), "{said}");
    // Its directory is made when it is installed.
    let only_here = |line: &str| line.starts_with("tcplens: on this machine: ");
    assert!(said.lines().all(only_here), "{said}");
    let text = std::fs::read_to_string(root().join(file)).unwrap();
    let keys = String::from_utf8(run(&["agent", "--keys"]).stdout).unwrap();
    let rows = keys.lines().filter_map(|line| line.strip_prefix("| `"));
    let names: Vec<_> = rows.filter_map(|row| row.split('`').next()).collect();
    assert!(names.len() > 40, "{names:?}");
    for name in names {
        assert!(text.contains(&format!("{name}:")), "{file} has no {name}");
    }
}

#[test]
fn the_readme_shows_the_head_of_the_report_as_it_is() {
    let path = root().join("README.md");
    let mut readme = std::fs::read_to_string(&path).unwrap();
    let report = Command::new(env!("CARGO_BIN_EXE_tcplens"))
        .args(["report", "-r", "samples/shop.pcap"])
        .current_dir(root())
        .env_clear()
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    assert_eq!(report.status.code(), Some(0));
    let report = String::from_utf8(report.stdout).unwrap();
    // The first screen: whole findings within 24 lines.
    let screen: String = report.split_inclusive('\n').take(24).collect();
    let (findings, _) = screen.rsplit_once("\n\n").unwrap();
    let findings = &format!("{findings}\n");
    let start = "\n```text\n";
    let from = readme.find(start).unwrap() + start.len();
    let to = from + readme[from..].find("```\n").unwrap();
    if std::env::var_os("TCPLENS_BLESS").is_some() {
        readme.replace_range(from..to, findings);
        std::fs::write(&path, &readme).unwrap();
    } else {
        assert_eq!(&readme[from..to], findings, "dev/bless rewrites it");
    }
}

/// A block that begins with `$ tcplens ...` has lines of what that prints.
#[test]
fn the_page_about_the_report_shows_what_is_printed() {
    let page = std::fs::read_to_string(root().join("docs/report.md")).unwrap();
    let blocks: Vec<_> = page.split("```text\n$ tcplens ").skip(1).collect();
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        let (command, rest) = block.split_once('\n').unwrap();
        let (shown, _) = rest.split_once("```").unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_tcplens"))
            .args(command.split(' '))
            .current_dir(root())
            .env_clear()
            .env("LC_ALL", "C.UTF-8")
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(printed.contains(shown), "{command} prints:\n{printed}");
    }
}

#[test]
fn every_exit_status_command_and_option_of_the_readme_exists() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let help = |command: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_tcplens"))
            .args([command, "--help"])
            .env_clear()
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{command}");
        String::from_utf8(output.stdout).unwrap()
    };
    let commands = [
        "report",
        "handshakes",
        "requests",
        "connections",
        "explain",
        "sockets",
        "records",
    ];
    let helps: String = commands.iter().map(|command| help(command)).collect();
    for command in commands {
        assert!(readme.contains(&format!("| `{command}` |")), "{command}");
    }
    for word in readme.split(|c: char| !(c.is_ascii_lowercase() || c == '-')) {
        let is_option = word.starts_with("--") && word.len() > 3 && !word.ends_with('-');
        if is_option && word != "--release" {
            assert!(
                helps.contains(word),
                "README.md names {word}, which no command has"
            );
        }
    }
}

#[test]
fn the_lines_of_the_page_about_requests_are_what_the_program_prints() {
    let page = std::fs::read_to_string(root().join("docs/requests.md")).unwrap();
    let print = |words: &str, directory: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_tcplens"))
            .args(words.split(' '))
            .current_dir(root().join(directory))
            .env_clear()
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{words}");
        String::from_utf8(output.stdout).unwrap()
    };
    let (_, example) = page.split_once("\n$ tcplens ").unwrap();
    let (command, lines) = example.split_once('\n').unwrap();
    let (line, _) = lines.split_once('\n').unwrap();
    let printed = print(command, "tests/cases/zero-window");
    assert_eq!(printed.lines().next(), Some(line));
    let mut count = 0;
    for line in page.lines() {
        let Some((source, said)) = line.split_once(" | ") else {
            continue;
        };
        let source = source.split(' ').next().unwrap();
        let file = match source {
            "samples/shop.pcap" => source.to_owned(),
            case if case.starts_with("tests/cases/") => format!("{case}/input.pcap"),
            _ => continue,
        };
        count += 1;
        let printed = print(&format!("requests {file} --columns budget,verdict"), ".");
        assert!(printed.contains(&format!(" | {said}")), "{line}");
    }
    assert_eq!(count, 5);
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What the files about containers tell the program: a command and its options.
fn invocations(text: &str) -> Vec<Vec<String>> {
    let words = |line: &str| -> Vec<String> {
        line.split_whitespace()
            .map(|word| word.trim_matches(['`', '(', ')', ',', '.', ':', ';', '"', '[', ']']))
            .map(str::to_owned)
            .collect()
    };
    text.lines().map(words).collect()
}

#[test]
fn what_the_files_about_containers_say_is_what_the_program_takes() {
    let help = |command: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_tcplens"))
            .args([command, "--help"])
            .env_clear()
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{command}");
        String::from_utf8(output.stdout).unwrap()
    };
    let helps: String = ["sockets", "connections", "events"].map(help).concat();
    // Of podman, of apt-get, of cargo, and of COPY.
    let others = [
        "--rm",
        "--network",
        "--pid",
        "--no-install-recommends",
        "--release",
        "--locked",
        "--from",
        "--chown",
    ];
    let mut named = 0;
    for file in [
        "packaging/container/Containerfile",
        "packaging/container/daemonset.yaml",
        "docs/containers.md",
    ] {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        for word in invocations(&text).concat() {
            let option = word.split('=').next().unwrap();
            let is_option = option.starts_with("--") && option.len() > 3;
            if is_option && !others.contains(&option) {
                named += 1;
                assert!(
                    helps.contains(&format!("{option} ")) || helps.contains(&format!("{option}\n")),
                    "{file} names {option}, which no command has"
                );
            }
        }
    }
    assert!(named > 15, "{named}");
}

#[test]
fn the_image_is_built_from_all_that_cargo_reads() {
    let text = std::fs::read_to_string(root().join("packaging/container/Containerfile")).unwrap();
    let copied: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .filter(|words| !words.starts_with("--"))
        .flat_map(|words| {
            let (sources, _) = words.rsplit_once(' ').unwrap();
            sources.split(' ')
        })
        .collect();
    assert_eq!(
        copied,
        ["Cargo.toml", "Cargo.lock", ".cargo", "crates", "scripts"]
    );
    for source in copied {
        assert!(root().join(source).exists(), "{source}");
    }
    // Instructions begin at the margin, and each is one.
    for line in text.lines().filter(|line| !line.is_empty()) {
        let word = line.split(' ').next().unwrap();
        let is_known = [
            "#",
            "FROM",
            "RUN",
            "WORKDIR",
            "COPY",
            "USER",
            "ENTRYPOINT",
            "CMD",
        ];
        assert!(is_known.contains(&word), "{line}");
    }
    let version = format!("rust:{}-", env!("CARGO_PKG_RUST_VERSION"));
    assert!(text.contains(&version), "{version}");
}

#[test]
fn the_daemonset_is_yaml_and_has_what_the_page_says() {
    use serde_core::de::IgnoredAny;
    let text = std::fs::read_to_string(root().join("packaging/container/daemonset.yaml")).unwrap();
    let read: Result<IgnoredAny, _> = serde_saphyr::from_str(&text);
    assert!(read.is_ok(), "{:?}", read.err());
    for line in [
        "hostNetwork: true",
        "hostPID: true",
        "readOnlyRootFilesystem: true",
        "allowPrivilegeEscalation: false",
        "drop: [\"ALL\"]",
        "- --metrics=127.0.0.1:9760",
    ] {
        let has = text.lines().any(|one| one.trim() == line);
        assert!(has, "{line}");
    }
    // The arguments are a command line that is understood: only what it asks for may be missing here.
    let arguments = text
        .lines()
        .skip_while(|line| line.trim() != "args:")
        .skip(1)
        .take_while(|line| line.trim().starts_with(['-', '#']))
        .filter_map(|line| line.trim().strip_prefix("- "));
    let arguments: Vec<_> = arguments.chain(["--help"]).collect();
    assert!(arguments.len() > 5, "{arguments:?}");
    let output = Command::new(env!("CARGO_BIN_EXE_tcplens"))
        .args(&arguments)
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}");
}

#[test]
fn the_diagram_of_the_page_about_explain_is_what_the_program_prints() {
    let page = std::fs::read_to_string(root().join("docs/explain.md")).unwrap();
    let case = root().join("tests/cases/explain-window/expected");
    let printed = std::fs::read_to_string(case).unwrap();
    let (_, example) = page
        .split_once("\n$ tcplens explain 1 -r input.pcap\n")
        .unwrap();
    let (diagram, _) = example.split_once("```").unwrap();
    assert!(
        diagram.lines().count() > 5 && printed.contains(diagram),
        "{diagram}"
    );
}
