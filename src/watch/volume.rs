//! What a file system's type says about watching it. Pure.

/// How files on it are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volume {
    /// By events.
    Events,
    /// By looking again and again: changes from the other side (a host, a virtual machine) raise no event.
    Silent,
    /// Not at all: each look may wait for a server.
    Network,
}

/// The kind of the file system with this type name (`/proc/self/mountinfo`).
pub fn of(kind: &str) -> Volume {
    match kind {
        "nfs" | "nfs4" | "cifs" | "smb3" | "smbfs" | "ncpfs" | "afs" | "coda" | "ceph" | "lustre" | "gpfs"
        | "glusterfs" | "beegfs" | "ocfs2" | "gfs2" | "davfs" | "autofs" => Volume::Network,
        "9p" | "vboxsf" | "prl_fs" | "vmhgfs" | "fuse.vmhgfs-fuse" | "drvfs" => Volume::Silent,
        _ if REMOTE_FUSE.iter().any(|name| kind.strip_prefix("fuse.").is_some_and(|rest| rest.starts_with(name))) => {
            Volume::Network
        }
        _ => Volume::Events,
    }
}

const REMOTE_FUSE: &[&str] = &[
    "sshfs",
    "rclone",
    "s3fs",
    "gcsfuse",
    "blobfuse",
    "davfs",
    "glusterfs",
    "ceph",
    "gvfsd",
    "kio",
    "google-drive",
    "onedrive",
    "goofys",
    "juicefs",
    "cvmfs",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        for kind in ["ext4", "btrfs", "xfs", "zfs", "overlay", "tmpfs", "fuse.mergerfs", "fuseblk", "virtiofs"] {
            assert_eq!(of(kind), Volume::Events, "{kind}");
        }
        for kind in ["nfs4", "cifs", "smb3", "fuse.sshfs", "fuse.rclone", "autofs", "fuse.gvfsd-fuse"] {
            assert_eq!(of(kind), Volume::Network, "{kind}");
        }
        assert_eq!(of("9p"), Volume::Silent);
    }
}
