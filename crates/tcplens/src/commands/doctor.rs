//! `doctor`: what works on this machine, what each missing thing costs, and what to do about it. The looking is
//! `tcplens_capture::probe`; this judges and words.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::thread::available_parallelism;

use anyhow::Result;
use tcplens_capture::probe::{DestroyGroups, Machine, SockDiag};
use tcplens_core::socket::tcp_info;
use tcplens_output::human::Bytes;

use super::generated::to_stdout;
use super::no_format;
use crate::cli::{Doctor, Format};
use crate::sockets::open::ROOM;
use crate::status;

/// The default of `--buffer`.
const RING: u64 = 64 << 20;

/// Clock sources that are read without asking a device. Others cost about a microsecond per packet.
const FAST_CLOCKS: &[&str] = &[
    "tsc",
    "kvm-clock",
    "xen",
    "hyperv_clocksource_tsc_page",
    "arch_sys_counter",
    "riscv_clocksource",
    "tod",
    "timebase",
];

/// What of the kernel tells of sockets, where it is a module.
const MODULES: &str = "modprobe inet_diag tcp_diag";

/// What the kernel counts for one end that waits (Linux 6.18).
const END: usize = 1280;

/// One thing that was looked at.
#[derive(Clone, Debug)]
struct Check {
    /// For machines and people alike.
    name: &'static str,
    /// What was found.
    found: String,
    /// What is missing; `None`: nothing.
    lack: Option<Lack>,
}

/// Something that is missing.
#[derive(Clone, Debug)]
struct Lack {
    /// What cannot be done for it.
    cost: String,
    /// What to do, where something can be done.
    fix: Option<String>,
}

pub(super) fn run(command: &Doctor) -> Result<ExitCode> {
    let cores = available_parallelism().map_or(1, usize::from);
    let machine = Machine::look(ROOM);
    let checks = checks(&machine, cores as u64);
    let works = machine.packets.is_ok() && machine.ring.is_ok();
    let printed = match command.format {
        Format::Text => text(&checks, works),
        Format::Jsonl => jsonl(&checks),
        format => return Err(no_format("doctor", format, "choose text or jsonl")),
    };
    to_stdout(printed.as_bytes())?;
    Ok(if works {
        ExitCode::SUCCESS
    } else {
        status::failed()
    })
}

fn checks(machine: &Machine, cores: u64) -> Vec<Check> {
    vec![
        user(machine),
        packet_socket(machine),
        ring(machine),
        ring_memory(machine, cores),
        interfaces(machine),
        clock(machine),
        namespaces(machine),
        landlock(machine),
        sockets(machine),
        ends(machine),
        types(machine),
        rights(machine),
        lockdown(machine),
        kernel_view(machine),
    ]
}

fn user(machine: &Machine) -> Check {
    let kernel = machine.kernel.as_deref().unwrap_or("Linux");
    let found = match (machine.uid, &machine.becomes) {
        (0, Some(name)) => format!("root on {kernel}; once sources are open, {name}"),
        (0, None) => format!("root on {kernel}; once sources are open, root without capabilities"),
        (uid, _) => format!("uid {uid} on {kernel}"),
    };
    let lack = machine.still_root.as_ref().map(|why| Lack {
        cost: format!("a live run stays root, without capabilities: {why}"),
        fix: Some("start tcplens as a user, with CAP_NET_RAW".to_owned()),
    });
    Check {
        name: "user",
        found,
        lack,
    }
}

fn packet_socket(machine: &Machine) -> Check {
    let (found, lack) = match &machine.packets {
        Ok(()) => ("opens".to_owned(), None),
        Err(refusal) => {
            let lack = Lack {
                cost: "no live capture; capture files can be read all the same".to_owned(),
                fix: refusal.remedy.clone(),
            };
            (refusal.error.clone(), Some(lack))
        }
    };
    Check {
        name: "packet socket",
        found,
        lack,
    }
}

fn ring(machine: &Machine) -> Check {
    let (found, lack) = match &machine.ring {
        Ok(()) => (
            "can be made, and shared among threads (PACKET_FANOUT)".to_owned(),
            None,
        ),
        Err(error) if machine.packets.is_ok() => {
            let lack = Lack {
                cost: "no live capture; capture files can be read all the same".to_owned(),
                fix: Some("smaller rings, such as -B 8MiB".to_owned()),
            };
            (error.clone(), Some(lack))
        }
        // It takes a packet socket, which is told already.
        Err(_) => ("not tried".to_owned(), None),
    };
    Check {
        name: "ring",
        found,
        lack,
    }
}

fn ring_memory(machine: &Machine, cores: u64) -> Check {
    let needed = RING.saturating_mul(cores);
    let rings = format!(
        "rings take {} per thread, {} with {cores}",
        Bytes(RING),
        Bytes(needed)
    );
    let (found, lack) = match machine.available_memory {
        Some(available) => {
            let lack = (available < needed).then(|| Lack {
                cost: "live capture may fail to start".to_owned(),
                fix: Some("smaller rings, such as -B 8MiB, or fewer --threads".to_owned()),
            });
            (format!("{} available; {rings}", Bytes(available)), lack)
        }
        None => (format!("not known how much there is; {rings}"), None),
    };
    Check {
        name: "ring memory",
        found,
        lack,
    }
}

fn interfaces(machine: &Machine) -> Check {
    let (found, lack) = match &machine.interfaces {
        Ok(all) => {
            let names: Vec<String> = all
                .iter()
                .map(|each| match each.is_up {
                    true => each.name.clone(),
                    false => format!("{} (down)", each.name),
                })
                .collect();
            let lack = (!all.iter().any(|each| each.is_up)).then(|| Lack {
                cost: "no packets: no interface is up".to_owned(),
                fix: Some("ip link set lo up, or --netns for another namespace".to_owned()),
            });
            (names.join(", "), lack)
        }
        Err(error) => {
            let cost = "a wrong -i is not told with the names there are".to_owned();
            (error.clone(), Some(Lack { cost, fix: None }))
        }
    };
    Check {
        name: "interfaces",
        found,
        lack,
    }
}

fn clock(machine: &Machine) -> Check {
    let name = machine.clock.as_deref();
    let is_fast = name.is_none_or(|name| FAST_CLOCKS.contains(&name));
    Check {
        name: "clock",
        found: name.unwrap_or("not known").to_owned(),
        lack: (!is_fast).then(|| Lack {
            cost: "every time stamp takes the kernel about a microsecond".to_owned(),
            fix: Some(
                "see dmesg for why the kernel gave up tsc; in a virtual machine choose the host's clock"
                    .to_owned(),
            ),
        }),
    }
}

fn namespaces(machine: &Machine) -> Check {
    let found = match &*machine.namespace_names {
        [] => "none has a name (ip netns)".to_owned(),
        names => names.join(", "),
    };
    Check {
        name: "other network namespaces",
        found,
        lack: machine.namespaces.as_ref().err().map(|fix| Lack {
            cost: "no --netns".to_owned(),
            fix: Some(fix.clone()),
        }),
    }
}

fn landlock(machine: &Machine) -> Check {
    let (found, lack) = match machine.landlock {
        Some(version @ 0..4) => {
            let lack = Lack {
                cost: "after the start, files are restricted, but TCP ports can be bound"
                    .to_owned(),
                fix: Some("Linux 6.7 or later".to_owned()),
            };
            (format!("version {version}"), Some(lack))
        }
        Some(version) => (format!("version {version}"), None),
        None => {
            let lack = Lack {
                cost: "after the start, files are protected by their permissions only".to_owned(),
                fix: Some(
                    "Linux 5.13 or later with landlock among the security modules (lsm= at boot)"
                        .to_owned(),
                ),
            };
            ("this kernel has none".to_owned(), Some(lack))
        }
    };
    Check {
        name: "landlock",
        found,
        lack,
    }
}

fn sockets(machine: &Machine) -> Check {
    let (found, lack) = match &machine.sockets {
        Ok(diag) => (told(diag), lack_of_telling(diag)),
        Err(error) => {
            let lack = Lack {
                cost: "no `sockets`; -i shows connections from packets".to_owned(),
                fix: Some(MODULES.to_owned()),
            };
            (error.clone(), Some(lack))
        }
    };
    Check {
        name: "sockets of the kernel",
        found,
        lack,
    }
}

fn told(diag: &SockDiag) -> String {
    let known = tcp_info::KNOWN;
    let statistics = match diag.tcp_info_bytes {
        Some(bytes) => format!("statistics (tcp_info) of {bytes} bytes, {known} are known"),
        None => "statistics (tcp_info) not known, for no socket could be made".to_owned(),
    };
    let filters = match diag.filters {
        true => "filters in the kernel",
        false => "no filters in the kernel",
    };
    // The kernel tells these to who has CAP_NET_ADMIN when it asks, and `sockets` has given it up by then, as everything.
    format!("{statistics}; {filters}; no marks (SO_MARK), which take CAP_NET_ADMIN: ss shows them")
}

fn lack_of_telling(diag: &SockDiag) -> Option<Lack> {
    let is_short = diag
        .tcp_info_bytes
        .is_some_and(|bytes| bytes < tcp_info::KNOWN);
    let costs = [
        (is_short, "fields that later kernels have are absent"),
        (
            !diag.filters,
            "a filter saves no time: all sockets are handed over",
        ),
    ];
    let costs: Vec<&str> = costs
        .into_iter()
        .filter_map(|(is_so, cost)| is_so.then_some(cost))
        .collect();
    (!costs.is_empty()).then(|| Lack {
        cost: costs.join("; "),
        fix: is_short.then(|| "a later kernel: Linux 6.18 has all".to_owned()),
    })
}

fn ends(machine: &Machine) -> Check {
    let lack = |cost: String, fix: String| {
        let fix = Some(fix);
        Some(Lack { cost, fix })
    };
    let untold = || {
        let cost = "`sockets --watch` misses connections that live shorter than its interval, and states how many";
        let fix = format!("Linux 4.4 or later, with CONFIG_INET_TCP_DIAG ({MODULES})");
        lack(cost.to_owned(), fix)
    };
    let (found, lack) = match &machine.ends {
        Ok(DestroyGroups { is_told: false, .. }) => (
            "the kernel says that it tells of them, and does not".to_owned(),
            untold(),
        ),
        Ok(DestroyGroups { buffer_bytes, .. }) => {
            let room = Bytes(*buffer_bytes as u64);
            let few = (*buffer_bytes < ROOM).then(|| {
                let cost = format!(
                    "where more than {} sockets end at once, the short ones among them are missed",
                    buffer_bytes / END
                );
                // The kernel doubles it.
                let fix = format!("CAP_NET_ADMIN, or sysctl net.core.rmem_max={}", ROOM / 2);
                lack(cost, fix)
            });
            let found = format!("told by the kernel; room for {room} of them");
            (found, few.flatten())
        }
        Err(error) => (error.clone(), untold()),
    };
    Check {
        name: "ends of sockets",
        found,
        lack,
    }
}

fn types(machine: &Machine) -> Check {
    let (found, lack) = match machine.btf {
        true => ("described (BTF)", None),
        false => (
            "not described: there is no /sys/kernel/btf/vmlinux",
            Some(no_view(Some("a kernel built with CONFIG_DEBUG_INFO_BTF"))),
        ),
    };
    Check {
        name: "types of the kernel",
        found: found.to_owned(),
        lack,
    }
}

fn rights(machine: &Machine) -> Check {
    let (found, lack) = match &machine.hooks {
        Ok(()) => ("permitted", None),
        Err(fix) => ("not permitted", Some(no_view(Some(fix)))),
    };
    Check {
        name: "programs in the kernel",
        found: found.to_owned(),
        lack,
    }
}

fn lockdown(machine: &Machine) -> Check {
    let word = machine.lockdown.as_deref();
    let lack = (word == Some("confidentiality")).then(|| {
        let fix = "lockdown=integrity at boot, or none: programs may not read the kernel's memory";
        no_view(Some(fix))
    });
    Check {
        name: "lockdown",
        found: word.unwrap_or("this kernel has none").to_owned(),
        lack,
    }
}

fn kernel_view(machine: &Machine) -> Check {
    let measured = match machine.measures_programs {
        Some(true) => "what its programs cost is measured",
        Some(false) => "what its programs cost is not measured (sysctl kernel.bpf_stats_enabled=1)",
        None => "what its programs cost cannot be measured",
    };
    let (found, lack) = match &machine.kernel_view {
        None => ("not tried".to_owned(), None),
        Some(Err(error)) => (error.clone(), Some(no_view(None))),
        Some(Ok(limits)) if limits.is_empty() => (format!("complete; {measured}"), None),
        Some(Ok(limits)) => {
            let lack = Lack {
                cost: limits.join("; "),
                fix: None,
            };
            (format!("can be had in part; {measured}"), Some(lack))
        }
    };
    Check {
        name: "the kernel's view",
        found,
        lack,
    }
}

/// What it costs that the kernel cannot be asked.
fn no_view(fix: Option<&str>) -> Lack {
    Lack {
        cost: "no -k (--kernel); -i shows the same from packets".to_owned(),
        fix: fix.map(str::to_owned),
    }
}

fn text(checks: &[Check], works: bool) -> String {
    let width = checks.iter().map(|check| check.name.len()).max();
    let width = width.unwrap_or_default();
    let mut out = String::new();
    // Writing to a String does not fail.
    for check in checks {
        let state = state(check);
        let _ = writeln!(out, "{state:7}  {:width$}  {}", check.name, check.found);
        if let Some(lack) = &check.lack {
            let _ = writeln!(out, "{:7}  {:width$}  costs: {}", "", "", lack.cost);
            if let Some(fix) = &lack.fix {
                let _ = writeln!(out, "{:7}  {:width$}  to do: {fix}", "", "");
            }
        }
    }
    out.push_str(match works {
        true => "\nLive capture works here.\n",
        false => "\nLive capture does not work here.\n",
    });
    out.push_str(
        "Packets are seen as the host handles them: with offload (TSO, GRO) segments are larger than on the wire.\n",
    );
    out
}

fn jsonl(checks: &[Check]) -> String {
    let mut out = String::new();
    for check in checks {
        let lack = check.lack.as_ref();
        let members = [
            ("check", Some(check.name.replace(' ', "_"))),
            ("state", Some(state(check).to_owned())),
            ("found", Some(check.found.clone())),
            ("cost", lack.map(|lack| lack.cost.clone())),
            ("fix", lack.and_then(|lack| lack.fix.clone())),
        ];
        let members: Vec<String> = members
            .into_iter()
            .filter_map(|(key, value)| Some(format!("\"{key}\":{}", quoted(&value?))))
            .collect();
        let _ = writeln!(out, "{{{}}}", members.join(","));
    }
    out
}

fn state(check: &Check) -> &'static str {
    match check.lack {
        None => "ok",
        Some(_) => "missing",
    }
}

/// A JSON string (RFC 8259 s7).
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            // Writing to a String does not fail.
            c if c < ' ' => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use tcplens_capture::interfaces::Interface;
    use tcplens_capture::probe::Refusal;

    use super::*;

    fn interface(name: &str, is_up: bool) -> Interface {
        Interface {
            index: 1,
            name: name.to_owned(),
            hardware_type: 1,
            is_up,
            is_running: is_up,
            is_loopback: false,
            mtu: Some(1500),
            master: None,
            addresses: Vec::new(),
        }
    }

    fn good() -> Machine {
        Machine {
            kernel: Some("Linux 6.12.1".to_owned()),
            uid: 0,
            becomes: Some("nobody".to_owned()),
            still_root: None,
            packets: Ok(()),
            ring: Ok(()),
            available_memory: Some(5 << 30),
            interfaces: Ok(vec![interface("lo", true), interface("eth0", false)]),
            namespaces: Ok(()),
            namespace_names: vec!["blue".to_owned()],
            landlock: Some(5),
            sockets: Ok(SockDiag {
                tcp_info_bytes: Some(280),
                filters: true,
            }),
            ends: Ok(DestroyGroups {
                is_told: true,
                buffer_bytes: ROOM,
            }),
            btf: true,
            hooks: Ok(()),
            lockdown: Some("none".to_owned()),
            measures_programs: Some(false),
            kernel_view: Some(Ok(Vec::new())),
            clock: Some("tsc".to_owned()),
        }
    }

    #[test]
    fn a_machine_where_all_works() {
        assert_eq!(
            text(&checks(&good(), 4), true),
            "\
ok       user                      root on Linux 6.12.1; once sources are open, nobody
ok       packet socket             opens
ok       ring                      can be made, and shared among threads (PACKET_FANOUT)
ok       ring memory               5 GiB available; rings take 64 MiB per thread, 256 MiB with 4
ok       interfaces                lo, eth0 (down)
ok       clock                     tsc
ok       other network namespaces  blue
ok       landlock                  version 5
ok       sockets of the kernel     statistics (tcp_info) of 280 bytes, 280 are known; filters in the kernel; no marks (SO_MARK), which take CAP_NET_ADMIN: ss shows them
ok       ends of sockets           told by the kernel; room for 32 MiB of them
ok       types of the kernel       described (BTF)
ok       programs in the kernel    permitted
ok       lockdown                  none
ok       the kernel's view         complete; what its programs cost is not measured (sysctl kernel.bpf_stats_enabled=1)

Live capture works here.
Packets are seen as the host handles them: with offload (TSO, GRO) segments are larger than on the wire.
"
        );
    }

    #[test]
    fn every_lack_has_its_cost_and_what_to_do() {
        let machine = Machine {
            uid: 1000,
            becomes: None,
            packets: Err(Refusal {
                error: "Operation not permitted (os error 1)".to_owned(),
                remedy: Some("needs CAP_NET_RAW; grant it".to_owned()),
            }),
            ring: Err("not permitted".to_owned()),
            available_memory: Some(100 << 20),
            interfaces: Ok(vec![interface("lo", false)]),
            namespaces: Err("needs CAP_SYS_ADMIN".to_owned()),
            namespace_names: Vec::new(),
            landlock: None,
            sockets: Err("Protocol not supported".to_owned()),
            ends: Err("Protocol not supported".to_owned()),
            btf: false,
            hooks: Err("needs CAP_BPF".to_owned()),
            lockdown: Some("confidentiality".to_owned()),
            kernel_view: None,
            clock: Some("hpet".to_owned()),
            ..good()
        };
        let checks = checks(&machine, 2);
        let lacks = |check: &&Check| check.lack.as_ref().is_some_and(|lack| lack.fix.is_some());
        // All but the user's, who is no lack, and the ring's and the kernel's view, which were not tried.
        assert_eq!(checks.iter().filter(lacks).count(), checks.len() - 3);
        let text = text(&checks, false);
        assert!(text.starts_with("ok       user                      uid 1000 on Linux 6.12.1\nmissing  packet socket             Operation not permitted (os error 1)\n                                   costs: no live capture; capture files can be read all the same\n                                   to do: needs CAP_NET_RAW; grant it\n"), "{text}");
        assert!(
            text.contains("\nLive capture does not work here.\n"),
            "{text}"
        );
    }

    #[test]
    fn what_the_kernel_s_view_lacks_is_its_cost() {
        let partly = Machine {
            kernel_view: Some(Ok(vec![
                "no first bytes".to_owned(),
                "no cgroups".to_owned(),
            ])),
            measures_programs: Some(true),
            ..good()
        };
        let check = kernel_view(&partly);
        assert_eq!(
            check.found,
            "can be had in part; what its programs cost is measured"
        );
        assert_eq!(check.lack.unwrap().cost, "no first bytes; no cgroups");
        let not = Machine {
            kernel_view: Some(Err("no ring buffer".to_owned())),
            ..good()
        };
        let check = kernel_view(&not);
        assert_eq!(check.found, "no ring buffer");
        assert!(check.lack.unwrap().cost.contains("-i shows the same"));
    }

    #[test]
    fn what_sockets_lack_is_told_with_what_is_missed() {
        let with = |bytes, filters| Machine {
            sockets: Ok(SockDiag {
                tcp_info_bytes: bytes,
                filters,
            }),
            ..good()
        };
        let old = sockets(&with(Some(232), false));
        assert_eq!(
            old.found,
            "statistics (tcp_info) of 232 bytes, 280 are known; no filters in the kernel; no marks (SO_MARK), which take CAP_NET_ADMIN: ss shows them"
        );
        assert_eq!(
            old.lack.unwrap().cost,
            "fields that later kernels have are absent; a filter saves no time: all sockets are handed over"
        );
        // A newer kernel lacks nothing, nor does one that could not be measured.
        assert!(sockets(&with(Some(296), true)).lack.is_none());
        assert!(sockets(&with(None, true)).lack.is_none());
        let with = |is_told, buffer_bytes| Machine {
            ends: Ok(DestroyGroups {
                is_told,
                buffer_bytes,
            }),
            ..good()
        };
        let few = ends(&with(true, 425_984));
        assert_eq!(few.found, "told by the kernel; room for 416 KiB of them");
        let lack = few.lack.unwrap();
        assert_eq!(
            lack.cost,
            "where more than 332 sockets end at once, the short ones among them are missed"
        );
        assert_eq!(
            lack.fix.unwrap(),
            "CAP_NET_ADMIN, or sysctl net.core.rmem_max=16777216"
        );
        let silent = ends(&with(false, ROOM)).lack.unwrap();
        assert!(
            silent.cost.contains("misses connections"),
            "{}",
            silent.cost
        );
    }

    #[test]
    fn root_who_stays_root_is_told() {
        let machine = Machine {
            becomes: None,
            still_root: Some("why".to_owned()),
            ..good()
        };
        let user = user(&machine);
        assert!(user.lack.is_some() && user.found.ends_with("root without capabilities"));
    }

    #[test]
    fn machines_get_one_object_per_check() {
        let check = Check {
            name: "packet socket",
            found: "a \"b\"\n\\".to_owned(),
            lack: Some(Lack {
                cost: "c".to_owned(),
                fix: None,
            }),
        };
        assert_eq!(
            jsonl(&[check]),
            "{\"check\":\"packet_socket\",\"state\":\"missing\",\"found\":\"a \\\"b\\\"\\u000a\\\\\",\"cost\":\"c\"}\n"
        );
    }
}
