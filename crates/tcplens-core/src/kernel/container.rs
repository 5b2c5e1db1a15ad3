//! Which container a cgroup belongs to, by its path. Runtimes name a container's cgroup by its id, 64 hex digits: docker
//! `/docker/ID` and `/system.slice/docker-ID.scope`, containerd `cri-containerd-ID.scope` and `/kubepods/.../ID`, CRI-O
//! `crio-ID.scope`, podman `libpod-ID.scope` and `/libpod_parent/libpod-ID`.

/// Digits of a container's id.
const ID: usize = 64;

/// The id of the innermost container that a cgroup's path names.
#[must_use]
pub fn container_id(path: &str) -> Option<&str> {
    // An inner container's cgroup lies within the outer one's.
    path.rsplit('/').find_map(|name| {
        let name = name.strip_suffix(".scope").unwrap_or(name);
        // `libpod-conmon-ID` watches over the container and is not in it.
        if name.contains("conmon") {
            return None;
        }
        let id = name.rsplit(['-', ':']).next()?;
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (id.len() == ID && id.bytes().all(is_digit)).then_some(id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runtime_s_paths_name_their_container() {
        let id = "0123456789abcdef".repeat(4);
        for path in [
            format!("/docker/{id}"),
            format!("/system.slice/docker-{id}.scope"),
            format!("/system.slice/docker-{id}.scope/init.scope"),
            format!("/kubepods/burstable/pod0f3c/{id}"),
            format!(
                "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1_2.slice/cri-containerd-{id}.scope"
            ),
            format!("/kubepods.slice/kubepods-pod9.slice/crio-{id}.scope"),
            format!("/kubepods.slice/kubepods-pod9.slice/crio-{id}.scope/container"),
            format!("/kubepods-burstable-pod7.slice:cri-containerd:{id}"),
            format!("/machine.slice/libpod-{id}.scope"),
            format!(
                "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{id}.scope/container"
            ),
            format!("/libpod_parent/libpod-{id}"),
        ] {
            assert_eq!(container_id(&path), Some(id.as_str()), "{path}");
        }
    }

    #[test]
    fn other_cgroups_name_none() {
        let id = "0123456789abcdef".repeat(4);
        for path in [
            "",
            "/",
            "/user.slice/user-0.slice/session-3.scope",
            "/system.slice/redis.service",
            "/system.slice/docker.service",
            "/docker/0123",
            &format!("/machine.slice/libpod-conmon-{id}.scope"),
            &format!("/x/{}", id.to_uppercase()),
        ] {
            assert_eq!(container_id(path), None, "{path}");
        }
    }
}
