//! The container a cgroup belongs to, by the id that every common runtime puts into the cgroup's path.

/// Length of a container id of Docker, containerd, CRI-O and Podman.
const ID_LEN: usize = 64;

/// The innermost 64-digit hexadecimal id in a cgroup path, as in `/docker/<id>`, `docker-<id>.scope`,
/// `cri-containerd-<id>.scope`, `crio-<id>.scope` or `libpod-<id>.scope`. Not that of conmon, which minds a container from
/// outside of it, in a scope of its own: `libpod-conmon-<id>.scope`, `crio-conmon-<id>.scope`.
pub fn container_id(cgroup: &[u8]) -> Option<&[u8]> {
    cgroup.split(|byte| *byte == b'/').rev().find_map(id_of_component)
}

fn id_of_component(component: &[u8]) -> Option<&[u8]> {
    let mut before: &[u8] = b"";
    for word in component.split(|byte| !byte.is_ascii_alphanumeric()) {
        let is_id = word.len() == ID_LEN && word.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_id && before != b"conmon" {
            return Some(word);
        }
        before = word;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_the_common_runtimes() {
        let id = "0123456789abcdef".repeat(4);
        let check = |path: String, found: bool| {
            let expected = found.then_some(id.as_bytes());
            assert_eq!(container_id(path.as_bytes()), expected, "{path}");
        };
        check(format!("/docker/{id}"), true);
        check(format!("/system.slice/docker-{id}.scope"), true);
        check(format!("/kubepods.slice/kubepods-pod12_ab.slice/cri-containerd-{id}.scope"), true);
        check(format!("/kubepods/burstable/pod8-2/crio-{id}.scope/container"), true);
        check(format!("/machine.slice/libpod-{id}.scope"), true);
        check(format!("/docker/{}/docker/{id}", "f".repeat(64)), true);
        check("/user.slice/user-1000.slice".to_owned(), false);
        check(format!("/docker/{id}a"), false);
        check(String::new(), false);
    }

    #[test]
    fn conmon_is_in_no_container() {
        let id = "0123456789abcdef".repeat(4);
        let outer = "f".repeat(64);
        for own in ["libpod-conmon", "crio-conmon"] {
            assert_eq!(container_id(format!("/machine.slice/{own}-{id}.scope").as_bytes()), None, "{own}");
            let within = format!("/docker/{outer}/machine.slice/{own}-{id}.scope");
            assert_eq!(container_id(within.as_bytes()), Some(outer.as_bytes()), "podman within docker");
        }
    }
}
