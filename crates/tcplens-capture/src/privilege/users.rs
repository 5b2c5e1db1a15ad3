//! Names of users: /etc/passwd and /etc/group (passwd(5), group(5)). Directory services are not asked: the C library
//! would load their modules into the process.

use super::PrivilegeError;

/// By convention the number of nobody; the kernel's own for whom it cannot name (fs.overflowuid).
const NOBODY: u32 = 65534;

/// Whose rights a process has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// As named, or its number.
    pub name: String,
    /// User.
    pub uid: u32,
    /// Its first group.
    pub gid: u32,
    /// The groups that list it.
    pub groups: Vec<u32>,
}

impl User {
    /// The user of a name or number in the texts of both files. A number without an entry is taken as it is, with the group
    /// of the same number; so is `nobody` with 65534.
    pub(super) fn find(name: &str, passwd: &str, group: &str) -> Result<User, PrivilegeError> {
        let number = name.parse::<u32>().ok();
        let mut entries = passwd.lines().filter_map(entry).peekable();
        let has_entries = entries.peek().is_some();
        let all: Vec<(&str, u32, u32)> = entries.collect();
        let found = all
            .iter()
            .find(|entry| entry.0 == name)
            .or_else(|| all.iter().find(|entry| Some(entry.1) == number));
        let plain = |number| User {
            name: name.to_owned(),
            uid: number,
            gid: number,
            groups: Vec::new(),
        };
        match (found, number) {
            (Some(&(name, uid, gid)), _) => Ok(User {
                name: name.to_owned(),
                uid,
                gid,
                groups: groups(name, group),
            }),
            // All bits set is "unchanged" to setresuid(2).
            (None, Some(number)) if number != u32::MAX => Ok(plain(number)),
            (None, None) if name == "nobody" => Ok(plain(NOBODY)),
            (None, None) if name == "root" => Ok(plain(0)),
            (None, _) => Err(PrivilegeError::UnknownUser {
                user: name.to_owned(),
                has_entries,
            }),
        }
    }
}

/// Name, user and group of a line of /etc/passwd.
fn entry(line: &str) -> Option<(&str, u32, u32)> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let _password = fields.next()?;
    let uid = fields.next()?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some((name, uid, gid))
}

/// The groups whose lines list a user.
fn groups(name: &str, group: &str) -> Vec<u32> {
    let gid = |line: &str| {
        let mut fields = line.split(':').skip(2);
        let gid = fields.next()?.parse().ok()?;
        let mut members = fields.next()?.split(',');
        members.any(|member| member.trim() == name).then_some(gid)
    };
    group.lines().filter_map(gid).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n# not a line\nbroken:x:many:1::/:\n\
                          tcp:x:998:997:tcplens:/var/lib/tcplens:/bin/false\n77:x:1077:1077::/:/bin/sh\n";
    const GROUP: &str =
        "root:x:0:\nadm:x:4:syslog,tcp\nwheel:x:10:tcpx\ntcp:x:997:\nlog:x:11:tcp\n";

    #[track_caller]
    fn check(name: &str, expected: Option<(&str, u32, u32, &[u32])>) {
        let found = User::find(name, PASSWD, GROUP).ok();
        let found = found
            .as_ref()
            .map(|user| (&*user.name, user.uid, user.gid, &*user.groups));
        assert_eq!(found, expected, "{name}");
    }

    #[test]
    fn users_are_found_by_name_and_number() {
        check("tcp", Some(("tcp", 998, 997, &[4, 11])));
        check("998", Some(("tcp", 998, 997, &[4, 11])));
        check("root", Some(("root", 0, 0, &[])));
        // A name of digits is a name first, as in chown(1).
        check("77", Some(("77", 1077, 1077, &[])));
    }

    #[test]
    fn a_number_without_entry_is_taken_as_it_is() {
        check("5000", Some(("5000", 5000, 5000, &[])));
        check("4294967295", None);
    }

    #[test]
    fn nobody_and_root_exist_without_an_entry() {
        check("nobody", Some(("nobody", 65534, 65534, &[])));
        let user = User::find("root", "", "").unwrap();
        assert_eq!((user.uid, user.gid), (0, 0));
    }

    #[test]
    fn others_do_not() {
        for name in ["alice", "broken", "", "tc", "-1", "# not a line"] {
            check(name, None);
        }
    }
}
