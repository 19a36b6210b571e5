//! cgroup v2 directories: where they are mounted, and descriptors of them for the BPF programs.

use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use rustix::fs::{Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use crate::exit::Failure;
use crate::proc::entry::{Limits, each_line};

/// How much is looked at of the mounts.
const MOUNTS: Limits = Limits { line: 20 << 10, total: 64 << 20, time: Duration::from_secs(10) };

/// Bytes of a process's cgroup file that are looked at: a path in each of up to 13 hierarchies.
pub const MAX_TEXT: u64 = 64 << 10;

/// A line of a process's cgroup file, cgroups(7).
#[derive(Debug, Clone, Copy)]
pub struct Group<'a> {
    /// 0: cgroup v2.
    hierarchy: u32,
    controllers: &'a [u8],
    path: &'a [u8],
}

/// The lines of a process's cgroup file.
pub fn groups<'a>(text: &'a [u8]) -> Vec<Group<'a>> {
    let group = |line: &'a [u8]| {
        let mut fields = line.splitn(3, |byte| *byte == b':');
        let hierarchy = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
        Some(Group { hierarchy, controllers: fields.next()?, path: fields.next()? })
    };
    text.split(|byte| *byte == b'\n').filter_map(group).collect()
}

/// The path of a process in cgroup v2; empty where there is none.
pub fn unified<'a>(groups: &[Group<'a>]) -> &'a [u8] {
    groups.iter().find(|group| group.hierarchy == 0).map_or(&b""[..], |group| group.path)
}

/// The path that tells most of where a process is. On hosts with cgroup v1 runtimes put containers into the hierarchies of the
/// controllers; where v2 is mounted beside them (hybrid hosts), a container's processes stay in the service of the runtime there.
/// So it is a path with a container's id, else that of cgroup v2, else that in systemd's own hierarchy, else the longest.
pub fn telling<'a>(groups: &[Group<'a>]) -> &'a [u8] {
    let rank = |group: &Group<'_>| {
        let path = group.path;
        let is_v2 = group.hierarchy == 0;
        let is_systemds = group.controllers.split(|byte| *byte == b',').any(|name| name == b"name=systemd");
        (holds_id(path), path.len() > 1, is_v2, is_systemds, path.len())
    };
    groups.iter().max_by_key(|group| rank(group)).map_or(&b""[..], |group| group.path)
}

/// Whether a path holds the id of a container, as all common runtimes make them: 64 hexadecimal digits.
fn holds_id(path: &[u8]) -> bool {
    path.split(|byte| !byte.is_ascii_alphanumeric())
        .any(|word| word.len() == 64 && word.iter().all(u8::is_ascii_hexdigit))
}

/// Where cgroup v2 is mounted, for example /sys/fs/cgroup or /sys/fs/cgroup/unified.
///
/// # Errors
/// When it is not.
pub fn root() -> Result<PathBuf, Failure> {
    let mut root = None;
    let mounts = std::fs::File::open("/proc/self/mountinfo").context("cannot read the mounts")?;
    each_line(mounts, MOUNTS, |line| {
        root = mounted_root(line);
        if root.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .context("cannot read the mounts")?;
    root.ok_or_else(|| Failure::unsupported("--cgroup needs cgroup v2, which is not mounted here".into()))
}

/// Where a line of mountinfo, proc_pid_mountinfo(5), has all of cgroup v2. Other lines may hold anything: users mount, too.
fn mounted_root(line: &[u8]) -> Option<PathBuf> {
    let line = std::str::from_utf8(line).ok()?;
    let (mount, system) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(3);
    let (root, at) = (fields.next()?, fields.next()?);
    // Blanks and the like are written as octal numbers; nobody mounts it below such a name.
    (system.split(' ').next() == Some("cgroup2") && root == "/" && !at.contains('\\')).then(|| at.into())
}

/// The directory of a cgroup given as its directory or as its path below the cgroup root.
///
/// # Errors
/// When cgroup v2 is not mounted.
pub fn directory(path: &Path) -> Result<PathBuf, Failure> {
    let root = root()?;
    if path.starts_with(&root) {
        return Ok(path.to_path_buf());
    }
    Ok(root.join(path.strip_prefix("/").unwrap_or(path)))
}

/// A descriptor of a cgroup given as in [`directory`].
///
/// # Errors
/// When there is no such cgroup.
pub fn open(path: &Path) -> Result<OwnedFd, Failure> {
    let directory = directory(path)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let cannot = || format!("cannot open the cgroup {}", directory.display());
    Ok(rustix::fs::open(&directory, flags, Mode::empty()).with_context(cannot)?)
}

/// A descriptor of the root cgroup, also where cgroup v2 is not mounted: a mount that is attached nowhere goes with it.
///
/// # Errors
/// When the kernel has no cgroup v2, or mounting is not allowed.
pub fn open_root() -> Result<OwnedFd, Failure> {
    if root().is_ok() {
        return open(Path::new("/"));
    }
    let mount = || -> rustix::io::Result<OwnedFd> {
        let fs = fsopen("cgroup2", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(&fs)?;
        fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
    };
    Ok(mount().context("cgroup v2 is not mounted here and cannot be")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "2403ccfe427f1dc7b6120dccb9ac58c2f8456950380d587a9f33ea7f00dd303d";

    /// Texts of /proc/PID/cgroup, where ID stands for an id, and what is reported of them.
    fn check(text: &str, expected: &str) {
        let text = text.replace("ID", ID);
        assert_eq!(telling(&groups(text.as_bytes())), expected.replace("ID", ID).as_bytes(), "{text}");
    }

    /// `container` was missing on every host without cgroup v2 alone: only the line of v2 was looked at, which says `/`, or the
    /// runtime's service, or is not there.
    #[test]
    fn a_container_on_a_host_with_cgroup_v1_is_told_by_the_controllers_hierarchies() {
        // Docker, driver cgroupfs, systemd in hybrid mode.
        check(
            "12:net_cls,net_prio:/docker/ID\n11:freezer:/docker/ID\n10:rdma:/\n8:memory:/docker/ID\n3:pids:/docker/ID\n\
             2:cpu,cpuacct:/docker/ID\n1:name=systemd:/docker/ID\n0::/system.slice/containerd.service\n",
            "/docker/ID",
        );
        // Docker, driver systemd, no cgroup v2 at all.
        check(
            "11:cpuset:/system.slice/docker-ID.scope\n8:memory:/system.slice/docker-ID.scope\n2:rdma:/\n\
             1:name=systemd:/system.slice/docker-ID.scope\n",
            "/system.slice/docker-ID.scope",
        );
        // The kubelet over containerd, both drivers.
        check(
            "11:memory:/kubepods/burstable/pod8a4b-22/ID\n10:rdma:/\n1:name=systemd:/kubepods/burstable/pod8a4b-22/ID\n\
             0::/system.slice/containerd.service\n",
            "/kubepods/burstable/pod8a4b-22/ID",
        );
        check(
            "5:pids:/kubepods.slice/kubepods-pod8a4b_22.slice/cri-containerd-ID.scope\n4:rdma:/\n0::/\n",
            "/kubepods.slice/kubepods-pod8a4b_22.slice/cri-containerd-ID.scope",
        );
        // Podman, by root; conmon, which minds the container, is recognised by its own scope.
        check(
            "11:pids:/machine.slice/libpod-ID.scope\n3:rdma:/\n1:name=systemd:/machine.slice/libpod-ID.scope\n",
            "/machine.slice/libpod-ID.scope",
        );
        check(
            "11:pids:/machine.slice/libpod-conmon-ID.scope\n1:name=systemd:/machine.slice/libpod-conmon-ID.scope\n0::/\n",
            "/machine.slice/libpod-conmon-ID.scope",
        );
        // Only a controller knows of the container.
        check("4:memory:/docker/ID\n1:name=systemd:/system.slice/docker.service\n0::/system.slice\n", "/docker/ID");
    }

    /// A mount whose name is no text, which any user may make with FUSE, hid cgroup v2.
    #[test]
    fn where_cgroup_v2_is_mounted() {
        let at = |line: &[u8]| mounted_root(line).map(|path| path.to_string_lossy().into_owned());
        let unified = b"31 23 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate";
        assert_eq!(at(unified).as_deref(), Some("/sys/fs/cgroup"));
        assert_eq!(at(b"31 23 0:27 /a /mnt rw shared:9 - cgroup2 cgroup2 rw"), None, "not all of it");
        for line in [&b""[..], b" - ", b"40 23 0:40 / /home/a/\xff rw - fuse.sshfs x rw", b"1 2 0:3 / / rw - ext4 a rw"]
        {
            assert_eq!(at(line), None);
        }
    }

    /// A group of cgroup v2 whose name is no text was none.
    #[test]
    fn lines_that_are_none_and_names_that_are_no_text() {
        let text = b"x\n:\n99999999999:a:/b\n1:name=systemd:/a:b\n0::/\xff\n";
        let groups = groups(text);
        assert_eq!((groups.len(), unified(&groups), telling(&groups)), (2, &b"/\xff"[..], &b"/\xff"[..]));
    }

    #[test]
    fn what_is_in_no_container_is_told_by_cgroup_v2_then_by_systemd() {
        check("0::/system.slice/docker-ID.scope\n", "/system.slice/docker-ID.scope");
        check("0::/\n", "/");
        check("", "");
        // Hybrid: a service, and a session of which v2 knows more than systemd's hierarchy.
        check(
            "10:memory:/\n1:name=systemd:/system.slice/ssh.service\n0::/system.slice/ssh.service\n",
            "/system.slice/ssh.service",
        );
        check("5:pids:/user.slice/user-1000.slice/a/b/c/d\n1:name=systemd:/x\n0::/user.slice\n", "/user.slice");
        // LXC, whose names are no ids; cgroup v1 alone, and beside a v2 that knows nothing.
        check(
            "12:cpuset:/lxc/web\n11:memory:/lxc/web/long\n1:name=systemd:/lxc/web/init.scope\n",
            "/lxc/web/init.scope",
        );
        check("9:pids:/lxc.payload/web\n4:memory:/lxc.payload/web\n0::/\n", "/lxc.payload/web");
        check("9:pids:/\n1:name=systemd:/\n0::/\n", "/");
    }
}
