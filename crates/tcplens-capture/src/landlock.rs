//! What files the process may still touch once everything is open: landlock, where the kernel has it. Beside privileges,
//! which decide whose files those are. Best effort: its absence is told (`doctor`), never an error. Reference:
//! Documentation/userspace-api/landlock.rst of the kernel.

use std::fmt;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, path_beneath_rules,
};

/// The rights we know and restrict: files until ABI 5, binding of TCP ports (4). Later ABIs also restrict what we need:
/// connecting to the unix socket of systemd's notifications (9).
const KNOWN: ABI = ABI::V5;

/// What is read while a run goes on, apart from what is open: what the process has used, and the time zone.
const ALWAYS_READ: &[&str] = &["/proc/self", "/etc/localtime", "/usr/share/zoneinfo"];

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Landlocked {
    /// Everything asked for is enforced.
    Enforced,
    /// What this kernel knows of it is.
    Partly,
    /// The kernel has no landlock, or it is switched off.
    Unsupported,
    /// The kernel has it and refused; why.
    Failed(String),
}

impl fmt::Display for Landlocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Landlocked::Enforced => f.write_str("files are restricted by landlock"),
            Landlocked::Partly => {
                f.write_str("files are restricted by landlock as far as this kernel knows it")
            }
            Landlocked::Unsupported => {
                f.write_str("files are not restricted: this kernel has no landlock")
            }
            Landlocked::Failed(why) => write!(f, "files are not restricted by landlock: {why}"),
        }
    }
}

/// From now on the process, and all threads it will start, may write, create, rename and remove in and below the directories
/// of `outputs` only, read there, in `inputs` (files or directories) and what every run reads, execute nothing, and bind no
/// TCP port. What is open stays so. What does not exist is left out.
///
/// Before other threads are started, after privileges are given up: what is opened later is opened with those rights.
pub fn restrict(outputs: &[&Path], inputs: &[&Path]) -> Landlocked {
    match enforce(outputs, inputs) {
        Ok(RulesetStatus::FullyEnforced) => Landlocked::Enforced,
        Ok(RulesetStatus::PartiallyEnforced) => Landlocked::Partly,
        Ok(RulesetStatus::NotEnforced) => Landlocked::Unsupported,
        Err(error) => Landlocked::Failed(error.to_string()),
    }
}

fn enforce(outputs: &[&Path], inputs: &[&Path]) -> Result<RulesetStatus, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let write = read
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::MakeSock
        | AccessFs::RemoveFile
        // A directory of a spool gets its name, and empty ones of a store go.
        | AccessFs::RemoveDir;
    let outputs = outputs.iter().copied().map(or_here);
    let inputs = inputs.iter().copied();
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(AccessNet::BindTcp)?
        .create()?
        .add_rules(path_beneath_rules(outputs, write))?
        .add_rules(path_beneath_rules(
            inputs.chain(ALWAYS_READ.iter().map(Path::new)),
            read,
        ))?
        .restrict_self()?;
    Ok(status.ruleset)
}

/// The directory of a bare file name.
fn or_here(directory: &Path) -> &Path {
    if directory.as_os_str().is_empty() {
        Path::new(".")
    } else {
        directory
    }
}

/// Which version of landlock the kernel has, as far as it matters here (1 to 5); `None` without. Restricts nothing.
#[must_use]
pub fn version() -> Option<u32> {
    let has = |abi: ABI| {
        let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        let handled = ruleset.handle_access(AccessFs::from_all(abi));
        match abi {
            // It brought ports only.
            ABI::V4 => handled.and_then(|ruleset| ruleset.handle_access(AccessNet::BindTcp)),
            _ => handled,
        }
        .is_ok()
    };
    [ABI::V5, ABI::V4, ABI::V3, ABI::V2, ABI::V1]
        .into_iter()
        .find(|&abi| has(abi))
        .map(|abi| abi as u32)
}
