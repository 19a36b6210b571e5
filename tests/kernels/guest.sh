#!/bin/sh
# The first process of a virtual machine of tests/kernels/matrix: runs the tests in each attach tier, records a workload in
# each, and sends what came of it through the second serial port.
. /machine.sh
[ -f /modules ] && while read -r module; do insmod "/lib/modules/$module"; done < /modules

# One processor is emulated, and loading the programs takes it most of a minute when another does something.
export CRYPTO_TRACE_BIN_DIR=$bin CRYPTO_TRACE_REQUIRE_LIVE=1 CRYPTO_TRACE_TEST_PATIENCE_S=240
$bin/crypto-trace-capture doctor > /results/doctor.txt 2>&1
$bin/crypto-trace-capture doctor --format json > /results/doctor.json 2>/dev/null

tiers="auto fentry kprobe tracepoint"
for tier in $tiers; do
	echo "matrix: recording, tier $tier"
	# What the tier before left: to remove it is no part of the workload.
	rm -rf /tmp/crypto-trace-matrix
	$bin/crypto-trace-capture record -v --tier $tier -o /results/$tier.ctseg -- /workload.sh > /results/$tier.out 2> /results/$tier.log
	echo $? > /results/$tier.exit
done
for tier in $tiers; do
	[ "$tier" = auto ] && continue
	[ "$(cat /results/$tier.exit)" = 0 ] || continue
	while read -r name filter; do
		echo "matrix: tests of $name, tier $tier"
		# shellcheck disable=SC2086
		CRYPTO_TRACE_TIER=$tier timeout 900 $bin/$name --test-threads=2 $filter > /results/tests-$name-$tier.log 2>&1
		echo $? > /results/tests-$name-$tier.exit
	done < /tests
done
send
