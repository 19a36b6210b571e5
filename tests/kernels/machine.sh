# Sourced by the first process of a virtual machine of tests/kernels/kernels.py: mounts what Linux needs; and sends what is in /results.
export PATH=/usr/bin:/bin HOME=/root TMPDIR=/tmp RUST_BACKTRACE=0
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm /tmp /run /results
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mount -t tracefs tracefs /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
bin=/opt/crypto-trace
uname -r > /results/uname

# Sends the results through the second serial port, and ends the machine.
send() {
	dmesg > /results/dmesg
	echo "sending"
	stty raw -echo < /dev/ttyS1
	cd /results && tar cf - . | gzip > /dev/ttyS1
	sync
	sleep 1
	poweroff -f
}
