//! Which capability is missing for what, and the one line that grants it. Not here: giving
//! privileges up (`super`). Reference: capabilities(7).

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use rustix::thread::{CapabilitySet, capabilities, capability_is_in_bounding_set, no_new_privs};

/// What a privilege is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Capturing packets: a socket of AF_PACKET.
    Packets,
    /// Entering another network namespace.
    Namespace,
    /// Programs in the kernel (eBPF).
    Kernel,
}

impl Need {
    /// The capabilities it takes, with their names.
    fn capabilities(self) -> &'static [(CapabilitySet, &'static str)] {
        match self {
            Need::Packets => &[(CapabilitySet::NET_RAW, "NET_RAW")],
            Need::Namespace => &[(CapabilitySet::SYS_ADMIN, "SYS_ADMIN")],
            Need::Kernel => &[
                (CapabilitySet::BPF, "BPF"),
                (CapabilitySet::PERFMON, "PERFMON"),
            ],
        }
    }

    const ALL: [Need; 3] = [Need::Packets, Need::Namespace, Need::Kernel];
}

/// The names of the capabilities that this thread does not have (`CAP_NET_RAW`); empty if none is missing.
#[must_use]
pub fn missing(need: Need) -> Vec<String> {
    Standing::of_this_thread().missing(need)
}

/// What to tell a user whom the kernel refused something that takes privileges: the last part of an error message, from
/// what is missing to the line that grants it, as in `cannot capture on eth0: not permitted; {remedy}`. Makes sense also where nothing seems to be missing.
#[must_use]
pub fn remedy(need: Need) -> Remedy {
    Remedy {
        need,
        standing: Standing::of_this_thread(),
    }
}

/// See [`remedy`].
#[derive(Clone, Debug)]
pub struct Remedy {
    need: Need,
    standing: Standing,
}

/// What bears on whether a capability is there and can be granted.
#[derive(Clone, Debug)]
struct Standing {
    effective: CapabilitySet,
    /// What exec can grant at all.
    bounding: CapabilitySet,
    is_root: bool,
    no_new_privs: bool,
    in_user_namespace: bool,
    program: PathBuf,
}

impl Standing {
    fn of_this_thread() -> Standing {
        let effective = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
        let all = Need::ALL.iter().flat_map(|need| need.capabilities());
        let is_granted = |(capability, _): &&(CapabilitySet, &str)| {
            // A kernel that does not know the capability: it cannot be the bounding set that lacks it.
            capability_is_in_bounding_set(*capability).unwrap_or(true)
        };
        Standing {
            effective,
            bounding: all.filter(is_granted).map(|&(one, _)| one).collect(),
            is_root: geteuid().is_root(),
            no_new_privs: no_new_privs().unwrap_or(false),
            in_user_namespace: fs::read_to_string("/proc/self/uid_map")
                .is_ok_and(|map| !maps_everyone(&map)),
            program: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("tcplens")),
        }
    }

    fn missing(&self, need: Need) -> Vec<String> {
        need.capabilities()
            .iter()
            .filter(|(capability, _)| !self.effective.contains(*capability))
            .map(|(_, name)| format!("CAP_{name}"))
            .collect()
    }

    /// The argument of setcap: what is needed, and what the file may have already or needs in any case, for setcap replaces.
    fn setcap(&self, need: Need) -> String {
        let names: Vec<String> = [Need::Packets, Need::Kernel]
            .iter()
            .flat_map(|each| each.capabilities().iter().map(move |one| (*each, one)))
            .filter(|(each, (capability, _))| {
                *each == Need::Packets || *each == need || self.effective.contains(*capability)
            })
            .map(|(_, (_, name))| format!("cap_{}", name.to_lowercase()))
            .collect();
        format!("{}=ep {}", names.join(","), quoted(&self.program))
    }
}

impl Remedy {
    /// Whether there is something to remedy, as far as can be told without trying.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        let Remedy { need, standing } = self;
        // Programs in the kernel are for who has the capability outside of all user namespaces.
        let is_outside = !standing.in_user_namespace || *need != Need::Kernel;
        !standing.missing(*need).is_empty() || !is_outside
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Remedy { need, standing } = self;
        let missing = standing.missing(*need);
        if missing.is_empty() {
            let all = need.capabilities().iter();
            let names: Vec<String> = all.map(|(_, name)| format!("CAP_{name}")).collect();
            let names = names.join(" and ");
            return if standing.in_user_namespace {
                write!(
                    f,
                    "having {names} within this user namespace is not enough: start tcplens outside"
                )?;
                match need {
                    Need::Packets => f.write_str(
                        ", or with a network namespace that belongs to it (unshare -rn)",
                    ),
                    Need::Namespace | Need::Kernel => Ok(()),
                }
            } else {
                write!(
                    f,
                    "{names} would do: a security module or a seccomp filter forbids it, see dmesg"
                )
            };
        }
        let names = missing.join(" and ");
        let is_out_of_reach = need.capabilities().iter().any(|(one, _)| {
            !standing.effective.contains(*one) && !standing.bounding.contains(*one)
        });
        if is_out_of_reach {
            let options: Vec<String> = missing
                .iter()
                .map(|name| name.replacen("CAP_", "--cap-add ", 1))
                .collect();
            write!(
                f,
                "needs {names}, which nothing started here can have: start the container with {}, \
                 or add it to CapabilityBoundingSet= of the unit",
                options.join(" ")
            )
        } else if standing.is_root {
            write!(
                f,
                "needs {names}, which this root does not have: it was given up, or taken away by \
                 what started tcplens"
            )
        } else if *need == Need::Namespace {
            // Not for a file that others may run: CAP_SYS_ADMIN is next to everything.
            write!(
                f,
                "needs {names}: run as root (sudo), which is given up once sources are open"
            )
        } else if standing.no_new_privs {
            write!(
                f,
                "needs {names}, and what setcap grants does not count here (no_new_privs is set): run as \
                 root, or give it as an ambient capability (AmbientCapabilities= of the unit)"
            )
        } else {
            write!(
                f,
                "needs {names}; grant it once with: sudo setcap {}, or run as root",
                standing.setcap(*need)
            )
        }
    }
}

/// Whether a uid_map is that of the first user namespace (user_namespaces(7)).
pub(super) fn maps_everyone(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%".contains(c);
    if text.chars().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> Standing {
        Standing {
            effective: CapabilitySet::empty(),
            bounding: CapabilitySet::all(),
            is_root: false,
            no_new_privs: false,
            in_user_namespace: false,
            program: PathBuf::from("/usr/bin/tcplens"),
        }
    }

    #[track_caller]
    fn check(need: Need, standing: Standing, expected: &str) {
        assert_eq!(Remedy { need, standing }.to_string(), expected);
    }

    #[test]
    fn a_user_is_told_the_one_line() {
        check(
            Need::Packets,
            user(),
            "needs CAP_NET_RAW; grant it once with: sudo setcap cap_net_raw=ep /usr/bin/tcplens, or run as root",
        );
    }

    #[test]
    fn the_line_keeps_what_the_file_has_or_needs() {
        let standing = Standing {
            effective: CapabilitySet::BPF,
            ..user()
        };
        check(
            Need::Packets,
            standing,
            "needs CAP_NET_RAW; grant it once with: sudo setcap cap_net_raw,cap_bpf=ep /usr/bin/tcplens, or run as root",
        );
        let standing = Standing {
            program: PathBuf::from("/home/a b/tcplens"),
            ..user()
        };
        check(
            Need::Kernel,
            standing,
            "needs CAP_BPF and CAP_PERFMON; grant it once with: sudo setcap \
             cap_net_raw,cap_bpf,cap_perfmon=ep '/home/a b/tcplens', or run as root",
        );
    }

    #[test]
    fn in_a_container_setcap_would_make_it_worse() {
        let standing = Standing {
            bounding: CapabilitySet::empty(),
            is_root: true,
            ..user()
        };
        check(
            Need::Packets,
            standing,
            "needs CAP_NET_RAW, which nothing started here can have: start the container with --cap-add NET_RAW, \
             or add it to CapabilityBoundingSet= of the unit",
        );
    }

    #[test]
    fn nobody_is_told_to_give_a_file_next_to_everything() {
        check(
            Need::Namespace,
            user(),
            "needs CAP_SYS_ADMIN: run as root (sudo), which is given up once sources are open",
        );
    }

    #[test]
    fn programs_in_the_kernel_are_not_for_root_of_a_user_namespace() {
        let standing = Standing {
            effective: CapabilitySet::all(),
            is_root: true,
            in_user_namespace: true,
            ..user()
        };
        let of = |need| Remedy {
            need,
            standing: standing.clone(),
        };
        assert!(of(Need::Kernel).is_needed() && !of(Need::Packets).is_needed());
        check(
            Need::Kernel,
            standing.clone(),
            "having CAP_BPF and CAP_PERFMON within this user namespace is not enough: start tcplens outside",
        );
    }

    #[test]
    fn setcap_is_not_proposed_where_it_does_not_count() {
        let standing = Standing {
            no_new_privs: true,
            ..user()
        };
        let said = Remedy {
            need: Need::Packets,
            standing,
        }
        .to_string();
        assert!(
            said.contains("no_new_privs") && !said.contains("sudo"),
            "{said}"
        );
    }

    #[test]
    fn what_is_there_and_does_not_help_is_explained() {
        let standing = Standing {
            effective: CapabilitySet::NET_RAW,
            in_user_namespace: true,
            ..user()
        };
        let said = Remedy {
            need: Need::Packets,
            standing,
        }
        .to_string();
        assert!(
            said.contains("within this user namespace is not enough"),
            "{said}"
        );
    }

    #[test]
    fn only_the_whole_range_is_the_first_user_namespace() {
        assert!(maps_everyone("         0          0 4294967295\n"));
        assert!(!maps_everyone("         0       1000          1\n"));
    }
}
