//! Real programs in the namespaces of a test: servers, waited for until they listen and killed at the end; and clients, run
//! until they end. Where a program is not installed, a test is SKIPPED aloud.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use crate::namespace::Namespace;
use crate::place::Place;
use crate::tap::until;

/// Where daemons lie, if the path of whoever runs the tests does not say so.
const BESIDE_THE_PATH: &str = ":/usr/sbin:/sbin";

/// A server; killed when the test is done with it.
pub(crate) struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether all of them are installed; said aloud if not.
pub(crate) fn are_there(programs: &[&str]) -> bool {
    let path = std::env::var("PATH").unwrap_or_default() + BESIDE_THE_PATH;
    for program in programs {
        if !std::env::split_paths(&path).any(|directory| directory.join(program).is_file()) {
            println!("SKIPPED: no {program}");
            return false;
        }
    }
    true
}

/// A program in a namespace, about to be started in the directory of a test.
pub(crate) fn program(namespace: &Namespace, place: &Place, words: &[&str]) -> Command {
    let path = std::env::var("PATH").unwrap_or_default() + BESIDE_THE_PATH;
    // nsenter(1) goes to the root of a mount namespace.
    let mut command = namespace.command("env");
    command
        .arg("-C")
        .arg(place.directory())
        .args(words)
        .env("PATH", path)
        .env("HOME", place.directory())
        .stdin(Stdio::null());
    command
}

/// Starts a server, and waits until somebody listens to this port there: no connection is made for that.
pub(crate) fn serve(namespace: &Namespace, place: &Place, port: u16, words: &[&str]) -> Program {
    let log = place.path(&format!("{}.log", words[0]));
    let said = fs::File::create(&log).unwrap();
    let mut command = program(namespace, place, words);
    command.stdout(said.try_clone().unwrap()).stderr(said);
    let mut server = Program(command.spawn().unwrap());
    until("the server listens", || {
        if let Some(status) = server.0.try_wait().unwrap() {
            panic!("{status}: {}", fs::read_to_string(&log).unwrap());
        }
        listens(namespace, port)
    });
    server
}

/// Runs a client to its end.
#[track_caller]
pub(crate) fn run(namespace: &Namespace, place: &Place, words: &[&str]) -> Output {
    let output = program(namespace, place, words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
    output
}

/// Whether a socket of the namespace listens to this port.
fn listens(namespace: &Namespace, port: u16) -> bool {
    let port = format!(":{port:04X}");
    let listening = |table: &str| {
        let mut sockets = table.lines().map(str::split_whitespace);
        sockets.any(|mut fields| {
            let (local, state) = (fields.nth(1), fields.nth(1));
            local.is_some_and(|local| local.ends_with(&port)) && state == Some("0A")
        })
    };
    ["tcp", "tcp6"].iter().any(|name| {
        let read = || fs::read_to_string(format!("/proc/thread-self/net/{name}"));
        listening(&namespace.within(read).unwrap_or_default())
    })
}

/// Makes a key and a certificate: their paths.
pub(crate) fn certificate(namespace: &Namespace, place: &Place) {
    let words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
                 -subj /CN=localhost -keyout key.pem -out cert.pem";
    run(
        namespace,
        place,
        &words.split_whitespace().collect::<Vec<_>>(),
    );
}

/// nginx with these lines in its server block: `listen` and locations. It has `/small` (16 bytes), `/large` (300,000 bytes)
/// and takes what is PUT below `/put/`.
pub(crate) fn nginx(namespace: &Namespace, place: &Place, port: u16, lines: &str) -> Program {
    for directory in ["www", "www/put", "tmp"] {
        let path = place.path(directory);
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    fs::write(place.path("www/small"), [b's'; 16]).unwrap();
    fs::write(place.path("www/large"), vec![b'l'; 300_000]).unwrap();
    let at = |name: &str| path_of(place, name);
    let text = format!(
        "daemon off;\nmaster_process off;\npid {pid};\nerror_log {errors};\nevents {{}}\nhttp {{\n\
         access_log off;\nkeepalive_timeout 60;\nsendfile on;\n\
         client_body_temp_path {tmp}/body;\nproxy_temp_path {tmp}/proxy;\nfastcgi_temp_path {tmp}/fcgi;\n\
         uwsgi_temp_path {tmp}/uwsgi;\nscgi_temp_path {tmp}/scgi;\n\
         server {{\nroot {www};\nclient_max_body_size 100m;\n{lines}\n\
         location /put/ {{ dav_methods PUT; }}\n}}\n}}\n",
        pid = at("nginx.pid"),
        errors = at("nginx.errors"),
        tmp = at("tmp"),
        www = at("www"),
    );
    fs::write(place.path("nginx.conf"), text).unwrap();
    let conf = at("nginx.conf");
    let errors = at("nginx.errors");
    serve(
        namespace,
        place,
        port,
        &["nginx", "-c", &conf, "-e", &errors],
    )
}

/// redis without a disk, without a file of its own.
pub(crate) fn redis(namespace: &Namespace, place: &Place) -> Program {
    let words =
        "redis-server --port 6379 --save  --appendonly no --protected-mode no --daemonize no";
    serve(
        namespace,
        place,
        6379,
        &words.split(' ').collect::<Vec<_>>(),
    )
}

fn path_of(place: &Place, name: &str) -> String {
    let path: PathBuf = place.path(name);
    path.to_str().map(str::to_owned).unwrap()
}

/// A file in the directory of a test.
pub(crate) fn file(place: &Place, name: &str, text: &[u8]) -> String {
    fs::write(place.path(name), text).unwrap();
    path_of(place, name)
}
