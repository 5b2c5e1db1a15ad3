//! A network namespace (and a mount namespace) that exists for as long as a test wants it: a process holds it that ends with
//! its standard input, so also when the test is killed.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tcplens_capture::netns;

/// What the holder does.
const HOLD: &str = "ip link set lo up && echo ready && exec cat >/dev/null";

/// See the module.
pub(crate) struct Namespace {
    holder: Child,
}

impl Namespace {
    /// A namespace with nothing but `lo`; `None`: there can be none here, which is said.
    pub(crate) fn new() -> Option<Namespace> {
        let mut command = Command::new("unshare");
        command
            .args(["--net", "--mount", "sh", "-c", HOLD])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let Ok(mut holder) = command.spawn() else {
            println!("SKIPPED: no unshare(1)");
            return None;
        };
        let mut said = String::new();
        BufReader::new(holder.stdout.take().unwrap())
            .read_line(&mut said)
            .unwrap();
        if said != "ready\n" {
            holder.wait().unwrap();
            println!("SKIPPED: network namespaces take root, and ip(8)");
            return None;
        }
        Some(Namespace { holder })
    }

    /// Two namespaces with a cable between them: `va`, 10.9.0.1 in the first, `vb`, 10.9.0.2 in the second.
    pub(crate) fn pair() -> Option<(Namespace, Namespace)> {
        let (a, b) = (Namespace::new()?, Namespace::new()?);
        let other = b.holder.id();
        a.ip(&format!("link add va type veth peer name vb netns {other}"));
        for (namespace, name, address) in [(&a, "va", "10.9.0.1"), (&b, "vb", "10.9.0.2")] {
            // No IPv6: its neighbour discovery would be packets that nobody sent.
            namespace.ip(&format!("link set {name} addrgenmode none"));
            namespace.ip(&format!("link set {name} up"));
            namespace.ip(&format!("address add {address}/24 dev {name}"));
        }
        Some((a, b))
    }

    /// The same with a VLAN on the cable: 10.9.7.1 and 10.9.7.2 in VLAN 7.
    pub(crate) fn pair_with_vlan() -> Option<(Namespace, Namespace)> {
        let (a, b) = Namespace::pair()?;
        for (namespace, name, address) in [(&a, "va", "10.9.7.1"), (&b, "vb", "10.9.7.2")] {
            let add = format!("link add link {name} name {name}.7 type vlan id 7");
            if !namespace.tries_ip(&add) {
                println!("SKIPPED: no VLAN interfaces in this kernel (8021q)");
                return None;
            }
            namespace.ip(&format!("link set {name}.7 addrgenmode none"));
            namespace.ip(&format!("link set {name}.7 up"));
            namespace.ip(&format!("address add {address}/24 dev {name}.7"));
        }
        Some((a, b))
    }

    /// The file that names it.
    pub(crate) fn name(&self) -> String {
        format!("/proc/{}/ns/net", self.holder.id())
    }

    /// Does something there. Sockets and processes that it makes stay there.
    pub(crate) fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        netns::within(&self.name(), work).unwrap()
    }

    /// Runs ip(8) there.
    #[track_caller]
    pub(crate) fn ip(&self, words: &str) {
        assert!(self.tries_ip(words), "ip {words}");
    }

    /// The same; whether it succeeded.
    pub(crate) fn tries_ip(&self, words: &str) -> bool {
        let mut command = Command::new("ip");
        command.args(words.split_whitespace());
        self.within(|| command.output()).unwrap().status.success()
    }

    /// A command in its mount namespace too.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let pid = self.holder.id().to_string();
        command.args(["--target", &pid, "--net", "--mount", program]);
        command
    }

    /// A small disk at `path` that only this namespace sees; where everybody sees it.
    pub(crate) fn disk(&self, path: PathBuf, size: &str) -> PathBuf {
        std::fs::create_dir_all(&path).unwrap();
        let mut mount = self.command("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("mode=1777,size={size}")]);
        assert!(mount.arg("none").arg(&path).status().unwrap().success());
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(path.strip_prefix("/").unwrap())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        // It ended, or never was.
        let _ = self.holder.wait();
    }
}
