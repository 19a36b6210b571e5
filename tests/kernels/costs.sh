#!/bin/sh
# The first process of a virtual machine of tests/kernels/costs, in which a nanosecond is an instruction: runs operations alone,
# with an empty program in each attach tier, and under a capture in each, and sends what they took.
. /machine.sh

# As deep as bench/host has them. The last letters of .txt are those of a wanted name, too; of .dat they are not.
mkdir /tmp/bench
echo x > /tmp/bench/server.key
echo x > /tmp/bench/plain.txt
echo x > /tmp/bench/plain.dat

# Round, tier, what for, operation, nanoseconds of CPU per operation and of wall time.
cat > /operations.sh <<'END'
#!/bin/sh
storm() {
	echo "$tag $1 $(/opt/crypto-trace/open_storm 1 20000 0 "$2" $3)" >> /results/operations
}
storm recorded /tmp/bench/server.key
storm other /tmp/bench/plain.txt
storm unlike /tmp/bench/plain.dat
storm fstat /tmp/bench/plain.txt stat
END

# CPU time of a command and all of its children, in microseconds: a cgroup's. Into /results/cpu.
cat > /cpu.sh <<'END'
#!/bin/sh
what=$1
shift
group=/sys/fs/cgroup/$$
mkdir $group
( echo 0 > $group/cgroup.procs; exec "$@" > /dev/null )
echo "$tag $what $(sed -n 's/^usage_usec //p' $group/cpu.stat)" >> /results/cpu
rmdir $group
END
cat > /execs.sh <<'END'
#!/bin/sh
/cpu.sh execs-few /opt/crypto-trace/open_storm 1 $EXECS_FEW 0 /bin/true exec
/cpu.sh execs-many /opt/crypto-trace/open_storm 1 $EXECS_MANY 0 /bin/true exec
END
cat > /wire.sh <<'END'
#!/bin/sh
load() {
	echo "$tag $1 $($2) 0" >> /results/operations
}
load tcp "/opt/crypto-trace/tcp_packets 5000"
load dns "/opt/crypto-trace/udp_packets 5000 dns"
load quic "/opt/crypto-trace/udp_packets 5000 quic"
load handshake "/opt/crypto-trace/tls_load handshakes /etc/tls.pem /etc/tls.key $HANDSHAKES"
END
chmod +x /wire.sh /operations.sh /cpu.sh /execs.sh
export EXECS_FEW=10 EXECS_MANY=110 HANDSHAKES=100

record() {
	tier=$1
	name=$2
	shift 2
	$bin/crypto-trace-capture record -q --tier $tier -o /results/$name.ctseg -- "$@" 2>> /results/errors
}

for round in 1 2; do
	echo "costs: round $round"
	export tag="$round none alone"
	/operations.sh
	/execs.sh
	/wire.sh
	export tag="$round packets empty"
	$bin/floor packets /wire.sh 2>> /results/errors
	export tag="$round packets wire"
	$bin/crypto-trace-capture record -q --library-calls off -o /tmp/wire.ctseg -- /wire.sh 2>> /results/errors
	rm -f /tmp/wire.ctseg
	export tag="$round packets capture"
	$bin/crypto-trace-capture record -q -o /results/wire-$round.ctseg -- /wire.sh 2>> /results/errors
	for tier in fentry kprobe tracepoint; do
		export tag="$round $tier empty"
		$bin/floor $tier /operations.sh 2>> /results/errors
		export tag="$round $tier capture"
		record $tier $tier-$round /operations.sh
		record $tier $tier-$round-execs /execs.sh
		/cpu.sh start $bin/crypto-trace-capture record -q --tier $tier -o /tmp/start.ctseg -- /bin/true 2>> /results/errors
		rm -f /tmp/start.ctseg
	done
done
send
