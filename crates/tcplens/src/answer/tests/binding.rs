//! Where answers are given: addresses, files, directories.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

use super::super::Kinds;
use super::*;

fn at(path: &Path) -> Answering {
    Answering {
        stats_port: None,
        stats_shape: "tcpkit1".parse().unwrap(),
        socket: Some(path.to_owned()),
        metrics: None,
        web: None,
    }
}

/// Why nothing can be answered there.
#[track_caller]
fn refusal(answering: &Answering) -> String {
    match Listeners::bind(answering) {
        Ok(_) => panic!("it can"),
        Err(error) => format!("{error:#}"),
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn a_missing_directory_is_made_and_the_socket_is_for_owner_and_group() {
    let place = Place::new("missing");
    let path = place.0.join("run/deep/t.sock");
    let listeners = Listeners::bind(&at(&path)).unwrap();
    assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o755, 0o660));
    assert_eq!(listeners.wanted(), Kinds::ALL);
    let owner = |path: &Path| {
        let metadata = fs::metadata(path).unwrap();
        (metadata.uid(), metadata.gid())
    };
    let (mine, other) = (owner(&path), (65_534, 65_534));
    if listeners.give_to(other.0, other.1).is_ok() {
        // Who has both may remove it; what was there before stays whose it was.
        let directory = path.parent().unwrap();
        assert_eq!([owner(&path), owner(directory)], [other, other]);
        assert_eq!(owner(&place.0), mine);
    } else {
        listeners.give_to(mine.0, mine.1).unwrap();
        println!("SKIPPED the socket of another user: only root may give it away");
    }
    drop(listeners);
    assert!(!path.exists());
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let place = Place::new("stale");
    drop(UnixListener::bind(place.socket()).unwrap());
    assert!(place.socket().exists());
    let instance = Instance::new("stale", settings());
    assert!(instance.ask(b"GET\n").starts_with("[{\"all\":"));
    let said = refusal(&at(&place.socket()));
    assert_eq!(
        said,
        format!(
            "cannot listen at {}: another program answers there; stop it (`tcplens stat` tells what it counts) or \
             choose another path with --socket",
            place.socket().display()
        )
    );
    assert!(instance.ask(b"GET\n").starts_with("[{\"all\":"));
    instance.finish();
    assert!(!place.socket().exists());
}

#[test]
fn what_another_program_put_there_stays() {
    let place = Place::new("other");
    let path = place.socket();
    let listeners = Listeners::bind(&at(&path)).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, "a file").unwrap();
    drop(listeners);
    assert!(path.exists());
    let said = refusal(&at(&path));
    assert!(
        said.contains("there is a file that is no socket; remove it or"),
        "{said}"
    );
    assert_eq!(fs::read(&path).unwrap(), b"a file");
}

#[test]
fn a_directory_that_cannot_be_written_or_made_is_told() {
    let said = refusal(&at(Path::new("/proc/tcplens.sock")));
    assert!(
        said.starts_with(
            "cannot listen at /proc/tcplens.sock: it cannot be made; make its directory writable"
        ),
        "{said}"
    );
    let said = refusal(&at(Path::new("/proc/tcplens/t.sock")));
    assert!(
        said.contains("cannot make /proc/tcplens; make it and give it to the user"),
        "{said}"
    );
    let place = Place::new("unwritable");
    fs::set_permissions(&place.0, Permissions::from_mode(0o555)).unwrap();
    // Root may write there all the same.
    if fs::write(place.0.join("probe"), "").is_err() {
        let said = refusal(&at(&place.socket()));
        assert!(
            said.contains("it cannot be made; make its directory writable"),
            "{said}"
        );
    } else {
        println!("SKIPPED a directory without write permission: root may write anywhere");
    }
    fs::set_permissions(&place.0, Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_port_in_use_is_told_and_one_that_was_in_use_is_free_at_once() {
    let instance = Instance::new("port", settings());
    // The server's end closes first: the address stays in TIME-WAIT.
    assert_eq!(instance.stats(), "{}\n");
    let address = instance.servers.stats_address().unwrap();
    let again = Answering {
        stats_port: Some(address),
        socket: None,
        ..instance.place.answering()
    };
    let said = refusal(&again);
    assert!(
        said.starts_with(&format!(
            "cannot listen at {address}: Address already in use"
        )) && said.ends_with("choose another port with --stats-port ADDR:PORT"),
        "{said}"
    );
    instance.finish();
    let listeners = Listeners::bind(&again).unwrap();
    assert_eq!(
        listeners.wanted(),
        Kinds {
            requests: true,
            ..Kinds::default()
        }
    );
}
